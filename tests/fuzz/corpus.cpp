#include "tests/fuzz/corpus.hpp"

#include "tests/unit/transcript.hpp"

namespace pgweir::fuzz {

namespace {

/// A chunk as tests/fuzz/link.cpp reads it: its size and whose it is in one byte.
void add_chunks(std::string& input, std::string_view bytes, bool client) {
    constexpr std::size_t chunk_max = 127;
    while (!bytes.empty()) {
        const std::string_view chunk = bytes.substr(0, chunk_max);
        input += static_cast<char>(chunk.size() << 1 | (client ? 1 : 0));
        input += chunk;
        bytes.remove_prefix(chunk.size());
    }
}

}  // namespace

std::vector<Seed> conversation_seeds(const std::filesystem::path& folder) {
    std::vector<Seed> seeds;
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
        const auto transcript = tests::TranscriptReader::read(file.path());
        std::string link(1, '\0'), cached(1, '\2'), frames;
        for (const tests::Event& event : transcript.events) {
            if (event.kind != tests::Event::Kind::says) continue;
            add_chunks(link, event.bytes, event.end.side == 'C');
            add_chunks(cached, event.bytes, event.end.side == 'C');
            frames += event.bytes;
        }
        seeds.push_back({"link", transcript.name, link});
        seeds.push_back({"link", transcript.name + "-cached", cached});
        seeds.push_back({"frames", transcript.name, frames});
    }
    return seeds;
}

}  // namespace pgweir::fuzz
