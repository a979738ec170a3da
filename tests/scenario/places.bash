# Far places for scenarios: tests/scenario/place, which does what lines tell it, and real servers.

PLACE_PROGRAM=$DRAY_BUILD/tests/scenario/place

# place URL: runs the program on the lines of stdin; its own go to $LOGS/place, and to stdout.
place() {
  mkdir -p "$WORK/tmp"
  PLACE=$1 timeout $((60 * PATIENCE)) "$PLACE_PROGRAM" "$WORK/tmp" >"$LOGS/place" || true
  cat "$LOGS/place"
}

# place_begin URL: the same, and lines come by `say LINE`, until place_end. Sets PLACE_PID.
place_begin() {
  mkdir -p "$WORK/tmp"
  rm -f "$FARM/lines"
  mkfifo "$FARM/lines"
  PLACE=$1 "$PLACE_PROGRAM" "$WORK/tmp" <"$FARM/lines" >"$LOGS/place" 3>&- &
  PLACE_PID=$!
  STARTED+=("$PLACE_PID")
  exec {LINES_FD}>"$FARM/lines"
}
say() {
  printf '%s\n' "$@" >&"$LINES_FD"
}
place_end() {
  exec {LINES_FD}>&-
  LINES_FD=
  wait_until 60 is_gone "$PLACE_PID"
  cat "$LOGS/place"
}
# said REGEX [N]: whether a line is so; N lines.
said() {
  [ "$(grep -cE -- "$1" "$LOGS/place")" -ge "${2:-1}" ]
}
# Of the last line that is so, how long it took.
took_ms() {
  grep -E -- "$1" "$LOGS/place" | tail -n 1 | sed 's/.* //'
}
# took_less MS REGEX
took_less() {
  local ms
  ms=$(took_ms "$2")
  [ "$ms" -lt $(($1 * PATIENCE)) ] || { echo "took $ms ms: $2" >&2; return 1; }
}

digest_of() {
  sha256sum "$1" | cut -c 1-64
}

# key TEXT: the name of an entry.
key() {
  printf '%s' "$1" | sha256sum | cut -c 1-64
}

# contents [LARGER]: sets $A, of 13 bytes, $B, which is large and shrinks, if that is asked for, their names, and
# NONE, the name of nothing.
contents() {
  A=$WORK/a
  echo 'some content' >"$A"
  A_NAME=$(digest_of "$A")
  NONE=$(key none)
  B='' B_NAME=''
  [ -n "${1:-}" ] || return 0
  B=$WORK/b
  seq 1 200000 >"$B"
  B_NAME=$(digest_of "$B")
}

# does_all URL [SECRET]: all that a place does, of one in which what `contents` made is not yet; SECRET is not to be
# seen anywhere. Places differ in HAS_SIZE, what `has` says of $A, and in PUT_AGAIN, what a second put says.
does_all() {
  local url=$1 secret=${2:-no-secret-here}
  rm -f "$WORK/back" "$WORK/back-b" "$WORK/entry"
  echo first >"$WORK/entry-1"
  echo second >"$WORK/entry-2"
  place "$url" <<END
has $A_NAME
wait
put $A
${B:+put $B}
wait
put $A
has $A_NAME
has $NONE
get $A_NAME $WORK/back
${B:+get $B_NAME $WORK/back-b}
get $NONE $WORK/none
put-entry $NONE $WORK/entry-1
wait
put-entry $NONE $WORK/entry-2
wait
get-entry $NONE $WORK/entry
has-entry $A_NAME
max 12
get $A_NAME $WORK/none
END
  said "^has $A_NAME error ENOENT"
  said "^put 0 $A_NAME 13"
  said "^put ${PUT_AGAIN:-1} $A_NAME 13"
  said "^put [01] $A_NAME 13" 2
  said "^has $A_NAME ${HAS_SIZE:-13} "
  said "^has $NONE error ENOENT"
  said "^get $NONE error ENOENT"
  said "^has-entry $A_NAME error ENOENT"
  said "^get $A_NAME error EFBIG"
  cmp "$A" "$WORK/back"
  [ -z "$B" ] || cmp "$B" "$WORK/back-b"
  cmp "$WORK/entry-2" "$WORK/entry"
  fails grep -rqF -- "$secret" "$LOGS"
}

# does_many URL N SIZE: N blobs at once, there and back.
does_many() {
  place "$1" <<END
many $2 $3
wait
many-get $2 $3
END
  said '^many failed 0 there 0 '
  said "^many-get failed 0 there 0 bytes $(($2 * $3)) "
}

# ---- Redis

# redis_start NAME [ARGS…]: sets REDIS_PID and REDIS_SOCK; the server has no port unless ARGS say so.
redis_start() {
  local name=$1
  shift
  mkdir -p "$FARM/$name"
  REDIS_SOCK=$FARM/$name/sock
  (
    [ -z "${LINES_FD:-}" ] || exec {LINES_FD}>&-
    exec redis-server --port 0 --unixsocket "$REDIS_SOCK" --dir "$FARM/$name" --save '' --daemonize no "$@" \
      >>"$LOGS/$name" 2>&1 </dev/null 3>&-
  ) &
  REDIS_PID=$!
  STARTED+=("$REDIS_PID")
  wait_until 10 redis_is_up || { cat "$LOGS/$name"; return 1; }
}
redis_is_up() {
  redis_cli ping 2>&1 | grep -qE 'PONG|NOAUTH'
}
redis_cli() {
  [ -z "${REDIS_PASSWORD:-}" ] || local -x REDISCLI_AUTH=$REDIS_PASSWORD
  redis-cli -s "$REDIS_SOCK" "$@" 2>/dev/null | sed '/^$/d'
}

# free_port: a port of loopback on which nobody listens just now.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 8<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo $port
}

# ---- certificates

# certificates DIR: an authority (ca.pem), and in its name a server of localhost and 127.0.0.1 (server.pem,
# server.key), one of another name (other.*), and a client (client.*).
certificates() {
  local dir=$1 name alt
  mkdir -p "$dir"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
    -keyout "$dir/ca.key" -out "$dir/ca.pem" 2>/dev/null
  for name in server other client; do
    alt=DNS:localhost,IP:127.0.0.1
    [ "$name" != other ] || alt=DNS:elsewhere.test
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
      -keyout "$dir/$name.key" -out "$dir/$name.csr" 2>/dev/null
    openssl x509 -req -in "$dir/$name.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
      -extfile <(echo "subjectAltName=$alt") -out "$dir/$name.pem" 2>/dev/null
  done
}
