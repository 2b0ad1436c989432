#!/bin/bash
# A replica: copies the primary the first time, then follows it. PGPASSWORD is the password of postgres there.
set -euo pipefail
: "${PGDATA:=/var/lib/postgresql/data}" "${PRIMARY:=primary}"
if [[ ! -s $PGDATA/PG_VERSION ]]; then
    pg_basebackup --pgdata="$PGDATA" --write-recovery-conf --checkpoint=fast \
        --dbname="host=$PRIMARY user=postgres password=$PGPASSWORD application_name=${HOSTNAME:-replica}"
    chmod 0700 "$PGDATA"
fi
exec postgres -D "$PGDATA" "$@"
