#!/usr/bin/env bash
# Drivers' own test suites, directly and through build/release/pgweir in transaction mode; called by `./dev suites`.
# Downloads them into build/suites, once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
CACHE=$PWD/build/suites

# shellcheck source=tests/debian_source.sh
. tests/debian_source.sh

die() { printf 'suites: %s\n' "$*" >&2; exit 1; }

# unpack PACKAGE FOLDER: its upstream source.
unpack() {
    rm -rf "$CACHE/download"
    mkdir -p "$CACHE/download" "$2"
    (cd "$CACHE/download" && debian_source "$1") || die "no source package of $1 can be downloaded"
    tar -x -C "$2" --strip-components=1 -f "$CACHE/download"/*.orig.tar.*
}

# libpq's own test of pipelines is among PostgreSQL's modules.
make_libpq_pipeline() {
    local major source
    major=$("$PG_CONFIG" --version | grep -oE '[0-9]+' | head -n 1)
    source=$(mktemp -d "$CACHE/postgresql.XXXXXX")
    unpack "postgresql-$major" "$source"
    gcc -O1 -I"$("$PG_CONFIG" --includedir)" -I"$("$PG_CONFIG" --includedir-server)" -o "$CACHE/libpq_pipeline" \
        "$source/src/test/modules/libpq_pipeline/libpq_pipeline.c" \
        -L"$("$PG_CONFIG" --pkglibdir)" -L"$("$PG_CONFIG" --libdir)" -lpq -lpgcommon -lpgport
    rm -rf "$source"
}

mkdir -p "$CACHE"
if [[ ! -e $CACHE/lib-pq/conn_test.go || ! -x $CACHE/libpq_pipeline ]]; then
    debian_sources
    [[ -e $CACHE/lib-pq/conn_test.go ]] || unpack golang-github-lib-pq "$CACHE/lib-pq"
    [[ -x $CACHE/libpq_pipeline ]] || make_libpq_pipeline
fi
if [[ ! -e $CACHE/npm/node_modules/pg-pool ]]; then  # these two versions still bring their tests along
    mkdir -p "$CACHE/npm"
    npm install --silent --no-fund --no-audit --prefix "$CACHE/npm" pg@8.11.3 pg-cursor@2.10.3 pg-pool@3.6.1 mocha@10 \
        expect.js co bluebird lodash
fi
exec "${PYTHON:-/usr/bin/python3}" tests/cluster/suites.py "$CACHE"
