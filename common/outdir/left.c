/* Invariant: nothing is removed that a living process may need: its name is of this place and its
 * process is proved to be gone, or nobody has touched it for days. */
#include "config.h"

#include "common/outdir/left.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/fs.h"
#include "common/outdir/layout.h"
#include "common/log/log.h"
#include "common/process/proc.h"
#include "common/share.h"
#include "common/table.h"

#define AGAIN_S 60
#define NOTES 64 /* files in the cache directory that say when; directories share them */

static const struct {
	const char *prefix;
	bool more; /* "-XXXXXX" follows the name */
	bool is_dir;
} kinds[] = {
	[LEFT_KEPT] = { ".dray-kept-", false, false },
	[LEFT_UNIT] = { ".dray-unit-", true, true },
	[LEFT_PUT] = { ".dray-put-", true, false },
};

void
left_name(enum left_kind kind, pid_t owner, char out[LEFT_NAME_SIZE])
{
	bool dead;

	snprintf(out, LEFT_NAME_SIZE, "%s%016" PRIx64 "-%ld-%" PRIu64, kinds[kind].prefix,
		proc_place(), (long)owner, proc_start(owner, &dead));
}

int
left_make_dir(const char *parent, pid_t owner, char **ret)
{
	char name[LEFT_NAME_SIZE], prefix[LEFT_NAME_SIZE + 1];

	left_name(LEFT_UNIT, owner, name);
	snprintf(prefix, sizeof(prefix), "%s-", name);
	return fs_make_temp_dir(parent, prefix, ret);
}

struct left {
	enum left_kind kind;
	uint64_t place, start;
	pid_t pid;
};

static bool
parse(const char *name, struct left *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *prefix = kinds[i].prefix, *p = name + strlen(prefix);
		int n = -1;
		long pid;

		if (!starts_with(name, prefix))
			continue;
		if (strspn(p, "0123456789abcdef") != 16 ||
			sscanf(p, "%16" SCNx64 "-%9ld-%18" SCNu64 "%n", &ret->place, &pid,
				&ret->start, &n) != 3 ||
			n < 0 || pid <= 0)
			return false;
		p += n;
		ret->pid = (pid_t)pid;
		ret->kind = (enum left_kind)i;
		return kinds[i].more ? *p == '-' && strlen(p) == strlen("-XXXXXX") : !*p;
	}
	return false;
}

static bool
is_gone(const struct left *l)
{
	uint64_t start;
	bool dead;

	if (kill(l->pid, 0) < 0 && errno == ESRCH)
		return true;
	start = proc_start(l->pid, &dead);
	return dead || (start && l->start && start != l->start);
}

static bool
may_go(const struct left *l, time_t age)
{
	uint64_t here = proc_place();

	if (here && l->place == here)
		return is_gone(l);
	return age > LEFT_OLD_S;
}

bool
left_may_go(const char *name, time_t age)
{
	struct left l;

	return parse(name, &l) && may_go(&l, age);
}

static void
look_at(const struct share *s, const char *dir, int fd, const char *name)
{
	_cleanup_(freep) char *path = path_join(dir, name);
	struct left l;
	struct stat st;
	bool is_dir;

	if (!parse(name, &l))
		return;
	is_dir = kinds[l.kind].is_dir;
	/* A link's change time, not its file's age: a kept rmeta is a second name of one. */
	if (!path || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		(!s->on && st.st_uid != geteuid()) ||
		!(is_dir ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode)) ||
		!may_go(&l, time(NULL) - st.st_ctime))
		return;
	log_debug("left behind by a killed process: %s", name);
	if (is_dir)
		fs_rm_rf(path);
	else
		unlink(path);
}

static bool
is_due(const struct share *s, const char *cache_dir, const char *dir)
{
	_cleanup_(closep) int fd = -1;
	char path[PATH_MAX];
	struct stat st;
	time_t now = time(NULL);

	if (!cache_dir || !*cache_dir)
		return true;
	snprintf(path, sizeof(path), "%s/swept", cache_dir);
	if (share_mkdir_p(s, cache_dir, path, 0700) < 0)
		return true;
	snprintf(
		path, sizeof(path), "%s/swept/%02u", cache_dir, (unsigned)(text_hash(dir) % NOTES));
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_mtime <= now && now - st.st_mtime < AGAIN_S)
		return false;
	if (fd < 0)
		fd = share_open(s, path, 0600);
	if (fd >= 0)
		(void)futimens(fd, NULL);
	return true;
}

void
left_sweep(const char *cache_dir, const char *dir)
{
	left_sweep_shared(&(struct share){ .on = false }, cache_dir, dir);
}

void
left_sweep_shared(const struct share *s, const char *cache_dir, const char *dir)
{
	_cleanup_(closedirp) DIR *d = NULL;
	struct dirent *e;
	size_t n;

	/* no other unit comes by later where each has an out-dir of its own; it is small, too */
	if (layout_find(dir, &n) != LAYOUT_UNIT && !is_due(s, cache_dir, dir))
		return;
	d = opendir(dir);
	while (d && (e = readdir(d)))
		if (starts_with(e->d_name, ".dray-"))
			look_at(s, dir, dirfd(d), e->d_name);
}
