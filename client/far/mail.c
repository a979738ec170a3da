/* Invariant: a mailbox is there until all that was asked through it is answered, and no descriptor
 * of an answer that nobody takes stays open. */
#include "config.h"

#include "client/far/mail.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/fs.h"

struct mailbox {
	pthread_mutex_t lock; /* of all below, but for wake */
	int wake;	      /* an eventfd */
	bool closed;
	size_t open; /* that are not answered yet */
	unsigned round;
	TAILQ_HEAD(, mail) mails;
};

struct mailbox *
mailbox_new(void)
{
	struct mailbox *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->wake < 0) {
		free(b);
		return NULL;
	}
	pthread_mutex_init(&b->lock, NULL);
	TAILQ_INIT(&b->mails);
	return b;
}

void
mail_free(struct mail *m)
{
	if (!m)
		return;
	closep(&m->reply.fd);
	free(m);
}

/* With the lock, which it gives back. */
static void
leave(struct mailbox *b)
{
	bool gone = b->closed && b->open == 0;

	pthread_mutex_unlock(&b->lock);
	if (!gone)
		return;
	closep(&b->wake);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static void
empty(struct mailbox *b)
{
	struct mail *m;

	while ((m = TAILQ_FIRST(&b->mails)) != NULL) {
		TAILQ_REMOVE(&b->mails, m, link);
		mail_free(m);
	}
}

void
mailbox_close(struct mailbox *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	b->closed = true;
	empty(b);
	leave(b);
}

int
mailbox_fd(const struct mailbox *b)
{
	return b->wake;
}

static void
deliver(void *arg, const struct store_reply *r)
{
	const uint64_t one = 1;
	struct mail *m = arg;
	struct mailbox *b = m->box;

	m->reply = *r;
	if (r->error < 0)
		m->reply.fd = -1;
	pthread_mutex_lock(&b->lock);
	b->open--;
	if (b->closed || m->round != b->round) {
		mail_free(m);
	} else {
		TAILQ_INSERT_TAIL(&b->mails, m, link);
		(void)!write(b->wake, &one, sizeof(one));
	}
	leave(b);
}

int
mailbox_get(struct mailbox *b, struct stores *s, enum store_kind kind, const struct digest *name,
	uint64_t max, unsigned ms, size_t number)
{
	struct mail *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->box = b;
	m->number = number;
	m->reply.fd = -1;
	m->q = (struct clerk_request){ .what = CLERK_GET,
		.kind = kind,
		.name = *name,
		.max = max,
		.ms = ms,
		.done = deliver,
		.arg = m };
	pthread_mutex_lock(&b->lock);
	m->round = b->round;
	b->open++;
	pthread_mutex_unlock(&b->lock);
	stores_ask(s, &m->q);
	return 0;
}

void
mailbox_forget(struct mailbox *b)
{
	pthread_mutex_lock(&b->lock);
	b->round++;
	empty(b);
	pthread_mutex_unlock(&b->lock);
}

void
mailbox_poke(struct mailbox *b)
{
	const uint64_t one = 1;

	(void)!write(b->wake, &one, sizeof(one));
}

struct mail *
mailbox_take(struct mailbox *b)
{
	struct mail *m;
	uint64_t n;

	pthread_mutex_lock(&b->lock);
	m = TAILQ_FIRST(&b->mails);
	if (m)
		TAILQ_REMOVE(&b->mails, m, link);
	else
		(void)!read(b->wake, &n, sizeof(n));
	pthread_mutex_unlock(&b->lock);
	return m;
}
