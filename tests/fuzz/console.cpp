// An administrator who says anything: texts, and messages of the extended protocol.
#include "proxy/admin/extended.hpp"
#include "proxy/admin/grammar.hpp"
#include "tests/fuzz/targets.hpp"

namespace pgweir::fuzz {

void console(std::string_view input) {
    const auto command = proxy::admin::parse_command(input);
    if (command.has_value()) {
        require(command->verb.size() <= 15 && command->key.size() <= 63);
    }
    proxy::admin::Extended extended;
    std::string out;
    while (true) {
        const auto cut = protocol::first_frame(input, 1 << 16, protocol::Origin::client);
        if (cut.has_error() || !*cut || (*cut)->missing > 0) return;
        input.remove_prefix((*cut)->size());
        if (!proxy::admin::Extended::handles((*cut)->type)) continue;
        const auto step = extended.take(**cut, out);
        if (step.has_error()) return;
        if (step->run) {
            proxy::admin::Answer answer;
            const proxy::admin::Row row(step->run->columns.size(), "1");
            answer.rows = {row, row, row};
            answer.tag = "SHOW";
            extended.answered(std::move(answer), out);
        }
    }
}

}  // namespace pgweir::fuzz
