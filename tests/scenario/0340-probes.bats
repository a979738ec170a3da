#!/usr/bin/env bats
# Programs that dray asks about themselves, and that do not answer.
. "$BATS_TEST_DIRNAME/lib.bash"

# A C driver that never says which linker it would use, and an ld.mold for it to be asked about.
hanging_cc() {
  local real
  real=$(command -v cc)
  mkdir -p "$BATS_TEST_TMPDIR/bin"
  cat >"$BATS_TEST_TMPDIR/bin/cc" <<EOF
#!/bin/sh
case "\$*" in
  *--version*)
    echo \$\$ >>"$BATS_TEST_TMPDIR/asked"
    sleep 1000
    ;;
esac
exec "$real" "\$@"
EOF
  printf '#!/bin/sh\nexit 1\n' >"$BATS_TEST_TMPDIR/bin/ld.mold"
  chmod 755 "$BATS_TEST_TMPDIR/bin/cc" "$BATS_TEST_TMPDIR/bin/ld.mold"
  : >"$BATS_TEST_TMPDIR/asked"
  export PATH=$BATS_TEST_TMPDIR/bin:$PATH
}

asked() {
  wc -l <"$BATS_TEST_TMPDIR/asked"
}

# bats test_tags=long
@test "a C driver that does not answer costs ten seconds, once" {
  hanging_cc
  package "$WORK/app" app
  plain_build "$WORK/app" build
  farm_start
  export DRAY_LINKER=mold
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  [ "$(asked)" -eq 1 ]
  [ "$(job app where)" = farm ]
  [ "$(job app linker)" = rustc ]
  is_gone "$(head -n 1 "$BATS_TEST_TMPDIR/asked")"
  echo '// edited' >>"$WORK/app/src/main.rs"
  build second "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(asked)" -eq 1 ]
}

@test "Ctrl-C while it is asked" {
  hanging_cc
  package "$WORK/app" app
  farm_start
  export DRAY_LINKER=mold
  build_start first "$WORK/app" build
  wait_until 60 test -s "$BATS_TEST_TMPDIR/asked"
  kill -INT -- "-$BUILD_PID"
  wait_until 5 is_gone "$(head -n 1 "$BATS_TEST_TMPDIR/asked")"
  build_stopped 10
  [ "$BUILD_STATUS" -ne 0 ]
}
