/* Calls through a store's row, and calls that wait.
 *
 * Invariant: nothing here knows what kind of place a store is. */
#include "config.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "store/store_row.h"

int
store_open(const struct store_type *type, const struct store_in *in, struct store **ret)
{
	return type->open(in, ret);
}

void
store_close(struct store *s)
{
	if (s != NULL)
		s->type->close(s);
}

void
store_closep(struct store **s)
{
	store_close(*s);
	*s = NULL;
}

void
store_has(struct store *s, enum store_kind kind, const struct digest *name, store_done_fn done,
	void *arg)
{
	s->type->has(s, kind, name, done, arg);
}

void
store_get(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	store_done_fn done, void *arg)
{
	s->type->get(s, kind, name, max, done, arg);
}

int
store_write_begin(struct store *s, struct store_writer **ret)
{
	return s->type->write_begin(s, ret);
}

int
store_write(struct store_writer *w, const void *p, size_t n)
{
	return w->store->type->write(w, p, n);
}

void
store_write_commit(struct store_writer *w, const struct digest *expected, uint64_t size,
	store_done_fn done, void *arg)
{
	w->store->type->write_commit(w, expected, size, done, arg);
}

void
store_write_abort(struct store_writer *w)
{
	if (w != NULL)
		w->store->type->write_abort(w);
}

void
store_put_fd(struct store *s, int fd, store_done_fn done, void *arg)
{
	s->type->put_fd(s, fd, done, arg);
}

void
store_put_entry(struct store *s, const struct digest *key, const void *p, size_t n,
	store_done_fn done, void *arg)
{
	s->type->put_entry(s, key, p, n, done, arg);
}

int
store_fd(const struct store *s)
{
	return s->type->work != NULL ? s->fd : -1;
}

void
store_work(struct store *s, int ms)
{
	if (s->type->work != NULL)
		s->type->work(s, ms);
}

void
store_trim(struct store *s, unsigned max_files)
{
	if (s->type->trim != NULL)
		s->type->trim(s, max_files);
}

int
store_get_stats(struct store *s, struct store_stats *ret)
{
	return s->type->get_stats != NULL ? s->type->get_stats(s, ret) : -EOPNOTSUPP;
}

const char *
store_why(const struct store *s)
{
	return s->why;
}

int
store_get_clock(const struct store *s, int64_t *ret_ahead_ms)
{
	if (!s->has_clock)
		return -EOPNOTSUPP;
	*ret_ahead_ms = s->clock_ahead_ms;
	return 0;
}

void
store_ask_clock(struct store *s)
{
	if (s->type->ask_clock)
		s->type->ask_clock(s);
}

bool
store_was_forbidden(const struct store *s)
{
	return s->forbidden;
}

/* Waiting. The answer may come by another thread. */

struct wait {
	struct store_reply reply;
	atomic_bool done;
};

static void
answered(void *arg, const struct store_reply *r)
{
	struct wait *w = arg;

	w->reply = *r;
	atomic_store_explicit(&w->done, true, memory_order_release);
}

static int
wait_for(struct store *s, struct wait *w)
{
	while (!atomic_load_explicit(&w->done, memory_order_acquire))
		store_work(s, -1);
	return w->reply.error;
}

int
store_has_now(struct store *s, enum store_kind kind, const struct digest *name, uint64_t *ret_size)
{
	struct wait w = { .done = false };
	int r;

	store_has(s, kind, name, answered, &w);
	r = wait_for(s, &w);
	if (r == 0 && ret_size != NULL)
		*ret_size = w.reply.size;
	return r;
}

int
store_get_now(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	uint64_t *ret_size)
{
	struct wait w = { .done = false };
	int r;

	store_get(s, kind, name, max, answered, &w);
	r = wait_for(s, &w);
	if (r < 0)
		return r;
	if (ret_size != NULL)
		*ret_size = w.reply.size;
	return w.reply.fd;
}

int
store_read_now(struct store *s, enum store_kind kind, const struct digest *name, size_t max,
	struct buf *ret)
{
	_cleanup_(closep) int fd = -1;
	size_t got = 0;
	uint64_t size;
	int r;

	fd = store_get_now(s, kind, name, max, &size);
	if (fd < 0)
		return fd;
	/* one more, for the end that buf.h promises of texts */
	r = buf_reserve(ret, (size_t)size + 1);
	while (r == 0 && got < size) {
		ssize_t k = read(fd, ret->p + ret->n + got, (size_t)size - got);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			r = k < 0 ? -errno : -EIO;
		else
			got += (size_t)k;
	}
	if (r < 0)
		return r;
	ret->n += got;
	ret->p[ret->n] = '\0';
	return 0;
}

int
store_write_commit_now(struct store_writer *w, const struct digest *expected, uint64_t size)
{
	struct store *s = w->store;
	struct wait wait = { .done = false };
	int r;

	store_write_commit(w, expected, size, answered, &wait);
	r = wait_for(s, &wait);
	return r < 0 ? r : wait.reply.was_there;
}

int
store_put_fd_now(struct store *s, int fd, struct digest *ret_name, uint64_t *ret_size)
{
	struct wait w = { .done = false };
	int r;

	store_put_fd(s, fd, answered, &w);
	r = wait_for(s, &w);
	if (r < 0)
		return r;
	if (ret_name != NULL)
		*ret_name = w.reply.name;
	if (ret_size != NULL)
		*ret_size = w.reply.size;
	return w.reply.was_there;
}

int
store_put_entry_now(struct store *s, const struct digest *key, const void *p, size_t n)
{
	struct wait w = { .done = false };

	store_put_entry(s, key, p, n, answered, &w);
	return wait_for(s, &w);
}
