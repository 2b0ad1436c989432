// What the bench needs besides the programs it measures: a backend, a relay and a load.

#include <cstdio>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>

#include "bench/stub/backend.hpp"
#include "bench/stub/load.hpp"
#include "bench/stub/relay.hpp"

namespace {

constexpr const char* usage = "usage: bench_stub backend PORT\n"
                              "       bench_stub relay PORT BACKEND_PORT\n"
                              "       bench_stub load PORT HOSTS USER DATABASE PROTOCOL QUERY\n";

std::uint16_t port_of(const char* text) { return static_cast<std::uint16_t>(std::stoul(text)); }

void run(std::span<char* const> arguments) {
    const std::string mode = arguments.size() > 1 ? arguments[1] : "";
    if (mode == "backend" && arguments.size() == 3) {
        bench::run_backend(port_of(arguments[2]));
    } else if (mode == "relay" && arguments.size() == 4) {
        bench::run_relay(port_of(arguments[2]), port_of(arguments[3]));
    } else if (mode == "load" && arguments.size() == 8) {
        bench::run_load({.port = port_of(arguments[2]),
                         .hosts = static_cast<std::uint8_t>(std::stoul(arguments[3])),
                         .user = arguments[4],
                         .database = arguments[5],
                         .protocol = arguments[6],
                         .query = arguments[7]});
    } else {
        throw std::runtime_error(usage);
    }
}

}  // namespace

int main(int count, char** values) {
    try {
        run({values, static_cast<std::size_t>(count)});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_stub: %s\n", error.what());
        return 1;
    }
}
