/* What real programs of a build script's tree are seen to ask for, under dray-trace --script. */
#include "config.h"

#include "common/clock.h"
#include "tests/unit/script_fixture.h"

static void
doubt_of_program(const struct place *p, const char *option, const char *text, const char *doubt)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *program = build(p, "program", text);

	assert_int_equal(script_traced(p, option, (const char *const[]){ program, NULL }, &b), 0);
	assert_string_equal(doubt_of(&b), doubt);
}

#define TIME "it asked for the time: its own program"
#define RANDOM "it asked for random numbers: its own program"

static void
test_own_clock(void **state)
{
	struct place *p = *state;

	if (!trace_filter_possible())
		skip();
#define MAIN(headers, body) headers "\nint main(void) { " body "; return 0; }\n"
	doubt_of_program(p, NULL, MAIN("#include <time.h>", "time(0)"), TIME);
	doubt_of_program(p, NULL,
		MAIN("#include <time.h>", "struct timespec t; clock_gettime(CLOCK_REALTIME, &t)"),
		TIME);
	doubt_of_program(p, NULL,
		MAIN("#include <sys/time.h>", "struct timeval t; gettimeofday(&t, 0)"), TIME);
	doubt_of_program(p, NULL,
		MAIN("#include <time.h>", "struct timespec t; timespec_get(&t, TIME_UTC)"), TIME);
	doubt_of_program(p, "--trust", MAIN("#include <time.h>", "time(0)"), "");
	doubt_of_program(p, NULL,
		MAIN("#include <time.h>", "struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); "
					  "clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t)"),
		"");
}

static void
test_own_random(void **state)
{
	struct place *p = *state;

	if (!trace_filter_possible())
		skip();
	doubt_of_program(p, NULL,
		MAIN("#include <sys/random.h>", "char b[32]; getrandom(b, 32, 0)"), RANDOM);
	doubt_of_program(
		p, NULL, MAIN("#include <unistd.h>", "char b[32]; getentropy(b, 32)"), RANDOM);
	doubt_of_program(p, NULL,
		MAIN("#include <sys/syscall.h>\n#include <unistd.h>",
			"char b[32]; syscall(SYS_getrandom, b, 32, 0)"),
		RANDOM);
	doubt_of_program(
		p, NULL, MAIN("#include <fcntl.h>", "open(\"/dev/urandom\", O_RDONLY)"), RANDOM);
	doubt_of_program(
		p, "--trust", MAIN("#include <fcntl.h>", "open(\"/dev/urandom\", O_RDONLY)"), "");
	/* as std asks for the seeds of its maps */
	doubt_of_program(p, NULL,
		MAIN("#include <sys/random.h>",
			"char b[16]; getrandom(b, 16, 4); getrandom(b, 16, GRND_NONBLOCK)"),
		"");
}

static void
test_own_variables(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *program = NULL;

	if (!trace_filter_possible())
		skip();
	program = build(p, "program",
		MAIN("#define _GNU_SOURCE\n#include <stdlib.h>",
			"getenv(\"FOO\"); getenv(\"NUM_JOBS\"); getenv(\"CARGO_MAKEFLAGS\"); "
			"secure_getenv(\"BAR\")"));
	assert_int_equal(script_traced(p, NULL, (const char *const[]){ program, NULL }, &b), 0);
	assert_string_equal(doubt_of(&b), "");
	assert_true(has(&b, 'm', "FOO"));
	assert_true(has(&b, 'm', "BAR"));
	assert_false(has(&b, 'm', "NUM_JOBS"));
	assert_false(has(&b, 'm', "CARGO_MAKEFLAGS"));
	assert_false(has(&b, 'm', "LD_PRELOAD"));
	assert_false(has_program(&b, "all", program));
}

/* ---- the rows of asks.c, each with the program that it is for */

static void
test_c_compiler(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *plain = put(p, "plain.c", "int a;\n");
	_cleanup_(freep) char *dated = put(p, "dated.c", "const char *a = __DATE__;\n");
	_cleanup_(freep) char *link = path_join(p->out, "link");

	if (!trace_filter_possible() || !is_installed("gcc"))
		skip();
	doubt_of_shell(p, "gcc -c plain.c -o out/plain.o; :", "");
	doubt_of_shell(p, "gcc -flto -c plain.c -o out/plain.o; :", "");
	doubt_of_shell(p, "gcc -c dated.c -o out/dated.o; :", "it asked for the time: cc1");
	doubt_of_shell(p, "SOURCE_DATE_EPOCH=1 gcc -c dated.c -o out/dated.o; :", "");
	/* what they ask for by name is reported */
	assert_int_equal(script_shell(p, NULL, "gcc -c plain.c -o out/plain.o; :", &b), 0);
	assert_true(has(&b, 'm', "CPATH"));
	assert_true(has(&b, 'm', "GCC_EXEC_PREFIX"));
	assert_false(has(&b, 'm', "TMPDIR"));
	/* only where it is another name of the directory */
	assert_false(has(&b, 'm', "PWD"));
	buf_done(&b);
	b = (struct buf)BUF_INIT;
	assert_int_equal(symlink(p->dir, link), 0);
	assert_int_equal(setenv("PWD", link, 1), 0);
	assert_int_equal(script_traced(p, NULL,
				 (const char *const[]){ "/usr/bin/env", "gcc", "-c", "plain.c",
					 "-o", "out/plain.o", NULL },
				 &b),
		0);
	unsetenv("PWD");
	assert_true(has(&b, 'm', "PWD"));
}

static unsigned
calls(const struct buf *b)
{
	for (size_t i = 0; i < b->n; i += strlen((const char *)b->p + i) + 1)
		if (b->p[i] == 'e')
			return (unsigned)atoi((const char *)b->p + i + 1);
	return 0;
}

/* What one C compiler has asked, another one is not notified of again: the record has it all the
 * same. */
static void
test_drivers_ask_once(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf one = BUF_INIT, five = BUF_INIT;
	_cleanup_(freep) char *source = put(p, "a.c", "#include <stdio.h>\n#include \"gen.h\"\n");
	_cleanup_(freep) char *gen = path_join(p->out, "gen.h"), *sub = path_join(p->dir, "sub");
	_cleanup_(freep) char *near = path_join(sub, "gen.h"), *other = path_join(sub, "a.c");
	static const char gcc[] = "gcc -Iout -c a.c -o out/a.o 2>out/err;",
			  then[] = "echo >out/gen.h;";
	_cleanup_(freep) char *text = NULL, *more = NULL;

	if (!trace_filter_possible() || !is_installed("gcc"))
		skip();
	assert_int_equal(mkdir(sub, 0755), 0);
	assert_int_equal(fs_write_atomic(other, "#include \"gen.h\"\n", 17, 0644), 0);
	assert_int_equal(fs_write_atomic(near, "\n", 1, 0644), 0);
	assert_true(asprintf(&text, "%s %s %s :", gcc, then, gcc) > 0);
	assert_true(asprintf(&more, "%s %s %s %s %s %s cd sub; gcc -c a.c -o ../out/b.o", gcc, then,
			    gcc, gcc, gcc, gcc) > 0);
	assert_int_equal(script_shell(p, NULL, text, &one), 0);
	assert_int_equal(unlink(gen), 0);
	assert_int_equal(script_shell(p, NULL, more, &five), 0);
	assert_string_equal(doubt_of(&five), "");
	assert_true(has(&five, 'w', gen));
	assert_false(has(&five, 'a', gen));
	/* relative names are another directory's */
	assert_true(has(&five, 'f', near));
	assert_true(has(&five, 'f', other));
	/* all else, but the temporary files, is what two of them ask for */
	for (size_t i = 0; i < one.n; i += strlen((const char *)one.p + i) + 1) {
		const char *item = (const char *)one.p + i;

		if (*item == 'f' || *item == 'a' || *item == 'm')
			assert_true(has(&five, *item, item + 1));
	}
	assert_in_range(calls(&five), 1, 2 * calls(&one));
}

/* ---- LD_LIBRARY_PATH */

/* The shell's text with the variable set to DIR/lib and one that is not there. */
static void
with_library_path(const struct place *p, const char *option, const char *text, struct buf *ret)
{
	_cleanup_(freep) char *value = NULL;

	assert_true(asprintf(&value, "%s/lib:%s/gone", p->dir, p->dir) > 0);
	setenv("LD_LIBRARY_PATH", value, 1);
	assert_int_equal(script_shell(p, option, text, ret), 0);
	unsetenv("LD_LIBRARY_PATH");
	assert_string_equal(doubt_of(ret), "");
}

#define HIDE "--hide-library-path"

/* The loaders of compilers do not ask again, and the record has all the same. */
static void
test_library_path(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf plain = BUF_INIT, hidden = BUF_INIT, seen = BUF_INIT;
	_cleanup_(freep) char *source = put(p, "a.c", "int a;\n");
	_cleanup_(freep) char *said = path_join(p->out, "said"), *value = NULL;
	_cleanup_(freep) char *object = path_join(p->out, "a.o");
	static const char text[] =
		"for i in 1 2 3 4 5 6; do gcc -pipe -c a.c -o out/a.o; sh -c 'echo "
		"$LD_LIBRARY_PATH'; done >out/said; env | grep RARY_PATH >>out/said; "
		"cat /proc/self/environ | tr '\\0' '\\n' | grep RARY_PATH >>out/said";

	if (!trace_filter_possible() || !is_installed("gcc"))
		skip();
	assert_true(asprintf(&value, "%s/lib:%s/gone\n", p->dir, p->dir) > 0);
	with_library_path(p, NULL, text, &plain);
	assert_int_equal(unlink(said), 0);
	assert_int_equal(unlink(object), 0);
	with_library_path(p, HIDE, text, &hidden);
	for (size_t i = 0; i < plain.n; i += strlen((const char *)plain.p + i) + 1) {
		const char *item = (const char *)plain.p + i;

		/* these the loader of the shell itself asks for; a way is noted of what is
		 * looked for once more */
		if (*item != 'i' && *item != 'e' && *item != 't' && !strstr(item, "/tmp/cc") &&
			!strstr(item, "ld.so") && !has(&hidden, *item, item + 1))
			fail_msg("not in the record: %s", item);
	}
	assert_in_range(calls(&hidden), 1, calls(&plain) * 2 / 3);
	/* each program has it under its own name */
	assert_int_equal(fs_read_file(said, 1u << 20, &seen), 0);
	assert_int_equal(buf_add(&seen, "", 1), 0);
	for (const char *line = (const char *)seen.p; *line; line = strchr(line, '\n') + 1) {
		const char *at = starts_with(line, "LD_LIBRARY_PATH=")
					 ? line + strlen("LD_LIBRARY_PATH=")
					 : line;

		assert_memory_equal(at, value, strlen(value));
	}
}

static void
in_shell(const struct place *p, const char *text)
{
	const char *const argv[] = { "sh", "-c", text, NULL };
	pid_t pid;

	assert_int_equal(spawn_start(&(struct spawn){ .path = "/bin/sh",
					     .argv = (char *const *)argv,
					     .cwd = p->dir },
				 &pid),
		0);
	assert_int_equal(spawn_wait(pid, NULL), 0);
}

/* A program takes the library that it would have taken, wherever that is. */
static void
test_library_of_path(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT, seen = BUF_INIT;
	_cleanup_(freep) char *said = path_join(p->out, "said"), *lib = path_join(p->dir, "lib");
	_cleanup_(freep) char *one = put(p, "one.c", "int number(void) { return 1; }\n");
	_cleanup_(freep) char *two = put(p, "two.c", "int number(void) { return 2; }\n");
	_cleanup_(freep) char *gcc = put(p, "gcc.c",
		"#include <stdio.h>\nint number(void);\nint main(void) { return printf(\"%d\", "
		"number()) < "
		"0; }\n");
	static const char make[] = "mkdir own && cc -shared -fPIC -o own/libnumber.so one.c && "
				   "cc -shared -fPIC -o lib/libnumber.so two.c && mkdir bin && "
				   "cc -o bin/gcc gcc.c -Lown -lnumber "
				   "-Wl,-rpath,$PWD/own,--enable-new-dtags";
	static const char text[] = "for i in 1 2 3; do bin/gcc; done >out/said";

	if (!trace_filter_possible())
		skip();
	assert_int_equal(mkdir(lib, 0755), 0);
	in_shell(p, make);
	with_library_path(p, HIDE, text, &b);
	assert_int_equal(fs_read_file(said, 16, &seen), 0);
	assert_memory_equal(seen.p, "222", 3);
	buf_done(&seen);
	in_shell(p, "rm lib/libnumber.so");
	with_library_path(p, HIDE, text, &b);
	assert_int_equal(fs_read_file(said, 16, &seen), 0);
	assert_memory_equal(seen.p, "111", 3);
	buf_done(&seen);
	/* another value than the script's: it may lead to what was made meanwhile */
	with_library_path(p, HIDE,
		"export LD_LIBRARY_PATH=$PWD/out; for i in 1 2; do bin/gcc; done >out/said; "
		"cp own/libnumber.so out/; for i in 1 2; do bin/gcc; done >>out/said",
		&b);
	assert_true(calls(&b) > 4 * 6);
}

static struct timespec
began_of(struct place *p, const char *option)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct timespec t = { 0 };
	long long sec = 0;

	assert_int_equal(script_shell(p, option, ":", &b), 0);
	assert_int_equal(b.p[0], 't');
	assert_int_equal(sscanf((const char *)b.p + 1, "%lld %ld", &sec, &t.tv_nsec), 2);
	t.tv_sec = (time_t)sec;
	return t;
}

/* When the program began is said first, and is after what was there before, if the tracer is told
 * to wait for that; if not, it is before all that comes. */
static void
test_began(void **state)
{
	struct place *p = *state;
	struct timespec before, stamp, t;
	char option[64];

	if (!trace_filter_possible())
		skip();
	clock_gettime(CLOCK_REALTIME, &before);
	snprintf(option, sizeof(option), "--began=%lld.%09ld", (long long)before.tv_sec,
		before.tv_nsec);
	t = began_of(p, option);
	assert_true(clock_is_before(&before, &t));
	before = clock_stamp();
	t = began_of(p, NULL);
	stamp = clock_stamp();
	assert_false(clock_is_before(&t, &before));
	assert_false(clock_is_before(&stamp, &t));
}

static void
test_clang(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *plain = put(p, "plain.c", "int a;\n");
	_cleanup_(freep) char *dated = put(p, "dated.c", "const char *a = __DATE__;\n");

	if (!trace_filter_possible() || !is_installed("clang"))
		skip();
	doubt_of_shell(p, "clang -c plain.c -o out/plain.o; :", "");
	doubt_of_shell(p, "clang -c dated.c -o out/dated.o; :", "it asked for the time: clang");
	/* with SOURCE_DATE_EPOCH it does not ask, from version 16 on */
}

static void
test_perl(void **state)
{
	struct place *p = *state;

	if (!trace_filter_possible() || !is_installed("perl"))
		skip();
	doubt_of_shell(p, "perl -e 'print 1'; perl -e 'print 2'; :", "");
	doubt_of_shell(p, "perl -e 'print time'; :", "it asked for the time: perl");
	doubt_of_shell(p, "perl -e 'print rand'; :", "it asked for random numbers: perl");
	doubt_of_shell(p, "perl -e 'print $^T'; :",
		"it ran /usr/bin/perl so that it says another thing each time");
	doubt_of_shell(p, "perl -e 'print -M $0'; :",
		"it ran /usr/bin/perl so that it says another thing each time");
	/* as openssl-src's mkbuildinf.pl has it */
	doubt_of_shell(p,
		"SOURCE_DATE_EPOCH=1 perl -e 'print gmtime($ENV{SOURCE_DATE_EPOCH} // time())'; :",
		"");
	assert_int_equal(setenv("SOURCE_DATE_EPOCH", "1", 1), 0);
	doubt_of_shell(p, "perl -e 'print scalar localtime'; :", "");
	assert_int_equal(unsetenv("SOURCE_DATE_EPOCH"), 0);
}

/* Names of temporary files, random or by the time. */
static void
test_temporary_names(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *text = put(p, "a.po", "msgid \"a\"\nmsgstr \"b\"\n");
	_cleanup_(freep) char *schema = put(p, "a.gschema.xml", "<schemalist/>\n");

	if (!trace_filter_possible() ||
		(!is_installed("msgfmt") && !is_installed("glib-compile-schemas")))
		skip();
	if (is_installed("msgfmt"))
		doubt_of_shell(p, "msgfmt -o out/a.mo a.po; :", "");
	if (is_installed("glib-compile-schemas"))
		doubt_of_shell(p, "glib-compile-schemas --targetdir=out .; :", "");
}

static bool
has_part(const struct buf *b, char kind, const char *part)
{
	for (size_t i = 0; i < b->n; i += strlen((const char *)b->p + i) + 1)
		if (b->p[i] == (uint8_t)kind && strstr((const char *)b->p + i + 1, part))
			return true;
	return false;
}

/* With RUSTC_BOOTSTRAP it is a nightly, as autocfg's kind of script finds it there. */
static void
test_rustc(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (!trace_filter_possible() || !is_installed("rustc"))
		skip();
	doubt_of_shell(p, "RUSTC_BOOTSTRAP=1 rustc -vV; :", "");
	doubt_of_shell(p,
		"echo 'pub fn f() {}' | RUSTC_BOOTSTRAP=1 rustc --crate-type=lib "
		"--emit=metadata --out-dir out -; :",
		"");
	doubt_of_shell(p,
		"echo 'pub fn f() { g() }' | RUSTC_BOOTSTRAP=1 rustc --crate-type=lib "
		"--emit=metadata --out-dir out -; :",
		"");
	/* linked, and run */
	doubt_of_shell(p, "echo 'fn main() {}' | rustc -o out/trial - && out/trial; :", "");
	doubt_of_shell(p,
		"echo 'pub fn f() {}' | rustc --crate-type=lib --crate-name=trial "
		"--out-dir out -; :",
		"");
	/* whatever their times, its libraries are the same by what they hold */
	assert_int_equal(script_shell(p, NULL,
				 "echo 'pub fn f() {}' | rustc --crate-type=lib --emit=metadata "
				 "--out-dir out -; :",
				 &b),
		0);
	assert_true(has_part(&b, 'f', "/lib/rustlib/"));
	assert_false(has_part(&b, 's', "/lib/rustlib/"));
	assert_false(has(&b, 'q', "cpu"));
	buf_done(&b);
	assert_int_equal(script_shell(p, NULL, "rustc -C target-cpu=native --print cfg; :", &b), 0);
	assert_true(has(&b, 'q', "cpu"));
}

static void
test_cargo(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *manifest = put(p, "Cargo.toml",
		"[package]\nname = 'x'\nversion = '0.1.0'\n[lib]\npath = 'x.rs'\n[workspace]\n");
	_cleanup_(freep) char *lib = put(p, "x.rs", "");
	_cleanup_(freep) char *text = NULL, *program = NULL, *noted = NULL, *home = NULL;
	char other[] = "/tmp/dray-cargo.XXXXXX";

	if (!trace_filter_possible() || !is_installed("cargo"))
		skip();
	doubt_of_shell(p, "cargo metadata --format-version 1 --no-deps >/dev/null; :", "");
	/* one that stands for cargo, since cargo writes there when it has downloaded something */
	assert_non_null(mkdtemp(other));
	home = path_join(other, "home");
	assert_int_equal(fs_mkdir_p(home, 0700), 0);
	assert_true(asprintf(&noted, "%s/.global-cache", home) > 0);
	assert_int_equal(fs_write_atomic(noted, "a", 1, 0644), 0);
	assert_true(asprintf(&text,
			    MAIN("#include <stdio.h>",
				    "FILE *f = fopen(\"%s\", \"r+\"); getc(f); rewind(f); "
				    "putc('b', f); fclose(f)"),
			    noted) > 0);
	program = build(p, "cargo", text);
	assert_int_equal(script_traced(p, NULL, (const char *const[]){ program, NULL }, &b), 0);
	assert_string_not_equal(doubt_of(&b), "");
	free(program);
	program = path_join(other, "cargo");
	{
		_cleanup_(freep) char *made = path_join(p->dir, "cargo");

		assert_int_equal(rename(made, program), 0);
	}
	buf_done(&b);
	b = (struct buf)BUF_INIT;
	assert_int_equal(script_traced(p, NULL, (const char *const[]){ program, NULL }, &b), 0);
	assert_string_equal(doubt_of(&b), "");
	assert_false(has(&b, 'f', noted));
	assert_int_equal(fs_rm_rf(other), 0);
}

static void
test_python(void **state)
{
	struct place *p = *state;

	if (!trace_filter_possible() || access("/usr/bin/python3", X_OK) < 0)
		skip();
	doubt_of_shell(p, "/usr/bin/python3 -c 'import tempfile'; :", "");
	doubt_of_shell(p, "/usr/bin/python3 -c 'import time; time.time()'; :",
		"it asked for the time: python3.11");
	doubt_of_shell(p, "/usr/bin/python3 -c 'import os; os.urandom(9)'; :",
		"it asked for random numbers: python3.11");
}

static void
test_bash(void **state)
{
	struct place *p = *state;

	if (!trace_filter_possible() || !is_installed("bash"))
		skip();
	doubt_of_shell(p, "bash -c 'echo $RANDOM; (echo $RANDOM) | cat' >/dev/null; :", "");
	doubt_of_shell(
		p, "bash -c 'echo $EPOCHSECONDS' >/dev/null; :", "it asked for the time: bash");
}

static void
test_make(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *makefile = put(
		p, "Makefile", "out/b: out/a\n\tcp out/a out/b\nout/a:\n\techo >out/a\n");

	if (!trace_filter_possible() || !is_installed("make"))
		skip();
	doubt_of_shell(p, "make >/dev/null; touch out/a; make >/dev/null; :", "");
}

static void
test_cmake(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *lists = put(p, "CMakeLists.txt",
		"cmake_minimum_required(VERSION 3.5)\nproject(x C)\n"
		"add_custom_command(OUTPUT made COMMAND cmake -E touch made)\n"
		"add_custom_target(all-of-it ALL DEPENDS made)\n");
	_cleanup_(freep) char *dated = put(p, "dated.cmake", "string(TIMESTAMP now)\n");

	if (!trace_filter_possible() || !is_installed("cmake") || !is_installed("make"))
		skip();
	doubt_of_shell(p, "cmake -S . -B out/b >/dev/null; cmake --build out/b >/dev/null; :", "");
	doubt_of_shell(p, "cmake -P dated.cmake; :", "it asked for the time: cmake");
	if (!is_installed("ninja"))
		return;
	doubt_of_shell(
		p, "cmake -GNinja -S . -B out/n >/dev/null; ninja -C out/n >/dev/null; :", "");
}

static void
test_terminal(void **state)
{
	struct place *p = *state;

	if (!trace_filter_possible() || !is_installed("tput"))
		skip();
	doubt_of_shell(p, "TERM=xterm tput bold >/dev/null; TERM=xterm clear >/dev/null; :", "");
	doubt_of_shell(p, "TERM=xterm tabs >/dev/null; toe >/dev/null; :", "");
	/* as perl's Term::Cap does, which openssl-src's Configure loads */
	doubt_of_shell(p, "infocmp -1 xterm >out/xterm.ti && tic -o out/ti out/xterm.ti; :", "");
}

#define ASKED_SO " so that it says another thing each time"

static void
test_when_they_began(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *patch = put(p, "a.patch", "--- a\n+++ a\n@@ -1 +1 @@\n-a\n+b\n");
	_cleanup_(freep) char *text = put(p, "rand.awk", "BEGIN { print rand() }\n");

	if (!trace_filter_possible())
		skip();
	doubt_of_shell(p, "echo a >out/a; patch -p0 -d out <a.patch >/dev/null; :", "");
	doubt_of_shell(p, "tar czf out/t.tgz a.patch; tar xzf out/t.tgz -C out; :", "");
	doubt_of_shell(p,
		"tar --mtime=2020-01-01 -cf out/t.tar a.patch; :", "it ran /usr/bin/tar" ASKED_SO);
	doubt_of_shell(p, "find . -name a.patch >/dev/null; :", "");
	doubt_of_shell(p, "find . -mtime -1 >/dev/null; :", "it ran /usr/bin/find" ASKED_SO);
	if (!is_installed("mawk"))
		return;
	doubt_of_shell(p, "mawk 'BEGIN { print 1 }' >/dev/null; :", "");
	doubt_of_shell(p,
		"mawk 'BEGIN { srand(); print 1 }' >/dev/null; :", "it ran /usr/bin/mawk" ASKED_SO);
	doubt_of_shell(p, "mawk -f rand.awk >/dev/null; :", "it ran /usr/bin/mawk" ASKED_SO);
	doubt_of_shell(
		p, "mawk 'BEGIN { print systime() }' >/dev/null; :", "it asked for the time: mawk");
}

static void
test_ccache(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *plain = put(p, "plain.c", "int a;\n");
	_cleanup_(freep) char *dated = put(p, "dated.c", "const char *a = __DATE__;\n");
	_cleanup_(freep) char *dir = path_join(p->dir, "kept");
	_cleanup_(freep) char *doubt = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (!trace_filter_possible() || !is_installed("ccache"))
		skip();
	assert_int_equal(setenv("CCACHE_DIR", dir, 1), 0);
	doubt_of_shell(p, "ccache gcc -c plain.c -o out/one.o; :", "");
	doubt_of_shell(p, "ccache gcc -c plain.c -o out/two.o; :", "");
	assert_true(asprintf(&doubt, "a C compiler may have put the time into %s", dated) > 0);
	assert_int_equal(script_shell(p, NULL, "ccache gcc -c dated.c -o out/a.o", &b), 0);
	assert_string_equal(doubt_of(&b), "it asked for the time: cc1");
	/* what it kept */
	doubt_of_shell(p, "ccache gcc -c dated.c -o out/b.o", doubt);
	assert_int_equal(unsetenv("CCACHE_DIR"), 0);
}

static void
test_git(void **state)
{
	struct place *p = *state;

	if (!trace_filter_possible() || !is_installed("git"))
		skip();
	doubt_of_shell(
		p, "git --version >/dev/null; git init -q out/r; git -C out/r status -s; :", "");
}

/* A run is the same whatever else is installed: what the loader reads of its cache at the start is
 * no file that the script may copy with its mode. */
static void
test_loader(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *there = put(p, "there", "x");
	_cleanup_(freep) char *program = build(p, "script",
		"#include <fcntl.h>\n"
		"int main(int n, char **v) { return n > 1 && open(v[1], O_RDONLY) < 0; }\n");

	if (!trace_filter_possible() || access("/etc/ld.so.cache", R_OK) < 0)
		skip();
	assert_int_equal(
		script_traced(p, NULL, (const char *const[]){ program, there, NULL }, &b), 0);
	assert_true(has(&b, 'o', there));
	assert_false(has(&b, 'o', "/etc/ld.so.cache"));
	assert_false(has(&b, 'f', "/etc/ld.so.cache"));
	buf_done(&b);
	/* the program itself does so later */
	assert_int_equal(script_traced(p, NULL,
				 (const char *const[]){ program, "/etc/ld.so.cache", NULL }, &b),
		0);
	assert_true(has(&b, 'f', "/etc/ld.so.cache"));
}

static const char opener[] = "#include <dlfcn.h>\n#include <fcntl.h>\n#include <string.h>\n"
			     "int main(int n, char **v) {\n"
			     "  for (int i = 1; i < n; i++)\n"
			     "    if (strchr(v[i], '/') ? open(v[i], O_RDONLY) < 0 : 0)\n"
			     "      return 1;\n"
			     "    else if (!strchr(v[i], '/'))\n"
			     "      dlopen(v[i], RTLD_NOW);\n"
			     "  return 0;\n"
			     "}\n";

/* The first input of that kind whose file has the name. */
static bool
has_named(const struct buf *b, char kind, const char *name)
{
	for (const char *p = (const char *)b->p; p < (const char *)b->p + b->n; p += strlen(p) + 1)
		if (*p == kind && streq(path_basename(p + 1), name))
			return true;
	return false;
}

/* Likewise what it reads for dlopen: the library is an input, or that there is none. */
static void
test_loader_later(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *program = build(p, "script", opener);

	if (!trace_filter_possible() || access("/etc/ld.so.cache", R_OK) < 0)
		skip();
	/* libc's own, which this program does not have */
	assert_int_equal(
		script_traced(p, NULL, (const char *const[]){ program, "libm.so.6", NULL }, &b), 0);
	assert_true(has_named(&b, 'f', "libm.so.6"));
	assert_false(has(&b, 'f', "/etc/ld.so.cache"));
	assert_false(has(&b, 'o', "/etc/ld.so.cache"));
	buf_done(&b);
	/* another package may bring it, to where only the cache leads */
	assert_int_equal(
		script_traced(p, NULL,
			(const char *const[]){ program, "libm.so.6", "libnone-of-it.so.7", NULL },
			&b),
		0);
	assert_true(has(&b, 'f', "/etc/ld.so.cache"));
	buf_done(&b);
	/* the program itself reads it */
	assert_int_equal(
		script_traced(p, NULL,
			(const char *const[]){ program, "libm.so.6", "/etc/ld.so.cache", NULL },
			&b),
		0);
	assert_true(has(&b, 'f', "/etc/ld.so.cache"));
}

/* Programs that load more of their own accord. */
static void
test_loader_of_programs(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *there = put(p, "there.c", "int x;\n");

	if (!trace_filter_possible() || access("/etc/ld.so.cache", R_OK) < 0)
		skip();
	assert_int_equal(
		script_shell(p, NULL, "gcc -c there.c -o out/a.o && ar rcs out/lib.a out/a.o", &b),
		0);
	assert_false(has(&b, 'f', "/etc/ld.so.cache"));
	buf_done(&b);
	if (access("/usr/bin/python3", X_OK) == 0) {
		assert_int_equal(script_shell(p, NULL,
					 "/usr/bin/python3 -c 'import ctypes, ssl, sqlite3' "
					 "2>/dev/null; :",
					 &b),
			0);
		assert_false(has(&b, 'f', "/etc/ld.so.cache"));
	}
}

/* As libtool calls it. It is static, and reads as a program what a loader reads at the start. */
static void
test_ldconfig(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (!trace_filter_possible() || access("/sbin/ldconfig", X_OK) < 0 ||
		access("/etc/ld.so.cache", R_OK) < 0)
		skip();
	assert_int_equal(script_shell(p, NULL, "/sbin/ldconfig -n out; :", &b), 0);
	assert_string_equal(doubt_of(&b), "");
	assert_false(has(&b, 'f', "/etc/ld.so.cache"));
	assert_false(has(&b, 'f', "/var/cache/ldconfig/aux-cache"));
	buf_done(&b);
	assert_int_equal(script_shell(p, NULL, "/sbin/ldconfig -p >/dev/null; :", &b), 0);
	assert_string_equal(doubt_of(&b), "");
	assert_true(has(&b, 'f', "/etc/ld.so.cache"));
}

static void
test_date(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (!trace_filter_possible())
		skip();
	assert_int_equal(script_shell(p, NULL, "date >/dev/null; :", &b), 0);
	assert_int_equal(strncmp(doubt_of(&b), "it ", 3), 0);
}

/* ---- what it writes, and what it leaves running */

static void
test_writes_outside(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *there = put(p, "there", "x"), *doubt = NULL, *changed = NULL;
	_cleanup_(freep) char *left = path_join(p->dir, "left");

	if (!trace_filter_possible())
		skip();
	assert_true(asprintf(&doubt, "it wrote %s/left", p->dir) > 0);
	assert_true(asprintf(&changed, "it changed %s", there) > 0);
	doubt_of_shell(p, "echo >left; rm left; mkdir sub; echo >sub/a; rm -r sub", "");
	doubt_of_shell(p, "echo >left", doubt);
	assert_int_equal(unlink(left), 0);
	doubt_of_shell(p, "echo >>there", changed);
	/* opened like a lock */
	doubt_of_shell(p, ": <>there", "");
	doubt_of_shell(p, "rm there", changed);
}

/* ---- variables of sessions */

static void
test_names_in_texts(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *makefile = put(p, "Makefile", "include part\nall:\n");
	_cleanup_(freep) char *part = put(p, "part", "a := $(GITHUB_RUN_ID)\n");
	_cleanup_(freep) char *other = put(p, "other.h", "/* SSH_TTY */\n");

	if (!trace_filter_possible() || !is_installed("make"))
		skip();
	assert_int_equal(script_shell(p, NULL, "make >/dev/null; :", &b), 0);
	assert_true(has(&b, 'm', "GITHUB_RUN_ID"));
	assert_false(has(&b, 'm', "SSH_TTY"));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)
	const struct CMUnitTest tests[] = { TEST(test_own_clock), TEST(test_own_random),
		TEST(test_own_variables), TEST(test_c_compiler), TEST(test_drivers_ask_once),
		TEST(test_library_path), TEST(test_library_of_path), TEST(test_began),
		TEST(test_clang), TEST(test_perl), TEST(test_rustc), TEST(test_cargo),
		TEST(test_temporary_names), TEST(test_loader_later), TEST(test_loader_of_programs),
		TEST(test_python), TEST(test_bash), TEST(test_make), TEST(test_cmake),
		TEST(test_terminal), TEST(test_when_they_began), TEST(test_ccache), TEST(test_git),
		TEST(test_loader), TEST(test_ldconfig), TEST(test_date), TEST(test_writes_outside),
		TEST(test_names_in_texts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
