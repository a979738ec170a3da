#!/usr/bin/env bats
# Other servers for HTTP and S3, each as it is: WsgiDAV, s3s-fs, moto.
# bats file_tags=long
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/places.bash"
. "$BATS_TEST_DIRNAME/webs.bash"

scenario_setup() {
  aws_clean
  web_contents
}

@test "WsgiDAV: directories, passwords; what it cut counts as not there" {
  local object
  wsgidav_start
  does_all "http://user:s3cret@127.0.0.1:$DAV_PORT/team/a%20b"
  does_many "http://user:s3cret@127.0.0.1:$DAV_PORT/many" 40 3000
  place "http://user:wrong@127.0.0.1:$DAV_PORT/team/a%20b" <<END
get $A_NAME $WORK/none
put $A
END
  said '^get .* error ENOENT'
  said '^put .* error EACCES'
  # as a put that was cut leaves it
  object="$FARM/dav/team/a b/v1/blobs/${B_NAME:0:2}/$B_NAME"
  truncate -s -100 "$object"
  place "http://user:s3cret@127.0.0.1:$DAV_PORT/team/a%20b" <<END
get $B_NAME $WORK/none
END
  said '^get .* error EBADMSG'
  fails grep -rqF s3cret "$LOGS/place"
}

@test "s3s-fs: signatures are checked; a wrong key" {
  s3s_start
  export AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=SECRET-1
  does_all "s3://bucket/team?endpoint=http://127.0.0.1:$S3_PORT"
  does_many "s3://bucket/many?endpoint=http://127.0.0.1:$S3_PORT" 40 3000
  does_all "s3://bucket/a%20b%2B%3D%40:()*!%2C/%C3%A4?endpoint=http://127.0.0.1:$S3_PORT&sse=AES256"
  AWS_SECRET_ACCESS_KEY=SECRET-2 place "s3://bucket/team?endpoint=http://127.0.0.1:$S3_PORT" <<END
get $A_NAME $WORK/none
put $A
wait
why
END
  said '^get .* error ENOENT'
  said '^put .* error EACCES'
  said '^why .* 403 SignatureDoesNotMatch'
  fails grep -qE 'SECRET-[12]' "$LOGS/place"
}

@test "moto: what is there stays; a bucket of another region" {
  local port moto
  port=$(free_port)
  moto=$(python_tool moto moto_server 'moto[server]')
  begin moto "$port" "$moto" -H 127.0.0.1 -p "$port"
  curl -sf --max-time $((30 * PATIENCE)) -X PUT "http://127.0.0.1:$port/bucket" >/dev/null
  export AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=SECRET-1
  PUT_AGAIN=1 does_all "s3://bucket/team?endpoint=http://127.0.0.1:$port&sse=AES256&storage_class=STANDARD_IA"
  does_many "s3://bucket/many?endpoint=http://127.0.0.1:$port&sse=AES256&storage_class=STANDARD_IA" 40 3000
}
