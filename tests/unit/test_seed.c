/* seeds: what is kept and put back is whole whatever others do meanwhile, nothing is written or
 * removed but in the two directories, and all of them together stay small. Real directories; no
 * compiler. */
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
	assert_true(seed_put(&conf, &call));
	assert_int_equal(count("incremental/" SESSION "/*.o"), FILES);
	assert_int_equal(count("incremental/*/*-working"), 0);
	assert_int_equal(count("incremental/b-*"), 0);
	assert_int_equal(count("incremental/.dray-*"), 0);
	assert_int_equal(count("cache/seeds/.dray-*"), 0);
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
	(void)seed_put(&conf, &call);
	assert_int_equal(count("elsewhere/*"), 1);
	assert_int_equal(unlink(in("incremental/a-1x2y")), 0);
	assert_int_equal(symlink(in("nowhere"), in("incremental/a-1x2y")), 0);
	assert_false(seed_put(&conf, &call));
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
	assert_false(seed_put(&conf, &call));
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
	glob_t g;

	put_state("incremental");
	seed_keep(&conf, &call);
	assert_int_equal(glob(in("cache/seeds/[0-9a-f]*"), 0, NULL, &g), 0);
	seed = strdup(g.gl_pathv[0]);
	globfree(&g);
	assert_non_null(seed);
	assert_int_equal(rename(seed, in("kept")), 0);
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
		if (rename(made, seed) < 0)
			assert_int_equal(fs_rm_rf(made), 0);
		if (seed_put(&conf, &call))
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
	const struct CMUnitTest tests[] = { TEST(test_there_and_back), TEST(test_no_files),
		TEST(test_link_in_place), TEST(test_others_directory), TEST(test_clear),
		TEST(test_many), TEST(test_too_large), TEST(test_trimmed_meanwhile),
		TEST(test_cleared_meanwhile) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
