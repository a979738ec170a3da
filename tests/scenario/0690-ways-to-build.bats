#!/usr/bin/env bats
# The ways in which people build one tree. Cargo's arguments for a unit say which must hit: what was compiled
# before with the same arguments, but for those that do not matter, in any of the ways before. Nothing else
# misses, and nothing else hits.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# tree DIR: libraries with features, a build script and tests; a macro; a program with an example, an
# integration test and a library of its own; one that gives a warning.
tree() {
  local d=$1
  mkdir -p "$d"
  printf '[workspace]\nresolver = "2"\nmembers = ["core", "util", "app", "noisy"]\n' >"$d/Cargo.toml"
  member "$d/core" core-lib lib
  member "$d/util" util lib
  member "$d/app" app
  member "$d/noisy" noisy lib
  package "$d-macro" word lib
  printf '\n[lib]\nproc-macro = true\n' >>"$d-macro/Cargo.toml"
  printf 'use proc_macro::TokenStream;\n#[proc_macro]\npub fn word(_: TokenStream) -> TokenStream {\n    "7u32".parse().unwrap()\n}\n' \
    >"$d-macro/src/lib.rs"
  printf '\n[features]\nextra = []\n' >>"$d/core/Cargo.toml"
  depends "$d/core" word "$d-macro"
  printf 'fn main() {\n    println!("cargo:rustc-env=BUILT=yes");\n    println!("cargo:rerun-if-changed=build.rs");\n}\n' >"$d/core/build.rs"
  cat >"$d/core/src/lib.rs" <<'END'
pub fn built() -> &'static str {
    concat!(env!("BUILT"), env!("CARGO_PKG_VERSION"))
}
#[cfg(feature = "extra")]
pub fn extra() -> u32 {
    word::word!()
}
pub fn plain() -> u32 {
    word::word!()
}
#[test]
fn it_is_built() {
    assert_eq!(built(), "yes0.1.0");
}
END
  depends "$d/util" core-lib ../core
  printf 'pub fn value() -> u32 {\n    core_lib::plain() + core_lib::built().len() as u32\n}\n' >"$d/util/src/lib.rs"
  printf '\n[dependencies]\nutil = { path = "../util" }\ncore-lib = { path = "../core", features = ["extra"] }\nnoisy = { path = "../noisy" }\n' >>"$d/app/Cargo.toml"
  printf 'pub fn sum() -> u32 {\n    util::value() + core_lib::extra() + noisy::loud()\n}\n' >"$d/app/src/lib.rs"
  printf 'fn main() {\n    println!("{}", app::sum());\n}\n' >"$d/app/src/main.rs"
  mkdir -p "$d/app/examples" "$d/app/tests"
  printf 'fn main() {\n    println!("{}", app::sum());\n}\n' >"$d/app/examples/show.rs"
  printf '#[test]\nfn runs() {\n    assert!(std::path::Path::new(env!("CARGO_BIN_EXE_app")).exists());\n}\n' >"$d/app/tests/it.rs"
  printf 'fn unused() {}\npub fn loud() -> u32 {\n    1\n}\n' >"$d/noisy/src/lib.rs"
  (cd "$d" && cargo generate-lockfile -q)
}

# A wrapper before ours that notes each unit's arguments, in order but without what does not matter, and has a
# job log for it alone. How diagnostics are put matters to the one that has some.
recorder() {
  cat >"$WORK/recorder" <<'END'
#!/bin/bash
crate= said=
for a; do
  case $prev in
    --crate-name) crate=$a ;;
    --out-dir | --diagnostic-width) a= ;;
    -C) case $a in incremental=*) a= ;; esac ;;
    -L) case $a in dependency=*) a= ;; esac ;;
  esac
  case $a in
    --json=*) form=$(tr , '\n' <<<"${a#--json=}" | grep diagnostic- | sort | tr '\n' ' ') a= ;;
    --diagnostic-width=*) form+=$a a= ;;
  esac
  prev=$a
  said+=$a$'\n'
done
case $crate in
  '' | ___) exec "$RECORDED" "$@" ;;
  noisy) said+=$form ;;
esac
printf '%s' "$said" >"$RECORDS/$$.args"
DRAY_JOB_LOG=$RECORDS/$$.jsonl exec "$RECORDED" "$@"
END
  chmod +x "$WORK/recorder"
  export RECORDED=$DRAY RECORDS=$WORK/records RUSTC_WRAPPER=$WORK/recorder
  SEEN=$WORK/seen
  : >"$SEEN"
}

# way DIR ARG…: cargo there, from nothing; each unit hits if its arguments were seen, and misses if not.
way() {
  local dir=$1 args sum got bad=0
  shift
  clean "$WORK/tree"
  rm -rf "$RECORDS"
  mkdir "$RECORDS"
  (cd "$dir" && exec cargo "$@") >"$LOGS/way.out" 2>"$LOGS/way.err" </dev/null 3>&- || { cat "$LOGS/way.err" >&2; return 1; }
  for args in "$RECORDS"/*.args; do
    sum=$(sha256sum <"$args")
    got=$(jq -r .cache "${args%.args}.jsonl")
    if grep -qxF "$sum" "$SEEN"; then
      [ "$got" = hit ] || bad=1
    else
      [ "$got" = miss ] || bad=1
    fi
    [ $bad -eq 0 ] || { echo "cargo $*: $got $(jq -r '.crate, .kind, .cache_why' "${args%.args}.jsonl")" >&2; cat "$args" >&2; return 1; }
    [ "$(jq -r '.not_stored // ""' "${args%.args}.jsonl")" = "" ]
  done
  for args in "$RECORDS"/*.args; do sha256sum <"$args"; done >>"$SEEN"
  echo "cargo $*: $(cat "$RECORDS"/*.jsonl | jq -s 'map(.cache) | group_by(.) | map("\(.[0]) \(length)") | join(", ")')" >>"$LOGS/ways"
}

ways=(
  'build'
  'build --workspace'
  'build -p app'
  'build --bins'
  'build --all-targets'
  'check --workspace --all-targets --message-format=json'
  'check'
  'clippy --workspace'
  'clippy -p app --message-format=json'
  'test --no-run --message-format=short'
  'build --tests -p core-lib'
  'build -p core-lib --features extra'
  'check -p util --message-format=short'
  'build --workspace --message-format=json-diagnostic-rendered-ansi'
)

# bats test_tags=long
@test "every way to build one tree after every other" {
  local w
  tree "$WORK/tree"
  recorder
  for w in "${ways[@]}"; do
    # shellcheck disable=SC2086
    way "$WORK/tree" $w
  done
  way "$WORK/tree/app" build
  way "$WORK/tree/core" test --no-run
  cat "$LOGS/ways"
  # the first ones found nothing, the last ones all but little
  grep -q 'cargo build: "miss [0-9]*"$' "$LOGS/ways"
  grep -q 'json-diagnostic-rendered-ansi: "hit [0-9]*"$' "$LOGS/ways"
}

# bats test_tags=long
@test "and every way before every other" {
  local i
  tree "$WORK/tree"
  recorder
  for ((i = ${#ways[@]} - 1; i >= 0; i--)); do
    # shellcheck disable=SC2086
    way "$WORK/tree" ${ways[i]}
  done
}

@test "--message-format=short: what is said is right, and only what is said is compiled again" {
  tree "$WORK/tree"
  cached human "$WORK/tree" check --workspace
  clean "$WORK/tree"
  both short "$WORK/tree" check -p noisy --message-format=short
  missed noisy 'the form of diagnostics'
  clean "$WORK/tree"
  cached short "$WORK/tree" check --workspace --message-format=short
  all_hit
  grep -q '^noisy/src/lib.rs:1:4: warning' "$LOGS/short.err"
  clean "$WORK/tree"
  both human-again "$WORK/tree" check -p noisy
  all_hit
  clean "$WORK/tree"
  both short-again "$WORK/tree" check -p noisy --message-format=short
  all_hit
  both json "$WORK/tree" check -p noisy --message-format=json
  diff <(sort "$LOGS/plain.out") <(sort "$LOGS/json.out")
}

@test "-Z codegen-backend=llvm: hits, and the farm; another one is the compiler's own" {
  export RUSTC_BOOTSTRAP=1
  package "$WORK/app" app
  dependency "$WORK/app" low
  sed -i '1i cargo-features = ["codegen-backend"]\n' "$WORK/app/Cargo.toml"
  printf '\n[profile.dev]\ncodegen-backend = "llvm"\n' >>"$WORK/app/Cargo.toml"
  both first "$WORK/app" build
  all_missed
  clean "$WORK/app"
  cached again "$WORK/app" build
  all_hit
  farm_start
  export DRAY_CACHE=off
  both farm "$WORK/app" build
  jobs_all '.where == "farm"'
  sed -i 's/"llvm"/"cranelift"/' "$WORK/app/Cargo.toml"
  rm -f "$JOBS"
  build cranelift "$WORK/app" build
  grep -q '"option -Z: codegen-backend=cranelift"' "$JOBS"
}

# bats test_tags=long
@test "-Ztrim-paths: hits, in another target directory too, and the farm" {
  export RUSTC_BOOTSTRAP=1
  package "$WORK/app" app
  dependency "$WORK/app" low
  echo 'pub fn answer() -> &'"'"'static str { file!() }' >"$WORK/app/low/src/lib.rs"
  printf 'include!(concat!(env!("OUT_DIR"), "/made.rs"));\nfn main() {\n    println!("{} {}", made(), low::answer());\n}\n' >"$WORK/app/src/main.rs"
  cat >"$WORK/app/build.rs" <<'END'
fn main() {
    let to = std::path::Path::new(&std::env::var_os("OUT_DIR").unwrap()).join("made.rs");
    std::fs::write(to, "pub fn made() -> &'static str { file!() }").unwrap();
    println!("cargo:rerun-if-changed=build.rs");
}
END
  sed -i '1i cargo-features = ["trim-paths"]\n' "$WORK/app/Cargo.toml"
  printf '\n[profile.dev]\ntrim-paths = "all"\n' >>"$WORK/app/Cargo.toml"
  both first "$WORK/app" build
  all_missed
  fails grep -qF "$WORK" "$WORK/app/target/debug/app"
  clean "$WORK/app"
  cached again "$WORK/app" build
  all_hit
  (export CARGO_TARGET_DIR=$WORK/elsewhere; both elsewhere "$WORK/app" build; hits low build_script_build)
  clean "$WORK/app"
  farm_start
  export DRAY_CACHE=off
  both farm "$WORK/app" build
  jobs_all '.where == "farm"'
}
