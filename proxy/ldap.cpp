#include "proxy/ldap.hpp"

#include <charconv>
#include <memory>
#include <mutex>
#include <optional>

#include <fmt/format.h>
#include <ldap.h>
#include <malloc.h>

namespace pgweir::proxy {

namespace {

using protocol::Result;

protocol::Error bad_options(std::string text) {
    return {protocol::sqlstate::config_file_error, protocol::Origin::proxy, std::move(text)};
}

protocol::Error failure(std::string_view what, int code) {
    return {protocol::sqlstate::invalid_authorization, protocol::Origin::client,
            fmt::format("{}: {}", what, ldap_err2string(code))};
}

/// While one is there, what is given back to the heap is overwritten, whoever does that: the
/// library keeps what it sends, passwords included, and does not overwrite it itself. Resource.
class Overwriting {
public:
    Overwriting() { change(1); }
    ~Overwriting() { change(-1); }
    Overwriting(const Overwriting&) = delete;
    Overwriting& operator=(const Overwriting&) = delete;

private:
    static void change(int by) {
        static std::mutex mutex;
        static int there = 0;
        constexpr int with = 0xff;
        const std::lock_guard lock(mutex);
        there += by;
        mallopt(M_PERTURB, there > 0 ? with : 0);
    }
};

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// The next word without its quotation marks, a doubled one inside meaning itself; nullopt at the
/// end, which may be a comment.
std::optional<std::string> next_word(std::string_view& text) {
    while (!text.empty() && (is_blank(text[0]) || text[0] == ',')) text.remove_prefix(1);
    if (text.empty() || text[0] == '#') return std::nullopt;
    std::string word;
    bool quoted = false;
    while (!text.empty() && (quoted || (!is_blank(text[0]) && text[0] != ','))) {
        const char c = text[0];
        text.remove_prefix(1);
        if (c != '"') {
            word += c;
        } else if (quoted && text.starts_with('"')) {
            word += c;
            text.remove_prefix(1);
        } else {
            quoted = !quoted;
        }
    }
    return word;
}

Result<void> read_url(const std::string& text, LdapOptions& options) {
    LDAPURLDesc* parsed = nullptr;
    if (ldap_url_parse(text.c_str(), &parsed) != LDAP_URL_SUCCESS)
        return bad_options(fmt::format("could not parse LDAP URL \"{}\"", text));
    const std::unique_ptr<LDAPURLDesc, decltype(&ldap_free_urldesc)> url(parsed, ldap_free_urldesc);
    const std::string_view scheme = url->lud_scheme;
    if (scheme != "ldap" && scheme != "ldaps")
        return bad_options(fmt::format("unsupported LDAP URL scheme: {}", scheme));
    options.scheme = scheme;
    options.port = url->lud_port;
    if (url->lud_host) options.servers = url->lud_host;
    if (url->lud_dn) options.base_dn = url->lud_dn;
    if (url->lud_attrs && url->lud_attrs[0]) options.search_attribute = url->lud_attrs[0];
    if (url->lud_filter) options.search_filter = url->lud_filter;
    options.scope = url->lud_scope == LDAP_SCOPE_DEFAULT ? LDAP_SCOPE_BASE : url->lud_scope;
    return {};
}

struct TextKey {
    std::string_view key;
    std::string LdapOptions::*member;
};

constexpr TextKey text_keys[] = {
    {"ldapserver", &LdapOptions::servers},
    {"ldapprefix", &LdapOptions::prefix},
    {"ldapsuffix", &LdapOptions::suffix},
    {"ldapbasedn", &LdapOptions::base_dn},
    {"ldapbinddn", &LdapOptions::bind_dn},
    {"ldapsearchattribute", &LdapOptions::search_attribute},
    {"ldapsearchfilter", &LdapOptions::search_filter},
};

Result<void> read_option(const std::string& key, const std::string& value, LdapOptions& options) {
    for (const TextKey& known : text_keys) {
        if (key == known.key) {
            options.*known.member = value;
            return {};
        }
    }
    if (key == "ldapbindpasswd") {
        options.bind_password = value;
        return {};
    }
    if (key == "ldapurl") return read_url(value, options);
    if (key == "ldaptls") {
        options.start_tls = value == "1";
        return {};
    }
    if (key == "ldapscheme" && (value == "ldap" || value == "ldaps")) {
        options.scheme = value;
        return {};
    }
    if (key == "ldapport") {
        const char* const end = value.data() + value.size();
        const auto read = std::from_chars(value.data(), end, options.port);
        if (read.ec == std::errc() && read.ptr == end && options.port > 0 && options.port < 65536)
            return {};
    }
    return bad_options(fmt::format("invalid LDAP option: {}", key));
}

Result<void> check_options(const LdapOptions& options) {
    const bool simple = !options.prefix.empty() || !options.suffix.empty();
    const bool searches = !options.base_dn.empty() || !options.bind_dn.empty() ||
                          !options.bind_password.empty() || !options.search_attribute.empty() ||
                          !options.search_filter.empty();
    if (simple && searches)
        return bad_options("ldapprefix and ldapsuffix do not go together with options of a search");
    if (!simple && options.base_dn.empty())
        return bad_options("ldap needs one of ldapbasedn, ldapprefix, ldapsuffix");
    if (!options.search_attribute.empty() && !options.search_filter.empty())
        return bad_options("cannot use ldapsearchattribute together with ldapsearchfilter");
    return {};
}

/// A connection to the server, or rather the wish for one: the library connects when it has
/// something to say. Resource.
class Connection {
public:
    explicit Connection(const GiveUp& give_up) : give_up_(give_up) {}
    ~Connection() {
        if (ldap_) ldap_unbind_ext(ldap_, nullptr, nullptr);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    Result<void> open(const LdapOptions& options) {
        if (const int code = ldap_initialize(&ldap_, ldap_uris(options).c_str());
            code != LDAP_SUCCESS) {
            return failure("could not initialize LDAP", code);
        }
        const int version = LDAP_VERSION3;
        const timeval network{5, 0};
        ldap_set_option(ldap_, LDAP_OPT_PROTOCOL_VERSION, &version);
        ldap_set_option(ldap_, LDAP_OPT_NETWORK_TIMEOUT, &network);
        ldap_set_option(ldap_, LDAP_OPT_TIMEOUT, &network);
        ldap_set_option(ldap_, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
        if (!options.start_tls) return {};
        const int code = ldap_start_tls_s(ldap_, nullptr, nullptr);
        return code == LDAP_SUCCESS ? Result<void>() : failure("could not start LDAP TLS", code);
    }

    Result<void> bind(const std::string& dn, protocol::Secret password) {
        berval secret{password.size(), password.data()};
        int id = 0;
        int code =
            ldap_sasl_bind(ldap_, dn.c_str(), LDAP_SASL_SIMPLE, &secret, nullptr, nullptr, &id);
        Reply reply;
        if (code == LDAP_SUCCESS) code = wait(id, reply);
        if (code == LDAP_SUCCESS)
            ldap_parse_result(ldap_, reply.get(), &code, nullptr, nullptr, nullptr, nullptr, 0);
        if (code == LDAP_SUCCESS) return {};
        return failure(fmt::format("LDAP login failed for \"{}\"", dn), code);
    }

    /// The name of the one entry that fits.
    Result<std::string> search(const LdapOptions& options, const std::string& filter) {
        std::string nothing = LDAP_NO_ATTRS;
        char* attributes[] = {nothing.data(), nullptr};
        constexpr int entries_max = 2;  // one more than is of use
        int id = 0;
        int code = ldap_search_ext(ldap_, options.base_dn.c_str(), options.scope, filter.c_str(),
                                   attributes, 0, nullptr, nullptr, nullptr, entries_max, &id);
        Reply reply;
        if (code == LDAP_SUCCESS) code = wait(id, reply);
        if (code != LDAP_SUCCESS) return failure("could not search LDAP", code);
        ldap_parse_result(ldap_, reply.get(), &code, nullptr, nullptr, nullptr, nullptr, 0);
        LDAPMessage* const entry = ldap_first_entry(ldap_, reply.get());
        if (code != LDAP_SUCCESS && !entry) return failure("could not search LDAP", code);
        if (const int count = ldap_count_entries(ldap_, reply.get()); count != 1) {
            return protocol::Error{
                protocol::sqlstate::invalid_authorization, protocol::Origin::client,
                fmt::format("LDAP search for \"{}\" found {} entries", filter, count)};
        }
        const std::unique_ptr<char, decltype(&ldap_memfree)> dn(ldap_get_dn(ldap_, entry),
                                                                ldap_memfree);
        return dn ? Result<std::string>(dn.get())
                  : failure("could not read the entry's name", LDAP_OTHER);
    }

private:
    struct Free {
        void operator()(LDAPMessage* message) const { ldap_msgfree(message); }
    };
    using Reply = std::unique_ptr<LDAPMessage, Free>;

    int wait(int id, Reply& reply) {
        while (!give_up_()) {
            timeval slice{0, 100'000};
            LDAPMessage* message = nullptr;
            const int type = ldap_result(ldap_, id, LDAP_MSG_ALL, &slice, &message);
            reply.reset(message);
            if (type > 0) return LDAP_SUCCESS;
            if (type < 0) {
                int code = LDAP_OTHER;
                ldap_get_option(ldap_, LDAP_OPT_RESULT_CODE, &code);
                return code == LDAP_SUCCESS ? LDAP_OTHER : code;
            }
        }
        return LDAP_TIMEOUT;
    }

    const Overwriting overwriting_;
    const GiveUp& give_up_;
    LDAP* ldap_ = nullptr;
};

}  // namespace

Result<LdapOptions> parse_ldap_options(std::string_view text) {
    const protocol::Cleansing cleansing;
    LdapOptions options;
    while (const auto word = next_word(text)) {
        const std::size_t equals = word->find('=');
        if (equals == std::string::npos)
            return bad_options(fmt::format("invalid LDAP option: {}", *word));
        const auto read = read_option(word->substr(0, equals), word->substr(equals + 1), options);
        if (read.has_error()) return read.error();
    }
    if (const auto checked = check_options(options); checked.has_error()) return checked.error();
    return options;
}

std::string ldap_uris(const LdapOptions& options) {
    std::string uris;
    std::string_view servers = options.servers;
    while (const auto server = next_word(servers)) {
        if (!uris.empty()) uris += ' ';
        // A number of IPv6 has colons, which a URI wants in brackets.
        const bool bare_v6 = server->find(':') != server->rfind(':') && server->front() != '[';
        uris += fmt::format("{}://{}{}{}", options.scheme, bare_v6 ? "[" : "", *server,
                            bare_v6 ? "]" : "");
        if (options.port > 0) uris += fmt::format(":{}", options.port);
    }
    return uris;
}

std::string ldap_filter(const LdapOptions& options, std::string_view user) {
    std::string name;  // RFC 4515, section 3
    for (const char c : user) {
        if (c == '*' || c == '(' || c == ')' || c == '\\') {
            name += fmt::format("\\{:02x}", static_cast<unsigned char>(c));
        } else {
            name += c;
        }
    }
    if (options.search_filter.empty()) {
        const std::string& attribute = options.search_attribute;
        return fmt::format("({}={})", attribute.empty() ? "uid" : attribute, name);
    }
    constexpr std::string_view placeholder = "$username";
    std::string filter = options.search_filter;
    for (std::size_t at = 0; (at = filter.find(placeholder, at)) != std::string::npos;
         at += name.size()) {
        filter.replace(at, placeholder.size(), name);
    }
    return filter;
}

Result<void> ldap_check(const LdapOptions& options, const std::string& user,
                        const std::string& password, const GiveUp& give_up) {
    const protocol::Cleansing cleansing;
    if (password.empty()) {  // LDAP calls it unauthenticated, and lets everybody in
        return failure("no password", LDAP_INVALID_CREDENTIALS);
    }
    std::string dn = options.prefix + user + options.suffix;
    if (!options.base_dn.empty()) {
        Connection searching(give_up);
        if (auto open = searching.open(options); open.has_error()) return open;
        if (auto bound = searching.bind(options.bind_dn, options.bind_password); bound.has_error())
            return bound;
        auto found = searching.search(options, ldap_filter(options, user));
        if (found.has_error()) return found.error();
        dn = *std::move(found);
    } else if (user.find_first_of(",+\"\\<>;=#") != std::string::npos) {
        // It could make another entry's name of the prefix and suffix.
        return failure("invalid character in user name", LDAP_INVALID_DN_SYNTAX);
    }
    Connection connection(give_up);
    if (auto open = connection.open(options); open.has_error()) return open;
    return connection.bind(dn, password);
}

}  // namespace pgweir::proxy
