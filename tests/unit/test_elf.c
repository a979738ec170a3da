/* ELF files are read with care. */
#include "config.h"

#include "tests/unit/toolchain_fixture.h"
#include "worker/sandbox/sysroot.h"

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

/* Files of a toolchain that a client gave, n of them, that each ask for four libraries. What is
 * said of it. */
static char *
asks_for(const char *given, size_t n, bool same)
{
	_cleanup_(freep) char *state = at("state", "."), *top = at(given, "."),
			      *first = at(given, "0"), *base = NULL;
	_cleanup_(strv_done) struct strv left = STRV_INIT;
	struct sysroot s;
	char *why = NULL;

	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *link_at = NULL;
		char file[32], name[4][32];
		const char *const names[] = { name[0], name[1], name[2], name[3], NULL };
		struct fake_elf f;

		for (size_t k = 0; k < 4; k++)
			snprintf(name[k], sizeof(name[k]), "libno%zu.so", (same ? 0 : i * 4) + k);
		snprintf(file, sizeof(file), "%zu", i);
		link_at = at(given, file);
		f = fake_elf(names);
		if (same && i > 0)
			assert_int_equal(link(first, link_at), 0);
		else
			put(given, file, &f, sizeof(f));
	}
	assert_true(sysroot_prepare_foreign(state, top, &s, &why) < 0);
	assert_non_null(why);
	/* and nothing stays of it */
	base = at("state", "base");
	assert_int_equal(fs_list_dir(base, &left), 0);
	assert_int_equal(left.n, 0);
	return why;
}

static void
needed_is_bounded(void **state)
{
	_cleanup_(freep) char *few = asks_for("few", 300, true),
			      *many = asks_for("many", 300, false),
			      *often = asks_for("often", 4100, true);

	(void)state;
	assert_non_null(strstr(few, "lacks"));
	assert_non_null(strstr(many, "too many libraries"));
	assert_non_null(strstr(often, "too many libraries"));
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
		cmocka_unit_test_setup_teardown(needed_is_bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
