# What the benches share. Sourced, with $usage set.
#
#   --dray PATH   the dray to measure       --work DIR    where programs, caches and results are kept
#   --json FILE   adds the results to FILE, a line each
#   --beside PATH another dray, as of an older commit, measured in the same rounds, with a cache of its own
#
# Machines differ from minute to minute: what is compared is run in turn, and only ratios within a pair
# are believed. A processor that others use, too, lengthens wall times; `cpu` (user and system, of all
# that the command waited for) suffers less.

bench_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$bench_dir/.." && pwd)
. "$top/tests/real/programs.bash"

bench_name=$(basename "$0")
dray=${DRAY:-$top/client/dray}
work=${TMPDIR:-/tmp}/dray-bench.$(id -u)
json=
beside=
TIMEFORMAT='%R %U %S'

bench_die() {
  echo "$bench_name: $*" >&2
  exit 2
}

# common_option NAME [VALUE]: 0: it was one of the options above.
common_option() {
  case $1 in
    --dray) dray=${2:?} ;;
    --work) work=${2:?} ;;
    --json) json=${2:?} ;;
    --beside) beside=${2:?} ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) bench_die "unknown argument: $1" ;;
  esac
}

bench_begin() {
  [ -x "$dray" ] || bench_die "no such program: $dray (build it, or give --dray)"
  dray=$(realpath "$dray")
  [ -z "$beside" ] || [ -x "$beside" ] || bench_die "no such program: $beside"
  [ -z "$beside" ] || beside=$(realpath "$beside")
  real_clean_env
  unset RUSTC_WRAPPER ${!DRAY_*} ${!SCCACHE_*} ${!KACHE_*} ${!MBX_*}
  mkdir -p "$work/bin"
  work=$(cd "$work" && pwd -P)
  export DRAY_CONFIG=$work/none.conf DRAY_OFFLOAD=never DRAY_CACHE=on DRAY_CACHE_DIR=$work/cache
  export DRAY_JOB_LOG=$work/jobs.jsonl
  others=$work/others
  : >"$DRAY_CONFIG"
  beside_cache=$work/cache-beside
  [ -z "$json" ] || json=$(realpath "$json")
  echo "machine: $(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)," \
    "$(stat -f -c %T "$work"); load $(load)"
  echo "compiler: $(rustc --version); $("$dray" --version)$(describe)"
  [ -z "$beside" ] || echo "beside: $beside: $("$beside" --version)"
}

# The commit that was built, as far as it can be known.
describe() {
  local c
  c=$(git -C "$top" describe --always --dirty 2>/dev/null) && printf ', tree at %s' "$c" || true
}

# Load averages of one and five minutes.
load() {
  cut -d ' ' -f 1,2 /proc/loadavg
}

now_us() {
  local t=$EPOCHREALTIME
  printf '%s' $((${t%.*} * 1000000 + 10#${t#*.}))
}

# emit NAME VALUE…: a line of JSON; numbers as numbers.
emit() {
  [ -n "$json" ] || return 0
  jq -nc --arg load "$(load)" '
    [$ARGS.positional | _nwise(2) | {(.[0]): (.[1] as $v | try ($v | tonumber) catch $v)}] | add
    | . + {load: $load}' --args bench "$bench_name" "$@" >>"$json"
}

# timed LABEL DIR COMMAND…: in DIR; prints wall and processor seconds; what it says goes to LABEL.log.
timed() {
  local label=$1 dir=$2 status=0
  shift 2
  sync
  { time { (cd "$dir" && exec "$@") >"$work/$label.log" 2>&1 </dev/null; }; } 2>"$work/$label.time" || status=$?
  if [ $status -ne 0 ]; then
    tail -n 20 "$work/$label.log" >&2
    echo "$bench_name: failed: $*" >&2
    return 1
  fi
  tail -n 1 "$work/$label.time" | awk '{ print $1, $2 + $3 }'
}

# Numbers, a line each: median, least, greatest.
spread() {
  sort -g | awk '{ v[NR] = $1 }
    END { if (NR) printf "%s %s %s\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, v[1], v[NR] }'
}

# result FILE A B: FILE has lines "PAIR WHAT WALL CPU"; the ratios A / B within each pair.
result() {
  local file=$1 a=$2 b=$3 column name
  for column in 3 4; do
    [ $column = 3 ] && name=wall || name=cpu
    awk -v a="$a" -v b="$b" -v c=$column '
      $2 == a { x[$1] = $c } $2 == b { y[$1] = $c }
      END { for (p in x) if (p in y && y[p] > 0) print x[p] / y[p] }' "$file" | spread >"$work/ratio"
    [ -s "$work/ratio" ] || continue
    read -r median least greatest <"$work/ratio"
    printf '  %-22s %-5s %.3f x  (%.3f to %.3f)\n' "$a / $b" $name "$median" "$least" "$greatest"
    emit ratio "$a/$b" of $name median "$median" least "$least" greatest "$greatest" ${result_tags:-}
  done
}

# noted FILE PAIR WHAT WALL CPU: one run, of the phase $phase if there are several.
noted() {
  printf '%s %s %s %s\n' "${@:2}" >>"$1"
  printf '  %-6s %4s  %-8s %8.2f s  cpu %8.2f s   load %s\n' "${phase:-}" "${@:2}" "$(load)"
  emit pair "$2" what "$3" wall_s "$4" cpu_s "$5" ${result_tags:-}
}

# ---- programs

JJ_VERSION=0.33.0

# bench_program NAME: sources in $work/src/NAME.
bench_program() {
  local dir=$work/src/$1
  [ ! -f "$dir/.prepared" ] || return 0
  rm -rf "$dir"
  mkdir -p "$work/src"
  case $1 in
    jj)
      # 442 units, no C among them
      "$REAL_DIR/fetch-crate" jj-cli $JJ_VERSION "$dir"
      ;;
    big) make_big "$dir" ;;
    *) program_prepare "$1" "$dir" ;;
  esac
  : >"$dir/.prepared"
}

# A library of 50 MB, and a program of as many.
make_big() {
  mkdir -p "$1/src"
  printf '[package]\nname = "big"\nversion = "1.0.0"\nedition = "2021"\n\n[workspace]\n' >"$1/Cargo.toml"
  head -c $((50 << 20)) /dev/urandom >"$1/big.bin"
  # not a constant: that would be in the metadata, too
  printf 'pub fn big() -> &'"'static"' [u8] {\n    include_bytes!("../big.bin")\n}\n' >"$1/src/lib.rs"
  printf 'fn main() {\n    println!("{}", big::big().iter().map(|b| u64::from(*b)).sum::<u64>());\n}\n' >"$1/src/main.rs"
  (cd "$1" && cargo generate-lockfile -q --offline)
}

# bench_args NAME MODE: cargo's arguments, in $cargo_args. OpenSSL's build asks for the time, unless
# SOURCE_DATE_EPOCH is set: a run of it would not be kept.
bench_args() {
  [ "$1" != gitui ] || export SOURCE_DATE_EPOCH=1700000000
  case $1 in
    jj | big) mapfile -t cargo_args < <(program_args ripgrep "$2") ;;
    *) mapfile -t cargo_args < <(program_args "$1" "$2") ;;
  esac
}

# ---- the limit

# bench_compile NAME: the C program beside this file, as $work/bin/NAME.
bench_compile() {
  [ "$work/bin/$1" -nt "$bench_dir/$1.c" ] ||
    ${CC:-cc} -O2 -static -o "$work/bin/$1" "$bench_dir/$1.c" || ${CC:-cc} -O2 -o "$work/bin/$1" "$bench_dir/$1.c"
}

# limit_learn NAME MODE: what the limit needs to know, in $LIMIT_DIR.
limit_learn() {
  export LIMIT_DIR=$work/known/$1-$2
  bench_compile limit
  bench_args "$1" "$2"
  if [ ! -f "$LIMIT_DIR/done" ] || [ "$(cat "$LIMIT_DIR/done")" != "$(rustc -vV)" ]; then
    rm -rf "$LIMIT_DIR" "$work/src/$1/target"
    mkdir -p "$LIMIT_DIR"
    LIMIT_LEARN=1 RUSTC_WRAPPER=$work/bin/limit \
      timed learn "$work/src/$1" cargo "${cargo_args[@]}" >/dev/null
    rustc -vV >"$LIMIT_DIR/done"
  fi
}

# find_call CRATE TYPE: the file in which the limit has recorded it.
find_call() {
  local f
  for f in "$LIMIT_DIR"/*/call; do
    if tr '\0' '\n' <"$f" | awk -v crate="$1" -v type="$2" '
      last == "--crate-name" && $0 == crate { named = 1 }
      last == "--crate-type" && $0 == type { typed = 1 }
      { last = $0 }
      END { exit !(named && typed) }'; then
      printf '%s' "$f"
      return 0
    fi
  done
  bench_die "no such unit: $1 $2"
}

# ---- ways to build

# Other caches, each with a home, a cache and a server of its own.
OTHERS='sccache kache mbx'

# build_way WHAT: the command that stands for cargo, in $way.
build_way() {
  local own=(env "HOME=$work/home-$1" "CARGO_HOME=${CARGO_HOME:-$HOME/.cargo}" "RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}"
    "PATH=$others/bin:$PATH")
  case $1 in
    plain) way=(cargo) ;;
    limit) way=(env "RUSTC_WRAPPER=$work/bin/limit" cargo) ;;
    dray) way=(env "RUSTC_WRAPPER=$dray" cargo) ;;
    beside) way=(env "RUSTC_WRAPPER=$beside" "DRAY_CACHE_DIR=$beside_cache" cargo) ;;
    sccache)
      way=("${own[@]}" "SCCACHE_DIR=$work/cache-sccache" "SCCACHE_SERVER_UDS=$work/sccache.sock"
        "SCCACHE_IDLE_TIMEOUT=600" "RUSTC_WRAPPER=$others/bin/sccache" cargo)
      ;;
    kache) way=("${own[@]}" "KACHE_CACHE_DIR=$work/cache-kache" "RUSTC_WRAPPER=$others/bin/kache" cargo) ;;
    mbx) way=("${own[@]}" "MBX_CACHE_DIR=$work/cache-mbx" "$others/bin/mbx") ;;
  esac
  case " $OTHERS " in *" $1 "*) mkdir -p "$work/home-$1" ;; esac
}

# clean DIR: as cargo clean does. mbx makes the target directory a link into its cache.
clean() {
  [ ! -L "$1/target" ] || find "$1/target/" -mindepth 1 -delete
  rm -rf "$1/target"
}

# build WHAT DIR: cargo "${cargo_args[@]}" that way; prints wall and processor seconds.
build() {
  build_way "$1"
  rm -f "$DRAY_JOB_LOG" "${LIMIT_DIR:-$work}/unknown"
  timed "$1" "$2" "${way[@]}" "${cargo_args[@]}"
}

# compiled WHAT: how many calls of the last build ran the compiler after all, as far as it tells.
compiled() {
  case $1 in
    limit) { cat "$LIMIT_DIR/unknown" 2>/dev/null || true; } | wc -l ;;
    dray | beside) jq -rs 'map(select(.kind != "probe" and .cache != "hit")) | length' "$DRAY_JOB_LOG" ;;
    *) echo 0 ;;
  esac
}

# others_install: from the registry, with cargo, at low priority; says why where one cannot be installed.
others_install() {
  local name log locked
  mkdir -p "$others"
  for name in $OTHERS; do
    [ ! -x "$others/bin/$name" ] || continue
    log=$work/install-$name.log
    echo "$name: cargo install (see $log)"
    # a lock file may name a version that was withdrawn
    for locked in --locked ''; do
      ! env -u RUSTC_WRAPPER CARGO_TARGET_DIR="$others/target" \
        nice -n 19 cargo install $locked --root "$others" "$name" >"$log" 2>&1 || break
      tail -n 5 "$log" | sed 's/^/    /'
    done
  done
  for name in $OTHERS; do
    [ ! -x "$others/bin/$name" ] || echo "$name: $("$others/bin/$name" --version 2>/dev/null | head -n 1)"
  done
}
others_end() {
  [ ! -S "$work/sccache.sock" ] ||
    env SCCACHE_SERVER_UDS="$work/sccache.sock" "$others/bin/sccache" --stop-server >/dev/null 2>&1 || true
}
