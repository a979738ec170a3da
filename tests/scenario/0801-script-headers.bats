#!/usr/bin/env bats
# What a script's C compiler reads, and nobody declared: headers beside the source and elsewhere on the include path, the
# compiler itself, its settings. Each time what a plain build makes, and a hit when nothing that counts has changed.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

@test "a header that nobody declared changes, and one appears before it on the include path" {
  c_script "$WORK/app"
  sed -i 's/"words.h"/<words.h>/' "$WORK/app/words.c"
  mkdir "$WORK/app/first" "$WORK/app/second"
  mv "$WORK/app/words.h" "$WORK/app/second/"
  export CFLAGS="-Ifirst -Isecond"
  turn_says 1 "$WORK/app"
  ran app new
  turn_says 1 "$WORK/app"
  put app
  echo '#define NUMBER 2' >"$WORK/app/second/words.h"
  turn_says 2 "$WORK/app"
  ran app second/words.h
  echo '#define NUMBER 3' >"$WORK/app/first/words.h"
  turn_says 3 "$WORK/app"
  ran app first/words.h
  rm "$WORK/app/first/words.h"
  turn_says 2 "$WORK/app"
  put app
  # of another size, with an old time
  printf '#define NUMBER 1\n' >"$WORK/app/second/words.h"
  touch -d '2 years ago' "$WORK/app/second/words.h"
  turn_says 1 "$WORK/app"
  put app
}

# bats test_tags=long
@test "a header of the system: by CPATH and by a sysroot; another directory there comes first" {
  c_script "$WORK/app"
  rm "$WORK/app/words.h"
  sed -i 's/"words.h"/<words.h>/' "$WORK/app/words.c"
  mkdir -p "$WORK/one" "$WORK/two" "$WORK/root/usr/include"
  echo '#define NUMBER 4' >"$WORK/two/words.h"
  echo '#define NUMBER 5' >"$WORK/root/usr/include/words.h"
  CPATH=$WORK/one:$WORK/two turn_says 4 "$WORK/app"
  ran app new
  CPATH=$WORK/one:$WORK/two turn_says 4 "$WORK/app"
  put app
  echo '#define NUMBER 6' >"$WORK/one/words.h"
  CPATH=$WORK/one:$WORK/two turn_says 6 "$WORK/app"
  ran app one/words.h
  CFLAGS=--sysroot=$WORK/root turn_says 5 "$WORK/app"
  ran app CFLAGS
  CFLAGS=--sysroot=$WORK/root turn_says 5 "$WORK/app"
  put app
  echo '#define NUMBER 7' >"$WORK/root/usr/include/words.h"
  CFLAGS=--sysroot=$WORK/root turn_says 7 "$WORK/app"
  ran app usr/include/words.h
  CFLAGS="-isystem $WORK/one" turn_says 6 "$WORK/app"
  ran app CFLAGS
}

# bats test_tags=long
@test "a header that another package's script makes, by DEP_, here and in a second target directory" {
  c_script "$WORK/app"
  member "$WORK/app/gen" gen lib
  depends "$WORK/app" gen gen
  sed -i 's/^edition.*/&\nlinks = "gen"/' "$WORK/app/gen/Cargo.toml"
  cat >"$WORK/app/gen/build.rs" <<'RUST'
use std::{env, fs};
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR").unwrap();
    let n = fs::read_to_string("number.txt").unwrap();
    fs::create_dir_all(format!("{out}/include")).unwrap();
    fs::write(format!("{out}/include/words.h"), format!("#define NUMBER {n}\n")).unwrap();
    println!("cargo:include={out}/include");
}
RUST
  echo 3 >"$WORK/app/gen/number.txt"
  rm "$WORK/app/words.h"
  sed -i 's/"words.h"/<words.h>/' "$WORK/app/words.c"
  sed -i 's/\.args(flags/.arg(format!("-I{}", env::var("DEP_GEN_INCLUDE").unwrap()))&/' "$WORK/app/build.rs"
  grep -q DEP_GEN "$WORK/app/build.rs"
  turn_says 3 "$WORK/app"
  ran gen new
  ran app new
  turn_says 3 "$WORK/app"
  put gen app
  CARGO_TARGET_DIR=$WORK/else turn_says 3 "$WORK/app"
  put gen app
  # in the second one only the header is another
  echo 8 >"$WORK/app/gen/number.txt"
  CARGO_TARGET_DIR=$WORK/else turn_says 8 "$WORK/app"
  ran gen number.txt
  ran app words.h
  turn_says 8 "$WORK/app"
  put gen app
}

# bats test_tags=long
@test "the compiler: a script around it, what that is, another one by CC, its settings, its specs" {
  c_script "$WORK/app"
  mkdir "$WORK/bin"
  printf '#!/bin/sh\nexec gcc -DEXTRA=1 "$@"\n' >"$WORK/bin/my-cc"
  printf '#!/bin/sh\nexec gcc -DEXTRA=5 "$@"\n' >"$WORK/bin/other-cc"
  printf '*cpp:\n+ -DSPECS=10\n' >"$WORK/specs"
  chmod +x "$WORK/bin/my-cc" "$WORK/bin/other-cc"
  cat >"$WORK/app/words.c" <<'C'
#ifndef SPECS
#define SPECS 0
#endif
#ifndef EXTRA
#define EXTRA 0
#endif
#ifndef FLAG
#define FLAG 0
#endif
int number(void) { return EXTRA + SPECS + FLAG; }
C
  export CC=$WORK/bin/my-cc
  turn_says 1 "$WORK/app"
  ran app new
  turn_says 1 "$WORK/app"
  put app
  printf '#!/bin/sh\nexec gcc -DEXTRA=2 "$@"\n' >"$WORK/bin/my-cc"
  turn_says 2 "$WORK/app"
  ran app my-cc
  CC=$WORK/bin/other-cc turn_says 5 "$WORK/app"
  ran app CC
  CFLAGS=-DFLAG=100 turn_says 102 "$WORK/app"
  ran app CFLAGS
  CFLAGS=-specs=$WORK/specs turn_says 12 "$WORK/app"
  ran app CFLAGS
  printf '*cpp:\n+ -DSPECS=20\n' >"$WORK/specs"
  CFLAGS=-specs=$WORK/specs turn_says 22 "$WORK/app"
  ran app specs
  turn_says 2 "$WORK/app"
  put app
}

# bats test_tags=long
@test "a directory that gcc is led to by -B: its headers, and a cc1 that appears there" {
  c_script "$WORK/app"
  mkdir -p "$WORK/prefix/include"
  export CC=gcc CFLAGS=-B$WORK/prefix/
  mv "$WORK/app/words.h" "$WORK/prefix/include/"
  printf '#include <words.h>\n#ifndef MORE\n#define MORE 0\n#endif\nint number(void) { return MORE + NUMBER; }\n' >"$WORK/app/words.c"
  turn_says 1 "$WORK/app"
  ran app new
  echo '#define NUMBER 3' >"$WORK/prefix/include/words.h"
  turn_says 3 "$WORK/app"
  ran app words.h
  printf '#!/bin/sh\nexec %s "$@" -DMORE=40\n' "$(gcc -print-prog-name=cc1)" >"$WORK/prefix/cc1"
  chmod +x "$WORK/prefix/cc1"
  turn_says 43 "$WORK/app"
  ran app cc1
  rm "$WORK/prefix/cc1"
  turn_says 3 "$WORK/app"
  put app
}
