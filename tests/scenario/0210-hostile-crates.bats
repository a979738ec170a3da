#!/usr/bin/env bats
# Crates that reach for what is not theirs. What must not work kills the compiler when it does work (see
# refused in hostile.bash), and the job log would tell of that.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/hostile.bash"

KILLED='the compiler was killed on the worker'

# all_refused: the build was right, and nothing worked that must not.
all_refused() {
  [[ "$(job app why)" != *"$KILLED"* ]]
  run ! grep -q "$KILLED" "$LOGS/worker-w1"
}

@test "what works is seen: a macro that may write to the out-dir and /tmp says so" {
  farm_with
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    let out = std::fs::write(output("lib", ".note"), "x").is_ok();
    refused(out && std::fs::write("/tmp/note", "x").is_ok());
}
EOF
  hostile_build "$WORK/app"
  stopped_by "$KILLED"
}

# bats test_tags=long
@test "no secret of the worker's is in a job's environment" {
  export WORKER_SECRET=correct-horse-battery-staple
  farm_with
  { rust_variables && cat; } <<'EOF' | hostile "$WORK/app"
fn misbehave() {
    for v in variables() {
        refused(v.contains("correct-horse"));
    }
    for p in ["/proc/self/environ", "/proc/1/environ"] {
        let text = std::fs::read(p).unwrap_or_default();
        refused(text.windows(13).any(|w| w == b"correct-horse"));
    }
}
EOF
  hostile_build "$WORK/app"
  all_refused
}

@test "no network: neither TCP, nor UDP, nor a socket without a file" {
  farm_with
  hostile "$WORK/app" <<EOF
fn misbehave() {
    refused(std::net::TcpStream::connect(("127.0.0.1", ${COORDINATOR_EP##*:})).is_ok());
    refused(std::net::TcpListener::bind(("127.0.0.1", 0)).is_ok());
    refused(std::net::UdpSocket::bind(("127.0.0.1", 0)).is_ok());
    let known = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    refused(known.contains('@'));
    refused(std::os::unix::net::UnixStream::connect("/run/dbus/system_bus_socket").is_ok());
}
EOF
  hostile_build "$WORK/app"
  all_refused
}

@test "files of the worker's user and of the farm cannot be read" {
  farm_with
  echo secret >"$FARM/secret"
  hostile "$WORK/app" <<EOF
fn misbehave() {
    for p in ["/etc/shadow", "/root/.ssh", "/root/.cargo", "/home", "/var", "$FARM/secret", "$FARM/keys/w1",
        "$FARM/state-w1/store", "$FARM/state-w1/jobs", "/proc/1/root/etc", "/proc/1/fd", "/proc/1/mem",
        "/dev/mem", "/dev/kmsg", "/sys/kernel"] {
        refused(std::fs::File::open(p).is_ok_and(|f| f.metadata().is_ok()) && !std::fs::read_dir(p).is_ok_and(|d| d.count() == 0));
    }
    // Those of this job only: process 1 and the compiler with its own.
    let others = std::fs::read_dir("/proc").unwrap().flatten()
        .filter(|e| e.file_name().to_string_lossy().parse::<u32>().is_ok()).count();
    refused(others > 4);
}
EOF
  hostile_build "$WORK/app"
  all_refused
}

@test "nothing outside can be written, linked to, or made" {
  farm_with
  hostile "$WORK/app" <<EOF
fn misbehave() {
    let rustc = std::env::current_exe().unwrap();
    let source = std::env::current_dir().unwrap().join("src/lib.rs");
    for p in [&rustc, &source] {
        refused(std::fs::OpenOptions::new().write(true).open(p).is_ok());
        refused(std::fs::remove_file(p).is_ok());
        refused(std::fs::hard_link(p, output("lib", ".link")).is_ok());
    }
    for dir in ["/", "/etc", "/usr", "/dev", "/dev/shm", "/.dray", "/.dray/bin", "/proc/sys/kernel", "$FARM"] {
        refused(std::fs::write(format!("{dir}/dray-test"), "x").is_ok());
    }
    for p in ["/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"] {
        refused(std::fs::write(p, "x").is_ok());
    }
    let node = output("lib", ".node").to_str().unwrap().to_owned() + "\0";
    refused(unsafe { c::mknod(node.as_ptr().cast(), 0o60666, 0x800) } == 0);
}
EOF
  hostile_build "$WORK/app"
  all_refused
  run ! compgen -G '/etc/dray-test' /usr/dray-test
}

@test "no mount, no namespace, no tracing of another process" {
  farm_with
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    unsafe {
        refused(c::mount(b"none\0".as_ptr().cast(), b"/tmp\0".as_ptr().cast(), b"tmpfs\0".as_ptr().cast(), 0, std::ptr::null()) == 0);
        for flag in [0x10000000, 0x20000, 0x40000000, 0x20000000] {
            refused(c::unshare(flag) == 0);
        }
        let child = c::fork();
        if child == 0 {
            loop {
                c::pause();
            }
        }
        refused(c::ptrace(16, child, std::ptr::null_mut(), std::ptr::null_mut()) == 0);
        refused(c::ptrace(16, 1, std::ptr::null_mut(), std::ptr::null_mut()) == 0);
        c::kill(child, 9);
    }
}
EOF
  hostile_build "$WORK/app"
  all_refused
}

@test "kill -1 reaches nothing but the job, and blames no worker" {
  allow client client
  coordinator_start
  worker_start w1
  local first=$WORKER_PID
  worker_start w2
  client_env
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    // It does not reach the one who calls it.
    unsafe {
        if c::fork() == 0 {
            c::kill(-1, 9);
        }
        loop {
            c::pause();
        }
    }
}
EOF
  plain_build "$WORK/app" build
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  [ "$(job app where)" = local ]
  [[ "$(job app why)" == *"$KILLED"* ]]
  # One try: another worker would have fared no better.
  [ "$(jq -s 'map(select(.crate == "app")) | last | .attempts | length' "$JOBS")" -eq 1 ]
  kill -0 "$first"
  kill -0 "$WORKER_PID"
}

@test "a daemon that a crate leaves behind ends with its job" {
  farm_with
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    unsafe {
        if c::fork() == 0 {
            c::setsid();
            if c::fork() == 0 {
                loop {
                    c::pause();
                }
            }
            std::process::exit(0);
        }
    }
}
EOF
  hostile_build "$WORK/app"
  [ "$(job app where)" = farm ]
}
