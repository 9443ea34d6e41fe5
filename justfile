# Short commands for daily work. `just` lists them; CONTRIBUTING.md explains them.

set shell := ["bash", "-euo", "pipefail", "-c"]

# List the recipes
default:
    @just --list --unsorted

# Check format and lints, as CI does
check:
    cargo fmt --all -- --check
    cargo clippy --all-targets --locked -- -D warnings
    cargo clippy --all-targets --all-features --locked -- -D warnings

# Run the tests whose name contains NAME: just test keymap
test NAME *ARGS:
    cargo test {{ quote(NAME) }} {{ ARGS }}

# Run everything that a change must pass: format, lints, licences, tests, crash harness
ci:
    .ci/run

# Open the demo: no key, no network, no cost
demo *ARGS:
    cargo run --release -- demo {{ ARGS }}

# Measure names, functions, files and import cycles against the goals
house:
    cargo run --quiet --example house -- measure

# Print N random passages of prose to read aloud: just english 20
english N SEED="1":
    cargo run --quiet --example house -- english {{ N }} {{ SEED }}

# Run one benchmark: just bench journal
bench NAME *ARGS:
    cargo bench --bench {{ NAME }} {{ if ARGS == "" { "" } else { "-- " + ARGS } }}

# Regenerate docs/reference, the JSON schemas and docs/screens from the program
docs:
    UPDATE_DOCS=1 cargo test --lib reference
    UPDATE_SCHEMAS=1 cargo test --lib formats
    UPDATE_SCREENS=1 cargo test --lib pictures

# Rewrite the snapshots of the tests; read the difference before you commit it
snapshots:
    INSTA_UPDATE=always INSTA_FORCE_PASS=1 cargo test --lib
    git status --short -- '*.snap'
