// The variables of one session as PostgreSQL has them: what SET, SET LOCAL, RESET and the ends of
// transactions make of them. Both the model server and the client that checks it have one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace pgweir::simulation {

/// Value.
class Variables {
public:
    using Map = std::map<std::string, std::string>;

    /// What a session has that has been asked for nothing.
    static const Map& presets() {
        static const Map all{{"application_name", ""},
                             {"client_encoding", "UTF8"},
                             {"DateStyle", "ISO, MDY"},
                             {"default_transaction_read_only", "off"},
                             {"lock_timeout", "0"},
                             {"role", "none"},
                             {"session_authorization", "app"},
                             {"standard_conforming_strings", "on"},
                             {"TimeZone", "UTC"},
                             {"work_mem", "4MB"}};
        return all;
    }
    static bool exists(const std::string& name) { return presets().contains(name); }
    /// A ParameterStatus tells of it.
    static bool is_reported(const std::string& name) {
        return name == "application_name" || name == "TimeZone" || name == "DateStyle" ||
               name == "client_encoding" || name == "standard_conforming_strings";
    }

    Variables() : reset_(presets()) {}

    /// From the start-up packet: a RESET goes back to it.
    void start(const std::string& name, const std::string& value) {
        ++changes_;
        reset_[name] = value;
    }
    std::string get(const std::string& name) const {
        for (const Map* const map : {&local_, &session_, &reset_}) {
            if (const auto found = map->find(name); found != map->end()) return found->second;
        }
        return "";
    }
    void set(const std::string& name, const std::string& value) {
        ++changes_;
        session_[name] = value;
        local_.erase(name);
    }
    /// For the rest of the transaction.
    void set_local(const std::string& name, const std::string& value) {
        ++changes_;
        local_[name] = value;
    }
    void reset(const std::string& name) {
        ++changes_;
        session_.erase(name);
        local_.erase(name);
    }
    void reset_all() {
        ++changes_;
        session_.clear();
        local_.clear();
    }

    void begin() { before_ = session_; }
    void commit() {
        ++changes_;
        local_.clear();
    }
    void rollback() {
        ++changes_;
        session_ = before_;
        local_.clear();
    }
    /// Those whose source is the session.
    const Map& session() const { return session_; }
    /// Grows with whatever may change one.
    std::uint64_t changes() const { return changes_; }

private:
    Map reset_, session_, local_, before_;
    std::uint64_t changes_ = 0;
};

}  // namespace pgweir::simulation
