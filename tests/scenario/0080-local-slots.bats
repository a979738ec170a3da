#!/usr/bin/env bats
# Whatever -j cargo was given: no more compiles and links here at a time than there are local slots.
. "$BATS_TEST_DIRNAME/lib.bash"

# counted DIR NAME REAL: DIR/NAME runs REAL and keeps count, in DIR/NAME.max, of how many of them ran
# at one time. Started by another counted program it is a part of that one, and not counted.
counted() {
  mkdir -p "$1"
  echo 0 >"$1/$2.now"
  echo 0 >"$1/$2.max"
  cat >"$1/$2" <<EOF
#!/bin/bash
case " \$* " in
  *' --print'* | *' -vV '* | *' - '*) exec '$3' "\$@" ;;
esac
[ -z "\${COUNTED:-}" ] || exec '$3' "\$@"
export COUNTED=1
change() {
  local now max
  exec 19>>'$1/$2.lock'
  flock 19
  now=\$((\$(<'$1/$2.now') + \$1))
  max=\$(<'$1/$2.max')
  echo \$now >'$1/$2.now'
  [ \$now -le \$max ] || echo \$now >'$1/$2.max'
  exec 19>&-
}
change 1
'$3' "\$@"
status=\$?
change -1
exit \$status
EOF
  chmod +x "$1/$2"
}

# wide DIR N: a program over N libraries that know nothing of each other, each with a build script.
wide() {
  local i
  package "$1" app
  for ((i = 1; i <= $2; i++)); do
    dependency "$1" "l$i"
    printf 'fn main() {}\n' >"$1/l$i/build.rs"
  done
}

@test "-j200 and two slots: local compiles" {
  wide "$WORK/app" 16
  counted "$FARM/shim" rustc "$(rustc --print sysroot)/bin/rustc"
  export RUSTC_WRAPPER=$DRAY RUSTC=$FARM/shim/rustc DRAY_LOCAL_SLOTS=2 DRAY_OFFLOAD=never
  build first "$WORK/app" build -j200
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(cat "$FARM/shim/rustc.max")" -eq 2 ]
  [ "$(cat "$FARM/shim/rustc.now")" -eq 0 ]
}

# bats test_tags=long
@test "-j200 and two slots: links of what the farm compiled" {
  wide "$WORK/app" 16
  counted "$FARM/shim" cc "$(command -v cc)"
  allow client client
  coordinator_start
  worker_start w1 --slots 12
  client_env
  export PATH=$FARM/shim:$PATH DRAY_LOCAL_SLOTS=2
  build first "$WORK/app" build -j200
  [ "$BUILD_STATUS" -eq 0 ]
  jobs_all '.where == "farm"'
  [ "$(cat "$FARM/shim/cc.max")" -ge 1 ]
  [ "$(cat "$FARM/shim/cc.max")" -le 2 ]
  [ "$(cat "$FARM/shim/cc.now")" -eq 0 ]
}

# bats test_tags=long
@test "-j200 and two slots: all fall back at once" {
  wide "$WORK/app" 16
  counted "$FARM/shim" rustc "$(rustc --print sysroot)/bin/rustc"
  farm_start
  kill_hard "$COORDINATOR_PID"
  kill_hard "$WORKER_PID"
  export RUSTC=$FARM/shim/rustc DRAY_LOCAL_SLOTS=2
  build first "$WORK/app" build -j200
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(cat "$FARM/shim/rustc.max")" -eq 2 ]
}

@test "where there is no memory for two at a time: one" {
  wide "$WORK/app" 8
  counted "$FARM/shim" rustc "$(rustc --print sysroot)/bin/rustc"
  export RUSTC_WRAPPER=$DRAY RUSTC=$FARM/shim/rustc DRAY_LOCAL_SLOTS=4 DRAY_OFFLOAD=never
  export DRAY_LOCAL_MEMORY=1000T
  build first "$WORK/app" build -j50
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(cat "$FARM/shim/rustc.max")" -eq 1 ]
}

@test "where there is no memory for two at a time: small units go to the farm" {
  local slot
  package "$WORK/app" app lib
  farm_start
  export DRAY_OFFLOAD=auto DRAY_LOCAL_SLOTS=4 DRAY_LOCAL_MEMORY=1000T CARGO_INCREMENTAL=0
  # Somebody compiles here.
  mkdir -m 700 -p "$DRAY_CACHE_DIR/slots"
  exec {slot}>"$DRAY_CACHE_DIR/slots/slot-2"
  flock "$slot"
  build first "$WORK/app" build {slot}>&-
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app where)" = farm ]
  exec {slot}>&-
  rm -rf "$WORK/app/target"
  build second "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app where)" = local ]
}

@test "two builds share the slots" {
  wide "$WORK/one" 8
  wide "$WORK/two" 8
  counted "$FARM/shim" rustc "$(rustc --print sysroot)/bin/rustc"
  export RUSTC_WRAPPER=$DRAY RUSTC=$FARM/shim/rustc DRAY_LOCAL_SLOTS=2 DRAY_OFFLOAD=never
  build_start one "$WORK/one" build -j50
  build two "$WORK/two" build -j50
  [ "$BUILD_STATUS" -eq 0 ]
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(cat "$FARM/shim/rustc.max")" -eq 2 ]
}

@test "a wrapper that is killed gives its slot back" {
  package "$WORK/slow" slow lib
  slow_before >"$WORK/slow/src/lib.rs"
  package "$WORK/hello" hello
  export RUSTC_WRAPPER=$DRAY DRAY_LOCAL_SLOTS=1 DRAY_OFFLOAD=never
  build_start slow "$WORK/slow" build
  wait_until 30 worker_compiles "$BUILD_PID" slow
  kill -KILL -- "-$BUILD_PID"
  wait_until 5 is_gone "$BUILD_PID"
  build_start hello "$WORK/hello" build
  build_finish 30
  [ "$BUILD_STATUS" -eq 0 ]
}
