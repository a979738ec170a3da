/* The part of dray-run.so that tells which programs it can be loaded into.
 *
 * The loader of another libc (musl's) ends a program for what this library lacks there; that of
 * programs of another size says so on their stderr. Address sanitizers insist on being the first
 * library. Such programs are started without this one, as all are that it does not stand before;
 * the tracer sees that (script.c).
 *
 * Invariant: of a program that cannot be read nothing changes. Also for the child of a vfork:
 * nothing but the stack is written. */
#include "config.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/preload/run_priv.h"

#define SCRIPT_DEPTH 5 /* as the kernel's */
#define HEADERS 24
#define DYNAMIC 64

/* The loader that this program has; "": none is known. */
static const char *own = "";

static const char *
base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

void
fits_begin(void)
{
	const ElfW(Phdr) *v = (const void *)getauxval(AT_PHDR);
	size_t n = v ? getauxval(AT_PHNUM) : 0;
	uintptr_t bias = 0;

	for (size_t i = 0; i < n; i++)
		if (v[i].p_type == PT_PHDR)
			bias = (uintptr_t)v - v[i].p_vaddr;
	for (size_t i = 0; i < n; i++)
		if (v[i].p_type == PT_INTERP)
			own = base((const char *)(bias + v[i].p_vaddr));
}

/* A text of at most size-1 bytes. */
static bool
text_at(int fd, ElfW(Off) at, char *to, size_t size)
{
	ssize_t n = pread(fd, to, size - 1, (off_t)at);

	to[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool
is_sanitizer(const char *library)
{
	return strncmp(library, "libasan.", strlen("libasan.")) == 0 ||
	       strncmp(library, "libclang_rt.asan", strlen("libclang_rt.asan")) == 0;
}

/* Whether the first library that it needs, by its dynamic segment, is a sanitizer. */
static bool
needs_sanitizer(int fd, const ElfW(Phdr) * v, size_t n, const ElfW(Phdr) * dynamic)
{
	ElfW(Dyn) d[DYNAMIC];
	ssize_t got = pread(fd, d, dynamic->p_filesz < sizeof(d) ? dynamic->p_filesz : sizeof(d),
		(off_t)dynamic->p_offset);
	ElfW(Addr) names = 0, first = 0;
	bool any = false;
	char name[32];

	for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(*d); i++) {
		if (d[i].d_tag == DT_STRTAB)
			names = d[i].d_un.d_ptr;
		if (d[i].d_tag == DT_NEEDED && !any) {
			first = d[i].d_un.d_val;
			any = true;
		}
	}
	for (size_t i = 0; any && i < n; i++)
		if (v[i].p_type == PT_LOAD && names >= v[i].p_vaddr &&
			names - v[i].p_vaddr < v[i].p_filesz)
			return text_at(fd, v[i].p_offset + (names - v[i].p_vaddr) + first, name,
				       sizeof(name)) &&
			       is_sanitizer(name);
	return false;
}

static bool
fits_elf(int fd, const ElfW(Ehdr) * e)
{
	ElfW(Phdr) v[HEADERS];
	char loader[PATH_MAX];
	size_t n = e->e_phnum;

	if (e->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
		return false;
	if (e->e_phentsize != sizeof(*v) || n > HEADERS ||
		pread(fd, v, n * sizeof(*v), (off_t)e->e_phoff) != (ssize_t)(n * sizeof(*v)))
		return true;
	for (size_t i = 0; i < n; i++) {
		if (v[i].p_type == PT_INTERP && *own &&
			text_at(fd, v[i].p_offset, loader, sizeof(loader)) &&
			strcmp(base(loader), own) != 0)
			return false;
		if (v[i].p_type == PT_DYNAMIC && needs_sanitizer(fd, v, n, &v[i]))
			return false;
	}
	return true;
}

/* What is written after "#!", up to a blank. */
static bool
take_interpreter(char *text)
{
	char *at = text + 2;

	at += strspn(at, " \t");
	at[strcspn(at, " \t\n")] = '\0';
	memmove(text, at, strlen(at) + 1);
	return *text == '/';
}

bool
fits(const char *path)
{
	union {
		ElfW(Ehdr) header;
		char text[PATH_MAX];
	} begin;
	int saved = errno;
	bool is = true;

	for (int depth = 0; path && depth < SCRIPT_DEPTH; depth++) {
		int fd = asked_open(path);

		path = NULL;
		if (fd < 0 || !text_at(fd, 0, begin.text, sizeof(begin.text))) {
		} else if (memcmp(begin.text, ELFMAG, SELFMAG) == 0) {
			is = fits_elf(fd, &begin.header);
		} else if (strncmp(begin.text, "#!", 2) == 0 && take_interpreter(begin.text)) {
			path = begin.text;
		}
		if (fd >= 0)
			close(fd);
	}
	errno = saved;
	return is;
}
