#!/usr/bin/env bats
# From nothing to a joined pool by tokens: no key is copied by hand. What is of no use as a token lets nobody in.
. "$BATS_TEST_DIRNAME/lib.bash"

DRAYCTL=$DRAY_BUILD/drayctl/drayctl

ctl() {
  "$DRAYCTL" "$@" 3>&-
}
# token ARGS…: makes one; its word is in TOKEN.
token() {
  TOKEN=$(ctl token create "$@" 2>"$LOGS/token.err")
}
# exits N COMMAND…: what it printed is in $LOGS/out and $LOGS/err.
exits() {
  local status=0
  "${@:2}" >"$LOGS/out" 2>"$LOGS/err" 3>&- || status=$?
  [ "$status" -eq "$1" ] || { echo "exit status $status of: ${*:2}"; cat "$LOGS/err"; return 1; }
}
said() {
  file_has "$LOGS/$1" "$2"
}
# login WHO ARGS…: with a configuration of that user's own.
login() {
  mkdir -p "$FARM/home-$1"
  "$DRAY" login --config "$FARM/home-$1/dray.conf" "${@:2}" 3>&-
}
audited() {
  jq -es --arg a "$1" --arg r "$2" --arg w "$3" \
    'any(.[]; .act == $a and .result == $r and ((.what + " " + .why) | contains($w)))' \
    "$FARM/shared/$([ "$2" = refused ] && echo refused || echo audit).log" >/dev/null
}
# Cargo goes through dray, by that user's configuration alone.
user_env() {
  export RUSTC_WRAPPER=$DRAY DRAY_CONFIG=$FARM/home-$1/dray.conf DRAY_OFFLOAD=always DRAY_LINKER=rustc
  export DRAY_CONNECT_MS=${DRAY_CONNECT_MS:-5000}
  seed_client
}

@test "a worker and a user join by tokens, and a build runs there; a token is of use once, and to nobody else" {
  coordinator_start
  [ ! -s "$FARM/allowed" ]
  token --role worker --name w1
  [[ "$TOKEN" =~ ^dray1-[A-Za-z0-9_-]{72}$ ]]
  file_has "$LOGS/token.err" 'dray-worker join'
  mkdir -p "$FARM/w1"
  printf '# of this machine\n[worker]\nslots = 2\n' >"$FARM/w1/dray.conf"
  exits 0 "$WORKER" join --config "$FARM/w1/dray.conf" "$COORDINATOR_EP" "$TOKEN"
  said out 'joined as worker w1'
  # the fingerprint that the admin was shown
  said out "fingerprint $(sed -n 's/.*: \([0-9a-f:]*\)$/\1/p' "$LOGS/token.err")"
  [ "$(head -n 3 "$FARM/w1/dray.conf")" = "$(printf '# of this machine\n[worker]\nslots = 2')" ]
  [ "$(stat -c %a "$FARM/w1/worker")" = 600 ]
  # it goes by the name that the list has
  file_has "$FARM/w1/worker" '^name = w1$'
  seed_worker w1 --config "$FARM/w1/dray.conf" --listen 'tcp://127.0.0.1:*' --state-dir "$FARM/state-w1"
  start_daemon worker-w1 "$WORKER" --config "$FARM/w1/dray.conf" --listen 'tcp://127.0.0.1:*' --state-dir "$FARM/state-w1"
  token --role client --namespace team
  exits 0 login ann --name ann --json "$COORDINATOR_EP" "$TOKEN"
  jq -e '.joined and (.already | not) and .role == "client" and .name == "ann" and .namespace == "team"' "$LOGS/out"
  grep -q '^client .* ann namespace=team$' "$FARM/allowed"
  audited join done 'client ann namespace=team'
  # once more: it is said, and nothing is spent; another key has nothing of it
  exits 0 login ann "$COORDINATOR_EP" "$TOKEN"
  said out 'joined before, and no token was spent'
  exits 1 login bob --name bob "$COORDINATOR_EP" "$TOKEN"
  said err 'was used already'
  audited join refused 'was used already'
  [ ! -e "$FARM/home-bob/dray.conf" ]
  fails grep -q bob "$FARM/allowed"
  user_env ann
  package "$WORK/hello" hello lib
  build hello "$WORK/hello" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job hello where)" = farm ]
  [ "$(job hello worker)" = w1 ]
}

@test "expired, revoked, unknown and foreign tokens; another role; a list that cannot be written; a coordinator that is started again" {
  local id
  allow admin boss
  coordinator_start
  exits 2 ctl token create
  exits 1 ctl token create --role client --ttl 90d
  said err '30 days at most'
  token --role client --ttl 1s
  wait_until 5 eval 'ctl token list --json | jq -e ".tokens[0].state == \"expired\"" >/dev/null'
  exits 1 login ann "$COORDINATOR_EP" "$TOKEN"
  said err 'has expired'
  token --role client
  id=$(ctl token list --json | jq -r '.tokens[] | select(.state == "live").id')
  exits 0 ctl token revoke "$id"
  exits 1 login ann "$COORDINATOR_EP" "$TOKEN"
  said err 'was revoked'
  # by an admin from afar; the word of another farm's coordinator
  export DRAY_COORDINATOR=$COORDINATOR_EP DRAY_IDENTITY=$FARM/keys/boss DRAY_COORDINATOR_KEY=$FARM/keys/coordinator.pub
  token --role client --uses 2 --remote
  unset DRAY_COORDINATOR DRAY_IDENTITY DRAY_COORDINATOR_KEY
  audited 'token create' done 'client several uses'
  exits 1 "$WORKER" join --config "$FARM/w.conf" "$COORDINATOR_EP" "$TOKEN"
  said err 'dray login'
  exits 2 login ann "$COORDINATOR_EP" "${TOKEN%?}"
  said err 'not a whole one'
  exits 2 login ann "ipc://$FARM/x" "$TOKEN"
  exits 3 login ann --wait 0.3 tcp://127.0.0.1:9 "$TOKEN"
  said err 'no coordinator answers'
  # nobody has joined
  [ "$(grep -c . "$FARM/allowed")" -eq 1 ]
  # it lives on when the coordinator is killed, and is read from standard input
  kill_hard "$COORDINATOR_PID"
  coordinator_start
  exits 0 login ann --name ann --print "$COORDINATOR_EP" - <<<"$TOKEN"
  said out "^coordinator = $COORDINATOR_EP$"
  [ ! -e "$FARM/home-ann/dray.conf" ]
  # beside others, which stay
  mkdir -p "$FARM/home-bob"
  touch "$FARM/a.pub" "$FARM/b.pub"
  printf '[client]\ncoordinator = tcp://a:1, tcp://b:2 ; two\ncoordinator_key = %s\n' "$FARM/a.pub, $FARM/b.pub" >"$FARM/home-bob/dray.conf"
  exits 0 login bob --name bob "$COORDINATOR_EP" "$TOKEN"
  file_has "$FARM/home-bob/dray.conf" "^coordinator = tcp://a:1, tcp://b:2, $COORDINATOR_EP ; two$"
  file_has "$FARM/home-bob/dray.conf" "^coordinator_key = $FARM/a.pub, $FARM/b.pub, $FARM/home-bob/coordinator.pub$"
  exits 0 login bob "$COORDINATOR_EP" "$TOKEN"
  file_has "$FARM/home-bob/dray.conf" "^coordinator = tcp://a:1, tcp://b:2, $COORDINATOR_EP ; two$"
  ctl token list >"$LOGS/list"
  file_has "$LOGS/list" 'used *2/2'
  [ "$(wc -L <"$LOGS/list")" -le 80 ]
  if [ "$(id -u)" -ne 0 ]; then
    token --role client
    chmod a-w "$FARM"
    exits 1 login cid --name cid "$COORDINATOR_EP" "$TOKEN"
    chmod u+w "$FARM"
    said err 'cannot be written'
    exits 0 login cid --name cid "$COORDINATOR_EP" "$TOKEN"
  fi
}

@test "tokens whose file is damaged are none: it is put aside, and nobody is let in" {
  mkdir -p "$FARM/shared"
  coordinator_start
  token --role client
  kill_hard "$COORDINATOR_PID"
  sed -i '$s/uses=1/uses=9999/' "$FARM/shared/tokens"
  coordinator_start
  wait_until 5 file_has "$LOGS/coordinator" 'nobody joins by one'
  [ -e "$FARM/shared/tokens.bad" ]
  exits 1 login ann "$COORDINATOR_EP" "$TOKEN"
  said err 'lets in no key that it does not know'
}
