-- Nine reads and a write, each a transaction by itself.
\set a0 random(1, 100000 * :scale)
\set a1 random(1, 100000 * :scale)
\set a2 random(1, 100000 * :scale)
\set a3 random(1, 100000 * :scale)
\set a4 random(1, 100000 * :scale)
\set a5 random(1, 100000 * :scale)
\set a6 random(1, 100000 * :scale)
\set a7 random(1, 100000 * :scale)
\set a8 random(1, 100000 * :scale)
\set a9 random(1, 100000 * :scale)
SELECT abalance FROM pgbench_accounts WHERE aid = :a0;
SELECT abalance FROM pgbench_accounts WHERE aid = :a1;
SELECT abalance FROM pgbench_accounts WHERE aid = :a2;
SELECT abalance FROM pgbench_accounts WHERE aid = :a3;
SELECT abalance FROM pgbench_accounts WHERE aid = :a4;
SELECT abalance FROM pgbench_accounts WHERE aid = :a5;
SELECT abalance FROM pgbench_accounts WHERE aid = :a6;
SELECT abalance FROM pgbench_accounts WHERE aid = :a7;
SELECT abalance FROM pgbench_accounts WHERE aid = :a8;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :a9;
