/* What a line of the job log says of a unit, in words. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/show/tell.h"

#define TIME "\"time\":\"2026-11-21T10:00:00.000Z\","

static struct job_line
decode(const char *line)
{
	struct job_line j;

	assert_int_equal(job_decode(line, strlen(line), &j), 0);
	return j;
}

static void
assert_short(const char *line, const char *expected)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct job_line j = decode(line);

	assert_int_equal(tell_short(&b, &j), 0);
	assert_string_equal(b.p ? (const char *)b.p : "", expected);
	job_done(&j);
}

static void
in_short(void **state)
{
	assert_short("{" TIME "\"where\":\"cache\",\"cache\":\"hit\",\"saved_ms\":1200}",
		"hit, saved 1.2 s");
	assert_short("{" TIME "\"where\":\"cache\",\"cache\":\"bundle\",\"saved_ms\":1200,"
		     "\"cache_why\":\"linker changed\",\"not_stored\":\"no space left\"}",
		"hit but for the link, saved 1.2 s; linker changed; not kept: no space left");
	assert_short("{" TIME "\"where\":\"farm\",\"worker\":\"w1\",\"why\":\"offload = always\"}",
		"w1");
	assert_short("{" TIME "\"where\":\"local\",\"why\":\"farm unreachable\",\"cache\":\"miss\","
		     "\"cache_why\":\"a file changed: a.rs\",\"not_stored\":\"no space left\"}",
		"miss: a file changed: a.rs; farm unreachable; not kept: no space left");
	assert_short("{" TIME "\"where\":\"local\",\"cache\":\"miss\"}", "miss");
	assert_short("{" TIME "\"where\":\"local\",\"cache\":\"off\"}", "");
	assert_short("{" TIME
		     "\"where\":\"local\",\"cache\":\"off\",\"cache_why\":\"incremental\"}",
		"cache not asked: incremental");
	assert_short("{" TIME "\"where\":\"farm\",\"worker\":\"w2\",\"exit_status\":1,"
		     "\"attempts\":[\"w9: gone\",\"w1: full\"]}",
		"w2; before, in vain: w1: full; failed, exit status 1");
	assert_short("{" TIME "\"where\":\"moon\"}", "");
}

static void
runs_in_short(void **state)
{
	assert_short("{" TIME "\"kind\":\"script-run\",\"where\":\"cache\",\"cache\":\"hit\","
		     "\"saved_ms\":1200}",
		"put back, saved 1.2 s");
	assert_short("{" TIME "\"kind\":\"script-run\",\"where\":\"local\",\"cache\":\"miss\","
		     "\"cache_why\":\"z.h changed\",\"bound\":\"lib/z.o\"}",
		"miss: z.h changed; names its place: lib/z.o");
	/* in OUT_DIR, and no trial */
	assert_short("{" TIME "\"kind\":\"script-run\",\"where\":\"local\",\"exit_status\":101,"
		     "\"out_dir\":\"/t/debug/build/x-1/out\"}",
		"failed, exit status 101");
}

static void
assert_long_of(
	const char *line, const char *made_line, const char *signer, const char *const *expected)
{
	_cleanup_(strv_done) struct strv says = STRV_INIT;
	struct job_line j = decode(line), made = { 0 };
	size_t i;

	if (made_line)
		made = decode(made_line);
	assert_int_equal(tell_long(&says, &j, made_line ? &made : NULL, signer), 0);
	for (i = 0; expected[i]; i++) {
		assert_true(i < says.n);
		assert_string_equal(says.v[i], expected[i]);
	}
	assert_int_equal(says.n, i);
	job_done(&j);
	job_done(&made);
}

static void
assert_long(const char *line, const char *made_line, const char *const *expected)
{
	assert_long_of(line, made_line, "", expected);
}

/* Whose seal it has, by name where a list of keys has one. */
static void
says_who_signed(void **state)
{
#define SIGNER "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	static const char line[] = "{" TIME
				   "\"where\":\"cache\",\"cache\":\"hit\",\"saved_ms\":1200,"
				   "\"end_us\":3000,\"worker_key\":\"" SIGNER "\"}";

	assert_long_of(line, NULL, "",
		(const char *const[]){ "It was in the local cache: nothing was compiled. That took "
				       "3 ms, and saved 1.2 s.",
			"It came from a shared cache, sealed by " SIGNER ".", "It took 3 ms.",
			NULL });
	assert_long_of(line, NULL, "ci",
		(const char *const[]){ "It was in the local cache: nothing was compiled. That took "
				       "3 ms, and saved 1.2 s.",
			"It came from a shared cache, sealed by " SIGNER " (ci).", "It took 3 ms.",
			NULL });
}

static void
in_sentences(void **state)
{
	setenv("TZ", "UTC", 1);
	assert_long("{" TIME
		    "\"where\":\"cache\",\"cache\":\"hit\",\"saved_ms\":1200,\"end_us\":3000,"
		    "\"lookup_ms\":1,\"restore_ms\":1.5}",
		"{\"time\":\"2026-11-20T09:08:07.000Z\",\"where\":\"farm\",\"worker\":\"w1\"}",
		(const char *const[]){ "It was in the local cache: nothing was compiled. That took "
				       "3 ms, and saved 1.2 s.",
			"It had been compiled on w1 at 2026-11-20 09:08:07.",
			"It took 3 ms: 1 ms looking it up, 2 ms putting it in place.", NULL });
	assert_long("{" TIME
		    "\"where\":\"cache\",\"cache\":\"bundle\",\"saved_ms\":1200,\"end_us\":9000,"
		    "\"cache_why\":\"ld.mold changed\",\"link_ms\":7,\"linker\":\"mold\","
		    "\"not_stored\":\"no space left\"}",
		NULL,
		(const char *const[]){
			"What the farm had compiled of it was in the local cache, and "
			"only its link was made. That saved 1.2 s.",
			"It had to be linked: ld.mold changed.",
			"Its result was not kept: no space left.", "It took 9 ms: 7 ms linking.",
			"It was linked here by mold.", NULL });
	assert_long("{" TIME "\"where\":\"cache\",\"cache\":\"hit\",\"saved_ms\":1200}",
		"{\"time\":\"2026-11-20T09:08:07.000Z\",\"where\":\"cache\",\"cache\":\"bundle\"}",
		(const char *const[]){ "It was in the local cache: nothing was compiled. That took "
				       "0 ms, and saved 1.2 s.",
			"It had been linked here at 2026-11-20 09:08:07.", "It took 0 ms.", NULL });
	assert_long("{" TIME "\"where\":\"farm\",\"worker\":\"w1\",\"why\":\"offload = always\","
		    "\"cache\":\"miss\",\"cache_why\":\"new\",\"not_stored\":\"HOME was read\","
		    "\"attempts\":[\"w9: gone\"],\"end_us\":2000000,\"compile_ms\":1500,"
		    "\"link_ms\":200,\"linker\":\"mold\",\"pack_ms\":0.4}",
		NULL,
		(const char *const[]){ "It was not in the local cache: new.",
			"Its result was not kept: HOME was read.",
			"It was compiled on the farm, by w1: offload = always.",
			"Tried before, in vain: w9: gone.",
			"It took 2.0 s: 1.5 s compiling, 200 ms linking.",
			"It was linked here by mold.", NULL });
	assert_long("{" TIME "\"where\":\"local\",\"cache\":\"off\",\"cache_why\":\"incremental\","
		    "\"exit_status\":101}",
		NULL,
		(const char *const[]){ "The local cache was not asked: incremental.",
			"It was compiled here.", "It failed, with exit status 101.",
			"It took 0 ms.", NULL });
	assert_long("{" TIME
		    "\"where\":\"passthrough\",\"why\":\"odd\",\"exit_status\":137,\"signal\":9}",
		NULL,
		(const char *const[]){ "The real compiler was run in dray's place: odd.",
			"It was killed by signal 9.", "It took 0 ms.", NULL });
	/* an exit status of its own */
	assert_long("{" TIME "\"where\":\"local\",\"exit_status\":137}", NULL,
		(const char *const[]){ "It was compiled here.", "It failed, with exit status 137.",
			"It took 0 ms.", NULL });
	assert_long("{" TIME "\"where\":\"moon\"}", NULL,
		(const char *const[]){ "The log says moon.", "It took 0 ms.", NULL });
}

static void
runs_in_sentences(void **state)
{
	static const char passes[] = "It took 0 ms.";

	setenv("TZ", "UTC", 1);
	assert_long("{" TIME "\"kind\":\"script-run\",\"crate\":\"z-sys\",\"where\":\"cache\","
		    "\"cache\":\"hit\",\"saved_ms\":1200,\"end_us\":3000,\"restore_ms\":2}",
		"{\"time\":\"2026-11-20T09:08:07.000Z\",\"where\":\"local\"}",
		(const char *const[]){
			"Its run was in the local cache: OUT_DIR was filled from there, and no "
			"script ran. That took 3 ms, and saved 1.2 s.",
			"The script had run here at 2026-11-20 09:08:07.",
			"It took 3 ms: 2 ms putting it in place.", NULL });
	assert_long("{" TIME "\"kind\":\"script-run\",\"crate\":\"z-sys\",\"where\":\"local\","
		    "\"cache\":\"miss\",\"cache_why\":\"z.h changed\",\"bound\":\"z.o\","
		    "\"end_us\":9000,\"compile_ms\":7}",
		NULL,
		(const char *const[]){ "Its run was not in the local cache: z.h changed.",
			"The script ran here.",
			"What it made holds the path of its place (z.o), so it is put back only "
			"there: in another target directory the script runs again.",
			"It took 9 ms: 7 ms running.", NULL });
	assert_long("{" TIME "\"kind\":\"script-run\",\"crate\":\"built\",\"where\":\"local\","
		    "\"cache\":\"miss\",\"not_stored\":\"it asked for the time: its program\"}",
		NULL,
		(const char *const[]){ "Its run was not in the local cache.",
			"The script ran here.",
			"Its run was not kept: it asked for the time: its program.",
			"If its result does not depend on that, name built in scripts_trust (or "
			"DRAY_SCRIPTS_TRUST); if it knows SOURCE_DATE_EPOCH, set that.",
			passes, NULL });
	assert_long("{" TIME "\"kind\":\"script-run\",\"crate\":\"a%s\",\"where\":\"local\","
		    "\"not_stored\":\"it listed OUT_DIR, in which an earlier run left files\"}",
		NULL,
		(const char *const[]){ "The script ran here.",
			"Its run was not kept: it listed OUT_DIR, in which an earlier run left "
			"files.",
			"A run that begins in an empty OUT_DIR is kept: cargo clean -p a%s.",
			passes, NULL });
	assert_long("{" TIME "\"kind\":\"script-run\",\"crate\":\"a\",\"where\":\"passthrough\","
		    "\"cache\":\"off\",\"cache_why\":\"OUT_DIR is not there\"}",
		NULL,
		(const char *const[]){ "The local cache was not asked: OUT_DIR is not there.",
			"The script was run as if there were no dray.", passes, NULL });
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_short),
		cmocka_unit_test(says_who_signed),
		cmocka_unit_test(in_sentences),
		cmocka_unit_test(runs_in_short),
		cmocka_unit_test(runs_in_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
