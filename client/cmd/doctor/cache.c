/* The local cache: whether it can be used, and whether it is. */
#include "config.h"

#include "client/cmd/doctor/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/text/show.h"
#include "common/fs.h"
#include "common/share.h"
#include "store/depot.h"

/* "3 entries, 12.0 MiB of at most 20.0 GiB"; "" when it cannot be told. */
static void
describe_size(const struct conf *conf, char *ret, size_t n)
{
	_cleanup_(depot_closep) struct depot *d = NULL;
	struct depot_in in = { .dir = conf->client.store_dir,
		.max = conf->client.cache_max,
		.read_only = conf->client.cache == CACHE_READ,
		.group = conf->client.cache_group };
	char bytes[SHOW_SIZE], max[SHOW_SIZE];
	struct store_stats s;

	*ret = '\0';
	if (depot_open(&in, &d) < 0 || depot_get_stats(d, &s) < 0)
		return;
	show_bytes(s.bytes, bytes);
	show_bytes(s.max, max);
	snprintf(ret, n, ", %" PRIu64 " entries, %s of at most %s", s.entries, bytes, max);
}

/* What is made in a shared directory has the right mode; what was there before, or was made by a
 * build without cache_group, may not, and shuts the others out. */
static bool
check_shared_parts(struct doctor *d, const struct share *share)
{
	static const char *const parts[] = { "blobs", "entries", "locks", "tmp", "swept",
		"index.lmdb", "index.lmdb-guard", "index.lmdb-lock" };
	const char *dir = d->conf->client.store_dir;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		_cleanup_(freep) char *path = path_join(dir, parts[i]);
		struct stat st;
		mode_t want;

		if (!path || lstat(path, &st) < 0)
			continue;
		want = S_ISDIR(st.st_mode) ? SHARE_DIR_MODE : SHARE_FILE_MODE;
		if (st.st_gid == share->gid && (st.st_mode & 07777) == want)
			continue;
		doctor_say(d, BAD, "cache",
			"%s is not for the group (mode %04o): it is from a time before the "
			"directory was shared, or from a build without cache_group; as user %lu, "
			"or root: cd %s && rm -rf blobs entries locks tmp swept index.lmdb*",
			path, (unsigned)st.st_mode & 07777, (unsigned long)st.st_uid, dir);
		return false;
	}
	return true;
}

bool
doctor_check_shared_cache(struct doctor *d)
{
	const char *dir = d->conf->client.store_dir, *group = d->conf->client.cache_group;
	_cleanup_(freep) char *probe = NULL;
	struct share share;
	char size[128], why[SHARE_WHY_SIZE];
	int r = share_check(dir, group, &share, why);

	if (r < 0) {
		doctor_say(d, BAD, "cache", "is not used: %s", why);
		return false;
	}
	r = share_mkdir_p(&share, dir, dir, 0);
	if (r == 0 && asprintf(&probe, "%s/doctor-%ld", dir, (long)getpid()) >= 0) {
		r = fs_write_atomic(probe, dir, strlen(dir), SHARE_FILE_MODE);
		unlink(probe);
	}
	if (r < 0) {
		doctor_say(d, BAD, "cache", "%s cannot be written (%s)", dir, strerror(-r));
		return false;
	}
	if (check_shared_parts(d, &share)) {
		describe_size(d->conf, size, sizeof(size));
		doctor_say(d, GOOD, "cache", "%s%s", dir, size);
	}
	doctor_say(d, NOTE, "cache",
		"%s is shared by the group %s: each member can run code as the others", dir, group);
	return true;
}

/* Whether it can be used. */
bool
doctor_check_cache(struct doctor *d)
{
	const char *dir = d->conf->client.cache_dir;
	_cleanup_(freep) char *probe = NULL;
	struct stat st;
	char size[128];
	int r = is_set(dir) ? fs_mkdir_p(dir, 0700) : -ENOENT;

	if (r == 0 && asprintf(&probe, "%s/doctor-%ld", dir, (long)getpid()) >= 0) {
		/* not empty: such a file fits on a full disk */
		r = fs_write_atomic(probe, dir, strlen(dir), 0600);
		unlink(probe);
	}
	if (!is_set(dir)) {
		doctor_say(d, BAD, "cache",
			"there is no directory for it, so nothing is kept: no home, or no "
			"$XDG_CACHE_HOME, and neither is made; set cache_dir");
		return false;
	}
	if (r < 0) {
		doctor_say(d, BAD, "cache", "%s cannot be written (%s): make %s, or set cache_dir",
			dir, strerror(-r), r == -ENOSPC || r == -EDQUOT ? "room" : "it yours");
		return false;
	}
	if (fs_check_owner(dir) == -EPERM) {
		doctor_say(d, BAD, "cache",
			"%s is not used, since other users may write there, or it is theirs: "
			"chmod o-w, or set cache_dir",
			dir);
		return false;
	}
	describe_size(d->conf, size, sizeof(size));
	doctor_say(d, GOOD, "cache", "%s%s", dir, size);
	if (stat(dir, &st) == 0 && (st.st_mode & 07777) == SHARE_DIR_MODE && st.st_uid != geteuid())
		doctor_say(d, NOTE, "cache",
			"%s has the mode of one that a group shares: what this user keeps there "
			"shuts the others out, until cache_group is set",
			dir);
	return true;
}

void
doctor_check_cache_use(struct doctor *d, bool usable)
{
	if (d->conf->client.disable)
		doctor_say(d, NOTE, "cache use",
			"disable is set (DRAY_DISABLE): builds run as if there were no dray");
	else if (d->conf->client.cache == CACHE_OFF)
		doctor_say(d, NOTE, "cache use",
			"cache is off (DRAY_CACHE): nothing is looked up, and nothing kept");
	else if (!usable)
		doctor_say(d, BAD, "cache use",
			"nothing is looked up, and nothing kept, until the directory can be used");
	else if (d->conf->client.recache)
		doctor_say(d, NOTE, "cache use",
			"recache is set (DRAY_RECACHE): nothing is looked up, all is %s",
			d->conf->client.cache == CACHE_READ ? "compiled" : "compiled and kept");
	else if (d->conf->client.cache == CACHE_READ)
		doctor_say(d, NOTE, "cache use",
			"cache is read (DRAY_CACHE): what is compiled is not kept");
	else
		doctor_say(d, GOOD, "cache use", "what is compiled is kept, and looked up");
}
