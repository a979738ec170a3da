/* The local cache and kill -9: a process is killed at each of its steps on the disk in turn
 * (killat.so). What is seen afterwards is absent or whole; no lock stays; a process that does the
 * same next, does it; and what the killed one left goes. This program is its own victim. */
#include "config.h"

#include "common/outdir/left.h"
#include "tests/unit/depot_fixture.h"

#define SHARED "an rlib, which may be shared"
#define COPIED "a program, which may not"
#define ENTRY "an entry's bytes"
#define MAX_EVICT 8192
#define WAIT_S 60

/* What the victim does. 0, or 1 for the first that fails, and so on. */

static int
do_store(struct depot *d)
{
	struct digest g, k = digest_of("key");

	if (depot_add(d, in("rlib"), DEPOT_SHARE, &g, NULL) < 0)
		return 1;
	if (depot_add(d, in("program"), DEPOT_COPY, &g, NULL) < 0)
		return 2;
	if (depot_write_entry(d, &k, ENTRY, strlen(ENTRY)) < 0)
		return 3;
	depot_trim(d, 10);
	return 0;
}

static int
do_restore(struct depot *d)
{
	struct digest blobs[2] = { digest_of(SHARED), digest_of(COPIED) }, k = digest_of("key");

	if (restore(d, SHARED, DEPOT_SHARE, in("out/rlib")) < 0)
		return 1;
	if (restore(d, COPIED, DEPOT_COPY, in("out/program")) < 0)
		return 2;
	depot_used(d, &k, blobs, 2);
	return 0;
}

static int
do_evict(struct depot *d)
{
	depot_trim(d, 3);
	return depot_gc(d, &(struct disk_goal){ .max = 0 }, NULL, NULL) < 0;
}

static const struct {
	int (*run)(struct depot *d);
	uint64_t max;
} acts[] = {
	{ do_store, 1 << 30 },
	{ do_restore, 1 << 30 },
	{ do_evict, MAX_EVICT },
};

enum { STORE, RESTORE, EVICT };

/* In killat.so. */
extern void killat_arm(unsigned long n) __attribute__((weak));
extern unsigned long killat_count(void) __attribute__((weak));

/* A child that does it; it is killed at its step `at` (0: never). Its status, and its steps when it
 * came to its end. */
static int
run_act(int which, unsigned long at, unsigned long *ret_steps)
{
	unsigned long n = 0;
	int back[2], status, r;
	pid_t pid;

	assert_int_equal(pipe2(back, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct depot *d;

		killat_arm(at);
		if (memo_open(in("memo"), &memo) < 0)
			_exit(99);
		d = open_with(acts[which].max, false);
		r = acts[which].run(d);
		depot_close(d);
		memo_close(memo);
		n = killat_count();
		killat_arm(0);
		_exit(write(back[1], &n, sizeof(n)) == sizeof(n) ? r : 98);
	}
	close(back[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status == 0) {
		assert_int_equal(read(back[0], &n, sizeof(n)), sizeof(n));
		*ret_steps = n;
	}
	close(back[0]);
	return status;
}

/* Begins this program anew with killat.so. */
static void
preload(char *argv[])
{
	const char *build = getenv("DRAY_TEST_BUILDDIR");
	char so[4096];

	snprintf(so, sizeof(so), "%s/tests/scenario/killat.so", build != NULL ? build : ".");
	if (getenv("LD_PRELOAD") == NULL && setenv("LD_PRELOAD", so, 1) == 0) {
		/* a sanitizer wants to be the first that is loaded */
		setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
		execv("/proc/self/exe", argv);
	}
	fprintf(stderr, "%s is not there\n", so);
	exit(1);
}

/* Each blob that has a name is whole and read-only. */
static void
assert_blobs_whole(void)
{
	char sub[32];
	int i;

	for (i = 0; i < 256; i++) {
		_cleanup_(closedirp) DIR *s = NULL;
		const struct dirent *e;

		snprintf(sub, sizeof(sub), "cache/blobs/%02x", i);
		s = opendir(in(sub));
		while (s != NULL && (e = readdir(s)) != NULL) {
			char name[300];
			struct digest want, is;

			if (e->d_name[0] == '.')
				continue;
			snprintf(name, sizeof(name), "%s/%s", sub, e->d_name);
			assert_int_equal(digest_parse(e->d_name, &want), 0);
			assert_int_equal(digest_file(in(name), &is, NULL), 0);
			assert_true(digest_eq(&want, &is));
		}
	}
}

/* Whether there is an entry; then it is whole. */
static bool
entry_is_there(struct depot *d)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct digest k = digest_of("key");
	int r = depot_read_entry(d, &k, &b);

	if (r == 0) {
		assert_int_equal(b.n, strlen(ENTRY));
		assert_memory_equal(b.p, ENTRY, b.n);
	} else {
		assert_int_equal(r, -ENOENT);
	}
	return r == 0;
}

/* What is left in the end: no file that is not whole, and numbers that are right. */
static void
assert_clean(struct depot *d)
{
	struct store_stats s;
	int fd = -1;
	struct digest k = digest_of("key");

	assert_int_equal(depot_lock(d, &k, false, &fd), 0);
	closep(&fd);
	assert_int_equal(depot_gc(d, &(struct disk_goal){ .max = 0 }, NULL, &s), 0);
	assert_int_equal(s.blobs, count_all("blobs"));
	assert_int_equal(s.entries, count_all("entries"));
	assert_int_equal(count_in(in("cache/tmp")), 0);
	assert_int_equal(depot_get_stats(d, &s), 0);
	assert_int_equal(s.blobs, count_all("blobs"));
	assert_blobs_whole();
}

/* The same again, by a process that nobody kills, and that is not held up. */
static struct depot *
next_one(int which)
{
	unsigned long steps;
	struct depot *d;

	alarm(WAIT_S);
	assert_int_equal(run_act(which, 0, &steps), 0);
	assert_int_equal(memo_open(in("memo"), &memo), 0);
	d = open_with(acts[which].max, false);
	alarm(0);
	return d;
}

static void
end_round(struct depot *d)
{
	depot_close(d);
	memo_close(memo);
	memo = NULL;
}

static void
begin_round(void)
{
	assert_int_equal(fs_rm_rf(dir), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(mkdir(in("out"), 0700), 0);
}

/* Another has stored it all, and has used it long ago. first: its checkout still has the rlib. */
static void
store_before(bool first)
{
	struct digest k = digest_of("key");
	char hex[DIGEST_HEX_SIZE], name[100];
	struct depot *d;

	assert_int_equal(memo_open(in("memo"), &memo), 0);
	d = open_depot();
	add(d, SHARED, DEPOT_SHARE, in("first"));
	set_old(in("first"));
	add(d, COPIED, DEPOT_COPY, in("program"));
	assert_int_equal(depot_write_entry(d, &k, ENTRY, strlen(ENTRY)), 0);
	digest_hex(&k, hex);
	snprintf(name, sizeof(name), "cache/entries/%.2s/%s", hex, hex);
	set_old(in(name));
	if (!first)
		assert_int_equal(unlink(in("first")), 0);
	end_round(d);
}

/* Rounds until the victim comes to its end alive. */
static void
kill_at_each_step(int which, void (*before)(int variant), void (*after)(int variant), int variant)
{
	unsigned long at, steps = 0;
	int status;

	for (at = 1; steps == 0; at++) {
		assert_true(at < 2000);
		begin_round();
		before(variant);
		status = run_act(which, at, &steps);
		if (status != 0)
			assert_int_equal(status, SIGKILL);
		after(variant);
	}
	/* it was killed at each of them, and there were some */
	assert_int_equal(at - 2, steps);
	assert_true(steps > 10);
}

static void
before_store(int variant)
{
	if (variant == 1)
		store_before(true);
	put_file(in("rlib"), SHARED);
	put_file(in("program"), COPIED);
}

static void
after_store(int variant)
{
	struct depot *d;

	/* what was to be stored is what it was */
	assert_holds(in("rlib"), SHARED);
	assert_holds(in("program"), COPIED);
	assert_blobs_whole();
	d = open_depot();
	(void)entry_is_there(d);
	depot_close(d);
	d = next_one(STORE);
	assert_true(entry_is_there(d));
	assert_int_equal(restore(d, SHARED, DEPOT_SHARE, in("out/rlib")), 0);
	assert_holds(in("out/rlib"), SHARED);
	assert_int_equal(restore(d, COPIED, DEPOT_COPY, in("out/program")), 0);
	assert_holds(in("out/program"), COPIED);
	assert_clean(d);
	end_round(d);
}

static void
killed_store(void **state)
{
	kill_at_each_step(STORE, before_store, after_store, 0);
}

static void
killed_store_of_what_is_there(void **state)
{
	kill_at_each_step(STORE, before_store, after_store, 1);
}

static void
before_restore(int variant)
{
	store_before(variant == 1);
	put_file(in("out/rlib"), "old");
}

static void
after_restore(int variant)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct depot *d;

	/* the old one or the new one */
	assert_int_equal(fs_read_file(in("out/rlib"), 1000, &b), 0);
	assert_holds(in("out/rlib"), b.n == 3 ? "old" : SHARED);
	if (fs_exists(in("out/program")))
		assert_holds(in("out/program"), COPIED);
	assert_blobs_whole();
	if (variant == 1)
		assert_int_equal(stat_of(in("first")).st_mtime, 1000000000);
	d = next_one(RESTORE);
	assert_true(entry_is_there(d));
	assert_holds(in("out/rlib"), SHARED);
	assert_holds(in("out/program"), COPIED);
	left_sweep(NULL, in("out"));
	assert_int_equal(count_in(in("out")), 2);
	if (variant == 1)
		assert_int_equal(stat_of(in("first")).st_mtime, 1000000000);
	assert_clean(d);
	end_round(d);
}

static void
killed_restore(void **state)
{
	kill_at_each_step(RESTORE, before_restore, after_restore, 0);
}

static void
killed_restore_beside_another_checkout(void **state)
{
	kill_at_each_step(RESTORE, before_restore, after_restore, 1);
}

static void
before_evict(int variant)
{
	store_before(false);
}

static void
after_evict(int variant)
{
	struct depot *d;

	assert_blobs_whole();
	d = next_one(EVICT);
	assert_true(count_all("blobs") + count_all("entries") <= 2);
	assert_clean(d);
	end_round(d);
}

static void
killed_evictor(void **state)
{
	kill_at_each_step(EVICT, before_evict, after_evict, 0);
}

static int
setup_dir(void **state)
{
	int r = setup(state);

	memo_close(memo);
	memo = NULL;
	return r;
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(killed_store, setup_dir, teardown),
		cmocka_unit_test_setup_teardown(killed_store_of_what_is_there, setup_dir, teardown),
		cmocka_unit_test_setup_teardown(killed_restore, setup_dir, teardown),
		cmocka_unit_test_setup_teardown(
			killed_restore_beside_another_checkout, setup_dir, teardown),
		cmocka_unit_test_setup_teardown(killed_evictor, setup_dir, teardown),
	};

	if (killat_arm == NULL || killat_count == NULL)
		preload(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
