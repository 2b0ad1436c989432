#!/bin/bash
# Run once by PostgreSQL's image, when the primary's data directory is made: replicas may connect.
echo 'host replication all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
