/* What a target directory was made of stays in the cache together: a use of one unit keeps the
 * others, as long as what they made lies there; whatever is in the file, nothing breaks. */
#include "config.h"

#include "cache/entry.h"
#include "client/cached/together.h"
#include "tests/unit/depot_fixture.h"

#define UNITS 8
#define OLD_S (10 * 24 * 3600)

static struct digest
key_of(int project, int unit)
{
	char text[32];

	snprintf(text, sizeof(text), "key %d %d", project, unit);
	return digest_of(text);
}

static struct digest
blob_of(int project, int unit)
{
	char text[32];

	snprintf(text, sizeof(text), "blob %d %d", project, unit);
	return digest_of(text);
}

static const char *
target(int project)
{
	char name[32];

	snprintf(name, sizeof(name), "project %d/target", project);
	return in(name);
}

static char *
made_by(int unit)
{
	static char name[32];

	snprintf(name, sizeof(name), "debug/deps/unit-%d.d", unit);
	return name;
}

static void
note(struct depot *d, int project, int unit)
{
	const struct together_in in = { d, memo, cache, target(project) };
	struct digest key = key_of(project, unit);

	together_note(&in, &key, made_by(unit));
}

/* An entry with one blob, and what it made. */
static void
make(struct depot *d, int project, int unit)
{
	_cleanup_(entry_done) struct entry e = { .key = key_of(project, unit) };
	_cleanup_(result_done) struct result res = RESULT_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *path = path_join(target(project), made_by(unit));
	struct output *o = result_add_output(&res, "unit.rlib");
	char text[32];

	snprintf(text, sizeof(text), "blob %d %d", project, unit);
	add(d, text, DEPOT_COPY, in("source"));
	o->is_blob = true;
	o->mode = 0644;
	res.from = strdup("local");
	res.rustc = strdup("1.95.0");
	assert_int_equal(inputs_add(&res.inputs, INPUT_ABSENT, "/w/a.rs", NULL, 0), 0);
	o->digest = blob_of(project, unit);
	o->size = strlen(text);
	assert_int_equal(entry_add_result(&e, &res), 0);
	assert_int_equal(entry_encode(&e, &b), 0);
	assert_int_equal(depot_write_entry(d, &e.key, b.p, b.n), 0);
	assert_int_equal(fs_mkdir_parent(path, 0700), 0);
	put_file(path, "");
	note(d, project, unit);
}

static bool
is_here(struct depot *d, int project, int unit)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct digest key = key_of(project, unit), blob = blob_of(project, unit);
	char text[32];
	int n = snprintf(text, sizeof(text), "blob %d %d", project, unit);
	bool here = depot_read_entry(d, &key, &b) == 0;

	assert_int_equal(here, depot_has(d, &blob, (uint64_t)n));
	return here;
}

static void
set_time(const char *path, time_t at)
{
	const struct timespec t[2] = { { at, 0 }, { at, 0 } };

	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

/* As if all of the project had been used last so long ago. */
static void
age(int project, time_t seconds)
{
	char hex[DIGEST_HEX_SIZE], name[128];

	for (int unit = 0; unit < UNITS; unit++) {
		struct digest key = key_of(project, unit), blob = blob_of(project, unit);

		digest_hex(&key, hex);
		snprintf(name, sizeof(name), "cache/entries/%.2s/%s", hex, hex);
		set_time(in(name), time(NULL) - seconds);
		set_time(blob_path(&blob), time(NULL) - seconds);
	}
}

/* The index, and the memo's note of when all were marked, are of that time, too. */
static struct depot *
days_later(struct depot *d)
{
	depot_close(d);
	memo_close(memo);
	memo = NULL;
	assert_int_equal(fs_rm_rf(in("memo")), 0);
	assert_int_equal(fs_rm_rf(in("cache/index.lmdb")), 0);
	assert_int_equal(fs_rm_rf(in("cache/index.lmdb-lock")), 0);
	assert_int_equal(memo_open(in("memo"), &memo), 0);
	return open_depot();
}

static const char *
only_file(void)
{
	_cleanup_(closedirp) DIR *d = opendir(in("cache/together"));
	char name[300] = "";
	struct dirent *e;

	while ((e = readdir(d)))
		if (*e->d_name != '.')
			snprintf(name, sizeof(name), "cache/together/%s", e->d_name);
	assert_true(*name);
	return in(name);
}

/* The first project's libraries are fresh, and only its last unit is ever made again; the second
 * one was used as a whole, later than those, and is not any more. */
static void
one_use_keeps_all(void **state)
{
	struct depot *d = open_depot();
	struct store_stats after;

	(void)state;
	for (int unit = 0; unit < UNITS; unit++) {
		make(d, 1, unit);
		make(d, 2, unit);
	}
	age(1, 2 * OLD_S);
	age(2, OLD_S);
	d = days_later(d);
	note(d, 1, UNITS - 1);
	assert_int_equal(
		depot_gc(d, &(struct disk_goal){ .unused_since = (uint64_t)time(NULL) - OLD_S / 2 },
			NULL, &after),
		0);
	for (int unit = 0; unit < UNITS; unit++) {
		assert_true(is_here(d, 1, unit));
		assert_false(is_here(d, 2, unit));
	}
	depot_close(d);
}

static void
what_lies_there_no_more_is_not_kept(void **state)
{
	struct depot *d = open_depot();
	_cleanup_(freep) char *gone = NULL;
	struct store_stats after;

	(void)state;
	for (int unit = 0; unit < UNITS; unit++)
		make(d, 1, unit);
	gone = path_join(target(1), made_by(3));
	assert_int_equal(unlink(gone), 0);
	age(1, OLD_S);
	d = days_later(d);
	note(d, 1, 0);
	assert_int_equal(
		depot_gc(d, &(struct disk_goal){ .unused_since = (uint64_t)time(NULL) - OLD_S / 2 },
			NULL, &after),
		0);
	for (int unit = 0; unit < UNITS; unit++)
		assert_int_equal(is_here(d, 1, unit), unit != 3);
	depot_close(d);
}

/* Once a day, and when the file has become long. */
static void
marks_seldom(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT, all = BUF_INIT;
	struct depot *d = open_depot();
	struct stat st;

	(void)state;
	for (int unit = 0; unit < UNITS; unit++)
		make(d, 1, unit);
	age(1, OLD_S);
	note(d, 1, 0);
	st = stat_of(blob_path(&(struct digest[]){ blob_of(1, 1) }[0]));
	assert_false(is_now(&(struct stat){ .st_mtime = st.st_atime }));
	assert_int_equal(fs_read_file(only_file(), 4096, &b), 0);
	while (all.n <= TOGETHER_BYTES)
		assert_int_equal(buf_add(&all, b.p, b.n), 0);
	assert_int_equal(fs_write_atomic(only_file(), all.p, all.n, 0600), 0);
	note(d, 1, 0);
	st = stat_of(blob_path(&(struct digest[]){ blob_of(1, 1) }[0]));
	assert_true(is_now(&(struct stat){ .st_mtime = st.st_atime }));
	assert_true(stat_of(only_file()).st_size < 4096);
	depot_close(d);
}

/* Where nothing can be remembered: a process that was stopped has the memo, or there is none. */
static void
marks_seldom_without_memo(void **state)
{
	const struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	_cleanup_(buf_done) struct buf b = BUF_INIT, all = BUF_INIT;
	_cleanup_(closep) int guard = -1;
	struct depot *d = open_depot();
	struct stat st;

	(void)state;
	for (int unit = 0; unit < UNITS; unit++)
		make(d, 1, unit);
	d = days_later(d);
	age(1, OLD_S);
	guard = open(in("memo/memo.lmdb-guard"), O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(guard, F_OFD_SETLK, &l), 0);
	note(d, 1, 0);
	st = stat_of(blob_path(&(struct digest[]){ blob_of(1, 1) }[0]));
	assert_false(is_now(&(struct stat){ .st_mtime = st.st_atime }));
	/* its file does not grow forever */
	memo_close(memo);
	memo = NULL;
	assert_int_equal(fs_read_file(only_file(), 4096, &b), 0);
	while (all.n <= TOGETHER_BYTES)
		assert_int_equal(buf_add(&all, b.p, b.n), 0);
	assert_int_equal(fs_write_atomic(only_file(), all.p, all.n, 0600), 0);
	note(d, 1, 0);
	assert_true(stat_of(only_file()).st_size < 4096);
	depot_close(d);
}

static void
any_text(void **state)
{
	static const char hex[] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	static const char *const bad[] = { "", " ", "x", "/x", "../x", "a/../x", "a\n/x" };
	struct together t = { NULL, 0, 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
			buf_addf(&b, "%s%s%s\n", i % 2 ? hex : "", i ? " " : "", bad[i]), 0);
	assert_int_equal(buf_addf(&b, "%s two\n%s one\n", hex, hex), 0);
	assert_int_equal(buf_addf(&b, "f%.63s two\n", hex), 0);
	assert_int_equal(buf_addf(&b, "%s three, cut", hex), 0);
	assert_int_equal(together_decode((const char *)b.p, b.n, &t), 0);
	assert_int_equal(t.n, 3);
	assert_string_equal(t.v[1].path, "one");
	assert_string_equal(t.v[2].path, "two");
	assert_int_equal(t.v[2].key.b[0], 0xf0);
	together_done(&t);
}

/* A file that is none of ours, a directory in its place, and old ones. */
static void
others(void **state)
{
	struct depot *d = open_depot();
	_cleanup_(freep) char *file = NULL;

	(void)state;
	make(d, 1, 0);
	file = strdup(only_file());
	put_file(in("cache/together/old"), "x");
	set_time(in("cache/together/old"), time(NULL) - TOGETHER_OLD_S - 100);
	put_file(in("cache/together/young"), "x");
	d = days_later(d);
	note(d, 1, 0);
	assert_false(fs_exists(in("cache/together/old")));
	assert_true(fs_exists(in("cache/together/young")));
	put_file(file, "\n\n\xff no line\n");
	d = days_later(d);
	note(d, 1, 0);
	assert_true(is_here(d, 1, 0));
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkdir(file, 0700), 0);
	d = days_later(d);
	note(d, 1, 0);
	assert_int_equal(rmdir(file), 0);
	assert_int_equal(symlink(in("elsewhere"), file), 0);
	d = days_later(d);
	note(d, 1, 0);
	assert_false(fs_exists(in("elsewhere")));
	/* nobody reads from it */
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkfifo(file, 0600), 0);
	alarm(60);
	note(d, 1, 0);
	alarm(0);
	depot_close(d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(one_use_keeps_all),
		TEST(what_lies_there_no_more_is_not_kept), TEST(marks_seldom),
		TEST(marks_seldom_without_memo), TEST(any_text), TEST(others) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
