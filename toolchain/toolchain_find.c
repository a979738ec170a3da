/* From a compiler as cargo names it to the sysroot it belongs to.
 *
 * Invariant: what is found is a real driver in a real sysroot, the one that this call would have
 * run in the end. A rustup proxy decides by directory, environment and settings; so it is asked,
 * and its answer is remembered only where RUSTUP_TOOLCHAIN has decided already. A script is asked
 * as well. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/process/environ.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "common/process/spawn.h"
#include "toolchain/toolchain_priv.h"

/* The stat of a file that an answer depends on; all zero when it is not there. */
struct file_stamp {
	uint64_t w[7];
};

static struct file_stamp
stamp_of(const char *path)
{
	struct file_stamp s = { { 0 } };
	struct stat st;

	if (path != NULL && stat(path, &st) == 0)
		s = (struct file_stamp){ { st.st_dev, st.st_ino, (uint64_t)st.st_size,
			(uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec,
			(uint64_t)st.st_ctim.tv_sec, (uint64_t)st.st_ctim.tv_nsec } };
	return s;
}

static bool
is_elf(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char magic[4];

	return fd >= 0 && pread(fd, magic, 4, 0) == 4 && memcmp(magic, "\177ELF", 4) == 0;
}

/* Whether path is this very program: asking it would ask us again. */
static bool
is_self(const char *path)
{
	struct stat a, b;

	return stat(path, &a) == 0 && stat("/proc/self/exe", &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* SYSROOT when the resolved file is SYSROOT/bin/x and SYSROOT/lib/rustlib is there; else NULL. */
static char *
sysroot_beside(const char *resolved)
{
	_cleanup_(freep) char *bin = path_dirname(resolved);
	_cleanup_(freep) char *top = bin != NULL ? path_dirname(bin) : NULL;
	_cleanup_(freep) char *rustlib = top != NULL ? path_join(top, "lib/rustlib") : NULL;

	if (rustlib == NULL || !streq(path_basename(bin), "bin") || !fs_exists(rustlib))
		return NULL;
	return steal_ptr(top);
}

static char *
rustup_settings(void)
{
	const char *home = environ_get("RUSTUP_HOME");
	_cleanup_(freep) char *dir = NULL;

	if (home != NULL && home[0] != '\0')
		return path_join(home, "settings.toml");
	home = environ_get("HOME");
	dir = home != NULL ? path_join(home, ".rustup") : NULL;
	return dir != NULL ? path_join(dir, "settings.toml") : NULL;
}

/* What the proxy answers depends on these, once RUSTUP_TOOLCHAIN is set. */
struct proxy {
	char *note; /* NULL: not to be remembered */
	bool script;
	struct file_stamp stamps[2];
};

static void
proxy_done(struct proxy *p)
{
	free(p->note);
}

static struct proxy
proxy_of(const char *compiler, const char *resolved)
{
	_cleanup_(freep) char *settings = rustup_settings();
	const char *toolchain = environ_get("RUSTUP_TOOLCHAIN");
	struct proxy p = { 0 };

	if (toolchain == NULL || toolchain[0] == '\0' || settings == NULL)
		return p;
	if (asprintf(&p.note, "sysroot:%s:%s:%s", compiler, toolchain, settings) < 0)
		p.note = NULL;
	p.stamps[0] = stamp_of(resolved);
	p.stamps[1] = stamp_of(settings);
	return p;
}

/* A script may choose another toolchain at any time. The tracer sees what it reads and starts, so a
 * result says that by its inputs, whatever toolchain the key names. */
static struct proxy
script_of(const char *compiler, const char *resolved)
{
	struct proxy p = { .script = true };

	if (asprintf(&p.note, "sysroot:script:%s", compiler) < 0)
		p.note = NULL;
	p.stamps[0] = stamp_of(resolved);
	return p;
}

static char *
recall(struct memo *m, const struct proxy *p)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const size_t head = sizeof(p->stamps);
	const char *path;

	if (p->note == NULL || memo_get_note(m, p->note, &b) < 0)
		return NULL;
	if (b.n <= head || memcmp(b.p, p->stamps, head) != 0 ||
		memchr(b.p + head, '\0', b.n - head) != NULL)
		return NULL;
	path = (const char *)b.p + head;
	return path_is_normal(path) ? strdup(path) : NULL;
}

/* A toolchain under another name (`rustup toolchain link`) can be linked elsewhere at any time
 * without a trace; rustup's own are directories below toolchains/. */
static bool
is_rustups_own(const char *sysroot)
{
	_cleanup_(freep) char *dir = path_dirname(sysroot);

	return dir != NULL && streq(path_basename(dir), "toolchains");
}

static void
remember(struct memo *m, const struct proxy *p, const char *sysroot)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (p->note == NULL || (!p->script && !is_rustups_own(sysroot)))
		return;
	if (buf_add(&b, p->stamps, sizeof(p->stamps)) == 0 && buf_adds(&b, sysroot) == 0)
		(void)memo_set_note(m, p->note, b.p, b.n);
}

/* rustup may have to install the toolchain first. */
#define PROXY_MS 600000

/* Runs `compiler --print sysroot`. */
static int
ask_proxy(const char *compiler, char **ret)
{
	static char print[] = "--print", what[] = "sysroot";
	_cleanup_(freep) char *exe = strdup(compiler), *sysroot = NULL;
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	char *argv[] = { exe, print, what, NULL };
	int r, status = -1;

	if (exe == NULL)
		return -ENOMEM;
	r = spawn_capture(argv, NULL, PROXY_MS, PATH_MAX, &out, &status);
	if (r == -ENOMEM)
		return r;
	while (out.n > 0 && (out.p[out.n - 1] == '\n' || out.p[out.n - 1] == '\r'))
		out.p[--out.n] = '\0';
	if (r < 0 || status != 0 || out.n == 0 || out.p[0] != '/' ||
		memchr(out.p, '\0', out.n) != NULL) {
		log_debug(
			"toolchain: %s --print sysroot: error %d, status %d", compiler, -r, status);
		return -ENOENT;
	}
	sysroot = realpath((const char *)out.p, NULL);
	if (sysroot == NULL)
		return errno == ENOMEM ? -ENOMEM : -ENOENT;
	*ret = steal_ptr(sysroot);
	return 0;
}

/* The sysroot behind a program that has none beside it. */
static int
sysroot_of_proxy(struct memo *m, const char *compiler, const char *resolved, char **ret)
{
	_cleanup_(proxy_done) struct proxy p = { 0 };
	int r;

	if (is_self(resolved))
		return -ENOENT;
	p = is_elf(resolved) ? proxy_of(compiler, resolved) : script_of(compiler, resolved);
	*ret = recall(m, &p);
	if (*ret != NULL)
		return 0;
	r = ask_proxy(compiler, ret);
	if (r == 0)
		remember(m, &p, *ret);
	return r;
}

/* The compiler as a path that can be run: the proxy goes by the name it was called by. */
static char *
compiler_path(const char *compiler)
{
	return strchr(compiler, '/') != NULL ? strdup(compiler)
					     : fs_which(compiler, environ_get("PATH"));
}

/* rustup's proxies are links to it, of either kind. */
static bool
is_rustup(const char *resolved)
{
	_cleanup_(freep) char *dir = path_dirname(resolved);
	_cleanup_(freep) char *rustup = dir != NULL ? path_join(dir, "rustup") : NULL;
	struct stat a, b;

	return streq(path_basename(resolved), "rustup") ||
	       (rustup != NULL && stat(rustup, &a) == 0 && stat(resolved, &b) == 0 &&
		       a.st_dev == b.st_dev && a.st_ino == b.st_ino);
}

char *
toolchain_launcher(const char *compiler)
{
	_cleanup_(freep) char *path = compiler_path(compiler);
	_cleanup_(freep) char *resolved = path != NULL ? realpath(path, NULL) : NULL;
	_cleanup_(freep) char *sysroot = NULL;

	if (resolved == NULL || is_rustup(resolved))
		return NULL;
	sysroot = is_elf(resolved) ? sysroot_beside(resolved) : NULL;
	return sysroot == NULL ? steal_ptr(path) : NULL;
}

static const char *
driver_name(const char *path, const char *resolved)
{
	const char *names[] = { path_basename(path), path_basename(resolved) };
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		if (streq(names[i], "rustc") || streq(names[i], "clippy-driver"))
			return names[i];
	}
	return NULL;
}

int
toolchain_find_sysroot(struct memo *m, const char *compiler, char **ret_sysroot, char **ret_exe)
{
	_cleanup_(freep) char *path = compiler_path(compiler), *resolved = NULL, *sysroot = NULL;
	_cleanup_(freep) char *bin = NULL, *exe = NULL;
	const char *driver;
	int r = 0;

	resolved = path != NULL ? realpath(path, NULL) : NULL;
	if (resolved == NULL)
		return -ENOENT;
	driver = driver_name(path, resolved);
	if (driver == NULL)
		return -ENOENT;
	/* Debian's rustup puts its proxies in /usr/bin, beside the /usr/lib/rustlib of another
	 * compiler */
	if (!streq(path_basename(resolved), "rustup"))
		sysroot = sysroot_beside(resolved);
	if (sysroot == NULL)
		r = sysroot_of_proxy(m, path, resolved, &sysroot);
	if (r < 0)
		return r;
	bin = path_join(sysroot, "bin");
	exe = bin != NULL ? path_join(bin, driver) : NULL;
	if (exe == NULL)
		return -ENOMEM;
	if (access(exe, X_OK) < 0)
		return -ENOENT;
	*ret_sysroot = steal_ptr(sysroot);
	*ret_exe = steal_ptr(exe);
	return 0;
}

/* ---- the library's sources */

static bool
is_commit(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return n >= 7 && n <= 64 && !s[n];
}

/* The driver's commit, from the memo, or by asking it. */
static int
find_commit(struct memo *m, const char *sysroot, const char *exe, char **ret)
{
	const struct file_stamp stamp = stamp_of(exe);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *note = NULL, *commit = NULL;
	int r;

	if (asprintf(&note, "commit:%s", exe) < 0) {
		note = NULL;
		return -ENOMEM;
	}
	if (memo_get_note(m, note, &b) == 0 && b.n > sizeof(stamp) &&
		memcmp(b.p, &stamp, sizeof(stamp)) == 0) {
		commit = strndup((const char *)b.p + sizeof(stamp), b.n - sizeof(stamp));
	} else {
		b.n = 0;
		r = tc_run_version(sysroot, path_basename(exe), &b);
		if (r < 0)
			return r;
		commit = tc_version_field((const char *)b.p, "commit-hash");
		b.n = 0;
		if (commit && buf_add(&b, &stamp, sizeof(stamp)) == 0 && buf_adds(&b, commit) == 0)
			(void)memo_set_note(m, note, b.p, b.n);
	}
	if (!commit || !is_commit(commit))
		return -ENOENT;
	*ret = steal_ptr(commit);
	return 0;
}

int
toolchain_find_sources(struct memo *m, const char *compiler, char **ret_dir, char **ret_name)
{
	_cleanup_(freep) char *sysroot = NULL, *exe = NULL, *top = NULL, *dir = NULL, *std = NULL;
	_cleanup_(freep) char *commit = NULL, *name = NULL;
	struct stat st;
	int r = toolchain_find_sysroot(m, compiler, &sysroot, &exe);

	if (r < 0)
		return r;
	top = path_join(sysroot, "lib/rustlib/src/rust");
	dir = top ? path_join(top, "library") : NULL;
	std = dir ? path_join(dir, "std/src/lib.rs") : NULL;
	if (!std)
		return -ENOMEM;
	/* it is asked for each unit, and mostly they are not there */
	if (access(std, F_OK) < 0 || lstat(top, &st) < 0 || !S_ISDIR(st.st_mode))
		return -ENOENT;
	r = find_commit(m, sysroot, exe, &commit);
	if (r < 0)
		return r;
	if (asprintf(&name, "/rustc/%s/library", commit) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	*ret_dir = steal_ptr(dir);
	*ret_name = steal_ptr(name);
	return 0;
}
