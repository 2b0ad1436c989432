// The status page: one file, proxy/http/page.html, which is compiled in.
#pragma once

#include <string>
#include <string_view>

namespace pgweir::proxy::http {

std::string_view status_page();

/// Its Content-Security-Policy: its own style and script and nothing else, and requests to us only.
const std::string& status_page_policy();

}  // namespace pgweir::proxy::http
