/* failure: which of rustc's messages about a failure are about the crate alone. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/dispatch/failure.h"

#define DIAGNOSTIC(message, code, level, spans)                                        \
	"{\"$message_type\":\"diagnostic\",\"message\":\"" message "\",\"code\":" code \
	",\"level\":\"" level "\",\"spans\":[" spans "],\"children\":[],\"rendered\":\"x\"}\n"
#define SPAN "{\"file_name\":\"src/lib.rs\",\"line_start\":1}"
#define CODE(c) "{\"code\":\"" c "\",\"explanation\":null}"
#define TYPE_ERROR DIAGNOSTIC("mismatched types", CODE("E0308"), "error", SPAN)
#define LAST DIAGNOSTIC("aborting due to 1 previous error", "null", "error", "")
#define NOTE DIAGNOSTIC("For more information about this error", "null", "failure-note", "")
#define ARTIFACT "{\"$message_type\":\"artifact\",\"artifact\":\"/x.d\",\"emit\":\"dep-info\"}\n"
/* as compilers before 1.72 say it */
#define OLD_ARTIFACT "{\"artifact\":\"/x.d\",\"emit\":\"dep-info\"}\n"
#define OLD(message, level, spans)                                                             \
	"{\"message\":\"" message "\",\"code\":null,\"level\":\"" level "\",\"spans\":[" spans \
	"],\"children\":[],\"rendered\":\"x\"}\n"

static const struct {
	const char *text;
	bool final;
} cases[] = {
	{ TYPE_ERROR LAST NOTE, true },
	{ ARTIFACT TYPE_ERROR TYPE_ERROR LAST, true },
	{ DIAGNOSTIC("unused", CODE("unused"), "warning", "") TYPE_ERROR LAST, true },
	{ DIAGNOSTIC("proc macro panicked", "null", "error", SPAN) LAST, true },
	{ "", false },
	{ LAST NOTE, false },
	{ ARTIFACT, false },
	/* no place in the sources: the disk, the system, the compiler */
	{ DIAGNOSTIC("failed to write /x: No space left", "null", "error", "") LAST, false },
	{ TYPE_ERROR DIAGNOSTIC("couldn't create a temp dir", "null", "error", "") LAST, false },
	{ DIAGNOSTIC("no", "null", "error: internal compiler error", SPAN), false },
	/* dependencies */
	{ DIAGNOSTIC("can't find crate", CODE("E0463"), "error", SPAN) LAST, false },
	{ TYPE_ERROR DIAGNOSTIC("newer version", CODE("E0460"), "error", SPAN) LAST, false },
	/* not the compiler's */
	{ "thread 'rustc' panicked at\n" TYPE_ERROR LAST, false },
	{ TYPE_ERROR LAST "{\"half\":", false },
	{ TYPE_ERROR LAST "\n", false },
	{ "[1]\n" TYPE_ERROR, false },
	{ "{\"$message_type\":\"diagnostic\"}\n" TYPE_ERROR, false },
	/* without a type */
	{ OLD_ARTIFACT OLD("mismatched types", "error", SPAN)
			OLD("aborting due to previous error", "error", ""),
		true },
	{ "{\"future_incompat_report\":[]}\n" OLD("mismatched types", "error", SPAN), true },
	{ OLD("failed to write /x: No space left", "error", ""), false },
	{ OLD("no", "error: internal compiler error", SPAN), false },
	{ OLD("mismatched types", "error", SPAN) "{\"something\":1}\n", false },
};

static void
test_cases(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (failure_is_final(cases[i].text, strlen(cases[i].text)) != cases[i].final)
			fail_msg("case %zu", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
