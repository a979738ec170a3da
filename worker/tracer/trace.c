/* The tracer's thread. Invariant: a call is answered exactly once, by this thread, or never if the
 * job is to end. In every case the thread ends soon after the job's last process, or at trace_stop.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fs.h"
#include "worker/tracer/trace_priv.h"

/* Whether there is more to come. */
static bool
serve_one(struct trace *t)
{
	int r = trace_listener_next(&t->listener);

	if (r <= 0)
		return r == 0;
	t->calls++;
	/* a compiler makes this call for each file that it reads, only for the size */
	if (trace_stat_is_by_descriptor(t->listener.req) &&
		trace_caller_who(&t->caller, t->listener.req) != TRACE_BY_MACRO) {
		trace_listener_go_on(&t->listener);
		return true;
	}
	r = trace_consider(t);
	if (r != 0)
		return r != -ECANCELED;
	if (t->call.op == TRACE_STAT && trace_answer_stat(t))
		trace_listener_answer(&t->listener, 0);
	else
		trace_listener_go_on(&t->listener);
	return true;
}

static void
serve(struct trace *t)
{
	struct pollfd fds[2] = { { .fd = t->listener.fd, .events = POLLIN },
		{ .fd = t->stop, .events = POLLIN } };

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		if (fds[1].revents)
			return;
		if (fds[0].revents & POLLIN) {
			if (!serve_one(t))
				return;
		} else if (fds[0].revents) {
			return;
		}
	}
}

static void *
thread_main(void *arg)
{
	struct trace *t = arg;

	if (trace_listener_accept(&t->listener, t->socket, t->stop) == 0) {
		t->listening = true;
		serve(t);
	}
	closep(&t->listener.fd);
	return NULL;
}

static int
start(struct trace *t)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	t->socket = pair[0];
	t->child = pair[1];
	t->stop = eventfd(0, EFD_CLOEXEC);
	t->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->root = open(t->stage->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	t->out = open(t->stage->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->stop < 0 || t->event < 0 || t->root < 0 || t->out < 0)
		return -errno;
	r = trace_listener_init(&t->listener);
	if (r < 0)
		return r;
	r = trace_rules_init(&t->rules, t->stage->unit, t->sysroot->lib_dirs.v, &t->stage->tmp);
	if (r < 0)
		return r;
	r = trace_stat_init(&t->stat, t->stage->unit);
	if (r < 0)
		return r;
	r = -pthread_create(&t->thread, NULL, thread_main, t);
	t->running = r == 0;
	return r;
}

int
trace_new(const struct stage *stage, const struct sysroot *sysroot, struct trace **ret)
{
	_cleanup_(trace_freep) struct trace *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->stage = stage;
	t->sysroot = sysroot;
	t->listener.fd = -1;
	t->root = t->out = t->socket = t->child = t->stop = t->event = -1;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->answered, NULL);
	r = start(t);
	if (r < 0)
		return r;
	*ret = steal_ptr(t);
	return 0;
}

int
trace_child_socket(const struct trace *t)
{
	return t->child;
}

void
trace_handed(struct trace *t)
{
	closep(&t->child);
}

void
trace_stop(struct trace *t)
{
	if (!t->running)
		return;
	pthread_mutex_lock(&t->lock);
	t->ending = true;
	pthread_cond_signal(&t->answered);
	pthread_mutex_unlock(&t->lock);
	trace_ring(t->stop);
	pthread_join(t->thread, NULL);
	t->running = false;
}

bool
trace_was_given(const struct trace *t, const char *path)
{
	return trace_set_get(&t->set, TRACE_PATHS, path) == TRACE_FILE;
}

const Dray__FileTimes *
trace_told(const struct trace *t, const char *path)
{
	return trace_stat_find(&t->stat, path);
}

static int
fill(const struct trace_set *s, enum trace_kind kind, char ***ret, size_t *ret_n)
{
	size_t n = 0;

	*ret = calloc(s->n + 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i]->kind == kind)
			(*ret)[n++] = s->v[i]->name;
	*ret_n = n;
	return 0;
}

bool
trace_message(const struct trace *t, Dray__Trace *m)
{
	const struct trace_set *s = &t->set;

	dray__trace__init(m);
	if (!t->listening)
		return false;
	m->whole = !s->lost && !t->unread;
	m->calls = t->calls;
	m->fetched = t->fetched;
	m->wait_us = t->wait_us;
	m->umask = t->umask;
	if (fill(s, TRACE_FILE, &m->files, &m->n_files) < 0 ||
		fill(s, TRACE_ABSENT, &m->absent, &m->n_absent) < 0 ||
		fill(s, TRACE_DIR, &m->dirs, &m->n_dirs) < 0 ||
		fill(s, TRACE_STATED, &m->stats, &m->n_stats) < 0 ||
		fill(s, TRACE_STATED_LINK, &m->link_stats, &m->n_link_stats) < 0 ||
		fill(s, TRACE_ENV_OF_MACRO, &m->env, &m->n_env) < 0 ||
		fill(s, TRACE_ENV_OF_RUSTC, &m->rustc_env, &m->n_rustc_env) < 0) {
		trace_message_done(m);
		return false;
	}
	return true;
}

void
trace_message_done(Dray__Trace *m)
{
	free(m->files);
	free(m->absent);
	free(m->dirs);
	free(m->stats);
	free(m->link_stats);
	free(m->env);
	free(m->rustc_env);
	free(m->read);
	dray__trace__init(m);
}

void
trace_freep(struct trace **tp)
{
	struct trace *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	trace_stop(t);
	trace_rules_done(&t->rules);
	trace_set_done(&t->set);
	while (t->n_questions > 0)
		free((char *)t->questions[--t->n_questions].name);
	free(t->questions);
	trace_stat_done(&t->stat);
	trace_caller_done(&t->caller);
	trace_listener_done(&t->listener);
	closep(&t->root);
	closep(&t->out);
	closep(&t->socket);
	closep(&t->child);
	closep(&t->stop);
	closep(&t->event);
	pthread_cond_destroy(&t->answered);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
