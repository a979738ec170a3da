# Debian's rustc-web and cargo-web, of one pinned version, unpacked in a temporary folder. Sourced by the
# findings; sets $RUSTC and $CARGO, and $T, which is removed at the end. Needs Debian 12 with its security updates.
RUST_WEB=1.96.0+dfsg1-1~deb12u2
LLVM_WEB='libllvm22'

set -euo pipefail
export LC_ALL=C.UTF-8 CARGO_TERM_COLOR=never
unset RUSTC_WRAPPER RUSTFLAGS ${!CARGO_BUILD_*} ${!CARGO_TARGET_*}
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT

rust_unpack() {
  local v=${RUST_WEB%%+*} d lib
  mkdir "$T/deb" "$T/root" "$T/bin"
  (cd "$T/deb" && apt-get download -q "rustc-web=$RUST_WEB" "cargo-web=$RUST_WEB" "libstd-rust-web-dev=$RUST_WEB" \
    "libstd-rust-web-${v%.*}=$RUST_WEB" "$LLVM_WEB") >"$T/log" 2>&1 || { cat "$T/log"; exit 2; }
  for d in "$T"/deb/*.deb; do
    dpkg-deb -x "$d" "$T/root"
  done
  lib=$(dirname "$(find "$T/root" -name 'librustc_driver-*.so' | head -n 1)")
  for d in rustc cargo; do
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s:%s exec %s "$@"\n' "$lib" "$(dirname "$(find "$T/root" -name 'libLLVM*.so*' | head -n 1)")" \
      "$T/root/usr/bin/$d" >"$T/bin/$d"
  done
  chmod +x "$T"/bin/*
  RUSTC=$T/bin/rustc CARGO=$T/bin/cargo
  export RUSTC CARGO_HOME=$T/cargo-home
  "$RUSTC" --version
  "$CARGO" --version
}

# changed WHAT: the behaviour is another now.
changed() {
  echo "changed: $*"
  exit 1
}
rust_unpack
