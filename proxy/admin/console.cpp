#include "proxy/admin/console.hpp"

#include "pool/net/log.hpp"
#include "protocol/requests.hpp"

namespace pgweir::proxy {

using admin::Answer;
using net::log::Level;

namespace {

constexpr std::size_t message_max = 16 << 10;  // bytes
constexpr std::size_t kept_max = 64 << 10;     // bytes read ahead while a command runs
constexpr std::int64_t poll_us = 20'000;

void write_refusal(std::string& out, const protocol::Error& error) {
    protocol::write_error(out, protocol::Severity::error, error.sqlstate, error.message,
                          error.detail, error.hint);
}

}  // namespace

/// Looks again and again whether a command that waits is done.
class Console::Poll final : private net::Timer {
public:
    explicit Poll(Console& console)
        : net::Timer(console.client_.shard_.worker.loop),
          console_(console) {}
    void again() { expire_in(poll_us); }

private:
    void expired() override { console_.poll(); }

    Console& console_;
};

Console::Console(Client& client, ConsoleRole role) : client_(client), role_(role) {
    client_.shard_.process.count_consoles(+1);
}

Console::~Console() { client_.shard_.process.count_consoles(-1); }

/// Bytes from and to the console are not counted, as in PgBouncer.
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
    client_.write_cancel_key(out, 0);
    protocol::write_ready_for_query(out, protocol::TxStatus::idle);
    client_.shard_.console_stats.client_login_time.add(client_.shard_.worker.loop.now_us() -
                                                       client_.connected_us_);
    send(out);
}

void Console::input(protocol::Bytes bytes) {
    while (!busy() && !client_.socket_.blocked()) {
        const auto cut = protocol::first_frame(bytes, message_max, protocol::Origin::client);
        if (cut.has_error()) return client_.close(cut.error());
        if (!*cut || (*cut)->missing > 0) break;
        bytes.remove_prefix((*cut)->size());
        if (!take(**cut)) return;
    }
    client_.inbox_.keep(bytes);
    const bool held = busy() || client_.socket_.blocked();
    if (held && bytes.size() > kept_max) client_.socket_.pause();
}

void Console::drained() {
    if (busy()) return;
    input(client_.inbox_.kept());
    if (!is_closed()) client_.socket_.resume();
}

/// False when the client has been closed.
bool Console::take(const protocol::Frame& frame) {
    if (frame.type == 'X') {
        client_.hang_up("client close request");
    } else if (frame.type == 'Q') {
        const auto text = protocol::read_query(frame.payload);
        if (text.has_error()) {
            client_.close(text.error());
        } else if (!extended_.skipping()) {
            simple(*text);
        }
    } else if (admin::Extended::handles(frame.type)) {
        std::string out;
        const auto step = extended_.take(frame, out);
        if (step.has_error()) {
            client_.close(step.error());
            return false;
        }
        if (step->refused) {
            log_refusal(*step->refused);
            write_refusal(out, *step->refused);
        }
        if (!out.empty()) send(out);
        if (step->run) {
            by_execute_ = true;
            begin(*step->run);
        }
    } else if (std::string_view("dcf").find(frame.type) ==
               std::string_view::npos) {  // what is left of a COPY
        client_.close(admin::refusal(fmt::format("unsupported packet type for admin console: {}",
                                                 static_cast<int>(frame.type))));
    }
    return !is_closed();
}

void Console::simple(std::string_view text) {
    extended_.end_transaction();
    by_execute_ = false;
    auto statement = admin::resolve(text);
    if (statement.has_error()) return reply(admin::failure(statement.error()));
    begin(std::move(*statement));
}

void Console::begin(admin::Statement statement) {
    client_.request_us_ = client_.shard_.worker.loop.now_us();
    client_.shard_.console_stats.query_count.add(1);
    client_.shard_.console_stats.xact_count.add(1);
    running_ = std::move(statement);
    if (!admin::permitted(role_, running_->access())) {
        return reply(admin::failure(admin::refusal("admin access needed")));
    }
    if (running_->courtesy) return reply(admin::answer_courtesy(*running_));
    ++number_;
    if (running_->show) return look(ticket(), *running_->show);
    client_.log(Level::log, "{} command issued", running_->title());
    act(ticket(), *running_->verb);
}

void Console::look(const Ticket& ticket, const admin::Show& show) {
    if (show.parts == admin::Snapshot::nothing) {
        admin::Snapshot snapshot;
        snapshot.config = client_.shard_.worker.config;
        return reply(admin::answer_show(show, snapshot));
    }
    Process& process = client_.shard_.process;
    process.main().worker.loop.post([&process, &show, ticket] {
        admin::take_snapshot(process, show.parts, [&show, ticket](admin::Snapshot taken) {
            const auto snapshot = std::make_shared<const admin::Snapshot>(std::move(taken));
            deliver(ticket, [&show, snapshot](Console& console) {
                console.finish(admin::answer_show(show, *snapshot));
            });
        });
    });
}

void Console::act(const Ticket& ticket, const admin::Verb& verb) {
    Process& process = client_.shard_.process;
    process.main().worker.loop.post([&process, &verb, ticket, command = running_->command] {
        verb.run(process, command, [ticket](const Answer& answer) {
            deliver(ticket, [answer](Console& console) { console.finish(answer); });
        });
    });
}

Console::Ticket Console::ticket() const { return {&client_.shard_, client_.id_, number_}; }

void Console::deliver(const Ticket& ticket, std::function<void(Console&)> then) {
    ticket.shard->worker.loop.post([ticket, then = std::move(then)] {
        const auto found = ticket.shard->clients.find(ticket.client);
        if (found == ticket.shard->clients.end()) return;
        auto* const console = dynamic_cast<Console*>(found->second->attendant_.get());
        if (console && console->busy() && console->number_ == ticket.number) then(*console);
    });
}

/// A command that ran elsewhere is done, or has become one that waits.
void Console::finish(Answer answer) {
    if (!answer.error && answer.when != Answer::When::now) {
        waiting_ = std::move(answer);
        clear_polls_ = 0;
        poll_ = std::make_unique<Poll>(*this);
        return poll();
    }
    reply(std::move(answer));
    input(client_.inbox_.kept());
    if (!is_closed()) client_.socket_.resume();
}

/// Ends the present command, or refuses what was none.
void Console::reply(Answer answer) {
    std::string out;
    if (answer.error) {
        log_refusal(*answer.error);
        write_refusal(out, *answer.error);
    }
    if (by_execute_) {
        extended_.answered(std::move(answer), out);
    } else {
        if (!answer.error) {
            if (!answer.notice.empty()) {
                protocol::write_notice(out, protocol::Severity::notice,
                                       protocol::sqlstate::successful_completion, answer.notice,
                                       answer.detail);
            }
            const admin::Columns columns = running_->columns;
            if (!columns.empty()) admin::write_columns(out, columns);
            for (const admin::Row& row : answer.rows) admin::write_row(out, columns, row);
            protocol::write_command_complete(out, answer.tag);
        }
        protocol::write_ready_for_query(out, protocol::TxStatus::idle);
    }
    running_.reset();
    send(out);
}

void Console::log_refusal(const protocol::Error& error) const {
    if (!client_.shard_.worker.config->settings.log_pooler_errors) return;
    client_.log(Level::warning, "pooler error: {}", error.message);
}

/// Looks whether the waiting command is done; if not, later again.
void Console::poll() {
    Process& process = client_.shard_.process;
    const std::string& database = running_->command.argument;
    if (waiting_->when == Answer::When::servers_closed) {
        // Two looks in a row: a server on its way from thread to thread may escape one of them.
        process.main().worker.loop.post([&process, database, ticket = ticket()] {
            admin::count_closing(process, database, [ticket](int left) {
                deliver(ticket, [left](Console& console) {
                    if (!console.waiting_) return;
                    console.clear_polls_ = left == 0 ? console.clear_polls_ + 1 : 0;
                    if (console.clear_polls_ < 2) return console.poll_->again();
                    console.stop_waiting();
                });
            });
        });
        return;
    }
    if (waiting_->when == Answer::When::all_sent) return poll_unsent();
    if (!process.registry().paused(database)) {
        waiting_->error = admin::refusal("PAUSE was undone by RESUME");
        return stop_waiting();
    }
    int servers = 0;
    for (const pool::Pool* const pool : process.registry().pools()) {
        const bool meant = database.empty() || pool->database() == database;
        if (meant) servers += pool->counts(client_.shard_.worker.loop.now_us()).total;
    }
    if (servers > 0) return poll_->again();
    stop_waiting();
}

/// Who has not taken what it was sent within suspend_timeout is closed.
void Console::poll_unsent() {
    Process& process = client_.shard_.process;
    if (!process.suspended()) {
        waiting_->error = admin::refusal("SUSPEND was undone by RESUME");
        return stop_waiting();
    }
    const pool::Worker& worker = client_.shard_.worker;
    const bool late = worker.loop.now_us() - client_.request_us_ >=
                      worker.config->settings.suspend_timeout.count();
    process.main().worker.loop.post([&process, late, ticket = ticket()] {
        process.count_unsent(late, [late, ticket](int left) {
            deliver(ticket, [late, left](Console& console) {
                if (!console.waiting_) return;
                if (left == 0 || late) return console.stop_waiting();
                console.poll_->again();
            });
        });
    });
}

/// Answers with what has been waiting.
void Console::stop_waiting() {
    client_.shard_.worker.loop.bury(std::move(poll_));
    Answer answer = *std::exchange(waiting_, std::nullopt);
    answer.when = Answer::When::now;
    finish(std::move(answer));
}

void Console::undo_pause() {
    if (!waiting_ || waiting_->when != Answer::When::servers_free || !waiting_->undo) return;
    Process& process = client_.shard_.process;
    process.main().worker.loop.post([&process, database = running_->command.argument] {
        if (process.shutting_down() == Shutdown::none) process.resume(database);
    });
}

void Console::cancel(pool::CancelHold hold) {
    pool::ended(hold, "cancel request for console client");
    if (!waiting_) return;
    undo_pause();
    waiting_->error = protocol::Error{protocol::sqlstate::query_canceled, protocol::Origin::client,
                                      "canceling statement due to user request"};
    stop_waiting();
}

void Console::closed() {
    undo_pause();
    waiting_.reset();
    poll_.reset();
}

}  // namespace pgweir::proxy
