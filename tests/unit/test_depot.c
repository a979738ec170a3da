/* The local cache's files: what has a name is whole; what is restored is the same bytes, with the
 * right mode and time; and nobody else's file changes by it. Real files; processes are forked,
 * stopped and killed. */
#include "config.h"

#include "tests/unit/depot_fixture.h"

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
	assert_int_equal(st.st_mode & 07777, 0400);
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
	assert_int_equal(a.st_mode & 07777, 0644);
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

/* One that anybody may write to is never the blob itself. */
static void
open_to_all(void **state)
{
	struct depot *d = open_depot();
	struct digest g = digest_of("for all");

	put_file(in("a"), "for all");
	assert_int_equal(chmod(in("a"), 0666), 0);
	assert_int_equal(depot_add(d, in("a"), DEPOT_SHARE, &g, NULL), 0);
	assert_int_equal(stat_of(in("a")).st_nlink, 1);
	assert_int_equal(stat_of(blob_path(&g)).st_mode & 07777, 0400);
	assert_int_equal(depot_restore(d, &g, 7, DEPOT_SHARE, 0666, in("b")), 0);
	assert_int_equal(stat_of(in("b")).st_mode & 07777, 0666);
	assert_int_equal(stat_of(in("b")).st_nlink, 1);
	assert_int_equal(stat_of(blob_path(&g)).st_mode & 07777, 0400);
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
	/* the first is cleaned: the next one shares */
	assert_int_equal(unlink(in("one")), 0);
	assert_int_equal(restore(d, "rlib", DEPOT_SHARE, in("three")), 0);
	st = stat_of(in("three"));
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_ino, stat_of(blob_path(&g)).st_ino);
	assert_int_equal(st.st_mode & 07777, 0640);
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
	assert_int_equal(stat_of(in("six")).st_mode & 07777, 0640);
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

/* What another store has checked is copied as it is, and known from then on. */
static void
taken_as_checked(void **state)
{
	struct depot *d = open_depot();
	struct digest g = digest_of("the text");
	_cleanup_(closep) int fd = -1;
	struct stat before;

	put_file(in("a"), "the text");
	fd = open(in("a"), O_RDONLY | O_CLOEXEC);
	/* as long as it should be, or nothing is kept */
	assert_int_equal(depot_take_checked(d, fd, &g, 7), -EBADMSG);
	assert_false(depot_has(d, &g, 8));
	assert_int_equal(count_in(in("cache/tmp")), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(depot_take_checked(d, fd, &g, 8), 0);
	assert_int_equal(restore(d, "the text", DEPOT_COPY, in("b")), 0);
	assert_holds(in("b"), "the text");
	/* what is there stays */
	before = stat_of(blob_path(&g));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(depot_take_checked(d, fd, &g, 8), 0);
	assert_int_equal(stat_of(blob_path(&g)).st_ino, before.st_ino);
	assert_int_equal(count_in(in("cache/tmp")), 0);
	depot_close(d);
}

/* As a store gives it: a file without a name on the same disk. */
static int
nameless(const char *text)
{
	int fd = open(in("."), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		skip();
	assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void
taken_without_a_copy(void **state)
{
	int fd = nameless("the text");
	struct depot *d = open_depot();
	struct digest g;
	struct stat st;

	assert_int_equal(digest_bytes("the text", 8, &g), 0);
	/* the first one makes the directories, and is copied */
	assert_int_equal(depot_take_checked(d, fd, &g, 7), -EBADMSG);
	close(fd);
	fd = nameless("the text");
	assert_int_equal(depot_take_checked(d, fd, &g, 7), -EBADMSG);
	assert_false(depot_has(d, &g, 8));
	assert_int_equal(count_in(in("cache/tmp")), 0);
	close(fd);
	fd = nameless("the text");
	assert_int_equal(depot_take_checked(d, fd, &g, 8), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(stat_of(blob_path(&g)).st_ino, st.st_ino);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(count_in(in("cache/tmp")), 0);
	assert_int_equal(restore(d, "the text", DEPOT_COPY, in("b")), 0);
	assert_holds(in("b"), "the text");
	close(fd);
	depot_close(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(taken_without_a_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(opening_makes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(copied, setup, teardown),
		cmocka_unit_test_setup_teardown(added_by_link, setup, teardown),
		cmocka_unit_test_setup_teardown(open_to_all, setup, teardown),
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
		cmocka_unit_test_setup_teardown(many_processes, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(marked_as_used, setup, teardown),
		cmocka_unit_test_setup_teardown(taken_as_checked, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
