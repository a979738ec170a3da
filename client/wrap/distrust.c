/* Invariant: a line is appended with one write, so that many calls can share the file; a line that
 * makes no sense is as good as none; the file stays below FILE_MAX. */
#include "config.h"

#include "client/wrap/distrust.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/fs.h"
#include "common/lines.h"

/* Some thousand workers. A farm whose workers are all bad is not for this file to tell. */
#define FILE_MAX (256u * 1024)
#define FIELDS 4

static char *
list_path(const char *cache_dir)
{
	return cache_dir && *cache_dir ? path_join(cache_dir, DISTRUST_FILE) : NULL;
}

static const char *
id_of(const char *key, const char *name)
{
	return key && *key ? key : name;
}

/* Takes a line apart, in place. False: it makes no sense, or holds no more. */
static bool
parse(char *line, uint64_t now_s, char *ret[FIELDS])
{
	uint64_t until;
	char *end;

	if (!lines_split(line, ret, FIELDS))
		return false;
	until = strtoull(ret[0], &end, 10);
	return end != ret[0] && !*end && (until == DISTRUST_EVER || now_s < until);
}

bool
distrust_find(const char *cache_dir, const char *key, const char *name, uint64_t now_s,
	char ret_reason[DISTRUST_REASON_MAX])
{
	_cleanup_(freep) char *path = list_path(cache_dir);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *line, *end, *field[FIELDS];

	if (!path || fs_read_file(path, FILE_MAX, &b) < 0 || b.n == 0)
		return false;
	for (line = (char *)b.p; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (!parse(line, now_s, field) ||
			!streq(id_of(field[1], field[2]), id_of(key, name)))
			continue;
		snprintf(ret_reason, DISTRUST_REASON_MAX, "%s", field[3]);
		return true;
	}
	return false;
}

int
distrust_add(const char *cache_dir, const char *key, const char *name, uint64_t until_s,
	const char *reason)
{
	_cleanup_(freep) char *path = list_path(cache_dir), *line = NULL;
	char text[DISTRUST_REASON_MAX], plain[80];
	struct stat st;
	off_t size;

	if (!path)
		return -ENOENT;
	snprintf(text, sizeof(text), "%s", reason);
	snprintf(plain, sizeof(plain), "%s", name);
	lines_plain(text);
	lines_plain(plain);
	if (asprintf(&line, "%" PRIu64 "\t%s\t%s\t%s\n", until_s, key, plain, text) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	if (stat(path, &st) == 0 && st.st_size > (off_t)(FILE_MAX - strlen(line)))
		return -EFBIG;
	size = lines_append(path, line, strlen(line));
	return (int)MIN2(size, (off_t)0);
}
