/* call: the forms of rustc's options, what each makes of the unit, and what must not be understood.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "rustc/call.h"
#include "rustc/option_tables.h"
#include "common/fs.h"

#define ARGS_MAX 64

/* The arguments of a plain unit, to which a test adds its own. */
#define UNIT                                                                        \
	"--crate-name", "a", "--edition=2021", "src/lib.rs", "--crate-type", "lib", \
		"--emit=dep-info,metadata,link", "--out-dir", "/t/deps"

/* Writable copies: what call_parse is given is an argv. */
struct line {
	char text[ARGS_MAX][512];
	char *argv[ARGS_MAX + 1];
	struct rustc_call call;
};

static void
parse(struct line *l, const char *const *args)
{
	size_t n;

	memset(l, 0, sizeof(*l));
	for (n = 0; args[n]; n++) {
		assert_true(n < ARGS_MAX);
		snprintf(l->text[n], sizeof(l->text[n]), "%s", args[n]);
		l->argv[n] = l->text[n];
	}
	assert_int_equal(call_parse(l->argv, &l->call), 0);
}

static void
line_done(struct line *l)
{
	call_done(&l->call);
}

#define PARSE(l, ...)                       \
	_cleanup_(line_done) struct line l; \
	parse(&(l), (const char *const[]){ __VA_ARGS__, NULL })

static void
test_a_library_as_cargo_calls_it(void **state)
{
	PARSE(l, "/s/bin/rustc", "--crate-name", "serde", "--edition=2021", "/r/serde/src/lib.rs",
		"--error-format=json", "--json=diagnostic-rendered-ansi,artifacts,future-incompat",
		"--crate-type", "lib", "--emit=dep-info,metadata,link", "-C", "embed-bitcode=no",
		"-C", "debuginfo=2", "--cfg", "feature=\"std\"", "--check-cfg", "cfg(docsrs,test)",
		"-C", "metadata=0a1b", "-C", "extra-filename=-0a1b", "--out-dir", "/t/deps", "-L",
		"dependency=/t/deps", "--extern", "serde_derive=/t/deps/libserde_derive-77.so",
		"--cap-lints", "allow");
	const struct rustc_call *c = &l.call;

	assert_int_equal(c->kind, CALL_UNIT);
	assert_null(c->why);
	assert_null(call_home_reason(c));
	assert_string_equal(c->crate_name, "serde");
	assert_string_equal(c->source, "/r/serde/src/lib.rs");
	assert_string_equal(c->out_dir, "/t/deps");
	assert_string_equal(c->extra_filename, "-0a1b");
	assert_int_equal(c->emit.n, 3);
	assert_int_equal(c->n_externs, 1);
	assert_string_equal(c->externs[0].name, "serde_derive");
	assert_string_equal(c->externs[0].path, "/t/deps/libserde_derive-77.so");
	assert_int_equal(c->n_libs, 1);
	assert_string_equal(c->libs[0].kind, "dependency");
	assert_true(c->json && c->emits_link && c->emits_metadata);
	assert_false(c->calls_linker || c->reads_rlibs || c->project_linker || c->clippy);
	assert_string_equal(call_kind_name(c), "lib");
}

static void
test_joined_and_separate_forms_are_the_same(void **state)
{
	PARSE(a, "rustc", "--crate-name=x", "--crate-type=bin", "--emit=link", "--out-dir=/o",
		"-Copt-level=3", "-Clinker=clang", "-Lnative=/n", "-L/all", "-lstatic=foo",
		"--extern=p=/p.rlib", "--target=aarch64-unknown-linux-gnu", "-gO", "m.rs");
	PARSE(b, "rustc", "--crate-name", "x", "--crate-type", "bin", "--emit", "link", "--out-dir",
		"/o", "-C", "opt-level=3", "--codegen", "linker=clang", "-L", "native=/n", "-L",
		"/all", "-l", "static=foo", "--extern", "p=/p.rlib", "--target",
		"aarch64-unknown-linux-gnu", "-g", "-O", "m.rs");

	for (int i = 0; i < 2; i++) {
		const struct rustc_call *c = i ? &b.call : &a.call;

		assert_int_equal(c->kind, CALL_UNIT);
		assert_string_equal(c->crate_name, "x");
		assert_string_equal(c->linker, "clang");
		assert_string_equal(c->target, "aarch64-unknown-linux-gnu");
		assert_int_equal(c->n_libs, 2);
		assert_string_equal(c->libs[0].kind, "native");
		assert_string_equal(c->libs[0].path, "/n");
		assert_string_equal(c->libs[1].kind, "all");
		assert_string_equal(c->libs[1].path, "/all");
		assert_int_equal(c->native.n, 1);
		assert_string_equal(c->native.v[0], "static=foo");
		assert_string_equal(c->externs[0].path, "/p.rlib");
		assert_true(c->project_linker && c->calls_linker && c->reads_rlibs);
		assert_string_equal(c->source, "m.rs");
	}
}

static void
expect_kind(const char *const *args, enum call_kind kind)
{
	_cleanup_(line_done) struct line l;

	parse(&l, args);
	if (l.call.kind != kind)
		fail_msg("%s … is %d, not %d (%s)", args[1] ? args[1] : "", (int)l.call.kind,
			(int)kind, l.call.why ? l.call.why : "no reason");
	if (kind != CALL_UNIT)
		assert_non_null(l.call.why);
}

#define EXPECT(kind, ...) expect_kind((const char *const[]){ __VA_ARGS__, NULL }, kind)

static void
test_questions_are_probes(void **state)
{
	EXPECT(CALL_PROBE, "rustc", "-vV");
	EXPECT(CALL_PROBE, "rustc", "--version");
	EXPECT(CALL_PROBE, "rustc", "-h");
	EXPECT(CALL_PROBE, "rustc", "--explain", "E0308");
	EXPECT(CALL_PROBE, "rustc", "--explain=E0308");
	EXPECT(CALL_PROBE, "rustc", "-C", "help");
	EXPECT(CALL_PROBE, "rustc", "-Whelp");
	EXPECT(CALL_PROBE, "rustc", "-Zhelp");
	EXPECT(CALL_PROBE, "rustc", "--print", "sysroot");
	EXPECT(CALL_PROBE, "rustc", "-", "--crate-name", "___", "--print=file-names",
		"--crate-type", "bin", "--print=cfg", "-Wwarnings");
	EXPECT(CALL_PROBE, "rustc", UNIT, "--print=cfg");
	/* stdin as the source */
	EXPECT(CALL_PROBE, "rustc", "--crate-name", "probe", "--emit=metadata", "-");
}

static void
test_what_is_not_understood(void **state)
{
	EXPECT(CALL_UNIT, "rustc", UNIT);
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "--from-the-future");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "-x");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "-C", "from-the-future=1");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "-Zself-profile");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "-Z", "codegen-backend=cranelift");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "-Zcrate-attr=crate_type=\"bin\"");
	EXPECT(CALL_UNIT, "rustc", UNIT, "-Zembed-metadata=no");
	EXPECT(CALL_UNIT, "rustc", UNIT, "-Z", "mir_opt_level=2", "-Zsanitizer=address",
		"-Zthreads=8");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "-Ztune-cpu");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "-C", "profile-use");
	EXPECT(CALL_UNIT, "rustc", UNIT, "--print=native-static-libs");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "--print=native-static-libs=/f");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "--print=link-args");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "--test=yes");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "-C");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "--cfg");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "-C", "linker");
	/* rustc refuses these, and must be the one to say so */
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "--crate-name", "b");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "other.rs");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "--crate-type", "app");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "-l", "statick=foo");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "-l", "static:*bundle=foo");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "-L", "native=");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "-L", "@RUSTC_BUILTIN/x");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "--cfg", "a\xff");
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "--cfg", "a\xc0\xaf");
	EXPECT(CALL_UNKNOWN, "rustc", "--crate-name", "a");
	EXPECT(CALL_UNKNOWN, "rustc");
	/* a workspace wrapper */
	EXPECT(CALL_UNKNOWN, "/w/mywrapper", "rustc", UNIT);
	/* after "--" all is a source */
	EXPECT(CALL_UNKNOWN, "rustc", UNIT, "--", "--test");
	EXPECT(CALL_UNIT, "rustc", "--crate-name=a", "--", "-weird.rs");
	EXPECT(CALL_UNIT, "rustc", UNIT, "--cfg", "f=\"\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x80\"");
}

static void
test_an_empty_command_line(void **state)
{
	char *none[] = { NULL };
	struct rustc_call c;

	assert_int_equal(call_parse(none, &c), 0);
	assert_int_equal(c.kind, CALL_UNKNOWN);
	call_done(&c);
}

static void
expect_home(const char *const *args, const char *reason)
{
	_cleanup_(line_done) struct line l;
	const char *why;

	parse(&l, args);
	assert_int_equal(l.call.kind, CALL_UNIT);
	why = call_home_reason(&l.call);
	if (!reason)
		assert_null(why);
	else if (!why || !strstr(why, reason))
		fail_msg("expected \"%s\", got \"%s\"", reason, why ? why : "none");
}

#define HOME(reason, ...) expect_home((const char *const[]){ __VA_ARGS__, NULL }, reason)

static void
test_reasons_to_compile_here(void **state)
{
	HOME(NULL, "rustc", UNIT);
	HOME("incremental", "rustc", UNIT, "-C", "incremental=/t/inc");
	HOME(NULL, "rustc", UNIT, "-Ctarget-cpu=x86-64-v3");
	HOME(NULL, "rustc", UNIT, "-Cprofile-generate");
	HOME(NULL, "rustc", UNIT, "-Cprofile-use=/p.profdata");
	HOME("save-temps", "rustc", UNIT, "-C", "save-temps");
	HOME(NULL, "rustc", UNIT, "-C", "save-temps=no");
	HOME(NULL, "rustc", UNIT, "-C", "remark=all");
	HOME("llvm-args", "rustc", UNIT, "-C", "llvm-args=-x");
	HOME("llvm-args", "rustc", UNIT, "-C", "llvm-args=inline-threshold=1");
	HOME("llvm-args", "rustc", UNIT, "-C", "llvm-args=-inline-threshold=1 -print-after-all");
	HOME("llvm-args", "rustc", UNIT, "-C", "llvm-args=-inline-replay=/f");
	HOME("llvm-args", "rustc", UNIT, "-C", "llvm-args=");
	HOME("llvm-args", "rustc", UNIT, "-C", "llvm-args=-inline-threshold=1",
		"-Cllvm-args=-time-passes");
	HOME(NULL, "rustc", UNIT, "-C", "llvm-args= --inline-threshold=1  -unroll-count=2");
	HOME("passes", "rustc", UNIT, "-C", "passes=x");
	HOME("passes", "rustc", UNIT, "-C", "passes=mem2reg,dot-cfg");
	HOME(NULL, "rustc", UNIT, "-C", "passes=mem2reg,sancov-module gvn");
	HOME(NULL, "rustc", UNIT, "-C", "rpath");
	HOME("rpath", "rustc", UNIT, "--crate-type=cdylib", "-C", "rpath=yes");
	HOME(NULL, "rustc", UNIT, "--crate-type=cdylib", "-C", "rpath=no");
	HOME(NULL, "rustc", UNIT, "-C", "instrument-coverage");
	HOME("-o", "rustc", UNIT, "-o", "x.rlib");
	HOME("--emit", "rustc", UNIT, "--emit=obj=/x.o");
	HOME(NULL, "rustc", UNIT, "--emit", "llvm-ir,asm,obj");
	HOME("--emit", "rustc", UNIT, "--emit", "from-the-future");
	HOME("--sysroot", "rustc", UNIT, "--sysroot=/other");
	HOME(NULL, "rustc", UNIT, "--target", "my/board.json");
	/* the linker reads it, here */
	HOME(NULL, "rustc", UNIT, "-C", "linker-plugin-lto=/plugin.so");
	HOME("linker-plugin-lto", "rustc", UNIT, "--crate-type=bin", "-C", "linker-plugin-lto");
	HOME(NULL, "rustc", UNIT, "-C", "linker-plugin-lto");
	HOME("--out-dir", "rustc", "--crate-name=a", "--crate-type=lib", "a.rs");
	HOME("--crate-name", "rustc", "--crate-type=lib", "--out-dir=/o", "a.rs");
	HOME(NULL, "rustc", "--crate-name=a", "--out-dir=/o", "a.rs");
	/* another machine's code needs no linker of it as long as none is called */
	HOME(NULL, "rustc", UNIT, "--target=wasm32-unknown-unknown");
	HOME("target", "rustc", UNIT, "--crate-type=cdylib", "--target=x86_64-pc-windows-msvc");
	HOME(NULL, "rustc", UNIT, "--target=x86_64-pc-windows-msvc");
	HOME(NULL, "rustc", UNIT, "--crate-type=cdylib", "--target=x86_64-unknown-linux-musl");
}

static void
test_linkers(void **state)
{
	static const char *const foreign[] = { "ld64.lld", "lld-link", "link.exe", "emcc",
		"bpf-linker" };
	static const char *const known[] = { "clang", "gcc-12", "/opt/x/aarch64-linux-gnu-gcc",
		"./tools/cc.sh", "rust-lld", "ld", "/usr/bin/ld.lld", "lld", "wasm-ld",
		"aarch64-linux-gnu-ld" };

	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		char arg[64];

		snprintf(arg, sizeof(arg), "linker=%s", foreign[i]);
		HOME("linker", "rustc", UNIT, "--crate-type=bin", "-C", arg);
		/* a library calls none */
		HOME(NULL, "rustc", UNIT, "-C", arg);
	}
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		char arg[64];

		snprintf(arg, sizeof(arg), "linker=%s", known[i]);
		HOME(NULL, "rustc", UNIT, "--crate-type=bin", "-C", arg);
	}
	HOME("flavor", "rustc", UNIT, "--crate-type=bin", "-Clinker-flavor=msvc");
	HOME(NULL, "rustc", UNIT, "--crate-type=bin", "-Clinker-flavor=ld.lld");
	HOME(NULL, "rustc", UNIT, "--crate-type=bin", "-Clinker-flavor=gcc");
}

static void
expect_linker(const char *linker, const char *const *args)
{
	_cleanup_(line_done) struct line l;
	const char *got;

	parse(&l, args);
	got = call_linker(&l.call);
	if (!linker)
		assert_null(got);
	else if (!got || !streq(got, linker))
		fail_msg("expected %s, got %s", linker, got ? got : "none");
}

#define LINKER(linker, ...) expect_linker(linker, (const char *const[]){ __VA_ARGS__, NULL })

static void
test_which_linker(void **state)
{
	LINKER("cc", "rustc", UNIT);
	LINKER("clang", "rustc", UNIT, "-Clinker=clang", "-Clinker-flavor=gcc");
	LINKER("cc", "rustc", UNIT, "-Clinker-flavor=gnu-lld-cc");
	LINKER("lld", "rustc", UNIT, "-Clinker-flavor=ld.lld");
	LINKER("ld", "rustc", UNIT, "-Clinker-flavor=ld");
	LINKER(NULL, "rustc", UNIT, "-Clinker-flavor=msvc");
	LINKER("cc", "rustc", UNIT, "--target=aarch64-unknown-linux-musl");
	LINKER("rust-lld", "rustc", UNIT, "--target=wasm32-unknown-unknown");
	LINKER("rust-lld", "rustc", UNIT, "--target=thumbv7em-none-eabihf");
	LINKER("rust-lld", "rustc", UNIT, "--target=x86_64-unknown-none");
	LINKER(NULL, "rustc", UNIT, "--target=aarch64-apple-darwin");
	LINKER(NULL, "rustc", UNIT, "--target=/w/board-none.json");
	LINKER("x", "rustc", UNIT, "--target=/w/board.json", "-Clinker=x");
}

static void
test_inputs_and_the_cpu(void **state)
{
	PARSE(a, "rustc", UNIT, "-Cprofile-use=p.profdata", "-Zprofile-sample-use=/s.prof");
	PARSE(b, "rustc", UNIT, "-Ctarget-cpu=native");
	PARSE(c, "rustc", UNIT, "-C", "target_cpu=x86-64-v3");
	PARSE(d, "rustc", UNIT, "-Ztune_cpu=native", "-Ctarget-cpu=x86-64-v3");

	assert_int_equal(a.call.inputs.n, 2);
	assert_string_equal(a.call.inputs.v[0], "p.profdata");
	assert_string_equal(a.call.inputs.v[1], "/s.prof");
	assert_false(a.call.native_cpu);
	assert_true(b.call.native_cpu);
	assert_false(c.call.native_cpu);
	assert_true(d.call.native_cpu);
}

/* Keys are found whichever dash they are written with; a row for each of the sorted table. */
static void
test_tables(void **state)
{
	assert_ptr_equal(codegen_find("target-cpu", 10), codegen_find("target_cpu", 10));
	assert_non_null(codegen_find("ar", 2));
	assert_null(codegen_find("arx", 3));
	assert_null(codegen_find("a", 1));
	assert_null(codegen_find("", 0));
	assert_non_null(unstable_find("share-generics=y", 14));
	assert_null(unstable_find("self-profile", 12));
	assert_null(option_find("v", 1, false));
	assert_non_null(option_find("v", 1, true));
	assert_true(option_index(option_find("emit", 4, false)) < 64);
}

static void
test_who_chose_the_linker(void **state)
{
	static const char *const chosen[] = { "linker=clang", "linker-flavor=gcc",
		"linker-features=-lld", "link-self-contained=yes", "link-arg=-fuse-ld=mold",
		"link-args=-s -fuse-ld=gold", "link-arg=-B/opt/ld", "link-arg=--ld-path=/opt/ld",
		"link_args=-Wl,-z,now -B /x" };
	static const char *const not [] = { "link-arg=-Wl,-z,now", "link-args=-s -lfoo", "lto=fat",
		"strip=symbols", "prefer-dynamic" };

	for (size_t i = 0; i < ARRAY_LEN(chosen); i++) {
		PARSE(l, "rustc", UNIT, "-C", chosen[i]);
		assert_true(l.call.project_linker);
	}
	for (size_t i = 0; i < ARRAY_LEN(not ); i++) {
		PARSE(l, "rustc", UNIT, "-C", not [i]);
		assert_false(l.call.project_linker);
	}
}

static void
test_kinds(void **state)
{
	PARSE(test, "rustc", UNIT, "--test");
	PARSE(script, "rustc", "--crate-name", "build_script_build", "build.rs", "--crate-type",
		"bin", "--emit=dep-info,link", "--out-dir", "/o");
	PARSE(macro, "rustc", "--crate-name=m", "l.rs", "--crate-type=proc-macro", "--out-dir=/o",
		"--emit=dep-info,link", "-C", "prefer-dynamic", "--extern", "proc_macro");
	PARSE(check, "rustc", "--crate-name=m", "l.rs", "--crate-type=bin", "--out-dir=/o",
		"--emit=dep-info,metadata");
	PARSE(both, "rustc", "--crate-name=m", "l.rs", "--crate-type=lib,cdylib", "--out-dir=/o",
		"--emit=link");
	PARSE(archive, "rustc", "--crate-name=m", "l.rs", "--crate-type=staticlib", "--out-dir=/o",
		"--emit=link");

	assert_string_equal(call_kind_name(&test.call), "test");
	assert_true(test.call.calls_linker);
	assert_string_equal(call_kind_name(&script.call), "build-script");
	assert_string_equal(call_kind_name(&macro.call), "proc-macro");
	assert_null(macro.call.externs[0].path);
	assert_string_equal(call_kind_name(&check.call), "check");
	assert_false(check.call.calls_linker || check.call.reads_rlibs);
	assert_string_equal(call_kind_name(&both.call), "cdylib");
	assert_true(both.call.calls_linker);
	assert_string_equal(call_kind_name(&archive.call), "staticlib");
	assert_true(archive.call.reads_rlibs);
	assert_false(archive.call.calls_linker);
}

static void
test_lto_reads_whole_rlibs(void **state)
{
	PARSE(lto, "rustc", UNIT, "-C", "lto");
	PARSE(no, "rustc", UNIT, "-C", "lto=off");

	assert_true(lto.call.reads_rlibs);
	assert_false(no.call.reads_rlibs);
}

static void
test_clippy(void **state)
{
	PARSE(l, "/s/bin/clippy-driver", "/s/bin/rustc", UNIT);
	PARSE(bare, "clippy-driver", UNIT);

	assert_int_equal(l.call.kind, CALL_UNIT);
	assert_true(l.call.clippy);
	assert_string_equal(l.call.inner_rustc, "/s/bin/rustc");
	assert_string_equal(l.call.args.v[0], "--crate-name");
	assert_true(bare.call.clippy);
	assert_null(bare.call.inner_rustc);
	EXPECT(CALL_PROBE, "clippy-driver", "rustc", "-vV");
}

static void
test_argument_files(void **state)
{
	_cleanup_(freep) char *dir = NULL;
	_cleanup_(freep) char *path = NULL;
	static const char text[] = "--crate-name=from_file\r\n-C\nopt-level=3\n\"q\".rs";
	char at[512];

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-call-", &dir), 0);
	path = path_join(dir, "args");
	snprintf(at, sizeof(at), "@%s", path);
	EXPECT(CALL_UNKNOWN, "rustc", at);
	assert_int_equal(fs_write_atomic(path, text, sizeof(text) - 1, 0600), 0);
	{
		PARSE(l, "rustc", at, "--out-dir", "/o");

		assert_int_equal(l.call.kind, CALL_UNIT);
		assert_int_equal(l.call.args.n, 6);
		assert_string_equal(l.call.crate_name, "from_file");
		assert_string_equal(l.call.source, "\"q\".rs");
		assert_string_equal(l.call.out_dir, "/o");
	}
	/* not nested: the inner one is an argument; as one of another call it would be a file again
	 */
	assert_int_equal(fs_write_atomic(path, "@other", 6, 0600), 0);
	{
		PARSE(l, "rustc", at);

		assert_int_equal(l.call.kind, CALL_UNKNOWN);
	}
	assert_int_equal(fs_write_atomic(path, "a\0b", 3, 0600), 0);
	EXPECT(CALL_UNKNOWN, "rustc", at);
	EXPECT(CALL_UNKNOWN, "rustc", "@shell:x");
	EXPECT(CALL_UNKNOWN, "rustc", "@/dev/zero");
	fs_rm_rf(dir);
}

static bool
takes_metadata(const char *type, const char *option, const char *value)
{
	PARSE(l, "/s/bin/rustc", "--crate-name", "a", "src/main.rs", "--crate-type", type,
		"--emit=dep-info,link", "--out-dir", "/t/deps", "-C", "opt-level=3", "-C",
		"metadata=1a", "-Cextra-filename=-1a", "-C", "strip=debuginfo", option, value);

	assert_int_equal(l.call.kind, CALL_UNIT);
	return call_takes_metadata(&l.call);
}

static void
test_what_it_takes_of_rlibs(void **state)
{
	static const char *const types[] = { "bin", "cdylib", "dylib", "proc-macro" };
	static const char *const more[] = { "lib", "rlib", "staticlib", "bin,staticlib",
		"cdylib,rlib" };
	static const char *const plain[] = { "codegen-units=1", "codegen_units=1", "lto=off",
		"lto=no", "split-debuginfo=off", "split_debuginfo=unpacked", "panic=abort",
		"link-arg=-fuse-ld=mold", "prefer-dynamic", "target-feature=+sse2" };
	static const char *const others[] = { "lto", "lto=fat", "lto=thin", "lto=yes",
		"linker-plugin-lto", "split-debuginfo=packed", "instrument-coverage",
		"embed-bitcodes=no", "lto=offline" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		assert_true(takes_metadata(types[i], "--cap-lints", "allow"));
	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		if (takes_metadata(more[i], "--cap-lints", "allow"))
			fail_msg("%s", more[i]);
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (!takes_metadata("bin", "-C", plain[i]))
			fail_msg("%s", plain[i]);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		PARSE(l, "/s/bin/rustc", "--crate-name", "a", "src/main.rs", "--out-dir", "/t",
			"-C", others[i]);

		if (call_takes_metadata(&l.call))
			fail_msg("%s", others[i]);
	}
	assert_false(takes_metadata("bin", "-Z", "threads=2"));
	assert_true(takes_metadata("proc-macro", "-Z", "embed-metadata=no"));
	assert_true(takes_metadata("bin", "--target", "aarch64-unknown-linux-musl"));
	assert_false(takes_metadata("bin", "--target", "aarch64-apple-darwin"));
}

/* Joined, apart, behind "=", behind flags: the walk finds each value in the argument that ends in
 * it, and no value twice. */
static void
test_values_in_their_arguments(void **state)
{
	static const struct {
		const char *arg, *value;
	} want[] = { { "--crate-name", NULL }, { "a", "a" }, { "-gLnative=/x", "native=/x" },
		{ "-L", NULL }, { "-L/y", "-L/y" }, { "--extern=b=/t/b", "b=/t/b" },
		{ "--test", NULL }, { "--extern", NULL }, { "c=/t/c", "c=/t/c" }, { "x.rs", NULL },
		{ "-Cmetadata=", "metadata=" }, { "-L", NULL }, { "/z", "/z" } };
	size_t at = 0;

	(void)state;
	PARSE(l, "rustc", "--crate-name", "a", "-gLnative=/x", "-L", "-L/y", "--extern=b=/t/b",
		"--test", "--extern", "c=/t/c", "x.rs", "-Cmetadata=", "-L", "/z");
	assert_int_equal(l.call.kind, CALL_UNIT);
	assert_int_equal(l.call.args.n, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		const struct call_option *o = call_option_of(&l.call, l.call.args.v[i], &at);

		assert_string_equal(l.call.args.v[i], want[i].arg);
		assert_true(!o == !want[i].value);
		if (o)
			assert_string_equal(o->value, want[i].value);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_library_as_cargo_calls_it),
		cmocka_unit_test(test_joined_and_separate_forms_are_the_same),
		cmocka_unit_test(test_questions_are_probes),
		cmocka_unit_test(test_what_is_not_understood),
		cmocka_unit_test(test_an_empty_command_line),
		cmocka_unit_test(test_reasons_to_compile_here),
		cmocka_unit_test(test_linkers),
		cmocka_unit_test(test_which_linker),
		cmocka_unit_test(test_inputs_and_the_cpu),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_who_chose_the_linker),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_lto_reads_whole_rlibs),
		cmocka_unit_test(test_clippy),
		cmocka_unit_test(test_argument_files),
		cmocka_unit_test(test_what_it_takes_of_rlibs),
		cmocka_unit_test(test_values_in_their_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
