#!/usr/bin/env bats
# A macro, or a program that it runs, asks for the umask: it is an input, and on a worker it is the client's.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# under UMASK COMMAND ARG…
under() {
  local mask status=0
  mask=$(umask)
  umask "$1"
  "${@:2}" || status=$?
  umask "$mask"
  return "$status"
}
# The umask as libc says it, and the mode of a file that was made in it.
asks() {
  APP=$WORK/app
  with_macro "$APP"
  cat >"$APP/look/src/expr.rs" <<'END'
{
    use std::os::unix::fs::MetadataExt;
    extern "C" { fn umask(mask: u32) -> u32; }
    let mask = unsafe { let m = umask(0); umask(m); m };
    let file = format!("/tmp/umask-trial.{}", std::process::id());
    std::fs::write(&file, "x").unwrap();
    let mode = std::fs::metadata(&file).unwrap().mode() & 0o777;
    std::fs::remove_file(&file).unwrap();
    format!("{:o} {:o}", mask, mode)
}
END
}

# bats test_tags=long
@test "by a call, and by a shell: another umask is another result, the first one again is a hit" {
  asks
  under 022 both first "$APP" build
  kept app
  says "$APP" "22 644"
  under 077 both second "$APP" build
  missed app "the umask changed"
  says "$APP" "77 600"
  hit look
  clean "$APP"
  under 022 cached third "$APP" build
  all_hit
  says "$APP" "22 644"
  echo 'String::from_utf8(std::process::Command::new("sh").args(["-c", "umask"]).output().unwrap().stdout).unwrap().trim().to_string()' >"$APP/look/src/expr.rs"
  under 022 both shell "$APP" build
  kept app
  under 077 both shell-second "$APP" build
  missed app "the umask changed"
  says "$APP" 0077
  clean "$APP"
  under 022 cached shell-third "$APP" build
  all_hit
}

@test "on a worker it is the client's, and an input of what the farm made" {
  asks
  under 027 farm_start
  for mask in 077 000; do
    under "$mask" both "farm-$mask" "$APP" build
    [ "$(job app where)" = farm ] || { show_cache; return 1; }
  done
  says "$APP" "0 666"
  clean "$APP"
  under 077 cached hit "$APP" build
  all_hit
  says "$APP" "77 600"
}
