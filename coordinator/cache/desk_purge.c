/* Removing results. An entry is changed by the thread of its lane alone, as by puts; each lane has
 * a few names at a time, so that what peers ask for comes between.
 *
 *   find (the keeper's thread)   the namespaces' directories
 *   list (likewise)              what is in one; it is open by then
 *   take (each lane's)           NAMES of it, again and again
 *
 * Invariant: what was put by a producer before its results are removed is found; what it puts by a
 * request that was open then is refused (desk_put.revoked). */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/fs.h"
#include "coordinator/cache/desk_priv.h"
#include "coordinator/cache/purged.h"
#include "store/disk.h"

#define NAMES 32
#define SPACE_PREFIX "ns"

struct purge {
	TAILQ_ENTRY(purge) link; /* it waits */
	struct desk *desk;
	struct desk_purge what;
	desk_purged_fn done;
	void *arg;
	struct desk_purged purged;
	unsigned works; /* that threads have, and spaces that are not done with */
	bool cancelled;
};

struct finding {
	struct pool_work work;
	struct purge *p;
	struct strv names; /* of namespaces */
	int error;
};

/* One space. */
struct clearing {
	struct purge *p;
	struct vault_space *space;
	struct digest *names, *blobs; /* names: by lane */
	size_t n_blobs, ends[POOL_LANES];
	unsigned works;
};

struct taking {
	struct pool_work work;
	struct clearing *c;
	unsigned lane;
	enum store_kind kind;
	size_t at, n; /* the next ones */
	size_t end;
	struct desk_purged purged;
};

struct listing {
	struct pool_work work;
	struct clearing *c;
	int error;
};

static void begin_more(struct desk *c);

static void
purge_release(struct purge *p)
{
	struct desk *c = p->desk;

	if (--p->works > 0)
		return;
	c->purges--;
	if (!p->cancelled)
		p->done(p->arg, &p->purged);
	free(p);
	begin_more(c);
}

static void
note_error(struct purge *p, int error, bool cancelled)
{
	p->cancelled |= cancelled;
	if (p->purged.error == 0)
		p->purged.error = error;
}

/* The disk is done with. */
static void
purge_behind(const struct clearing *c)
{
	const struct desk_purge *what = &c->p->what;
	const struct vault_purge v = { what->of_producer ? what->producer : NULL, NULL,
		what->before_s };
	int r = c->names ? behind_purge(c->space, c->names, c->ends[POOL_LANES - 1], &v) : 0;

	if (r < 0)
		log_warn("shared cache: the stores of namespace=%s keep what is purged: %s",
			*c->space->name ? c->space->name : "-",
			r == -EROFS ? "they are only read here" : strerror(-r));
}

static void
clearing_release(struct clearing *c)
{
	struct purge *p = c->p;

	if (--c->works > 0)
		return;
	if (!p->cancelled && !p->desk->closing)
		purge_behind(c);
	free(c->names);
	free(c->blobs);
	free(c);
	purge_release(p);
}

/* What stores behind the disk still have of it is refused from now on: before anything is gone
 * here, or what comes out of one meanwhile would stay. namespace: NULL: in all. */
static int
note_purged(const struct purge *p, const char *namespace)
{
	const struct desk_purge *what = &p->what;
	const struct vault_purge v = { what->of_producer ? what->producer : NULL,
		what->of_key ? &what->key : NULL, what->before_s };

	return purged_add(vault_purged(p->desk->vault), namespace, &v, clock_wall_ms() / 1000);
}

/* ---- taking */

static bool
is_whole_space(const struct desk_purge *w)
{
	return w->in_namespace && !w->of_producer && !w->of_key && !w->before_s;
}

static void
take_run(struct pool_work *w, struct chunk_coder *coder)
{
	struct taking *t = (struct taking *)w;
	const struct desk_purge *what = &t->c->p->what;
	const struct vault_purge v = { what->of_producer ? what->producer : NULL,
		what->of_key ? &what->key : NULL, what->before_s };
	const struct digest *names = t->kind == STORE_BLOB ? t->c->blobs : t->c->names;

	(void)coder;
	for (; t->n > 0; t->n--, t->at++) {
		uint64_t results = 0;
		int r = t->kind == STORE_BLOB
				? disk_drop(t->c->space->store, STORE_BLOB, &names[t->at])
				: vault_purge_entry(t->c->space, &names[t->at], &v, &results);

		if (r < 0 && t->purged.error == 0)
			t->purged.error = r;
		t->purged.results += results;
		t->purged.entries += r > 0;
	}
}

static void
take_next(struct taking *t)
{
	struct desk *c = t->c->p->desk;

	t->n = MIN2(t->end - t->at, (size_t)NAMES);
	pool_submit(c->pool, t->lane, &t->work);
}

static void
take_done(struct pool_work *w, bool cancelled)
{
	struct taking *t = (struct taking *)w;
	struct clearing *c = t->c;
	struct purge *p = c->p;

	if (!cancelled && t->at < t->end && !p->desk->closing) {
		take_next(t);
		return;
	}
	note_error(p, t->purged.error, cancelled || t->at < t->end);
	p->purged.entries += t->purged.entries;
	p->purged.results += t->purged.results;
	free(t);
	clearing_release(c);
}

static void
take(struct clearing *c, enum store_kind kind, unsigned lane, size_t from, size_t end)
{
	struct taking *t = from < end ? calloc(1, sizeof(*t)) : NULL;

	if (from == end)
		return;
	if (!t) {
		note_error(c->p, -ENOMEM, false);
		return;
	}
	t->work.run = take_run;
	t->work.done = take_done;
	t->c = c;
	t->kind = kind;
	t->lane = lane;
	t->at = from;
	t->end = end;
	c->works++;
	take_next(t);
}

/* ---- listing */

static unsigned
lane_of(const struct digest *name)
{
	return name->b[0] % POOL_LANES;
}

static int
compare_lanes(const void *a, const void *b)
{
	return (int)lane_of(a) - (int)lane_of(b);
}

static int
list_names(struct clearing *c)
{
	const struct desk_purge *what = &c->p->what;
	size_t n = 1;
	int r = 0;

	if (!c->space->store)
		return -EIO;
	if (what->of_key) {
		c->names = malloc(sizeof(*c->names));
		if (!c->names)
			return -ENOMEM;
		c->names[0] = what->key;
	} else {
		r = vault_list(c->space, STORE_ENTRY, &c->names, &n);
	}
	if (r == 0 && is_whole_space(what))
		r = vault_list(c->space, STORE_BLOB, &c->blobs, &c->n_blobs);
	if (r < 0)
		return r;
	if (n > 1)
		qsort(c->names, n, sizeof(*c->names), compare_lanes);
	for (unsigned lane = 0, at = 0; lane < POOL_LANES; lane++) {
		while (at < n && lane_of(&c->names[at]) == lane)
			at++;
		c->ends[lane] = at;
	}
	return 0;
}

static void
list_run(struct pool_work *w, struct chunk_coder *coder)
{
	struct listing *l = (struct listing *)w;

	(void)coder;
	if (l->c->p->what.in_namespace)
		l->error = note_purged(l->c->p, l->c->space->name);
	if (l->error == 0)
		l->error = list_names(l->c);
}

static void
list_done(struct pool_work *w, bool cancelled)
{
	struct listing *l = (struct listing *)w;
	struct clearing *c = l->c;
	size_t from = 0;

	cancelled |= c->p->desk->closing;
	note_error(c->p, l->error, cancelled);
	if (!cancelled && l->error == 0) {
		for (unsigned lane = 0; lane < POOL_LANES; lane++) {
			take(c, STORE_ENTRY, lane, from, c->ends[lane]);
			from = c->ends[lane];
		}
		take(c, STORE_BLOB, POOL_KEEPER, 0, c->n_blobs);
	}
	free(l);
	clearing_release(c);
}

/* The keeper opens it before it lists it. */
static void
clear_space(struct purge *p, const char *namespace)
{
	struct vault_space *space = vault_find(p->desk->vault, namespace);
	struct clearing *c = calloc(1, sizeof(*c));
	struct listing *l = calloc(1, sizeof(*l));

	if (!space || !c || !l) {
		free(c);
		free(l);
		note_error(p, -ENOMEM, false);
		return;
	}
	desk_see_to_space(p->desk, space);
	c->p = p;
	c->space = space;
	c->works = 1;
	l->c = c;
	l->work.run = list_run;
	l->work.done = list_done;
	p->works++;
	pool_submit(p->desk->pool, POOL_KEEPER, &l->work);
}

/* ---- finding */

static void
find_run(struct pool_work *w, struct chunk_coder *coder)
{
	struct finding *f = (struct finding *)w;
	_cleanup_(closedirp) DIR *d = opendir(vault_dir(f->p->desk->vault));
	const struct dirent *e;

	(void)coder;
	f->error = d ? note_purged(f->p, NULL) : -errno;
	if (!d)
		return;
	while (f->error == 0 && (e = readdir(d)) != NULL) {
		const char *name = e->d_name;

		if (streq(name, SPACE_PREFIX))
			f->error = strv_add(&f->names, "");
		else if (starts_with(name, SPACE_PREFIX "-") && strlen(name) - 3 <= KEYS_NAME_MAX)
			f->error = strv_add(&f->names, name + 3);
	}
}

static void
find_done(struct pool_work *w, bool cancelled)
{
	struct finding *f = (struct finding *)w;
	struct purge *p = f->p;

	cancelled |= p->desk->closing;
	note_error(p, f->error, cancelled);
	for (size_t i = 0; !cancelled && i < f->names.n; i++)
		clear_space(p, f->names.v[i]);
	strv_done(&f->names);
	free(f);
	purge_release(p);
}

static int
find_spaces(struct purge *p)
{
	struct finding *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->work.run = find_run;
	f->work.done = find_done;
	f->p = p;
	p->works++;
	pool_submit(p->desk->pool, POOL_KEEPER, &f->work);
	return 0;
}

/* ---- */

static void
revoke_open_puts(struct desk *c, const uint8_t producer[SIGN_KEY_SIZE])
{
	struct table_node *node;

	for (node = table_walk(&c->requests, NULL); node; node = table_walk(&c->requests, node)) {
		struct desk_request *r = table_entry(node, struct desk_request, by_number);

		if (r->is_put && r->put.signer.signs &&
			memcmp(r->put.signer.key, producer, SIGN_KEY_SIZE) == 0)
			atomic_store(&r->put.revoked, true);
	}
}

static void
begin(struct purge *p)
{
	struct desk *c = p->desk;

	c->purges++;
	p->works = 1;
	/* also what has come while it waited */
	if (p->what.of_producer && !p->what.of_key)
		revoke_open_puts(c, p->what.producer);
	if (p->what.in_namespace)
		clear_space(p, p->what.namespace);
	else
		note_error(p, find_spaces(p), false);
	purge_release(p);
}

/* As many of those that wait as there is room for; none where the cache ends. */
static void
begin_more(struct desk *c)
{
	struct purge *p;

	while ((c->closing || c->purges < DESK_PURGES_MAX) && (p = TAILQ_FIRST(&c->purges_wait))) {
		TAILQ_REMOVE(&c->purges_wait, p, link);
		c->n_purges_wait--;
		if (c->closing)
			free(p);
		else
			begin(p);
	}
}

int
desk_purge(struct desk *c, const struct desk_purge *what, desk_purged_fn done, void *arg)
{
	struct purge *p;

	if (c->closing || c->n_purges_wait >= DESK_PURGES_WAIT)
		return -EBUSY;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->desk = c;
	p->what = *what;
	p->done = done;
	p->arg = arg;
	if (what->of_producer && !what->of_key)
		revoke_open_puts(c, what->producer);
	TAILQ_INSERT_TAIL(&c->purges_wait, p, link);
	c->n_purges_wait++;
	begin_more(c);
	return 0;
}
