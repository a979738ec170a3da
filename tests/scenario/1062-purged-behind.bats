#!/usr/bin/env bats
# What was purged does not come back out of a store behind the coordinator, also where the disk had nothing of it.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"
. "$BATS_TEST_DIRNAME/vouched.bash"
. "$BATS_TEST_DIRNAME/places.bash"
. "$BATS_TEST_DIRNAME/webs.bash"

all_uploaded() {
  [ -z "$(find "$FARM/shared" -path '*/behind/*' -type f)" ]
}
# without_disk: the coordinator starts anew, with nothing on its disk; ARGS.
without_disk() {
  kill -TERM "$COORDINATOR_PID"
  wait_until 10 is_gone "$COORDINATOR_PID"
  rm -rf "$FARM"/shared/ns*
  coordinator_start "$@"
}
# purged STORE: what ci has made is purged while that store alone has it.
purged() {
  project "$WORK/p"
  vouch publisher ci
  vouch client ann
  vouch admin boss
  coordinator_start -o coordinator.store="$1"
  of_farm one ci readwrite
  stored one "$WORK/p"
  wait_until 20 all_uploaded
  clean "$WORK/p"
  without_disk -o coordinator.store="$1"
  of_farm two boss
  "$DRAY" cache purge --producer "$(signs ci)" --stores >"$LOGS/purge" 2>&1 || { cat "$LOGS/purge" >&2; return 1; }
  grep -q '^1[0-9]* ' "$FARM/shared/purged"
  of_farm three ann
  cached three "$WORK/p" build
  jobs_all '.tier == null or .tier == "local"' || { show_shared; return 1; }
  # likewise after a restart
  clean "$WORK/p"
  without_disk -o coordinator.store="$1"
  of_farm four ann
  cached four "$WORK/p" build
  jobs_all '.tier == null or .tier == "local"' || { show_shared; return 1; }
}

@test "purged in Redis" {
  redis_start redis
  purged "redis+unix://$REDIS_SOCK"
}

# bats test_tags=long
@test "purged in a directory" {
  purged "file://$STORE"
}

# bats test_tags=long
@test "purged in WebDAV" {
  web_contents
  wsgidav_start
  purged "http://user:s3cret@127.0.0.1:$DAV_PORT/team"
}

# bats test_tags=long
@test "purged in S3, by rclone" {
  aws_clean
  web_contents
  export AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=SECRET-1
  rclone_start
  purged "s3://bucket/team?endpoint=http://127.0.0.1:$S3_PORT"
}
