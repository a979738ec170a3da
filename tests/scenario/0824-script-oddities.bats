#!/usr/bin/env bats
# What a build script does that few do: with what an earlier run left, with times and modes, with files of holes.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# does DIR <<END: a package whose script does this, with OUT_DIR in `out` and the text of the file "word" in `word`. It
# declares that file.
does() {
  package "$1" app
  {
    echo '#[allow(unused_imports)] use std::{env, fs, os::unix::fs::PermissionsExt, process::Command};'
    echo 'fn main() {'
    echo '    println!("cargo:rerun-if-changed=word");'
    echo '    let (out, word) = (env::var("OUT_DIR").unwrap(), fs::read_to_string("word").unwrap());'
    echo '    let word = word.trim();'
    cat
    echo '}'
  } >"$1/build.rs"
  echo one >"$1/word"
}

@test "a directory that is filled under another name, beside what an earlier run left" {
  does "$WORK/app" <<'RUST'
    fs::create_dir_all(format!("{out}/part/below")).unwrap();
    fs::write(format!("{out}/part/below/word"), word).unwrap();
    fs::rename(format!("{out}/part"), format!("{out}/{word}")).unwrap();
RUST
  cached first "$WORK/app" build
  echo two >"$WORK/app/word"
  touch -d '1 minute' "$WORK/app/word"
  cached second "$WORK/app" build
  ran app word
  run_kept app
  clean "$WORK/app"
  cached again "$WORK/app" build
  put app
  [ "$(cat "$(script_out "$WORK/app/target/debug" app)/two/below/word")" = two ]
}

@test "a copy that has its source's time, and is declared: the next build does nothing" {
  does "$WORK/app" <<'RUST'
    println!("cargo:rerun-if-changed={out}/copy");
    assert!(Command::new("cp").args(["-a", "old", &format!("{out}/copy")]).status().unwrap().success());
RUST
  mkdir -p "$WORK/app/old/below"
  echo old >"$WORK/app/old/below/text"
  ln -s below/text "$WORK/app/old/link"
  find "$WORK/app" -exec touch -h -d 2020-02-02 {} +
  as_plain copy "$WORK/app" build
  cached fresh "$WORK/app" build
  nothing_done fresh
  cmp <(cd "$WORK/app/old" && find . -printf '%T@ %p\n' | sort) \
    <(cd "$(script_out "$WORK/app/target/debug" app)/copy" && find . -printf '%T@ %p\n' | sort)
  touch "$WORK/app/word"
  cached touched "$WORK/app" build
  put app
}

@test "another mode or another time for a file elsewhere is not kept; the one that it had is" {
  does "$WORK/app" <<'RUST'
    fs::set_permissions("tool", fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(format!("{out}/word"), word).unwrap();
RUST
  echo >"$WORK/app/tool"
  chmod 644 "$WORK/app/tool"
  cached first "$WORK/app" build
  run_not_kept app "it changed $WORK/app/tool"
  [ -x "$WORK/app/tool" ]
  as_plain again "$WORK/app" build
}

@test "a large file that is mostly holes is not copied" {
  does "$WORK/app" <<'RUST'
    fs::File::create(format!("{out}/image")).unwrap().set_len(1 << 33).unwrap();
    fs::write(format!("{out}/word"), word).unwrap();
RUST
  cached first "$WORK/app" build
  run_not_kept app "image, which is large and mostly empty"
  [ "$(stat -c %s "$(script_out "$WORK/app/target/debug" app)/image")" = $((1 << 33)) ]
}

@test "openat2 with another root is not taken for a path of this one" {
  does "$WORK/app" <<'RUST'
    extern "C" {
        fn open(path: *const u8, flags: i32) -> i32;
        fn syscall(number: i64, dir: i64, path: *const u8, how: *const u64, size: i64) -> i64;
    }
    let root = unsafe { open(b"root\0".as_ptr(), 0) };
    let fd = unsafe { syscall(437, root as i64, b"/etc/odd\0".as_ptr(), [0u64, 0, 0x10].as_ptr(), 24) };
    if fd >= 0 {
        fs::write(format!("{out}/{word}"), fs::read(format!("/proc/self/fd/{fd}")).unwrap()).unwrap();
    }
RUST
  mkdir -p "$WORK/app/root/etc"
  cached absent "$WORK/app" build
  echo odd >"$WORK/app/root/etc/odd"
  clean "$WORK/app"
  cached there "$WORK/app" build
  ran app
  [ "$(cat "$(script_out "$WORK/app/target/debug" app)/one")" = odd ]
}

@test "all variables, written down by the script and by programs: what they are without dray" {
  [ "${DRAY_TEST_LAYOUT:-1}" = 1 ] || skip "cargo 1.95 to 1.97 draws the LD_LIBRARY_PATH of its newer layout"
  does "$WORK/app" <<'RUST'
    let not = |k: &str| ["RUSTC_WRAPPER", "CARGO_MAKEFLAGS", "NUM_JOBS", "_"].contains(&k);
    let mut all: Vec<_> = env::vars().filter(|(k, _)| !not(k)).map(|(k, v)| format!("{k}={v}")).collect();
    all.sort();
    fs::write(format!("{out}/own"), all.join("\n") + word).unwrap();
    let sh = |text: &str| {
        let said = Command::new("sh").args(["-c", text]).output().unwrap().stdout;
        let said = String::from_utf8(said).unwrap();
        let mut lines: Vec<_> = said.lines().filter(|l| !l.split('=').next().is_some_and(not)).collect();
        lines.sort();
        lines.join("\n")
    };
    fs::write(format!("{out}/env"), sh("env")).unwrap();
    fs::write(format!("{out}/set"), sh("exec env -u HOME bash -c 'env; echo $LD_PRELOAD'")).unwrap();
    fs::write(format!("{out}/make"), sh("printf 'all:\n\t@env | grep PRELOAD || echo none\n' | make -sf -")).unwrap();
    fs::write(format!("{out}/perl"), sh("perl -e 'print join qq(\n), sort keys %ENV'")).unwrap();
RUST
  as_plain all "$WORK/app" build
}

# bats test_tags=long
@test "what it would change is not there: a file to remove, move, open, cut or mark; a directory to write in" {
  does "$WORK/app" <<'RUST'
    println!("cargo:rerun-if-changed=nothing");
    let yes = |r: std::io::Result<()>| r.is_ok().to_string();
    let said = [
        yes(fs::remove_file("removed")),
        yes(fs::rename("moved", format!("{out}/moved"))),
        yes(fs::OpenOptions::new().write(true).open("opened").map(|_| ())),
        yes(fs::set_permissions("marked", fs::Permissions::from_mode(0o644))),
        yes(fs::remove_dir("dir")),
        yes(fs::write("in/file", word)),
    ];
    println!("cargo:rustc-env=SAID={}", said.join(" "));
RUST
  echo 'fn main() { println!("{}", env!("SAID")); }' >"$WORK/app/src/main.rs"
  cached none "$WORK/app" build
  says "$WORK/app" "false false false false false false"
  run_kept app
  cached again "$WORK/app" build
  put app
  local name said=(false false false false false false) i=0
  for name in removed moved opened marked; do
    touch "$WORK/app/$name"
    said[i]=true
    cached "$name" "$WORK/app" build
    says "$WORK/app" "${said[*]}"
    rm -f "$WORK/app/$name"
    said[i++]=false
  done
  mkdir "$WORK/app/dir"
  cached dir "$WORK/app" build
  says "$WORK/app" "false false false false true false"
  mkdir "$WORK/app/in"
  cached in "$WORK/app" build
  says "$WORK/app" "false false false false false true"
  [ "$(cat "$WORK/app/in/file")" = one ]
}

# bats test_tags=long
@test "relative paths to OUT_DIR, to the profile's directory, and from OUT_DIR to the package, in another target directory" {
  does "$WORK/app" <<'RUST'
    let here = env::current_dir().unwrap();
    let rel = std::path::Path::new(&out).strip_prefix(&here).unwrap();
    let profile = rel.ancestors().nth(if rel.ends_with("run/out") { 4 } else { 3 }).unwrap();
    let back = "../".repeat(rel.components().count());
    match word {
        "out" => println!("cargo:rustc-env=SAID={}", rel.display()),
        "profile" => fs::write(format!("{out}/said.rs"), format!("{:?}", profile.display().to_string())).unwrap(),
        "back" => fs::write(format!("{out}/said.rs"), format!("include_str!(\"{back}said\")")).unwrap(),
        _ => std::os::unix::fs::symlink(format!("{back}said.rs"), format!("{out}/said.rs")).unwrap(),
    }
RUST
  cat >"$WORK/app/src/main.rs" <<'RUST'
#[cfg(not(file))]
fn main() { println!("{}", env!("SAID")); }
#[cfg(file)]
fn main() { println!("{}", include!(concat!(env!("OUT_DIR"), "/said.rs"))); }
RUST
  echo '"linked"' >"$WORK/app/said.rs"
  printf said >"$WORK/app/said"
  local word dir plain
  for word in out profile back link; do
    [ "$word" = out ] || export RUSTFLAGS="--cfg file"
    echo "$word" >"$WORK/app/word"
    for dir in target other a/b; do
      export CARGO_TARGET_DIR=$WORK/app/$dir
      clean "$WORK/app"
      plain=$(cd "$WORK/app" && env -u RUSTC_WRAPPER cargo run -q)
      clean "$WORK/app"
      cached "$word" "$WORK/app" build
      says "$WORK/app" "$plain"
    done
    clean "$WORK/app"
    cached "$word-again" "$WORK/app" build
    put app
  done
}

# bats test_tags=long
@test "what a process says that the script leaves behind, when the tracer has given it up" {
  # of_run FILE PATTERN: prints those processes of the run of which that is so.
  of_run() {
    local p
    for p in /proc/[0-9]*; do
      tr '\0' '\n' <"$p/environ" | grep -q "^OUT_DIR=$WORK/" || continue
      if [ -L "$p/$1" ]; then readlink "$p/$1"; else tr '\0' ' ' <"$p/$1"; fi | grep -q "$2" && echo "${p#/proc/}"
    done 2>/dev/null | grep .
  }
  # what answers the calls of what is left has the filter's listener as its standard input
  given_up() {
    of_run fd/0 'seccomp notify' >/dev/null
  }
  does "$WORK/app" <<'RUST'
    let text = "trap go=1 USR1; while kill -0 $1 2>/dev/null || ! [ $go ]; do sleep 0.02; done; echo cargo:rustc-env=SAID=late; echo later >&2";
    let script = std::process::id().to_string();
    Command::new("sh").args(["-c", text, word, &script]).spawn().unwrap();
RUST
  echo 'fn main() { println!("{}", option_env!("SAID").unwrap_or_default()); }' >"$WORK/app/src/main.rs"
  build_start late "$WORK/app" build
  wait_until 30 given_up
  kill -USR1 $(of_run cmdline '^sh -c trap')
  build_finish 30
  [ "$BUILD_STATUS" -eq 0 ]
  says "$WORK/app" late
  run_not_kept app "a process that it started still runs"
  grep -rqx later "$WORK/app/target/debug/build"
}

# bats test_tags=long
@test "processes that the script leaves behind, and that never rest: the build ends" {
  touch "$WORK/busy"
  does "$WORK/app" <<'RUST'
    let _ = (out, word);
    if env::args().count() > 1 {
        while fs::metadata("../busy").is_ok() {}
        return;
    }
    for _ in 0..150 {
        let mut busy = Command::new(env::current_exe().unwrap());
        busy.arg("on").stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        busy.stderr(std::process::Stdio::null()).spawn().unwrap();
    }
RUST
  build_start busy "$WORK/app" build
  has_run() {
    [ -n "$(run_of app where)" ]
  }
  wait_until 30 has_run || { rm "$WORK/busy"; return 1; }
  rm "$WORK/busy"
  build_finish 30
  [ "$BUILD_STATUS" -eq 0 ]
  run_not_kept app "a process that it started still runs"
}

@test "a file that it leaves in a temporary directory: such a run is kept only if nothing tells of that file" {
  does "$WORK/app" <<'RUST'
    let file = env::temp_dir().join(format!("left-{word}/said.rs"));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, format!("{word:?}")).unwrap();
    fs::write(format!("{out}/said.rs"), "\"nothing\"").unwrap();
    match word {
        "told" => println!("cargo:rustc-env=FILE={}", file.display()),
        "linked" => {
            fs::remove_file(format!("{out}/said.rs")).unwrap();
            std::os::unix::fs::symlink(&file, format!("{out}/said.rs")).unwrap();
        }
        "written" => fs::write(format!("{out}/said.rs"), format!("include!({file:?})")).unwrap(),
        _ => {}
    }
    if word != "told" {
        println!("cargo:rustc-env=FILE={out}/said.rs");
    }
RUST
  echo 'fn main() { println!("{}", include!(env!("FILE"))); }' >"$WORK/app/src/main.rs"
  export TMPDIR=$BATS_TEST_TMPDIR/tmp
  mkdir "$TMPDIR"
  local word
  for word in told linked written untold; do
    echo "$word" >"$WORK/app/word"
    clean "$WORK/app"
    cached "$word" "$WORK/app" build
    [ "$word" = untold ] || run_not_kept app "and tells of it in "
    rm -r "$TMPDIR/left-$word"
    clean "$WORK/app"
    cached "$word-again" "$WORK/app" build
    says "$WORK/app" "${word/untold/nothing}"
  done
  put app
}

# bats test_tags=long
@test "a file that an earlier run left in a temporary directory: asked about, replaced blindly, by rustc, grown" {
  does "$WORK/app" <<'RUST'
    let file = env::temp_dir().join(format!("left-{word}"));
    let size = match word {
        "asked" | "grown" => file.metadata().map(|m| m.len()).unwrap_or(0),
        _ => 7,
    };
    match word {
        "rustc" => {
            // rustix 1.1.2 asks so what the compiler can do
            let flags = ["--crate-name=left", "--crate-type=rlib", "--emit=metadata", "-o"];
            let rustc = Command::new(env::var("RUSTC").unwrap()).args(flags).arg(&file).arg("build.rs").output().unwrap();
            assert!(rustc.status.success(), "{rustc:?}");
        }
        "grown" => fs::write(&file, "x".repeat(size as usize + 1)).unwrap(),
        _ => fs::write(&file, "x").unwrap(),
    }
    println!("cargo:rustc-env=SIZE={size}");
RUST
  echo 'fn main() { println!("{}", env!("SIZE")); }' >"$WORK/app/src/main.rs"
  export TMPDIR=$BATS_TEST_TMPDIR/tmp
  mkdir "$TMPDIR"
  local word round
  for word in 'asked 0 1 1' 'blind 7 7 7' 'rustc 7 7 7' 'grown 0 1 2'; do
    for round in 1 2 3; do
      echo "${word%% *}" >"$WORK/app/word"
      clean "$WORK/app"
      cached "${word%% *}-$round" "$WORK/app" build
      says "$WORK/app" "$(echo "$word" | cut -d ' ' -f $((round + 1)))"
    done
    case $word in
      grown*) run_not_kept app "it changed $TMPDIR/left-grown" ;;
      *) put app ;;
    esac
  done
}
