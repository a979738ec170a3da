/* The job log's reader: whole lines, torn ones, foreign ones; two files; times. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "client/show/jobs.h"
#include "common/fs.h"
#include "common/log/joblog.h"
#include "common/text/when.h"

#define LINE(time, crate) \
	"{\"time\":\"2026-11-21T10:00:" time "Z\",\"where\":\"farm\",\"crate\":\"" crate "\"}"

static char *dir, *path, *former;

static int
set_up(void **state)
{
	if (fs_make_temp_dir("/tmp", "dray-jobs-", &dir) < 0)
		return -1;
	path = path_join(dir, "jobs.jsonl");
	former = path_join(dir, "jobs.jsonl.1");
	return path && former ? 0 : -1;
}

static int
tear_down(void **state)
{
	int r = fs_rm_rf(dir);

	free(dir);
	free(path);
	free(former);
	return r;
}

static void
put(const char *file, const char *text)
{
	assert_int_equal(fs_write_atomic(file, text, strlen(text), 0600), 0);
}

/* The crates' names, in the order in which they were read. */
static int
gather(void *arg, struct job_line *j)
{
	if (streq(j->crate, "stop"))
		return 7;
	return buf_adds(arg, j->crate);
}

static void
assert_read(uint64_t since, const char *crates, uint64_t skipped)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct jobs_tally t;

	assert_int_equal(jobs_each(path, since, gather, &b, &t), 0);
	assert_string_equal(b.p ? (const char *)b.p : "", crates);
	assert_int_equal(t.skipped, skipped);
	assert_int_equal(t.lines, strlen(crates));
}

static int
decode(const char *line, struct job_line *ret)
{
	return job_decode(line, strlen(line), ret);
}

static void
what_the_writer_writes(void **state)
{
	static const char *const attempts[] = { "w1: disk full", "w2: it is gone", NULL };
	const struct joblog_entry e = { .crate = "ripgrep",
		.package = "ripgrep 14.1.1",
		.kind = "bin",
		.where = "cache",
		.why = "large",
		.worker = "w3",
		.linker = "mold",
		.out_dir = "/t/deps",
		.attempts = attempts,
		.cache = "miss",
		.cache_why = "new",
		.not_stored = "too large",
		.key = "ab12",
		.unit = "ripgrep-1a2b3c4d5e6f7a8b",
		.externs = "11111111 22222222",
		.externs_left = 3,
		.links = "z",
		.deps = "ZSTD_ROOT",
		.bound = "lib.a",
		.parent = 4711,
		.exit_status = 137,
		.signal = 9,
		.start_us = 1000,
		.compile_start_us = 2000,
		.rmeta_us = 3000,
		.end_us = 251500,
		.pack_us = 1,
		.queue_us = 2000,
		.upload_us = 3000,
		.compile_us = 4000,
		.download_us = 5000,
		.slot_wait_us = 6000,
		.link_us = 7001,
		.lookup_us = 8,
		.restore_us = 9,
		.store_us = 10,
		.saved_us = 11,
		.cache_bytes = 12,
		.bytes_sent = 13,
		.bytes_received = 14 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct timespec now;
	struct job_line j;

	unlink(path);
	assert_int_equal(joblog_append(path, 0, &e), 0);
	assert_int_equal(fs_read_file(path, 1 << 20, &b), 0);
	assert_int_equal(job_decode((const char *)b.p, b.n - 1, &j), 0);
	assert_string_equal(j.crate, e.crate);
	assert_string_equal(j.package, e.package);
	assert_string_equal(j.kind, e.kind);
	assert_string_equal(j.where, e.where);
	assert_string_equal(j.why, e.why);
	assert_string_equal(j.worker, e.worker);
	assert_string_equal(j.linker, e.linker);
	assert_string_equal(j.out_dir, e.out_dir);
	assert_string_equal(j.cache, e.cache);
	assert_string_equal(j.cache_why, e.cache_why);
	assert_string_equal(j.not_stored, e.not_stored);
	assert_string_equal(j.key, e.key);
	assert_string_equal(j.unit, e.unit);
	assert_string_equal(j.externs, e.externs);
	assert_string_equal(j.links, e.links);
	assert_string_equal(j.deps, e.deps);
	assert_string_equal(j.bound, e.bound);
	assert_string_equal(job_attempt(&j, 1), "w2: it is gone");
	assert_string_equal(job_attempt(&j, 2), "");
	assert_int_equal(j.exit_status, 137);
	assert_int_equal(j.signal, 9);
	assert_int_equal(j.parent, 4711);
	assert_int_equal(j.start_us, e.start_us);
	assert_int_equal(j.compile_start_us, e.compile_start_us);
	assert_int_equal(j.rmeta_us, e.rmeta_us);
	assert_int_equal(j.end_us, e.end_us);
	assert_int_equal(j.pack_us, e.pack_us);
	assert_int_equal(j.queue_us, e.queue_us);
	assert_int_equal(j.upload_us, e.upload_us);
	assert_int_equal(j.compile_us, e.compile_us);
	assert_int_equal(j.download_us, e.download_us);
	assert_int_equal(j.slot_wait_us, e.slot_wait_us);
	assert_int_equal(j.link_us, e.link_us);
	assert_int_equal(j.lookup_us, e.lookup_us);
	assert_int_equal(j.restore_us, e.restore_us);
	assert_int_equal(j.store_us, e.store_us);
	assert_int_equal(j.saved_us, e.saved_us);
	assert_int_equal(j.cache_bytes, e.cache_bytes);
	assert_int_equal(j.bytes_sent, e.bytes_sent);
	assert_int_equal(j.bytes_received, e.bytes_received);
	assert_int_equal(job_cost_us(&j), 11001);
	clock_gettime(CLOCK_REALTIME, &now);
	assert_in_range(
		j.time_ms, (uint64_t)now.tv_sec * 1000 - 60000, (uint64_t)now.tv_sec * 1000 + 1000);
	job_done(&j);
	job_done(&j);
}

static void
odd_values(void **state)
{
	static const char *const foreign[] = { "", "{", "[]", "null", "3", "\"a\"", "{}",
		"{\"time\":\"2026-11-21T10:00:00Z\"}",
		"{\"time\":\"2026-11-21T10:00:00Z\",\"where\":\"\"}",
		"{\"time\":\"2026-11-21T10:00:00Z\",\"where\":5}",
		"{\"time\":\"yesterday\",\"where\":\"farm\"}", "{\"where\":\"farm\"}",
		LINE("00", "a") "}", "{\"time\":\"2026-11-21T10:00:00Z\",\"where\":\"\xff\"}" };
	struct job_line j;

	for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
		assert_int_equal(decode(foreign[i], &j), -EBADMSG);
	assert_int_equal(decode("{\"time\":\"2026-11-21T10:00:00Z\",\"where\":\"farm\",\"crate\":5,"
				"\"attempts\":\"x\",\"exit_status\":-1,\"start_us\":9,\"end_us\":3,"
				"\"compile_ms\":-4.5,\"link_ms\":1e300,\"cache_bytes\":\"7\","
				"\"new\":{\"a\":[1,2]},\"bytes_sent\":true}",
				 &j),
		0);
	assert_string_equal(j.crate, "");
	assert_string_equal(j.why, "");
	assert_string_equal(job_attempt(&j, 0), "");
	assert_int_equal(j.exit_status, 0);
	assert_int_equal(j.start_us, 9);
	assert_int_equal(j.end_us, 9);
	assert_int_equal(j.compile_us, 0);
	assert_int_equal(j.link_us, UINT64_C(1000000000000000));
	assert_int_equal(j.cache_bytes, 0);
	assert_int_equal(j.bytes_sent, 0);
	job_done(&j);
}

static void
both_files(void **state)
{
	uint64_t since;

	put(former, LINE("01", "a") "\n" LINE("02", "b") "\n");
	put(path, LINE("03", "c") "\n" LINE("04", "d") "\n");
	assert_read(0, "abcd", 0);
	assert_true(when_parse("2026-11-21T10:00:03Z", &since));
	assert_read(since, "cd", 0);
	assert_read(since + 1, "d", 0);
	/* renamed while we look: one file under both names is read once */
	unlink(former);
	assert_int_equal(link(path, former), 0);
	assert_read(0, "cd", 0);
	unlink(path);
	assert_read(0, "cd", 0);
	unlink(former);
}

static void
torn_and_foreign(void **state)
{
	put(path, "garbage\n\n" LINE("01", "a") "\n{\"time\":\"2026-1\n" LINE("02", "b") "\n");
	assert_read(0, "ab", 2);
	/* the last one is being written */
	put(path, LINE("01", "a") "\n{\"time\":\"20");
	assert_read(0, "a", 1);
	/* or has lost its newline only */
	put(path, LINE("01", "a") "\n" LINE("02", "b"));
	assert_read(0, "ab", 0);
	put(path, "");
	assert_read(0, "", 0);
}

/* Lines longer than any of the log's cost no memory, and are one foreign line each. */
static void
endless_line(void **state)
{
	const size_t n = 3 * JOB_LINE_MAX;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(buf_reserve(&b, 2 * n + 4096), 0);
	buf_adds(&b, LINE("01", "a") "\n");
	memset(b.p + b.n, 'x', n);
	b.n += n;
	buf_adds(&b, "\n" LINE("02", "b") "\n");
	memset(b.p + b.n, 'y', n);
	b.n += n;
	assert_int_equal(fs_write_atomic(path, b.p, b.n, 0600), 0);
	assert_read(0, "ab", 2);
}

/* Lines that lie across the pieces in which the file is read. */
static void
many_lines(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT, crates = BUF_INIT;
	struct jobs_tally t;

	for (int i = 0; i < 5000; i++)
		buf_adds(&b, i % 2 ? LINE("01", "x") "\n" : LINE("02", "yy") "\n");
	assert_int_equal(fs_write_atomic(path, b.p, b.n, 0600), 0);
	assert_int_equal(jobs_each(path, 0, gather, &crates, &t), 0);
	assert_int_equal(t.lines, 5000);
	assert_int_equal(t.skipped, 0);
	assert_int_equal(crates.n, 7500);
}

static void
ends_early(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct jobs_tally t;

	put(path, LINE("01", "a") "\n" LINE("02", "stop") "\n" LINE("03", "c") "\n");
	assert_int_equal(jobs_each(path, 0, gather, &b, &t), 7);
	assert_string_equal((const char *)b.p, "a");
}

static void
no_log(void **state)
{
	struct jobs_tally t;

	unlink(path);
	assert_int_equal(jobs_each(path, 0, gather, NULL, &t), 0);
	assert_false(t.found);
	put(path, "");
	assert_int_equal(jobs_each(path, 0, gather, NULL, &t), 0);
	assert_true(t.found);
	assert_int_equal(jobs_each(dir, 0, gather, NULL, &t), -EISDIR);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(jobs_each(path, 0, gather, NULL, &t), -EINVAL);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_writer_writes),
		cmocka_unit_test(odd_values),
		cmocka_unit_test(both_files),
		cmocka_unit_test(torn_and_foreign),
		cmocka_unit_test(endless_line),
		cmocka_unit_test(many_lines),
		cmocka_unit_test(ends_early),
		cmocka_unit_test(no_log),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
