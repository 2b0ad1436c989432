// A pgpool.conf, with its pool_hba.conf and pool_passwd, as a configuration of pgweir.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/import.hpp"

namespace pgweir::config {

/// Reads a pgpool.conf: its servers become the entry "*", or the cluster "main" behind it when
/// there are several. Settings of pgpool's that mean nothing here, or something else, become
/// remarks.
Foreign read_pgpool(const std::string& path, const Sources& sources);

// ---- what it is made of

struct PgpoolEntry {
    std::string key, value;  // the key in lower case, the value without its quotes
    Place at;
};

/// The settings of the file and of those it includes, in their order. A line that makes no sense
/// becomes a problem.
std::vector<PgpoolEntry> read_pgpool_file(const std::string& path, const ReadFile& read,
                                          Findings& findings);

/// Why a setting of pgpool's is not carried over.
struct PgpoolDropped {
    std::string_view names;  // between blanks; one that ends in * stands for all that begin so
    std::string_view reason;
    /// Whether something changes even when it is off or empty.
    bool even_off = false;
    /// The setting without which this one means nothing; "" = none.
    std::string_view switch_name{};
};

/// nullptr when nothing is known of that setting.
const PgpoolDropped* pgpool_dropped(std::string_view key);

/// The settings of a pgpool.conf by name. Values that make no sense become problems; what nobody
/// has asked for is left for remark_rest(). Borrows the Foreign that all of it goes to.
class PgpoolConf {
public:
    PgpoolConf(std::vector<PgpoolEntry> entries, Foreign& foreign);

    /// The setting, nullptr when it is not there. Either way it is a known one.
    const PgpoolEntry* take(std::string_view key);

    std::string text(std::string_view key, std::string_view preset);
    bool flag(std::string_view key, bool preset);
    std::int64_t number(std::string_view key, std::int64_t preset, std::int64_t max);
    /// `unit` is that of a number without one.
    Duration time(std::string_view key, Duration unit, Duration preset);
    std::int64_t bytes(std::string_view key, std::int64_t preset);

    /// All settings, by name.
    const std::map<std::string, PgpoolEntry, std::less<>>& entries() const { return entries_; }

    /// Gives a setting of PgBouncer's that name the value, as an ini spells it; `key` is pgpool's.
    void set(std::string_view setting, const std::string& value, std::string_view key);

    /// "KEY = VALUE: TEXT"; `key` may be one that the file does not have.
    void remark(std::string_view key, std::string_view text);

    /// Says of each setting nobody has asked for why it is not carried over.
    void remark_rest();

    Place place(std::string_view key) const;

private:
    const PgpoolEntry* find(std::string_view key) const;
    bool is_off(std::string_view key) const;

    std::map<std::string, PgpoolEntry, std::less<>> entries_;
    std::set<std::string, std::less<>> known_;
    Foreign& foreign_;
};

/// Users and how they log in: enable_pool_hba, pool_passwd, TLS from clients and to servers.
void read_pgpool_auth(PgpoolConf& conf, const std::string& path, const Sources& sources,
                      Foreign& foreign);

/// A secret as pgpool writes it: "md5…", "TEXT…" or a plain one; nullopt for "AES…", which needs
/// pgpool's key.
std::optional<std::string> pgpool_secret(std::string_view text);

}  // namespace pgweir::config
