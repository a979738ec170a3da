/* Invariant: what goes to a worker is what was compiled here: the unit's key is the same, and each
 * input of its result is as it was; else nothing is sent. Nothing of what comes back is used. */
#include "config.h"

#include "client/dispatch/refill.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "client/cached/cached.h"
#include "client/dispatch/farm.h"
#include "client/dispatch/remote.h"
#include "client/dispatch/unit.h"
#include "client/incremental/background.h"
#include "client/wrap/choose.h"
#include "client/wrap/distrust.h"
#include "common/clock.h"
#include "proto/socket.h"

#define FLUSH_MS 200
#define NICE 10 /* as uploads have */

extern char **environ;

struct refill_unit {
	const struct conf *conf;
	const struct queue_item *item;
	struct refill_call as; /* how it was called */
	struct strv environ;   /* this process's */
	struct rustc_call call;
	struct mapping mapping;
	struct strv mapped_dirs; /* of it */
	struct buf parent_env;	 /* what cargo is said to have had */
	struct memo *memo;
	struct unit *unit;
	void *zctx;
	struct farm *farm;
	struct tether tether;
	struct ledger rep; /* read by nobody */
};

static enum refill_end _printf_(2, 3) end(enum refill_end how, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	return how;
}

static enum refill_end
drop(int r, const char *what, const char *why)
{
	return end(r == -ENOMEM ? REFILL_LATER : REFILL_DROPPED, "%s: %s", what,
		why ? why : strerror(-r));
}

static int
take_item(struct refill_unit *u)
{
	_cleanup_(strv_done) struct strv words = STRV_INIT;
	_cleanup_(freep) char *dir = NULL;
	int r = queue_refill_dir(u->conf, &dir);

	if (r == 0)
		r = queue_read(dir, u->item, &words);
	return r < 0 ? r : refill_decode(&words, &u->as);
}

/* As the unit's compiler had it, as far as that counts. */
static int
take_place(struct refill_unit *u)
{
	int r = u->as.base.n ? strv_add_all(&u->environ, u->as.base.v) : 0;

	for (size_t i = 0; r == 0 && i < u->as.base.n; i++)
		r = buf_add(&u->parent_env, u->as.base.v[i], strlen(u->as.base.v[i]) + 1);
	if (r == 0 && u->as.env.n)
		r = strv_add_all(&u->environ, u->as.env.v);
	if (r == 0 && u->environ.n == 0)
		r = -EBADMSG;
	if (r < 0)
		return r;
	environ = u->environ.v;
	umask(u->as.umask);
	return chdir(u->as.cwd) < 0 ? -errno : 0;
}

static int
parse(struct refill_unit *u, const char **ret_why)
{
	char reason[LOCAL_ONLY_REASON_MAX];
	int r = call_parse(u->as.argv.v, &u->call);

	*ret_why = NULL;
	if (r < 0)
		return r;
	if (u->call.kind != CALL_UNIT || !u->call.json)
		*ret_why = "it is no unit of cargo's";
	else
		*ret_why = choose_reason_for_here(u->conf, &u->call);
	if (!*ret_why && local_only_find(u->conf->client.cache_dir, u->call.crate_name,
				 clock_wall_ms() / 1000, reason))
		*ret_why = "it needs what only this machine has";
	if (*ret_why)
		return -ENOTSUP;
	return u->as.mapped ? mapping_read(&u->call, &u->mapped_dirs, &u->mapping) : 0;
}

static int
check(struct refill_unit *u, char **ret_why)
{
	_cleanup_(cached_closep) struct cached *c = NULL;
	const struct cached_in in = { .conf = u->conf,
		.call = &u->call,
		.mapping = u->as.mapped ? &u->mapping : NULL,
		.memo = u->memo,
		.env = &u->as.env };
	int r = cached_open(&in, &c, ret_why);

	return r < 0 ? r : cached_is_as_kept(c, &u->item->key, &u->item->result, ret_why);
}

static int
pack(struct refill_unit *u, char **ret_why)
{
	const struct unit_in in = { .call = &u->call,
		.mapping = u->as.mapped ? &u->mapping : NULL,
		.conf = u->conf,
		.memo = u->memo,
		.cwd = u->as.cwd,
		.envp = u->environ.v,
		.parent_env = &u->parent_env,
		.umask = u->as.umask };
	int r = unit_build(&in, &u->unit, ret_why);

	memo_flush(u->memo);
	return r;
}

static void
say_runs(void *arg)
{
	(void)arg;
	puts(REFILL_RUNS);
	fflush(stdout);
}

/* At the rate that is allowed, all in all. */
static void
pace(struct refill_unit *u, uint64_t since_ms)
{
	uint64_t rate = u->conf->client.upload_rate, now;
	uint64_t until = rate ? since_ms + u->rep.bytes_sent * 1000 / rate : 0;

	while ((now = clock_mono_ms()) < until && !tether_cut(&u->tether)) {
		zmq_pollitem_t items[TETHER_ITEMS];
		size_t n = tether_items(&u->tether, items);

		zmq_poll(items, (int)n, (long)MIN2(until - now, (uint64_t)1000));
		(void)tether_look(&u->tether, items, n);
	}
}

/* A worker that is full, or gone, says nothing of the unit. */
static bool
is_hopeless(Dray__Verdict v)
{
	switch (v) {
	case DRAY__VERDICT__VERDICT_NOT_ALLOWED:
	case DRAY__VERDICT__VERDICT_NO_WORKER:
	case DRAY__VERDICT__VERDICT_NO_TOOLCHAIN:
	case DRAY__VERDICT__VERDICT_NOT_PINNED:
	case DRAY__VERDICT__VERDICT_BAD_UNIT:
	case DRAY__VERDICT__VERDICT_INPUT_CHANGED:
	case DRAY__VERDICT__VERDICT_LIMIT:
	case DRAY__VERDICT__VERDICT_TOO_LARGE:
	case DRAY__VERDICT__VERDICT_WITHHELD:
	case DRAY__VERDICT__VERDICT_MALFORMED:
	case DRAY__VERDICT__VERDICT_VERSION:
		return true;
	default:
		return false;
	}
}

static enum refill_end
judge(struct refill_unit *u, const struct placement *place, const struct remote_result *res)
{
	if (res->end == REMOTE_DONE) {
		farm_finished(u->farm, res->status);
		return res->status == 0 ? end(REFILL_DONE, "%s", place->worker)
					: end(REFILL_DROPPED, "%s: it does not compile there",
						  place->worker);
	}
	farm_cancel(u->farm);
	/* a job that asked for too much, say, has no verdict */
	return end(is_hopeless(res->verdict) || (res->verdict == DRAY__VERDICT__VERDICT_NONE &&
							res->end == REMOTE_HOME)
			   ? REFILL_DROPPED
			   : REFILL_LATER,
		"%s: %s", place->worker, res->text);
}

static enum refill_end
compile(struct refill_unit *u, const struct placement *place)
{
	char reason[DISTRUST_REASON_MAX];
	uint64_t since = clock_mono_ms();
	struct remote_in in = { .zctx = u->zctx,
		.farm = u->farm,
		.tether = &u->tether,
		.unit = u->unit,
		.memo = u->memo,
		.envp = u->environ.v,
		.rep = &u->rep,
		.place = place,
		.compress = u->conf->client.compress,
		.jobs = 1,
		.umask = u->as.umask,
		.silent_ms = u->conf->client.silent_s * 1000,
		.unit_ms = u->conf->client.unit_s * 1000,
		.run_ms = u->conf->client.unit_s * 1000,
		.refill = true,
		.on_started = say_runs };
	struct remote_result res;
	enum refill_end e;

	if (distrust_find(u->conf->client.cache_dir, place->curve, place->worker,
		    clock_wall_ms() / 1000, reason)) {
		farm_cancel(u->farm);
		return end(REFILL_LATER, "%s: not asked: %s", place->worker, reason);
	}
	remote_run(&in, &res);
	e = judge(u, place, &res);
	pace(u, since);
	return e;
}

/* There is a place at once, or there is none now. */
static enum refill_end
find_worker(struct refill_unit *u)
{
	_cleanup_(placement_done) struct placement place = { NULL, NULL, NULL, NULL, NULL };
	_cleanup_(freep) char *why = NULL;
	struct farm_job job = { .toolchain = unit_message(u->unit)->toolchain.data,
		.crate = u->call.crate_name,
		.kind = call_kind_name(&u->call),
		.glibc = unit_glibc(u->unit),
		.source_bytes = unit_source_bytes(u->unit),
		.refill = true };
	int r = farm_request(u->farm, &job);

	if (r < 0)
		return end(REFILL_LATER, "farm: %s", strerror(-r));
	if (farm_wait(u->farm, &u->tether, NULL, NULL, &place, &why) != FARM_PLACED)
		return end(is_hopeless(farm_denied(u->farm)) ? REFILL_DROPPED : REFILL_LATER, "%s",
			why ? why : "it is not wanted now");
	return compile(u, &place);
}

static enum refill_end
go(struct refill_unit *u)
{
	_cleanup_(freep) char *why = NULL;
	const char *text;
	int r = take_item(u);

	if (r < 0)
		return drop(r, "what waits cannot be read", NULL);
	r = take_place(u);
	if (r < 0)
		return drop(r, "its place", NULL);
	if (u->conf->client.refill == REFILL_AUTO && background_on_battery(""))
		return end(REFILL_LATER, "this machine runs on battery");
	r = parse(u, &text);
	if (r < 0)
		return drop(r, "it stays here", text);
	if (memo_open(u->conf->client.cache_dir, &u->memo) < 0)
		u->memo = NULL;
	r = check(u, &why);
	if (r < 0)
		return drop(r, "changed", why);
	r = pack(u, &why);
	if (r < 0)
		return drop(r, "it stays here", why);
	r = zmq_ctx_open(&u->zctx);
	if (r == 0)
		r = farm_open(u->zctx, u->conf, &u->farm, &why);
	if (r < 0)
		return end(REFILL_LATER, "farm: %s", why ? why : strerror(-r));
	return find_worker(u);
}

static void
done(struct refill_unit *u)
{
	farm_close(u->farm, FLUSH_MS);
	zmq_ctx_termp(&u->zctx);
	unit_free(u->unit);
	memo_close(u->memo);
	call_done(&u->call);
	strv_done(&u->mapped_dirs);
	buf_done(&u->parent_env);
	refill_call_done(&u->as);
	tether_done(&u->tether);
	environ = NULL;
	strv_done(&u->environ);
}

enum refill_end
refill_run(const struct conf *conf, const struct queue_item *i)
{
	struct refill_unit u = { .conf = conf, .item = i, .tether = TETHER_INIT };
	enum refill_end e;

	setpriority(PRIO_PROCESS, 0, NICE);
	/* before any thread starts */
	if (tether_open(&u.tether) < 0)
		return REFILL_LATER;
	e = go(&u);
	done(&u);
	return e;
}
