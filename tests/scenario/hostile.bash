# Crates that misbehave on a worker, and nowhere else: so a build ends as plain cargo's does, and what
# is compared is what dray made of the rest.

# farm_with ARGS…: one worker, with these arguments. Its jobs have cgroups when $DRAY_TEST_CGROUP names a
# directory to make them in (a cgroup2 one, with memory and pids, that has no processes itself).
farm_with() {
  allow client client
  coordinator_start
  worker_start w1 ${DRAY_TEST_CGROUP:+-o "worker.cgroup_dir=$DRAY_TEST_CGROUP"} "$@"
  [ -z "${DRAY_TEST_CGROUP:-}" ] || wait_until 10 file_has "$LOGS/worker-w1" 'jobs are limited by cgroups'
  client_env
}

# hostile DIR [lib|bin]: a package `app` whose macro, when it runs in a job's sandbox, calls what stdin
# defines: fn misbehave(). `out_dir()` and `output(SUFFIX)` name the places rustc writes to.
# refused(BOOL) is for what must not work: the compiler is killed if it did. probe(NAME, BOOL) says what it came to,
# for probe_build.
hostile() {
  package "$1" app "${2:-lib}"
  package "$1/mac" mac lib
  printf '\n[lib]\nproc-macro = true\n' >>"$1/mac/Cargo.toml"
  sed -i '/^\[workspace\]/d' "$1/mac/Cargo.toml"
  depends "$1" mac mac
  cat - /dev/fd/4 >"$1/mac/src/lib.rs" 4<<'EOF2'
#[allow(dead_code)]
mod c {
    use std::os::raw::{c_char, c_int, c_long, c_uint, c_ulong, c_void};
    extern "C" {
        pub fn kill(pid: c_int, sig: c_int) -> c_int;
        pub fn fork() -> c_int;
        pub fn setsid() -> c_int;
        pub fn pause() -> c_int;
        pub fn atexit(f: extern "C" fn()) -> c_int;
        pub fn ptrace(req: c_uint, pid: c_int, addr: *mut c_void, data: *mut c_void) -> c_long;
        pub fn mount(a: *const c_char, b: *const c_char, c: *const c_char, f: c_ulong, d: *const c_void) -> c_int;
        pub fn unshare(flags: c_int) -> c_int;
        pub fn mkfifo(path: *const c_char, mode: c_uint) -> c_int;
        pub fn mknod(path: *const c_char, mode: c_uint, dev: c_ulong) -> c_int;
        pub fn memfd_create(name: *const c_char, flags: c_uint) -> c_int;
        pub fn shmget(key: c_int, size: usize, flags: c_int) -> c_int;
        pub fn getppid() -> c_int;
        pub fn syscall(number: c_long, ...) -> c_long;
    }
}
#[allow(dead_code)]
fn out_dir() -> std::path::PathBuf {
    let args: Vec<String> = std::env::args().collect();
    args[args.iter().position(|a| a == "--out-dir").unwrap() + 1].clone().into()
}
#[allow(dead_code)]
fn output(prefix: &str, suffix: &str) -> std::path::PathBuf {
    let extra = std::env::args().find_map(|a| a.strip_prefix("extra-filename=").map(String::from)).unwrap();
    out_dir().join(format!("{prefix}app{extra}{suffix}"))
}
#[allow(dead_code)]
fn refused(worked: bool) {
    if worked {
        unsafe { c::kill(std::process::id() as i32, 9) };
    }
}
#[allow(dead_code)]
fn probe(name: &str, worked: bool) {
    eprintln!("probe: {name}: {}", if worked { "worked" } else { "refused" });
}
// By the machine's name, asked for past libc: a macro that asks libc for it is compiled at home.
fn in_a_job() -> bool {
    let mut names = [0u8; 6 * 65];
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") 63usize => _, in("rdi") names.as_mut_ptr(), out("rcx") _, out("r11") _)
    };
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("svc 0", in("x8") 160usize, inlateout("x0") names.as_mut_ptr() => _)
    };
    names[65..].starts_with(b"dray\0")
}
#[proc_macro]
pub fn go(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    if in_a_job() {
        misbehave();
    }
    "42".parse().unwrap()
}
EOF2
  if [ "${2:-lib}" = lib ]; then
    echo 'pub fn answer() -> u32 { mac::go!() }' >"$1/src/lib.rs"
  else
    echo 'fn main() { println!("{}", mac::go!()); }' >"$1/src/main.rs"
  fi
}

# but two for each sandbox that stands ready
worker_has_no_process() {
  local ready
  ready=$(ls -A "$FARM/state-w1/jobs" | grep -c '^ready-') || true
  [ "$(descendants "${WORKER_PIDS[w1]:-$WORKER_PID}" | wc -l)" -eq $((2 * ready)) ]
}
worker_has_no_job() {
  ! ls -A "$FARM/state-w1/jobs" | grep -qv '^ready-' || return 1
  [ -z "${DRAY_TEST_CGROUP:-}" ] || ! compgen -G "$DRAY_TEST_CGROUP/dray-job-[!r]*" >/dev/null
}

# hostile_build DIR: built plainly and by the farm, with the same result; then the worker is well: nothing
# of the job is left, and the next job ends there in the right bytes.
hostile_build() {
  plain_build "$1" build
  [ "$PLAIN_STATUS" -eq 0 ]
  build first "$1" build
  echo "app: $(job app where): $(job app why); $(job app wall_ms) ms"
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$1"
  same_text first
  [ "$(job mac where)" = farm ]
  worker_is_well
}

worker_is_well() {
  wait_until 10 worker_has_no_process
  wait_until 10 worker_has_no_job
  package "$WORK/next" next
  plain_build "$WORK/next" build
  build next "$WORK/next" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job next where)" = farm ]
  same_outputs "$WORK/next"
}

# stopped_by TEXT: the app was compiled here, since its job met that limit; both logs say so.
stopped_by() {
  [ "$(job app where)" = local ]
  [[ "$(job app why)" == *"$1"* ]]
  # the worker's line comes after the job's end
  wait_until 10 file_has "$LOGS/worker-w1" "crate=app stopped: .*$1"
}

# probe_build DIR: built by the farm; $PROBES: what the macro's probes in the job said, one a line, up to the last one,
# which must be "the end".
probe_build() {
  build first "$1" build
  echo "app: $(job app where): $(job app why)"
  [ "$BUILD_STATUS" -eq 0 ]
  PROBES=$(sed -n 's/^probe: //p' "$LOGS/first.err")
  printf '%s\n' "$PROBES"
  [ "$(tail -n 1 <<<"$PROBES")" = 'the end: worked' ]
  [ "$(job app where)" = farm ]
}
# only_what_may_worked: no probe of probe_build worked but those whose name begins with "may", which all did, and the end.
only_what_may_worked() {
  run ! grep -E '^may .*: refused$' <<<"$PROBES"
  run ! grep -vE '^(may .*|the end): worked$|: refused$' <<<"$PROBES"
}
