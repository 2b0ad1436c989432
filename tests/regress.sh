#!/usr/bin/env bash
# PostgreSQL's own regression suite, directly and through build/release/pgweir; called by `./dev regress`.
#     tests/regress.sh [direct] [session] [once] [transaction] [split]
# Downloads the source package of the installed PostgreSQL into build/regress, once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
CACHE=$PWD/build/regress

# shellcheck source=tests/debian_source.sh
. tests/debian_source.sh

die() { printf 'regress: %s\n' "$*" >&2; exit 1; }

for way in "$@"; do
    [[ $way =~ ^(direct|session|once|transaction|split)$ ]] || die "$way is none of direct, session, once, transaction, split"
done
[[ -x $PG_CONFIG ]] || die "$PG_CONFIG is not there: ./dev packages regress"
major=$("$PG_CONFIG" --version | grep -oE '[0-9]+' | head -n 1)
version=$(dpkg-query -W -f '${Version}' "postgresql-$major")
source=$CACHE/$version

fetch() {
    local unpacked
    mkdir -p "$CACHE/download"
    cd "$CACHE/download"
    rm -rf -- *
    debian_sources
    if ! debian_source "postgresql-$major" "$version"; then
        debian_source "postgresql-$major" || die "no source package of postgresql-$major can be downloaded"
        echo "regress: the source of $version is gone; with that of another some tests fail in any case" >&2
    fi
    unpacked=$(mktemp -d "$CACHE/unpacked.XXXXXX")
    tar -x -C "$unpacked" --strip-components=4 --wildcards -f ./*.orig.tar.bz2 '*/src/test/regress'
    cd - >/dev/null
    gcc -O2 -fPIC -shared -I"$("$PG_CONFIG" --includedir-server)" -o "$unpacked/regress.so" "$unpacked/regress.c"
    chmod -R a+rX "$unpacked"
    mv "$unpacked" "$source"
}

[[ -e $source/regress.so ]] || fetch
exec "${PYTHON:-/usr/bin/python3}" tests/cluster/regress.py "$source" "$CACHE" "$@"
