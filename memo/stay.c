/* Invariant: a memo is closed when nobody has it and it is not the current one. */
#include "config.h"

#include "memo/stay.h"

struct memo_stay_one {
	struct memo *memo; /* NULL: it cannot be opened */
	unsigned users;
};

void
memo_stay_init(struct memo_stay *s, const char *dir)
{
	*s = (struct memo_stay){ .dir = dir };
	pthread_mutex_init(&s->lock, NULL);
}

static void
close_one(struct memo_stay_one *m)
{
	if (!m)
		return;
	memo_close(m->memo);
	free(m);
}

void
memo_stay_done(struct memo_stay *s)
{
	close_one(s->now);
	s->now = NULL;
	pthread_mutex_destroy(&s->lock);
}

/* With the lock. */
static bool
is_current(struct memo_stay *s, const struct memo_stay_one *m)
{
	return s->now == m && (!m->memo || memo_is_current(m->memo));
}

struct memo_stay_one *
memo_stay_get(struct memo_stay *s)
{
	struct memo_stay_one *m, *old = NULL;

	pthread_mutex_lock(&s->lock);
	m = s->now;
	if (m && !is_current(s, m)) {
		if (m->users == 0)
			old = m;
		m = s->now = NULL;
	}
	if (!m) {
		m = s->now = calloc(1, sizeof(*m));
		if (m && memo_open(s->dir, &m->memo) < 0)
			m->memo = NULL;
	}
	if (m)
		m->users++;
	pthread_mutex_unlock(&s->lock);
	close_one(old);
	return m;
}

void
memo_stay_put(struct memo_stay *s, struct memo_stay_one *m)
{
	bool last;

	if (!m)
		return;
	pthread_mutex_lock(&s->lock);
	last = --m->users == 0 && s->now != m;
	pthread_mutex_unlock(&s->lock);
	if (last)
		close_one(m);
}

bool
memo_stay_is_current(struct memo_stay *s, const struct memo_stay_one *m)
{
	bool is;

	pthread_mutex_lock(&s->lock);
	is = is_current(s, m);
	pthread_mutex_unlock(&s->lock);
	return is;
}

struct memo *
memo_stay_memo(const struct memo_stay_one *m)
{
	return m ? m->memo : NULL;
}
