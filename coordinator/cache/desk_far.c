/* Items that are not on the disk, where stores are behind it: they are asked for there, several at
 * a time, and are read from the disk then.
 *
 * Invariants: a request asks for each of its items once at most. It has no turns while its next
 * item comes, or while it waits for room to ask for that: then it is in `lacking`. */
#include "config.h"

#include <errno.h>

#include "coordinator/cache/desk_priv.h"

int
desk_far_begin(struct desk_request *r)
{
	struct desk_get *g = &r->get;

	if (!r->space->behind || g->look || g->near)
		return 0;
	g->far = calloc(g->n, sizeof(*g->far));
	g->asked = calloc(g->n, sizeof(*g->asked));
	if (!g->far || !g->asked)
		return -ENOMEM;
	for (uint32_t i = 0; i < g->n; i++)
		g->far[i].request = r;
	return 0;
}

/* ---- in a thread */

bool
desk_far_look(struct desk_request *r)
{
	struct desk_get *g = &r->get;
	enum store_kind kind = g->entry ? STORE_ENTRY : STORE_BLOB;

	if (!g->asked || g->asked[g->item])
		return false;
	g->lacks = true;
	g->lack[0] = g->item;
	g->n_lack = 1;
	for (uint32_t i = g->item + 1; i < g->n && g->n_lack < DESK_AHEAD; i++)
		if (!g->asked[i] && vault_look(r->space, kind, &g->names[i], NULL) < 0)
			g->lack[g->n_lack++] = i;
	return true;
}

/* ---- in the loop */

void
desk_far_show(struct desk_request *r)
{
	struct desk_get *g = &r->get;

	for (uint32_t i = g->item; g->far && i < g->n; i++)
		g->asked[i] = g->far[i].state == FAR_ASKED;
	g->lacks = false;
	g->n_lack = 0;
}

static void
leave_lacking(struct desk_request *r)
{
	if (r->get.lacks_room)
		TAILQ_REMOVE(&r->desk->lacking, r, get.lacking);
	r->get.lacks_room = false;
}

static void
go_on(struct desk_request *r)
{
	leave_lacking(r);
	if (r->stage == DESK_AT_WORK && !r->stopped && r->peer)
		turns_want(r->desk->turns, &r->get.turn);
}

static void
fetched(struct behind_wait *w)
{
	struct desk_far *f = (struct desk_far *)((char *)w - offsetof(struct desk_far, wait));
	struct desk_request *r = f->request;

	f->state = FAR_ASKED;
	r->account->fetches--;
	desk_trim(r->desk, r->space);
	if (r->works == 0 && f == &r->get.far[r->get.item])
		go_on(r);
}

/* 0; -EAGAIN: there is no room. */
static int
ask(struct desk_request *r, uint32_t i)
{
	struct desk_get *g = &r->get;
	struct desk_far *f = &g->far[i];
	int err;

	if (f->state != FAR_NOT_ASKED)
		return 0;
	if (r->account->fetches >= DESK_FETCHES_KEY)
		return -EAGAIN;
	f->wait.done = fetched;
	err = behind_fetch(
		r->space, g->entry ? STORE_ENTRY : STORE_BLOB, &g->names[i], g->signers, &f->wait);
	if (err == 0) {
		f->state = FAR_COMES;
		r->account->fetches++;
	} else if (err != -EAGAIN) {
		f->state = FAR_ASKED;
	}
	return MIN2(err, 0) == -EAGAIN ? -EAGAIN : 0;
}

void
desk_far_ask(struct desk_request *r)
{
	struct desk_get *g = &r->get;
	int err = 0;

	turns_rest(r->desk->turns, &g->turn);
	for (unsigned i = 0; err == 0 && i < g->n_lack; i++)
		err = ask(r, g->lack[i]);
	if (g->far[g->item].state == FAR_ASKED) {
		go_on(r);
	} else if (g->far[g->item].state == FAR_NOT_ASKED && !g->lacks_room) {
		TAILQ_INSERT_TAIL(&r->desk->lacking, r, get.lacking);
		g->lacks_room = true;
	}
}

void
desk_far_step(struct desk *c)
{
	struct desk_request *r, *next;

	for (r = TAILQ_FIRST(&c->lacking); r && !c->closing; r = next) {
		next = TAILQ_NEXT(r, get.lacking);
		if (r->account->fetches >= DESK_FETCHES_KEY)
			continue;
		if (ask(r, r->get.item) == -EAGAIN)
			return;
		leave_lacking(r);
		if (r->get.far[r->get.item].state == FAR_ASKED)
			go_on(r);
	}
}

void
desk_far_end(struct desk_request *r)
{
	struct desk_get *g = &r->get;

	leave_lacking(r);
	for (uint32_t i = 0; g->far && i < g->n; i++)
		if (g->far[i].state == FAR_COMES) {
			behind_leave(&g->far[i].wait);
			r->account->fetches--;
		}
	free(g->far);
	free(g->asked);
}
