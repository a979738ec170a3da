#!/usr/bin/env bats
# A slot, or another lock, whose holder does not use it holds up nobody: a macro that runs cargo waits for
# its own compile's slot, a build that was stopped does not go on by itself.
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

scenario_setup() {
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on DRAY_LOCAL_SLOTS=1 DRAY_LOCAL_MEMORY=0 CARGO_INCREMENTAL=0
  # cargo of a macro that clears dray's variables has its cache there
  export HOME=$BATS_TEST_TMPDIR/home RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
  mkdir -p "$HOME"
  seed_client
}

# nested DIR DEPTH COMMAND: a program whose macro evaluates an expression by `cargo run` of a package that it
# writes, which for DEPTH > 1 is one of that kind again. COMMAND is Rust that makes a Command `c` of cargo's
# path `cargo`.
nested() {
  with_macro "$1"
  cat >"$1/look/src/expr.rs" <<END
{
    use std::{env, fs, process::Command};
    let depth: u32 = env::var("NEST").ok().and_then(|v| v.parse().ok()).unwrap_or($2);
    let dir = format!("$1-{depth}");
    let look = "$1/look";
    fs::create_dir_all(format!("{dir}/src")).unwrap();
    let (deps, main) = if depth > 1 {
        (format!("[dependencies]\nlook = {{ path = {look:?} }}\n"), "fn main() { println!(\"<{}>\", look::look!()) }")
    } else {
        (String::new(), "fn main() { println!(\"{}\", 6 * 7) }")
    };
    fs::write(format!("{dir}/Cargo.toml"), format!(
        "[package]\nname = \"inner{depth}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n{deps}")).unwrap();
    fs::write(format!("{dir}/build.rs"), "fn main() {}").unwrap();
    fs::write(format!("{dir}/src/main.rs"), main).unwrap();
    let cargo = env::var("CARGO").unwrap();
    let mut c: Command = $3;
    c.args(["run", "-q", "--offline"]).current_dir(&dir).env("NEST", (depth - 1).to_string());
    c.env_remove("CARGO_TARGET_DIR");
    let out = c.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_string()
}
END
}

# finishes DIR TEXT: a build there does not hang, and its program says TEXT.
finishes() {
  build_start nested "$1" build
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ] || { cat "$LOGS/nested.err" >&2; return 1; }
  says "$1" "$2"
}

# bats test_tags=long
@test "a macro that runs cargo, by itself and two levels deep, while others wait" {
  nested "$WORK/one" 1 'Command::new(cargo)'
  finishes "$WORK/one" 42
  [ "$(job inner1 not_stored)" = "it was not traced: another program is told of its calls already: a compile that runs cargo, or a sandbox" ] ||
    { show_cache; return 1; }
  nested "$WORK/two" 2 'Command::new(cargo)'
  package "$WORK/app" app
  build_start other "$WORK/two" build
  local first=$BUILD_PID
  build between "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  BUILD_PID=$first
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  says "$WORK/two" '<42>'
}

# bats test_tags=long
@test "a macro that runs cargo by a script, with dray's variables cleared, or with another cache" {
  nested "$WORK/script" 1 '{ let mut c = Command::new("sh"); c.args(["-c", "exec 9>/dev/null; \"$0\" \"$@\"; s=$?; exit $s", &cargo]); c }'
  finishes "$WORK/script" 42
  mkdir -p "$HOME/.config/dray"
  printf '[client]\nlocal_slots = 1\ncache_dir = %s\n' "$DRAY_CACHE_DIR" >"$HOME/.config/dray/dray.conf"
  nested "$WORK/cleared" 1 '{ let mut c = Command::new(cargo); for (k, _) in env::vars_os() { if k.to_string_lossy().starts_with("DRAY_") && k != "DRAY_BUILD" { c.env_remove(k); } } c }'
  finishes "$WORK/cleared" 42
  nested "$WORK/elsewhere" 1 '{ let mut c = Command::new(cargo); c.env("DRAY_CACHE_DIR", env::var("HOME").unwrap() + "/other"); c }'
  finishes "$WORK/elsewhere" 42
}

# gated DIR: a program whose macro says that it is expanded, by the file DIR.flag, and waits for DIR.gate.
gated() {
  with_macro "$1"
  cat >"$1/look/src/expr.rs" <<END
{
    std::fs::write("$1.flag", "").unwrap();
    while std::fs::metadata("$1.gate").is_err() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    "through".to_string()
}
END
}

@test "a build that is stopped keeps no slot from others, and goes on afterwards" {
  local stopped
  gated "$WORK/gated"
  package "$WORK/app" app
  build_start gated "$WORK/gated" build
  stopped=$BUILD_PID
  wait_until 60 test -e "$WORK/gated.flag"
  kill -STOP -- "-$stopped"
  build_start app "$WORK/app" build
  build_finish 20
  [ "$BUILD_STATUS" -eq 0 ]
  says "$WORK/app" 'hello from app'
  # another one waits when it goes on
  : >"$WORK/gated.gate"
  kill -CONT -- "-$stopped"
  BUILD_PID=$stopped
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  says "$WORK/gated" through
}

@test "nor does one whose compiler alone is stopped" {
  local stopped compiler
  gated "$WORK/gated"
  package "$WORK/app" app
  build_start gated "$WORK/gated" build
  stopped=$BUILD_PID
  wait_until 60 test -e "$WORK/gated.flag"
  compiler=$(compiler_at "$stopped" app)
  kill -STOP "$compiler"
  build_start app "$WORK/app" build
  build_finish 20
  [ "$BUILD_STATUS" -eq 0 ]
  : >"$WORK/gated.gate"
  kill -CONT "$compiler"
  BUILD_PID=$stopped
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
}

@test "what a stopped build was about to make is made by the next one, at once" {
  local stopped
  gated "$WORK/gated"
  export DRAY_LOCAL_SLOTS=4
  CARGO_TARGET_DIR=$WORK/t1 build_start first "$WORK/gated" build
  stopped=$BUILD_PID
  wait_until 60 test -e "$WORK/gated.flag"
  kill -STOP -- "-$stopped"
  : >"$WORK/gated.gate"
  rm -f "$JOBS"
  CARGO_TARGET_DIR=$WORK/t2 build_start second "$WORK/gated" build
  build_finish 30
  [ "$BUILD_STATUS" -eq 0 ]
  # a twin that runs would be waited for, a minute long
  jobs_all '(.lookup_ms // 0) < 20000'
  kill -CONT -- "-$stopped"
  BUILD_PID=$stopped
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  CARGO_TARGET_DIR=$WORK/t1 says "$WORK/gated" through
  CARGO_TARGET_DIR=$WORK/t2 says "$WORK/gated" through
}

@test "what a macro leaves running keeps no slot" {
  with_macro "$WORK/daemon"
  cat >"$WORK/daemon/look/src/expr.rs" <<END
{
    let child = std::process::Command::new("sh").args(["-c", "setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo \$!"]).output().unwrap();
    String::from_utf8(child.stdout).unwrap().trim().to_string()
}
END
  package "$WORK/app" app
  build daemon "$WORK/daemon" build
  [ "$BUILD_STATUS" -eq 0 ]
  STARTED+=("$("$WORK/daemon/target/debug/app")")
  build_start app "$WORK/app" build
  build_finish 20
  [ "$BUILD_STATUS" -eq 0 ]
}
