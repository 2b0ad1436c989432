// pgweir.toml(5), made from the tables that the readers use.
#include <map>

#include <fmt/format.h>

#include "config/entries.hpp"
#include "config/native_keys.hpp"
#include "config/settings_page.hpp"

namespace pgweir::config {

namespace {

constexpr std::string_view introduction =
    R"(.\" Made from the tables in config/; a unit test keeps it up to date.
.TH PGWEIR.TOML 5 "" pgweir "File Formats"
.SH NAME
pgweir.toml \- configuration of pgweir
.SH DESCRIPTION
.BR pgweir (1)
reads a file whose name ends in
.I .toml
in the format of
.IR https://toml.io .
Beside a
.I pgbouncer.ini
it reads
.IR pgbouncer.pgweir.toml ,
in which everything below may stand; it changes only what it names.
.PP
A setting is named here by its path: pool.size is the key
.B size
of the table
.BR [pool] .
.PP
Times are strings with a unit ("250ms", "5s", "1h") or whole seconds.
Sizes are strings ("64KiB", "16MB") or bytes.
A list may be written as an array, or as one string with commas.
Names of files are relative to the file's own folder.
${NAME} in a string is replaced from the environment; a missing variable is an error.
.PP
.B pgweir check
.I FILE
says what is wrong with a file, and what is risky.
.SH EXAMPLE
.nf
[listen]
host = "127.0.0.1"
port = 6432

[auth]
method = "scram-sha-256"
file = "userlist.txt"

[pool]
mode = "transaction"

[clusters.main]
nodes = [{ host = "10.0.0.1" }, { host = "10.0.0.2" }]
[clusters.main.health]
user = "pgweir"
password = "${PGWEIR_HEALTH_PASSWORD}"

[databases."*"]
cluster = "main"
.fi
.SH SETTINGS
Each with its default, and its name in the ini.
.RI ( R )
marks what is read at the start only.
)";

constexpr std::string_view entries_introduction =
    R"(.SH DATABASES AND USERS
.B [databases.X]
is what clients connect to, with
.BR host " and " port ,
or with
.BR cluster .
.B X
is its name;
.B """*"""
stands for all others.
.B [users.X]
holds what applies to a user.
A user's value wins over the database's, and that over the one above.
)";

constexpr std::string_view end =
    R"(.SH FILES
.TP
.I /etc/pgweir/pgweir.toml
The configuration of the service.
.TP
.I userlist.txt
Beside the TOML: lines of """name""" """secret""".
.SH SEE ALSO
.BR pgweir (1)
)";

/// Text that man(7) reads as it is; what stands between backquotes is bold.
std::string plain(std::string_view text) {
    std::string out;
    bool bold = false;
    for (const char c : text) {
        if (c == '`') {
            bold = !bold;
            out += bold ? "\\fB" : "\\fR";
        } else if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else {
            out += c;
        }
    }
    if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
    return out;
}

struct Entry {
    std::string preset;
    std::string_view ini;
    bool changeable;
    std::string_view help;
};

/// By path: from both tables.
std::map<std::string_view, Entry> all_entries() {
    const Settings native = native_settings();
    std::map<std::string_view, Entry> entries;
    for (const Setting& setting : all_settings()) {
        if (setting.toml.empty()) continue;
        entries[setting.toml] = {toml_text(native, setting), setting.name, setting.changeable,
                                 setting.help};
    }
    for (const NativeKey& key : native_keys()) {
        entries[key.path] = {std::string(key.preset), {}, true, key.help};
    }
    return entries;
}

void write_settings(std::string& page) {
    for (const auto& [path, entry] : all_entries()) {
        page += fmt::format(".TP\n\\fB{}\\fR", plain(path));
        if (!entry.preset.empty()) page += fmt::format(" = {}", plain(entry.preset));
        if (!entry.changeable) page += " (\\fIR\\fR)";
        if (!entry.ini.empty()) page += fmt::format("\n\\fI{}\\fR:", plain(entry.ini));
        page += fmt::format("\n{}\n", plain(entry.help));
    }
}

template <class Owner>
void write_keys(std::string& page, std::string_view title, std::span<const EntryKey<Owner>> keys) {
    page += fmt::format(".TP\n.B {}\n", title);
    std::string list;
    for (const EntryKey<Owner>& key : keys) {
        if (key.toml.empty()) continue;
        list += fmt::format("{}{}", list.empty() ? "" : ",\n", plain(key.toml));
    }
    page += list + ".\n";
}

}  // namespace

std::string settings_man() {
    std::string page(introduction);
    write_settings(page);
    page += entries_introduction;
    write_keys(page, "[databases.X]", database_keys());
    write_keys(page, "[users.X]", user_keys());
    page += end;
    return page;
}

}  // namespace pgweir::config
