#!/usr/bin/env bats
# Each message of each role, and each command, at a coordinator and a worker that run: what the table in
# proto/admit.c does not allow is refused, written down, and shows nothing (tests/authorisation/authorise.c).
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/page.bash"

AUTHORISE=$DRAY_BUILD/tests/authorisation/authorise
COMMANDS=$DRAY_TOP/tests/authorisation/commands
DRAYCTL=$DRAY_BUILD/drayctl/drayctl
SHARER=$DRAY_BUILD/tests/scenario/sharer
SECRET=zqsecret

scenario_setup() {
  [ -x "$AUTHORISE" ] || { echo "not built: $AUTHORISE" >&2; return 1; }
}

# allow_in ROLE NAME NAMESPACE [MORE]
allow_in() {
  identity "$2"
  printf '%s %s %s namespace=%s%s\n' "$1" "$(curve_public "$2")" "$2" "$3" "${4:+ $4}" >>"$FARM/allowed"
}
# one_of_each: a key of each role, all of one namespace.
one_of_each() {
  local role
  for role in client reader publisher worker; do
    allow_in $role $role alpha
  done
  allow admin admin
}
# at_coordinator WHAT KEY…: authorise guest, or shut.
at_coordinator() {
  local what=$1
  shift
  "$AUTHORISE" "$what" "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "${@/#/$FARM/keys/}"
}

@test "the table for people is that of the code, and has each command" {
  "$AUTHORISE" table "$COMMANDS" | diff "$DRAY_TOP/doc/authorisation.md" - ||
    { echo "doc/authorisation.md is not what tests/authorisation/authorise table tests/authorisation/commands prints"; return 1; }
  awk -F'\t' '$1 == "command" { print $2 " " $3 } $1 == "program" { print $2 }' "$DRAY_TOP/dist/completion/words" |
    grep -vx -e dray -e drayctl | sort >"$WORK/commands"
  sed -n 's/^\([a-z].*\): .*/\1/p' "$COMMANDS" | sort >"$WORK/rows"
  [ -z "$(comm -23 "$WORK/commands" "$WORK/rows")" ]
}

@test "each message of each role at a coordinator and a worker: refused, written down, and nothing is shown" {
  local role what blob
  one_of_each
  allow_in client $SECRET-client $SECRET-space
  allow_in publisher $SECRET-ci $SECRET-space
  allow worker w1
  coordinator_start
  worker_start w1
  client_env
  # what the others may not see: a blob, and a job that compiles, of another namespace
  printf '%s %s\n' $SECRET "$(head -c 300 /dev/urandom | base64 -w 0)" >"$WORK/blob"
  DRAY_IDENTITY=$FARM/keys/$SECRET-ci "$SHARER" put "$WORK/blob"
  blob=$(sha256sum "$WORK/blob" | cut -c1-64)
  package "$WORK/held" ${SECRET}crate lib
  slow_before | sed 's/900_000/200_000/' >"$WORK/held/src/lib.rs"
  DRAY_IDENTITY=$FARM/keys/$SECRET-client build_start held "$WORK/held" build
  wait_until 30 worker_compiles "$WORKER_PID" ${SECRET}crate
  hold "$WORKER_PID" ${SECRET}crate
  "$AUTHORISE" run "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$WORKER_EP" "$FARM/keys/w1.pub" "$FARM/keys" \
    $SECRET "$blob" $SECRET-space "$("$DRAYCTL" toolchain list --json 3>&- | jq -r '.toolchains[0].id')"
  # who tried to be an admin, and with what
  for role in client reader publisher worker; do
    for what in AdminLook AdminAct AdminFollow CachePurge; do
      jq -es --arg r "$role" --arg w "$what" 'any(.[]; .act == $w and .who == $r and .result == "refused")' \
        "$FARM/shared/refused.log" >/dev/null
    done
  done
  # all serves on, and the job of the other namespace is untouched
  release
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job ${SECRET}crate where)" = farm ]
}

# bats test_tags=long
@test "a worker lets no key in that its coordinator has not named to it, whatever its role" {
  one_of_each
  allow worker w1
  coordinator_start
  worker_start w1
  "$AUTHORISE" shut "$WORKER_EP" "$FARM/keys/w1.pub" "$FARM/keys/"{client,reader,publisher,worker,admin}
}

@test "who has no key, a revoked one, or one whose time is over; a guest may join, and no more" {
  one_of_each
  identity nobody
  allow_in client gone alpha revoked
  allow_in client over alpha until=1500000000
  # joined by OpenID Connect, until long ago
  identity guest
  mkdir -p "$FARM/shared"
  printf 'dray-passes 1\n%s %s publisher run-1 alpha %s %s %064d 0\n' "$(curve_public guest)" "$(sign_of guest)" \
    $(($(date +%s) - 60)) $(($(date +%s) + 86400)) 5 >"$FARM/shared/passes"
  chmod 600 "$FARM/shared/passes"
  coordinator_start
  at_coordinator shut nobody gone over guest
  "$DRAYCTL" token create --role client --name next 3>&- >"$WORK/token"
  at_coordinator guest guest
  # of a revoked one that is not so
  at_coordinator shut gone
}

# refused_as ROLE COMMAND…: drayctl from afar, with that role's key.
refused_as() {
  local status=0
  DRAY_IDENTITY=$FARM/keys/$1 "$DRAYCTL" "${@:2}" --remote >"$LOGS/ctl" 2>&1 3>&- || status=$?
  [ "$status" -eq 1 ] && file_has "$LOGS/ctl" "is allowed as $1, not as admin"
}

@test "no command of drayctl does anything with another key than an admin's" {
  local command role
  one_of_each
  coordinator_start
  export DRAY_COORDINATOR=$COORDINATOR_EP DRAY_COORDINATOR_KEY=$FARM/keys/coordinator.pub DRAY_CONNECT_MS=10000
  for role in client reader publisher worker; do
    refused_as $role status
  done
  while read -r command; do
    case $command in
      'key add') set -- client "$(curve_public admin)" ;;
      'key revoke' | drain | resume | remove | 'toolchain '[pru]*) set -- admin ;;
      'token create') set -- --role admin ;;
      'token revoke') set -- 00000000 ;;
      'cache purge') set -- --namespace alpha ;;
      # it needs a terminal, and says the same as status and events
      top) continue ;;
      *) set -- ;;
    esac
    # shellcheck disable=SC2086
    refused_as client $command "$@" || { echo "drayctl $command"; cat "$LOGS/ctl"; return 1; }
  done < <(sed -n 's/^drayctl \(.*\): [^-].*/\1/p' "$COMMANDS")
  # and one that is
  DRAY_IDENTITY=$FARM/keys/admin "$DRAYCTL" key list --remote 3>&- | grep -q publisher
}

@test "another user's process is no admin on the coordinator's own socket; the page without its token answers nothing" {
  local path
  one_of_each
  printf 'a-word-of-the-admin\n' >"$FARM/word"
  chmod 600 "$FARM/word"
  page_start -o coordinator.page_token="$FARM/word"
  for path in / /metrics /api/v1/status /api/v1/workers /api/v1/queue /api/v1/jobs /api/v1/slowest /api/v1/faults \
    /api/v1/history /api/v1/schema /api/v1/events; do
    [[ $(status_of $path) == 40[13] || $path == / ]] || { echo "$path: $(status_of $path)"; return 1; }
    fails grep -q publisher <(get $path 2>&1 || true)
  done
  [ "$(status_of /metrics -H 'Authorization: Bearer a-word-of-the-admin')" = 200 ]
  [ "$(stat -c %a "$FARM/shared/admin")" = 600 ]
  [ "$(id -u)" -eq 0 ] || skip "to be another user needs root"
  pass_to "$FARM"
  chmod o+x "$FARM/shared"
  "$DRAYCTL" status --socket "$FARM/shared/admin" 3>&- >/dev/null
  # the modes alone do not say it
  chmod 666 "$FARM/shared/admin"
  run -1 setpriv --reuid 65534 --regid 65534 --clear-groups "$DRAYCTL" status --socket "$FARM/shared/admin" --config "$FARM/empty.conf"
  echo "$output"
  fails grep -q workers <<<"$output"
}
