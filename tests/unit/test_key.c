/* The unit key: every kind of input changes it; order and what does not matter do not. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cache/key.h"

/* What a key is made of; one is changed at a time. */
struct unit {
	const char *args[64];
	const char *env[16];
	const char *namespace, *cwd, *toolchain;
	const char *dep; /* the content of every extern */
	const char *sysroot;
	const char *bundle, *linker;
	const char *target_dir;
};

static const struct unit plain = {
	.args = { "/s/bin/rustc", "--crate-name", "a", "--edition=2021", "src/lib.rs",
		"--error-format=json", "--json=artifacts", "--crate-type", "lib",
		"--emit=dep-info,metadata,link", "-C", "opt-level=3", "--cfg", "feature=\"x\"",
		"--cfg", "feature=\"y\"", "--check-cfg", "cfg(docsrs)", "-C", "metadata=12",
		"--out-dir", "/t/deps", "-L", "dependency=/t/deps", "-L", "native=/n", "--extern",
		"b=/t/deps/libb.rmeta", "--extern", "c=/t/deps/libc.rmeta", "--cap-lints", "allow",
		NULL },
	.env = { "CARGO_PKG_NAME=a", "RUSTC_BOOTSTRAP=1", NULL },
	.namespace = "",
	.cwd = "/w",
	.toolchain = "one",
	.dep = "dep",
};

static int
digest_of(void *arg, const char *path, struct digest *ret)
{
	const struct unit *u = arg;
	char text[256];

	if (!u->dep)
		return -ENOENT;
	snprintf(text, sizeof(text), "%s:%s", u->dep, strrchr(path, '/'));
	return digest_bytes(text, strlen(text), ret);
}

static int
try_key(const struct unit *u, struct unit_key *ret)
{
	char text[64][256];
	char *argv[65] = { NULL };
	_cleanup_(strv_done) struct strv env = STRV_INIT;
	struct rustc_call call;
	struct digest tc;
	struct key_in in = { .namespace = u->namespace,
		.toolchain = &tc,
		.call = &call,
		.cwd = u->cwd,
		.sysroot = u->sysroot,
		.bundle = u->bundle,
		.linker = u->linker,
		.target_dir = u->target_dir,
		.env = &env,
		.digest = digest_of };
	struct unit copy = *u;
	int r;

	in.arg = &copy;
	for (size_t i = 0; u->args[i]; i++) {
		snprintf(text[i], sizeof(text[i]), "%s", u->args[i]);
		argv[i] = text[i];
	}
	for (size_t i = 0; u->env[i]; i++)
		assert_int_equal(strv_add(&env, u->env[i]), 0);
	assert_int_equal(digest_bytes(u->toolchain, strlen(u->toolchain), &tc), 0);
	assert_int_equal(call_parse(argv, &call), 0);
	assert_int_equal(call.kind, CALL_UNIT);
	r = unit_key_make(&in, ret);
	call_done(&call);
	return r;
}

static void
make_key(const struct unit *u, struct unit_key *ret)
{
	assert_int_equal(try_key(u, ret), 0);
}

static bool
equal(const struct unit *u, const struct unit *v)
{
	struct unit_key a, b;
	bool same;

	make_key(u, &a);
	make_key(v, &b);
	same = digest_eq(&a.id, &b.id);
	unit_key_done(&a);
	unit_key_done(&b);
	return same;
}

static bool
same_key(const struct unit *u)
{
	return equal(&plain, u);
}

/* The unit with the argument `from` replaced; to NULL: it and the next are left out. */
static struct unit
with_arg(const char *from, const char *to)
{
	struct unit u = plain;
	size_t i = 0;

	while (u.args[i] && !streq(u.args[i], from))
		i++;
	assert_non_null(u.args[i]);
	if (to)
		u.args[i] = to;
	else
		memmove(u.args + i - 1, u.args + i + 1, sizeof(u.args) - (i + 1) * sizeof(*u.args));
	return u;
}

static struct unit
with_more(const char *option, const char *value)
{
	struct unit u = plain;
	size_t i = 0;

	while (u.args[i])
		i++;
	u.args[i++] = option;
	u.args[i++] = value;
	u.args[i] = NULL;
	return u;
}

static void
test_what_changes_it(void **state)
{
	static const char *const replaced[][2] = { { "--edition=2021", "--edition=2018" },
		{ "src/lib.rs", "/w/src/lib.rs" }, { "opt-level=3", "opt-level=2" },
		{ "feature=\"x\"", "feature=\"z\"" }, { "cfg(docsrs)", "cfg(other)" },
		{ "metadata=12", "metadata=13" }, { "native=/n", "native=/m" },
		{ "b=/t/deps/libb.rmeta", "b=/t/deps/libother.rmeta" },
		{ "b=/t/deps/libb.rmeta", "d=/t/deps/libb.rmeta" }, { "allow", "warn" },
		{ "--emit=dep-info,metadata,link", "--emit=dep-info,link" },
		{ "--error-format=json", "--error-format=human" }, { "lib", "rlib" },
		{ "/s/bin/rustc", "/s/bin/clippy-driver" } };
	static const char *const more[][2] = { { "--cfg", "feature=\"z\"" },
		{ "--check-cfg", "cfg(more)" }, { "-l", "static=z" }, { "-C", "lto" },
		{ "-L", "native=/more" }, { "-Z", "threads=2" }, { "-D", "warnings" },
		{ "--target", "wasm32-unknown-unknown" }, { "--remap-path-prefix", "/w=/x" } };
	struct unit u;

	(void)state;
	assert_true(same_key(&plain));
	for (size_t i = 0; i < ARRAY_LEN(replaced); i++) {
		u = with_arg(replaced[i][0], replaced[i][1]);
		if (same_key(&u))
			fail_msg("%s for %s is the same key", replaced[i][1], replaced[i][0]);
	}
	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		u = with_more(more[i][0], more[i][1]);
		if (same_key(&u))
			fail_msg("%s %s is the same key", more[i][0], more[i][1]);
	}
}

static void
test_what_else_changes_it(void **state)
{
	struct unit u = plain;

	(void)state;
	u.namespace = "ci";
	assert_false(same_key(&u));
	u = plain;
	u.cwd = "/v";
	assert_false(same_key(&u));
	u = plain;
	u.toolchain = "two";
	assert_false(same_key(&u));
	u = plain;
	u.dep = "another";
	assert_false(same_key(&u));
	u = plain;
	u.env[1] = "RUSTC_BOOTSTRAP=0";
	assert_false(same_key(&u));
	u = plain;
	u.env[1] = NULL;
	assert_false(same_key(&u));
	u = plain;
	u.env[2] = "RUSTC_FORCE_RUSTC_VERSION=1";
	assert_false(same_key(&u));
	u = with_arg("opt-level=3", NULL);
	assert_false(same_key(&u));
}

static void
test_what_does_not(void **state)
{
	struct unit u = with_arg("/t/deps", "/elsewhere/deps");

	(void)state;
	assert_true(same_key(&u));
	u = with_arg("dependency=/t/deps", "dependency=/elsewhere");
	assert_true(same_key(&u));
	u = with_more("--diagnostic-width", "80");
	assert_true(same_key(&u));
	u = with_more("-C", "incremental=/t/incremental");
	assert_true(same_key(&u));
	/* the same in another order */
	u = with_arg("feature=\"x\"", "feature=\"y\"");
	u.args[15] = "feature=\"x\"";
	assert_true(same_key(&u));
	u = with_arg("b=/t/deps/libb.rmeta", "c=/t/deps/libc.rmeta");
	u.args[29] = "b=/t/deps/libb.rmeta";
	assert_true(same_key(&u));
	u = with_arg("b=/t/deps/libb.rmeta", "b=/elsewhere/libb.rmeta");
	assert_true(same_key(&u));
	/* how a diagnostic is put */
	u = with_arg("--json=artifacts", "--json=diagnostic-rendered-ansi,artifacts");
	assert_true(same_key(&u));
	u = with_arg("--json=artifacts", "--json=artifacts,diagnostic-short");
	assert_true(same_key(&u));
	u = with_arg("--json=artifacts", "--json=artifacts,future-incompat");
	assert_false(same_key(&u));
	/* variables that are inputs of those that ask for them */
	u = plain;
	u.env[0] = "CARGO_PKG_NAME=b";
	u.env[2] = "OUT_DIR=/t/build/a/out";
	u.env[3] = "CARGO_PRIMARY_PACKAGE=1";
	u.env[4] = "LD_LIBRARY_PATH=/t/debug/deps";
	u.env[5] = "SSL_CERT_DIR=/etc/ssl";
	u.env[6] = "CLIPPY_ARGS=-W";
	assert_true(same_key(&u));
}

static void
test_clippy_asks(void **state)
{
	struct unit u = with_arg("/s/bin/rustc", "/s/bin/clippy-driver"), v = u;

	(void)state;
	v.env[2] = "CARGO_PRIMARY_PACKAGE=1";
	assert_true(equal(&u, &v));
	v.env[2] = "CLIPPY_ARGS=-W";
	assert_false(equal(&u, &v));
}

/* In a target directory, with one of its directories in -L. */
static struct unit
in_target(const char *dir, const char *search)
{
	struct unit u = with_arg("native=/n", search);

	u.target_dir = dir;
	return u;
}

static void
test_target_dir(void **state)
{
	struct unit u = in_target("/a/t", "native=/a/t/debug/build/z/out"), v;

	(void)state;
	v = in_target("/b", "native=/b/debug/build/z/out");
	assert_true(equal(&u, &v));
	v = in_target("/b", "native=/b/debug/build/y/out");
	assert_false(equal(&u, &v));
	/* one that only begins like it, and no place at all */
	v = in_target("/b", "native=/b2/debug/build/z/out");
	assert_false(equal(&u, &v));
	v = in_target(NULL, "native=/a/t/debug/build/z/out");
	assert_false(equal(&u, &v));
	/* of any kind, and of none */
	u = in_target("/a/t", "/a/t/x");
	v = in_target("/b", "/b/x");
	assert_true(equal(&u, &v));
	v = in_target("/b", "all=/b/x");
	assert_false(equal(&u, &v));
}

/* -Ztrim-paths says where the target directory is, so that it is in no output. */
static void
test_remapped_target_dir(void **state)
{
	struct unit u = with_more("--remap-path-prefix", "/a/t=/cargo/build-dir"), v;

	(void)state;
	u.target_dir = "/a/t";
	v = with_more("--remap-path-prefix", "/b=/cargo/build-dir");
	v.target_dir = "/b";
	assert_true(equal(&u, &v));
	v = with_more("--remap-path-prefix", "/b=/cargo/other");
	v.target_dir = "/b";
	assert_false(equal(&u, &v));
	v = with_more("--remap-path-prefix", "/c=/cargo/build-dir");
	v.target_dir = "/b";
	assert_false(equal(&u, &v));
}

/* Whichever toolchain's directory the library's sources lie in, they have the compiler's name. */
static void
test_remapped_sources(void **state)
{
	struct unit u = with_more("--remap-path-prefix",
			    "/a/lib/rustlib/src/rust/library=/rustc/59807616/library"),
		    v;

	(void)state;
	v = with_more(
		"--remap-path-prefix", "/b/c/lib/rustlib/src/rust/library=/rustc/59807616/library");
	assert_true(equal(&u, &v));
	v = with_more(
		"--remap-path-prefix", "/a/lib/rustlib/src/rust/library=/rustc/59807617/library");
	assert_false(equal(&u, &v));
	v = with_more("--remap-path-prefix", "/b/rust/library=/rustc/59807616/library");
	assert_false(equal(&u, &v));
	u = with_more("--remap-path-prefix", "/a/lib/rustlib/src/rust/library=/x");
	v = with_more("--remap-path-prefix", "/b/lib/rustlib/src/rust/library=/x");
	assert_false(equal(&u, &v));
}

/* Before a link: what its linker's arguments name is in it. */
static void
test_a_bundle(void **state)
{
	struct unit u = plain, v;

	(void)state;
	u.bundle = "/t/deps";
	assert_false(same_key(&u));
	v = u;
	v.sysroot = "/s";
	assert_false(equal(&u, &v));
	/* artifacts that are elsewhere, or in another order */
	v = with_arg("b=/t/deps/libb.rmeta", "b=/elsewhere/libb.rmeta");
	v.bundle = u.bundle;
	assert_false(equal(&u, &v));
	v = with_arg("dependency=/t/deps", "dependency=/elsewhere");
	v.bundle = u.bundle;
	assert_false(equal(&u, &v));
	/* the out-dir, and all that is in it */
	v = with_arg("b=/t/deps/libb.rmeta", "b=/u/deps/libb.rmeta");
	for (size_t i = 0; v.args[i]; i++) {
		if (streq(v.args[i], "/t/deps"))
			v.args[i] = "/u/deps";
		else if (streq(v.args[i], "dependency=/t/deps"))
			v.args[i] = "dependency=/u/deps";
		else if (streq(v.args[i], "c=/t/deps/libc.rmeta"))
			v.args[i] = "c=/u/deps/libc.rmeta";
	}
	v.bundle = "/u/deps";
	assert_true(equal(&u, &v));
	/* it is no result's key by any choice of a linker */
	v = plain;
	v.linker = "auto";
	assert_false(equal(&u, &v));
	u = v;
	u.linker = "mold";
	assert_false(equal(&u, &v));
}

/* Parts cannot run into each other. */
static void
test_borders(void **state)
{
	struct unit u = plain, v = plain;
	struct unit_key a, b;

	(void)state;
	u.namespace = "x";
	u.cwd = "/y";
	v.namespace = "x\ncwd=/y";
	v.cwd = "";
	make_key(&u, &a);
	make_key(&v, &b);
	assert_false(digest_eq(&a.id, &b.id));
	unit_key_done(&a);
	unit_key_done(&b);
}

static void
test_an_extern_that_is_gone(void **state)
{
	struct unit u = plain;
	struct unit_key k;

	(void)state;
	u.dep = NULL;
	assert_int_equal(try_key(&u, &k), -ENOENT);
}

static void
differs(const struct unit *u, const char *expected)
{
	struct unit_key a, b;
	char *text;

	make_key(&plain, &a);
	make_key(u, &b);
	text = unit_key_difference(a.recipe.v, a.recipe.n, &b.recipe);
	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
	unit_key_done(&a);
	unit_key_done(&b);
}

static void
test_in_words(void **state)
{
	struct unit u = with_arg("feature=\"x\"", "feature=\"z\"");

	(void)state;
	differs(&u, "--cfg feature=\"z\" is new");
	u = plain;
	u.dep = "another";
	differs(&u, "--extern b changed");
	u = plain;
	u.env[1] = "RUSTC_BOOTSTRAP=secret";
	differs(&u, "env RUSTC_BOOTSTRAP changed");
	u = plain;
	u.env[1] = NULL;
	differs(&u, "env RUSTC_BOOTSTRAP is gone");
	u = with_arg("--edition=2021", "--edition=2018");
	differs(&u, "--edition 2018 changed");
	u = with_arg("metadata=12", "metadata=13");
	differs(&u, "-C metadata=13 is new");
	u.args[17] = "cfg(fast)";
	differs(&u, "--check-cfg cfg(fast) changed");
	u = with_arg("feature=\"x\"", NULL);
	for (size_t i = 0; u.args[i]; i++)
		if (streq(u.args[i], "metadata=12"))
			u.args[i] = "metadata=13";
	differs(&u, "--cfg feature=\"x\" is gone");
	u = plain;
	u.sysroot = "/elsewhere";
	differs(&u, "sysroot /elsewhere is new");
}

/* A recipe is kept on disk: values of variables are not in it. */
static void
test_no_secret_in_a_recipe(void **state)
{
	struct unit u = plain;
	struct unit_key k;

	(void)state;
	u.env[0] = "TOKEN=hush-hush";
	make_key(&u, &k);
	for (size_t i = 0; i < k.recipe.n; i++)
		assert_null(strstr(k.recipe.v[i], "hush"));
	unit_key_done(&k);
}

/* ---- of a build script's run */

static void
run_key(const char *namespace, const char *program, char *const *args, const char *cwd,
	char *const *env, struct unit_key *ret)
{
	struct run_key_in in = { .namespace = namespace, .args = args, .cwd = cwd, .env = env };

	assert_int_equal(digest_bytes(program, strlen(program), &in.program), 0);
	assert_int_equal(run_key_make(&in, ret), 0);
}

/* Whether a run with this environment has the key of a plain one; how they differ otherwise. */
static bool
same_run(char *const *env, const char *difference)
{
	static char name[] = "CARGO_PKG_NAME=z-sys", target[] = "TARGET=x86_64",
		    feature[] = "CARGO_FEATURE_STATIC=1", dep[] = "DEP_Q_ROOT=\x02/debug/q";
	static char *const plain_env[] = { name, target, feature, dep, NULL };
	char *none[] = { NULL };
	_cleanup_(unit_key_done) struct unit_key a = { .recipe = STRV_INIT };
	_cleanup_(unit_key_done) struct unit_key b = { .recipe = STRV_INIT };
	_cleanup_(freep) char *text = NULL;

	run_key("", "program", none, "/w", plain_env, &a);
	run_key("", "program", none, "/w", env, &b);
	text = unit_key_difference(a.recipe.v, a.recipe.n, &b.recipe);
	if (difference) {
		assert_non_null(text);
		assert_string_equal(text, difference);
	} else {
		assert_null(text);
	}
	return digest_eq(&a.id, &b.id);
}

#define ENV(...) ((char *[]){ __VA_ARGS__, NULL })

static void
test_a_run_s_environment(void **state)
{
	char name[] = "CARGO_PKG_NAME=z-sys", target[] = "TARGET=x86_64",
	     feature[] = "CARGO_FEATURE_STATIC=1", dep[] = "DEP_Q_ROOT=\x02/debug/q";
	char other_target[] = "TARGET=arm", opt[] = "OPT_LEVEL=3", more[] = "CARGO_FEATURE_A=1";
	char other_dep[] = "DEP_Q_ROOT=/usr", marked_dep[] = "DEP_Q_ROOT=\x02/release/q",
	     version[] = "CARGO_PKG_VERSION=2";
	char path[] = "PATH=/bin", cc[] = "CC=gcc", jobs[] = "NUM_JOBS=3", t[] = "TARGETS=arm";

	(void)state;
	assert_true(same_run(ENV(name, target, feature, dep), NULL));
	/* in any order; what it only may ask for is an input, if it does */
	assert_true(same_run(ENV(path, dep, cc, feature, jobs, target, t, name), NULL));
	assert_false(same_run(ENV(name, other_target, feature, dep), "env TARGET arm changed"));
	assert_false(same_run(ENV(name, target, dep), "env CARGO_FEATURE_STATIC 1 is gone"));
	assert_false(
		same_run(ENV(name, target, feature, dep, more), "env CARGO_FEATURE_A 1 is new"));
	assert_false(same_run(ENV(name, target, feature, dep, opt), "env OPT_LEVEL 3 is new"));
	assert_false(same_run(
		ENV(name, target, feature, dep, version), "env CARGO_PKG_VERSION 2 is new"));
	assert_false(
		same_run(ENV(name, target, feature, other_dep), "env DEP_Q_ROOT /usr changed"));
	assert_false(same_run(
		ENV(name, target, feature, marked_dep), "env DEP_Q_ROOT /release/q changed"));
}

static void
test_what_else_changes_a_run_s_key(void **state)
{
	static char one[] = "one", two[] = "two";
	static char *const none[] = { NULL }, *const args[] = { one, two, NULL };
	static char *const turned[] = { two, one, NULL };
	const struct {
		const char *namespace, *program;
		char *const *args;
		const char *cwd;
	} v[] = {
		{ "", "p", none, "/w" },
		{ "n", "p", none, "/w" },
		{ "", "q", none, "/w" },
		{ "", "p", args, "/w" },
		{ "", "p", turned, "/w" },
		{ "", "p", none, "/v" },
	};
	struct unit_key k[ARRAY_LEN(v)], again;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		run_key(v[i].namespace, v[i].program, v[i].args, v[i].cwd, none, &k[i]);
		for (size_t j = 0; j < i; j++)
			assert_false(digest_eq(&k[i].id, &k[j].id));
	}
	run_key(NULL, "p", none, "/w", none, &again);
	assert_true(digest_eq(&k[0].id, &again.id));
	unit_key_done(&again);
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		unit_key_done(&k[i]);
}

/* A long value is named by its digest, and a short one of that name is another one. */
static void
test_long_value(void **state)
{
	char value[200], forged[16 + DIGEST_HEX_SIZE], hex[DIGEST_HEX_SIZE + 1];
	struct unit u, v;
	struct digest d;

	(void)state;
	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	assert_int_equal(digest_bytes(value, strlen(value), &d), 0);
	digest_hex(&d, hex);
	snprintf(forged, sizeof(forged), "sha256:%s", hex);
	u = with_more("--cfg", value);
	v = with_more("--cfg", forged);
	assert_false(equal(&u, &v));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_changes_it),
		cmocka_unit_test(test_what_else_changes_it),
		cmocka_unit_test(test_what_does_not),
		cmocka_unit_test(test_a_bundle),
		cmocka_unit_test(test_target_dir),
		cmocka_unit_test(test_remapped_target_dir),
		cmocka_unit_test(test_remapped_sources),
		cmocka_unit_test(test_clippy_asks),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_an_extern_that_is_gone),
		cmocka_unit_test(test_in_words),
		cmocka_unit_test(test_no_secret_in_a_recipe),
		cmocka_unit_test(test_a_run_s_environment),
		cmocka_unit_test(test_what_else_changes_a_run_s_key),
		cmocka_unit_test(test_long_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
