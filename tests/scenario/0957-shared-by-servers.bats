#!/usr/bin/env bats
# The same shared cache in each kind of store, on real servers: a second machine compiles nothing.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/places.bash"
. "$BATS_TEST_DIRNAME/webs.bash"
. "$BATS_TEST_DIRNAME/shared.bash"

# shared_by STORE [STORE-OF-THE-SECOND MODE]: one machine fills it, a second one has all from it, with the same bytes.
# No secret of a URL or of the environment is said anywhere.
shared_by() {
  local writers=$1 readers=${2:-$1} i=$((++BY))
  project "$WORK/p$i"
  machine "writes-$i"
  DRAY_STORE=$writers stored "writes-$i" "$WORK/p$i"
  all_missed
  rm -rf "$WORK/plain"
  mv "$WORK/p$i/target" "$WORK/plain"
  machine "reads-$i" "${3-reader}"
  DRAY_STORE=$readers cached "reads-$i" "$WORK/p$i" build
  from_store
  same_tree "$WORK/p$i"
  says "$WORK/p$i" "42 made by the script"
  fails grep -rqE 's3cret|SECRET-1' "$LOGS" "$BATS_TEST_TMPDIR/cache-reads-$i/jobs.jsonl" "$BATS_TEST_TMPDIR/cache-writes-$i/jobs.jsonl"
}

@test "a Redis with a password, and an nginx that only has GET, HEAD and PUT" {
  export REDIS_PASSWORD=s3cret
  redis_start redis --requirepass s3cret
  shared_by "redis+unix://:s3cret@$REDIS_SOCK?prefix=team"
  web_contents
  nginx_start web
  shared_by "http://127.0.0.1:$NGINX_PORT/dray"
}

# bats test_tags=long
@test "WsgiDAV, with a password for writers and readers" {
  web_contents
  wsgidav_start
  shared_by "http://user:s3cret@127.0.0.1:$DAV_PORT/team"
}

# bats test_tags=long
@test "Apache's mod_dav, and lighttpd's" {
  local program
  for program in apache2 lighttpd; do
    command -v $program >/dev/null || PATH=$PATH:/usr/sbin command -v $program || skip "$program is not installed"
  done
  web_contents
  apache_start
  shared_by "http://127.0.0.1:$DAV_PORT/team"
  lighttpd_start
  shared_by "http://127.0.0.1:$DAV_PORT/team"
}

# bats test_tags=long
@test "rclone serve s3, and s3s-fs" {
  aws_clean
  web_contents
  export AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=SECRET-1
  rclone_start
  shared_by "s3://bucket/team?endpoint=http://127.0.0.1:$S3_PORT"
  s3s_start
  shared_by "s3://bucket/team?endpoint=http://127.0.0.1:$S3_PORT"
}

# bats test_tags=long
@test "a chain: what the right one has, the left one gets, and then it alone is enough" {
  local all
  web_contents
  redis_start redis
  nginx_start web
  all="redis+unix://$REDIS_SOCK?prefix=team"
  shared_by "http://127.0.0.1:$NGINX_PORT/dray" "$all, http://127.0.0.1:$NGINX_PORT/dray ro" writer
  wait_until 20 filled_back
  clean "$WORK/p1"
  machine third reader
  DRAY_STORE=$all cached third "$WORK/p1" build
  from_store
  same_tree "$WORK/p1"
}
# All that nginx has is in the Redis as well.
filled_back() {
  [ "$(redis_cli dbsize)" -ge "$(find "$FARM/web/data" -type f | wc -l)" ]
}
