# What every scenario starts with: a private farm of real daemons on ephemeral loopback endpoints with
# fresh keys, a client's environment that sees nothing of the user's, and waiting on conditions.
#
# Nothing here waits for a fixed time: wait_until polls a condition against a deadline. What a
# scenario starts is ended in teardown by its process id. After a failure the daemons' logs are shown,
# and kept under $DRAY_TEST_LOGS when that is set.
#
# The programs are taken from the build tree $DRAY_BUILD (default: the source tree).

DRAY_TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
DRAY_BUILD=$(cd "${DRAY_BUILD:-$DRAY_TOP}" && pwd)
DRAY=$DRAY_BUILD/client/dray
DISPATCH=$DRAY_BUILD/client/dray-dispatch
COORDINATOR=$DRAY_BUILD/coordinator/dray-coordinator
WORKER=$DRAY_BUILD/worker/dray-worker
RAWPEER=$DRAY_BUILD/tests/scenario/rawpeer
CUTTER=$DRAY_BUILD/tests/scenario/cutter
WALLCLOCK=$DRAY_BUILD/tests/scenario/wallclock.so

. "$DRAY_TOP/tests/real/programs.bash"

setup() {
  local v p
  # teardown runs whatever fails here, and works with these names.
  STARTED=()
  COORDINATOR_EP=
  FARM=$BATS_TEST_TMPDIR/farm
  WORK=$BATS_TEST_TMPDIR/work
  LOGS=$BATS_TEST_TMPDIR/logs
  JOBS=$BATS_TEST_TMPDIR/cache/jobs.jsonl
  mkdir -p "$FARM/keys" "$WORK" "$LOGS"
  for p in "$DRAY" "$DISPATCH" "$COORDINATOR" "$WORKER" "$RAWPEER"; do
    [ -x "$p" ] || { echo "not built: $p (make check-scenario builds it)" >&2; return 1; }
  done
  for v in $(compgen -e | grep '^DRAY_' | grep -vE '^DRAY_(TOP|BUILD|TEST_[A-Z]+)$'); do
    unset "$v"
  done
  unset RUSTC_WRAPPER
  # A build with sanitizers says there what it finds; another knows nothing of these. Leaks are not looked for
  # below ptrace, filters of system calls and the like: DRAY_TEST_LEAKS=0.
  MEMCHECK=$BATS_TEST_TMPDIR/memcheck
  mkdir -p "$MEMCHECK"
  export ASAN_OPTIONS=detect_leaks=${DRAY_TEST_LEAKS:-1}:verify_asan_link_order=0:log_exe_name=1:log_path=$MEMCHECK/asan
  export UBSAN_OPTIONS=print_stacktrace=1:log_path=$MEMCHECK/ubsan
  [ -z "${DRAY_TEST_VALGRIND:-}" ] || under_valgrind
  real_clean_env
  # A cargo home of its own: another build's lock on the user's would be waited for, and spoken of.
  export CARGO_TERM_COLOR=never CARGO_NET_OFFLINE=true CARGO_HOME=$BATS_TEST_TMPDIR/cargo-home
  chmod 700 "$FARM" "$FARM/keys"
  : >"$FARM/empty.conf"
  export DRAY_COORDINATOR_CACHE_DIR=$FARM/shared
  : >"$FARM/allowed"
  mkfifo "$FARM/tick"
  exec {TICK}<>"$FARM/tick"
  # No file of the user's is read; what a scenario wants is in the environment or on command lines.
  export DRAY_CONFIG=$FARM/empty.conf DRAY_CACHE_DIR=$BATS_TEST_TMPDIR/cache DRAY_JOB_LOG=$JOBS
  # How much memory this machine has left, and what waits for its disk, is the affair of those that say so.
  export DRAY_LOCAL_MEMORY=0
  # Most are about where a compile runs; those about the cache switch it on, and those about scripts' runs these.
  export DRAY_CACHE=off DRAY_PRIME=no DRAY_SCRIPTS=off
  # What is compiled at home is compiled again where that is what a scenario is about (0985).
  export DRAY_REFILL=never
  # The same scenarios with DRAY_TEST_PATHS=shared: a unit of a workspace is then another one.
  [ -z "${DRAY_TEST_PATHS:-}" ] || export DRAY_PATHS=$DRAY_TEST_PATHS
  # The same scenarios without the farm half that is resident: DRAY_TEST_HALF=no.
  [ -z "${DRAY_TEST_HALF:-}" ] || export DRAY_FARM_HALF=$DRAY_TEST_HALF
  # Another toolchain of the system's is none that is used here, and costs a second at each worker's start.
  case $(command -v rustc) in
    /usr/bin/* | /bin/*) ;;
    *) export DRAY_WORKER_FIND_SYSTEM=no ;;
  esac
  # Root's worker stays root, but in 0218: its user could not get to the scenario's directory.
  [ "$(id -u)" -ne 0 ] || export DRAY_WORKER_USER=root
  if declare -F scenario_setup >/dev/null; then
    scenario_setup
  fi
}

# Our programs by scripts of the same names that start them under valgrind. What they start that is
# not ours (compilers, linkers, sandboxes) runs as it is.
under_valgrind() {
  local program
  command -v valgrind >/dev/null || { echo "valgrind is not installed" >&2; return 1; }
  mkdir -p "$FARM/under"
  # it does not see into a program that is linked statically
  DRAY=$DRAY-shared
  for program in DRAY DISPATCH COORDINATOR WORKER; do
    cat >"$FARM/under/${!program##*/}" <<EOF
#!/bin/sh
exec valgrind --quiet --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \\
  --suppressions='$DRAY_TOP/tests/scenario/valgrind.supp' --log-file='$MEMCHECK/${!program##*/}.%p' \\
  --trace-children=yes --trace-children-skip='/usr/*,/bin/*,*/rustc,*/cargo,*/clippy-driver,*/dray-exec' \\
  '${!program}' "\$@"
EOF
    chmod +x "$FARM/under/${!program##*/}"
    declare -g "$program=$FARM/under/${!program##*/}"
  done
  # A program under it takes seconds to say its first word, and to say the next.
  export DRAY_CONNECT_MS=20000 DRAY_COORDINATOR_HEARTBEAT_MS=10000 DRAY_WORKER_HEARTBEAT_MS=10000
}

# What is known of the toolchains by their files' stat is handed from test to test: hashing gigabytes
# for each would be most of the work.
SEEDS=$BATS_RUN_TMPDIR/seeds

# seed_take NAME DIR: what seed_keep NAME kept, if it did; DIR must have nothing of it.
seed_take() {
  [ -d "$SEEDS/$1" ] && [ ! -e "$2/memo.lmdb" ] || return 0
  mkdir -p "$2"
  cp -p "$SEEDS/$1/"memo* "$2/"
}
# seed_keep NAME DIR: once; nobody may have it open.
seed_keep() {
  [ ! -d "$SEEDS/$1" ] && [ -e "$2/memo.lmdb" ] || return 0
  mkdir -p "$SEEDS"
  mkdir "$SEEDS/$1.new" 2>/dev/null || return 0
  cp -p "$2/"memo* "$SEEDS/$1.new/"
  mv "$SEEDS/$1.new" "$SEEDS/$1"
}

# Never under valgrind, which would take minutes for it.
seed_worker() {
  local pid fifo=$FARM/warm
  seed_take worker "$FARM/state-$1"
  [ -n "${DRAY_TEST_VALGRIND:-}" ] && [ ! -d "$SEEDS/worker" ] || return 0
  mkfifo "$fifo"
  (exec 9>"$fifo" 3>&-; exec "$DRAY_BUILD/worker/dray-worker" "${@:2}" --ready-fd 9) >>"$LOGS/warm" 2>&1 </dev/null &
  pid=$!
  read -r _ <"$fifo" || true
  rm -f "$fifo"
  kill -TERM "$pid" 2>/dev/null || true
  gone_within 10 "$pid"
}
seed_client() {
  local dir=$FARM/seed
  if [ ! -d "$SEEDS/client" ]; then
    env -u DRAY_COORDINATOR DRAY_CACHE_DIR="$dir" "$DRAY_BUILD/client/dray" doctor >>"$LOGS/seed" 2>&1 </dev/null 3>&- || true
    seed_keep client "$dir"
  fi
  seed_take client "$DRAY_CACHE_DIR"
}

# What valgrind, AddressSanitizer or UBSan had to say of any of our programs. (Lines of valgrind's that
# begin with "--" are about itself.)
memory_errors() {
  local f found=1
  for f in "${MEMCHECK:-/nonexistent}"/*; do
    [ -s "$f" ] && grep -qv '^--' "$f" || continue
    printf -- '--- %s\n' "${f##*/}"
    head -n 60 "$f"
    found=0
  done
  return $found
}

# The farm halves that live, of all caches of the scenario; one a line.
half_pids() {
  local f pid
  for f in $(find "$BATS_TEST_TMPDIR" -path '*/half-*/*.start' 2>/dev/null); do
    read -r pid _ <"$f" || continue
    [ "$pid" = 0 ] || is_gone "$pid" || printf '%s\n' "$pid"
  done
}

teardown() {
  local pid dir
  # They outlive the builds that have started them.
  mapfile -t -O "${#STARTED[@]}" STARTED < <(half_pids)
  for pid in ${STARTED[@]+"${STARTED[@]}"}; do
    kill -CONT "$pid" 2>/dev/null || true
    kill -TERM "$pid" 2>/dev/null || true
  done
  for pid in ${STARTED[@]+"${STARTED[@]}"}; do
    gone_within 5 "$pid" || kill -KILL "$pid" 2>/dev/null || true
  done
  for dir in "$FARM"/state-*; do
    seed_keep worker "$dir"
  done
  if [ -z "${BATS_TEST_COMPLETED:-}" ]; then
    show_logs
  fi
  ! memory_errors
}

show_logs() {
  local f
  [ -d "${LOGS:-}" ] || return 0
  for f in "$LOGS"/* "$JOBS"; do
    [ -s "$f" ] || continue
    printf -- '--- %s\n' "${f##*/}"
    tail -n 25 "$f" | cut -c1-400
  done
  if [ -n "${DRAY_TEST_LOGS:-}" ]; then
    mkdir -p "$DRAY_TEST_LOGS/$BATS_TEST_NAME"
    cp -R "$LOGS/." "$DRAY_TEST_LOGS/$BATS_TEST_NAME/"
    [ ! -f "$JOBS" ] || cp "$JOBS" "$DRAY_TEST_LOGS/$BATS_TEST_NAME/"
  fi
}

# ---- waiting

now_ms() {
  local t=$EPOCHREALTIME
  printf '%s' $((${t%.*} * 1000 + 10#${t#*.} / 1000))
}

# One poll's pause: a read from a pipe in which nothing ever is.
tick() {
  local nothing
  read -r -t 0.02 -u "$TICK" nothing || true
}

# How many times longer than usual all may take.
PATIENCE=${DRAY_TEST_PATIENCE:-1}
[ -z "${DRAY_TEST_VALGRIND:-}" ] || PATIENCE=${DRAY_TEST_PATIENCE:-20}

# wait_until SECONDS COMMAND…: until the command succeeds; fails when it has not by then.
wait_until() {
  local end=$(($(now_ms) + $1 * 1000 * PATIENCE))
  shift
  until "$@"; do
    if [ "$(now_ms)" -ge "$end" ]; then
      echo "waited in vain for: $*" >&2
      return 1
    fi
    tick
  done
}

is_gone() {
  local state
  # A zombie that its parent has not collected yet has ended, too.
  state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || true
  [ -z "$state" ] || [ "$state" = Z ]
}

gone_within() {
  wait_until "$1" is_gone "$2" 2>/dev/null
}

# fails COMMAND…: for "! COMMAND", which the shell minds on the last line of a test only.
fails() {
  ! "$@"
}
file_has() {
  grep -qs -- "$2" "$1"
}

# ---- keys and daemons

# identity NAME: makes $FARM/keys/NAME and NAME.pub once.
identity() {
  [ -f "$FARM/keys/$1" ] || "$DRAY" keygen --name "$1" "$FARM/keys/$1" >>"$LOGS/keygen" 2>&1
}

curve_public() {
  sed -n 's/^curve-public *= *//p' "$FARM/keys/$1.pub"
}

# allow ROLE NAME: makes the identity and lets it in.
allow() {
  identity "$2"
  printf '%s %s %s%s\n' "$1" "$(curve_public "$2")" "$2" "${3:+ sign=$(sign_of "$2")}" >>"$FARM/allowed"
}
# sign_of NAME: the key that it signs with.
sign_of() {
  sed -n 's/^sign-public = //p' "$FARM/keys/$1.pub"
}

# start_daemon NAME PROGRAM ARGS…: runs it with a ready descriptor; waits until it serves. Sets
# DAEMON_PID and DAEMON_EP. Fails, with its log, when it ends before.
start_daemon() {
  local name=$1 fifo
  shift
  start_daemon_unready "$name" "$@"
  DAEMON_EP=
  fifo=$FARM/ready.$name
  read -r -t $((30 * PATIENCE)) DAEMON_EP <"$fifo" || true
  rm -f "$fifo"
  if [ -z "$DAEMON_EP" ]; then
    echo "$name did not become ready:" >&2
    cat "$LOGS/$name" >&2
    return 1
  fi
}

start_daemon_unready() {
  local name=$1 fifo=$FARM/ready.$1 tick_fd=$TICK
  shift
  rm -f "$fifo"
  mkfifo "$fifo"
  # Started by the shell itself, so that it is a child and has this pid; without bats' descriptors.
  (
    exec 9>"$fifo" {tick_fd}>&- 3>&-
    exec "$@" --ready-fd 9
  ) >>"$LOGS/$name" 2>&1 </dev/null &
  DAEMON_PID=$!
  STARTED+=("$DAEMON_PID")
}

# coordinator_start [ARGS…]: on an ephemeral port; after a stop, on the same one again.
coordinator_start() {
  identity coordinator
  start_daemon coordinator "$COORDINATOR" --config "$FARM/empty.conf" \
    --listen "${COORDINATOR_EP:-tcp://127.0.0.1:*}" --identity "$FARM/keys/coordinator" \
    --allowed-keys "$FARM/allowed" "$@" || return 1
  COORDINATOR_PID=$DAEMON_PID
  COORDINATOR_EP=$DAEMON_EP
}

# pass_to DIR: others may go through it, and through what is above it in the scenario's own directories.
pass_to() {
  local d
  for d in "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR" "$1"; do
    [ ! -d "$d" ] || chmod o+x "$d"
  done
}
# with_toolchain DIR COMMAND…: cargo's toolchain is at DIR, too; by default it lies in root's home. As root.
with_toolchain() {
  RUN=(unshare -m sh -c 'mount --bind "$0" "$1" && shift && exec "$@"' "$(rustc --print sysroot)" "$@")
}

# worker_start NAME [ARGS…]: sets WORKER_PID, WORKER_EP, and WORKER_PIDS[NAME].
declare -gA WORKER_PIDS=()
worker_start() {
  local name=$1
  local -a RUN=("$WORKER")
  shift
  [ -f "$FARM/keys/$name" ] || allow worker "$name"
  set -- --config "$FARM/empty.conf" --name "$name" \
    --coordinator "$COORDINATOR_EP" --coordinator-key "$FARM/keys/coordinator.pub" \
    --identity "$FARM/keys/$name" --listen 'tcp://127.0.0.1:*' --state-dir "$FARM/state-$name" \
    --slots 2 "$@"
  if [ -n "${DRAY_TEST_USER:-}" ] && [ "$(id -u)" -eq 0 ]; then
    pass_to "$FARM"
    seed_take worker "$FARM/state-$name"
    mkdir -p "$FARM/toolchain"
    with_toolchain "$FARM/toolchain" "$WORKER"
    set -- "$@" -o worker.user="$DRAY_TEST_USER" -o worker.toolchain_dirs="$FARM/toolchain"
  else
    seed_worker "$name" "$@"
  fi
  start_daemon "worker-$name" "${RUN[@]}" "$@" || return 1
  WORKER_PID=$DAEMON_PID
  WORKER_EP=$DAEMON_EP
  WORKER_PIDS[$name]=$DAEMON_PID
}

# client_env: from here on cargo goes through dray.
client_env() {
  [ -f "$FARM/keys/client" ] || allow client client
  export RUSTC_WRAPPER=$DRAY DRAY_COORDINATOR=$COORDINATOR_EP DRAY_IDENTITY=$FARM/keys/client
  export DRAY_COORDINATOR_KEY=$FARM/keys/coordinator.pub
  export DRAY_OFFLOAD=always DRAY_LINKER=rustc
  # Half a second is not enough for every handshake on a machine that is busy.
  export DRAY_CONNECT_MS=${DRAY_CONNECT_MS:-5000}
  seed_client
}

# The keys come before the coordinator, which reads the list when it starts.
farm_start() {
  local n=${1:-1} i
  allow client client
  for ((i = 1; i <= n; i++)); do
    allow worker "w$i"
  done
  coordinator_start
  for ((i = 1; i <= n; i++)); do
    worker_start "w$i"
  done
  client_env
}

# Kills without a chance to say good-bye, and with it the sandboxes it started.
kill_hard() {
  kill -KILL "$1"
  wait_until 5 is_gone "$1"
}

# descendants PID: all processes below it, one a line.
descendants() {
  local child
  for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
    printf '%s\n' "$child"
    descendants "$child"
  done
}

# compiler_at PID CRATE: prints the process id of a rustc of this crate below that worker, or fails.
# (bwrap and the program's own stub have the compiler's arguments too: only a process named rustc counts.)
compiler_at() {
  local p
  for p in $(descendants "$1"); do
    [ "$(cat "/proc/$p/comm" 2>/dev/null)" = rustc ] || continue
    if tr '\0' '\n' <"/proc/$p/cmdline" 2>/dev/null | grep -qx -- "$2"; then
      printf '%s\n' "$p"
      return 0
    fi
  done
  return 1
}
worker_compiles() {
  compiler_at "$@" >/dev/null
}
# hold PID CRATE: that compile lasts until release.
hold() {
  HELD=$(compiler_at "$@")
  kill -STOP "$HELD"
}
release() {
  kill -CONT "$HELD"
}
worker_idle() {
  ! worker_compiles "$1" "$2"
}

# ---- builds

# package DIR NAME [lib|bin]: a package without dependencies.
package() {
  local dir=$1 name=$2
  mkdir -p "$dir/src"
  cat >"$dir/Cargo.toml" <<EOF
[package]
name = "$name"
version = "0.1.0"
edition = "2021"

[workspace]
EOF
  case ${3:-bin} in
    lib) echo 'pub fn answer() -> u32 { 42 }' >"$dir/src/lib.rs" ;;
    bin) printf 'fn main() {\n    println!("hello from %s");\n}\n' "$name" >"$dir/src/main.rs" ;;
  esac
}

# depends DIR NAME PATH: a path dependency (the [dependencies] table is begun when there is none).
depends() {
  grep -q '^\[dependencies\]' "$1/Cargo.toml" || printf '\n[dependencies]\n' >>"$1/Cargo.toml"
  printf '%s = { path = "%s" }\n' "$2" "$3" >>"$1/Cargo.toml"
}

# dependency DIR NAME: a library of that name in DIR/NAME, on which the package in DIR depends.
dependency() {
  package "$1/$2" "$2" lib
  sed -i '/^\[workspace\]/d' "$1/$2/Cargo.toml"
  depends "$1" "$2" "$2"
}

# Sources that take seconds before the rmeta is there (a static to be computed; below the number of
# steps at which rustc begins to speak of it), and after it (much code to make from little text). A
# const would be computed again by each crate that uses it.
slow_before() {
  cat <<'EOF'
#![allow(long_running_const_eval)]
const fn spin(n: u64) -> u64 {
    let mut x = 1u64;
    let mut i = 0;
    while i < n {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(i);
        i += 1;
    }
    x
}
pub static SLOW: u64 = spin(900_000);
EOF
}
# slow_dependency DIR: a program in DIR on a library "slow" that takes its time before its rmeta.
slow_dependency() {
  package "$1" app
  dependency "$1" slow
  slow_before >"$1/slow/src/lib.rs"
  printf 'fn main() { println!("{}", slow::SLOW); }\n' >"$1/src/main.rs"
}
slow_after() {
  local i
  cat <<'EOF'
fn one<const N: u64>(a: &[u64]) -> String {
    let mut v: Vec<u64> = a.iter().map(|x| x.wrapping_mul(N)).filter(|x| x % 3 != N % 3).collect();
    v.sort();
    v.dedup();
    format!("{N} {v:?}")
}
pub fn all(a: &[u64]) -> usize {
    let mut n = 0;
EOF
  for ((i = 1; i <= ${1:-400}; i++)); do
    echo "    n += one::<$i>(a).len();"
  done
  printf '    n\n}\n'
}

# build LABEL DIR ARGS…: cargo in the foreground; $BUILD_STATUS, $LOGS/LABEL.{out,err}
build() {
  local label=$1 dir=$2
  shift 2
  BUILD_STATUS=0
  (cd "$dir" && exec cargo "$@") >"$LOGS/$label.out" 2>"$LOGS/$label.err" </dev/null 3>&- ||
    BUILD_STATUS=$?
}

# build_start LABEL DIR ARGS…: in the background, in a process group of its own (as a terminal would
# start it): $BUILD_PID is its leader. A shell starts background commands with SIGINT ignored, which
# would be inherited all the way down: a terminal's are not.
build_start() {
  local label=$1 dir=$2
  shift 2
  (cd "$dir" && exec env --default-signal=INT,QUIT setsid cargo "$@") >"$LOGS/$label.out" 2>"$LOGS/$label.err" </dev/null 3>&- &
  BUILD_PID=$!
  STARTED+=("$BUILD_PID")
}

# build_finish SECONDS: waits for build_start's cargo; $BUILD_STATUS
build_finish() {
  gone_within "$1" "$BUILD_PID" || { echo "cargo still runs after $1 s" >&2; return 1; }
  BUILD_STATUS=0
  wait "$BUILD_PID" || BUILD_STATUS=$?
}
# group_is_gone PGID: no process of that group runs.
group_is_gone() {
  ! ps -e -o pgid=,stat= | awk -v group="$1" '$1 == group && $2 !~ /^Z/ { found = 1 } END { exit !found }'
}
# build_stopped SECONDS: build_finish after a signal to the whole group. cargo dies at once: the
# processes below it are waited for as well, since they still clean up.
build_stopped() {
  build_finish "$1" &&
    wait_until "$1" group_is_gone "$BUILD_PID" || { echo "a process below cargo still runs after $1 s" >&2; return 1; }
}

# mapped_build DIR TARGET ARG…: cargo without dray, with the mapping of paths = shared.
mapped_build() {
  (cd "$1" && exec env RUSTC_WRAPPER="$BATS_TEST_DIRNAME/mapped-rustc" DRAY_TEST_TARGET="$(realpath -m "$2")" \
    cargo "${@:3}") >/dev/null 2>&1 </dev/null 3>&-
}
# A plain build at the same path, before: what to compare with. Leaves $LOGS/plain.{out,err},
# $PLAIN_STATUS, and no target directory. Where paths are shared, what was made is another one's, with the same mapping.
plain_build() {
  local dir=$1
  shift
  PLAIN_STATUS=0
  (cd "$dir" && exec env -u RUSTC_WRAPPER cargo "$@") \
    >"$LOGS/plain.out" 2>"$LOGS/plain.err" </dev/null 3>&- || PLAIN_STATUS=$?
  if [ "${DRAY_PATHS:-}" = shared ] && [ "$DRAY_CACHE" != off ]; then
    rm -rf "$dir/target"
    mapped_build "$dir" "$dir/target" "$@" || true
  fi
  rm -rf "$BATS_TEST_TMPDIR/plain-target"
  if [ -d "$dir/target" ]; then
    mv "$dir/target" "$BATS_TEST_TMPDIR/plain-target"
  fi
}

# find_made PROFILE-DIR GLOB…: the files of these names that compilers made there, one a line, in either layout;
# fails when there is none. (v1 has them in deps, v2 in build/PACKAGE/HASH/out.)
find_made() {
  local dir=$1 name
  local -a names=(-false)
  shift
  for name; do
    names+=(-o -name "$name")
  done
  find "$dir" -mindepth 1 \( -path "$dir/deps/*" -o -path "$dir/build/*/*/out/*" \) -type f \( "${names[@]}" \) 2>/dev/null |
    LC_ALL=C sort | grep .
}
is_made() {
  find_made "$@" >/dev/null
}
# script_out PROFILE-DIR PACKAGE: the OUT_DIR of its build script, by what cargo notes beside it.
script_out() {
  local dir=$1 found
  if [ "${DRAY_TEST_LAYOUT:-1}" = 2 ]; then
    found=$(find "$dir/build/$2" -mindepth 2 -maxdepth 2 -name run)
  else
    found=$(find "$dir/build" -mindepth 2 -maxdepth 2 -path "*/$2-*/output")
  fi
  printf '%s/out\n' "${found%/*}"
}
# rust_variables: Rust text with variables(), all of the process's as one list. The loader hands them to a library that
# begins; so no symbol says that it looks (dray would keep its users here).
rust_variables() {
  cat <<'EOF'
static ENVP: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
extern "C" fn keep(_: i32, _: usize, envp: usize) {
    ENVP.store(envp, std::sync::atomic::Ordering::Relaxed);
}
#[used]
#[link_section = ".init_array"]
static KEEP: extern "C" fn(i32, usize, usize) = keep;
fn variables() -> Vec<String> {
    let mut p = ENVP.load(std::sync::atomic::Ordering::Relaxed) as *const *const std::ffi::c_char;
    let mut all = Vec::new();
    unsafe {
        while !(*p).is_null() {
            all.push(std::ffi::CStr::from_ptr(*p).to_string_lossy().into_owned());
            p = p.add(1);
        }
    }
    all
}
EOF
}
# same_as_plain DIR: what plain_build made, and what is in DIR's target directory, what build scripts left included.
same_as_plain() {
  local plain=$BATS_TEST_TMPDIR/plain-target/debug
  same_made "$plain" "$1/target/debug" || return
  # the newer layout has all of it in one place
  [ ! -d "$plain/deps" ] || diff -r "$plain/build" "$1/target/debug/build"
}
# same_made PROFILE-DIR PROFILE-DIR [OPTION…]: what compilers made in both is the same, byte for byte, and no
# more; diff's options.
same_made() {
  local one=$1 two=$2
  shift 2
  if [ -d "$one/deps" ] || [ -d "$two/deps" ]; then
    diff -r "$@" "$one/deps" "$two/deps"
  else
    diff -r -x fingerprint -x run "$@" "$one/build" "$two/build"
  fi
}

# Whether everything that compilers made in plain_build is there again, byte for byte, and no more.
same_outputs() {
  same_made "$BATS_TEST_TMPDIR/plain-target/debug" "$1/target/debug"
}

# What was printed, without the time it took. Cargo itself starts units that do not wait for each
# other in any order (even with -j1): its lines that name them are compared as a set.
same_text() {
  diff <(grep -E '^ +Compiling ' "$LOGS/plain.err" | sort) \
    <(grep -E '^ +Compiling ' "$LOGS/$1.err" | sort) &&
    diff <(said_without_order "$LOGS/plain.err") <(said_without_order "$LOGS/$1.err")
}
said_without_order() {
  sed -E '/^ +Compiling /d; s/ in ([0-9]+m )?[0-9.]+s$/ in TIME/' "$1"
}

# ---- the job log

# job CRATE FIELD: that field of the crate's last line; empty when there is none.
job() {
  jq -rs --arg c "$1" --arg f "$2" 'map(select(.crate == $c)) | last | .[$f] // empty' "$JOBS" 2>/dev/null
}

# jobs_all FILTER: whether jq's FILTER holds for each unit's line (probes left out), and there is one.
jobs_all() {
  jq -es 'map(select(.kind != "probe")) | length > 0 and all(.[]; '"$1"')' "$JOBS" >/dev/null
}
