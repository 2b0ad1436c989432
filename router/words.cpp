#include "router/words.hpp"

#include <array>
#include <cassert>
#include <cstddef>

#include "router/lexer.hpp"

namespace pgweir::router {
namespace {

/// These name neither functions nor columns.
constexpr std::string_view reserved =
    "all analyse analyze and any array as asc asymmetric both case cast check collate column "
    "constraint create current_catalog current_date current_role current_time current_timestamp "
    "current_user default deferrable desc distinct do else end except false fetch for foreign "
    "from grant group having in initially intersect into lateral leading limit localtime "
    "localtimestamp not null offset on only or order placing primary references returning select "
    "session_user some symmetric system_user table then to trailing true union unique user using "
    "variadic when where window with";

/// They may name columns, but no functions.
constexpr std::string_view column_name =
    "between bigint bit boolean char character coalesce dec decimal exists extract float greatest "
    "grouping inout int integer interval json json_array json_arrayagg json_exists json_object "
    "json_objectagg json_query json_scalar json_serialize json_table json_value least "
    "merge_action national nchar none normalize nullif numeric out overlay position precision "
    "real row setof smallint substring time timestamp treat trim values varchar xmlattributes "
    "xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize "
    "xmltable";

/// They may name functions, but no columns.
constexpr std::string_view function_name =
    "authorization binary collation concurrently cross current_schema freeze full ilike inner is "
    "isnull join left like natural notnull outer overlaps right similar tablesample verbose";

/// They may name anything.
constexpr std::string_view unreserved =
    "abort absent absolute access action add admin after aggregate also alter always asensitive "
    "assertion assignment at atomic attach attribute backward before begin breadth by cache call "
    "called cascade cascaded catalog chain characteristics checkpoint class close cluster columns "
    "comment comments commit committed compression conditional configuration conflict connection "
    "constraints content continue conversion copy cost csv cube current cursor cycle data "
    "database day deallocate declare defaults deferred definer delete delimiter delimiters "
    "depends depth detach dictionary disable discard document domain double drop each empty "
    "enable encoding encrypted enforced enum error escape event exclude excluding exclusive "
    "execute explain expression extension external family filter finalize first following force "
    "format forward function functions generated global granted groups handler header hold hour "
    "identity if immediate immutable implicit import include including increment indent index "
    "indexes inherit inherits inline input insensitive insert instead invoker isolation keep key "
    "keys label language large last leakproof level listen load local location lock locked logged "
    "mapping match matched materialized maxvalue merge method minute minvalue mode month move "
    "name names nested new next nfc nfd nfkc nfkd no normalized nothing notify nowait nulls "
    "object objects of off oids old omit operator option options ordinality others over "
    "overriding owned owner parallel parameter parser partial partition passing password path "
    "period plan plans policy preceding prepare prepared preserve prior privileges procedural "
    "procedure procedures program publication quote quotes range read reassign recheck recursive "
    "ref referencing refresh reindex relative release rename repeatable replace replica reset "
    "restart restrict return returns revoke role rollback rollup routine routines rows rule "
    "savepoint scalar schema schemas scroll search second security sequence sequences "
    "serializable server session set sets share show simple skip snapshot source split sql stable "
    "standalone start statement statistics stdin stdout storage stored strict string strip "
    "subscription support sysid system tables tablespace target temp template temporary text ties "
    "transaction transform trigger truncate trusted type types uescape unbounded uncommitted "
    "unconditional unencrypted unknown unlisten unlogged until update vacuum valid validate "
    "validator value varying version view views virtual volatile whitespace within without work "
    "wrapper write xml year yes zone";

/// Keywords, never called, that the grammar puts in front of parentheses. The unreserved ones may
/// name functions too, so where an expression begins they are taken for one.
constexpr std::string_view opening =
    "by cluster conflict content copy cross cube document enum escape explain identity ilike "
    "include inherits inner insert instead is isnull join key like materialized natural notnull "
    "options outer overlaps passing privileges range reindex repeatable reset return rollup second "
    "set "
    "sets similar update vacuum values varying verbose zone";

/// A name after these is introduced or mentioned, with a list of columns or types behind it.
constexpr std::string_view naming =
    "aggregate analyse analyze as copy execute exists function into only operator prepare "
    "procedure recursive references routine statistics table tablesample vacuum verbose view with";

/// Behind these an expression begins, and no clause with a parenthesis.
constexpr std::string_view beginning =
    "and call distinct else from having in join limit or returning select when where";

constexpr WordList keywords[] = {
    {reserved, {.keyword = Keyword::reserved}},
    {column_name, {.keyword = Keyword::column_name}},
    {function_name, {.keyword = Keyword::function_name}},
    {unreserved, {.keyword = Keyword::unreserved}},
    {opening, {.opens = true}},
    {naming, {.names = true}},
    {beginning, {.begins = true}},
};

/// An open hash table, filled once.
class Table {
public:
    Table() {
        for (const WordList& list : keywords) add(list);
        for (const WordList& list : own_functions()) add(list);
    }

    const Word& find(std::string_view word) const {
        static constexpr Word unknown;
        const Slot& slot = slots_[slot_of(word)];
        return slot.word.empty() ? unknown : slot.what;
    }

private:
    struct Slot {
        std::string_view word;
        Word what;
    };

    void add(const WordList& list) {
        for (std::string_view rest = list.words; !rest.empty();) {
            const std::string_view word = rest.substr(0, rest.find(' '));
            rest.remove_prefix(word.size() < rest.size() ? word.size() + 1 : word.size());
            Slot& slot = slots_[slot_of(word)];
            if (slot.word.empty()) ++used_;
            assert(used_ < slots_.size() / 2);
            slot.word = word;
            Word& what = slot.what;
            if (list.what.keyword != Keyword::none) what.keyword = list.what.keyword;
            what.opens |= list.what.opens;
            what.names |= list.what.names;
            what.begins |= list.what.begins;
            what.own_function |= list.what.own_function;
            what.traces |= list.what.traces;
        }
    }

    /// Where the word is, or would be.
    std::size_t slot_of(std::string_view word) const {
        std::uint32_t hash = 2166136261u;  // FNV-1a of the folded word
        for (const char c : word) {
            hash = (hash ^ static_cast<unsigned char>(folded(c))) * 16777619u;
        }
        std::size_t at = (hash ^ hash >> 15) % slots_.size();
        while (!slots_[at].word.empty() && !is_folded(word, slots_[at].word)) {
            at = (at + 1) % slots_.size();
        }
        return at;
    }

    std::array<Slot, 4096> slots_;
    std::size_t used_ = 0;
};

}  // namespace

bool has_execute(const Token& token) {
    constexpr std::string_view execute = "execute";
    const bool literal = token.kind == TokenKind::string ||
                         token.kind == TokenKind::escape_string ||
                         token.kind == TokenKind::dollar_string;
    if (!literal) return false;
    const std::string_view text = token.text();
    for (std::size_t at = 0; at + execute.size() < text.size(); ++at) {
        if (folded(text[at]) == 'e' && is_folded(text.substr(at, execute.size()), execute))
            return true;
    }
    return false;
}

const Word& word_of(std::string_view word) {
    static const Table table;
    return table.find(word);
}

}  // namespace pgweir::router
