#include "proxy/unit.hpp"

#include <algorithm>

#include "protocol/requests.hpp"
#include "router/lexer.hpp"

namespace pgweir::proxy {

namespace {

using router::Verdict;

/// May its answer tell what others have written?
bool may_show(const Verdict& verdict) {
    using Kind = Verdict::Kind;
    const bool of_session = verdict.kind == Kind::begin || verdict.kind == Kind::end ||
                            verdict.kind == Kind::set_transaction || verdict.kind == Kind::set ||
                            verdict.kind == Kind::empty;
    return verdict.shows && !of_session;
}

/// Puts one statement after the other into a unit.
class Fold {
public:
    Fold(Unit& unit, const UnitSources& sources) : unit_(unit), sources_(sources) {
        unit_.read = true;
    }

    void statement(std::string_view sql, std::uint64_t number = 0) {
        Judged judged = sources_.judge(sql, number);
        std::shared_ptr<const Verdict>& verdict = judged.verdict;
        const bool first = unit_.statements++ == 0;
        unit_.sql = sql;
        unit_.familiar = judged.familiar;
        unit_.dirties |= verdict->dirties;
        unit_.shows |= may_show(*verdict);
        if (first && verdict->kind == Verdict::Kind::begin) {
            unit_.begins = verdict->options;
            unit_.verdict = std::move(verdict);
            return;
        }
        const bool decides = !unit_.verdict || unit_.begins || (unit_.read && !verdict->read);
        unit_.read = unit_.read && verdict->read;
        if (decides) unit_.verdict = std::move(verdict);
    }

    /// One whose text is not known.
    void unknown() { unit_.read = false, unit_.dirties = unit_.shows = true, ++unit_.statements; }

private:
    Unit& unit_;
    const UnitSources& sources_;
};

void fold_bind(const protocol::Frame& frame, const UnitSources& sources, bool parsed_here,
               Fold& fold) {
    const auto names = protocol::read_bind_names(frame.payload);
    if (!names) return fold.unknown();
    if (parsed_here && names->statement.empty()) return;  // judged with its Parse
    const protocol::Statement* const meant = sources.prepared(names->statement);
    meant ? fold.statement(meant->query(), meant->id()) : fold.unknown();
}

/// One message of a batch. True when it is the last.
bool fold_message(const protocol::Frame& frame, const UnitSources& sources, bool& parsed_here,
                  Fold& fold, Unit& unit) {
    switch (frame.type) {
        case 'P': {
            const auto parse = protocol::read_parse(frame.payload);
            if (parse.has_error()) {
                fold.unknown();
                break;
            }
            parsed_here |= parse->name.empty();
            fold.statement(parse->query);
            break;
        }
        case 'B': fold_bind(frame, sources, parsed_here, fold); break;
        case 'F': fold.unknown(); break;
        case 'H': unit.extent = Unit::Extent::open; break;
        case 'S': unit.extent = Unit::Extent::closed; return true;
        default: break;
    }
    return false;
}

/// By its first word, of a text that need not be all there.
bool looks_like_read(std::string_view sql) {
    router::Token first = router::Lexer(sql).next();
    constexpr std::string_view words[] = {"select", "with", "values", "table", "copy", "explain"};
    return first.is('(') ||
           std::ranges::any_of(words, [&](auto word) { return router::is_word(first, word); });
}

/// The same of a message, of which only the beginning is there. `unit`: what stands before it.
bool looks_like_read(const protocol::Frame& frame, const UnitSources& sources, const Unit& unit) {
    Bytes payload = frame.payload;
    switch (frame.type) {
        case 'Q': return looks_like_read(payload);
        case 'P':
            payload.remove_prefix(std::min(payload.find('\0') + 1, payload.size()));
            return unit.read && looks_like_read(payload);
        case 'B': {
            const auto names = protocol::read_bind_names(payload);
            if (!names || names->statement.empty()) return unit.read;
            const protocol::Statement* const meant = sources.prepared(names->statement);
            return unit.read && meant && sources.judge(meant->query(), meant->id()).verdict->read;
        }
        default: return false;
    }
}

}  // namespace

Unit examine(Bytes input, const UnitLimits& limits, const UnitSources& sources) {
    Unit unit;
    Fold fold(unit, sources);
    bool parsed_here = false;
    const Bytes all = input;
    bool large = false;
    while (!input.empty()) {
        const auto cut = protocol::cut_frame(input, protocol::payload_size_max);
        if (cut.cut == protocol::Cut::more) break;
        if (cut.cut != protocol::Cut::frame) {  // what reads it for its server says what is wrong
            unit.extent = Unit::Extent::open;
            unit.size = all.size();
            fold.unknown();
            return unit;
        }
        const protocol::Frame& frame = cut.frame;
        if (frame.missing > 0) {
            large = all.size() >= limits.read ||
                    (all.size() >= limits.other && !looks_like_read(frame, sources, unit));
            break;
        }
        const bool alone = frame.type == 'Q' || frame.type == 'F';
        if ((alone || frame.type == 'X') && unit.size > 0) {  // the batch has no Sync
            unit.extent = Unit::Extent::open;
            return unit;
        }
        if (frame.type == 'X') break;
        if (alone) {
            unit.simple = frame.type == 'Q';
            unit.extent = Unit::Extent::closed;
            unit.size = frame.size();
            if (unit.simple) {
                const Bytes payload = frame.payload;
                fold.statement(payload.substr(0, payload.empty() ? 0 : payload.size() - 1));
            } else {
                fold.unknown();
            }
            return unit;
        }
        const bool last = fold_message(frame, sources, parsed_here, fold, unit);
        unit.size += frame.size();
        input.remove_prefix(frame.size());
        if (last) return unit;
    }
    large |= input.empty() && all.size() >= (unit.read ? limits.read : limits.other);
    if (unit.extent == Unit::Extent::unfinished && large) {
        unit.extent = Unit::Extent::open;
        unit.size = all.size();
        fold.unknown();
    }
    return unit;
}

}  // namespace pgweir::proxy
