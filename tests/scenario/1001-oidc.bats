#!/usr/bin/env bats
# A run of a CI joins by its identity provider's token, and no secret is kept anywhere: what the rules say, and nobody else.
. "$BATS_TEST_DIRNAME/lib.bash"

DRAYCTL=$DRAY_BUILD/drayctl/drayctl

# exits N COMMAND…: what it printed is in $LOGS/out and $LOGS/err.
exits() {
  local status=0
  "${@:2}" >"$LOGS/out" 2>"$LOGS/err" 3>&- || status=$?
  [ "$status" -eq "$1" ] || { echo "exit status $status of: ${*:2}"; cat "$LOGS/err"; return 1; }
}
said() {
  file_has "$LOGS/$1" "$2"
}
new_key() {
  openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$I/$1.pem" 2>/dev/null ||
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$I/$1.pem" 2>/dev/null
  openssl pkey -in "$I/$1.pem" -pubout -out "$I/$1.pub.pem"
}
# issuer_start: a real one, over TLS; its URL is ISSUER.
issuer_start() {
  I=$FARM/issuer
  mkdir -p "$I"
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -days 1 \
    -keyout "$I/key.pem" -out "$I/cert.pem" 2>/dev/null
  new_key one
  python3 "$BATS_TEST_DIRNAME/issuer.py" "$I" >"$LOGS/issuer" 2>&1 </dev/null 3>&- &
  STARTED+=($!)
  wait_until 5 test -e "$I/port"
  ISSUER=https://localhost:$(cat "$I/port")
}
# rules CLAIMS ROLE [MEMBERS]: one rule.
rules() {
  jq -n --arg i "$ISSUER" --argjson c "$1" --arg r "$2" --argjson more "${3:-{\}}" \
    '{issuers: [{issuer: $i, audience: "dray", allow: [{role: $r, claims: $c} + $more]}]}' >"$FARM/oidc.json"
}
part() {
  openssl base64 -A | tr '+/' '-_' | tr -d =
}
# token KEY FILTER: in $FARM/token, signed by openssl; jq's filter changes its claims.
token() {
  local now text
  now=$(date +%s)
  text=$(printf '{"alg":"RS256","typ":"JWT","kid":"%s"}' "$1" | part)
  text+=.$(jq -nc --arg i "$ISSUER" --argjson n "$now" '{iss: $i, aud: "dray", sub: "repo:example/web:ref:refs/heads/main",
    repository: "example/web", ref_protected: "true", iat: $n, nbf: $n, exp: ($n + 300), jti: "'"$RANDOM$RANDOM"'"} | '"${2:-.}" | part)
  printf '%s.%s\n' "$text" "$(printf %s "$text" | openssl dgst -sha256 -sign "$I/$1.pem" -binary | part)" >"$FARM/token"
}
# login WHO ARGS…: with a configuration of that run's own.
login() {
  mkdir -p "$FARM/home-$1"
  "$DRAY" login --config "$FARM/home-$1/dray.conf" --id-token "$FARM/token" "${@:2}" "$COORDINATOR_EP" \
    "$FARM/keys/coordinator.pub" 3>&-
}
audited() {
  jq -es --arg r "$1" --arg w "$2" 'any(.[]; .act == "join" and .result == $r and ((.what + " " + .why) | contains($w)))' \
    "$FARM/shared/$([ "$1" = done ] && echo audit || echo refused).log" >/dev/null
}
farm_with_rules() {
  export DRAY_COORDINATOR_OIDC=$FARM/oidc.json DRAY_COORDINATOR_OIDC_CA=$I/cert.pem
  coordinator_start
}

@test "a run of the CI joins by its token, and builds; it lives on over a restart, and is let in no more when it is revoked" {
  issuer_start
  rules '{"repository": "example/web", "ref_protected": "true"}' client '{"namespace": "web", "ttl": "1h"}'
  farm_with_rules
  worker_start w1
  token one
  exits 0 login run --json
  jq -e '.role == "client" and .namespace == "web" and (.name | startswith("ci-repo-example-web"))' "$LOGS/out"
  audited done "sub=repo:example/web"
  fails grep -q ci-repo "$FARM/allowed"
  [ "$(stat -c %a "$FARM/shared/passes")" = 600 ]
  export RUSTC_WRAPPER=$DRAY DRAY_CONFIG=$FARM/home-run/dray.conf DRAY_OFFLOAD=always DRAY_LINKER=rustc DRAY_CONNECT_MS=5000
  seed_client
  package "$WORK/hello" hello lib
  build hello "$WORK/hello" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job hello where)" = farm ]
  # the token is of no use to another key, once more to this one no harm; a fresh one renews its time
  exits 0 login run
  said out 'had joined before'
  exits 1 login other
  said err 'has joined before'
  token one
  exits 0 login run
  # it lives on when the coordinator is killed
  kill_hard "$COORDINATOR_PID"
  coordinator_start
  wait_until 10 eval '"$DRAYCTL" key list --json 3>&- | jq -e "any(.keys[]; .name | startswith(\"ci-repo\"))" >/dev/null'
  exits 0 "$DRAYCTL" key revoke "$("$DRAYCTL" key list --json 3>&- | jq -r '.keys[].name | select(startswith("ci-repo"))')"
  token one
  exits 1 login run
  said err 'was revoked'
  grep -q 'ci-repo.* revoked$' "$FARM/allowed"
  [ "$(grep -c keys "$I/requests")" -eq 1 ]
}

@test "no token: of another issuer, audience, time, key or rule; what CI variables say counts for nothing" {
  issuer_start
  new_key other
  rm "$I/other.pub.pem"
  rules '{"repository": "example/web", "ref_protected": "true"}' publisher
  farm_with_rules
  no() {
    token "$2" "$3"
    exits 1 login run
    said err "$1"
    audited refused "$1"
  }
  no 'does not know its issuer' one '.iss = "https://localhost:1"'
  no 'for somebody else' one '.aud = "dray2"'
  no 'has expired' one '.exp = .iat - 100'
  no 'does not count yet' one '.nbf += 600'
  no 'No rule' one '.repository = "example/web2"'
  no 'No rule' one '.ref_protected = "false"'
  no 'no such key' other .
  token one
  sed -i 's/\.[^.]*$/.AAAA/' "$FARM/token"
  exits 1 login run
  said err 'signature is wrong'
  # tokens of unknown keys make nobody ask the issuer more than once a minute
  for _ in 1 2 3; do token other && exits 1 login run; done
  [ "$(grep -c keys "$I/requests")" -eq 1 ]
  [ ! -e "$FARM/home-run/dray.conf" ]
  [ ! -s "$FARM/allowed" ]
  # the rest of the farm goes on while the issuer does not answer
  kill_hard "$COORDINATOR_PID"
  touch "$I/hang"
  coordinator_start
  token one
  (login run >"$LOGS/hung" 2>&1; echo "status $?" >>"$LOGS/hung") &
  wait_until 5 eval '[ "$(grep -c well-known "$I/requests")" -ge 2 ]'
  exits 0 "$DRAYCTL" status
  rm "$I/hang"
  wait_until 10 file_has "$LOGS/hung" 'status 0'
  file_has "$LOGS/hung" 'joined as publisher ci-repo-example-web'
}

@test "rules that let in everybody, or make no sense, are said, and nothing starts" {
  issuer_start
  rules '{"ref_protected": "true"}' client
  export DRAY_COORDINATOR_OIDC=$FARM/oidc.json DRAY_COORDINATOR_OIDC_CA=$I/cert.pem
  fails coordinator_start
  file_has "$LOGS/coordinator" 'does not say whose runs'
}
