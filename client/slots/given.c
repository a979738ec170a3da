/* Nobody says how many tokens a jobserver has in all. What can be seen: those that are free, and
 * cargo's children, each of which runs on a token, but for one. A token may go from the pool to a
 * new child, or back, while we look; so only children that were there both before and after the
 * pool was read count, and the sum is never more than there is. */
#include "config.h"

#include "client/slots/given.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/fs.h"
#include "machine/jobserver.h"
#include "common/process/procfs.h"

#define CHILDREN_MAX 1024
#define CHILDREN_BYTES 16384

const char *
given_flags(void)
{
	static const char *const names[] = { "CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS" };
	const char *flags = NULL;

	for (size_t i = 0; !flags && i < ARRAY_LEN(names); i++)
		flags = getenv(names[i]);
	return flags ? flags : "";
}

/* Any other parent may have children that run on no token. */
static bool
is_cargo(pid_t pid)
{
	_cleanup_(buf_done) struct buf name = BUF_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
	return fs_read_file(path, 64, &name) == 0 && name.n == 6 &&
	       memcmp(name.p, "cargo\n", 6) == 0;
}

static size_t
parse_pids(const char *s, pid_t *ret, size_t max)
{
	size_t n = 0;
	long pid;
	int used;

	while (n < max && sscanf(s, "%10ld%n", &pid, &used) == 1) {
		ret[n++] = (pid_t)pid;
		s += used;
	}
	return n;
}

/* The kernel lists them by the thread that started them. */
static size_t
children_of(pid_t parent, pid_t *ret, size_t max)
{
	_cleanup_(closedirp) DIR *d = NULL;
	struct dirent *e;
	char path[64 + 256];
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%ld/task", (long)parent);
	d = opendir(path);
	while (d && n < max && (e = readdir(d))) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		if (*e->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/task/%s/children", (long)parent, e->d_name);
		if (fs_read_file(path, CHILDREN_BYTES, &b) == 0 && buf_add(&b, "", 1) == 0)
			n += parse_pids((const char *)b.p, ret + n, max - n);
	}
	return n;
}

unsigned
given_jobs(void)
{
	pid_t parent = getppid(), children[CHILDREN_MAX];
	size_t n = 0, running = 0;
	int free_now;

	if (procfs_is_ours() && is_cargo(parent))
		n = children_of(parent, children, CHILDREN_MAX);
	free_now = jobserver_free(given_flags());
	if (free_now < 0)
		return 0;
	/* One that has ended has its number until cargo, which gives the token back then, waits for
	 * it. */
	for (size_t i = 0; i < n; i++)
		running += kill(children[i], 0) == 0;
	return (unsigned)free_now + (unsigned)MAX2(running, (size_t)1);
}
