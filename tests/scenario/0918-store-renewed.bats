#!/usr/bin/env bats
# On S3 nothing is least recently used: what is read there, and is old, is renewed, so that a rule by age deletes what
# nobody reads.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"
. "$BATS_TEST_DIRNAME/places.bash"
. "$BATS_TEST_DIRNAME/webs.bash"

blobs() {
  find "$FARM/s3s/bucket/team/v1/blobs" -type f ! -name '.*'
}
entries() {
  find "$FARM/s3s/bucket/team/v1/entries" -type f ! -name '.*'
}
# old FILES…: how many of them are older than ten days.
old() {
  find "$@" -maxdepth 0 -mtime +10 | wc -l
}
no_old() {
  [ "$(old $(blobs))" -eq 0 ]
}

on_s3() {
  web_contents
  aws_clean
  s3s_start
  export AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=SECRET-1
  export DRAY_STORE="s3://bucket/team?endpoint=http://127.0.0.1:$S3_PORT"
  project "$WORK/p"
  stored one "$WORK/p"
  touch -d '20 days ago' $(blobs) $(entries)
}
# again MACHINE [reader]: a build there, with nothing of it here.
again() {
  clean "$WORK/p"
  machine "$@"
  cached "$1" "$WORK/p" build
  from_store
}

@test "blobs that are read and old are renewed by who may write, and stay what they are" {
  local before
  on_s3
  before=$(sha256sum $(blobs) | sort)
  again two
  wait_until 20 no_old
  [ "$(sha256sum $(blobs) | sort)" = "$before" ]
  # of entries none is meant; the list of what a build asks for is put anew
  [ "$(old $(entries))" -gt 0 ]
}

# bats test_tags=long
@test "who may not write renews nothing, nor one that wants none, or not yet" {
  on_s3
  again two reader
  DRAY_STORE="$DRAY_STORE&mode=ro" again three
  DRAY_STORE="$DRAY_STORE&renew_days=0" again four
  DRAY_STORE="$DRAY_STORE&renew_days=21" again five
  [ "$(old $(blobs))" -eq "$(blobs | wc -l)" ]
  # what these have read would have been renewed by now: this one's is
  again six
  wait_until 20 no_old
  again seven reader
}
