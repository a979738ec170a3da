/* The job log: each line is JSON, whatever is put in and however many write; and it is bounded. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>

#include "common/fs.h"
#include "common/log/joblog.h"
#include "common/log/unit_id.h"

static char *dir;

static int
setup(void **state)
{
	return fs_make_temp_dir("/tmp", "dray-joblog-", &dir);
}

static int
teardown(void **state)
{
	int r = fs_rm_rf(dir);

	free(dir);
	return r;
}

static char *
in_dir(const char *name)
{
	char *p = path_join(dir, name);

	assert_non_null(p);
	return p;
}

static struct joblog_entry
entry(void)
{
	return (struct joblog_entry){ .crate = "serde", .kind = "lib", .where = "farm" };
}

/* Reads every line as JSON; how many there are. *ret_last (may be NULL) is the last one. */
static size_t
read_lines(const char *path, json_t **ret_last)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *p, *nl;
	size_t n = 0;

	assert_int_equal(fs_read_file(path, 64 << 20, &b), 0);
	for (p = (char *)b.p; p != NULL && p < (char *)b.p + b.n; p = nl + 1) {
		json_error_t err;
		json_t *j;

		nl = memchr(p, '\n', (size_t)((char *)b.p + b.n - p));
		assert_non_null(nl);
		j = json_loadb(p, (size_t)(nl - p), JSON_REJECT_DUPLICATES, &err);
		if (j == NULL)
			fail_msg("%s: %.*s", err.text, (int)(nl - p), p);
		n++;
		if (ret_last != NULL) {
			json_decref(*ret_last);
			*ret_last = j;
		} else {
			json_decref(j);
		}
	}
	return n;
}

static void
all_fields(void **state)
{
	static const char *const attempts[] = { "w1: disk full", "w2: it is gone", NULL };
	const struct joblog_trace trace = { .whole = 1, .absent = 7, .wait_us = 1500 };
	const struct joblog_entry e = { .crate = "ripgrep",
		.package = "ripgrep 14.1.1",
		.kind = "bin",
		.where = "farm",
		.why = "large",
		.worker = "w3",
		.linker = "mold",
		.out_dir = "/t/\"deps\"\n",
		.attempts = attempts,
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
		.bytes_sent = UINT64_MAX,
		.bytes_received = 9,
		.trace = &trace };
	_cleanup_(freep) char *path = in_dir("new/dir/jobs.jsonl");
	json_t *j = NULL, *a;
	struct stat st;

	assert_int_equal(joblog_append(path, 0, &e), 0);
	assert_int_equal(read_lines(path, &j), 1);
	assert_string_equal(json_string_value(json_object_get(j, "crate")), "ripgrep");
	assert_string_equal(json_string_value(json_object_get(j, "package")), "ripgrep 14.1.1");
	assert_string_equal(json_string_value(json_object_get(j, "kind")), "bin");
	assert_string_equal(json_string_value(json_object_get(j, "where")), "farm");
	assert_string_equal(json_string_value(json_object_get(j, "why")), "large");
	assert_string_equal(json_string_value(json_object_get(j, "worker")), "w3");
	assert_string_equal(json_string_value(json_object_get(j, "linker")), "mold");
	assert_string_equal(json_string_value(json_object_get(j, "out_dir")), "/t/\"deps\"\n");
	a = json_object_get(j, "attempts");
	assert_int_equal(json_array_size(a), 2);
	assert_string_equal(json_string_value(json_array_get(a, 1)), "w2: it is gone");
	assert_int_equal(json_integer_value(json_object_get(j, "exit_status")), 137);
	assert_int_equal(json_integer_value(json_object_get(j, "signal")), 9);
	assert_int_equal(json_integer_value(json_object_get(j, "parent")), 4711);
	assert_int_equal(json_integer_value(json_object_get(j, "start_us")), 1000);
	assert_int_equal(json_integer_value(json_object_get(j, "compile_start_us")), 2000);
	assert_int_equal(json_integer_value(json_object_get(j, "rmeta_us")), 3000);
	assert_int_equal(json_integer_value(json_object_get(j, "end_us")), 251500);
	assert_true(json_real_value(json_object_get(j, "wall_ms")) == 250.5);
	assert_true(json_real_value(json_object_get(j, "pack_ms")) == 0.001);
	assert_true(json_real_value(json_object_get(j, "queue_ms")) == 2.0);
	assert_true(json_real_value(json_object_get(j, "upload_ms")) == 3.0);
	assert_true(json_real_value(json_object_get(j, "compile_ms")) == 4.0);
	assert_true(json_real_value(json_object_get(j, "download_ms")) == 5.0);
	assert_true(json_real_value(json_object_get(j, "slot_wait_ms")) == 6.0);
	assert_true(json_real_value(json_object_get(j, "link_ms")) == 7.001);
	assert_true(json_integer_value(json_object_get(j, "bytes_sent")) == INT64_MAX);
	assert_int_equal(json_integer_value(json_object_get(j, "bytes_received")), 9);
	assert_int_equal(strlen(json_string_value(json_object_get(j, "time"))), 24);
	a = json_object_get(j, "trace");
	assert_true(json_is_true(json_object_get(a, "whole")));
	assert_int_equal(json_integer_value(json_object_get(a, "absent")), 7);
	assert_true(json_real_value(json_object_get(a, "wait_ms")) == 1.5);
	json_decref(j);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* A unit with a hundred externs, in a place as long as they are: the line stays below 2 KiB. */
static void
a_line_is_small(void **state)
{
	_cleanup_(freep) char *path = in_dir("small.jsonl");
	char externs[UNIT_ID_LIST_MAX], *p = externs;
	struct joblog_entry e = entry();
	json_t *j = NULL;
	struct stat st;

	for (unsigned i = 0; i < 100; i++)
		p += snprintf(p, 10, "%s%08x", i ? " " : "", 0x1a2b3c00 + i);
	e.package = "cargo-platform-support 10.11.12";
	e.crate = "cargo_platform_support";
	e.unit = "cargo_platform_support-1a2b3c4d5e6f7a8b";
	e.externs = externs;
	e.cache = "miss";
	e.cache_why = "new: nothing of this key was kept";
	e.why = "no coordinator configured";
	e.key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	e.out_dir = "/home/someone/projects/of-someone/target/debug/deps";
	e.start_us = e.compile_start_us = e.rmeta_us = e.end_us = UINT64_C(123456789012);
	assert_int_equal(joblog_append(path, 0, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 2048);
	assert_int_equal(read_lines(path, &j), 1);
	assert_string_equal(json_string_value(json_object_get(j, "externs")), externs);
	assert_string_equal(json_string_value(json_object_get(j, "unit")), e.unit);
	assert_null(json_object_get(j, "externs_left"));
	e.externs_left = 7;
	assert_int_equal(joblog_append(path, 0, &e), 0);
	assert_int_equal(read_lines(path, &j), 2);
	assert_int_equal(json_integer_value(json_object_get(j, "externs_left")), 7);
	json_decref(j);
}

static void
absent_and_odd_text(void **state)
{
	_cleanup_(freep) char *path = in_dir("odd.jsonl");
	struct joblog_entry e = entry();
	char long_text[9000];
	json_t *j = NULL;
	const char *s;
	size_t i;

	e.crate = NULL;
	e.end_us = 0;
	e.start_us = 5;
	e.why = "bad \xff\xfe bytes, a cut \xe2\x82";
	assert_int_equal(joblog_append(path, 0, &e), 0);
	read_lines(path, &j);
	assert_string_equal(json_string_value(json_object_get(j, "crate")), "");
	assert_string_equal(json_string_value(json_object_get(j, "why")), "bad ?? bytes, a cut ??");
	assert_null(json_object_get(j, "worker"));
	assert_null(json_object_get(j, "attempts"));
	assert_true(json_real_value(json_object_get(j, "wall_ms")) == 0);

	/* cut between characters, not within one */
	for (i = 0; i + 3 < sizeof(long_text); i += 3)
		memcpy(long_text + i, "\xe2\x82\xac", 3);
	long_text[i] = '\0';
	e.why = long_text;
	assert_int_equal(joblog_append(path, 0, &e), 0);
	memset(long_text, 0x80, sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	e.out_dir = long_text;
	e.why = "\xe2\x82\xac";
	assert_int_equal(joblog_append(path, 0, &e), 0);
	assert_int_equal(read_lines(path, &j), 3);
	assert_string_equal(json_string_value(json_object_get(j, "why")), "\xe2\x82\xac");
	s = json_string_value(json_object_get(j, "out_dir"));
	assert_true(strlen(s) >= 2040 && strlen(s) <= 2048);
	assert_int_equal(strspn(s, "?"), strlen(s));
	json_decref(j);
}

static void
long_text_is_cut_whole(void **state)
{
	_cleanup_(freep) char *path = in_dir("cut.jsonl");
	struct joblog_entry e = entry();
	char text[3001];
	json_t *j = NULL;
	size_t i;

	for (i = 0; i < 3000; i += 3)
		memcpy(text + i, "\xe2\x82\xac", 3);
	text[3000] = '\0';
	e.why = text;
	assert_int_equal(joblog_append(path, 0, &e), 0);
	read_lines(path, &j);
	assert_int_equal(json_string_length(json_object_get(j, "why")), 2046);
	json_decref(j);
}

static void
rotates(void **state)
{
	_cleanup_(freep) char *path = in_dir("rot.jsonl"), *old = in_dir("rot.jsonl.1");
	struct joblog_entry e = entry();
	struct stat st;
	size_t i, line;

	assert_int_equal(joblog_append(path, 4000, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	line = (size_t)st.st_size;
	assert_true(line < 1000);
	for (i = 0; i < 50; i++) {
		assert_int_equal(joblog_append(path, 4000, &e), 0);
		assert_int_equal(stat(path, &st), 0);
		assert_true(st.st_size <= 4000);
	}
	assert_int_equal(stat(old, &st), 0);
	assert_true(st.st_size <= 4000 && (size_t)st.st_size + line > 4000);
	assert_true(read_lines(old, NULL) >= 4);
	/* a limit below one line: that line is kept, alone */
	assert_int_equal(joblog_append(path, 10, &e), 0);
	assert_int_equal(read_lines(path, NULL), 1);
}

#define WRITERS 6
#define LINES 200

static void
write_many(const char *path, uint64_t limit)
{
	struct joblog_entry e = entry();
	int i, status;

	for (i = 0; i < WRITERS; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			int k;

			for (k = 0; k < LINES; k++) {
				if (joblog_append(path, limit, &e) != 0)
					_exit(1);
			}
			_exit(0);
		}
	}
	for (i = 0; i < WRITERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

static void
many_writers(void **state)
{
	_cleanup_(freep) char *path = in_dir("many.jsonl"), *rot = in_dir("manyrot.jsonl");
	_cleanup_(freep) char *old = in_dir("manyrot.jsonl.1");
	struct stat st;
	uint64_t total, limit;

	write_many(path, 0);
	assert_int_equal(read_lines(path, NULL), WRITERS * LINES);
	assert_int_equal(stat(path, &st), 0);
	total = (uint64_t)st.st_size;

	/* room for two thirds, so exactly one rotation: a second one would lose lines */
	limit = total * 2 / 3;
	write_many(rot, limit);
	assert_int_equal(read_lines(rot, NULL) + read_lines(old, NULL), WRITERS * LINES);
}

static void
refuses(void **state)
{
	_cleanup_(freep) char *fifo = in_dir("fifo"), *below = in_dir("file/jobs"),
			      *file = in_dir("file");
	struct joblog_entry e = entry();

	assert_int_equal(joblog_append(dir, 100, &e), -EISDIR);
	assert_int_equal(fs_write_atomic(file, "", 0, 0600), 0);
	assert_int_equal(joblog_append(below, 100, &e), -ENOTDIR);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(joblog_append(fifo, 100, &e), -ENXIO);
	assert_int_equal(joblog_append("/dev/full", 100, &e), -ENOSPC);
	assert_int_equal(joblog_append("/dev/null", 1, &e), 0);
}

/* A disk that fills up in the middle of a line costs that line, not its neighbours. */
static void
short_write(void **state)
{
	_cleanup_(freep) char *path = in_dir("short.jsonl");
	struct joblog_entry e = entry();
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct rlimit old, small;
	char *p, *nl;
	int i;
	struct stat st;

	assert_int_equal(joblog_append(path, 0, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = (rlim_t)st.st_size + 20;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(joblog_append(path, 0, &e), -ENOSPC);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);

	assert_int_equal(joblog_append(path, 0, &e), 0);
	assert_int_equal(joblog_append(path, 0, &e), 0);
	assert_int_equal(fs_read_file(path, 1 << 20, &b), 0);
	/* line 2 is the torn one; no other has been joined with it */
	p = (char *)b.p;
	for (i = 0; (nl = strchr(p, '\n')) != NULL; i++, p = nl + 1) {
		json_t *j = json_loadb(p, (size_t)(nl - p), 0, NULL);

		assert_int_equal(j != NULL, i != 1);
		json_decref(j);
	}
	assert_int_equal(i, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_fields),
		cmocka_unit_test(a_line_is_small),
		cmocka_unit_test(absent_and_odd_text),
		cmocka_unit_test(long_text_is_cut_whole),
		cmocka_unit_test(rotates),
		cmocka_unit_test(many_writers),
		cmocka_unit_test(refuses),
		cmocka_unit_test(short_write),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
