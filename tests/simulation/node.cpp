#include "tests/simulation/node.hpp"

#include <algorithm>
#include <cerrno>

#include "tests/simulation/backend.hpp"
#include "tests/simulation/cluster.hpp"

namespace pgweir::simulation {

Node::Node(Kernel& on, Cluster& of, std::string where, bool is_primary)
    : address(std::move(where)),
      kernel(on),
      cluster(of),
      primary(is_primary) {}

Node::~Node() = default;

void Node::connected(const WirePtr& wire) {
    wire->cable = cable;
    if (wire->closed) return;
    if (cable->cut) {  // the packet is lost: the system sends it again
        constexpr std::int64_t again_us = 1'000'000;
        return kernel.in(again_us, [this, wire] { connected(wire); });
    }
    if (!up) return kernel.refuse(wire, ECONNREFUSED);
    std::uint32_t pid = 0;
    while (pid == 0 || find(pid))
        pid = static_cast<std::uint32_t>(1'000 + kernel.dice.below(1'000'000));
    backends_.push_back(std::make_unique<Backend>(*this, wire, pid));
    kernel.accept(wire, *backends_.back());
}

void Node::crash() {
    up = false;
    for (const auto& backend : backends_) backend->die(false);
    locks.clear();
    hung = false;
}

void Node::start() {
    up = true;
    hung = false;
    start_us = kernel.now_us();
    replayed = primary ? log.size() : replayed;
}

void Node::hang(bool hangs) {
    hung = hangs;
    if (hangs) return;
    for (const auto& backend : backends_) backend->go_on();
}

void Node::end_connections() {
    for (const auto& backend : backends_) backend->die(true);
    locks.clear();
}

void Node::cancel(std::uint32_t pid, std::string_view key) {
    for (const auto& backend : backends_) {
        if (backend->alive() && backend->pid() == pid && backend->key() == key) backend->cancel();
    }
}

void Node::notify() {
    for (const auto& backend : backends_) backend->hear_notices();
}

const Backend* Node::find(std::uint32_t pid) const {
    for (const auto& backend : backends_) {
        if (backend->alive() && backend->pid() == pid) return backend.get();
    }
    return nullptr;
}

std::size_t Node::count(const std::string& token) const {
    const auto end = log.begin() + static_cast<std::ptrdiff_t>(std::min(visible(), log.size()));
    return static_cast<std::size_t>(
        std::count_if(log.begin(), end, [&](const Record& one) { return one.token == token; }));
}

std::size_t Node::connections() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(backends_, [](const auto& backend) { return backend->is_app(); }));
}

}  // namespace pgweir::simulation
