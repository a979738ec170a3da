/* Invariant: where it is not known what a program asks for, it is taken to ask for all. */
#include "config.h"

#include "trace/program.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/process/session.h"
#include "trace/drivers.h"

#define HEAD 4096
#define NAME_LENGTH_MAX 128
#define CONF_MAX 65536

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#elif defined(__riscv)
#define OUR_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define OUR_MACHINE EM_PPC64
#elif defined(__s390x__)
#define OUR_MACHINE EM_S390
#else
#define OUR_MACHINE EM_NONE
#endif

/* ---- the file */

/* "#!", blanks, a path, and maybe one argument. */
static void
read_script(const char *head, size_t n, struct program *ret)
{
	const char *nl = memchr(head, '\n', n);
	const char *end = nl ? nl : head + n, *p = head + 2, *q;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	for (q = p; q < end && *q != ' ' && *q != '\t' && *q != '\r' && *q != '\0'; q++)
		;
	if (q == p)
		return;
	ret->form = PROGRAM_SCRIPT;
	memcpy(ret->interpreter, p, (size_t)(q - p));
	ret->interpreter[q - p] = '\0';
}

static int
read_elf(int fd, const char *head, size_t n, struct program *ret)
{
	Elf64_Ehdr e;
	Elf64_Phdr p;

	ret->form = PROGRAM_FOREIGN;
	if (n < sizeof(e))
		return 0;
	memcpy(&e, head, sizeof(e));
	if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_machine != OUR_MACHINE ||
		e.e_phentsize != sizeof(p))
		return 0;
	ret->form = PROGRAM_STATIC;
	for (unsigned i = 0; i < e.e_phnum; i++) {
		if (pread(fd, &p, sizeof(p), (off_t)(e.e_phoff + i * sizeof(p))) !=
			(ssize_t)sizeof(p))
			return -EIO;
		if (p.p_type != PT_INTERP || p.p_filesz < 2 || p.p_filesz > PATH_MAX)
			continue;
		if (pread(fd, ret->interpreter, p.p_filesz, (off_t)p.p_offset) !=
				(ssize_t)p.p_filesz ||
			ret->interpreter[p.p_filesz - 1] != '\0')
			return -EIO;
		ret->form = PROGRAM_DYNAMIC;
		break;
	}
	return 0;
}

int
program_read(const char *path, struct program *ret)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char head[HEAD];
	ssize_t n;

	ret->form = PROGRAM_NONE;
	ret->interpreter[0] = '\0';
	if (fd < 0)
		return -errno;
	n = pread(fd, head, sizeof(head), 0);
	if (n < 0)
		return -errno;
	if (n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0)
		return read_elf(fd, head, (size_t)n, ret);
	if (n > 2 && head[0] == '#' && head[1] == '!')
		read_script(head, (size_t)n, ret);
	/* what binfmt_misc is known to be used for: Windows, Java and WebAssembly */
	else if (n >= 4 &&
		 (memcmp(head, "MZ", 2) == 0 || memcmp(head, "\xca\xfe\xba\xbe", 4) == 0 ||
			 memcmp(head, "\0asm", 4) == 0))
		ret->form = PROGRAM_FOREIGN;
	return 0;
}

/* ---- its name */

/* Programs that are known to ask for variables by name. */
static const struct known {
	const char *name, *class;
} known[] = { { "ar", "linker" }, { "as", "linker" }, { "c++", "linker" }, { "cc", "linker" },
	{ "cc1", "linker" }, { "cc1plus", "linker" }, { "ccache", "ccache" }, { "clang", "linker" },
	{ "clang++", "linker" }, { "collect2", "linker" }, { "cpp", "linker" },
	{ "distcc", "distcc" }, { "g++", "linker" }, { "gcc", "linker" }, { "gcc-ar", "linker" },
	{ "gcc-nm", "linker" }, { "gcc-ranlib", "linker" }, { "git", "git" }, { "gold", "linker" },
	{ "icecc", "icecc" }, { "ld", "linker" }, { "ld.bfd", "linker" }, { "ld.gold", "linker" },
	{ "ld.lld", "linker" }, { "ld.mold", "linker" }, { "ld64.lld", "linker" },
	{ "lld", "linker" }, { "llvm-ar", "linker" }, { "lto-wrapper", "linker" },
	{ "lto1", "linker" }, { "mold", "linker" }, { "nm", "linker" }, { "objcopy", "linker" },
	{ "ranlib", "linker" }, { "rust-lld", "linker" }, { "strip", "linker" },
	{ "wasm-ld", "linker" }, { "wild", "linker" } };

const char *
program_class(const char *path, enum program_form form)
{
	_cleanup_(freep) char *real = realpath(path, NULL);
	char name[DRIVERS_NAME_MAX];

	if (form != PROGRAM_DYNAMIC && form != PROGRAM_STATIC)
		return "all";
	drivers_plain_name(real ? real : path, name);
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (streq(known[i].name, name))
			return known[i].class;
	return "all";
}

bool
program_is_fickle(const char *path)
{
	static const char *const names[] = { "chronyc", "date", "df", "du", "free", "hostid",
		"hostname", "hwclock", "last", "mcookie", "ps", "shuf", "stat", "timedatectl",
		"top", "uptime", "uuidgen", "vmstat", "w", "who" };
	const char *base = path_basename(path);

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(base, names[i]))
			return true;
	return false;
}

static bool
has_text(const char *text, size_t n, const char *what)
{
	return memmem(text, n, what, strlen(what)) != NULL;
}

/* A program's name; one that ends in '*' stands for all that begin so. */
static bool
is_named(const char *base, const char *name)
{
	size_t k = strlen(name);

	return name[k - 1] == '*' ? strncmp(base, name, k - 1) == 0 : streq(base, name);
}

/* find compares times of files with now; tar writes such a time; mawk's rand() begins with the
 * time, which mawk asks for whether it is used or not. Python seeds its `random` wherever a module
 * needs it, as it does its hashes; a script that gives a seed knows why. */
bool
program_is_fickle_with(const char *path, const char *text, size_t n)
{
	static const struct {
		const char *program, *text;
		bool anywhere; /* or at the beginning */
	} rows[] = {
		{ "find", "-amin", false },
		{ "find", "-atime", false },
		{ "find", "-cmin", false },
		{ "find", "-ctime", false },
		{ "find", "-daystart", false },
		{ "find", "-mmin", false },
		{ "find", "-mtime", false },
		{ "find", "-newerat", false },
		{ "find", "-newerct", false },
		{ "find", "-newermt", false },
		{ "find", "-used", false },
		{ "bash", "SRANDOM", true },
		{ "mawk", "rand(", true },
		{ "mawk", "rand (", true },
		/* when it began, which it asks for in any case; and how old a file is, by that */
		{ "perl*", "$^T", true },
		{ "perl*", "$BASETIME", true },
		{ "perl*", "-M $", true },
		{ "perl*", "-M \"", true },
		{ "python*", "from random import", true },
		{ "python*", "import random", true },
		{ "tar", "--after-date", false },
		{ "tar", "--mtime", false },
		{ "tar", "--newer", false },
		{ "tar", "-N", false },
	};
	const char *base = path_basename(path);

	if (is_named(base, "python*") && has_text(text, n, "seed("))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t k = strlen(rows[i].text);

		if (is_named(base, rows[i].program) && n >= k &&
			(rows[i].anywhere ? has_text(text, n, rows[i].text)
					  : memcmp(text, rows[i].text, k) == 0))
			return true;
	}
	return false;
}

/* ---- caches of drivers */

static const char *
env_get(const struct buf *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < env->n; i += strlen((const char *)env->p + i) + 1) {
		const char *e = (const char *)env->p + i;

		if (strncmp(e, name, n) == 0 && e[n] == '=' && e[n + 1])
			return e + n + 1;
	}
	return NULL;
}

/* A directory that everybody uses is nobody's cache. */
static int
add_dir(struct strv *dirs, const char *dir, const char *below)
{
	static const char *const wide[] = { "/", "/etc", "/home", "/lib", "/opt", "/root", "/srv",
		"/tmp", "/usr", "/var" };
	_cleanup_(freep) char *path = NULL, *real = NULL;
	int r;

	if (!dir || *dir != '/')
		return 0;
	path = below ? path_join(dir, below) : strdup(dir);
	if (!path)
		return -ENOMEM;
	for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(wide); i++)
		if (streq(path, wide[i]))
			return 0;
	if (!path_is_normal(path) || strv_has(dirs, path))
		return 0;
	r = strv_add(dirs, path);
	real = realpath(path, NULL);
	if (r == 0 && real && !strv_has(dirs, real))
		r = strv_add(dirs, real);
	return r;
}

/* cache_dir and temporary_dir in a ccache.conf. */
static int
add_conf(struct strv *dirs, const char *dir, const char *name)
{
	_cleanup_(freep) char *path = dir ? path_join(dir, name) : NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *save = NULL, *line;
	int r = 0;

	if (!path || fs_read_file(path, CONF_MAX, &b) < 0 || buf_add(&b, "", 1) < 0)
		return 0;
	for (line = strtok_r((char *)b.p, "\n", &save); r == 0 && line;
		line = strtok_r(NULL, "\n", &save)) {
		char key[32], value[PATH_MAX];

		if (sscanf(line, " %31[a-z_] = %4095s", key, value) == 2 &&
			(streq(key, "cache_dir") || streq(key, "temporary_dir")))
			r = add_dir(dirs, value, NULL);
	}
	return r;
}

static const struct cache_dir {
	const char *program;
	const char *var, *below; /* below: what is added to the variable's value */
} cache_dirs[] = { { "ccache", "CCACHE_DIR", NULL }, { "ccache", "CCACHE_TEMPDIR", NULL },
	{ "ccache", "XDG_CACHE_HOME", "ccache" }, { "ccache", "HOME", ".cache/ccache" },
	{ "ccache", "HOME", ".ccache" }, { "ccache", "XDG_RUNTIME_DIR", "ccache-tmp" },
	{ "distcc", "DISTCC_DIR", NULL }, { "distcc", "HOME", ".distcc" },
	{ "sccache", "SCCACHE_DIR", NULL }, { "sccache", "XDG_CACHE_HOME", "sccache" },
	{ "sccache", "HOME", ".cache/sccache" }, { "zig", "ZIG_GLOBAL_CACHE_DIR", NULL },
	{ "zig", "ZIG_LOCAL_CACHE_DIR", NULL }, { "zig", "XDG_CACHE_HOME", "zig" },
	{ "zig", "HOME", ".cache/zig" } };

bool
program_keeps_cache(const char *path)
{
	_cleanup_(freep) char *real = realpath(path, NULL);
	char name[DRIVERS_NAME_MAX];

	drivers_plain_name(real ? real : path, name);
	for (size_t i = 0; i < ARRAY_LEN(cache_dirs); i++)
		if (streq(cache_dirs[i].program, name))
			return true;
	return false;
}

int
program_cache_dirs(const char *path, const struct buf *env, struct strv *dirs)
{
	_cleanup_(freep) char *real = realpath(path, NULL);
	char name[DRIVERS_NAME_MAX];
	int r = 0;

	drivers_plain_name(real ? real : path, name);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(cache_dirs); i++)
		if (streq(cache_dirs[i].program, name))
			r = add_dir(dirs, env_get(env, cache_dirs[i].var), cache_dirs[i].below);
	if (r < 0 || !streq(name, "ccache"))
		return r;
	r = add_conf(dirs, env_get(env, "XDG_CONFIG_HOME"), "ccache/ccache.conf");
	if (r == 0)
		r = add_conf(dirs, env_get(env, "HOME"), ".config/ccache/ccache.conf");
	if (r == 0)
		r = add_conf(dirs, env_get(env, "CCACHE_DIR"), "ccache.conf");
	return r < 0 ? r : add_conf(dirs, "/etc", "ccache.conf");
}

/* ---- its text */

void
program_names(const char *text, size_t n, void (*found)(void *arg, const char *name), void *arg)
{
	char name[NAME_LENGTH_MAX];

	for (size_t i = 0; i < n;) {
		size_t k = i;

		while (k < n && (isalnum((unsigned char)text[k]) || text[k] == '_'))
			k++;
		/* "_" is everywhere, and nothing but the last argument */
		if (k - i > 1 && k - i < sizeof(name) && session_has(text + i, k - i)) {
			memcpy(name, text + i, k - i);
			name[k - i] = '\0';
			found(arg, name);
		}
		i = MAX2(k, i + 1);
	}
}

#define NAMES_MAX 256
#define LONG_NAME 8 /* a shorter name is a part of many other words */

/* The names that begin with each letter, one after the other; ends[c] is where those of c end. */
struct by_letter {
	const char *names[NAMES_MAX];
	bool seen[NAMES_MAX];
	uint16_t ends[256];
};

static void
sort_names(struct by_letter *b)
{
	size_t n = 0;

	for (unsigned c = 0; c < 256; c++) {
		for (size_t i = 0; n < NAMES_MAX && session_name(i); i++)
			if ((uint8_t)session_name(i)[0] == c && session_name(i)[1])
				b->names[n++] = session_name(i);
		b->ends[c] = (uint16_t)n;
	}
}

static bool
is_at(const uint8_t *p, size_t at, size_t n, const char *name)
{
	size_t k = strlen(name);
	bool whole = name[k - 1] != '*';

	k -= !whole;
	if (n - at < k || memcmp(p + at, name, k) != 0)
		return false;
	if (k >= LONG_NAME)
		return true;
	return (at == 0 || (!isupper(p[at - 1]) && p[at - 1] != '_')) &&
	       (!whole || n - at == k || (!isupper(p[at + k]) && p[at + k] != '_'));
}

void
program_names_in_binary(
	const uint8_t *p, size_t n, void (*found)(void *arg, const char *name), void *arg)
{
	struct by_letter b = { .names = { NULL } };

	sort_names(&b);
	for (size_t at = 0; at < n; at++)
		for (size_t i = b.ends[p[at] ? p[at] - 1 : 0]; i < b.ends[p[at]]; i++)
			if (!b.seen[i] && is_at(p, at, n, b.names[i])) {
				b.seen[i] = true;
				found(arg, b.names[i]);
			}
}
