#!/bin/sh
# Installs the programs that the tests in tests/it/real.rs and real_agents.rs drive, into a folder of their own:
#   tests/real/install.sh FOLDER && PHASEDECK_REAL_PROGRAMS=FOLDER cargo test --test it real::
# Needs npm and python3 with venv, and the registries that these use.
set -eu
folder=${1:?the folder to install into}
mkdir -p "$folder"
cd "$folder"
[ -f package.json ] || npm init -y >/dev/null
npm install --no-audit --no-fund opencode-ai @modelcontextprotocol/server-filesystem \
    @agentclientprotocol/codex-acp @google/gemini-cli @qwen-code/qwen-code
[ -d python ] || python3 -m venv python
python/bin/pip install --quiet 'litellm[proxy]' rotel
