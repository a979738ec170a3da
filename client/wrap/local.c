/* Runs the real compiler on this machine.
 *
 * Invariants: no compiler runs here without holding a local slot, unless slots cannot be used at
 * all; an rmeta that cargo was told of keeps its inode and times when the compiler makes it again
 * (rmeta.h). */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "client/wrap/local.h"
#include "client/wrap/promise.h"
#include "client/wrap/rmeta.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/outdir/left.h"
#include "trace/tracer.h"

/* Of text, or of a record: more than that is not kept. */
#define SEEN_MAX (64u << 20)
#define SIGNAL_MS 250

extern char **environ;

unsigned
local_slots_number(const struct conf *conf)
{
	uint64_t n = conf->client.local_slots;

	return n ? (unsigned)MIN2(n, (uint64_t)4096) : slots_cores();
}

static struct slots *
open_slots(const struct conf *conf, int (*open)(const char *dir, unsigned n, struct slots **ret))
{
	_cleanup_(freep) char *dir = NULL;
	struct slots *s = NULL;

	if (conf->client.cache_dir && *conf->client.cache_dir)
		dir = path_join(conf->client.cache_dir, "slots");
	if (open(dir, local_slots_number(conf), &s) < 0)
		return NULL;
	slots_mind_memory(s, conf->client.local_memory);
	return s;
}

struct slots *
local_open_slots(const struct conf *conf)
{
	return open_slots(conf, slots_open);
}

struct slots *
local_look_at_slots(const struct conf *conf)
{
	return open_slots(conf, slots_look);
}

static bool
is_replaced(const char *var, const char *const *set)
{
	size_t n = strcspn(var, "=");

	for (; *set; set++)
		if (strncmp(var, *set, n) == 0 && (*set)[n] == '=')
			return true;
	return false;
}

char **
local_environ(const char *const *set)
{
	size_t n = 0, m = 0;
	union {
		const char *in;
		char *out;
	} u;
	char **v;

	while (environ[n])
		n++;
	while (set[m])
		m++;
	v = calloc(n + m + 1, sizeof(*v));
	if (!v)
		return NULL;
	m = 0;
	for (size_t i = 0; i < n; i++)
		if (!is_replaced(environ[i], set))
			v[m++] = environ[i];
	for (; *set; set++) {
		u.in = *set;
		v[m++] = u.out;
	}
	return v;
}

/* Everything one run needs; released in the end whatever happened. The compiler gets descriptors by
 * the numbers that they have here: these are free in what cargo hands down, and few, where few may
 * be open. */
struct run {
	struct local_run *l;
	struct slots_tokens tokens;
	char makeflags[128];
	char **env;
	struct spawn_fd fds[6];
	size_t n_fds;
	int own_slot;
	struct rmeta rmeta; /* that was promised */
	bool again;	    /* nothing is said: whether the compiler makes the same again */
	bool has_again;
	struct digest made_again;
	struct promise *promise;
	struct tracer *tracer; /* NULL: it is not traced */
	struct buf line;       /* of a mapped unit: what has come of a line */
};

static void
run_done(struct run *r)
{
	rmeta_done(&r->rmeta);
	free(r->env);
	tracer_freep(&r->tracer);
	buf_done(&r->line);
	promise_free(r->promise);
	slots_tokens_done(&r->tokens);
	closep(&r->own_slot);
}

static void
hand_down(struct run *r, int fd)
{
	r->fds[r->n_fds++] = (struct spawn_fd){ fd, fd };
}

static int
take_slot(struct run *r)
{
	struct local_run *l = r->l;
	uint64_t start = clock_mono_us();

	if (!l->slots)
		return 0;
	if (l->slot < 0) {
		r->own_slot = slots_wait(l->slots);
		l->slot_wait_us = clock_mono_us() - start;
		if (r->own_slot == -EINTR && child_signal())
			return -ECANCELED;
		/* a disk that refuses locks must not stop the build */
		if (r->own_slot < 0)
			return 0;
	}
	if (!l->slot_stays)
		hand_down(r, l->slot < 0 ? r->own_slot : l->slot);
	return 0;
}

static int
set_jobserver(struct run *r)
{
	const char *set[] = { r->makeflags, NULL };
	char flags[96];

	if ((r->own_slot < 0 && r->l->slot < 0) ||
		slots_tokens_choose(r->l->slots, &r->tokens) < 0 || r->tokens.js.rd < 0)
		return 0;
	jobserver_flags(flags, r->tokens.js.rd, r->tokens.js.wr);
	snprintf(r->makeflags, sizeof(r->makeflags), "CARGO_MAKEFLAGS=%s", flags);
	r->env = local_environ(set);
	if (!r->env)
		return -ENOMEM;
	hand_down(r, r->tokens.js.rd);
	hand_down(r, r->tokens.js.wr);
	return 0;
}

void
local_seen_done(struct local_seen *s)
{
	buf_done(&s->record);
	buf_done(&s->out);
	buf_done(&s->err);
}

/* ---- the compiler's text */

/* Out of memory in the middle: what cannot be compared is passed on. */
static void
pass_on(struct run *r, const void *p, size_t n)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	if (!r->promise || promise_text(r->promise, p, n, &out) < 0)
		child_write(STDERR_FILENO, p, n);
	else if (out.n)
		child_write(STDERR_FILENO, out.p, out.n);
}

static void
end_promise(struct run *r, int status)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	if (!r->promise || r->rmeta.differs)
		return;
	if (status == 0)
		promise_end(r->promise, &out);
	else
		promise_give(r->promise, &out);
	if (out.n)
		child_write(STDERR_FILENO, out.p, out.n);
}

/* Pipes from the compiler. A traced one's end is seen, though a process that it left behind may
 * still hold them. */
enum stream { STREAM_ERR, STREAM_OUT, STREAMS };

struct streams {
	struct pollfd fds[STREAMS + TRACER_FDS]; /* -1: there is none, or it has ended */
	struct buf *keep[STREAMS];		 /* NULL: not kept */
	bool lost;
};

static void
streams_done(struct streams *s)
{
	for (size_t i = 0; i < STREAMS; i++)
		closep(&s->fds[i].fd);
}

static void
keep(struct streams *s, enum stream which, const void *p, size_t n)
{
	struct buf *b = s->keep[which];

	if (!b || s->lost)
		return;
	s->lost = b->n + n > SEEN_MAX || buf_add(b, p, n) < 0;
}

/* What the compiler says of a unit, as if that were not mapped, whole line by whole line. 0 or
 * -ENOMEM. */
static int
turn_back(struct run *r, const uint8_t *p, size_t n, struct buf *ret)
{
	const uint8_t *end = p + n, *nl;
	int k = 0;

	while (k == 0 && (nl = memchr(p, '\n', (size_t)(end - p)))) {
		k = buf_add(&r->line, p, (size_t)(nl - p));
		if (k == 0)
			k = mapping_turn_back(
				r->l->mapping, (const char *)r->line.p, r->line.n, ret);
		if (k == 0)
			k = buf_add(ret, "\n", 1);
		r->line.n = 0;
		p = nl + 1;
	}
	return k < 0 ? k : buf_add(&r->line, p, (size_t)(end - p));
}

static void
say_errors(struct run *r, struct streams *s, const void *p, size_t n)
{
	pass_on(r, p, n);
	keep(s, STREAM_ERR, p, n);
}

/* What is said of a mapped unit. Out of memory: it stays as it is, and is not kept. */
static void
say_mapped(struct run *r, struct streams *s, const uint8_t *p, size_t n)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (turn_back(r, p, n, &b) == 0) {
		say_errors(r, s, b.p, b.n);
		return;
	}
	s->lost = true;
	pass_on(r, b.p, b.n);
	pass_on(r, p, n);
	r->line.n = 0;
}

/* When the compiler tells of the metadata. Where a line of it is missed, the log has no time, and a
 * promise is looked at in the end. One that is broken ends the compile. */
static void
note_rmeta(struct run *r, const void *p, size_t n)
{
	struct local_run *l = r->l;

	if (!l->call->json || (l->rmeta_us && !r->again) || !rmeta_is_announced(p, n))
		return;
	if (!r->again)
		l->rmeta_us = clock_mono_us();
	if (!r->again && rmeta_look(&r->rmeta))
		return;
	if (r->again && rmeta_digest(&r->rmeta, &r->made_again) == 0)
		r->has_again = true;
	child_end();
}

/* Reads once. False: nothing more will come, or (`drain`) nothing is there now. */
static bool
read_stream(struct run *r, struct streams *s, enum stream which)
{
	uint8_t chunk[65536];
	ssize_t n = read(s->fds[which].fd, chunk, sizeof(chunk));

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		return false;
	if (which == STREAM_ERR)
		note_rmeta(r, chunk, (size_t)n);
	if (r->again || r->rmeta.differs)
		return true;
	if (which == STREAM_OUT) {
		child_write(STDOUT_FILENO, chunk, (size_t)n);
		keep(s, which, chunk, (size_t)n);
	} else if (r->l->mapping) {
		say_mapped(r, s, chunk, (size_t)n);
	} else {
		say_errors(r, s, chunk, (size_t)n);
	}
	return true;
}

/* What was written before the end, though the other side is still open. */
static void
drain(struct run *r, struct streams *s)
{
	for (size_t i = 0; i < STREAMS; i++) {
		struct pollfd p = { .fd = s->fds[i].fd, .events = POLLIN };

		while (p.fd >= 0 && poll(&p, 1, 0) > 0 && read_stream(r, s, i))
			;
	}
}

static bool
is_open(const struct streams *s)
{
	return s->fds[STREAM_ERR].fd >= 0 || s->fds[STREAM_OUT].fd >= 0;
}

/* Up to the compiler's end: that of a traced one, if it is told; else that of both streams. */
static void
read_streams(struct run *r, struct streams *s)
{
	struct pollfd *traced = s->fds + STREAMS;

	for (;;) {
		if (r->tracer)
			tracer_fds(r->tracer, traced);
		if (traced[1].fd < 0 && !is_open(s))
			return;
		if (poll(s->fds, ARRAY_LEN(s->fds), -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		for (size_t i = 0; i < STREAMS; i++)
			if (s->fds[i].revents && !read_stream(r, s, i))
				closep(&s->fds[i].fd);
		if (r->tracer && !tracer_serve(r->tracer, traced))
			return;
	}
}

/* cargo takes what a process says that a build script left behind, and waits until it has ended. It
 * needs no slot. */
static void
read_rest(struct run *r, struct streams *s)
{
	closep(&r->own_slot);
	while (is_open(s) && !child_signal()) {
		/* a signal may come just before */
		if (poll(s->fds, STREAMS, SIGNAL_MS) <= 0)
			continue;
		for (size_t i = 0; i < STREAMS; i++)
			if (s->fds[i].revents && !read_stream(r, s, i))
				closep(&s->fds[i].fd);
	}
}

/* *ret_wr is the child's end, which becomes `to` there. */
static int
add_stream(struct run *r, struct streams *s, enum stream which, int to, int *ret_wr)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	s->fds[which].fd = fds[0];
	*ret_wr = fds[1];
	r->fds[r->n_fds++] = (struct spawn_fd){ fds[1], to };
	return 0;
}

static int
add_streams(struct run *r, struct streams *s, int wr[STREAMS])
{
	const struct ledger *said = r->l->said;
	struct local_seen *seen = r->l->seen;
	int k = 0;

	if (said && said->text_bytes && !r->again)
		k = promise_new(said->text_bytes, &said->text_digest, &r->promise);
	if (k == 0)
		k = add_stream(r, s, STREAM_ERR, STDERR_FILENO, &wr[STREAM_ERR]);
	if (k < 0 || !(r->tracer || r->again))
		return k;
	if (r->tracer) {
		s->keep[STREAM_ERR] = &seen->err;
		s->keep[STREAM_OUT] = &seen->out;
	}
	return add_stream(r, s, STREAM_OUT, STDOUT_FILENO, &wr[STREAM_OUT]);
}

static int
make_tracer(struct run *r)
{
	const struct timespec *began = r->l->began;
	char option[64];
	int k = tracer_new(&r->tracer);

	if (began) {
		snprintf(option, sizeof(option), "--began=%lld.%09ld", (long long)began->tv_sec,
			began->tv_nsec);
		k = k == 0 ? tracer_option(r->tracer, option) : k;
	}
	for (size_t i = 0; k == 0 && i < r->l->trace->n; i++)
		k = tracer_option(r->tracer, r->l->trace->v[i]);
	return k;
}

/* What the compiler did, in the end. */
static int
wait_for(struct run *r, struct streams *s, pid_t pid)
{
	struct local_seen *seen = r->l->seen;
	int status;

	if (!r->tracer)
		return child_wait(pid);
	status = tracer_end(r->tracer, &seen->record);
	drain(r, s);
	s->lost |= seen->record.n > SEEN_MAX;
	return status;
}

static int
run_piped(struct run *r, struct spawn *s)
{
	_cleanup_(streams_done) struct streams st = { .lost = false };
	int wr[STREAMS] = { -1, -1 };
	pid_t pid = -1;
	int k, status;

	for (size_t i = 0; i < ARRAY_LEN(st.fds); i++)
		st.fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	k = add_streams(r, &st, wr);
	s->fds = r->fds;
	s->n_fds = r->n_fds;
	if (k == 0)
		k = r->tracer ? tracer_start(r->tracer, s) : child_start(s, &pid);
	for (size_t i = 0; i < STREAMS; i++)
		closep(&wr[i]);
	if (k < 0)
		return k;
	read_streams(r, &st);
	status = wait_for(r, &st, pid);
	if (r->l->takes_rest)
		read_rest(r, &st);
	/* a line without an end */
	if (r->line.n && !r->again && !r->rmeta.differs)
		say_errors(r, &st, r->line.p, r->line.n);
	end_promise(r, status);
	if (r->tracer && st.lost)
		local_seen_done(r->l->seen);
	return status;
}

/* Compiles once more, without a word, up to the metadata: whose fault it is that what was promised
 * is not so. */
static enum rmeta_fault
find_fault(struct run *r, struct spawn *s, size_t n_fds)
{
	bool older = r->l->since && rmeta_inputs_are_older(&r->rmeta, r->l->call, r->l->since);

	tracer_freep(&r->tracer);
	promise_freep(&r->promise);
	r->n_fds = n_fds;
	r->line.n = 0;
	r->again = true;
	if (child_signal() || run_piped(r, s) < 0 || !r->has_again || child_signal())
		return RMETA_UNKNOWN;
	if (!digest_eq(&r->made_again, &r->rmeta.made))
		return RMETA_CRATE;
	/* an edit meanwhile is no fault of the worker's */
	return older ? RMETA_WORKER : RMETA_UNKNOWN;
}

static int
end_run(struct run *r, struct spawn *s, size_t n_fds, int status)
{
	struct local_run *l = r->l;

	if (!r->rmeta.differs && rmeta_stands(&r->rmeta, status))
		return status;
	if (l->seen)
		local_seen_done(l->seen);
	l->trouble = "the rmeta differs from the one announced";
	l->fault = r->rmeta.differs ? find_fault(r, s, n_fds) : RMETA_UNKNOWN;
	rmeta_remove(&r->rmeta);
	return child_signal() ? SPAWN_SIGNALLED + child_signal() : LOCAL_STATUS_BROKEN_PROMISE;
}

int
local_run(struct local_run *l)
{
	size_t n_fds;
	_cleanup_(run_done) struct run r = { .l = l, .tokens = SLOTS_TOKENS_INIT, .own_slot = -1 };
	struct spawn s;
	int k = 0;

	if (l->trace && l->trace->n)
		k = make_tracer(&r);
	if (k == 0)
		k = take_slot(&r);
	if (k == 0)
		k = set_jobserver(&r);
	if (k == 0)
		k = rmeta_keep(&r.rmeta, l->said);
	if (k < 0)
		return k;
	s = (struct spawn){ .path = l->call->argv[0],
		.argv = l->call->argv,
		.envp = r.env,
		.fds = r.fds,
		.n_fds = r.n_fds,
		/* one that outlives us would write over what the next one makes */
		.dies_with_us = true };
	l->compile_start_us = clock_mono_us();
	n_fds = r.n_fds;
	if (r.tracer || l->mapping || (l->said && (l->said->text_bytes || *l->said->rmeta)))
		k = run_piped(&r, &s);
	else
		k = child_run(&s);
	return end_run(&r, &s, n_fds, k);
}
