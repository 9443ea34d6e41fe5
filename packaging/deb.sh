#!/usr/bin/env bash
# Builds target/deb/phasedeck_<version>-1_<arch>.deb: program, manual pages, completions, documents, licences.
#
#   packaging/deb.sh              builds the program for this system
#   packaging/deb.sh --static     builds it against musl, for any Linux of this architecture
#   packaging/deb.sh FILE         packs a program that is built already
#
# Needs Rust, dpkg-deb and jq; --static also `rustup target add <arch>-unknown-linux-musl` and musl-tools.
# DEBFULLNAME and DEBEMAIL say who answers for the package; CARGO_TARGET_DIR is heeded.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
case "${1-}" in
  '')
    cargo build --profile dist --locked
    program=$target/dist/phasedeck
    ;;
  --static)
    triple=$(uname -m)-unknown-linux-musl
    export "CC_${triple//-/_}=musl-gcc"
    cargo build --profile dist --locked --target "$triple"
    program=$target/$triple/dist/phasedeck
    ;;
  *) program=$1 ;;
esac

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
arch=$(dpkg --print-architecture)
root=target/deb/root
package=target/deb/phasedeck_${version}-1_${arch}.deb
maintainer="${DEBFULLNAME:-The phasedeck authors} <${DEBEMAIL:-phasedeck@localhost}>"
# The same sources give the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

# A program without an interpreter brings its own library; the others say which version they need.
# Without authorities nothing is asked over TLS.
depends="ca-certificates, git"
if readelf -l "$program" | grep -q INTERP; then
  glibc=$(readelf -V "$program" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
  depends="libc6 (>= ${glibc#GLIBC_}), libgcc-s1, $depends"
fi

rm -rf "$root"
install -Dm755 "$program" "$root/usr/bin/phasedeck"
bin=$root/usr/bin/phasedeck

install -d "$root/usr/share/man/man1"
"$bin" man --dir "$root/usr/share/man/man1" >/dev/null
gzip -9n "$root"/usr/share/man/man1/*.1

completion() { install -d "$(dirname "$root/usr/share/$2")" && "$bin" completions "$1" >"$root/usr/share/$2"; }
completion bash bash-completion/completions/phasedeck
completion zsh zsh/vendor-completions/_phasedeck
completion fish fish/vendor_completions.d/phasedeck.fish

doc=$root/usr/share/doc/phasedeck
install -d "$doc"
cp -r README.md CONTRIBUTING.md ARCHITECTURE.md docs "$doc/"
{
  printf 'Copyright 2026 The phasedeck authors\n\nLicensed under either of the MIT License or, at your option,\n'
  printf 'the Apache License 2.0 (/usr/share/common-licenses/Apache-2.0).\n'
  printf 'The licences of what is built in are in THIRD-PARTY.gz.\n\n'
  cat LICENSE-MIT
} >"$doc/copyright"
packaging/third-party.sh | gzip -9n >"$doc/THIRD-PARTY.gz"
packaging/sbom.sh >"$doc/sbom.cdx.json"
gzip -9n <CHANGELOG.md >"$doc/changelog.gz"
printf 'phasedeck (%s-1) unstable; urgency=medium\n\n  * Release %s; changelog.gz says what is in it.\n\n -- %s  %s\n' \
  "$version" "$version" "$maintainer" "$(date -Rud "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$doc/changelog.Debian.gz"

install -d "$root/usr/share/lintian/overrides"
printf '# Not for the archive of Debian, so no bug asked for it.\nphasedeck: initial-upload-closes-no-bugs\n' \
  >"$root/usr/share/lintian/overrides/phasedeck"

install -d "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: phasedeck
Version: $version-1
Architecture: $arch
Maintainer: $maintainer
Section: devel
Priority: optional
Depends: $depends
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Description: terminal console that runs agent workflows phase by phase
 Every phase leaves an artifact that is checked against a schema; at the gates
 between phases a person reads it and decides. Everything is stored before it
 is acted on, so that a crash or a power cut costs nothing that was done or
 paid for.
CONTROL
(cd "$root" && find usr -type f -printf '%P\0' | sort -z | (cd usr && xargs -0 md5sum | sed 's|  |  usr/|') >DEBIAN/md5sums)
find "$root" -type d -exec chmod 755 {} +
find "$root" -type f ! -path '*/bin/*' -exec chmod 644 {} +
dpkg-deb --root-owner-group --build "$root" "$package"
printf '%s\n' "$package"
