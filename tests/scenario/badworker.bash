# A farm whose worker answers wrongly (badworker.c). Sourced after lib.bash.

BADWORKER=$DRAY_BUILD/tests/scenario/badworker

# bad_farm LINE…: a farm of one worker, whose answers are changed so.
bad_farm() {
  allow client client
  allow worker w1
  coordinator_start
  mkfifo "$FARM/bad.in"
  "$BADWORKER" "$FARM/keys/w1" "$FARM/keys/client" "$FARM/bad" <"$FARM/bad.in" >"$LOGS/bad" 2>&1 3>&- &
  STARTED+=($!)
  exec {ORDERS}>"$FARM/bad.in"
  wait_until 5 test -s "$LOGS/bad"
  worker_start w1 --advertise "$(head -n 1 "$LOGS/bad")"
  printf '%s\n' "$WORKER_EP" "$@" >"$FARM/bad"
  client_env
  package "$WORK/app" app
  dependency "$WORK/app" dep
  echo 'fn main() { println!("{}", dep::answer()); }' >"$WORK/app/src/main.rs"
}
