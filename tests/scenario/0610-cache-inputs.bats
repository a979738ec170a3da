#!/usr/bin/env bats
# What a compile looks at, beside its command line, decides whether its result is found again. After each
# change a plain build from nothing at the same place says what is right; what was there before is
# found again when the change is taken back.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# ---- what macros look at

# bats test_tags=long
@test "a macro reads a file" {
  with_macro "$WORK/app"
  echo 'std::fs::read_to_string("words.txt").unwrap()' >"$WORK/app/look/src/expr.rs"
  printf one >"$WORK/app/words.txt"
  both first "$WORK/app" build
  missed app
  kept app
  says "$WORK/app" one
  printf two >"$WORK/app/words.txt"
  both second "$WORK/app" build
  missed app "words.txt changed"
  hit look
  says "$WORK/app" two
  printf one >"$WORK/app/words.txt"
  both third "$WORK/app" build
  all_hit
  says "$WORK/app" one
  # Nothing of it, the file untouched but newer.
  touch "$WORK/app/words.txt"
  both fourth "$WORK/app" build
  all_hit
}

# bats test_tags=long
@test "a macro lists a directory, and looks for a file that is not there yet" {
  local app=$WORK/app
  with_macro "$app"
  mkdir "$app/parts"
  touch "$app/parts/a"
  cat >"$app/look/src/expr.rs" <<'END'
{
    let mut names: Vec<String> = std::fs::read_dir("parts").unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    format!("{} {}", names.join(","), std::path::Path::new("local/extra.toml").exists())
}
END
  both first "$app" build
  says "$app" "a false"
  touch "$app/parts/b"
  both listed "$app" build
  missed app "parts has other files"
  says "$app" "a,b false"
  rm "$app/parts/b"
  both back "$app" build
  all_hit
  says "$app" "a false"
  mkdir "$app/local"
  touch "$app/local/extra.toml"
  both appeared "$app" build
  missed app "extra.toml is new"
  says "$app" "a true"
  rm -r "$app/local"
  both again "$app" build
  all_hit
  says "$app" "a false"
}

# bats test_tags=long
@test "a macro reads a variable: set, changed, unset" {
  local app=$WORK/app
  with_macro "$app"
  echo 'std::env::var("COLOUR").unwrap_or("none".into())' >"$app/look/src/expr.rs"
  both unset "$app" build
  says "$app" none
  COLOUR=red both red "$app" build
  missed app "variable COLOUR is set now"
  hit look
  says "$app" red
  COLOUR='' both empty "$app" build
  missed app "variable COLOUR"
  says "$app" ""
  COLOUR=red both red-again "$app" build
  all_hit
  says "$app" red
  both unset-again "$app" build
  all_hit
  says "$app" none
  # What nobody asks for is no matter.
  UNASKED=$$ both unasked "$app" build
  all_hit
}

# bats test_tags=long
@test "a macro asks for what every compile asks for itself" {
  local app=$WORK/app v
  with_macro "$app"
  echo '["CI", "TERM", "LANG", "TMP", "RUST_BACKTRACE"].map(|v| std::env::var(v).unwrap_or("none".into())).join(" ")' \
    >"$app/look/src/expr.rs"
  unset CI TERM LANG TMP RUST_BACKTRACE
  both first "$app" build
  says "$app" "none none none none none"
  CI=yes both ci "$app" build
  missed app variable
  says "$app" "yes none none none none"
  TERM=dumb both term "$app" build
  missed app variable
  says "$app" "none dumb none none none"
  RUST_BACKTRACE=1 both backtrace "$app" build
  missed app variable
  hit look
  says "$app" "none none none none 1"
  both again "$app" build
  all_hit
}

@test "a macro's threads that panic say more with RUST_BACKTRACE" {
  local app=$WORK/app
  with_macro "$app"
  echo '{ let _ = std::thread::spawn(|| panic!("in a thread")).join(); String::from("done") }' >"$app/look/src/expr.rs"
  unset RUST_BACKTRACE
  cached without "$app" build
  file_has "$LOGS/without.err" 'in a thread'
  file_has "$LOGS/without.err" 'run with `RUST_BACKTRACE=1`'
  clean "$app"
  RUST_BACKTRACE=1 cached with "$app" build
  hit look
  missed app "variable RUST_BACKTRACE is set now"
  file_has "$LOGS/with.err" 'stack backtrace:'
  clean "$app"
  cached again "$app" build
  all_hit
  fails file_has "$LOGS/again.err" 'stack backtrace:'
}

@test "a macro reads a symbolic link" {
  local app=$WORK/app
  with_macro "$app"
  mkdir "$app/v1" "$app/v2"
  touch "$app/v1/x" "$app/v2/x"
  ln -s v1 "$app/current"
  cat >"$app/look/src/expr.rs" <<'END'
{
    let to = std::fs::canonicalize("current/x").unwrap();
    to.parent().unwrap().file_name().unwrap().to_str().unwrap().to_string()
}
END
  both first "$app" build
  says "$app" v1
  ln -sfn v2 "$app/current"
  both second "$app" build
  missed app "current leads elsewhere"
  says "$app" v2
  ln -sfn v1 "$app/current"
  both third "$app" build
  all_hit
  says "$app" v1
}

# ---- what the source asks for

# What the result depends on then is in no record: it is right each time, and not kept.
# bats test_tags=long
@test "a macro runs a program that tells the time, asks the network or another process, or overwrites what it read" {
  local app=$WORK/app way n proxy
  with_macro "$app"
  printf '#!/bin/sh\ncat /proc/uptime\n' >"$WORK/tool"
  chmod +x "$WORK/tool"
  cat >"$app/look/src/expr.rs" <<END
match std::fs::read_to_string("way").unwrap().trim() {
    "runs" => String::from_utf8(std::process::Command::new("$WORK/tool").output().unwrap().stdout).unwrap(),
    "calls" => {
        let _heard = std::os::unix::net::UnixListener::bind("target/socket").unwrap();
        std::os::unix::net::UnixStream::connect("target/socket").map(|_| "heard".to_string()).unwrap()
    }
    "asks" => std::net::UdpSocket::bind("127.0.0.1:0").map(|s| s.local_addr().unwrap().to_string()).unwrap_or_default(),
    _ => {
        let n: u32 = std::fs::read_to_string("target/counter").unwrap_or_default().trim().parse().unwrap_or(0);
        std::fs::write("target/counter", (n + 1).to_string()).unwrap();
        n.to_string()
    }
}
END
  proxy=$(command -v rustc)
  # the compiler's own path, rustup's proxy, and one that is looked for
  for n in "$(rustc --print sysroot)/bin/rustc" "$proxy" rustc; do
    for way in "runs it read /proc/uptime" "asks it used the network" "calls it asked another process" "counts it "; do
      echo "${way%% *}" >"$app/way"
      rm -rf "$app/target"
      mkdir "$app/target"
      echo 1 >"$app/target/counter"
      PATH=$WORK/none:$WORK/none-either:$PATH RUSTC=$n cached "${way%% *}" "$app" build
      echo "$n: ${way%% *}: $(job app cache) $(job app not_stored)"
      [ "$(job app cache)" = miss ]
      [[ "$(job app not_stored)" = "${way#* }"* ]]
    done
  done
}

@test "env! and option_env!: unset to set, and names that every compile asks for" {
  local app=$WORK/app
  package "$app" app
  cat >"$app/src/main.rs" <<'END'
fn main() {
    println!("{} {:?} {:?}", env!("HOME"), option_env!("SHADE"), option_env!("CI"));
}
END
  unset CI SHADE
  export HOME=/home/one RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
  both first "$app" build
  says "$app" "/home/one None None"
  SHADE=dark both set "$app" build
  missed app "variable SHADE is set now"
  says "$app" '/home/one Some("dark") None'
  CI=1 both ci "$app" build
  missed app variable
  says "$app" '/home/one None Some("1")'
  HOME=/home/two both home "$app" build
  # with shared paths HOME has a mark for itself, and what is made tells of it
  [ "${DRAY_PATHS:-exact}" = shared ] || missed app variable
  missed app
  says "$app" '/home/two None None'
  both again "$app" build
  all_hit
  says "$app" "/home/one None None"
}

@test "include_str! of a file outside of the package" {
  local app=$WORK/app
  package "$app" app
  mkdir "$WORK/shared"
  printf one >"$WORK/shared/text"
  printf 'fn main() {\n    println!("{}", include_str!("../../shared/text"));\n}\n' >"$app/src/main.rs"
  both first "$app" build
  printf two >"$WORK/shared/text"
  both second "$app" build
  missed app "shared/text changed"
  says "$app" two
  printf one >"$WORK/shared/text"
  both third "$app" build
  all_hit
  says "$app" one
}

@test "--check-cfg decides what is warned of" {
  local app=$WORK/app
  package "$app" app
  printf 'fn main() {\n    if cfg!(fast) {\n        println!("fast");\n    }\n}\n' >"$app/src/main.rs"
  cat >"$app/build.rs" <<'END'
fn main() {
    if std::path::Path::new("known").exists() {
        println!("cargo::rustc-check-cfg=cfg(fast)");
    }
}
END
  both unknown "$app" check
  file_has "$LOGS/unknown.err" 'unexpected `cfg` condition name: `fast`'
  touch "$app/known"
  both known "$app" check
  hit build_script_build
  missed app "--check-cfg cfg(fast) is new"
  fails file_has "$LOGS/known.err" warning
  rm "$app/known"
  both again "$app" check
  all_hit
  file_has "$LOGS/again.err" 'unexpected `cfg` condition name: `fast`'
}

# ---- archives and libraries far below

# archive_changes LINK: the crates between stay as they are, byte for byte.
archive_changes() {
  local app=$WORK/app
  sys_crate "$app" "$1"
  archive "$app/native" 1
  both first "$app" build
  says "$app" 1
  archive "$app/native" 2
  both second "$app" build
  hits mid build_script_build
  missed app
  says "$app" 2
  archive "$app/native" 1
  both third "$app" build
  all_hit
  says "$app" 1
}

# bats test_tags=long
@test "a C archive below a -sys crate changes: bundled" {
  archive_changes static=words
  # It is in the crate's own rlib.
  [ "$(job words_sys cache)" = hit ]
}
# bats test_tags=long
@test "a C archive below a -sys crate changes: +whole-archive" {
  archive_changes static:+whole-archive=words
}
@test "a C archive below a -sys crate changes: read by the last link only" {
  archive_changes static:-bundle=words
}

@test "a library below a program changes in code alone" {
  local app=$WORK/app
  package "$app" app
  dependency "$app" mid
  dependency "$app/mid" low
  sed -i '/^low/s/.*/low = { path = "low" }/' "$app/mid/Cargo.toml"
  printf 'fn main() {\n    println!("{}", mid::answer());\n}\n' >"$app/src/main.rs"
  echo 'pub fn answer() -> u32 { low::answer() }' >"$app/mid/src/lib.rs"
  printf '#[inline(never)]\npub fn answer() -> u32 { 41 }\n' >"$app/mid/low/src/lib.rs"
  both first "$app" build --release
  "$app/target/release/app" | grep -qx 41
  cp "$(find_made "$app/target/release" 'liblow-*.rmeta')" "$WORK/before.rmeta"
  sed -i s/41/42/ "$app/mid/low/src/lib.rs"
  both second "$app" build --release
  misses low app
  "$app/target/release/app" | grep -qx 42
  sed -i s/42/41/ "$app/mid/low/src/lib.rs"
  both third "$app" build --release
  all_hit
  "$app/target/release/app" | grep -qx 41
}
