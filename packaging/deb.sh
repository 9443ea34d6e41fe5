#!/usr/bin/env bash
# Builds target/deb/phasedeck_<version>_<arch>.deb: program, manual pages, completions, documents.
# Needs Rust and dpkg-deb.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
arch=$(dpkg --print-architecture)
root=target/deb/root
package=target/deb/phasedeck_${version}_${arch}.deb

cargo build --release --locked
rm -rf "$root"
install -Dm755 target/release/phasedeck "$root/usr/bin/phasedeck"
bin=$root/usr/bin/phasedeck

install -d "$root/usr/share/man/man1"
"$bin" man --dir "$root/usr/share/man/man1"
gzip -9n "$root"/usr/share/man/man1/*.1

completion() { install -d "$(dirname "$root/usr/share/$2")" && "$bin" completions "$1" >"$root/usr/share/$2"; }
completion bash bash-completion/completions/phasedeck
completion zsh zsh/vendor-completions/_phasedeck
completion fish fish/vendor_completions.d/phasedeck.fish

doc=$root/usr/share/doc/phasedeck
install -d "$doc"
cp -r README.md ARCHITECTURE.md docs "$doc/"
{
  printf 'Copyright 2026 The phasedeck authors\n\nLicensed under either of the MIT License or, at your option,\n'
  printf 'the Apache License 2.0 (/usr/share/common-licenses/Apache-2.0).\n\n'
  cat LICENSE-MIT
} >"$doc/copyright"
gzip -9n <CHANGELOG.md >"$doc/changelog.gz"

install -d "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: phasedeck
Version: $version
Architecture: $arch
Maintainer: The phasedeck authors <phasedeck@localhost>
Section: devel
Priority: optional
Depends: libc6, git
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Description: terminal console that runs agent workflows phase by phase
 Every phase leaves an artifact that is checked against a schema; at the gates
 between phases a person reads it and decides. Everything is stored before it is
 acted on, so that a crash or a power cut costs nothing that was done or paid for.
CONTROL
find "$root" -type d -exec chmod 755 {} +
dpkg-deb --root-owner-group --build "$root" "$package"
printf '%s\n' "$package"
