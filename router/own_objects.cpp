#include "router/own_objects.hpp"

#include <algorithm>
#include <array>

namespace pgweir::router {

namespace {

/// Volatile by mark, and yet they only compute or read.
constexpr auto harmless = std::to_array<std::string_view>(
    {"clock_timestamp", "current_query", "gen_random_uuid", "lo_get", "pg_jit_available",
     "pg_partition_ancestors", "pg_partition_tree", "pg_sleep", "pg_sleep_for", "pg_sleep_until",
     "random", "random_normal", "timeofday", "uuidv4", "uuidv7"});

/// Some take a transaction id or run what they are told although they are stable by mark; the
/// others are volatile, and named here for when there is no catalog.
constexpr auto acting = std::to_array<std::string_view>({"cursor_to_xml",
                                                         "database_to_xml",
                                                         "database_to_xml_and_xmlschema",
                                                         "loread",
                                                         "lowrite",
                                                         "nextval",
                                                         "pg_create_restore_point",
                                                         "pg_current_xact_id",
                                                         "pg_notify",
                                                         "pg_promote",
                                                         "pg_reload_conf",
                                                         "pg_rotate_logfile",
                                                         "pg_switch_wal",
                                                         "query_to_xml",
                                                         "query_to_xml_and_xmlschema",
                                                         "schema_to_xml",
                                                         "schema_to_xml_and_xmlschema",
                                                         "setseed",
                                                         "setval",
                                                         "table_to_xml",
                                                         "table_to_xml_and_xmlschema",
                                                         "ts_stat",
                                                         "txid_current"});

constexpr auto acting_begin = std::to_array<std::string_view>(
    {"lo_", "pg_advisory_", "pg_cancel_", "pg_create_", "pg_drop_", "pg_export_", "pg_import_",
     "pg_log_", "pg_stat_reset", "pg_terminate_", "pg_try_advisory_"});

/// They answer about the node, the session or its transaction, whatever their mark is.
constexpr auto of_node = std::to_array<std::string_view>({
    "currval",
    "inet_client_addr",
    "inet_client_port",
    "inet_server_addr",
    "inet_server_port",
    "lastval",
    "pg_available_extension_versions",
    "pg_available_extensions",
    "pg_backend_pid",
    "pg_blocking_pids",
    "pg_conf_load_time",
    "pg_config",
    "pg_current_logfile",
    "pg_current_snapshot",
    "pg_current_xact_id_if_assigned",
    "pg_cursor",
    "pg_database_size",
    "pg_extension_update_paths",
    "pg_get_backend_memory_contexts",
    "pg_get_replication_slots",
    "pg_get_shmem_allocations",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_indexes_size",
    "pg_is_in_backup",
    "pg_is_in_recovery",
    "pg_is_other_temp_schema",
    "pg_is_wal_replay_paused",
    "pg_last_committed_xact",
    "pg_listening_channels",
    "pg_lock_status",
    "pg_my_temp_schema",
    "pg_notification_queue_usage",
    "pg_postmaster_start_time",
    "pg_prepared_statement",
    "pg_prepared_xact",
    "pg_relation_size",
    "pg_safe_snapshot_blocking_pids",
    "pg_sequence_last_value",
    "pg_show_all_file_settings",
    "pg_show_all_settings",
    "pg_show_replication_origin_status",
    "pg_stat_file",
    "pg_stat_have_stats",
    "pg_table_size",
    "pg_tablespace_databases",
    "pg_tablespace_location",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "pg_xact_commit_timestamp",
    "pg_xact_commit_timestamp_origin",
    "pg_xact_status",
    "txid_current_if_assigned",
    "txid_current_snapshot",
    "txid_status",
});

constexpr auto of_node_begin = std::to_array<std::string_view>(
    {"pg_control_", "pg_current_wal_", "pg_get_wal_replay_", "pg_last_wal_", "pg_last_xact_",
     "pg_ls_", "pg_read_", "pg_stat_get_"});

constexpr auto given_sql =
    std::to_array<std::string_view>({"connectby", "crosstab", "crosstab2", "crosstab3", "crosstab4",
                                     "crosstab_hash", "xpath_table"});

constexpr auto replicated_views = std::to_array<std::string_view>(
    {"pg_group", "pg_indexes", "pg_matviews", "pg_policies", "pg_publication_tables", "pg_roles",
     "pg_rules", "pg_seclabels", "pg_shadow", "pg_stats", "pg_stats_ext", "pg_stats_ext_exprs",
     "pg_tables", "pg_timezone_abbrevs", "pg_timezone_names", "pg_user", "pg_user_mappings",
     "pg_views"});

static_assert(std::ranges::is_sorted(harmless) && std::ranges::is_sorted(acting) &&
              std::ranges::is_sorted(of_node) && std::ranges::is_sorted(given_sql) &&
              std::ranges::is_sorted(replicated_views));

bool has(const auto& sorted, std::string_view name) {
    return std::ranges::binary_search(sorted, name);
}

}  // namespace

std::optional<Finding> own_function(std::string_view name) {
    if (has(harmless, name)) return Finding();
    const auto begins = [&](auto begin) { return name.starts_with(begin); };
    if (has(acting, name) || std::ranges::any_of(acting_begin, begins))
        return Finding{Effect::writes, Reason::function_volatile};
    if (has(of_node, name) || std::ranges::any_of(of_node_begin, begins))
        return Finding{Effect::node, Reason::function_node};
    return std::nullopt;
}

bool runs_given_sql(std::string_view name) { return has(given_sql, name); }

bool is_replicated_view(std::string_view name) { return has(replicated_views, name); }

}  // namespace pgweir::router
