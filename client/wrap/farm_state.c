/* The farm's stamp file. Invariant: a stamp is written whole, by rename; one that cannot be read,
 * or that comes from the future (another boot), counts as none. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "client/wrap/farm_state.h"
#include "common/fs.h"
#include "common/process/proc.h"

#define STAMP_PREFIX "farm-"
#define PROBE_SUFFIX ".probe"
#define STAMP_MAX 128
#define EXPIRE_S 3600
#define LOOK_AGAIN_MS 5
/* A prober tells within connect_ms of its start, or dies and lets go of the lock. A process that
 * waits for it goes by that news; this bound, in connect_ms, is for a machine so busy that starting
 * it takes long. One that is stopped tells nothing: then others find out for themselves. */
#define PATIENCE 4
#define LOOK_AT_PROBER_MS 250

enum stamp { STAMP_NONE, STAMP_UP, STAMP_DOWN, STAMP_EXPIRED };

static uint64_t
boot_ms(void)
{
	struct timespec ts = { 0, 0 };

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* FNV-1a: tells endpoints apart in a directory of the user's own, nothing more. */
static uint64_t
hash(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return h;
}

static char *
stamp_path(const char *cache_dir, const char *endpoint, const char *suffix)
{
	char *path;

	if (!cache_dir || !endpoint ||
		asprintf(&path, "%s/" STAMP_PREFIX "%016" PRIx64 "%s", cache_dir, hash(endpoint),
			suffix) < 0)
		return NULL;
	return path;
}

static enum stamp
read_stamp(const char *path, uint64_t retry_s)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	uint64_t at, now = boot_ms();
	char word[8];

	if (fs_read_file(path, STAMP_MAX, &b) < 0 || b.n == 0 ||
		sscanf((const char *)b.p, "%7s %" SCNu64, word, &at) != 2 || at > now)
		return STAMP_NONE;
	if (streq(word, "up"))
		return STAMP_UP;
	if (!streq(word, "down"))
		return STAMP_NONE;
	return (now - at) / 1000 < retry_s ? STAMP_DOWN : STAMP_EXPIRED;
}

/* Since when, by the same clock. */
static enum stamp
read_since(const char *path, uint64_t *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	uint64_t at = 0, since = 0;
	char word[8];
	int n;

	if (fs_read_file(path, STAMP_MAX, &b) < 0 || b.n == 0 || buf_add(&b, "", 1) < 0)
		return STAMP_NONE;
	n = sscanf((const char *)b.p, "%7s %" SCNu64 " %" SCNu64, word, &at, &since);
	if (n < 2)
		return STAMP_NONE;
	*ret = n == 3 ? since : at;
	if (*ret > boot_ms())
		return STAMP_NONE;
	return streq(word, "up") ? STAMP_UP : streq(word, "down") ? STAMP_DOWN : STAMP_NONE;
}

bool
farm_state_since(const char *cache_dir, const char *endpoint, bool *ret_up, uint64_t *ret_ms)
{
	_cleanup_(freep) char *path = stamp_path(cache_dir, endpoint, "");
	uint64_t since = 0;
	enum stamp stamp = path ? read_since(path, &since) : STAMP_NONE;

	if (stamp == STAMP_NONE)
		return false;
	*ret_up = stamp == STAMP_UP;
	*ret_ms = boot_ms() - since;
	return true;
}

bool
farm_state_is_up(const char *cache_dir, const char *endpoint)
{
	_cleanup_(freep) char *path = stamp_path(cache_dir, endpoint, "");

	return path && read_stamp(path, 0) == STAMP_UP;
}

bool
farm_state_is_down(const char *cache_dir, const char *endpoint, uint64_t retry_s)
{
	_cleanup_(freep) char *path = stamp_path(cache_dir, endpoint, "");

	return path && read_stamp(path, retry_s) == STAMP_DOWN;
}

static void
sleep_ms(unsigned ms)
{
	struct timespec ts = { 0, (long)ms * 1000000 };

	nanosleep(&ts, NULL);
}

static bool
is_stopped(int probe)
{
	struct proc_name prober;
	enum proc_state state;

	if (proc_signed(probe, &prober) < 0)
		return false;
	state = proc_state(&prober);
	return state == PROC_STOPPED || state == PROC_GONE;
}

enum farm_state
farm_state_begin(const char *cache_dir, const char *endpoint, uint64_t retry_s, uint64_t connect_ms,
	int *ret_probe)
{
	_cleanup_(freep) char *path = stamp_path(cache_dir, endpoint, "");
	_cleanup_(freep) char *probe_path = stamp_path(cache_dir, endpoint, PROBE_SUFFIX);
	_cleanup_(closep) int probe = -1;
	uint64_t now = boot_ms(), end = now + connect_ms * PATIENCE;
	uint64_t look = now + LOOK_AT_PROBER_MS;

	*ret_probe = -1;
	if (!path || !probe_path)
		return FARM_TRY;
	for (;;) {
		enum stamp stamp = read_stamp(path, retry_s);

		if (stamp == STAMP_UP)
			return FARM_TRY;
		if (stamp == STAMP_DOWN)
			return FARM_DOWN;
		if (probe < 0) {
			fs_mkdir_p(cache_dir, 0700);
			probe = open(probe_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
			/* without a place to agree, each call finds out for itself */
			if (probe < 0)
				return FARM_TRY;
		}
		if (flock(probe, LOCK_EX | LOCK_NB) == 0) {
			/* the one before may have told between our look and its end */
			stamp = read_stamp(path, retry_s);
			if (stamp == STAMP_DOWN)
				return FARM_DOWN;
			if (stamp == STAMP_UP)
				return FARM_TRY;
			(void)proc_sign(probe);
			*ret_probe = steal_fd(&probe);
			return FARM_TRY;
		}
		now = boot_ms();
		if (stamp == STAMP_EXPIRED || now >= end)
			return is_stopped(probe) ? FARM_TRY : FARM_DOWN;
		if (now >= look) {
			if (is_stopped(probe))
				return FARM_TRY;
			look = now + LOOK_AT_PROBER_MS;
		}
		sleep_ms(LOOK_AGAIN_MS);
	}
}

void
farm_state_set(const char *cache_dir, const char *endpoint, bool up)
{
	_cleanup_(freep) char *path = stamp_path(cache_dir, endpoint, "");
	char text[STAMP_MAX];
	uint64_t now = boot_ms(), since = now;
	int n;

	if (!path)
		return;
	/* thousands of jobs say "up", and its age means nothing: written once */
	if (up && read_stamp(path, 0) == STAMP_UP)
		return;
	if (up || read_since(path, &since) != STAMP_DOWN)
		since = now;
	n = snprintf(
		text, sizeof(text), "%s %" PRIu64 " %" PRIu64 "\n", up ? "up" : "down", now, since);
	if (fs_mkdir_p(cache_dir, 0700) < 0)
		return;
	fs_write_atomic(path, text, (size_t)n, 0600);
}

void
farm_state_forget(const char *cache_dir, const char *endpoint)
{
	_cleanup_(freep) char *path = stamp_path(cache_dir, endpoint, "");
	_cleanup_(freep) char *probe = stamp_path(cache_dir, endpoint, PROBE_SUFFIX);

	if (path)
		unlink(path);
	if (probe)
		unlink(probe);
}

/* farm-<16 hex digits>, or that and .probe. */
static bool
is_stamp_name(const char *name)
{
	size_t n;

	if (!starts_with(name, STAMP_PREFIX))
		return false;
	name += strlen(STAMP_PREFIX);
	n = strspn(name, "0123456789abcdef");
	return n == 16 && (!name[n] || streq(name + n, PROBE_SUFFIX));
}

void
farm_state_expire(const char *cache_dir)
{
	_cleanup_(closedirp) DIR *d = cache_dir ? opendir(cache_dir) : NULL;
	time_t now = time(NULL);
	const struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d))) {
		_cleanup_(freep) char *path = NULL;

		if (!is_stamp_name(e->d_name) || !(path = path_join(cache_dir, e->d_name)) ||
			lstat(path, &st) < 0 || now - st.st_mtime < EXPIRE_S)
			continue;
		if (ends_with(e->d_name, PROBE_SUFFIX) || read_stamp(path, 0) != STAMP_UP)
			unlink(path);
	}
}
