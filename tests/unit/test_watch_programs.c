/* What real programs under dray-trace are seen to do. */
#include "config.h"

#include "tests/unit/watch_fixture.h"
#include "trace/program.h"

/* ---- real programs */

static int
find_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	if (!strstr(info->dlpi_name, "libcmocka"))
		return 0;
	*(const char **)arg = info->dlpi_name;
	return 1;
}

/* By which dray-env.so knows the compiler: here any library stands in for it. */
static void
preload_driver(const struct place *p)
{
	_cleanup_(freep) char *path = path_join(p->dir, "librustc_driver-test.so");
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *library = NULL;

	assert_int_equal(dl_iterate_phdr(find_library, &library), 1);
	assert_int_equal(fs_read_file(library, 1u << 24, &b), 0);
	assert_int_equal(fs_write_atomic(path, b.p, b.n, 0755), 0);
	setenv("LD_PRELOAD", path, 1);
	/* where dray-trace has a sanitizer, that wants to be loaded first */
	setenv("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=1:verify_asan_link_order=0", 1);
}

/* Runs the shell's text under dray-trace; its status, and the record in *ret. */
static int
traced_by(const char *shell, const struct place *p, const char *text, struct buf *ret)
{
	_cleanup_(freep) char *program = NULL, *writable = NULL;
	_cleanup_(closep) int fd = open(p->record, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *argv[] = { NULL, (char[]){ "--record-fd=7" }, NULL, (char[]){ "--" }, NULL,
		(char[]){ "-c" }, NULL, NULL };
	struct spawn_fd fds[] = { { fd, 7 } };
	pid_t pid;
	int r;

	assert_true(asprintf(&program, "%s/trace/dray-trace", getenv("DRAY_TEST_BUILDDIR")) > 0);
	assert_true(asprintf(&writable, "--writable=%s", p->out) > 0);
	argv[0] = program;
	argv[2] = writable;
	argv[4] = strdup(shell);
	argv[6] = strdup(text);
	preload_driver(p);
	assert_int_equal(spawn_start(&(struct spawn){ .path = program,
					     .argv = argv,
					     .cwd = p->dir,
					     .fds = fds,
					     .n_fds = 1 },
				 &pid),
		0);
	r = spawn_wait(pid, NULL);
	unsetenv("LD_PRELOAD");
	free(argv[4]);
	free(argv[6]);
	assert_int_equal(fs_read_file(p->record, 1u << 24, ret), 0);
	return r;
}

static int
traced(const struct place *p, const char *text, struct buf *ret)
{
	return traced_by("/bin/sh", p, text, ret);
}

static void
test_program(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *in = put(p, "in", "text\n"), *link = path_join(p->dir, "link");
	_cleanup_(freep) char *near = put(p, "near", "x"), *gone = path_join(p->dir, "gone");
	_cleanup_(freep) char *out = path_join(p->out, "made"), *sub = path_join(p->dir, "sub");
	_cleanup_(freep) char *deep = path_join(sub, "deep");

	if (!trace_filter_possible())
		skip();
	assert_int_equal(fs_mkdir_p(deep, 0755), 0);
	assert_int_equal(symlink("sub/deep", link), 0);
	assert_int_equal(traced(p,
				 "cat in link/../../near >out/made; test -e gone; cat out/made "
				 ">/dev/null; : \"$SOMETHING\"; exit 7",
				 &b),
		7);
	assert_true(has(&b, 'f', in));
	/* the kernel's "..", not the text's */
	assert_true(has(&b, 'f', near));
	assert_true(has(&b, 'a', gone));
	assert_true(has(&b, 'w', out));
	assert_false(has(&b, 'f', out));
	assert_string_equal(doubt_of(&b), "");
}

/* Its file, its interpreter, what it reads and looks for are in the record; and which of the
 * variables that are otherwise left out it names. */
static void
test_program_that_runs_others(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *in = put(p, "in", "text"), *absent = path_join(p->dir, "absent");
	_cleanup_(freep) char *script = put(
		p, "script", "#! /bin/sh -e\ncat in; test -e absent; : $SSH_TTY; : $COLOUR\n");

	if (!trace_filter_possible())
		skip();
	assert_int_equal(chmod(script, 0755), 0);
	assert_int_equal(traced(*state, "./script >/dev/null; : $TERM", &b), 0);
	assert_string_equal(doubt_of(&b), "");
	assert_true(has(&b, 'f', script));
	assert_true(has(&b, 'f', "/bin/sh"));
	assert_true(has(&b, 'f', in));
	assert_true(has(&b, 'a', absent));
	assert_true(has_program(&b, "all", script));
	assert_true(has(&b, 'm', "SSH_TTY"));
	assert_false(has(&b, 'm', "COLOUR"));
	/* the program itself is seen to ask */
	assert_false(has(&b, 'm', "TERM"));
}

/* The compiler, and what it runs, has LD_PRELOAD as the user has it. */
static void
test_preload_is_the_users(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (!trace_filter_possible())
		skip();
	assert_int_equal(
		traced(*state,
			"case $LD_PRELOAD in /*:*) ;; */librustc_driver-test.so) exit 3;; esac",
			&b),
		3);
	assert_int_equal(traced(*state, "case $LD_PRELOAD in *dray-env*) exit 3;; esac", &b), 0);
}

static void
test_program_that_tells_the_time(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (!trace_filter_possible())
		skip();
	assert_int_equal(traced(*state, "date >/dev/null; :", &b), 0);
	assert_int_equal(strncmp(doubt_of(&b), "it ran ", 7), 0);
}

static void
test_program_that_is_looked_for(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf good = BUF_INIT, bad = BUF_INIT;
	_cleanup_(freep) char *counter = path_join(p->out, "counter"), *path = NULL;
	const char *old = getenv("PATH");

	if (!trace_filter_possible())
		skip();
	assert_int_equal(fs_write_atomic(counter, "1\n", 2, 0644), 0);
	assert_true(asprintf(&path, "/nowhere:%s:/none:/bin:/usr/bin", p->dir) > 0);
	setenv("PATH", path, 1);
	assert_int_equal(traced_by("sh", p, ":", &good), 0);
	/* the shell does it, not the program that looked for the shell */
	assert_int_equal(traced_by("sh", p, "read n <out/counter; echo 2 >out/counter", &bad), 0);
	setenv("PATH", old ? old : "", 1);
	assert_string_equal(doubt_of(&good), "");
	assert_true(has(&good, 'a', "/nowhere/sh"));
	assert_int_equal(strncmp(doubt_of(&bad), "it read and then wrote ", 23), 0);
}

/* What it is named by leads to its file. */
static void
test_program_run_by_descriptor(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *self = realpath("/proc/self/exe", NULL), *text = NULL;
	_cleanup_(freep) char *program = realpath("/bin/true", NULL);

	if (!trace_filter_possible())
		skip();
	assert_true(asprintf(&text, "'%s' run-by-descriptor; :", self) > 0);
	assert_int_equal(traced(*state, text, &b), 0);
	assert_string_equal(doubt_of(&b), "");
	assert_true(has_program(&b, "all", program));
}

static void
test_program_without_a_file(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *self = realpath("/proc/self/exe", NULL), *text = NULL;

	if (!trace_filter_possible())
		skip();
	assert_true(asprintf(&text, "'%s' run-from-memory; :", self) > 0);
	assert_int_equal(traced(*state, text, &b), 0);
	assert_int_equal(strncmp(doubt_of(&b), "it ran /proc/self/fd/", 21), 0);
}

static int
run_by_descriptor(bool from_memory)
{
	char *argv[] = { (char[]){ "true" }, NULL };
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (from_memory) {
		fd = memfd_create("true", 0);
		if (fs_read_file("/bin/true", 1u << 24, &b) < 0 || fs_write_all(fd, b.p, b.n) < 0)
			return 1;
	}
	fexecve(fd, argv, environ);
	return 1;
}

static void
add_text(void *arg, const char *name)
{
	assert_int_equal(buf_addf(arg, "%s ", name), 0);
}

/* Names without ends, as in a program. */
static void
test_names_in_binary(void **state)
{
	static const char data[] = "\0xGITHUB_ENVy\0SIGTERM\0 TERMS ZGITHUB_RUN_IDN\xff_\0_";
	static const char more[] = "\0TERM\0LESSOPEN BUILD_I";
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	program_names_in_binary((const uint8_t *)data, sizeof(data) - 1, add_text, &b);
	assert_int_equal(buf_add(&b, "", 1), 0);
	assert_string_equal((char *)b.p, "GITHUB_ENV GITHUB_RUN_* ");
	buf_done(&b);
	program_names_in_binary((const uint8_t *)more, sizeof(more) - 1, add_text, &b);
	program_names_in_binary((const uint8_t *)more, 0, add_text, &b);
	assert_int_equal(buf_add(&b, "", 1), 0);
	assert_string_equal((char *)b.p, "TERM LESS* ");
}

/* What a driver keeps for itself is neither read nor made; the same by the compiler is. */
static void
test_aside(void **state)
{
	struct place *p = *state;
	struct watch w = { .set = TRACE_SET_INIT };
	_cleanup_(freep) char *kept = path_join(p->dir, "kept"),
			      *conf = path_join(p->dir, "x.conf"),
			      *found = path_join(p->dir, "found");

	strv_add(&w.caches, p->dir);
	call(&w, TRACE_CHANGE, kept, driver);
	call(&w, TRACE_LOOK, kept, driver);
	call(&w, TRACE_LOOK, kept, linker);
	call(&w, TRACE_LIST, p->dir, driver);
	call(&w, TRACE_CHANGE, "/usr/none/default_1.profraw", compiler);
	assert_string_equal(w.doubt, "");
	assert_int_equal(w.set.n, 0);
	call(&w, TRACE_LOOK, conf, driver);
	call(&w, TRACE_LOOK, kept, compiler);
	assert_int_equal(w.set.n, 2);
	/* what another program finds there */
	call(&w, TRACE_LOOK, found, other);
	assert_int_equal(w.set.n, 3);
	call(&w, TRACE_CHANGE, kept, compiler);
	assert_int_equal(strncmp(w.doubt, "it wrote ", 9), 0);
	watch_done(&w);
}

/* An index that git writes anew; and something else of that name. */
static void
test_index(void **state)
{
	static const char empty[] = "DIRC\0\0\0\2\0\0\0\0"
				    "01234567890123456789";
	struct place *p = *state;
	struct watch w = { .set = TRACE_SET_INIT };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *index = path_join(p->dir, "index"), *sub = path_join(p->dir, "sub");
	_cleanup_(freep) char *lock = path_join(p->dir, "index.lock"),
			      *no = path_join(sub, "index");
	bool found = false;

	assert_int_equal(fs_write_atomic(index, empty, sizeof(empty) - 1, 0644), 0);
	assert_int_equal(mkdir(sub, 0755), 0);
	assert_int_equal(fs_write_atomic(no, "none", 4, 0644), 0);
	call(&w, TRACE_OPEN, index, git);
	call(&w, TRACE_CHANGE, lock, git);
	call(&w, TRACE_LOOK, lock, git);
	call(&w, TRACE_CHANGE, index, git);
	assert_string_equal(w.doubt, "");
	assert_int_equal(watch_record(&w, &b), 0);
	for (size_t i = 0; i < b.n; i += strlen((const char *)b.p + i) + 1)
		found |= b.p[i] == 'g' && ends_with((const char *)b.p + i, index);
	assert_true(found);
	assert_true(has(&b, 'f', index));
	assert_false(has(&b, 'w', index));
	call(&w, TRACE_CHANGE, no, git);
	assert_int_equal(strncmp(w.doubt, "it wrote ", 9), 0);
	watch_done(&w);
}

static void
test_program_that_is_killed(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(traced(*state, "kill -SEGV $$", &b), SPAWN_SIGNALLED + SIGSEGV);
}

/* Each exit status is the program's, also where a shell means a signal by it. */
static void
test_exit_statuses(void **state)
{
	for (int i = 0; i < 256; i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		char script[16];

		snprintf(script, sizeof(script), "exit %u", (unsigned)i & 0xff);
		assert_int_equal(traced(*state, script, &b), i);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_exit_statuses, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_program, make_place, remove_place),
		cmocka_unit_test_setup_teardown(
			test_program_that_runs_others, make_place, remove_place),
		cmocka_unit_test_setup_teardown(
			test_program_that_is_looked_for, make_place, remove_place),
		cmocka_unit_test_setup_teardown(
			test_program_run_by_descriptor, make_place, remove_place),
		cmocka_unit_test_setup_teardown(
			test_program_without_a_file, make_place, remove_place),
		cmocka_unit_test_setup_teardown(
			test_program_that_tells_the_time, make_place, remove_place),
		cmocka_unit_test_setup_teardown(
			test_preload_is_the_users, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_aside, make_place, remove_place),
		cmocka_unit_test(test_names_in_binary),
		cmocka_unit_test_setup_teardown(test_index, make_place, remove_place),
		cmocka_unit_test_setup_teardown(
			test_program_that_is_killed, make_place, remove_place),
	};

	if (argc > 1 && streq(argv[1], "run-by-descriptor"))
		return run_by_descriptor(false);
	if (argc > 1 && streq(argv[1], "run-from-memory"))
		return run_by_descriptor(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
