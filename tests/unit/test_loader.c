/* When the loader may be spared LD_LIBRARY_PATH. */
#include "config.h"

#include "client/script/loader.h"
#include "common/fs.h"
#include "tests/unit/toolchain_fixture.h"

static char *program, *dirs, *target;

/* A program that needs these; `symbol` is among its strings. */
static void
put_program(const char *const *needed, const char *symbol)
{
	struct fake_elf f = fake_elf(needed);

	memcpy(f.strings + 200, symbol, strlen(symbol) + 1);
	put("target", "debug/script", &f, sizeof(f));
}

static bool
takes_nothing(void)
{
	return loader_takes_nothing(program, dirs, target);
}

static int
begin(void **state)
{
	static const char *const needed[] = { "libgcc_s.so.1", "libc.so.6", "ld-linux-x86-64.so.2",
		NULL };
	_cleanup_(freep) char *toolchain = NULL;
	int r = setup(state);

	put_program(needed, "dlsym");
	put_text("target", "debug/deps/libmacro-0123.so", "");
	put_text("toolchain", "lib/rustlib/x/lib/libstd-0123.so", "");
	put_text("mine", "lib/libz.so.1", "");
	program = at("target", "debug/script");
	target = at("target", "");
	target[strlen(target) - 1] = '\0';
	toolchain = at("toolchain", ".");
	assert_true(asprintf(&dirs, "%s/debug:%s/debug/deps:%s/gone:%s/lib/rustlib/x/lib:%s/lib",
			    target, target, target, toolchain, toolchain) > 0);
	return r;
}

static int
end(void **state)
{
	free(program);
	free(target);
	free(dirs);
	return teardown(state);
}

static void
programs(void **state)
{
	static const char *const base[] = { "libm.so.6", "libc.so.6", NULL };
	static const char *const other[] = { "libz.so.1", "libc.so.6", NULL };
	static const char *const none[] = { NULL };

	(void)state;
	assert_true(takes_nothing());
	put_program(base, "");
	assert_true(takes_nothing());
	/* what it needs in turn is not known */
	put_program(other, "");
	assert_false(takes_nothing());
	put_program(base, "dlopen");
	assert_false(takes_nothing());
	put_program(base, "dlmopen");
	assert_false(takes_nothing());
	/* static, or no program */
	put_program(none, "");
	assert_false(takes_nothing());
	put_text("target", "debug/script", "#!/bin/sh\n");
	assert_false(takes_nothing());
}

static void
directories(void **state)
{
	static const struct {
		const char *file, *top;
	} found[] = { { "debug/deps/libc.so.6", "debug/deps/libc.so.6" },
		{ "debug/libgcc_s.so.1", "debug/libgcc_s.so.1" },
		{ "debug/glibc-hwcaps/x86-64-v3/libc.so.6", "debug/glibc-hwcaps" },
		{ "debug/deps/tls/x", "debug/deps/tls" } };
	char *own = dirs;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(found); i++) {
		_cleanup_(freep) char *top = at("target", found[i].top);

		put_text("target", found[i].file, "");
		assert_false(takes_nothing());
		assert_int_equal(fs_rm_rf(top), 0);
		assert_true(takes_nothing());
	}
	/* one that is not cargo's: what others take of it is not known */
	dirs = at("mine", "lib");
	assert_false(takes_nothing());
	free(dirs);
	dirs = strdup("target/debug");
	assert_false(takes_nothing());
	free(dirs);
	assert_true(asprintf(&dirs, "%s/$LIB", target) > 0);
	assert_false(takes_nothing());
	free(dirs);
	dirs = own;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(programs, begin, end),
		cmocka_unit_test_setup_teardown(directories, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
