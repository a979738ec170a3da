#!/usr/bin/env bats
# Linkers that are scripts, or programs that start the C driver: ccache, cargo-zigbuild, a team's own. What they
# are, read and ask for decides whether a link is found again.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

script() {
  cat >"$1"
  chmod +x "$1"
}
again() {
  clean "$1"
  cached again "$1" build
}
build_id() {
  readelf -n "$1/target/debug/app" | sed -n 's/.*Build ID: //p'
}

@test "a script as linker: it, what it reads, what it asks for" {
  local app=$WORK/app
  package "$app" app
  echo 'ID=11111111' >"$WORK/flags"
  script "$WORK/cc-team" <<END
#!/bin/sh
. "$WORK/flags"
exec cc "\$@" -Wl,--build-id=0x\$ID\$TEAM_ID
END
  export RUSTFLAGS="-Clinker=$WORK/cc-team"
  both first "$app" build
  kept app
  [ "$(build_id "$app")" = 11111111 ]
  again "$app"
  all_hit
  echo 'ID=12121212' >"$WORK/flags"
  again "$app"
  missed app "flags changed"
  [ "$(build_id "$app")" = 12121212 ]
  clean "$app"
  TEAM_ID=34343434 cached asked "$app" build
  missed app
  [ "$(build_id "$app")" = 1212121234343434 ]
  sed -i 's/0x/0xffffffff/' "$WORK/cc-team"
  again "$app"
  missed app "cc-team changed"
  [ "$(build_id "$app")" = ffffffff12121212 ]
  both last "$app" build
  all_hit
}

@test "a script that was made by another program in a cache directory, as cargo-zigbuild does" {
  local app=$WORK/app
  package "$app" app
  mkdir -p "$WORK/home/.cache/cargo-zigbuild/wrappers"
  # In zig's place: a program that keeps things for itself before it links.
  cc -xc - -o "$WORK/zig" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    const char *dir = getenv("ZIG_GLOBAL_CACHE_DIR");
    char path[4096], tmp[4096];
    FILE *f;

    snprintf(path, sizeof(path), "%s/tmp", dir);
    mkdir(path, 0700);
    snprintf(tmp, sizeof(tmp), "%s/tmp/%d", dir, (int)getpid());
    snprintf(path, sizeof(path), "%s/manifest", dir);
    f = fopen(path, "r");
    if (f)
        fclose(f);
    f = fopen(tmp, "w");
    fprintf(f, "%d", (int)getpid());
    fclose(f);
    rename(tmp, path);
    argv[0] = "cc";
    execvp("cc", argv);
    return 1;
}
END
  script "$WORK/home/.cache/cargo-zigbuild/wrappers/zigcc-1a2b.sh" <<END
#!/bin/sh
export ZIG_GLOBAL_CACHE_DIR=$WORK/home/.cache/zig
mkdir -p "\$ZIG_GLOBAL_CACHE_DIR"
if [ -n "\$SDKROOT" ]; then export SDKROOT; fi
exec "$WORK/zig" "\$@"
END
  export RUSTFLAGS="-Clinker=$WORK/home/.cache/cargo-zigbuild/wrappers/zigcc-1a2b.sh -Clinker-flavor=gcc"
  mkdir -p "$WORK/home/.cache/zig"
  cached first "$app" build
  kept app
  again "$app"
  all_hit
  echo 'int main;' | cc -w -xc - -c -o "$WORK/zig.o"
  cat "$WORK/zig.o" >>"$WORK/zig"
  again "$app"
  missed app "zig changed"
  kept app
}

@test "ccache first in PATH as cc; and a linker that python or perl run" {
  local app=$WORK/app dir
  package "$app" app
  mkdir "$WORK/bin"
  dir=$(command -v ccache) || skip "no ccache"
  ln -s "$dir" "$WORK/bin/cc"
  export CCACHE_DIR=$WORK/ccache
  mkdir "$CCACHE_DIR"
  PATH=$WORK/bin:$PATH cached first "$app" build
  kept app
  clean "$app"
  PATH=$WORK/bin:$PATH cached second "$app" build
  all_hit
  # Its own cache and counts are no matter, its settings are.
  rm -rf "$CCACHE_DIR"
  clean "$app"
  PATH=$WORK/bin:$PATH cached emptied "$app" build
  all_hit
  clean "$app"
  CCACHE_PREFIX=env PATH=$WORK/bin:$PATH cached prefix "$app" build
  missed app "what ccache takes"
  script "$WORK/cc-perl" <<'END'
#!/usr/bin/perl
exec "cc", @ARGV;
END
  export RUSTFLAGS="-Clinker=$WORK/cc-perl"
  once_and_again perl "$app" build
}

@test "a farm compiles, and a script links here; it changes, and nothing is compiled" {
  local app=$WORK/app
  package "$app" app
  farm_start
  script "$WORK/cc-team" <<END
#!/bin/sh
exec cc "\$@" -Wl,--build-id=0x11111111
END
  export RUSTFLAGS="-Clinker=$WORK/cc-team"
  cached first "$app" build
  jobs_all '.where == "farm"'
  kept app
  [ "$(build_id "$app")" = 11111111 ]
  again "$app"
  all_hit
  sed -i 's/0x11111111/0x12121212/' "$WORK/cc-team"
  again "$app"
  [ "$(build_id "$app")" = 12121212 ]
  [ "$(job app cache)" = bundle ]
  [ "$(job app where)" = cache ]
  again "$app"
  all_hit
}
