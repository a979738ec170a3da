/* What the tests of toolchain/ share: a directory, files that pass for a toolchain's, and a
 * stand-in for rustc and for rustup's proxy. That is the test's own program: copied into a sysroot
 * that the test makes, it answers -vV and --print sysroot. */
#ifndef DRAY_TESTS_UNIT_TOOLCHAIN_FIXTURE_H
#define DRAY_TESTS_UNIT_TOOLCHAIN_FIXTURE_H

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

#include "common/fs.h"
#include "toolchain/elf.h"
#include "toolchain/toolchain_priv.h"

#define HOST "x86_64-unknown-linux-gnu"
#define OTHER "thumbv7em-none-eabi"
#define STD "lib/rustlib/" HOST "/lib"
#define PROXY_LOG "asked"

static char *dir;

static inline int
setup(void **state)
{
	int r = fs_make_temp_dir("/tmp", "dray-toolchain-", &dir);

	unsetenv("RUSTUP_TOOLCHAIN");
	if (r == 0)
		setenv("RUSTUP_HOME", dir, 1);
	return r;
}

static inline int
teardown(void **state)
{
	int r = fs_rm_rf(dir);

	free(dir);
	return r;
}

/* dir/a/b; the caller frees it */
static inline char *
at(const char *a, const char *b)
{
	char *p;

	assert_true(asprintf(&p, "%s/%s/%s", dir, a, b) > 0);
	return p;
}

static inline void
put(const char *a, const char *b, const void *p, size_t n)
{
	_cleanup_(freep) char *path = at(a, b);

	assert_int_equal(fs_mkdir_parent(path, 0755), 0);
	assert_int_equal(fs_write_atomic(path, p, n, 0755), 0);
}

static inline void
put_text(const char *a, const char *b, const char *text)
{
	put(a, b, text, strlen(text));
}

static inline void
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

static inline struct fake_elf
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

static inline void
put_elf(const char *a, const char *b, const char *n1, const char *n2)
{
	const char *needed[] = { n1, n1 != NULL ? n2 : NULL, "libc.so.6", NULL };
	const char *plain[] = { "libc.so.6", NULL };
	struct fake_elf f = fake_elf(n1 == NULL		 ? plain
				     : needed[1] == NULL ? (const char *[]){ n1, NULL }
							 : needed);

	put(a, b, &f, sizeof(f));
}

/* rustup's layout */
static inline void
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

/* What a stand-in says. Its commit is in a file beside it. */
static inline int
stand_in(int argc, char **argv)
{
	const char *sysroot = getenv("FAKE_SYSROOT"), *log = getenv("FAKE_LOG");
	int fd;

	if (argc == 2 && streq(argv[1], "-vV")) {
		_cleanup_(freep) char *bin = path_dirname(argv[0]);
		_cleanup_(freep) char *file = bin ? path_join(bin, "commit") : NULL;
		_cleanup_(buf_done) struct buf commit = BUF_INIT;

		printf("%s 1.95.0 (x)\nbinary: rustc\nhost: " HOST "\nrelease: 1.95.0\n", "rustc");
		if (file && fs_read_file(file, 4096, &commit) == 0 && buf_add(&commit, "", 1) == 0)
			printf("commit-hash: %s\n", (const char *)commit.p);
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

#endif
