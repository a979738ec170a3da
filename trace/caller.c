/* Invariant: in doubt a call is a macro's: then more counts as an input than has to. */
#include "config.h"

#include "trace/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/buf.h"

#define MAPS_MAX (4u << 20)

void
trace_caller_done(struct trace_caller *c)
{
	free(c->own);
	*c = (struct trace_caller){ .process = 0 };
}

static int
add_range(struct trace_caller *c, uint64_t begin, uint64_t end)
{
	if (c->n == c->cap) {
		size_t cap = MAX2((size_t)64, 2 * c->cap);
		struct trace_range *v = reallocarray(c->own, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		c->own = v;
		c->cap = cap;
	}
	c->own[c->n++] = (struct trace_range){ begin, end };
	return 0;
}

struct mapping {
	uint64_t begin, end, inode;
	char flags[8], device[32];
};

/* One line; the mappings of a file that has no name are no code of the program's. */
static bool
parse_mapping(const char *line, struct mapping *m)
{
	unsigned long begin, end, inode;

	if (sscanf(line, "%lx-%lx %7s %*s %31s %lu", &begin, &end, m->flags, m->device, &inode) !=
		5)
		return false;
	m->begin = begin;
	m->end = end;
	m->inode = inode;
	return inode != 0;
}

static const char *
next_line(const char *p)
{
	p += strcspn(p, "\n");
	return *p ? p + 1 : p;
}

int
trace_caller_ranges(struct trace_caller *c, const char *maps, uint64_t not )
{
	struct mapping m, ours = { .inode = 0 };
	int r = 0;

	c->n = 0;
	for (const char *p = maps; *p; p = next_line(p))
		if (parse_mapping(p, &m) && not >= m.begin && not < m.end)
			ours = m;
	/* one that speaks without being mapped is none of ours */
	if (ours.inode == 0)
		return 0;
	for (const char *p = maps; *p && r == 0; p = next_line(p))
		if (parse_mapping(p, &m) && m.flags[2] == 'x' &&
			(m.inode != ours.inode || !streq(m.device, ours.device)))
			r = add_range(c, m.begin, m.end);
	return r;
}

static int
read_maps(pid_t pid, struct buf *ret)
{
	_cleanup_(closep) int fd = -1;
	char path[64];
	ssize_t n = 1;
	int r = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (r == 0 && n != 0 && ret->n < MAPS_MAX) {
		r = buf_reserve(ret, 65536);
		if (r == 0)
			n = read(fd, ret->p + ret->n, 65536);
		if (n < 0)
			return -errno;
		ret->n += (size_t)n;
	}
	return r < 0 ? r : buf_add(ret, "", 1);
}

void
trace_caller_hello(struct trace_caller *c, const struct seccomp_notif *req)
{
	_cleanup_(buf_done) struct buf maps = BUF_INIT;

	c->n = 0;
	c->other = 0;
	memset(c->thread, 0, sizeof(c->thread));
	/* a constructor runs in the program's first thread */
	c->process = (pid_t)req->pid;
	if (read_maps(c->process, &maps) < 0 ||
		trace_caller_ranges(c, (const char *)maps.p, req->data.instruction_pointer) < 0)
		c->n = 0;
}

bool
trace_caller_file(const struct seccomp_notif *req, char ret[PATH_MAX])
{
	_cleanup_(buf_done) struct buf maps = BUF_INIT;
	uint64_t at = req->data.instruction_pointer;
	struct mapping m;

	if (read_maps((pid_t)req->pid, &maps) < 0)
		return false;
	for (const char *p = (const char *)maps.p; *p; p = next_line(p)) {
		size_t n = strcspn(p, "\n"), name = strcspn(p, "/");

		if (!parse_mapping(p, &m) || at < m.begin || at >= m.end)
			continue;
		if (name >= n || n - name >= PATH_MAX)
			return false;
		memcpy(ret, p + name, n - name);
		ret[n - name] = '\0';
		return true;
	}
	return false;
}

/* The kernel's table of the process's threads says it. */
static bool
is_in_process(struct trace_caller *c, pid_t tid)
{
	pid_t *known = &c->thread[(unsigned)tid % CALLER_THREADS];
	char path[64];

	if (c->process == 0)
		return false;
	if (tid == c->process || tid == *known)
		return true;
	if (tid == c->other)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)c->process, (int)tid);
	if (access(path, F_OK) == 0)
		*known = tid;
	else
		c->other = tid;
	return tid == *known;
}

void
trace_caller_exec(struct trace_caller *c, const struct seccomp_notif *req)
{
	pid_t *known = &c->thread[(unsigned)req->pid % CALLER_THREADS];

	/* until it says hello again, nothing is known of its code */
	if ((pid_t)req->pid == c->process)
		c->n = 0;
	/* a number that is used again */
	if ((pid_t)req->pid == *known)
		*known = 0;
}

enum trace_who
trace_caller_who(struct trace_caller *c, const struct seccomp_notif *req)
{
	uint64_t at = req->data.instruction_pointer;
	size_t lo = 0, hi = c->n;

	if (!is_in_process(c, (pid_t)req->pid))
		return TRACE_BY_OTHER;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (at < c->own[mid].begin)
			hi = mid;
		else if (at >= c->own[mid].end)
			lo = mid + 1;
		else
			return TRACE_BY_PROGRAM;
	}
	return TRACE_BY_MACRO;
}

bool
trace_caller_program(pid_t pid, char ret[PATH_MAX])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%ld/exe", (long)pid);
	n = readlink(link, ret, PATH_MAX - 1);
	ret[MAX2(n, (ssize_t)0)] = '\0';
	return n >= 0;
}
