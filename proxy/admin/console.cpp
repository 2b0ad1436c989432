#include "proxy/admin/console.hpp"

#include "pool/net/log.hpp"

namespace pgweir::proxy {

void Console::send(const std::string& bytes) { client_.socket_.send(bytes); }

void Console::welcome() {
    std::string out;
    protocol::write_authentication_ok(out);
    protocol::write_parameter_status(out, "server_version", "1.25.2/bouncer");
    protocol::write_parameter_status(out, "client_encoding", "UTF8");
    protocol::write_parameter_status(out, "server_encoding", "UTF8");
    protocol::write_parameter_status(out, "DateStyle", "ISO");
    protocol::write_parameter_status(out, "TimeZone", "GMT");
    protocol::write_parameter_status(out, "standard_conforming_strings", "on");
    protocol::write_parameter_status(out, "is_superuser", "on");
    protocol::write_backend_key_data(out, 1, std::string(4, '\0'));
    protocol::write_ready_for_query(out, protocol::TxStatus::idle);
    send(out);
}

void Console::input(protocol::Bytes bytes) {
    constexpr std::size_t query_max = 8192;
    while (true) {
        const auto cut = protocol::first_frame(bytes, query_max, protocol::Origin::client);
        if (cut.has_error()) return client_.close(cut.error());
        if (!*cut || (*cut)->missing > 0) return client_.inbox_.keep(bytes);
        const protocol::Frame frame = **cut;
        if (frame.type == 'X') return client_.hang_up("client close request");
        if (frame.type == 'Q') {
            const auto sql = protocol::read_query(frame.payload);
            if (sql.has_error()) return client_.close(sql.error());
            query(*sql);
        }
        bytes.remove_prefix(frame.size());
    }
}

void Console::query(std::string_view sql) { fail(fmt::format("invalid command '{}', use SHOW HELP;", sql)); }

void Console::fail(std::string_view text) {
    std::string out;
    protocol::write_error(out, protocol::Severity::error, protocol::sqlstate::protocol_violation, text);
    protocol::write_ready_for_query(out, protocol::TxStatus::idle);
    send(out);
}

}  // namespace pgweir::proxy
