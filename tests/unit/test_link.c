/* link: what dray-dispatch staged is read with suspicion; a link that works leaves the output and
 * nothing else, one that fails leaves nothing. linker: a flag only for a driver that takes it.
 * local: the promised rmeta keeps its inode, and what was said is not said again. Compilers and
 * linkers are shell scripts here. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "client/link/link.h"
#include "rustc/option_tables.h"
#include "client/link/linker.h"
#include "client/wrap/local.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/process/spawn.h"

static char *dir;
static char *old_path;

static char *
at(const char *name)
{
	char *p = path_join(dir, name);

	assert_non_null(p);
	return p;
}

static void
put(const char *name, const char *text, mode_t mode)
{
	_cleanup_(freep) char *path = at(name);

	assert_int_equal(fs_mkdir_parent(path, 0700), 0);
	assert_int_equal(fs_write_atomic(path, text, strlen(text), mode), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static bool
there(const char *name)
{
	_cleanup_(freep) char *path = at(name);

	return fs_exists(path);
}

static void
expect_text(const char *name, const char *text)
{
	_cleanup_(freep) char *path = at(name);
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(fs_read_file(path, 1 << 20, &b), 0);
	assert_string_equal(b.n ? (const char *)b.p : "", text);
}

static int
setup(void **state)
{
	_cleanup_(freep) char *bin = NULL;
	_cleanup_(freep) char *path = NULL;

	if (fs_make_temp_dir("/tmp", "dray-link-", &dir) < 0)
		return -1;
	bin = at("bin");
	old_path = strdup(getenv("PATH"));
	if (asprintf(&path, "%s:/usr/bin:/bin", bin) < 0)
		return -1;
	return fs_mkdir_p(bin, 0700) < 0 ? -1 : setenv("PATH", path, 1);
}

static int
teardown(void **state)
{
	setenv("PATH", old_path, 1);
	free(old_path);
	fs_rm_rf(dir);
	free(dir);
	return 0;
}

/* ---- link_call_parse */

static char app[] = "app", extra[] = "-1a";
static const struct rustc_call of_app = { .crate_name = app, .extra_filename = extra };

#define PARSE_TEXT(t, out_dir, l) link_call_parse(t, sizeof(t) - 1, out_dir, &of_app, l)

static void
test_parse(void **state)
{
	_cleanup_(link_call_done) struct link_call l = { 0 };

	assert_int_equal(
		PARSE_TEXT(
			"/s/bin:\0"
			"3\0cc\0-o\0/o/x\0/o/app-1a.x.rcgu.o\0/o/rustcAbC123/a.o\0/o/rustcAbC123\0",
			"/o", &l),
		0);
	assert_string_equal(l.path_prefix, "/s/bin:");
	assert_int_equal(l.argv.n, 3);
	assert_string_equal(l.argv.v[2], "/o/x");
	assert_int_equal(l.temporaries.n, 3);
	assert_string_equal(l.temporaries.v[2], "/o/rustcAbC123");
}

static void
test_parse_refuses(void **state)
{
	struct link_call l = { 0 };

	assert_int_equal(link_call_parse("", 0, "/o", &of_app, &l), -EBADMSG);
	assert_int_equal(PARSE_TEXT("unterminated", "/o", &l), -EBADMSG);
	assert_int_equal(PARSE_TEXT("\0", "/o", &l), -EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "0\0",
				 "/o", &l),
		-EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "-1\0cc\0",
				 "/o", &l),
		-EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "2x\0cc\0a\0",
				 "/o", &l),
		-EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "3\0cc\0a\0",
				 "/o", &l),
		-EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "99999999999999999999\0cc\0",
				 "/o", &l),
		-EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "1\0\0",
				 "/o", &l),
		-EBADMSG);
	/* only what is below the out-dir may be removed */
	assert_int_equal(PARSE_TEXT("\0"
				    "1\0cc\0/etc/passwd\0",
				 "/o", &l),
		-EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "1\0cc\0/o/../etc/passwd\0",
				 "/o", &l),
		-EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "1\0cc\0/other\0",
				 "/o", &l),
		-EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "1\0cc\0/o\0",
				 "/o", &l),
		-EBADMSG);
	/* and of that only what is a link's own */
	assert_int_equal(PARSE_TEXT("\0"
				    "1\0cc\0/o/rustc_demangle-1.d\0",
				 "/o", &l),
		-EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "1\0cc\0/o/app\0",
				 "/o", &l),
		-EBADMSG);
	/* another unit's object; what is not directly in the temporary directory */
	assert_int_equal(PARSE_TEXT("\0"
				    "1\0cc\0/o/other-1a.o\0",
				 "/o", &l),
		-EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "1\0cc\0/o/app-1b.x.rcgu.o\0",
				 "/o", &l),
		-EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "1\0cc\0/o/rustcAbC123/a/b.o\0",
				 "/o", &l),
		-EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "1\0cc\0/o/other/a.o\0",
				 "/o", &l),
		-EBADMSG);
	assert_int_equal(PARSE_TEXT("\0"
				    "1\0cc\0rel/x\0",
				 "/o", &l),
		-EBADMSG);
	assert_null(l.argv.v);
}

/* ---- linker */

/* A C driver that takes -fuse-ld=NAME for the names given, and counts how often it is asked. */
static void
put_cc(const char *takes)
{
	_cleanup_(freep) char *text = NULL;

	assert_true(asprintf(&text,
			    "#!/bin/sh\necho asked >>%s/asked\n"
			    "for a; do case $a in -fuse-ld=*) n=${a#-fuse-ld=};; esac; done\n"
			    "case \" %s \" in *\" $n \"*) ;; *) exit 1;; esac\n"
			    "[ $n = lld ] && n='Debian LLD 14'\necho \"$n 1.0\"\n",
			    dir, takes) > 0);
	put("bin/cc", text, 0755);
}

static void
pick(int choice, bool project, const char *arg, const char *name, const char *flag)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(freep) char *error = NULL;
	char cc[] = "cc", given[64];
	char *argv[] = { cc, given, NULL };
	struct linker_pick p;

	snprintf(given, sizeof(given), "%s", arg);
	assert_int_equal(conf_parse("", 0, "test", &conf, &error), 0);
	free(conf->client.cache_dir);
	conf->client.cache_dir = at("cache");
	conf->client.linker = choice;
	linker_pick(conf, project, argv, getenv("PATH"), &p);
	assert_string_equal(p.name, name);
	if (flag)
		assert_string_equal(p.flag, flag);
	else
		assert_null(p.flag);
}

static void
test_linker_choice(void **state)
{
	put("bin/ld.mold", "#!/bin/sh\n", 0755);
	put("bin/ld.lld", "#!/bin/sh\n", 0755);
	put_cc("mold lld");
	pick(LINKER_AUTO, false, "-x", "mold", "-fuse-ld=mold");
	pick(LINKER_MOLD, false, "-x", "mold", "-fuse-ld=mold");
	pick(LINKER_LLD, false, "-x", "lld", "-fuse-ld=lld");
	pick(LINKER_LLD, false, "-fuse-ld=lld", "lld", NULL);
	pick(LINKER_RUSTC, false, "-x", "rustc", NULL);
	pick(LINKER_AUTO, true, "-x", "project", NULL);

	/* another driver: what was remembered of the former one does not count */
	put_cc("lld");
	pick(LINKER_AUTO, false, "-x", "lld", "-fuse-ld=lld");
	pick(LINKER_MOLD, false, "-x", "rustc", NULL);
	put_cc("nothing-of-it");
	pick(LINKER_AUTO, false, "-x", "rustc", NULL);
	pick(LINKER_AUTO, false, "-fuse-ld=lld", "lld", NULL);
}

static void
test_an_answer_is_remembered(void **state)
{
	_cleanup_(freep) char *cc = at("bin/cc");
	_cleanup_(freep) char *cache = at("cache");

	put("bin/ld.mold", "#!/bin/sh\n", 0755);
	put_cc("mold");
	for (int i = 0; i < 3; i++)
		assert_true(linker_usable(cache, cc, "mold", getenv("PATH")));
	expect_text("asked", "asked\n");
	/* another mold is another question */
	put("bin/ld.mold", "#!/bin/sh\n:\n", 0755);
	assert_true(linker_usable(cache, cc, "mold", getenv("PATH")));
	expect_text("asked", "asked\nasked\n");
	/* without a cache it is asked each time, and answered */
	assert_true(linker_usable(NULL, cc, "mold", getenv("PATH")));
}

/* A C driver that hung is not asked at each link; nor is that held against it for ever. */
static void
test_no_answer_is_remembered_for_a_while(void **state)
{
	_cleanup_(freep) char *cc = at("bin/cc");
	_cleanup_(freep) char *cache = at("cache");
	_cleanup_(freep) char *pattern = at("cache/linker-mold-*");
	_cleanup_(buf_done) struct buf note = BUF_INIT;
	struct timespec old[2] = { { .tv_sec = time(NULL) - 2 * 3600 }, { .tv_sec = 0 } };
	glob_t g;

	put("bin/ld.mold", "#!/bin/sh\n", 0755);
	put_cc("mold");
	assert_true(linker_usable(cache, cc, "mold", getenv("PATH")));
	assert_int_equal(glob(pattern, 0, NULL, &g), 0);
	assert_int_equal(g.gl_pathc, 1);
	assert_int_equal(fs_read_file(g.gl_pathv[0], 4096, &note), 0);
	assert_true(note.n > 4 && memcmp(note.p + note.n - 4, "yes\n", 4) == 0);
	note.n -= 4;
	assert_int_equal(buf_adds(&note, "late\n"), 0);
	assert_int_equal(fs_write_atomic(g.gl_pathv[0], note.p, note.n, 0600), 0);
	assert_false(linker_usable(cache, cc, "mold", getenv("PATH")));
	expect_text("asked", "asked\n");
	old[1] = old[0];
	assert_int_equal(utimensat(AT_FDCWD, g.gl_pathv[0], old, 0), 0);
	assert_true(linker_usable(cache, cc, "mold", getenv("PATH")));
	expect_text("asked", "asked\nasked\n");
	assert_true(linker_usable(cache, cc, "mold", getenv("PATH")));
	expect_text("asked", "asked\nasked\n");
	globfree(&g);
}

/* ---- link_run */

struct setting {
	struct conf *conf;
	struct rustc_call call;
	struct ledger said;
	struct slots *slots;
};

/* A compiler that is not there: what it would say of its linker's messages is not known. */
static char nobody[] = "/nonexistent/rustc";

static void
setting_make(struct setting *s)
{
	_cleanup_(freep) char *error = NULL;
	_cleanup_(freep) char *slots = at("slots");

	memset(s, 0, sizeof(*s));
	assert_int_equal(conf_parse("", 0, "test", &s->conf, &error), 0);
	s->conf->client.linker = LINKER_RUSTC;
	s->call.out_dir = at("out");
	s->call.crate_name = strdup("app");
	s->call.driver = nobody;
	assert_int_equal(fs_mkdir_p(s->call.out_dir, 0700), 0);
	assert_int_equal(slots_open(slots, 1, &s->slots), 0);
	snprintf(s->said.staging, sizeof(s->said.staging), "%s/out/.dray-st", dir);
	s->said.n_links = 1;
}

static void
setting_done(struct setting *s)
{
	conf_free(s->conf);
	call_done(&s->call);
	slots_close(s->slots);
}

/* Stages `cc -o out/app` with one temporary in its own directory. */
static void
stage(const char *tail)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *path = at("out/.dray-st/link-0");

	put("out/rustcAbC123/symbols.o", "\177ELF object", 0600);
	put("out/.dray-st/tail", tail, 0600);
	assert_int_equal(buf_addf(&b, "%s/lib/rustlib/bin:%c3%ccc%c-o%c%s/out/app%c", dir, 0, 0, 0,
				 0, dir, 0),
		0);
	assert_int_equal(
		buf_addf(&b, "%s/out/rustcAbC123/symbols.o%c%s/out/rustcAbC123%c", dir, 0, dir, 0),
		0);
	assert_int_equal(fs_write_atomic(path, b.p, b.n, 0600), 0);
}

/* Catches what goes to stderr while it is on. */
static int saved_stderr;

static void
stderr_to(const char *name)
{
	_cleanup_(freep) char *path = at(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	fflush(stderr);
	saved_stderr = fcntl(2, F_DUPFD_CLOEXEC, 10);
	assert_true(fd >= 0 && dup2(fd, 2) == 2);
	close(fd);
}

static void
stderr_back(void)
{
	fflush(stderr);
	dup2(saved_stderr, 2);
	close(saved_stderr);
}

static void
test_a_link(void **state)
{
	_cleanup_(setting_done) struct setting s;
	struct link_run l;
	int r;

	setting_make(&s);
	/* the linker sees its inputs, and rustc's environment */
	put("bin/cc",
		"#!/bin/sh\n"
		"{ cat \"${2%/app}/rustcAbC123/symbols.o\"; echo; echo \"$LC_ALL $VSLANG\"; echo "
		"\"${PATH%%:*}\"; } >\"$2\"\n",
		0755);
	stage("{\"artifact\":\"app\"}\n");
	l = (struct link_run){
		.conf = s.conf, .call = &s.call, .said = &s.said, .sysroot = dir, .slots = s.slots
	};
	stderr_to("err");
	r = link_run(&l);
	stderr_back();
	assert_int_equal(r, 0);
	assert_string_equal(l.linker, "rustc");
	expect_text("err", "{\"artifact\":\"app\"}\n");
	{
		_cleanup_(freep) char *expected = NULL;

		assert_true(asprintf(&expected, "\177ELF object\nC 1033\n%s/lib/rustlib/bin\n",
				    dir) > 0);
		expect_text("out/app", expected);
	}
	assert_false(there("out/rustcAbC123"));
	link_clean(&s.call, &s.said);
	assert_false(there("out/.dray-st"));
	assert_true(there("out/app"));
}

static void
test_what_it_read_is_set_aside(void **state)
{
	_cleanup_(freep) char *file = NULL, *directory = NULL;
	_cleanup_(setting_done) struct setting s;
	struct link_run l;
	struct stat st;

	setting_make(&s);
	put("bin/cc", "#!/bin/sh\n: >\"$2\"\n", 0755);
	stage("");
	l = (struct link_run){ .conf = s.conf,
		.call = &s.call,
		.said = &s.said,
		.sysroot = dir,
		.slots = s.slots,
		.set_aside = true };
	assert_int_equal(link_run(&l), 0);
	assert_false(there("out/rustcAbC123"));
	file = link_set_aside(&s.said, 0, 0);
	directory = link_set_aside(&s.said, 0, 1);
	assert_true(file && directory);
	assert_true(stat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 11);
	assert_true(stat(directory, &st) == 0 && S_ISDIR(st.st_mode));
	link_clean(&s.call, &s.said);
	assert_false(there("out/.dray-st"));
	/* not of one that failed */
	put("bin/cc", "#!/bin/sh\nexit 1\n", 0755);
	stage("");
	assert_int_equal(link_run(&l), -ENOEXEC);
	assert_false(there("out/rustcAbC123"));
	assert_true(stat(file, &st) < 0);
	link_clean(&s.call, &s.said);
}

/* rustc warns of it, or does not: only where it is sure not to, the link stands. */
static void
test_a_linker_that_speaks(void **state)
{
	static const char *const scripts[] = { "#!/bin/sh\n: >\"$2\"; echo chatter\n",
		"#!/bin/sh\n: >\"$2\"; echo chatter >&2\n" };
	_cleanup_(setting_done) struct setting s;
	static char allow[] = "allow";
	struct call_option option = { option_find("cap-lints", 9, false), allow };
	struct link_run l;

	setting_make(&s);
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		put("bin/cc", scripts[i], 0755);
		stage("{\"artifact\":\"app\"}\n");
		l = (struct link_run){ .conf = s.conf,
			.call = &s.call,
			.said = &s.said,
			.sysroot = dir,
			.slots = s.slots };
		assert_int_equal(link_run(&l), -ENOEXEC);
		assert_true(l.spoke);
		assert_false(there("out/app"));
		assert_false(there("out/rustcAbC123"));
	}
	stage("");
	s.call.options = &option;
	s.call.n_options = 1;
	l = (struct link_run){
		.conf = s.conf, .call = &s.call, .said = &s.said, .sysroot = dir, .slots = s.slots
	};
	/* no version speaks under this */
	stderr_to("err");
	assert_int_equal(link_run(&l), 0);
	stderr_back();
	assert_false(l.spoke);
	assert_true(there("out/app"));
	s.call.options = NULL;
	s.call.n_options = 0;
}

static void
test_a_link_that_fails(void **state)
{
	_cleanup_(setting_done) struct setting s;
	struct link_run l;
	int r;

	setting_make(&s);
	put("bin/cc", "#!/bin/sh\necho half >\"$2\"; echo undefined symbol >&2; exit 1\n", 0755);
	stage("{\"artifact\":\"app\"}\n");
	l = (struct link_run){
		.conf = s.conf, .call = &s.call, .said = &s.said, .sysroot = dir, .slots = s.slots
	};
	stderr_to("err");
	r = link_run(&l);
	stderr_back();
	assert_int_equal(r, -ENOEXEC);
	expect_text("err", "");
	assert_false(there("out/app"));
	assert_false(there("out/rustcAbC123"));
}

static void
test_staging_elsewhere_is_left_alone(void **state)
{
	_cleanup_(setting_done) struct setting s;

	setting_make(&s);
	put("precious/link-0", "x", 0600);
	snprintf(s.said.staging, sizeof(s.said.staging), "%s/precious", dir);
	link_clean(&s.call, &s.said);
	assert_true(there("precious/link-0"));
	snprintf(s.said.staging, sizeof(s.said.staging), "%s/out", dir);
	link_clean(&s.call, &s.said);
	assert_true(there("out"));
}

/* ---- local_run */

static int
run_local(struct setting *s, const char *script, const char **ret_trouble)
{
	_cleanup_(freep) char *rustc = at("bin/rustc");
	char *argv[] = { rustc, NULL };
	struct local_run l;
	int status;

	put("bin/rustc", script, 0755);
	s->call.argv = argv;
	l = (struct local_run){ .call = &s->call, .said = &s->said, .slots = s->slots, .slot = -1 };
	stderr_to("err");
	status = local_run(&l);
	stderr_back();
	if (ret_trouble)
		*ret_trouble = l.trouble;
	return status;
}

static void
promise_text_and_rmeta(struct setting *s, const char *text, const char *rmeta)
{
	put("out/libx.rmeta", rmeta, 0600);
	snprintf(s->said.rmeta, sizeof(s->said.rmeta), "%s/out/libx.rmeta", dir);
	assert_int_equal(digest_bytes(rmeta, strlen(rmeta), &s->said.rmeta_digest), 0);
	s->said.text_bytes = strlen(text);
	assert_int_equal(digest_bytes(text, strlen(text), &s->said.text_digest), 0);
}

static ino_t
inode(const char *name)
{
	_cleanup_(freep) char *path = at(name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

#define SCRIPT(dir_text, body) "#!/bin/sh\ncd \"${0%/bin/rustc}/" dir_text "\"\n" body

static void
test_the_promised_rmeta_stays(void **state)
{
	_cleanup_(setting_done) struct setting s;
	ino_t before;

	setting_make(&s);
	promise_text_and_rmeta(&s, "one\n", "metadata");
	before = inode("out/libx.rmeta");
	assert_int_equal(run_local(&s,
				 SCRIPT("out", "echo one >&2; printf metadata >t; "
					       "mv t libx.rmeta; echo two >&2\n"),
				 NULL),
		0);
	assert_int_equal(inode("out/libx.rmeta"), before);
	expect_text("err", "two\n");
	/* no second name is left */
	{
		_cleanup_(freep) char *path = at("out/libx.rmeta");
		struct stat st;

		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_nlink, 1);
	}
}

static void
test_a_broken_promise_is_an_error(void **state)
{
	_cleanup_(setting_done) struct setting s;
	const char *trouble = NULL;

	setting_make(&s);
	promise_text_and_rmeta(&s, "one\n", "metadata");
	put("out/libx.rlib", "archive", 0600);
	put("out/x.d", "x:\n", 0600);
	assert_int_equal(run_local(&s,
				 SCRIPT("out", "echo one >&2; printf other >t; "
					       "mv t libx.rmeta\n"),
				 &trouble),
		LOCAL_STATUS_BROKEN_PROMISE);
	assert_non_null(trouble);
	assert_false(there("out/libx.rmeta"));
	assert_false(there("out/libx.rlib"));
	assert_false(there("out/x.d"));
}

/* Another rmeta, announced: who is at fault, and that the compiler does not go on. what: what the
 * compiler writes. */
static enum rmeta_fault
fault_of(const char *what, bool edited, const char **ret_trouble)
{
	_cleanup_(setting_done) struct setting s;
	_cleanup_(freep) char *rustc = at("bin/rustc"), *script = NULL;
	char *argv[] = { rustc, NULL };
	struct timespec since;
	struct local_run l;

	setting_make(&s);
	promise_text_and_rmeta(&s, "one\n", "metadata");
	assert_true(asprintf(&script,
			    "#!/bin/sh\ncd \"${0%%/bin/rustc}/out\"\n"
			    "echo >../src; echo \"$PWD/../src:\" >app-1a.d; "
			    "echo one >&2; "
			    "echo . >>../runs; %s >t; mv t libx.rmeta; "
			    "echo '{\"artifact\":\"libx.rmeta\",\"emit\":\"metadata\"}' >&2; "
			    "i=0; while [ $i -lt 9000000 ]; do i=$((i+1)); done; "
			    ": >../went-on\n",
			    what) > 0);
	put("bin/rustc", script, 0755);
	s.call.argv = argv;
	s.call.json = true;
	s.call.extra_filename = strdup(extra);
	since = clock_stamp();
	since.tv_sec += edited ? 0 : 60;
	l = (struct local_run){
		.call = &s.call, .said = &s.said, .slots = s.slots, .slot = -1, .since = &since
	};
	stderr_to("err");
	assert_int_equal(local_run(&l), LOCAL_STATUS_BROKEN_PROMISE);
	stderr_back();
	assert_false(there("out/libx.rmeta"));
	assert_false(there("went-on"));
	expect_text("err", "");
	*ret_trouble = l.trouble;
	return l.fault;
}

static void
test_whose_fault_a_broken_promise_is(void **state)
{
	const char *trouble = NULL;

	assert_int_equal(fault_of("printf other", false, &trouble), RMETA_WORKER);
	assert_non_null(trouble);
	assert_int_equal(fault_of("cat ../runs", false, &trouble), RMETA_CRATE);
	assert_int_equal(fault_of("printf other", true, &trouble), RMETA_UNKNOWN);
}

static void
test_a_failed_run_says_why_and_keeps_the_rmeta(void **state)
{
	_cleanup_(setting_done) struct setting s;

	setting_make(&s);
	promise_text_and_rmeta(&s, "a long text that was said before\n", "metadata");
	assert_int_equal(
		run_local(&s, SCRIPT("out", "rm libx.rmeta; echo error >&2; exit 1\n"), NULL), 1);
	expect_text("err", "error\n");
	expect_text("out/libx.rmeta", "metadata");
}

static void
test_the_compiler_gets_slot_and_jobserver(void **state)
{
	_cleanup_(setting_done) struct setting s;

	setting_make(&s);
	s.said.staging[0] = '\0';
	setenv("CARGO_MAKEFLAGS", "-j --jobserver-auth=77,78", 1);
	assert_int_equal(run_local(&s,
				 SCRIPT("", "auth=${CARGO_MAKEFLAGS##*--jobserver-auth=}\n"
					    "auth=${auth%% *}\n"
					    "[ \"$auth\" != 77,78 ] || exit 7\n"
					    "[ -p /proc/self/fd/${auth%,*} ]"
					    " && [ -p /proc/self/fd/${auth#*,} ] || exit 9\n"
					    "flock -n slots/slot-0 true && exit 8; exit 5\n"),
				 NULL),
		5);
	unsetenv("CARGO_MAKEFLAGS");
	/* a death is passed on as one */
	assert_int_equal(run_local(&s, "#!/bin/sh\nkill -9 $$\n", NULL), SPAWN_SIGNALLED + 9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test_setup_teardown(test_linker_choice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_answer_is_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_no_answer_is_remembered_for_a_while, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_it_read_is_set_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_linker_that_speaks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_link_that_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_staging_elsewhere_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_promised_rmeta_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_broken_promise_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_whose_fault_a_broken_promise_is, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_failed_run_says_why_and_keeps_the_rmeta, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_compiler_gets_slot_and_jobserver, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
