/* Between the tracer's thread and the job's: what the tracer asks and refuses, and the answers.
 *
 * Invariant: the first refusal is the job's reason; no question takes its place. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "worker/tracer/trace_priv.h"

#define ASKS_MAX 8192	    /* questions to one client */
#define QUESTIONS_MAX 65536 /* that are noted */

void
trace_ring(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

int
trace_refuse(struct trace *t, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&t->lock);
	if (t->news != TRACE_REFUSES) {
		t->news = TRACE_REFUSES;
		va_start(ap, fmt);
		vsnprintf(t->text, sizeof(t->text), fmt, ap);
		va_end(ap);
	}
	pthread_mutex_unlock(&t->lock);
	trace_ring(t->event);
	return -EPERM;
}

int
trace_ask(struct trace *t, const char *path)
{
	uint64_t begin = clock_mono_us();
	bool found, ending;

	if (++t->asks > ASKS_MAX)
		return trace_refuse(t, "more than %d files that were not sent", ASKS_MAX);
	pthread_mutex_lock(&t->lock);
	if (t->news == TRACE_REFUSES) {
		/* Another thread of the job was refused, and the job is about to end. A question
		 * now would replace its reason. */
		pthread_mutex_unlock(&t->lock);
		return -EPERM;
	}
	snprintf(t->text, sizeof(t->text), "%s", path);
	t->news = TRACE_ASKS;
	t->asked = true;
	t->refused[0] = '\0';
	trace_ring(t->event);
	while (t->asked && !t->ending)
		pthread_cond_wait(&t->answered, &t->lock);
	found = t->found;
	ending = t->ending;
	pthread_mutex_unlock(&t->lock);
	t->wait_us += clock_mono_us() - begin;
	if (ending)
		return -ECANCELED;
	if (t->refused[0])
		return trace_refuse(t, "%s", t->refused);
	t->fetched += found;
	return found;
}

static int
add_question(struct trace *t, const char *name, const Dray__FileTimes *times)
{
	struct trace_question *v = reallocarray(
		t->questions, t->n_questions + 1, sizeof(*t->questions));
	char *copy = strdup(name);

	if (v)
		t->questions = v;
	if (!v || !copy) {
		free(copy);
		return -ENOMEM;
	}
	v[t->n_questions] = (struct trace_question){ .name = copy, .attributes = times };
	if (times)
		v[t->n_questions].times = *times;
	t->n_questions++;
	return 0;
}

void
trace_note_question(struct trace *t, const char *name, const Dray__FileTimes *times)
{
	pthread_mutex_lock(&t->lock);
	/* what is not in the set is asked again and again */
	if (t->set.lost || t->n_questions >= QUESTIONS_MAX || add_question(t, name, times) < 0)
		t->questions_lost = true;
	pthread_mutex_unlock(&t->lock);
}

int
trace_next_question(struct trace *t, size_t *at, struct trace_question *ret)
{
	int r;

	pthread_mutex_lock(&t->lock);
	r = t->questions_lost ? -ENOMEM : *at < t->n_questions;
	if (r == 1)
		*ret = t->questions[(*at)++];
	pthread_mutex_unlock(&t->lock);
	return r;
}

int
trace_event_fd(const struct trace *t)
{
	return t->event;
}

enum trace_event
trace_event(struct trace *t, char ret_text[PATH_MAX + 64])
{
	enum trace_event news;
	uint64_t count;

	while (read(t->event, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&t->lock);
	news = t->news;
	if (news == TRACE_ASKS)
		t->news = TRACE_QUIET;
	memcpy(ret_text, t->text, sizeof(t->text));
	pthread_mutex_unlock(&t->lock);
	return news;
}

void
trace_set_times(struct trace *t, const char *path, const Dray__FileTimes *times)
{
	/* The thread waits in trace_ask(), so the table can be changed here. */
	trace_stat_add(&t->stat, path, times);
}

void
trace_answer(struct trace *t, bool found, const char *refused)
{
	pthread_mutex_lock(&t->lock);
	t->asked = false;
	t->found = found;
	if (refused)
		snprintf(t->refused, sizeof(t->refused), "%s", refused);
	pthread_cond_signal(&t->answered);
	pthread_mutex_unlock(&t->lock);
}
