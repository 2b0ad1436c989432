// A conversation as it is written down in tests/conversations, and what it says line by line.
//
//   # a comment
//   pool mode=transaction servers=2 statements=100
//   C1> Query "select 1"               client 1 says
//   S1< Query "select 1"               server 1 hears: the first one that was opened
//   S1> CommandComplete "SELECT 1"     S1> ReadyForQuery idle
//   C1< CommandComplete "SELECT 1"     C1< ReadyForQuery idle
//   S1> gone                           its connection ends
//   C1< gone                           we have ended it
//   linked C1 S1                       idle S2          open S1
//
// What is heard must come in this order at each end, and be there when its line is reached. At the
// end nobody may have heard anything else, and every server has nothing left to answer, unless it
// says `open`: then it is the client's for good.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>

#include "tests/unit/link.hpp"

namespace pgweir::tests {

/// One end of a connection: C1, S2.
struct End {
    char side = 'C';
    int id = 0;
    friend auto operator<=>(const End&, const End&) = default;
    std::string text() const { return side + std::to_string(id); }
};

struct Event {
    enum class Kind { says, hears, gone, closed, linked, idle, open };
    Kind kind;
    End end;
    int line = 0;
    std::string bytes = {};  // says, hears
    int server = 0;          // linked
};

struct Transcript {
    std::string name;
    LinkOptions options;
    std::vector<Event> events;

    friend void PrintTo(const Transcript& transcript, std::ostream* out) {
        *out << transcript.name;
    }
};

/// Errors  std::invalid_argument, with the line, for what is not written as above.
class TranscriptReader {
public:
    static Transcript read(const std::filesystem::path& path) {
        TranscriptReader reader;
        reader.transcript_.name = path.stem().string();
        std::ifstream file(path);
        for (std::string line; std::getline(file, line);) {
            ++reader.line_;
            try {
                reader.take(line);
            } catch (const std::exception& error) {
                throw std::invalid_argument(path.string() + ':' + std::to_string(reader.line_) +
                                            ": " + error.what());
            }
        }
        return std::move(reader.transcript_);
    }

private:
    void take(const std::string& line) {
        WordReader reader(line);
        std::vector<Word> words;
        while (std::optional<Word> word = reader.next()) {
            // `idle` is a word of messages too: a line that begins with one is about messages.
            const bool claims = words.empty() || is_verb(words[0].text);
            const bool begins =
                word->bare && (is_end(word->text) || (claims && is_verb(word->text)));
            if (begins) end_event(words);
            words.push_back(std::move(*word));
        }
        end_event(words);
    }

    static bool is_verb(const std::string& text) {
        return text == "pool" || text == "linked" || text == "idle" || text == "open";
    }

    static bool is_end(const std::string& text) {
        return text.size() > 2 && (text[0] == 'C' || text[0] == 'S') &&
               (text.back() == '>' || text.back() == '<') && text[1] >= '0' && text[1] <= '9';
    }

    static End end_of(const std::string& text) { return {text.at(0), std::stoi(text.substr(1))}; }

    void end_event(std::vector<Word>& words) {
        if (words.empty()) return;
        const std::vector<Word> taken = std::exchange(words, {});
        const std::string& verb = taken[0].text;
        if (verb == "pool") return pool(taken);
        if (is_verb(verb)) return claim(taken);
        if (!is_end(verb)) throw std::invalid_argument("what is " + verb + '?');

        Event event{Event::Kind::says, end_of(verb), line_};
        const Words message(std::vector<Word>(taken.begin() + 1, taken.end()));
        const bool says = verb.back() == '>';
        const bool client = event.end.side == 'C';
        if (message.name() == "gone") {
            event.kind = Event::Kind::gone;
        } else {
            event.kind = says ? Event::Kind::says : Event::Kind::hears;
            if (says == client) {
                spell::encode(event.bytes, message, spell::requests);
            } else {
                spell::encode(event.bytes, message, spell::replies);
            }
        }
        if (event.kind == Event::Kind::gone && !says) event.kind = Event::Kind::closed;
        transcript_.events.push_back(std::move(event));
    }

    void pool(const std::vector<Word>& words) {
        for (std::size_t i = 1; i < words.size(); ++i) {
            const std::string& text = words[i].text;
            const std::size_t at = text.find('=');
            const std::string value = text.substr(at + 1);
            const std::string key = text.substr(0, at);
            if (key == "mode") {
                transcript_.options.mode = value == "session"     ? config::PoolMode::session
                                           : value == "statement" ? config::PoolMode::statement
                                                                  : config::PoolMode::transaction;
            } else if (key == "servers") {
                transcript_.options.servers_max = std::stoi(value);
            } else if (key == "statements") {
                transcript_.options.statements_max = static_cast<std::size_t>(std::stoi(value));
            } else {
                throw std::invalid_argument("what is " + text + '?');
            }
        }
    }

    void claim(const std::vector<Word>& words) {
        Event event{Event::Kind::idle, end_of(words.at(1).text), line_};
        if (words[0].text == "open") event.kind = Event::Kind::open;
        if (words[0].text == "linked") {
            event.kind = Event::Kind::linked;
            event.server = end_of(words.at(2).text).id;
        }
        transcript_.events.push_back(std::move(event));
    }

    Transcript transcript_;
    int line_ = 0;
};

/// All of them, by name.
inline std::vector<Transcript> read_transcripts(const std::filesystem::path& folder) {
    std::map<std::string, Transcript> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".txt") continue;
        found[entry.path().stem().string()] = TranscriptReader::read(entry.path());
    }
    std::vector<Transcript> transcripts;
    for (auto& [name, transcript] : found) transcripts.push_back(std::move(transcript));
    return transcripts;
}

}  // namespace pgweir::tests
