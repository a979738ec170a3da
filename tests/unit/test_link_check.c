/* link_check: the calls that rustc makes pass, as they were seen; each argument that would make a
 * linker load, run, read or write anything else is refused, in each of its forms. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "client/link/link_check.h"
#include "common/fs.h"

#define TEMP "rustcAbC123"

static char *dir, *out, *sysroot;
static struct rustc_call call;
static struct strv temporaries;

static void
put(const char *rel, const char *text, size_t n)
{
	_cleanup_(freep) char *path = path_join(out, rel);

	assert_non_null(path);
	assert_int_equal(fs_mkdir_parent(path, 0700), 0);
	assert_int_equal(fs_write_atomic(path, text, n, 0600), 0);
	if (!strv_has(&temporaries, path))
		assert_int_equal(strv_add(&temporaries, path), 0);
}

/* '%' in a word stands for the test's directory, and is never in one otherwise. */
static char *
word_of(const char *word)
{
	struct buf b = BUF_INIT;

	for (; *word; word++)
		assert_int_equal(*word == '%' ? buf_adds(&b, dir) : buf_add(&b, word, 1), 0);
	assert_int_equal(buf_add(&b, "", 1), 0);
	return (char *)b.p;
}

static void
words_of(const char *words, struct strv *ret)
{
	_cleanup_(freep) char *copy = strdup(words);
	char *rest = copy, *word;

	while ((word = strsep(&rest, " ")))
		assert_int_equal(strv_take(ret, word_of(word)), 0);
}

static int
set_up_call(void **state, const char *more)
{
	static const char list[] =
		"{\n  global:\n    _ZN3foo17hE$LT$x.y@V;\n\n  local:\n    *;\n};";
	static struct strv argv;
	_cleanup_(freep) char *raw = NULL;

	strv_done(&argv);
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-link-check-", &dir), 0);
	out = path_join(dir, "t/deps");
	sysroot = path_join(dir, "rust");
	raw = path_join(out, TEMP "/raw-dylibs");
	assert_int_equal(fs_mkdir_p(raw, 0700), 0);
	words_of(
		"rustc --crate-name app --crate-type bin --emit=dep-info,link -Cextra-filename=-1a "
		"--out-dir %/t/deps -L dependency=%/t/deps -L native=%/c/lib --extern "
		"z=%/t/other/libz-1.rlib -lfoo x.rs",
		&argv);
	if (*more)
		words_of(more, &argv);
	assert_int_equal(call_parse(argv.v, &call), 0);
	assert_int_equal(call.kind, CALL_UNIT);
	put("app-1a.x.rcgu.o", "\177ELF", 4);
	put(TEMP "/symbols.o", "\177ELF", 4);
	put(TEMP "/list", list, strlen(list));
	put(TEMP "/libbar.a", "!<arch>\n", 8);
	assert_int_equal(strv_addf(&temporaries, "%s/" TEMP, out), 0);
	assert_int_equal(strv_addf(&temporaries, "%s/" TEMP "/raw-dylibs", out), 0);
	return 0;
}

static int
set_up(void **state)
{
	return set_up_call(state, "");
}

static int
set_up_project(void **state)
{
	return set_up_call(state,
		"-Clink-arg=-Wl,-plugin=/p.so -Clink-arg=-T%x/y.ld -Clink-args=-s -Clink-arg=-v");
}

static int
tear_down(void **state)
{
	call_done(&call);
	strv_done(&temporaries);
	fs_rm_rf(dir);
	free(dir);
	free(out);
	free(sysroot);
	return 0;
}

static int
check(const char *prefix, const char *words, char **ret_why)
{
	_cleanup_(link_call_done) struct link_call l = { .path_prefix = word_of(prefix) };
	struct link_check in = { .call = &call,
		.cwd = dir,
		.out_dir = out,
		.sysroot = sysroot,
		.temporaries = &temporaries };

	words_of(words, &l.argv);
	return link_check(&in, &l, ret_why);
}

#define GOOD "cc -m64 %/t/deps/" TEMP "/symbols.o t/deps/app-1a.x.rcgu.o "
#define END " -o %/t/deps/app-1a"

static void
passes(const char *words)
{
	_cleanup_(freep) char *why = NULL;

	if (check("", words, &why) != 0)
		fail_msg("%s: %s", words, why);
}

/* Refused before and after what is good, and with what is good passing alone. */
static void
refused(const char *word)
{
	_cleanup_(freep) char *first = NULL, *last = NULL, *why = NULL, *other = NULL;

	assert_true(asprintf(&first, "cc %s%s", word, END) > 0);
	assert_true(asprintf(&last, "%s-lc%s %s", GOOD, END, word) > 0);
	if (check("", first, &why) != -EPERM || check("", last, &other) != -EPERM)
		fail_msg("passed: %s", word);
	assert_non_null(strstr(why, "the captured link: "));
}

static void
test_what_rustc_makes(void **state)
{
	_cleanup_(freep) char *why = NULL;

	/* a program, by rustc 1.95 */
	passes(GOOD
		"-Wl,--as-needed -Wl,-Bstatic %/t/other/libz-1.rlib %/t/deps/libq-2.rlib "
		"%/rust/lib/rustlib/x/lib/libstd-1.rlib -Wl,-Bdynamic -lgcc_s -lutil -lrt "
		"-lpthread -lm "
		"-ldl -lc -L %/t/deps/" TEMP
		"/raw-dylibs -B%/rust/lib/rustlib/x/bin/gcc-ld -fuse-ld=lld "
		"-Wl,-znostart-stop-gc -Wl,--eh-frame-hdr -Wl,-z,noexecstack -L %/c/lib -L%/c/lib "
		"-L %/rust/lib/rustlib/x/lib" END " -Wl,--gc-sections -pie -Wl,-z,relro,-z,now "
		"-Wl,-O1 -Wl,--strip-debug -nodefaultlibs");
	/* a shared library, by gcc */
	passes(GOOD
		"-Wl,--version-script=%/t/deps/" TEMP "/list -Wl,--no-undefined-version "
		"-Wl,--whole-archive -Wl,%/t/deps/" TEMP "/libbar.a -Wl,--no-whole-archive "
		"%/c/lib/libfoo.a -l:libx.so.1 -shared -Wl,-soname=libapp.so -o %/t/deps/libapp.so "
		"-Wl,-rpath,$ORIGIN/../lib -Wl,--enable-new-dtags -u __llvm_profile_runtime");
	/* commas go by -Xlinker */
	passes(GOOD "-Xlinker -rpath -Xlinker $ORIGIN/a" END);
	/* a target of its own, by ld or lld */
	call.linker = strdup("rust-lld");
	passes("rust-lld -flavor gnu --eh-frame-hdr -z noexecstack %/t/deps/app-1a.x.rcgu.o "
	       "--as-needed -Bstatic %/t/deps/libq-2.rlib -Bdynamic -z relro -z now "
	       "--gc-sections" END);
	passes("rust-lld -flavor wasm --export main --export=__heap_base -z stack-size=1048576 "
	       "--stack-first --no-demangle %/t/deps/app-1a.x.rcgu.o -o %/t/deps/app-1a.wasm "
	       "--no-entry");
	assert_int_equal(check("%/rust/lib/rustlib/x/bin:%/rust/lib/rustlib/x/bin/self-contained:",
				 "rust-lld" END, &why),
		0);
}

static void
test_options(void **state)
{
	static const char *const words[] = { "-Wl,-plugin,/p.so", "-Wl,-plugin=/p.so",
		"-Wl,--plugin=/p.so", "-Xlinker -plugin -Xlinker /p.so", "-plugin /p.so",
		"-Wl,-plugin-opt=save-temps", "-Wl,-plugin-opt=obj-path=/x", "-fplugin=/p.so",
		"-fplugin=%/t/deps/" TEMP "/symbols.o", "-wrapper /bin/sh,-c", "-wrapper=x",
		"--wrapper=x", "-B/tmp", "-B%/t/deps/" TEMP, "-B %/t/deps/" TEMP,
		"-B%/rust/../x/lib/rustlib/x/bin/gcc-ld", "-B.", "-B%/rust/lib/rustlib/x/bin",
		"--prefix=/tmp", "-fuse-ld=gold", "-fuse-ld=/bin/sh", "-fuse-ld=mold",
		"--ld-path=/bin/sh", "-Wl,--dynamic-linker,/x", "-Wl,--dynamic-linker=/x",
		"-Wl,-dynamic-linker,/x", "-Wl,-I/x", "-dynamic-linker /x", "-specs=/x",
		"--specs=/x", "-T /x", "-T/x", "-Wl,-T,/x", "-Wl,-T/x", "-Wl,--script=/x",
		"-Wl,--default-script=/x", "-Wl,-dT,/x", "-Wl,--version-script=/x",
		"-Wl,--version-script,/x", "-Wl,--version-script=%/t/deps/" TEMP "/symbols.o",
		"-Wl,--dynamic-list=/x", "-Wl,--retain-symbols-file=/x",
		"-Wl,--symbol-ordering-file=/x", "-Wl,--just-symbols=/x", "-Wl,-R/x", "-Wl,-Map=/x",
		"-Wl,-Map,/x", "-Wl,-M", "-Map /x", "-Wl,--dependency-file=/x",
		"-Wl,--out-implib=/x", "-Wl,--cref", "-MF /x", "-MD", "-save-temps",
		"-save-temps=obj", "-dumpdir /x", "-Wl,--trace", "-v", "-###", "-Wl,--reproduce=/x",
		"-Wl,--time-trace=/x", "-Wl,--lto-obj-path=/x", "-Wl,--thinlto-cache-dir=/x",
		"-Wl,-mllvm,-load=/x", "-mllvm -load=/x", "-Xclang -load", "-flto", "-Wl,-b,binary",
		"-Wl,--format=binary", "-b binary", "-x c", "-xc", "-include /x", "-c", "-E", "-S",
		"-o%/x", "--output=%/x", "-Wl,-o,%/x", "-Wl,-o%/x", "-Wl,--output=%/x",
		"-Xlinker -o -Xlinker /x", "-o /etc/passwd", "-o %/t/deps/other",
		"-o %/t/deps/app-1a", "-o %/t/deps/../app-1a", "-o %/t/deps/x/../app-1a",
		"-o %/t/deps/app-1b", "-o t/deps/app-1a", "--sysroot=/x", "-isysroot /x",
		"-Wl,--sysroot=/x", "-Wl,-rpath,/x", "-Wl,-rpath-link,/x", "-rpath /x",
		"-Wl,--wrap=malloc", "-Wl,--defsym=a=b", "-Wl,-init,x", "-Wl,--audit=/x",
		"-Wl,-P,/x", "-Wl,--depaudit=/x", "-Wl,--chroot=/x", "-Wl,@/x", "@/etc/passwd",
		"@x", "@%/t/deps/" TEMP "/list", "-Wl,-L/etc", "-L/etc", "-L /etc", "-L=/x",
		"-L$SYSROOT/x", "-L%/t/deps/rustc_x", "-l../x", "-l :../x", "-l:/etc/x", "-l", "-L",
		"-z", "-z exec", "-Wl,-z", "-Wl,-z,execstack", "-zexecstack", "-Wl,", "-Wl,,",
		"-Xlinker", "-Wl,-z -lc", "-Xassembler x", "-Wa,x", "-Wp,x", "-flavor darwin",
		"-target x", "--target=x", "-m elf_x86_64", "-soname a/b", "",
		/* a linker expands each word that begins so, whatever it stands for */
		"-Wl,@/../../..%/t/deps/" TEMP "/symbols.o", "@/../../..%/t/deps/" TEMP "/libbar.a",
		"-Xlinker @/../../..%/t/deps/" TEMP "/symbols.o",
		"-L @/../../..%/t/deps/" TEMP "/symbols.o",
		"-Wl,-L,@/../../..%/t/deps/" TEMP "/symbols.o", "-u @x", "-Wl,-u,@x",
		/* by its name, in a directory that the linker is to search */
		"-l:linker-arguments", "-l:list", "-l :app-1a.d", "-Wl,-l:symbols.o" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		refused(words[i]);
}

static void
test_files(void **state)
{
	static const char *const words[] = { "/etc/passwd", "%/c/lib/x.ld", "%/c/lib/../x.a", "x.o",
		"%/c/x.so", "%/t/other/x.o", "%/t/deps/app-1a.d", "%/t/deps/x.o", "../x.a",
		"%/t/deps/" TEMP "/list", "-Wl,%/t/deps/" TEMP "/list", "%/t/deps/" TEMP "/other.o",
		"%/t/deps/" TEMP, "%/rust/lib/x.ld", "%/rust/bin/x.a", "-Wl,/etc/passwd",
		"-Wl,-Bstatic,/etc/passwd", "-Xlinker /etc/passwd",
		/* a C driver compiles it, or preprocesses it first */
		"%/t/deps/libapp-1a.so.c", "%/c/lib/x.so.1.S", "-l:x.so.c" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		refused(words[i]);
}

static void
put_file(const char *name, const char *text)
{
	_cleanup_(freep) char *path = word_of(name);

	assert_int_equal(fs_mkdir_parent(path, 0700), 0);
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600), 0);
}

/* What a worker made may be a script by any name; what the system has often is one. */
static void
test_made_files(void **state)
{
	static const char *const made[] = { "%/t/deps/libapp-1a.so", "%/t/deps/libq-2.a",
		"%/t/other/libz-1.rlib" };
	static const char *const words[] = { "%/t/deps/libapp-1a.so", "%/t/deps/libq-2.a",
		"%/t/other/libz-1.rlib", "-lapp-1a", "-l:libq-2.a", "-lq-2", "-Wl,-lapp-1a" };

	for (size_t i = 0; i < ARRAY_LEN(made); i++)
		put_file(made[i], "INPUT(/etc/passwd)");
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		refused(words[i]);
	for (size_t i = 0; i < ARRAY_LEN(made); i++)
		put_file(made[i], i == 0 ? "\177ELF" : "!<arch>\n");
	passes(GOOD "%/t/deps/libapp-1a.so -lapp-1a -l:libq-2.a %/t/other/libz-1.rlib" END);
	put_file("%/c/lib/libm.a", "GROUP(/lib/libm-2.36.a)");
	passes(GOOD "%/c/lib/libm.a -L%/c/lib -lm" END);
}

static void
test_who_links(void **state)
{
	_cleanup_(freep) char *a = NULL, *b = NULL, *c = NULL, *d = NULL, *e = NULL, *f = NULL;

	assert_int_equal(check("", "sh" END, &a), -EPERM);
	assert_int_equal(check("", "%/t/deps/" TEMP "/symbols.o" END, &b), -EPERM);
	assert_int_equal(check("/tmp:", "cc" END, &c), -EPERM);
	assert_int_equal(check("%/rust/lib/rustlib/x/bin:.:", "cc" END, &d), -EPERM);
	assert_int_equal(check("%/rust/lib/rustlib/x/bin", "cc" END, &e), -EPERM);
	assert_int_equal(check("", "cc -lc", &f), -EPERM);
	assert_string_equal(f, "the captured link: it makes nothing: cc");
}

static int
set_up_target(void **state)
{
	return set_up_call(state, "--target=t.json");
}

static void
test_targets_linker(void **state)
{
	_cleanup_(freep) char *a = NULL, *b = NULL, *c = NULL, *d = NULL;

	assert_int_equal(check("", "cc" END, &a), -EPERM);
	put_file("%/t.json", "{\"linker\":\"my-ld\"}");
	passes("my-ld" END);
	/* a shell takes what begins as an object for commands */
	assert_int_equal(check("", "dash %/t/deps/" TEMP "/symbols.o" END, &b), -EPERM);
	put_file("%/t.json", "{\"linker-flavor\":\"gnu-lld\"}");
	passes("lld" END);
	assert_int_equal(check("", "cc" END, &c), -EPERM);
	put_file("%/t.json", "{\"linker-flavor\":\"msvc\"}");
	assert_int_equal(check("", "link" END, &d), -EPERM);
}

static void
response(const char *text)
{
	_cleanup_(freep) char *all = word_of(text);

	put(TEMP "/linker-arguments", all, strlen(all));
}

static void
test_response_files(void **state)
{
	static const char *const bad[] = { "-fplugin=/p.so", "\"-fplugin=/p.so\"", "'-B'/tmp",
		"-\\B/tmp", "-lc\n\n -T\n/x", "@/etc/passwd", "@%/t/deps/" TEMP "/linker-arguments",
		"-Wl,-\"plugin\",/p.so", "-z", "\"\"",
		/* what the programs that read it do not take alike */
		"-lc\v-lm", "-lc\t-lm", "'-lc'", "\"-lc\"", "-l\\c", "-lc\\",
		"'\\' -fplugin=/p.so /../../..%/c/lib/x.so '%/c/lib/x.so" };
	_cleanup_(freep) char *why = NULL;

	response("-m64\n%/t/deps/" TEMP "/symbols.o\n-lc\n-Wl,-z,now\n-o\n%/t/deps/app-1a\n");
	passes("cc @%/t/deps/" TEMP "/linker-arguments");
	/* twice */
	assert_int_equal(check("", "cc @%/t/deps/" TEMP "/linker-arguments" END, &why), -EPERM);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_(freep) char *other = NULL;

		response(bad[i]);
		if (check("", GOOD "@%/t/deps/" TEMP "/linker-arguments" END, &other) != -EPERM)
			fail_msg("passed: %s", bad[i]);
	}
}

/* What a linker does not know it takes for a script of its own. */
static void
test_inputs(void **state)
{
	static const struct {
		const char *name, *text;
	} bad[] = { { "/symbols.o", "INPUT(/etc/passwd)" }, { "/symbols.o", "" },
		{ "/symbols.o", "BC\xc0\xde" }, { "/libbar.a", "!<thin>\n/etc/passwd" },
		{ "/libbar.a", "GROUP(/x)" },
		{ "/list", "{ global: a; }; INCLUDE \"/etc/passwd\"" }, { "/list", "INPUT(x)" },
		{ "/ld", "#!/bin/sh" }, { "/x.so", "\177ELF" } };
	_cleanup_(freep) char *link = path_join(out, TEMP "/symbols.o"), *why = NULL;

	passes(GOOD "-lc" END);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_(freep) char *other = NULL, *rel = NULL, *path = NULL;

		assert_true(asprintf(&rel, TEMP "%s", bad[i].name) > 0);
		put(rel, bad[i].text, strlen(bad[i].text));
		if (check("", GOOD "-lc" END, &other) != -EPERM)
			fail_msg("passed: %s: %s", bad[i].name, bad[i].text);
		path = path_join(out, rel);
		if (streq(bad[i].name, "/symbols.o"))
			put(rel, "\177ELF", 4);
		else if (streq(bad[i].name, "/libbar.a"))
			put(rel, "!<arch>\n", 8);
		else if (streq(bad[i].name, "/list"))
			put(rel, "{ local: *; };", 14);
		else
			free(temporaries.v[--temporaries.n]), temporaries.v[temporaries.n] = NULL;
	}
	passes(GOOD "-lc" END);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_int_equal(check("", GOOD "-lc" END, &why), -EPERM);
}

/* All that the project gave, as it gave it, and nothing more. */
static void
test_the_projects_own(void **state)
{
	passes(GOOD "-lc" END " -Wl,-plugin=/p.so -T%x/y.ld -s -v");
	passes(GOOD "-lc -Wl,-plugin=/p.so -T%x/y.ld -s -v" END);
	refused("-Wl,-plugin=/p.so");
	refused("-Wl,-plugin=/p.so -T%x/y.ld -v -s");
	refused("-Wl,-plugin=/p.so -T%x/y.ld -s -v -Wl,-plugin=/p.so -T%x/y.ld -s -v");
	refused("-z -Wl,-plugin=/p.so -T%x/y.ld -s -v");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_rustc_makes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_options, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_made_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_links, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_targets_linker, set_up_target, tear_down),
		cmocka_unit_test_setup_teardown(test_response_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_inputs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_projects_own, set_up_project, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
