# What the scenarios have in common where a coordinator says whose results count.

scenario_setup() {
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on DRAY_SCRIPTS=on DRAY_OFFLOAD=never
  export RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
  # a busy machine may take longer
  export DRAY_STORE_WAIT_MS=10000 DRAY_CONNECT_MS=10000
  STORE=$BATS_TEST_TMPDIR/store
  mkdir -p "$STORE"
}

# vouch ROLE NAME [WORD…]: makes the identity, and a line of it in the list, with its signing key.
vouch() {
  identity "$2"
  vouch_line "$@" >>"$FARM/allowed"
}
vouch_line() {
  local role=$1 name=$2 space= more=()
  shift 2
  for word in "$@"; do
    [[ "$word" = namespace=* ]] && space=" $word" || more+=("$word")
  done
  printf '%s %s %s%s sign=%s%s\n' "$role" "$(curve_public "$name")" "$name" "$space" "$(signs "$name")" "${more[*]:+ ${more[*]}}"
}
# revouch ROLE NAME [WORD…]: the line of that name becomes this one, and the coordinator knows it.
revouch() {
  local before
  before=$(grep -c 'allowed keys read again' "$LOGS/coordinator" || true)
  grep -v " $2[ ]*\( .*\)*\$" "$FARM/allowed" >"$FARM/allowed.new" || true
  [ "$1" = none ] || vouch_line "$@" >>"$FARM/allowed.new"
  mv "$FARM/allowed.new" "$FARM/allowed"
  wait_until 10 read_again "$before"
}
read_again() {
  [ "$(grep -c 'allowed keys read again' "$LOGS/coordinator")" -gt "$1" ]
}
# of_farm MACHINE KEY [readwrite]: from here on builds run there, as a client of the coordinator with that key.
of_farm() {
  machine "$1" reader
  export DRAY_COORDINATOR=$COORDINATOR_EP DRAY_COORDINATOR_KEY=$FARM/keys/coordinator.pub DRAY_IDENTITY=$FARM/keys/$2
  export DRAY_REMOTE_MODE=${3:-read}
}
# anew LABEL DIR: a build with nothing of it here.
anew() {
  clean "$2"
  "$DRAY" clear >"$LOGS/clear" 2>&1
  cached "$1" "$2" build
}
