/* A new /proc shows the whole kernel, and by root's uid much of it can be read and written: a
 * program that is named in kernel/core_pattern is run by the machine's root. Container runtimes
 * cover the same places. bwrap itself makes some of them read-only, but /proc/sys never: access(2)
 * says of that directory that nobody may write to it.
 *
 * Each cover is a mount, and costs bwrap 0.15 ms: so there is none where a job could not open what
 * is below, or would find nothing there, and where a sandbox stands ready bwrap makes none of them
 * (order.h). A job has this process's uid outside of its sandbox, or
 * one of its own, and no capability, so that it may not do there what this process may not.
 *
 * Invariant: an entry is shown only if the table says why; one that it does not know is covered. */
#include "config.h"

#include "worker/sandbox/proc_cover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/fs.h"

/* Documentation/filesystems/proc.rst of Linux 6.12, and what drivers add. */
static const struct row {
	const char *name;
	bool shown;
	const char *why;
} rows[] = {
	{ "acpi", false, "wakeup can be written by root's uid: it arms devices" },
	{ "allocinfo", false, "places in the kernel's code" },
	{ "asound", false, "sound cards: some of it can be written" },
	{ "bootconfig", false, "what the machine was started with" },
	{ "buddyinfo", true, "numbers, for everybody" },
	{ "bus", false, "bus/pci: registers of devices" },
	{ "cgroups", true, "names of controllers" },
	{ "cmdline", true, "for everybody; nothing secret belongs there" },
	{ "config.gz", true, "how the kernel was built" },
	{ "consoles", true, "names" },
	{ "cpuinfo", true, "compilers and their libraries read it" },
	{ "crypto", true, "names of ciphers" },
	{ "devices", true, "names of drivers" },
	{ "diskstats", true, "numbers, for everybody" },
	{ "dma", true, "channels" },
	{ "driver", false, "drivers' own: nvram, rtc, nvidia/suspend" },
	{ "dynamic_debug", false, "control can be written by root's uid: what the kernel logs" },
	{ "execdomains", true, "a constant" },
	{ "fb", true, "names of frame buffers" },
	{ "filesystems", true, "names; libselinux reads it" },
	{ "fs", false, "settings of file systems: fs/nfsd, fs/xfs" },
	{ "i8k", false, "fans of laptops" },
	{ "interrupts", true, "numbers, for everybody" },
	{ "iomem", true, "addresses are 0 without CAP_SYS_ADMIN" },
	{ "ioports", true, "likewise" },
	{ "irq", false, "affinities can be written by root's uid" },
	{ "kallsyms", true, "addresses are 0 without CAP_SYSLOG" },
	{ "kcore", false, "the kernel's memory" },
	{ "key-users", true, "numbers of keys by uid" },
	{ "keys", false, "names of keys of this uid" },
	{ "kmsg", true, "it cannot be opened without CAP_SYSLOG" },
	{ "kpagecgroup", false, "which page of memory is whose" },
	{ "kpagecount", false, "likewise" },
	{ "kpageflags", false, "likewise" },
	{ "latency_stats", false, "places in the kernel; a write clears them" },
	{ "loadavg", true, "numbers; make and its like read it" },
	{ "lock_stat", false, "places in the kernel; a write clears them" },
	{ "lockdep", false, "addresses of locks" },
	{ "lockdep_chains", false, "likewise" },
	{ "lockdep_stats", false, "likewise" },
	{ "locks", true, "of this process namespace" },
	{ "mdstat", true, "the state of RAIDs" },
	{ "meminfo", true, "numbers; allocators read it" },
	{ "misc", true, "names of drivers" },
	{ "modules", true, "names; addresses are 0 without CAP_SYSLOG" },
	{ "mounts", true, "a link to self" },
	{ "mtrr", false, "physical addresses, and root's uid may open it for writing" },
	{ "net", true, "a link to self: of the job's own network" },
	{ "pagetypeinfo", false, "the layout of memory" },
	{ "partitions", true, "names of disks" },
	{ "pressure", true, "numbers, for everybody; a watch there ends with its descriptor" },
	{ "profile", false, "where the kernel spends its time; a write clears it" },
	{ "sched_debug", false, "all tasks of the machine, by name" },
	{ "schedstat", true, "numbers, for everybody" },
	{ "scsi", false, "scsi/scsi: a write adds and removes disks" },
	{ "self", true, "the job itself" },
	{ "slabinfo", false, "the layout of the kernel's memory" },
	{ "softirqs", true, "numbers, for everybody" },
	{ "stat", true, "numbers; the C library counts processors there" },
	{ "swaps", true, "names of swap files" },
	{ "sys", true, "mounted anew, read-only" },
	{ "sysrq-trigger", false, "a letter restarts the machine" },
	{ "sysvipc", true, "of the job's own namespace" },
	{ "thread-self", true, "the job itself" },
	{ "timer_list", false, "addresses, and tasks of the machine" },
	{ "timer_stats", false, "likewise, before Linux 4.11" },
	{ "tty", true, "names of drivers" },
	{ "uptime", true, "a number" },
	{ "version", true, "a line" },
	{ "version_signature", true, "likewise, of Ubuntu" },
	{ "vmallocinfo", false, "addresses in the kernel" },
	{ "vmcore", false, "the memory of a kernel that crashed" },
	{ "vmstat", true, "numbers, for everybody" },
	{ "xen", false, "the hypervisor: privcmd, xenbus" },
	{ "zoneinfo", true, "numbers, for everybody" },
};

bool
proc_cover_shows(const char *name)
{
	size_t lo = 0, hi = ARRAY_LEN(rows);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(name, rows[mid].name);

		if (c == 0)
			return rows[mid].shown;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return false;
}

bool
proc_cover_row(size_t i, const char **ret_name, const char **ret_why)
{
	if (i >= ARRAY_LEN(rows))
		return false;
	*ret_name = rows[i].name;
	*ret_why = rows[i].why;
	return true;
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

static int
cover(struct proc_cover *c, const char *name)
{
	_cleanup_(freep) char *path = path_join("/proc", name);
	struct stat st;

	if (!path)
		return -ENOMEM;
	/* a link leads to another entry, or out of here */
	if (lstat(path, &st) < 0 || S_ISLNK(st.st_mode))
		return 0;
	if (S_ISDIR(st.st_mode))
		return has_entries(path) ? strv_add(&c->dirs, path) : 0;
	return may_open(path) ? strv_add(&c->files, path) : 0;
}

/* A process, or the end: these come last. */
static bool
is_past(const char *name)
{
	return name[0] >= '1' && name[0] <= '9';
}

/* The entries in one buffer; *ret_past: no more are of interest. */
static int
cover_all(struct proc_cover *c, const char *p, ssize_t n, bool *ret_past)
{
	int r = 0;

	for (ssize_t at = 0; r == 0 && at < n && !*ret_past;) {
		const struct dirent64 *e = (const struct dirent64 *)(const void *)(p + at);

		*ret_past = is_past(e->d_name);
		if (!*ret_past && e->d_name[0] != '.' && !proc_cover_shows(e->d_name))
			r = cover(c, e->d_name);
		at += e->d_reclen;
	}
	return r;
}

int
proc_cover_find(struct proc_cover *ret)
{
	_cleanup_(closep) int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(proc_cover_done) struct proc_cover c = PROC_COVER_INIT;
	/* small: with a large one the kernel looks up all processes of the machine */
	_Alignas(struct dirent64) char part[1024];
	bool past = false;
	ssize_t n = 1;
	int r = 0;

	if (fd < 0)
		return -errno;
	while (r == 0 && !past && n > 0) {
		n = getdents64(fd, part, sizeof(part));
		r = n < 0 ? -errno : cover_all(&c, part, n, &past);
	}
	if (r == 0) {
		*ret = c;
		c = (struct proc_cover)PROC_COVER_INIT;
	}
	return r;
}

void
proc_cover_done(struct proc_cover *c)
{
	strv_done(&c->files);
	strv_done(&c->dirs);
}

static int
add_mount(struct buf *b, const char *from, const char *to)
{
	static const char option[] = "--ro-bind";
	int r = buf_add(b, option, sizeof(option));

	if (r == 0)
		r = buf_add(b, from, strlen(from) + 1);
	return r < 0 ? r : buf_add(b, to, strlen(to) + 1);
}

int
proc_cover_options(struct buf *options, const char *empty)
{
	_cleanup_(proc_cover_done) struct proc_cover c = PROC_COVER_INIT;
	int r = proc_cover_find(&c);

	if (r == 0)
		r = add_mount(options, PROC_COVER_SYS, PROC_COVER_SYS);
	for (size_t i = 0; r == 0 && i < c.dirs.n; i++)
		r = add_mount(options, empty, c.dirs.v[i]);
	/* A bind of bwrap's is "nodev": /dev/null behind it cannot be opened. */
	for (size_t i = 0; r == 0 && i < c.files.n; i++)
		r = add_mount(options, "/dev/null", c.files.v[i]);
	return r;
}
