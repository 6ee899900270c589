#!/bin/sh
# Dated copies of one folder, the oldest removed.
set -eu

usage() {
    echo "usage: snapkeep.sh take SOURCE STORE | list STORE | prune STORE COUNT" >&2
    exit 2
}

fail() {
    echo "snapkeep: $1" >&2
    exit 1
}

# SNAPKEEP_NOW replaces the clock, for trials.
stamp() {
    if [ -n "${SNAPKEEP_NOW:-}" ]; then
        echo "$SNAPKEEP_NOW"
    else
        date -u +%Y-%m-%dT%H%M%S
    fi
}

take() {
    source=$1 store=$2
    [ -d "$source" ] || fail "$source is no folder"
    mkdir -p "$store"
    target=$store/$(stamp)
    [ ! -e "$target" ] || fail "$target exists already"
    # Copied beside its place first: a copy that was cut short is never listed.
    partial=$store/.partial.$$
    trap 'rm -rf "$partial"' EXIT
    cp -R "$source" "$partial"
    mv "$partial" "$target"
    echo "$target"
}

list() {
    [ -d "$1" ] || fail "$1 is no folder"
    for copy in "$1"/*; do
        [ -d "$copy" ] && basename "$copy"
    done
    return 0
}

prune() {
    store=$1 count=$2
    case $count in
        '' | *[!0-9]*) usage ;;
    esac
    total=$(list "$store" | wc -l)
    list "$store" | head -n "$((total > count ? total - count : 0))" | while read -r name; do
        rm -rf "${store:?}/$name"
        echo "removed $name"
    done
}

case "${1:-} $#" in
    "take 3") take "$2" "$3" ;;
    "list 2") list "$2" ;;
    "prune 3") prune "$2" "$3" ;;
    *) usage ;;
esac
