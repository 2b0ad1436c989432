// When the certificates end that a configuration names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace pgweir::proxy::http {

/// A certificate of ours, shown to clients or to servers.
struct CertificateEnd {
    bool to_clients;
    std::string file;
    std::int64_t at_s;  // since 1970
};

/// Reads the files now: call it when their contents are taken into use. Each file once for each
/// side; those that cannot be read are left out.
std::vector<CertificateEnd> certificate_ends(const config::Config& config);

}  // namespace pgweir::proxy::http
