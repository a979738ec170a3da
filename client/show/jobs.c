/* Reads the job log.
 *
 * Invariant: whatever the file holds, a line that is given to a caller has text where there is to
 * be text, and numbers in their ranges. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "client/show/jobs.h"
#include "common/buf.h"
#include "common/fs.h"
#include "common/outdir/layout.h"
#include "common/text/when.h"

#define READ_SIZE (64u << 10)
#define NUMBER_MAX 1e15 /* above it a double is no exact integer; 30 years in microseconds */

static const char *
text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static uint64_t
number(const json_t *o, const char *key, double scale)
{
	double v = json_number_value(json_object_get(o, key)) * scale;

	/* also false for what is not a number */
	if (!(v > 0))
		return 0;
	return v > NUMBER_MAX ? (uint64_t)NUMBER_MAX : (uint64_t)(v + 0.5);
}

static uint64_t
us(const json_t *o, const char *key)
{
	return number(o, key, 1);
}

static uint64_t
ms(const json_t *o, const char *key)
{
	return number(o, key, 1000);
}

static void
take_times(struct job_line *j)
{
	const json_t *o = j->line;

	j->start_us = us(o, "start_us");
	j->end_us = MAX2(us(o, "end_us"), j->start_us);
	j->compile_start_us = us(o, "compile_start_us");
	j->rmeta_us = us(o, "rmeta_us");
	j->pack_us = ms(o, "pack_ms");
	j->queue_us = ms(o, "queue_ms");
	j->upload_us = ms(o, "upload_ms");
	j->compile_us = ms(o, "compile_ms");
	j->download_us = ms(o, "download_ms");
	j->slot_wait_us = ms(o, "slot_wait_ms");
	j->link_us = ms(o, "link_ms");
	j->lookup_us = ms(o, "lookup_ms");
	j->restore_us = ms(o, "restore_ms");
	j->store_us = ms(o, "store_ms");
	j->shared_us = ms(o, "shared_ms");
	j->saved_us = ms(o, "saved_ms");
}

int
job_decode(const char *line, size_t n, struct job_line *ret)
{
	_cleanup_(json_decrefp) json_t *o = json_loadb(line, n, 0, NULL);
	struct job_line j;

	if (!json_is_object(o))
		return -EBADMSG;
	memset(&j, 0, sizeof(j));
	j.line = o;
	j.where = text(o, "where");
	if (!*j.where || !when_parse(text(o, "time"), &j.time_ms))
		return -EBADMSG;
	j.crate = text(o, "crate");
	j.package = text(o, "package");
	j.kind = text(o, "kind");
	j.why = text(o, "why");
	j.queue_why = text(o, "queue_why");
	j.worker = text(o, "worker");
	j.worker_key = text(o, "worker_key");
	j.linker = text(o, "linker");
	j.out_dir = text(o, "out_dir");
	j.cache = text(o, "cache");
	j.cache_why = text(o, "cache_why");
	j.not_stored = text(o, "not_stored");
	j.key = text(o, "key");
	j.tier = text(o, "tier");
	j.shared_why = text(o, "shared_why");
	j.not_shared = text(o, "not_shared");
	j.unit = text(o, "unit");
	j.externs = text(o, "externs");
	j.links = text(o, "links");
	j.deps = text(o, "deps");
	j.bound = text(o, "bound");
	j.attempts = json_object_get(o, "attempts");
	if (!json_is_array(j.attempts))
		j.attempts = NULL;
	j.parent = number(o, "parent", 1);
	j.cargo = number(o, "cargo", 1);
	j.trial = json_is_true(json_object_get(o, "trial"));
	j.exit_status = (int)MIN2(number(o, "exit_status", 1), (uint64_t)255);
	j.signal = (int)MIN2(number(o, "signal", 1), (uint64_t)127);
	j.shared_bytes = number(o, "shared_bytes", 1);
	j.refused = number(o, "refused", 1);
	j.cache_bytes = number(o, "cache_bytes", 1);
	j.bytes_sent = number(o, "bytes_sent", 1);
	j.bytes_received = number(o, "bytes_received", 1);
	take_times(&j);
	*ret = j;
	steal_ptr(o);
	return 0;
}

void
job_done(struct job_line *j)
{
	json_decref(j->line);
	memset(j, 0, sizeof(*j));
}

const char *
job_attempt(const struct job_line *j, size_t i)
{
	const char *s = json_string_value(json_array_get(j->attempts, i));

	return s ? s : "";
}

size_t
job_script_prefix(const char *out_dir)
{
	size_t profile = 0;

	return layout_find(out_dir, &profile) == LAYOUT_OUT ? profile : 0;
}

bool
job_is_run(const struct job_line *j)
{
	return streq(j->kind, "script-run");
}

bool
job_is_trial(const struct job_line *j)
{
	/* lines of before 2026-12 do not say it: in layout v1 the out-dir does */
	return j->trial || (!job_is_run(j) && job_script_prefix(j->out_dir) > 0);
}

uint64_t
job_cost_us(const struct job_line *j)
{
	return j->compile_us + j->link_us;
}

bool
job_is_shared(const struct job_line *j)
{
	return job_is_hit(j) && *j->tier && !streq(j->tier, "local");
}

bool
job_is_bundle(const struct job_line *j)
{
	return streq(j->cache, "bundle");
}

bool
job_is_hit(const struct job_line *j)
{
	return streq(j->cache, "hit") || job_is_bundle(j);
}

/* ---- the files */

struct reading {
	uint64_t since_ms;
	jobs_fn fn;
	void *arg;
	struct jobs_tally *tally;
	struct buf b;
	bool too_long; /* the line that is being read */
};

/* A regular file's descriptor, or -errno. */
static int
open_log(const char *path, struct stat *ret_st)
{
	/* O_NONBLOCK: a fifo would wait for a writer */
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	if (fstat(fd, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode))
		return S_ISDIR(ret_st->st_mode) ? -EISDIR : -EINVAL;
	return steal_fd(&fd);
}

static int
one_line(struct reading *in, const char *line, size_t n)
{
	struct job_line j;
	int r;

	if (n == 0) /* what the writer puts after a torn line */
		return 0;
	r = job_decode(line, n, &j);
	if (r == -EBADMSG) {
		in->tally->skipped++;
		return 0;
	}
	if (r < 0)
		return r;
	if (j.time_ms >= in->since_ms && streq(j.where, "refill")) {
		in->tally->refills += *j.worker != '\0';
		in->tally->refills_dropped += *j.worker == '\0';
	} else if (j.time_ms >= in->since_ms) {
		in->tally->lines++;
		r = in->fn(in->arg, &j);
	}
	job_done(&j);
	return r;
}

/* Hands on the whole lines of the buffer, and keeps what is behind them. */
static int
whole_lines(struct reading *in)
{
	size_t from = 0;
	uint8_t *nl;
	int r = 0;

	while (r == 0 && (nl = memchr(in->b.p + from, '\n', in->b.n - from)) != NULL) {
		if (!in->too_long)
			r = one_line(
				in, (const char *)in->b.p + from, (size_t)(nl - in->b.p) - from);
		in->too_long = false;
		from = (size_t)(nl - in->b.p) + 1;
	}
	buf_consume(&in->b, from);
	if (in->b.n > JOB_LINE_MAX) {
		in->tally->skipped += !in->too_long;
		in->too_long = true;
	}
	if (in->too_long)
		in->b.n = 0;
	return r;
}

static int
read_file(struct reading *in, int fd)
{
	ssize_t n;
	int r;

	for (;;) {
		r = buf_reserve(&in->b, READ_SIZE);
		if (r < 0)
			return r;
		n = read(fd, in->b.p + in->b.n, READ_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		in->b.n += (size_t)n;
		r = whole_lines(in);
		if (r != 0)
			return r;
	}
	/* the last line has no end: it is torn, or only its newline is missing */
	r = in->b.n && !in->too_long ? one_line(in, (const char *)in->b.p, in->b.n) : 0;
	in->b.n = 0;
	in->too_long = false;
	return r;
}

int
jobs_each(const char *path, uint64_t since_ms, jobs_fn fn, void *arg, struct jobs_tally *ret)
{
	struct reading in = { since_ms, fn, arg, ret, BUF_INIT, false };
	_cleanup_(freep) char *former = NULL;
	_cleanup_(closep) int fd = -1, former_fd = -1;
	struct stat st, former_st;
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	if (asprintf(&former, "%s.1", path) < 0)
		return -ENOMEM;
	/* in this order: a log that is renamed in between is read under its new name, once */
	fd = open_log(path, &st);
	if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR)
		return fd;
	former_fd = open_log(former, &former_st);
	if (fd >= 0 && former_fd >= 0 && st.st_dev == former_st.st_dev &&
		st.st_ino == former_st.st_ino)
		closep(&former_fd);
	ret->found = fd >= 0 || former_fd >= 0;
	if (former_fd >= 0)
		r = read_file(&in, former_fd);
	if (r == 0 && fd >= 0)
		r = read_file(&in, fd);
	buf_done(&in.b);
	return r;
}

/* ---- times */
