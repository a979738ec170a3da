#!/usr/bin/env bats
# Programs with rights of their own (sudo): nothing that is traced gets them. A build script or a macro that runs one is
# run again without a tracer, as plain cargo runs it, and nothing of it is kept.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# become NAME: $WORK/tools/NAME prints the user that it is: nobody, for everybody who may run it.
become() {
  [ "$(id -u)" = 0 ] || skip "only root can give a program to somebody else"
  [[ ",$(findmnt -no OPTIONS -T "$WORK")," != *,nosuid,* ]] || skip "$WORK is nosuid"
  mkdir -p "$WORK/tools"
  cp /usr/bin/id "$WORK/tools/$1"
  chown 65534 "$WORK/tools/$1"
  chmod 4755 "$WORK/tools/$1"
  chmod 755 "$WORK" "$WORK/tools"
  [ "$("$WORK/tools/$1" -u)" = 65534 ] || skip "no program gets rights here"
  export BECOME=$WORK/tools/$1
}

@test "a script that asks such a program: what plain cargo gets; it is not kept, and not traced the next time" {
  local app=$WORK/app
  become who
  script "$app" <<'RUST'
fn main() {
    let who = std::process::Command::new(std::env::var("BECOME").unwrap()).arg("-u").output().unwrap();
    println!("cargo:rustc-env=MADE={}", String::from_utf8(who.stdout).unwrap().trim());
}
RUST
  cached first "$app" build
  says "$app" 65534
  run_not_kept app 'it ran who, which gets none of its own rights while it is traced'
  clean "$app"
  rm "$JOBS"
  cached second "$app" build
  says "$app" 65534
  ran app
  run_not_kept app 'not traced, since the last time it ran who'
}

@test "a script that fails without those rights: the build goes on" {
  local app=$WORK/app
  become who
  script "$app" <<'RUST'
fn main() {
    let who = std::process::Command::new(std::env::var("BECOME").unwrap()).arg("-u").output().unwrap();
    assert_eq!(who.stdout, b"65534\n");
    println!("cargo:rustc-env=MADE=fine");
}
RUST
  cached first "$app" build
  says "$app" fine
  run_not_kept app 'it ran who'
}

@test "a macro that fails without them: the crate is compiled" {
  local app=$WORK/app
  become who
  with_macro "$app"
  cat >"$app/look/src/expr.rs" <<'RUST'
{
    let who = std::process::Command::new(std::env::var("BECOME").unwrap()).arg("-u").output().unwrap();
    assert_eq!(who.stdout, b"65534\n");
    "fine".to_string()
}
RUST
  cached first "$app" build
  says "$app" fine
  [[ "$(job app not_stored)" = *'it ran who, which gets none of its own rights while it is traced'* ]]
}
