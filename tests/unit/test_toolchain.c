/* Toolchains: ELF files read with care, the files of an id, the id itself, and when it is recalled.
 *
 * This program stands in for rustc and for rustup's proxy: copied into a sysroot that the test
 * makes, it answers -vV and --print sysroot. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "toolchain/elf.h"
#include "common/fs.h"
#include "toolchain/toolchain_priv.h"
#include "tests/unit/aged.h"

#define HOST "x86_64-unknown-linux-gnu"
#define OTHER "thumbv7em-none-eabi"
#define STD "lib/rustlib/" HOST "/lib"
#define PROXY_LOG "asked"

static char *dir;

static int
setup(void **state)
{
	int r = fs_make_temp_dir("/tmp", "dray-toolchain-", &dir);

	unsetenv("RUSTUP_TOOLCHAIN");
	if (r == 0)
		setenv("RUSTUP_HOME", dir, 1);
	return r;
}

static int
teardown(void **state)
{
	int r = fs_rm_rf(dir);

	free(dir);
	return r;
}

/* dir/a/b; the caller frees it */
static char *
at(const char *a, const char *b)
{
	char *p;

	assert_true(asprintf(&p, "%s/%s/%s", dir, a, b) > 0);
	return p;
}

static void
put(const char *a, const char *b, const void *p, size_t n)
{
	_cleanup_(freep) char *path = at(a, b);

	assert_int_equal(fs_mkdir_parent(path, 0755), 0);
	assert_int_equal(fs_write_atomic(path, p, n, 0755), 0);
}

static void
put_text(const char *a, const char *b, const char *text)
{
	put(a, b, text, strlen(text));
}

static void
put_self(const char *a, const char *b)
{
	_cleanup_(buf_done) struct buf self = BUF_INIT;

	assert_int_equal(fs_read_file("/proc/self/exe", 256 << 20, &self), 0);
	put(a, b, self.p, self.n);
}

/* A small but honest dynamic ELF file. */
struct fake_elf {
	ElfW(Ehdr) h;
	ElfW(Phdr) load, dynamic;
	ElfW(Dyn) dyn[8];
	char strings[256];
};

static struct fake_elf
fake_elf(const char *const *needed)
{
	struct fake_elf f;
	size_t i, n = 0, at_string = 1;

	memset(&f, 0, sizeof(f));
	memcpy(f.h.e_ident, ELFMAG, SELFMAG);
	f.h.e_ident[EI_CLASS] = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
	f.h.e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB
									 : ELFDATA2MSB;
	f.h.e_machine = EM_X86_64;
	f.h.e_phoff = offsetof(struct fake_elf, load);
	f.h.e_phentsize = sizeof(ElfW(Phdr));
	f.h.e_phnum = 2;
	f.load.p_type = PT_LOAD;
	f.load.p_vaddr = 0x10000;
	f.load.p_filesz = sizeof(f);
	f.dynamic.p_type = PT_DYNAMIC;
	f.dynamic.p_offset = offsetof(struct fake_elf, dyn);
	f.dynamic.p_filesz = sizeof(f.dyn);
	f.dyn[n].d_tag = DT_STRTAB;
	f.dyn[n++].d_un.d_ptr = 0x10000 + offsetof(struct fake_elf, strings);
	f.dyn[n].d_tag = DT_STRSZ;
	f.dyn[n++].d_un.d_val = sizeof(f.strings);
	for (i = 0; needed[i] != NULL; i++) {
		f.dyn[n].d_tag = DT_NEEDED;
		f.dyn[n++].d_un.d_val = at_string;
		memcpy(f.strings + at_string, needed[i], strlen(needed[i]) + 1);
		at_string += strlen(needed[i]) + 1;
	}
	return f;
}

static void
put_elf(const char *a, const char *b, const char *n1, const char *n2)
{
	const char *needed[] = { n1, n1 != NULL ? n2 : NULL, "libc.so.6", NULL };
	const char *plain[] = { "libc.so.6", NULL };
	struct fake_elf f = fake_elf(n1 == NULL		 ? plain
				     : needed[1] == NULL ? (const char *[]){ n1, NULL }
							 : needed);

	put(a, b, &f, sizeof(f));
}

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

/* rustup's layout */
static void
make_sysroot(const char *name)
{
	put_self(name, "bin/rustc");
	put_self(name, "bin/clippy-driver");
	put_text(name, STD "/libcore-1.rlib", "core");
	put_text(name, STD "/libstd-1.rlib", "std");
	put_text(name, STD "/libstd-1.so", "so");
	put_text(name, "lib/rustlib/" HOST "/bin/gcc-ld/ld.lld", "lld");
	put_text(name, "lib/rustlib/etc/gdb.py", "no");
	put_text(name, "lib/libz.so.1", "no");
}

static struct digest
id_of(struct memo *m, const char *name, const char *driver, const char *target)
{
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(freep) char *sysroot = at(name, ".");

	assert_int_equal(toolchain_identify(m, sysroot, driver, target, &t), 0);
	assert_string_equal(t.driver, driver);
	assert_string_equal(t.host, HOST);
	assert_string_equal(t.release, "1.95.0");
	assert_string_equal(t.target, target != NULL ? target : HOST);
	assert_false(ends_with(t.sysroot, "."));
	return t.id;
}

static bool
ids_differ(struct digest a, struct digest b)
{
	return !digest_eq(&a, &b);
}

static void
debian_files(void **state)
{
	_cleanup_(tc_entries_done) struct tc_entries dirs = { NULL, 0, 0 };
	_cleanup_(strv_done) struct strv v = STRV_INIT, outside = STRV_INIT;
	_cleanup_(freep) char *usr = at("usr", ".");
	static const char *const expected[] = {
		"bin/rustc",
		"lib/llvm-14/lib/libLLVM-14.so.1",
		STD "/libcore-1.rlib",
		STD "/libstd-1.so",
		"lib/x86_64-linux-gnu/librustc_driver-1.so",
		"lib/x86_64-linux-gnu/libstd-1.so",
	};
	size_t i;

	/* libraries are found by what asks for them; the many others of /usr are not looked at */
	put_elf("usr", "bin/rustc", "librustc_driver-1.so", "libstd-1.so");
	put_elf("usr", "lib/x86_64-linux-gnu/librustc_driver-1.so", "libLLVM-14.so.1",
		"libstd-1.so");
	put_elf("usr", "lib/x86_64-linux-gnu/libstd-1.so", NULL, NULL);
	put_elf("usr", "lib/x86_64-linux-gnu/libc.so.6", NULL, NULL);
	put_elf("usr", "lib/x86_64-linux-gnu/librustc_driver-2.so", NULL, NULL);
	put_elf("usr", "lib/llvm-14/lib/libLLVM-14.so.1", NULL, NULL);
	put_text("usr", "lib/i386-linux-gnu/libLLVM-14.so.1", "not for this machine");
	put_elf("usr", "lib/llvm-13/lib/libLLVM-13.so.1", NULL, NULL);
	put_text("usr", STD "/libcore-1.rlib", "core");
	put_elf("usr", STD "/libstd-1.so", NULL, NULL);

	assert_int_equal(tc_collect(usr, "rustc", HOST, HOST, &v, &dirs, &outside), 0);
	for (i = 0; i < v.n && i < ARRAY_LEN(expected); i++)
		assert_string_equal(v.v[i], expected[i]);
	assert_int_equal(v.n, ARRAY_LEN(expected));

	assert_int_equal(outside.n, 0);

	/* a library that is elsewhere: what it is cannot be known from this sysroot */
	put_elf("usr", "lib/x86_64-linux-gnu/librustc_driver-1.so", "libLLVM-15.so.1", NULL);
	strv_done(&v);
	assert_int_equal(tc_collect(usr, "rustc", HOST, HOST, &v, &dirs, &outside), 0);
	assert_int_equal(outside.n, 1);
	assert_string_equal(outside.v[0], "libLLVM-15.so.1");
	assert_false(strv_has(&v, "libLLVM-15.so.1"));
	put_text("usr", "bin/rustc", "#!/bin/sh\nexec real-rustc --cfg extra \"$@\"\n");
	assert_int_equal(tc_collect(usr, "rustc", HOST, HOST, &v, &dirs, &outside), -ENOENT);
}

static void
id_depends_on_content(void **state)
{
	struct digest first, clippy, d;

	make_sysroot("a");
	make_sysroot("b");
	first = id_of(NULL, "a", "rustc", NULL);
	clippy = id_of(NULL, "a", "clippy-driver", NULL);
	assert_true(ids_differ(first, clippy));
	/* where it is does not matter, nor what is not part of it */
	assert_false(ids_differ(first, id_of(NULL, "b", "rustc", HOST)));
	put_text("b", "lib/rustlib/etc/gdb.py", "changed");
	put_text("b", "share/doc/x", "changed");
	assert_false(ids_differ(first, id_of(NULL, "b", "rustc", NULL)));

	put_text("b", STD "/libstd-1.rlib", "sTd");
	d = id_of(NULL, "b", "rustc", NULL);
	assert_true(ids_differ(first, d));
	put_text("b", STD "/libstd-1.rlib", "std");
	assert_false(ids_differ(first, id_of(NULL, "b", "rustc", NULL)));
	put_text("b", STD "/extra/deep", "");
	assert_true(ids_differ(first, id_of(NULL, "b", "rustc", NULL)));

	put_text("a", "lib/rustlib/src/rust/library/std.rs", "x");
	d = id_of(NULL, "a", "rustc", NULL);
	assert_true(ids_differ(first, d));
	put_text("a", "lib/rustlib/src/rust/library/std.rs", "y");
	assert_false(ids_differ(d, id_of(NULL, "a", "rustc", NULL)));
}

static void
targets(void **state)
{
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(strv_done) struct strv v = STRV_INIT, files = STRV_INIT;
	_cleanup_(freep) char *sysroot = at("a", "."), *nowhere = at("no", "where");
	struct digest host;

	make_sysroot("a");
	host = id_of(NULL, "a", "rustc", NULL);
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", OTHER, &t), -ENOENT);
	put_text("a", "lib/rustlib/" OTHER "/lib/libcore-2.rlib", "core");
	put_text("a", "lib/rustlib/empty-target/lib/readme", "");
	assert_int_equal(toolchain_list_targets(sysroot, &v), 0);
	assert_int_equal(v.n, 2);
	assert_string_equal(v.v[0], OTHER);
	assert_string_equal(v.v[1], HOST);
	assert_true(ids_differ(host, id_of(NULL, "a", "rustc", OTHER)));
	assert_false(ids_differ(host, id_of(NULL, "a", "rustc", NULL)));
	assert_int_equal(toolchain_list_files(sysroot, "rustc", OTHER, &files), 0);
	assert_true(strv_has(&files, "lib/rustlib/" OTHER "/lib/libcore-2.rlib"));
	assert_true(strv_has(&files, "bin/rustc"));
	assert_false(strv_has(&files, "bin/clippy-driver"));

	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", "empty-target", &t), -ENOENT);
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", "../..", &t), -ENOENT);
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", "", &t), -ENOENT);
	assert_int_equal(toolchain_identify(NULL, sysroot, "/w/t.json", NULL, &t), -ENOENT);
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustdoc", NULL, &t), -ENOENT);
	assert_int_equal(toolchain_identify(NULL, nowhere, "rustc", NULL, &t), -ENOENT);
	assert_null(t.sysroot);
	assert_int_equal(toolchain_list_targets(nowhere, &v), -ENOENT);
}

static void
broken_drivers(void **state)
{
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(freep) char *sysroot = at("a", "."), *driver = at("a", "bin/rustc");

	make_sysroot("a");
	put_text("a", "bin/rustc", "#!/bin/sh\necho 'host: " HOST "'\necho 'release: 1'\n");
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", NULL, &t), -ENOENT);
	put_text("a", "bin/rustc", "#!/bin/sh\necho nothing\n");
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", NULL, &t), -ENOENT);
	put_text("a", "bin/rustc", "#!/bin/sh\necho 'host: ../x'\necho 'release: 1'\n");
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", NULL, &t), -ENOENT);
	put_text("a", "bin/rustc", "#!/bin/sh\nwhile :; do echo 'host: " HOST "'; done\n");
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", NULL, &t), -ENOENT);
	assert_int_equal(unlink(driver), 0);
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", NULL, &t), -ENOENT);
}

/* Until all that is there now is old enough to be remembered. */
static void
wait_until_settled(void)
{
	_cleanup_(freep) char *last = at(".", "last");

	put_text(".", "last", "");
	wait_until_aged(dir, last, 2100);
}

static void
recalled_while_unchanged(void **state)
{
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(freep) char *memo_dir = at("memo", "."), *real = realpath(dir, NULL);
	_cleanup_(freep) char *sysroot = NULL;
	struct digest first, changed;

	make_sysroot("a");
	sysroot = path_join(real, "a");
	assert_int_equal(memo_open(memo_dir, &m), 0);
	/* so young that a change could go unseen: computed, not remembered */
	(void)id_of(m, "a", "rustc", NULL);
	assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), -ENOENT);
	wait_until_settled();
	first = id_of(m, "a", "rustc", NULL);
	assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), 0);
	assert_true(digest_eq(&first, &t.id));
	assert_string_equal(t.sysroot, sysroot);
	assert_string_equal(t.target, HOST);
	assert_false(ids_differ(first, id_of(m, "a", "rustc", NULL)));
	toolchain_done(&t);
	assert_int_equal(tc_recall(m, sysroot, "clippy-driver", NULL, &t), -ENOENT);
	assert_int_equal(tc_recall(m, sysroot, "rustc", OTHER, &t), -ENOENT);

	/* a file added, one changed, rust-src installed: each is seen */
	put_text("a", STD "/libnew-1.rlib", "new");
	changed = id_of(m, "a", "rustc", NULL);
	assert_true(ids_differ(first, changed));
	wait_until_settled();
	assert_false(ids_differ(changed, id_of(m, "a", "rustc", NULL)));
	assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), 0);
	toolchain_done(&t);
	put_text("a", "lib/rustlib/src/rust/library/std.rs", "x");
	assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), -ENOENT);
	assert_true(ids_differ(changed, id_of(m, "a", "rustc", NULL)));
}

/* However young it is, and without a memo. */
static void
holds_while_unchanged(void **state)
{
	static const struct timespec old[2] = { { 1, 0 }, { 1, 0 } };
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(toolchain_done) struct toolchain t = { 0 }, again = { 0 }, recalled = { 0 };
	_cleanup_(freep) char *memo_dir = at("memo", "."), *sysroot = at("a", ".");
	_cleanup_(freep) char *driver = at("a", "bin/rustc");

	make_sysroot("a");
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", NULL, &t), 0);
	assert_true(toolchain_holds(&t));
	put_text("a", "share/other", "no part of it");
	assert_true(toolchain_holds(&t));
	/* touched: it must be looked at again, and is the same */
	assert_int_equal(utimensat(AT_FDCWD, driver, old, 0), 0);
	assert_false(toolchain_holds(&t));
	wait_until_settled();
	assert_int_equal(memo_open(memo_dir, &m), 0);
	assert_int_equal(toolchain_identify(m, sysroot, "rustc", NULL, &again), 0);
	assert_false(ids_differ(t.id, again.id));
	assert_int_equal(toolchain_identify(m, sysroot, "rustc", NULL, &recalled), 0);
	assert_true(toolchain_holds(&again) && toolchain_holds(&recalled));
	put_text("a", STD "/libmore.rlib", "added");
	assert_false(toolchain_holds(&again) || toolchain_holds(&recalled));
}

static void
spoiled_notes(void **state)
{
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(freep) char *memo_dir = at("memo", "."), *real = realpath(dir, NULL),
			      *name = NULL;
	_cleanup_(freep) char *sysroot = NULL;
	_cleanup_(buf_done) struct buf note = BUF_INIT;
	size_t n;

	make_sysroot("a");
	sysroot = path_join(real, "a");
	assert_true(asprintf(&name, "toolchain:%s:rustc:", sysroot) > 0);
	assert_int_equal(memo_open(memo_dir, &m), 0);
	wait_until_settled();
	(void)id_of(m, "a", "rustc", NULL);
	assert_int_equal(memo_get_note(m, name, &note), 0);
	for (n = 0; n < note.n; n++) {
		assert_int_equal(memo_set_note(m, name, note.p, n), 0);
		assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), -ENOENT);
	}
	assert_int_equal(buf_add(&note, "x", 1), 0);
	assert_int_equal(memo_set_note(m, name, note.p, note.n), 0);
	assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), -ENOENT);
	note.n--;
	memset(note.p + 24, 0xff, 8); /* the length of the host's name */
	assert_int_equal(memo_set_note(m, name, note.p, note.n), 0);
	assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), -ENOENT);
	assert_null(t.sysroot);
}

/* A note of the sysroot a that stands on this, as it is now. */
static bool
holds_by(const char *name)
{
	_cleanup_(toolchain_done) struct toolchain t = {
		.sysroot = at("a", "."), .host = strdup(HOST), .release = strdup("1.95.0")
	};
	_cleanup_(freep) char *path = *name == '/' ? strdup(name) : path_join(t.sysroot, name);
	_cleanup_(tc_entries_done) struct tc_entries entries = { 0 };
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(tc_entries_add(&entries, name, &st), 0);
	assert_int_equal(tc_note(&t, false, &entries, &t.seal), 0);
	return toolchain_holds(&t);
}

/* Whatever stands there. */
static void
nothing_outside(void **state)
{
	_cleanup_(freep) char *absolute = at("a", "bin/rustc");
	const char *const outside[] = { "/", "..", ".", "../x", "./bin", "bin/../../x",
		"bin/../bin/rustc", "bin/./rustc", "bin/..", absolute };

	make_sysroot("a");
	put_text(".", "x", "x");
	assert_true(holds_by("bin"));
	assert_true(holds_by("bin/rustc"));
	for (size_t i = 0; i < ARRAY_LEN(outside); i++)
		if (holds_by(outside[i]))
			fail_msg("%s is looked at", outside[i]);
}

/* How often the proxy was asked. */
static size_t
asked(void)
{
	_cleanup_(freep) char *log = at(".", PROXY_LOG);
	struct stat st;

	return stat(log, &st) == 0 ? (size_t)st.st_size : 0;
}

static int
find(struct memo *m, const char *compiler, char **ret_sysroot)
{
	_cleanup_(freep) char *exe = NULL;
	int r;

	free(*ret_sysroot);
	*ret_sysroot = NULL;
	r = toolchain_find_sysroot(m, compiler, ret_sysroot, &exe);
	if (r == 0)
		assert_true(starts_with(exe, *ret_sysroot) && access(exe, X_OK) == 0);
	else
		assert_null(exe);
	return r;
}

static void
find_beside(void **state)
{
	_cleanup_(freep) char *found = NULL, *rustc = at("a", "bin/rustc"), *path = at("a", "bin");
	_cleanup_(freep) char *link = at("links", "rustc"), *other = at("a", "bin/rustdoc");
	_cleanup_(freep) char *real = realpath(dir, NULL), *sysroot = path_join(real, "a");
	_cleanup_(freep) char *old = strdup(getenv("PATH")), *script = at("s", "rustc");

	make_sysroot("a");
	assert_int_equal(find(NULL, rustc, &found), 0);
	assert_string_equal(found, sysroot);
	put_text("links", "x", "");
	assert_int_equal(symlink(rustc, link), 0);
	assert_int_equal(find(NULL, link, &found), 0);
	assert_string_equal(found, sysroot);
	assert_int_equal(setenv("PATH", path, 1), 0);
	assert_int_equal(find(NULL, "clippy-driver", &found), 0);
	assert_string_equal(found, sysroot);
	assert_int_equal(find(NULL, "rustdoc", &found), -ENOENT);
	assert_int_equal(setenv("PATH", old, 1), 0);

	put_self("a", "bin/rustdoc");
	assert_int_equal(find(NULL, other, &found), -ENOENT);
	assert_int_equal(find(NULL, "/nonexistent/rustc", &found), -ENOENT);
	assert_int_equal(find(NULL, "", &found), -ENOENT);
	put_text("s", "rustc", "#!/bin/sh\necho /nowhere\n");
	assert_int_equal(chmod(script, 0755), 0);
	assert_int_equal(find(NULL, script, &found), -ENOENT);
	assert_null(found);
}

/* A script that starts the compiler is asked, and then known again; it counts by itself. */
static void
find_by_script(void **state)
{
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(freep) char *found = NULL, *script = at("s", "rustc"),
			      *memo_dir = at("memo", ".");
	_cleanup_(freep) char *rustc = at("a", "bin/rustc"), *real = realpath(dir, NULL);
	_cleanup_(freep) char *sysroot = path_join(real, "a"), *text = NULL, *launcher = NULL;
	struct stat st;

	make_sysroot("a");
	assert_true(asprintf(&text, "#!/bin/sh\necho x >>%s/asked\necho %s\n", dir, sysroot) > 0);
	put_text("s", "rustc", text);
	assert_int_equal(chmod(script, 0755), 0);
	assert_int_equal(memo_open(memo_dir, &m), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(find(m, script, &found), 0);
		assert_string_equal(found, sysroot);
	}
	free(text);
	text = at(".", "asked");
	assert_int_equal(stat(text, &st), 0);
	assert_int_equal(st.st_size, 2);
	launcher = toolchain_launcher(script);
	assert_string_equal(launcher, script);
	assert_null(toolchain_launcher(rustc));
}

static void
find_by_proxy(void **state)
{
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(freep) char *found = NULL, *memo_dir = at("memo", "."),
			      *rustc = at("usr/bin", "rustc");
	_cleanup_(freep) char *log = at(".", PROXY_LOG), *own = NULL, *linked = NULL,
			      *real = realpath(dir, NULL);

	/* another compiler's rustlib beside the proxy must not be taken for it */
	make_sysroot("toolchains/one");
	make_sysroot("elsewhere/mine");
	put_self("usr", "bin/rustup");
	put_text("usr", STD "/libcore-1.rlib", "another");
	assert_int_equal(symlink("rustup", rustc), 0);
	own = path_join(real, "toolchains/one");
	linked = path_join(real, "elsewhere/mine");
	assert_int_equal(memo_open(memo_dir, &m), 0);
	setenv("FAKE_LOG", log, 1);

	/* without RUSTUP_TOOLCHAIN it is asked each time */
	setenv("FAKE_SYSROOT", own, 1);
	assert_int_equal(find(m, rustc, &found), 0);
	assert_string_equal(found, own);
	assert_int_equal(find(m, rustc, &found), 0);
	assert_int_equal(asked(), 2);
	/* with it, once */
	setenv("RUSTUP_TOOLCHAIN", "one", 1);
	assert_int_equal(find(m, rustc, &found), 0);
	assert_int_equal(asked(), 3);
	assert_int_equal(find(m, rustc, &found), 0);
	assert_string_equal(found, own);
	assert_int_equal(asked(), 3);
	/* settings or the proxy itself changed */
	put_text(".", "settings.toml", "version = \"12\"\n");
	assert_int_equal(find(m, rustc, &found), 0);
	assert_int_equal(asked(), 4);
	put_self("usr", "bin/rustup");
	assert_int_equal(find(m, rustc, &found), 0);
	assert_int_equal(asked(), 5);
	/* a linked toolchain can be linked elsewhere any time */
	setenv("RUSTUP_TOOLCHAIN", "mine", 1);
	setenv("FAKE_SYSROOT", linked, 1);
	assert_int_equal(find(m, rustc, &found), 0);
	assert_string_equal(found, linked);
	assert_int_equal(find(m, rustc, &found), 0);
	assert_int_equal(asked(), 7);

	/* answers that are none */
	setenv("RUSTUP_TOOLCHAIN", "bad", 1);
	setenv("FAKE_SYSROOT", "relative/path", 1);
	assert_int_equal(find(m, rustc, &found), -ENOENT);
	setenv("FAKE_SYSROOT", "/nonexistent/sysroot", 1);
	assert_int_equal(find(m, rustc, &found), -ENOENT);
	setenv("FAKE_SYSROOT", dir, 1);
	assert_int_equal(find(m, rustc, &found), -ENOENT);
	unsetenv("FAKE_SYSROOT");
	assert_int_equal(find(m, rustc, &found), -ENOENT);
}

/* The compiler of this machine, when there is one. */
static void
real_compiler(void **state)
{
	_cleanup_(toolchain_done) struct toolchain a = { 0 }, b = { 0 };
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(freep) char *sysroot = NULL, *exe = NULL, *memo_dir = at("memo", ".");
	_cleanup_(strv_done) struct strv v = STRV_INIT, files = STRV_INIT, own = STRV_INIT;

	unsetenv("RUSTUP_HOME");
	assert_int_equal(memo_open(memo_dir, &m), 0);
	if (toolchain_find_sysroot(m, "rustc", &sysroot, &exe) < 0)
		skip();
	assert_int_equal(toolchain_identify(m, sysroot, "rustc", NULL, &a), 0);
	assert_int_equal(toolchain_identify(m, sysroot, "rustc", a.host, &b), 0);
	assert_true(digest_eq(&a.id, &b.id));
	assert_int_equal(toolchain_list_targets(sysroot, &v), 0);
	assert_true(strv_has(&v, a.host));
	assert_int_equal(toolchain_list_files(sysroot, "rustc", NULL, &files), 0);
	assert_true(files.n > 10 && files.n < 1000);
	assert_int_equal(toolchain_list_own_files(&b, NULL, &own), 0);
	assert_int_equal(own.n, files.n);
	for (size_t i = 0; i < own.n; i++)
		assert_string_equal(own.v[i], files.v[i]);
	/* from its seal, and without one */
	strv_done(&own);
	assert_int_equal(tc_sealed_files(&b, &own), 0);
	assert_int_equal(own.n, files.n);
	for (size_t n = 0; n < b.seal.n; n += 1 + n / 16) {
		struct toolchain cut = b;
		struct strv none = STRV_INIT;

		cut.seal.n = n;
		assert_int_equal(tc_sealed_files(&cut, &none), -ENOENT);
		assert_int_equal(none.n, 0);
	}
	strv_done(&own);
	buf_done(&b.seal);
	assert_int_equal(toolchain_list_own_files(&b, NULL, &own), 0);
	assert_int_equal(own.n, files.n);
	toolchain_done(&b);
	assert_int_equal(tc_recall(m, a.sysroot, "rustc", NULL, &b), 0);
	assert_true(digest_eq(&a.id, &b.id));
}

/* What a stand-in says. */
static int
stand_in(int argc, char **argv)
{
	const char *sysroot = getenv("FAKE_SYSROOT"), *log = getenv("FAKE_LOG");
	int fd;

	if (argc == 2 && streq(argv[1], "-vV")) {
		printf("%s 1.95.0 (x)\nbinary: rustc\nhost: " HOST "\nrelease: 1.95.0\n", "rustc");
		return 0;
	}
	if (argc != 3 || !streq(argv[1], "--print") || sysroot == NULL || log == NULL)
		return 1;
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1)
		return 1;
	close(fd);
	printf("%s\n", sysroot);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(elf_good, setup, teardown),
		cmocka_unit_test_setup_teardown(elf_symbols, setup, teardown),
		cmocka_unit_test_setup_teardown(elf_sections, setup, teardown),
		cmocka_unit_test_setup_teardown(elf_bad, setup, teardown),
		cmocka_unit_test_setup_teardown(debian_files, setup, teardown),
		cmocka_unit_test_setup_teardown(id_depends_on_content, setup, teardown),
		cmocka_unit_test_setup_teardown(targets, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_drivers, setup, teardown),
		cmocka_unit_test_setup_teardown(recalled_while_unchanged, setup, teardown),
		cmocka_unit_test_setup_teardown(holds_while_unchanged, setup, teardown),
		cmocka_unit_test_setup_teardown(spoiled_notes, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(find_beside, setup, teardown),
		cmocka_unit_test_setup_teardown(find_by_script, setup, teardown),
		cmocka_unit_test_setup_teardown(find_by_proxy, setup, teardown),
		cmocka_unit_test_setup_teardown(real_compiler, setup, teardown),
	};

	if (argc > 1)
		return stand_in(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
