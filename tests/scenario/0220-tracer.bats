#!/usr/bin/env bats
# What a compile asks for is seen: what was not sent is fetched, what only this machine has brings the
# unit home, and a failure that is the crate's own is final.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# macro_app DIR: a package app with a proc-macro mac whose body is standard input: an expression that
# gives a String; `mac::ask!()` is that text.
macro_app() {
  package "$1" app
  package "$1/mac" mac lib
  printf '\n[lib]\nproc-macro = true\n' >>"$1/mac/Cargo.toml"
  sed -i '/^\[workspace\]/d' "$1/mac/Cargo.toml"
  {
    printf 'fn ask_it() -> String {\n'
    cat
    printf '\n}\n'
    cat <<'EOF'
#[proc_macro]
pub fn ask(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    format!("{:?}", ask_it()).parse().unwrap()
}
EOF
  } >"$1/mac/src/lib.rs"
  depends "$1" mac mac
  printf 'fn main() { println!("{}", mac::ask!()); }\n' >"$1/src/main.rs"
}

# A build through the farm gives the same bytes, and app was compiled at PLACE.
same_at() {
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  if [ "$(job app where)" != "$1" ]; then
    echo "app: $(job app where): $(job app why)" >&2
    return 1
  fi
}

home_for() {
  same_at local
  case $(job app why) in
    *"$1"*) ;;
    *) echo "why: $(job app why)" >&2; return 1 ;;
  esac
}

@test "a proc-macro reads a file of its package" {
  mkdir -p "$WORK/app"
  macro_app "$WORK/app" <<<'std::fs::read_to_string(std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/data/text").unwrap()'
  mkdir "$WORK/app/data"
  echo "of the package" >"$WORK/app/data/text"
  plain_build "$WORK/app" build
  farm_start
  same_at farm
}

@test "a proc-macro reads a file of the workspace, outside of its package: it is fetched" {
  macro_app "$WORK/ws" <<<'std::fs::read_to_string("shared/text").unwrap() + &std::fs::read_to_string(std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/../shared/deep/er").unwrap()'
  mkdir -p "$WORK/ws/inner/src" "$WORK/ws/shared/deep"
  echo "of the workspace" >"$WORK/ws/shared/text"
  head -c 3000000 /dev/zero | tr '\0' 'x' >"$WORK/ws/shared/deep/er"
  printf '[package]\nname = "inner"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nmac = { path = "../mac" }\n' \
    >"$WORK/ws/inner/Cargo.toml"
  printf 'fn main() { println!("{}", mac::ask!()); }\n' >"$WORK/ws/inner/src/main.rs"
  sed -i 's/^\[workspace\]/[workspace]\nmembers = ["inner"]/' "$WORK/ws/Cargo.toml"
  plain_build "$WORK/ws" build -p inner
  farm_start
  build first "$WORK/ws" build -p inner
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/ws"
  [ "$(job inner where)" = farm ]
}

# bats test_tags=long
@test "a file that is looked for and absent, and then is there" {
  macro_app "$WORK/app" <<<'std::fs::read_to_string("../later").unwrap_or("absent".to_string())'
  plain_build "$WORK/app" build
  farm_start
  same_at farm
  [ "$("$WORK/app/target/debug/app")" = absent ]
  # Beside the package, and so not of it: it does not leave.
  printf 'there' >"$WORK/later"
  rm -rf "$WORK/app/target"
  plain_build "$WORK/app" build
  home_for "needs the file $WORK/later"
  [ "$("$WORK/app/target/debug/app")" = there ]
}

# bats test_tags=long
@test "a file elsewhere on this machine: compiled here, and remembered" {
  echo "of this machine" >"$WORK/elsewhere"
  macro_app "$WORK/app" <<<"std::fs::read_to_string(\"$WORK/elsewhere\").unwrap()"
  plain_build "$WORK/app" build
  farm_start
  home_for "needs the file $WORK/elsewhere"
  rm -rf "$WORK/app/target"
  build second "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  [ "$(job app why)" = "local-only: needs the file $WORK/elsewhere" ]
  "$DRAY" doctor >"$LOGS/doctor" || true
  grep -q "local-only.*app 0.1.0.*$WORK/elsewhere" "$LOGS/doctor"
  # Another version is another try.
  sed -i 's/^version = .*/version = "0.2.0"/' "$WORK/app/Cargo.toml"
  build third "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app why)" = "needs the file $WORK/elsewhere" ]
  "$DRAY" doctor --forget >"$LOGS/doctor" || true
  fails grep -q "local-only" "$LOGS/doctor"
}

@test "a macro that puts a file's age into its output" {
  macro_app "$WORK/app" <<'EOF'
    let m = std::fs::metadata("data").unwrap();
    let later = |t: std::time::SystemTime| t.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("{} {} {}", later(m.modified().unwrap()), m.created().map(later).unwrap_or(0), m.len())
EOF
  echo "of an age" >"$WORK/app/data"
  touch -d '2001-02-03 04:05:06.789' "$WORK/app/data"
  plain_build "$WORK/app" build
  farm_start
  same_at farm
  [[ "$("$WORK/app/target/debug/app")" = 981173106789000000\ * ]]
}

@test "a directory of the package is listed" {
  macro_app "$WORK/app" <<'EOF'
    let mut v: Vec<_> = std::fs::read_dir("src/list").unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    v.sort();
    v.join(" ")
EOF
  mkdir -p "$WORK/app/src/list/sub"
  touch "$WORK/app/src/list/"{a,b,c}
  plain_build "$WORK/app" build
  farm_start
  same_at farm
  [ "$("$WORK/app/target/debug/app")" = "a b c sub" ]
}

# bats test_tags=long
@test "a directory of which not all was sent is listed here" {
  macro_app "$WORK/app" <<'EOF'
    let mut v: Vec<_> = std::fs::read_dir(".").unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    v.sort();
    v.join(" ")
EOF
  mkdir "$WORK/app/.git"
  plain_build "$WORK/app" build
  farm_start
  home_for "needs the listing of $WORK/app"
}

@test "a variable that did not go along: compiled here, its value stays here" {
  macro_app "$WORK/app" <<<'std::env::var("OF_THIS_USER").unwrap_or("none".to_string())'
  export OF_THIS_USER=secret-value
  plain_build "$WORK/app" build
  farm_start
  home_for "needs the environment: OF_THIS_USER"
  [ "$("$WORK/app/target/debug/app")" = secret-value ]
  fails grep -rqs secret-value "$FARM"/state-w1
}

@test "a variable that nobody has is absent there, too" {
  macro_app "$WORK/app" <<<'std::env::var("OF_NOBODY").unwrap_or("none".to_string())'
  plain_build "$WORK/app" build
  farm_start
  same_at farm
  [ "$("$WORK/app/target/debug/app")" = none ]
}

@test "the network: compiled here" {
  macro_app "$WORK/app" <<<'format!("{:?}", std::net::TcpStream::connect(("127.0.0.1", 1)).map_err(|e| e.kind()))'
  plain_build "$WORK/app" build
  farm_start
  home_for "needs the network"
  [ "$("$WORK/app/target/debug/app")" = "Err(ConnectionRefused)" ]
}

@test "a file that is written into the package: compiled here, and the file is there" {
  macro_app "$WORK/app" <<<'format!("{:?}", std::fs::write("written", "by a macro").is_ok())'
  plain_build "$WORK/app" build
  rm "$WORK/app/written"
  farm_start
  home_for "needs to write $WORK/app/written"
  [ "$(cat "$WORK/app/written")" = "by a macro" ]
}

@test "a program that is run: compiled here" {
  # by libc: a macro with std::process stays here by what its library uses (0766)
  macro_app "$WORK/app" <<'EOF'
{
    extern "C" {
        fn fork() -> i32;
        fn execv(path: *const std::ffi::c_char, argv: *const *const std::ffi::c_char) -> i32;
        fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
        fn _exit(status: i32) -> !;
    }
    let mut status = 1;
    unsafe {
        let argv = [c"true".as_ptr(), std::ptr::null()];
        let child = fork();
        if child == 0 {
            execv(c"/bin/true".as_ptr(), argv.as_ptr());
            _exit(2);
        }
        waitpid(child, &mut status, 0);
    }
    status.to_string()
}
EOF
  plain_build "$WORK/app" build
  farm_start
  home_for "needs to run /bin/true"
}

@test "secrets by their name do not leave the workspace" {
  macro_app "$WORK/app" <<<'std::fs::read_to_string(".env").unwrap()'
  echo "TOKEN=hidden-token" >"$WORK/app/.env"
  plain_build "$WORK/app" build
  farm_start
  home_for "needs the file $WORK/app/.env"
  fails grep -rqs hidden-token "$FARM"/state-w1
}

@test "a type error is final: rustc is not run here for it" {
  package "$WORK/app" app lib
  printf 'pub fn f() -> u8 { "no" }\n#[warn(unused)]\npub fn g() { let x = 1; }\n' >"$WORK/app/src/lib.rs"
  plain_build "$WORK/app" build
  farm_start
  build first "$WORK/app" build
  [ "$PLAIN_STATUS" -ne 0 ]
  [ "$BUILD_STATUS" -eq "$PLAIN_STATUS" ]
  same_text first
  same_outputs "$WORK/app"
  [ "$(job app where)" = farm ]
  [ "$(job app exit_status)" = 1 ]
}

@test "a macro's panic is final, too" {
  macro_app "$WORK/app" <<<'panic!("no {}", 7)'
  plain_build "$WORK/app" build
  farm_start
  build first "$WORK/app" build
  [ "$PLAIN_STATUS" -ne 0 ]
  [ "$BUILD_STATUS" -eq "$PLAIN_STATUS" ]
  same_text first
}

@test "without the tracer a failure is looked for here, and the network is not there" {
  macro_app "$WORK/app" <<<'format!("{:?}", std::net::TcpStream::connect(("127.0.0.1", 1)).is_ok())'
  allow client client
  allow worker w1
  coordinator_start
  worker_start w1 -o worker.trace=no
  client_env
  plain_build "$WORK/app" build
  same_at farm
  printf 'fn main() { nothing }\n' >"$WORK/app/src/main.rs"
  build second "$WORK/app" build
  [ "$BUILD_STATUS" -ne 0 ]
  [ "$(job app where)" = local ]
}
