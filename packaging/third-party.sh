#!/usr/bin/env bash
# Prints the licence of every crate that is built into the program, with the texts that its authors ship.
# Needs Rust and jq; reads the sources that cargo has fetched.
set -euo pipefail
cd "$(dirname "$0")/.."

folders=$(cargo metadata --locked --format-version 1 | jq '.packages | map({("\(.name)@\(.version)"): .manifest_path}) | add')
packaging/sbom.sh |
  jq -r --argjson folders "$folders" '.components[]
    | [."bom-ref", .licenses[0].expression // "see its files", .externalReferences[0].url // "", $folders[."bom-ref"]] | join("\u001f")' |
  while IFS=$'\x1f' read -r name license repository manifest; do
    printf '%s\n%s\n%s\n%s\n\n' "$(printf '=%.0s' {1..100})" "$name" "$license" "$repository"
    find "$(dirname "$manifest")" -maxdepth 1 -type f \
      \( -iname 'licen[sc]e*' -o -iname 'copying*' -o -iname 'notice*' -o -iname 'copyright*' \) | sort |
      while read -r text; do
        printf -- '-- %s\n\n' "$(basename "$text")"
        cat "$text"
        printf '\n'
      done
  done
