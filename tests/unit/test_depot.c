/* The local cache's files: what has a name is whole; what is restored is the same bytes, with the
 * right mode and time; and nobody else's file changes by it. Real files; processes are forked,
 * stopped and killed. */
#include "config.h"

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

#include "cache/depot.h"
#include "common/fs.h"

static char *dir, *cache;
static struct memo *memo;
static char path_space[8][4096];

/* A path below the test's directory; eight may be in use at a time. */
static const char *
in(const char *name)
{
	static unsigned next;
	char *p = path_space[next++ % 8];

	snprintf(p, sizeof(path_space[0]), "%s/%s", dir, name);
	return p;
}

static int
setup(void **state)
{
	if (fs_make_temp_dir("/tmp", "dray-depot-", &dir) < 0)
		return -1;
	cache = path_join(dir, "cache");
	return cache == NULL ? -1 : memo_open(in("memo"), &memo);
}

static int
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

static struct depot *
open_with(uint64_t max, bool read_only)
{
	struct depot_in i = { .dir = cache, .max = max, .read_only = read_only, .memo = memo };
	struct depot *d = NULL;

	assert_int_equal(depot_open(&i, &d), 0);
	assert_non_null(d);
	return d;
}

static struct depot *
open_depot(void)
{
	return open_with(1 << 30, false);
}

static void
put_file(const char *path, const char *text)
{
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0644), 0);
}

static struct digest
digest_of(const char *text)
{
	struct digest d;

	assert_int_equal(digest_bytes(text, strlen(text), &d), 0);
	return d;
}

static const char *
blob_path(const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE], name[DIGEST_HEX_SIZE + 32];

	digest_hex(d, hex);
	snprintf(name, sizeof(name), "cache/blobs/%.2s/%s", hex, hex);
	return in(name);
}

static struct stat
stat_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void
assert_holds(const char *path, const char *text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(fs_read_file(path, 1 << 20, &b), 0);
	assert_int_equal(b.n, strlen(text));
	assert_memory_equal(b.p, text, b.n);
}

/* How many entries a directory has; a missing one has none. */
static unsigned
count_in(const char *path)
{
	_cleanup_(closedirp) DIR *d = opendir(path);
	const struct dirent *e;
	unsigned n = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		n += !streq(e->d_name, ".") && !streq(e->d_name, "..");
	return n;
}

static void
set_old(const char *path)
{
	const struct timespec t[2] = { { 1000000000, 5 }, { 1000000000, 5 } };

	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static bool
is_now(const struct stat *st)
{
	return llabs((long long)(time(NULL) - st->st_mtime)) < 300;
}

static int
restore(struct depot *d, const char *text, enum depot_way way, const char *path)
{
	struct digest g = digest_of(text);

	return depot_restore(d, &g, strlen(text), way, 0640, path);
}

static void
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
static bool
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

static void
opening_makes_nothing(void **state)
{
	struct depot *d = open_depot();
	struct digest g = digest_of("x");
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(restore(d, "x", DEPOT_COPY, in("x")), -ENOENT);
	assert_false(depot_has(d, &g, 1));
	assert_int_equal(depot_read_entry(d, &g, &b), -ENOENT);
	depot_close(d);
	depot_close(NULL);
	assert_false(fs_exists(cache));
	assert_false(fs_exists(in("x")));
}

static void
copied(void **state)
{
	struct depot *d = open_depot();
	struct digest g = digest_of("the text");
	struct stat before, st;

	add(d, "the text", DEPOT_COPY, in("a"));
	before = stat_of(in("a"));
	assert_int_equal(before.st_mode & 07777, 0644);
	assert_int_equal(before.st_nlink, 1);
	assert_true(depot_has(d, &g, 8));
	assert_false(depot_has(d, &g, 7));
	st = stat_of(blob_path(&g));
	assert_int_equal(st.st_mode & 07777, 0444);
	set_old(blob_path(&g));
	assert_int_equal(restore(d, "the text", DEPOT_COPY, in("b")), 0);
	assert_holds(in("b"), "the text");
	st = stat_of(in("b"));
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_nlink, 1);
	assert_true(is_now(&st));
	assert_int_equal(stat_of(blob_path(&g)).st_mtime, 1000000000);
	/* nothing, and an empty file */
	add(d, "", DEPOT_COPY, in("empty"));
	add(d, "", DEPOT_SHARE, in("empty2"));
	assert_int_equal(restore(d, "", DEPOT_COPY, in("empty3")), 0);
	assert_int_equal(stat_of(in("empty3")).st_size, 0);
	assert_int_equal(count_in(in("cache/tmp")), 0);
	depot_close(d);
}

static void
added_by_link(void **state)
{
	struct depot *d = open_depot();
	struct digest g = digest_of("shared");
	struct stat a, b;

	put_file(in("a"), "shared");
	set_old(in("a"));
	assert_int_equal(depot_add(d, in("a"), DEPOT_SHARE, &g, NULL), 0);
	a = stat_of(in("a"));
	b = stat_of(blob_path(&g));
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(a.st_nlink, 2);
	assert_int_equal(a.st_mode & 07777, 0444);
	assert_int_equal(a.st_mtime, 1000000000);
	/* a second file of the same bytes stays as it is, and so does the blob */
	add(d, "shared", DEPOT_SHARE, in("b"));
	assert_int_equal(stat_of(in("b")).st_nlink, 1);
	assert_int_equal(stat_of(in("b")).st_mode & 07777, 0644);
	assert_int_equal(stat_of(blob_path(&g)).st_ino, a.st_ino);
	/* the same file once more */
	assert_int_equal(depot_add(d, in("a"), DEPOT_SHARE, &g, NULL), 0);
	assert_int_equal(stat_of(in("a")).st_nlink, 2);
	depot_close(d);
}

/* Two checkouts: the first shares, the second gets its own, and the first one's time stays. */
static void
link_rules(void **state)
{
	struct depot *d;
	struct digest g = digest_of("rlib");
	struct stat first, st;

	if (clones())
		skip();
	d = open_depot();
	add(d, "rlib", DEPOT_SHARE, in("one"));
	set_old(in("one"));
	assert_int_equal(restore(d, "rlib", DEPOT_SHARE, in("two")), 0);
	st = stat_of(in("two"));
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_true(is_now(&st));
	first = stat_of(in("one"));
	assert_int_equal(first.st_mtime, 1000000000);
	assert_int_equal(first.st_mtim.tv_nsec, 5);
	assert_int_equal(first.st_nlink, 2);
	/* the first is cleaned: whoever comes next shares */
	assert_int_equal(unlink(in("one")), 0);
	assert_int_equal(restore(d, "rlib", DEPOT_SHARE, in("three")), 0);
	st = stat_of(in("three"));
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_ino, stat_of(blob_path(&g)).st_ino);
	assert_int_equal(st.st_mode & 07777, 0444);
	assert_true(is_now(&st));
	/* the same one again: it gets its new time, and is still the blob */
	set_old(in("three"));
	assert_int_equal(restore(d, "rlib", DEPOT_SHARE, in("three")), 0);
	st = stat_of(in("three"));
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_ino, stat_of(blob_path(&g)).st_ino);
	assert_true(is_now(&st));
	/* cargo gave it another name: is that of the same checkout? Nobody knows. */
	set_old(in("three"));
	assert_int_equal(link(in("three"), in("four")), 0);
	assert_int_equal(restore(d, "rlib", DEPOT_SHARE, in("three")), 0);
	assert_int_equal(stat_of(in("three")).st_nlink, 1);
	st = stat_of(in("four"));
	assert_int_equal(st.st_mtime, 1000000000);
	/* never for what may be changed in place */
	assert_int_equal(unlink(in("four")), 0);
	assert_int_equal(restore(d, "rlib", DEPOT_COPY, in("five")), 0);
	assert_int_equal(stat_of(in("five")).st_nlink, 1);
	assert_int_equal(stat_of(blob_path(&g)).st_nlink, 1);
	/* a mode that somebody changed through the other name is put back */
	assert_int_equal(chmod(blob_path(&g), 0666), 0);
	assert_int_equal(restore(d, "rlib", DEPOT_SHARE, in("six")), 0);
	assert_int_equal(stat_of(in("six")).st_mode & 07777, 0444);
	depot_close(d);
}

static void
over_what_is_there(void **state)
{
	struct depot *d = open_depot();
	struct stat was, st;

	add(d, "new", DEPOT_COPY, in("a"));
	put_file(in("old"), "old, and longer");
	was = stat_of(in("old"));
	assert_int_equal(link(in("old"), in("other")), 0);
	assert_int_equal(restore(d, "new", DEPOT_SHARE, in("old")), 0);
	assert_holds(in("old"), "new");
	st = stat_of(in("old"));
	assert_int_not_equal(st.st_ino, was.st_ino);
	assert_holds(in("other"), "old, and longer");
	/* a link goes, not what it names */
	assert_int_equal(symlink("other", in("link")), 0);
	assert_int_equal(restore(d, "new", DEPOT_COPY, in("link")), 0);
	assert_true(S_ISREG(stat_of(in("link")).st_mode));
	assert_holds(in("other"), "old, and longer");
	depot_close(d);
}

static void
cannot_restore(void **state)
{
	struct depot *d = open_depot();
	unsigned before;

	add(d, "x", DEPOT_SHARE, in("a"));
	assert_int_equal(mkdir(in("dir"), 0700), 0);
	assert_int_equal(mkdir(in("dir/sub"), 0700), 0);
	before = count_in(in("."));
	assert_int_equal(restore(d, "x", DEPOT_SHARE, in("dir/sub")), -EISDIR);
	assert_int_equal(restore(d, "x", DEPOT_COPY, in("dir/sub")), -EISDIR);
	assert_int_equal(count_in(in("dir")), 1);
	assert_int_equal(restore(d, "x", DEPOT_COPY, in("none/such")), -ENOTDIR);
	assert_int_equal(restore(d, "x", DEPOT_COPY, in("a/such")), -ENOTDIR);
	assert_int_equal(count_in(in(".")), before);
	depot_close(d);
}

static void
cannot_add(void **state)
{
	struct depot *d = open_depot();
	struct digest g;

	assert_int_equal(depot_add(d, in("none"), DEPOT_COPY, &g, NULL), -ENOENT);
	assert_int_equal(mkfifo(in("fifo"), 0600), 0);
	assert_int_equal(depot_add(d, in("fifo"), DEPOT_SHARE, &g, NULL), -EINVAL);
	put_file(in("file"), "x");
	assert_int_equal(symlink("file", in("link")), 0);
	assert_int_equal(depot_add(d, in("link"), DEPOT_COPY, &g, NULL), -ELOOP);
	assert_int_equal(depot_add(d, dir, DEPOT_COPY, &g, NULL), -EINVAL);
	depot_close(d);
	/* the cache's directory is a file */
	put_file(cache, "x");
	d = open_depot();
	assert_int_equal(depot_add(d, in("file"), DEPOT_COPY, &g, NULL), -ENOTDIR);
	assert_int_equal(depot_add(d, in("file"), DEPOT_SHARE, &g, NULL), -ENOTDIR);
	assert_int_equal(stat_of(in("file")).st_mode & 07777, 0644);
	assert_int_equal(stat_of(in("file")).st_nlink, 1);
	assert_int_equal(depot_write_entry(d, &g, "x", 1), -ENOTDIR);
	depot_trim(d, 10);
	depot_close(d);
}

static void
read_only(void **state)
{
	struct depot *d = open_depot();
	struct digest g;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	add(d, "x", DEPOT_COPY, in("a"));
	g = digest_of("key");
	assert_int_equal(depot_write_entry(d, &g, "entry", 5), 0);
	depot_close(d);
	d = open_with(1, true);
	assert_int_equal(depot_write_entry(d, &g, "other", 5), -EROFS);
	assert_int_equal(depot_drop_entry(d, &g), -EROFS);
	assert_int_equal(depot_read_entry(d, &g, &b), 0);
	assert_memory_equal(b.p, "entry", 5);
	assert_int_equal(depot_add(d, in("a"), DEPOT_COPY, &g, NULL), -EROFS);
	depot_trim(d, 10);
	g = digest_of("x");
	assert_int_equal(restore(d, "x", DEPOT_SHARE, in("b")), 0);
	assert_holds(in("b"), "x");
	assert_int_equal(stat_of(blob_path(&g)).st_nlink, 1);
	depot_close(d);
}

/* Changes one byte of a file, and makes it as old as it was; by its size nothing is seen. */
static void
flip(const char *path, off_t at)
{
	struct stat st = stat_of(path);
	const struct timespec times[2] = { st.st_atim, { st.st_mtim.tv_sec + 1, 0 } };
	char c;
	int fd;

	assert_int_equal(chmod(path, 0644), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static void
damaged(void **state)
{
	struct depot *d = open_depot();
	struct digest g = digest_of("whole and right");

	/* cut */
	add(d, "whole and right", DEPOT_COPY, in("a"));
	assert_int_equal(chmod(blob_path(&g), 0644), 0);
	assert_int_equal(truncate(blob_path(&g), 3), 0);
	assert_false(depot_has(d, &g, 15));
	assert_int_equal(restore(d, "whole and right", DEPOT_COPY, in("b")), -EBADMSG);
	assert_false(fs_exists(in("b")));
	assert_int_equal(restore(d, "whole and right", DEPOT_COPY, in("b")), -ENOENT);
	/* one bit */
	add(d, "whole and right", DEPOT_COPY, in("a"));
	flip(blob_path(&g), 3);
	assert_true(depot_has(d, &g, 15));
	assert_int_equal(restore(d, "whole and right", DEPOT_SHARE, in("b")), -EBADMSG);
	assert_false(depot_has(d, &g, 15));
	assert_false(fs_exists(in("b")));
	/* adding it replaces what is wrong */
	add(d, "whole and right", DEPOT_COPY, in("a"));
	flip(blob_path(&g), 3);
	add(d, "whole and right", DEPOT_SHARE, in("a"));
	assert_int_equal(restore(d, "whole and right", DEPOT_COPY, in("b")), 0);
	assert_holds(in("b"), "whole and right");
	assert_int_equal(unlink(in("a")), 0);
	flip(blob_path(&g), 3);
	add(d, "whole and right", DEPOT_COPY, in("c"));
	assert_int_equal(restore(d, "whole and right", DEPOT_COPY, in("b")), 0);
	assert_holds(in("b"), "whole and right");
	/* something else under its name */
	assert_int_equal(unlink(blob_path(&g)), 0);
	assert_int_equal(symlink("/etc/passwd", blob_path(&g)), 0);
	assert_false(depot_has(d, &g, 15));
	assert_int_equal(restore(d, "whole and right", DEPOT_COPY, in("d")), -EBADMSG);
	assert_int_equal(restore(d, "whole and right", DEPOT_COPY, in("d")), -ENOENT);
	depot_close(d);
}

/* Through the name that a checkout has: by root, whom no mode stops. */
static void
changed_through_the_other_name(void **state)
{
	struct depot *d = open_depot();

	add(d, "rlib 1", DEPOT_SHARE, in("a"));
	flip(in("a"), 0);
	assert_int_equal(restore(d, "rlib 1", DEPOT_COPY, in("b")), -EBADMSG);
	assert_false(fs_exists(in("b")));
	depot_close(d);
}

/* The size tells the rest of the truth: the digest in the name is never asked. */
static void
other_size(void **state)
{
	struct depot *d = open_depot();
	struct digest g = digest_of("abc");

	add(d, "abc", DEPOT_COPY, in("a"));
	assert_int_equal(depot_restore(d, &g, 4, DEPOT_COPY, 0644, in("b")), -EBADMSG);
	assert_int_equal(depot_restore(d, &g, 3, DEPOT_COPY, 0644, in("b")), -ENOENT);
	depot_close(d);
}

/* After a restore nobody hashes it again, and neither does the next restore, by link or not. */
static void
digests_are_known(void **state)
{
	struct depot *d = open_depot();
	struct digest g = digest_of("known"), e, wrong = digest_of("marked");

	add(d, "known", DEPOT_SHARE, in("a"));
	assert_int_equal(memo_digest_file(memo, in("a"), &e, NULL), 0);
	assert_true(digest_eq(&e, &g));
	assert_int_equal(unlink(in("a")), 0);
	assert_int_equal(restore(d, "known", DEPOT_SHARE, in("b")), 0);
	/* what the memo says is taken: a wrong digest told for this very stat shows it */
	memo_note_digest(memo, in("b"), &wrong);
	assert_int_equal(memo_digest_file(memo, in("b"), &e, NULL), 0);
	assert_true(digest_eq(&e, &wrong));
	assert_int_equal(restore(d, "known", DEPOT_COPY, in("c")), clones() ? 0 : -EBADMSG);
	depot_close(d);
}

static int
count_key(void *arg, const struct digest *key)
{
	unsigned *n = arg;

	++*n;
	return *n == 100 ? 7 : 0;
}

static void
entries(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct depot *d = open_depot();
	struct digest k = digest_of("k");
	unsigned n = 0;
	char name[16];
	int i;

	assert_int_equal(depot_each_entry(d, count_key, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(depot_drop_entry(d, &k), 0);
	assert_int_equal(depot_write_entry(d, &k, "one", 3), 0);
	assert_int_equal(depot_read_entry(d, &k, &b), 0);
	assert_int_equal(b.n, 3);
	assert_int_equal(depot_write_entry(d, &k, "second", 6), 0);
	b.n = 0;
	assert_int_equal(depot_read_entry(d, &k, &b), 0);
	assert_int_equal(b.n, 6);
	assert_memory_equal(b.p, "second", 6);
	assert_int_equal(depot_drop_entry(d, &k), 0);
	assert_int_equal(depot_read_entry(d, &k, &b), -ENOENT);
	for (i = 0; i < 120; i++) {
		snprintf(name, sizeof(name), "%d", i);
		k = digest_of(name);
		assert_int_equal(depot_write_entry(d, &k, name, strlen(name)), 0);
		if (i == 50) {
			n = 0;
			assert_int_equal(depot_each_entry(d, count_key, &n), 0);
			assert_int_equal(n, 51);
		}
	}
	n = 0;
	assert_int_equal(depot_each_entry(d, count_key, &n), 7);
	assert_int_equal(n, 100);
	assert_int_equal(count_in(in("cache/tmp")), 0);
	depot_close(d);
}

static void
cache_removed_meanwhile(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct depot *d = open_depot();
	struct digest k = digest_of("k");
	int fd = -1, fd2 = -1;

	for (int i = 0; i < 2; i++) {
		add(d, "blob", DEPOT_COPY, in("a"));
		add(d, "rlib", DEPOT_SHARE, in("b"));
		assert_int_equal(depot_write_entry(d, &k, "e", 1), 0);
		assert_int_equal(depot_lock(d, &k, false, &fd), 0);
		assert_int_equal(restore(d, "blob", DEPOT_SHARE, in("c")), 0);
		depot_trim(d, 10);
		assert_int_equal(fs_rm_rf(cache), 0);
		assert_int_equal(restore(d, "blob", DEPOT_SHARE, in("c")), -ENOENT);
		assert_int_equal(depot_read_entry(d, &k, &b), -ENOENT);
		assert_int_equal(depot_lock(d, &k, false, &fd2), 0);
		depot_trim(d, 10);
		closep(&fd);
		closep(&fd2);
	}
	depot_close(d);
}

/* A child that runs fn with a depot and a memo of its own (LMDB does not pass through a fork). */
static pid_t
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

static void
assert_ended(pid_t pid, int status)
{
	int s;

	assert_int_equal(waitpid(pid, &s, 0), pid);
	assert_int_equal(s, status);
}

static int ready[2];

static void
hold_lock(struct depot *d, int who)
{
	struct digest k = digest_of("k");
	int fd;

	if (depot_lock(d, &k, false, &fd) < 0 || write(ready[1], "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void
wait_lock(struct depot *d, int who)
{
	struct digest k = digest_of("k");
	int fd;

	if (depot_lock(d, &k, true, &fd) < 0)
		_exit(1);
}

static void
on_alarm(int sig)
{
}

static void
locks(void **state)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct depot *d = open_depot();
	struct digest k = digest_of("k"), near = k;
	int fd = -1, other = -1;
	pid_t holder, waiter;
	char c;

	near.b[5] ^= 1; /* the same file */
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	holder = fork_with(hold_lock, 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(depot_lock(d, &k, false, &fd), -EWOULDBLOCK);
	assert_int_equal(depot_lock(d, &near, false, &other), 0);
	assert_int_equal(count_in(in("cache/locks")), 1);
	closep(&other);
	assert_int_equal(kill(holder, SIGSTOP), 0);
	assert_int_equal(depot_lock(d, &k, false, &fd), -EWOULDBLOCK);
	/* a signal ends the wait */
	assert_int_equal(sigaction(SIGALRM, &sa, NULL), 0);
	alarm(1);
	assert_int_equal(depot_lock(d, &k, true, &fd), -EINTR);
	waiter = fork_with(wait_lock, 0);
	assert_int_equal(kill(holder, SIGKILL), 0);
	assert_ended(holder, SIGKILL);
	assert_ended(waiter, 0);
	assert_int_equal(depot_lock(d, &k, true, &fd), 0);
	/* a second one in this process is a second one */
	assert_int_equal(depot_lock(d, &k, false, &other), -EWOULDBLOCK);
	closep(&fd);
	assert_int_equal(depot_lock(d, &k, false, &other), 0);
	closep(&other);
	close(ready[0]);
	close(ready[1]);
	depot_close(d);
}

#define CROWD 12
#define ROUNDS 40
#define TEXTS 5

static const char *const texts[TEXTS] = { "a", "bb", "ccc", "dddd", "eeeee" };

/* Adds, restores, evicts what all the others do. */
static void
in_the_crowd(struct depot *d, int who)
{
	char path[4096], out[4096], more[64];
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct digest g, e, k = digest_of("entry");
	int i, r;

	snprintf(path, sizeof(path), "%s/in-%d", dir, who);
	snprintf(out, sizeof(out), "%s/out-%d", dir, who);
	for (i = 0; i < ROUNDS; i++) {
		const char *t = texts[(i * 7 + who) % TEXTS];
		enum depot_way way = (i + who) % 3 ? DEPOT_SHARE : DEPOT_COPY;

		if (fs_write_atomic(path, t, strlen(t), 0644) < 0)
			_exit(2);
		if (depot_add(d, path, way, &g, NULL) < 0)
			_exit(3);
		e = digest_of(t);
		if (!digest_eq(&e, &g))
			_exit(4);
		r = depot_restore(d, &g, strlen(t), way, 0644, out);
		if (r < 0 && r != -ENOENT)
			_exit(5);
		b.n = 0;
		if (r == 0 && (fs_read_file(out, 100, &b) < 0 || b.n != strlen(t) ||
				      memcmp(b.p, t, b.n) != 0))
			_exit(6);
		snprintf(more, sizeof(more), "%d %d", who, i);
		if (depot_write_entry(d, &k, more, strlen(more)) < 0)
			_exit(7);
		b.n = 0;
		if (depot_read_entry(d, &k, &b) < 0 || b.n < 3)
			_exit(8);
		if (i % 10 == 9)
			unlink(blob_path(&g));
	}
}

static void
many_processes(void **state)
{
	struct depot *d;
	pid_t pid[CROWD];
	int i;

	for (i = 0; i < CROWD; i++)
		pid[i] = fork_with(in_the_crowd, i);
	for (i = 0; i < CROWD; i++)
		assert_ended(pid[i], 0);
	assert_int_equal(count_in(in("cache/tmp")), 0);
	d = open_depot();
	for (i = 0; i < TEXTS; i++) {
		int r = restore(d, texts[i], DEPOT_COPY, in("last"));

		if (r == 0)
			assert_holds(in("last"), texts[i]);
		else
			assert_int_equal(r, -ENOENT);
	}
	depot_close(d);
}

/* A disk that takes no more: a limit for files stands for it, since it fails in the same places. */
static void
no_room(struct depot *d, int who)
{
	struct rlimit l = { 4096, 4096 };
	struct digest g, k = digest_of("k");
	_cleanup_(freep) char *big = calloc(1, 100000);
	struct buf b = BUF_INIT;

	signal(SIGXFSZ, SIG_IGN);
	if (big == NULL || fs_write_atomic(in("big"), big, 100000, 0644) < 0 ||
		depot_write_entry(d, &k, "old", 3) < 0 ||
		depot_add(d, in("big"), DEPOT_SHARE, &g, NULL) < 0)
		_exit(1);
	big[0] = 1;
	if (fs_write_atomic(in("big2"), big, 100000, 0644) < 0 || setrlimit(RLIMIT_FSIZE, &l) < 0)
		_exit(2);
	if (depot_restore(d, &g, 100000, DEPOT_COPY, 0644, in("out")) != -EFBIG)
		_exit(3);
	if (fs_exists(in("out")))
		_exit(4);
	if (depot_add(d, in("big2"), DEPOT_COPY, &g, NULL) != -EFBIG)
		_exit(5);
	if (depot_write_entry(d, &k, big, 100000) != -EFBIG)
		_exit(6);
	if (depot_read_entry(d, &k, &b) < 0 || b.n != 3)
		_exit(7);
	buf_done(&b);
}

static void
full_disk(void **state)
{
	assert_ended(fork_with(no_room, 0), 0);
	assert_int_equal(count_in(in("cache/tmp")), 0);
	/* cache, memo, big, big2: nothing else was left beside them */
	assert_int_equal(count_in(dir), 4);
}

static void
marked_as_used(void **state)
{
	struct depot *d = open_depot();
	struct digest k = digest_of("k"), g = digest_of("blob");
	char hex[DIGEST_HEX_SIZE], name[100];
	struct stat st;

	digest_hex(&k, hex);
	snprintf(name, sizeof(name), "cache/entries/%.2s/%s", hex, hex);
	add(d, "blob", DEPOT_COPY, in("a"));
	assert_int_equal(depot_write_entry(d, &k, "e", 1), 0);
	set_old(blob_path(&g));
	depot_used(d, &k, &g, 1); /* the entry is new: nothing is to be done */
	assert_int_equal(stat_of(blob_path(&g)).st_atime, 1000000000);
	set_old(in(name));
	depot_used(d, &k, &g, 1);
	st = stat_of(in(name));
	assert_true(is_now(&st));
	assert_int_not_equal(stat_of(blob_path(&g)).st_atime, 1000000000);
	assert_int_equal(stat_of(blob_path(&g)).st_mtime, 1000000000);
	depot_close(d);
}

/* The budget. */

#define BIG 8192

/* A blob of BIG bytes and an entry, both last used `age` hours ago as their files say. */
static void
add_old(struct depot *d, int i, int age)
{
	struct timespec t[2] = { { time(NULL) - age * 3600, 0 }, { 0, 0 } };
	char text[BIG + 1], key[16], hex[DIGEST_HEX_SIZE], name[100];
	struct digest g, k;

	memset(text, 'a' + i, BIG);
	text[BIG] = '\0';
	add(d, text, DEPOT_COPY, in("source"));
	g = digest_of(text);
	t[1] = t[0];
	assert_int_equal(utimensat(AT_FDCWD, blob_path(&g), t, 0), 0);
	snprintf(key, sizeof(key), "key %d", i);
	k = digest_of(key);
	assert_int_equal(depot_write_entry(d, &k, text, BIG), 0);
	digest_hex(&k, hex);
	snprintf(name, sizeof(name), "cache/entries/%.2s/%s", hex, hex);
	assert_int_equal(utimensat(AT_FDCWD, in(name), t, 0), 0);
}

/* Whether the blob is here; the entry must be as well, or not. */
static bool
has_old(struct depot *d, int i)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char text[BIG + 1], key[16];
	struct digest g, k;
	bool blob, entry;

	memset(text, 'a' + i, BIG);
	text[BIG] = '\0';
	g = digest_of(text);
	snprintf(key, sizeof(key), "key %d", i);
	k = digest_of(key);
	blob = depot_has(d, &g, BIG);
	entry = depot_read_entry(d, &k, &b) == 0;
	assert_int_equal(blob, entry);
	return blob;
}

static void
use_old(struct depot *d, int i)
{
	char text[BIG + 1], key[16];
	struct digest g, k;

	memset(text, 'a' + i, BIG);
	text[BIG] = '\0';
	g = digest_of(text);
	snprintf(key, sizeof(key), "key %d", i);
	k = digest_of(key);
	depot_used(d, &k, &g, 1);
}

/* Files below one of the cache's directories, counted by hand. */
static unsigned
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

static void
remove_index(void)
{
	assert_int_equal(fs_rm_rf(in("cache/index.lmdb")), 0);
	assert_int_equal(fs_rm_rf(in("cache/index.lmdb-lock")), 0);
	assert_int_equal(fs_rm_rf(in("cache/index.lmdb-guard")), 0);
}

static void
stats_and_gc(void **state)
{
	struct depot *d = open_depot();
	struct depot_stats s, after;
	int i;

	assert_int_equal(depot_get_stats(d, &s), 0);
	assert_int_equal(s.blobs + s.entries + s.bytes, 0);
	assert_int_equal(s.max, 1 << 30);
	assert_false(fs_exists(cache));
	/* the older, the higher its number */
	for (i = 0; i < 6; i++)
		add_old(d, i, 10 + i);
	assert_int_equal(depot_get_stats(d, &s), 0);
	assert_int_equal(s.blobs, 6);
	assert_int_equal(s.entries, 6);
	assert_in_range(s.bytes, 12 * BIG, 12 * BIG + 12 * 65536);
	/* by the index, which knows that all were used just now */
	assert_int_equal(depot_gc(d, 0, false, &s, &after), 0);
	assert_int_equal(after.entries, 6);
	assert_int_equal(after.max, 1 << 30);
	depot_close(d);
	/* by the files */
	remove_index();
	d = open_depot();
	assert_int_equal(depot_gc(d, s.bytes / 2, false, &s, &after), 0);
	assert_int_equal(s.blobs, 6);
	assert_int_equal(after.blobs, 3);
	assert_int_equal(after.entries, 3);
	assert_true(after.bytes <= s.bytes / 2);
	for (i = 0; i < 6; i++)
		assert_int_equal(has_old(d, i), i < 3);
	assert_int_equal(depot_get_stats(d, &s), 0);
	assert_int_equal(s.blobs, 3);
	assert_int_equal(s.bytes, after.bytes);
	/* everything; nothing is of no use either */
	add(d, "", DEPOT_COPY, in("empty"));
	assert_int_equal(depot_gc(d, 0, true, NULL, &after), 0);
	assert_int_equal(after.blobs + after.entries + after.bytes, 0);
	assert_int_equal(count_all("blobs") + count_all("entries"), 0);
	assert_int_equal(depot_get_stats(d, &s), 0);
	assert_int_equal(s.blobs + s.entries + s.bytes, 0);
	depot_close(d);
	d = open_with(0, true);
	assert_int_equal(depot_gc(d, 0, true, NULL, NULL), -EROFS);
	assert_int_equal(depot_get_stats(d, &s), 0);
	assert_true(s.max > 0 && s.max <= UINT64_C(20) << 30);
	depot_close(d);
}

static uint64_t
bytes_now(struct depot *d)
{
	struct depot_stats s;

	assert_int_equal(depot_get_stats(d, &s), 0);
	return s.bytes;
}

static void
trims_the_least_recently_used(void **state)
{
	struct depot *d = open_depot();
	uint64_t all;
	int i;

	for (i = 0; i < 6; i++)
		add_old(d, i, 10 + i);
	depot_close(d);
	remove_index();
	d = open_depot();
	assert_int_equal(depot_gc(d, 0, false, NULL, NULL), 0);
	all = bytes_now(d);
	depot_trim(d, 100);
	assert_int_equal(bytes_now(d), all);
	/* the oldest is used again, and its index says so */
	use_old(d, 5);
	depot_close(d);
	d = open_with(all / 2, false);
	/* in small steps */
	depot_trim(d, 0);
	assert_int_equal(bytes_now(d), all);
	depot_trim(d, 2);
	assert_int_equal(count_all("blobs") + count_all("entries"), 10);
	assert_false(has_old(d, 4));
	depot_trim(d, 100);
	assert_true(bytes_now(d) <= all / 2);
	assert_int_equal(count_all("blobs") + count_all("entries"), 6);
	assert_true(has_old(d, 5) && has_old(d, 0) && has_old(d, 1));
	/* what comes is newer than what is here */
	add_old(d, 6, 0);
	depot_trim(d, 100);
	assert_true(has_old(d, 6));
	assert_false(has_old(d, 1));
	assert_true(bytes_now(d) <= all / 2);
	depot_close(d);
}

/* An index that is new knows only what was added since: that is not evicted for the old. */
static void
new_index(void **state)
{
	struct depot *d = open_depot();
	char text[BIG + 1];
	struct digest g;
	int i, n;

	for (i = 0; i < 6; i++)
		add_old(d, i, 10 + i);
	depot_close(d);
	remove_index();
	d = open_with(4 * BIG, false);
	add_old(d, 6, 0);
	for (n = 0; n < 300 && count_all("blobs") > 2; n++) {
		depot_trim(d, 100);
		assert_true(has_old(d, 6));
	}
	assert_true(has_old(d, 6) && has_old(d, 0));
	assert_int_equal(count_all("blobs") + count_all("entries"), 4);
	/* removed by hand: the index gets over it */
	memset(text, 'a', BIG);
	text[BIG] = '\0';
	g = digest_of(text);
	assert_int_equal(unlink(blob_path(&g)), 0);
	assert_int_equal(bytes_now(d), 4 * BIG);
	assert_int_equal(depot_gc(d, 0, false, NULL, NULL), 0);
	assert_int_equal(bytes_now(d), 3 * BIG);
	depot_close(d);
}

static void
broken_index(void **state)
{
	struct depot_stats s;
	struct depot *d;
	char junk[20000];
	int i, how;

	for (i = 0; i < (int)sizeof(junk); i++)
		junk[i] = (char)(i * 7919 >> 3);
	for (how = 0; how < 5; how++) {
		const char *index, *guard;

		d = open_depot();
		for (i = 0; i < 4; i++)
			add_old(d, i, 10 + i);
		depot_close(d);
		remove_index();
		d = open_depot();
		assert_int_equal(depot_gc(d, 0, false, NULL, NULL), 0);
		depot_close(d);
		index = in("cache/index.lmdb");
		guard = in("cache/index.lmdb-guard");
		switch (how) {
		case 0:
			assert_int_equal(fs_write_atomic(index, junk, sizeof(junk), 0600), 0);
			break;
		case 1:
			assert_int_equal(truncate(index, 4096), 0);
			break;
		case 2:
			assert_int_equal(truncate(index, stat_of(index).st_size - 4096), 0);
			break;
		case 3: /* cannot be used at all */
			remove_index();
			assert_int_equal(mkdir(guard, 0700), 0);
			break;
		case 4:
			remove_index();
			assert_int_equal(mkdir(index, 0700), 0);
			break;
		}
		d = open_with(4 * BIG, false);
		add_old(d, 4, 0);
		use_old(d, 2);
		depot_trim(d, 100);
		assert_true(has_old(d, 4));
		assert_int_equal(depot_get_stats(d, &s), 0);
		assert_int_equal(s.blobs, count_all("blobs"));
		assert_int_equal(depot_gc(d, 0, false, NULL, &s), 0);
		assert_true(s.bytes <= 4 * BIG);
		assert_int_equal(s.blobs, count_all("blobs"));
		assert_int_equal(s.entries, count_all("entries"));
		assert_true(has_old(d, 4) && has_old(d, 2));
		assert_int_equal(depot_gc(d, 0, true, NULL, NULL), 0);
		depot_close(d);
		remove_index();
	}
}

static void
junk_goes(void **state)
{
	struct depot *d = open_depot();
	struct digest g = digest_of("cut to nothing");

	add(d, "cut to nothing", DEPOT_COPY, in("a"));
	assert_int_equal(chmod(blob_path(&g), 0644), 0);
	assert_int_equal(truncate(blob_path(&g), 0), 0);
	add(d, "", DEPOT_COPY, in("a"));
	assert_int_equal(mkdir(in("cache/tmp/dir"), 0700), 0);
	put_file(in("cache/blobs/e3/young"), "not ours, perhaps");
	assert_int_equal(depot_gc(d, 0, false, NULL, NULL), 0);
	assert_false(fs_exists(blob_path(&g)));
	g = digest_of("");
	assert_true(fs_exists(blob_path(&g)));
	assert_true(fs_exists(in("cache/blobs/e3/young")));
	depot_close(d);
}

static void
hold_evictor(struct depot *d, int who)
{
	struct flock l = { .l_type = F_WRLCK, .l_len = 1 };
	int fd = open(in("cache/locks/evict"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &l) < 0 || write(ready[1], "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* Nobody waits for an evictor that is stopped, and nobody evicts beside him. */
static void
stopped_evictor(void **state)
{
	struct depot *d = open_depot();
	pid_t pid;
	char c;
	int i;

	for (i = 0; i < 4; i++)
		add_old(d, i, 10 + i);
	assert_int_equal(depot_gc(d, 0, false, NULL, NULL), 0);
	depot_close(d);
	d = open_with(BIG, false);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork_with(hold_evictor, 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	depot_trim(d, 100);
	assert_int_equal(count_all("blobs"), 4);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_ended(pid, SIGKILL);
	depot_trim(d, 100);
	assert_true(bytes_now(d) <= BIG);
	close(ready[0]);
	close(ready[1]);
	depot_close(d);
}

static void
in_the_evicting_crowd(struct depot *d, int who)
{
	struct depot_in i = { .dir = cache, .max = 6 * BIG, .memo = memo };
	char text[BIG + 1], path[4096], out[4096];
	struct digest g;
	int n, r;

	depot_close(d);
	if (depot_open(&i, &d) < 0)
		_exit(1);
	snprintf(path, sizeof(path), "%s/in-%d", dir, who);
	snprintf(out, sizeof(out), "%s/out-%d", dir, who);
	for (n = 0; n < ROUNDS; n++) {
		memset(text, 'a' + (n + who) % 20, BIG);
		text[BIG] = '\0';
		if (fs_write_atomic(path, text, BIG, 0644) < 0)
			_exit(2);
		if (depot_add(d, path, n % 2 ? DEPOT_SHARE : DEPOT_COPY, &g, NULL) < 0)
			_exit(3);
		r = depot_restore(d, &g, BIG, DEPOT_SHARE, 0644, out);
		if (r < 0 && r != -ENOENT)
			_exit(4);
		if (depot_write_entry(d, &g, text, 100) < 0)
			_exit(5);
		depot_trim(d, 4);
		if (who == 0 && n % 10 == 5 && depot_gc(d, 0, n == 25, NULL, NULL) < 0)
			_exit(6);
	}
	depot_close(d);
}

/* Some are killed at any instant; the others go on, and the numbers come right. */
static void
many_evictors(void **state)
{
	struct depot_stats s;
	pid_t pid[CROWD];
	struct depot *d;
	int i, status;

	for (i = 0; i < CROWD; i++)
		pid[i] = fork_with(in_the_evicting_crowd, i);
	for (i = 1; i < CROWD; i += 4) {
		struct timespec t = { 0, 30000000 };

		nanosleep(&t, NULL);
		kill(pid[i], SIGKILL);
	}
	for (i = 0; i < CROWD; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		if (i % 4 != 1)
			assert_int_equal(status, 0);
	}
	d = open_with(6 * BIG, false);
	assert_int_equal(depot_gc(d, 0, false, NULL, NULL), 0);
	assert_true(bytes_now(d) <= 6 * BIG);
	assert_int_equal(depot_get_stats(d, &s), 0);
	assert_int_equal(s.blobs, count_all("blobs"));
	assert_int_equal(s.entries, count_all("entries"));
	assert_int_equal(count_in(in("cache/tmp")), 0);
	depot_close(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opening_makes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(copied, setup, teardown),
		cmocka_unit_test_setup_teardown(added_by_link, setup, teardown),
		cmocka_unit_test_setup_teardown(link_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(over_what_is_there, setup, teardown),
		cmocka_unit_test_setup_teardown(cannot_restore, setup, teardown),
		cmocka_unit_test_setup_teardown(cannot_add, setup, teardown),
		cmocka_unit_test_setup_teardown(read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(changed_through_the_other_name, setup, teardown),
		cmocka_unit_test_setup_teardown(other_size, setup, teardown),
		cmocka_unit_test_setup_teardown(digests_are_known, setup, teardown),
		cmocka_unit_test_setup_teardown(entries, setup, teardown),
		cmocka_unit_test_setup_teardown(cache_removed_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(locks, setup, teardown),
		cmocka_unit_test_setup_teardown(many_processes, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(marked_as_used, setup, teardown),
		cmocka_unit_test_setup_teardown(stats_and_gc, setup, teardown),
		cmocka_unit_test_setup_teardown(trims_the_least_recently_used, setup, teardown),
		cmocka_unit_test_setup_teardown(new_index, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_index, setup, teardown),
		cmocka_unit_test_setup_teardown(junk_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(stopped_evictor, setup, teardown),
		cmocka_unit_test_setup_teardown(many_evictors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
