#!/usr/bin/env bats
# Crates that take without end: each is stopped by a limit that is named, and the build goes on.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/hostile.bash"

@test "a crate that forks without end" {
  farm_with -o worker.job_processes=200
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    loop {
        if unsafe { c::fork() } == 0 {
            unsafe { c::setsid() };
        }
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'had more than 200 processes and threads (worker.job_processes)'
}

@test "a crate that starts threads without end" {
  farm_with -o worker.job_processes=200
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    loop {
        let _ = std::thread::Builder::new().stack_size(16384).spawn(|| std::thread::park());
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'had more than 200 processes and threads (worker.job_processes)'
}

# bats test_tags=long
@test "a crate that allocates without end" {
  farm_with -o worker.job_memory=512M
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    let mut all = Vec::new();
    loop {
        all.push(vec![1u8; 1 << 20]);
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'used more than 512 MiB of memory (worker.job_memory)'
}

# bats test_tags=long
@test "a crate that allocates in many processes" {
  farm_with -o worker.job_memory=512M
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    for _ in 0..15 {
        if unsafe { c::fork() } == 0 {
            let held = vec![1u8; 64 << 20];
            while held[0] == 1 {
                unsafe { c::pause() };
            }
        }
    }
    loop {
        unsafe { c::pause() };
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'used more than 512 MiB of memory (worker.job_memory)'
}

# bats test_tags=long
@test "a crate that keeps memory in files without a name" {
  farm_with -o worker.job_memory=512M
  hostile "$WORK/app" <<'EOF'
use std::io::Write;
use std::os::fd::FromRawFd;
fn misbehave() {
    refused(unsafe { c::shmget(0, 1 << 20, 0o1600) } >= 0);
    let mut f = unsafe { std::fs::File::from_raw_fd(c::memfd_create(b"x\0".as_ptr().cast(), 0)) };
    let part = vec![1u8; 1 << 20];
    loop {
        f.write_all(&part).unwrap();
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'used more than 512 MiB of memory (worker.job_memory)'
}

@test "a crate that keeps memory in files on their way through a socket" {
  farm_with
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    let mut pair = [0i32; 2];
    assert_eq!(unsafe { d::socketpair(1, 1, 0, pair.as_mut_ptr()) }, 0);
    let m = unsafe { c::memfd_create(b"x\0".as_ptr().cast(), 0) };
    let mut byte = 0u8;
    let mut part = [std::ptr::addr_of_mut!(byte) as usize, 1];
    // cmsg_len, SOL_SOCKET and SCM_RIGHTS, the descriptor
    let mut control = [20usize, 1 | 1 << 32, m as usize];
    let message = [0usize, 0, part.as_mut_ptr() as usize, 1, control.as_mut_ptr() as usize, 24, 0];
    assert_eq!(unsafe { d::sendmsg(pair[0], message.as_ptr().cast(), 0) }, 1);
    eprintln!("sent");
    loop {
        unsafe { c::pause() };
    }
}
mod d {
    extern "C" {
        pub fn socketpair(domain: i32, kind: i32, protocol: i32, pair: *mut i32) -> i32;
        pub fn sendmsg(fd: i32, message: *const u8, flags: i32) -> isize;
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'keeps open files in a socket'
}

# F_SETLEASE and F_RDLCK, as Linux has them on all machines that a worker runs on.
@test "a crate that takes leases" {
  farm_with -o worker.trace=no
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    use std::os::fd::AsRawFd;
    extern "C" {
        fn fcntl(fd: i32, command: i32, ...) -> i32;
    }
    let input = std::fs::File::open("src/lib.rs").unwrap();
    let own = std::fs::File::create("/tmp/own").map(|_| std::fs::File::open("/tmp/own").unwrap()).unwrap();
    probe("may ask for flags", unsafe { fcntl(input.as_raw_fd(), 3) } >= 0);
    probe("a lease on an input", unsafe { fcntl(input.as_raw_fd(), 1024, 0) } == 0);
    probe("a lease on its own", unsafe { fcntl(own.as_raw_fd(), 1024, 0) } == 0);
    probe("the end", true);
}
EOF
  probe_build "$WORK/app"
  only_what_may_worked
}

@test "a crate that fills the disk" {
  farm_with -o worker.job_disk_max=64M
  hostile "$WORK/app" <<'EOF'
use std::io::Write;
fn misbehave() {
    let part = vec![1u8; 1 << 20];
    for i in 0.. {
        let mut f = std::fs::File::create(out_dir().join(format!("big-{i}"))).unwrap();
        for _ in 0..16 {
            f.write_all(&part).unwrap();
        }
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'wrote more than 64 MiB to its output directory (worker.job_disk_max)'
}

@test "a crate that fills the disk with a file that it removed" {
  farm_with -o worker.job_disk_max=64M
  hostile "$WORK/app" <<'EOF'
use std::io::Write;
fn misbehave() {
    let part = vec![1u8; 1 << 20];
    let path = out_dir().join("big");
    let mut f = std::fs::File::create(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    loop {
        f.write_all(&part).unwrap();
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'wrote more than 64 MiB to its output directory (worker.job_disk_max)'
}

@test "a crate that writes one file without end" {
  farm_with -o worker.job_file_max=8M
  hostile "$WORK/app" <<'EOF'
use std::io::Write;
fn misbehave() {
    let part = vec![1u8; 1 << 20];
    let mut f = std::fs::File::create(out_dir().join("big")).unwrap();
    loop {
        f.write_all(&part).unwrap();
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'wrote a file larger than 8388608 bytes (worker.job_file_max)'
}

@test "a crate whose outputs are large and full of holes" {
  farm_with -o worker.job_disk_max=64M
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    let f = std::fs::File::create(output("lib", ".holes")).unwrap();
    f.set_len(1 << 30).unwrap();
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'has outputs of more than 67108864 bytes (worker.job_disk_max)'
  # It was not stored to find that out.
  [ "$(du -sm "$FARM/state-w1/store" | cut -f1)" -lt 100 ]
}

# bats test_tags=long
@test "a crate that fills /tmp" {
  farm_with -o worker.job_tmp_max=16M
  hostile "$WORK/app" <<'EOF'
use std::io::Write;
fn misbehave() {
    let part = vec![1u8; 1 << 20];
    let mut f = std::fs::File::create("/tmp/big").unwrap();
    while f.write_all(&part).is_ok() {}
    loop {
        unsafe { c::pause() };
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'wrote more than 16 MiB to /tmp (worker.job_tmp_max)'
}

# bats test_tags=long
@test "a crate that makes ten million files" {
  farm_with -o worker.job_files_max=2000
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    for i in 0..10_000_000 {
        std::fs::File::create(out_dir().join(format!("{i}"))).unwrap();
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'made more than 2000 files (worker.job_files_max)'
}

# bats test_tags=long
@test "a crate that makes ten million files in /tmp" {
  farm_with -o worker.job_files_max=2000
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    for i in 0..10_000_000 {
        std::fs::create_dir(format!("/tmp/{i}")).unwrap();
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'made more than 2000 files in /tmp (worker.job_files_max)'
}

@test "a crate that nests directories without end" {
  farm_with
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    std::env::set_current_dir(out_dir()).unwrap();
    for _ in 0..5000 {
        std::fs::create_dir("d").unwrap();
        std::env::set_current_dir("d").unwrap();
    }
    loop {
        unsafe { c::pause() };
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'made directories that cannot be looked into'
}

# bats test_tags=long
@test "a crate that spins for ever" {
  farm_with -o worker.job_cpu_s=2
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    loop {
        std::hint::spin_loop();
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'used more than 2 s of processor time (worker.job_cpu_s)'
}

# bats test_tags=long
@test "a crate that spins in processes that end" {
  farm_with -o worker.job_cpu_s=2
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    extern "C" {
        fn fork() -> i32;
        fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
        fn _exit(status: i32) -> !;
    }
    loop {
        unsafe {
            let child = fork();
            if child == 0 {
                let begun = std::time::Instant::now();
                while begun.elapsed().as_millis() < 50 {}
                _exit(0);
            }
            waitpid(child, std::ptr::null_mut(), 0);
        }
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'used more than 2 s of processor time (worker.job_cpu_s)'
}

# bats test_tags=long
@test "a crate that waits for ever" {
  # the other jobs of the build have the same limit, on a machine that may be busy
  farm_with -o worker.job_time_s=$((2 * PATIENCE))
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    loop {
        unsafe { c::pause() };
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by "took longer than $((2 * PATIENCE)) s (worker.job_time_s)"
}

# bats test_tags=long
@test "a crate that prints ten gigabytes" {
  farm_with -o worker.job_output_max=4M
  hostile "$WORK/app" <<'EOF'
use std::io::Write;
fn misbehave() {
    let line = vec![b'x'; 1 << 20];
    for _ in 0..10 << 10 {
        std::io::stderr().write_all(&line).unwrap();
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'printed more than 4194304 bytes (worker.job_output_max)'
  # What the client was sent is bounded as well.
  [ "$(job app bytes_received)" -le 8388608 ]
}

# bats test_tags=long
@test "a crate that prints ten gigabytes of lines to stdout" {
  farm_with -o worker.job_output_max=4M
  hostile "$WORK/app" <<'EOF'
use std::io::Write;
fn misbehave() {
    let lines = b"{\"a\":1}\n".repeat(10000);
    loop {
        std::io::stdout().write_all(&lines).unwrap();
    }
}
EOF
  hostile_build "$WORK/app"
  stopped_by 'printed more than 4194304 bytes (worker.job_output_max)'
}
