/* Peers, their requests, and messages.
 *
 * Invariants: a request is in its peer's list until the peer is gone, and is freed when threads
 * have nothing of it and, unless its peer is gone, nothing of it is on its way. A peer is here
 * while it has requests, an account while it has peers or requests. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "common/log/log.h"
#include "common/text/why.h"
#include "common/fs.h"
#include "coordinator/cache/desk_priv.h"
#include "store/disk.h"

static void
free_vault(struct desk *c)
{
	vault_free(c->vault);
	turns_free(c->turns);
	hot_free(c->hot);
	table_done(&c->peers);
	table_done(&c->accounts);
	table_done(&c->requests);
	free(c);
}

/* What cannot be used of the stores is said, and the disk is there all the same. */
static int
open_behind(struct desk *c, const struct conf *conf)
{
	_cleanup_(freep) char *why = NULL;
	int r = behind_new(conf, c->pool, &c->behind, &why);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		log_warn("shared cache: there are no stores behind its disk: %s",
			why ? why : strerror(-r));
	return 0;
}

int
desk_new(const struct conf *conf, const struct desk_host *host, bool threads, struct desk **ret,
	char **ret_error)
{
	_cleanup_(desk_freep) struct desk *c = calloc(1, sizeof(*c));
	_cleanup_(freep) char *history = NULL;
	int r;

	*ret_error = NULL;
	if (!c)
		return -ENOMEM;
	c->host = *host;
	TAILQ_INIT(&c->waiting);
	TAILQ_INIT(&c->puts);
	TAILQ_INIT(&c->lacking);
	TAILQ_INIT(&c->purges_wait);
	table_key(c->hash_key);
	r = vault_new(conf, &c->vault, ret_error);
	if (r < 0)
		return r;
	history = path_join(vault_dir(c->vault), "history.sqlite");
	r = history ? turns_new(&c->turns) : -ENOMEM;
	if (r == 0)
		r = hot_new(HOT_MAX, &c->hot);
	if (r == 0)
		r = table_init(&c->peers);
	if (r == 0)
		r = table_init(&c->accounts);
	if (r == 0)
		r = table_init(&c->requests);
	if (r == 0)
		r = pool_new(threads, &c->pool);
	if (r == 0)
		r = history_new(history, c->pool, &c->history);
	if (r == 0)
		r = open_behind(c, conf);
	if (r < 0)
		return why_set(ret_error, r, "Cannot start the shared cache: %s.", strerror(-r));
	*ret = steal_ptr(c);
	return 0;
}

static void
forget_all(struct desk *c)
{
	struct table_node *node;

	while ((node = table_walk(&c->peers, NULL)) != NULL)
		desk_gone(c, table_entry(node, struct desk_peer, node)->serial);
}

void
desk_free(struct desk *c)
{
	if (!c)
		return;
	c->closing = true;
	if (c->peers.bucket)
		forget_all(c);
	if (c->behind)
		behind_end(c->behind);
	pool_free(c->pool);
	history_free(c->history);
	behind_free(c->behind);
	free_vault(c);
}

void
desk_freep(struct desk **c)
{
	desk_free(*c);
	*c = NULL;
}

int
desk_fd(const struct desk *c)
{
	return pool_fd(c->pool);
}

void
desk_get_stats(const struct desk *c, struct desk_stats *ret)
{
	struct behind_stats far;

	*ret = c->stats;
	ret->in_memory = turns_all(c->turns);
	ret->requests = c->n_requests;
	if (!c->behind)
		return;
	behind_get_stats(c->behind, &far);
	ret->fetched = far.fetched;
	ret->refused = far.refused;
	ret->uploaded = far.uploaded;
	ret->due = far.due;
	ret->purged = far.purged;
}

struct history *
desk_history(struct desk *c)
{
	return c->history;
}

/* ---- accounts and peers */

static struct desk_account *
account_of(struct desk *c, uint64_t account)
{
	struct table_node *node = table_find(&c->accounts, account);
	struct desk_account *a;

	if (node)
		return table_entry(node, struct desk_account, node);
	a = calloc(1, sizeof(*a));
	if (a)
		table_put(&c->accounts, &a->node, account);
	return a;
}

static struct desk_peer *
find_peer(const struct desk *c, uint64_t serial)
{
	struct table_node *node = table_find(&c->peers, serial);

	return node ? table_entry(node, struct desk_peer, node) : NULL;
}

static struct desk_peer *
peer_of(struct desk *c, const struct desk_who *who)
{
	struct desk_peer *p = find_peer(c, who->serial);
	struct desk_account *a;

	if (p)
		return p;
	a = account_of(c, who->account);
	if (!a)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p) {
		desk_release_account(c, a);
		return NULL;
	}
	p->serial = who->serial;
	p->account = a;
	p->moved_ms = c->now;
	a->peers++;
	table_put(&c->peers, &p->node, who->serial);
	return p;
}

/* ---- requests */

static uint64_t
number_hash(const struct desk *c, uint64_t serial, uint32_t number)
{
	uint8_t p[sizeof(serial) + sizeof(number)];

	memcpy(p, &serial, sizeof(serial));
	memcpy(p + sizeof(serial), &number, sizeof(number));
	return table_hash(c->hash_key, p, sizeof(p));
}

static struct desk_request *
find_request(const struct desk *c, uint64_t serial, uint32_t number)
{
	struct table_node *node = table_find(&c->requests, number_hash(c, serial, number));

	for (; node; node = table_find_next(node)) {
		struct desk_request *r = table_entry(node, struct desk_request, by_number);

		if (r->peer->serial == serial && r->number == number)
			return r;
	}
	return NULL;
}

static struct desk_request *
add_request(struct desk *c, struct desk_peer *p, uint32_t number, bool is_put)
{
	struct desk_request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->desk = c;
	r->peer = p;
	r->account = p->account;
	r->number = number;
	r->is_put = is_put;
	r->kind = is_put ? &desk_kind_put : &desk_kind_get;
	r->since_ms = c->now;
	r->get.fd = -1;
	(is_put ? &r->account->puts : &r->account->gets)[0]++;
	LIST_INSERT_HEAD(&p->requests, r, of_peer);
	table_put(&c->requests, &r->by_number, number_hash(c, p->serial, number));
	r->numbered = true;
	c->n_requests++;
	return r;
}

/* ---- stores */

struct opening {
	struct pool_work work;
	struct desk *desk;
	struct vault_space *space;
	struct store_stats stats;
	int error;
};

/* Its store could not be opened, or not in time: as if nothing were there. */
static void
do_without(struct desk_request *r)
{
	if (!r->is_put)
		desk_get_nothing(r);
	desk_end(r, r->is_put ? DRAY__VERDICT__VERDICT_NO_ROOM : DRAY__VERDICT__VERDICT_NONE,
		r->is_put ? "the shared cache is not open" : "");
}

static void
begin(struct desk_request *r)
{
	desk_stop_waiting(r);
	if (r->is_put)
		desk_put_begin(r);
	else
		desk_get_begin(r);
}

static void
opening_run(struct pool_work *w, struct chunk_coder *coder)
{
	struct opening *o = (struct opening *)w;

	(void)coder;
	o->error = vault_open(o->space);
	if (o->error == 0 && o->desk->behind)
		behind_open(o->desk->behind, o->space);
	if (o->error == 0)
		vault_count(o->space, &o->stats);
}

static void
opening_done(struct pool_work *w, bool cancelled)
{
	struct opening *o = (struct opening *)w;
	struct desk *c = o->desk;
	struct vault_space *space = o->space;
	struct desk_request *r, *next;
	int error = cancelled ? -ECANCELED : o->error;

	space->stats = o->stats;
	free(o);
	space->state = error < 0 ? SPACE_FAILED : SPACE_OPEN;
	space->failed_ms = c->now;
	/* it may have changed since */
	if (error == 0)
		disk_set_max(space->store, space->max);
	if (error < 0 && !cancelled)
		log_throttled(&c->failed, 5,
			"shared cache: the store of namespace=%s does not open: %s",
			*space->name ? space->name : "-", strerror(-error));
	for (r = TAILQ_FIRST(&c->waiting); r; r = next) {
		next = TAILQ_NEXT(r, waiting);
		if (r->space != space)
			continue;
		if (error < 0)
			do_without(r);
		else
			begin(r);
	}
}

static void
open_space(struct desk *c, struct vault_space *space)
{
	struct opening *o = calloc(1, sizeof(*o));

	space->failed_ms = c->now;
	space->state = o ? SPACE_OPENING : SPACE_FAILED;
	if (!o)
		return;
	o->work.run = opening_run;
	o->work.done = opening_done;
	o->desk = c;
	o->space = space;
	pool_submit(c->pool, POOL_KEEPER, &o->work);
}

void
desk_see_to_space(struct desk *c, struct vault_space *space)
{
	if (space->state == SPACE_CLOSED ||
		(space->state == SPACE_FAILED && c->now - space->failed_ms >= DESK_RETRY_MS))
		open_space(c, space);
}

static void
await_space(struct desk_request *r)
{
	struct desk *c = r->desk;

	desk_see_to_space(c, r->space);
	if (r->space->state == SPACE_OPEN) {
		begin(r);
	} else if (r->space->state == SPACE_OPENING) {
		TAILQ_INSERT_TAIL(&c->waiting, r, waiting);
		r->waits = true;
	} else {
		do_without(r);
	}
}

void
desk_warm(struct desk *c, const char *namespace)
{
	struct vault_space *space = vault_find(c->vault, namespace);

	if (space)
		desk_see_to_space(c, space);
}

void
desk_use(struct desk *c, const struct conf *conf)
{
	struct vault_space *s;

	vault_use(c->vault, conf);
	for (s = vault_walk(c->vault, NULL); s; s = vault_walk(c->vault, s)) {
		if (s->state != SPACE_OPEN)
			continue;
		s->stats.max = s->max;
		desk_trim(c, s);
	}
}

uint64_t
desk_get_uploads(const struct desk *c, const char *namespace)
{
	const struct vault_space *s = vault_known(c->vault, namespace);

	return s ? allowance_taken(&s->uploads, c->now) : 0;
}

bool
desk_get_space(const struct desk *c, const char *namespace, struct store_stats *ret)
{
	const struct vault_space *space = vault_known(c->vault, namespace);

	if (!space || space->state != SPACE_OPEN)
		return false;
	*ret = space->stats;
	return true;
}

/* ---- messages */

/* An answer to a message that makes no request. */
static int
say_full(struct desk *c, const struct desk_who *who, uint32_t number, const char *text)
{
	Dray__SharedEnd m;
	char copy[128];

	dray__shared_end__init(&m);
	snprintf(copy, sizeof(copy), "%s", text);
	m.verdict = DRAY__VERDICT__VERDICT_FULL;
	m.text = copy;
	c->host.send(c->host.arg, who->serial, number, WIRE_SHARED_END, &m.base, NULL);
	return 0;
}

static int
hear_new(struct desk *c, const struct desk_who *who, struct wire_msg *m, const char **ret_why)
{
	bool is_put = m->info->type == WIRE_SHARED_PUT;
	struct desk_peer *p = peer_of(c, who);
	struct desk_request *r;
	size_t names = 0;
	int err;

	if (!p)
		return say_full(c, who, m->job, "the coordinator is out of memory");
	if (!is_put)
		names = ((const Dray__SharedGet *)m->body)->n_name;
	if (is_put ? p->account->puts >= DESK_PUTS_MAX
		   : p->account->gets >= DESK_GETS_MAX ||
				p->account->names + names > DESK_NAMES_MAX) {
		desk_release_peer(c, p);
		return say_full(c, who, m->job, "too many requests are open for this key");
	}
	r = add_request(c, p, m->job, is_put);
	if (!r) {
		desk_release_peer(c, p);
		return say_full(c, who, m->job, "the coordinator is out of memory");
	}
	r->space = vault_find(c->vault, who->namespace);
	if (r->space && r->space->state == SPACE_OPEN)
		behind_name(r->space, who->signers);
	err = is_put ? desk_hear_put(r, (const Dray__SharedPut *)m->body, who, ret_why)
		     : desk_hear_get(r, (const Dray__SharedGet *)m->body, who, ret_why);
	if (err < 0 || !r->space) {
		if (err == -EBADMSG) {
			r->stage = DESK_FINISHED;
			desk_release(r);
			return err;
		}
		desk_end(r,
			err == -EFBIG ? DRAY__VERDICT__VERDICT_TOO_LARGE
				      : DRAY__VERDICT__VERDICT_FULL,
			err == -EFBIG ? "it is larger than the shared cache takes"
				      : "the coordinator is out of memory");
		return 0;
	}
	await_space(r);
	return 0;
}

static int
hear_credit(struct desk_request *r, const Dray__SharedCredit *m, const char **ret_why)
{
	struct desk *c = r->desk;

	if (r->is_put || turns_acked(c->turns, &r->get.turn, m->n) < 0) {
		*ret_why = "SharedCredit for more than was sent";
		return -EBADMSG;
	}
	r->peer->on_way -= m->n;
	r->peer->moved_ms = c->now;
	desk_release(r);
	return 0;
}

static void
hear_stop(struct desk_request *r)
{
	if (r->stage == DESK_FINISHED || r->stopped)
		return;
	r->stopped = true;
	if (r->is_put)
		desk_put_stop(r);
	else
		turns_rest(r->desk->turns, &r->get.turn);
	if (r->works == 0)
		desk_end(r, DRAY__VERDICT__VERDICT_CANCELLED, "");
}

int
desk_hear(struct desk *c, const struct desk_who *who, struct wire_msg *m, uint64_t now,
	const char **ret_why)
{
	struct desk_request *r = find_request(c, who->serial, m->job);
	int err = 0;

	c->now = now;
	switch (m->info->type) {
	case WIRE_SHARED_GET:
	case WIRE_SHARED_PUT:
		*ret_why = "a number that is in use";
		err = r ? -EBADMSG : hear_new(c, who, m, ret_why);
		break;
	case WIRE_SHARED_DATA:
		/* Of one that has ended, since: it was on its way. */
		if (r)
			err = desk_put_data(
				r, (const Dray__SharedData *)m->body, &m->payload, ret_why);
		break;
	case WIRE_SHARED_CREDIT:
		if (r)
			err = hear_credit(r, (const Dray__SharedCredit *)m->body, ret_why);
		break;
	case WIRE_SHARED_STOP:
		if (r)
			hear_stop(r);
		break;
	default:
		*ret_why = "no message for the shared cache";
		err = -EBADMSG;
	}
	desk_puts_step(c);
	desk_far_step(c);
	desk_pump(c);
	return err;
}

void
desk_gone(struct desk *c, uint64_t serial)
{
	struct desk_peer *p = find_peer(c, serial);
	struct desk_request *r;

	if (!p)
		return;
	while ((r = LIST_FIRST(&p->requests)) != NULL) {
		desk_leave_peer(r);
		desk_stop_waiting(r);
		if (r->is_put)
			desk_put_stop(r);
		else
			turns_remove(c->turns, &r->get.turn);
		desk_release(r);
	}
	desk_release_peer(c, p);
	if (c->closing)
		return;
	desk_puts_step(c);
	desk_far_step(c);
	desk_pump(c);
}

void
desk_step(struct desk *c, uint64_t now)
{
	c->now = now;
	pool_step(c->pool);
	desk_puts_step(c);
	desk_far_step(c);
	desk_pump(c);
}

static void
drop_silent(struct desk *c)
{
	uint64_t most = turns_wanted(c->turns) ? DESK_STALL_WANTED_MS : DESK_STALL_MS;
	struct table_node *node, *next;

	for (node = table_walk(&c->peers, NULL); node; node = next) {
		struct desk_peer *p = table_entry(node, struct desk_peer, node);

		next = table_walk(&c->peers, node);
		if (p->on_way == 0 || c->now - p->moved_ms < most)
			continue;
		p->moved_ms = c->now;
		c->stats.dropped++;
		c->host.drop(c->host.arg, p->serial, "it does not read what it asked for");
	}
}

void
desk_tick(struct desk *c, uint64_t now)
{
	struct desk_request *r, *next;

	c->now = now;
	for (r = TAILQ_FIRST(&c->waiting); r; r = next) {
		next = TAILQ_NEXT(r, waiting);
		if (now - r->since_ms >= DESK_OPEN_MS)
			do_without(r);
	}
	desk_puts_check(c);
	drop_silent(c);
	history_step(c->history, now);
	desk_puts_step(c);
	desk_far_step(c);
	desk_pump(c);
}
