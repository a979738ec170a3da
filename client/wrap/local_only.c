/* Invariant: a line is appended with one write, so that many calls can share the file; a line that
 * makes no sense is as good as none; the file stays below FILE_MAX. */
#include "config.h"

#include "client/wrap/local_only.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/process/environ.h"
#include "common/fs.h"
#include "common/lines.h"

#define FILE_MAX (256u * 1024)
#define DAY_S (24 * 60 * 60)
#define FIELDS 5

static char *
list_path(const char *cache_dir)
{
	return cache_dir && *cache_dir ? path_join(cache_dir, LOCAL_ONLY_FILE) : NULL;
}

bool
local_only_parse(char *line, uint64_t now_s, struct local_only *ret)
{
	char *field[FIELDS], *end;

	if (!lines_split(line, field, FIELDS))
		return false;
	ret->time_s = strtoull(field[0], &end, 10);
	if (end == field[0] || *end || ret->time_s > now_s ||
		now_s - ret->time_s > (uint64_t)LOCAL_ONLY_DAYS * DAY_S)
		return false;
	ret->package = field[1];
	ret->version = field[2];
	ret->crate = field[3];
	ret->reason = field[4];
	return true;
}

int
local_only_each(const char *cache_dir, uint64_t now_s, local_only_fn fn, void *arg)
{
	_cleanup_(freep) char *path = list_path(cache_dir);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *line, *end;
	int r;

	if (!path)
		return -ENOENT;
	r = fs_read_file(path, 2 * FILE_MAX, &b);
	if (r < 0 || b.n == 0)
		return r;
	for (line = (char *)b.p; (end = strchr(line, '\n')); line = end + 1) {
		struct local_only e;

		*end = '\0';
		if (local_only_parse(line, now_s, &e))
			fn(arg, &e);
	}
	return 0;
}

struct place_search {
	const char *package, *version, *crate;
	char *reason;
	bool found;
};

static void
compare(void *arg, const struct local_only *e)
{
	struct place_search *s = arg;

	if (!streq(e->package, s->package) || !streq(e->version, s->version) ||
		!streq(e->crate, s->crate))
		return;
	s->found = true;
	snprintf(s->reason, LOCAL_ONLY_REASON_MAX, "%s", e->reason);
}

/* False: no package is compiled. */
static bool
this_package(const char *crate, struct place_search *s)
{
	s->package = environ_get("CARGO_PKG_NAME");
	s->version = environ_get("CARGO_PKG_VERSION");
	s->crate = crate;
	return crate && s->package && *s->package && s->version;
}

bool
local_only_find(const char *cache_dir, const char *crate, uint64_t now_s,
	char ret_reason[LOCAL_ONLY_REASON_MAX])
{
	struct place_search s = { .reason = ret_reason };

	return this_package(crate, &s) && local_only_each(cache_dir, now_s, compare, &s) == 0 &&
	       s.found;
}

static void
keep(void *arg, const struct local_only *e)
{
	struct buf *b = arg;

	buf_addf(b, "%" PRIu64 "\t%s\t%s\t%s\t%s\n", e->time_s, e->package, e->version, e->crate,
		e->reason);
}

/* What another call appends meanwhile is lost, and found again by its next compile. */
static void
shorten(const char *cache_dir, const char *path, uint64_t now_s)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const uint8_t *nl;

	/* Far too long, or nothing in it that still holds: it begins anew. */
	if (local_only_each(cache_dir, now_s, keep, &b) < 0 || b.n == 0) {
		unlink(path);
		return;
	}
	nl = b.n > FILE_MAX / 2 ? memchr(b.p + b.n - FILE_MAX / 2, '\n', FILE_MAX / 2) : NULL;
	if (nl)
		buf_consume(&b, (size_t)(nl - b.p) + 1);
	fs_write_atomic(path, b.p, b.n, 0600);
}

int
local_only_add(const char *cache_dir, const char *crate, uint64_t now_s, const char *reason)
{
	_cleanup_(freep) char *path = list_path(cache_dir), *line = NULL;
	char text[LOCAL_ONLY_REASON_MAX];
	struct place_search s = { .reason = NULL };
	off_t size;

	if (!this_package(crate, &s))
		return 0;
	if (!path)
		return -ENOENT;
	snprintf(text, sizeof(text), "%s", reason);
	lines_plain(text);
	if (asprintf(&line, "%" PRIu64 "\t%s\t%s\t%s\t%s\n", now_s, s.package, s.version, crate,
		    text) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	size = lines_append(path, line, strlen(line));
	if (size > (off_t)FILE_MAX)
		shorten(cache_dir, path, now_s);
	return (int)MIN2(size, (off_t)0);
}

int
local_only_forget(const char *cache_dir)
{
	_cleanup_(freep) char *path = list_path(cache_dir);

	if (!path)
		return 0;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}
