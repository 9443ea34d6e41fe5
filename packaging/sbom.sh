#!/usr/bin/env bash
# Prints what is built into the program as a CycloneDX 1.5 document: every crate with version, licence,
# source and checksum, and what needs what. The same sources give the same bytes.
# Needs Rust and jq; reads the sources that cargo has fetched.
set -euo pipefail
cd "$(dirname "$0")/.."

triple=$(rustc -vV | sed -n 's/^host: //p')
# What is in the program: no crates of tests, and none that only builds.
used=$(cargo tree --locked --edges normal,no-proc-macro --target "$triple" --prefix none --format '{p}' |
  awk '{print $1 "@" substr($2, 2)}' | sort -u | jq -R . | jq -s .)
# The lock file in pairs of crate and checksum.
sums=$(awk -F'"' '/^name = /{n=$2} /^version = /{v=$2} /^checksum = /{print n "@" v, $2}' Cargo.lock |
  jq -R 'split(" ") | {(.[0]): .[1]}' | jq -s add)

cargo metadata --locked --format-version 1 --filter-platform "$triple" |
  jq --argjson used "$used" --argjson sums "$sums" '
    def ref: "\(.name)@\(.version)";
    (.packages | map({(.id): ref}) | add) as $refs
    | .resolve.root as $root
    | def component: {
        type: "library", "bom-ref": ref, name, version, purl: "pkg:cargo/\(.name)@\(.version)",
        licenses: (if .license then [{expression: (.license | gsub("/"; " OR "))}] else [] end),
        hashes: (if $sums[ref] then [{alg: "SHA-256", content: $sums[ref]}] else [] end),
        externalReferences: (if .repository then [{type: "vcs", url: .repository}] else [] end)
      };
    {
      bomFormat: "CycloneDX", specVersion: "1.5", version: 1,
      metadata: {component: (.packages[] | select(.id == $root) | component | .type = "application" | del(.hashes))},
      components: (.packages | map(select(.id != $root and (ref | IN($used[])))) | map(component) | sort_by(."bom-ref")),
      dependencies: (.resolve.nodes | map(select($refs[.id] | IN($used[])))
        | map({ref: $refs[.id], dependsOn: ([.dependencies[] | $refs[.] | select(IN($used[]))] | sort)}) | sort_by(.ref))
    }'
