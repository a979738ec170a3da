/* How many compiles this machine's memory has room for: the laptop comes first. */
#ifndef DRAY_CLIENT_WRAP_MEMORY_H
#define DRAY_CLIENT_WRAP_MEMORY_H

#include "common/base.h"

/* What the kernel says now. */
struct memory_now {
	bool known;	    /* whether it says how much there is */
	uint64_t available; /* bytes: MemAvailable of /proc/meminfo (proc(5)), or what is left of a
			     * cgroup's memory.max or memory.high (cgroup-v2.rst), if less: of this
			     * process's, or of one above it */
	unsigned pressure;  /* "some" avg10 of /proc/pressure/memory (the kernel's psi.rst), in
			     * hundredths  of a percent; 0 where the kernel does not tell */
};

/* From this on, some of the machine's work waits for memory a tenth of the time. */
#define MEMORY_PRESSURE_HIGH 1000

/* How long a compile is young: what it will need is not allocated yet. */
#define MEMORY_YOUNG_S 5

/* The files' texts. 0, or -EBADMSG. */
int memory_parse_available(const char *meminfo, uint64_t *ret);
int memory_parse_pressure(const char *psi, unsigned *ret);

/* root: before all paths, "" but for tests. */
void memory_read(const char *root, struct memory_now *ret);

/* How many of n slots may be in use. need: bytes that each compile is thought to take, 0: not
 * looked at. held: how many are in use, young ones of them among these. Where memory is short, only
 * as many as there is room for; under pressure no more than there are; always one. */
unsigned memory_slots(
	const struct memory_now *m, uint64_t need, unsigned n, unsigned held, unsigned young);

#endif
