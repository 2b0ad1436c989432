// When a replica refuses a read: may it run again elsewhere?
#pragma once

#include <string_view>

namespace pgweir::router {

/// The parts of an ErrorResponse that tell, none of them translated but the message.
struct Refused {
    std::string_view sqlstate;
    std::string_view message;
    std::string_view routine;  // field R
};

/// What to do about it. `again`: run it on the primary, once, if nothing of the answer has been
/// passed on and no transaction is open. `learn`: so will every statement of its shape be.
struct Refusal {
    bool again = false;
    bool learn = false;
    bool elsewhere = false;  // it is the node's trouble: another replica may do as well
    friend bool operator==(const Refusal&, const Refusal&) = default;
};

Refusal refusal_of(const Refused& error);

}  // namespace pgweir::router
