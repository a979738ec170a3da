#!/usr/bin/env bats
# Several users of one machine share one local cache (cache_group). The users are real, by their numbers: no account
# is made. Each has a home, a cargo home and sources of its own; the toolchain, which is root's, is seen through
# a bind mount in a mount namespace of each command.

. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

GID=61200
declare -gA UIDS=([ann]=61201 [bob]=61202 [eve]=61203)

setup_file() {
  [ "$(id -u)" -eq 0 ] || skip "only root can become other users"
  command -v setpriv >/dev/null || skip "there is no setpriv"
  unshare -m true 2>/dev/null || skip "no mount namespaces here"
}

scenario_setup() {
  local user
  # others cannot look into the directory of bats
  WORLD=$(mktemp -d /tmp/dray-group-XXXXXX)
  chmod 755 "$WORLD"
  SHARED=$WORLD/shared
  install -d -m 2770 -g $GID "$SHARED"
  install -d -m 1777 "$WORLD/memcheck"
  : >"$WORLD/empty.conf"
  mkdir "$WORLD/build" "$WORLD/src"
  SYSROOT=$(rustc --print sysroot)
  for user in "${!UIDS[@]}"; do
    install -d -o "${UIDS[$user]}" -g "${UIDS[$user]}" -m 700 "$WORLD/$user"{,/src,/.cache,/.cache/dray}
    seed_take group "$WORLD/$user/.cache/dray"
    chown -R "${UIDS[$user]}:${UIDS[$user]}" "$WORLD/$user"
  done
  UMASK=022
  GROUP=$GID
  MORE=
}

eval "lib_$(declare -f teardown)"
teardown() {
  cp "${WORLD:-/nonexistent}/memcheck/"* "$MEMCHECK" 2>/dev/null || true
  [ -z "${WORLD:-}" ] || seed_keep group "$WORLD/ann/.cache/dray"
  lib_teardown
  [ -z "${WORLD:-}" ] || rm -rf "$WORLD"
}

# as USER COMMAND…: as that user, in its sources, with the same paths for all; ann and bob are of the group.
as() {
  local user=$1 uid=${UIDS[$1]} groups=--clear-groups
  shift
  [ "$user" = eve ] || groups=--groups=$GID
  unshare -m bash -c '
    mount --bind "$1" /mnt && mount --bind "$2" "$5/build" && mount --bind "$5/$3/src" "$5/src" &&
      cd "$5/src" && umask "$4" && shift 5 && exec "$@"' - "$SYSROOT" "$DRAY_BUILD" "$user" "$UMASK" "$WORLD" \
    setpriv --reuid="$uid" --regid="$uid" "$groups" --no-new-privs \
    env -u DRAY_JOB_LOG -u XDG_CACHE_HOME -u RUSTC -u RUSTUP_HOME -u RUSTUP_TOOLCHAIN -u TMPDIR HOME="$WORLD/$user" \
    CARGO_HOME="$WORLD/$user/.cargo" PATH="/mnt/bin:/usr/bin:/bin" RUSTC_WRAPPER="$WORLD/build/client/dray" \
    DRAY_CONFIG="$WORLD/empty.conf" DRAY_CACHE=on DRAY_SCRIPTS=on DRAY_CACHE_DIR="$SHARED" DRAY_CACHE_GROUP="$GROUP" \
    ASAN_OPTIONS="${ASAN_OPTIONS//$MEMCHECK/$WORLD/memcheck}" UBSAN_OPTIONS="${UBSAN_OPTIONS//$MEMCHECK/$WORLD/memcheck}" \
    env $MORE "$@" </dev/null 3>&-
}
# has USER: the user's copy of the sources.
has() {
  local user
  for user; do
    cp -r "$WORK/p/." "$WORLD/$user/src/"
    chown -R "${UIDS[$user]}:${UIDS[$user]}" "$WORLD/$user/src"
  done
}
# builds USER LABEL [ARG…]: cargo build, from nothing; its lines alone are in $JOBS then.
builds() {
  local user=$1 label=$2
  shift 2
  JOBS=$WORLD/$user/.cache/dray/jobs.jsonl
  rm -rf "$JOBS" "$WORLD/$user/src/target"
  # stderr is a pipe of the user's own
  as "$user" bash -c 'set -o pipefail; { cargo build "$@" 2>&1 >&4 | cat >&2; } 4>&1' - "$@" \
    >"$LOGS/$label.out" 2>>"$LOGS/$label.err" || { cat "$LOGS/$label.err" >&2; return 1; }
  [ "$("$WORLD/$user/src/target/$([ "${1:-}" = --release ] && echo release || echo debug)/app")" = "42 made by the script" ]
}
# plainly USER: what plain cargo makes, in $WORK/plain.
plainly() {
  rm -rf "$WORLD/$1/src/target" "$WORK/plain"
  MORE="-u RUSTC_WRAPPER" as "$1" cargo build >"$LOGS/plain.out" 2>"$LOGS/plain.err" || { cat "$LOGS/plain.err" >&2; return 1; }
  cp -a "$WORLD/$1/src/target" "$WORK/plain"
}
# as_plainly USER: the same is there. (A build script's program stands behind a launcher.)
as_plainly() {
  same_made "$WORK/plain/debug" "$WORLD/$1/src/target/debug" -x '*build?script?build*' && cmp "$WORK/plain/debug/app" "$WORLD/$1/src/target/debug/app"
}

# A program, a library and a build script.
sources() {
  package "$WORK/p" app
  dependency "$WORK/p" one
  cat >"$WORK/p/build.rs" <<'END'
fn main() {
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR").unwrap());
    std::fs::write(out.join("made.rs"), "\"made by the script\"").unwrap();
    println!("cargo:rerun-if-changed=build.rs");
}
END
  cat >"$WORK/p/src/main.rs" <<'END'
fn main() {
    println!("{} {}", one::answer(), include!(concat!(env!("OUT_DIR"), "/made.rs")));
}
END
}

# Of all that is in the shared directory: the group's, and nobody else's; no file is of two names.
sound_modes() {
  local bad
  bad=$(find "$SHARED" \( ! -gid $GID -o -perm /007 -o \( -type d ! -perm 2770 \) -o \
    \( -type f -path '*/blobs/*' ! -perm 440 \) -o \( -type f ! -path '*/blobs/*' ! -perm 660 \) -o \
    \( -type f -links +1 \) -o ! -type d ! -type f \) -printf '%M %u %g %n %p\n')
  [ -z "$bad" ] || { echo "$bad" >&2; return 1; }
  [ "$(find "$SHARED" -type f | wc -l)" -gt "${1:-9}" ]
}
# nothing_kept: of the results of builds.
nothing_kept() {
  [ -z "$(find "$1" -type f -path '*/blobs/*' -o -type f -path '*/entries/*')" ]
}
refused() {
  jobs_all '.cache == "off" and (.cache_why | contains("'"$1"'"))' || { show_cache; return 1; }
}

@test "what one user compiled, another one finds, and neither has a file of the other" {
  local blob
  sources
  has ann bob
  plainly ann
  builds ann ann
  all_missed
  as_plainly ann
  sound_modes
  builds bob bob
  all_hit
  as_plainly bob
  sound_modes
  # all in the target directory is bob's, and all in the cache is ann's
  [ -z "$(find "$WORLD/bob/src/target" ! -uid "${UIDS[bob]}")" ]
  [ -z "$(find "$SHARED/blobs" -type f ! -uid "${UIDS[ann]}")" ]
  [ -z "$(find "$WORLD/bob/src/target" -perm /022)" ]
  blob=$(find "$SHARED/blobs" -type f | head -n 1)
  fails as bob sh -c 'echo x >>"$1"' - "$blob" 2>/dev/null
  fails as bob chmod 660 "$blob" 2>/dev/null
  fails as eve ls "$SHARED" 2>/dev/null
  # what each alone knows is at home
  [ -s "$WORLD/bob/.cache/dray/memo.lmdb" ]
  [ -z "$(find "$SHARED" -name 'memo*' -o -name 'jobs*' -o -name 'slots*' -o -name 'user-*')" ]
  # and back
  echo '// another' >>"$WORLD/bob/src/one/src/lib.rs"
  echo '// another' >>"$WORLD/ann/src/one/src/lib.rs"
  builds bob bob-edited
  missed one
  builds ann ann-edited
  all_hit
  sound_modes
}

@test "whatever the umasks are" {
  sources
  has ann bob
  UMASK=077 builds ann ann
  all_missed
  sound_modes
  UMASK=000 builds bob bob
  # the umask is an input of the script's run, and of nothing else
  jobs_all '.kind == "script-run" or .cache == "hit"' || { show_cache; return 1; }
  sound_modes
  as bob cargo clean
  UMASK=000 builds bob bob-again --release
  sound_modes
  UMASK=077 builds ann ann-again --release
  jobs_all '.kind == "script-run" or .cache == "hit"' || { show_cache; return 1; }
  sound_modes
  [ -z "$(find "$WORLD/ann/src/target" -type f -perm /077)" ]
}

@test "checkouts of different paths, and a dependency in each user's own cargo home, with paths = shared" {
  sources
  package "$WORLD/dep" dep lib
  git -C "$WORLD/dep" init -q
  git -C "$WORLD/dep" add -A
  git -C "$WORLD/dep" -c user.name=dev -c user.email=dev@example.org commit -qm dep
  chmod -R go=u,go-w "$WORLD/dep"
  printf '\n[dependencies.dep]\ngit = "file://%s/dep"\n' "$WORLD" >>"$WORK/p/Cargo.toml"
  sed -i 's/one::answer()/one::answer() + dep::answer() - 42/' "$WORK/p/src/main.rs"
  has ann bob
  mkdir "$WORLD/bob/src/deep"
  find "$WORLD/bob/src" -mindepth 1 -maxdepth 1 ! -name deep -exec mv -t "$WORLD/bob/src/deep" {} +
  chown "${UIDS[bob]}" "$WORLD/bob/src/deep"
  MORE="DRAY_PATHS=shared CARGO_NET_OFFLINE=false" builds ann ann
  all_missed
  JOBS=$WORLD/bob/.cache/dray/jobs.jsonl
  MORE="DRAY_PATHS=shared CARGO_NET_OFFLINE=false" as bob sh -c 'cd deep && exec cargo build' 2>"$LOGS/bob.err"
  all_hit
  [ -n "$(job dep cache)" ]
  [ -d "$WORLD/bob/.cargo/git/checkouts" ]
  [ "$("$WORLD/bob/src/deep/target/debug/app")" = "42 made by the script" ]
  sound_modes
}

# bats test_tags=long
@test "a blob that its owner damaged is a miss, is said, and goes" {
  local blob
  sources
  has ann bob
  plainly ann
  builds bob bob
  builds ann ann
  all_hit
  # in place, to the same size, and dated back: the second time ann has seen it
  find "$SHARED/blobs" -type f -printf '%p %s\n' | sort -n -k 2 | tail -n 1 >"$LOGS/largest"
  read -r blob _ <"$LOGS/largest"
  as bob bash -c 't=$(stat -c %y "$1"); chmod 640 "$1"; printf damage | dd of="$1" bs=1 seek=100 conv=notrunc status=none
    touch -d "$t" "$1"; chmod 440 "$1"' - "$blob"
  builds ann damaged
  jobs_all '.cache == "hit" or (.cache_why | contains("was damaged")) or .kind == "script-run"' || { show_cache; return 1; }
  jq -es 'any(.[]; .cache == "miss" and (.cache_why | contains("was damaged")))' "$JOBS"
  as_plainly ann
  [ "$(stat -c %u "$blob")" -eq "${UIDS[ann]}" ]
  sound_modes
  # one that the user may not read
  as ann chmod 000 "$blob"
  builds bob unreadable
  as_plainly bob
  builds bob again
  all_hit
  sound_modes
  # replaced by something else, by a link, by a directory
  for what in "echo wrong" "ln -s /etc/passwd" "mkdir"; do
    as bob bash -c 'rm -rf "$1"; case $2 in echo*) echo wrong >"$1" ;; *) $2 "$1" ;; esac' - "$blob" "$what"
    builds ann "replaced by ${what%% *}"
    as_plainly ann
    rm -rf "$blob"
  done
  # and so with entries
  as bob bash -c 'for f in "$1"/entries/*/*; do printf damage | dd of="$f" bs=1 seek=20 conv=notrunc status=none; done' - "$SHARED"
  builds ann entries
  as_plainly ann
  builds ann all
  all_hit
}

# bats test_tags=long
@test "each member may look at it, verify it, and evict" {
  local user
  sources
  has ann bob
  builds ann ann
  builds bob bob
  for user in ann bob; do
    as $user "$WORLD/build/client/dray" stats --json >"$LOGS/stats-$user"
    jq -e '.cache.size.entries > 2 and .cache.size.bytes > 0' "$LOGS/stats-$user" || { cat "$LOGS/stats-$user" >&2; return 1; }
    as $user "$WORLD/build/client/dray" doctor >"$LOGS/doctor-$user" || true
    grep "^good  cache  *$SHARED, [0-9]* entries" "$LOGS/doctor-$user" || { cat "$LOGS/doctor-$user" >&2; return 1; }
    grep "^note  cache .* shared by the group $GID: each member can run code as the others" "$LOGS/doctor-$user"
    fails grep '^bad   cache' "$LOGS/doctor-$user"
    as $user "$WORLD/build/client/dray" status >"$LOGS/status-$user"
    as $user "$WORLD/build/client/dray" explain app >"$LOGS/explain-$user"
    as $user "$WORLD/build/client/dray" env >"$LOGS/env-$user"
    grep -x "export DRAY_CACHE_DIR='$SHARED'" "$LOGS/env-$user"
    as $user "$WORLD/build/client/dray" verify >"$LOGS/verify-$user" 2>&1 || { cat "$LOGS/verify-$user" >&2; return 1; }
  done
  sound_modes
  as bob "$WORLD/build/client/dray" gc --json --max 1 >"$LOGS/gc"
  jq -e '.before.blobs > 0 and .after.blobs == 0 and .after.bytes == 0 and .dir == "'"$SHARED"'"' "$LOGS/gc" || { cat "$LOGS/gc"; false; }
  builds ann ann-again
  all_missed
  as bob "$WORLD/build/client/dray" clear --json >"$LOGS/clear"
  jq -e '.before.entries > 0 and .after.entries == 0' "$LOGS/clear"
  nothing_kept "$SHARED"
  # by itself, when it grows beyond the bound
  builds ann ann-third
  MORE="DRAY_CACHE_MAX=64K" builds bob bob-again --release
  MORE="DRAY_CACHE_MAX=64K" builds bob bob-third --release
  [ "$(du -s --block-size=1 "$SHARED/blobs" | cut -f 1)" -lt 3000000 ]
  # one who only reads
  as ann "$WORLD/build/client/dray" clear >/dev/null
  MORE="DRAY_CACHE=read" builds bob bob-reads
  nothing_kept "$SHARED"
  builds ann ann-fourth
  MORE="DRAY_CACHE=read" builds bob bob-reads
  all_hit
  sound_modes
}

@test "one who is not of the group builds without it, and is told once, with the way out" {
  sources
  has eve ann
  plainly eve
  : >"$LOGS/eve.err"
  builds eve eve
  refused "not of the group $GID"
  as_plainly eve
  [ "$(grep -c 'dray: the build goes on without the cache, since this process is not of the group' "$LOGS/eve.err")" -eq 1 ] ||
    { cat "$LOGS/eve.err" >&2; return 1; }
  builds eve eve-again
  fails grep 'dray:' "$LOGS/eve-again.err"
  # it is cargo's stderr that has it: nothing is said again when all is fresh
  as eve cargo build 2>"$LOGS/fresh.err"
  fails grep 'dray:' "$LOGS/fresh.err"
  # on a terminal as well
  if command -v script >/dev/null; then
    rm -rf "$WORLD/eve/src/target" "$WORLD/eve/.cache/dray/refused"
    as eve script -qec 'cargo build' /dev/null >"$LOGS/terminal"
    grep -c $'\033\\[Kdray: the build goes on without the cache' "$LOGS/terminal" | grep -x 1 || { cat -v "$LOGS/terminal" >&2; return 1; }
  fi
  as eve "$WORLD/build/client/dray" doctor >"$LOGS/doctor" || true
  grep '^bad   cache  *is not used: this process is not of the group .*gpasswd -a' "$LOGS/doctor" || { cat "$LOGS/doctor"; false; }
  as eve "$WORLD/build/client/dray" gc 2>"$LOGS/gc" && return 1
  grep 'dray gc: the cache is not used: this process is not of the group' "$LOGS/gc"
  as eve "$WORLD/build/client/dray" stats >"$LOGS/stats" 2>&1 || true
  nothing_kept "$SHARED"
  # root is a user like any other here: it would run what members wrote
  UIDS[eve]=0
  rm -rf "$WORLD/eve/.cache"
  chown -R 0:0 "$WORLD/eve"
  builds eve root
  refused "not of the group $GID"
  nothing_kept "$SHARED"
}

# bats test_tags=long
@test "a directory that others could have written to is refused, and named" {
  local what
  sources
  has ann
  # CHANGE | what is said
  while IFS='|' read -r what said; do
    rm -rf "$SHARED" "$WORLD/real"
    install -d -m 2770 -g $GID "$SHARED"
    (cd "$WORLD" && eval "$what")
    : >"$LOGS/said.err"
    rm -f "$WORLD/ann/.cache/dray/refused"
    builds ann said
    refused "$said"
    grep -F "dray: the build goes on without the cache, since" "$LOGS/said.err" | grep -F "$said" ||
      { cat "$LOGS/said.err" >&2; return 1; }
    as ann "$WORLD/build/client/dray" doctor >"$LOGS/doctor" || true
    grep '^bad   cache  *is not used' "$LOGS/doctor" | grep -F "$said" || { cat "$LOGS/doctor"; false; }
    nothing_kept "$WORLD"
  done <<'END'
mv shared real; ln -s real shared|is a symbolic link: set cache_dir to the directory itself
chmod 2777 shared|has mode 2777, so that anybody may write there: chmod 2770 it
chmod 2775 shared|has mode 2775: chmod 2770 it
chmod g-s shared|has mode 0770: chmod 2770 it
chgrp 61999 shared; chmod 2770 shared|is of another group: chgrp 61200 it
rm -r shared; touch shared|is no directory
rm -r shared|is not there: install -d -m 2770 -g 61200
chmod o+w .|and put another directory in the place of
END
  chmod o-w "$WORLD"
  rm -rf "$SHARED"
  install -d -m 2770 -g $GID "$SHARED"
  GROUP=no-such-group builds ann named
  refused "there is no group no-such-group"
  MORE="-u DRAY_CACHE_DIR" builds ann unset
  refused "cache_group is set, and cache_dir is not"
  builds ann good
  all_missed
}

@test "a member who builds there without the group is found, and who it is" {
  sources
  has ann bob
  GROUP=none as ann "$WORLD/build/client/dray" doctor >"$LOGS/doctor-ann" || true
  grep "^note  cache  *$SHARED has the mode of one that a group shares: .* until cache_group is set" "$LOGS/doctor-ann" ||
    { cat "$LOGS/doctor-ann"; false; }
  GROUP=none as ann cargo build 2>"$LOGS/ann.err"
  builds bob bob
  as bob "$WORLD/build/client/dray" doctor >"$LOGS/doctor" || true
  grep -c '^bad   cache ' "$LOGS/doctor" | grep -x 1 || { cat "$LOGS/doctor"; false; }
  grep "^bad   cache .*/blobs is not for the group (mode 2700): .* as user ${UIDS[ann]}, or root: cd $SHARED && rm -rf " "$LOGS/doctor"
  fails grep "^good  cache  *$SHARED" "$LOGS/doctor"
  as ann sh -c "$(sed -n 's/^bad   cache .* or root: //p' "$LOGS/doctor")"
  builds bob again
  all_missed
  builds ann ann
  all_hit
  as bob "$WORLD/build/client/dray" doctor >"$LOGS/doctor" || true
  grep "^good  cache  *$SHARED" "$LOGS/doctor"
}

@test "a group by its name" {
  sources
  has ann bob
  sed "/^sharers:/d; \$a sharers:x:$GID:ann,bob" /etc/group >"$WORLD/groups"
  named() {
    unshare -m bash -c 'mount --bind "$1" /etc/group && shift && "$@"' - "$WORLD/groups" bash -c "$(declare -f as); $(declare -p UIDS SYSROOT WORLD SHARED UMASK GID MEMCHECK DRAY_BUILD)
      GROUP=sharers MORE=""; as \"\$@\"" - "$@"
  }
  named ann cargo build 2>"$LOGS/ann.err" || { cat "$LOGS/ann.err" >&2; return 1; }
  JOBS=$WORLD/ann/.cache/dray/jobs.jsonl
  all_missed
  builds bob bob
  all_hit
  named bob "$WORLD/build/client/dray" doctor >"$LOGS/doctor" || true
  grep 'is shared by the group sharers' "$LOGS/doctor"
  sound_modes
}

# bats test_tags=long
@test "two users compile the same at once: one waits for the other; of one who is killed the lock is free" {
  local ann bob
  slow_dependency "$WORK/p"
  has ann bob
  builds_in_background() {
    # a process group of its own
    as "$1" setsid cargo build >"$LOGS/$1.out" 2>"$LOGS/$1.err" &
    STARTED+=($!)
  }
  # compiles USER, waits USER: a compiler, or a dray, of that unit runs
  compiles() {
    pgrep -u "${UIDS[$1]}" -x rustc -a | grep -q -- '--crate-name slow'
  }
  waits() {
    pgrep -u "${UIDS[$1]}" -x dray -a | grep -q -- '--crate-name slow'
  }
  builds_in_background ann
  ann=$!
  wait_until 60 compiles ann
  builds_in_background bob
  bob=$!
  gone_within 120 $ann
  gone_within 120 $bob
  JOBS=$WORLD/ann/.cache/dray/jobs.jsonl
  missed slow
  JOBS=$WORLD/bob/.cache/dray/jobs.jsonl
  hit slow
  sound_modes

  # stopped: nobody waits for it
  as ann "$WORLD/build/client/dray" clear >/dev/null
  rm -rf "$WORLD"/{ann,bob}/src/target "$WORLD"/{ann,bob}/.cache/dray/jobs.jsonl
  builds_in_background ann
  ann=$!
  wait_until 60 compiles ann
  kill -STOP -- "-$(pgrep -u "${UIDS[ann]}" -o -x cargo)"
  builds_in_background bob
  bob=$!
  gone_within 120 $bob
  missed slow
  [ -z "$(job slow not_stored)" ]
  kill -CONT -- "-$(pgrep -u "${UIDS[ann]}" -o -x cargo)"
  gone_within 120 $ann

  # killed in the middle of it
  as ann "$WORLD/build/client/dray" clear >/dev/null
  rm -rf "$WORLD"/{ann,bob}/src/target "$WORLD"/{ann,bob}/.cache/dray/jobs.jsonl
  builds_in_background ann
  wait_until 60 compiles ann
  builds_in_background bob
  bob=$!
  wait_until 60 waits bob
  fails compiles bob
  kill -KILL -- "-$(pgrep -u "${UIDS[ann]}" -o -x cargo)"
  gone_within 120 $bob
  [ "$("$WORLD/bob/src/target/debug/app")" -gt 0 ]
  missed slow
  [ -z "$(job slow not_stored)" ]
  # and what the killed one left in the cache goes with the next sweep
  rm -rf "$SHARED/swept"
  builds_in_background ann
  gone_within 120 $!
  JOBS=$WORLD/ann/.cache/dray/jobs.jsonl
  all_hit
  [ -z "$(find "$SHARED/tmp" -mindepth 1)" ]
  sound_modes
}

@test "a crowd of two users, in a cache that is too small for what they make" {
  local i user
  sources
  has ann bob
  for i in 1 2 3; do
    for user in ann bob; do
      MORE="DRAY_CACHE_MAX=6M CARGO_TARGET_DIR=$WORLD/$user/target-$i" as $user cargo build >"$LOGS/crowd-$user-$i" 2>&1 &
      STARTED+=($!)
    done
  done
  for i in "${STARTED[@]}"; do
    gone_within 300 "$i"
  done
  for i in 1 2 3; do
    for user in ann bob; do
      [ "$("$WORLD/$user/target-$i/debug/app")" = "42 made by the script" ] || { cat "$LOGS/crowd-$user-$i" >&2; return 1; }
    done
  done
  sound_modes
  # both know the same index, and it what is there
  for user in ann bob; do
    as $user "$WORLD/build/client/dray" gc --json --max 1G >"$LOGS/gc-$user"
    [ "$(jq '.after.entries, .after.blobs' "$LOGS/gc-$user" | xargs)" = "$(find "$SHARED/entries" -type f | wc -l) $(
      find "$SHARED/blobs" -type f | wc -l)" ] || { cat "$LOGS/gc-$user" >&2; return 1; }
  done
  [ -s "$SHARED/index.lmdb" ]
  [ ! -e "$SHARED/sums" ]
}

@test "a whole configuration that is wrong does not make it one user's" {
  sources
  has ann
  echo 'nonsense' >"$WORLD/empty.conf"
  builds ann wrong
  sound_modes 0
  [ -z "$(find "$SHARED" -name 'memo*')" ]
  # nor a group that is none, or one that a file names which cannot be read
  rm -rf "$SHARED"/*
  : >"$WORLD/empty.conf"
  GROUP="two groups" builds ann none
  [ -z "$(find "$SHARED" -mindepth 1)" ]
  GROUP="two groups" as ann "$WORLD/build/client/dray" doctor >"$LOGS/doctor" || true
  grep "^bad   config .*'-', '_' and '.', or a number" "$LOGS/doctor" || { cat "$LOGS/doctor"; false; }
  printf '[client]\ncache_group = %s\nnonsense\n' $GID >"$WORLD/empty.conf"
  GROUP="" builds ann file
  [ -z "$(find "$SHARED" -mindepth 1)" ]
}
