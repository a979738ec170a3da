/* What the tests of store/depot.h have in common: a directory of their own, a cache and a memo in
 * it, and children that work in them. */
#ifndef DRAY_TESTS_UNIT_DEPOT_FIXTURE_H
#define DRAY_TESTS_UNIT_DEPOT_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "store/depot.h"
#include "common/fs.h"

static char *dir, *cache;
static struct memo *memo;
static char path_space[8][4096];

/* A path below the test's directory; eight may be in use at a time. */
static inline const char *
in(const char *name)
{
	static unsigned next;
	char *p = path_space[next++ % 8];

	snprintf(p, sizeof(path_space[0]), "%s/%s", dir, name);
	return p;
}

static inline int
setup(void **state)
{
	if (fs_make_temp_dir("/tmp", "dray-depot-", &dir) < 0)
		return -1;
	cache = path_join(dir, "cache");
	return cache == NULL ? -1 : memo_open(in("memo"), &memo);
}

static inline int
teardown(void **state)
{
	int r;

	memo_close(memo);
	memo = NULL;
	r = fs_rm_rf(dir);
	free(dir);
	free(cache);
	return r;
}

static inline struct depot *
open_with(uint64_t max, bool read_only)
{
	struct depot_in i = { .dir = cache, .max = max, .read_only = read_only, .memo = memo };
	struct depot *d = NULL;

	assert_int_equal(depot_open(&i, &d), 0);
	assert_non_null(d);
	return d;
}

static inline struct depot *
open_depot(void)
{
	return open_with(1 << 30, false);
}

static inline void
put_file(const char *path, const char *text)
{
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0644), 0);
}

static inline struct digest
digest_of(const char *text)
{
	struct digest d;

	assert_int_equal(digest_bytes(text, strlen(text), &d), 0);
	return d;
}

static inline const char *
blob_path(const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE], name[DIGEST_HEX_SIZE + 32];

	digest_hex(d, hex);
	snprintf(name, sizeof(name), "cache/blobs/%.2s/%s", hex, hex);
	return in(name);
}

static inline struct stat
stat_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static inline void
assert_holds(const char *path, const char *text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(fs_read_file(path, 1 << 20, &b), 0);
	assert_int_equal(b.n, strlen(text));
	assert_memory_equal(b.p, text, b.n);
}

/* How many entries a directory has; a missing one has none. */
static inline unsigned
count_in(const char *path)
{
	_cleanup_(closedirp) DIR *d = opendir(path);
	const struct dirent *e;
	unsigned n = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		n += !streq(e->d_name, ".") && !streq(e->d_name, "..");
	return n;
}

static inline void
set_old(const char *path)
{
	const struct timespec t[2] = { { 1000000000, 5 }, { 1000000000, 5 } };

	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static inline bool
is_now(const struct stat *st)
{
	return llabs((long long)(time(NULL) - st->st_mtime)) < 300;
}

static inline int
restore(struct depot *d, const char *text, enum depot_way way, const char *path)
{
	struct digest g = digest_of(text);

	return depot_restore(d, &g, strlen(text), way, 0640, path);
}

static inline void
add(struct depot *d, const char *text, enum depot_way way, const char *path)
{
	struct digest g, e = digest_of(text);
	uint64_t size;

	put_file(path, text);
	assert_int_equal(depot_add(d, path, way, &g, &size), 0);
	assert_true(digest_eq(&g, &e));
	assert_int_equal(size, strlen(text));
}

/* Where files can be cloned no two names are ever one file, and what is said of those is idle. */
static inline bool
clones(void)
{
	struct depot *d = open_depot();
	bool yes;

	add(d, "probe", DEPOT_SHARE, in("probe"));
	assert_int_equal(unlink(in("probe")), 0);
	assert_int_equal(restore(d, "probe", DEPOT_SHARE, in("probe")), 0);
	yes = stat_of(in("probe")).st_nlink == 1;
	depot_close(d);
	return yes;
}

/* A child that runs fn with a depot and a memo of its own (LMDB does not pass through a fork). */
static inline pid_t
fork_with(void (*fn)(struct depot *d, int who), int who)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		memo = NULL;
		if (memo_open(in("memo"), &memo) < 0)
			_exit(99);
		fn(open_depot(), who);
		memo_close(memo);
		_exit(0);
	}
	return pid;
}

static inline void
assert_ended(pid_t pid, int status)
{
	int s;

	assert_int_equal(waitpid(pid, &s, 0), pid);
	assert_int_equal(s, status);
}

/* Files below one of the cache's directories, counted by hand. */
static inline unsigned
count_all(const char *kind)
{
	char name[32];
	unsigned n = 0;
	int i;

	for (i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "cache/%s/%02x", kind, i);
		n += count_in(in(name));
	}
	return n;
}

static inline void
remove_index(void)
{
	assert_int_equal(fs_rm_rf(in("cache/index.lmdb")), 0);
	assert_int_equal(fs_rm_rf(in("cache/index.lmdb-lock")), 0);
	assert_int_equal(fs_rm_rf(in("cache/index.lmdb-guard")), 0);
}

#endif
