#include "bench/stub/load.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "bench/stub/loop.hpp"
#include "bench/stub/wire.hpp"

namespace bench {

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::string_literals;

constexpr std::size_t logins_max = 64;  // at the same time

double seconds_since(Clock::time_point moment) {
    return std::chrono::duration<double>(Clock::now() - moment).count();
}

class Load;

/// One connection of the load.
class Client : public Handler {
public:
    Client(Load& load, Fd fd) : load_(load), fd_(std::move(fd)) {}

    int descriptor() const { return fd_.number(); }
    void on_event(std::uint32_t events) override;
    void ask();

    bool is_asking = false;
    std::uint64_t left = 0;      // answers that `ask` still wants
    std::uint64_t answered = 0;  // since the last reset

private:
    enum class Stage : std::uint8_t { connecting, login, preparing, ready };

    void on_ready();

    Load& load_;
    Fd fd_;
    Stage stage_ = Stage::connecting;
    Clock::time_point asked_at_;
    Walker walker_;
};

/// All clients, and what they counted.
class Load {
public:
    explicit Load(const LoadOptions& options) : options_(options) {
        const std::string text = options.query + '\0';
        const std::string begin = "\0"s, none = int16(0) + int16(0) + int16(0);
        const std::string execute = message('D', "P\0"s) + message('E', begin + int32(0));
        const std::string sync = message('S', "");
        if (options.protocol == "simple") {
            request = message('Q', text);
        } else if (options.protocol == "extended") {
            request = message('P', begin + text + int16(0)) + message('B', begin + begin + none) +
                      execute + sync;
        } else if (options.protocol == "prepared") {
            prepare = message('P', "s\0"s + text + int16(0)) + sync;
            request = message('B', begin + "s\0"s + none) + execute + sync;
        } else {
            throw std::runtime_error("no protocol " + options.protocol);
        }
        start_up = message('\0', int32(196608) + "user\0"s + options.user + "\0database\0"s +
                                     options.database + "\0\0"s);
    }

    void run();
    void command(const std::string& line);

    void on_login() {
        --logging_in_;
        ++logged_in_;
        log_in_more();
        if (logged_in_ == wanted_) {
            std::printf("{\"clients\": %zu, \"seconds\": %.4f}\n", logged_in_,
                        seconds_since(login_began_));
        }
    }

    void on_answer(Client& client, Clock::time_point asked_at) {
        latencies_us_.push_back(static_cast<float>(seconds_since(asked_at) * 1e6));
        ++client.answered;
        if (is_running_ || (client.left > 0 && --client.left > 0)) return client.ask();
        client.is_asking = false;
        if (--asking_ == 0 && due_ == clients_.size()) finish();
    }

    void on_error(std::string_view text) {
        ++errors_;
        if (!first_error_.empty()) return;
        for (const char letter : text) first_error_ += letter < ' ' || letter == '"' ? ' ' : letter;
    }

    void watch_input(Client& client) { loop_.modify(client.descriptor(), EPOLLIN, client); }
    const std::string& first_error() const { return first_error_; }

    std::string start_up, prepare, request;

private:
    void log_in_more();
    void ask_due();
    void report();

    /// The line that `stop` and `once` wait for.
    void finish() {
        if (is_once_) {
            report();
        } else if (is_stopping_) {
            std::puts("{}");
        }
        is_once_ = is_stopping_ = false;
    }

    void reset() {
        latencies_us_.clear();
        errors_ = 0;
        reset_at_ = Clock::now();
        for (Client* client : clients_) client->answered = 0;
    }

    void start(Client& client) {
        if (client.is_asking) return;
        client.is_asking = true;
        ++asking_;
        client.ask();
    }

    const LoadOptions options_;
    Loop loop_;
    std::vector<Client*> clients_;
    std::size_t wanted_ = 0, logging_in_ = 0, logged_in_ = 0, asking_ = 0;
    std::size_t due_ = 0;  // clients that `once` has made ask so far
    bool is_running_ = false, is_stopping_ = false, is_once_ = false;
    double once_seconds_ = 0.0;
    Clock::time_point login_began_, once_began_, reset_at_;
    std::vector<float> latencies_us_;
    std::uint64_t errors_ = 0;
    std::string first_error_;
};

/// Lines of stdin.
class Commands : public Handler {
public:
    explicit Commands(Load& load) : load_(load) {}

    void on_event(std::uint32_t /*events*/) override {
        std::array<char, 256> page{};
        const ssize_t count = ::read(STDIN_FILENO, page.data(), page.size());
        if (count <= 0) std::exit(0);
        text_.append(page.data(), static_cast<std::size_t>(count));
        for (std::size_t end = text_.find('\n'); end != std::string::npos; end = text_.find('\n')) {
            const std::string line = text_.substr(0, end);
            text_.erase(0, end + 1);
            load_.command(line);
        }
    }

private:
    Load& load_;
    std::string text_;
};

void Client::on_event(std::uint32_t /*events*/) {
    if (stage_ == Stage::connecting) {
        stage_ = Stage::login;
        load_.watch_input(*this);
        Outbox().send(descriptor(), load_.start_up);
        return;
    }
    const auto [bytes, gone] = receive(descriptor());
    if (gone) throw std::runtime_error("a connection was closed; " + load_.first_error());
    walker_.walk(bytes, [this](char type, std::string_view start) {
        if (type == 'E') load_.on_error(start);
        if (type == 'R' && read_int32(start) != 0) {
            throw std::runtime_error("authentication other than trust was asked for");
        }
        if (type == 'Z') on_ready();
    });
}

/// A request is small and the socket's buffer empty: it takes all of it, or the peer is gone.
void Client::ask() {
    asked_at_ = Clock::now();
    Outbox().send(descriptor(), load_.request);
}

void Client::on_ready() {
    if (stage_ == Stage::ready) return load_.on_answer(*this, asked_at_);
    if (stage_ == Stage::login && !load_.prepare.empty()) {
        stage_ = Stage::preparing;
        Outbox().send(descriptor(), load_.prepare);
        return;
    }
    stage_ = Stage::ready;
    load_.on_login();
}

void Load::log_in_more() {
    while (logging_in_ < logins_max && logged_in_ + logging_in_ < wanted_) {
        const auto host = static_cast<std::uint8_t>(1 + clients_.size() % options_.hosts);
        auto client = std::make_unique<Client>(*this, connect_to(host, options_.port));
        clients_.push_back(client.get());
        ++logging_in_;
        const int descriptor = client->descriptor();
        loop_.add(descriptor, EPOLLOUT, std::move(client));
    }
}

void Load::ask_due() {
    if (!is_once_) return;
    const double share = std::min(1.0, seconds_since(once_began_) / once_seconds_);
    const auto until = static_cast<std::size_t>(share * static_cast<double>(clients_.size()));
    for (; due_ < until; ++due_) start(*clients_[due_]);
}

void Load::command(const std::string& line) {
    const std::string word = line.substr(0, line.find(' '));
    const double number = word == line ? 0.0 : std::stod(line.substr(word.size()));
    if (word == "login") {
        wanted_ = static_cast<std::size_t>(number);
        login_began_ = Clock::now();
        log_in_more();
    } else if (word == "run") {
        is_running_ = true;
        for (Client* client : clients_) start(*client);
        std::puts("{}");
    } else if (word == "reset") {
        reset();
        std::puts("{}");
    } else if (word == "report") {
        report();
    } else if (word == "stop") {
        is_running_ = false;
        is_stopping_ = true;
        due_ = clients_.size();
        if (asking_ == 0) finish();
    } else if (word == "once") {
        is_once_ = true;
        due_ = 0;
        once_seconds_ = number;
        once_began_ = Clock::now();
        loop_.tick = [this] { ask_due(); };
        reset();
    } else if (word == "ask") {
        is_once_ = true;
        due_ = clients_.size();
        reset();
        for (Client* client : clients_) client->left = static_cast<std::uint64_t>(number);
        for (Client* client : clients_) start(*client);
    } else {
        throw std::runtime_error("no command " + line);
    }
}

void Load::report() {
    std::vector<float> sorted = latencies_us_;
    std::sort(sorted.begin(), sorted.end());
    const auto percentile = [&](double share) {
        if (sorted.empty()) return 0.0;
        const auto place = static_cast<std::size_t>(share * static_cast<double>(sorted.size()));
        return static_cast<double>(sorted[std::min(place, sorted.size() - 1)]);
    };
    const double sum = std::accumulate(sorted.begin(), sorted.end(), 0.0);
    std::uint64_t least = UINT64_MAX, most = 0;
    for (const Client* client : clients_) {
        least = std::min(least, client->answered);
        most = std::max(most, client->answered);
    }
    std::printf(
        "{\"transactions\": %zu, \"seconds\": %.6f, \"mean\": %.2f, \"p50\": %.2f, \"p95\": %.2f, "
        "\"p99\": %.2f, \"p999\": %.2f, \"max\": %.2f, \"least\": %llu, \"most\": %llu, "
        "\"errors\": %llu, \"first_error\": \"%s\"}\n",
        sorted.size(), seconds_since(reset_at_),
        sorted.empty() ? 0.0 : sum / static_cast<double>(sorted.size()), percentile(0.5),
        percentile(0.95), percentile(0.99), percentile(0.999),
        sorted.empty() ? 0.0 : static_cast<double>(sorted.back()),
        static_cast<unsigned long long>(least), static_cast<unsigned long long>(most),
        static_cast<unsigned long long>(errors_), first_error_.c_str());
}

void Load::run() {
    std::setvbuf(stdout, nullptr, _IOLBF, 4096);
    latencies_us_.reserve(1 << 20);
    loop_.add(STDIN_FILENO, EPOLLIN, std::make_unique<Commands>(*this));
    loop_.run();
}

}  // namespace

void run_load(const LoadOptions& options) { Load(options).run(); }

}  // namespace bench
