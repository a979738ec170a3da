#!/usr/bin/env bats
# A web server as a far place: nginx; what it keeps, who may, by which ways.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/places.bash"
. "$BATS_TEST_DIRNAME/webs.bash"

scenario_setup() {
  web_contents
}

# bats test_tags=long
@test "nginx: directories are made when it wants them, connections stay open" {
  nginx_start nginx
  does_all "http://127.0.0.1:$NGINX_PORT/team/a%20cache"
  [ -f "$FARM/nginx/data/team/a cache/v1/blobs/${A_NAME:0:2}/$A_NAME" ]
  # any tool reads what is kept
  zstd -dc "$FARM/nginx/data/team/a cache/v1/blobs/${B_NAME:0:2}/$B_NAME" | cmp - "$B"
  [ "$(grep -c ' MKCOL /team/ 201' "$FARM/nginx/requests")" -ge 1 ]
  : >"$FARM/nginx/requests"
  place "http://127.0.0.1:$NGINX_PORT/team/a%20cache" <<END
put $A
wait
get $A_NAME $WORK/back
wait
has $A_NAME
wait
get $B_NAME $WORK/back
END
  fails grep -q MKCOL "$FARM/nginx/requests"
  [ "$(wc -l <"$FARM/nginx/requests")" -eq 4 ]
  [ "$(cut -d ' ' -f 1 "$FARM/nginx/requests" | sort -u | wc -l)" -eq 1 ]
  does_many "http://127.0.0.1:$NGINX_PORT" 100 2000
  # larger than the server takes
  head -c 21000000 /dev/urandom >"$WORK/big"
  place "http://127.0.0.1:$NGINX_PORT" <<END
put $WORK/big
END
  said '^put .* error EFBIG'
}

@test "passwords and tokens: right, wrong, none; nothing shows them" {
  local url
  nginx_start nginx "auth_basic x; auth_basic_user_file $WORK/users;"
  printf 'us er:%s\n' "$(openssl passwd -apr1 'pa/ss:w0rd')" >"$WORK/users"
  printf 'pa/ss:w0rd\nmore' >"$WORK/password"
  place_begin "http://us%20er:pa%2Fss%3Aw0rd@127.0.0.1:$NGINX_PORT/x"
  say "has $A_NAME"
  wait_until 10 said 'error ENOENT'
  # what other users see of it
  fails grep -qF w0rd "/proc/$PLACE_PID/cmdline"
  place_end
  does_all "http://us%20er:pa%2Fss%3Aw0rd@127.0.0.1:$NGINX_PORT/x" w0rd
  rm -r "$FARM/nginx/data/x"
  does_all "http://us%20er@127.0.0.1:$NGINX_PORT/x?password_file=$WORK/password" w0rd
  for url in "http://127.0.0.1:$NGINX_PORT/x" "http://us%20er:wr0ng@127.0.0.1:$NGINX_PORT/x"; do
    DRAY_LOG=debug place "$url" 2>"$LOGS/place-log" <<END
get $A_NAME $WORK/back
wait
has $A_NAME
put $A
wait
why
END
    said "^get $A_NAME error ENOENT"
    said "^has $A_NAME error ENOENT"
    said '^put .* error EACCES'
    said '^why PUT: it answers 401'
    # said to a person, once
    [ "$(grep -c ' 401' "$LOGS/place-log")" -ge 1 ]
    [ "$(grep -c 'counts as not there' "$LOGS/place-log")" -eq 1 ]
    fails grep -rqF wr0ng "$LOGS"
  done
  bad_start
  echo tok-3n >"$WORK/token"
  does_all "http://127.0.0.1:$BAD_PORT/bearer/x?token_file=$WORK/token" tok-3n
  TEAM_TOKEN=tok-3n does_all "http://127.0.0.1:$BAD_PORT/bearer/y?token_env=TEAM_TOKEN" tok-3n
  place "http://127.0.0.1:$BAD_PORT/bearer/y?token_env=TEAM_TOKEN" </dev/null
  said '^open error EINVAL: .*token_env'
  printf 'a\tb' >"$WORK/token"
  place "http://127.0.0.1:$BAD_PORT/bearer/y?token_file=$WORK/token" </dev/null
  said '^open error EINVAL: .*control character'
}

@test "no credentials go to another place" {
  bad_start
  place "http://127.0.0.1:$BAD_PORT/ok/x" <<END
put $A
END
  # without any, a read may be sent there
  place "http://127.0.0.1:$BAD_PORT/redirect/x" <<END
get $A_NAME $WORK/back
END
  said "^get $A_NAME 13"
  : >"$FARM/bad"
  place "http://u:s3cret@127.0.0.1:$BAD_PORT/redirect/x" <<END
get $A_NAME $WORK/back
END
  said "^get $A_NAME error EREMOTEIO"
  fails grep -q '/ok/' "$FARM/bad"
}

@test "TLS: the server's certificate is checked, and ours is shown" {
  local dir=$WORK/certificates
  certificates "$dir"
  nginx_start nginx "ssl_certificate $dir/server.pem; ssl_certificate_key $dir/server.key;" ' ssl'
  does_all "https://localhost:$NGINX_PORT/x?ca=$dir/ca.pem"
  SSL_CERT_FILE=$dir/ca.pem does_all "https://127.0.0.1:$NGINX_PORT/y"
  place "https://localhost:$NGINX_PORT/x" <<END
has $A_NAME
wait
why
END
  said '^has .* error EKEYREJECTED'
  said '^why .*certificate'
  nginx_start other "ssl_certificate $dir/other.pem; ssl_certificate_key $dir/other.key;" ' ssl'
  place "https://localhost:$NGINX_PORT/x?ca=$dir/ca.pem" <<END
has $A_NAME
END
  said '^has .* error EKEYREJECTED'
  nginx_start known "ssl_certificate $dir/server.pem; ssl_certificate_key $dir/server.key;
    ssl_client_certificate $dir/ca.pem; ssl_verify_client on;" ' ssl'
  place "https://localhost:$NGINX_PORT/x?ca=$dir/ca.pem" <<END
put $A
END
  said '^put .* error EREMOTEIO'
  does_all "https://localhost:$NGINX_PORT/x?ca=$dir/ca.pem&cert=$dir/client.pem&key=$dir/client.key"
}

@test "proxies, and hosts without one" {
  bad_start
  export http_proxy=http://us:pr0xy@127.0.0.1:$BAD_PORT
  does_all http://store.test/ok/x pr0xy
  grep -q 'proxy-authorization=' "$FARM/bad"
  place http://store.test.invalid/407/x <<END
get $A_NAME $WORK/back
wait
why
END
  said '^get .* error EREMOTEIO'
  NO_PROXY=store.invalid place http://store.invalid/ok/x <<END
has $A_NAME
wait
why
END
  said '^has .* error EHOSTUNREACH'
  http_proxy=http://us:pr0xy@127.0.0.1:1 place http://store.test/ok/x <<END
has $A_NAME
wait
why
END
  said '^has .* error ECONNREFUSED'
  fails grep -rqF pr0xy "$LOGS"
}

@test "without libcurl: said, and no more; ro: nothing is written" {
  mkdir "$WORK/lib"
  : >"$WORK/lib/libcurl.so.4"
  : >"$WORK/lib/libcurl-gnutls.so.4"
  LD_LIBRARY_PATH=$WORK/lib place http://u:s3cret@127.0.0.1:1/x </dev/null
  said '^open error ENOPKG: http://\*\*\*@127.0.0.1:1/x: libcurl.so.4 is not installed'
  bad_start
  place "http://127.0.0.1:$BAD_PORT/ok/x?mode=ro" <<END
has $A_NAME
put $A
put-entry $NONE $A
END
  said '^has .* error ENOENT'
  said '^put .* error EROFS'
  said '^put-entry .* error EROFS'
  fails grep -q PUT "$FARM/bad"
}
