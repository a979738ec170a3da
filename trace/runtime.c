/* Invariant: a path has one row, which the tracer here, the worker's, and the check of a client's
 * unit all go by. */
#include "config.h"

#include "trace/runtime.h"

#include "common/fs.h"

static const struct runtime_row rows[] = {
	{ "/proc/sys/vm/overcommit_memory", RUNTIME_MACHINE },
	/* libselinux, in tools that are linked with it */
	{ "/proc/filesystems", RUNTIME_MACHINE },
	{ "/sys/devices/system/cpu", RUNTIME_MACHINE | RUNTIME_BELOW },
	{ "/sys/devices/system/node", RUNTIME_MACHINE | RUNTIME_BELOW },
	{ "/sys/fs/cgroup", RUNTIME_MACHINE | RUNTIME_BELOW },
	{ "/sys/kernel/mm/transparent_hugepage", RUNTIME_MACHINE | RUNTIME_BELOW },
	{ "/proc/cpuinfo", RUNTIME_TOOL },
	{ "/proc/meminfo", RUNTIME_TOOL },
	{ "/proc/mounts", RUNTIME_TOOL },
	/* bounds: of sysconf, of libcap and libcap-ng, of crypto libraries */
	{ "/proc/sys/crypto/fips_enabled", RUNTIME_TOOL },
	{ "/proc/sys/kernel/cap_last_cap", RUNTIME_TOOL },
	{ "/proc/sys/kernel/ngroups_max", RUNTIME_TOOL },
	{ "/proc/version", RUNTIME_TOOL },
	{ "/proc/stat", RUNTIME_TOOL | RUNTIME_FICKLE },
	{ "/proc/diskstats", RUNTIME_FICKLE },
	{ "/proc/interrupts", RUNTIME_FICKLE },
	{ "/proc/loadavg", RUNTIME_FICKLE },
	{ "/proc/sys/kernel/random/uuid", RUNTIME_FICKLE },
	{ "/proc/uptime", RUNTIME_FICKLE },
	{ "/proc/vmstat", RUNTIME_FICKLE },
	/* the loader's cache (runtime_loading_reads) and list, and the compiler's allocator */
	{ RUNTIME_LOADERS_CACHE, RUNTIME_FIRST },
	{ "/etc/ld.so.preload", RUNTIME_FIRST },
	{ "/etc/malloc.conf", RUNTIME_FIRST },
	/* the kernel's, by the mounts of a sandbox */
	{ "/proc", RUNTIME_KERNEL | RUNTIME_BELOW },
	{ "/sys", RUNTIME_KERNEL | RUNTIME_BELOW },
	{ "/dev", RUNTIME_KERNEL | RUNTIME_BELOW },
};

const struct runtime_row *
runtime_row(size_t i)
{
	return i < ARRAY_LEN(rows) ? &rows[i] : NULL;
}

bool
runtime_is(const char *path, unsigned what)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if ((rows[i].what & what) &&
			((rows[i].what & RUNTIME_BELOW) ? path_is_below(path, rows[i].path)
							: streq(path, rows[i].path)))
			return true;
	return false;
}

bool
runtime_suits_machine(const char *path)
{
	return runtime_is(path, RUNTIME_MACHINE);
}

bool
runtime_tool_suits_machine(const char *path)
{
	return runtime_is(path, RUNTIME_TOOL | RUNTIME_MACHINE);
}

bool
runtime_is_loader(const char *path)
{
	const char *name = path_basename(path);

	return (starts_with(name, "ld-") && strstr(name, ".so")) || starts_with(name, "ld.so.") ||
	       starts_with(name, "ld64.so.");
}

bool
runtime_is_default_library(const char *path)
{
	static const char *const dirs[] = { "/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/" };
	const char *name = path_basename(path);

	if (!strstr(name, ".so"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		const char *rest = path + strlen(dirs[i]);

		/* there, or in a directory for this processor's kind (x86_64-linux-gnu) */
		if (starts_with(path, dirs[i]) &&
			(rest == name || strcspn(rest, "/") + 1 == (size_t)(name - rest)))
			return true;
	}
	return false;
}

void
runtime_loading_begin(struct runtime_loading *l, pid_t pid)
{
	for (size_t i = 0; i < ARRAY_LEN(l->pid); i++)
		if (l->pid[i] == pid)
			return;
	l->pid[l->n++ % ARRAY_LEN(l->pid)] = pid;
}

bool
runtime_loading_reads(struct runtime_loading *l, pid_t pid, const char *path)
{
	if (!streq(path, RUNTIME_LOADERS_CACHE))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(l->pid); i++)
		if (l->pid[i] == pid) {
			l->pid[i] = 0;
			return true;
		}
	return false;
}
