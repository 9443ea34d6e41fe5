#!/usr/bin/env bash
# Prints the licence of every crate that is built into the program, with the texts that its authors ship.
# Needs Rust and jq; reads the sources that cargo has fetched.
set -euo pipefail
cd "$(dirname "$0")/.."

triple=$(rustc -vV | sed -n 's/^host: //p')
# What is in the program: no crates of tests, and none that only builds.
used=$(cargo tree --locked --edges normal,no-proc-macro --target "$triple" --prefix none --format '{p}' | awk '{print $1 " " substr($2, 2)}' | sort -u)

cargo metadata --locked --format-version 1 --filter-platform "$triple" |
  jq -r '.packages[] | select(.source != null) | [.name, .version, .license // "see its files", .repository // "", .manifest_path] | join("\u001f")' |
  sort |
  while IFS=$'\x1f' read -r name version license repository manifest; do
    grep -qxF "$name $version" <<<"$used" || continue
    printf '%s\n%s %s\n%s\n%s\n\n' "$(printf '=%.0s' {1..100})" "$name" "$version" "$license" "$repository"
    find "$(dirname "$manifest")" -maxdepth 1 -type f \( -iname 'licen[sc]e*' -o -iname 'copying*' -o -iname 'notice*' -o -iname 'copyright*' \) |
      sort | while read -r text; do
        printf -- '-- %s\n\n' "$(basename "$text")"
        cat "$text"
        printf '\n'
      done
  done
