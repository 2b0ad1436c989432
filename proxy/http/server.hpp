// A small HTTP/1.1 server on a thread of its own: GET and HEAD, bounded in connections, memory and
// time.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace pgweir::proxy::http {

/// GET, or HEAD, which is answered like GET but for the body.
struct Request {
    std::string path;  // without the query
    std::string host;  // as the client named it, with the port; empty: it did not
};

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Response {
    unsigned status = 200;
    std::string type{};  // empty: plain text
    std::string body{};
    Headers headers{};  // over those that every response has
};

/// Resource. Other methods, large or broken requests and those that come too slowly are refused
/// here. Where there is no room for one more connection, the one goes that has been silent longest.
class Server {
public:
    /// Makes the response, on the server's thread.
    using Make = std::function<Response()>;
    /// To be called once, on any thread; too late is the same as never, and gives 503.
    using Reply = std::function<void(Make)>;
    /// Called on the server's thread.
    using Handler = std::function<void(const Request&, Reply)>;

    struct Limits {
        std::size_t connections = 64;
        std::chrono::milliseconds silence{75'000};  // between requests
        std::chrono::milliseconds request{10'000};  // from its first byte to its last
        std::chrono::milliseconds reply{5'000};     // until the handler has answered
        std::chrono::milliseconds sending{10'000};
    };
    static constexpr std::size_t header_max = 8192;  // bytes

    /// `socket` listens; it is the server's. `headers` go into every response.
    Server(int socket, Handler handler, Headers headers, Limits limits);
    /// Ends all connections.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    int socket() const;

private:
    struct Core;
    class Session;

    std::shared_ptr<Core> core_;
    std::thread thread_;
};

}  // namespace pgweir::proxy::http
