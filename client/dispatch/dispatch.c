/* Drives one unit:
 *
 *   connect ─▶ pack (while libzmq shakes hands) ─▶ ask ─▶ placed ─▶ try ─┬▶ done, or link
 *      │         │                                  ▲                   ├▶ home
 *      └▶ home   └▶ home                            └──── retry ◀───────┘
 *
 * Invariant: the ledger always says how far things are; whatever fails, the outcome is LEDGER_HOME
 * with a reason, and dray compiles the unit here. */
#include "config.h"

#include "client/dispatch/dispatch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "rustc/call.h"
#include "client/wrap/distrust.h"
#include "client/wrap/envscan.h"
#include "client/dispatch/farm.h"
#include "client/dispatch/hub.h"
#include "client/wrap/farm_state.h"
#include "client/wrap/local.h"
#include "client/wrap/local_only.h"
#include "client/dispatch/remote.h"
#include "client/dispatch/unit.h"
#include "client/give/begin.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/outdir/left.h"
#include "common/log/log.h"
#include "proto/socket.h"
#include "proto/unit_digest.h"

/* The coordinator has a lower bound of its own. This one is for a coordinator without any. */
#define TRIES_MAX 8
#define FLUSH_MS 200
/* A worker may be so much slower than one that was asked before, or as busy. */
#define TOOK_TIMES 30
#define TOOK_LEAST_MS 600000
#define HELD_S 86400 /* for which a worker is not asked that kept a unit too long */

struct dispatch {
	const struct dispatch_in *in;
	const struct conf *conf;
	struct ledger *rep;
	struct rustc_call call;
	struct mapping mapping;
	struct strv mapped_dirs; /* of it */
	struct tether *tether;
	void *zctx;
	struct pool *pool;
	struct farm *farm;
	struct memo *memo;
	struct slots *slots;
	struct unit *unit;
	struct say *say;
	struct buf parent_env;
	char *cwd;
	mode_t umask;
	bool alone; /* it was a twin of what was told otherwise than it would be */
};

static void _printf_(2, 3) go_home(struct dispatch *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->rep->why, sizeof(d->rep->why), fmt, ap);
	va_end(ap);
	log_info("home: %s", d->rep->why);
	d->rep->outcome = LEDGER_HOME;
}

static int
open_farm(struct dispatch *d)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	if (d->in->shared) {
		d->zctx = d->in->shared->zctx;
		d->pool = d->in->shared->pool;
		d->memo = d->in->shared->memo;
		r = hub_sit(d->in->shared->hub, d->conf, &d->farm);
		if (r < 0)
			go_home(d, "cannot start: %s", strerror(-r));
		return r;
	}
	r = zmq_ctx_open(&d->zctx);
	if (r < 0) {
		go_home(d, "ZeroMQ: %s", strerror(-r));
		return r;
	}
	if (!farm_has_several(d->conf)) {
		r = farm_open(d->zctx, d->conf, &d->farm, &why);
	} else {
		r = farm_open_first(d->zctx, d->conf, d->tether, &d->farm, &why);
		if (r == -EHOSTUNREACH)
			farm_state_set(
				d->conf->client.cache_dir, d->conf->client.coordinator, false);
	}
	if (r < 0)
		go_home(d, "%s%s", r == -EHOSTUNREACH ? "" : "farm: ", why ? why : strerror(-r));
	return r;
}

/* Tells dray, and other calls of this user, that the coordinator has answered or cannot be reached.
 */
static void
tell_state(struct dispatch *d)
{
	if (d->rep->connected == 0 && farm_welcomed(d->farm)) {
		d->rep->connected = 1;
		farm_state_set(d->conf->client.cache_dir, d->conf->client.coordinator, true);
	}
	if (farm_wrong(d->farm))
		farm_state_set(d->conf->client.cache_dir, d->conf->client.coordinator, false);
}

/* If nothing is known of the farm, other calls wait for the result of this try. So it waits for the
 * answer before it packs, which can take a second (a toolchain is hashed for the first time). */
static int
greet(struct dispatch *d)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	if (farm_welcomed(d->farm))
		tell_state(d);
	if (farm_welcomed(d->farm) ||
		farm_state_is_up(d->conf->client.cache_dir, d->conf->client.coordinator))
		return 0;
	r = farm_greet(d->farm, d->tether, &why);
	tell_state(d);
	if (r < 0)
		go_home(d, "%s", why ? why : "farm unreachable");
	return r;
}

static int
pack(struct dispatch *d)
{
	_cleanup_(freep) char *why = NULL;
	uint64_t start = clock_mono_us();
	struct unit_in in = { .call = &d->call,
		.mapping = d->in->mapped ? &d->mapping : NULL,
		.conf = d->conf,
		.cwd = d->cwd,
		.envp = d->in->envp,
		.umask = d->umask };
	int r;

	if (!d->in->shared && memo_open(d->conf->client.cache_dir, &d->memo) < 0)
		d->memo = NULL;
	in.memo = d->memo;
	if (envscan_read_parent_of((long)d->in->dray, &d->parent_env) == 0)
		in.parent_env = &d->parent_env;
	r = unit_build(&in, &d->unit, &why);
	if (r < 0)
		go_home(d, "%s", why ? why : strerror(-r));
	memo_flush(d->memo);
	d->rep->pack_us = clock_mono_us() - start;
	return r;
}

static int
request(struct dispatch *d)
{
	struct farm_job job = { .toolchain = unit_message(d->unit)->toolchain.data,
		.crate = d->call.crate_name,
		.kind = call_kind_name(&d->call),
		.glibc = unit_glibc(d->unit),
		.source_bytes = unit_source_bytes(d->unit) };
	struct digest hint, alike;
	int r = unit_digest(unit_message(d->unit), &hint);

	/* who looks nothing up wants a compile of its own */
	d->alone = d->conf->client.recache;
	if (r == 0 && d->in->alike && !d->alone) {
		r = unit_alike(unit_message(d->unit), &d->in->alike->called, &alike);
		job.sought = &d->in->alike->sought;
		job.alike = &alike;
	}
	if (r == 0) {
		job.hint = d->alone ? NULL : &hint;
		r = farm_request(d->farm, &job);
	}

	if (r < 0)
		go_home(d, "farm: %s", strerror(-r));
	return r;
}

static bool
local_slot_free(void *arg)
{
	struct dispatch *d = arg;
	int slot;

	if (!d->slots)
		d->slots = local_open_slots(d->conf);
	slot = d->slots ? slots_try(d->slots) : -1;
	if (slot < 0)
		return false;
	/* only a check: dray takes it again */
	close(slot);
	return true;
}

/* Of a unit for this CPU the farm asks for an id that is more than the toolchain's. */
static void
give(struct dispatch *d)
{
	const struct toolchain *t = unit_toolchain(d->unit);
	const ProtobufCBinaryData *asked = &unit_message(d->unit)->toolchain;

	if (asked->len == DIGEST_SIZE && memcmp(asked->data, t->id.b, DIGEST_SIZE) == 0)
		(void)give_begin(d->conf, t);
}

/* Waits for a worker. False: there is none. */
static bool
get_worker(struct dispatch *d, struct placement *place)
{
	_cleanup_(freep) char *why = NULL;
	uint64_t start = clock_mono_us();
	enum farm_answer a = farm_wait(d->farm, d->tether,
		d->conf->client.offload == OFFLOAD_AUTO ? local_slot_free : NULL, d, place, &why);

	d->rep->queue_us += clock_mono_us() - start;
	if (*farm_queue_why(d->farm))
		snprintf(d->rep->queue_why, sizeof(d->rep->queue_why), "%s",
			farm_queue_why(d->farm));
	tell_state(d);
	/* of a try that said something already another result may say something else */
	d->rep->made = a == FARM_HOME && d->in->alike &&
		       farm_denied(d->farm) == DRAY__VERDICT__VERDICT_MADE &&
		       d->rep->text_bytes == 0 && !*d->rep->rmeta;
	if (a == FARM_HOME && farm_wants_toolchain(d->farm))
		give(d);
	if (a == FARM_HOME)
		go_home(d, "%s%s", d->call.native_cpu ? "target-cpu=native: " : "",
			why ? why : "out of memory");
	return a == FARM_PLACED;
}

static int
make_staging(struct dispatch *d)
{
	const char *out_dir = unit_out_dir(d->unit);
	int r = fs_mkdir_p(out_dir, 0777);

	/* dray's own directory: dray removes what a dead dray-dispatch leaves there, and finds a
	 * link's inputs there */
	if (r == 0)
		r = ledger_make_staging(d->rep, out_dir, d->in->dray);
	if (r < 0)
		go_home(d, "the out-dir: %s", strerror(-r));
	/* The coordinator was asked already, so this takes place while its answer is awaited. */
	if (r == 0)
		left_sweep(d->conf->client.cache_dir, out_dir);
	return r;
}

static void
note_attempt(struct ledger *rep, const char *worker, const char *text)
{
	if (rep->n_attempts == LEDGER_ATTEMPTS)
		return;
	snprintf(rep->attempt[rep->n_attempts], sizeof(rep->attempt[0]), "%.64s: %.120s", worker,
		text);
	rep->n_attempts++;
}

/* Whether dray will keep the result. */
static bool
keeps(const struct dispatch *d)
{
	return d->conf->client.cache == CACHE_ON;
}

/* ---- how long the same unit took on a worker before: its hash is in extra_filename */

static char *
took_name(const struct dispatch *d)
{
	char *name;

	return d->call.extra_filename && asprintf(&name, "took %s%s", d->call.crate_name,
						 d->call.extra_filename) >= 0
		       ? name
		       : NULL;
}

static uint64_t
took_ms(const struct dispatch *d)
{
	_cleanup_(freep) char *name = took_name(d);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	uint64_t ms = 0;

	if (d->memo && name && memo_get_note(d->memo, name, &b) == 0 && b.n == sizeof(ms))
		memcpy(&ms, b.p, sizeof(ms));
	return ms;
}

/* The longest counts. */
static void
note_took(const struct dispatch *d)
{
	_cleanup_(freep) char *name = took_name(d);
	uint64_t ms = (clock_mono_us() - d->rep->compile_start_us) / 1000;

	if (d->memo && name && ms > took_ms(d))
		memo_set_note(d->memo, name, &ms, sizeof(ms));
}

static uint64_t
longest_ms(const struct dispatch *d)
{
	uint64_t most = d->conf->client.unit_s * 1000, took = took_ms(d);

	if (took == 0 || took > most / TOOK_TIMES)
		return most;
	return MIN2(most, MAX2(took * TOOK_TIMES, (uint64_t)TOOK_LEAST_MS));
}

/* ---- workers that are not asked */

/* Nothing goes to that worker any more. */
static void
distrust(struct dispatch *d, const struct placement *place, uint64_t until_s, const char *why)
{
	int r = distrust_add(d->conf->client.cache_dir, place->curve, place->worker, until_s, why);

	log_warn("worker=%s is not asked any more: %s", place->worker, why);
	if (r < 0)
		log_warn_errno(r, "%s", DISTRUST_FILE);
}

/* Whether the worker is one of those; then the coordinator is asked for another. */
static bool
is_distrusted(struct dispatch *d, const struct placement *place, bool *ret_again)
{
	char reason[DISTRUST_REASON_MAX], text[DISTRUST_REASON_MAX + 16];

	if (!distrust_find(d->conf->client.cache_dir, place->curve, place->worker,
		    clock_wall_ms() / 1000, reason))
		return false;
	snprintf(text, sizeof(text), "not asked: %s", reason);
	note_attempt(d->rep, place->worker, text);
	/* it has done nothing now that other clients should know of */
	*ret_again = farm_retry(d->farm, place->worker, DRAY__VERDICT__VERDICT_DRAINING, text) == 0;
	if (!*ret_again)
		go_home(d, "%s: %.180s", place->worker, text);
	return true;
}

/* Makes one try. True: another should follow. */
static bool
try_once(struct dispatch *d, const struct placement *place, unsigned number)
{
	struct remote_in in = { .zctx = d->zctx,
		.pool = d->pool,
		.farm = d->farm,
		.tether = d->tether,
		.unit = d->unit,
		.memo = d->memo,
		.envp = d->in->envp,
		.say = d->say,
		.rep = d->rep,
		.place = place,
		.compress = d->conf->client.compress,
		.jobs = d->in->jobs,
		.try = number,
		.umask = d->umask,
		.join = !d->alone,
		.silent_ms = d->conf->client.silent_s * 1000,
		.unit_ms = d->conf->client.unit_s * 1000,
		.run_ms = longest_ms(d),
		.keep = keeps(d) };
	struct remote_result res;
	bool again;

	if (is_distrusted(d, place, &again))
		return again;
	snprintf(d->rep->worker, sizeof(d->rep->worker), "%s", place->worker);
	snprintf(d->rep->worker_key, sizeof(d->rep->worker_key), "%s", place->curve);
	snprintf(d->rep->coordinator, sizeof(d->rep->coordinator), "%s",
		farm_at(d->farm) ? farm_at(d->farm) : "");
	remote_run(&in, &res);
	log_info("crate=%s worker=%s end=%d status=%d %s", d->call.crate_name, place->worker,
		(int)res.end, res.status, res.text);
	if (res.lied)
		distrust(d, place, DISTRUST_EVER, res.text);
	if (res.held)
		distrust(d, place, clock_wall_ms() / 1000 + HELD_S, res.text);
	if (res.end == REMOTE_DONE)
		note_took(d);
	switch (res.end) {
	case REMOTE_DONE:
		farm_finished(d->farm, res.status);
		return false;
	case REMOTE_CUT:
		farm_cancel(d->farm);
		return false;
	case REMOTE_HOME:
		if (res.ran)
			farm_finished(d->farm, res.status);
		else
			farm_cancel(d->farm);
		note_attempt(d->rep, place->worker, res.text);
		if (res.verdict == DRAY__VERDICT__VERDICT_WITHHELD)
			local_only_add(d->conf->client.cache_dir, d->call.crate_name,
				clock_wall_ms() / 1000, res.text);
		go_home(d, "%s", res.text);
		return false;
	case REMOTE_AGAIN:
		break;
	}
	d->alone |= res.verdict == DRAY__VERDICT__VERDICT_TWIN_DIFFERS;
	note_attempt(d->rep, place->worker, res.text);
	d->rep->worker[0] = d->rep->worker_key[0] = '\0';
	if (farm_retry(d->farm, place->worker, res.verdict, res.text) == 0)
		return true;
	go_home(d, "%s: %.180s", place->worker, res.text);
	return false;
}

static void
run(struct dispatch *d)
{
	bool again = true;

	for (unsigned i = 0; again; i++) {
		struct placement place = { NULL, NULL, NULL, NULL, NULL };

		if (i == TRIES_MAX) {
			farm_cancel(d->farm);
			go_home(d, "tried on %u workers", i);
			return;
		}
		again = get_worker(d, &place) && try_once(d, &place, i);
		placement_done(&place);
	}
	if (d->rep->outcome == LEDGER_HOME || tether_cut(d->tether))
		farm_cancel(d->farm);
}

static int
prepare(struct dispatch *d, char **argv)
{
	int r;

	d->umask = fs_umask();
	d->cwd = getcwd(NULL, 0);
	r = call_parse(argv, &d->call);
	if (r < 0 || !d->cwd || d->call.kind != CALL_UNIT) {
		go_home(d, "%s", d->call.why ? d->call.why : "the call cannot be understood here");
		return -EINVAL;
	}
	r = d->in->mapped ? mapping_read(&d->call, &d->mapped_dirs, &d->mapping) : 0;
	if (r < 0)
		go_home(d, "%s", strerror(-r));
	return r;
}

/* Not part of prepare(): the first use of a digest takes a millisecond, in which libzmq can shake
 * hands. */
static int
prepare_to_say(struct dispatch *d)
{
	int r = say_new(d->rep, d->tether, &d->say);

	if (r < 0)
		go_home(d, "%s", strerror(-r));
	else if (keeps(d))
		say_keep(d->say);
	return r;
}

/* A link's inputs, or what is to be kept, stay there for dray, which removes the directory then. */
static void
leave_staging(const struct dispatch *d)
{
	if (d->rep->staging[0] && d->rep->outcome != LEDGER_LINK && d->rep->n_links == 0 &&
		!(keeps(d) && d->rep->outcome == LEDGER_DONE))
		fs_rm_rf(d->rep->staging);
}

static void
done(struct dispatch *d)
{
	farm_close(d->farm, FLUSH_MS);
	if (!d->in->shared) {
		zmq_ctx_termp(&d->zctx);
		memo_close(d->memo);
	}
	unit_free(d->unit);
	say_free(d->say);
	slots_close(d->slots);
	call_done(&d->call);
	strv_done(&d->mapped_dirs);
	buf_done(&d->parent_env);
	free(d->cwd);
}

/* All outputs are in place, all text is printed, and the ledger is complete; the worker tells the
 * coordinator that the slot is free. Only libzmq's end is left, which takes 4 ms, and cargo need
 * not wait for it. */
static void
leave_early(struct dispatch *d)
{
#ifndef __SANITIZE_ADDRESS__
	if (d->rep->outcome == LEDGER_DONE || d->rep->outcome == LEDGER_LINK)
		_exit(0);
#endif
}

int
dispatch_unit(const struct dispatch_in *in, struct ledger *rep)
{
	struct dispatch d = { .in = in, .conf = in->conf, .rep = rep, .tether = in->tether };

	if (prepare(&d, in->argv) == 0 && open_farm(&d) == 0 && greet(&d) == 0 &&
		prepare_to_say(&d) == 0 && pack(&d) == 0 && request(&d) == 0 &&
		make_staging(&d) == 0)
		run(&d);
	memo_flush(d.memo);
	leave_staging(&d);
	if (in->shared)
		in->release(in->arg);
	else
		leave_early(&d);
	done(&d);
	return d.tether->signal ? 128 + d.tether->signal : 0;
}
