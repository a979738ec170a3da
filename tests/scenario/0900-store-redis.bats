#!/usr/bin/env bats
# A Redis as a far place: a real server; each way to get there, what it keeps, and what it may do to us.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/places.bash"

scenario_setup() {
  command -v redis-server >/dev/null || skip "no redis-server"
  contents
}

@test "by a socket, and by a port" {
  local port
  redis_start redis
  does_all "redis+unix://$REDIS_SOCK"
  redis_cli keys '*' | sort | tee "$LOGS/keys"
  [ "$(wc -l <"$LOGS/keys")" -eq 2 ]
  grep -qx "dray/v1/blobs/${A_NAME:0:2}/$A_NAME" "$LOGS/keys"
  port=$(free_port)
  redis_start redis-2 --port "$port"
  does_all "redis://127.0.0.1:$port"
  redis_cli flushall
  does_all "redis://localhost:$port/3?prefix=team-a/"
  redis_cli -n 3 keys 'team-a/v1/entries/*' | grep -q "$NONE"
}

@test "passwords and users: right, wrong, none; nothing shows them" {
  local url
  REDIS_PASSWORD='se/cr:et?&%'
  redis_start redis --requirepass "$REDIS_PASSWORD"
  redis_cli acl setuser dray on '>other-pass' '~dray/*' +getrange +set +touch +append +rename +renamenx +del +persist +expire
  redis_cli acl setuser reader on '>third-pass' '~dray/*' +getrange
  printf 'se/cr:et?&%%\nmore' >"$WORK/password"
  # No port: a name with a password is for those.
  url=redis+unix://$REDIS_SOCK
  does_all "$url?password_file=$WORK/password" 'cr:et'
  REDIS_PORT=$(free_port)
  redis_cli config set port "$REDIS_PORT"
  redis_cli flushall
  does_all "redis://:se%2Fcr%3Aet%3F%26%25@127.0.0.1:$REDIS_PORT" 'cr:et'
  redis_cli flushall
  does_all "redis://dray:other-pass@127.0.0.1:$REDIS_PORT" other-pass
  # who may only read
  place "redis://reader:third-pass@127.0.0.1:$REDIS_PORT" <<END
get $A_NAME $WORK/back
has $A_NAME
put $WORK/password
why
END
  said "^get $A_NAME 13"
  said "^has $A_NAME 13"
  said '^put .* error EACCES'
  place "redis://dray:wrong-pass@127.0.0.1:$REDIS_PORT" <<END
get $A_NAME $WORK/back
wait
why
END
  said "^get .* error EACCES"
  said '^why .*refuses the user or the password'
  place "$url" <<END
has $A_NAME
END
  said '^has .* error EACCES'
  fails grep -rqE 'wrong-pass|third-pass|cr:et' "$LOGS"
}

@test "TLS: the server's certificate is checked, and ours is shown" {
  local port url dir=$WORK/certificates
  certificates "$dir"
  port=$(free_port)
  redis_start redis --tls-port "$port" --tls-cert-file "$dir/server.pem" --tls-key-file "$dir/server.key" \
    --tls-ca-cert-file "$dir/ca.pem" --tls-auth-clients optional
  does_all "rediss://localhost:$port?ca=$dir/ca.pem"
  redis_cli flushall
  does_all "rediss://127.0.0.1:$port?ca=$dir/ca.pem"
  # a large one, in many records
  head -c 9000000 /dev/urandom >"$WORK/big"
  place "rediss://127.0.0.1:$port?ca=$dir/ca.pem" <<END
put $WORK/big
wait
get $(digest_of "$WORK/big") $WORK/back
END
  cmp "$WORK/big" "$WORK/back"
  # nobody whom we know
  place "rediss://localhost:$port" <<END
has $A_NAME
wait
why
END
  said '^has .* error EKEYREJECTED'
  said '^why its certificate will not do'
  redis_cli config set tls-auth-clients yes
  place "rediss://localhost:$port?ca=$dir/ca.pem" <<END
has $A_NAME
END
  said '^has .* error E(PROTO|CONNRESET|PIPE)'
  place "rediss://localhost:$port?ca=$dir/ca.pem&cert=$dir/client.pem&key=$dir/client.key" <<END
has $A_NAME
END
  said "^has $A_NAME 13"
  # another server's certificate
  redis_cli config set tls-cert-file "$dir/other.pem" tls-key-file "$dir/other.key"
  place "rediss://localhost:$port?ca=$dir/ca.pem&cert=$dir/client.pem&key=$dir/client.key" <<END
has $A_NAME
END
  said '^has .* error EKEYREJECTED'
  # TLS to who speaks none, and none to who speaks it
  place "redis://localhost:$port?connect_ms=500&request_s=2" <<END
has $A_NAME
END
  said '^has .* error E(PROTO|CONNRESET)'
}

@test "a full server: nothing is written, all is read" {
  redis_start redis
  place "redis+unix://$REDIS_SOCK" <<END
put $A
END
  redis_cli config set maxmemory 1 maxmemory-policy noeviction
  echo other >"$WORK/other"
  place "redis+unix://$REDIS_SOCK" <<END
put $WORK/other
put-entry $NONE $WORK/other
get $A_NAME $WORK/back
wait
why
END
  said '^put .* error ENOSPC'
  said '^put-entry .* error ENOSPC'
  said "^get $A_NAME 13"
  said '^why .*OOM'
}

@test "what is used is kept warm, and renewed" {
  redis_start redis
  key_of() { echo "dray/v1/blobs/${A_NAME:0:2}/$A_NAME"; }
  idle() { [ "$(redis_cli object idletime "$(key_of)")" -ge 1 ]; }
  place "redis+unix://$REDIS_SOCK" <<END
put $A
END
  [ "$(redis_cli ttl "$(key_of)")" -eq -1 ]
  wait_until 5 idle
  place "redis+unix://$REDIS_SOCK" <<END
has $A_NAME
END
  fails idle
  # with an end: each use sets it anew
  place "redis+unix://$REDIS_SOCK?expire_s=1000" <<END
has $A_NAME
END
  [ "$(redis_cli ttl "$(key_of)")" -gt 900 ]
  redis_cli expire "$(key_of)" 100
  place "redis+unix://$REDIS_SOCK?expire_s=1000" <<END
get $A_NAME $WORK/back
END
  [ "$(redis_cli ttl "$(key_of)")" -gt 900 ]
  redis_cli expire "$(key_of)" 100
  place "redis+unix://$REDIS_SOCK?expire_s=1000" <<END
put $A
put-entry $NONE $A
END
  [ "$(redis_cli ttl "$(key_of)")" -gt 900 ]
  [ "$(redis_cli ttl "dray/v1/entries/${NONE:0:2}/$NONE")" -gt 900 ]
  # who only reads renews nothing
  redis_cli expire "$(key_of)" 100
  place "redis+unix://$REDIS_SOCK?expire_s=1000&mode=ro" <<END
get $A_NAME $WORK/back
put $A
END
  [ "$(redis_cli ttl "$(key_of)")" -le 100 ]
  said '^put .* error EROFS'
}

@test "large ones go in pieces; what was begun and not ended goes by itself" {
  local name
  redis_start redis
  head -c 9000000 /dev/urandom >"$WORK/big"
  name=$(digest_of "$WORK/big")
  place "redis+unix://$REDIS_SOCK" <<END
put $WORK/big
wait
put $WORK/big
has $name
get $name $WORK/back
END
  cmp "$WORK/big" "$WORK/back"
  said "^put 1 $name 9000000"
  [ "$(redis_cli keys '*' | wc -l)" -eq 1 ]
  [ "$(redis_cli ttl "dray/v1/blobs/${name:0:2}/$name")" -eq -1 ]
  # with an end of its own
  redis_cli flushall
  place "redis+unix://$REDIS_SOCK?expire_s=5000" <<END
put $WORK/big
END
  [ "$(redis_cli ttl "dray/v1/blobs/${name:0:2}/$name")" -gt 4000 ]
  # The server is held after the first piece, and the client dies.
  redis_cli flushall
  redis_cli config set maxmemory 6000000
  place "redis+unix://$REDIS_SOCK" <<END
put $WORK/big
END
  said '^put .* error ENOSPC'
  begun() { [ "$(redis_cli keys 'dray/tmp/*' | wc -l)" -eq 0 ]; }
  wait_until 5 begun
}

@test "damaged, swapped and foreign values are never content, and are put anew" {
  local blob=dray/v1/blobs/${A_NAME:0:2}/$A_NAME
  redis_start redis
  echo other >"$WORK/other"
  bad() {
    rm -f "$WORK/back"
    place "redis+unix://$REDIS_SOCK" <<END
get $A_NAME $WORK/back
wait
put $A
wait
get $A_NAME $WORK/back
END
    said "^get $A_NAME error EBADMSG"
    said "^put 0 $A_NAME"
    cmp "$A" "$WORK/back"
  }
  place "redis+unix://$REDIS_SOCK" <<END
put $A
put $WORK/other
END
  redis_cli setrange "$blob" 100 X
  bad
  redis_cli set "$blob" "$(redis_cli getrange "$blob" 0 50)"
  bad
  redis_cli append "$blob" X
  bad
  redis_cli rename "dray/v1/blobs/$(digest_of "$WORK/other" | cut -c 1-2)/$(digest_of "$WORK/other")" "$blob"
  bad
  # one of another kind is not ours to delete
  redis_cli del "$blob"
  redis_cli lpush "$blob" x
  place "redis+unix://$REDIS_SOCK" <<END
get $A_NAME $WORK/back
END
  said "^get $A_NAME error EBADMSG"
  [ "$(redis_cli type "$blob")" = list ]
}
