/* The hermetic environment of a unit. Invariant: a variable that the user has, and that cargo did
 * not set for this process, is never sent, unless it is on the short list below or the user's own.
 */
#include "config.h"

#include "client/wrap/envscan.h"

#include <errno.h>
#include <stdio.h>

#include "common/conf/conf.h"
#include "common/fs.h"
#include "common/process/procfs.h"

#define ENVIRON_MAX                                                                  \
	(8u * 1024 * 1024) /* the kernel's own bound is a quarter of the stack limit \
			    */

#define WRAPPERS_MAX 8 /* between cargo and dray */

/* Each list ends with NULL; a '*' at a name's end stands for anything. */

/* What cargo sets for rustc (doc.rust-lang.org/cargo/reference/environment-variables.html), and
 * what rustc and clippy read that changes a result or a diagnostic. RUST_BACKTRACE is not among
 * them: the compiler asks for it only when it has broken down; a macro is seen asking. */
static const char *const always[] = { "CARGO", "CARGO_BIN_EXE_*", "CARGO_BIN_NAME",
	"CARGO_CRATE_NAME", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_LINKS", "CARGO_MANIFEST_PATH",
	"CARGO_PKG_*", "CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR", "CLIPPY_ARGS",
	"CLIPPY_CONF_DIR", "CLIPPY_TERMINAL_WIDTH", "LD_LIBRARY_PATH", "OUT_DIR", "RUSTC_BOOTSTRAP",
	"RUSTC_FORCE_RUSTC_VERSION", "RUST_MIN_STACK", "SOURCE_DATE_EPOCH", NULL };

/* What a worker sets itself, or what means nothing there. */
static const char *const never[] = { "CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS", "PATH", "HOME",
	"PWD", "OLDPWD", "SHLVL", "_", "DRAY_*", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER",
	"CARGO_ENCODED_RUSTFLAGS", "LD_*", NULL };

/* What makes rustc write or find things elsewhere, or print what nobody could compare. */
static const char *const home[] = { "RUSTC_LOG", "RUSTC_LOG_*", "RUST_TARGET_PATH", "RUSTC_ICE",
	"RUSTC_BREAK_ON_ICE", "RUSTC_CTFE_BACKTRACE", "RUSTC_OVERRIDE_VERSION_STRING",
	"RUST_DEP_GRAPH", "RUST_DEP_GRAPH_FILTER", "SYSROOT",
	/* the loader talks on stderr, or writes files (ld.so(8)) */
	"LD_DEBUG*", "LD_PROFILE*", "LD_SHOW_AUXV", "LD_TRACE_*", "LD_VERBOSE", "LD_WARN",
	/* so do allocators (mimalloc's documentation) */
	"MIMALLOC_SHOW_*", "MIMALLOC_VERBOSE", NULL };

/* jemalloc's options: rustc's own jemalloc reads them, too. Most only say how memory is kept. */
static const char *const jemalloc[] = { "MALLOC_CONF", "_RJEM_MALLOC_CONF", "JE_MALLOC_CONF",
	NULL };
static const char *const jemalloc_talks[] = { "stats_print", "confirm_conf", "prof", NULL };

static bool
name_matches(const char *pattern, const char *name, size_t n)
{
	size_t k = strlen(pattern);

	if (k > 0 && pattern[k - 1] == '*')
		return n >= k - 1 && memcmp(pattern, name, k - 1) == 0;
	return n == k && memcmp(pattern, name, n) == 0;
}

static bool
on_list(const char *const *list, const char *name, size_t n)
{
	for (; *list; list++)
		if (name_matches(*list, name, n))
			return true;
	return false;
}

/* Whether it makes a compile talk, or write, in a way that no key tells apart. */
static bool
brings_home(const char *entry, size_t n)
{
	if (on_list(home, entry, n))
		return true;
	for (size_t i = 0; on_list(jemalloc, entry, n) && jemalloc_talks[i]; i++)
		if (strstr(entry + n, jemalloc_talks[i]))
			return true;
	return false;
}

/* Whether the block has exactly this NAME=VALUE. Environments have some hundred entries, and this
 * runs once a unit: a plain search is enough. */
static bool
block_has(const struct buf *block, const char *entry)
{
	size_t n = strlen(entry) + 1;
	const uint8_t *p = block->p, *end = block->p + block->n;

	while (p < end) {
		const uint8_t *nul = memchr(p, '\0', (size_t)(end - p));
		size_t len = nul ? (size_t)(nul - p) + 1 : (size_t)(end - p);

		if (len == n && memcmp(p, entry, n) == 0)
			return true;
		p += len;
	}
	return false;
}

/* Keeps the elements a worker can have: others name places of this machine only. */
static int
add_library_path(const struct envscan_in *in, const char *value, struct strv *ret)
{
	struct buf b = BUF_INIT;
	int r = buf_adds(&b, "LD_LIBRARY_PATH=");
	bool first = true;

	for (const char *p = value; r == 0 && *p;) {
		size_t n = strcspn(p, ":");
		char *one = strndup(p, n);
		const char *use = NULL;

		if (!one) {
			r = -ENOMEM;
			break;
		}
		if (streq(one, in->out_dir))
			use = in->alias;
		else if (path_is_normal(one) && !path_is_below(one, in->out_dir) &&
			 (path_is_below(one, in->target_dir) || path_is_below(one, in->sysroot)))
			use = one;
		if (use) {
			r = buf_addf(&b, "%s%s", first ? "" : ":", use);
			first = false;
		}
		free(one);
		p += n + (p[n] == ':');
	}
	if (r == 0 && !first)
		r = strv_add(ret, (const char *)b.p);
	buf_done(&b);
	return r;
}

/* The jobserver's, and the loader's, mean another thing in each process; dray's own mean nothing to
 * a compile. */
static const char *const unsaid[] = { "CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS", "LD_*", "DRAY_*",
	NULL };

static int
withhold(const char *entry, size_t n, struct strv *withheld)
{
	return on_list(unsaid, entry, n) ? 0 : strv_addn(withheld, entry, n);
}

static int
consider(const struct envscan_in *in, const char *entry, struct strv *ret, struct strv *withheld,
	char **ret_home)
{
	const char *eq = strchr(entry, '=');
	size_t n;

	if (!eq || eq == entry)
		return 0;
	n = (size_t)(eq - entry);
	if (brings_home(entry, n)) {
		if (asprintf(ret_home, "the environment sets %.*s", (int)MIN2(n, (size_t)64),
			    entry) < 0) {
			*ret_home = NULL;
			return -ENOMEM;
		}
		return -ENOTSUP;
	}
	if (name_matches("LD_LIBRARY_PATH", entry, n))
		return add_library_path(in, eq + 1, ret);
	if (conf_names_has(in->pass_env, entry, n) && !name_matches("DRAY_*", entry, n))
		return strv_add(ret, entry);
	if (on_list(never, entry, n))
		return withhold(entry, n, withheld);
	if (on_list(always, entry, n) || (in->parent && !block_has(in->parent, entry)))
		return strv_add(ret, entry);
	return withhold(entry, n, withheld);
}

static size_t
name_length(const char *entry)
{
	return strcspn(entry, "=");
}

/* getenv gives the first of two entries with one name; so does what is sent. */
static bool
is_repeated(char *const *envp, size_t i)
{
	size_t n = name_length(envp[i]);

	for (size_t k = 0; k < i; k++)
		if (name_length(envp[k]) == n && memcmp(envp[k], envp[i], n) == 0)
			return true;
	return false;
}

int
envscan_collect(
	const struct envscan_in *in, struct strv *ret, struct strv *ret_withheld, char **ret_home)
{
	*ret_home = NULL;
	for (size_t i = 0; in->envp[i]; i++) {
		int r;

		if (is_repeated(in->envp, i))
			continue;
		r = consider(in, in->envp[i], ret, ret_withheld, ret_home);
		if (r < 0)
			return r;
	}
	strv_sort_unique(ret);
	strv_sort_unique(ret_withheld);
	return 0;
}

int
envscan_parse_stat(const char *text, size_t n, long *ret_ppid)
{
	/* pid (comm) state ppid …: comm may hold anything, so the last ')' ends it */
	const char *p = n > 0 ? memrchr(text, ')', n) : NULL;
	const char *end = text + n;
	long v = 0;
	int digits = 0;

	if (!p || end - p < 5 || p[1] != ' ' || p[3] != ' ')
		return -EBADMSG;
	for (p += 4; p < end && *p >= '0' && *p <= '9' && digits < 10; p++, digits++)
		v = 10 * v + (*p - '0');
	if (digits == 0 || digits == 10 || p == end || *p != ' ' || v <= 0)
		return -EBADMSG;
	*ret_ppid = v;
	return 0;
}

static int
read_environ(long pid, struct buf *ret)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%ld/environ", pid);
	r = fs_read_file(path, ENVIRON_MAX, ret);
	/* a zombie or a kernel thread has an empty one: that says nothing about what cargo set */
	return r == 0 && ret->n == 0 ? -ENODATA : r;
}

/* The parent of a process, and whether the process is called cargo. */
static int
ask(long pid, long *ret_ppid, bool *ret_cargo)
{
	_cleanup_(buf_done) struct buf stat = BUF_INIT;
	char path[64], cargo[64];
	int n, r;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	r = fs_read_file(path, 8192, &stat);
	if (r < 0)
		return r;
	n = snprintf(cargo, sizeof(cargo), "%ld (cargo) ", pid);
	*ret_cargo = stat.n >= (size_t)n && memcmp(stat.p, cargo, (size_t)n) == 0;
	return envscan_parse_stat((const char *)stat.p, stat.n, ret_ppid);
}

/* The nearest cargo: another wrapper may stand between it and us, started by what cargo set, and
 * has that in its own environment. Where there is none, the process itself. */
static long
find_cargo(long pid)
{
	long at = pid, ppid = 0;
	bool cargo = false;

	for (int i = 0; i < WRAPPERS_MAX && at > 1 && ask(at, &ppid, &cargo) == 0; i++) {
		if (cargo)
			return at;
		at = ppid;
	}
	return pid;
}

int
envscan_read_parent(struct buf *ret)
{
	return procfs_is_ours() ? read_environ(find_cargo((long)getppid()), ret) : -ESRCH;
}

int
envscan_read_parent_of(long pid, struct buf *ret)
{
	long ppid = 0;
	bool cargo;
	int r = procfs_is_ours() ? ask(pid, &ppid, &cargo) : -ESRCH;

	return r < 0 ? r : read_environ(find_cargo(ppid), ret);
}
