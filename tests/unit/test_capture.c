/* dray-ld as rustc calls it, and the reader of what it leaves behind. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/stat.h>

#include "common/fs.h"
#include "common/process/spawn.h"
#include "worker/job/capture.h"

/* A string literal with NULs in it; its own last NUL ends the last string. */
#define RAW(text) text, sizeof(text)

static void
put(struct buf *b, const char *p, size_t n)
{
	assert_int_equal(buf_add(b, p, n), 0);
}

/* Files of a capture that is right. */
static void
fill(struct capture_raw *r)
{
	put(&r->argv, RAW("cc\0-o\0out/x"));
	put(&r->path, RAW("/rust/bin:/.dray/bin"));
	put(&r->files, RAW("rustcAbC/symbols.o\0x.rcgu.o"));
	put(&r->dirs, RAW("rustcAbC\0rustcAbC/raw-dylibs"));
	put(&r->output, RAW("x"));
}

static void
test_parse(void **state)
{
	_cleanup_(capture_raw_done) struct capture_raw raw = { 0 };
	_cleanup_(capture_done) struct capture c = { .fd = -1 };

	fill(&raw);
	assert_int_equal(capture_parse(&raw, &c), 0);
	assert_int_equal(c.argv.n, 3);
	assert_string_equal(c.argv.v[2], "out/x");
	assert_string_equal(c.path, "/rust/bin:/.dray/bin");
	assert_int_equal(c.files.n, 2);
	assert_string_equal(c.files.v[1], "x.rcgu.o");
	assert_int_equal(c.dirs.n, 2);
	assert_string_equal(c.output, "x");
}

enum part { ARGV, PATH, FILES, DIRS, OUTPUT };

static void
test_parse_bad(void **state)
{
	static const struct {
		enum part part;
		const char *p;
		size_t n;
	} cases[] = {
		{ ARGV, "", 0 },
		{ ARGV, "cc", 2 }, /* no NUL at the end */
		{ PATH, "", 0 },
		{ PATH, RAW("/bin\0/sbin") },
		{ FILES, "a", 1 },
		{ FILES, RAW("") },
		{ FILES, RAW("/etc/passwd") },
		{ FILES, RAW("..") },
		{ FILES, RAW("../x") },
		{ FILES, RAW("a/..") },
		{ FILES, RAW("a/b/c") },
		{ FILES, RAW("a/") },
		{ FILES, RAW("a\0b\0a") },
		{ FILES, RAW(".dray-cap/0") },
		{ DIRS, RAW("../x") },
		{ DIRS, RAW("a\0a") },
		{ OUTPUT, "", 0 },
		{ OUTPUT, RAW("") },
		{ OUTPUT, RAW("a/b") },
		{ OUTPUT, RAW("..") },
		{ OUTPUT, RAW("a\0b") },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_(capture_raw_done) struct capture_raw raw = { 0 };
		struct buf *const parts[] = { &raw.argv, &raw.path, &raw.files, &raw.dirs,
			&raw.output };
		struct capture c = { .fd = -1 };
		struct buf *b = parts[cases[i].part];

		fill(&raw);
		b->n = 0;
		put(b, cases[i].p, cases[i].n);
		if (capture_parse(&raw, &c) != -EBADMSG)
			fail_msg("case %zu was accepted", i);
		assert_null(c.argv.v);
	}
}

static void
test_parse_too_large(void **state)
{
	_cleanup_(capture_raw_done) struct capture_raw raw = { 0 };
	struct capture c = { .fd = -1 };

	fill(&raw);
	assert_int_equal(buf_reserve(&raw.argv, CAPTURE_BYTES_MAX + 1), 0);
	memset(raw.argv.p, 0, CAPTURE_BYTES_MAX + 1);
	raw.argv.n = CAPTURE_BYTES_MAX + 1;
	assert_int_equal(capture_parse(&raw, &c), -EBADMSG);
}

/* On disk. */

struct place {
	char *dir; /* stands for the out-dir */
	int fd;
};

static char *
below(const struct place *p, const char *name)
{
	char *s = path_join(p->dir, name);

	assert_non_null(s);
	return s;
}

static void
write_file(const struct place *p, const char *name, const char *text)
{
	_cleanup_(freep) char *path = below(p, name);

	assert_int_equal(fs_mkdir_parent(path, 0755), 0);
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0644), 0);
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(p);
	assert_int_equal(fs_make_temp_dir(tmp ? tmp : "/tmp", "dray-capture-", &p->dir), 0);
	p->fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->fd >= 0);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	close(p->fd);
	fs_rm_rf(p->dir);
	free(p->dir);
	free(p);
	return 0;
}

/* Runs dray-ld with these arguments in the out-dir; its exit status. */
static int
run_ld(const struct place *p, const char *const *args)
{
	const char *build = getenv("DRAY_TEST_BUILDDIR");
	_cleanup_(freep) char *program = path_join(build ? build : ".", "worker/dray-ld");
	_cleanup_(freep) char *absolute = realpath(program, NULL);
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	char path[] = "PATH=/rust/bin:/.dray/bin", *env[] = { path, NULL };
	pid_t pid;

	if (!absolute)
		fail_msg("%s is not built", program);
	assert_int_equal(strv_add(&argv, "cc"), 0);
	for (size_t i = 0; args[i]; i++)
		assert_int_equal(strv_add(&argv, args[i]), 0);
	assert_int_equal(
		spawn_start(
			&(struct spawn){
				.path = absolute, .argv = argv.v, .envp = env, .cwd = p->dir },
			&pid),
		0);
	return spawn_wait(pid, NULL);
}

static void
assert_text(const struct capture *c, size_t i, const char *text)
{
	_cleanup_(closep) int fd = capture_open(c, i);
	char got[64] = "";

	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	assert_string_equal(got, text);
}

static void
test_link(void **state)
{
	struct place *p = *state;
	_cleanup_(captures_done) struct captures c = { NULL, 0 };
	_cleanup_(freep) char *raw = below(p, "rustcA/raw-dylibs");
	_cleanup_(freep) char *search = NULL, *list = NULL, *output = below(p, "libx.so");
	_cleanup_(buf_done) struct buf made = BUF_INIT;

	assert_true(asprintf(&search, "-L%s", raw) > 0);
	assert_true(asprintf(&list, "-Wl,--as-needed,--version-script=%s/rustcA/list", p->dir) > 0);
	assert_int_equal(fs_mkdir_p(raw, 0755), 0);
	write_file(p, "rustcA/symbols.o", "sym");
	write_file(p, "rustcA/list", "script");
	write_file(p, "rustcA/libn.a", "native");
	write_file(p, "x.1.rcgu.o", "one");
	write_file(p, "unrelated.dwo", "no input");
	assert_int_equal(
		run_ld(p, (const char *const[]){ "-m64", "rustcA/symbols.o", "./x.1.rcgu.o",
				  "x.1.rcgu.o", list, "-Wl,rustcA/libn.a", search,
				  "/usr/lib/libabsent.a", "-o", "libx.so", "-shared", NULL }),
		0);
	/* as rustc does once its linker is done */
	assert_int_equal(fs_rm_rf(raw), 0);
	assert_int_equal(captures_read(p->fd, &c), 0);
	assert_int_equal(c.n, 1);
	assert_string_equal(c.v[0].argv.v[0], "cc");
	assert_string_equal(c.v[0].argv.v[3], "./x.1.rcgu.o");
	assert_string_equal(c.v[0].path, "/rust/bin:/.dray/bin");
	assert_int_equal(c.v[0].files.n, 4);
	assert_string_equal(c.v[0].files.v[0], "rustcA/symbols.o");
	assert_string_equal(c.v[0].files.v[1], "x.1.rcgu.o");
	assert_string_equal(c.v[0].files.v[2], "rustcA/list");
	assert_string_equal(c.v[0].files.v[3], "rustcA/libn.a");
	assert_text(&c.v[0], 0, "sym");
	assert_text(&c.v[0], 2, "script");
	assert_true(strv_has(&c.v[0].dirs, "rustcA"));
	assert_true(strv_has(&c.v[0].dirs, "rustcA/raw-dylibs"));
	assert_string_equal(c.v[0].output, "libx.so");
	assert_int_equal(fs_read_file(output, 100, &made), 0);
	assert_int_equal(made.n, 3);
	assert_memory_equal(made.p, "sym", 3);
}

static void
test_response_file(void **state)
{
	struct place *p = *state;
	_cleanup_(captures_done) struct captures c = { NULL, 0 };

	write_file(p, "a b.o", "blank");
	write_file(p, "c\\d.o", "backslash");
	write_file(p, "e f.o", "quoted");
	write_file(p, "rustcA/linker-arguments", "a\\ b.o\nc\\\\d.o\n\"e f.o\"\n-o\nprog\n");
	assert_int_equal(run_ld(p, (const char *const[]){ "@rustcA/linker-arguments", NULL }), 0);
	assert_int_equal(captures_read(p->fd, &c), 0);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.v[0].argv.n, 2); /* as called: the file is an input, not expanded */
	assert_int_equal(c.v[0].files.n, 4);
	assert_true(strv_has(&c.v[0].files, "rustcA/linker-arguments"));
	assert_true(strv_has(&c.v[0].files, "a b.o"));
	assert_true(strv_has(&c.v[0].files, "c\\d.o"));
	assert_true(strv_has(&c.v[0].files, "e f.o"));
	assert_string_equal(c.v[0].output, "prog");
}

/* Temporaries in /tmp, alone and in a response file, come to be where others have them. */
static void
test_temporaries_in_tmp(void **state)
{
	struct place *p = *state;
	_cleanup_(captures_done) struct captures c = { NULL, 0 };
	_cleanup_(freep) char *symbols = NULL, *script = NULL, *response = NULL, *words = NULL;
	_cleanup_(freep) char *moved = NULL, *moved_script = NULL, *moved_words = NULL;
	char temp[] = "/tmp/rustcXXXXXX";
	const struct place t = { .dir = temp };
	const char *name = temp + strlen("/tmp/");
	_cleanup_(buf_done) struct buf got = BUF_INIT;
	_cleanup_(freep) char *list = NULL;

	assert_non_null(mkdtemp(temp));
	assert_true(asprintf(&symbols, "%s/symbols.o", temp) > 0);
	assert_true(asprintf(&script, "-Wl,--version-script=%s/list", temp) > 0);
	assert_true(asprintf(&response, "@%s/linker-arguments", temp) > 0);
	assert_true(asprintf(&words, "%s/in\\ words.o\n/tmp/rustc/other.o\n", temp) > 0);
	assert_true(asprintf(&moved, "%s/%s/symbols.o", p->dir, name) > 0);
	assert_true(asprintf(&moved_script, "-Wl,--version-script=%s/%s/list", p->dir, name) > 0);
	assert_true(asprintf(&moved_words, "%s/%s/in\\ words.o\n/tmp/rustc/other.o\n", p->dir,
			    name) > 0);
	assert_true(asprintf(&list, "%s/linker-arguments", name) > 0);
	write_file(&t, "symbols.o", "sym");
	write_file(&t, "list", "script");
	write_file(&t, "in words.o", "words");
	write_file(&t, "linker-arguments", words);
	write_file(p, "x.o", "one");
	assert_int_equal(run_ld(p, (const char *const[]){ symbols, "x.o", script, response,
					   "/tmp/rustcNoSuch/a.o", "-o", "prog", NULL }),
		0);
	assert_int_equal(fs_rm_rf(temp), 0);

	assert_int_equal(captures_read(p->fd, &c), 0);
	assert_int_equal(c.n, 1);
	assert_string_equal(c.v[0].argv.v[1], moved);
	assert_string_equal(c.v[0].argv.v[2], "x.o");
	assert_string_equal(c.v[0].argv.v[3], moved_script);
	assert_string_equal(c.v[0].argv.v[5], "/tmp/rustcNoSuch/a.o");
	assert_int_equal(c.v[0].files.n, 5);
	assert_true(starts_with(c.v[0].files.v[0], name));
	assert_text(&c.v[0], 0, "sym");
	assert_true(strv_has(&c.v[0].files, list));
	assert_true(strv_has(&c.v[0].dirs, name));
	free(list);
	list = path_join(p->dir, c.v[0].argv.v[4] + 1 + strlen(p->dir) + 1);
	assert_int_equal(fs_read_file(list, 1000, &got), 0);
	assert_int_equal(got.n, strlen(moved_words));
	assert_memory_equal(got.p, moved_words, got.n);
}

/* A path with a comma in it cannot be said in a -Wl, list. */
static void
test_temporaries_and_a_comma(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *script = NULL, *out = NULL;
	char temp[] = "/tmp/rustcXXXXXX";
	const struct place t = { .dir = temp };

	assert_non_null(mkdtemp(temp));
	write_file(&t, "list", "script");
	write_file(p, "a,b/x.o", "one");
	assert_true(asprintf(&script, "-Wl,--version-script=%s/list", temp) > 0);
	assert_true(asprintf(&out, "%s/a,b/prog", p->dir) > 0);
	assert_int_equal(run_ld(p, (const char *const[]){ "a,b/x.o", script, "-o", out, NULL }), 1);
	assert_int_equal(fs_rm_rf(temp), 0);
}

static void
test_two_links(void **state)
{
	struct place *p = *state;
	_cleanup_(captures_done) struct captures c = { NULL, 0 };

	write_file(p, "x.o", "x");
	assert_int_equal(run_ld(p, (const char *const[]){ "x.o", "-o", "one", NULL }), 0);
	assert_int_equal(run_ld(p, (const char *const[]){ "x.o", "-o", "two", NULL }), 0);
	assert_int_equal(captures_read(p->fd, &c), 0);
	assert_int_equal(c.n, 2);
	assert_string_equal(c.v[0].output, "one");
	assert_string_equal(c.v[1].output, "two");
}

static void
test_questions(void **state)
{
	struct place *p = *state;
	_cleanup_(captures_done) struct captures c = { NULL, 0 };
	_cleanup_(freep) char *cap = below(p, CAPTURE_DIR);

	assert_int_equal(run_ld(p, (const char *const[]){ "--version", NULL }), 0);
	assert_int_equal(run_ld(p, (const char *const[]){ "-print-file-name=crt1.o", NULL }), 0);
	assert_false(fs_exists(cap));
	assert_int_equal(captures_read(p->fd, &c), 0);
	assert_int_equal(c.n, 0);
}

static void
test_link_fails(void **state)
{
	struct place *p = *state;

	/* a directory of libraries that are looked up by name */
	write_file(p, "rustcA/raw-dylibs/libz.so", "stub");
	assert_int_equal(
		run_ld(p, (const char *const[]){ "-LrustcA/raw-dylibs", "-o", "prog", NULL }), 1);
	/* the place of the output is taken by a directory */
	write_file(p, "taken/x", "");
	assert_int_equal(run_ld(p, (const char *const[]){ "-o", "taken", NULL }), 1);
	/* a response file that names itself */
	write_file(p, "loop", "@loop\n-o\nprog\n");
	assert_int_equal(run_ld(p, (const char *const[]){ "@loop", NULL }), 1);
	assert_int_equal(run_ld(p, (const char *const[]){ "-o", "missing/dir/prog", NULL }), 1);
}

/* What a hostile job may leave there. */

static void
write_call(const struct place *p)
{
	_cleanup_(capture_raw_done) struct capture_raw raw = { 0 };
	struct {
		const char *name;
		struct buf *b;
	} const parts[] = { { "argv", &raw.argv }, { "path", &raw.path }, { "files", &raw.files },
		{ "dirs", &raw.dirs }, { "output", &raw.output } };

	fill(&raw);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		_cleanup_(freep) char *path = NULL;

		assert_true(asprintf(&path, "%s/.dray-cap/0/%s", p->dir, parts[i].name) > 0);
		assert_int_equal(fs_mkdir_parent(path, 0755), 0);
		assert_int_equal(fs_write_atomic(path, parts[i].b->p, parts[i].b->n, 0644), 0);
	}
}

static void
test_hostile(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *call = below(p, ".dray-cap/0"), *moved = below(p, "moved");
	_cleanup_(freep) char *path = below(p, ".dray-cap/0/path"),
			      *zero = below(p, ".dray-cap/0/0");
	_cleanup_(freep) char *cap = below(p, ".dray-cap"), *one = below(p, ".dray-cap/0/1");
	struct captures c = { NULL, 0 };

	write_call(p);
	assert_int_equal(symlink("/etc/passwd", zero), 0);
	assert_int_equal(mkfifo(one, 0600), 0);
	assert_int_equal(captures_read(p->fd, &c), 0);
	assert_true(capture_open(&c.v[0], 0) < 0);
	assert_true(capture_open(&c.v[0], 1) < 0); /* and does not wait for a writer */
	assert_int_equal(capture_open(&c.v[0], 2), -ENOENT);
	captures_done(&c);

	assert_int_equal(unlink(path), 0);
	assert_int_equal(captures_read(p->fd, &c), -EBADMSG);
	assert_int_equal(symlink("/etc/hostname", path), 0);
	assert_int_equal(captures_read(p->fd, &c), -EBADMSG);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(captures_read(p->fd, &c), -EBADMSG);
	assert_int_equal(unlink(path), 0);
	write_file(p, ".dray-cap/0/path", "no NUL");
	assert_int_equal(captures_read(p->fd, &c), -EBADMSG);

	write_call(p);
	assert_int_equal(rename(call, moved), 0);
	assert_int_equal(symlink(moved, call), 0);
	assert_int_equal(captures_read(p->fd, &c), -EBADMSG);
	assert_int_equal(fs_rm_rf(cap), 0);
	assert_int_equal(symlink("/", cap), 0);
	assert_int_equal(captures_read(p->fd, &c), -EBADMSG);
	assert_null(c.v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_bad),
		cmocka_unit_test(test_parse_too_large),
		cmocka_unit_test_setup_teardown(test_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_response_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_temporaries_in_tmp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_temporaries_and_a_comma, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_links, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_questions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_link_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
