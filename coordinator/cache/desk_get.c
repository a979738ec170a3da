/* Reading: items in the order in which they were asked for, a chunk a turn. What waits for a disk,
 * or takes long (zstd), is a thread's; a chunk of an open file that is in memory is read in the
 * loop, which takes less time than to wake a thread for it and be woken by it.
 *
 * Invariant: a request has one work at a time, so what is its thread's is one thread's; between
 * works it is the loop's. */
#include "config.h"

#include <errno.h>

#include "cache/shared.h"
#include "common/clock.h"
#include "common/fs.h"
#include "coordinator/cache/desk_priv.h"

int
desk_hear_get(struct desk_request *r, const Dray__SharedGet *m, const struct desk_who *who,
	const char **ret_why)
{
	struct desk_get *g = &r->get;

	*ret_why = "SharedGet has 1 to 256 names of 32 bytes, and credit for 1 to 64 chunks";
	if (m->n_name < 1 || m->n_name > WIRE_SHARED_ITEMS_MAX || m->credit < 1 ||
		m->credit > WIRE_SHARED_CREDIT_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < m->n_name; i++)
		if (m->name[i].len != DIGEST_SIZE)
			return -EBADMSG;
	g->names = calloc(m->n_name, sizeof(*g->names));
	g->absent = calloc(m->n_name, sizeof(*g->absent));
	if (m->look)
		g->sizes = calloc(m->n_name, sizeof(*g->sizes));
	if (!g->names || !g->absent || (m->look && !g->sizes))
		return -ENOMEM;
	for (size_t i = 0; i < m->n_name; i++)
		memcpy(g->names[i].b, m->name[i].data, DIGEST_SIZE);
	g->n = (uint32_t)m->n_name;
	r->account->names += g->n;
	g->entry = m->entry;
	g->compress = m->compress;
	g->look = m->look;
	g->near = m->near;
	g->most = m->most ? m->most : UINT64_MAX;
	g->credit = m->credit;
	g->signers = signers_hold(who->signers);
	g->began_us = clock_mono_us();
	g->tells = r->desk->host.looked != NULL;
	history_name(
		&g->unit, who->namespace, m->crate, m->kind, m->toolchain.data, m->toolchain.len);
	r->desk->stats.gets += g->n;
	return 0;
}

static void
get_end(struct desk_request *r)
{
	struct desk_get *g = &r->get;

	turns_remove(r->desk->turns, &g->turn);
	desk_far_end(r);
	signers_release(steal_ptr(g->signers));
	r->account->names -= g->n;
	closep(&g->fd);
	free(g->names);
	free(g->absent);
	free(g->sizes);
}

const struct desk_kind desk_kind_get = { .done = get_end };

void
desk_get_nothing(struct desk_request *r)
{
	struct desk_get *g = &r->get;

	for (g->n_absent = 0; g->n_absent < g->n; g->n_absent++)
		g->absent[g->n_absent] = g->n_absent;
}

/* ---- in a thread, or in the loop if it need not wait */

static void
skip_item(struct desk_get *g)
{
	closep(&g->fd);
	g->absent[g->n_absent++] = g->item++;
}

/* What is left of the chunk's place in the file, by fs_read_at or fs_read_cached. -errno. */
static int
read_raw(struct desk_get *g, size_t n, ssize_t (*read_it)(int, void *, size_t, uint64_t))
{
	ssize_t k;

	if (zmq_msg_init_size(&g->chunk, n) < 0)
		return -ENOMEM;
	k = read_it(g->fd, zmq_msg_data(&g->chunk), n, g->offset);
	if (k != (ssize_t)n) {
		zmq_msg_close(&g->chunk);
		return k < 0 ? (int)k : -EIO;
	}
	g->zstd = false;
	return 0;
}

/* Of an entry that is one chunk: how long that compile took which it saves. Those that are larger
 * say nothing: they are few. */
static void
note_saved(struct desk_get *g, size_t n)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;

	if (!g->tells || !g->entry || g->n != 1 || g->offset != 0 || n != g->size)
		return;
	if (shared_entry_decode(zmq_msg_data(&g->chunk), n, &g->names[0], &e) == 0 && e.n > 0)
		(void)shared_compile_us(&e, 0, &g->saved_us);
}

static int
read_chunk(struct desk_get *g, struct chunk_coder *coder, size_t n)
{
	zmq_msg_t packed;
	int r = read_raw(g, n, coder ? fs_read_at : fs_read_cached);

	if (r == 0)
		note_saved(g, n);
	if (r < 0 || !g->compress)
		return r;
	r = chunk_encode(coder, zmq_msg_data(&g->chunk), n, true, &packed, &g->zstd);
	if (r < 0) {
		zmq_msg_close(&g->chunk);
		return r;
	}
	zmq_msg_close(&g->chunk);
	zmq_msg_init(&g->chunk);
	zmq_msg_move(&g->chunk, &packed);
	zmq_msg_close(&packed);
	return 0;
}

static size_t
next_size(const struct desk_get *g)
{
	return (size_t)MIN2(g->size - g->offset, (uint64_t)WIRE_CHUNK_MAX);
}

/* g->chunk is the next one of the item that is open. */
static void
note_chunk(struct desk_get *g)
{
	size_t n = next_size(g);

	g->has_chunk = true;
	g->chunk_item = g->item;
	g->chunk_size = (uint32_t)n;
	g->chunk_offset = g->offset;
	g->chunk_total = g->size;
	g->offset += n;
	g->last = g->offset == g->size;
	if (g->last) {
		closep(&g->fd);
		g->item++;
	}
}

/* The next chunk of the item that is open. coder: NULL: of what is in memory. -errno: nothing has
 * changed. */
static int
read_item(struct desk_get *g, struct chunk_coder *coder)
{
	int r = read_chunk(g, coder, next_size(g));

	if (r == 0)
		note_chunk(g);
	return r;
}

static void
look_at_all(struct desk_request *r)
{
	struct desk_get *g = &r->get;

	for (; g->item < g->n; g->item++)
		if (vault_look(r->space, g->entry ? STORE_ENTRY : STORE_BLOB, &g->names[g->item],
			    &g->sizes[g->item]) < 0)
			g->absent[g->n_absent++] = g->item;
}

static void
get_run(struct pool_work *w, struct chunk_coder *coder)
{
	struct desk_request *r = (struct desk_request *)((char *)w -
							 offsetof(struct desk_request, get.work));
	struct desk_get *g = &r->get;

	g->has_chunk = g->broken = false;
	if (g->look)
		look_at_all(r);
	while (g->item < g->n && !g->has_chunk && !g->broken) {
		if (g->fd < 0) {
			g->offset = 0;
			g->fd = vault_get(r->space, g->entry ? STORE_ENTRY : STORE_BLOB,
				&g->names[g->item], g->most, &g->size);
		}
		if (g->fd < 0 && desk_far_look(r))
			return;
		if (g->fd < 0)
			skip_item(g);
		else if (g->open_only)
			break;
		else if (read_item(g, coder) < 0 && g->offset > 0)
			/* Its begin was sent. */
			g->broken = true;
		else if (!g->has_chunk)
			skip_item(g);
	}
}

/* ---- in the loop */

/* Entries are changed, and small. */
static bool
is_kept(const struct desk_get *g)
{
	return !g->entry && !g->look;
}

/* The next chunk's place, of the item that is open or is opened next. */
static struct hot_place
next_place(const struct desk_get *g)
{
	return (struct hot_place){ .name = &g->names[g->item],
		.offset = g->fd < 0 ? 0 : g->offset,
		.compress = g->compress };
}

/* Without a thread. False: it takes one. */
static bool
read_here(struct desk_request *r)
{
	struct desk_get *g = &r->get;
	const struct hot_place at = next_place(g);

	g->has_chunk = g->broken = g->open_only = false;
	if (g->fd < 0) {
		g->open_only = is_kept(g) && hot_has(r->desk->hot, &at);
		return false;
	}
	if (is_kept(g) && hot_get(r->desk->hot, &at, &g->chunk, &g->zstd)) {
		note_chunk(g);
		return true;
	}
	return !g->compress && read_item(g, NULL) == 0;
}

static void
keep_chunk(struct desk_request *r)
{
	struct desk_get *g = &r->get;
	const struct hot_place at = {
		.name = &g->names[g->chunk_item], .offset = g->chunk_offset, .compress = g->compress
	};

	if (is_kept(g))
		hot_put(r->desk->hot, &at, &g->chunk, g->zstd);
}

static void
send_chunk(struct desk_request *r)
{
	struct desk *c = r->desk;
	struct desk_get *g = &r->get;
	Dray__SharedData m;

	dray__shared_data__init(&m);
	m.item = g->chunk_item;
	m.offset = g->chunk_offset;
	m.total = g->chunk_total;
	m.last = g->last;
	m.zstd = g->zstd;
	m.size = g->chunk_size;
	c->stats.bytes += g->chunk_size;
	c->stats.found += g->last;
	if (r->peer->on_way++ == 0)
		r->peer->moved_ms = c->now;
	desk_say(r, WIRE_SHARED_DATA, &m.base, &g->chunk);
}

static void
tell_looked(struct desk_request *r)
{
	const struct desk_host *host = &r->desk->host;
	const struct desk_get *g = &r->get;
	const struct desk_looked l = { .found = g->n_absent == 0,
		.from_store = g->far && g->far[0].state == FAR_ASKED,
		.us = clock_mono_us() - g->began_us,
		.saved_us = g->saved_us };

	if (host->looked && g->entry && !g->look && g->n == 1 && !g->broken)
		host->looked(host->arg, g->unit.namespace, &l);
}

static void
finish(struct desk_request *r)
{
	struct desk *c = r->desk;
	struct desk_get *g = &r->get;

	c->stats.absent += g->n_absent;
	tell_looked(r);
	if (g->entry && !g->look && g->n == 1 && g->n_absent == 0 && !g->broken)
		history_hit(c->history, &g->unit);
	if (g->broken)
		desk_end(r, DRAY__VERDICT__VERDICT_NO_ROOM, "it cannot be read to its end");
	else
		desk_end(r, DRAY__VERDICT__VERDICT_NONE, "");
}

static void
get_done(struct pool_work *w, bool cancelled)
{
	struct desk_request *r = (struct desk_request *)((char *)w -
							 offsetof(struct desk_request, get.work));
	struct desk *c = r->desk;
	struct desk_get *g = &r->get;
	bool wanted = r->peer && !r->stopped && !cancelled;
	size_t n = 0;

	r->works--;
	if (!cancelled && g->has_chunk && wanted)
		n = MAX2(zmq_msg_size(&g->chunk), (size_t)1);
	if (r->get.turn.key)
		turns_read(c->turns, &g->turn, n);
	if (n > 0) {
		keep_chunk(r);
		send_chunk(r);
	} else if (!cancelled && g->has_chunk) {
		zmq_msg_close(&g->chunk);
	}
	if (wanted && g->lacks)
		desk_far_ask(r);
	else if (wanted && (g->item == g->n || g->broken))
		finish(r);
	else if (r->peer && r->stopped)
		desk_end(r, DRAY__VERDICT__VERDICT_CANCELLED, "");
	else
		desk_release(r);
}

void
desk_get_begin(struct desk_request *r)
{
	struct desk *c = r->desk;

	if (desk_far_begin(r) < 0 ||
		turns_add(c->turns, &r->get.turn, r->account->node.hash, r->get.credit) < 0) {
		desk_end(r, DRAY__VERDICT__VERDICT_FULL, "the coordinator is out of memory");
		return;
	}
	r->stage = DESK_AT_WORK;
}

void
desk_pump(struct desk *c)
{
	struct turns_job *job;

	while (!c->closing && (job = turns_next(c->turns)) != NULL) {
		struct desk_request *r = (struct desk_request *)((char *)job -
								 offsetof(struct desk_request,
									 get.turn));

		desk_far_show(r);
		r->get.work.run = get_run;
		r->get.work.done = get_done;
		r->works++;
		if (read_here(r))
			get_done(&r->get.work, false);
		else
			pool_submit(c->pool, c->lane++ % POOL_LANES, &r->get.work);
	}
}
