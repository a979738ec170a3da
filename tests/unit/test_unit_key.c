/* What a worker calls a unit: each part of what a client sent changes it, is an input, or is
 * refused. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/job_key.h"
#include "common/fs.h"
#include "worker/job/unit_key.h"

#define ARGS_MAX 24

/* A unit as dray-dispatch makes it of cargo's call: a member of /ws with one dependency. */
struct sent {
	Dray__Unit unit;
	Dray__Blob blob[3], *blobs[3];
	Dray__UnitFile file[3], *files[3];
	Dray__EnvVar var[3], *env[3];
	uint8_t digest[3][DIGEST_SIZE], toolchain[DIGEST_SIZE];
	char *argv[ARGS_MAX];
};

static char none[] = "/nonexistent", linker[] = "cc";

static void
add(struct sent *s, const char *arg)
{
	assert_true(s->unit.n_argv < ARGS_MAX);
	s->argv[s->unit.n_argv++] = (char *)arg;
}

static void
add_file(struct sent *s, const char *path, uint8_t of)
{
	size_t i = s->unit.n_files++;

	s->unit.n_blobs++;
	dray__blob__init(&s->blob[i]);
	dray__unit_file__init(&s->file[i]);
	memset(s->digest[i], of, DIGEST_SIZE);
	s->blob[i].digest.data = s->digest[i];
	s->blob[i].digest.len = DIGEST_SIZE;
	s->blobs[i] = &s->blob[i];
	s->file[i].path = (char *)path;
	s->file[i].blob = (uint32_t)i;
	s->files[i] = &s->file[i];
}

static void
add_var(struct sent *s, const char *name, const char *value)
{
	size_t i = s->unit.n_env++;

	dray__env_var__init(&s->var[i]);
	s->var[i].name = (char *)name;
	s->var[i].value.data = (uint8_t *)value;
	s->var[i].value.len = strlen(value);
	s->env[i] = &s->var[i];
}

static void
begin(struct sent *s)
{
	static const char *const args[] = { "--crate-name", "a", "--edition=2021", "a/src/lib.rs",
		"--error-format=json", "--json=artifacts", "--crate-type", "lib",
		"--emit=dep-info,metadata,link", "-C", "opt-level=3", "--cfg", "feature=\"x\"",
		"--out-dir", "/ws/target/debug/deps", "-L", "dependency=/.dray-in", "--extern",
		"b=/.dray-in/libb-1.rmeta" };

	memset(s, 0, sizeof(*s));
	dray__unit__init(&s->unit);
	memset(s->toolchain, 1, DIGEST_SIZE);
	s->unit.toolchain.data = s->toolchain;
	s->unit.toolchain.len = DIGEST_SIZE;
	s->unit.sysroot = (char *)"/opt/rust";
	s->unit.driver = (char *)"rustc";
	s->unit.cwd = (char *)"/ws";
	s->unit.out_dir = (char *)"/ws/target/debug/deps";
	s->unit.linker = (char *)"";
	s->unit.crate = (char *)"a";
	s->unit.argv = s->argv;
	s->unit.files = s->files;
	s->unit.blobs = s->blobs;
	s->unit.env = s->env;
	for (size_t i = 0; i < ARRAY_LEN(args); i++)
		add(s, args[i]);
	add_file(s, "/ws/a/src/lib.rs", 2);
	add_file(s, "/.dray-in/libb-1.rmeta", 3);
	add_var(s, "CARGO_PKG_NAME", "a");
}

static int
try_key(const struct sent *s, const char *toolchain_dir, struct digest *ret, char **ret_why)
{
	struct unit_index x;
	int r = unit_index_make(&s->unit, &x);

	assert_int_equal(r, 0);
	r = unit_key_of(&x, toolchain_dir, ret, ret_why);
	unit_index_done(&x);
	return r;
}

static struct digest
key_of(const struct sent *s)
{
	_cleanup_(freep) char *why = NULL;
	struct digest d;

	assert_int_equal(try_key(s, none, &d, &why), 0);
	assert_null(why);
	return d;
}

static bool
has_plain_key(const struct sent *s)
{
	struct sent plain;
	struct digest a, b = key_of(s);

	begin(&plain);
	a = key_of(&plain);
	return digest_eq(&a, &b);
}

/* Whether it is refused, with these words among the reason's. */
static bool
is_refused(const struct sent *s, const char *words)
{
	_cleanup_(freep) char *why = NULL;
	struct digest d;
	int r = try_key(s, none, &d, &why);

	return r == -EINVAL && why && strstr(why, words);
}

static void
replace(struct sent *s, const char *from, const char *to)
{
	for (size_t i = 0; i < s->unit.n_argv; i++) {
		if (streq(s->argv[i], from)) {
			s->argv[i] = (char *)to;
			return;
		}
	}
	fail_msg("no argument %s", from);
}

static void
test_changes(void **state)
{
	static const char *const args[][2] = { { "a", "c" }, { "--edition=2021", "--edition=2018" },
		{ "a/src/lib.rs", "a/src/main.rs" }, { "lib", "rlib" },
		{ "--emit=dep-info,metadata,link", "--emit=dep-info,metadata" },
		{ "opt-level=3", "opt-level=2" }, { "feature=\"x\"", "feature=\"y\"" } };
	struct sent s;

	(void)state;
	begin(&s);
	assert_true(has_plain_key(&s));
	for (size_t i = 0; i < ARRAY_LEN(args); i++) {
		begin(&s);
		replace(&s, args[i][0], args[i][1]);
		if (i == 0)
			s.unit.crate = (char *)args[i][1];
		assert_false(has_plain_key(&s));
	}
	begin(&s);
	s.toolchain[0]++;
	assert_false(has_plain_key(&s));
	begin(&s);
	s.digest[1][0]++;
	assert_false(has_plain_key(&s));
	begin(&s);
	s.unit.cwd = (char *)"/ws2";
	assert_false(has_plain_key(&s));
	begin(&s);
	add_var(&s, "RUSTC_BOOTSTRAP", "1");
	assert_false(has_plain_key(&s));
	begin(&s);
	add(&s, "--cap-lints");
	add(&s, "allow");
	assert_false(has_plain_key(&s));
	/* a source is an input, and other variables are */
	begin(&s);
	s.digest[0][0]++;
	s.var[0].value.data = (uint8_t *)"b";
	assert_true(has_plain_key(&s));
}

static void
test_driver(void **state)
{
	struct sent s;

	(void)state;
	begin(&s);
	s.unit.driver = (char *)"clippy-driver";
	memmove(s.argv + 1, s.argv, s.unit.n_argv++ * sizeof(*s.argv));
	s.argv[0] = (char *)"/opt/rust/bin/rustc";
	assert_false(has_plain_key(&s));
}

static void
test_refused(void **state)
{
	static const char *const args[][3] = { { "--edition=2021", "-vV", "no unit" },
		{ "--edition=2021", "--print=cfg", "no unit" }, { "a/src/lib.rs", "-", "no unit" },
		{ "a/src/lib.rs", "/proc/self/fd/3", "kernel" },
		{ "a/src/lib.rs", "../proc/1/root/x.rs", "kernel" },
		{ "b=/.dray-in/libb-1.rmeta", "b=/dev/fd/0", "kernel" },
		{ "dependency=/.dray-in", "native=/sys/x", "kernel" },
		{ "--edition=2021", "@args", "file" },
		{ "opt-level=3", "incremental=/x", "incremental" },
		{ "/ws/target/debug/deps", "/ws/target/debug", "output directory" },
		{ "b=/.dray-in/libb-1.rmeta", "b=/.dray-in/libb-2.rmeta", "not sent" },
		{ "--emit=dep-info,metadata,link", "--emit=metadata=/x", "home" },
		{ "--edition=2021", "--sysroot=/x", "home" },
		/* the alias stands for artifacts of the out-dir, and for all of them */
		{ "feature=\"x\"", "feature=\"/.dray-in/x\"", "no artifact" },
		{ "opt-level=3", "metadata=/.dray-in", "no artifact" },
		{ "a/src/lib.rs", "/.dray-in/lib.rs", "no artifact" },
		{ "b=/.dray-in/libb-1.rmeta", "b=/x/.dray-in/libb-1.rmeta", "no artifact" },
		{ "b=/.dray-in/libb-1.rmeta", "b=/ws/target/debug/deps/libb-1.rmeta", "is not" },
		{ "dependency=/.dray-in", "dependency=target/debug/deps", "is not" },
		{ "b=/.dray-in/libb-1.rmeta", "b=/.dray-in/../a/libb-1.rmeta", "no artifact" },
		{ "b=/.dray-in/libb-1.rmeta", "b=/.dray-in/./libb-1.rmeta", "is not" },
		/* of a place in the key */
		{ "dependency=/.dray-in", "\2/lib", "control" },
		{ "--edition=2021", "--remap-path-prefix=\3=.", "control" } };
	struct sent s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(args); i++) {
		begin(&s);
		replace(&s, args[i][0], args[i][1]);
		assert_true(is_refused(&s, args[i][2]));
	}
	begin(&s);
	s.unit.linker = linker;
	assert_true(is_refused(&s, "linker"));
	begin(&s);
	replace(&s, "lib", "bin");
	s.unit.linker = linker;
	assert_false(has_plain_key(&s));
	s.unit.linker = (char *)"/ws/a/secret";
	assert_true(is_refused(&s, "the linker /ws/a/secret"));
	begin(&s);
	s.unit.crate = (char *)"b";
	assert_true(is_refused(&s, "the crate b"));
}

/* A file of arguments would be one of the worker's, and the reason would tell of it. */
static void
test_argument_files(void **state)
{
	char path[] = "/tmp/dray-test-XXXXXX";
	_cleanup_(closep) int fd = mkstemp(path);
	_cleanup_(freep) char *arg = NULL, *why = NULL;
	struct digest d;
	struct sent s;

	(void)state;
	assert_int_equal(fs_write_all(fd, "secret.rs\n", 10), 0);
	assert_true(asprintf(&arg, "@%s", path) > 0);
	begin(&s);
	add(&s, arg);
	assert_int_equal(try_key(&s, none, &d, &why), -EINVAL);
	assert_non_null(strstr(why, "arguments in a file"));
	assert_null(strstr(why, "secret"));
	assert_int_equal(unlink(path), 0);
}

/* ---- each field */

static void
change_toolchain(struct sent *s)
{
	s->toolchain[0]++;
}

static void
change_sysroot(struct sent *s)
{
	s->unit.sysroot = (char *)"/opt/rust2";
}

static void
change_driver(struct sent *s)
{
	s->unit.driver = (char *)"clippy-driver";
}

static void
change_argv(struct sent *s)
{
	add(s, "--cap-lints=allow");
}

static void
change_cwd(struct sent *s)
{
	s->unit.cwd = (char *)"/ws2";
}

static void
change_out_dir(struct sent *s)
{
	s->unit.out_dir = (char *)"/ws/target/release/deps";
}

static void
change_env(struct sent *s)
{
	add_var(s, "RUSTC_BOOTSTRAP", "a");
}

static void
change_blobs(struct sent *s)
{
	s->digest[1][0]++;
}

static void
change_files(struct sent *s)
{
	s->file[1].path = (char *)"/.dray-in/libc-1.rmeta";
}

static void
change_linker(struct sent *s)
{
	s->unit.linker = linker;
}

static void
change_crate(struct sent *s)
{
	s->unit.crate = (char *)"b";
}

static char *changed_names[] = { none };

static void
change_dirs(struct sent *s)
{
	s->unit.dirs = changed_names;
	s->unit.n_dirs = 1;
}

static void
change_walked(struct sent *s)
{
	s->unit.walked = changed_names;
	s->unit.n_walked = 1;
}

static void
change_withheld(struct sent *s)
{
	s->unit.withheld = changed_names;
	s->unit.n_withheld = 1;
}

static void
change_withheld_env(struct sent *s)
{
	s->unit.withheld_env = changed_names;
	s->unit.n_withheld_env = 1;
}

static void
change_links(struct sent *s)
{
	s->unit.links = changed_names;
	s->unit.n_links = 1;
}

static void
change_umask(struct sent *s)
{
	s->unit.umask = 0100;
}

static void
change_push(struct sent *s)
{
	static Dray__PushedToolchain pushed;

	dray__pushed_toolchain__init(&pushed);
	s->unit.push = &pushed;
}

/* A new field has no row, and fails here until somebody has thought of it. */
static void
test_fields(void **state)
{
	enum effect {
		KEY,	 /* it is another unit's key */
		REFUSED, /* it must agree with the arguments, or with what was sent */
		SEEN	 /* the trace has what the job saw of it */
	};
	static const struct {
		const char *name;
		void (*change)(struct sent *s);
		enum effect effect;
	} fields[] = { { "toolchain", change_toolchain, KEY },
		{ "sysroot", change_sysroot, SEEN }, /* KEY with sources: test_sources */
		{ "driver", change_driver, KEY }, { "argv", change_argv, KEY },
		{ "cwd", change_cwd, KEY }, { "out_dir", change_out_dir, REFUSED },
		{ "env", change_env, KEY }, { "blobs", change_blobs, KEY },
		{ "files", change_files, REFUSED }, { "dirs", change_dirs, SEEN },
		{ "linker", change_linker, REFUSED }, { "crate", change_crate, REFUSED },
		{ "walked", change_walked, SEEN }, { "withheld", change_withheld, SEEN },
		{ "withheld_env", change_withheld_env, SEEN }, { "links", change_links, SEEN },
		{ "umask", change_umask, SEEN }, { "push", change_push, REFUSED } };
	const ProtobufCMessageDescriptor *d = &dray__unit__descriptor;
	struct sent s;

	(void)state;
	assert_int_equal(d->n_fields, ARRAY_LEN(fields));
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		assert_string_equal(d->fields[i].name, fields[i].name);
		begin(&s);
		fields[i].change(&s);
		if (fields[i].effect == REFUSED)
			assert_true(is_refused(&s, ""));
		else
			assert_int_equal(has_plain_key(&s), fields[i].effect == SEEN);
	}
}

/* ---- places that the call tells */

static void
expect_keys(const char *const a[2], const char *const b[2], bool equal)
{
	struct digest one, other;
	struct sent s;

	begin(&s);
	for (int i = 0; i < 2; i++)
		add(&s, a[i]);
	one = key_of(&s);
	begin(&s);
	for (int i = 0; i < 2; i++)
		add(&s, b[i]);
	other = key_of(&s);
	assert_int_equal(digest_eq(&one, &other), equal);
}

static void
test_mappings(void **state)
{
	static const char *const words[][2] = { /* what is mapped with its name is in no output */
		{ "--remap-path-prefix=/h/registry/src=/cargo/registry/src", "-Copt-level=1" },
		{ "--remap-path-prefix=/g/registry/src=/cargo/registry/src", "-Copt-level=1" },
		/* this maps nothing */
		{ "-L", "--remap-path-prefix=/ws/registry/src=/cargo/registry/src" },
		{ "-L", "--remap-path-prefix=/vs/registry/src=/cargo/registry/src" },
		/* sources of others, by the library's name */
		{ "--remap-path-prefix=/ws/lib/rustlib/src/rust/library=/rustc/1/library", "-g" },
		{ "--remap-path-prefix=/vs/lib/rustlib/src/rust/library=/rustc/1/library", "-g" },
		/* a mapping that leaves debuginfo alone */
		{ "--remap-path-prefix=/h/registry/src=/cargo/registry/src",
			"--remap-path-scope=macro" },
		{ "--remap-path-prefix=/g/registry/src=/cargo/registry/src",
			"--remap-path-scope=macro" }
	};
	static const char mapped[] = "--remap-path-prefix=/x=.";
	struct digest a, b;
	struct sent s;

	(void)state;
	expect_keys(words[0], words[1], true);
	expect_keys(words[2], words[3], false);
	expect_keys(words[4], words[5], false);
	expect_keys(words[6], words[7], false);
	/* a target directory that a mapped unit does not map */
	begin(&s);
	add(&s, mapped);
	s.unit.cwd = (char *)"/ws/target";
	replace(&s, "a/src/lib.rs", "/ws/a/src/lib.rs");
	a = key_of(&s);
	begin(&s);
	add(&s, mapped);
	s.unit.cwd = (char *)"/vs/target";
	s.unit.out_dir = (char *)"/vs/target/debug/deps";
	replace(&s, "/ws/target/debug/deps", "/vs/target/debug/deps");
	replace(&s, "a/src/lib.rs", "/ws/a/src/lib.rs");
	b = key_of(&s);
	assert_false(digest_eq(&a, &b));
}

/* Where the library's sources are, their place is in outputs. */
static void
test_sources(void **state)
{
	char dir[] = "/tmp/dray-test-XXXXXX", path[PATH_MAX];
	_cleanup_(freep) char *why = NULL;
	struct digest a, b, c;
	struct sent s;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/lib/rustlib/src/rust/library/std/src/lib.rs", dir);
	assert_int_equal(fs_mkdir_p(path, 0755), 0);
	begin(&s);
	a = key_of(&s);
	assert_int_equal(try_key(&s, dir, &b, &why), 0);
	assert_false(digest_eq(&a, &b));
	s.unit.sysroot = (char *)"/other/rust";
	assert_int_equal(try_key(&s, dir, &c, &why), 0);
	assert_false(digest_eq(&c, &b));
	c = key_of(&s);
	assert_true(digest_eq(&a, &c));
	assert_int_equal(fs_rm_rf(dir), 0);
}

/* The client makes the same of its own call. */
static int
digest_here(void *arg, const char *path, struct digest *ret)
{
	(void)arg;
	assert_string_equal(path, "/ws/target/debug/deps/libb-1.rmeta");
	memset(ret->b, 3, DIGEST_SIZE);
	return 0;
}

static void
test_client(void **state)
{
	char *argv[ARGS_MAX + 2] = { (char *)"/opt/rust/bin/rustc" };
	struct strv env = STRV_INIT;
	struct rustc_call call;
	struct unit_key key;
	struct digest toolchain, sent;
	struct job_key_in in = { .toolchain = &toolchain,
		.sysroot = "/opt/rust",
		.toolchain_dir = none,
		.call = &call,
		.cwd = "/ws",
		.env = &env,
		.digest = digest_here };
	struct sent s;

	(void)state;
	begin(&s);
	memset(toolchain.b, 1, DIGEST_SIZE);
	memcpy(argv + 1, s.argv, s.unit.n_argv * sizeof(*argv));
	argv[s.unit.n_argv - 2] = (char *)"dependency=/ws/target/debug/deps";
	argv[s.unit.n_argv] = (char *)"b=/ws/target/debug/deps/libb-1.rmeta";
	assert_string_equal(argv[s.unit.n_argv - 1], "--extern");
	assert_int_equal(call_parse(argv, &call), 0);
	assert_int_equal(job_key_make(&in, &key), 0);
	sent = key_of(&s);
	assert_true(digest_eq(&key.id, &sent));
	unit_key_done(&key);
	call_done(&call);
}

static void
expect_target(const char *out_dir, const char *triple, const char *expected)
{
	_cleanup_(freep) char *dir = job_key_target_dir(out_dir, triple);

	if (expected)
		assert_string_equal(dir, expected);
	else
		assert_null(dir);
}

static void
test_target_dir(void **state)
{
	static const char triple[] = "aarch64-unknown-linux-gnu";

	(void)state;
	expect_target("/w/target/debug/deps", NULL, "/w/target");
	expect_target("/w/target/release/examples", NULL, "/w/target");
	expect_target("/w/target/debug/build/libz-sys-0a1b", NULL, "/w/target");
	expect_target("/w/target/debug/build/libz-sys/0a1b/out", NULL, "/w/target");
	expect_target("/w/target/debug/build/build/0a1b/out", NULL, "/w/target");
	expect_target("/w/t/aarch64-unknown-linux-gnu/debug/deps", triple, "/w/t");
	expect_target("/w/t/mine/debug/deps", "/x/mine.json", "/w/t");
	/* what runs here is compiled beside it */
	expect_target("/w/t/debug/deps", triple, "/w/t");
	expect_target("/w/t/aarch64-unknown-linux-gnu/debug/deps", NULL,
		"/w/t/aarch64-unknown-linux-gnu");
	expect_target("/w/target/debug", NULL, NULL);
	expect_target("/w/target/debug/build", NULL, NULL);
	expect_target("/w/target/debug/build/a/b/c", NULL, NULL);
	expect_target("/debug/deps", NULL, NULL);
	expect_target("/deps", NULL, NULL);
	expect_target("deps", NULL, NULL);
	expect_target("/", NULL, NULL);
	expect_target("", NULL, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_changes),
		cmocka_unit_test(test_driver), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_argument_files), cmocka_unit_test(test_fields),
		cmocka_unit_test(test_mappings), cmocka_unit_test(test_sources),
		cmocka_unit_test(test_client), cmocka_unit_test(test_target_dir) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
