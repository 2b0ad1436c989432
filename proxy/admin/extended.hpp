// The extended protocol of one console: statements, portals, what each message is answered with.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/frame.hpp"
#include "protocol/requests.hpp"
#include "proxy/admin/commands.hpp"

namespace pgweir::proxy::admin {

/// Pure: bytes in, bytes out; running a command is left to the owner. One command runs at a time.
class Extended {
public:
    static constexpr std::size_t names_max = 256;  // statements, and portals, a console may keep

    /// Parse, Bind, Describe, Execute, Close, Flush and Sync are its business.
    static bool handles(char type);

    struct Step {
        /// To be run now; its answer is for answered(), before the next take(). Valid until then.
        const Statement* run = nullptr;
        /// It was refused; the owner tells the client. What follows is skipped up to the next Sync.
        std::optional<protocol::Error> refused;
    };
    /// Takes one whole message and appends what it is answered with to `out`.
    ///
    /// Errors   08P01: it is no such message; the client is of no use then.
    protocol::Result<Step> take(const protocol::Frame& frame, std::string& out);

    /// The answer to what take() wanted run: appends what Execute asked for.
    void answered(Answer answer, std::string& out);

    /// An error has been told: messages, Query too, are to be skipped up to the next Sync.
    bool skipping() const { return skipping_; }
    /// A Query or a Sync ends what the portals lived in.
    void end_transaction() { portals_.clear(); }

private:
    struct Portal {
        Statement statement;
        std::vector<std::uint16_t> formats;
        std::optional<Answer> answer;  // once it has run
        std::size_t next = 0;          // row
    };
    template <class Value>
    using Names = std::map<std::string, Value, std::less<>>;

    Step parse(const protocol::Parse& message, std::string& out);
    Step bind(const protocol::Bind& message, std::string& out);
    Step describe(const protocol::Target& target, std::string& out);
    Step execute(const protocol::Execute& message, std::string& out);
    void close(const protocol::Target& target, std::string& out);
    void write_rows(Portal& portal, std::string& out);
    Step refuse(protocol::Error error);

    Names<Statement> statements_;
    Names<Portal> portals_;
    Portal* executing_ = nullptr;
    std::int32_t rows_max_ = 0;  // of the Execute under way
    bool skipping_ = false;
};

}  // namespace pgweir::proxy::admin
