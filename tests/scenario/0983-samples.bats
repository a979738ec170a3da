#!/usr/bin/env bats
# What workers share is compiled again by others: what comes out the same stays, what does not is not shared, and one that
# lies again and again is shunned, and all that it made is gone everywhere; for one client alone it is that client's matter.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/users.bash"
. "$BATS_TEST_DIRNAME/samples.bash"

# bats test_tags=long
@test "what a worker shared is compiled again by another one, behind the build, and stays" {
  farm 1
  project
  start w1
  client_env
  cached first "$WORK/app" build
  [ "$(job small where) $(job other where)" = 'farm farm' ]
  wait_until 20 made_by "3 $(sign_of w1)"
  status_is '.samples.again == 0'
  start w2
  wait_until 30 status_is '.samples == { again: 3, same: 3, failed: 0 }'
  status_is '(.shunned | length) == 0'
  made_by "3 $(sign_of w1)"
  # nothing of it has another's slot, or stays
  status_is '[.worker[].running] == [0, 0]'
  wait_until 5 fails compgen -G "$PLACE/state-w1/jobs/lend-*"
  stop w1 w2
}

# behind N: so many entries are in the store behind the coordinator.
behind() {
  [ "$(find "$WORK/behind" -path '*/entries/*' -type f | wc -l)" -eq "$1" ]
}
# here_of_w1: the local cache has results that worker 1 has made.
here_of_w1() {
  find "$DRAY_CACHE_DIR" -path '*/entries/*' -type f -print0 | xargs -0 -r grep -laF "$(curve_public w1)" | grep -q .
}

@test "of one package another result blames nobody: it is not shared any more" {
  farm 1
  project
  LIE=small liar w1
  client_env
  cached first "$WORK/app" build
  wait_until 20 there 3
  start w2
  start w3
  wait_until 40 said 'crate=small of worker=w1 came out otherwise on worker=w1 than on the others, one of them alike'
  wait_until 20 status_is '.samples.same == 2'
  status_is '.unshared == ["small"] and (.shunned | length) == 0'
  wait_until 10 fails there 3
  there 2
  grep -F "odd $(curve_public w1) $(curve_public client) " "$FARM/shared/judged" | grep -q ' alike - small '
  stop w1 w2 w3
}

# bats test_tags=long
@test "what no other worker could compile again is not taken, where the list has others" {
  farm 1
  listed w2
  project
  start w1
  client_env
  cached first "$WORK/app" build
  wait_until 20 said 'no other worker has its toolchain'
  none_there
  start w2
  export DRAY_RECACHE=yes
  clean "$WORK/app"
  cached second "$WORK/app" build
  wait_until 20 there 3
  wait_until 30 status_is '.samples == { again: 3, same: 3, failed: 0 }'
  stop w1 w2
}

# bats test_tags=long
@test "what a worker makes for a client is not taken after three packages, and that is nobody else's matter" {
  farm 1
  allow client second
  liar w1
  lies client one two three
  wait_until 20 there 4
  start w2
  start w3
  wait_until 90 withheld w1 client
  wait_until 10 none_there
  # all of what is under way has come to its end
  wait_until 60 status_is '[.worker[].running] == [0, 0, 0]'
  status_is '(.shunned | length) == 0'
  stop w2 w3
  # it is the only one in the list again
  sed -i '/ w[23] sign=/d' "$FARM/allowed"
  wait_until 10 eval '[ "$(grep -c "allowed keys read again: .* keys=3" "$LOGS/coordinator")" -eq 2 ]'
  export DRAY_RECACHE=yes
  clean "$WORK/client"
  cached again "$WORK/client" build
  [ "$(job one worker)" = w1 ]
  # another client has it compile, and it shares that, and nothing that it made before
  lies second four
  wait_until 20 there 2
  fails there 3
  stop w1
}

# bats test_tags=long
@test "one that lies to two clients is shunned by evidence, said, and all of it is gone, here and at clients" {
  mkdir "$WORK/behind"
  export DRAY_COORDINATOR_STORE=file://$WORK/behind
  farm 1
  allow client second
  liar w1
  lies client one two three
  lies second four five six
  wait_until 20 there 8
  wait_until 20 behind 8
  start w2
  start w3
  wait_until 120 said 'worker=w1 key=.* is shunned'
  status_is '[.shunned[] | [.name, .compiles]] == [["w1", false]]'
  "$DRAY" doctor --json | jq -e '.[] | select(.check == "samples" and .finding == "bad")' >/dev/null
  wait_until 10 none_there
  wait_until 10 file_has "$LOGS/coordinator" 'purged in the stores of namespace=-: results='
  # what was kept back for its doing is shared again
  wait_until 10 status_is '.unshared == []'
  # What it compiled, and what it signed, is taken from no cache once the coordinator was heard.
  clean "$WORK/second"
  # one unit is not here, so that the farm half is asked
  echo '// more' >>"$WORK/second/src/main.rs"
  cached heard "$WORK/second" build
  wait_until 20 file_has "$DRAY_CACHE_DIR/distrusted" "$(sign_of w1)"
  grep -qF "$(curve_public w1)" "$DRAY_CACHE_DIR/distrusted"
  # the farm half has heard it by that build, or before, and removes it, in the background
  [ "$(job four cache)" = miss ] || { clean "$WORK/second"; cached again "$WORK/second" build; }
  [ "$(job four cache)" = miss ]
  wait_until 20 fails here_of_w1
  [ "$(job four worker)" != w1 ]
  # It is not let in again, also by a coordinator that is started later.
  kill_hard "$COORDINATOR_PID"
  DRAY_COORDINATOR_SAMPLE=1 coordinator_start
  wait_until 20 status_is '[.worker[].name] | sort == ["w2", "w3"]'
  status_is '[.shunned[].name] == ["w1"]'
  stop w2 w3
}

# bats test_tags=long
@test "one that lies of others' results is the odd one, and not asked for that client's any more" {
  farm 1
  start w1
  lies client one two three
  wait_until 20 made_by "4 $(sign_of w1)"
  liar w2
  start w3
  wait_until 90 withheld w2 client
  # what was kept back for its doing is shared again
  wait_until 10 status_is '.unshared == [] and (.shunned | length) == 0'
  export DRAY_RECACHE=yes
  clean "$WORK/client"
  cached again "$WORK/client" build
  wait_until 60 status_is '.samples.same >= 1'
  fails withheld w1 client
  fails withheld w3 client
  stop w1 w2 w3
}

# bats test_tags=long
@test "what comes out differently each time is marked, purged, and not shared again, also after a restart" {
  farm 1
  with_macro "$WORK/app"
  echo '{ let x = 0u8; format!("{:p}", &x) }' >"$WORK/app/look/src/expr.rs"
  member "$WORK/app/rolled" rolled lib
  depends "$WORK/app" rolled rolled
  depends "$WORK/app/rolled" look ../look
  echo 'pub static ROLLED: &str = look::look!();' >"$WORK/app/rolled/src/lib.rs"
  start w1
  client_env
  cached first "$WORK/app" build
  [ "$(job rolled where)" = farm ]
  wait_until 20 made_by "2 $(sign_of w1)"
  start w2
  start w3
  wait_until 40 file_has "$LOGS/coordinator" 'crate=rolled comes out differently each time'
  status_is '(.unshared | index("rolled")) and (.shunned | length) == 0'
  # the program that has it in it, too; the macro stays
  wait_until 20 made_are look
  export DRAY_RECACHE=yes
  clean "$WORK/app"
  cached second "$WORK/app" build
  wait_until 10 file_has "$LOGS/worker-w1" 'crate=rolled is not shared: it comes out differently each time'
  kill_hard "$COORDINATOR_PID"
  DRAY_COORDINATOR_SAMPLE=1 coordinator_start
  status_is '.unshared | index("rolled")'
  [[ "$("$DRAY" explain rolled)" = *'workers do not share it: compiled again, it came out differently each time'* ]]
  [[ "$("$DRAY" explain look)" != *'workers do not share it'* ]]
  stop w1 w2 w3
}

# bats test_tags=long
@test "a worker that hands nothing over shares nothing" {
  farm 1
  package "$WORK/app" app
  for p in a b c d; do
    package "$WORK/$p" "$p" lib
    depends "$WORK/app" "$p" "$WORK/$p"
  done
  start w1
  client_env
  cached first "$WORK/app" build
  wait_until 20 made_by "5 $(sign_of w1)"
  # It is killed while they wait to be looked at, and what it has of them is gone. It may be back, so that is waited for; the
  # one that comes is another process.
  kill_hard "$PID_w1"
  start w1
  wait_until 10 file_has "$LOGS/coordinator" 'its worker.s connection was lost'
  wait_until 10 none_there
}
