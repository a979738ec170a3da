/* Toolchains: where a compiler's sysroot is, and the id of what is in it.
 *
 * Invariant: two compilers with the same id make the same bytes from the same input. What cannot be
 * identified in full (a script in the driver's place) has no id, and its units are compiled by it,
 * here. What is in a library outside of the sysroot the id does not say: see toolchain.h. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

#include "common/process/environ.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "common/process/spawn.h"
#include "toolchain/toolchain_priv.h"

#define VERSION_TEXT_MAX 4096
#define ID_DOMAIN "dray toolchain 1"

/* A file changed less than this before it was looked at can change again and keep its stat: some
 * file systems count in whole seconds, or two. Toolchains are installed rarely, so this one value
 * does. */
#define SETTLED_NS 2100000000LL
#define TURN_MS 20000 /* for another process that learns the same */

static bool
is_driver(const char *name)
{
	return streq(name, "rustc") || streq(name, "clippy-driver");
}

char *
tc_version_field(const char *text, const char *field)
{
	size_t n = strlen(field);
	const char *p;

	for (p = text; p != NULL; p = strchr(p, '\n')) {
		if (*p == '\n')
			p++;
		if (strncmp(p, field, n) == 0 && strncmp(p + n, ": ", 2) == 0) {
			p += n + 2;
			return strndup(p, strcspn(p, "\r\n"));
		}
	}
	return NULL;
}

/* Runs `driver -vV`. Its environment is fixed, so that the text is the compiler's alone; only where
 * it does not run so, LD_LIBRARY_PATH says where its libraries are. */
int
tc_run_version(const char *sysroot, const char *driver, struct buf *ret_text)
{
	static char flag[] = "-vV", path_var[] = "PATH=/usr/bin:/bin", lang[] = "LC_ALL=C";
	_cleanup_(freep) char *bin = path_join(sysroot, "bin");
	_cleanup_(freep) char *exe = bin != NULL ? path_join(bin, driver) : NULL;
	_cleanup_(freep) char *libraries = NULL;
	const char *given = environ_get("LD_LIBRARY_PATH");
	char *argv[] = { exe, flag, NULL }, *envp[] = { path_var, lang, NULL, NULL };
	int r, status = -1;

	if (exe == NULL)
		return -ENOMEM;
	r = spawn_capture(argv, envp, SPAWN_ASK_MS, VERSION_TEXT_MAX, ret_text, &status);
	if (r == 0 && status != 0 && given && *given) {
		if (asprintf(&libraries, "LD_LIBRARY_PATH=%s", given) < 0) {
			libraries = NULL;
			return -ENOMEM;
		}
		envp[2] = libraries;
		ret_text->n = 0;
		r = spawn_capture(argv, envp, SPAWN_ASK_MS, VERSION_TEXT_MAX, ret_text, &status);
	}
	if (r == -ENOMEM)
		return r;
	if (r < 0 || status != 0 || ret_text->n == 0 ||
		memchr(ret_text->p, '\0', ret_text->n) != NULL) {
		log_debug("toolchain: %s -vV: error %d, status %d", exe, -r, status);
		return -ENOENT;
	}
	return 0;
}

/* text: with a NUL behind it. */
static int
read_version(const char *text, char **ret_host, char **ret_release)
{
	_cleanup_(freep) char *host = tc_version_field(text, "host");
	_cleanup_(freep) char *release = tc_version_field(text, "release");

	if (host == NULL || release == NULL || !tc_target_ok(host) || strlen(release) > 128)
		return -ENOENT;
	*ret_host = steal_ptr(host);
	*ret_release = steal_ptr(release);
	return 0;
}

static int
run_version(const char *sysroot, const char *driver, struct buf *ret_text, char **ret_host,
	char **ret_release)
{
	int r = tc_run_version(sysroot, driver, ret_text);

	return r < 0 ? r : read_version((const char *)ret_text->p, ret_host, ret_release);
}

/* given: what it prints; NULL: it is asked. */
static int
get_version(const struct toolchain *t, const struct buf *given, struct buf *ret_text,
	char **ret_host, char **ret_release)
{
	int r;

	if (!given)
		return run_version(t->sysroot, t->driver, ret_text, ret_host, ret_release);
	r = buf_add(ret_text, given->p, given->n);
	if (r == 0)
		r = buf_add(ret_text, "", 1);
	if (r < 0)
		return r;
	ret_text->n--;
	return read_version((const char *)ret_text->p, ret_host, ret_release);
}

/* Whether a time was old enough at `begun` that a later change must show in it. */
static bool
settled(const struct timespec *t, const struct timespec *begun)
{
	if (t->tv_sec > begun->tv_sec || begun->tv_sec - t->tv_sec > 60)
		return t->tv_sec <= begun->tv_sec;
	return (begun->tv_sec - t->tv_sec) * 1000000000LL + begun->tv_nsec - t->tv_nsec >=
	       SETTLED_NS;
}

static bool
entries_settled(const struct tc_entries *e, const struct timespec *begun)
{
	size_t i;

	for (i = 0; i < e->n; i++) {
		if (!settled(&e->v[i].st.st_mtim, begun) || !settled(&e->v[i].st.st_ctim, begun))
			return false;
	}
	return true;
}

/* Finds its files, if the host is this one, and begins to hash them. */
static int
begin_hashing(struct memo *m, const struct toolchain *t, const char *host, const char *target,
	struct strv *files, struct tc_entries *entries, struct strv *outside,
	struct tc_hashing **ret)
{
	int r;

	tc_hash_dropp(ret);
	strv_done(files);
	strv_done(outside);
	tc_entries_done(entries);
	r = tc_collect(
		t->sysroot, t->driver, host, target ? target : host, files, entries, outside);
	if (r < 0)
		return r;
	*ret = tc_hash_begin(m, t->sysroot, files);
	return *ret ? 0 : -ENOMEM;
}

/* Computes the id of what t names; entries: all that it stands on. While the compiler starts, to
 * tell what its host is, there is time to hash a part. */
static int
compute(struct memo *m, struct toolchain *t, const char *target, const struct buf *given,
	bool rust_src, struct tc_entries *entries)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	_cleanup_(strv_done) struct strv files = STRV_INIT, outside = STRV_INIT;
	_cleanup_(tc_hash_dropp) struct tc_hashing *hashing = NULL;
	_cleanup_(buf_done) struct buf version = BUF_INIT;
	_cleanup_(freep) char *guess = tc_guess_host(t->sysroot);
	bool begun = false;
	int r;

	if (h == NULL)
		return -ENOMEM;
	if (guess)
		begun = begin_hashing(m, t, guess, target, &files, entries, &outside, &hashing) ==
			0;
	r = get_version(t, given, &version, &t->host, &t->release);
	if (r < 0)
		return r;
	t->target = strdup(target != NULL ? target : t->host);
	if (t->target == NULL)
		return -ENOMEM;
	if (!begun || !streq(guess, t->host))
		r = begin_hashing(m, t, t->host, target, &files, entries, &outside, &hashing);
	if (r < 0)
		return r;
	hasher_field(h, ID_DOMAIN, strlen(ID_DOMAIN));
	r = tc_hash_end(hashing, h, entries);
	if (r < 0)
		return r;
	t->outside = outside.n > 0;
	for (size_t i = 0; i < outside.n; i++) {
		hasher_field(h, "outside", strlen("outside"));
		hasher_field(h, outside.v[i], strlen(outside.v[i]));
	}
	hasher_field(h, rust_src ? "1" : "0", 1);
	hasher_field(h, version.p, version.n);
	hasher_final(h, &t->id);
	return 0;
}

static int
learn(struct memo *m, const char *driver, const char *target, const struct buf *given,
	struct toolchain *t)
{
	_cleanup_(tc_entries_done) struct tc_entries entries = { NULL, 0, 0 };
	struct timespec begun;
	bool rust_src;
	int r;

	t->driver = strdup(driver);
	if (t->driver == NULL)
		return -ENOMEM;
	clock_gettime(CLOCK_REALTIME, &begun);
	rust_src = tc_has_rust_src(t->sysroot);
	r = compute(m, t, target, given, rust_src, &entries);
	if (r == 0)
		r = tc_note(t, rust_src, &entries, &t->seal);
	if (r < 0 || given || !entries_settled(&entries, &begun))
		return r;
	if (tc_remember(m, target, t) < 0)
		log_debug("toolchain: %s is not remembered", t->sysroot);
	return 0;
}

int
toolchain_identify(struct memo *m, const char *sysroot, const char *driver, const char *target,
	struct toolchain *ret)
{
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(closep) int turn = -1;
	int r;

	if (!is_driver(driver) || (target != NULL && !tc_target_ok(target)))
		return -ENOENT;
	t.sysroot = realpath(sysroot, NULL);
	if (t.sysroot == NULL)
		return -errno;
	if (tc_recall(m, t.sysroot, driver, target, ret) == 0)
		return 0;
	/* a build begins with as many calls as there are processors */
	if (m != NULL)
		turn = memo_turn(m, TURN_MS);
	if (turn >= 0 && tc_recall(m, t.sysroot, driver, target, ret) == 0)
		return 0;
	r = learn(m, driver, target, NULL, &t);
	if (turn >= 0)
		memo_flush(m);
	if (r < 0)
		return r;
	*ret = t;
	memset(&t, 0, sizeof(t));
	return 0;
}

int
toolchain_identify_as(const char *sysroot, const char *driver, const char *target,
	const struct buf *version, struct toolchain *ret)
{
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	int r;

	if (!is_driver(driver) || (target != NULL && !tc_target_ok(target)) || version->n == 0 ||
		version->n > VERSION_TEXT_MAX || memchr(version->p, '\0', version->n) != NULL)
		return -ENOENT;
	t.sysroot = realpath(sysroot, NULL);
	if (t.sysroot == NULL)
		return -errno;
	r = learn(NULL, driver, target, version, &t);
	if (r < 0)
		return r;
	*ret = t;
	memset(&t, 0, sizeof(t));
	return 0;
}

int
toolchain_version(const struct toolchain *t, struct buf *ret)
{
	return tc_run_version(t->sysroot, t->driver, ret);
}

bool
toolchain_has_sources(const struct toolchain *t)
{
	return tc_has_rust_src(t->sysroot);
}

static int
list_files(const char *sysroot, const char *driver, const char *host, const char *target,
	struct strv *ret)
{
	_cleanup_(tc_entries_done) struct tc_entries dirs = { NULL, 0, 0 };
	_cleanup_(strv_done) struct strv files = STRV_INIT, outside = STRV_INIT;
	int r = tc_collect(
		sysroot, driver, host, target != NULL ? target : host, &files, &dirs, &outside);

	return r == 0 && files.n > 0 ? strv_add_all(ret, files.v) : r;
}

int
toolchain_list_files(const char *sysroot, const char *driver, const char *target, struct strv *ret)
{
	_cleanup_(freep) char *host = NULL, *release = NULL;
	_cleanup_(buf_done) struct buf version = BUF_INIT;
	int r;

	if (!is_driver(driver) || (target != NULL && !tc_target_ok(target)))
		return -ENOENT;
	r = run_version(sysroot, driver, &version, &host, &release);
	return r < 0 ? r : list_files(sysroot, driver, host, target, ret);
}

int
toolchain_list_own_files(const struct toolchain *t, const char *target, struct strv *ret)
{
	if (target != NULL && !tc_target_ok(target))
		return -ENOENT;
	if (streq(target ? target : t->host, t->target) && tc_sealed_files(t, ret) == 0)
		return 0;
	return list_files(t->sysroot, t->driver, t->host, target, ret);
}

char *
tc_guess_host(const char *sysroot)
{
	_cleanup_(strv_done) struct strv targets = STRV_INIT;
	const char *found = NULL;

	if (toolchain_list_targets(sysroot, &targets) < 0)
		return NULL;
	for (size_t i = 0; i < targets.n; i++) {
		_cleanup_(freep) char *bin = NULL;

		if (asprintf(&bin, "%s/lib/rustlib/%s/bin", sysroot, targets.v[i]) < 0) {
			bin = NULL;
			return NULL;
		}
		if (!fs_exists(bin))
			continue;
		if (found)
			return NULL;
		found = targets.v[i];
	}
	return found ? strdup(found) : NULL;
}

int
toolchain_list_targets(const char *sysroot, struct strv *ret)
{
	_cleanup_(freep) char *path = path_join(sysroot, "lib/rustlib");
	_cleanup_(strv_done) struct strv found = STRV_INIT;
	struct dirent *e;
	DIR *d;
	int r = 0;

	if (path == NULL)
		return -ENOMEM;
	d = opendir(path);
	if (d == NULL)
		return -errno;
	while (r == 0 && (e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.' && tc_has_std(sysroot, e->d_name))
			r = strv_add(&found, e->d_name);
	}
	closedir(d);
	strv_sort_unique(&found);
	if (r == 0 && found.n > 0)
		r = strv_add_all(ret, found.v);
	return r;
}

uint32_t
toolchain_glibc_minor(void)
{
	unsigned major = 0, minor = 0;

	if (sscanf(gnu_get_libc_version(), "%u.%u", &major, &minor) != 2 || major != 2)
		return 0;
	return minor;
}
