/* What a build script made in OUT_DIR: kept and put back elsewhere it is the same, whatever it is;
 * and what cannot be put back as a whole is not put back in part. */
#include "config.h"

#include "cache/marks.h"
#include "client/script/place.h"
#include "client/script/tree.h"
#include "tests/unit/depot_fixture.h"

#define OUT "debug/build/x-0123456789abcdef/out"

/* A target directory, and OUT_DIR in it. */
struct where {
	char *target, *out;
	struct inputs_place place;
};

static void
where_done(struct where *w)
{
	free(w->target);
	free(w->out);
}

static struct where
make_where(const char *name)
{
	struct where w = { strdup(in(name)), NULL, { .out_dir = NULL } };

	w.out = path_join(w.target, OUT);
	assert_non_null(w.out);
	fs_rm_rf(w.target);
	assert_int_equal(fs_mkdir_p(w.out, 0755), 0);
	w.place = (struct inputs_place){ .out_dir = w.out,
		.real_out_dir = w.out,
		.target_dir = w.target,
		.real_target_dir = w.target };
	return w;
}

static void
put_out(const struct where *w, const char *name, const void *text, size_t n, mode_t mode)
{
	_cleanup_(freep) char *path = path_join(w->out, name);

	assert_int_equal(fs_mkdir_parent(path, 0755), 0);
	assert_int_equal(fs_write_atomic(path, text, n, 0600), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
put_text(const struct where *w, const char *name, const char *text)
{
	put_out(w, name, text, strlen(text), 0644);
}

static void
assert_out(const struct where *w, const char *name, const char *text)
{
	_cleanup_(freep) char *path = path_join(w->out, name);
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(fs_read_file(path, 1 << 20, &b), 0);
	assert_string_equal(b.p ? (char *)b.p : "", text);
}

static mode_t
mode_of(const struct where *w, const char *name)
{
	_cleanup_(freep) char *path = path_join(w->out, name);
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode;
}

static struct tree
tree_at(const struct where *w, struct depot *d)
{
	return (struct tree){ .place = &w->place, .depot = d };
}

/* What is kept must be what an entry may hold. */
static void
keep(const struct where *w, struct depot *d, const struct strv *made, struct result *ret,
	char **ret_bound)
{
	_cleanup_(result_done) struct result res = RESULT_INIT;
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(freep) char *why = NULL;
	struct tree t = tree_at(w, d);

	res.run = true;
	assert_int_equal(inputs_add(&res.inputs, INPUT_ABSENT, "/x", NULL, 0), 0);
	assert_int_equal(tree_keep(&t, made, &res, &why), 0);
	assert_null(why);
	assert_int_equal(t.bound, t.bound_by != NULL);
	*ret_bound = t.bound_by;
	assert_int_equal(entry_add_result(&e, &res), 0);
	assert_int_equal(entry_result(&e, 0, ret), 0);
}

static void
keep_unbound(const struct where *w, struct depot *d, const struct strv *made, struct result *ret)
{
	char *bound;

	keep(w, d, made, ret, &bound);
	assert_null(bound);
}

static int
put(const struct where *w, struct depot *d, const struct result *res)
{
	struct tree t = tree_at(w, d);

	umask(022);
	return tree_put(&t, res);
}

static void
there_and_back(void **state)
{
	_cleanup_(depot_closep) struct depot *d = open_depot();
	_cleanup_(where_done) struct where a = make_where("a"), b = make_where("b");
	_cleanup_(result_done) struct result res = RESULT_INIT, again = RESULT_INIT;
	_cleanup_(freep) char *big = calloc(1, 3 << 20);
	_cleanup_(freep) char *link = path_join(a.out, "sub/to"), *up = path_join(a.out, "up");
	_cleanup_(freep) char *gone = path_join(a.out, "gone");
	_cleanup_(freep) char *empty = path_join(a.out, "empty/dir");
	_cleanup_(freep) char *private = path_join(a.out, "private");
	_cleanup_(freep) char *here = path_join(b.out, "sub/to"), *old = path_join(b.out, "old");
	char to[PATH_MAX];
	ssize_t n;

	memset(big, 'x', 3 << 20);
	put_out(&a, "lib.a", big, 3 << 20, 0644);
	put_out(&a, "tool", "#!/bin/sh\n", 10, 0755);
	put_out(&a, "secret", "s", 1, 0600);
	put_out(&a, "fixed", "r", 1, 0444);
	put_out(&a, "nothing", "", 0, 0644);
	put_out(&a, "nul", "a\0b", 3, 0644);
	put_text(&a, "marks", "\x01 and \x02");
	put_text(&a, "a b\n\xff\"'", "odd");
	put_text(&a, "-x", "dash");
	put_text(&a, "sub/deep/er/file", "deep");
	/* sorted before and after what is in it */
	put_text(&a, "sub-a", "1");
	put_text(&a, "sub0", "2");
	assert_int_equal(symlink("deep/er/file", link), 0);
	assert_int_equal(symlink("..", up), 0);
	assert_int_equal(symlink("/nowhere/at all", gone), 0);
	assert_int_equal(fs_mkdir_p(empty, 0755), 0);
	assert_int_equal(mkdir(private, 0700), 0);
	put_text(&a, "private/in", "in");
	assert_int_equal(chmod(private, 0500), 0);
	keep_unbound(&a, d, NULL, &res);
	/* what is there goes */
	put_text(&b, "old/file", "old");
	assert_int_equal(chmod(old, 0500), 0);
	put_text(&b, "lib.a/was/a/directory", "old");
	assert_int_equal(put(&b, d, &res), 0);
	assert_int_equal(mode_of(&b, "lib.a"), S_IFREG | 0644);
	assert_int_equal(mode_of(&b, "tool"), S_IFREG | 0755);
	assert_int_equal(mode_of(&b, "secret"), S_IFREG | 0600);
	assert_int_equal(mode_of(&b, "fixed"), S_IFREG | 0444);
	assert_int_equal(mode_of(&b, "private"), S_IFDIR | 0500);
	assert_int_equal(mode_of(&b, "empty/dir"), S_IFDIR | 0755);
	assert_out(&b, "nothing", "");
	assert_out(&b, "marks", "\x01 and \x02");
	assert_out(&b, "a b\n\xff\"'", "odd");
	assert_out(&b, "-x", "dash");
	assert_out(&b, "sub/deep/er/file", "deep");
	assert_out(&b, "sub/to", "deep");
	assert_out(&b, "private/in", "in");
	n = readlink(here, to, sizeof(to));
	assert_int_equal(n, strlen("deep/er/file"));
	assert_false(fs_exists(old));
	/* the same again, from what was put there */
	keep_unbound(&b, d, NULL, &again);
	assert_int_equal(again.n_outputs, res.n_outputs);
	for (size_t i = 0; i < res.n_outputs; i++) {
		assert_string_equal(again.outputs[i].name, res.outputs[i].name);
		assert_int_equal(again.outputs[i].kind, res.outputs[i].kind);
		assert_int_equal(again.outputs[i].mode, res.outputs[i].mode);
		assert_true(digest_eq(&again.outputs[i].digest, &res.outputs[i].digest));
		assert_int_equal(again.outputs[i].text.n, res.outputs[i].text.n);
	}
}

/* A text that names the place, where such a path may have another length; a link; and a file that
 * cannot be rewritten, which binds the run. */
static void
places(void **state)
{
	_cleanup_(depot_closep) struct depot *d = open_depot();
	_cleanup_(where_done) struct where a = make_where("place"), b = make_where("another/place");
	_cleanup_(result_done) struct result res = RESULT_INIT, bound = RESULT_INIT;
	_cleanup_(freep) char *text = NULL, *other = NULL, *want = NULL;
	_cleanup_(freep) char *link = path_join(a.out, "link"), *here = path_join(b.out, "link");
	_cleanup_(freep) char *by = NULL, *script = NULL, *want_script = NULL;
	/* of configure and of cmake, too */
	static const char *const texts[] = { "Makefile", "CMakeFiles/Makefile2",
		"CMakeFiles/x.dir/build.make", "CMakeFiles/x.dir/compiler_depend.internal",
		"config.log", "config.status", "libtool" };
	char to[PATH_MAX] = "";

#define TEXT "prefix=%s\nlibs=%s/debug/build/y\n"
#define SCRIPT "#! /bin/sh\nsed 's|@prefix@|%s|'; cc -I%s/debug\n"
	assert_true(asprintf(&text, TEXT, a.out, a.target) > 0);
	assert_true(asprintf(&want, TEXT, b.out, b.target) > 0);
	assert_true(asprintf(&script, SCRIPT, a.out, a.target) > 0);
	assert_true(asprintf(&want_script, SCRIPT, b.out, b.target) > 0);
	assert_true(asprintf(&other, "%s-x\n", a.target) > 0);
	put_text(&a, "lib/pkgconfig/z.pc", text);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		put_text(&a, texts[i], text);
	put_text(&a, "bin/script", script);
	assert_int_equal(symlink(a.out, link), 0);
	keep_unbound(&a, d, NULL, &res);
	assert_int_equal(put(&b, d, &res), 0);
	assert_out(&b, "lib/pkgconfig/z.pc", want);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_out(&b, texts[i], want);
	assert_out(&b, "bin/script", want_script);
	assert_true(readlink(here, to, sizeof(to) - 1) > 0);
	assert_string_equal(to, b.out);
	/* source code may count it; a longer name is another; no text */
	put_text(&a, "gen.rs", text);
	keep(&a, d, NULL, &bound, &by);
	assert_string_equal(by, "gen.rs");
	for (int i = 0; i < 2; i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		_cleanup_(freep) char *file = path_join(a.out, i ? "z.pc" : "gen.rs");

		free(steal_ptr(by));
		assert_int_equal(unlink(file), 0);
		if (i == 0)
			put_text(&a, "z.pc", other);
		else
			put_out(&a, "o.txt", text, strlen(text) + 1, 0644);
		keep(&a, d, NULL, &r, &by);
		assert_string_equal(by, i ? "o.txt" : "z.pc");
		assert_int_equal(put(&a, d, &r), 0);
		if (i == 0)
			assert_out(&a, "z.pc", other);
	}
}

/* Only what this run made, where there was something before. */
static void
made_only(void **state)
{
	_cleanup_(depot_closep) struct depot *d = open_depot();
	_cleanup_(where_done) struct where a = make_where("made");
	_cleanup_(result_done) struct result res = RESULT_INIT;
	_cleanup_(strv_done) struct strv made = STRV_INIT;
	_cleanup_(freep) char *link = path_join(a.out, "l"), *dir_link = path_join(a.out, "dl");

	put_text(&a, "old", "old");
	put_text(&a, "sub/dir/new", "new");
	put_text(&a, "sub/old", "old");
	assert_int_equal(symlink("sub", link), 0);
	assert_int_equal(symlink("sub", dir_link), 0);
	assert_int_equal(strv_addf(&made, "%s/sub/dir/new", a.out), 0);
	assert_int_equal(strv_addf(&made, "%s/gone", a.out), 0);
	assert_int_equal(strv_addf(&made, "%s", a.out), 0);
	assert_int_equal(strv_addf(&made, "%s", in("elsewhere")), 0);
	assert_int_equal(strv_addf(&made, "%s/l", a.out), 0);
	/* by a link that was there, or was made too */
	assert_int_equal(strv_addf(&made, "%s/l/dir/new", a.out), 0);
	assert_int_equal(strv_addf(&made, "%s/dl/dir/new", a.out), 0);
	keep_unbound(&a, d, &made, &res);
	assert_int_equal(put(&a, d, &res), 0);
	assert_out(&a, "sub/dir/new", "new");
	assert_out(&a, "l/dir/new", "new");
	assert_false(fs_exists(dir_link));
	assert_int_equal(res.n_outputs, 4);
}

static void
not_kept(void **state)
{
	_cleanup_(depot_closep) struct depot *d = open_depot();
	_cleanup_(where_done) struct where a = make_where("odd");
	_cleanup_(freep) char *fifo = path_join(a.out, "sub"), *set = path_join(a.out, "set");

	for (int i = 0; i < 2; i++) {
		_cleanup_(result_done) struct result res = RESULT_INIT;
		_cleanup_(freep) char *why = NULL;
		struct tree t = tree_at(&a, d);

		if (i == 0)
			assert_int_equal(mkfifo(fifo, 0600), 0);
		else
			put_out(&a, "set", "s", 1, 04755);
		res.run = true;
		assert_int_equal(tree_keep(&t, NULL, &res, &why), -ENOTSUP);
		assert_non_null(why);
		assert_non_null(strstr(why, i ? set : fifo));
		unlink(fifo);
	}
}

static void
put_large(const struct where *w, const char *name, char c, struct digest *ret)
{
	_cleanup_(freep) char *text = calloc(1, 100001);

	memset(text, c, 100000);
	put_text(w, name, text);
	*ret = digest_of(text);
}

/* A blob that is not there, or is damaged, leaves OUT_DIR as it was. */
static void
no_half_tree(void **state)
{
	_cleanup_(depot_closep) struct depot *d = open_depot();
	_cleanup_(where_done) struct where a = make_where("whole"), b = make_where("half");
	_cleanup_(result_done) struct result res = RESULT_INIT;
	_cleanup_(freep) char *blob = NULL;
	struct digest first, second;

	put_large(&a, "1", '1', &first);
	put_large(&a, "2", '2', &second);
	put_text(&a, "3", "three");
	keep_unbound(&a, d, NULL, &res);
	put_text(&b, "old", "old");
	blob = strdup(blob_path(&second));
	assert_true(fs_exists(blob));
	assert_int_equal(chmod(blob, 0600), 0);
	assert_int_equal(truncate(blob, 99999), 0);
	assert_int_equal(put(&b, d, &res), -ENOENT);
	assert_out(&b, "old", "old");
	assert_false(tree_is_empty(b.out));
	/* as long as it should be */
	assert_int_equal(truncate(blob, 100000), 0);
	assert_true(put(&b, d, &res) < 0);
	assert_out(&b, "old", "old");
	unlink(blob);
	assert_int_equal(put(&b, d, &res), -ENOENT);
	assert_out(&b, "old", "old");
}

/* OUT_DIR is another directory's name, or is gone. */
static void
odd_out_dirs(void **state)
{
	_cleanup_(depot_closep) struct depot *d = open_depot();
	_cleanup_(where_done) struct where a = make_where("from"), b = make_where("to");
	_cleanup_(result_done) struct result res = RESULT_INIT;
	_cleanup_(freep) char *real = path_join(b.target, "real");

	put_text(&a, "sub/file", "text");
	keep_unbound(&a, d, NULL, &res);
	assert_int_equal(rmdir(b.out), 0);
	assert_true(tree_is_empty(b.out));
	assert_int_equal(put(&b, d, &res), 0);
	assert_out(&b, "sub/file", "text");
	fs_rm_rf(b.out);
	assert_int_equal(mkdir(real, 0755), 0);
	assert_int_equal(symlink(real, b.out), 0);
	assert_true(tree_is_empty(b.out));
	assert_int_equal(put(&b, d, &res), 0);
	assert_true(S_ISLNK(mode_of(&b, "")) || S_ISDIR(mode_of(&b, "")));
	assert_out(&b, "sub/file", "text");
	assert_false(tree_is_empty(b.out));
}

/* ---- marks */

static void
hides(const struct where *w, const char *fmt, const char *want)
{
	_cleanup_(buf_done) struct buf hidden = BUF_INIT, shown = BUF_INIT;
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	/* %o is OUT_DIR, %t the target directory */
	for (const char *p = fmt; *p; p++) {
		if (*p == '%' && p[1])
			p++, buf_adds(&text, *p == 'o' ? w->out : w->target);
		else
			buf_add(&text, p, 1);
	}
	if (!want) {
		assert_int_equal(marks_hide(&w->place, text.p, text.n, &hidden), -EBADMSG);
		assert_int_equal(hidden.n, 0);
		return;
	}
	assert_int_equal(marks_hide(&w->place, text.p, text.n, &hidden), 0);
	assert_string_equal((char *)hidden.p, want);
	assert_int_equal(marks_show(&w->place, hidden.p, hidden.n, &shown), 0);
	assert_string_equal((char *)shown.p, (char *)text.p);
}

static void
marks(void **state)
{
	_cleanup_(where_done) struct where w = make_where("marks");
	struct where linked = w;

	hides(&w, "cargo:root=%o\n", "cargo:root=\x01\n");
	hides(&w, "-L%o/lib -L%t/debug/deps", "-L\x01/lib -L\x02/debug/deps");
	hides(&w, "%o", "\x01");
	hides(&w, "plain", "plain");
	hides(&w, "%o2", NULL);
	hides(&w, "%t-x/a", NULL);
	hides(&w, "x%t", NULL);
	hides(&w, "a\x01%o", NULL);
	hides(&w, "a\x02", NULL);
	/* by a name that is not the usual one there is no telling which was meant */
	linked.place.real_target_dir = "/real/target";
	linked.place.real_out_dir = "/real/target/" OUT;
	hides(&linked, "%o /real/target/" OUT, NULL);
	hides(&linked, "%o /real/target/x", NULL);
	hides(&linked, "%o", "\x01");
}

static void
environment(void **state)
{
	_cleanup_(where_done) struct where w = make_where("env");
	_cleanup_(strv_done) struct strv v = STRV_INIT, env = STRV_INIT;

	assert_int_equal(strv_addf(&env, "OUT_DIR=%s", w.out), 0);
	assert_int_equal(strv_add(&env, "NUM_JOBS=8"), 0);
	assert_int_equal(strv_add(&env, "NUM_JOBS_MAX=8"), 0);
	assert_int_equal(strv_add(&env, "CARGO_MAKEFLAGS=-j --jobserver-fds=8,9"), 0);
	assert_int_equal(strv_addf(&env, "DEP_Z_ROOT=%s/debug/build/z-1/out", w.target), 0);
	assert_int_equal(strv_addf(&env, "DEP_Z_OTHER=%s2", w.target), 0);
	assert_int_equal(strv_add(&env, "odd"), 0);
	assert_int_equal(place_mark_env(&w.place, env.v, &v), 0);
	assert_int_equal(v.n, 5);
	assert_string_equal(v.v[0], "OUT_DIR=\x01");
	assert_string_equal(v.v[1], "NUM_JOBS_MAX=8");
	assert_string_equal(v.v[2], "DEP_Z_ROOT=\x02/debug/build/z-1/out");
	/* as it is: it is this place's alone */
	assert_true(starts_with(v.v[3], "DEP_Z_OTHER=/"));
	assert_string_equal(v.v[4], "odd");
	assert_null(v.v[5]);
}

/* For `dray verify`: what cargo sets, and nothing that is to stay secret. */
static void
what_cargo_sets(void **state)
{
	char out_dir[] = "OUT_DIR=/t/out", name[] = "CARGO_PKG_NAME=a", dep[] = "DEP_Z_ROOT=/z",
	     toolchain[] = "RUSTUP_TOOLCHAIN=stable", path[] = "PATH=/bin", target[] = "TARGET=x";
	char token[] = "CARGO_REGISTRY_TOKEN=t", secret[] = "CARGO_REGISTRIES_A_TOKEN=t",
	     home[] = "HOME=/h", flags[] = "CARGO_MAKEFLAGS=-j", targets[] = "TARGETS=y";
	char *env[] = { token, out_dir, name, secret, dep, home, toolchain, flags, path, targets,
		target, NULL };
	char *want[] = { out_dir, name, dep, toolchain, path, target };
	_cleanup_(strv_done) struct strv v = STRV_INIT;

	assert_int_equal(place_cargo_env(env, &v), 0);
	assert_int_equal(v.n, ARRAY_LEN(want));
	for (size_t i = 0; i < v.n; i++)
		assert_string_equal(v.v[i], want[i]);
}

static bool
has_way(const struct place_ways *w, const char *text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(buf_adds(&b, text), 0);
	return place_ways_in(w, &b);
}

static void
relative_ways(void **state)
{
	static const struct {
		const char *cwd, *there, *back;
	} rows[] = {
		{ "/w", "target/debug", "../../../../.." },
		{ "/w/member", "../target/debug", "../../../../../member" },
		{ "/v", "../w/target/debug", "../../../../../../v" },
		{ "/wide", "../w/target/debug", "../../../../../../wide" },
		{ "/w/target/package/a", "../../debug", "../../../../package/a" },
		{ "/w/target/debug/build", NULL, NULL },
		{ "/w/target/debug", NULL, "../../.." },
	};
	struct inputs_place p = { .out_dir = "/w/target/debug/build/a-0123456789abcdef/out",
		.target_dir = "/w/target" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct place_ways w;

		assert_int_equal(place_ways_find(&p, rows[i].cwd, &w), 0);
		assert_string_equal(w.v[0], "/debug/build/a-0123456789abcdef");
		assert_int_equal(w.n_there, 1 + (rows[i].there != NULL));
		assert_int_equal(w.n, w.n_there + (rows[i].back != NULL));
		if (rows[i].there)
			assert_string_equal(w.v[1], rows[i].there);
		if (rows[i].back)
			assert_string_equal(w.v[w.n_there], rows[i].back);
		assert_true(has_way(&w, "x/debug/build/a-0123456789abcdef/out"));
		assert_false(has_way(&w, "x=\x02/debug/build/a-0123456789abcdef/output"));
		assert_false(has_way(&w, "debug/build/a-0123456789abcdef/out"));
		assert_false(has_way(&w, ""));
		place_ways_done(&w);
	}
	p.out_dir = "/somewhere/else";
	{
		struct place_ways w;

		assert_int_equal(place_ways_find(&p, "/w", &w), 0);
		assert_int_equal(w.n, 0);
	}
}

/* What the compilers' names for the place tell: only the way to OUT_DIR, unless it stands
 * elsewhere, too. */
static void
mapped_names(void **state)
{
	static const struct {
		const char *text;
		int plain, mapped;
	} rows[] = {
		{ "", 0, 0 },
		{ "/cargo/build-dir/debug", 0, PLACE_TOLD_UNIT },
		{ "/cargo/build-dir/debug/build/a-0123456789abcdef/out/x.h", 1, PLACE_TOLD_UNIT },
		{ "/debug/build/a-0123456789abcdef/out/x.h", 1, 1 },
		{ "/cargo/build-dir/debug/build/a-0123456789abcdef/out "
		  "/debug/build/a-0123456789abcdef/",
			1, 1 },
		{ "/cargo/build-dir/debug/build/a-0123456789abcdef/out /w/target", 1, 1 },
		{ "/cargo/build-dir/debug/build/a-0123456789abcdef/out ../target/debug", 1, 1 },
		{ "/w/target/debug/build/a-0123456789abcdef/out", 1, 1 },
	};
	struct inputs_place p = { .out_dir = "/w/target/debug/build/a-0123456789abcdef/out",
		.target_dir = "/w/target",
		.real_target_dir = "/w/target" };
	_cleanup_(where_done) struct where w = make_where("mapped");
	struct place_ways ways;

	(void)state;
	assert_int_equal(place_ways_find(&p, "/w/member", &ways), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(freep) char *path = NULL;

		put_text(&w, "object", rows[i].text);
		path = path_join(w.out, "object");
		ways.mapped = false;
		assert_int_equal(place_is_told(&p, &ways, path), rows[i].plain);
		ways.mapped = true;
		assert_int_equal(place_is_told(&p, &ways, path), rows[i].mapped);
	}
	place_ways_done(&ways);
}

static void
names_of_places(void **state)
{
	static const struct {
		const char *workspace, *target, *real;
		const char *maps[4], *marked[3];
	} rows[] = {
		{ NULL, "/w/target", "/w/target", { "/w/target=/cargo/build-dir" },
			{ "\x02=/cargo/build-dir" } },
		{ "/w", "/w/target", "/w/target", { "/w=.", "/w/target=/cargo/build-dir" },
			{ "\x03=.", "\x02=/cargo/build-dir" } },
		{ "/w", "/link", "/real",
			{ "/w=.", "/real=/cargo/build-dir", "/link=/cargo/build-dir" },
			{ "\x03=.", "\x02=/cargo/build-dir" } },
		/* compilers take the first '=' for the end of the name, and a line is a map */
		{ "/a=b", "/a=b/target", "/a=b/target", { NULL }, { NULL } },
		{ NULL, "/a\nb", "/a\nb", { NULL }, { NULL } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct inputs_place p = { .workspace = rows[i].workspace,
			.target_dir = rows[i].target,
			.real_target_dir = rows[i].real };
		_cleanup_(strv_done) struct strv maps = STRV_INIT, marked = STRV_INIT;

		assert_int_equal(place_maps(&p, &maps, &marked), 0);
		for (size_t k = 0; k < maps.n; k++)
			assert_string_equal(maps.v[k], rows[i].maps[k]);
		assert_null(rows[i].maps[maps.n]);
		for (size_t k = 0; k < marked.n; k++)
			assert_string_equal(marked.v[k], rows[i].marked[k]);
		assert_null(rows[i].marked[marked.n]);
	}
}

static ino_t
inode_of(const struct where *w)
{
	struct stat st;

	assert_int_equal(stat(w->out, &st), 0);
	return st.st_ino;
}

/* What is empty already stays the directory that it is; what an earlier run left there goes. */
static void
nothing_made(void **state)
{
	_cleanup_(result_done) struct result res = RESULT_INIT;
	_cleanup_(where_done) struct where w = make_where("none");
	struct depot *d = open_depot();
	ino_t before = inode_of(&w);

	(void)state;
	assert_int_equal(put(&w, d, &res), 0);
	assert_int_equal(inode_of(&w), before);
	put_text(&w, "sub/left", "x");
	put_text(&w, ".hidden", "x");
	assert_int_equal(put(&w, d, &res), 0);
	assert_true(tree_is_empty(w.out));
	assert_int_equal(fs_rm_rf(w.out), 0);
	assert_int_equal(put(&w, d, &res), 0);
	assert_true(tree_is_empty(w.out) && access(w.out, F_OK) == 0);
	depot_close(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(places),
		cmocka_unit_test(made_only),
		cmocka_unit_test(not_kept),
		cmocka_unit_test(no_half_tree),
		cmocka_unit_test(odd_out_dirs),
		cmocka_unit_test(nothing_made),
		cmocka_unit_test(marks),
		cmocka_unit_test(relative_ways),
		cmocka_unit_test(mapped_names),
		cmocka_unit_test(names_of_places),
		cmocka_unit_test(environment),
		cmocka_unit_test(what_cargo_sets),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
