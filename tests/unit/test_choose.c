/* choose: each reason to stay here, the size of a small unit, and what a farm that is down costs
 * all calls together (farm_state). */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "client/wrap/choose.h"
#include "client/wrap/farm_state.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/strv.h"

#define FARM "tcp://127.0.0.1:7420"

static char *dir;

static int
setup(void **state)
{
	return fs_make_temp_dir("/tmp", "dray-choose-", &dir);
}

static int
teardown(void **state)
{
	fs_rm_rf(dir);
	free(dir);
	return 0;
}

static char *
at(const char *name)
{
	char *p = path_join(dir, name);

	assert_non_null(p);
	return p;
}

static void
put(const char *name, size_t n)
{
	_cleanup_(freep) char *path = at(name);
	_cleanup_(freep) char *text = malloc(n + 1);

	assert_non_null(text);
	memset(text, '/', n + 1);
	assert_int_equal(fs_mkdir_parent(path, 0700), 0);
	assert_int_equal(fs_write_atomic(path, text, n, 0600), 0);
}

/* ---- farm_state */

static enum farm_state
begin(uint64_t retry_s, int *ret_probe)
{
	return farm_state_begin(dir, FARM, retry_s, 60, ret_probe);
}

static void
test_up_is_for_everybody(void **state)
{
	int probe = -1;

	farm_state_set(dir, FARM, true);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(begin(30, &probe), FARM_TRY);
		assert_int_equal(probe, -1);
	}
}

static void
test_down_is_for_everybody_until_it_expires(void **state)
{
	int probe = -1, second = -1;

	farm_state_set(dir, FARM, false);
	assert_int_equal(begin(30, &probe), FARM_DOWN);
	/* another farm is another matter */
	assert_int_equal(farm_state_begin(dir, "ipc:///other", 30, 10, &probe), FARM_TRY);
	close(probe);
	/* expired: one tries, the others do not wait for it */
	assert_int_equal(begin(0, &probe), FARM_TRY);
	assert_true(probe >= 0);
	{
		uint64_t start = clock_mono_ms();

		assert_int_equal(farm_state_begin(dir, FARM, 0, 20000, &second), FARM_DOWN);
		assert_int_equal(second, -1);
		assert_true(clock_mono_ms() - start < 10000);
	}
	/* it found the farm */
	farm_state_set(dir, FARM, true);
	assert_int_equal(begin(0, &second), FARM_TRY);
	close(probe);
}

/* Makes all that lies there two hours old; returns how many begin with that. */
static unsigned
age(const char *prefix, bool older)
{
	_cleanup_(strv_done) struct strv names = STRV_INIT;
	struct timespec then[2] = { { time(NULL) - 7200, 0 }, { time(NULL) - 7200, 0 } };
	unsigned n = 0;

	assert_int_equal(fs_list_dir(dir, &names), 0);
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_(freep) char *path = path_join(dir, names.v[i]);

		if (!starts_with(names.v[i], prefix))
			continue;
		n++;
		if (older)
			assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
	}
	return n;
}

static void
test_what_is_noted_of_those_that_went_expires(void **state)
{
	static const char others[] = "farm-0123456789abcdef.other";
	_cleanup_(freep) char *other = path_join(dir, others);
	int probe = -1;

	farm_state_set(dir, FARM, true);
	farm_state_set(dir, "tcp://10.0.0.1:1", false);
	assert_int_equal(farm_state_begin(dir, "tcp://10.0.0.1:2", 30, 10, &probe), FARM_TRY);
	close(probe);
	assert_int_equal(fs_write_atomic(other, "x", 1, 0600), 0);
	assert_int_equal(age("farm-", true), 4);
	farm_state_set(dir, "tcp://10.0.0.1:3", false);
	farm_state_expire(dir);
	assert_true(farm_state_is_up(dir, FARM));
	assert_false(farm_state_is_down(dir, "tcp://10.0.0.1:1", 30));
	assert_true(farm_state_is_down(dir, "tcp://10.0.0.1:3", 30));
	assert_true(fs_exists(other));
	assert_int_equal(age("farm-", false), 3);
	farm_state_expire(NULL);
}

static void
test_an_unknown_farm_has_one_prober(void **state)
{
	int probe = -1, second = -1;
	uint64_t start;

	assert_int_equal(begin(30, &probe), FARM_TRY);
	assert_true(probe >= 0);
	/* the others wait for its news, but not longer than a try may take */
	start = clock_mono_ms();
	assert_int_equal(begin(30, &second), FARM_DOWN);
	assert_true(clock_mono_ms() - start >= 60);
	/* a prober that died without a report is followed by another */
	close(probe);
	assert_int_equal(begin(30, &second), FARM_TRY);
	assert_true(second >= 0);
	close(second);
}

static void
test_a_stopped_prober_is_not_waited_for(void **state)
{
	int probe = -1, gate[2], status;
	uint64_t start;
	pid_t pid;
	char c;

	assert_int_equal(pipe(gate), 0);
	pid = fork();
	if (pid == 0) {
		if (begin(30, &probe) != FARM_TRY || probe < 0 || write(gate[1], "x", 1) != 1)
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(read(gate[0], &c, 1), 1);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	start = clock_mono_ms();
	assert_int_equal(farm_state_begin(dir, FARM, 30, 20000, &probe), FARM_TRY);
	assert_int_equal(probe, -1);
	assert_true(clock_mono_ms() - start < 10000);
	/* an old stamp does not change that */
	farm_state_set(dir, FARM, false);
	assert_int_equal(begin(0, &probe), FARM_TRY);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(gate[0]);
	close(gate[1]);
}

static void
test_who_waits_hears_the_news(void **state)
{
	int probe = -1, status = 0;
	pid_t pids[2];

	for (int up = 0; up < 2; up++) {
		_cleanup_(freep) char *cache = at(up ? "up" : "down");
		int gate[2];

		assert_int_equal(farm_state_begin(cache, FARM, 30, 60, &probe), FARM_TRY);
		assert_int_equal(pipe(gate), 0);
		for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
			pids[i] = fork();
			if (pids[i] == 0) {
				int mine = -1;

				close(probe);
				if (write(gate[1], "x", 1) != 1)
					_exit(9);
				_exit(farm_state_begin(cache, FARM, 30, 20000, &mine) == FARM_TRY
						? 1
						: 2);
			}
		}
		for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
			char c;

			assert_int_equal(read(gate[0], &c, 1), 1);
		}
		farm_state_set(cache, FARM, up);
		for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_int_equal(WEXITSTATUS(status), up ? 1 : 2);
		}
		close(probe);
		close(gate[0]);
		close(gate[1]);
	}
}

static void
test_a_damaged_stamp_counts_as_none(void **state)
{
	static const char *const texts[] = { "", "down", "down x\n", "sideways 1\n",
		"down 99999999999999999\n", "\n\n\n", "up" };
	_cleanup_(freep) char *name = NULL;
	const struct dirent *e;
	int probe = -1;
	DIR *d;

	farm_state_set(dir, FARM, false);
	/* the one file there */
	d = opendir(dir);
	assert_non_null(d);
	while (!name && (e = readdir(d)))
		if (starts_with(e->d_name, "farm-"))
			name = at(e->d_name);
	closedir(d);
	assert_non_null(name);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(fs_write_atomic(name, texts[i], strlen(texts[i]), 0600), 0);
		assert_int_equal(begin(30, &probe), FARM_TRY);
		assert_true(probe >= 0);
		close(probe);
	}
}

static void
test_without_a_cache_directory_each_finds_out_for_itself(void **state)
{
	_cleanup_(freep) char *file = at("file");
	_cleanup_(freep) char *below = at("file/x");
	int probe = -1;

	assert_int_equal(fs_write_atomic(file, "", 0, 0600), 0);
	farm_state_set(below, FARM, false);
	assert_int_equal(farm_state_begin(below, FARM, 30, 60, &probe), FARM_TRY);
	assert_int_equal(probe, -1);
	assert_int_equal(farm_state_begin(NULL, FARM, 30, 60, &probe), FARM_TRY);
}

/* ---- choose */

struct setting {
	struct conf *conf;
	struct slots *slots;
	struct rustc_call call;
	struct choice choice;
	char *source;
	char *argv[12];
};

static void
setting_make(struct setting *s, int offload, const char *extra)
{
	_cleanup_(freep) char *error = NULL;
	_cleanup_(freep) char *slots = at("slots");
	static const char *const args[] = { "rustc", "--crate-name=a", "--crate-type=lib",
		"--out-dir=/o", "--emit=dep-info,metadata,link", "--error-format=json",
		"--json=artifacts" };
	size_t n;

	memset(s, 0, sizeof(*s));
	s->choice = (struct choice)CHOICE_INIT;
	assert_int_equal(conf_parse("", 0, "test", &s->conf, &error), 0);
	free(s->conf->client.cache_dir);
	s->conf->client.cache_dir = strdup(dir);
	s->conf->client.coordinator = strdup(FARM);
	s->conf->client.offload = offload;
	s->conf->client.connect_ms = 20;
	assert_int_equal(slots_open(slots, 1, &s->slots), 0);
	for (n = 0; n < ARRAY_LEN(args); n++)
		s->argv[n] = strdup(args[n]);
	if (extra)
		s->argv[n++] = strdup(extra);
	s->argv[n] = at("src/lib.rs");
	assert_int_equal(call_parse(s->argv, &s->call), 0);
	assert_int_equal(s->call.kind, CALL_UNIT);
}

static void
setting_done(struct setting *s)
{
	choice_done(&s->choice);
	for (size_t i = 0; s->argv[i]; i++)
		free(s->argv[i]);
	call_done(&s->call);
	slots_close(s->slots);
	conf_free(s->conf);
}

static void
decide(struct setting *s, enum place place, const char *why)
{
	choice_done(&s->choice);
	choose(s->conf, &s->call, s->slots, &s->choice);
	assert_int_equal(s->choice.place, place);
	if (place == PLACE_LOCAL)
		assert_non_null(s->choice.why);
	if (why && (!s->choice.why || !strstr(s->choice.why, why)))
		fail_msg("expected \"%s\", got \"%s\"", why, s->choice.why);
}

static void
test_reasons_for_here(void **state)
{
	_cleanup_(setting_done) struct setting s;
	_cleanup_(setting_done) struct setting inc;

	put("src/lib.rs", 100000);
	setting_make(&s, OFFLOAD_NEVER, NULL);
	decide(&s, PLACE_LOCAL, "never");
	s.conf->client.offload = OFFLOAD_AUTO;
	decide(&s, PLACE_FARM, NULL);
	free(s.conf->client.coordinator);
	s.conf->client.coordinator = NULL;
	decide(&s, PLACE_LOCAL, "no coordinator");

	setting_make(&inc, OFFLOAD_ALWAYS, "-Cincremental=/i");
	decide(&inc, PLACE_LOCAL, "incremental");
	assert_int_equal(inc.choice.slot, -1);
}

static void
test_the_farm_is_left_alone_while_it_is_down(void **state)
{
	_cleanup_(setting_done) struct setting s;

	put("src/lib.rs", 100000);
	setting_make(&s, OFFLOAD_ALWAYS, NULL);
	decide(&s, PLACE_FARM, "always");
	assert_true(s.choice.probe >= 0);
	farm_state_set(dir, FARM, false);
	decide(&s, PLACE_LOCAL, "unreachable");
	s.conf->client.retry_s = 0;
	decide(&s, PLACE_FARM, NULL);
	farm_state_set(dir, FARM, true);
	decide(&s, PLACE_FARM, NULL);
	assert_int_equal(s.choice.probe, -1);
}

static void
test_small_units_stay_while_a_slot_is_free(void **state)
{
	_cleanup_(setting_done) struct setting s;
	int slot;

	put("src/lib.rs", 1000);
	setting_make(&s, OFFLOAD_AUTO, NULL);
	decide(&s, PLACE_LOCAL, "small");
	assert_true(s.choice.slot >= 0);
	choice_done(&s.choice);
	slot = slots_try(s.slots);
	decide(&s, PLACE_FARM, NULL);
	close(slot);
	s.conf->client.offload = OFFLOAD_ALWAYS;
	decide(&s, PLACE_FARM, NULL);
	s.conf->client.offload = OFFLOAD_AUTO;
	s.conf->client.small_unit = 999;
	decide(&s, PLACE_FARM, NULL);
}

/* As many stay as there are idle slots; the next ones go, and stay again once one is idle. A slot
 * that the memory has no room for, or that somebody waits for, is not idle. */
static void
test_small_units_go_when_slots_are_full(void **state)
{
	_cleanup_(setting_done) struct setting s;
	_cleanup_(freep) char *slots = at("slots");
	_cleanup_(freep) char *path = at("slots/queue");
	int held[3], queue;

	put("src/lib.rs", 1000);
	setting_make(&s, OFFLOAD_AUTO, NULL);
	slots_close(s.slots);
	assert_int_equal(slots_open(slots, 3, &s.slots), 0);
	for (size_t i = 0; i < 3; i++) {
		decide(&s, PLACE_LOCAL, "small");
		held[i] = steal_fd(&s.choice.slot);
		assert_true(held[i] >= 0);
	}
	decide(&s, PLACE_FARM, NULL);
	assert_int_equal(s.choice.slot, -1);
	decide(&s, PLACE_FARM, NULL);
	close(held[1]);
	decide(&s, PLACE_LOCAL, "small");
	choice_done(&s.choice);
	queue = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(queue, LOCK_EX), 0);
	decide(&s, PLACE_FARM, NULL);
	close(queue);
	slots_mind_memory(s.slots, (uint64_t)1 << 60);
	decide(&s, PLACE_FARM, NULL);
	close(held[0]);
	close(held[2]);
	decide(&s, PLACE_LOCAL, "small");
}

static void
test_source_bytes(void **state)
{
	_cleanup_(setting_done) struct setting s;

	put("src/lib.rs", 1000);
	put("src/a/b/mod.rs", 500);
	put("src/data.bin", 100000);
	put("src/.hidden/x.rs", 100000);
	put("other/x.rs", 100000);
	setting_make(&s, OFFLOAD_AUTO, NULL);
	assert_int_equal(choose_source_bytes(&s.call, 16384), 1500);
	/* it stops as soon as it is not small */
	assert_true(choose_source_bytes(&s.call, 1200) > 1200);
	put("src/1/2/3/4/5/6/7/8/deep.rs", 1);
	assert_true(choose_source_bytes(&s.call, 16384) > 16384);
}

static void
test_a_link_into_a_loop_ends(void **state)
{
	_cleanup_(setting_done) struct setting s;
	_cleanup_(freep) char *loop = at("src/loop");

	put("src/lib.rs", 1000);
	assert_int_equal(symlink(".", loop), 0);
	setting_make(&s, OFFLOAD_AUTO, NULL);
	assert_int_equal(choose_source_bytes(&s.call, 16384), 1000);
	for (int i = 0; i < 600; i++) {
		char name[32];

		snprintf(name, sizeof(name), "src/f%d.txt", i);
		put(name, 0);
	}
	assert_true(choose_source_bytes(&s.call, 16384) > 16384);
}

static void
test_a_build_script_is_its_own_file(void **state)
{
	_cleanup_(freep) char *script = at("build.rs");
	char rustc[] = "rustc", name[] = "--crate-name=build_script_build",
	     type[] = "--crate-type=bin";
	char *argv[] = { rustc, name, type, script, NULL };
	struct rustc_call c;

	put("build.rs", 700);
	put("src/lib.rs", 100000);
	assert_int_equal(call_parse(argv, &c), 0);
	assert_int_equal(choose_source_bytes(&c, 16384), 700);
	call_done(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_up_is_for_everybody, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_what_is_noted_of_those_that_went_expires, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_down_is_for_everybody_until_it_expires, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_an_unknown_farm_has_one_prober, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_stopped_prober_is_not_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_waits_hears_the_news, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_damaged_stamp_counts_as_none, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_without_a_cache_directory_each_finds_out_for_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reasons_for_here, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_farm_is_left_alone_while_it_is_down, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_small_units_stay_while_a_slot_is_free, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_small_units_go_when_slots_are_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_source_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_link_into_a_loop_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_build_script_is_its_own_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
