# Sources of Debian's packages, for regress.sh and suites.sh. Into $CACHE, which whoever sources this sets: apt-get
# has lists and sources of its own there, so nothing of the machine's is touched and no root is needed.
# shellcheck shell=bash

debian_apt() {
    local program=$1
    shift
    "$program" -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$CACHE/sources" \
        -o Dir::State::Lists="$CACHE/lists" -o Dir::Cache="$CACHE/apt" -o APT::Sandbox::User="$(id -un)" "$@"
}

# Learns what there is.
debian_sources() {
    local suite
    mkdir -p "$CACHE/sources" "$CACHE/lists/partial" "$CACHE/apt/archives/partial"
    for suite in 'debian bookworm bookworm-updates' 'debian-security bookworm-security'; do
        printf 'Types: deb-src\nURIs: http://deb.debian.org/%s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' \
            "${suite%% *}" "${suite#* }" /usr/share/keyrings/debian-archive-keyring.gpg
    done >"$CACHE/sources/src.sources"
    debian_apt apt-get update >/dev/null
}

# debian_source PACKAGE [VERSION]: downloads it into the current directory; without a version the first that can be had:
# a mirror need not hold all that it lists.
debian_source() {
    local version versions=${2:-}
    [[ -n $versions ]] || versions=$(debian_apt apt-cache showsrc "$1" | awk '$1 == "Version:" { print $2 }')
    for version in $versions; do
        debian_apt apt-get source --download-only "$1=$version" >/dev/null 2>&1 && return
    done
    return 1
}
