/* Relays a running compiler's text, and the outputs it announces, in the order it announces them.
 *
 * Invariant: the file that an artifact line names is with the client before the line is. Everything
 * else passes as it comes: cargo starts dependents on these lines. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>

#include "common/buf.h"
#include "common/fs.h"
#include "worker/job_priv.h"

/* An artifact line holds one path. */
#define LINE_MAX_BYTES (3 * 4096 + 256)
/* How it begins; compilers before 1.72 do not say its type. */
static const char *const artifact_starts[] = { "{\"$message_type\":\"artifact\"",
	"{\"artifact\":" };

static int
send_text(struct job *j, bool out, const uint8_t *p, size_t n)
{
	Dray__JobText m = DRAY__JOB_TEXT__INIT;

	m.out = out;
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

/* The out-dir's plain name that an artifact line of a kind that is wanted early names, or NULL. */
static char *
announced_name(const struct job *j, const uint8_t *line, size_t n)
{
	const char *out_dir = j->unit->out_dir, *path, *emit, *name;
	json_t *root = json_loadb((const char *)line, n, 0, NULL);
	char *ret = NULL;

	path = json_string_value(json_object_get(root, "artifact"));
	emit = json_string_value(json_object_get(root, "emit"));
	if (path && emit && (streq(emit, "dep-info") || streq(emit, "metadata")) &&
		starts_with(path, out_dir) && path[strlen(out_dir)] == '/') {
		name = path + strlen(out_dir) + 1;
		if (path_is_name(name))
			ret = strdup(name);
	}
	json_decref(root);
	return ret;
}

static int
relay_line(struct job *j, const uint8_t *line, size_t n)
{
	_cleanup_(freep) char *name = announced_name(j, line, n);
	int r = name ? results_send_announced(j, name) : 0;

	return r < 0 ? r : send_text(j, false, line, n);
}

static bool
may_be_artifact(const struct buf *b)
{
	for (size_t i = 0; i < ARRAY_LEN(artifact_starts); i++) {
		size_t n = MIN2(b->n, strlen(artifact_starts[i]));

		if (memcmp(b->p, artifact_starts[i], n) == 0)
			return true;
	}
	return false;
}

/* Sends what can be sent of b. Invariant: b begins at a line's start, or within a line that is no
 * artifact's (then *in_line). */
static int
relay_lines(struct job *j, struct buf *b, bool *in_line, bool end)
{
	while (b->n > 0) {
		const uint8_t *nl = memchr(b->p, '\n', b->n);
		size_t n = nl ? (size_t)(nl - b->p) + 1 : b->n;
		bool artifact = !*in_line && may_be_artifact(b);
		int r;

		if (!nl && artifact && !end && b->n < LINE_MAX_BYTES)
			return 0;
		r = artifact && nl ? relay_line(j, b->p, n) : send_text(j, false, b->p, n);
		if (r < 0)
			return r;
		*in_line = !nl;
		buf_consume(b, n);
	}
	return 0;
}

/* Until the command runs, what comes is bubblewrap's own words: the reason why it does not. */
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

struct relay {
	struct buf err, out;
	bool in_line;
};

static int
relay_err(struct job *j, struct relay *t)
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
relay_out(struct job *j, struct relay *t)
{
	int r = read_some(j, &j->box.out, &t->out);

	if (r <= 0)
		return r;
	r = send_text(j, true, t->out.p, t->out.n);
	t->out.n = 0;
	return r;
}

/* The pipes end when the last process that holds them does, at the latest when the sandbox dies. */
static int
step(struct job *j, struct relay *t)
{
	struct pollfd fds[3];
	struct wire_msg m = WIRE_MSG_INIT;
	size_t n = 0;
	int r;

	if (j->box.err >= 0)
		fds[n++].fd = j->box.err;
	if (j->box.out >= 0)
		fds[n++].fd = j->box.out;
	if (j->box.report >= 0)
		fds[n++].fd = j->box.report;
	r = job_poll(j, fds, n);
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
	return r == -EAGAIN ? 0 : r;
}

int
text_relay(struct job *j)
{
	struct relay t = { BUF_INIT, BUF_INIT, false };
	int r = 0;

	/* report is process 1's alone: one that closes its output is still waited for, and stopped.
	 */
	while (r >= 0 && (j->box.err >= 0 || j->box.out >= 0 || j->box.report >= 0))
		r = step(j, &t);
	buf_done(&t.err);
	buf_done(&t.out);
	return r;
}
