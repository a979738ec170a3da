/* What a compile on this machine is seen to do, by the rules alone. */
#include "config.h"

#include "tests/unit/watch_fixture.h"

static void
test_rules(void **state)
{
	struct place *p = *state;
	struct watch w = { .set = TRACE_SET_INIT };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *file = put(p, "file", "x");
	_cleanup_(freep) char *absent = path_join(p->dir, "absent");
	_cleanup_(freep) char *made = path_join(p->out, "rustcABC");
	_cleanup_(freep) char *below = path_join(made, "x.o");
	_cleanup_(freep) char *old = path_join(p->out, "libdep.rmeta");
	_cleanup_(freep) char *rustc = put_program(p, "rustc"), *cc = put_program(p, "cc");
	_cleanup_(freep) char *ld = put_program(p, "ld");

	assert_int_equal(fs_write_atomic(old, "x", 1, 0644), 0);
	strv_add(&w.toolchain, "/toolchain");
	strv_add(&w.writable, p->out);
	call(&w, TRACE_EXEC, rustc, compiler);
	call(&w, TRACE_SAID, TRACE_ENV_HELLO, compiler);
	call(&w, TRACE_SAID, "m/HOME", compiler);
	call(&w, TRACE_SAID, "r/RUST_MIN_STACK", compiler);
	call(&w, TRACE_OPEN, file, compiler);
	call(&w, TRACE_LOOK, absent, compiler);
	call(&w, TRACE_LIST, p->dir, compiler);
	call(&w, TRACE_OPEN, "/toolchain/lib/libstd.rlib", compiler);
	call(&w, TRACE_OPEN, "/proc/self/maps", compiler);
	/* looked for, then made: no input; nor is what is below it */
	call(&w, TRACE_LOOK, made, compiler);
	call(&w, TRACE_CHANGE, made, compiler);
	call(&w, TRACE_OPEN, below, compiler);
	/* the out-dir is there already: what is in it was not made by this compile */
	call(&w, TRACE_CHANGE, p->out, compiler);
	call(&w, TRACE_OPEN, old, compiler);
	call(&w, TRACE_EXEC, cc, compiler);
	call(&w, TRACE_EXEC, ld, linker);
	watch_end(&w);
	assert_int_equal(watch_record(&w, &b), 0);
	assert_string_equal(doubt_of(&b), "");
	assert_true(has(&b, 'f', file));
	assert_true(has(&b, 'a', absent));
	assert_true(has(&b, 'd', p->dir));
	assert_true(has(&b, 'm', "HOME"));
	assert_true(has(&b, 'r', "RUST_MIN_STACK"));
	assert_true(has(&b, 'w', made));
	assert_false(has(&b, 'a', made));
	assert_false(has(&b, 'a', below));
	assert_true(has(&b, 'f', old));
	assert_false(has(&b, 'a', "/toolchain/lib/libstd.rlib"));
	assert_false(has(&b, 'f', "/proc/self/maps"));
	assert_true(has_program(&b, "linker", cc));
	assert_true(has_program(&b, "linker", ld));
	assert_false(has_program(&b, "all", rustc));
	assert_true(has(&b, 'e', "16"));
	watch_done(&w);
}

/* execvp tries each directory of PATH: what is not there, or cannot be run, was not run. */
static void
test_search_for_a_program(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *absent = path_join(p->dir, "absent"), *text = put(p, "text", "x");
	_cleanup_(freep) char *rustc = put_program(p, "rustc"), *other = put_program(p, "other");
	struct watch w = { .set = TRACE_SET_INIT };
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	for (int second = 0; second < 2; second++) {
		call(&w, TRACE_EXEC, absent, compiler);
		call(&w, TRACE_EXEC, text, compiler);
		call(&w, TRACE_EXEC, p->dir, compiler);
		if (second == 0)
			call(&w, TRACE_EXEC, rustc, compiler);
	}
	assert_string_equal(w.doubt, "");
	assert_int_equal(watch_record(&w, &b), 0);
	assert_true(has(&b, 'a', absent));
	assert_true(has(&b, 'f', text));
	call(&w, TRACE_EXEC, other, compiler);
	b.n = 0;
	assert_int_equal(watch_record(&w, &b), 0);
	assert_false(has_program(&b, "all", text));
	assert_true(has_program(&b, "all", other));
	watch_done(&w);
}

/* What it had read and then changed is gone; what it only looked for, as rustc does with outputs of
 * an earlier run, is as good as made; so is what a linker replaces. */
static void
test_read_then_written(void **state)
{
	struct place *p = *state;
	struct watch w = { .set = TRACE_SET_INIT };
	_cleanup_(freep) char *seen = path_join(p->out, "libx.rmeta");
	_cleanup_(freep) char *counter = path_join(p->out, "counter");
	_cleanup_(freep) char *program = path_join(p->out, "x");

	assert_int_equal(fs_write_atomic(seen, "x", 1, 0644), 0);
	assert_int_equal(fs_write_atomic(counter, "1", 1, 0644), 0);
	assert_int_equal(fs_write_atomic(program, "x", 1, 0755), 0);
	strv_add(&w.writable, p->out);
	call(&w, TRACE_LOOK, seen, compiler);
	call(&w, TRACE_CHANGE, seen, compiler);
	call(&w, TRACE_OPEN, program, linker);
	call(&w, TRACE_CHANGE, program, linker);
	assert_string_equal(w.doubt, "");
	call(&w, TRACE_LOOK, counter, compiler);
	call(&w, TRACE_OPEN, counter, compiler);
	call(&w, TRACE_CHANGE, counter, compiler);
	assert_int_equal(strncmp(w.doubt, "it read and then wrote ", 23), 0);
	watch_done(&w);
}

/* One doubt each. */
static void
test_doubts(void **state)
{
	struct place *p = *state;
	const struct {
		enum trace_op op;
		const char *path;
		bool writes;
		int error;
		const char *doubt;
	} rows[] = {
		{ TRACE_SOCKET, "/", false, 0, "it used the network" },
		{ TRACE_CONNECT, "/usr", false, 0, "it asked another process, by a socket" },
		{ TRACE_UNSEEN, "/", false, 0, "it opened files by io_uring or handles" },
		{ TRACE_EXEC, "/proc/self/fd/77", false, 0, "it ran /proc/self/fd/77" },
		{ TRACE_EXEC, "/bin/date", false, 0, "it ran /bin/date" },
		{ TRACE_CHANGE, "/usr/none-of-mine", false, 0, "it wrote /usr/none-of-mine" },
		{ TRACE_CHANGE, "/usr", false, 0, "it wrote /usr" },
		{ TRACE_OPEN, "/usr/none-of-mine", true, 0, "it wrote /usr/none-of-mine" },
		{ TRACE_OTHER, "/", false, -EPERM, "its calls cannot be read" },
		{ TRACE_OTHER, "/", false, -EREMOTE, "one of its paths cannot be resolved" },
		{ TRACE_OTHER, "/", false, -ESRCH, "its calls cannot be read" },
		{ TRACE_OPEN, "/proc/self/cmdline", false, 0,
			"a macro read the compiler's arguments" },
		{ TRACE_REMOUNT, "/", false, 0, "it changed where paths lead" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct watch w = { .set = TRACE_SET_INIT };
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		struct trace_call *c = calloc(1, sizeof(*c));

		strv_add(&w.writable, p->out);
		call(&w, TRACE_EXEC, "/bin/sh", compiler);
		call(&w, TRACE_SAID, TRACE_ENV_HELLO, compiler);
		c->op = rows[i].op;
		c->write = rows[i].writes;
		c->makes = c->write || c->op == TRACE_CHANGE;
		c->error = rows[i].error;
		c->n_paths = 1;
		snprintf(c->path[0], sizeof(c->path[0]), "%s", rows[i].path);
		watch_call(&w, c, compiler, NULL);
		watch_end(&w);
		assert_int_equal(watch_record(&w, &b), 0);
		assert_int_equal(strncmp(doubt_of(&b), rows[i].doubt, strlen(rows[i].doubt)), 0);
		free(c);
		watch_done(&w);
	}
}

/* What would be changed and is not there, and a directory to make something in, are absent; in the
 * out-dir the compiler only removes what may be left. */
static void
test_changes_of_nothing(void **state)
{
	struct place *p = *state;
	struct watch w = { .set = TRACE_SET_INIT };
	struct trace_call *c = calloc(1, sizeof(*c));
	_cleanup_(freep) char *left = path_join(p->out, "left");
	const char *const absent[] = { "/usr/not-there", "/usr/not-here/x" };

	assert_non_null(c);
	strv_add(&w.writable, p->out);
	c->n_paths = 1;
	for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
		c->op = i == 0 ? TRACE_CHANGE : TRACE_OPEN;
		c->write = c->makes = i > 0;
		snprintf(c->path[0], sizeof(c->path[0]), "%s", absent[i]);
		watch_call(&w, c, compiler, NULL);
	}
	c->op = TRACE_MARK;
	c->write = c->makes = false;
	snprintf(c->path[0], sizeof(c->path[0]), "/usr/not-marked");
	watch_call(&w, c, compiler, NULL);
	c->op = TRACE_CHANGE;
	snprintf(c->path[0], sizeof(c->path[0]), "%s", left);
	watch_call(&w, c, compiler, NULL);
	assert_string_equal(w.doubt, "");
	assert_int_equal(trace_set_get(&w.set, TRACE_PATHS, "/usr/not-there"), TRACE_ABSENT);
	assert_int_equal(trace_set_get(&w.set, TRACE_PATHS, "/usr/not-here"), TRACE_ABSENT);
	assert_int_equal(trace_set_get(&w.set, TRACE_PATHS, "/usr/not-marked"), TRACE_ABSENT);
	assert_int_equal(trace_set_get(&w.set, TRACE_PATHS, left), TRACE_MADE);
	free(c);
	watch_done(&w);
}

/* A call that tells attributes, by the toolchain or by a macro. */
static void
stat_call(struct watch *w, const char *path, enum trace_attributes what, enum trace_who who)
{
	struct trace_call *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->op = TRACE_STAT;
	c->n_paths = 1;
	c->attributes = what;
	c->who = who;
	snprintf(c->path[0], sizeof(c->path[0]), "%s", path);
	watch_call(w, c, compiler, NULL);
	free(c);
}

static void
test_attributes(void **state)
{
	struct watch w = { .set = TRACE_SET_INIT };
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(strv_add(&w.toolchain, "/usr"), 0);
	stat_call(&w, "/etc/passwd", TRACE_ATTRIBUTES, TRACE_BY_PROGRAM);
	stat_call(&w, "/etc/hosts", TRACE_ATTRIBUTES, TRACE_BY_MACRO);
	stat_call(&w, "/etc/group", TRACE_ATTRIBUTES_OF_LINK, TRACE_BY_MACRO);
	stat_call(&w, "/usr/bin", TRACE_ATTRIBUTES, TRACE_BY_MACRO);
	stat_call(&w, "/etc/shells", TRACE_ATTRIBUTES_NONE, TRACE_BY_MACRO);
	assert_int_equal(watch_record(&w, &b), 0);
	assert_true(has(&b, 'f', "/etc/passwd"));
	assert_false(has(&b, 's', "/etc/passwd"));
	assert_true(has(&b, 's', "/etc/hosts"));
	assert_true(has(&b, 'f', "/etc/hosts"));
	assert_true(has(&b, 'l', "/etc/group"));
	assert_false(has(&b, 's', "/etc/group"));
	assert_false(has(&b, 's', "/usr/bin"));
	assert_false(has(&b, 's', "/etc/shells"));
	watch_done(&w);
}

/* From one path to another. */
static void
two_paths(struct watch *w, const char *from, const char *to, bool moved)
{
	struct trace_call *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->op = TRACE_CHANGE;
	c->n_paths = 2;
	c->from = true;
	c->moved = moved;
	snprintf(c->path[0], sizeof(c->path[0]), "%s", from);
	snprintf(c->path[1], sizeof(c->path[1]), "%s", to);
	watch_call(w, c, compiler, NULL);
	free(c);
}

/* Mode, owner or times of a file: nothing brings them back with a result. */
static void
attributes(struct watch *w, const char *path)
{
	struct trace_call *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->op = TRACE_MARK;
	c->n_paths = 1;
	snprintf(c->path[0], sizeof(c->path[0]), "%s", path);
	watch_call(w, c, compiler, NULL);
	free(c);
}

static void
test_attributes_changed(void **state)
{
	struct place *p = *state;
	struct watch w = { .set = TRACE_SET_INIT };
	_cleanup_(freep) char *made = path_join(p->out, "made");
	_cleanup_(freep) char *there = put(p, "there", "x");

	strv_add(&w.writable, p->out);
	call(&w, TRACE_CHANGE, made, compiler);
	attributes(&w, made);
	attributes(&w, p->out);
	attributes(&w, "/dev/null");
	attributes(&w, "/usr/none/of/mine");
	assert_string_equal(w.doubt, "");
	attributes(&w, there);
	assert_non_null(strstr(w.doubt, "it changed the mode, owner or times of"));
	watch_done(&w);
}

static void
test_links_and_moves(void **state)
{
	const struct place *p = *state;
	struct watch w = { .set = TRACE_SET_INIT };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *from = put(p, "from", "x"), *to = path_join(p->out, "to");
	_cleanup_(freep) char *there = put(p, "out/there", "x"), *gone = path_join(p->out, "gone");

	assert_int_equal(strv_add(&w.writable, p->out), 0);
	two_paths(&w, from, to, false);
	assert_string_equal(w.doubt, "");
	/* what it made itself may be moved, and what was there may not */
	two_paths(&w, to, gone, true);
	assert_string_equal(w.doubt, "");
	two_paths(&w, there, to, true);
	assert_int_equal(strncmp(w.doubt, "it read and then wrote", 22), 0);
	assert_int_equal(watch_record(&w, &b), 0);
	assert_true(has(&b, 'f', from));
	assert_true(has(&b, 'w', to));
	watch_done(&w);
}

static void
open_to_write(struct watch *w, const char *path, bool keeps)
{
	struct trace_call *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->op = TRACE_OPEN;
	c->write = true;
	c->keeps = keeps;
	c->n_paths = 1;
	snprintf(c->path[0], sizeof(c->path[0]), "%s", path);
	watch_call(w, c, compiler, NULL);
	free(c);
}

static void
test_what_is_not_emptied_is_read(void **state)
{
	const struct place *p = *state;
	struct watch w = { .set = TRACE_SET_INIT };
	_cleanup_(freep) char *emptied = put(p, "out/emptied", "x");
	_cleanup_(freep) char *kept = put(p, "out/kept", "x"), *new = path_join(p->out, "new");

	assert_int_equal(strv_add(&w.writable, p->out), 0);
	open_to_write(&w, emptied, false);
	open_to_write(&w, new, true);
	open_to_write(&w, new, true);
	assert_string_equal(w.doubt, "");
	open_to_write(&w, kept, true);
	assert_int_equal(strncmp(w.doubt, "it read and then wrote", 22), 0);
	watch_done(&w);
}

/* No path is passed over for its name: the kernel's file systems are known by what they
 * are. */
static void
test_places_of_the_system(void **state)
{
	struct watch w = { .set = TRACE_SET_INIT };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *mine = NULL;
	static const char *const absent[] = { "/rustc/1/none.rs", "/.dray/none", "/dev/none",
		"/procedure", "/etc/none" };
	static const char *const quiet[] = { "/dev/null", "/proc/self/maps", "/proc/self/none",
		"/proc/sys/vm/overcommit_memory" };

	for (size_t i = 0; i < ARRAY_LEN(absent); i++)
		call(&w, TRACE_OPEN, absent[i], compiler);
	for (size_t i = 0; i < ARRAY_LEN(quiet); i++)
		call(&w, TRACE_OPEN, quiet[i], compiler);
	call(&w, TRACE_LIST, "/proc/self/fd", compiler);
	call(&w, TRACE_OPEN, "/proc/meminfo", linker); /* a linker */
	if (access("/dev/shm", W_OK) == 0) {
		assert_true(asprintf(&mine, "/dev/shm/dray-watch-%d", (int)getpid()) > 0);
		assert_int_equal(fs_write_atomic(mine, "x", 1, 0644), 0);
		call(&w, TRACE_OPEN, mine, compiler);
		unlink(mine);
	}
	assert_string_equal(w.doubt, "");
	assert_int_equal(watch_record(&w, &b), 0);
	for (size_t i = 0; i < ARRAY_LEN(absent); i++)
		assert_true(has(&b, 'a', absent[i]));
	for (size_t i = 0; i < ARRAY_LEN(quiet); i++)
		assert_false(has(&b, 'a', quiet[i]) || has(&b, 'f', quiet[i]));
	if (mine)
		assert_true(has(&b, 'f', mine));
	/* the kernel's word, asked for by the compiler: by a macro */
	call(&w, TRACE_OPEN, "/proc/meminfo2", compiler);
	call(&w, TRACE_OPEN, "/proc/cpuinfo", compiler);
	assert_string_equal(w.doubt, "it read what the kernel says in /proc/cpuinfo");
	watch_done(&w);
}

/* The table that both tracers have (test_places is the other side's): what a runtime reads to suit
 * the machine raises no doubt, what a tool reads so raises none of a tool's, and what is another
 * thing each time always does. */
static void
test_each_row(void **state)
{
	const struct runtime_row *row;

	for (size_t i = 0; (row = runtime_row(i)); i++) {
		for (unsigned tool = 0; tool < 2; tool++) {
			struct watch w = { .set = TRACE_SET_INIT };
			struct stat st;
			bool doubts;

			if ((row->what & RUNTIME_KERNEL) || stat(row->path, &st) < 0 ||
				!S_ISREG(st.st_mode))
				continue;
			call(&w, TRACE_OPEN, row->path, tool ? linker : compiler);
			doubts = (row->what & RUNTIME_FICKLE) ||
				 ((row->what & RUNTIME_TOOL) && !tool);
			if (doubts != (w.doubt[0] != '\0'))
				fail_msg("%s: %s", row->path, w.doubt);
			watch_done(&w);
		}
	}
}

/* The loader's cache at the compiler's or a linker's start, after that, and at the start of what a
 * macro runs. */
static void
test_loaders_cache(void **state)
{
	struct place *p = *state;
	const struct {
		const char *name;
		bool script, input;
	} programs[] = { { "words", false, true }, { "ld", false, false },
		{ "words", true, false } };
	struct watch w = { .set = TRACE_SET_INIT };
	_cleanup_(freep) char *rustc = put_program(p, "rustc");

	call(&w, TRACE_EXEC, rustc, compiler);
	call(&w, TRACE_OPEN, "/etc/ld.so.cache", compiler);
	assert_int_equal(trace_set_get(&w.set, TRACE_PATHS, "/etc/ld.so.cache"), TRACE_NONE);
	call(&w, TRACE_OPEN, "/etc/ld.so.cache", compiler);
	assert_int_not_equal(trace_set_get(&w.set, TRACE_PATHS, "/etc/ld.so.cache"), TRACE_NONE);
	watch_done(&w);
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		_cleanup_(freep) char *path = put_program(p, programs[i].name);

		w = (struct watch){ .set = TRACE_SET_INIT };
		w.script.on = programs[i].script;
		call(&w, TRACE_EXEC, rustc, compiler);
		call(&w, TRACE_OPEN, "/etc/ld.so.cache", compiler);
		call(&w, TRACE_EXEC, path, other);
		call(&w, TRACE_OPEN, "/etc/ld.so.cache", other);
		assert_int_equal(
			trace_set_get(&w.set, TRACE_PATHS, "/etc/ld.so.cache") != TRACE_NONE,
			programs[i].input);
		watch_done(&w);
	}
}

/* In a temporary directory only what it made is its own. */
static const char *
node(void *arg)
{
	return "/usr/bin/node";
}

/* What is asked about the machine; the compiler, linkers, and programs that adapt to it ask, too.
 */
static void
test_machine(void **state)
{
	struct place *p = *state;
	const struct {
		enum trace_op op;
		const char *path;
		watch_by_fn by;
		const char *(*exe)(void *arg);
		const char *group; /* NULL: nothing is recorded */
	} cases[] = { { TRACE_SAID, "i/uname", compiler, NULL, "uname" },
		{ TRACE_SAID, "i/cpus", compiler, NULL, "cpus" },
		{ TRACE_LIMIT, "/", other, NULL, "limits" },
		{ TRACE_LIMIT, "/", other, node, NULL }, { TRACE_LIMIT, "/", compiler, NULL, NULL },
		{ TRACE_LIMIT, "/", linker, NULL, NULL },
		{ TRACE_OPEN, "/proc/cpuinfo", other, NULL, "cpus" },
		{ TRACE_OPEN, "/proc/cpuinfo", linker, NULL, NULL } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct watch w = { .set = TRACE_SET_INIT, .exe = cases[i].exe };
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		call(&w, cases[i].op, cases[i].path, cases[i].by);
		assert_int_equal(watch_record(&w, &b), 0);
		assert_string_equal(doubt_of(&b), "");
		assert_int_equal(
			has(&b, 'q', "uname") + has(&b, 'q', "cpus") + has(&b, 'q', "limits"),
			cases[i].group != NULL);
		if (cases[i].group)
			assert_true(has(&b, 'q', cases[i].group));
		watch_done(&w);
	}
	(void)p;
}

static void
test_temporary_files(void **state)
{
	struct place *p = *state;
	struct watch w = { .set = TRACE_SET_INIT };
	_cleanup_(freep) char *old = put(p, "old", "x"), *new = path_join(p->dir, "new");
	_cleanup_(freep) char *below = path_join(p->dir, "new/x"), *other = put(p, "other", "x");

	strv_add(&w.temporary, p->dir);
	call(&w, TRACE_OPEN, old, compiler);
	call(&w, TRACE_CHANGE, new, compiler);
	assert_int_equal(mkdir(new, 0755), 0);
	call(&w, TRACE_CHANGE, below, compiler);
	assert_int_equal(fs_write_atomic(below, "x", 1, 0644), 0);
	call(&w, TRACE_OPEN, below, compiler);
	call(&w, TRACE_CHANGE, below, compiler);
	assert_string_equal(w.doubt, "");
	assert_int_equal(trace_set_get(&w.set, TRACE_PATHS, old), TRACE_READ);
	assert_int_equal(trace_set_get(&w.set, TRACE_PATHS, below), TRACE_MADE);
	call(&w, TRACE_CHANGE, other, compiler);
	assert_int_equal(strncmp(w.doubt, "it changed ", 11), 0);
	watch_done(&w);
}

static void
test_silence_is_a_doubt(void **state)
{
	struct watch w = { .set = TRACE_SET_INIT }, v = { .set = TRACE_SET_INIT };

	watch_end(&w);
	assert_string_equal(w.doubt, "its calls were not seen");
	call(&v, TRACE_EXEC, "/bin/sh", compiler);
	call(&v, TRACE_LOOK, "/bin", compiler);
	watch_end(&v);
	assert_string_equal(v.doubt, "the variables that it asked for were not seen");
	watch_done(&w);
	watch_done(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rules, make_place, remove_place),
		cmocka_unit_test_setup_teardown(
			test_search_for_a_program, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_doubts, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_changes_of_nothing, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_read_then_written, make_place, remove_place),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test_setup_teardown(test_attributes_changed, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_links_and_moves, make_place, remove_place),
		cmocka_unit_test_setup_teardown(
			test_what_is_not_emptied_is_read, make_place, remove_place),
		cmocka_unit_test_setup_teardown(
			test_places_of_the_system, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_each_row, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_loaders_cache, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_machine, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_temporary_files, make_place, remove_place),
		cmocka_unit_test(test_silence_is_a_doubt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
