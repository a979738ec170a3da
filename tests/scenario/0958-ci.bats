#!/usr/bin/env bats
# What a CI does: dray prewarm, pull requests with a place of their own, and the files in dist/ci, whose steps are run.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"

CI_FILES=$BATS_TEST_DIRNAME/ci.py
DIST=$BATS_TEST_DIRNAME/../../dist/ci
MAN=$BATS_TEST_DIRNAME/../../man

# in_github EVENT REF PROTECTED COMMAND…
in_github() (
  export GITHUB_ACTIONS=true CI=true GITHUB_EVENT_NAME=$1 GITHUB_REF=$2 GITHUB_REF_PROTECTED=$3
  "${@:4}"
)
protected() {
  in_github push refs/heads/main true "$@"
}
pull() {
  in_github pull_request "refs/pull/$1/merge" false "${@:2}"
}

@test "prewarm builds, uploads, waits, and says what went" {
  project "$WORK/p"
  DRAY_REMOTE_MODE=read run -0 --separate-stderr "$DRAY" prewarm -- cargo build --manifest-path "$WORK/p/Cargo.toml"
  [[ "$output" =~ ^dray\ prewarm:\ made\ [1-9][0-9]*\ units?\ and\ 1\ run\ of\ a\ build\ script\ \(.*\ of\ work\),\ and\ uploaded\ all\ of\ it ]]
  [ -z "$(ls "$DRAY_CACHE_DIR"/uploads/*/*-* 2>/dev/null)" ]
  clean "$WORK/p"
  machine two reader
  cached two "$WORK/p" build
  from_store
  # the next night: all is there
  clean "$WORK/p"
  machine three
  (cd "$WORK/p" && "$DRAY" prewarm --json cargo build) >"$WORK/out"
  jq -e '.units == 0 and .runs == 0 and .uploaded and .from_stores > 0 and .from_local == 0' "$WORK/out"
  # the build's status is passed on
  run -101 "$DRAY" prewarm -- cargo build --manifest-path "$WORK/absent"
  run -127 "$DRAY" prewarm -- "$WORK/no-such-program"
  # a store that takes nothing
  echo '// more' >>"$WORK/p/src/main.rs"
  DRAY_STORE=file://$WORK/nowhere run -1 "$DRAY" prewarm --timeout 1 -- cargo build --manifest-path "$WORK/p/Cargo.toml"
  [[ "$output" == *'results are not uploaded yet'*'still to be uploaded (dray flush); '* ]]
  machine two reader
  run -1 "$DRAY" prewarm -- true
  [[ "$output" == *'nothing is uploaded from here'* ]]
}

@test "which places a pull request's run has" {
  export DRAY_REMOTE_MODE=auto
  pull 7 env -u DRAY_IDENTITY "$DRAY" doctor --json >"$WORK/doctor" || true
  fails grep -q pr/7 "$WORK/doctor"
  jq -e 'any(.[]; .check == "uploads" and (.text | contains("remote_mode is read")))' "$WORK/doctor"
  pull 7 "$DRAY" doctor --json >"$WORK/doctor" || true
  jq -e '[.[] | select(.store) | .store | [.url, .mode]] ==
    [["file://'"$STORE"'?below=pr/7", "rw"], ["file://'"$STORE"'", "ro"]]' "$WORK/doctor"
  [ -d "$STORE/pr/7/v1/entries" ] && [ ! -e "$STORE/v1" ]
  # a branch that is not protected, and a stranger's event, only read
  in_github push refs/heads/x false "$DRAY" doctor --json >"$WORK/doctor" || true
  jq -e '[.[] | select(.store) | .store.write_ms] == [null]' "$WORK/doctor"
  in_github pull_request_target refs/pull/7/merge true "$DRAY" doctor --json >"$WORK/doctor" || true
  jq -e '[.[] | select(.store) | .store.write_ms] == [null]' "$WORK/doctor"
}

# bats test_tags=long
@test "a pull request reads, and writes below its own prefix, which others do not read" {
  project "$WORK/p"
  export DRAY_REMOTE_MODE=auto
  protected "$DRAY" prewarm -- cargo build --manifest-path "$WORK/p/Cargo.toml"
  tree() { (cd "$STORE" && find v1 -type f -exec sha256sum {} + | sort); }
  tree >"$WORK/before"
  # the run of a pull request has a key of its own, which only such runs trust
  identity pr
  machine two
  export DRAY_REMOTE_MODE=auto DRAY_IDENTITY=$FARM/keys/pr DRAY_TRUST_KEYS="$DRAY_TRUST_KEYS,publisher $(signs pr) pr"
  clean "$WORK/p"
  echo '// more' >>"$WORK/p/src/main.rs"
  pull 7 "$DRAY" prewarm -- true
  cached_by pull 7
  missed app
  hit one
  pull 7 "$DRAY" flush --timeout $((60 * PATIENCE))
  tree | cmp - "$WORK/before"
  # what was there was not copied
  [ "$(results_in "$STORE/pr/7/v1" | wc -l)" -eq 1 ]
  # nor does prewarm leave its prefix
  echo '// still more' >>"$WORK/p/src/main.rs"
  clean "$WORK/p"
  pull 7 "$DRAY" prewarm -- cargo build --manifest-path "$WORK/p/Cargo.toml"
  tree | cmp - "$WORK/before"
  # a later run of it, on a fresh machine; another pull request; the branch
  machine three
  export DRAY_REMOTE_MODE=auto DRAY_IDENTITY=$FARM/keys/pr
  cached_by pull 7
  from_store
  machine four
  export DRAY_REMOTE_MODE=auto DRAY_IDENTITY=$FARM/keys/pr
  cached_by pull 8
  missed app
  hit one
  machine five
  export DRAY_REMOTE_MODE=auto
  cached_by protected
  missed app
}
# cached_by RUN ARG…: as cached, in such a run.
cached_by() {
  clean "$WORK/p"
  rm -f "$JOBS"
  "$@" cargo build --manifest-path "$WORK/p/Cargo.toml" >"$LOGS/by.out" 2>"$LOGS/by.err" || { cat "$LOGS/by.err" >&2; return 1; }
}

@test "the action and the template: what they name exists" {
  local file words option
  for file in "$DIST/github/action.yml" "$DIST/gitlab.yml"; do
    python3 "$CI_FILES" names "$file" >"$WORK/names"
    grep -q '^dray flush --timeout$' "$WORK/names"
    grep -q '^DRAY_CACHE_DIR$' "$WORK/names"
    while read -ra words; do
      if [ "${words[0]}" = dray ]; then
        "$DRAY" "${words[1]}" --help >"$WORK/help"
        grep -q "^\.Ss ${words[1]}\$" "$MAN/dray.1"
        for option in "${words[@]:2}"; do
          grep -qE -- "(^| |\[)$option( |,|$|\])" "$WORK/help" || { echo "no $option: $file" >&2; return 1; }
        done
      else
        grep -q "Ev ${words[0]}\b" "$MAN"/dray.conf.5 || { echo "no ${words[0]}: $file" >&2; return 1; }
      fi
    done <"$WORK/names"
  done
}

# bats test_tags=long
@test "the steps of the action, and the scripts of the template, do what they say" {
  project "$WORK/p"
  unset DRAY_IDENTITY DRAY_REMOTE_MODE DRAY_CACHE_DIR DRAY_JOB_LOG DRAY_STORE RUSTC_WRAPPER
  local keys=$DRAY_TRUST_KEYS
  unset DRAY_TRUST_KEYS
  mkdir "$WORK/bin" "$WORK/temp-1" "$WORK/temp-2"
  ln -s "$DRAY" "$WORK/bin/dray"
  export PATH=$WORK/bin:$PATH
  # a protected branch, then anybody's run on a fresh machine
  step 1 0 store="file://$STORE" trust-keys="$keys" identity="$(cat "$FARM/keys/ci")"
  fails grep -rq sign-secret "$WORK/env-1" "$LOGS/step"
  [ "$(stat -c %a "$WORK/temp-1/dray/identity")" = 600 ]
  github_build 1 protected
  protected step 1 1 step=finish timeout=60
  grep -q '^local cache: ' "$LOGS/step"
  [ "$(results_in "$STORE/v1" | wc -l)" -ge 4 ]
  clean "$WORK/p"
  step 2 0 store="file://$STORE ro" trust-keys="$keys"
  fails grep -q IDENTITY "$WORK/env-2"
  github_build 2 pull 3
  JOBS=$WORK/temp-2/dray/cache/jobs.jsonl
  from_store
  # GitLab: the same, in a merge request
  clean "$WORK/p"
  export CI_PROJECT_DIR=$WORK/p CI_JOB_ID=17 DRAY_STORE=file://$STORE DRAY_TRUST_KEYS=$keys
  export GITLAB_CI=true CI_PIPELINE_SOURCE=merge_request_event CI_MERGE_REQUEST_IID=5 MR_KEY_FOR_DRAY=$FARM/keys/ci
  echo '// more' >>"$WORK/p/src/main.rs"
  mkdir -p "$WORK/p.tmp/dray-16/cache"
  gitlab before_script '(cd "$CI_PROJECT_DIR" && cargo build)'
  gitlab after_script
  # but for what doctor has written
  [ "$(results_in "$STORE/mr/5/v1" | grep -vc "$(printf 'dray probe' | sha256sum | cut -c 1-64)")" -eq 1 ]
  # nothing of this job is left, nor of one that was ended before
  [ -z "$(ls "$WORK/p.tmp")" ]
}
# step RUN N INPUT…: the action's Nth step, with the environment of that run.
step() (
  python3 "$CI_FILES" github "$DIST/github/action.yml" "${@:2}" >"$WORK/script"
  load_env "$1"
  export GITHUB_ENV=$WORK/env-$1 RUNNER_TEMP=$WORK/temp-$1
  bash --noprofile --norc "$WORK/script" >"$LOGS/step" 2>&1 || { cat "$LOGS/step" >&2; return 1; }
)
load_env() {
  local line
  touch "$WORK/env-$1"
  while IFS= read -r line; do
    export "${line?}"
  done <"$WORK/env-$1"
}
# github_build RUN WHO…: the build between the steps.
github_build() (
  load_env "$1"
  cd "$WORK/p"
  "${@:2}" cargo build >"$LOGS/by.out" 2>"$LOGS/by.err" || { cat "$LOGS/by.err" >&2; return 1; }
)
# gitlab SECTION [COMMAND]: that part of the template, and the command behind it.
gitlab() {
  python3 "$CI_FILES" gitlab "$DIST/gitlab.yml" "$1" >"$WORK/script"
  printf '%s\n' "${2:-}" >>"$WORK/script"
  bash --noprofile --norc "$WORK/script" >"$LOGS/step" 2>&1 || { cat "$LOGS/step" >&2; return 1; }
}
