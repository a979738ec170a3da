#!/usr/bin/env bats
# dray cache status, gc, verify and purge: of the local cache, and of a directory that is a store.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"
. "$BATS_TEST_DIRNAME/places.bash"
. "$BATS_TEST_DIRNAME/webs.bash"

# look WORDS…: dray cache WORDS --json, in $LOGS/look.json; its status in LOOKED.
look() {
  LOOKED=0
  "$DRAY" cache "$@" --json >"$LOGS/look.json" || LOOKED=$?
}
# of PLACE EXPRESSION: of the place that begins so.
of() {
  jq -e --arg p "$1" ".[] | select(.place | startswith(\$p)) | $2" "$LOGS/look.json" >/dev/null ||
    { cat "$LOGS/look.json" >&2; return 1; }
}
blobs() {
  find "$STORE/v1/blobs" -type f
}
entries() {
  results_in "$STORE/v1"
}

# bats test_tags=long
@test "status says who made what; verify finds what is damaged, and what is forged" {
  local n blob entry other
  project "$WORK/p"
  stored one "$WORK/p"
  n=$(entries | wc -l)
  look status
  [ "$LOOKED" -eq 0 ]
  of local ".results == $n and .damaged == 0 and .waiting == 0 and .makers[0].kind == \"here\""
  of file: ".results == $n and .outputs == $(blobs | wc -l) and (.makers | length) == 1"
  of file: ".makers[0] | .producer == \"$(signs ci)\" and .kind == \"publisher\" and .name == \"ci\" and .believed and .results == $n"
  run -0 "$DRAY" cache status --stores
  [[ "$output" == *"$n results of the publisher $(signs ci) (ci)"* ]] || { echo "$output" >&2; return 1; }
  DRAY_TRUST_KEYS="publisher $(signs ci) ci revoked" look status
  of file: '.makers[0] | .believed == false and (.why | contains("revoked"))'
  look verify
  [ "$LOOKED" -eq 0 ]
  of file: ".results == $n and .damaged == 0 and .forged == 0 and .lacking == 0 and .untrusted == 0"
  of local ".results == $n and .outputs > 0 and .damaged == 0"

  # looking changes nothing, also not when it was used
  blob=$(blobs | head -n 1)
  touch -d '10 days ago' "$blob"
  look verify --stores
  [ "$(stat -c %Y "$blob")" -lt $(($(date +%s) - 800000)) ]

  # a blob that is damaged; an entry that is cut; one under another's key
  printf X | dd of="$blob" bs=1 seek=150 conv=notrunc status=none
  entry=$(entries | head -n 1)
  other=$(entries | tail -n 1)
  DRAY_STORE="file://$STORE ro" look verify --stores
  [ "$LOOKED" -eq 1 ]
  of file: '.damaged == 1 and .removed == 0'
  look verify --stores
  [ "$LOOKED" -eq 1 ]
  of file: '.damaged == 1 and .removed == 1'
  [ ! -e "$blob" ]
  truncate -s 200 "$entry"
  cp "$(blobs | head -n 1)" "$other"
  look verify --stores
  of file: '.damaged == 2 and .removed == 2 and .lacking >= 0'
  [ ! -e "$entry" ] && [ ! -e "$other" ]
  look verify --stores
  [ "$LOOKED" -eq 0 ]
  # of the local cache
  blob=$(find "$DRAY_CACHE_DIR/blobs" -type f -links 1 | head -n 1)
  chmod u+w "$blob"
  printf X | dd of="$blob" bs=1 seek=9 conv=notrunc status=none
  look verify --local
  [ "$LOOKED" -eq 1 ]
  of local '.damaged == 1 and .removed == 1'
  [ ! -e "$blob" ]
  # what was wrong is a miss, and made again
  clean "$WORK/p"
  cached again "$WORK/p" build
  says "$WORK/p" "42 made by the script"
}

# bats test_tags=long
@test "purge takes away what a key has made, in a namespace, before a time; another's results stay" {
  local n all
  project "$WORK/p"
  stored one "$WORK/p"
  n=$(entries | wc -l)
  # another publisher adds its own to the same entries
  identity other
  clean "$WORK/p"
  machine two
  export DRAY_IDENTITY=$FARM/keys/other DRAY_TRUST_KEYS="publisher $(signs other) other"
  stored two "$WORK/p"
  look status --stores
  of file: ".results == $((2 * n))"
  all=$(blobs | wc -l)
  # nothing of these is there
  look purge --namespace team
  of file: '.results == 0'
  look purge --stores --older-than 1h
  of file: '.results == 0'
  look purge --stores --producer "$(signs other)" --older-than 1h
  of file: '.results == 0'
  DRAY_STORE="file://$STORE ro" look purge --producer "$(signs other)"
  [ "$LOOKED" -eq 1 ]
  of file: '.error == "it is only read here (ro)"'
  # both have made the same outputs, but for the runs of the script: these stay
  look purge --stores --producer "$(signs other)"
  [ "$LOOKED" -eq 0 ]
  of file: ".results == $n"
  look status --stores
  of file: ".results == $n and .makers[0].producer == \"$(signs ci)\""
  look verify --stores
  of file: '.lacking == 0'
  clean "$WORK/p"
  machine three reader
  export DRAY_TRUST_KEYS="publisher $(signs ci) ci"
  cached three "$WORK/p" build
  from_store
  # what came from a store is known by its producer in the local cache
  look status --local
  of local ".makers[] | select(.producer == \"$(signs ci)\") | .results == $n and .kind == \"shared\""
  look purge --local --producer "$(signs ci)"
  of local ".results == $n"
  look purge --stores --producer "$(signs ci)"
  of file: ".results == $n and .outputs > 0 and .bytes > 0"
  [ "$(entries | wc -l)" -eq 0 ] && [ "$(blobs | wc -l)" -eq 0 ]
  [ "$all" -gt 0 ]
  clean "$WORK/p"
  cached four "$WORK/p" build
  all_missed
  # all of this machine's, by time, which is told in whole seconds
  all=$(date +%s)
  wait_until 5 eval '[ "$(date +%s)" -gt "$all" ]'
  run -0 "$DRAY" cache purge --local --older-than 0s
  [[ "$output" =~ removed\ [1-9][0-9]*\ result ]] || { echo "$output" >&2; return 1; }
}

@test "gc: what was not used, down to a size, and outputs that no entry names" {
  local orphan young n
  project "$WORK/p"
  stored one "$WORK/p"
  n=$(blobs | wc -l)
  look gc
  of file: ".before == .after and .after.outputs == $n"
  # an output without an entry stays for a day: its entry may be on its way
  orphan=$(blobs | head -n 1)
  rm "$STORE"/v1/entries/*/*
  look gc --stores
  of file: ".after.outputs == $n"
  touch -d '2 days ago' "$orphan"
  look gc --stores
  of file: ".after.outputs == $((n - 1))"
  [ ! -e "$orphan" ]
  # by use
  find "$STORE" -type f -exec touch -d '40 days ago' {} +
  young=$(blobs | head -n 1)
  touch "$young"
  look gc --stores --unused-since 30d
  of file: '.after.outputs == 1'
  [ "$(blobs)" = "$young" ]
  look gc --stores --max 1
  of file: '.after.outputs == 0 and .after.bytes == 0'
  # the local cache has its own
  look gc --local --max 1
  of local '.after.outputs == 0 and .before.outputs > 0'
  DRAY_STORE="file://$STORE ro" look gc --stores
  [ "$LOOKED" -eq 1 ]
}

@test "what cannot be listed is said, and so is a mistake" {
  export DRAY_STORE="http://u:s3cret@127.0.0.1:9/x, redis://127.0.0.1:9, s3://bucket"
  look status --stores
  [ "$LOOKED" -eq 0 ]
  of http: '.cannot and (.error | contains("dray lists directories alone"))'
  of s3: '.error | contains("lifecycle rule")'
  of redis: '.error | contains("maxmemory-policy")'
  fails grep s3cret "$LOGS/look.json"
  look purge --stores --older-than 1d
  [ "$LOOKED" -eq 1 ]
  of s3: '.error | contains("revoke the key")'
  run -2 "$DRAY" cache purge
  [[ "$output" == *'say what is to go'* ]]
  run -2 "$DRAY" cache purge --producer x
  run -2 "$DRAY" cache purge --older-than soon
  run -2 "$DRAY" cache gc --max 0
  run -2 "$DRAY" cache gc --producer x
  run -2 "$DRAY" cache verify more
  run -2 "$DRAY" cache nothing
  DRAY_STORE="file://$WORK/nowhere" look status --stores
  [ "$LOOKED" -eq 1 ]
  of file: '.error == "the directory is not there"'
}
