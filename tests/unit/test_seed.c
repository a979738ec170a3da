/* seeds: what is kept and put back is whole whatever others do meanwhile and whatever the disk did,
 * nothing is written or removed but in the two directories, and all of them together stay small.
 * Real directories; no compiler. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "client/incremental/seed.h"
#include "common/fs.h"

#define SESSION "a-1x2y/s-abc-def-0123"
#define LOCK "a-1x2y/s-abc-def.lock"
#define FILES 20u
#define TIMES 100u

static char *dir;
static char crate[] = "a", incremental[PATH_MAX], cache[PATH_MAX];
static struct conf conf;
static struct rustc_call call;
static pid_t other = -1;
static bool damaged;

/* Valid until the call after the next one. */
static const char *
in(const char *name)
{
	static char paths[2][PATH_MAX];
	static unsigned at;
	char *path = paths[at++ % 2];

	assert_true(snprintf(path, PATH_MAX, "%s/%s", dir, name) < PATH_MAX);
	return path;
}

static void
put(const char *name, const char *text)
{
	const char *path = in(name);

	assert_int_equal(fs_mkdir_parent(path, 0700), 0);
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600), 0);
}

static void
put_state(const char *where)
{
	char name[64];

	snprintf(name, sizeof(name), "%s/" LOCK, where);
	put(name, "");
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%s/" SESSION "/%u.o", where, i);
		put(name, "object");
	}
}

static size_t
count(const char *pattern)
{
	glob_t g;
	size_t n;

	assert_int_not_equal(glob(in(pattern), 0, NULL, &g), GLOB_NOSPACE);
	n = g.gl_pathc;
	globfree(&g);
	return n;
}

static size_t
seeds(void)
{
	return count("cache/seeds/[0-9a-f]*");
}

static void
clean_target(void)
{
	assert_int_equal(fs_rm_rf(incremental), 0);
	assert_int_equal(mkdir(incremental, 0700), 0);
}

static int
set_up(void **state)
{
	(void)state;
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-seed-", &dir), 0);
	snprintf(incremental, sizeof(incremental), "%s/incremental", dir);
	snprintf(cache, sizeof(cache), "%s/cache", dir);
	assert_int_equal(mkdir(incremental, 0700), 0);
	assert_int_equal(mkdir(cache, 0700), 0);
	conf.client.cache = CACHE_ON;
	conf.client.cache_dir = cache;
	call.crate_name = crate;
	call.incremental = incremental;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	alarm(0);
	if (other > 0) {
		kill(other, SIGKILL);
		waitpid(other, NULL, 0);
		other = -1;
	}
	assert_int_equal(fs_rm_rf(dir), 0);
	free(dir);
	return 0;
}

/* A copy that waits for ever is ended. */
static void
in_time(void)
{
	alarm(120);
}

static void
test_there_and_back(void **state)
{
	(void)state;
	put_state("incremental");
	put("incremental/a-1x2y/s-x-y-working/0.o", "half");
	put("incremental/b-1x2y/s-x-y-z/0.o", "another crate's");
	seed_keep(&conf, &call);
	assert_int_equal(seeds(), 1);
	clean_target();
	assert_true(seed_put(&conf, &call, &damaged));
	assert_int_equal(count("incremental/" SESSION "/*.o"), FILES);
	assert_int_equal(count("incremental/*/*-working"), 0);
	assert_int_equal(count("incremental/b-*"), 0);
	assert_int_equal(count("incremental/.dray-*"), 0);
	assert_int_equal(count("cache/seeds/.dray-*"), 0);
}

/* The one seed that there is; the caller frees it. */
static char *
only_seed(void)
{
	char *path;
	glob_t g;

	assert_int_equal(glob(in("cache/seeds/[0-9a-f]*"), 0, NULL, &g), 0);
	assert_int_equal(g.gl_pathc, 1);
	path = strdup(g.gl_pathv[0]);
	assert_non_null(path);
	globfree(&g);
	return path;
}

static void
flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char c;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 0x10;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static void
flip_first(const char *path)
{
	flip(path, 0);
}

static void
flip_last(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	flip(path, st.st_size - 1);
}

static void
cut(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 1), 0);
}

static void
empty(const char *path)
{
	assert_int_equal(truncate(path, 0), 0);
}

static void
grow(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "", 1), 1);
	close(fd);
}

static void
gone(const char *path)
{
	assert_int_equal(unlink(path), 0);
}

static void
become_link(const char *path)
{
	char aside[PATH_MAX];

	assert_true(snprintf(aside, sizeof(aside), "%s.aside", path) < PATH_MAX);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(symlink(aside, path), 0);
}

static void
become_fifo(const char *path)
{
	gone(path);
	assert_int_equal(mkfifo(path, 0600), 0);
}

/* One file of a seed of two states is hurt: no part of its state is put, and the seed is gone; the
 * next one is as good as any. */
static void
hurt(const char *file, void (*how)(const char *path))
{
	_cleanup_(freep) char *seed = NULL;
	_cleanup_(freep) char *path = NULL;

	assert_int_equal(fs_rm_rf(in("cache/seeds")), 0);
	clean_target();
	put_state("incremental");
	seed_keep(&conf, &call);
	seed = only_seed();
	path = path_join(seed, file);
	how(path);
	clean_target();
	assert_false(seed_put(&conf, &call, &damaged));
	assert_true(damaged);
	assert_int_equal(seeds(), 0);
	assert_int_equal(count("incremental/*"), 0);
	assert_int_equal(count("incremental/.dray-*"), 0);
	assert_int_equal(count("cache/seeds/.dray-*"), 0);
	assert_false(seed_put(&conf, &call, &damaged));
	assert_false(damaged);
	put_state("incremental");
	seed_keep(&conf, &call);
	clean_target();
	assert_true(seed_put(&conf, &call, &damaged));
	assert_false(damaged);
}

static void
test_damaged(void **state)
{
	static void (*const any[])(
		const char *) = { grow, gone, become_link, become_fifo },
			   (*const filled[])(const char *) = { flip_first, flip_last, cut, empty };
	static const char *const files[] = { SESSION "/0.o", "sums" };

	(void)state;
	in_time();
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		for (size_t k = 0; k < ARRAY_LEN(any); k++)
			/* what a link leads to is checked as well */
			if (!streq(files[i], "sums") || any[k] != become_link)
				hurt(files[i], any[k]);
		for (size_t k = 0; k < ARRAY_LEN(filled); k++)
			hurt(files[i], filled[k]);
	}
	for (size_t k = 0; k < ARRAY_LEN(any); k++)
		hurt(LOCK, any[k]);
}

/* What is not listed is not put; a cache that is only read keeps what is damaged. */
static void
test_not_listed(void **state)
{
	_cleanup_(freep) char *seed = NULL;
	_cleanup_(freep) char *more = NULL;

	(void)state;
	put_state("incremental");
	seed_keep(&conf, &call);
	seed = only_seed();
	more = path_join(seed, SESSION "/more.o");
	assert_int_equal(fs_write_atomic(more, "x", 1, 0600), 0);
	clean_target();
	assert_true(seed_put(&conf, &call, &damaged));
	assert_int_equal(count("incremental/" SESSION "/*"), FILES);
	assert_int_equal(seeds(), 1);

	free(steal_ptr(more));
	more = path_join(seed, SESSION "/0.o");
	cut(more);
	clean_target();
	conf.client.cache = CACHE_READ;
	assert_false(seed_put(&conf, &call, &damaged));
	assert_true(damaged);
	assert_int_equal(seeds(), 1);
}

/* Of two states one is there already, and the other one is damaged: the first stays. */
static void
test_one_of_two(void **state)
{
	_cleanup_(freep) char *seed = NULL;
	_cleanup_(freep) char *path = NULL;

	(void)state;
	put_state("incremental");
	put("incremental/a-3/s-a-b.lock", "");
	put("incremental/a-3/s-a-b-c/0.o", "other");
	seed_keep(&conf, &call);
	seed = only_seed();
	path = path_join(seed, "a-3/s-a-b-c/0.o");
	flip_last(path);
	assert_int_equal(fs_rm_rf(in("incremental/a-3")), 0);
	assert_true(seed_put(&conf, &call, &damaged));
	assert_true(damaged);
	assert_int_equal(count("incremental/a-3"), 0);
	assert_int_equal(count("incremental/" SESSION "/*.o"), FILES);
	assert_int_equal(seeds(), 0);
}

/* What is no file, in a state or in a seed, blocks nobody, and links are not followed. */
static void
test_no_files(void **state)
{
	(void)state;
	in_time();
	put_state("incremental");
	assert_int_equal(mkfifo(in("incremental/" SESSION "/fifo"), 0600), 0);
	seed_keep(&conf, &call);
	assert_int_equal(seeds(), 0);
	assert_int_equal(unlink(in("incremental/" SESSION "/fifo")), 0);
	put("elsewhere/secret", "x");
	assert_int_equal(symlink(in("elsewhere/secret"), in("incremental/" SESSION "/link")), 0);
	seed_keep(&conf, &call);
	assert_int_equal(seeds(), 0);
	assert_int_equal(unlink(in("incremental/" SESSION "/link")), 0);
	seed_keep(&conf, &call);
	assert_int_equal(seeds(), 1);

	clean_target();
	put("incremental/" LOCK, "");
	assert_int_equal(symlink(in("elsewhere"), in("incremental/" SESSION)), 0);
	assert_int_equal(fs_rm_rf(in("cache/seeds")), 0);
	seed_keep(&conf, &call);
	assert_int_equal(seeds(), 0);
}

/* Where the state belongs there is a link that leads elsewhere. */
static void
test_link_in_place(void **state)
{
	(void)state;
	put_state("incremental");
	seed_keep(&conf, &call);
	clean_target();
	put("elsewhere/mine", "x");
	assert_int_equal(symlink(in("elsewhere"), in("incremental/a-1x2y")), 0);
	(void)seed_put(&conf, &call, &damaged);
	assert_int_equal(count("elsewhere/*"), 1);
	assert_int_equal(unlink(in("incremental/a-1x2y")), 0);
	assert_int_equal(symlink(in("nowhere"), in("incremental/a-1x2y")), 0);
	assert_false(seed_put(&conf, &call, &damaged));
	assert_false(fs_exists(in("nowhere")));
	assert_int_equal(count("incremental/.dray-*"), 0);
}

static void
test_others_directory(void **state)
{
	(void)state;
	put_state("incremental");
	assert_int_equal(chmod(cache, 0777), 0);
	seed_keep(&conf, &call);
	assert_false(fs_exists(in("cache/seeds")));
	assert_int_equal(chmod(cache, 0700), 0);
	seed_keep(&conf, &call);
	assert_int_equal(seeds(), 1);
	clean_target();
	assert_int_equal(chmod(cache, 0777), 0);
	assert_false(seed_put(&conf, &call, &damaged));
	seed_clear(cache);
	assert_int_equal(seeds(), 1);
}

/* A directory that is named so by chance: "cache_dir = ." */
static void
test_clear(void **state)
{
	(void)state;
	put_state("incremental");
	seed_keep(&conf, &call);
	put("cache/seeds/wheat/grain", "x");
	put("cache/seeds/README", "x");
	seed_clear(cache);
	assert_int_equal(seeds(), 0);
	assert_int_equal(count("cache/seeds/wheat/grain"), 1);
	assert_int_equal(count("cache/seeds/README"), 1);
	seed_trim(cache, 0);
	assert_int_equal(count("cache/seeds/wheat/grain"), 1);
	assert_int_equal(fs_rm_rf(in("cache/seeds/wheat")), 0);
	assert_int_equal(unlink(in("cache/seeds/README")), 0);
	seed_clear(cache);
	assert_false(fs_exists(in("cache/seeds")));
}

/* However many there are: none is left out. */
static void
test_many(void **state)
{
	char name[128];

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "cache/seeds/%064x/a-1/s-a-b-c", i);
		assert_int_equal(fs_mkdir_p(in(name), 0700), 0);
	}
	for (unsigned i = 0; i < 5000; i += 10) {
		snprintf(name, sizeof(name), "cache/seeds/%064x/a-1/s-a-b-c/o", i);
		put(name, "x");
	}
	seed_trim(cache, 0);
	assert_int_equal(count("cache/seeds/*/a-1/s-a-b-c/o"), 0);
}

static void
test_too_large(void **state)
{
	int fd;

	(void)state;
	put_state("incremental");
	fd = open(in("incremental/" SESSION "/large.o"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)SEEDS_BYTES), 0);
	close(fd);
	in_time();
	seed_keep(&conf, &call);
	assert_int_equal(seeds(), 0);
}

static void
trim_all(void)
{
	seed_trim(cache, 0);
}

static void
clear_all(void)
{
	seed_clear(cache);
}

/* A seed that goes while it is put back: the whole of it, or nothing. */
static void
goes_meanwhile(void (*go)(void))
{
	_cleanup_(freep) char *seed = NULL;
	_cleanup_(buf_done) struct buf sums = BUF_INIT;

	put_state("incremental");
	seed_keep(&conf, &call);
	seed = only_seed();
	assert_int_equal(rename(seed, in("kept")), 0);
	assert_int_equal(fs_read_file(in("kept/sums"), 1 << 20, &sums), 0);
	other = fork();
	assert_true(other >= 0);
	if (other == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			go();
	}
	for (unsigned i = 0; i < TIMES; i++) {
		_cleanup_(freep) char *made = strdup(in("made"));

		clean_target();
		/* as seed_keep does it: made beside, and moved */
		(void)fs_mkdir_p(in("cache/seeds"), 0700);
		put_state("made");
		assert_int_equal(fs_write_atomic(in("made/sums"), sums.p, sums.n, 0600), 0);
		if (rename(made, seed) < 0)
			assert_int_equal(fs_rm_rf(made), 0);
		if (seed_put(&conf, &call, &damaged))
			assert_int_equal(count("incremental/" SESSION "/*.o"), FILES);
		assert_int_equal(count("incremental/.dray-*"), 0);
	}
}

static void
test_trimmed_meanwhile(void **state)
{
	(void)state;
	goes_meanwhile(trim_all);
}

static void
test_cleared_meanwhile(void **state)
{
	(void)state;
	goes_meanwhile(clear_all);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_there_and_back), TEST(test_damaged),
		TEST(test_not_listed), TEST(test_one_of_two), TEST(test_no_files),
		TEST(test_link_in_place), TEST(test_others_directory), TEST(test_clear),
		TEST(test_many), TEST(test_too_large), TEST(test_trimmed_meanwhile),
		TEST(test_cleared_meanwhile) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
