/* dray-trace and the signals, and the ends, of the processes that it traces. */
#include "config.h"

#include "tests/unit/script_fixture.h"

/* Its timer goes off again and again, and ends its calls. */
static void
test_signals(void **state)
{
	static const char text[] =
		"#include <errno.h>\n#include <fcntl.h>\n#include <signal.h>\n#include <stdio.h>\n"
		"#include <stdlib.h>\n#include <sys/stat.h>\n#include <sys/time.h>\n"
		"#include <unistd.h>\n"
		"static void on(int s) { (void)s; }\n"
		"int main(void) {\n"
		"struct sigaction a = { .sa_handler = on };\n"
		"struct itimerval t = { { 0, 50 }, { 0, 50 } };\n"
		"char name[64]; struct stat st;\n"
		"sigaction(SIGALRM, &a, NULL); setitimer(ITIMER_REAL, &t, NULL);\n"
		"for (int i = 0; i < 200; i++) {\n"
		"snprintf(name, sizeof(name), \"NAME_%d\", i); getenv(name);\n"
		"snprintf(name, sizeof(name), \"/none/stat_%d\", i);\n"
		"while (stat(name, &st) < 0 && errno == EINTR);\n"
		"snprintf(name, sizeof(name), \"/none/access_%d\", i);\n"
		"while (access(name, R_OK) < 0 && errno == EINTR);\n"
		"snprintf(name, sizeof(name), \"/none/open_%d\", i);\n"
		"while (open(name, O_RDONLY) < 0 && errno == EINTR);\n"
		"}\nreturn 0; }\n";
	/* a shell's questions are asked once for all shells (trace/asked.h) */
	static const char *const programs[] = { "program", "sh" };
	struct place *p = *state;

	if (!trace_filter_possible())
		skip();
	for (size_t k = 0; k < ARRAY_LEN(programs); k++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		_cleanup_(freep) char *program = build(p, programs[k], text);

		assert_int_equal(
			script_traced(p, NULL, (const char *const[]){ program, NULL }, &b), 0);
		for (int i = 0; i < 200; i++) {
			static const char *const names[] = { "mNAME_", "a/none/stat_",
				"a/none/access_", "a/none/open_" };
			char name[64];

			for (size_t j = 0; j < ARRAY_LEN(names); j++) {
				snprintf(name, sizeof(name), "%s%d", names[j], i);
				if (!has(&b, *name, name + 1))
					fail_msg("%s: not in the record: %s", programs[k], name);
			}
		}
	}
}

/* On a machine with other work a process may start, or end, later than dray waits for it. */
static void
stays_behind(const struct place *p, const char *command, const char *doubt)
{
	_cleanup_(freep) char *text = NULL;
	bool same = false;

	assert_true(asprintf(&text, "%s >/dev/null 2>&1 &", command) > 0);
	for (unsigned left = 20; left > 0 && !same; left--) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		assert_int_equal(script_shell(p, NULL, text, &b), 0);
		same = streq(doubt_of(&b), doubt);
		if (!same && left == 1)
			assert_string_equal(doubt_of(&b), doubt);
	}
}

static void
test_stays_behind(void **state)
{
	struct place *p = *state;

	if (!trace_filter_possible())
		skip();
	stays_behind(p, "sleep 5", "a process that it started still runs: sleep");
	stays_behind(p, "sleep 0.01", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_signals, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_stays_behind, make_place, remove_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
