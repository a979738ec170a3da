#!/usr/bin/env bats
# Crates that put something else in the place of an output. What is not a plain file is not taken.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/hostile.bash"

# hostile_exit DIR BODY: BODY runs as the compiler exits, when its outputs are in their places.
hostile_exit() {
  hostile "$1" <<EOF
extern "C" fn at_exit() {
    $2
}
fn misbehave() {
    unsafe { c::atexit(at_exit) };
}
EOF
}

# not_taken: compiled here, and the job log says what was wrong.
not_taken() {
  [ "$(job app where)" = local ]
  [[ "$(job app why)" == *"$1"* ]]
}

@test "an output that is a symlink to /etc/passwd" {
  farm_with
  hostile_exit "$WORK/app" 'let p = output("lib", ".rlib");
    std::fs::remove_file(&p).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &p).unwrap();'
  hostile_build "$WORK/app"
  # what a link leads to counts as read
  not_taken 'needs the file /etc/passwd'
  [ -n "$(find_made "$WORK/app/target/debug" 'libapp-*.rlib')" ]
}

@test "an output that is a symlink to a file of the package" {
  farm_with
  hostile_exit "$WORK/app" 'let p = output("lib", ".rlib");
    std::fs::remove_file(&p).unwrap();
    std::os::unix::fs::symlink(std::path::Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("Cargo.toml"), &p).unwrap();'
  hostile_build "$WORK/app"
  not_taken 'an output is no regular file'
  [ -n "$(find_made "$WORK/app/target/debug" 'libapp-*.rlib')" ]
}

@test "an output that is a symlink to a directory" {
  farm_with
  hostile_exit "$WORK/app" 'let p = output("lib", ".rlib");
    std::fs::remove_file(&p).unwrap();
    std::os::unix::fs::symlink("/", &p).unwrap();'
  hostile_build "$WORK/app"
  not_taken 'an output is no regular file'
}

@test "an output that is a directory" {
  farm_with
  hostile_exit "$WORK/app" 'let p = output("lib", ".rlib");
    std::fs::remove_file(&p).unwrap();
    std::fs::create_dir(&p).unwrap();'
  hostile_build "$WORK/app"
  not_taken 'an output is no regular file'
}

@test "an output that was announced and is gone" {
  farm_with
  hostile_exit "$WORK/app" 'std::fs::remove_file(output("lib", ".rlib")).unwrap();'
  hostile_build "$WORK/app"
  not_taken 'an output that was announced is gone'
}

@test "an output that is a fifo" {
  farm_with
  hostile_exit "$WORK/app" 'let p = output("lib", ".rlib");
    std::fs::remove_file(&p).unwrap();
    let name = p.to_str().unwrap().to_owned() + "\0";
    unsafe { c::mkfifo(name.as_ptr().cast(), 0o644) };'
  hostile_build "$WORK/app"
  not_taken 'an output is no regular file'
}

@test "an output that is a socket" {
  farm_with
  hostile_exit "$WORK/app" 'std::env::set_current_dir(out_dir()).unwrap();
    let _ = std::os::unix::net::UnixListener::bind(output("lib", ".s").file_name().unwrap());'
  hostile_build "$WORK/app"
  not_taken 'an output is no regular file'
}

@test "an output that is a second name of a file in the job's /tmp, or of another output" {
  farm_with
  hostile_exit "$WORK/app" 'let p = output("lib", ".rlib");
    assert!(std::fs::hard_link("/tmp/x", output("lib", ".a")).is_err());
    std::fs::hard_link(&p, output("lib", ".b")).unwrap();'
  plain_build "$WORK/app" build
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  cmp "$(find_made "$WORK/app/target/debug" 'libapp-*.rlib')" "$(find_made "$BATS_TEST_TMPDIR/plain-target/debug" 'libapp-*.rlib')"
  worker_is_well
}

@test "an rmeta that is changed after it was announced" {
  farm_with
  hostile_exit "$WORK/app" 'std::fs::write(output("lib", ".rmeta"), "other").unwrap();'
  hostile_build "$WORK/app"
  not_taken 'an output changed after it was announced'
}

@test "an announced file that is a symlink, or not there" {
  farm_with
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    let p = output("lib", ".x");
    std::os::unix::fs::symlink("nowhere", &p).unwrap();
    eprintln!("{{\"$message_type\":\"artifact\",\"artifact\":{p:?},\"emit\":\"metadata\"}}");
}
EOF
  hostile_build "$WORK/app"
  not_taken 'an output is no regular file'
}

# forged LABEL LINE: the macro prints that line, {p} being the rmeta's path, before there is one.
forged() {
  hostile "$WORK/$1" <<EOF
fn misbehave() {
    let p = output("lib", ".rmeta");
    let p = p.to_str().unwrap();
    eprint!("{}", r##"$2"##.replace("{p}", p));
}
EOF
  hostile_build "$WORK/$1"
  # The crate's doing: no other worker is tried, and this one is trusted as before.
  run ! file_has "$LOGS/coordinator" 'failed it'
}

# bats test_tags=long
@test "lines that announce what no compiler would" {
  allow worker w2
  farm_with
  worker_start w2
  forged outside '{"$message_type":"artifact","artifact":"/etc/passwd","emit":"metadata"}
'
  not_taken 'outside the out-dir'
  forged alias '{"$message_type":"artifact","artifact":"/.dray-in/libapp.rmeta","emit":"metadata"}
'
  not_taken 'outside the out-dir'
  forged order '{ "emit" : "metadata", "artifact" : "{p}.x" }
'
  not_taken 'an output that was announced is gone'
  forged cut '{"$message_type":"artifact","artifact":
'
  not_taken 'makes no sense'
  forged long '{"$message_type":"artifact","artifact":"{p}'"$(printf '/%.0s' $(seq 70000))"'","emit":"metadata"}
'
  not_taken 'makes no sense'
}

@test "a captured link that a crate made up" {
  farm_with
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    let dir = out_dir().join(".dray-cap/0");
    std::fs::create_dir_all(&dir).unwrap();
    for name in ["argv", "path", "files", "dirs", "output"] {
        std::fs::write(dir.join(name), "../../../etc/passwd\0").unwrap();
    }
}
EOF
  hostile_build "$WORK/app"
  not_taken 'a captured link makes no sense'
}

# bats test_tags=long
@test "directories that cannot be entered are removed all the same" {
  farm_with
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    use std::os::unix::fs::PermissionsExt;
    let dir = out_dir().join("closed");
    std::fs::create_dir_all(dir.join("in/side")).unwrap();
    std::fs::write(dir.join("in/side/file"), "x").unwrap();
    for d in ["in/side", "in", ""] {
        std::fs::set_permissions(dir.join(d), std::fs::Permissions::from_mode(0)).unwrap();
    }
}
EOF
  hostile_build "$WORK/app"
}
