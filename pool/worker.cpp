#include "pool/worker.hpp"

#include "pool/server.hpp"

namespace pgweir::pool {

Worker::Worker(unsigned which, Shared& shared_tables, config::ConfigPtr initial)
    : index(which),
      shared(shared_tables) {
    adopt(std::move(initial));
}

Worker::~Worker() = default;

void Worker::adopt(config::ConfigPtr anew) {
    config = std::move(anew);
    loop.allow_batches(config->native.io_uring);
}

net::TcpOptions tcp_options(const config::Settings& settings) {
    using std::chrono::duration_cast;
    using std::chrono::milliseconds;
    using std::chrono::seconds;
    return {.keepalive = settings.tcp_keepalive,
            .keepcnt = settings.tcp_keepcnt,
            .keepidle_s = static_cast<int>(duration_cast<seconds>(settings.tcp_keepidle).count()),
            .keepintvl_s = static_cast<int>(duration_cast<seconds>(settings.tcp_keepintvl).count()),
            .user_timeout_ms =
                static_cast<int>(duration_cast<milliseconds>(settings.tcp_user_timeout).count()),
            .socket_buffer = settings.tcp_socket_buffer};
}

}  // namespace pgweir::pool
