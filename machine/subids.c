/* Invariant: a range that was given out is as long as was asked for, and begins above 0. */
#include "config.h"

#include "machine/subids.h"

#include <errno.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/users.h"
#include "common/text/why.h"

#define LINE_BYTES 512

static void
fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* name:first:count */
static bool
parse_line(char *line, const char *name, uid_t uid, struct subids_range *ret)
{
	char *first = strchr(line, ':'), *count = first ? strchr(first + 1, ':') : NULL, *end;

	if (!count)
		return false;
	*first++ = '\0';
	*count++ = '\0';
	if (!name || !streq(line, name)) {
		unsigned long n = strtoul(line, &end, 10);

		if (*line < '0' || *line > '9' || *end || n != uid)
			return false;
	}
	if (*first < '0' || *first > '9' || *count < '0' || *count > '9')
		return false;
	errno = 0;
	ret->first = strtoul(first, &end, 10);
	if (*end)
		return false;
	ret->count = strtoul(count, &end, 10);
	return errno == 0 && (*end == '\n' || !*end) && ret->first > 0 && ret->first < UINT32_MAX &&
	       ret->count <= UINT32_MAX - ret->first;
}

int
subids_read(FILE *list, const char *name, uid_t uid, struct subids_range *ret)
{
	struct subids_range best = { 0, 0 }, r;
	char line[LINE_BYTES];

	while (fgets(line, sizeof(line), list))
		if (parse_line(line, name, uid, &r) && r.count > best.count)
			best = r;
	if (!best.count)
		return -ENOENT;
	*ret = best;
	return 0;
}

static int
find_one(const char *path, const char *name, uid_t uid, unsigned n, bool root,
	struct subids_range *ret, char **ret_why)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	struct subids_range r;

	if (!f || subids_read(f, name, uid, &r) < 0 || r.count < n) {
		if (!root)
			return why_set(ret_why, -ENOTSUP,
				"%s has no %u for this user (usermod --add-subuids, "
				"--add-subgids)",
				path, n);
		r = (struct subids_range){ SUBIDS_ROOTS, n };
	}
	*ret = (struct subids_range){ r.first + (r.count - n) / 2, n };
	return 0;
}

int
subids_find(const char *name, uid_t uid, unsigned n, bool root, struct subids_range *ret_uids,
	struct subids_range *ret_gids, char **ret_why)
{
	int r = find_one("/etc/subuid", name, uid, n, root, ret_uids, ret_why);

	return r < 0 ? r : find_one("/etc/subgid", name, uid, n, root, ret_gids, ret_why);
}

int
subids_possible(char **ret_why)
{
	_cleanup_(freep) char *name = NULL, *home = NULL;
	_cleanup_(freep) char *mapper = fs_which("newuidmap", getenv("PATH"));
	struct subids_range uids, gids;
	bool root = geteuid() == 0;

	if (!root && !mapper)
		return why_set(ret_why, -ENOTSUP, "there is no newuidmap (Debian: uidmap)");
	/* one without a name may be listed by number */
	(void)users_find(geteuid(), &name, &home);
	return subids_find(name, geteuid(), 2, root, &uids, &gids, ret_why);
}
