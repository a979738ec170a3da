#!/usr/bin/env bats
# A coordinator is announced on the LAN, and found there: real avahi-daemons, each on a host of its own.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/lan.bash"

finger() {
  "$DRAY" keys fingerprint "$FARM/keys/$1.pub"
}

@test "a coordinator is announced with its key's fingerprint, and withdrawn when it ends" {
  lan_begin
  lan_host one
  lan_host two
  bus_start one
  bus_start two
  avahi_start one
  avahi_start two
  COORDINATOR=$(there one "$COORDINATOR") COORDINATOR_EP="tcp://${ADDRESSES[one]}:*" \
    coordinator_start -o coordinator.avahi=yes -o coordinator.avahi_namespace=team
  wait_until 10 file_has "$LOGS/coordinator" 'announced as "coordinator"'
  wait_until 10 finds two "$COORDINATOR_EP"
  cat $LOGS/look
}
