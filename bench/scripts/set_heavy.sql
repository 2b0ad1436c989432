-- A client that changes a setting before every read.
\set lock random(30000, 30100)
\set aid random(1, 100000 * :scale)
SET lock_timeout = :lock;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
