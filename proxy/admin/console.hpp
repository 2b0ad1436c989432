// The admin database `pgbouncer`: requests in, rows out.
#pragma once

#include <string>

#include "proxy/process.hpp"

namespace pgweir::proxy {

/// One client's console. Resource; lives in its client, on that client's thread.
class Console {
public:
    Console(Client& client, ConsoleRole role) : client_(client), role_(role) {}

    /// What a client is told when it has logged in here.
    void welcome();
    /// Bytes from the client; keeps what is not a whole message yet.
    void input(protocol::Bytes bytes);

private:
    void query(std::string_view sql);
    void fail(std::string_view text);
    void send(const std::string& bytes);

    Client& client_;
    [[maybe_unused]] ConsoleRole role_;
};

}  // namespace pgweir::proxy
