/* What a fresh machine begins before cargo's first unit. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/wrap/fresh.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/process/spawn.h"
#include "toolchain/toolchain_priv.h"

static char *dir;

static int
setup(void **state)
{
	(void)state;
	return fs_make_temp_dir("/tmp", "dray-fresh-", &dir) < 0 || chdir(dir) < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	int r = chdir("/") < 0 ? -1 : fs_rm_rf(dir);

	free(dir);
	return r;
}

static struct conf *
conf_of(const char *more)
{
	_cleanup_(freep) char *text = NULL, *error = NULL;
	struct conf *conf = NULL;

	assert_true(asprintf(&text, "[client]\ncache_dir = %s/cache\nstore = file://%s/store\n%s\n",
			    dir, dir, more) > 0);
	if (conf_parse(text, strlen(text), "test", &conf, &error) < 0)
		fail_msg("%s", error);
	return conf;
}

static bool
is_first(const char *a, const char *b)
{
	char *argv[] = { (char *)"rustc", (char *)a, (char *)b, NULL };
	struct rustc_call call;
	bool is;

	assert_int_equal(call_parse(argv, &call), 0);
	is = fresh_is_first(&call);
	call_done(&call);
	return is;
}

static void
the_first_question(void **state)
{
	(void)state;
	assert_true(is_first("-vV", NULL));
	assert_false(is_first("-V", NULL));
	assert_false(is_first("-vV", "--edition=2021"));
	assert_false(is_first("-", "--print=cfg"));
	assert_false(is_first("main.rs", NULL));
}

static bool
is_machine(const char *more)
{
	_cleanup_(conf_freep) struct conf *conf = conf_of(more);

	return fresh_is_machine(conf);
}

static void
a_fresh_machine(void **state)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(freep) char *entries = NULL;

	(void)state;
	assert_true(is_machine(""));
	assert_false(is_machine("remote_mode = off"));
	assert_false(is_machine("cache = read"));
	assert_false(is_machine("recache = yes"));
	assert_false(is_machine("store ="));
	conf = conf_of("");
	entries = path_join(conf->client.store_dir, "entries");
	assert_int_equal(fs_mkdir_p(entries, 0700), 0);
	assert_false(is_machine(""));
}

/* Whether the toolchain is remembered. */
static bool
is_known(const struct conf *conf)
{
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(freep) char *sysroot = NULL, *exe = NULL;
	_cleanup_(memo_closep) struct memo *memo = NULL;

	assert_int_equal(memo_open(conf->client.cache_dir, &memo), 0);
	return toolchain_find_sysroot(memo, "rustc", &sysroot, &exe) == 0 &&
	       tc_recall(memo, sysroot, "rustc", NULL, &t) == 0;
}

/* As cargo does it: from a process of that name, in a workspace. */
static void
ask_as_cargo(const struct conf *conf)
{
	char *argv[] = { (char *)"rustc", (char *)"-vV", NULL };
	struct rustc_call call;
	pid_t pid;

	assert_int_equal(call_parse(argv, &call), 0);
	assert_int_equal(prctl(PR_SET_NAME, "cargo"), 0);
	pid = fork();
	if (pid == 0) {
		fresh_begin(conf, &call);
		/* it is nobody's child */
		_exit(waitpid(-1, NULL, 0) < 0 ? 0 : 1);
	}
	assert_true(pid > 0);
	assert_int_equal(spawn_wait(pid, NULL), 0);
	call_done(&call);
}

static void
the_toolchain_is_identified(void **state)
{
	_cleanup_(conf_freep) struct conf *conf = conf_of("");
	uint64_t end = clock_mono_ms() + 60000;

	(void)state;
	assert_int_equal(fs_mkdir_p(conf->client.cache_dir, 0700), 0);
	assert_int_equal(fs_write_atomic("Cargo.lock", "#\n", 2, 0600), 0);
	assert_false(is_known(conf));
	ask_as_cargo(conf);
	while (!is_known(conf)) {
		assert_true(clock_mono_ms() < end);
		poll(NULL, 0, 50);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_question, setup, teardown),
		cmocka_unit_test_setup_teardown(a_fresh_machine, setup, teardown),
		cmocka_unit_test_setup_teardown(the_toolchain_is_identified, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
