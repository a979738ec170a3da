#!/usr/bin/env bats
# Outside of its sandbox a job has a uid of its own: not the worker's, which reads the keys and writes the store, and
# not another job's.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/users.bash"
. "$BATS_TEST_DIRNAME/hostile.bash"

scenario_setup() {
  unset DRAY_WORKER_USER
}
nothing_of_jobs() {
  [ -z "$(ls -A "$PLACE/state/jobs" | grep -v '^ready-')" ] && [ -z "$(find "$PLACE/state" ! -user nobody)" ]
}

# bats test_tags=long
@test "two at once, of a client with a narrow umask: two uids, and outputs that are the worker's" {
  local name worker uids=()
  farm_of
  umask 077
  package "$WORK/app" app
  for name in one two; do
    package "$WORK/app/$name" "$name" lib
    sed -i '/^\[workspace\]/d' "$WORK/app/$name/Cargo.toml"
    slow_before >"$WORK/app/$name/src/lib.rs"
    depends "$WORK/app" "$name" "$name"
  done
  plain_build "$WORK/app" build
  [ "$PLAIN_STATUS" -eq 0 ]
  worker_begin -o worker.user=nobody
  worker=$(id -u nobody)
  file_has "$LOGS/worker-w1" 'jobs have uids of their own'
  client_env
  rm -rf "$WORK/app/target"
  build_start first "$WORK/app" build -j2
  for name in one two; do
    wait_until 30 worker_compiles "$WORKER_PID" "$name"
    hold "$WORKER_PID" "$name"
    uids+=("$(stat -c %u "/proc/$HELD")")
    run ! grep -qE "^(Uid|Gid|Groups):.*\\b($worker|$(id -g nobody))\\b" "/proc/$HELD/status"
    eval "held_$name=$HELD"
  done
  kill -CONT "$held_one" "$held_two"
  build_finish 120
  [ "$BUILD_STATUS" -eq 0 ]
  echo "worker $worker, jobs ${uids[*]}"
  [ "${uids[0]}" -ne "${uids[1]}" ]
  for name in "${uids[@]}"; do
    [ "$name" -ne 0 ]
    [ "$name" -ne "$worker" ]
  done
  [ "$(job one where) $(job two where) $(job app where)" = 'farm farm farm' ]
  same_outputs "$WORK/app"
  wait_until 10 nothing_of_jobs
  worker_end
}

@test "what a job has closed behind itself is removed; so is what a killed worker left" {
  local jobs=$BATS_TEST_TMPDIR/place/state/jobs
  farm_of
  worker_begin -o worker.user=nobody -o worker.trace=no
  client_env
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    use std::os::unix::fs::PermissionsExt;
    let top = out_dir().join("rustcABCDEF");
    let deep = (0..30).fold(top.clone(), |d, _| d.join("d"));
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("f"), b"x").unwrap();
    for d in deep.ancestors().take_while(|d| d.starts_with(&top)) {
        std::fs::set_permissions(d, std::fs::Permissions::from_mode(0)).unwrap();
    }
    probe("may make it", top.exists());
    probe("may be itself", std::fs::metadata("/proc/self").is_ok());
    probe("a file of the worker's", std::fs::OpenOptions::new().write(true).open("/.dray/bin/dray-exec").is_ok());
    probe("the end", true);
}
EOF
  probe_build "$WORK/app"
  only_what_may_worked
  wait_until 10 nothing_of_jobs
  kill_hard "$WORKER_PID"
  mkdir -p "$jobs/x/out/d/e"
  touch "$jobs/x/out/d/e/f"
  chown -R nobody: "$jobs/x"
  chown -R 1879048193:1879048193 "$jobs/x/out/d"
  chmod 0 "$jobs/x/out/d"
  worker_begin -o worker.user=nobody
  nothing_of_jobs
  worker_end
}

@test "an ordinary user's worker has them by newuidmap, or says in one line that it has none" {
  local list name
  farm_of
  [ -f /etc/subuid ] && [ -f /etc/subgid ] || skip "no /etc/subuid"
  list=$PLACE/subids
  RUN+=(unshare -m sh -c 'mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid && exec "$@"' "$list"
    setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups)
  chmod 711 "$FARM" "$FARM/keys"
  chmod 644 "$FARM/keys/coordinator.pub" "$FARM/empty.conf"
  allow worker w1
  chown nobody "$FARM/keys/w1"
  install -d -o nobody "$PLACE/state"
  client_env
  : >"$list"
  worker_begin
  [ "$(grep -c "jobs have the worker's own uid.*subuid" "$LOGS/worker-w1")" -eq 1 ]
  worker_end
  command -v newuidmap >/dev/null || skip "no newuidmap"
  echo 'nobody:300000:1000' >"$list"
  worker_begin
  # from the middle
  file_has "$LOGS/worker-w1" 'jobs have uids of their own: first=300[2-5]'
  package "$WORK/slow" slow lib
  slow_before >"$WORK/slow/src/lib.rs"
  build_start slow "$WORK/slow" build
  wait_until 20 worker_compiles "$WORKER_PID" slow
  hold "$WORKER_PID" slow
  name=$(stat -c %u "/proc/$HELD")
  release
  build_finish 120
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = farm ]
  [ "$name" -gt 300000 ] && [ "$name" -lt 301000 ]
  wait_until 10 nothing_of_jobs
  worker_end
}
