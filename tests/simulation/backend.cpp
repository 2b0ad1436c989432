#include "tests/simulation/backend.hpp"

#include <cerrno>

#include <fmt/format.h>

#include "protocol/error.hpp"
#include "protocol/startup.hpp"
#include "tests/simulation/cluster.hpp"

namespace pgweir::simulation {

using protocol::TxStatus;

Backend::Backend(Node& node, WirePtr wire, std::uint32_t pid)
    : node_(node),
      wire_(std::move(wire)),
      pid_(pid) {
    for (int i = 0; i < 4; ++i) key_ += static_cast<char>(node_.kernel.dice.next());
}

void Backend::heard(std::string_view bytes) {
    input_ += bytes;
    take();
}

/// What is under way is rolled back: the transaction ends with its connection.
void Backend::hung_up() {
    alive_ = false;
    for (const int lock : locks_) node_.locks.erase(lock);
}

void Backend::die(bool politely) {
    if (!alive_) return;
    hung_up();
    if (politely) {
        std::string last;
        protocol::write_error(last, protocol::Severity::fatal, protocol::Sqlstate{"57P01"},
                              "terminating connection due to administrator command");
        node_.kernel.say(wire_, last);
        return node_.kernel.hang_up(wire_);
    }
    node_.kernel.reset(wire_, ECONNRESET);
}

std::string Backend::text() const {
    return fmt::format("session {}: status {}{}{}, {} bytes to read", pid_, static_cast<char>(tx_),
                       busy_ ? ", works" : "", waits_for_log_ ? ", waits for replicas" : "",
                       input_.size());
}

void Backend::cancel() {
    if (busy_ && answering_query_) cancelled_ = true;
}

void Backend::go_on() {
    if (!alive_ || node_.hung) return;
    if (waits_for_log_) {
        if (!node_.cluster.is_safe(node_, safe_at_)) return;
        node_.cluster.acknowledge(safe_at_);
        waits_for_log_ = false;
        send_now();
    }
    take();
    hear_notices();
}

void Backend::hear_notices() {
    const bool busy = busy_ || waits_for_log_ || in_batch_ || tx_ != TxStatus::idle;
    if (!alive_ || !started_ || busy || node_.hung) return;
    write_notices();
    if (!out_.empty()) flush();
}

void Backend::write_notices() {
    for (; noticed_ < node_.notices.size(); ++noticed_) {
        const Notice& notice = node_.notices[noticed_];
        const auto found = channels_.find(notice.channel);
        if (found != channels_.end() && found->second <= noticed_)
            protocol::write_notification(out_, notice.pid, notice.channel, notice.payload);
    }
}

std::string Backend::leftovers() const {
    if (tx_ != TxStatus::idle || in_batch_) return "an open transaction";
    if (!locks_.empty()) return "an advisory lock";
    if (!channels_.empty()) return "a LISTEN";
    for (const auto& [name, text] : statements_) {
        if (!name.empty() && !name.starts_with("PGWEIR_")) return "the statement " + name;
    }
    return {};
}

// ---------------------------------------------------------------- messages

void Backend::take() {
    while (alive_ && !busy_ && !waits_for_log_ && !node_.hung) {
        if (!started_) {
            const auto packet = protocol::first_packet(input_);
            if (packet.has_error() || !*packet) return;
            const std::string bytes = input_.substr(0, (*packet)->size);
            input_.erase(0, (*packet)->size);
            start_up(bytes);
            continue;
        }
        const auto cut = protocol::first_frame(input_, 1 << 24, protocol::Origin::client);
        if (cut.has_error() || !*cut || (*cut)->missing > 0) return;
        const char type = (*cut)->type;
        const bool works = (type == 'Q' || type == 'E') && !skipping_;
        if (works && !answering_query_) return think();
        answering_query_ = false;
        const std::string bytes = input_.substr(0, (*cut)->size());
        input_.erase(0, bytes.size());
        message({type, std::string_view(bytes).substr(protocol::header_size), 0});
        cancelled_ = false;
    }
}

/// Work takes its time; meanwhile it can be cancelled, or the node fail.
void Backend::think() {
    busy_ = answering_query_ = true;
    Dice& dice = node_.kernel.dice;
    const std::int64_t time_us = dice.one_in(12) ? dice.between(2'000, 60'000) : dice.below(400);
    node_.kernel.in(time_us, [this] {
        busy_ = false;
        take();
    });
}

void Backend::start_up(std::string_view bytes) {
    const auto cut = protocol::first_packet(bytes);
    if (std::holds_alternative<protocol::SslRequest>((*cut)->packet)) {
        return node_.kernel.say(wire_, "N");
    }
    if (const auto* cancel = std::get_if<protocol::CancelRequest>(&(*cut)->packet)) {
        node_.cancel(cancel->pid, cancel->key);
        alive_ = false;
        return node_.kernel.hang_up(wire_);
    }
    const auto& packet = std::get<protocol::StartupPacket>((*cut)->packet);
    for (const auto& [name, value] : packet.parameters) {
        if (name == "user") user_ = value;
        if (name == "options" && value == "-c default_transaction_read_only=on")
            variables_.start("default_transaction_read_only", "on");
        if (Variables::exists(name)) variables_.start(name, value);
    }
    started_ = true;
    if (packet.version > protocol::protocol_3_0)
        protocol::write_negotiate_protocol_version(out_, protocol::protocol_3_0, {});
    protocol::write_authentication_ok(out_);
    protocol::write_parameter_status(out_, "server_version", "15.9");
    protocol::write_parameter_status(out_, "in_hot_standby", node_.primary ? "off" : "on");
    report();
    protocol::write_backend_key_data(out_, pid_, key_);
    ready();
}

void Backend::begin_batch() {
    if (tx_ == TxStatus::idle && !in_batch_) variables_.begin();
    in_batch_ = true;
}

void Backend::message(const protocol::Frame& frame) {
    if (skipping_ && frame.type != 'S' && frame.type != 'X') return;
    failed_ = false;
    try {
        switch (frame.type) {
            case 'Q': return query(*protocol::read_query(frame.payload));
            case 'P': begin_batch(), parse(*protocol::read_parse(frame.payload)); break;
            case 'B': begin_batch(), bind(*protocol::read_bind(frame.payload)); break;
            case 'D': begin_batch(), describe(*protocol::read_target(frame.payload)); break;
            case 'E': begin_batch(), execute(*protocol::read_execute(frame.payload)); break;
            case 'C': {
                const auto target = *protocol::read_target(frame.payload);
                if (target.kind == 'S') statements_.erase(std::string(target.name));
                out_ += protocol::close_complete;
                break;
            }
            case 'H': return flush();
            case 'S':
                skipping_ = false;
                end_implicit();
                return ready();
            case 'X': hung_up(); return node_.kernel.hang_up(wire_);
            default: node_.cluster.unknown = std::string("message ") + frame.type; break;
        }
    } catch (const SqlError& error) {
        fail(error);
        skipping_ = true;
    }
}

void Backend::query(std::string_view text) {
    begin_batch();
    statements_.erase("");
    try {
        if (text.find("search_path = pg_catalog") != std::string_view::npos)
            raise("42501", "permission denied: the model has no catalog");
        bool any = false;
        std::string one;
        bool quoted = false;
        const auto run_one = [&] {
            const std::size_t first = one.find_first_not_of(" \n");
            if (first == std::string::npos) return;
            any = true;
            run(one.substr(first), true);
        };
        for (const char c : text) {
            if (c == '\'') quoted = !quoted;
            if (c == ';' && !quoted) {
                run_one();
                one.clear();
            } else {
                one += c;
            }
        }
        run_one();
        if (!any) out_ += protocol::empty_query;
    } catch (const SqlError& error) {
        fail(error);
    }
    end_implicit();
    ready();
}

void Backend::parse(const protocol::Parse& parse) {
    const std::string text(parse.query), name(parse.name);
    if (text.starts_with("selec ")) raise("42601", "syntax error at or near \"selec\"");
    if (tx_ == TxStatus::failed && text != "rollback" && text != "commit")
        raise("25P02", "current transaction is aborted");
    if (!name.empty() && statements_.contains(name))
        raise("42P05", "prepared statement \"" + name + "\" already exists");
    statements_[name] = text;
    out_ += protocol::parse_complete;
}

void Backend::bind(const protocol::Bind& bind) {
    const std::string name(bind.statement);
    const auto found = statements_.find(name);
    if (found == statements_.end()) {
        raise("26000", name.empty() ? "unnamed prepared statement does not exist"
                                    : "prepared statement \"" + name + "\" does not exist");
    }
    std::string sql = found->second;
    if (tx_ == TxStatus::failed && sql != "rollback" && sql != "commit")
        raise("25P02", "current transaction is aborted");
    if (const std::size_t place = sql.find("$1"); place != std::string::npos) {
        if (bind.values.size() != 1) raise("08P01", "bind message supplies the wrong parameters");
        sql.replace(place, 2, "'" + std::string(bind.values[0].value_or("")) + "'");
    }
    portals_[std::string(bind.portal)] = {sql};
    out_ += protocol::bind_complete;
}

void Backend::describe(const protocol::Target& target) {
    std::string sql;
    if (target.kind == 'S') {
        const auto found = statements_.find(std::string(target.name));
        if (found == statements_.end()) raise("26000", "prepared statement does not exist");
        sql = found->second;
        const std::uint32_t text = protocol::oid::text;
        const bool takes = sql.find("$1") != std::string::npos;
        protocol::write_parameter_description(out_, {&text, takes ? 1u : 0u});
    } else {
        sql = portals_[std::string(target.name)].sql;
    }
    const bool gives_rows = sql.starts_with("select") || sql.starts_with("show");
    if (!gives_rows) {
        out_ += protocol::no_data;
        return;
    }
    const std::vector<protocol::Column> columns{{"c"}};
    protocol::write_row_description(out_, columns);
}

void Backend::execute(const protocol::Execute& execute) {
    const auto found = portals_.find(std::string(execute.portal));
    if (found == portals_.end()) raise("34000", "portal does not exist");
    run(found->second.sql, false);
}

// ---------------------------------------------------------------- answers

void Backend::raise(std::string code, std::string message) {
    throw SqlError{std::move(code), std::move(message)};
}

void Backend::fail(const SqlError& error) {
    protocol::write_error(out_, protocol::Severity::error, protocol::make_sqlstate(error.code),
                          error.message);
    failed_ = true;
    pending_.clear();
    notices_.clear();
    channel_changes_.clear();
    if (tx_ == TxStatus::transaction) {
        tx_ = TxStatus::failed;
    } else if (tx_ == TxStatus::idle) {
        variables_.rollback();
    }
}

void Backend::rows(const std::vector<Row>& all, bool simple, std::size_t columns) {
    if (simple) {
        const std::vector<protocol::Column> described(columns, {"c"});
        protocol::write_row_description(out_, described);
    }
    for (const Row& row : all) {
        std::vector<std::optional<std::string_view>> values(row.begin(), row.end());
        protocol::write_data_row(out_, values);
    }
    tag("SELECT " + std::to_string(all.size()));
}

void Backend::tag(std::string_view text) { protocol::write_command_complete(out_, text); }

/// Variables of which clients are told.
void Backend::report() {
    for (const auto& [name, preset] : Variables::presets()) {
        if (!Variables::is_reported(name)) continue;
        const std::string value = variables_.get(name);
        const auto [place, fresh] = reported_.try_emplace(name, value);
        if (!fresh && place->second == value) continue;
        place->second = value;
        protocol::write_parameter_status(out_, name, value);
    }
}

void Backend::ready() {
    report();
    if (tx_ == TxStatus::idle) write_notices();
    protocol::write_ready_for_query(out_, tx_);
    flush();
}

/// A write that is not safe yet is not acknowledged, nor what comes behind it.
void Backend::flush() {
    if (safe_at_ > 0 && !node_.cluster.is_safe(node_, safe_at_)) {
        waits_for_log_ = true;
        return;
    }
    if (safe_at_ > 0) node_.cluster.acknowledge(safe_at_);
    send_now();
}

void Backend::send_now() {
    safe_at_ = 0;
    node_.kernel.say(wire_, std::exchange(out_, {}));
}

// ---------------------------------------------------------------- transactions

void Backend::begin(bool read_only) {
    if (tx_ == TxStatus::idle) variables_.begin();
    tx_ = TxStatus::transaction;
    read_only_ = read_only;
    tag("BEGIN");
}

void Backend::end_transaction(bool commit) {
    const bool failed = tx_ == TxStatus::failed;
    if (commit && !failed) {
        for (const std::string& token : pending_) node_.log.push_back({token, node_.timeline});
        if (!pending_.empty()) {
            safe_at_ = node_.log.size();
            node_.cluster.wrote(node_);
        }
        variables_.commit();
        commit_channels();
    } else {
        variables_.rollback();
    }
    pending_.clear();
    notices_.clear();
    channel_changes_.clear();
    portals_.clear();
    read_only_ = false;
    tx_ = TxStatus::idle;
    variables_.begin();
}

void Backend::commit_channels() {
    for (const std::string& change : channel_changes_) {
        const std::string name = change.substr(1);
        if (change == "-*") {
            channels_.clear();
        } else if (change.starts_with('-')) {
            channels_.erase(name);
        } else {
            channels_.emplace(name, node_.notices.size());
        }
    }
    if (notices_.empty()) return;
    node_.notices.insert(node_.notices.end(), notices_.begin(), notices_.end());
    node_.kernel.in(0, [this] { node_.notify(); });
}

void Backend::end_implicit() {
    in_batch_ = false;
    if (tx_ != TxStatus::idle) return;
    end_transaction(true);
}

}  // namespace pgweir::simulation
