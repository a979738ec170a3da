/* Invariant: free tokens, those that jobs have for themselves, and those in their pipes are as many
 * as cores, whatever jobs do to their pipes: what a job was given counts, not what is in its pipe.
 *
 * A compiler that wants a token waits in a read, which cannot be seen from outside. So a job with
 * an empty pipe may want more: this is looked at when a job begins or ends, and ten times a second.
 */
#include "config.h"

#include "worker/job/tokens.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/clock.h"

#define LOOK_MS 100

void
token_bank_init(struct token_bank *b, unsigned cores)
{
	*b = (struct token_bank){ .size = cores, .free = cores };
	pthread_mutex_init(&b->lock, NULL);
}

void
token_bank_done(struct token_bank *b)
{
	pthread_mutex_destroy(&b->lock);
}

/* How many of its own tokens nobody uses. A job may have put more into its pipe. */
static unsigned
idle(const struct tokens *t)
{
	int n = t->taken ? jobserver_left(&t->own) : 0;

	return n > 0 ? MIN2((unsigned)n, t->taken) : 0;
}

static struct tokens *
most_idle(struct token_bank *b, unsigned *ret)
{
	struct tokens *most = NULL;

	*ret = 0;
	for (struct tokens *t = b->jobs; t; t = t->next) {
		unsigned n = idle(t);

		if (n > *ret) {
			*ret = n;
			most = t;
		}
	}
	return most;
}

/* A free one, else one of the job that has most in its pipe, if these are more than `above`. */
static bool
get(struct token_bank *b, unsigned above)
{
	unsigned n;
	struct tokens *from;

	if (b->free > 0) {
		b->free--;
		return true;
	}
	from = most_idle(b, &n);
	if (!from || n <= above || jobserver_take(&from->own) < 0)
		return false;
	from->taken--;
	return true;
}

/* Up to its most, but no more than what others have idle. */
static void
fill(struct tokens *t)
{
	unsigned n = idle(t);

	while (t->taken < t->max && get(t->bank, n + 1)) {
		jobserver_give(&t->own);
		t->taken++;
		n++;
	}
}

/* What is free goes to those that have none left. */
static void
deal(struct token_bank *b)
{
	for (struct tokens *t = b->jobs; t && b->free > 0; t = t->next)
		if (t->taken < t->max && jobserver_left(&t->own) <= 0)
			fill(t);
}

int
tokens_begin(struct token_bank *bank, uint32_t jobs, struct tokens *ret)
{
	int r = jobserver_make(0, &ret->own);

	if (r < 0)
		return r;
	/* so that a job of another uid can open it by /proc/self/fd */
	if (fchmod(ret->own.rd, 0666) < 0)
		return -errno;
	ret->bank = bank;
	ret->taken = 0;
	ret->max = (jobs ? MIN2(jobs, bank->size) : bank->size) - 1;
	ret->next_ms = ret->max ? clock_mono_ms() + LOOK_MS : 0;
	pthread_mutex_lock(&bank->lock);
	ret->self = get(bank, 0);
	fill(ret);
	ret->next = bank->jobs;
	bank->jobs = ret;
	pthread_mutex_unlock(&bank->lock);
	return 0;
}

const struct jobserver *
tokens_pool(const struct tokens *t)
{
	return &t->own;
}

void
tokens_tick(struct tokens *t, uint64_t now_ms)
{
	if (!t->next_ms || now_ms < t->next_ms)
		return;
	t->next_ms = now_ms + LOOK_MS;
	if (jobserver_left(&t->own) > 0)
		return;
	pthread_mutex_lock(&t->bank->lock);
	fill(t);
	pthread_mutex_unlock(&t->bank->lock);
}

static void
leave(struct token_bank *b, struct tokens *t)
{
	for (struct tokens **p = &b->jobs; *p; p = &(*p)->next)
		if (*p == t) {
			*p = t->next;
			return;
		}
}

void
tokens_done(struct tokens *t)
{
	if (t->bank) {
		pthread_mutex_lock(&t->bank->lock);
		leave(t->bank, t);
		t->bank->free += t->taken + t->self;
		deal(t->bank);
		pthread_mutex_unlock(&t->bank->lock);
	}
	jobserver_done(&t->own);
	*t = (struct tokens)TOKENS_INIT;
}
