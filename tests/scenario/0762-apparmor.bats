#!/usr/bin/env bats
# The AppArmor profile that ships is one that AppArmor's parser takes. Nothing is loaded into the kernel.
bats_require_minimum_version 1.5.0

@test "dist/apparmor: the parser takes it, and finds a mistake in it" {
  local parser profile=$BATS_TEST_DIRNAME/../../dist/apparmor/dray-bwrap broken=$BATS_TEST_TMPDIR/broken
  parser=$(PATH=$PATH:/usr/sbin:/sbin command -v apparmor_parser) || skip "no apparmor_parser (Debian: apparmor)"
  [ -e /etc/apparmor.d/abi/4.0 ] || skip "AppArmor here is older than 4.0: it knows no user namespaces"
  "$parser" --skip-kernel-load --skip-cache --config-file /dev/null "$profile"
  [ "$("$parser" --skip-kernel-load --skip-cache --config-file /dev/null --names "$profile")" = dray-bwrap ]
  sed 's/userns,/usernamespace,/' "$profile" >"$broken"
  run "$parser" --skip-kernel-load --skip-cache --config-file /dev/null "$broken"
  [ "$status" -ne 0 ]
  [[ $output = *"syntax error"* ]]
}
