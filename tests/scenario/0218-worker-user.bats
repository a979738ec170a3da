#!/usr/bin/env bats
# A worker that root starts becomes a user of its own. Where jobs have no uids of their own (0219), a job is that user
# outside of its sandbox.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/users.bash"

scenario_setup() {
  unset DRAY_WORKER_USER
}
# job_of DIR: builds it; $JOB_UID: whose process the compiler was, seen from outside of the sandbox.
job_of() {
  package "$1" slow lib
  slow_before >"$1/src/lib.rs"
  rm -rf "$1/target"
  build_start slow "$1" build
  wait_until 20 worker_compiles "$WORKER_PID" slow
  hold "$WORKER_PID" slow
  JOB_UID=$(stat -c %u "/proc/$HELD")
  release
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = farm ]
}

# bats test_tags=long
@test "started by root it becomes its user: all of it, its store and its jobs" {
  local id
  farm_of
  id=$(id -u nobody)
  package "$WORK/hello" hello
  plain_build "$WORK/hello" build
  # of an earlier life as root
  worker_begin --allow-root -o worker.job_users=no
  client_env
  job_of "$WORK/slow"
  [ "$JOB_UID" -eq 0 ]
  [ "$(stat -c %u "$PLACE/state/store")" -eq 0 ]
  worker_end
  worker_begin -o worker.user=nobody -o worker.job_users=no
  [ "$(sed -n 's/^Uid:[[:space:]]*//p' "/proc/$WORKER_PID/status")" = "$id	$id	$id	$id" ]
  run ! grep -hE '^Cap(Prm|Eff):.*[1-9a-f]' /proc/"$WORKER_PID"/task/*/status
  run ! grep -hE '^[UG]id:.*\b0\b' /proc/"$WORKER_PID"/task/*/status
  [ -z "$(find "$PLACE/state" ! -user nobody)" ]
  job_of "$WORK/slow"
  [ "$JOB_UID" -eq "$id" ]
  build first "$WORK/hello" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job hello where)" = farm ]
  same_outputs "$WORK/hello"
  [ -z "$(find "$PLACE/state" ! -user nobody)" ]
  file_has "$LOGS/worker-w1" 'no longer root: user=nobody'
  [ "$(grep -c "jobs have the worker's own uid.*job_users is no" "$LOGS/worker-w1")" -eq 2 ]
  worker_end
}

@test "what root alone may read is not read by that user, but its key is known" {
  farm_of
  worker_begin -o worker.user=nobody
  run -1 setpriv --reuid nobody --clear-groups cat "$FARM/keys/w1"
  [[ "$output" == *'Permission denied'* ]]
}

@test "without a user to become it says what helps, and ends" {
  farm_of
  ! id dray-worker >/dev/null 2>&1 || skip "there is a user dray-worker"
  worker_of
  run -1 "${COMMAND[@]}" 3>&-
  echo "$output"
  [[ "$output" == *'no user dray-worker'*'useradd'*'--allow-root'* ]]
  [ ! -e "$PLACE/state" ]
  worker_of -o worker.user=no-such-user
  run -1 "${COMMAND[@]}" 3>&-
  [[ "$output" == *'there is no user no-such-user'* ]]
  # a look at the toolchains is no job
  "$PLACE/bin/dray-worker" --config "$FARM/empty.conf" --list-toolchains >"$LOGS/list" 2>&1
}

@test "a directory that is not a worker's is given to nobody, nor one where its user does not get" {
  farm_of
  mkdir -p "$PLACE/state/store"
  echo mine >"$PLACE/state/letter"
  worker_of -o worker.user=nobody
  run -1 "${COMMAND[@]}" 3>&-
  [[ "$output" == *"there is letter, which is no worker's"* ]]
  [ -z "$(find "$PLACE/state" ! -user root)" ]
  mkdir -m 700 "$PLACE/closed"
  worker_of -o worker.user=nobody --state-dir "$PLACE/closed/state"
  run -1 "${COMMAND[@]}" 3>&-
  [[ "$output" == *"chmod o+x $PLACE/closed"* ]]
}

@test "toolchains where its user may not look are named" {
  farm_of
  mkdir -m 700 "$PLACE/home"
  mkdir -p "$PLACE/home/.rustup/toolchains"
  HOME=$PLACE/home RUSTUP_HOME= worker_begin -o worker.user=nobody
  file_has "$LOGS/worker-w1" "toolchains left out: $PLACE/home/.rustup/toolchains: .*toolchain_dirs"
}

@test "an ordinary user's worker is that user's; it cannot become another" {
  farm_of
  chmod 644 "$FARM/keys/coordinator.pub"
  run -1 setpriv --reuid nobody --clear-groups "$PLACE/bin/dray-worker" --config /dev/null \
    --coordinator "$COORDINATOR_EP" -o worker.user=daemon 3>&-
  echo "$output"
  [[ "$output" == *'[worker] user is daemon, but this was started by nobody'* ]]
}

@test "dray up by root works, and says in one line what that means" {
  as_root
  package "$WORK/hello" hello
  (cd "$WORK/hello" && DRAY_OFFLOAD=always "$DRAY" up --workers 1 -- cargo build) >"$LOGS/up" 2>&1 </dev/null 3>&-
  [ "$(job hello where)" = farm ]
  [ "$(grep -c 'runs as root' "$LOGS/up")" -eq 1 ]
}
