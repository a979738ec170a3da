/* clang-format off */
/* What bench/growth does to a cache without a compiler:
 *
 *     growth_store fill DIR ENTRIES BYTES   as many entries, and a blob for each; the blobs are
 *                                           sparse files of BYTES in all
 *     growth_store keep ROUNDS DIR...       a result of three outputs is kept, in each in turn
 *     growth_store evict STEPS DIR MAX      depot_trim, with a budget of MAX bytes
 *
 * keep prints a line a round, the µs of each; evict a line a step: its µs, and the bytes that are
 * left. */
/* clang-format on */
#include "config.h"

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "common/clock.h"
#include "common/fs.h"
#include "store/depot.h"

#define OUTPUTS 3
#define OUTPUT_BYTES 20000
#define ENTRY_BYTES 3000

static void
sparse(const char *dir, const char *kind, uint64_t i, uint64_t bytes)
{
	char path[PATH_MAX], hex[DIGEST_HEX_SIZE], seed[64];
	struct digest d;
	int fd;

	snprintf(seed, sizeof(seed), "%s %" PRIu64, kind, i);
	digest_bytes(seed, strlen(seed), &d);
	digest_hex(&d, hex);
	snprintf(path, sizeof(path), "%s/%s/%.2s/%s", dir, kind, hex, hex);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 && fs_mkdir_parent(path, 0700) == 0)
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0 || close(fd) < 0)
		err(1, "%s", path);
}

static int
fill(const char *dir, uint64_t entries, uint64_t bytes)
{
	uint64_t each = bytes / entries > ENTRY_BYTES ? bytes / entries - ENTRY_BYTES : 1;

	for (uint64_t i = 0; i < entries; i++) {
		sparse(dir, "entries", i, ENTRY_BYTES);
		sparse(dir, "blobs", i, each);
	}
	return 0;
}

static struct depot *
open_depot(const char *dir, uint64_t max, struct memo *memo)
{
	struct depot_in in = { .dir = dir, .max = max, .memo = memo };
	struct depot *d;

	if (depot_open(&in, &d) < 0)
		errx(1, "%s: no cache", dir);
	return d;
}

/* As a dray does that is started for one unit. */
static uint64_t
keep_one(const char *dir, unsigned round)
{
	char path[PATH_MAX], text[OUTPUT_BYTES];
	uint64_t begin, size;
	struct digest key, got;
	struct memo *memo = NULL;
	struct depot *d;

	for (unsigned i = 0; i < OUTPUTS; i++) {
		memset(text, 'a' + (int)i, sizeof(text));
		snprintf(text, 64, "%u %u %" PRIu64, round, i, clock_mono_us());
		snprintf(path, sizeof(path), "%s/../output-%u", dir, i);
		if (fs_write_atomic(path, text, sizeof(text), 0644) < 0)
			errx(1, "%s: cannot be written", path);
	}
	begin = clock_mono_us();
	snprintf(path, sizeof(path), "%s/memo", dir);
	memo_open(path, &memo);
	d = open_depot(dir, UINT64_C(1) << 40, memo);
	for (unsigned i = 0; i < OUTPUTS; i++) {
		snprintf(path, sizeof(path), "%s/../output-%u", dir, i);
		if (depot_add(d, path, DEPOT_COPY, &got, &size) < 0)
			errx(1, "%s: not kept", path);
	}
	snprintf(text, 64, "key %" PRIu64, begin);
	digest_bytes(text, strlen(text), &key);
	if (depot_write_entry(d, &key, text, ENTRY_BYTES) < 0)
		errx(1, "%s: no entry", dir);
	depot_trim(d, 4096);
	depot_close(d);
	memo_close(memo);
	return clock_mono_us() - begin;
}

static int
keep(unsigned rounds, char **dirs)
{
	for (unsigned i = 0; i < rounds; i++) {
		for (char **dir = dirs; *dir; dir++)
			printf("%" PRIu64 "%c", keep_one(*dir, i), dir[1] ? ' ' : '\n');
		fflush(stdout);
	}
	return 0;
}

static uint64_t
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int
evict(unsigned steps, const char *dir, uint64_t max)
{
	for (unsigned i = 0; i < steps; i++) {
		struct depot *d = open_depot(dir, max, NULL);
		struct store_stats s;
		uint64_t begin = clock_mono_us(), cpu = cpu_us(), us;

		depot_trim(d, 4096);
		us = clock_mono_us() - begin;
		cpu = cpu_us() - cpu;
		depot_get_stats(d, &s);
		depot_close(d);
		printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", us, cpu, s.bytes);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 5 && streq(argv[1], "fill"))
		return fill(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	if (argc >= 4 && streq(argv[1], "keep"))
		return keep((unsigned)atoi(argv[2]), argv + 3);
	if (argc == 5 && streq(argv[1], "evict"))
		return evict((unsigned)atoi(argv[2]), argv[3], strtoull(argv[4], NULL, 10));
	errx(2, "usage: see growth_store.c");
}
