#include "protocol/statement.hpp"

#include <iterator>
#include <memory>
#include <utility>

#include "protocol/vars.hpp"

namespace pgweir::protocol {

void intrusive_ptr_add_ref(const Statement* statement) {
    statement->references_.fetch_add(1, std::memory_order_relaxed);
}

void intrusive_ptr_release(const Statement* statement) {
    // The last reference is dropped under the table's lock, so that nobody finds a statement that
    // dies.
    std::uint32_t count = statement->references_.load(std::memory_order_relaxed);
    while (count > 1) {
        if (statement->references_.compare_exchange_weak(count, count - 1,
                                                         std::memory_order_acq_rel)) {
            return;
        }
    }
    statement->table_->release_last(*statement);
}

StatementPtr StatementTable::intern(std::string_view query, Bytes types, std::uint64_t context) {
    constexpr std::size_t recent_max = 1024, recent_size_max = 4096;  // statements; bytes of each
    StatementPtr forgotten;                                           // dies after the lock is gone
    const std::lock_guard lock(mutex_);
    if (const auto found = statements_.find({query, types, context}); found != statements_.end()) {
        found->second->uses_.fetch_add(1, std::memory_order_relaxed);
        return StatementPtr(found->second);
    }
    Statement* const statement = make(query, types, context);
    if (!keeps_recent_ || query.size() > recent_size_max) return StatementPtr(statement);
    if (recent_.size() < recent_max) {
        recent_.emplace_back(statement);
    } else {
        forgotten = std::exchange(recent_[oldest_], StatementPtr(statement));
        oldest_ = (oldest_ + 1) % recent_max;
    }
    return StatementPtr(statement);
}

StatementPtr StatementTable::intern_own(const NamedStatement& named) {
    const Statement& shared = *named.statement;
    const std::uint64_t context = own_context();
    const std::lock_guard lock(mutex_);
    Statement* const statement = make(shared.query(), shared.types(), context);
    statement->own_ = true;
    statement->server_name_ = named.name;
    statement->head_ = named.head;
    statement->tail_ = named.tail;
    return StatementPtr(statement);
}

/// Under the lock, and the key is not there.
Statement* StatementTable::make(std::string_view query, Bytes types, std::uint64_t context) {
    auto fresh = std::make_unique<Statement>();
    fresh->id_ = next_id_++;
    fresh->query_ = query;
    fresh->types_ = types;
    fresh->context_ = context;
    if (examiner_) fresh->traits_ = examiner_(query);
    fresh->server_name_ = "PGWEIR_" + std::to_string(fresh->id_);
    fresh->uses_ = 1;
    fresh->table_ = this;
    Statement* const statement = fresh.release();
    statements_.emplace(Key{statement->query_, statement->types_, context}, statement);
    return statement;
}

StatementTable::~StatementTable() {
    std::vector<StatementPtr> recent;  // each takes the lock when it goes
    const std::lock_guard lock(mutex_);
    recent.swap(recent_);
}

std::size_t StatementTable::size() const {
    const std::lock_guard lock(mutex_);
    return statements_.size();
}

void StatementTable::release_last(const Statement& statement) {
    std::unique_ptr<Statement> last;
    const std::lock_guard lock(mutex_);
    if (statement.references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;  // found again
    const auto found = statements_.find({statement.query_, statement.types_, statement.context_});
    last.reset(found->second);
    statements_.erase(found);
}

void NamedStatement::end() { delete this; }

std::string prepare_head(const Statement& statement) {
    if (!statement.head_.empty()) return statement.head_;
    return "PREPARE " + quote_identifier(statement.server_name());
}

std::string prepare_command(const Statement& statement) {
    return prepare_head(statement) + std::string(statement.query()) + statement.tail_;
}

NamedStatementPtr StatementNames::find(std::string_view name) const {
    if (!names_) return {};
    const auto found = names_->by_name.find(name);
    return found == names_->by_name.end() ? NamedStatementPtr() : found->second;
}

void StatementNames::add(NamedStatementPtr named) {
    const std::string_view name = named->name;
    const std::size_t bytes = bytes_of(*named);
    if (!names_) names_ = std::make_unique<Names>();
    if (names_->by_name.emplace(name, std::move(named)).second) names_->bytes += bytes;
}

void StatementNames::remove(const NamedStatement& named) {
    if (!names_) return;
    const auto found = names_->by_name.find(named.name);
    if (found == names_->by_name.end() || found->second.get() != &named) return;
    names_->bytes -= bytes_of(named);
    names_->by_name.erase(found);
}

std::size_t StatementNames::bytes_of(const NamedStatement& named) {
    constexpr std::size_t node = 48;  // of the map
    const std::size_t text = named.statement ? protocol::bytes_of(*named.statement) : 0;
    return node + sizeof named + named.name.size() + text;
}

std::size_t bytes_of(const Statement& statement) {
    return sizeof statement + statement.query().size() + statement.types().size();
}

bool ServerStatements::use(const Statement& statement, std::uint64_t batch,
                           std::uint64_t answered) {
    const auto found = places_.find(&statement);
    if (found == places_.end()) return false;
    const Entry& entry = *found->second;
    if (entry.batch >= answered && entry.batch != batch) return false;
    used_.splice(used_.begin(), used_, found->second);
    return true;
}

bool ServerStatements::add(StatementPtr statement, std::uint64_t batch) {
    const Statement* const key = statement.get();
    if (const auto found = places_.find(key); found != places_.end()) {
        Entry& entry = *found->second;
        if (entry.batch == unknown) entry.batch = batch;
        used_.splice(used_.begin(), used_, found->second);
        return false;
    }
    used_.push_front({std::move(statement), batch});
    places_.emplace(key, used_.begin());
    return true;
}

void ServerStatements::doubt(const StatementPtr& statement) {
    if (const auto found = places_.find(statement.get()); found != places_.end()) {
        found->second->batch = unknown;
        return;
    }
    used_.push_back({statement, unknown});
    places_.emplace(statement.get(), std::prev(used_.end()));
}

void ServerStatements::doubt_all() {
    for (Entry& entry : used_) entry.batch = unknown;
}

StatementPtr ServerStatements::evict(std::size_t size_max) {
    if (places_.size() <= size_max) return {};
    StatementPtr oldest = std::move(used_.back().statement);
    places_.erase(oldest.get());
    used_.pop_back();
    return oldest;
}

std::vector<StatementPtr> ServerStatements::take(bool own) {
    std::vector<StatementPtr> taken;
    for (auto entry = used_.begin(); entry != used_.end();) {
        const auto at = entry++;
        if (at->statement->is_own() != own) continue;
        places_.erase(at->statement.get());
        taken.push_back(std::move(at->statement));
        used_.erase(at);
    }
    return taken;
}

void ServerStatements::set_unnamed(StatementPtr statement, std::uint64_t batch) {
    unnamed_ = {std::move(statement), batch};
}

bool ServerStatements::has_unnamed(const Statement& statement, std::uint64_t batch,
                                   std::uint64_t answered) const {
    return unnamed_.statement.get() == &statement &&
           (unnamed_.batch < answered || unnamed_.batch == batch);
}

void ServerStatements::clear() {
    unnamed_.statement.reset();
    places_.clear();
    used_.clear();
}

}  // namespace pgweir::protocol
