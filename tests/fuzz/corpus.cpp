// The conversations of tests/conversations as inputs to begin fuzzing with: fuzz_corpus
// CONVERSATIONS FOLDER writes FOLDER/link and FOLDER/frames.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "tests/unit/transcript.hpp"

namespace {

namespace fs = std::filesystem;
using pgweir::tests::Event;

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

void write(const fs::path& path, const std::string& bytes) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: fuzz_corpus CONVERSATIONS FOLDER\n";
        return 2;
    }
    const fs::path folder = argv[2];
    for (const auto& file : fs::directory_iterator(argv[1])) {
        const auto transcript = pgweir::tests::TranscriptReader::read(file.path());
        std::string link(1, '\0'), cached(1, '\2'), frames;
        for (const Event& event : transcript.events) {
            if (event.kind != Event::Kind::says) continue;
            add_chunks(link, event.bytes, event.end.side == 'C');
            add_chunks(cached, event.bytes, event.end.side == 'C');
            frames += event.bytes;
        }
        write(folder / "link" / transcript.name, link);
        write(folder / "link" / (transcript.name + "-cached"), cached);
        write(folder / "frames" / transcript.name, frames);
    }
}
