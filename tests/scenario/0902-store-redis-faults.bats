#!/usr/bin/env bats
# A Redis that dies, closes connections, says nothing or is none: each request is answered, in time.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/places.bash"

scenario_setup() {
  command -v redis-server >/dev/null || skip "no redis-server"
  contents
}

@test "killed in the middle: each request is answered; what comes later finds the new one" {
  redis_start redis
  place_begin "redis+unix://$REDIS_SOCK?request_s=5"
  say "put $A"
  wait_until 5 said '^put 0'
  # It is stopped so that all are under way, then killed.
  kill -STOP "$REDIS_PID"
  say 'many 300 20000' "get $A_NAME $WORK/back" "has $A_NAME"
  kill -KILL "$REDIS_PID"
  wait_until 10 said '^many failed 300'
  said "^get $A_NAME error E(CONNREFUSED|CONNRESET|PIPE)"
  took_less 2000 '^many '
  # nobody is there: said at once
  say "has $A_NAME"
  wait_until 5 said "^has $A_NAME error" 2
  took_less 1000 "^has $A_NAME error"
  rm -f "$REDIS_SOCK"
  redis_start redis
  up_again() { say "put $A"; wait_until 5 said '^put ' $((++PUTS)); [ "$(tail -n 1 "$LOGS/place" | cut -c 1-5)" = 'put 0' ]; }
  PUTS=$(grep -c '^put ' "$LOGS/place")
  wait_until 8 up_again
  place_end
}

@test "a connection that the server closes is made again, and nobody notices" {
  redis_start redis
  place_begin "redis+unix://$REDIS_SOCK"
  say "put $A"
  wait_until 5 said '^put 0'
  redis_cli client kill type normal
  say "get $A_NAME $WORK/back"
  wait_until 5 said "^get $A_NAME 13"
  # In the middle of many.
  say 'many 500 20000'
  redis_cli client kill type normal
  wait_until 20 said '^many failed 0 '
  place_end
}

@test "one that says nothing: bounded, and used again when it goes on" {
  redis_start redis
  place_begin "redis+unix://$REDIS_SOCK?request_s=1"
  say "put $A"
  wait_until 5 said '^put 0'
  kill -STOP "$REDIS_PID"
  say "get $A_NAME $WORK/back" 'many 20 100000'
  wait_until 8 said '^get .* error ETIMEDOUT'
  took_less 1500 '^get '
  wait_until 8 said '^many failed 20 .* ETIMEDOUT'
  took_less 1500 '^many '
  kill -CONT "$REDIS_PID"
  say "has $A_NAME"
  wait_until 5 said "^has $A_NAME 13"
  place_end
  # from the connection on
  kill -STOP "$REDIS_PID"
  place "redis+unix://$REDIS_SOCK?request_s=1" <<END
has $A_NAME
END
  said '^has .* error ETIMEDOUT'
  took_less 1500 '^has '
  kill -CONT "$REDIS_PID"
}

@test "nobody there, something else there, a cluster" {
  local port
  port=$(free_port)
  place "redis://127.0.0.1:$port" <<END
has $A_NAME
wait
has $A_NAME
END
  said '^has .* error ECONNREFUSED' 2
  took_less 1000 '^has '
  place "redis://nowhere.invalid:$port?connect_ms=3000" <<END
has $A_NAME
END
  said '^has .* error E(HOSTUNREACH|AGAIN|TIMEDOUT)'
  took_less 7000 '^has '
  # what answers by another protocol
  redis_start redis --cluster-enabled yes --port "$port"
  place "redis+unix://$REDIS_SOCK" <<END
put $A
has $A_NAME
END
  said '^put .* error EAGAIN'
}

@test "a caller that was busy when the time had come finds the answers that are there" {
  redis_start redis
  # The first request begins the connection, and all the others are compressed before anybody looks.
  place "redis+unix://$REDIS_SOCK?connect_ms=1" <<END
many 30 300000
wait
many-get 30 300000
END
  said '^many failed 0 '
  said '^many-get failed 0 '
}

@test "thousands at once: few descriptors" {
  redis_start redis
  (
    ulimit -n 100
    place "redis+unix://$REDIS_SOCK" <<<'many-get 2000 100'
  )
  said '^many-get failed 2000 there 0 bytes 0 last ENOENT'
}
