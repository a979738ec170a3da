/* What a unit may say (unit_check), and how it is laid out (stage). */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/stat.h>

#include "common/fs.h"
#include "worker/sandbox/stage.h"
#include "worker/sandbox/unit_check.h"
#include "tests/unit/store_fixture.h"

#define FILES 3

/* A unit that is right; each case below breaks one thing of it. */
struct fixture {
	Dray__Unit u;
	Dray__Blob blob[2], *blobs[2];
	Dray__UnitFile file[FILES], *files[FILES];
	Dray__EnvVar var, *env[1];
	char *dirs[1], *argv[2];
	uint8_t digest[2][DIGEST_SIZE], id[DIGEST_SIZE];
	char *text[16]; /* owned copies */
	size_t n_text;
};

static char lib64[] = "/lib64";
static char *reserved[] = { lib64, NULL };

static char *
copy(struct fixture *f, const char *s)
{
	assert_true(f->n_text < ARRAY_LEN(f->text));
	f->text[f->n_text] = strdup(s);
	assert_non_null(f->text[f->n_text]);
	return f->text[f->n_text++];
}

static void
make(struct fixture *f)
{
	static const char *const paths[FILES] = { "/w/src/main.rs", "/tmp/dep/libx.rmeta",
		"/w/src/a/b.rs" };

	memset(f, 0, sizeof(*f));
	dray__unit__init(&f->u);
	f->u.toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, f->id };
	f->u.sysroot = copy(f, "/opt/rust");
	f->u.driver = copy(f, "rustc");
	f->u.cwd = copy(f, "/w");
	f->u.out_dir = copy(f, "/w/target/deps");
	f->u.linker = copy(f, "cc");
	f->u.crate = copy(f, "main");
	for (unsigned i = 0; i < 2; i++) {
		dray__blob__init(&f->blob[i]);
		f->blob[i].digest = (ProtobufCBinaryData){ DIGEST_SIZE, f->digest[i] };
		f->blob[i].size = 5;
		f->blobs[i] = &f->blob[i];
	}
	for (unsigned i = 0; i < FILES; i++) {
		dray__unit_file__init(&f->file[i]);
		f->file[i].path = copy(f, paths[i]);
		f->file[i].blob = i % 2;
		f->files[i] = &f->file[i];
	}
	dray__env_var__init(&f->var);
	f->var.name = copy(f, "CARGO_PKG_NAME");
	f->var.value = (ProtobufCBinaryData){ 4, (uint8_t *)copy(f, "main") };
	f->env[0] = &f->var;
	f->dirs[0] = copy(f, "/w/target/deps");
	f->argv[0] = copy(f, "src/main.rs");
	f->u.blobs = f->blobs;
	f->u.n_blobs = 2;
	f->u.files = f->files;
	f->u.n_files = FILES;
	f->u.env = f->env;
	f->u.n_env = 1;
	f->u.dirs = f->dirs;
	f->u.n_dirs = 1;
	f->u.argv = f->argv;
	f->u.n_argv = 1;
}

static void
drop(struct fixture *f)
{
	for (size_t i = 0; i < f->n_text; i++)
		free(f->text[i]);
}

/* The unit must be refused, with a sentence that has `word` in it. */
static void
refused(struct fixture *f, const char *word)
{
	char *error = NULL;

	assert_int_equal(unit_check(&f->u, reserved, 1000, &error), -EINVAL);
	assert_non_null(error);
	if (!strstr(error, word))
		fail_msg("\"%s\" does not say \"%s\"", error, word);
	free(error);
	drop(f);
}

static void
accepted(struct fixture *f)
{
	char *error = NULL;

	if (unit_check(&f->u, reserved, 1000, &error) != 0)
		fail_msg("refused: %s", error);
	assert_null(error);
	drop(f);
}

static void
test_umask(void **state)
{
	static const struct {
		uint32_t said, used;
	} v[] = { { 0, 0 }, { 1, 1 }, { 022 + 1, 022 + 1 }, { 077 + 1, 077 + 1 }, { 0277 + 1, 0 },
		{ 0100 + 1, 0 }, { UINT32_MAX, 0 } };
	Dray__Unit u = DRAY__UNIT__INIT;

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		u.umask = v[i].said;
		assert_int_equal(unit_umask(&u), v[i].used);
	}
}

static void
test_good(void **state)
{
	struct fixture f;

	make(&f);
	accepted(&f);
	make(&f);
	f.u.linker = copy(&f, "/usr/bin/cc");
	accepted(&f);
	make(&f);
	f.u.linker = copy(&f, "");
	f.u.cwd = copy(&f, "/w/target/deps");
	accepted(&f);
	make(&f); /* beside dray's own place, not in it */
	f.file[0].path = copy(&f, "/.dray-in/libx.rlib");
	accepted(&f);
	make(&f); /* "a-b" lies between "a" and "a/b" in byte order only */
	f.file[0].path = copy(&f, "/w/src/a-b.rs");
	accepted(&f);
}

static void
test_bad_paths(void **state)
{
	static const struct {
		const char *path, *word;
	} cases[] = {
		{ "", "normal" },
		{ "src/main.rs", "normal" },
		{ "/w/../etc/passwd", "normal" },
		{ "/w/./x", "normal" },
		{ "/w//x", "normal" },
		{ "/w/x/", "normal" },
		{ "/", "is /" },
		{ "/tmp", "is /tmp" },
		{ "/proc/self/mem", "/proc" },
		{ "/dev/null", "/dev" },
		{ "/sys/x", "/sys" },
		{ "/etc/ld.so.cache", "loader" },
		{ "/etc/ld.so.preload", "loader" },
		{ "/etc/malloc.conf", "loader" },
		{ "/.dray/bin/dray-exec", "/.dray" },
		{ "/lib64/ld.so", "/lib64" },
		{ "/lib64", "/lib64" },
		{ "/opt/rust/bin/rustc", "sysroot" },
		{ "/opt/rust", "sysroot" },
		{ "/opt", "also a directory" },
		{ "/w/target/deps/libx.rlib", "output directory" },
		{ "/w/target/deps", "output directory" },
		{ "/w/target", "also a directory" },
		{ "/w/src/a", "also a directory" },
		{ "/w/src/a/b.rs", "twice" },
		{ "/w/src/a/b.rs/c", "also a directory" },
	};
	struct fixture f;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make(&f);
		f.file[0].path = copy(&f, cases[i].path);
		refused(&f, cases[i].word);
	}
}

static void
test_bad_places(void **state)
{
	static const struct {
		const char *sysroot, *out_dir, *cwd, *linker, *dir, *word;
	} cases[] = {
		{ "/", NULL, NULL, NULL, NULL, "sysroot" },
		{ "opt/rust", NULL, NULL, NULL, NULL, "sysroot" },
		{ "/lib64/rust", NULL, NULL, NULL, NULL, "/lib64" },
		{ NULL, "/", NULL, NULL, NULL, "output directory" },
		{ NULL, "/tmp", NULL, NULL, NULL, "output directory" },
		{ NULL, "/opt/rust/x", NULL, NULL, NULL, "each other" },
		{ "/w/target/deps/x", NULL, NULL, NULL, NULL, "each other" },
		{ NULL, "/lib64", NULL, NULL, NULL, "/lib64" },
		{ NULL, "/proc/x", NULL, NULL, NULL, "/proc" },
		{ NULL, NULL, "", NULL, NULL, "working directory" },
		{ NULL, NULL, "/w/target/deps/x", NULL, NULL, "working directory" },
		{ NULL, NULL, "/opt/rust/lib", NULL, NULL, "working directory" },
		{ NULL, NULL, NULL, "a/b", NULL, "linker" },
		{ NULL, NULL, NULL, "..", NULL, "linker" },
		{ NULL, NULL, NULL, "dray-exec", NULL, "linker" },
		{ NULL, NULL, NULL, "/w/src/main.rs", NULL, "twice" },
		{ NULL, NULL, NULL, "/opt/rust/bin/ld", NULL, "linker" },
		{ NULL, NULL, NULL, "/w/target/deps/ld", NULL, "linker" },
		{ NULL, NULL, NULL, NULL, "/w/target/deps/x", "output directory" },
		{ NULL, NULL, NULL, NULL, "/w/src/main.rs/x", "also a directory" },
		{ NULL, NULL, NULL, NULL, "/w/src/main.rs", "also a directory" },
	};
	struct fixture f;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make(&f);
		if (cases[i].sysroot)
			f.u.sysroot = copy(&f, cases[i].sysroot);
		if (cases[i].out_dir)
			f.u.out_dir = copy(&f, cases[i].out_dir);
		if (cases[i].cwd)
			f.u.cwd = copy(&f, cases[i].cwd);
		if (cases[i].linker)
			f.u.linker = copy(&f, cases[i].linker);
		if (cases[i].dir)
			f.dirs[0] = copy(&f, cases[i].dir);
		refused(&f, cases[i].word);
	}
}

static void
test_bad_values(void **state)
{
	struct fixture f;
	char *huge;

	make(&f);
	f.u.toolchain.len = 31;
	refused(&f, "toolchain");
	make(&f);
	f.u.driver = copy(&f, "sh");
	refused(&f, "compiler");
	make(&f);
	f.blob[1].digest.len = 20;
	refused(&f, "digest");
	make(&f);
	f.file[1].blob = 2;
	refused(&f, "blob 2 of 2");
	make(&f);
	f.blob[0].size = 996; /* 1001 in all */
	refused(&f, "1001 bytes");
	make(&f);
	f.blob[0].size = f.blob[1].size = UINT64_MAX;
	refused(&f, "overflow");
	make(&f);
	f.var.name = copy(&f, "A=B");
	refused(&f, "variable");
	make(&f);
	f.var.name = copy(&f, "");
	refused(&f, "variable");
	make(&f);
	f.var.value.data[1] = '\0';
	refused(&f, "NUL");
	make(&f);
	f.u.n_argv = UNIT_ARGS_MAX + 1; /* refused before any of them is looked at */
	refused(&f, "too many");
	make(&f);
	huge = malloc(UNIT_STRING_MAX + 1);
	assert_non_null(huge);
	memset(huge, 'x', UNIT_STRING_MAX);
	huge[UNIT_STRING_MAX] = '\0';
	f.argv[0] = huge; /* it goes into a file */
	accepted(&f);
	make(&f);
	f.argv[0] = huge;
	huge[7] = '\n';
	refused(&f, "line's end");
	free(huge);
	make(&f);
	f.var.value.data = malloc(UNIT_STRING_MAX);
	assert_non_null(f.var.value.data);
	memset(f.var.value.data, 'x', UNIT_STRING_MAX);
	f.var.value.len = UNIT_STRING_MAX;
	refused(&f, "too long");
	free(f.var.value.data);
}

static void
test_arguments_sum(void **state)
{
	enum { COUNT = 130, EACH = 100 * 1000 };
	struct fixture f;
	char *many[COUNT], *one = malloc(EACH + 1);

	assert_non_null(one);
	memset(one, 'x', EACH);
	one[EACH] = '\0';
	for (size_t i = 0; i < COUNT; i++)
		many[i] = one;
	make(&f);
	f.u.argv = many;
	f.u.n_argv = COUNT;
	refused(&f, "too many");
	make(&f);
	f.u.argv = many;
	f.u.n_argv = COUNT / 2; /* in a file */
	accepted(&f);
	make(&f);
	f.u.argv = many;
	f.u.n_argv = 10;
	accepted(&f);
	free(one);
}

/* The directories on the way to files count: few files can need many. */
static void
test_many_directories(void **state)
{
	enum { COUNT = 80, DEPTH = 200 };
	struct fixture f;
	static Dray__UnitFile file[COUNT];
	static Dray__UnitFile *files[COUNT];
	static char path[COUNT][3 * DEPTH + 16];

	for (unsigned i = 0; i < COUNT; i++) {
		int n = snprintf(path[i], sizeof(path[i]), "/w/%u", i);

		for (unsigned d = 0; d < DEPTH; d++, n += 2)
			memcpy(path[i] + n, "/d", 2);
		memcpy(path[i] + n, "/f", 3);
		dray__unit_file__init(&file[i]);
		file[i].path = path[i];
		files[i] = &file[i];
	}
	make(&f);
	f.u.files = files;
	f.u.n_files = COUNT;
	refused(&f, "10000 directories");
	make(&f);
	f.u.files = files;
	f.u.n_files = COUNT / 2;
	accepted(&f);
}

static void
test_order(void **state)
{
	assert_int_equal(unit_path_cmp("/a", "/a"), 0);
	assert_true(unit_path_cmp("/a", "/a/b") < 0);
	assert_true(unit_path_cmp("/a/b", "/a-b") < 0);
	assert_true(unit_path_cmp("/a-b", "/a/b") > 0);
	assert_true(unit_path_cmp("/a\xff", "/ab") > 0);
}

/* Laying out. */

struct place {
	char *dir, *jobs, *tools;
	struct store *store;
	struct fixture f;
	struct stage stage;
	bool stop;
};

static char *
below(const struct place *p, const char *name)
{
	char *s = path_join(p->dir, name);

	assert_non_null(s);
	return s;
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	const char *tmp = getenv("TMPDIR");
	_cleanup_(freep) char *store = NULL, *exec = NULL, *ld = NULL, *env = NULL;

	assert_non_null(p);
	assert_int_equal(fs_make_temp_dir(tmp ? tmp : "/tmp", "dray-stage-", &p->dir), 0);
	p->jobs = below(p, "jobs");
	p->tools = below(p, "tools");
	store = below(p, "store");
	exec = below(p, "tools/dray-exec");
	env = below(p, "tools/dray-env.so");
	ld = below(p, "tools/dray-ld");
	assert_int_equal(stage_clean(p->jobs, NULL), 0);
	assert_int_equal(fs_mkdir_p(p->tools, 0700), 0);
	assert_int_equal(fs_write_atomic(exec, "exec", 4, 0755), 0);
	assert_int_equal(fs_write_atomic(ld, "ld", 2, 0755), 0);
	assert_int_equal(fs_write_atomic(env, "env", 3, 0755), 0);
	assert_int_equal(open_own_store(store, 0, &p->store), 0);
	make(&p->f);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	stage_done(&p->stage);
	drop(&p->f);
	store_close(p->store);
	fs_rm_rf(p->dir);
	free(p->dir);
	free(p->jobs);
	free(p->tools);
	free(p);
	return 0;
}

static bool
is_stopped(void *arg)
{
	const struct place *p = arg;

	return p->stop;
}

static int
lay_out(struct place *p)
{
	return stage_new(&(struct stage_spec){ .jobs = p->jobs,
				 .job = "j1",
				 .tools = p->tools,
				 .lib_dirs = reserved,
				 .unit = &p->f.u,
				 .is_stopped = is_stopped,
				 .arg = p },
		&p->stage);
}

static void
add_blob(struct place *p, unsigned i, const char *text)
{
	struct store_writer *w = NULL;
	struct digest d;

	assert_int_equal(digest_bytes(text, strlen(text), &d), 0);
	memcpy(p->f.digest[i], d.b, DIGEST_SIZE);
	assert_int_equal(store_write_begin(p->store, &w), 0);
	assert_int_equal(store_write(w, text, strlen(text)), 0);
	assert_int_equal(store_write_commit_now(w, &d, strlen(text)), 0);
}

static ino_t
inode(const char *dir, const char *name)
{
	_cleanup_(freep) char *path = NULL;
	struct stat st;

	assert_true(asprintf(&path, "%s%s", dir, name) > 0);
	if (lstat(path, &st) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return st.st_ino;
}

static void
test_layout(void **state)
{
	struct place *p = *state;
	char *dir;

	assert_int_equal(lay_out(p), 0);
	assert_int_equal(stage_link_blob(&p->stage, p->store, 0), -ENOENT);
	add_blob(p, 0, "first");
	add_blob(p, 1, "other");
	assert_int_equal(stage_link_blob(&p->stage, p->store, 0), 0);
	assert_int_equal(stage_link_blob(&p->stage, p->store, 0), 0);
	assert_int_equal(stage_link_blob(&p->stage, p->store, 1), 0);
	/* one blob, two files: nothing was copied */
	assert_int_equal(
		inode(p->stage.root, "/w/src/main.rs"), inode(p->stage.root, "/w/src/a/b.rs"));
	assert_int_not_equal(inode(p->stage.root, "/w/src/main.rs"),
		inode(p->stage.root, "/tmp/dep/libx.rmeta"));
	inode(p->stage.root, "/proc");
	inode(p->stage.root, "/dev");
	inode(p->stage.root, "/lib64");
	inode(p->stage.root, "/opt/rust");
	inode(p->stage.root, "/w/target/deps");
	inode(p->stage.root, SANDBOX_BIN);
	assert_int_equal(inode(p->stage.bin, "/cc"), inode(p->tools, "/dray-ld"));
	assert_int_equal(inode(p->stage.bin, "/dray-exec"), inode(p->tools, "/dray-exec"));
	dir = strdup(p->stage.dir);
	assert_non_null(dir);
	stage_done(&p->stage);
	assert_false(fs_exists(dir));
	free(dir);
}

static void
test_absolute_linker(void **state)
{
	struct place *p = *state;

	p->f.u.linker = copy(&p->f, "/opt/cross/bin/ld");
	assert_int_equal(lay_out(p), 0);
	assert_int_equal(inode(p->stage.root, "/opt/cross/bin/ld"), inode(p->tools, "/dray-ld"));
}

static void
test_mounts(void **state)
{
	struct place *p = *state;
	_cleanup_(strv_done) struct strv keep = STRV_INIT;
	_cleanup_(freep) struct sandbox_mount *v = NULL;
	size_t n = 0;

	assert_int_equal(lay_out(p), 0);
	assert_int_equal(
		stage_mounts(&p->stage, "/real/rust", "/state/base", reserved, &keep, &v, &n), 0);
	assert_int_equal(n, 4);
	assert_string_equal(
		v[0].to, "/tmp/dep"); /* over the private /tmp, before what may be in it */
	assert_true(starts_with(v[0].from, p->stage.root));
	assert_string_equal(v[1].from, "/real/rust");
	assert_string_equal(v[1].to, "/opt/rust");
	assert_string_equal(v[2].from, "/state/base/lib64");
	assert_string_equal(v[2].to, "/lib64");
	assert_string_equal(v[3].from, p->stage.out);
	assert_string_equal(v[3].to, "/w/target/deps");
	for (size_t i = 0; i < n; i++)
		assert_int_equal(v[i].writable, i == 3);
}

/* A job that was told to end does not go on laying out a hundred thousand files. */
static void
test_stopped(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *dir = path_join(p->jobs, "j1");

	p->stop = true;
	assert_int_equal(lay_out(p), -ECANCELED);
	assert_false(fs_exists(dir));
	p->stop = false;
	assert_int_equal(lay_out(p), 0);
	add_blob(p, 0, "first");
	p->stop = true;
	assert_int_equal(stage_link_blob(&p->stage, p->store, 0), -ECANCELED);
	p->stop = false;
	assert_int_equal(stage_link_blob(&p->stage, p->store, 0), 0);
}

#define LINKS_MORE 64

/* The links that a file system takes of one file, and a few more. */
static long
links_max(const char *dir)
{
	long n = pathconf(dir, _PC_LINK_MAX);

	return n > 0 && n <= 70000 ? n : 0;
}

/* A blob with more files than a file may have links: a copy, and links to that. */
static void
test_more_than_links(void **state)
{
	struct place *p = *state;
	long most = links_max(p->dir);
	size_t n = (size_t)most + LINKS_MORE;
	Dray__UnitFile *file, **list, **old = p->f.u.files;
	size_t n_old = p->f.u.n_files;
	_cleanup_(freep) char *last = NULL;
	struct stat st;

	if (!most)
		skip(); /* this file system takes any number */
	file = calloc(n, sizeof(*file));
	list = calloc(n, sizeof(*list));
	assert_true(file && list);
	for (size_t i = 0; i < n; i++) {
		dray__unit_file__init(&file[i]);
		assert_true(asprintf(&file[i].path, "/w/%zu", i) > 0);
		list[i] = &file[i];
	}
	p->f.u.files = list;
	p->f.u.n_files = n;
	assert_int_equal(lay_out(p), 0);
	add_blob(p, 0, "first");
	assert_int_equal(stage_link_blob(&p->stage, p->store, 0), 0);
	assert_true(asprintf(&last, "%s/w/%zu", p->stage.root, n - 1) > 0);
	assert_int_equal(lstat(last, &st), 0);
	/* the store has a link of its own to the first of them */
	assert_in_range(st.st_nlink, LINKS_MORE, LINKS_MORE + 8);
	p->f.u.files = old;
	p->f.u.n_files = n_old;
	for (size_t i = 0; i < n; i++)
		free(file[i].path);
	free(file);
	free(list);
}

static void
test_layout_fails_clean(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *dir = path_join(p->jobs, "j1");
	char *name = malloc(302);

	assert_non_null(name);
	memset(name, 'n', 300);
	memcpy(name, "/w/", 3);
	memcpy(name + 298, "/x", 3);
	p->f.file[0].path =
		name; /* a directory's name of 295 bytes: normal, but not for this disk */
	assert_int_equal(lay_out(p), -ENAMETOOLONG);
	assert_false(fs_exists(dir));
	assert_null(p->stage.dir);
	p->f.file[0].path = p->f.file[1].path;
	free(name);
}

static void
test_leftovers(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *old = path_join(p->jobs, "j1/root/w"), *jobs = strdup(p->jobs);

	assert_int_equal(fs_mkdir_p(old, 0700), 0);
	assert_int_equal(stage_clean(jobs, NULL), 0);
	assert_false(fs_exists(old));
	assert_true(fs_exists(jobs));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_umask),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad_paths),
		cmocka_unit_test(test_bad_places),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_arguments_sum),
		cmocka_unit_test(test_many_directories),
		cmocka_unit_test(test_order),
		cmocka_unit_test_setup_teardown(test_layout, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_absolute_linker, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mounts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stopped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_than_links, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_layout_fails_clean, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_leftovers, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
