#!/usr/bin/env bats
# What one who sets up a shared cache is told: by doctor, by the commands that look after caches, by a list of keys.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"
. "$BATS_TEST_DIRNAME/vouched.bash"

# doctor CHECK FINDING TEXT: it says so.
doctor() {
  "$DRAY" doctor --json >"$LOGS/doctor.json" || true
  jq -e --arg c "$1" --arg f "$2" --arg t "$3" \
    'any(.[]; .check == $c and .finding == $f and (.text | contains($t)))' "$LOGS/doctor.json" >/dev/null ||
    { cat "$LOGS/doctor.json" >&2; return 1; }
}
# look WORDS… -- EXPRESSION: of the coordinator's cache.
look() {
  local words=()
  while [ "$1" != -- ]; do words+=("$1"); shift; done
  "$DRAY" cache "${words[@]}" --json >"$LOGS/look.json" || true
  jq -e ".[] | select(.place == \"coordinator\") | $2" "$LOGS/look.json" >/dev/null || { cat "$LOGS/look.json" >&2; return 1; }
}
on_disk() {
  find "$FARM/shared" -path "*/$1/*" -type f | wc -l
}
counted() {
  look status -- ".entries == $(on_disk entries) and .outputs == $(on_disk blobs)" 2>/dev/null
}

@test "a publisher's coordinator without workers: doctor, status, explain; and when its key is revoked" {
  local key
  project "$WORK/p"
  vouch publisher ci namespace=team
  vouch client ann namespace=team
  vouch client eve namespace=others
  vouch admin boss
  coordinator_start
  of_farm one ci readwrite
  DRAY_OFFLOAD=auto doctor workers note "there is none: what is not in the coordinator's cache is compiled here"
  doctor vouched good 'in namespace team: publisher ci'
  doctor publishing good 'vouches for this key'
  doctor store good "the coordinator's cache, $COORDINATOR_EP (rw): read in"
  fails jq -e 'any(.[]; .finding == "bad" and (.check | test("farm|workers|store|vouched|publishing|trust|uploads")))' "$LOGS/doctor.json"
  stored one "$WORK/p"
  wait_until 10 counted
  key=$(signs ci)
  look status -- '.mode == "rw" and .error == null and (.spaces | length) == 1 and .spaces[0].namespace == "team" and .max > 0'
  jq -e ".[] | select(.place == \"coordinator\").vouched == [{key: \"$key\", kind: \"publisher\", name: \"ci\", revoked: false}]" "$LOGS/look.json"
  run -0 "$DRAY" cache status --stores
  [[ "$output" == "$COORDINATOR_EP (the coordinator's cache, rw): "*" entries and "*" outputs, "*" of at most "* ]]
  [[ "$output" == *"  in team: "*"  vouches for the publisher $key (ci)"* ]]
  look gc -- '.cannot and (.error | contains("within its budget by itself"))'
  look verify -- .cannot
  # what another namespace's key may see; an admin sees each
  of_farm two eve
  look status -- '.entries == 0 and .mode == "ro" and .spaces[0].namespace == "others" and .vouched == []'
  doctor vouched note 'vouches for nobody in namespace others'
  of_farm three boss
  look status -- '[.spaces[].namespace] | sort == ["others", "team"]'
  # what a hit was sealed by has a name
  clean "$WORK/p"
  of_farm four ann
  cached four "$WORK/p" build
  from_store
  run -0 "$DRAY" explain app
  [[ "$output" == *"sealed by $key (ci)."* ]]
  "$DRAY" cache status --json | jq -e ".[] | select(.place == \"local\").makers[] | select(.producer == \"$key\").name == \"ci\""
  # by tier, and by what that saved
  "$DRAY" stats --json | jq -e '.tiers | length == 1 and .[0].tier == "coordinator" and .[0].units > 0 and .[0].runs == 1 and .[0].saved_ms > 0 and .[0].share_by_time == 1 and .[0].bytes > 0'
  run -0 "$DRAY" stats
  [[ "$output" == *"saved in all: "*", 100.0 % of what was needed; "* && "$output" =~ [0-9]\ (B|KiB|MiB)\ \ coordinator ]]
  # revoked: the others are told, and its owner, who is let in no more, learns what helps
  revouch publisher ci namespace=team revoked
  doctor vouched note 'revoked: publisher ci'
  of_farm one ci readwrite
  doctor farm note "needs the line: publisher $(curve_public ci) ci sign=$key; where it has one that says revoked"
  grep -qF -e "key=$(curve_public ci) is revoked" "$LOGS/coordinator"
}

@test "a publisher whose line lacks sign=, and a client that means to upload" {
  allow publisher ci
  allow client ann
  coordinator_start
  of_farm one ci readwrite
  doctor publishing bad "lacks sign=$(signs ci)"
  of_farm two ann readwrite
  doctor publishing note "a client's"
  # an endpoint where nobody listens is one place that failed, said once
  kill_hard "$COORDINATOR_PID"
  DRAY_CONNECT_MS=300 look status -- '.error | contains("cannot be asked")'
}

@test "a line of keys: in any order; and what is wrong with one, by its word" {
  vouch client ann
  echo "client revoked namespace=x $(curve_public ann)" >"$FARM/allowed"
  run coordinator_start
  [[ "$status" -ne 0 && "$output" == *'line 1: "revoked" is no public key'* ]]
  printf '# who\nclient %s nmspace=x ann\n' "$(curve_public ann)" >"$FARM/allowed"
  run coordinator_start
  [[ "$status" -ne 0 && "$output" == *'line 2: "nmspace=x" is none of the words'* ]]
  echo "client $(curve_public ann) sign=$(signs ann) namespace=x ann" >"$FARM/allowed"
  coordinator_start
  of_farm one ann
  look status -- '.spaces[0].namespace == "x"'
  DRAY_STORE=file://$STORE DRAY_TRUST_KEYS="publisher $(signs ann) a b" doctor trust bad 'trust_keys, line 1: "b" is a second name'
}

@test "flush says what went; the parts of dray cache have a help of their own; verify says why it made nothing" {
  project "$WORK/p"
  identity ci
  machine one
  export DRAY_TRUST_KEYS="publisher $(signs ci) ci" DRAY_STORE=file://$WORK/later
  cached one "$WORK/p" build
  run -1 "$DRAY" flush --timeout 0
  mkdir "$WORK/later"
  run -0 "$DRAY" flush
  [[ "$output" =~ ^uploaded:\ [1-9][0-9]*\ results$ ]]
  run -0 "$DRAY" flush
  [ "$output" = 'nothing waits for its upload' ]
  run -0 "$DRAY" cache gc --help
  [[ "$output" == 'usage: dray cache gc '*--unused-since* && "$output" != *--producer* && "$output" != *--target-dir* ]]
  run -0 "$DRAY" cache export -h
  [[ "$output" == 'usage: dray cache export '*--target-dir* && "$output" != *--stores* ]]
  run -2 "$DRAY" cache verify --producer x
  [[ "$output" == *'usage: dray cache verify '* && "$output" != *'cache purge'* ]]
  "$DRAY" clear >/dev/null
  run -0 "$DRAY" verify
  [ "$output" = 'verified: nothing, since the local cache is empty' ]
}

@test "an admin's key purges the coordinator's cache, and no other does" {
  local before
  project "$WORK/p"
  vouch publisher ci namespace=team
  vouch admin boss
  coordinator_start
  of_farm one ci readwrite
  stored one "$WORK/p"
  wait_until 10 counted
  look purge --producer "$(signs ci)" -- '.error != null and (.results // 0) == 0'
  before=$(on_disk entries)
  of_farm two boss
  look purge --producer "$(signs boss)" -- '.error == null and .results == 0'
  look purge --namespace none -- '.error == null and .results == 0'
  [ "$(on_disk entries)" = "$before" ]
  look purge --producer "$(signs ci)" --namespace team -- '.error == null and .results > 0'
  # what is left is the build's list, which is no result
  [ "$(on_disk entries)" = 1 ]
  look purge --producer "$(signs ci)" -- '.results == 0'
  file_has "$LOGS/coordinator" 'purge'
}
