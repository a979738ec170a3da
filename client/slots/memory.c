#include "config.h"

#include "client/slots/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/buf.h"
#include "machine/cgroupfs.h"
#include "common/fs.h"

#define FILE_MAX_BYTES 65536
#define GROUP_ANY UINT64_MAX /* no limit, or none that is known */

int
memory_parse_available(const char *meminfo, uint64_t *ret)
{
	static const char field[] = "MemAvailable:";
	const char *p = meminfo;
	uint64_t kib;
	char unit[3];

	while (p && !starts_with(p, field)) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	if (!p || sscanf(p + strlen(field), "%18" SCNu64 " %2s", &kib, unit) != 2 ||
		!streq(unit, "kB") || kib > UINT64_MAX / 1024)
		return -EBADMSG;
	*ret = kib * 1024;
	return 0;
}

int
memory_parse_pressure(const char *psi, const char *which, unsigned *ret)
{
	unsigned whole, hundredths;
	size_t n = strlen(which);

	while (psi && !(strncmp(psi, which, n) == 0 && psi[n] == ' ')) {
		psi = strchr(psi, '\n');
		psi = psi ? psi + 1 : NULL;
	}
	if (!psi || sscanf(psi + n, " avg10=%3u.%2u ", &whole, &hundredths) != 2 || whole > 100)
		return -EBADMSG;
	*ret = whole * 100 + hundredths;
	return 0;
}

static int
read_text(const char *dir, const char *name, struct buf *ret)
{
	_cleanup_(freep) char *path = path_join(dir, name);
	int r = path ? fs_read_file(path, FILE_MAX_BYTES, ret) : -ENOMEM;

	return r == 0 && ret->n == 0 ? -ENODATA : r;
}

/* One number. Anything else ("max"; no such file, as in the root group) is GROUP_ANY. */
static uint64_t
read_number(const char *dir, const char *name)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	uint64_t n;

	if (read_text(dir, name, &b) < 0 || sscanf((const char *)b.p, "%19" SCNu64, &n) != 1)
		return GROUP_ANY;
	return n;
}

/* What a group has left of its limits. As with MemAvailable, files' pages count as free:
 * a long build's group is full of them. */
static uint64_t
group_left(const char *dir)
{
	uint64_t limit = read_number(dir, "memory.max"), high = read_number(dir, "memory.high");
	uint64_t used, spare = 0;
	_cleanup_(buf_done) struct buf stat = BUF_INIT;

	limit = MIN2(limit, high);
	used = limit == GROUP_ANY ? GROUP_ANY : read_number(dir, "memory.current");
	if (used == GROUP_ANY)
		return GROUP_ANY;
	if (read_text(dir, "memory.stat", &stat) == 0) {
		static const char *const keys[] = { "inactive_file", "active_file",
			"slab_reclaimable" };

		for (size_t i = 0; i < ARRAY_LEN(keys); i++)
			spare += cgroupfs_number((const char *)stat.p, keys[i]);
	}
	used -= MIN2(used, spare);
	return limit - MIN2(limit, used);
}

/* Takes the greater of what is known and what the two files of a directory say. Whether they say
 * anything: the kernel may be built without it, or it is switched off, or old. */
static bool
add_pressure(const char *dir, const char *memory, const char *io, struct memory_now *m)
{
	_cleanup_(buf_done) struct buf a = BUF_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	unsigned n;
	bool any = false;

	if (read_text(dir, memory, &a) == 0 &&
		memory_parse_pressure((const char *)a.p, "some", &n) == 0) {
		m->pressure = MAX2(m->pressure, n);
		any = true;
	}
	if (read_text(dir, io, &b) == 0 &&
		memory_parse_pressure((const char *)b.p, "full", &n) == 0) {
		m->io = MAX2(m->io, n);
		any = true;
	}
	return any;
}

/* This process's group and those above it, as far as they are seen: the least that is left of their
 * limits, and the pressure in those that have one. */
static bool
read_groups(const char *own, uint64_t *ret_left, struct memory_now *m)
{
	_cleanup_(freep) char *dir = strdup(own);
	bool told = false;

	while (dir) {
		_cleanup_(freep) char *procs = path_join(dir, "cgroup.procs");
		uint64_t n;
		char *up;

		if (!procs || !fs_exists(procs))
			break;
		n = group_left(dir);
		*ret_left = MIN2(*ret_left, n);
		if (n != GROUP_ANY)
			told |= add_pressure(dir, "memory.pressure", "io.pressure", m);
		up = path_dirname(dir);
		free(dir);
		dir = up;
	}
	return told;
}

void
memory_read(const char *root, struct memory_now *ret)
{
	_cleanup_(buf_done) struct buf info = BUF_INIT;
	_cleanup_(freep) char *own = NULL;
	_cleanup_(freep) char *group = cgroupfs_own(root, &own) == 0 ? path_join(root, own) : NULL;
	uint64_t left = GROUP_ANY;

	*ret = (struct memory_now){ .available = GROUP_ANY };
	if (!group || !read_groups(group, &left, ret))
		if (!add_pressure(root, "/proc/pressure/memory", "/proc/pressure/io", ret) && group)
			(void)add_pressure(group, "memory.pressure", "io.pressure", ret);
	if (read_text(root, "/proc/meminfo", &info) == 0)
		ret->known = memory_parse_available((const char *)info.p, &ret->available) == 0;
	ret->known |= left != GROUP_ANY;
	ret->available = MIN2(ret->available, left);
}

unsigned
memory_slots(const struct memory_now *m, uint64_t need, unsigned n, unsigned held, unsigned young)
{
	unsigned may = n;

	if (need && m->known)
		/* The young ones' share is still among what is available. */
		may = (unsigned)MIN2((uint64_t)n, held - MIN2(young, held) + m->available / need);
	if (need && (m->pressure >= MEMORY_PRESSURE_HIGH || m->io >= MEMORY_IO_HIGH))
		may = MIN2(may, held);
	return MAX2(may, 1u);
}

enum memory_lack
memory_lack(const struct memory_now *m, uint64_t need, unsigned n, unsigned held, unsigned young)
{
	if (held < memory_slots(m, need, n, held, young))
		return MEMORY_ENOUGH;
	if (m->pressure >= MEMORY_PRESSURE_HIGH)
		return MEMORY_UNDER_PRESSURE;
	return m->io >= MEMORY_IO_HIGH ? MEMORY_IO_PRESSURE : MEMORY_NO_ROOM;
}
