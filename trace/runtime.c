#include "config.h"

#include "trace/runtime.h"

#include "common/fs.h"

bool
runtime_suits_machine(const char *path)
{
	/* the second is what libselinux looks at, in tools that are linked with it */
	static const char *const places[] = { "/proc/sys/vm/overcommit_memory", "/proc/filesystems",
		"/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/fs/cgroup",
		"/sys/kernel/mm/transparent_hugepage" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (path_is_below(path, places[i]))
			return true;
	return false;
}

bool
runtime_tool_suits_machine(const char *path)
{
	static const char *const files[] = { "/proc/cpuinfo", "/proc/meminfo", "/proc/mounts",
		"/proc/stat",
		/* bounds: of sysconf, of libcap and libcap-ng, of crypto libraries */
		"/proc/sys/crypto/fips_enabled", "/proc/sys/kernel/cap_last_cap",
		"/proc/sys/kernel/ngroups_max", "/proc/version" };

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (streq(path, files[i]))
			return true;
	return runtime_suits_machine(path);
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
	if (!streq(path, "/etc/ld.so.cache"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(l->pid); i++)
		if (l->pid[i] == pid) {
			l->pid[i] = 0;
			return true;
		}
	return false;
}
