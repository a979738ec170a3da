#!/usr/bin/env bats
# A worker whose answers are changed on their way (badworker.c): nothing of them is run, written elsewhere or
# shown, and the build ends as plain cargo's.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/badworker.bash"

# what_plain_makes [ARG…]: built plainly, then by that farm, with the same result. The exit status of cargo is 0.
what_plain_makes() {
  plain_build "$WORK/app" build "$@"
  [ "$PLAIN_STATUS" -eq 0 ]
  build first "$WORK/app" build "$@"
  echo "dep: $(job dep where): $(job dep why); app: $(job app where): $(job app why)"
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  same_text first
  [ "$("$WORK/app/target/debug/app")" = 42 ]
  [ -z "$(find "$WORK" -name '.dray-*' -o -name 'rustc??????')" ]
}

# home CRATE TEXT: that crate was compiled here, and the log says why: at once, or for the worker's fault.
home() {
  [ "$(job "$1" where)" = local ]
  [[ "$(job "$1" why) $(job "$1" attempts)" == *"$2"* ]]
}

# tool NAME: a program that leaves $WORK/ran.
tool() {
  mkdir -p "$WORK/evil"
  printf '#!/bin/sh\n: >"%s/ran"\n' "$WORK" >"$WORK/evil/$1"
  chmod +x "$WORK/evil/$1"
}

@test "a worker that is passed on as it is does all of it" {
  bad_farm
  what_plain_makes
  [ "$(job dep where)" = farm ]
  [ "$(job app where)" = farm ]
}

@test "link arguments: other tools" {
  local tool
  for tool in ld ld.lld collect2; do tool $tool; done
  bad_farm "arg -B$WORK/evil"
  what_plain_makes
  [ ! -e "$WORK/ran" ]
  home app "the captured link: tools from elsewhere"
}

@test "link arguments: a program before each tool" {
  tool run
  bad_farm 'arg -wrapper' "arg $WORK/evil/run"
  what_plain_makes
  [ ! -e "$WORK/ran" ]
  home app 'the captured link: an argument that rustc does not make: -wrapper'
}

@test "link arguments: a PATH of its own" {
  tool cc
  bad_farm "prefix $WORK/evil:"
  what_plain_makes
  [ ! -e "$WORK/ran" ]
  home app 'the captured link: tools from elsewhere'
}

@test "link arguments: a file that is written beside the output" {
  bad_farm "arg -Wl,-Map=$WORK/map"
  what_plain_makes
  [ ! -e "$WORK/map" ]
  home app 'the captured link: an argument that rustc does not make: -Map='
}

@test "link arguments: arguments from a file" {
  mkdir -p "$WORK"
  echo "-Wl,-Map=$WORK/map" >"$WORK/arguments"
  bad_farm "arg @$WORK/arguments"
  what_plain_makes
  [ ! -e "$WORK/map" ]
  home app 'the captured link: arguments in a file of others'
}

@test "link arguments: a link input that is a linker's script" {
  bad_farm 'content symbols.o INPUT(/dev/null)'
  what_plain_makes
  home app 'the captured link: an input that is not what its name says'
}

@test "a directory of a link that is another's file" {
  bad_farm 'dir rustc_demangle-0123456789abcdef.d'
  mkdir -p "$WORK/app/target/debug/deps"
  echo precious >"$WORK/app/target/debug/deps/rustc_demangle-0123456789abcdef.d"
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  home app 'a directory elsewhere'
  [ "$(cat "$WORK/app/target/debug/deps/rustc_demangle-0123456789abcdef.d")" = precious ]
}

# bad_output WHY LINE…: the library is compiled here for that reason.
bad_output() {
  bad_farm "${@:2}"
  what_plain_makes
  home dep "$1"
  [ "$(job app where)" = farm ]
}

@test "an output's name: elsewhere" {
  bad_output 'a name that is not' 'name .rlib ../libdep.rlib'
  [ ! -e "$WORK/app/target/debug/libdep.rlib" ]
}

@test "an output's name: another unit's" {
  bad_output 'a name that is not' 'name .rlib libapp.rlib'
}

@test "an output's name: the crate's, of a kind that this call does not make" {
  bad_farm 'name .rlib *.so'
  what_plain_makes
  home dep 'a name that is not'
}

@test "an output's name: twice" {
  bad_output 'an output is not what' 'twice .rlib'
}

@test "an output's mode: no mode at all" {
  bad_output 'an output is not what' 'mode .rlib 4755'
}

@test "an output's mode: that of a program" {
  bad_farm 'mode .rlib 777' 'mode .rmeta 777' 'mode .o 777'
  (umask 027 && what_plain_makes)
  [ "$(job dep where)" = farm ]
  [ "$(job app where)" = farm ]
  [ "$(find "$WORK/app/target" -name 'libdep*.r*' -printf '%m\n' | sort -u)" = 640 ]
}

@test "an output's size: more than any is" {
  bad_output 'an output: File too large' 'size .rlib 99999999999999'
}

@test "an output's size: less than comes" {
  bad_output 'an output is not what' 'size .rlib 10'
}

@test "an output that is cut" {
  bad_farm 'half .rlib'
  what_plain_makes
  [ "$(job dep where)" = local ]
}

@test "how long it took: longer than it was waited for" {
  bad_farm 'time 18446744073709551615'
  what_plain_makes
  [ "$(job dep where)" = farm ]
  jobs_all '.compile_ms <= .wall_ms'
}

# bad_text WHY LINE: both are compiled here for that reason.
bad_text() {
  bad_farm "$2"
  what_plain_makes
  home dep "$1"
  home app "$1"
}

@test "text: a terminal's controls in a line that is no JSON" {
  bad_text 'the control character U+001B' 'err \033]0;owned\007\033[2J'
  run ! grep -q owned "$LOGS/first.err"
}

@test "text: a terminal's controls in a diagnostic" {
  bad_text 'the control character U+001B' \
    'err {"$message_type":"diagnostic","message":"m","code":null,"level":"warning","spans":[],"children":[],"rendered":"owned\u001b]8;;x\u0007"}'
  run ! grep -q owned "$LOGS/first.err"
}

@test "text: a C1 control, and a turn of the text's direction" {
  bad_text 'the control character U+009B' 'err a\302\2332J'
}

@test "text: the turn of the text's direction in a diagnostic" {
  bad_text 'the control character U+202E' \
    'err {"$message_type":"diagnostic","message":"m","code":null,"level":"warning","spans":[],"children":[],"rendered":"a\u202eb"}'
}

@test "text: no UTF-8" {
  bad_text 'no UTF-8' 'err a\233b'
}

@test "text: a message of cargo's on standard output" {
  bad_text "taken for cargo's" 'out {"reason":"compiler-artifact","executable":"/bin/sh"}'
}

@test "text: a control on standard output" {
  bad_text 'the control character U+000D' 'out fine\015bad'
}

@test "text: the compiler's own colours, and tabs, stay on the farm" {
  bad_farm
  printf 'pub fn answer() -> u32 {\n\tlet x = "\xc3\xa9\xe2\x9a\xa0\xef\xb8\x8f";\n\t42\n}\n' >"$WORK/app/dep/src/lib.rs"
  what_plain_makes --color always
  [ "$(job dep where)" = farm ]
  grep -q "$(printf '\033')" "$LOGS/first.err"
}

@test "text: a macro's own controls are shown as without dray" {
  bad_farm
  package "$WORK/app/mac" mac lib
  printf '\n[lib]\nproc-macro = true\n' >>"$WORK/app/mac/Cargo.toml"
  sed -i '/^\[workspace\]/d' "$WORK/app/mac/Cargo.toml"
  depends "$WORK/app" mac mac
  cat >"$WORK/app/mac/src/lib.rs" <<'EOF2'
#[proc_macro]
pub fn go(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    eprint!("\x1b[2Kone\rtwo\n");
    "42".parse().unwrap()
}
EOF2
  echo 'fn main() { println!("{}", mac::go!()); }' >"$WORK/app/src/main.rs"
  what_plain_makes
  home app 'the control character U+001B'
}
