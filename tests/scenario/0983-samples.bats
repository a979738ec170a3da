#!/usr/bin/env bats
# What workers share is compiled again by others: what comes out the same stays, what does not is not shared, and one that
# lies again and again is shunned, and all that it made is gone everywhere; for one client alone it is that client's matter.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/users.bash"

scenario_setup() {
  unset DRAY_WORKER_USER
  export DRAY_CACHE=on DRAY_WORKER_SHARE=yes DRAY_STORE_WAIT_MS=10000
  ENTRIES=$DRAY_BUILD/tests/scenario/entries
  LIAR=$DRAY_BUILD/tests/scenario/lyingworker
  [ -x "$ENTRIES" ] && [ -x "$LIAR" ] || { echo "not built: $ENTRIES $LIAR" >&2; return 1; }
}
# farm SAMPLE: a coordinator that has one in SAMPLE compiled again. Its list has no worker yet.
farm() {
  as_root
  a_place
  allow client client
  DRAY_COORDINATOR_SAMPLE=$1 coordinator_start
}
# listed NAME: that worker's key is in the list, and the coordinator has read it.
listed() {
  identity "$1"
  if ! grep -qF "$(curve_public "$1")" "$FARM/allowed"; then
    allow worker "$1" sign
    wait_until 10 file_has "$LOGS/coordinator" "keys=$(grep -c . "$FARM/allowed")"
  fi
}
# start NAME [PROGRAM] [ARG…]: that worker; its pid is in PID_NAME. The first one that is listed is all that there is, so what
# it shares is taken.
start() {
  local name=$1 program=${2:-$PLACE/bin/dray-worker}
  listed "$name"
  start_daemon "worker-$name" "${RUN[@]}" "$program" --config "$FARM/empty.conf" --name "$name" \
    --coordinator "$COORDINATOR_EP" --coordinator-key "$FARM/keys/coordinator.pub" --identity "$FARM/keys/$name" \
    --listen 'tcp://127.0.0.1:*' --state-dir "$PLACE/state-$name" --slots 2 \
    -o "worker.toolchain_dirs=$PLACE/toolchain" -o worker.user=nobody "${@:3}" || return 1
  printf -v "PID_$name" %s "$DAEMON_PID"
}
liar() {
  mkdir "$PLACE/liar"
  cp "$PLACE"/bin/* "$PLACE/liar/"
  cp "$LIAR" "$PLACE/liar/dray-worker"
  chmod -R a+rX "$PLACE/liar"
  start "$1" "$PLACE/liar/dray-worker"
}
stop() {
  local w pid
  for w in "$@"; do
    pid=PID_$w
    kill -TERM "${!pid}"
  done
  for w in "$@"; do
    pid=PID_$w
    wait_until 10 is_gone "${!pid}"
  done
}
# project: two libraries, and a program on them.
project() {
  package "$WORK/app" app
  for p in small other; do
    package "$WORK/$p" "$p" lib
    depends "$WORK/app" "$p" "$WORK/$p"
  done
}
# status: what the coordinator says of itself.
status() {
  "$DRAY_BUILD/client/dray-dispatch" --status --json >"$LOGS/status.json"
}
# status_is FILTER: jq's, of that.
status_is() {
  status && jq -e "$1" "$LOGS/status.json" >/dev/null
}
# makers: who made what is in the coordinator's cache: a line each, "CRATE KEY".
makers() {
  "$ENTRIES" "$FARM/shared/ns/entries" "$DRAY_CACHE_DIR" "" | awk '{ print $5, $4 }' | sort
}
made_by() {
  [ -d "$FARM/shared/ns/entries" ] && there "${1%% *}" && [ "$(makers | awk '{ print $2 }' | sort -u)" = "${1##* }" ]
}
# made_are CRATE…: of these there is something, and of no others.
made_are() {
  [ "$(makers | awk '{ print $1 }' | sort -u | tr '\n' ' ')" = "$* " ]
}
# there N: so many entries, or more, are in the coordinator's cache.
there() {
  [ "$(find "$FARM/shared/ns/entries" -type f 2>/dev/null | wc -l)" -ge "$1" ]
}
none_there() {
  fails there 1
}

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

# lies CRATE…: packages, and a program on them, in $WORK/CLIENT; that client has it built.
lies() {
  local p client=$1
  package "$WORK/$client" "app-$client"
  for p in "${@:2}"; do
    package "$WORK/$p" "$p" lib
    depends "$WORK/$client" "$p" "$WORK/$p"
  done
  as_client "$client"
  cached "$client" "$WORK/$client" build
}
# as_client NAME: what is built now is that client's, with a cache of its own.
as_client() {
  client_env
  export DRAY_IDENTITY=$FARM/keys/$1 DRAY_CACHE_DIR=$BATS_TEST_TMPDIR/cache-$1
  export JOBS=$DRAY_CACHE_DIR/jobs.jsonl DRAY_JOB_LOG=$DRAY_CACHE_DIR/jobs.jsonl
}
said() {
  file_has "$LOGS/coordinator" "$1"
}
# withheld WORKER CLIENT: what it makes for that client is not taken, the coordinator said.
withheld() {
  grep -F " what it makes for client=$(curve_public "$2") is not taken any more" "$LOGS/coordinator" | grep -q "worker=$1 "
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
