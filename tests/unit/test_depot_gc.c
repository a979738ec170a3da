/* The local cache's budget: what was used least recently goes, in small steps; the index may be
 * lost, damaged or wrong; an evictor may be stopped or killed. */
#include "config.h"

#include "store/depot_priv.h"
#include "tests/unit/depot_fixture.h"

static int ready[2];

#define CROWD 12
#define ROUNDS 40

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

static void
stats_and_gc(void **state)
{
	struct depot *d = open_depot();
	struct store_stats s, after;
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
	assert_int_equal(depot_gc(d, &(struct disk_goal){ .max = 0 }, &s, &after), 0);
	assert_int_equal(after.entries, 6);
	assert_int_equal(after.max, 1 << 30);
	depot_close(d);
	/* by the files */
	remove_index();
	d = open_depot();
	assert_int_equal(depot_gc(d, &(struct disk_goal){ .max = s.bytes / 2 }, &s, &after), 0);
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
	assert_int_equal(depot_gc(d, &(struct disk_goal){ .all = true }, NULL, &after), 0);
	assert_int_equal(after.blobs + after.entries + after.bytes, 0);
	assert_int_equal(count_all("blobs") + count_all("entries"), 0);
	assert_int_equal(depot_get_stats(d, &s), 0);
	assert_int_equal(s.blobs + s.entries + s.bytes, 0);
	depot_close(d);
	d = open_with(0, true);
	assert_int_equal(depot_gc(d, &(struct disk_goal){ .all = true }, NULL, NULL), -EROFS);
	assert_int_equal(depot_get_stats(d, &s), 0);
	assert_true(s.max > 0 && s.max <= UINT64_C(20) << 30);
	depot_close(d);
}

/* What was last used 10 to 15 hours ago, as the files say: to the hour. */
static void
unused_since(void **state)
{
	uint64_t now = (uint64_t)time(NULL);
	struct depot *d = open_depot();
	struct store_stats after;

	for (int i = 0; i < 6; i++)
		add_old(d, i, 10 + i);
	depot_close(d);
	remove_index();
	d = open_depot();
	assert_int_equal(
		depot_gc(d, &(struct disk_goal){ .unused_since = now - 15 * 3600 }, NULL, &after),
		0);
	assert_int_equal(after.entries, 6);
	assert_int_equal(depot_gc(d, &(struct disk_goal){ .unused_since = now - 12 * 3600 + 1800 },
				 NULL, &after),
		0);
	assert_int_equal(after.entries, 3);
	assert_int_equal(after.blobs, 3);
	for (int i = 0; i < 6; i++)
		assert_int_equal(has_old(d, i), i < 3);
	depot_close(d);
}

static uint64_t
bytes_now(struct depot *d)
{
	struct store_stats s;

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
	assert_int_equal(depot_gc(d, &(struct disk_goal){ .max = 0 }, NULL, NULL), 0);
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
	assert_int_equal(depot_gc(d, &(struct disk_goal){ .max = 0 }, NULL, NULL), 0);
	assert_int_equal(bytes_now(d), 3 * BIG);
	depot_close(d);
}

/* Does not read the entry: that is a use, as its time tells. */
static bool
has_blob(struct depot *d, int i)
{
	char text[BIG + 1];
	struct digest g;

	memset(text, 'a' + i, BIG);
	text[BIG] = '\0';
	g = digest_of(text);
	return depot_has(d, &g, BIG);
}

/* There is no index: the budget holds all the same, and what came last stays. */
static void
no_index_ever(void **state)
{
	struct depot *d = open_with(20 * BIG, false);
	struct store_stats s;

	assert_int_equal(fs_mkdir_p(in("cache/index.lmdb"), 0700), 0);
	for (int i = 0; i < 26; i++) {
		add_old(d, i, 30 - i);
		depot_trim(d, 100);
		assert_true(has_blob(d, i));
	}
	assert_int_equal(depot_get_stats(d, &s), 0);
	assert_in_range(s.bytes, 16 * BIG, 20 * BIG);
	assert_false(has_blob(d, 0));
	/* another process goes on with what is known */
	depot_close(d);
	d = open_with(10 * BIG, false);
	depot_trim(d, 100);
	assert_int_equal(depot_get_stats(d, &s), 0);
	assert_true(s.bytes <= 10 * BIG);
	assert_true(has_blob(d, 25));
	/* sums that make no sense are none */
	assert_int_equal(fs_write_atomic(in("cache/sums"), "nonsense", 8, 0600), 0);
	depot_trim(d, 100);
	assert_true(has_blob(d, 25));
	depot_close(d);
}

static void
broken_index(void **state)
{
	struct store_stats s;
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
		assert_int_equal(depot_gc(d, &(struct disk_goal){ .max = 0 }, NULL, NULL), 0);
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
		assert_int_equal(depot_gc(d, &(struct disk_goal){ .max = 0 }, NULL, &s), 0);
		assert_true(s.bytes <= 4 * BIG);
		assert_int_equal(s.blobs, count_all("blobs"));
		assert_int_equal(s.entries, count_all("entries"));
		assert_true(has_old(d, 4) && has_old(d, 2));
		assert_int_equal(depot_gc(d, &(struct disk_goal){ .all = true }, NULL, NULL), 0);
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
	assert_int_equal(depot_gc(d, &(struct disk_goal){ .max = 0 }, NULL, NULL), 0);
	assert_false(fs_exists(blob_path(&g)));
	g = digest_of("");
	assert_true(fs_exists(blob_path(&g)));
	assert_true(fs_exists(in("cache/blobs/e3/young")));
	depot_close(d);
}

static void
hold_evictor(struct depot *d, int who)
{
	int fd = -1;

	if (disk_lock(d->store, "evict", 0, false, &fd) < 0 || write(ready[1], "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* Nobody waits for another evictor, and nobody evicts beside it, unless it is stopped. */
static void
stopped_evictor(void **state)
{
	struct depot *d = open_depot();
	pid_t pid;
	char c;
	int i, status;

	for (i = 0; i < 4; i++)
		add_old(d, i, 10 + i);
	assert_int_equal(depot_gc(d, &(struct disk_goal){ .max = 0 }, NULL, NULL), 0);
	depot_close(d);
	d = open_with(BIG, false);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork_with(hold_evictor, 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	depot_trim(d, 100);
	assert_int_equal(count_all("blobs"), 4);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	depot_trim(d, 100);
	assert_true(bytes_now(d) <= BIG);
	add_old(d, 7, 17);
	assert_int_equal(depot_gc(d, &(struct disk_goal){ .max = 1 }, NULL, NULL), 0);
	assert_int_equal(count_all("blobs"), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_ended(pid, SIGKILL);
	close(ready[0]);
	close(ready[1]);
	depot_close(d);
}

/* Those that are killed tell of each round, each at another place in it, and go on until then. */
static bool
is_victim(int who)
{
	return who % 4 == 1;
}

static void
tell(int who, int place)
{
	if (is_victim(who) && who / 4 == place && write(ready[1], "x", 1) != 1)
		_exit(7);
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
	for (n = 0; is_victim(who) || n < ROUNDS; n++) {
		tell(who, 0);
		memset(text, 'a' + (n + who) % 20, BIG);
		text[BIG] = '\0';
		if (fs_write_atomic(path, text, BIG, 0644) < 0)
			_exit(2);
		if (depot_add(d, path, n % 2 ? DEPOT_SHARE : DEPOT_COPY, &g, NULL) < 0)
			_exit(3);
		tell(who, 1);
		r = depot_restore(d, &g, BIG, DEPOT_SHARE, 0644, out);
		if (r < 0 && r != -ENOENT)
			_exit(4);
		if (depot_write_entry(d, &g, text, 100) < 0)
			_exit(5);
		tell(who, 2);
		depot_trim(d, 4);
		if (who == 0 && n % 10 == 5 &&
			depot_gc(d, &(struct disk_goal){ .all = n == 25 }, NULL, NULL) < 0)
			_exit(6);
	}
	depot_close(d);
}

/* Some are killed at any instant; the others go on, and the numbers come right. */
static void
many_evictors(void **state)
{
	struct store_stats s;
	pid_t pid[CROWD];
	int heard[CROWD];
	struct depot *d;
	time_t until;
	char c;
	int i, k;

	for (i = 0; i < CROWD; i++) {
		assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
		pid[i] = fork_with(in_the_evicting_crowd, i);
		heard[i] = ready[0];
		close(ready[1]);
	}
	for (i = 0; i < CROWD; i++) {
		for (k = 0; is_victim(i) && k < 5 + i; k++)
			assert_int_equal(read(heard[i], &c, 1), 1);
		if (is_victim(i))
			kill(pid[i], SIGKILL);
	}
	for (i = 0; i < CROWD; i++) {
		assert_ended(pid[i], is_victim(i) ? SIGKILL : 0);
		close(heard[i]);
	}
	d = open_with(6 * BIG, false);
	assert_int_equal(depot_gc(d, &(struct disk_goal){ .max = 0 }, NULL, &s), 0);
	assert_true(s.bytes <= 6 * BIG);
	/* what an index that could not be written to for a moment does not say, it says after
	 * another; a record of a file that is gone stays until it is older than a scan's begin */
	for (until = time(NULL) + 60; time(NULL) < until;) {
		assert_int_equal(depot_get_stats(d, &s), 0);
		if (s.bytes <= 6 * BIG && s.blobs == count_all("blobs") &&
			s.entries == count_all("entries"))
			break;
		assert_int_equal(depot_gc(d, &(struct disk_goal){ .max = 0 }, NULL, NULL), 0);
	}
	assert_true(s.bytes <= 6 * BIG);
	assert_int_equal(s.blobs, count_all("blobs"));
	assert_int_equal(s.entries, count_all("entries"));
	assert_int_equal(count_in(in("cache/tmp")), 0);
	depot_close(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(stats_and_gc, setup, teardown),
		cmocka_unit_test_setup_teardown(unused_since, setup, teardown),
		cmocka_unit_test_setup_teardown(trims_the_least_recently_used, setup, teardown),
		cmocka_unit_test_setup_teardown(new_index, setup, teardown),
		cmocka_unit_test_setup_teardown(no_index_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_index, setup, teardown),
		cmocka_unit_test_setup_teardown(junk_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(stopped_evictor, setup, teardown),
		cmocka_unit_test_setup_teardown(many_evictors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
