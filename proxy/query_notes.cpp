#include "proxy/query_notes.hpp"

#include "protocol/requests.hpp"

namespace pgweir::proxy {

namespace {

constexpr std::size_t names_max = 1000;

}  // namespace

void QueryNotes::passed(NamesPtr& names, const protocol::Frame& frame) {
    if (!names) names = std::make_unique<Names>();
    if (frame.type == 'P') {
        const auto parse = protocol::read_parse(frame.payload);
        if (frame.missing > 0 || parse.has_error()) return;
        if (names->size() >= names_max) names->clear();
        (*names)[std::string(parse->name)] = book.find(pool, parse->query);
        return;
    }
    const auto bind = protocol::read_bind_names(frame.payload);
    const auto found = bind ? names->find(std::string(bind->statement)) : names->end();
    if (found == names->end()) return;
    last = book.note(found->second, on_replica);
    text = book.text(last);
    bare = false;
}

}  // namespace pgweir::proxy
