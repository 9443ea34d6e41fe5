#!/usr/bin/env bash
# Installs a package, uses it in an empty home as somebody new would, and purges it. Needs root, bash and man.
#
#   packaging/try-deb.sh target/deb/phasedeck_<version>-1_<arch>.deb
set -euo pipefail

dpkg -i "$1"
home=$(mktemp -d)
trap 'dpkg --purge phasedeck; rm -rf "$home"' EXIT
as_new() { env -i HOME="$home" PATH=/usr/bin:/bin LANG=C.UTF-8 TERM=xterm-256color "$@"; }
cd "$home"

dpkg -V phasedeck
as_new phasedeck --version
for page in phasedeck phasedeck-run; do as_new man "$page" | grep NAME >/dev/null; done
as_new bash -c '. /usr/share/bash-completion/completions/phasedeck
  COMP_WORDS=(phasedeck art) COMP_CWORD=1; _phasedeck phasedeck art phasedeck; test "${COMPREPLY[*]}" = artifact'
as_new phasedeck doctor
as_new phasedeck demo --headless --yes
as_new phasedeck verify @last
as_new phasedeck report @last --html | grep '</html>' >/dev/null
