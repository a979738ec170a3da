/* Reads link captures. Invariant: a struct capture that was given out names only plain files of at
 * most two path parts, each once, and its output is a plain name. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/fs.h"
#include "worker/job/capture.h"

#define LIST_BYTES_MAX (8u * 1024 * 1024)

void
capture_raw_done(struct capture_raw *r)
{
	buf_done(&r->argv);
	buf_done(&r->path);
	buf_done(&r->files);
	buf_done(&r->dirs);
	buf_done(&r->output);
}

void
capture_done(struct capture *c)
{
	strv_done(&c->argv);
	strv_done(&c->files);
	strv_done(&c->dirs);
	free(c->path);
	free(c->output);
	closep(&c->fd);
	*c = (struct capture){ .fd = -1 };
}

void
captures_done(struct captures *c)
{
	for (size_t i = 0; i < c->n; i++)
		capture_done(&c->v[i]);
	free(c->v);
	*c = (struct captures){ NULL, 0 };
}

/* NUL-terminated strings; the last byte must be a NUL. */
static int
parse_strings(const struct buf *b, size_t max, struct strv *ret)
{
	for (size_t at = 0; at < b->n;) {
		const char *s = (const char *)b->p + at;
		const char *end = memchr(s, '\0', b->n - at);
		int r;

		if (!end || ret->n >= max)
			return -EBADMSG;
		r = strv_addn(ret, s, (size_t)(end - s));
		if (r < 0)
			return r;
		at += (size_t)(end - s) + 1;
	}
	return 0;
}

static int
parse_one(const struct buf *b, char **ret)
{
	struct strv s = STRV_INIT;
	int r = parse_strings(b, 1, &s);

	if (r == 0 && s.n != 1)
		r = -EBADMSG;
	if (r == 0)
		*ret = steal_ptr(s.v[0]);
	s.n = r == 0 ? 0 : s.n;
	strv_done(&s);
	return r;
}

/* "name" or "dir/name", neither of them a capture's own. */
static bool
relative_ok(const char *path)
{
	const char *slash = strchr(path, '/');
	char first[NAME_MAX + 1];
	size_t n = slash ? (size_t)(slash - path) : strlen(path);

	if (n > NAME_MAX || (slash && strlen(slash + 1) > NAME_MAX))
		return false;
	memcpy(first, path, n);
	first[n] = '\0';
	if (!path_is_name(first) || streq(first, CAPTURE_DIR))
		return false;
	return !slash || path_is_name(slash + 1);
}

static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Each path allowed, none twice. */
static int
check_paths(const struct strv *s)
{
	_cleanup_(freep) char **sorted = NULL;

	if (s->n == 0)
		return 0;
	sorted = calloc(s->n, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++) {
		if (!relative_ok(s->v[i]))
			return -EBADMSG;
		sorted[i] = s->v[i];
	}
	qsort(sorted, s->n, sizeof(*sorted), compare_strings);
	for (size_t i = 1; i < s->n; i++) {
		if (streq(sorted[i - 1], sorted[i]))
			return -EBADMSG;
	}
	return 0;
}

int
capture_parse(const struct capture_raw *raw, struct capture *ret)
{
	struct capture c = { .fd = -1 };
	int r;

	if (raw->argv.n > CAPTURE_BYTES_MAX || raw->files.n > LIST_BYTES_MAX ||
		raw->dirs.n > LIST_BYTES_MAX)
		return -EBADMSG;
	r = parse_strings(&raw->argv, CAPTURE_BYTES_MAX, &c.argv);
	if (r == 0 && c.argv.n == 0)
		r = -EBADMSG;
	if (r == 0)
		r = parse_one(&raw->path, &c.path);
	if (r == 0)
		r = parse_strings(&raw->files, CAPTURE_FILES_MAX, &c.files);
	if (r == 0)
		r = check_paths(&c.files);
	if (r == 0)
		r = parse_strings(&raw->dirs, CAPTURE_FILES_MAX, &c.dirs);
	if (r == 0)
		r = check_paths(&c.dirs);
	if (r == 0)
		r = parse_one(&raw->output, &c.output);
	if (r == 0 && (!path_is_name(c.output) || strlen(c.output) > NAME_MAX))
		r = -EBADMSG;
	if (r < 0) {
		capture_done(&c);
		return r;
	}
	*ret = c;
	return 0;
}

static int
open_regular_at(int dir, const char *name, struct stat *ret_st)
{
	/* O_NONBLOCK: the job may have put a fifo there, on which an open would wait. */
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EBADMSG;
	r = fstat(fd, ret_st) < 0 ? -errno : S_ISREG(ret_st->st_mode) ? 0 : -EBADMSG;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static int
read_at(int dir, const char *name, struct buf *ret)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;
	ssize_t n;
	int r;

	fd = open_regular_at(dir, name, &st);
	if (fd < 0)
		return fd == -ENOENT ? -EBADMSG : fd;
	if (st.st_size > (off_t)LIST_BYTES_MAX)
		return -EBADMSG;
	r = buf_reserve(ret, (size_t)st.st_size + 1);
	if (r < 0)
		return r;
	n = fs_read_at(fd, ret->p, (size_t)st.st_size, 0);
	if (n < 0)
		return (int)n;
	ret->n = (size_t)n;
	return 0;
}

static int
read_call(int dir, struct capture *ret)
{
	_cleanup_(capture_raw_done) struct capture_raw raw = { 0 };
	int r;

	r = read_at(dir, "argv", &raw.argv);
	if (r == 0)
		r = read_at(dir, "path", &raw.path);
	if (r == 0)
		r = read_at(dir, "files", &raw.files);
	if (r == 0)
		r = read_at(dir, "dirs", &raw.dirs);
	if (r == 0)
		r = read_at(dir, "output", &raw.output);
	return r < 0 ? r : capture_parse(&raw, ret);
}

int
captures_read(int out_fd, struct captures *ret)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_(captures_done) struct captures c = { NULL, 0 };
	_cleanup_(closep) int top = openat(out_fd, CAPTURE_DIR, flags);

	if (top < 0 && errno == ENOENT) {
		*ret = c;
		return 0;
	}
	if (top < 0)
		return -EBADMSG;
	c.v = calloc(CAPTURE_CALLS_MAX, sizeof(*c.v));
	if (!c.v)
		return -ENOMEM;
	for (unsigned i = 0; i < CAPTURE_CALLS_MAX; i++) {
		char name[16];
		int dir, r;

		snprintf(name, sizeof(name), "%u", i);
		dir = openat(top, name, flags);
		if (dir < 0 && errno == ENOENT)
			break;
		if (dir < 0)
			return -EBADMSG;
		r = read_call(dir, &c.v[c.n]);
		if (r < 0) {
			close(dir);
			return r;
		}
		c.v[c.n++].fd = dir;
	}
	*ret = c;
	c = (struct captures){ NULL, 0 };
	return 0;
}

int
capture_open(const struct capture *c, size_t i)
{
	struct stat st;
	char name[32];

	snprintf(name, sizeof(name), "%zu", i);
	return open_regular_at(c->fd, name, &st);
}
