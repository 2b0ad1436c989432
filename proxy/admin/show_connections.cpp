// SHOW CLIENTS, SERVERS, SOCKETS, ACTIVE_SOCKETS, FDS, PINS.
#include <algorithm>
#include <array>
#include <ctime>

#include <fmt/format.h>

#include "proxy/admin/show.hpp"

namespace pgweir::proxy::admin {

namespace {

constexpr Type int4 = Type::int4;

constexpr Column columns[] = {
    {"type"},
    {"user"},
    {"database"},
    {"replication"},
    {"state"},
    {"addr"},
    {"port", int4},
    {"local_addr"},
    {"local_port", int4},
    {"connect_time"},
    {"request_time"},
    {"wait", int4},
    {"wait_us", int4},
    {"close_needed", int4},
    {"ptr"},
    {"link"},
    {"remote_pid", int4},
    {"tls"},
    {"application_name"},
    {"prepared_statements", int4},
    {"id", int4},
    // Only in SOCKETS and ACTIVE_SOCKETS:
    {"recv_pos", int4},
    {"pkt_pos", int4},
    {"pkt_remain", int4},
    {"send_pos", int4},
    {"send_remain", int4},
    {"pkt_avail", int4},
    {"send_avail", int4},
};
constexpr Columns socket_columns(columns);
constexpr Columns plain_columns = socket_columns.first(21);

/// PgBouncer's columns and one more, the last.
constexpr auto client_columns = [] {
    std::array<Column, plain_columns.size() + 1> all;
    std::copy(plain_columns.begin(), plain_columns.end(), all.begin());
    all.back() = {"pins"};
    return all;
}();

constexpr Column pins_columns[] = {
    {"client", int4}, {"user"}, {"database"}, {"since"}, {"reasons"},
};

constexpr Column fds_columns[] = {
    {"fd", int4},
    {"task"},
    {"user"},
    {"database"},
    {"addr"},
    {"port", int4},
    {"cancel", Type::int8},
    {"link", int4},
    {"client_encoding"},
    {"std_strings"},
    {"datestyle"},
    {"timezone"},
    {"password"},
    {"scram_client_key", Type::bytea},
    {"scram_server_key", Type::bytea},
};

std::string pointer(const void* address) {
    return address ? fmt::format("{}", address) : std::string();
}

Cell variable(const Connection& connection, std::string_view name) {
    const std::string* const value = connection.vars ? connection.vars->find(name) : nullptr;
    return value ? Cell(*value) : std::nullopt;
}

constexpr std::size_t added_max = 8;  // cells that SHOW CLIENTS or SHOW SOCKETS have besides

Row row_of(const Connection& seen, std::string_view state, const Snapshot& snapshot) {
    const std::int64_t wall_us = snapshot.wall_minus_monotonic_us;
    Cell cells[] = {
        text(seen.is_server ? "S" : "C"),
        seen.user.empty() ? "(nouser)" : seen.user,
        seen.database.empty() ? "(nodb)" : seen.database,
        text(seen.replication),
        text(state),
        seen.addr,
        number(seen.port),
        seen.local_addr,
        number(seen.local_port),
        time_text(wall_us + seen.connected_us),
        time_text(wall_us + seen.request_us),
        number(seen.wait_us / 1'000'000),
        number(seen.wait_us % 1'000'000),
        number(seen.close_needed ? 1 : 0),
        pointer(seen.self),
        pointer(seen.link),
        number(seen.remote_pid),
        seen.tls,
        variable(seen, "application_name").value_or(""),
        number(seen.prepared_statements),
        number(seen.id),
    };
    Row row;  // tens of thousands of them: each cell is made once, with room for what a SHOW adds
    row.reserve(std::size(cells) + added_max);
    std::move(std::begin(cells), std::end(cells), std::back_inserter(row));
    return row;
}

Rows plain_rows(const Snapshot& snapshot, bool servers) {
    Rows rows;
    for (const Connection& seen : snapshot.connections) {
        if (seen.is_server != servers || (!servers && seen.state == "login")) continue;
        rows.push_back(row_of(seen, seen.state, snapshot));
        if (!servers) rows.back().push_back(seen.pins);
    }
    return rows;
}

/// The client by its id, which KILL_CLIENT takes.
Rows pins_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const Connection& seen : snapshot.connections) {
        if (seen.pins.empty()) continue;
        rows.push_back({
            number(seen.id),
            seen.user,
            seen.database,
            time_text(snapshot.wall_minus_monotonic_us + seen.pinned_since_us),
            seen.pins,
        });
    }
    return rows;
}

/// SHOW SOCKETS has words of its own: whose side it is, and idle clients are active.
std::string socket_state(const Connection& seen) {
    if (!seen.is_server) return "cl_" + (seen.state == "idle" ? "active" : seen.state);
    return "sv_" + (seen.state == "new" ? "login" : seen.state);
}

Rows socket_rows(const Snapshot& snapshot, bool only_active) {
    Rows rows;
    for (const Connection& seen : snapshot.connections) {
        if (only_active && seen.kept_bytes + seen.unsent_bytes == 0) continue;
        Row row = row_of(seen, socket_state(seen), snapshot);
        for (int i = 0; i < 5; ++i)
            row.push_back("0");  // positions in buffers that are not kept here
        row.push_back(number(seen.kept_bytes));
        row.push_back(number(seen.unsent_bytes));
        rows.push_back(std::move(row));
    }
    return rows;
}

/// Passwords and keys are never shown: PgBouncer does, but only for its own restart.
Rows fds_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const ListenerState& listener : snapshot.listeners) {
        Row row{number(listener.fd),        "pooler", {}, {}, listener.at.host(),
                number(listener.at.port()), "0",      "0"};
        row.resize(std::size(fds_columns));
        rows.push_back(std::move(row));
    }
    for (const Connection& seen : snapshot.connections) {
        if (seen.fd < 0) continue;
        rows.push_back({
            number(seen.fd),
            text(seen.is_server ? "server" : "client"),
            seen.user.empty() ? Cell() : Cell(seen.user),
            seen.database.empty() ? Cell() : Cell(seen.database),
            seen.addr,
            number(seen.port),
            "0",
            number(seen.link_fd < 0 ? 0 : seen.link_fd),
            variable(seen, "client_encoding"),
            variable(seen, "standard_conforming_strings"),
            variable(seen, "datestyle"),
            variable(seen, "timezone"),
            std::nullopt,
            std::nullopt,
            std::nullopt,
        });
    }
    return rows;
}

constexpr Show shows[] = {
    {"clients", Access::stats, Snapshot::connections_part, client_columns,
     [](const Snapshot& snapshot) { return plain_rows(snapshot, false); }},
    {"servers", Access::stats, Snapshot::connections_part, plain_columns,
     [](const Snapshot& snapshot) { return plain_rows(snapshot, true); }},
    {"sockets", Access::stats, Snapshot::connections_part, socket_columns,
     [](const Snapshot& snapshot) { return socket_rows(snapshot, false); }},
    {"active_sockets", Access::stats, Snapshot::connections_part, socket_columns,
     [](const Snapshot& snapshot) { return socket_rows(snapshot, true); }},
    {"fds", Access::admin, Snapshot::connections_part, fds_columns, fds_rows},
    {"pins", Access::stats, Snapshot::connections_part, pins_columns, pins_rows},
};

}  // namespace

std::string time_text(std::int64_t wall_us) {
    const std::time_t seconds = wall_us / 1'000'000;
    std::tm parts{};
    localtime_r(&seconds, &parts);
    char text[64];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %Z", &parts)};
}

std::span<const Show> connection_shows() { return shows; }

}  // namespace pgweir::proxy::admin
