#include "bench/stub/backend.hpp"

#include <cctype>
#include <string>
#include <string_view>

#include "bench/stub/loop.hpp"
#include "bench/stub/wire.hpp"

namespace bench {

namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr std::uint32_t ssl_request = 80877103, gss_request = 80877104, cancel_request = 80877102;

const std::string row_description =
    message('T', int16(1) + "abalance\0"s + int32(0) + int16(0) + int32(23) + int16(4) +
                     int32(0xffffffff) + int16(0));
const std::string data_row = message('D', int16(1) + int32(1) + "0");
const std::string parse_complete = message('1', "");
const std::string bind_complete = message('2', "");
const std::string close_complete = message('3', "");

std::string parameter(std::string_view name, std::string_view value) {
    return message('S', std::string(name) + '\0' + std::string(value) + '\0');
}

std::string welcome() {
    std::string said = message('R', int32(0));
    said += parameter("server_version", "15.20");
    said += parameter("server_encoding", "UTF8");
    said += parameter("client_encoding", "UTF8");
    said += parameter("DateStyle", "ISO, MDY");
    said += parameter("TimeZone", "Etc/UTC");
    said += parameter("IntervalStyle", "postgres");
    said += parameter("integer_datetimes", "on");
    said += parameter("standard_conforming_strings", "on");
    said += parameter("is_superuser", "on");
    said += parameter("session_authorization", "postgres");
    said += parameter("default_transaction_read_only", "off");
    said += parameter("in_hot_standby", "off");
    said += parameter("application_name", "");
    said += message('K', int32(4711) + int32(42));
    return said;
}

std::string first_word(std::string_view text) {
    std::string word;
    for (const char letter : text.substr(0, 16)) {
        if (std::isalpha(static_cast<unsigned char>(letter)) == 0) break;
        word += static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
    }
    return word;
}

/// One connection.
class Session : public Handler {
public:
    Session(Loop& loop, Fd fd) : loop_(loop), fd_(std::move(fd)) {}

    int descriptor() const { return fd_.number(); }

    void on_event(std::uint32_t events) override {
        if ((events & EPOLLOUT) != 0) {
            if (!outbox_.flush(fd_.number())) return loop_.drop(*this);
            if (outbox_.is_empty()) loop_.modify(fd_.number(), EPOLLIN, *this);
            return;
        }
        const auto [bytes, gone] = receive(fd_.number());
        if (gone || !read(bytes)) return loop_.drop(*this);
        if (replies_.empty()) return;
        if (!outbox_.send(fd_.number(), replies_)) return loop_.drop(*this);
        replies_.clear();
        if (!outbox_.is_empty()) loop_.modify(fd_.number(), EPOLLOUT, *this);
    }

private:
    /// False when the connection is to be closed.
    bool read(std::string_view bytes) {
        input_ += bytes;
        std::string_view rest = input_;
        while (rest.size() >= (is_started_ ? 5U : 8U)) {
            const std::size_t size = read_int32(rest.substr(is_started_ ? 1 : 0)) + is_started_;
            if (rest.size() < size) break;
            if (!take(rest.substr(0, size))) return false;
            rest.remove_prefix(size);
        }
        input_.erase(0, input_.size() - rest.size());
        return true;
    }

    bool take(std::string_view whole) {
        if (is_started_) return answer(whole[0], whole.substr(5));
        const std::uint32_t code = read_int32(whole.substr(4));
        if (code == cancel_request) return false;
        if (code == ssl_request || code == gss_request) {
            replies_ += 'N';
            return true;
        }
        is_started_ = true;
        replies_ += welcome();
        ready();
        return true;
    }

    bool answer(char type, std::string_view payload) {
        switch (type) {
            case 'Q':
                run(payload, true);
                ready();
                return true;
            case 'P': {  // name, text
                text_ = first_word(payload.substr(payload.find('\0') + 1));
                replies_ += parse_complete;
                return true;
            }
            case 'B': replies_ += bind_complete; return true;
            case 'D':
                if (payload.starts_with('S')) replies_ += message('t', int16(0));
                replies_ += row_description;
                return true;
            case 'E': run(text_, false); return true;
            case 'C': replies_ += close_complete; return true;
            case 'S': ready(); return true;
            case 'X': return false;
            default: return true;
        }
    }

    void run(std::string_view text, bool described) {
        const std::string word = first_word(text);
        if (word == "SELECT" || word == "SHOW" || word.empty()) {
            if (described) replies_ += row_description;
            replies_ += data_row;
            replies_ += message('C', "SELECT 1\0"sv);
            return;
        }
        if (word == "BEGIN" || word == "START") state_ = 'T';
        if (word == "COMMIT" || word == "END" || word == "ROLLBACK") state_ = 'I';
        std::string tag = word;
        if (word == "UPDATE" || word == "DELETE") tag += " 1";
        if (word == "INSERT") tag += " 0 1";
        replies_ += message('C', tag + '\0');
    }

    void ready() { replies_ += message('Z', std::string_view(&state_, 1)); }

    Loop& loop_;
    Fd fd_;
    Outbox outbox_;
    bool is_started_ = false;
    char state_ = 'I';
    std::string text_;  // first word of the text that was parsed last
    std::string input_, replies_;
};

class Listener : public Handler {
public:
    Listener(Loop& loop, Fd fd) : loop_(loop), fd_(std::move(fd)) {}

    void on_event(std::uint32_t /*events*/) override {
        for (;;) {
            Fd fd = accept_from(fd_.number());
            if (fd.number() < 0) return;
            auto session = std::make_unique<Session>(loop_, std::move(fd));
            const int descriptor = session->descriptor();
            loop_.add(descriptor, EPOLLIN, std::move(session));
        }
    }

private:
    Loop& loop_;
    Fd fd_;
};

}  // namespace

void run_backend(std::uint16_t port) {
    Loop loop;
    Fd listener = listen_on(port);
    const int descriptor = listener.number();
    loop.add(descriptor, EPOLLIN, std::make_unique<Listener>(loop, std::move(listener)));
    loop.run();
}

}  // namespace bench
