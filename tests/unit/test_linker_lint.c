/* When a linker's own messages are sure to be no warning of rustc's. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fs.h"
#include "rustc/linker_lint.h"

static char source[] = "/tmp/dray-lint-XXXXXX";

static void
write_source(const char *text)
{
	assert_int_equal(fs_write_atomic(source, text, strlen(text), 0600), 0);
}

/* `rustc SOURCE OPTIONS…`, options apart at blanks. */
static bool
is_silent(const char *options, const char *release)
{
	_cleanup_(freep) char *copy = strdup(options);
	static char rustc[] = "rustc";
	char *argv[16] = { rustc, source }, *save = NULL;
	struct rustc_call c;
	size_t n = 2;
	bool silent;

	for (char *s = strtok_r(copy, " ", &save); s && n < 15; s = strtok_r(NULL, " ", &save))
		argv[n++] = s;
	assert_int_equal(call_parse(argv, &c), 0);
	assert_int_equal(c.kind, CALL_UNIT);
	silent = linker_lint_is_silent(&c, release);
	call_done(&c);
	return silent;
}

static void
test_by_version(void **state)
{
	(void)state;
	write_source("fn main() {}\n");
	assert_true(is_silent("", "1.95.0"));
	assert_true(is_silent("", "1.96.0"));
	assert_false(is_silent("", "1.97.0"));
	assert_false(is_silent("", "1.97.0-nightly"));
	assert_false(is_silent("", "1.100.0"));
	assert_false(is_silent("", "2.0.0"));
	assert_false(is_silent("", NULL));
	assert_false(is_silent("", "dev"));
}

static void
test_by_level(void **state)
{
	(void)state;
	write_source("fn main() {}\n");
	assert_false(is_silent("-W linker_messages", "1.95.0"));
	assert_false(is_silent("-Wlinker-messages", "1.95.0"));
	assert_false(is_silent("--warn=linker_info", "1.95.0"));
	assert_false(is_silent("-D linker_messages", "1.97.0"));
	/* it may be taken back by what stands in the crate */
	assert_false(is_silent("-A linker_messages", "1.97.0"));
	assert_true(is_silent("-D warnings", "1.95.0"));
	assert_true(is_silent("--cap-lints allow", "1.97.0"));
	assert_true(is_silent("--cap-lints=allow", NULL));
	assert_false(is_silent("--cap-lints warn", "1.97.0"));
	assert_false(is_silent("--cap-lints allow --force-warn unused", "1.97.0"));
	assert_false(is_silent("--cap-lints allow --cap-lints warn", "1.97.0"));
}

static void
test_by_attribute(void **state)
{
	(void)state;
	write_source("#![warn(linker_messages)]\nfn main() {}\n");
	assert_false(is_silent("", "1.95.0"));
	assert_true(is_silent("--cap-lints allow", "1.95.0"));
	unlink(source);
	assert_false(is_silent("", "1.95.0"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_version),
		cmocka_unit_test(test_by_level),
		cmocka_unit_test(test_by_attribute),
	};
	int fd = mkstemp(source);

	if (fd < 0)
		return 1;
	close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
