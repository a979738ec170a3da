#!/usr/bin/env bats
# What lies below the out-dir before a compile: on a worker it is there as it is here, or the unit is
# compiled here; "not there" is said only of what is not there. In cargo's newer layout nobody but cargo knows a
# unit's out-dir before; there it is about what cargo puts into it.
bats_require_minimum_version 1.5.0
DRAY_TEST_LAYOUT=1
. "$BATS_TEST_DIRNAME/lib.bash"

# layout_v2: from here on each unit has an out-dir of its own, target/debug/build/PACKAGE/HASH/out.
layout_v2() {
  export RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT=true
}

# macro_app EXPRESSION: a package app whose build script puts data into the directory that its out-dir
# will be, or is in, and whose program is the String that EXPRESSION gives in a proc-macro; there `deps`
# is that directory.
macro_app() {
  local dir=$WORK/app
  package "$dir" app
  package "$dir/mac" mac lib
  printf '\n[lib]\nproc-macro = true\n' >>"$dir/mac/Cargo.toml"
  sed -i '/^\[workspace\]/d' "$dir/mac/Cargo.toml"
  cat >"$dir/mac/src/lib.rs" <<EOR
fn ask_it() -> String {
    let deps = std::path::PathBuf::from(std::env::var("DEPS").unwrap());
    let _ = &deps;
    $1
}
#[proc_macro]
pub fn ask(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    format!("{:?}", ask_it()).parse().unwrap()
}
EOR
  depends "$dir" mac mac
  printf 'fn main() { println!("{}", mac::ask!()); }\n' >"$dir/src/main.rs"
  # OUT_DIR is target/debug/build/app-HASH/out
  cat >"$dir/build.rs" <<'EOR'
fn main() {
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR").unwrap());
    let deps = out.ancestors().nth(3).unwrap().join("deps");
    std::fs::create_dir_all(deps.join("data/deep")).unwrap();
    std::fs::write(deps.join("data/deep/text"), "generated").unwrap();
    std::fs::write(deps.join("list.txt"), "a list").unwrap();
    println!("cargo:rustc-env=DEPS={}", deps.display());
    println!("cargo:rerun-if-changed=build.rs");
}
EOR
}

# built_at PLACE [TEXT]: a build through the farm is like plain cargo's, and app's program was compiled at
# PLACE, a pattern; for TEXT, when it came home.
built_at() {
  plain_build "$WORK/app" build
  [ "$PLAIN_STATUS" -eq 0 ]
  farm_start
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  # shellcheck disable=SC2053 # a pattern
  if [[ "$(of_program where)" != $1 ]] || [[ "$(of_program why)" != *"${2-}"* ]]; then
    echo "app: $(of_program where): $(of_program why)" >&2
    return 1
  fi
}
of_program() {
  jq -rs --arg f "$1" 'map(select(.crate == "app" and .kind == "bin")) | last | .[$f] // empty' "$JOBS"
}

@test "a macro reads what a build script put beside the outputs" {
  macro_app 'std::fs::read_to_string(deps.join("data/deep/text")).unwrap()'
  built_at farm
  [ "$("$WORK/app/target/debug/app")" = generated ]
}

@test "a macro looks whether it is there, and what is not there" {
  macro_app 'format!("{} {} {} {}", deps.join("data").is_dir(), deps.join("list.txt").exists(), deps.join("data/none").exists(), deps.join("list.txt/x").exists())'
  # what a macro asks of a directory may bring it home
  built_at "*"
  [ "$("$WORK/app/target/debug/app")" = "true true false false" ]
}

@test "include_bytes! from there" {
  macro_app '"none".to_string()'
  printf 'fn main() { println!("{} {}", mac::ask!(), include_str!(concat!(env!("DEPS"), "/list.txt"))); }\n' \
    >"$WORK/app/src/main.rs"
  built_at farm
  [ "$("$WORK/app/target/debug/app")" = "none a list" ]
}

@test "the out-dir, or a directory below it, is listed: compiled here" {
  macro_app 'let mut v: Vec<_> = std::fs::read_dir(deps.join("data")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect(); v.sort(); v.join(" ")'
  built_at local "needs the listing of $WORK/app/target/debug/deps/data"
  [ "$("$WORK/app/target/debug/app")" = deep ]
}

@test "the alias of the out-dir, which a macro finds in the arguments, is asked as well" {
  macro_app 'let ext = std::env::args().find_map(|a| a.strip_prefix("mac=").map(String::from)).unwrap(); std::fs::read_to_string(std::path::Path::new(&ext).with_file_name("list.txt")).unwrap_or("gone".into())'
  built_at farm
  [ "$("$WORK/app/target/debug/app")" = "a list" ]
}

# bats test_tags=long
@test "a macro writes over what was there, removes it, or leaves more: compiled here" {
  local change why
  for change in 'std::fs::write(deps.join("list.txt"), "mine").unwrap()' \
    'std::fs::remove_file(deps.join("list.txt")).unwrap()' \
    'std::fs::write(deps.join("new.txt"), "mine").unwrap()' \
    'std::fs::rename(deps.join("data"), deps.join("renamed")).unwrap()'; do
    rm -rf "$WORK/app" "$FARM"/state-*
    macro_app "$change; String::new()"
    [ -n "${COORDINATOR_PID:-}" ] || farm_start
    build first "$WORK/app" build
    [ "$BUILD_STATUS" -eq 0 ]
    [ "$(of_program where)" = local ]
    why="$why$(of_program why);"
    case $change in
      *write*list*) [ "$(cat "$WORK/app/target/debug/deps/list.txt")" = mine ] ;;
      *remove*) [ ! -e "$WORK/app/target/debug/deps/list.txt" ] ;;
      *new*) [ "$(cat "$WORK/app/target/debug/deps/new.txt")" = mine ] ;;
      *rename*) [ -d "$WORK/app/target/debug/deps/renamed/deep" ] ;;
    esac
    "$DRAY" doctor --forget >>"$LOGS/doctor" || true
  done
  [[ "$why" = *"needs to write $WORK/app/target/debug/deps/list.txt;"* ]]
}

@test "what a macro reads there is an input of the cache" {
  export DRAY_CACHE=on
  macro_app 'std::fs::read_to_string(deps.join("data/deep/text")).unwrap() + &deps.join("later").exists().to_string()'
  farm_start
  build first "$WORK/app" build
  [ "$("$WORK/app/target/debug/app")" = generatedfalse ]
  rm "$WORK/app/target/debug/app" "$WORK"/app/target/debug/deps/app-*
  build second "$WORK/app" build
  [ "$(of_program where)" = cache ]
  rm "$WORK/app/target/debug/app" "$WORK"/app/target/debug/deps/app-*
  touch "$WORK/app/target/debug/deps/later"
  build third "$WORK/app" build
  [ "$(of_program where)" != cache ]
  [ "$("$WORK/app/target/debug/app")" = generatedtrue ]
}

@test "a file there that the linker is told of: it is read, and stays" {
  macro_app '"none".to_string()'
  sed -i 's|^    println!("cargo:rerun|    std::fs::write(deps.join("names"), "{ main; };").unwrap();\n    println!("cargo:rustc-link-arg-bins=-Wl,--dynamic-list={}", deps.join("names").display());\n&|' \
    "$WORK/app/build.rs"
  built_at farm
  [ "$(cat "$WORK/app/target/debug/deps/names")" = "{ main; };" ]
}

# bindeps: a package app whose program holds the bytes of another package's program.
bindeps() {
  package "$WORK/app" app
  package "$WORK/app/tool" tool
  sed -i '/^\[workspace\]/d' "$WORK/app/tool/Cargo.toml"
  printf '\n[dependencies]\ntool = { path = "tool", artifact = "bin" }\n' >>"$WORK/app/Cargo.toml"
  printf 'static TOOL: &[u8] = include_bytes!(env!("CARGO_BIN_FILE_TOOL"));\nfn main() { println!("{}", TOOL.len()); }\n' \
    >"$WORK/app/src/main.rs"
  export RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BINDEPS=true
}

@test "an artifact dependency's program" {
  bindeps
  built_at farm
  [ "$("$WORK/app/target/debug/app")" -gt 100000 ]
}

@test "an artifact dependency's program, in build-dir layout v2" {
  bindeps
  layout_v2
  plain_build "$WORK/app" build
  [ "$PLAIN_STATUS" -eq 0 ]
  farm_start
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  cmp "$BATS_TEST_TMPDIR/plain-target/debug/app" "$WORK/app/target/debug/app"
  [ "$(of_program where)" = farm ]
}

@test "a unit is refused by one thread while another asks: the reason is the first one's" {
  macro_app 'let t = std::thread::spawn(|| { let _ = std::fs::write("/srv/none/dray-never", ""); });
    for i in 0..200 { let _ = std::fs::read(deps.join(format!("data/{i}"))); }
    let _ = t.join(); String::new()'
  built_at local "needs to write /srv/none/dray-never"
}
