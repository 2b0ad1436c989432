// What a client asks for as one, and what that says about where it may run.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "protocol/frame.hpp"
#include "protocol/statement.hpp"
#include "router/recent_texts.hpp"
#include "router/verdict.hpp"

namespace pgweir::proxy {

using protocol::Bytes;

/// The requests that have to run on one server because no transaction may end between them: a
/// simple query, or a batch up to its Sync. Value.
struct Unit {
    enum class Extent : std::uint8_t {
        unfinished,  // more of it has to come before anything can be said
        open,        // a batch that wants answers (Flush) before its Sync
        closed,      // all of it
    };
    Extent extent = Extent::unfinished;
    std::size_t size = 0;  // bytes of the input
    bool simple = false;   // a Query message
    /// Of its statements the one that decides; nullptr: there is none (a lone Describe or Close of
    /// something that does not exist, a function call).
    std::shared_ptr<const router::Verdict> verdict;
    unsigned statements = 0;
    bool read = false;     // every statement may run on a replica
    bool dirties = false;  // one may write
    bool shows = false;    // one may tell what others have written
    /// It begins with BEGIN in the same batch as what follows: how.
    std::optional<router::TransactionOptions> begins;
    /// The text of a unit of one statement, a slice of the input or of what is prepared.
    std::string_view sql;
    router::Familiar familiar;  // what `sql` is, if it is of the input and was looked at
};

/// What was found about a text.
struct Judged {
    std::shared_ptr<const router::Verdict> verdict;
    router::Familiar familiar{};
};

/// What the unit is made of, as far as it lies in somebody else's books.
class UnitSources {
public:
    /// `number`: see Router::judge().
    virtual Judged judge(std::string_view sql, std::uint64_t number) const = 0;
    /// The statement that a name stands for; nullptr: there is none.
    virtual const protocol::Statement* prepared(std::string_view name) const = 0;

protected:
    ~UnitSources() = default;
};

/// From so many bytes on a unit that is still not all there is for the primary, as it is. Value.
struct UnitLimits {
    std::size_t read;   // when all that is there looks like a read
    std::size_t other;  // otherwise
};

/// Looks at the front of `input`, which begins with a message that asks for a server.
Unit examine(Bytes input, const UnitLimits& limits, const UnitSources& sources);

}  // namespace pgweir::proxy
