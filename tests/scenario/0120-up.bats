#!/usr/bin/env bats
# dray up: a farm for one command.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

@test "a build in it, on a worker" {
  package "$WORK/hello" hello
  plain_build "$WORK/hello" build
  (cd "$WORK/hello" && DRAY_OFFLOAD=always DRAY_LINKER=rustc "$DRAY" up --workers 2 --slots 1 -- \
    cargo build) >"$LOGS/up" 2>&1 </dev/null 3>&-
  [ "$("$WORK/hello/target/debug/hello")" = "hello from hello" ]
  same_outputs "$WORK/hello"
  [ "$(job hello where)" = farm ]
}

@test "over Unix sockets" {
  package "$WORK/hello" hello
  (cd "$WORK/hello" && DRAY_OFFLOAD=always "$DRAY" up --ipc --workers 1 -- cargo build) \
    >"$LOGS/up" 2>&1 </dev/null 3>&-
  [ "$(job hello where)" = farm ]
}

@test "the command's exit status is passed on, its environment is set, and all is stopped" {
  run "$DRAY" up --workers 2 -- sh -c \
    'echo "$RUSTC_WRAPPER|$DRAY_COORDINATOR|$DRAY_COORDINATOR_KEY|$DRAY_IDENTITY"; echo "parent $PPID"; exit 7' 3>&-
  echo "$output"
  [ "$status" -eq 7 ]
  [[ "$output" == */dray\|tcp://127.0.0.1:*\|/*\|/* ]] || [[ "$output" == *"/dray|tcp://127.0.0.1:"* ]]
  local port
  port=$(sed -nE 's,.*\|tcp://127\.0\.0\.1:([0-9]+)\|.*,\1,p' <<<"$output")
  [ -n "$port" ]
  # Nobody listens there any more, and the keys are gone.
  run bash -c ": >/dev/tcp/127.0.0.1/$port"
  [ "$status" -ne 0 ]
}

@test "the keys are private, and go with the farm" {
  run "$DRAY" up --workers 1 -- sh -c 'stat -c "%a %n" "$DRAY_IDENTITY"' 3>&-
  echo "$output"
  [ "$status" -eq 0 ]
  local file
  file=$(sed -n 's/^600 //p' <<<"$output")
  [ -n "$file" ]
  [ ! -e "$file" ]
}

@test "what it learned of the toolchains stays for the next" {
  "$DRAY" up --workers 2 -- true >"$LOGS/up" 2>&1 </dev/null 3>&-
  [ -s "$DRAY_CACHE_DIR/worker-memo/memo.lmdb" ]
  [ -z "$(find "$DRAY_CACHE_DIR" -maxdepth 1 -name 'up-*')" ]
}

@test "stopped by SIGTERM, it takes everything with it" {
  local pids p
  "$DRAY" up --workers 2 -- tail -f /dev/null >"$LOGS/up" 2>&1 </dev/null 3>&- &
  local up=$!
  STARTED+=("$up")
  wait_until 30 eval 'descendants '"$up"' | xargs -r -I{} cat /proc/{}/comm 2>/dev/null | grep -q tail'
  pids=$(descendants "$up")
  [ "$(wc -w <<<"$pids")" -ge 4 ]
  kill -TERM "$up"
  wait_until 10 is_gone "$up"
  for p in $pids; do
    wait_until 5 is_gone "$p"
  done
}

@test "a command that is not there" {
  run -127 "$DRAY" up --workers 1 -- "$WORK/no-such-program" 3>&-
  [[ "$output" == *no-such-program* ]]
}
