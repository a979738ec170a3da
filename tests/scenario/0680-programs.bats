#!/usr/bin/env bats
# Programs that a compile runs: they, and what they read, look for and ask for, are inputs like any other.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# runs DIR PROGRAM ARG…: look!() is what that program prints.
runs() {
  local dir=$1 program=$2 args=
  shift 2
  [ $# -eq 0 ] || args=$(printf 'r#"%s"#,' "$@")
  echo "String::from_utf8(std::process::Command::new(r\"$program\").args([$args] as [&str; $#]).output().unwrap().stdout).unwrap().trim().to_string()" \
    >"$dir/look/src/expr.rs"
}
again() {
  clean "$1"
  cached again "$1" build
}
script() {
  cat >"$1"
  chmod +x "$1"
}
gits() {
  git -C "$app" -c user.name=x -c user.email=x@example.org "$@" >>"$LOGS/git" 2>&1
}
hash_is() {
  says "$app" "$(git -C "$app" rev-parse --short HEAD)$1"
}

# bats test_tags=long
@test "a macro asks git for a version: a commit, an edit, a checkout" {
  local app=$WORK/app
  export GIT_CONFIG_NOSYSTEM=1
  with_macro "$app"
  runs "$app" git describe --always --dirty=-modified
  echo target >"$app/.gitignore"
  (cd "$app" && cargo generate-lockfile -q)
  gits init
  gits add .
  gits commit -m one
  # Within the second of a commit git writes its index anew, also where it is only asked.
  cached first "$app" build
  hash_is ""
  kept app
  again "$app"
  all_hit
  # What the index says of times is no matter.
  touch -d '1 hour ago' "$app/src/main.rs"
  git -C "$app" status >/dev/null
  again "$app"
  all_hit
  echo '// an edit' >>"$app/look/src/lib.rs"
  again "$app"
  hash_is -modified
  gits checkout look/src/lib.rs
  again "$app"
  all_hit
  hash_is ""
  # git sees modes, too.
  chmod +x "$app/look/src/lib.rs"
  again "$app"
  hash_is -modified
  chmod -x "$app/look/src/lib.rs"
  again "$app"
  all_hit
  hash_is ""
  gits commit --allow-empty -m two
  again "$app"
  missed app
  kept app
  hash_is ""
  gits checkout HEAD~1
  again "$app"
  hash_is ""
  again "$app"
  all_hit
  # The same of refs in one file, and another name.
  gits pack-refs --all
  again "$app"
  hash_is ""
  gits tag -a -m one v1
  again "$app"
  says "$app" v1
}

@test "a macro runs a script: its text, what it reads, the variables that it may ask for" {
  local app=$WORK/app
  with_macro "$app"
  printf one >"$WORK/words"
  script "$WORK/tool" <<END
#!/bin/sh
echo "\$(cat "$WORK/words") \$COLOUR\$GITHUB_RUN_ID"
END
  runs "$app" "$WORK/tool"
  cached first "$app" build
  says "$app" "one"
  kept app
  # By which terminals and runs of a CI differ: where the text names it, and there alone.
  clean "$app"
  TERM=dumb SSH_TTY=/dev/pts/9 GITHUB_RUN_NUMBER=77 CARGO_BUILD_JOBS=3 cached session "$app" build -j2
  all_hit
  clean "$app"
  GITHUB_RUN_ID=5 cached run "$app" build
  missed app "variable GITHUB_RUN_ID is set now"
  says "$app" "one 5"
  clean "$app"
  COLOUR=red cached red "$app" build
  missed app
  says "$app" "one red"
  printf two >"$WORK/words"
  again "$app"
  missed app
  says "$app" "two"
  sed -i 's/echo/echo edited/' "$WORK/tool"
  again "$app"
  missed app "tool changed"
  says "$app" "edited two"
  again "$app"
  all_hit
}

# bats test_tags=long
@test "sh -c, and the compiler itself, run by a macro; what tells the time, or writes elsewhere, is not kept" {
  local app=$WORK/app
  with_macro "$app"
  runs "$app" sh -c 'echo "$0 of $CI_JOB_ID"; test -e /none/such'
  once_and_again shell "$app" build
  clean "$app"
  CI_JOB_ID=4 cached id "$app" build
  missed app "variable CI_JOB_ID is set now"
  says "$app" "sh of 4"
  runs "$app" rustc --version
  clean "$app"
  once_and_again version "$app" build
  says "$app" "$(rustc --version)"
  runs "$app" date +%s
  clean "$app"
  cached date "$app" build
  [[ "$(job app not_stored)" = "it ran "*"/date"* ]]
  runs "$app" sh -c "echo x >>$WORK/elsewhere; echo done"
  clean "$app"
  cached writes "$app" build
  [[ "$(job app not_stored)" = "it "*" $WORK/elsewhere"* ]]
}

@test "a macro runs cargo metadata, which takes cargo's lock: kept, and a manifest's edit is seen" {
  local app=$WORK/app
  with_macro "$app"
  runs "$app" cargo metadata --offline --format-version 1
  # it is not there before it is asked for
  (cd "$app" && cargo metadata --offline --format-version 1) >"$LOGS/metadata" 2>&1
  cached first "$app" build
  kept app
  again "$app"
  # cargo 1.95 to 1.97 draws the LD_LIBRARY_PATH of its newer layout, which the inner cargo asks for
  [ "${DRAY_TEST_LAYOUT:-1}" = 2 ] || all_hit
  sed -i 's/^version = .*/version = "0.7.7"/' "$app/look/Cargo.toml"
  again "$app"
  misses app
  "$app/target/debug/app" | grep -qF '"version":"0.7.7"'
}

@test "a program that PATH leads to: an earlier directory gets one; its interpreter" {
  local app=$WORK/app
  with_macro "$app"
  mkdir "$WORK/early" "$WORK/late" "$WORK/front"
  export PATH=$WORK/early:$WORK/late:$PATH
  script "$WORK/interp" <<END
#!/bin/sh
echo "interpreted: \$(tail -n 1 "\$1")"
END
  printf '#!%s\nlate\n' "$WORK/interp" | script "$WORK/late/speak"
  runs "$app" speak
  cached first "$app" build
  says "$app" "interpreted: late"
  again "$app"
  all_hit
  printf '#!/bin/sh\necho early\n' | script "$WORK/early/speak"
  again "$app"
  missed app
  says "$app" early
  rm "$WORK/early/speak"
  again "$app"
  all_hit
  sed -i 's/interpreted/otherwise/' "$WORK/interp"
  again "$app"
  missed app "interp changed"
  says "$app" "otherwise: late"
  # A directory that was not in PATH before.
  printf '#!/bin/sh\necho front\n' | script "$WORK/front/speak"
  clean "$app"
  PATH=$WORK/front:$PATH cached front "$app" build
  says "$app" front
}

@test "a program with a library of its own" {
  local app=$WORK/app
  with_macro "$app"
  mkdir "$WORK/lib"
  library() {
    printf 'const char *word(void) { return "%s"; }\n' "$1" | cc -shared -fPIC -xc - -o "$WORK/lib/libword.so"
  }
  library one
  printf '#include <stdio.h>\nconst char *word(void);\nint main(void) { puts(word()); }\n' |
    cc -xc - -o "$WORK/speak" -L"$WORK/lib" -lword -Wl,-rpath,"$WORK/lib"
  runs "$app" "$WORK/speak"
  once_and_again first "$app" build
  says "$app" one
  library two
  again "$app"
  missed app "libword.so changed"
  says "$app" two
}

@test "a rustc that is a script" {
  local app=$WORK/app
  package "$app" app
  printf 'fn main() {\n    println!("{}", if cfg!(fast) { "fast" } else { "slow" });\n}\n' >"$app/src/main.rs"
  mkdir "$WORK/bin"
  echo fast >"$WORK/mode"
  script "$WORK/bin/rustc" <<END
#!/bin/sh
exec "$(rustc --print sysroot)/bin/rustc" --check-cfg 'cfg(fast)' --cfg "\$(cat "$WORK/mode")" "\$@"
END
  cached plain "$app" build
  says "$app" slow
  export RUSTC=$WORK/bin/rustc
  again "$app"
  missed app
  says "$app" fast
  kept app
  again "$app"
  all_hit
  echo quick >"$WORK/mode"
  again "$app"
  missed app "mode changed"
  says "$app" slow
  sed -i 's/--cfg /--cfg fast --cfg /' "$WORK/bin/rustc"
  again "$app"
  missed app
  says "$app" fast
  unset RUSTC
  again "$app"
  all_hit
  says "$app" slow
}

@test "behind a script, or rustup's proxy, a macro is seen asking" {
  local app=$WORK/app way
  with_macro "$app"
  echo 'std::env::var("COLOUR").unwrap_or_default()' >"$app/look/src/expr.rs"
  mkdir "$WORK/bin"
  script "$WORK/bin/rustc" <<END
#!/bin/sh
"$(rustc --print sysroot)/bin/rustc" "\$@"
END
  for way in "$WORK/bin/rustc" "$(command -v rustc)"; do
    export RUSTC=$way
    clean "$app"
    COLOUR=red cached red "$app" build
    says "$app" red
    kept app
    clean "$app"
    COLOUR=blue cached blue "$app" build
    missed app
    says "$app" blue
    clean "$app"
    COLOUR=red cached red-again "$app" build
    all_hit
    says "$app" red
  done
}

@test "instrumented code leaves its counts wherever it runs" {
  local app=$WORK/app
  with_macro "$app"
  echo '{ std::fs::write("default_1_0.profraw", "counts").unwrap(); String::from("done") }' >"$app/look/src/expr.rs"
  once_and_again counts "$app" build
  says "$app" "done"
}

@test "a server that a macro's program leaves behind goes on" {
  local app=$WORK/app
  with_macro "$app"
  mkfifo "$WORK/ask"
  script "$WORK/server" <<END
#!/bin/sh
exec >/dev/null 2>&1 </dev/null
echo \$\$ >"$WORK/pid.new"
mv "$WORK/pid.new" "$WORK/pid"
read word <"$WORK/ask"
cat "$WORK/served" >"$WORK/answer"
mv "$WORK/answer" "$WORK/whole"
END
  echo served >"$WORK/served"
  runs "$app" sh -c "setsid $WORK/server & echo started"
  cached first "$app" build
  says "$app" started
  wait_until 10 test -s "$WORK/pid"
  STARTED+=("$(cat "$WORK/pid")")
  echo now >"$WORK/ask"
  wait_until 10 test -e "$WORK/whole"
  file_has "$WORK/whole" served
}

@test "a script that a macro runs asks for times and modes of files" {
  local app=$WORK/app
  with_macro "$app"
  echo one >"$app/a.txt"
  echo two >"$app/b.txt"
  touch -d '2020-01-01' "$app/a.txt"
  touch -d '2020-01-02' "$app/b.txt"
  chmod 644 "$app/a.txt"
  # shellcheck disable=SC2016
  runs "$app" /bin/sh -c 'cd "$1" && { [ a.txt -nt b.txt ] && echo newer || echo older; [ -x a.txt ] && echo runs || echo does-not; } | tr "\n" " "' sh "$app"
  cached first "$app" build
  says "$app" "older does-not"
  kept app
  touch -d '2020-01-03' "$app/a.txt"
  again "$app"
  says "$app" "newer does-not"
  chmod 755 "$app/a.txt"
  again "$app"
  says "$app" "newer runs"
  again "$app"
  all_hit
}
