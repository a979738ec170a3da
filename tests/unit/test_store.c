/* store: a name always holds the bytes of its digest, whatever was written, torn, lost or evicted.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/fs.h"
#include "tests/unit/store_fixture.h"

static char *dir;
static char path_space[4][4096];

/* A path below the test's directory; four may be in use at a time. */
static const char *
in(const char *name)
{
	static unsigned next;
	char *p = path_space[next++ % 4];

	snprintf(p, sizeof(path_space[0]), "%s/%s", dir, name);
	return p;
}

static int
setup(void **state)
{
	return fs_make_temp_dir("/tmp", "dray-test-", &dir);
}

static int
teardown(void **state)
{
	int r = fs_rm_rf(dir);

	free(dir);
	return r;
}

static bool
has(struct store *s, const struct digest *d)
{
	return store_has_now(s, STORE_BLOB, d, NULL) == 0;
}

static struct store *
open_store(uint64_t budget)
{
	struct store *s = NULL;

	assert_int_equal(open_own_store(in("st"), budget, &s), 0);
	return s;
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
	char hex[DIGEST_HEX_SIZE], name[128];

	digest_hex(d, hex);
	snprintf(name, sizeof(name), "st/blobs/%.2s/%s", hex, hex);
	return in(name);
}

/* Writes text in two pieces, and says that it is `d` of `size` bytes. */
static int
put_as(struct store *s, const char *text, const struct digest *d, uint64_t size)
{
	struct store_writer *w = NULL;
	size_t n = strlen(text);
	int r = store_write_begin(s, &w);

	if (r < 0)
		return r;
	assert_int_equal(store_write(w, text, n / 2), 0);
	assert_int_equal(store_write(w, text + n / 2, n - n / 2), 0);
	return store_write_commit_now(w, d, size);
}

static struct digest
put(struct store *s, const char *text)
{
	struct digest d = digest_of(text);

	assert_true(put_as(s, text, &d, strlen(text)) >= 0);
	return d;
}

static unsigned
count_entries(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += !streq(e->d_name, ".") && !streq(e->d_name, "..");
	closedir(d);
	return n;
}

static void
check_stats(struct store *s, uint64_t blobs, uint64_t bytes)
{
	struct store_stats st;

	assert_int_equal(store_get_stats(s, &st), 0);
	assert_int_equal(st.blobs, blobs);
	assert_int_equal(st.bytes, bytes);
}

static void
check_file(const char *path, const char *want)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(fs_read_file(path, 1 << 20, &b), 0);
	assert_string_equal((char *)b.p, want);
}

static void
test_put_and_get(void **state)
{
	_cleanup_(store_closep) struct store *s = open_store(0);
	struct digest d = put(s, "hello"), none = digest_of("none");
	uint64_t size = 99;
	struct stat a, b;
	char text[8] = "";
	int fd;

	assert_int_equal(store_has_now(s, STORE_BLOB, &d, &size), 0);
	assert_int_equal(size, 5);
	assert_int_equal(store_has_now(s, STORE_BLOB, &none, &size), -ENOENT);
	assert_int_equal(size, 5);
	fd = store_get_now(s, STORE_BLOB, &d, UINT64_MAX, NULL);
	assert_int_equal(read(fd, text, 8), 5);
	assert_string_equal(text, "hello");
	close(fd);
	assert_int_equal(store_get_now(s, STORE_BLOB, &none, UINT64_MAX, NULL), -ENOENT);
	assert_int_equal(disk_link(s, &d, in("out")), 0);
	assert_int_equal(stat(in("out"), &a) | stat(blob_path(&d), &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(a.st_mode & 07777, 0444);
	assert_int_equal(disk_link(s, &d, in("out")), -EEXIST);
	assert_int_equal(disk_link(s, &d, in("no/such/dir")), -ENOENT);
	assert_true(has(s, &d));
	assert_int_equal(disk_link(s, &none, in("out2")), -ENOENT);
	/* Twice is once; and the inode, which jobs may share, is the first one's. */
	put(s, "hello");
	assert_int_equal(stat(blob_path(&d), &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	check_stats(s, 1, 5);
	assert_int_equal(count_entries(in("st/tmp")), 0);
}

static void
test_lies_are_refused(void **state)
{
	_cleanup_(store_closep) struct store *s = open_store(0);
	struct digest d = digest_of("truth");

	assert_int_equal(put_as(s, "lies!", &d, 5), -EBADMSG);
	assert_int_equal(put_as(s, "truth", &d, 4), -EBADMSG);
	assert_int_equal(put_as(s, "truth", &d, 6), -EBADMSG);
	assert_int_equal(put_as(s, "trut", &d, 5), -EBADMSG);
	assert_false(has(s, &d));
	check_stats(s, 0, 0);
	assert_int_equal(count_entries(in("st/tmp")), 0);
	assert_false(fs_exists(blob_path(&d)));
}

static void
test_empty_and_abort(void **state)
{
	_cleanup_(store_closep) struct store *s = open_store(0);
	struct store_writer *w = NULL;
	struct digest d = put(s, "");
	uint64_t size = 1;

	assert_int_equal(store_has_now(s, STORE_BLOB, &d, &size), 0);
	assert_int_equal(size, 0);
	assert_int_equal(store_write_begin(s, &w), 0);
	assert_int_equal(store_write(w, "x", 1), 0);
	assert_int_equal(count_entries(in("st/tmp")), 1);
	store_write_abort(w);
	store_write_abort(NULL);
	assert_int_equal(count_entries(in("st/tmp")), 0);
}

static void
test_add_and_adopt(void **state)
{
	_cleanup_(store_closep) struct store *s = open_store(0);
	_cleanup_(closep) int fd = -1;
	struct digest d, want = digest_of("content");
	uint64_t size = 0;

	assert_int_equal(fs_write_atomic(in("f"), "content", 7, 0644), 0);
	fd = open(in("f"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(store_put_fd_now(s, fd, &d, &size), 0);
	assert_true(digest_eq(&d, &want));
	assert_int_equal(size, 7);
	assert_true(fs_exists(in("f")));
	/* Already here: taken all the same. */
	assert_int_equal(disk_adopt(s, in("f"), &d, NULL), 1);
	assert_true(digest_eq(&d, &want));
	assert_false(fs_exists(in("f")));
	assert_int_equal(fs_write_atomic(in("g"), "other", 5, 0755), 0);
	assert_int_equal(disk_adopt(s, in("g"), &d, &size), 0);
	assert_int_equal(size, 5);
	assert_false(fs_exists(in("g")));
	check_file(blob_path(&d), "other");
	assert_int_equal(symlink("/etc/passwd", in("l")), 0);
	assert_int_equal(disk_adopt(s, in("l"), &d, NULL), -ELOOP);
	assert_int_equal(disk_adopt(s, dir, &d, NULL), -EINVAL);
	assert_int_equal(store_put_fd_now(s, -1, &d, NULL), -EBADF);
	check_stats(s, 2, 12);
	assert_int_equal(count_entries(in("st/tmp")), 0);
}

static void
test_across_file_systems(void **state)
{
	_cleanup_(store_closep) struct store *s = open_store(0);
	_cleanup_(freep) char *other = NULL;
	_cleanup_(freep) char *path = NULL;
	struct digest d = put(s, "travels"), got;
	struct stat a, b;

	if (stat("/dev/shm", &a) < 0 || stat(dir, &b) < 0 || a.st_dev == b.st_dev ||
		fs_make_temp_dir("/dev/shm", "dray-test-", &other) < 0)
		skip();
	path = path_join(other, "f");
	assert_int_equal(disk_link(s, &d, path), 0);
	check_file(path, "travels");
	assert_int_equal(stat(path, &a), 0);
	assert_int_equal(a.st_mode & 07777, 0444);
	assert_int_equal(disk_link(s, &d, path), -EEXIST);
	check_file(path, "travels");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fs_write_atomic(path, "comes", 5, 0600), 0);
	assert_int_equal(disk_adopt(s, path, &got, NULL), 0);
	assert_false(fs_exists(path));
	check_file(blob_path(&got), "comes");
	assert_int_equal(fs_rm_rf(other), 0);
}

static void
test_one_owner(void **state)
{
	struct store *s = open_store(0), *second = NULL;

	assert_int_equal(open_own_store(in("st"), 0, &second), -EBUSY);
	assert_null(second);
	store_close(s);
	s = open_store(0);
	store_close(s);
	store_close(NULL);
	assert_int_equal(fs_write_atomic(in("file"), "", 0, 0600), 0);
	assert_int_equal(open_own_store(in("file"), 0, &second), -ENOTDIR);
}

static void
test_scan_cleans(void **state)
{
	struct store *s = open_store(0);
	struct digest d = put(s, "stays"), torn = digest_of("torn");
	const char *path = blob_path(&torn);

	store_close(s);
	assert_int_equal(fs_write_atomic(in("st/tmp/left"), "x", 1, 0600), 0);
	assert_int_equal(fs_mkdir_p(in("st/tmp/dir/sub"), 0700), 0);
	assert_int_equal(fs_write_atomic(in("st/blobs/stray"), "x", 1, 0600), 0);
	assert_int_equal(symlink("/etc", in("st/blobs/aa")), 0);
	assert_int_equal(fs_mkdir_p(in("st/blobs/zz"), 0700), 0);
	assert_int_equal(fs_write_atomic(in("st/blobs/zz/kept-out"), "x", 1, 0600), 0);
	assert_int_equal(fs_mkdir_p(in("st/blobs/bb"), 0700), 0);
	assert_int_equal(fs_write_atomic(in("st/blobs/bb/not-a-digest"), "x", 1, 0600), 0);
	/* The right kind of name in the wrong directory. */
	assert_int_equal(link(blob_path(&d), in("st/blobs/bb/"
						"2cf24dba5fb0a30e26e83b2ac5b9e29e"
						"1b161e5c1fa7425e73043362938b9824")),
		0);
	assert_int_equal(fs_mkdir_parent(path, 0700), 0);
	assert_int_equal(fs_write_atomic(path, "", 0, 0444), 0);
	s = open_store(0);
	assert_true(has(s, &d));
	assert_false(has(s, &torn));
	check_stats(s, 1, 5);
	assert_int_equal(count_entries(in("st/tmp")), 0);
	assert_false(fs_exists(in("st/blobs/stray")));
	assert_false(fs_exists(in("st/blobs/aa")));
	assert_false(fs_exists(in("st/blobs/zz")));
	assert_int_equal(count_entries(in("st/blobs/bb")), 0);
	assert_true(fs_exists("/etc/passwd"));
	store_close(s);
}

/* What a power cut leaves: right names, any bytes, and another boot. */
static void
test_power_cut(void **state)
{
	struct store *s = open_store(0);
	struct digest good = put(s, "good one"), shorter = put(s, "shorter"),
		      wrong = put(s, "wrong");
	struct digest linked = put(s, "linked");

	store_close(s);
	assert_int_equal(fs_write_atomic(blob_path(&shorter), "sho", 3, 0444), 0);
	assert_int_equal(fs_write_atomic(blob_path(&wrong), "wrOng", 5, 0444), 0);
	assert_int_equal(fs_write_atomic(blob_path(&linked), "LINKED", 6, 0444), 0);
	assert_int_equal(fs_write_atomic(in("st/boot"), "another boot\n", 13, 0644), 0);
	s = open_store(0);
	check_stats(s, 4, 8 + 3 + 5 + 6);
	assert_true(has(s, &good));
	assert_false(has(s, &shorter));
	assert_int_equal(store_get_now(s, STORE_BLOB, &wrong, UINT64_MAX, NULL), -ENOENT);
	assert_int_equal(disk_link(s, &linked, in("out")), -ENOENT);
	assert_false(fs_exists(in("out")));
	check_stats(s, 1, 8);
	assert_false(fs_exists(blob_path(&wrong)));
	assert_int_equal(count_entries(in("st/tmp")), 0);
	/* And a good copy takes the place. */
	put(s, "wrong");
	assert_true(has(s, &wrong));
	store_close(s);
}

/* Also a blob in doubt that nobody has asked for is replaced, not trusted, by a new one. */
static void
test_put_over_a_doubtful_one(void **state)
{
	struct store *s = open_store(0);
	struct digest d = put(s, "right");

	store_close(s);
	assert_int_equal(fs_write_atomic(blob_path(&d), "wr", 2, 0444), 0);
	assert_int_equal(unlink(in("st/boot")), 0);
	s = open_store(0);
	put(s, "right");
	check_file(blob_path(&d), "right");
	check_stats(s, 1, 5);
	store_close(s);
}

static void
test_file_lost_behind_our_back(void **state)
{
	_cleanup_(store_closep) struct store *s = open_store(0);
	struct digest d = put(s, "gone"), e = put(s, "gone too"), f = put(s, "third");

	assert_int_equal(unlink(blob_path(&d)), 0);
	assert_int_equal(unlink(blob_path(&e)), 0);
	assert_int_equal(disk_link(s, &d, in("out")), -ENOENT);
	assert_int_equal(store_get_now(s, STORE_BLOB, &e, UINT64_MAX, NULL), -ENOENT);
	check_stats(s, 1, 5);
	assert_true(has(s, &f));
	assert_int_equal(unlink(blob_path(&f)), 0);
	/* Still in the index, and so recently used that it was not looked at: put mends it. */
	put(s, "third");
	check_file(blob_path(&f), "third");
}

static void
test_trim(void **state)
{
	_cleanup_(store_closep) struct store *s = open_store(10);
	struct digest a = put(s, "aaaa"), b = put(s, "bbbb"), c = put(s, "cccc"),
		      d = put(s, "dddd");
	struct store_stats st;

	assert_int_equal(disk_link(s, &b, in("in-use")), 0);
	assert_true(has(s, &a));
	store_trim(s, 0);
	check_stats(s, 4, 16);
	store_trim(s, 1);
	assert_false(has(s, &c));
	store_trim(s, 100);
	/* b was used before a: order of use now is d, b, a. */
	assert_false(has(s, &d));
	assert_true(has(s, &a));
	assert_true(has(s, &b));
	assert_int_equal(store_get_stats(s, &st), 0);
	assert_int_equal(st.blobs, 2);
	assert_int_equal(st.evicted, 2);
	assert_int_equal(st.max, 10);
	put(s, "eeee");
	put(s, "ffff");
	store_trim(s, 100);
	check_stats(s, 2, 8);
	assert_false(has(s, &b));
	check_file(in("in-use"), "bbbb");
	assert_int_equal(count_entries(in("st/tmp")), 0);
}

static void
set_used(const struct digest *d, time_t when)
{
	struct timespec times[2] = { { when, 0 }, { 1000, 0 } };

	assert_int_equal(utimensat(AT_FDCWD, blob_path(d), times, 0), 0);
}

static void
test_order_of_use_survives(void **state)
{
	struct store *s = open_store(0);
	struct digest a = put(s, "aaaa"), b = put(s, "bbbb"), c = put(s, "cccc");
	struct stat st;

	store_close(s);
	set_used(&a, 2000);
	set_used(&b, 5000);
	set_used(&c, 9000);
	s = open_store(0);
	assert_true(has(s, &a));
	assert_int_equal(stat(blob_path(&a), &st), 0);
	/* The use is on disk; a job's file did not get a new mtime. */
	assert_true(st.st_atime > 9000);
	assert_int_equal(st.st_mtime, 1000);
	store_close(s);
	s = open_store(5);
	store_trim(s, 2);
	assert_true(has(s, &a));
	assert_false(has(s, &b));
	assert_false(has(s, &c));
	store_close(s);
}

static void
test_many(void **state)
{
	_cleanup_(store_closep) struct store *s = open_store(0);
	char text[32];

	/* More than the first size of the index. */
	for (int i = 0; i < 2500; i++) {
		snprintf(text, sizeof(text), "blob %d", i);
		put(s, text);
	}
	for (int i = 0; i < 2500; i++) {
		struct digest d;

		snprintf(text, sizeof(text), "blob %d", i);
		d = digest_of(text);
		assert_true(has(s, &d));
	}
}

static void
test_write_failure(void **state)
{
	_cleanup_(store_closep) struct store *s = open_store(0);
	_cleanup_(freep) char *big = calloc(1, 100000);
	struct store_writer *w = NULL;
	struct rlimit old, small;
	struct digest d;

	assert_int_equal(digest_bytes(big, 100000, &d), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 50000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(store_write_begin(s, &w), 0);
	assert_int_equal(store_write(w, big, 100000), -EFBIG);
	assert_int_equal(count_entries(in("st/tmp")), 0);
	/* The first error stays, whatever the caller does next. */
	assert_int_equal(store_write(w, "x", 1), -EFBIG);
	assert_int_equal(store_write_commit_now(w, &d, 100000), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_false(has(s, &d));
	check_stats(s, 0, 0);
}

static bool
write_proc(const char *path, const char *text)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && fs_write_all(fd, text, strlen(text)) == 0;
}

/* A mount namespace; for an ordinary user, in a user namespace where this user is root. */
static bool
own_namespace(void)
{
	char uids[32], gids[32];

	snprintf(uids, sizeof(uids), "0 %u 1", (unsigned)geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1", (unsigned)getegid());
	if (unshare(CLONE_NEWNS) == 0)
		return true;
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
	       write_proc("/proc/self/uid_map", uids) &&
	       write_proc("/proc/self/setgroups", "deny") && write_proc("/proc/self/gid_map", gids);
}

static bool
mount_small(void)
{
	if (!own_namespace())
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mkdir(in("st"), 0700) == 0 &&
	       mount("tmpfs", in("st"), "tmpfs", 0, "size=1m,mode=0700") == 0;
}

/* In a child: 0 good, 77 no small disk can be made, else the number of the step that failed. */
static int
fill_a_disk(void)
{
	static char block[700 * 1024];
	struct store_writer *w = NULL;
	struct store_stats st;
	struct store *s = NULL;
	struct digest d;
	int r;

	if (!mount_small())
		return 77;
	if (open_own_store(in("st"), 0, &s) < 0)
		return 1;
	if (put_as(s, "old", &(struct digest){ { 0 } }, 3) != -EBADMSG)
		return 2;
	memset(block, 'a', sizeof(block));
	if (digest_bytes(block, sizeof(block), &d) < 0 || store_write_begin(s, &w) < 0 ||
		store_write(w, block, sizeof(block)) < 0 ||
		store_write_commit_now(w, &d, sizeof(block)) < 0)
		return 3;
	memset(block, 'b', sizeof(block));
	if (digest_bytes(block, sizeof(block), &d) < 0 || store_write_begin(s, &w) < 0)
		return 4;
	r = store_write(w, block, sizeof(block));
	if (r != -ENOSPC || store_write_commit_now(w, &d, sizeof(block)) != -ENOSPC)
		return 5;
	if (store_get_stats(s, &st) < 0 || st.blobs != 0 || st.evicted != 1 ||
		count_entries(in("st/tmp")) != 0)
		return 6;
	/* The next try has room. */
	if (store_write_begin(s, &w) < 0 || store_write(w, block, sizeof(block)) < 0 ||
		store_write_commit_now(w, &d, sizeof(block)) < 0 || !has(s, &d))
		return 7;
	store_close(s);
	return 0;
}

static void
test_full_disk(void **state)
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fill_a_disk());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

struct worker {
	struct store *s;
	unsigned id, linked, failures;
};

static void *
work(void *arg)
{
	struct worker *w = arg;
	char text[32], name[64], path[4096];
	struct digest d;

	for (unsigned i = 0; i < 300; i++) {
		struct store_writer *writer = NULL;
		int r;

		/* All threads write the same few blobs, while all evict. */
		snprintf(text, sizeof(text), "shared blob %02u", (i * 7 + w->id) % 40);
		w->failures += digest_bytes(text, strlen(text), &d) < 0;
		w->failures += store_write_begin(w->s, &writer) < 0 ||
			       store_write(writer, text, strlen(text)) < 0 ||
			       store_write_commit_now(writer, &d, strlen(text)) < 0;
		snprintf(name, sizeof(name), "/out-%u-%u", w->id, i);
		snprintf(path, sizeof(path), "%s%s", dir, name);
		r = disk_link(w->s, &d, path);
		w->linked += r == 0;
		w->failures += r < 0 && r != -ENOENT;
		store_trim(w->s, 3);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	_cleanup_(store_closep) struct store *s = open_store(150);
	struct worker w[4];
	pthread_t thread[4];
	unsigned linked = 0, on_disk = 0;
	struct store_stats st;

	for (unsigned i = 0; i < 4; i++) {
		w[i] = (struct worker){ s, i, 0, 0 };
		assert_int_equal(pthread_create(&thread[i], NULL, work, &w[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_int_equal(w[i].failures, 0);
		linked += w[i].linked;
	}
	assert_true(linked > 0);
	for (unsigned i = 0; i < 40; i++) {
		char text[32];
		struct digest d;

		snprintf(text, sizeof(text), "shared blob %02u", i);
		d = digest_of(text);
		assert_int_equal(has(s, &d), fs_exists(blob_path(&d)));
		if (fs_exists(blob_path(&d))) {
			check_file(blob_path(&d), text);
			on_disk++;
		}
	}
	store_trim(s, 100);
	assert_int_equal(store_get_stats(s, &st), 0);
	assert_true(st.bytes <= 150);
	assert_true(on_disk >= st.blobs && st.evicted > 0);
	assert_int_equal(count_entries(in("st/tmp")), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_put_and_get),
		TEST(test_lies_are_refused),
		TEST(test_empty_and_abort),
		TEST(test_add_and_adopt),
		TEST(test_across_file_systems),
		TEST(test_one_owner),
		TEST(test_scan_cleans),
		TEST(test_power_cut),
		TEST(test_put_over_a_doubtful_one),
		TEST(test_file_lost_behind_our_back),
		TEST(test_trim),
		TEST(test_order_of_use_survives),
		TEST(test_many),
		TEST(test_write_failure),
		TEST(test_full_disk),
		TEST(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
