#!/usr/bin/env bats
# What rustc says is said: the same bytes, the same status.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# Names that rustc draws at random in a linker's command line.
same_but_random() {
  sed -i -E -e 's,/rustc[A-Za-z0-9]{6}/,/rustcRANDOM/,g' -e 's/\.[0-9a-z]{7}\.rcgu\.o/.RANDOM.rcgu.o/g' \
    "$LOGS/plain.err" "$LOGS/$1.err"
  same_text "$1"
}

# prepare NAME DIR: a program of tests/real, its one crate of the registry replaced by a stand-in: a
# scenario needs no registry.
prepare() {
  cp -R "$REAL_DIR/programs/$1" "$2"
  package "$2/itoa" itoa lib
  sed -i '/^\[workspace\]/d' "$2/itoa/Cargo.toml"
  sed -i 's,^itoa = .*,itoa = { path = "itoa" },' "$2/Cargo.toml"
  cat >"$2/itoa/src/lib.rs" <<'EOF'
pub struct Buffer;
impl Buffer {
    pub fn new() -> Buffer {
        Buffer
    }
    pub fn format(&mut self, n: i32) -> String {
        n.to_string()
    }
}
EOF
}

@test "warnings, with colours" {
  export CARGO_TERM_COLOR=always
  package "$WORK/warns" warns
  printf 'fn main() {\n    let größe = 1;\n    let v: Vec<u8> = Vec::new();\n}\nfn dead() {}\n' \
    >"$WORK/warns/src/main.rs"
  plain_build "$WORK/warns" build
  farm_start
  build first "$WORK/warns" build
  [ "$BUILD_STATUS" -eq 0 ]
  grep -q $'\033' "$LOGS/first.err"
  grep -q größe "$LOGS/first.err"
  same_text first
  [ "$(job warns where)" = farm ]
}

@test "a type error: text, status, and nothing left behind" {
  prepare type-error "$WORK/e"
  plain_build "$WORK/e" build
  farm_start
  build first "$WORK/e" build
  [ "$PLAIN_STATUS" -ne 0 ]
  [ "$BUILD_STATUS" -eq "$PLAIN_STATUS" ]
  same_text first
  same_outputs "$WORK/e"
}

# The worker has no source of a dependency: what it would show of an error there is not what is seen
# here.
@test "an error that lies in a dependency, after a macro that talks: said once, as here" {
  package "$WORK/app" app
  package "$WORK/app/low" low lib
  package "$WORK/app/mac" mac lib
  printf '\n[lib]\nproc-macro = true\n' >>"$WORK/app/mac/Cargo.toml"
  sed -i '/^\[workspace\]/d' "$WORK/app/low/Cargo.toml" "$WORK/app/mac/Cargo.toml"
  cat >"$WORK/app/mac/src/lib.rs" <<'EOF'
#[proc_macro]
pub fn talk(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    eprintln!("process {}", std::process::id());
    "".parse().unwrap()
}
EOF
  printf 'pub trait Known {}\npub fn wants<T: Known>(_: T) {}\n' >"$WORK/app/low/src/lib.rs"
  depends "$WORK/app" low low
  depends "$WORK/app" mac mac
  # Without an order of their own, cargo begins now with the one, now with the other.
  depends "$WORK/app/low" mac ../mac
  printf 'mac::talk!();\nfn main() { low::wants(1u8); }\n' >"$WORK/app/src/main.rs"
  plain_build "$WORK/app" build -j1
  farm_start
  build first "$WORK/app" build -j1
  [ "$PLAIN_STATUS" -ne 0 ]
  [ "$BUILD_STATUS" -eq "$PLAIN_STATUS" ]
  grep -q 'low/src/lib.rs:2' "$LOGS/first.err"
  grep -q '^process [0-9]' "$LOGS/first.err"
  sed -i -E 's/^process [0-9]+$/process ID/' "$LOGS/plain.err" "$LOGS/first.err"
  same_text first
  job app attempts | grep -q w1
}

@test "a link error" {
  prepare link-error "$WORK/e"
  plain_build "$WORK/e" build
  farm_start
  build first "$WORK/e" build
  [ "$PLAIN_STATUS" -ne 0 ]
  [ "$BUILD_STATUS" -eq "$PLAIN_STATUS" ]
  grep -q 'undefined symbol' "$LOGS/first.err"
  same_but_random first
}

@test "a proc-macro that panics" {
  package "$WORK/app" app
  package "$WORK/app/mac" mac lib
  printf '\n[lib]\nproc-macro = true\n' >>"$WORK/app/mac/Cargo.toml"
  sed -i '/^\[workspace\]/d' "$WORK/app/mac/Cargo.toml"
  printf '#[proc_macro]\npub fn no(_: proc_macro::TokenStream) -> proc_macro::TokenStream { panic!("no, ü") }\n' \
    >"$WORK/app/mac/src/lib.rs"
  depends "$WORK/app" mac mac
  printf 'fn main() { mac::no!(); }\n' >"$WORK/app/src/main.rs"
  # The thread's number is in the panic's own line, which is rustc's stderr and no JSON.
  plain_build "$WORK/app" build
  farm_start
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq "$PLAIN_STATUS" ]
  grep -q 'no, ü' "$LOGS/first.err"
  sed -i -E "s/\([0-9]+\) panicked/panicked/" "$LOGS/plain.err" "$LOGS/first.err"
  same_text first
}

@test "JSON messages on stdout" {
  package "$WORK/warns" warns
  printf 'fn main() { let unused = 1; }\n' >"$WORK/warns/src/main.rs"
  plain_build "$WORK/warns" build --message-format=json
  farm_start
  build first "$WORK/warns" build --message-format=json
  [ "$BUILD_STATUS" -eq 0 ]
  [ -s "$LOGS/plain.out" ]
  diff "$LOGS/plain.out" "$LOGS/first.out"
}

@test "check and clippy" {
  package "$WORK/warns" warns
  printf 'fn main() {\n    let v: Vec<u8> = vec![1];\n    if v.len() == 0 { return; }\n}\n' \
    >"$WORK/warns/src/main.rs"
  farm_start
  local c
  for c in check clippy; do
    rm -rf "$WORK/warns/target"
    rm -f "$JOBS"
    plain_build "$WORK/warns" $c
    build $c "$WORK/warns" $c
    [ "$BUILD_STATUS" -eq 0 ]
    same_text $c
    same_outputs "$WORK/warns"
    [ "$(job warns where)" = farm ]
  done
  grep -q is_empty "$LOGS/clippy.err"
}

@test "probes, stdin and unknown options are the real compiler's" {
  local rustc
  rustc=$(rustc --print sysroot)/bin/rustc
  farm_start
  diff <("$DRAY" "$rustc" -vV) <("$rustc" -vV)
  diff <("$DRAY" "$rustc" --print cfg) <("$rustc" --print cfg)
  mkdir -p "$WORK/a" "$WORK/b"
  printf 'pub fn f() {}\n' | "$DRAY" "$rustc" - --crate-name x --crate-type lib --emit metadata --out-dir "$WORK/a"
  [ -f "$WORK/a/libx.rmeta" ]
  "$DRAY" "$rustc" --no-such-option >"$LOGS/dray.out" 2>"$LOGS/dray.err" && return 1
  "$rustc" --no-such-option >"$LOGS/rustc.out" 2>"$LOGS/rustc.err" && return 1
  diff "$LOGS/rustc.err" "$LOGS/dray.err"
}

@test "a compiler that is not there" {
  run -127 "$DRAY" "$WORK/no-such-rustc" -vV
}
