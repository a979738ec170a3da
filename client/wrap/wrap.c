/* Drives one compiler call:
 *
 *   parse ─▶ probe, or not understood ─▶ exec the compiler
 *         └▶ cached ─▶ hit: done
 *                  ├▶ bundle: link ─▶ done (of the local cache: before stores are asked)
 *                  └▶ miss
 *            choose ─▶ here ─────────────────────────────▶ local_run
 *                   └▶ farm ─▶ dispatch ─▶ done
 *                                       ├▶ link ─▶ done, or failed ─▶ local_run
 *                                       └▶ home, or dead ───────────▶ local_run
 *            what was made is kept
 *
 * Invariant: whatever fails, the real compiler runs once with the same arguments, and dray ends
 * with its exit status, unless a signal told dray to stop. dray itself writes nothing to stderr. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/inputs.h"
#include "cache/text.h"
#include "client/script/install.h"
#include "client/script/run.h"
#include "client/cached/cached.h"
#include "client/wrap/choose.h"
#include "client/wrap/closure.h"
#include "client/wrap/fresh.h"
#include "client/half/ask.h"
#include "client/slots/given.h"
#include "client/incremental/incremental.h"
#include "client/link/link.h"
#include "client/wrap/local.h"
#include "client/wrap/mapped.h"
#include "client/wrap/settings.h"
#include "client/incremental/prime.h"
#include "client/incremental/seed.h"
#include "client/wrap/target_dir.h"
#include "client/wrap/trial.h"
#include "client/wrap/wrap.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/log/joblog.h"
#include "common/outdir/left.h"
#include "common/log/log.h"
#include "common/share.h"
#include "common/log/unit_id.h"

#define STATUS_NOT_STARTED 127

struct wrap {
	struct rustc_call call;
	struct conf *conf;
	char *conf_error;
	struct slots *slots;
	struct choice choice;
	struct rustc_call given; /* with -C incremental, while call is the same without */
	struct strv plain_argv;
	struct mapped mapped; /* paths = shared */
	bool was_incremental, primes;
	struct timespec began, since; /* since: by the clock that stamps files */
	struct memo *memo;
	struct cached *cached; /* NULL: the cache is off for this call */
	struct cached_said said;
	struct cached_far far;
	const char *cache;
	char *cache_off, *cache_why, *not_stored;
	struct local_seen seen;
	struct buf linked; /* records of linkers */
	uint64_t lookup_us, restore_us, store_us;
	struct ledger ledger; /* what dray-dispatch left; all zero without one */
	bool dispatched, linker_spoke, link_refused;
	bool alone;	  /* another job has made it, once: it waits for no more */
	uint64_t made_us; /* for so long it waited for that one */
	pid_t parent;	  /* cargo, when dray was started: it may end before */
	pid_t cargo;	  /* of a build script's trial; 0: it is none, or not known */
	bool trial;
	uint64_t start_us, slot_wait_us, link_us, compile_start_us, rmeta_us, here_us;
	const char *where, *why, *linker;
	char why_text[512];
};

static void
wrap_done(struct wrap *w)
{
	choice_done(&w->choice);
	slots_closep(&w->slots);
	cached_closep(&w->cached);
	memo_closep(&w->memo);
	local_seen_done(&w->seen);
	buf_done(&w->linked);
	free(w->cache_off);
	free(w->cache_why);
	free(w->not_stored);
	conf_freep(&w->conf);
	free(w->conf_error);
	call_done(&w->call);
	call_done(&w->given);
	strv_done(&w->plain_argv);
	mapped_done(&w->mapped);
}

static int
load_conf(struct wrap *w)
{
	return wrap_load_conf(&w->conf, &w->conf_error);
}

/* Fills in the unit's name and the units that it needs. Without memory the log lacks them. */
static void
fill_unit(const struct rustc_call *c, struct buf *stem, struct buf *externs, struct joblog_entry *e)
{
	const char *out_dir = e->trial ? NULL : getenv("OUT_DIR");
	char id[UNIT_ID_SIZE];

	if (c->kind == CALL_PROBE || !c->crate_name || !*c->crate_name)
		return;
	if (buf_addf(stem, "%s%s", c->crate_name, c->extra_filename ? c->extra_filename : "") == 0)
		e->unit = (const char *)stem->p;
	/* what its package's script made */
	unit_id_of_place(out_dir ? out_dir : "", id);
	if (*id)
		e->externs_left += unit_id_list_add(externs, id) < 0;
	for (size_t i = 0; i < c->n_externs; i++) {
		if (!c->externs[i].path)
			continue;
		unit_id_of_path(c->externs[i].path, id);
		e->externs_left += unit_id_list_add(externs, id) < 0;
	}
	e->externs = externs->n ? (const char *)externs->p : NULL;
}

static void
write_log(struct wrap *w, int status)
{
	_cleanup_(buf_done) struct buf stem = BUF_INIT, externs = BUF_INIT;
	_cleanup_(freep) char *path = conf_job_log(w->conf);
	_cleanup_(freep) char *package = NULL;
	const char *name = getenv("CARGO_PKG_NAME"), *version = getenv("CARGO_PKG_VERSION");
	const char *attempts[LEDGER_ATTEMPTS + 1] = { NULL };
	struct joblog_entry e;
	int r;

	if (!path)
		return;
	if (name && asprintf(&package, "%s %s", name, version ? version : "") < 0)
		package = NULL;
	memset(&e, 0, sizeof(e));
	e.crate = w->call.crate_name ? w->call.crate_name : "";
	e.package = package;
	e.kind = call_kind_name(&w->call);
	e.where = w->where;
	e.why = w->conf_error ? w->conf_error : w->why;
	e.linker = w->linker;
	e.cache = w->cache;
	e.cache_why = w->cache_off ? w->cache_off : w->cache_why;
	e.not_stored = w->not_stored;
	e.bound = *w->said.bound ? w->said.bound : NULL;
	e.key = *w->said.key ? w->said.key : NULL;
	e.lookup_us = w->lookup_us;
	e.restore_us = w->restore_us;
	e.store_us = w->store_us;
	cached_far_log(&w->far, w->cache && streq(w->cache, "hit"), &e);
	e.saved_us = w->said.saved_us;
	e.cache_bytes = w->said.bytes;
	e.out_dir = w->call.out_dir;
	e.parent = (uint64_t)w->parent;
	e.trial = w->trial;
	fill_unit(&w->call, &stem, &externs, &e);
	e.cargo = (uint64_t)w->cargo;
	e.exit_status = spawn_shown(status);
	e.signal = spawn_signal(status);
	if (w->dispatched)
		ledger_fill(&w->ledger, &e);
	e.queue_us += w->made_us;
	if (streq(w->where, "farm"))
		e.worker_key = *w->ledger.worker_key ? w->ledger.worker_key : NULL;
	else if (streq(w->where, "cache"))
		e.worker_key = *w->said.producer ? w->said.producer : NULL;
	if (!e.rmeta_us)
		e.rmeta_us = w->rmeta_us;
	for (unsigned i = 0; i < w->ledger.n_attempts; i++)
		attempts[i] = w->ledger.attempt[i];
	e.attempts = w->ledger.n_attempts ? attempts : NULL;
	if (w->here_us)
		e.compile_us = w->here_us;
	e.start_us = w->start_us;
	e.compile_start_us = w->compile_start_us;
	e.end_us = clock_mono_us();
	e.slot_wait_us = w->slot_wait_us;
	e.link_us = w->link_us;
	r = joblog_append(path, w->conf->client.job_log_max, &e);
	if (r < 0)
		log_warn_errno(r, "job log %s", path);
}

static int
exec_compiler(char **argv)
{
	char text[512];
	int n;

	execvp(argv[0], argv);
	/* perhaps it is a misspelt command of dray's */
	n = snprintf(text, sizeof(text), "dray: cannot run %.400s: %s%s\n", argv[0],
		strerror(errno),
		errno == ENOENT && !strchr(argv[0], '/') ? "; nor is it a command: see dray --help"
							 : "");
	child_write(STDERR_FILENO, text, (size_t)MIN2(n, (int)sizeof(text) - 1));
	return STATUS_NOT_STARTED;
}

/* A call that dray does not understand: the log only says that it ran. Nothing does for a misspelt
 * command. */
static int
pass_through(struct wrap *w)
{
	const char *path = getenv("PATH");
	_cleanup_(freep) char *program = fs_which(w->call.argv[0], path ? path : "");

	w->where = "passthrough";
	w->why = w->call.why;
	if (program && load_conf(w) == 0)
		write_log(w, 0);
	return exec_compiler(w->call.argv);
}

/* What `dray status` shows of it. */
static void
make_notice(const struct wrap *w, const char *kind, struct notice *ret)
{
	notice_make_unit(
		ret, kind, w->call.crate_name ? w->call.crate_name : "", call_kind_name(&w->call));
}

static void
open_slots(struct wrap *w, const char *kind)
{
	struct notice n;

	if (!w->slots)
		w->slots = local_open_slots(w->conf);
	if (!w->slots)
		return;
	make_notice(w, kind, &n);
	slots_say(w->slots, &n);
}

/* Has the farm half that is resident do it, or runs dray-dispatch to its end; w->ledger then says
 * where things stand. 0 or -errno. */
static int
dispatch(struct wrap *w)
{
	_cleanup_(ledger_unmapp) struct ledger *shared = NULL;
	_cleanup_(freep) char *program = spawn_find_program("dray-dispatch");
	_cleanup_(closep) int fd = -1;
	_cleanup_(notices_end) struct notices_place place = NOTICES_PLACE_INIT;
	struct notice n;
	struct half_alike alike;
	struct half_ask half = { .conf = w->conf,
		.program = program,
		.argv = w->call.argv,
		.jobs = given_jobs(),
		.mapped = w->mapped.on };
	int r;

	if (!program)
		return -ENOENT;
	if (w->slots) {
		make_notice(w, "compile", &n);
		n.state = NOTICE_FARM;
		(void)notices_begin(slots_dir(w->slots), &n, &place);
	}
	r = ledger_make(&shared, &fd);
	if (r < 0)
		return r;
	half.ledger = shared;
	half.ledger_fd = fd;
	if (w->cached && !w->alone && cached_may_be_alike(w->cached, &alike.sought, &alike.called))
		half.alike = &alike;
	if (!half_run(&half)) {
		r = half_run_own(&half);
		if (r < 0)
			return r;
	}
	w->dispatched = true;
	ledger_take(shared, &w->ledger);
	/* other processes wait for this one's try of the farm: its result is written by now */
	closep(&w->choice.probe);
	return 0;
}

/* Whether what is made is to be kept. */
static bool
keeps(const struct wrap *w)
{
	return w->cached && w->conf->client.cache == CACHE_ON;
}

/* Whether cargo was told of metadata that came from a store, and the rest did not come. */
static bool
is_promised(const struct wrap *w)
{
	return w->ledger.rmeta_stored && *w->ledger.rmeta;
}

static int
run_here(struct wrap *w)
{
	struct local_run l = { .call = &w->call,
		.mapping = w->mapped.on ? &w->mapped.mapping : NULL,
		.said = w->dispatched || is_promised(w) ? &w->ledger : NULL,
		.slots = w->slots,
		.slot = w->choice.slot,
		.since = &w->since,
		.seen = &w->seen };
	int status;

	if (keeps(w)) {
		l.trace = cached_trace_options(w->cached);
		l.began = cached_begin_traced(w->cached, NULL);
	}
	status = local_run(&l);
	/* of what was seen the first time nothing is kept */
	if (status > 0 && l.trace && !l.said && !child_signal() &&
		inputs_lost_rights(&w->seen.record)) {
		l.trace = NULL;
		status = local_run(&l);
	}
	w->where = "local";
	w->slot_wait_us += l.slot_wait_us;
	w->compile_start_us = l.compile_start_us;
	w->rmeta_us = l.rmeta_us;
	w->here_us = l.compile_start_us ? clock_mono_us() - l.compile_start_us : 0;
	if (l.fault != RMETA_FINE)
		rmeta_say(w->conf, &w->call, &w->ledger, l.fault);
	if (l.trouble) {
		char why[sizeof(w->why_text)];

		/* the reason so far may be in that very buffer */
		snprintf(why, sizeof(why), "%s; %s", w->why ? w->why : "", l.trouble);
		memcpy(w->why_text, why, sizeof(why));
		w->why = w->why_text;
	}
	return status;
}

static int
link_here(struct wrap *w, bool made_now)
{
	struct link_run l = { .conf = w->conf,
		.call = &w->call,
		.said = &w->ledger,
		.memo = w->memo,
		.slots = w->slots,
		.record = &w->linked };
	int r;

	if (keeps(w)) {
		l.trace = cached_trace_options(w->cached);
		l.set_aside = made_now;
	}
	r = link_run(&l);

	w->slot_wait_us += l.slot_wait_us;
	w->link_us = l.link_us;
	w->linker = w->ledger.n_links ? l.linker : NULL;
	w->linker_spoke = l.spoke;
	if (l.why)
		snprintf(w->why_text, sizeof(w->why_text), "%s", l.why);
	w->link_refused = l.why != NULL;
	free(l.why);
	return r;
}

/* The exit status. -errno: the farm left no result, so the compiler has to run here. */
static int
run_on_farm(struct wrap *w)
{
	int r = dispatch(w);

	if (r < 0) {
		snprintf(w->why_text, sizeof(w->why_text), "dray-dispatch: %s", strerror(-r));
		w->why = w->why_text;
		return r;
	}
	w->where = "farm";
	w->compile_start_us = w->ledger.compile_start_us;
	if (*w->ledger.why)
		w->why = w->ledger.why;
	if (child_signal())
		return -ECANCELED;
	if (w->ledger.outcome == LEDGER_DONE)
		return w->ledger.status;
	if (w->ledger.outcome != LEDGER_LINK)
		return -EAGAIN;
	open_slots(w, "link");
	r = link_here(w, true);
	if (r < 0)
		w->why = w->link_refused   ? w->why_text
			 : w->linker_spoke ? "the linker printed something: rustc says it"
					   : "the link failed here";
	return r;
}

/* Notes what was made here for the closures of later units. dray-dispatch does this for what the
 * farm made, but not for what is linked here afterwards. */
static void
remember(const struct wrap *w)
{
	const char *farm = w->conf->client.coordinator;

	if (farm && *farm && closure_makes_artifacts(&w->call))
		closure_remember(w->memo, &w->call);
}

/* ---- the cache */

static void
open_memo(struct wrap *w)
{
	const char *dir = w->conf->client.cache_dir;

	if (dir && *dir && memo_open(dir, &w->memo) < 0)
		w->memo = NULL;
}

static void
open_cache(struct wrap *w)
{
	struct cached_in in = { .conf = w->conf,
		.call = &w->call,
		.mapping = w->mapped.on ? &w->mapped.mapping : NULL,
		.memo = w->memo,
		.began = w->began };
	int r = cached_open(&in, &w->cached, &w->cache_off);

	w->cache = r < 0 ? "off" : "miss";
}

/* Takes -C incremental out of the unit, unless it will be compiled that way here. */
static void
leave_incremental(struct wrap *w)
{
	struct rustc_call plain = { .kind = CALL_UNKNOWN };

	if (!w->call.incremental || w->conf->client.cache == CACHE_OFF ||
		w->conf->client.incremental == INCREMENTAL_ALWAYS ||
		incremental_plain(&w->call, &w->plain_argv, &plain) < 0)
		return;
	w->given = w->call;
	w->call = plain;
	w->was_incremental = true;
}

static void
put_seed(struct wrap *w)
{
	char *why = NULL;
	bool damaged;

	(void)seed_put(w->conf, &w->given, &damaged);
	if (damaged && asprintf(&why, "%s%sthe seed of its state was damaged",
			       w->cache_why ? w->cache_why : "", w->cache_why ? "; " : "") >= 0) {
		free(w->cache_why);
		w->cache_why = why;
	}
}

/* After a miss, compiles incrementally as without dray in three cases: a state is there to go on
 * from; the unit was edited before a state was made ready; or the result is not to be kept. */
static void
return_to_incremental(struct wrap *w)
{
	struct rustc_call plain = w->call;

	if (!w->was_incremental)
		return;
	if (w->cached) {
		if (w->conf->client.incremental != INCREMENTAL_AUTO)
			return;
		if (!incremental_has_state(&w->given, w->memo)) {
			if (!incremental_is_rebuild(&w->given)) {
				w->primes = true;
				return;
			}
			put_seed(w);
		}
	}
	w->call = w->given;
	w->given = plain;
	cached_closep(&w->cached);
}

/* Takes what dray-dispatch left of a unit that the farm made. Comes before the staging directory is
 * removed. */
static void
take_farm_record(struct wrap *w)
{
	uint64_t start = clock_mono_us();

	if (!keeps(w) || !*w->ledger.staging || !streq(w->where, "farm"))
		return;
	if (w->ledger.n_links > 0)
		cached_keep_bundle(w->cached, &w->ledger, &w->linked);
	if (cached_read_farm(&w->ledger, &w->linked, &w->seen.record, &w->seen.out, &w->seen.err) <
		0)
		local_seen_done(&w->seen);
	w->store_us += clock_mono_us() - start;
}

static void
keep_made(struct wrap *w, int status)
{
	uint64_t start = clock_mono_us();
	struct cached_made made = { .status = status,
		.record = &w->seen.record,
		.out = &w->seen.out,
		.err = &w->seen.err,
		.from = w->where,
		.producer = streq(w->where, "farm") ? w->ledger.worker_key : NULL,
		.compile_us = w->here_us ? w->here_us : w->ledger.compile_us + w->link_us };

	if (!keeps(w) || !cached_is_final(&w->call, status, &w->seen.err))
		return;
	if (!cached_keep(w->cached, &made, &w->said, &w->far))
		w->not_stored = strdup(w->said.why);
	left_sweep(w->conf->client.cache_dir, w->call.out_dir);
	w->store_us += clock_mono_us() - start;
}

/* After a miss: links what the farm compiled of the unit before, if only its link would differ now.
 * Whether that worked. */
static bool
link_bundle(struct wrap *w)
{
	uint64_t start = clock_mono_us();
	bool staged = w->cached && cached_stage_bundle(w->cached, &w->ledger);
	int r;

	w->restore_us += clock_mono_us() - start;
	if (!staged)
		return false;
	open_slots(w, "link");
	r = link_here(w, false);
	link_clean(&w->call, &w->ledger);
	memset(&w->ledger, 0, sizeof(w->ledger));
	if (r < 0) {
		cached_drop_bundle(w->cached);
		buf_done(&w->linked);
		w->linker = NULL;
		w->link_us = 0;
		return false;
	}
	cached_say_bundle(w->cached, &w->said);
	w->cache = "bundle";
	w->where = "cache";
	start = clock_mono_us();
	if (keeps(w) && !cached_keep_linked(w->cached, &w->linked, w->link_us, &w->said, &w->far))
		w->not_stored = strdup(w->said.why);
	w->store_us += clock_mono_us() - start;
	return true;
}

/* In the local cache, which is opened. */
static bool
find_here(struct wrap *w)
{
	uint64_t start = clock_mono_us();
	bool hit;

	open_cache(w);
	if (!w->cached)
		return false;
	hit = cached_lookup(w->cached, &w->said);
	while (!hit && cached_wait_twin(w->cached))
		hit = cached_lookup(w->cached, &w->said);
	w->lookup_us = clock_mono_us() - start;
	if (!hit)
		w->cache_why = strdup(w->said.why);
	return hit;
}

/* In the stores that are shared, whole; then it is here, too. */
static bool
find_far(struct wrap *w)
{
	uint64_t start = clock_mono_us(), before = w->far.us;
	bool hit;

	w->far.promise = &w->ledger;
	hit = cached_fetch(w->cached, &w->far, &w->said);
	w->far.promise = NULL;
	w->rmeta_us = is_promised(w) ? w->ledger.rmeta_us : 0;
	w->lookup_us += clock_mono_us() - start - (w->far.us - before);
	if (hit)
		free(steal_ptr(w->cache_why));
	return hit;
}

/* In these, whole or, of a unit that is linked, but for its link. */
static bool
find_shared(struct wrap *w)
{
	if (!find_far(w))
		return !is_promised(w) && cached_fetch_bundle(w->cached, &w->far) && link_bundle(w);
	w->cache = "hit";
	w->where = "cache";
	return true;
}

/* Whether the unit was in a cache, and is in place. To link it here costs less than to ask for it.
 */
static bool
find_cached(struct wrap *w)
{
	bool whole = find_here(w);

	if (!w->cached)
		return false;
	if (!whole) {
		if (link_bundle(w) || find_shared(w))
			return true;
		/* the programs that are started next read there what was learned */
		memo_flush(w->memo);
		return false;
	}
	w->cache = "hit";
	w->where = "cache";
	return true;
}

/* ---- all of it */
/* What cargo was told of is in a ledger of ours, which no worker has. */
static void
keep_promise(struct wrap *w)
{
	w->choice.place = PLACE_LOCAL;
	w->choice.why = "its metadata came from a store, and the rest did not";
	closep(&w->choice.probe);
}

/* Another client's job may have made it meanwhile: then it is in the shared cache. If that is
 * nothing for this place, it is made here for good. */
static int
run_on_farm_or_find(struct wrap *w)
{
	int status = run_on_farm(w);

	if (status >= 0 || !w->ledger.made || child_signal())
		return status;
	link_clean(&w->call, &w->ledger);
	w->made_us = w->ledger.queue_us;
	memset(&w->ledger, 0, sizeof(w->ledger));
	w->dispatched = false;
	w->alone = true;
	w->why = "another client's job made it meanwhile";
	w->where = "local";
	if (find_shared(w))
		return w->said.status;
	if (is_promised(w))
		keep_promise(w);
	w->why = w->choice.why;
	return is_promised(w) ? -EAGAIN : run_on_farm(w);
}

static int
run_missed(struct wrap *w)
{
	int status = -EAGAIN;

	if (!is_promised(w))
		return_to_incremental(w);
	open_slots(w, "compile");
	choose(w->conf, &w->call, w->slots, &w->choice);
	if (is_promised(w))
		keep_promise(w);
	w->why = w->call.incremental ? call_home_reason(&w->call) : w->choice.why;
	w->where = "local";
	if (w->choice.place == PLACE_FARM) {
		if (keeps(w))
			cached_begin(w->cached);
		status = run_on_farm_or_find(w);
	}
	if (status >= 0 && streq(w->where, "cache")) {
		remember(w);
		left_sweep(w->conf->client.cache_dir, w->call.out_dir);
		return status;
	}
	if (status == 0)
		take_farm_record(w);
	/* before the compiler runs here: it may make files of these names itself */
	if (w->dispatched)
		link_clean(&w->call, &w->ledger);
	if (status < 0 && !child_signal()) {
		open_slots(w, "compile");
		status = run_here(w);
	}
	if (status == 0 || streq(w->where, "local"))
		keep_made(w, status);
	if (status == 0 && (w->linker || streq(w->where, "local")))
		remember(w);
	return status;
}

static int
run_unit(struct wrap *w)
{
	int status = 0;

	open_memo(w);
	mapped_make(&w->mapped, w->conf, w->memo, &w->call);
	leave_incremental(w);
	if (find_cached(w)) {
		status = w->said.status;
		w->primes = w->was_incremental && w->conf->client.incremental == INCREMENTAL_AUTO &&
			    !incremental_has_state(&w->given, w->memo);
		if (status == 0)
			remember(w);
		/* in a build of hits alone no compile would do it */
		left_sweep(w->conf->client.cache_dir, w->call.out_dir);
	} else {
		status = run_missed(w);
	}
	if (child_signal())
		status = SPAWN_SIGNALLED + child_signal();
	if (status == 0)
		script_install(w->conf, &w->call, w->memo);
	write_log(w, MAX2(status, 0));
	if (status == 0 && (w->primes || w->call.incremental))
		memo_closep(&w->memo);
	if (status == 0 && w->primes)
		prime_start(w->conf, &w->given);
	else if (status == 0 && w->call.incremental && w->was_incremental)
		seed_start(w->conf, &w->call);
	return status;
}

/* The compiler answers; on a fresh machine what the first unit will wait for is begun. */
static int
answer_probe(struct wrap *w)
{
	log_init("dray", LOG_LEVEL_NONE);
	if (fresh_is_first(&w->call) && !script_is_traced() && load_conf(w) == 0 &&
		!w->conf->client.disable)
		fresh_begin(w->conf, &w->call);
	return exec_compiler(w->call.argv);
}

int
wrap_main(char **argv)
{
	_cleanup_(wrap_done) struct wrap w;
	int status;

	memset(&w, 0, sizeof(w));
	w.choice = (struct choice)CHOICE_INIT;
	if (call_parse(argv, &w.call) < 0)
		return exec_compiler(argv);
	if (w.call.kind == CALL_PROBE || script_is_traced())
		return answer_probe(&w);
	clock_gettime(CLOCK_REALTIME, &w.began);
	w.since = clock_stamp();
	w.start_us = clock_mono_us();
	w.parent = getppid();
	w.trial = trial_is(&w.call);
	w.cargo = w.trial ? trial_cargo(w.parent) : 0;
	log_init("dray", LOG_LEVEL_NONE);
	if (w.call.kind == CALL_UNKNOWN)
		return pass_through(&w);
	if (load_conf(&w) < 0 || w.conf->client.disable)
		return exec_compiler(argv);
	child_catch_signals();
	status = run_unit(&w);
	/* the last resort: not even a child could be started */
	return status < 0 ? exec_compiler(argv) : status;
}
