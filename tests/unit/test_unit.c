/* unit: a call becomes a description that a worker can lay out: arguments in the job's terms, files
 * by digest, each once. relay and bundle: a worker's words are passed on in the right order, and
 * not believed. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "client/dispatch/bundle.h"
#include "client/dispatch/relay.h"
#include "client/dispatch/unit.h"
#include "common/fs.h"

static char *dir;
static char *sysroot_rustc;
static struct memo *memo;
static struct conf *conf;

static char **
mut(const char **v)
{
	union {
		const char **c;
		char **m;
	} u = { .c = v };

	return u.m;
}

static char *
at(const char *name)
{
	char *p = path_join(dir, name);

	assert_non_null(p);
	return p;
}

static void
put(const char *name, const char *text)
{
	_cleanup_(freep) char *p = at(name);

	assert_int_equal(fs_mkdir_parent(p, 0700), 0);
	assert_int_equal(fs_write_atomic(p, text, strlen(text), 0755), 0);
}

/* A toolchain as toolchain_identify takes it: this program stands in for rustc. */
static void
put_toolchain(void)
{
	_cleanup_(buf_done) struct buf self = BUF_INIT;

	put("rust/lib/rustlib/x86_64-unknown-linux-gnu/lib/libcore-1.rlib", "core");
	put("rust/lib/rustlib/x86_64-unknown-linux-gnu/lib/libstd-1.rlib", "std");
	put("rust/lib/rustlib/x86_64-unknown-linux-gnu/lib/libstd-1.so", "so");
	put("rust/lib/rustlib/x86_64-unknown-linux-gnu/bin/gcc-ld/ld.lld", "lld");
	sysroot_rustc = at("rust/bin/rustc");
	assert_int_equal(fs_read_file("/proc/self/exe", 256 << 20, &self), 0);
	assert_int_equal(fs_mkdir_parent(sysroot_rustc, 0700), 0);
	assert_int_equal(fs_write_atomic(sysroot_rustc, self.p, self.n, 0755), 0);
}

static int
be_rustc(void)
{
	puts("rustc 1.95.0 (0123456 2026-01-01)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n"
	     "release: 1.95.0");
	return 0;
}

static int
set_up(void **state)
{
	char *error = NULL;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-unit-", &dir), 0);
	assert_int_equal(memo_open(dir, &memo), 0);
	assert_int_equal(conf_parse("", 0, "test", &conf, &error), 0);
	put_toolchain();
	put("w/Cargo.toml", "same");
	put("w/src/lib.rs", "fn a() {}");
	put("w/same.txt", "same");
	put("w/target/CACHEDIR.TAG", "x");
	put("w/target/debug/deps/liba-1.rmeta", "a");
	put("w/target/debug/deps/other-9.d", "x");
	return 0;
}

static int
tear_down(void **state)
{
	memo_closep(&memo);
	conf_freep(&conf);
	fs_rm_rf(dir);
	free(dir);
	free(sysroot_rustc);
	return 0;
}

struct made {
	struct mapping mapping; /* without a workspace: none */
	struct rustc_call call;
	struct unit *unit;
	char *home, *cwd, *out, *ext, *lib, *manifest, *library_path;
	int r;
};

static void
made_done(struct made *m)
{
	unit_free(m->unit);
	call_done(&m->call);
	free(m->home);
	free(m->cwd);
	free(m->out);
	free(m->ext);
	free(m->lib);
	free(m->manifest);
	free(m->library_path);
}

/* kind: --crate-type; source relative to w; more: further arguments, up to NULL */
static void
make(struct made *m, const char *kind, const char *source, const char **more)
{
	const char *argv[32] = { sysroot_rustc, "--crate-name", "x", "--crate-type", kind, source,
		"--error-format=json", "--json=artifacts", "-C", "extra-filename=-7", "--out-dir" };
	const char *envp[4] = { NULL, "SECRET=1", NULL, NULL };
	struct unit_in in = {
		.conf = conf, .memo = memo, .mapping = m->mapping.workspace ? &m->mapping : NULL
	};
	size_t n = 11;

	m->cwd = at("w");
	m->out = at("w/target/debug/deps");
	assert_true(asprintf(&m->manifest, "CARGO_MANIFEST_DIR=%s", m->cwd) > 0);
	assert_true(asprintf(&m->library_path, "LD_LIBRARY_PATH=%s", m->out) > 0);
	assert_true(asprintf(&m->ext, "a=%s/liba-1.rmeta", m->out) > 0);
	assert_true(asprintf(&m->lib, "dependency=%s", m->out) > 0);
	envp[0] = m->manifest;
	envp[2] = m->library_path;
	argv[n++] = m->out;
	argv[n++] = "--extern";
	argv[n++] = m->ext;
	argv[n++] = "-L";
	argv[n++] = m->lib;
	while (*more)
		argv[n++] = *more++;
	assert_int_equal(call_parse(mut(argv), &m->call), 0);
	assert_int_equal(m->call.kind, CALL_UNIT);
	in.call = &m->call;
	in.cwd = m->cwd;
	in.envp = mut(envp);
	m->r = unit_build(&in, &m->unit, &m->home);
	m->call.argv = NULL; /* it was this frame's */
}

static const Dray__UnitFile *
find_file(const Dray__Unit *u, const char *path)
{
	for (size_t i = 0; i < u->n_files; i++)
		if (streq(u->files[i]->path, path))
			return u->files[i];
	return NULL;
}

static bool
has_arg(const Dray__Unit *u, const char *arg)
{
	for (size_t i = 0; i < u->n_argv; i++)
		if (streq(u->argv[i], arg))
			return true;
	return false;
}

#define LIB_ARGS                                      \
	{                                             \
		"--emit=dep-info,metadata,link", NULL \
	}

static void
test_library(void **state)
{
	const char *more[] = LIB_ARGS;
	_cleanup_(made_done) struct made m = { .unit = NULL };
	_cleanup_(freep) char *toml = at("w/Cargo.toml"), *same = at("w/same.txt");
	_cleanup_(freep) char *tag = at("w/target/CACHEDIR.TAG"), *lib = at("w/src/lib.rs");
	const Dray__UnitFile *a, *b;
	const Dray__Unit *u;

	make(&m, "lib", "src/lib.rs", more);
	assert_int_equal(m.r, 0);
	u = unit_message(m.unit);
	assert_string_equal(u->driver, "rustc");
	assert_string_equal(u->crate, "x");
	assert_string_equal(u->cwd, m.cwd);
	assert_string_equal(u->out_dir, m.out);
	assert_string_equal(u->linker, "");
	assert_int_equal(u->toolchain.len, DIGEST_SIZE);
	/* arguments: only what is in the out-dir is renamed */
	assert_true(has_arg(u, "a=/.dray-in/liba-1.rmeta"));
	assert_true(has_arg(u, "dependency=/.dray-in"));
	assert_true(has_arg(u, "src/lib.rs"));
	assert_true(has_arg(u, m.out));
	/* files: the package's and the artifact; equal content is one blob */
	a = find_file(u, toml);
	b = find_file(u, same);
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(a->blob, b->blob);
	assert_non_null(find_file(u, lib));
	assert_non_null(find_file(u, "/.dray-in/liba-1.rmeta"));
	assert_null(find_file(u, tag));
	assert_int_equal(u->n_files, 4);
	assert_int_equal(u->n_blobs, 3);
	assert_string_equal(unit_blob_path(m.unit, find_file(u, lib)->blob), lib);
	assert_null(unit_blob_path(m.unit, 3));
	/* environment */
	assert_int_equal(u->n_env, 2);
	assert_string_equal(u->env[0]->name, "CARGO_MANIFEST_DIR");
	assert_string_equal(u->env[1]->name, "LD_LIBRARY_PATH");
	assert_int_equal(u->env[1]->value.len, strlen("/.dray-in"));
	assert_memory_equal(u->env[1]->value.data, "/.dray-in", strlen("/.dray-in"));
	assert_int_equal(unit_glibc(m.unit), 0);
}

static void
test_home(void **state)
{
	const char *more[] = LIB_ARGS;
	const char *alias[] = { "--emit=metadata", "--cfg", "f=\"/.dray-in\"", NULL };
	const char *link[] = { "--emit=link", "-C", "linker=tools/ld", NULL };
	_cleanup_(made_done) struct made in_out = { .unit = NULL };
	_cleanup_(made_done) struct made odd = { .unit = NULL };
	_cleanup_(made_done) struct made linker = { .unit = NULL };
	_cleanup_(made_done) struct made gone = { .unit = NULL };

	make(&in_out, "lib", "target/debug/deps/gen.rs", more);
	make(&odd, "lib", "src/lib.rs", alias);
	make(&linker, "bin", "src/lib.rs", link);
	make(&gone, "lib", "src/none.rs", more);
	assert_int_equal(in_out.r, -ENOTSUP);
	assert_string_equal(in_out.home, "the source is in the out-dir");
	assert_int_equal(odd.r, -ENOTSUP);
	assert_string_equal(odd.home, "a path like the job's own");
	assert_int_equal(linker.r, -ENOTSUP);
	assert_string_equal(linker.home, "a linker by a relative path");
	/* a source that is not there is rustc's own affair */
	assert_int_equal(gone.r, 0);
}

/* What relay and bundle work with. */
struct scene {
	struct ledger rep;
	struct tether tether;
	struct say *say;
	struct outputs *outputs;
	struct relay *relay;
	char *staging;
	int rd, saved;
	uint32_t n;
};

static void
scene_open(struct scene *s, struct made *m, const char *envvar)
{
	static const char *envp[2];
	struct outputs_in oi = { .out_dir = m->out, .call = unit_call(m->unit), .umask = 022 };
	struct relay_in ri = { .unit = m->unit, .memo = memo, .rep = &s->rep };
	int p[2];

	memset(s, 0, sizeof(*s));
	s->tether = (struct tether)TETHER_INIT;
	assert_int_equal(fs_make_temp_dir(m->out, ".dray-", &s->staging), 0);
	snprintf(s->rep.staging, sizeof(s->rep.staging), "%s", s->staging);
	assert_int_equal(tether_open(&s->tether), 0);
	assert_int_equal(say_new(&s->rep, &s->tether, &s->say), 0);
	oi.staging = s->staging;
	assert_int_equal(outputs_new(&oi, &s->outputs), 0);
	envp[0] = envvar;
	envp[1] = NULL;
	ri.envp = mut(envp);
	ri.say = s->say;
	ri.outputs = s->outputs;
	assert_int_equal(relay_new(&ri, &s->relay), 0);
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	s->saved = dup(STDERR_FILENO);
	assert_int_equal(dup2(p[1], STDERR_FILENO), STDERR_FILENO);
	close(p[1]);
	s->rd = p[0];
}

static void
scene_close(struct scene *s)
{
	dup2(s->saved, STDERR_FILENO);
	close(s->saved);
	close(s->rd);
	relay_free(s->relay);
	outputs_free(s->outputs);
	say_free(s->say);
	tether_done(&s->tether);
	free(s->staging);
}

static void
receive_bytes(
	struct scene *s, const char *name, Dray__OutputKind kind, const char *content, size_t n)
{
	Dray__OutputBegin b;
	Dray__OutputChunk c;
	struct digest d;
	char copy[200];

	snprintf(copy, sizeof(copy), "%s", name);
	assert_int_equal(digest_bytes(content, n, &d), 0);
	dray__output_begin__init(&b);
	b.output = s->n;
	b.name = copy;
	b.kind = kind;
	b.size = n;
	b.digest.data = d.b;
	b.digest.len = DIGEST_SIZE;
	assert_int_equal(outputs_begin(s->outputs, &b), 0);
	dray__output_chunk__init(&c);
	c.output = s->n++;
	c.last = true;
	assert_int_equal(outputs_chunk(s->outputs, &c, content, n), 0);
}

static void
receive(struct scene *s, const char *name, Dray__OutputKind kind, const char *content)
{
	receive_bytes(s, name, kind, content, strlen(content));
}

/* As an rlib had it before Rust 1.64. */
#define METADATA "rust\0\0\0\012meta"
#define RLIB                                                        \
	"!<arch>\nlib.rmeta/      0           0     0     644     " \
	"12        `\n" METADATA

static void
expect_said(struct scene *s, const char *want)
{
	char got[4096];
	ssize_t n = read(s->rd, got, sizeof(got) - 1);

	got[n < 0 ? 0 : n] = '\0';
	assert_string_equal(got, want);
}

static char *
line_of(const char *name, const char *emit)
{
	char *s = NULL;

	assert_true(asprintf(&s,
			    "{\"$message_type\":\"artifact\",\"artifact\":\"%s/w/target/debug/deps/"
			    "%s\",\"emit\":\"%s\"}\n",
			    dir, name, emit) > 0);
	return s;
}

static int
feed(struct scene *s, const char *text)
{
	return relay_text(s->relay, false, text, strlen(text));
}

static bool
placed(const struct made *m, const char *name)
{
	_cleanup_(freep) char *p = path_join(m->out, name);

	return fs_exists(p);
}

#define FILE_KIND DRAY__OUTPUT_KIND__OUTPUT_FILE
#define LINK_KIND DRAY__OUTPUT_KIND__OUTPUT_LINK_INPUT

static void
test_relay_order(void **state)
{
	const char *more[] = LIB_ARGS;
	_cleanup_(made_done) struct made m = { .unit = NULL };
	_cleanup_(freep) char *d = line_of("x-7.d", "dep-info"),
			      *l = line_of("libx-7.rlib", "link");
	_cleanup_(freep) char *r = line_of("libx-7.rmeta", "metadata"), *p = NULL;
	_cleanup_(strv_done) struct strv externs = STRV_INIT;
	struct scene s;

	make(&m, "lib", "src/lib.rs", more);
	scene_open(&s, &m, "A=1");
	receive(&s, "x-7.d", FILE_KIND, "o: src/lib.rs\n\nsrc/lib.rs:\n\n# env-dep:A=1\n");
	assert_false(placed(&m, "x-7.d"));
	assert_int_equal(relay_text(s.relay, false, d, 10), 0);
	expect_said(&s, ""); /* no line yet */
	assert_int_equal(feed(&s, d + 10), 0);
	assert_true(placed(&m, "x-7.d"));
	expect_said(&s, d);
	receive_bytes(&s, "libx-7.rmeta", FILE_KIND, METADATA, sizeof(METADATA) - 1);
	assert_int_equal(feed(&s, r), 0);
	assert_true(placed(&m, "libx-7.rmeta"));
	expect_said(&s, r);
	p = path_join(m.out, "libx-7.rmeta");
	assert_string_equal(s.rep.rmeta, p);
	assert_int_equal(memo_get_artifact(memo, p, &externs), 0);
	assert_int_equal(externs.n, 1);
	/* the link line waits for the rlib to be in its place */
	receive_bytes(&s, "libx-7.rlib", FILE_KIND, RLIB, sizeof(RLIB) - 1);
	assert_int_equal(feed(&s, l), 0);
	assert_int_equal(feed(&s, "{\"more\":1}\nend"), 0);
	expect_said(&s, "");
	assert_false(placed(&m, "libx-7.rlib"));
	assert_int_equal(relay_finish(s.relay, false), 0);
	assert_true(placed(&m, "libx-7.rlib"));
	assert_int_equal(relay_say_tail(s.relay), 0);
	assert_int_equal(s.rep.text_bytes, strlen(d) + strlen(r) + strlen(l) + 14);
	scene_close(&s);
}

static void
expect_fault(struct scene *s, const char *text, enum relay_fault fault, const char *want)
{
	const char *why = NULL;

	assert_int_equal(feed(s, text), -ENOTSUP);
	assert_int_equal(relay_fault(s->relay, &why), fault);
	assert_string_equal(why, want);
	expect_said(s, "");
}

static void
test_relay_faults(void **state)
{
	const char *more[] = LIB_ARGS;
	_cleanup_(made_done) struct made m = { .unit = NULL };
	_cleanup_(freep) char *d = line_of("x-7.d", "dep-info");
	_cleanup_(freep) char *r = line_of("libx-7.rmeta", "metadata");
	struct scene s;

	make(&m, "lib", "src/lib.rs", more);
	scene_open(&s, &m, "SECRET=1");
	receive(&s, "x-7.d", FILE_KIND, "o: src/lib.rs\n\nsrc/lib.rs:\n\n# env-dep:SECRET\n");
	expect_fault(&s, d, RELAY_WITHHELD, "needs the environment: SECRET");
	assert_false(placed(&m, "x-7.d"));
	scene_close(&s);
	scene_open(&s, &m, "A=1");
	receive(&s, "x-7.d", FILE_KIND, "o: src/other.rs\n\nsrc/other.rs:\n");
	expect_fault(&s, d, RELAY_WORKER, "dep-info without the crate's source");
	scene_close(&s);
	scene_open(&s, &m, "A=1");
	expect_fault(&s, r, RELAY_WORKER, "it announced a file that it did not send");
	scene_close(&s);
	scene_open(&s, &m, "A=1");
	expect_fault(&s, "{\"artifact\":\"/etc/x\",\"emit\":\"metadata\"}\n", RELAY_WORKER,
		"it announced a file outside the out-dir");
	scene_close(&s);
	scene_open(&s, &m, "A=1");
	expect_fault(
		&s, "{\"artifact\":1}\n", RELAY_WORKER, "an artifact line that makes no sense");
	scene_close(&s);
	/* a second try: the promise stands */
	scene_open(&s, &m, "A=1");
	snprintf(s.rep.rmeta, sizeof(s.rep.rmeta), "%s/libx-7.rmeta", m.out);
	receive(&s, "libx-7.rmeta", FILE_KIND, "other");
	expect_fault(&s, r, RELAY_HOME, "the second try made another rmeta");
	assert_false(placed(&m, "libx-7.rmeta"));
	scene_close(&s);
}

static void
test_relay_alias(void **state)
{
	const char *more[] = LIB_ARGS;
	_cleanup_(made_done) struct made m = { .unit = NULL };
	_cleanup_(freep) char *want = NULL;
	struct scene s;

	make(&m, "lib", "src/lib.rs", more);
	scene_open(&s, &m, "A=1");
	assert_true(asprintf(&want, "{\"x\":\"%s/liba-1.rmeta\"}\n", m.out) > 0);
	assert_int_equal(feed(&s, "{\"x\":\"/.dra"), 0);
	assert_int_equal(feed(&s, "y-in/liba-1.rmeta\"}\n"), 0);
	expect_said(&s, want);
	scene_close(&s);
}

/* A mapped unit's names, also beside an artifact in the out-dir; a line without an end stays, as of
 * a compile here. What is kept is what was said. */
static void
test_relay_mapped(void **state)
{
	const char *more[] = { "--emit=dep-info,metadata", NULL };
	_cleanup_(made_done) struct made m = { .mapping = { .workspace = "/ws",
						       .target_dir = "/ws/target" } };
	_cleanup_(freep) char *want = NULL;
	struct scene s;

	make(&m, "lib", "src/lib.rs", more);
	scene_open(&s, &m, "A=1");
	say_keep(s.say);
	assert_true(asprintf(&want, "{\"file_name\":\"/ws/a.rs\",\"x\":\"%s/liba-1.rmeta\"}\n",
			    m.out) > 0);
	assert_int_equal(feed(&s, "{\"file_name\":\"./a"), 0);
	assert_int_equal(feed(&s, ".rs\",\"x\":\"/.dray-in/liba-1.rmeta\"}\n"), 0);
	expect_said(&s, want);
	assert_int_equal(s.rep.text_bytes, strlen(want));
	assert_int_equal(say_kept(s.say, false)->n, strlen(want));
	assert_memory_equal(say_kept(s.say, false)->p, want, strlen(want));
	assert_int_equal(feed(&s, "{\"file_name\":\"/cargo/build-dir/g.rs\"}\n"), 0);
	expect_said(&s, "{\"file_name\":\"/ws/target/g.rs\"}\n");
	assert_int_equal(feed(&s, "{\"file_name\":\"./a.rs\"}"), 0);
	receive(&s, "x-7.d", FILE_KIND, "o: src/lib.rs\n\nsrc/lib.rs:\n");
	receive(&s, "libx-7.rmeta", FILE_KIND, "meta");
	assert_int_equal(relay_finish(s.relay, false), 0);
	expect_said(&s, "{\"file_name\":\"./a.rs\"}");
	scene_close(&s);
}

/* What a failure may be the reason of is not said until it is known that there was none. */
static void
test_relay_doubt(void **state)
{
	static const char error[] = "{\"level\":\"error\",\"message\":\"x\"}\n";
	const char *more[] = LIB_ARGS;
	_cleanup_(made_done) struct made m = { .unit = NULL };
	_cleanup_(freep) char *r = line_of("libx-7.rmeta", "metadata"), *want = NULL;
	struct scene s;

	make(&m, "lib", "src/lib.rs", more);
	scene_open(&s, &m, "A=1");
	assert_int_equal(feed(&s, "{\"level\":\"warning\"}\n"), 0);
	expect_said(&s, "{\"level\":\"warning\"}\n");
	assert_int_equal(feed(&s, error), 0);
	assert_int_equal(feed(&s, "{\"level\":\"warning\"}\n"), 0);
	expect_said(&s, "");
	receive(&s, "libx-7.rmeta", FILE_KIND, "meta");
	assert_int_equal(feed(&s, r), 0);
	assert_true(asprintf(&want, "%s{\"level\":\"warning\"}\n%s", error, r) > 0);
	expect_said(&s, want);
	scene_close(&s);
}

/* argv: up to NULL */
static int
bundle(struct scene *s, struct made *m, const char **argv, const char *prefix, const char *made_dir,
	char **home)
{
	ProtobufCBinaryData args[16];
	Dray__LinkCall call, *calls[] = { &call };
	Dray__JobResult result;
	struct buf tail = BUF_INIT;
	char copy[256], made[64];
	char *dirs[] = { made };
	int r;

	dray__link_call__init(&call);
	for (call.n_argv = 0; argv[call.n_argv]; call.n_argv++) {
		args[call.n_argv].data = (uint8_t *)mut(argv)[call.n_argv];
		args[call.n_argv].len = strlen(argv[call.n_argv]);
	}
	call.argv = args;
	snprintf(copy, sizeof(copy), "%s", prefix);
	call.path_prefix.data = (uint8_t *)copy;
	call.path_prefix.len = strlen(copy);
	snprintf(made, sizeof(made), "%s", made_dir);
	call.dirs = dirs;
	call.n_dirs = 1;
	dray__job_result__init(&result);
	result.link = calls;
	result.n_link = 1;
	assert_int_equal(buf_adds(&tail, "tail\n"), 0);
	r = bundle_make(m->unit, s->outputs, &result, &tail, &s->rep, home);
	buf_done(&tail);
	return r;
}

static void
expect_bundle(struct made *m, const char **argv, const char *prefix, const char *made_dir,
	const char *want)
{
	_cleanup_(freep) char *home = NULL;
	struct scene s;

	scene_open(&s, m, "A=1");
	receive(&s, "rustcAbC123/symbols.o", LINK_KIND, "s");
	assert_int_equal(bundle(&s, m, argv, prefix, made_dir, &home), -ENOTSUP);
	assert_string_equal(home, want);
	assert_int_equal(s.rep.n_links, 0);
	assert_false(placed(m, "rustcAbC123"));
	scene_close(&s);
}

static void
test_bundle(void **state)
{
	const char *more[] = { "--emit=dep-info,link", NULL };
	_cleanup_(made_done) struct made m = { .unit = NULL };
	_cleanup_(freep) char *out = at("w/target/debug/deps/x-7"), *home = NULL, *p = NULL,
			      *prefix = NULL;
	_cleanup_(freep) char *expect = NULL;
	const char *good[] = { "cc", "-L/.dray-in", "-o", out, NULL };
	const char *other[] = { "sh", "-o", out, NULL };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct scene s;
	size_t n;

	make(&m, "bin", "src/lib.rs", more);
	prefix = at("rust/lib/bin:");
	expect_bundle(&m, other, "", "rustcAbC123/raw", "the captured link: another linker");
	expect_bundle(&m, good, "", "../raw", "the captured link: a directory elsewhere");
	/* which would be removed */
	expect_bundle(&m, good, "", "rustc_demangle-1", "the captured link: a directory elsewhere");
	expect_bundle(&m, good, "", "rustcAbC123/a/b", "the captured link: a directory elsewhere");
	scene_open(&s, &m, "A=1");
	receive(&s, "rustcAbC123/symbols.o", LINK_KIND, "s");
	assert_int_equal(bundle(&s, &m, good, prefix, "rustcAbC123/raw", &home), 0);
	assert_int_equal(s.rep.n_links, 1);
	assert_true(placed(&m, "rustcAbC123/symbols.o"));
	assert_true(placed(&m, "rustcAbC123/raw"));
	p = path_join(s.staging, "link-0");
	assert_int_equal(fs_read_file(p, 1 << 16, &b), 0);
	n = (size_t)asprintf(&expect,
		"%s%c4%ccc%c-L%s%c-o%c%s%c%s/rustcAbC123/symbols.o%c%s/rustcAbC123/raw%c%s/"
		"rustcAbC123%c",
		prefix, 0, 0, 0, m.out, 0, 0, out, 0, m.out, 0, m.out, 0, m.out, 0);
	assert_int_equal(b.n, n);
	assert_memory_equal(b.p, expect, n);
	scene_close(&s);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_library, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_home, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_relay_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_relay_faults, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_relay_alias, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_relay_mapped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_relay_doubt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bundle, set_up, tear_down),
	};

	if (argc > 1)
		return streq(argv[1], "-vV") ? be_rustc() : 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
