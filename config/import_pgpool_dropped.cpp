// What of pgpool.conf has no equivalent, and why.
#include "config/import_pgpool.hpp"

namespace pgweir::config {

namespace {

using View = std::string_view;

constexpr View nodes_reason =
    "not used: pgweir probes all nodes of a cluster alike, and a server on its own not at all";

constexpr PgpoolDropped table[] = {
    {"child_life_time child_max_connections process_management_mode "
     "process_management_strategy min_spare_children max_spare_children serialize_accept",
     "there are no child processes"},
    {"reserved_connections",
     "clients beyond pool.max_client_connections are refused at once (53300), never left waiting",
     true},
    {"pcp_*", "there is no PCP: the console (psql -p PORT pgbouncer) does its work"},
    {"backend_data_directory*", "only pgpool's online recovery needs it"},
    {"backend_application_name*", "not needed: every replica is asked itself how far it is"},
    {"health_check_* sr_check_* connect_time_out", nodes_reason},
    {"load_balance_mode", "there is one server only"},
    {"disable_load_balance_on_write delay_threshold delay_threshold_by_time "
     "statement_level_load_balance search_primary_node_timeout",
     "there is one server only"},
    {"prefer_lower_delay_standby", "always: of the replicas that may serve a read the best does"},
    {"log_standby_delay replication_delay_source_cmd replication_delay_source_timeout",
     "not supported: lag is what the replicas themselves say, and the console and metrics show it"},
    {"read_only_function_list write_function_list white_function_list black_function_list",
     "not supported: what pg_proc says of a function counts; a comment /* pgweir: primary */ in "
     "front of a statement decides otherwise"},
    {"primary_routing_query_pattern_list black_query_pattern_list",
     "not supported: a comment /* pgweir: primary */ in front of a statement does it"},
    {"user_redirect_preference_list app_name_redirect_preference_list "
     "database_redirect_preference_list",
     "there is one server only"},
    {"allow_sql_comments",
     "comments never decide where a statement goes, but for /* pgweir: ... */ and "
     "/*NO LOAD BALANCE*/",
     true},
    {"ignore_leading_white_space", "always"},
    {"dml_adaptive_object_relationship_list track_table_mutation_*",
     "not needed: reads.consistency covers all tables"},
    {"relcache_* enable_shared_relcache check_temp_table check_unlogged_table",
     "not needed: pgweir has its own rules for what a replica may read"},
    {"failover_command failback_command follow_primary_command follow_master_command",
     "not supported: pgweir promotes nothing, it follows the primary that Patroni, repmgr or you "
     "make; a command that only tells somebody may be clusters.main.failover.hook"},
    {"failover_on_backend_error fail_over_on_backend_error failover_on_backend_shutdown",
     "a node that fails is left alone while it fails, and used again when it answers", true},
    {"auto_failback auto_failback_interval", "always: a node that answers again is used again",
     true},
    {"detach_false_primary", "always: a primary of an older timeline gets no writes", true},
    {"memory_cache_enabled", "not supported: results are not cached"},
    {"memqcache_* cache_safe_memqcache_table_list cache_unsafe_memqcache_table_list "
     "white_memqcache_table_list black_memqcache_table_list",
     "not supported: results are not cached", false, "memory_cache_enabled"},
    {"use_watchdog",
     "not supported: run several pgweir behind keepalived or a load balancer, each finds the "
     "primary by itself"},
    {"wd_* heartbeat_* other_* delegate_ip trusted_server* ping_path if_cmd_path if_up_cmd "
     "if_down_cmd ifconfig_path arping_path arping_cmd hostname* pgpool_port* priority "
     "failover_when_quorum_exists failover_require_consensus "
     "enable_multiple_failover_requests_from_node allow_multiple_failover_requests_from_node "
     "enable_consensus_with_half_votes clear_memqcache_on_escalation",
     "part of the watchdog, which is not supported", false, "use_watchdog"},
    {"recovery_* client_idle_limit_in_recovery",
     "not supported: online recovery is a task for pg_basebackup, repmgr or Patroni"},
    {"replication_mode replicate_select insert_lock lobj_lock_table replication_stop_on_mismatch "
     "failover_if_affected_tuples_mismatch parallel_mode system_db_* enable_query_cache",
     "not supported: it belongs to pgpool's own replication"},
    {"logdir work_dir", "not needed: no status file, nodes are asked anew at every start"},
    {"allow_clear_text_frontend_auth",
     "not supported: clients prove who they are by auth.method or their HBA line"},
    {"ssl_crl_file ssl_ca_cert_dir ssl_prefer_server_ciphers ssl_dh_params_file "
     "ssl_passphrase_command",
     "not supported", false, "ssl"},
    {"ssl_*", "not used while ssl is off"},
    {"log_statement log_per_node_statement log_client_messages log_backend_messages "
     "notice_per_node_statement",
     "not supported: statements are not logged; log.slow_query logs the slow ones"},
    {"log_* logging_collector client_min_messages print_* debug_level",
     "not supported: the lines of the log are PgBouncer's, to stderr, a file or syslog"},
};

bool matches(View names, View key) {
    while (!names.empty()) {
        const View name = names.substr(0, names.find(' '));
        names.remove_prefix(std::min(name.size() + 1, names.size()));
        const bool begins = name.ends_with('*') && key.starts_with(name.substr(0, name.size() - 1));
        if (begins || name == key) return true;
    }
    return false;
}

}  // namespace

const PgpoolDropped* pgpool_dropped(View key) {
    for (const PgpoolDropped& dropped : table) {
        if (matches(dropped.names, key)) return &dropped;
    }
    return nullptr;
}

}  // namespace pgweir::config
