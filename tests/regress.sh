#!/usr/bin/env bash
# PostgreSQL's own regression suite, directly and through build/release/pgweir; called by `./dev regress`.
#     tests/regress.sh [direct] [session] [once] [transaction]
# Downloads the source package of the installed PostgreSQL into build/regress, once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
CACHE=$PWD/build/regress
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

die() { printf 'regress: %s\n' "$*" >&2; exit 1; }

for way in "$@"; do
    [[ $way =~ ^(direct|session|once|transaction)$ ]] || die "$way is none of direct, session, once, transaction"
done
[[ -x $PG_CONFIG ]] || die "$PG_CONFIG is not there: ./dev packages regress"
major=$("$PG_CONFIG" --version | grep -oE '[0-9]+' | head -n 1)
version=$(dpkg-query -W -f '${Version}' "postgresql-$major")
source=$CACHE/$version

# apt-get with lists and sources of its own: nothing of the machine's is touched, and no root is needed.
apt() {
    local program=$1
    shift
    "$program" -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$CACHE/sources" \
        -o Dir::State::Lists="$CACHE/lists" -o Dir::Cache="$CACHE/apt" -o APT::Sandbox::User="$(id -un)" "$@"
}

fetch() {
    local suite found unpacked
    mkdir -p "$CACHE/sources" "$CACHE/lists/partial" "$CACHE/apt/archives/partial" "$CACHE/download"
    for suite in 'debian bookworm bookworm-updates' 'debian-security bookworm-security'; do
        printf 'Types: deb-src\nURIs: http://deb.debian.org/%s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' \
            "${suite%% *}" "${suite#* }" "$KEYRING"
    done >"$CACHE/sources/src.sources"
    apt apt-get update >/dev/null
    cd "$CACHE/download"
    rm -rf -- *
    for found in "$version" $(apt apt-cache showsrc "postgresql-$major" | awk '$1 == "Version:" { print $2 }'); do
        apt apt-get source --download-only "postgresql-$major=$found" >/dev/null 2>&1 && break
        found=
    done
    [[ -n $found ]] || die "no source package of postgresql-$major can be downloaded"
    if [[ $found != "$version" ]]; then
        echo "regress: the source of $version is gone; with that of $found some tests fail in any case" >&2
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
