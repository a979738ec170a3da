#!/usr/bin/env bats
# Variables that nobody is seen to ask for by name: each changes what is made, and none may be missed.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# depends_on VAR ONE TWO: look!() is as the variable says, and a hit where that is as it was.
depends_on() {
  export "$1=$2"
  clean "$app"
  once_and_again first "$app" build
  says "$app" "$2"
  export "$1=$3"
  clean "$app"
  cached second "$app" build
  says "$app" "$3"
  unset "$1"
}
# runs PROGRAM ARG…: look!() is what the program prints.
runs() {
  local program=$1 args=
  shift
  [ $# -eq 0 ] || args=$(printf 'r#"%s"#,' "$@")
  echo "String::from_utf8(std::process::Command::new(r\"$program\").args([$args] as [&str; $#]).output().unwrap().stdout).unwrap().trim().to_string()" \
    >"$app/look/src/expr.rs"
}

@test "a macro walks the whole environment, or reads it from /proc, and takes a variable of the user's" {
  app=$WORK/app
  with_macro "$app"
  [[ "$(rustc -V)" =~ ^rustc\ 1\.([0-9]+) ]]
  if [ "${BASH_REMATCH[1]}" -ge 95 ]; then
    echo 'std::env::vars().find(|(k, _)| k == "OF_THE_USER").map(|(_, v)| v).unwrap_or_default()' >"$app/look/src/expr.rs"
    depends_on OF_THE_USER one two
  fi
  echo '{ let all = std::fs::read("/proc/self/environ").unwrap(); let all = String::from_utf8_lossy(&all).into_owned();
    all.split(char::from(0)).find_map(|v| v.strip_prefix("OF_THE_USER=")).unwrap_or("").to_string() }' >"$app/look/src/expr.rs"
  depends_on OF_THE_USER one two
}

@test "a macro preprocesses C: where its headers are, and the time" {
  app=$WORK/app
  with_macro "$app"
  mkdir "$WORK/one" "$WORK/two"
  echo 'one' >"$WORK/one/header.h"
  echo 'two' >"$WORK/two/header.h"
  echo '#include <header.h>' >"$WORK/x.c"
  runs gcc -E -P "$WORK/x.c"
  export CPATH=$WORK/one
  once_and_again first "$app" build
  says "$app" one
  export CPATH=$WORK/two
  clean "$app"
  cached second "$app" build
  says "$app" two
  echo '__TIME__' >"$WORK/x.c"
  clean "$app"
  cached time "$app" build
  [[ "$(job app not_stored)" = *"a C compiler may have put the time into"* ]] || { show_cache; false; }
}

@test "a run of a CI is named in a script that is included, in a module, and in a program" {
  app=$WORK/app
  with_macro "$app"
  echo ". $WORK/part.sh" >"$WORK/whole.sh"
  echo 'echo $GITHUB_RUN_ID' >"$WORK/part.sh"
  runs sh "$WORK/whole.sh"
  depends_on GITHUB_RUN_ID 1 2
  printf '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { puts(getenv("GITHUB_RUN_ID")); return 0; }\n' >"$WORK/x.c"
  cc -o "$WORK/says-run" "$WORK/x.c"
  runs "$WORK/says-run"
  depends_on GITHUB_RUN_ID 1 2
  command -v python3 >/dev/null || skip "there is no python3"
  printf 'import part\nprint(part.run)\n' >"$WORK/whole.py"
  printf 'import os\nrun = os.environ.get("GITHUB_RUN_ID")\n' >"$WORK/part.py"
  runs python3 "$WORK/whole.py"
  depends_on GITHUB_RUN_ID 1 2
  # the module is compiled by now, and its source is not read
  runs python3 "$WORK/whole.py" again
  depends_on GITHUB_RUN_ID 3 4
}
