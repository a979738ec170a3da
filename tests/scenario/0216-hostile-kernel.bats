#!/usr/bin/env bats
# Crates that reach for the machine's kernel. Each probe does no harm where it works: what is written is what is there,
# and sysrq-trigger is only opened. A job has no tracer here but where that is said: it would end at the first probe.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/hostile.bash"

@test "/proc: the kernel's settings can only be read; what is about the machine is empty or cannot be opened" {
  farm_with -o worker.trace=no
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    use std::fs;
    probe("may read a setting", fs::read("/proc/sys/vm/overcommit_memory").is_ok_and(|v| !v.is_empty()));
    for name in ["kernel/core_pattern", "kernel/modprobe", "vm/overcommit_memory", "kernel/panic"] {
        let path = format!("/proc/sys/{name}");
        let worked = fs::read(&path).is_ok_and(|v| fs::OpenOptions::new().write(true).open(&path)
            .is_ok_and(|mut f| std::io::Write::write_all(&mut f, &v).is_ok()));
        probe(&path, worked);
    }
    probe("/proc/sysrq-trigger", fs::OpenOptions::new().append(true).open("/proc/sysrq-trigger").is_ok());
    for name in ["kcore", "keys", "timer_list", "kpagecount", "kpageflags", "kpagecgroup", "slabinfo", "vmallocinfo",
        "pagetypeinfo", "allocinfo", "mtrr", "dynamic_debug/control"] {
        let path = format!("/proc/{name}");
        probe(&path, fs::File::open(&path).is_ok());
    }
    for name in ["irq", "bus", "fs", "scsi", "acpi", "driver", "dynamic_debug", "asound", "xen"] {
        let path = format!("/proc/{name}");
        probe(&path, fs::read_dir(&path).is_ok_and(|d| d.count() > 0));
    }
    // nor anything that no table knows: what can be opened is of this list
    let shown = [
        "buddyinfo", "cgroups", "cmdline", "config.gz", "consoles", "cpuinfo", "crypto", "devices", "diskstats", "dma",
        "execdomains", "fb", "filesystems", "interrupts", "iomem", "ioports", "kallsyms", "key-users", "loadavg", "locks",
        "mdstat", "meminfo", "misc", "modules", "mounts", "partitions", "schedstat", "softirqs", "stat", "swaps", "uptime",
        "version", "version_signature", "vmstat", "zoneinfo",
    ];
    for e in fs::read_dir("/proc").unwrap().flatten() {
        let name = e.file_name().into_string().unwrap();
        if e.metadata().is_ok_and(|m| m.is_file()) && !shown.contains(&name.as_str()) {
            probe(&format!("/proc/{name}, unknown"), fs::File::open(e.path()).is_ok());
        }
    }
    probe("may read of itself", fs::read("/proc/self/status").is_ok());
    probe("may read of the processors", fs::read("/proc/cpuinfo").is_ok());
    probe("the end", true);
}
EOF
  probe_build "$WORK/app"
  only_what_may_worked
}

@test "/proc: with a tracer the job goes home, and the log says for what" {
  farm_with
  hostile "$WORK/app" <<'EOF'
fn misbehave() {
    refused(std::fs::OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern").is_ok());
}
EOF
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app where)" = local ]
  [[ "$(job app why)" == *'/proc/sys/kernel/core_pattern'* ]]
}

# Of Linux 6.5, 6.6, 6.8, 6.10, 6.13 and 6.15; and one of no kernel's. None does anything with these arguments.
young_calls() {
  cat <<'EOF'
fn misbehave() {
    for n in [451, 452, 457, 462, 463, 467, 1000] {
        let r = unsafe { c::syscall(n, -1i64, 0i64, 0i64, 0i64, 0i64, 0i64) };
        let e = std::io::Error::last_os_error().raw_os_error();
        probe(&format!("call {n}"), r != -1 || e != Some(38));
    }
    probe("may ask for its parent", unsafe { c::getppid() } > 0);
    probe("the end", true);
}
EOF
}

@test "calls that are younger than the list of denied ones are not there" {
  farm_with -o worker.trace=no
  young_calls | hostile "$WORK/app"
  probe_build "$WORK/app"
  only_what_may_worked
  worker_is_well
}

@test "nor are they with a tracer" {
  farm_with
  young_calls | hostile "$WORK/app"
  probe_build "$WORK/app"
  only_what_may_worked
}

# covered COMMAND…: where parts of /proc are covered, as in a container.
covered() {
  local map=
  [ "$(id -u)" -eq 0 ] || map=-Ur
  unshare $map -m sh -c 'mount --bind /dev/null /proc/version && exec "$0" "$@"' "$@"
}

@test "a container that covers parts of its /proc: the worker and doctor say what helps" {
  covered true 2>/dev/null || skip "no mount namespace can be made here"
  allow client client
  allow worker w1
  coordinator_start
  run -1 covered "$WORKER" --config "$FARM/empty.conf" --name w1 --coordinator "$COORDINATOR_EP" \
    --coordinator-key "$FARM/keys/coordinator.pub" --identity "$FARM/keys/w1" --state-dir "$FARM/state-w1" --allow-root 3>&-
  echo "$output"
  [ "$(grep -c systempaths=unconfined <<<"$output")" -eq 1 ]
  run covered "$DRAY" doctor 3>&-
  [[ "$output" == *systempaths=unconfined* ]]
  run "$DRAY" doctor 3>&-
  [[ "$output" != *systempaths=unconfined* ]]
}
