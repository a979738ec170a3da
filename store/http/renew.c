/* What is read stays. S3 deletes by age, and knows of no use: a blob that is read, and is older
 * than half of the days after which a rule deletes it, is copied onto itself by the server, so that
 * its age begins anew.
 *
 * Invariants: nobody waits for it, one is under way at a time and only while nothing else is or
 * waits, and one that is refused is the last. Nothing is renewed where nothing may be put. */
#include "config.h"

#include "store/http/http_priv.h"

#include <errno.h>

#include "store/http/aws_answer.h"
#include "common/log/log.h"

#define DAY_S 86400
#define WAITING_MAX 1024u /* names */
#define BEGUN_MAX 4096u	  /* in a store's life */

static void
open_renewals(struct http *h, const struct store_in *in)
{
	uint64_t days = store_url_number(in->url, STORE_PARAM_RENEW_DAYS, STORE_S3_EXPIRE_DAYS / 2);

	h->renew.off = !in->renews || h->base.read_only || days == 0;
	h->renew.after_s = (int64_t)MIN2(days, (uint64_t)INT32_MAX) * DAY_S;
}

static void
close_renewals(struct http *h)
{
	free(h->renew.v);
}

static void
note(const struct op *op, const struct web_answer *a)
{
	struct renewals *r = &op->h->renew;

	if (r->off || op->kind != STORE_BLOB || op->what == OP_PUT || a->age_s < r->after_s ||
		r->n == WAITING_MAX || r->begun + r->n >= BEGUN_MAX)
		return;
	if (!r->v)
		r->v = calloc(WAITING_MAX, sizeof(*r->v));
	for (unsigned i = 0; r->v && i < r->n; i++)
		if (digest_eq(&r->v[i], &op->name))
			return;
	if (r->v)
		r->v[r->n++] = op->name;
}

static void
renewed(void *arg, const struct store_reply *reply)
{
	struct http *h = arg;

	h->renew.op = NULL;
	/* what has gone meanwhile says nothing of the others */
	if (reply->error == 0 || reply->error == -ENOENT)
		return;
	log_debug("%s: nothing is renewed there: %s", h->shown, h->base.why);
	h->renew.off = true;
	h->renew.n = 0;
}

static void
answered(struct op *op, const struct web_answer *a)
{
	struct store_reply reply = { .fd = -1 };
	char code[AWS_CODE_SIZE] = "";

	/* a copy that fails late is answered by 200, with the error in its body */
	if (a->error == 0)
		aws_answer_code(a->text, a->text_n, code);
	if (a->error == 0 && a->status / 100 == 2 && !code[0]) {
		op_end(op, &reply);
		return;
	}
	if (op->h->kind->take_on && op->h->kind->take_on(op, a))
		return;
	op_set_why(op, a);
	op_fail(op, a->error < 0 ? a->error : a->status == 404 ? -ENOENT : -EREMOTEIO);
}

static void
step(struct http *h)
{
	struct renewals *r = &h->renew;
	struct op *op;

	if (r->off || r->n == 0 || r->op || h->active > 0 || h->gets.first || h->puts.first)
		return;
	op = op_new(&h->base, OP_RENEW, STORE_BLOB, &r->v[--r->n], NULL, renewed, h);
	if (!op)
		return;
	r->begun++;
	r->op = op;
	op_begin(op);
}

const struct http_renewals http_renewals = { .open = open_renewals,
	.close = close_renewals,
	.note = note,
	.answered = answered,
	.step = step };
