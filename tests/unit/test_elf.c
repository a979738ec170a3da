/* ELF files are read with care. */
#include "config.h"

#include "tests/unit/toolchain_fixture.h"

static int
needed_of(const struct fake_elf *f, size_t n, struct strv *ret)
{
	_cleanup_(freep) char *path = at("elf", "x");
	unsigned machine = 0;
	int r;

	put("elf", "x", f, n);
	strv_done(ret);
	r = elf_needed(path, &machine, ret);
	if (r == 0)
		assert_int_equal(machine, EM_X86_64);
	return r;
}

static void
elf_good(void **state)
{
	static const char *const names[] = { "librustc_driver-0.so", "libc.so.6", NULL };
	_cleanup_(strv_done) struct strv v = STRV_INIT;
	struct fake_elf f = fake_elf(names);
	unsigned machine;

	assert_int_equal(needed_of(&f, sizeof(f), &v), 0);
	assert_int_equal(v.n, 2);
	assert_string_equal(v.v[0], names[0]);
	assert_string_equal(v.v[1], names[1]);
	f.h.e_phnum = 1; /* static: no dynamic section */
	assert_int_equal(needed_of(&f, sizeof(f), &v), 0);
	assert_int_equal(v.n, 0);
	f.h.e_phnum = 0;
	assert_int_equal(needed_of(&f, sizeof(f), &v), 0);
	/* a real one */
	assert_int_equal(elf_needed("/proc/self/exe", &machine, &v), 0);
	assert_true(strv_has(&v, "libc.so.6"));
}

static void
elf_symbols(void **state)
{
	static const char *const names[] = { "libone.so.1", "environ", NULL };
	struct fake_elf f = fake_elf(names);
	_cleanup_(freep) char *path = at("elf", "x");

	(void)state;
	assert_int_equal(elf_uses_symbol("/proc/self/exe", "memcpy"), 1);
	assert_int_equal(elf_uses_symbol("/proc/self/exe", "emcpy"), 1);
	assert_int_equal(elf_uses_symbol("/proc/self/exe", "memcp"), 0);
	assert_int_equal(elf_uses_symbol("/nowhere", "memcpy"), -ENOENT);
	assert_int_equal(elf_uses_symbol("/etc/passwd", "memcpy"), -ENOEXEC);
	/* a name that no relocation leads to; this file says nothing of symbols at all */
	put("elf", "x", &f, sizeof(f));
	assert_int_equal(elf_uses_symbol(path, "environ"), -EBADMSG);
	assert_int_equal(elf_uses_symbol(path, "malloc"), 0);
}

static void
elf_sections(void **state)
{
	static const char *const names[] = { "liba.so", NULL };
	struct fake_elf f = fake_elf(names);
	_cleanup_(freep) char *path = at("elf", "x");

	assert_int_equal(elf_has_section("/proc/self/exe", ".text"), 1);
	assert_int_equal(elf_has_section("/proc/self/exe", ".tex"), 0);
	assert_int_equal(elf_has_section("/nowhere", ".text"), -ENOENT);
	assert_int_equal(elf_has_section("/etc/passwd", ".text"), -ENOEXEC);
	put("elf", "x", &f, sizeof(f)); /* it has none */
	assert_int_equal(elf_has_section(path, ".text"), 0);
	f.h.e_shnum = 3;
	f.h.e_shentsize = sizeof(ElfW(Shdr));
	f.h.e_shstrndx = 3;
	put("elf", "x", &f, sizeof(f));
	assert_int_equal(elf_has_section(path, ".text"), -EBADMSG);
	f.h.e_shstrndx = 1;
	f.h.e_shoff = sizeof(f) - 8;
	put("elf", "x", &f, sizeof(f));
	assert_int_equal(elf_has_section(path, ".text"), -EBADMSG);
}

static void
elf_names_of_variants(void **state)
{
	(void)state;
	assert_true(elf_is_variant("glibc-hwcaps/x86-64-v3", 12));
	assert_true(elf_is_variant("tls", 3));
	assert_false(elf_is_variant("tlsx", 4));
	assert_false(elf_is_variant("tl", 2));
	assert_false(elf_is_variant("", 0));
}

static void
elf_bad(void **state)
{
	static const char *const names[] = { "liba.so", NULL };
	_cleanup_(strv_done) struct strv v = STRV_INIT;
	const struct fake_elf good = fake_elf(names);
	struct fake_elf f = good;
	size_t n;

	for (n = 0; n < offsetof(struct fake_elf, strings); n++)
		assert_true(needed_of(&f, n, &v) < 0);
	assert_int_equal(needed_of(&f, 4, &v), -ENOEXEC);
	f.h.e_ident[EI_CLASS] ^= 3;
	assert_int_equal(needed_of(&f, sizeof(f), &v), -ENOEXEC);
	f = good;
	f.h.e_phoff = (ElfW(Off)) - 8;
	assert_int_equal(needed_of(&f, sizeof(f), &v), -EBADMSG);
	f = good;
	f.h.e_phnum = 0xffff;
	assert_int_equal(needed_of(&f, sizeof(f), &v), -EBADMSG);
	f = good;
	f.h.e_phentsize = 1;
	assert_int_equal(needed_of(&f, sizeof(f), &v), -EBADMSG);
	f = good;
	f.dynamic.p_filesz = (ElfW(Xword)) - 1;
	assert_int_equal(needed_of(&f, sizeof(f), &v), -EBADMSG);
	f = good;
	f.dynamic.p_offset = (ElfW(Off)) - 1;
	assert_int_equal(needed_of(&f, sizeof(f), &v), -EBADMSG);
	f = good;
	f.dyn[0].d_un.d_ptr = 0x5;
	assert_int_equal(needed_of(&f, sizeof(f), &v), -EBADMSG);
	f = good;
	f.dyn[0].d_tag = 99; /* no string table */
	assert_int_equal(needed_of(&f, sizeof(f), &v), -EBADMSG);
	f = good;
	f.dyn[2].d_un.d_val = sizeof(f.strings); /* beyond it */
	assert_int_equal(needed_of(&f, sizeof(f), &v), -EBADMSG);
	f = good;
	f.dyn[2].d_un.d_val = (ElfW(Xword)) - 1;
	assert_int_equal(needed_of(&f, sizeof(f), &v), -EBADMSG);
	f = good;
	memset(f.strings, 'x', sizeof(f.strings)); /* no end */
	assert_int_equal(needed_of(&f, sizeof(f), &v), -EBADMSG);
	f = good;
	f.load.p_offset = (ElfW(Off)) - 0x1000;
	assert_true(needed_of(&f, sizeof(f), &v) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(elf_good, setup, teardown),
		cmocka_unit_test_setup_teardown(elf_symbols, setup, teardown),
		cmocka_unit_test_setup_teardown(elf_sections, setup, teardown),
		cmocka_unit_test(elf_names_of_variants),
		cmocka_unit_test_setup_teardown(elf_bad, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
