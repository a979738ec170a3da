/* How many compiles this machine has room for, by its memory and by what waits for memory and
 * disks: the laptop comes first.
 *
 * What the kernel calls pressure (psi.rst) is the share of time in which work waited. Processors
 * are no reason: a build that uses all of them is under that pressure by design. */
#ifndef DRAY_CLIENT_SLOTS_MEMORY_H
#define DRAY_CLIENT_SLOTS_MEMORY_H

#include "common/base.h"

/* What the kernel says now. */
struct memory_now {
	bool known;	    /* whether it says how much there is */
	uint64_t available; /* bytes: MemAvailable of /proc/meminfo (proc(5)), or what is left of a
			     * cgroup's memory.max or memory.high (cgroup-v2.rst), if less: of this
			     * process's, or of one above it */
	/* In hundredths of a percent, over some ten seconds; 0 where the kernel does not tell. Of
	 * the groups with a memory limit that this process is in, as far as they tell: what another
	 * container of the same machine waits for, within its own limit, is nothing to us. Else the
	 * machine's; else the process's group's. */
	unsigned pressure; /* "some" of memory.pressure: at least one waited for memory */
	unsigned io;	   /* "full" of io.pressure: all that had work waited for a disk */
};

/* From this on, some of the machine's work waits for memory a tenth of the time: pages are fetched
 * again that were dropped a moment ago, and one compile more takes more of them. */
#define MEMORY_PRESSURE_HIGH 1000
/* From this on, for two thirds of the time nothing runs, since all of it waits for a disk: one more
 * would wait there, too. Not less, and not "some": a cold build reads much, and does so sooner by
 * several compilers. */
#define MEMORY_IO_HIGH 6700

/* How long a compile is young: what it will need is not allocated yet. */
#define MEMORY_YOUNG_S 5

/* The files' texts. 0, or -EBADMSG. */
int memory_parse_available(const char *meminfo, uint64_t *ret);
/* which: "some" or "full", of which a line tells. */
int memory_parse_pressure(const char *psi, const char *which, unsigned *ret);

/* root: before all paths, "" but for tests. */
void memory_read(const char *root, struct memory_now *ret);

/* How many of n slots may be in use. need: bytes that each compile is thought to take, 0: not
 * looked at. held: how many are in use, young ones of them among these. Where memory is short, only
 * as many as there is room for; under pressure no more than there are; always one. */
unsigned memory_slots(
	const struct memory_now *m, uint64_t need, unsigned n, unsigned held, unsigned young);
/* Why no more than these may be in use. */
enum memory_lack {
	MEMORY_ENOUGH,
	MEMORY_NO_ROOM, /* not as much available as one is thought to take */
	MEMORY_UNDER_PRESSURE,
	MEMORY_IO_PRESSURE,
};
enum memory_lack memory_lack(
	const struct memory_now *m, uint64_t need, unsigned n, unsigned held, unsigned young);

#endif
