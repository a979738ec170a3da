/* A depot that several users share: modes under any umask, no file under two names, and no blob
 * that is believed by the time it was given. */
#include "config.h"

#include <fts.h>

#include "common/share.h"
#include "store/depot_priv.h"
#include "tests/unit/aged.h"
#include "tests/unit/depot_fixture.h"

static struct depot *
open_shared(void)
{
	static char group[16];
	struct depot_in i = { .dir = cache, .max = 1 << 30, .group = group, .memo = memo };
	struct depot *d = NULL;

	snprintf(group, sizeof(group), "%u", (unsigned)getegid());
	assert_int_equal(depot_open(&i, &d), 0);
	return d;
}

/* Whether all that is in the cache is of the group, for the group, and for nobody else. */
static void
assert_modes(void)
{
	char *const paths[] = { cache, NULL };
	_cleanup_(fts_closep) FTS *f = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	const FTSENT *e;
	unsigned n = 0;

	assert_non_null(f);
	while ((e = fts_read(f)) != NULL) {
		mode_t mode = e->fts_statp->st_mode;
		bool blob = strstr(e->fts_path, "/blobs/") != NULL;

		if (e->fts_info == FTS_DP)
			continue;
		n++;
		if ((mode & 07777) != (S_ISDIR(mode) ? 02770
					      : blob ? 0440
						     : 0660) ||
			e->fts_statp->st_gid != getegid() ||
			(S_ISREG(mode) && e->fts_statp->st_nlink != 1))
			fail_msg("%s has mode %o, %ju links", e->fts_path, (unsigned)mode,
				(uintmax_t)e->fts_statp->st_nlink);
	}
	assert_true(n > 12);
}

static void
any_umask(void **state)
{
	static const mode_t masks[] = { 0, 022, 077, 0277 };

	for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
		struct depot *d = open_shared();
		struct digest key = digest_of("key");
		struct store_stats s;
		int lock = -1;

		umask(masks[i]);
		put_file(in("source"), "text");
		add(d, "text", DEPOT_SHARE, in("source"));
		add(d, "copy", DEPOT_COPY, in("source"));
		assert_int_equal(depot_write_entry(d, &key, "one", 3), 0);
		assert_int_equal(depot_write_entry(d, &key, "two", 3), 0);
		assert_int_equal(depot_lock(d, &key, true, &lock), 0);
		close(lock);
		depot_trim(d, 10);
		assert_int_equal(depot_get_stats(d, &s), 0);
		assert_int_equal(restore(d, "text", DEPOT_SHARE, in("out")), 0);
		assert_modes();
		assert_int_equal(stat_of(in("out")).st_mode & 07777, 0640);
		assert_int_equal(stat_of(in("out")).st_nlink, 1);
		assert_int_equal(stat_of(in("source")).st_nlink, 1);
		depot_close(d);
		umask(022);
		assert_int_equal(fs_rm_rf(cache), 0);
	}
}

/* What its owner may do: change it in place, and put back its time. */
static void
dated_back(void **state)
{
	struct depot *d = open_shared();
	struct digest g = digest_of("content");
	struct timespec t[2];
	int fd;

	add(d, "content", DEPOT_COPY, in("source"));
	/* so that it is remembered */
	wait_until_aged(dir, blob_path(&g), 150);
	assert_int_equal(restore(d, "content", DEPOT_COPY, in("out")), 0);
	assert_int_equal(restore(d, "content", DEPOT_COPY, in("out")), 0);
	t[0] = stat_of(blob_path(&g)).st_atim;
	t[1] = stat_of(blob_path(&g)).st_mtim;
	assert_int_equal(chmod(blob_path(&g), 0640), 0);
	fd = open(blob_path(&g), O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "CONTENT", 7, 0), 7);
	assert_int_equal(futimens(fd, t), 0);
	close(fd);
	assert_int_equal(restore(d, "content", DEPOT_COPY, in("out")), -EBADMSG);
	assert_holds(in("out"), "content");
	assert_int_equal(restore(d, "content", DEPOT_COPY, in("out")), -ENOENT);
	depot_close(d);
}

/* A ctime that moves is a blob that each user hashes again. */
static void
marks_move_no_ctime(void **state)
{
	struct depot *d = open_shared();
	struct digest g = digest_of("content"), key = digest_of("key");
	char hex[DIGEST_HEX_SIZE], name[DIGEST_HEX_SIZE + 32];
	struct stat before, after, entry;

	add(d, "content", DEPOT_COPY, in("source"));
	assert_int_equal(depot_write_entry(d, &key, "one", 3), 0);
	digest_hex(&key, hex);
	snprintf(name, sizeof(name), "cache/entries/%.2s/%s", hex, hex);
	set_old(in(name));
	before = stat_of(blob_path(&g));
	depot_used(d, &key, &g, 1);
	after = stat_of(blob_path(&g));
	entry = stat_of(in(name));
	assert_true(is_now(&entry));
	assert_int_equal(before.st_ctim.tv_sec, after.st_ctim.tv_sec);
	assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	depot_close(d);
}

static void
refused(void **state)
{
	struct depot_in i = { .dir = cache, .group = "4294967290" };
	struct depot *d = NULL;
	char why[SHARE_WHY_SIZE];

	assert_int_equal(depot_open(&i, &d), -EPERM);
	assert_null(d);
	depot_why_refused(&i, why);
	assert_non_null(strstr(why, "not of the group 4294967290"));
	i.group = NULL;
	assert_int_equal(mkdir(cache, 0700), 0);
	assert_int_equal(chmod(cache, 0777), 0);
	assert_int_equal(depot_open(&i, &d), -EPERM);
	depot_why_refused(&i, why);
	assert_non_null(strstr(why, "other users may write"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(any_umask, setup, teardown),
		cmocka_unit_test_setup_teardown(dated_back, setup, teardown),
		cmocka_unit_test_setup_teardown(marks_move_no_ctime, setup, teardown),
		cmocka_unit_test_setup_teardown(refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
