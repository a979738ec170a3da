#!/usr/bin/env bats
# What paths lead to: a directory that becomes a link to another one of the same content, a target directory
# behind a link that then leads elsewhere, devices in the place of files, and names that something else is
# known by.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

APP=

# macro EXPRESSION: a program "app" in $APP that says what it makes of dir, the package's directory.
macro() {
  APP=$WORK/app
  with_macro "$APP"
  printf '{\n    let dir = std::env::var("CARGO_MANIFEST_DIR").unwrap();\n    %s\n}\n' "$1" >"$APP/look/src/expr.rs"
  (cd "$APP" && cargo generate-lockfile -q)
}
# shell COMMAND: the same for what sh prints in that directory.
shell() {
  macro "let out = std::process::Command::new(\"sh\").arg(\"-c\").arg(\"cd \$CARGO_MANIFEST_DIR && $1\").output().unwrap();
    String::from_utf8(out.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(\" \")"
}
again() {
  both "$1" "$APP" build
}
# to_link: data, of one file, is now a link to other, which has the same.
to_link() {
  mv "$APP/data" "$APP/other"
  ln -s other "$APP/data"
}

@test "a real path that a macro asks for: a directory above becomes a link" {
  macro 'std::fs::canonicalize(format!("{dir}/data/x")).unwrap().display().to_string()'
  mkdir "$APP/data"
  echo same >"$APP/data/x"
  again first
  clean "$APP"
  cached hit "$APP" build
  all_hit
  to_link
  again link
  missed app "$APP/data/x leads elsewhere"
  says "$APP" "$APP/other/x"
  rm "$APP/data"
  mv "$APP/other" "$APP/data"
  again back
  all_hit
}

@test "the same by a program that a macro runs, and test -L" {
  shell 'readlink -f data/x; test -L data && echo link'
  mkdir "$APP/data"
  echo same >"$APP/data/x"
  again first
  says "$APP" "$APP/data/x"
  clean "$APP"
  cached hit "$APP" build
  all_hit
  to_link
  again link
  missed app
  says "$APP" "$APP/other/x link"
}

# bats test_tags=long
@test "a target directory behind a link that leads elsewhere: its real path is embedded" {
  macro '{ let _ = dir; std::fs::canonicalize(std::env::var("OUT_DIR").unwrap()).unwrap().display().to_string() }'
  echo 'fn main() {}' >"$APP/build.rs"
  mkdir "$WORK/one" "$WORK/two"
  ln -s "$WORK/one" "$APP/target"
  again first
  clean "$APP"
  ln -sfn "$WORK/two" "$APP/target"
  again second
  [[ "$("$APP/target/debug/app")" = "$WORK/two/"* ]]
  clean "$APP"
  ln -sfn "$WORK/one" "$APP/target"
  again back
  all_hit
}

# bats test_tags=long
@test "/dev/null in a file's place, as sandboxes hide files, and where it is by its own name" {
  macro 'std::fs::read_to_string(format!("{dir}/.env")).unwrap()'
  ln -s /dev/null "$APP/.env"
  sed -i '1i const _: \&str = include_str!("/dev/null");' "$APP/src/main.rs"
  once_and_again first "$APP" build
  says "$APP" ""
  rm "$APP/.env"
  printf secret >"$APP/.env"
  again file
  missed app
  says "$APP" secret
  [ "$(id -u)" = 0 ] || return 0
  rm "$APP/.env"
  mknod "$APP/.env" c 1 3 2>/dev/null && : <"$APP/.env" || return 0
  again device
  says "$APP" ""
  rm "$APP/.env"
  printf other >"$APP/.env"
  again other
  says "$APP" other
}

# bats test_tags=long
@test "a profile and Python's cache are files like any other for what reads them" {
  shell 'cat __pycache__/data'
  sed -i '1i const PROFILE: \&str = include_str!("one.profraw");' "$APP/src/main.rs"
  sed -i 's/println!("{}", /println!("{} {} {}", PROFILE, look::look!(), /; s/, look::look!());/, std::fs::read_to_string("two.profraw").unwrap());/' "$APP/src/main.rs"
  # one that a macro reads, too
  sed -i 's|cd \$CARGO_MANIFEST_DIR|cd $CARGO_MANIFEST_DIR; cat two.profraw|' "$APP/look/src/expr.rs"
  mkdir "$APP/__pycache__"
  for f in src/one.profraw two.profraw __pycache__/data; do printf 1 >"$APP/$f"; done
  cd "$APP"
  once_and_again first "$APP" build
  says "$APP" "1 11 1"
  for f in src/one.profraw two.profraw __pycache__/data; do
    printf 2 >"$APP/$f"
    again "$(basename "$f")"
    missed app "$f changed"
  done
  says "$APP" "2 22 2"
}
