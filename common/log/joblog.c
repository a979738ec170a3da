/* The job log.
 *
 * Invariant: a line is whole or it is not there. It is made in memory, bounded, and appended by one
 * write with O_APPEND, which local file systems do not mix with another's. What does not fit on a
 * full disk is closed with a newline where possible, so that it spoils no other line.
 *
 * A process rotates the log if it holds a lock on the file that is too long and finds that file
 * still under its name; so many processes at once rotate it once. Nobody waits for that lock. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/log/joblog.h"

#define STRING_MAX 2048 /* a reason or a path; longer ones are cut */
#define ATTEMPTS_MAX 16
#define OPEN_TRIES 3

json_t *
joblog_text(const char *s, size_t max)
{
	size_t n = strlen(s);
	char *copy;
	json_t *j;

	if (n > max) {
		n = max;
		/* not in the middle of a character */
		for (int i = 0; i < 3 && n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80; i++)
			n--;
	}
	j = json_stringn(s, n);
	copy = j ? NULL : strndup(s, MIN2(strlen(s), max));
	if (!copy)
		return j;
	n = strlen(copy);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)copy[i] >= 0x80)
			copy[i] = '?';
	j = json_stringn(copy, n);
	free(copy);
	return j;
}

/* Each adds one field. Failures (memory) are gathered in *failed: callers read as a list. */
static void
add(json_t *o, const char *key, json_t *value, bool *failed)
{
	if (value == NULL || json_object_set_new_nocheck(o, key, value) < 0)
		*failed = true;
}

static void
add_text(json_t *o, const char *key, const char *s, bool *failed)
{
	if (s != NULL)
		add(o, key, joblog_text(s, STRING_MAX), failed);
}

static void
add_number(json_t *o, const char *key, uint64_t v, bool *failed)
{
	add(o, key, json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v), failed);
}

static void
add_ms(json_t *o, const char *key, uint64_t us, bool *failed)
{
	add(o, key, json_real((double)us / 1000.0), failed);
}

static void
add_attempts(json_t *o, const char *const *attempts, bool *failed)
{
	json_t *list;
	size_t i;

	if (attempts == NULL || attempts[0] == NULL)
		return;
	list = json_array();
	for (i = 0; list != NULL && attempts[i] != NULL && i < ATTEMPTS_MAX; i++) {
		if (json_array_append_new(list, joblog_text(attempts[i], STRING_MAX)) < 0)
			*failed = true;
	}
	add(o, "attempts", list, failed);
}

static void
add_time(json_t *o, bool *failed)
{
	char out[80];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_utc(now.tv_sec, &tm);
	snprintf(out, sizeof(out), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		(int)(now.tv_nsec / 1000000));
	add(o, "time", json_string(out), failed);
}

static void
add_trace(json_t *o, const struct joblog_trace *t, bool *failed)
{
	json_t *trace = t ? json_object() : NULL;

	if (!t)
		return;
	*failed |= trace == NULL;
	add(trace, "whole", json_boolean(t->whole != 0), failed);
	add_number(trace, "calls", t->calls, failed);
	add_number(trace, "files", t->files, failed);
	add_number(trace, "absent", t->absent, failed);
	add_number(trace, "dirs", t->dirs, failed);
	add_number(trace, "vars", t->vars, failed);
	add_number(trace, "fetched", t->fetched, failed);
	add_ms(trace, "wait_ms", t->wait_us, failed);
	add(o, "trace", trace, failed);
}

/* Of the names of our own fields nobody makes a long chain: no random numbers are read for them. */
static json_t *
new_object(void)
{
	json_object_seed((size_t)clock_mono_us() | 1);
	return json_object();
}

static json_t *
object_of(const struct joblog_entry *e)
{
	_cleanup_(json_decrefp) json_t *o = new_object();
	bool failed = false;

	if (o == NULL)
		return NULL;
	add_time(o, &failed);
	add_text(o, "crate", e->crate != NULL ? e->crate : "", &failed);
	add_text(o, "package", e->package, &failed);
	add_text(o, "kind", e->kind, &failed);
	add_text(o, "where", e->where, &failed);
	add_text(o, "why", e->why, &failed);
	add_text(o, "cache", e->cache, &failed);
	add_text(o, "cache_why", e->cache_why, &failed);
	add_text(o, "not_stored", e->not_stored, &failed);
	add_text(o, "tier", e->tier, &failed);
	add_text(o, "shared_why", e->far_why, &failed);
	add_text(o, "not_shared", e->not_shared, &failed);
	if (e->far_refused)
		add_number(o, "refused", e->far_refused, &failed);
	add_text(o, "key", e->key, &failed);
	add_text(o, "worker", e->worker, &failed);
	add_text(o, "worker_key", e->worker_key, &failed);
	add_text(o, "coordinator", e->coordinator, &failed);
	if (e->half)
		add_number(o, "half", e->half, &failed);
	add_text(o, "linker", e->linker, &failed);
	add_text(o, "out_dir", e->out_dir, &failed);
	add_text(o, "unit", e->unit, &failed);
	add_text(o, "externs", e->externs, &failed);
	if (e->externs_left)
		add_number(o, "externs_left", e->externs_left, &failed);
	add_text(o, "links", e->links, &failed);
	add_text(o, "deps", e->deps, &failed);
	add_text(o, "bound", e->bound, &failed);
	add_attempts(o, e->attempts, &failed);
	add_number(o, "parent", e->parent, &failed);
	if (e->trial)
		add(o, "trial", json_true(), &failed);
	if (e->cargo)
		add_number(o, "cargo", e->cargo, &failed);
	add(o, "exit_status", json_integer(e->exit_status), &failed);
	if (e->signal)
		add(o, "signal", json_integer(e->signal), &failed);
	add_number(o, "start_us", e->start_us, &failed);
	add_number(o, "compile_start_us", e->compile_start_us, &failed);
	add_number(o, "rmeta_us", e->rmeta_us, &failed);
	add_number(o, "end_us", e->end_us, &failed);
	add_ms(o, "wall_ms", e->end_us > e->start_us ? e->end_us - e->start_us : 0, &failed);
	add_ms(o, "pack_ms", e->pack_us, &failed);
	add_ms(o, "queue_ms", e->queue_us, &failed);
	add_text(o, "queue_why", e->queue_why, &failed);
	add_ms(o, "upload_ms", e->upload_us, &failed);
	add_ms(o, "compile_ms", e->compile_us, &failed);
	add_ms(o, "download_ms", e->download_us, &failed);
	add_ms(o, "slot_wait_ms", e->slot_wait_us, &failed);
	add_ms(o, "link_ms", e->link_us, &failed);
	add_ms(o, "lookup_ms", e->lookup_us, &failed);
	add_ms(o, "restore_ms", e->restore_us, &failed);
	add_ms(o, "store_ms", e->store_us, &failed);
	if (e->far_us) {
		add_ms(o, "shared_ms", e->far_us, &failed);
		add_number(o, "shared_bytes", e->far_bytes, &failed);
	}
	add_ms(o, "saved_ms", e->saved_us, &failed);
	add_number(o, "cache_bytes", e->cache_bytes, &failed);
	add_number(o, "bytes_sent", e->bytes_sent, &failed);
	add_number(o, "bytes_received", e->bytes_received, &failed);
	add_trace(o, e->trace, &failed);
	return failed ? NULL : steal_ptr(o);
}

static int
line_of(const struct joblog_entry *e, struct buf *ret)
{
	_cleanup_(json_decrefp) json_t *o = object_of(e);
	_cleanup_(freep) char *s = NULL;
	int r;

	if (o != NULL)
		s = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));
	if (s == NULL)
		return -ENOMEM;
	r = buf_adds(ret, s);
	return r < 0 ? r : buf_add(ret, "\n", 1);
}

/* Opens for appending, with its directory. O_NONBLOCK: a fifo without a reader must not hold a
 * build. */
static int
open_log(const char *path)
{
	const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd, r;

	fd = open(path, flags, 0600);
	if (fd < 0 && errno == ENOENT) {
		r = fs_mkdir_parent(path, 0700);
		if (r < 0)
			return r;
		fd = open(path, flags, 0600);
	}
	return fd < 0 ? -errno : fd;
}

/* Renames the open log, when it is still the one at path and nobody else is at it. */
static int
rotate(const char *path, int fd, const struct stat *opened)
{
	_cleanup_(freep) char *old = NULL;
	struct stat st;
	int r = 0;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	if (stat(path, &st) == 0 && st.st_ino == opened->st_ino && st.st_dev == opened->st_dev) {
		if (asprintf(&old, "%s.1", path) < 0)
			r = -ENOMEM;
		else if (rename(path, old) < 0)
			r = -errno;
	}
	flock(fd, LOCK_UN);
	return r;
}

/* The log to append n bytes to, rotated when they would not fit. */
static int
open_with_room(const char *path, uint64_t limit, size_t n)
{
	struct stat st;
	int tries, fd, r;

	for (tries = 0;; tries++) {
		fd = open_log(path);
		if (fd < 0 || limit == 0 || tries == OPEN_TRIES)
			return fd;
		if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0 ||
			(uint64_t)st.st_size + n <= limit)
			return fd;
		r = rotate(path, fd, &st);
		close(fd);
		if (r < 0)
			return r;
	}
}

/* How long a log is that ends in the middle of a line; 0 when it does not. */
static off_t
torn_at(int fd)
{
	struct stat st;
	char last;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0 ||
		pread(fd, &last, 1, st.st_size - 1) != 1 || last == '\n')
		return 0;
	return st.st_size;
}

static bool
is_torn(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	off_t size = fd >= 0 ? torn_at(fd) : 0;

	if (size == 0)
		return false;
	/* another's write looks so for an instant: a file grows page by page. (A wrong guess costs
	 * an empty line.) */
	poll(NULL, 0, 5);
	return torn_at(fd) == size;
}

int
joblog_append(const char *path, uint64_t limit, const struct joblog_entry *e)
{
	_cleanup_(buf_done) struct buf line = BUF_INIT;
	_cleanup_(closep) int fd = -1;
	size_t skip;
	ssize_t w;
	int r;

	r = buf_add(&line, "\n", 1);
	if (r == 0)
		r = line_of(e, &line);
	if (r < 0)
		return r;
	fd = open_with_room(path, limit, line.n);
	if (fd < 0)
		return fd;
	skip = is_torn(path) ? 0 : 1;
	do
		w = write(fd, line.p + skip, line.n - skip);
	while (w < 0 && errno == EINTR);
	if (w < 0)
		return -errno;
	return (size_t)w == line.n - skip ? 0 : -ENOSPC;
}
