/* Chooses between mold, lld and what rustc would have used.
 *
 * Invariant: a flag is added only when this very C driver, with the linker that is installed now,
 * was seen to accept it; a remembered answer holds for the same two files only. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "client/link/linker.h"
#include "client/wrap/local.h"
#include "common/fs.h"
#include "common/process/spawn.h"
#include "common/text/why.h"
#include "rustc/call.h"

#define NOTE_MAX 4096
#define TARGET_FILE_MAX (1u << 20)
#define VERSION_MAX 65536
#define LINKER_ASK_MS 10000
#define LATE_S 3600 /* how long one that did not answer is left alone */

/* What the note says, after the files' stat. */
#define YES "yes\n"
#define NO "no\n"
#define LATE "late\n"

static int
add_stat(struct buf *b, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	return buf_addf(b, "%s %ju %ju %jd %jd.%09ld\n", path, (uintmax_t)st.st_dev,
		(uintmax_t)st.st_ino, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
		st.st_mtim.tv_nsec);
}

/* Asks the C driver itself, since gcc takes mold by name only from version 12.1 on. What it said,
 * as the note has it. */
static const char *
ask(const char *cc, const char *name, const char *path)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	_cleanup_(freep) char *path_var = NULL;
	_cleanup_(freep) char *cc_copy = strdup(cc);
	_cleanup_(freep) char *flag = NULL;
	_cleanup_(freep) char **env = NULL;
	char version[] = "-Wl,--version";
	const char *set[] = { NULL, "LC_ALL=C", NULL };
	int status = -1, r;

	if (!cc_copy || asprintf(&flag, "-fuse-ld=%s", name) < 0)
		return NULL;
	if (asprintf(&path_var, "PATH=%s", path) < 0)
		return NULL;
	set[0] = path_var;
	env = local_environ(set);
	if (!env)
		return NULL;
	r = spawn_capture((char *[]){ cc_copy, flag, version, NULL }, env, LINKER_ASK_MS,
		VERSION_MAX, &out, &status);
	if (r == -ETIMEDOUT)
		return LATE;
	if (r < 0)
		return NULL;
	if (status != 0 || out.n == 0)
		return NO;
	return strstr((const char *)out.p, streq(name, "mold") ? "mold" : "LLD") ? YES : NO;
}

/* Which linker hung, and why, cannot be told from its stat. */
static bool
is_stale(const char *note, const char *said)
{
	struct stat st;

	if (!streq(said, LATE))
		return false;
	return stat(note, &st) < 0 || time(NULL) < st.st_mtime || time(NULL) - st.st_mtime > LATE_S;
}

static char *
note_path(const char *cache_dir, const char *cc, const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	char *path;

	/* FNV-1a; the note itself names the driver, a collision only costs asking again */
	for (const char *s = cc; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	if (!cache_dir || !*cache_dir ||
		asprintf(&path, "%s/linker-%s-%016" PRIx64, cache_dir, name, h) < 0)
		return NULL;
	return path;
}

bool
linker_usable(const char *cache_dir, const char *cc, const char *name, const char *path)
{
	_cleanup_(buf_done) struct buf key = BUF_INIT;
	_cleanup_(buf_done) struct buf old = BUF_INIT;
	_cleanup_(freep) char *note = note_path(cache_dir, cc, name);
	_cleanup_(freep) char *program = NULL;
	const char *said;

	program = fs_which(streq(name, "mold") ? "ld.mold" : "ld.lld", path);
	if (!program && streq(name, "mold"))
		program = fs_which("mold", path);
	if (!program || add_stat(&key, cc) < 0 || add_stat(&key, program) < 0)
		return false;
	if (note && fs_read_file(note, NOTE_MAX, &old) == 0 && old.n > key.n &&
		memcmp(old.p, key.p, key.n) == 0) {
		said = (const char *)old.p + key.n;
		if (!is_stale(note, said))
			return streq(said, YES);
	}
	said = ask(cc, name, path);
	if (!said)
		return false;
	if (note && buf_adds(&key, said) == 0 && fs_mkdir_p(cache_dir, 0700) == 0)
		fs_write_atomic(note, key.p, key.n, 0600);
	return streq(said, YES);
}

static bool
has_arg(char *const *argv, const char *arg)
{
	for (; *argv; argv++)
		if (streq(*argv, arg))
			return true;
	return false;
}

void
linker_pick(const struct conf *conf, bool project, char *const *argv, const char *path,
	struct linker_pick *ret)
{
	const char *cache = conf->client.cache_dir;
	int choice = conf->client.linker;
	_cleanup_(freep) char *cc = NULL;

	*ret = (struct linker_pick){ project ? "project" : "rustc", NULL };
	if (project || choice == LINKER_RUSTC)
		return;
	cc = fs_which(argv[0], path);
	if (!cc)
		return;
	if (choice != LINKER_LLD && linker_usable(cache, cc, "mold", path)) {
		*ret = (struct linker_pick){ "mold", "-fuse-ld=mold" };
		return;
	}
	if (choice == LINKER_MOLD)
		return;
	/* rustc's own default on some targets already, with the lld it brings */
	if (has_arg(argv, "-fuse-ld=lld"))
		ret->name = "lld";
	else if (linker_usable(cache, cc, "lld", path))
		*ret = (struct linker_pick){ "lld", "-fuse-ld=lld" };
}

int
linker_of_target(const char *path, char **ret, char **ret_why)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	json_auto_t *j = NULL;
	const char *linker, *flavor;
	int r = fs_read_file(path, TARGET_FILE_MAX, &b);

	if (r == -ENOMEM)
		return r;
	if (r == 0)
		j = json_loadb((const char *)b.p, b.n, 0, NULL);
	if (!json_is_object(j))
		return why_set(ret_why, -ENOTSUP, "the target's file cannot be read");
	linker = json_string_value(json_object_get(j, "linker"));
	flavor = json_string_value(json_object_get(j, "linker-flavor"));
	if (!linker)
		linker = flavor ? call_flavor_linker(flavor) : "cc";
	if (!linker)
		return why_set(ret_why, -ENOTSUP, "a target whose linker dray does not know");
	*ret = strdup(linker);
	return *ret ? 0 : -ENOMEM;
}
