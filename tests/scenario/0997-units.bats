#!/usr/bin/env bats
# The services as systemd sees them: no setting that it does not know, and how much of the machine they are exposed to.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

scenario_setup() {
  command -v systemd-analyze >/dev/null || skip "systemd-analyze is not installed"
  UNITS=$DRAY_BUILD/dist/systemd
}
# exposure SERVICE: in tenths.
exposure() {
  # for its colours and words it looks at the terminal and the locale
  LC_ALL=C SYSTEMD_COLORS=0 systemd-analyze security --offline=true "$UNITS/$1" >"$LOGS/security-$1" 2>&1
  sed -nE 's/.*Overall exposure level for [^:]*: ([0-9]+)\.([0-9]).*/\1\2/p' "$LOGS/security-$1"
}

# The numbers are in doc/packaging.md, with what stays open and why.
@test "a coordinator's exposure is 2.0 at most, a worker's 5.5" {
  systemd-analyze security --help | grep -q -- --offline || skip "this systemd-analyze looks at running services only"
  local n
  n=$(exposure dray-coordinator.service)
  [ -n "$n" ]
  [ "$n" -le 20 ]
  n=$(exposure dray-worker.service)
  [ -n "$n" ] && [ "$n" -le 55 ]
}

@test "systemd knows each setting of the services and of their users" {
  local name
  for name in coordinator worker; do
    # what it starts need not be installed
    sed -E "s|^ExecStart=[^ ]*|ExecStart=$DRAY_BUILD/$name/dray-$name|" "$UNITS/dray-$name.service" >"$WORK/dray-$name.service"
    systemd-analyze verify --man=no "$WORK/dray-$name.service" >"$LOGS/verify-$name" 2>&1
    # of the machine's own units it may complain
    fails grep "dray-$name" "$LOGS/verify-$name"
    mkdir -p "$WORK/root/etc"
    systemd-sysusers --root="$WORK/root" "$DRAY_TOP/dist/systemd/dray-$name.conf" >"$LOGS/users-$name" 2>&1
    grep -q "^dray-$name:x:[0-9]*:[0-9]*:.*:/var/lib/dray[a-z/]*:/usr/sbin/nologin\$" "$WORK/root/etc/passwd"
    # it would say so
    sed -i 's/^NoNewPrivileges=/NoNewPrivilegs=/' "$WORK/dray-$name.service"
    systemd-analyze verify --man=no "$WORK/dray-$name.service" >"$LOGS/misspelt-$name" 2>&1 || true
    grep -F "dray-$name.service" "$LOGS/misspelt-$name"
  done
}
