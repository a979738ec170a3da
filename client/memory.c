#include "config.h"

#include "client/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/fs.h"

#define FILE_MAX_BYTES 65536

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
memory_parse_pressure(const char *psi, unsigned *ret)
{
	unsigned whole, hundredths;

	if (sscanf(psi, "some avg10=%3u.%2u ", &whole, &hundredths) != 2 || whole > 100)
		return -EBADMSG;
	*ret = whole * 100 + hundredths;
	return 0;
}

void
memory_read(struct memory_now *ret)
{
	_cleanup_(buf_done) struct buf info = BUF_INIT;
	_cleanup_(buf_done) struct buf psi = BUF_INIT;

	*ret = (struct memory_now){ .known = false };
	ret->known = fs_read_file("/proc/meminfo", FILE_MAX_BYTES, &info) == 0 && info.n &&
		     memory_parse_available((const char *)info.p, &ret->available) == 0;
	/* Built without it, switched off, or an old kernel: there is no such file, or it cannot be
	 * read. */
	if (fs_read_file("/proc/pressure/memory", FILE_MAX_BYTES, &psi) < 0 || !psi.n ||
		memory_parse_pressure((const char *)psi.p, &ret->pressure) < 0)
		ret->pressure = 0;
}

unsigned
memory_slots(const struct memory_now *m, uint64_t need, unsigned n, unsigned held, unsigned young)
{
	unsigned may = n;

	if (need && m->known)
		/* The young ones' share is still among what is available. */
		may = (unsigned)MIN2((uint64_t)n, held - MIN2(young, held) + m->available / need);
	if (need && m->pressure >= MEMORY_PRESSURE_HIGH)
		may = MIN2(may, held);
	return MAX2(may, 1u);
}
