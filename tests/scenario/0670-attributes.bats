#!/usr/bin/env bats
# What a macro asks of a file beside its content: kind, size, mode and owner always count, times until it
# was seen that they do not.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/stamps.bash"

# bats test_tags=long
@test "time, mode and size that are embedded" {
  stamps 'let m = std::fs::metadata(&path).unwrap(); format!("{} {} {:o} {}", text, m.mtime(), m.mode() & 0o777, m.len())'
  again first
  says "$APP" "logo 1577836800 644 4"
  clean "$APP"
  cached hit "$APP" build
  all_hit
  touch -d '2021-01-01 00:00:00 UTC' "$APP/asset.txt"
  again touched
  missed app "mtime of $APP/asset.txt changed"
  says "$APP" "logo 1609459200 644 4"
  chmod 755 "$APP/asset.txt"
  touch -d '2021-01-01 00:00:00 UTC' "$APP/asset.txt"
  again chmod
  missed app "mode of $APP/asset.txt changed"
  says "$APP" "logo 1609459200 755 4"
  # whatever was learned, it never says an old time
  fresh_checkout
  again fresh
  missed app "$APP/asset.txt changed"
}

# bats test_tags=long
@test "a link's own time, that of a directory's entry, and an owner" {
  stamps 'let l = std::fs::symlink_metadata(path.replace("asset", "link")).unwrap(); let _ = text;
    let e = std::fs::read_dir(path.replace("asset.txt", "entries")).unwrap().next().unwrap().unwrap().metadata().unwrap();
    let c = std::fs::metadata(path.replace("asset", "owned")).unwrap();
    format!("{} {} {}", l.mtime(), e.mtime(), c.uid())'
  mkdir "$APP/entries"
  ln -s asset.txt "$APP/link.txt"
  touch -h -d '2020-01-01 00:00:00 UTC' "$APP/link.txt"
  echo x >"$APP/entries/x"
  echo x >"$APP/owned.txt"
  touch -d '2020-01-01 00:00:00 UTC' "$APP/entries/x"
  again first
  touch -h -d '2021-01-01 00:00:00 UTC' "$APP/link.txt"
  again link
  missed app "mtime of $APP/link.txt changed"
  touch -d '2021-01-01 00:00:00 UTC' "$APP/entries/x"
  again entry
  missed app "mtime of $APP/entries/x changed"
  says "$APP" "1609459200 1609459200 $(id -u)"
  [ "$(id -u)" = 0 ] || return 0
  chown 12345 "$APP/owned.txt"
  again owner
  missed app "owner of $APP/owned.txt changed"
  says "$APP" "1609459200 1609459200 12345"
}

# bats test_tags=long
@test "times that nothing depends on stop to count" {
  stamps 'let _ = std::fs::metadata(&path).unwrap().modified(); text'
  cached first "$APP" build
  fresh_checkout
  cached fresh "$APP" build
  missed app 'asset.txt changed'
  hit look
  says "$APP" logo
  fresh_checkout
  cached fresher "$APP" build
  all_hit
  sleep_past_second
  touch "$APP/asset.txt"
  clean "$APP"
  cached touched "$APP" build
  all_hit
  # the rest still counts
  chmod 600 "$APP/asset.txt"
  clean "$APP"
  cached mode "$APP" build
  missed app "mode of $APP/asset.txt changed"
}

# bats test_tags=long
@test "of one file it is seen that its time does not count, of another that it does" {
  stamps 'let _ = std::fs::metadata(path.replace("asset.txt", "Cargo.toml")).unwrap().modified();
    format!("{} {}", text, std::fs::metadata(&path).unwrap().mtime())'
  cached first "$APP" build
  sleep_past_second
  touch "$APP/Cargo.toml"
  clean "$APP"
  cached manifest "$APP" build
  missed app 'Cargo.toml changed'
  touch -d '2021-01-01 00:00:00 UTC' "$APP/asset.txt"
  again asset
  missed app "mtime of $APP/asset.txt changed"
  says "$APP" "logo 1609459200"
  sleep_past_second
  touch "$APP/Cargo.toml"
  clean "$APP"
  cached manifest-again "$APP" build
  all_hit
}

@test "a manifest's time is known not to count after an edit, too" {
  stamps 'let _ = std::fs::metadata(path.replace("asset.txt", "Cargo.toml")).unwrap().modified(); text'
  cached first "$APP" build
  sleep_past_second
  touch "$APP/Cargo.toml"
  clean "$APP"
  cached second "$APP" build
  missed app 'Cargo.toml changed'
  echo '// edited' >>"$APP/src/main.rs"
  clean "$APP"
  cached edited "$APP" build
  missed app 'main.rs changed'
  sleep_past_second
  touch "$APP/Cargo.toml"
  clean "$APP"
  cached third "$APP" build
  all_hit
}

@test "what makes no difference to a check makes one to a build" {
  stamps 'format!("{} {}", text, std::fs::metadata(&path).unwrap().mtime())'
  cached check "$APP" check
  touch -d '2021-01-01 00:00:00 UTC' "$APP/asset.txt"
  clean "$APP"
  cached check-again "$APP" check
  missed app
  clean "$APP"
  cached build "$APP" build
  touch -d '2022-01-01 00:00:00 UTC' "$APP/asset.txt"
  again build-again
  says "$APP" "logo 1640995200"
}

@test "a macro whose file is named as the compiler's is a macro" {
  stamps 'format!("{} {} {}", text, std::fs::metadata(&path).unwrap().mtime(), std::env::var("VTE_VERSION").unwrap_or_default())'
  sed -i 's/^name = "look"/name = "rustc_driver"/' "$APP/look/Cargo.toml"
  sed -i 's/^look = /rustc_driver = /' "$APP/Cargo.toml"
  sed -i 's/look::look/rustc_driver::look/' "$APP/src/main.rs"
  (cd "$APP" && cargo generate-lockfile -q)
  VTE_VERSION=1 again first
  VTE_VERSION=2 again variable
  missed app 'variable VTE_VERSION changed'
  says "$APP" "logo 1577836800 2"
  touch -d '2021-01-01 00:00:00 UTC' "$APP/asset.txt"
  VTE_VERSION=2 again touched
  missed app 'mtime of'
}

@test "a stat that goes past libc, and one by its syscall" {
  [ "$(uname -m)" = x86_64 ] || skip "x86-64 alone"
  stamps 'extern "C" { fn syscall(n: i64, ...) -> i64; }
    let mut raw = [0u64; 18]; let mut by_libc = [0u64; 18];
    let p = std::ffi::CString::new(path.clone()).unwrap();
    let q = std::ffi::CString::new(path.replace("asset", "other")).unwrap();
    let r: i64;
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") 4i64 => r, in("rdi") p.as_ptr(), in("rsi") raw.as_mut_ptr(),
            out("rcx") _, out("r11") _);
        assert!(r == 0 && syscall(4, q.as_ptr(), by_libc.as_mut_ptr()) == 0);
    }
    let _ = text;
    format!("{} {}", raw[11], by_libc[11])'
  echo other >"$APP/other.txt"
  touch -d '2020-01-01 00:00:00 UTC' "$APP/other.txt"
  again first
  says "$APP" "1577836800 1577836800"
  touch -d '2021-01-01 00:00:00 UTC' "$APP/asset.txt"
  again raw
  says "$APP" "1609459200 1577836800"
  touch -d '2021-01-01 00:00:00 UTC' "$APP/other.txt"
  again libc
  says "$APP" "1609459200 1609459200"
}

@test "the compiler's own stats make no time an input" {
  APP=$WORK/app
  package "$APP" app
  dependency "$APP" low
  printf 'mod inner;\nfn main() {\n    println!("{} {}", low::answer(), inner::X);\n}\n' >"$APP/src/main.rs"
  mkdir "$APP/src/inner"
  echo 'pub const X: &str = include_str!("../../asset.txt");' >"$APP/src/inner/mod.rs"
  echo text >"$APP/asset.txt"
  (cd "$APP" && cargo generate-lockfile -q)
  cached first "$APP" build
  fresh_checkout
  cached fresh "$APP" build
  all_hit
}

# In the temporary directory, and gone at the end: what it was made of is all that is seen.
# bats test_tags=long
@test "the source of a link is read" {
  stamps 'let soft = std::env::temp_dir().join("soft"); let _ = text;
    std::os::unix::fs::symlink(path.replace("asset", "soft"), &soft).unwrap();
    let said = std::fs::read_to_string(&soft).unwrap();
    std::fs::remove_file(soft).unwrap(); said.trim().to_string()'
  echo a >"$APP/soft.txt"
  export TMPDIR=$WORK/tmp
  mkdir "$TMPDIR"
  again soft
  kept app
  says "$APP" a
  echo b >"$APP/soft.txt"
  again soft-again
  says "$APP" b
  # another name changes a file's ctime: it is not known any more what it was
  sed -i 's/std::os::unix::fs::symlink/std::fs::hard_link/' "$APP/look/src/expr.rs"
  cached hard "$APP" build
  [[ "$(job app not_stored)" = *'soft.txt changed while it was read' ]]
  echo c >"$APP/soft.txt"
  again hard-again
  says "$APP" c
}

@test "what was there and is opened to be read and written, or added to, is read" {
  stamps 'use std::io::{Read, Write}; let _ = text; let mut said = String::new();
    let both = std::env::temp_dir().join("both"); let more = std::env::temp_dir().join("more");
    std::fs::OpenOptions::new().read(true).write(true).open(&both).unwrap().read_to_string(&mut said).unwrap();
    std::fs::OpenOptions::new().append(true).open(&more).unwrap().write_all(b"x").unwrap();
    format!("{}{}", said.trim(), std::fs::metadata(&more).unwrap().len())'
  export TMPDIR=$WORK/tmp
  mkdir "$TMPDIR"
  echo a >"$TMPDIR/both"
  echo a >"$TMPDIR/more"
  cached first "$APP" build
  [[ "$(job app not_stored)" = *'read and then wrote'* ]]
  says "$APP" a3
  echo b >"$TMPDIR/both"
  clean "$APP"
  cached second "$APP" build
  says "$APP" b4
}
