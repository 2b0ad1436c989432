#include "proxy/http/page.hpp"

#include <array>
#include <cassert>

#include <openssl/sha.h>

#include <fmt/format.h>

#include "protocol/base64.hpp"

namespace pgweir::embedded {
extern const std::string_view status_page;
}

namespace pgweir::proxy::http {

namespace {

/// As a policy names what stands between `open` and `close`: any other text is not run.
std::string hash_between(std::string_view page, std::string_view open, std::string_view close) {
    const std::size_t begin = page.find(open), end = page.find(close);
    assert(begin != std::string_view::npos && end != std::string_view::npos);
    const std::string text(page.substr(begin + open.size(), end - begin - open.size()));
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    const auto* const bytes =
        static_cast<const unsigned char*>(static_cast<const void*>(text.data()));
    SHA256(bytes, text.size(), digest.data());
    const auto* const raw = static_cast<const char*>(static_cast<const void*>(digest.data()));
    return fmt::format("'sha256-{}'", protocol::base64_encode({raw, digest.size()}));
}

}  // namespace

std::string_view status_page() { return embedded::status_page; }

const std::string& status_page_policy() {
    static const std::string policy = fmt::format(
        "default-src 'none'; connect-src 'self'; img-src data:; style-src {}; script-src {}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash_between(status_page(), "<style>", "</style>"),
        hash_between(status_page(), "<script>", "</script>"));
    return policy;
}

}  // namespace pgweir::proxy::http
