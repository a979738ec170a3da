/* Relays a running compiler's text, and the outputs it announces, in the order it announces them.
 *
 * Invariant: the file that an artifact line names is with the client before the line is. Everything
 * else passes as it comes: cargo starts dependents on these lines. A macro may print such a line,
 * too. One that no compiler would print ends the job, and the crate is blamed: the client would
 * blame the worker for it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>

#include "common/buf.h"
#include "common/fs.h"
#include "rustc/artifact.h"
#include "worker/job/lead.h"

int
job_text_send(struct job *j, bool out, const uint8_t *p, size_t n)
{
	Dray__JobText m = DRAY__JOB_TEXT__INIT;

	m.out = out;
	shares_text(j->share, out, p, n);
	while (n > 0) {
		size_t part = MIN2(n, (size_t)WIRE_CHUNK_MAX);
		zmq_msg_t payload;
		int r = job_take_credit(j);

		if (r < 0)
			return r;
		if (zmq_msg_init_size(&payload, part) < 0)
			return -ENOMEM;
		memcpy(zmq_msg_data(&payload), p, part);
		r = job_send(j, WIRE_JOB_TEXT, &m.base, &payload);
		zmq_msg_close(&payload);
		if (r < 0)
			return r;
		p += part;
		n -= part;
	}
	return 0;
}

static int
send_text(struct job *j, bool out, const uint8_t *p, size_t n)
{
	if (n > 0)
		lead_note_text(j, out, p, n);
	return job_text_send(j, out, p, n);
}

static int
forged(struct job *j, const char *what)
{
	return job_fail(j, -EINVAL, DRAY__VERDICT__VERDICT_BAD_UNIT,
		"a line of the compiler's that it would not print: %s", what);
}

static int
announce(struct job *j, const struct artifact *a)
{
	_cleanup_(freep) char *path = path_normalize(j->unit->cwd, a->path);
	_cleanup_(freep) char *dir = path ? path_dirname(path) : NULL;

	if (!dir)
		return -ENOMEM;
	if (!streq(dir, j->unit->out_dir))
		return forged(j, "a file outside the out-dir is announced");
	/* What is linked is made by the client. A library is whole, while the compiler has its
	 * memory to give back, which takes it as long as sending does. */
	if (a->emit == EMIT_LINK ? !ends_with(path, ".rlib") || !j->request->pieces
				 : a->emit != EMIT_DEP_INFO && a->emit != EMIT_METADATA)
		return 0;
	return results_send_announced(j, path_basename(path));
}

static int
relay_artifact(struct job *j, const uint8_t *line, size_t n)
{
	struct artifact a = ARTIFACT_INIT;
	int r = artifact_parse((const char *)line, n - (line[n - 1] == '\n'), &a);

	if (r == -EBADMSG)
		return forged(j, "an announcement that makes no sense");
	if (r == 0)
		r = announce(j, &a);
	artifact_done(&a);
	return r < 0 && r != -ENOENT ? r : send_text(j, false, line, n);
}

/* Sends as much of b as can be sent. Invariant: b begins at the start of a line, or within a line
 * that announces no artifact (then *in_line). */
static int
relay_lines(struct job *j, struct buf *b, bool *in_line, bool end)
{
	while (b->n > 0) {
		const uint8_t *nl = memchr(b->p, '\n', b->n);
		size_t n = nl ? (size_t)(nl - b->p) + 1 : b->n;
		bool whole = nl || end;
		bool artifact = !*in_line && artifact_may_be((const char *)b->p, n, whole);
		int r;

		if (!whole && artifact && n <= ARTIFACT_LINE_MAX)
			return 0;
		r = artifact ? relay_artifact(j, b->p, n) : send_text(j, false, b->p, n);
		if (r < 0)
			return r;
		*in_line = !nl;
		buf_consume(b, n);
	}
	return 0;
}

/* Until the command runs, the text is bubblewrap's own: the reason why the command cannot run. */
static void
keep_failure(struct job *j, struct buf *b)
{
	size_t n = MIN2(b->n, sizeof(j->box.failure) - 1);

	if (!*j->box.failure) {
		memcpy(j->box.failure, b->p, n);
		j->box.failure[n] = '\0';
	}
	buf_consume(b, b->n);
}

/* Reads once; 0 at the end of the stream (its descriptor is closed then), else 1 or -errno. */
static int
read_some(struct job *j, int *fd, struct buf *b)
{
	ssize_t n;
	int r = buf_reserve(b, 65536);

	if (r < 0)
		return r;
	do {
		n = read(*fd, b->p + b->n, 65536);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0) {
		closep(fd);
		return 0;
	}
	b->n += (size_t)n;
	j->text_bytes += (uint64_t)n;
	if (j->text_budget && j->text_bytes > j->text_budget)
		return job_fail(j, -EFBIG, DRAY__VERDICT__VERDICT_LIMIT,
			"printed more than %llu bytes (worker.job_output_max)",
			(unsigned long long)j->text_budget);
	return 1;
}

struct text_relay {
	struct buf err, out;
	bool in_line;
};

static int
relay_err(struct job *j, struct text_relay *t)
{
	int r = read_some(j, &j->box.err, &t->err);

	/* After the read: if the command still does not run, it did not write this. */
	sandbox_step(&j->box);
	if ((j->box.phase == SANDBOX_STARTING || j->box.phase == SANDBOX_FAILED) && t->err.n > 0) {
		keep_failure(j, &t->err);
		return r;
	}
	return r < 0 ? r : relay_lines(j, &t->err, &t->in_line, r == 0);
}

static int
relay_out(struct job *j, struct text_relay *t)
{
	int r = read_some(j, &j->box.out, &t->out);

	if (r <= 0)
		return r;
	r = send_text(j, true, t->out.p, t->out.n);
	t->out.n = 0;
	return r;
}

/* A pipe ends with the last process that holds it, at the latest with the sandbox. */
static int
step(struct job *j, struct text_relay *t)
{
	struct pollfd fds[JOB_POLL_FDS];
	struct wire_msg m = WIRE_MSG_INIT;
	size_t n = 0;
	int r;

	if (j->box.err >= 0)
		fds[n++].fd = j->box.err;
	if (j->box.out >= 0)
		fds[n++].fd = j->box.out;
	if (j->box.report >= 0)
		fds[n++].fd = j->box.report;
	if (j->pieces.watch >= 0)
		fds[n++].fd = j->pieces.watch;
	j->no_wait = pieces_may_go(j);
	r = job_poll(j, fds, n);
	j->no_wait = false;
	sandbox_step(&j->box);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (!fds[i].revents)
			continue;
		if (fds[i].fd == j->box.err)
			r = relay_err(j, t);
		else if (fds[i].fd == j->box.out)
			r = relay_out(j, t);
	}
	if (r < 0)
		return r;
	r = job_receive(j, &m);
	if (r == 0)
		r = job_fail(j, -EBADMSG, DRAY__VERDICT__VERDICT_MALFORMED,
			"%s is not expected now", m.info->name);
	wire_msg_done(&m);
	return r == -EAGAIN || r == 0 ? pieces_step(j) : r;
}

static bool
is_empty(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd < 0 || (poll(&p, 1, 0) == 0);
}

/* Nobody is left who could write: what is in the pipes is all. Their ends come with bwrap's. */
static bool
is_over(struct job *j)
{
	return j->box.alone && j->box.status == 0 && is_empty(j->box.err) && is_empty(j->box.out);
}

int
job_text_relay(struct job *j)
{
	struct text_relay t = { BUF_INIT, BUF_INIT, false };
	int r = 0;

	/* Only process 1 has the report pipe. So a program that closes its outputs is still waited
	 * for, and can be stopped. */
	while (r >= 0 && (j->box.err >= 0 || j->box.out >= 0 || j->box.report >= 0) && !is_over(j))
		r = step(j, &t);
	if (r >= 0)
		r = relay_lines(j, &t.err, &t.in_line, true);
	buf_done(&t.err);
	buf_done(&t.out);
	return r;
}
