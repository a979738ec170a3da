# Toolchains that clients give: small ones, and workers that have none of their own.
DRAYCTL=$DRAY_BUILD/drayctl/drayctl

ctl() {
  "$DRAYCTL" "$@" 3>&-
}
listed() {
  ctl toolchain list --json | jq -e "$1" >/dev/null
}
# gives N ARGS…: how `dray toolchain push` ends; what it says is in $LOGS/push.
gives() {
  local status=0
  "$DRAY" toolchain push "${@:2}" >"$LOGS/push" 2>&1 3>&- </dev/null || status=$?
  [ "$status" -eq "$1" ] || { echo "exit status $status"; cat "$LOGS/push"; return 1; }
}
# bare_worker NAME [ARG…]: one that has no toolchain of its own.
bare_worker() {
  worker_start "$1" -o worker.find_rustup=no -o worker.find_system=no -o worker.toolchains_max=4G "${@:2}"
}
# small DIR [all |none|slow [REAL]]: a toolchain of a few files, whose compiler is a program that stands for one (smallrustc.c). It writes
# into $SEEN what has started it.
small() {
  local makes=${2:-all }
  SEEN=$WORK/seen
  : >"$SEEN"
  mkdir -p "$1/bin" "$1/lib/rustlib/small-unknown-linux/lib"
  SEEN=$SEEN REAL=${3:--} MAKES=$makes perl -pe 's/(SEEN|REAL)=(x+)/"$1=" . ($ENV{$1} \/\/ "-") . " " x (length($2) - length($ENV{$1} \/\/ "-"))/ge; s/MAKES=all /MAKES=$ENV{MAKES}/' \
    "$DRAY_BUILD/tests/scenario/smallrustc" >"$1/bin/rustc"
  chmod +x "$1/bin/rustc"
  echo core >"$1/lib/rustlib/small-unknown-linux/lib/libcore-1.rlib"
  echo "std of $1" >"$1/lib/rustlib/small-unknown-linux/lib/libstd-1.rlib"
}
# small_cargo DIR [all |none|slow]: the same; and cargo's builds here have it for a compiler, which calls the real one.
small_cargo() {
  small "$1" "${2:-all }" "$(rustc --print sysroot)/bin/rustc"
  export RUSTC=$1/bin/rustc
}
