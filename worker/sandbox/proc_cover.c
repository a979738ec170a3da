/* A new /proc shows the whole kernel, and by root's uid much of it can be read and written: a
 * program that is named in kernel/core_pattern is run by the machine's root. Container runtimes
 * cover the same places. bwrap itself makes some of them read-only, but /proc/sys never: access(2)
 * says of that directory that nobody may write to it.
 *
 * Each cover is a mount, and costs bwrap 0.15 ms: so there is none where a job could not open what
 * is below, or would find nothing there. A job has this process's uid outside of its sandbox, and
 * no capability, so that it may not do there what this process may not. */
#include "config.h"

#include "worker/sandbox/proc_cover.h"

#include <dirent.h>
#include <errno.h>

#include "common/fs.h"

static const char *const dirs[] = { "/proc/acpi", "/proc/bus", "/proc/fs", "/proc/irq",
	"/proc/scsi" };
static const char *const files[] = { "/proc/kcore", "/proc/keys", "/proc/latency_stats",
	"/proc/sched_debug", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats" };

static int
add_mount(struct buf *b, const char *from, const char *to)
{
	static const char option[] = "--ro-bind";
	int r = buf_add(b, option, sizeof(option));

	if (r == 0)
		r = buf_add(b, from, strlen(from) + 1);
	return r < 0 ? r : buf_add(b, to, strlen(to) + 1);
}

static bool
has_entries(const char *dir)
{
	_cleanup_(closedirp) DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			return true;
	return false;
}

static bool
may_open(const char *file)
{
	return access(file, R_OK) == 0 || access(file, W_OK) == 0;
}

int
proc_cover_options(struct buf *options, const char *empty)
{
	int r = add_mount(options, "/proc/sys", "/proc/sys");

	for (size_t i = 0; i < ARRAY_LEN(dirs) && r == 0; i++)
		if (has_entries(dirs[i]))
			r = add_mount(options, empty, dirs[i]);
	/* A bind of bwrap's is "nodev": /dev/null behind it cannot be opened. */
	for (size_t i = 0; i < ARRAY_LEN(files) && r == 0; i++)
		if (may_open(files[i]))
			r = add_mount(options, "/dev/null", files[i]);
	return r;
}
