#!/usr/bin/env bats
# The ways in which cargo comes to a build script, and in which it does without.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

HOST=$(rustc -vV | sed -n 's/^host: //p')

# number_of_runs: in the last build.
number_of_runs() {
  jq -s 'map(select(.kind == "script-run")) | length' "$JOBS"
}
# no_runs: cargo started no script.
no_runs() {
  [ ! -e "$JOBS" ] || [ "$(number_of_runs)" -eq 0 ] || { show_cache; return 1; }
}

# bats test_tags=long
@test "a script by another path and name, and one that the manifest switches off" {
  package "$WORK/app" app
  mkdir -p "$WORK/app/scripts/deep er"
  sed -i '/^edition/a build = "scripts/deep er/make-it.rs"' "$WORK/app/Cargo.toml"
  cat >"$WORK/app/scripts/deep er/make-it.rs" <<'END'
fn main() {
    std::fs::write(std::env::var("OUT_DIR").unwrap() + "/made", "made").unwrap();
    println!("cargo:rustc-env=MADE={}", std::env::args().next().unwrap().rsplit('/').next().unwrap());
}
END
  echo 'fn main() { println!("{}", env!("MADE")) }' >"$WORK/app/src/main.rs"
  as_plain one "$WORK/app" build
  says "$WORK/app" "build-script-make-it"
  echo 'fn main() { println!("cargo:rustc-env=MADE=conventional") }' >"$WORK/app/build.rs"
  sed -i '/^build = /d' "$WORK/app/Cargo.toml"
  as_plain two "$WORK/app" build
  says "$WORK/app" conventional
  sed -i '/^edition/a build = false' "$WORK/app/Cargo.toml"
  echo 'fn main() { println!("none") }' >"$WORK/app/src/main.rs"
  clean "$WORK/app"
  cached three "$WORK/app" build
  no_runs
  says "$WORK/app" none
}

@test "several scripts in one package" {
  # a feature of cargo's that is not stable yet
  export RUSTC_BOOTSTRAP=1
  package "$WORK/app" app
  sed -i '1i cargo-features = ["multiple-build-scripts"]' "$WORK/app/Cargo.toml"
  sed -i '/^edition/a build = ["one.rs", "two.rs"]' "$WORK/app/Cargo.toml"
  echo 'fn main() { println!("cargo:rustc-env=ONE={}", std::fs::read_to_string("words.txt").unwrap().trim()) }' >"$WORK/app/one.rs"
  echo 'fn main() { println!("cargo:rustc-env=TWO={}", std::fs::read_to_string("more.txt").unwrap().trim()) }' >"$WORK/app/two.rs"
  echo 1 >"$WORK/app/words.txt"
  echo 2 >"$WORK/app/more.txt"
  echo 'fn main() { println!("{} {}", env!("ONE"), env!("TWO")) }' >"$WORK/app/src/main.rs"
  (cd "$WORK/app" && cargo metadata --format-version 1) >"$LOGS/metadata" 2>&1 || skip "this cargo has one script a package"
  as_plain one "$WORK/app" build
  [ "$(number_of_runs)" -eq 2 ]
  says "$WORK/app" "1 2"
  echo 3 >"$WORK/app/more.txt"
  clean "$WORK/app"
  cached edited "$WORK/app" build
  says "$WORK/app" "1 3"
  jq -es 'map(select(.kind == "script-run").cache) | sort == ["hit", "miss"]' "$JOBS" >/dev/null
}

# linked DIR: a program on a library that its script finds.
linked() {
  archive "$1/native" 7
  archive "$1/other" 8
  sys_crate "$1" static=words
  sed -i '/^edition/a links = "words"' "$1/words-sys/Cargo.toml"
}

@test "what cargo's configuration says of a library stands for the script's run" {
  linked "$WORK/app"
  as_plain one "$WORK/app" build
  says "$WORK/app" 7
  mkdir "$WORK/app/.cargo"
  cat >"$WORK/app/.cargo/config.toml" <<END
[target.$HOST.words]
rustc-link-lib = ["static=words"]
rustc-link-search = ["native=$WORK/app/other"]
END
  clean "$WORK/app"
  cached overridden "$WORK/app" build
  no_runs
  says "$WORK/app" 8
  rm "$WORK/app/.cargo/config.toml"
  clean "$WORK/app"
  cached back "$WORK/app" build
  put words-sys
  says "$WORK/app" 7
}

# bats test_tags=long
@test "check, test and doc after a build share its run, and find it after cargo clean, of a package, too" {
  package "$WORK/app" app lib
  member "$WORK/app/low" low lib
  depends "$WORK/app" low low
  local d
  for d in app app/low; do
    cat >"$WORK/$d/build.rs" <<'END'
fn main() { std::fs::write(std::env::var("OUT_DIR").unwrap() + "/n.rs", "42").unwrap() }
END
    cat >"$WORK/$d/src/lib.rs" <<'END'
pub fn answer() -> u32 { include!(concat!(env!("OUT_DIR"), "/n.rs")) }
#[test]
fn right() { assert_eq!(answer(), 42) }
END
  done
  cached one "$WORK/app" build
  run_kept app
  run_kept low
  local how
  for how in check test doc; do
    cached "$how" "$WORK/app" "$how" -q
    no_runs
    clean "$WORK/app"
    cached "$how-again" "$WORK/app" "$how" -q
    [ "$(number_of_runs)" -eq 2 ]
    put app low
  done
  cached two "$WORK/app" build
  (cd "$WORK/app" && cargo clean -q -p low)
  cached three "$WORK/app" build
  [ "$(number_of_runs)" -eq 1 ]
  put low
  # in release it is another run: it is told PROFILE and OPT_LEVEL
  cached release "$WORK/app" build --release
  ran app
  clean "$WORK/app"
  cached release "$WORK/app" build --release
  put app low
}

# bats test_tags=long
@test "incremental members, and a macro's script: edited again and again, over the launcher that was there" {
  package "$WORK/app" app
  member "$WORK/app/mac" mac lib
  printf '\n[lib]\nproc-macro = true\n' >>"$WORK/app/mac/Cargo.toml"
  printf '[workspace]\nmembers = ["mac"]\n' >"$WORK/app/rest"
  sed -i -e '/^\[workspace\]/r '"$WORK/app/rest" -e '/^\[workspace\]/d' "$WORK/app/Cargo.toml"
  depends "$WORK/app" mac mac
  echo 'fn main() { println!("cargo:rustc-env=MADE=1") }' | tee "$WORK/app/build.rs" >"$WORK/app/mac/build.rs"
  cat >"$WORK/app/mac/src/lib.rs" <<'END'
#[proc_macro]
pub fn made(_: proc_macro::TokenStream) -> proc_macro::TokenStream { env!("MADE").parse().unwrap() }
END
  echo 'fn main() { println!("{} {}", mac::made!(), env!("MADE")) }' >"$WORK/app/src/main.rs"
  export CARGO_INCREMENTAL=1
  cached one "$WORK/app" build
  says "$WORK/app" "1 1"
  local n was=1
  for n in 2 3 1; do
    echo "fn main() { println!(\"cargo:rustc-env=MADE=$n\") }" >"$WORK/app/build.rs"
    cached edit "$WORK/app" build
    says "$WORK/app" "$was $n"
    was=$n
    echo "fn main() { println!(\"cargo:rustc-env=MADE=$n\") }" >"$WORK/app/mac/build.rs"
    cached edit-macro "$WORK/app" build
    says "$WORK/app" "$n $n"
  done
  clean "$WORK/app"
  cached last "$WORK/app" build
  put app mac
  says "$WORK/app" "1 1"
}

# bats test_tags=long
@test "one package for two targets: its script runs for each, and says what each is told" {
  # what is compiled for a target whose std is not here
  export RUSTC_BOOTSTRAP=1
  package "$WORK/app" app lib
  member "$WORK/app/both" both lib
  printf '\n[dependencies]\nboth = { path = "both" }\n[build-dependencies]\nboth = { path = "both" }\n' >>"$WORK/app/Cargo.toml"
  local d
  for d in app app/both; do
    printf '#![feature(no_core)]\n#![no_core]\npub const MADE: &str = env!("MADE");\n' >"$WORK/$d/src/lib.rs"
    cat >"$WORK/$d/build.rs" <<'END'
fn main() {
    let v = |n| std::env::var(n).unwrap();
    std::fs::write(v("OUT_DIR") + "/made", format!("{} for {} as {}\n", v("HOST"), v("TARGET"), v("CARGO_CFG_TARGET_ARCH"))).unwrap();
    println!("cargo:rustc-env=MADE={}", v("TARGET"));
}
END
  done
  printf '#![feature(no_core)]\n#![no_core]\n' | tee "$WORK/app/both/src/lib.rs" >"$WORK/app/src/lib.rs"
  local other=aarch64-unknown-linux-gnu
  [ "$HOST" != "$other" ] || other=x86_64-unknown-linux-gnu
  as_plain cross "$WORK/app" build --target "$other"
  [ "$(number_of_runs)" -eq 3 ]
  find "$WORK/app/target" -name made -exec cat {} + >"$LOGS/made"
  [ "$(grep -c "^$HOST for $other as" "$LOGS/made")" -eq 2 ]
  [ "$(grep -c "^$HOST for $HOST as" "$LOGS/made")" -eq 1 ]
  # with the host's own name it lies elsewhere, too: what ran for the host is found
  as_plain named "$WORK/app" build --target "$HOST"
  clean "$WORK/app"
  cached both "$WORK/app" build --target "$HOST" --target "$other"
  all_put
}
