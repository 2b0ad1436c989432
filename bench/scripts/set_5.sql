-- Five SETs, once; their values depend on which of :kinds kinds of clients it is. Then pgbench -S.
\if :begun = 0
\set begun 1
\set kind :client_id % :kinds
\set statement 60000 + :kind
\set memory 4096 + :kind
\set lock 30000 + :kind
SET search_path = public, pg_temp;
SET timezone = :kind;
SET statement_timeout = :statement;
SET work_mem = :memory;
SET lock_timeout = :lock;
\endif
\set aid random(1, 100000 * :scale)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
