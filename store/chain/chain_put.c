/* Puts to all places that may be written, and what one had and those before it had not. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "store/chain/chain_priv.h"

/* What waits to be filled back; more is forgotten. */
#define FILLS_MAX 64u
#define FILLS_BYTES_MAX ((uint64_t)256 << 20)

/* Another open file of the same: an offset of its own. A descriptor or -errno. */
static int
open_file_again(int fd)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

void
chain_want_fill(struct chain *c, const struct ask *a, int fd, uint64_t size)
{
	unsigned where = 0;
	struct fill *f;

	for (size_t i = 0; i < a->at; i++)
		if ((a->lacked & 1u << i) && !c->tiers[i].own && !chain_is_read_only(&c->tiers[i]))
			where |= 1u << i;
	if (where == 0 || c->n_fills >= FILLS_MAX || size > FILLS_BYTES_MAX - c->fills_bytes)
		return;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return;
	f->fd = open_file_again(fd);
	if (f->fd < 0) {
		free(f);
		return;
	}
	f->kind = a->kind;
	f->name = a->name;
	f->size = size;
	f->where = where;
	*c->fills_end = f;
	c->fills_end = &f->next;
	c->n_fills++;
	c->fills_bytes += size;
}

static void
end_spread(struct spread *p)
{
	p->reply.was_there = p->taken > 0 && p->there == p->taken;
	if (p->taken == 0) {
		p->reply = (struct store_reply){ .error = p->error != 0 ? p->error : -EHOSTDOWN,
			.fd = -1 };
	}
	if (p->done != NULL)
		p->done(p->arg, &p->reply);
	free(p);
}

static void
on_put(void *arg, const struct store_reply *r)
{
	struct attempt *y = arg;
	struct tier *t = y->tier;
	struct spread *p = y->spread;

	t->stats.ms += clock_mono_ms() - y->begun;
	if (r->error == 0) {
		t->stats.puts++;
		t->stats.there += r->was_there;
		p->taken++;
		p->there += r->was_there;
	} else {
		t->stats.errors++;
		p->error = p->error != 0 ? p->error : r->error;
	}
	if (r->error == 0 && !r->was_there) {
		t->stats.bytes_out += y->bytes;
		y->chain->spent += y->bytes;
	}
	chain_note_why(y->chain, t, r->error);
	chain_judge(t, &t->writes, r->error, chain_why_of(t, r->error));
	chain_free_attempt(y);
	if (--p->left == 0)
		end_spread(p);
}

/* An object of its own for one place: the same bytes, another open file. */
static int
open_again(const struct chain *c, const struct object *o, struct object *ret)
{
	int r = 0;

	*ret = *o;
	ret->fd = open_file_again(o->fd);
	if (ret->fd >= 0)
		return 0;
	ret->fd = object_temp(c->base.tmp);
	if (ret->fd < 0)
		return ret->fd;
	if (lseek(o->fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		r = fs_copy_fd(o->fd, ret->fd);
	if (r == 0 && lseek(ret->fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		object_done(ret);
	return r;
}

static void
put_to(struct spread *p, struct tier *t, const struct object *o)
{
	struct object own = { .fd = -1 };
	struct chain *c = p->chain;
	struct attempt *y = chain_new_attempt(c, t);
	int r;

	if (y == NULL) {
		breaker_unsure(&t->writes);
		p->error = p->error != 0 ? p->error : -ENOMEM;
		return;
	}
	y->spread = p;
	y->bytes = o->length;
	p->left++;
	r = open_again(c, o, &own);
	if (r == 0)
		t->store->type->put(t->store, &own, on_put, y);
	else
		store_answer_error(on_put, y, r);
}

/* To those of these places (a bit for each) that may be written. The object stays the caller's. */
static void
spread(struct chain *c, unsigned where, const struct object *o, store_done_fn done, void *arg)
{
	bool spent = c->budget != 0 && c->spent >= c->budget;
	struct spread *p = spent ? NULL : calloc(1, sizeof(*p));
	uint64_t now = clock_mono_ms();
	bool writable = false;

	if (p == NULL) {
		if (done != NULL)
			store_answer_error(done, arg, spent ? -EDQUOT : -ENOMEM);
		return;
	}
	*p = (struct spread){ .chain = c,
		.reply = { .name = o->head.name, .size = o->head.size, .fd = -1 },
		.left = 1, /* this function's */
		.done = done,
		.arg = arg };
	for (size_t i = 0; i < c->n; i++) {
		struct tier *t = &c->tiers[i];

		if (!(where & 1u << i) || chain_is_read_only(t))
			continue;
		writable = true;
		if (breaker_may(&t->writes, now))
			put_to(p, t, o);
		else
			t->stats.left_alone++;
	}
	if (!writable)
		p->error = -EROFS;
	if (--p->left == 0)
		end_spread(p);
}

void
chain_put(struct store *s, const struct object *o, store_done_fn done, void *arg)
{
	struct chain *c = (struct chain *)s;
	struct object object = *o;

	spread(c, ~0u, &object, done, arg);
	object_done(&object);
}

void
chain_cancel_puts(struct chain *c)
{
	struct attempt *y = c->tries;

	while (y != NULL) {
		struct spread *p = y->spread;
		store_done_fn done = p != NULL ? p->done : NULL;

		y = y->next;
		if (done == NULL)
			continue;
		p->done = NULL;
		store_answer_error(done, p->arg, -ECANCELED);
	}
}

static int
object_of(const struct chain *c, const struct fill *f, struct object *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	uint8_t chunk[4096];
	ssize_t k;
	int r = 0;

	if (f->kind == STORE_BLOB)
		return outgoing_blob(c->base.tmp, (enum object_coding)c->base.coding, f->fd, ret);
	while (r == 0 && (k = read(f->fd, chunk, sizeof(chunk))) != 0) {
		if (k > 0)
			r = buf_add(&b, chunk, (size_t)k);
		else if (errno != EINTR)
			r = -errno;
	}
	if (r < 0)
		return r;
	return outgoing_entry(
		c->base.tmp, (enum object_coding)c->base.coding, &f->name, b.p, b.n, ret);
}

/* One at a time: answers come first. */
void
chain_fill_one(struct chain *c)
{
	struct object o = { .fd = -1 };
	struct fill *f = c->fills;

	if (f == NULL)
		return;
	c->fills = f->next;
	if (c->fills == NULL)
		c->fills_end = &c->fills;
	c->n_fills--;
	c->fills_bytes -= f->size;
	if (object_of(c, f, &o) == 0)
		spread(c, f->where, &o, NULL, NULL);
	object_done(&o);
	close(f->fd);
	free(f);
}
