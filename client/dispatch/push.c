/* Invariant: what is given is what the compiler here is: the files that its id is made of, as they
 * are when they are sent; the worker makes the id again. */
#include "config.h"

#include "client/dispatch/push.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client/dispatch/farm.h"
#include "client/dispatch/remote.h"
#include "client/dispatch/unit.h"
#include "client/give/gift.h"
#include "client/incremental/background.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/log/joblog.h"
#include "common/text/show.h"
#include "proto/socket.h"
#include "toolchain/toolchain.h"

#define FLUSH_MS 200
#define GONE_MS 5000 /* for which it waits until its parent has ended */
#define NICE 19
#define FAILED_MAX 6 /* workers; then it is given up */
#define FULL_MAX 40  /* looks at whether one is free, */
#define FULL_MS 500  /* so far apart */
#define PROGRESS_MS 200
#define NOTE_MS 1000 /* how often it is written down how far it is, and the farm is told */
#define BACKGROUND_RATE (8u << 20) /* bytes a second, where the configuration has none */

enum voice { VOICE_TEXT, VOICE_JSON, VOICE_QUIET };

struct push {
	const struct conf *conf;
	enum voice voice;
	unsigned most; /* workers; 0: all */
	struct memo *memo;
	struct unit *unit;
	void *zctx;
	struct farm *farm;
	struct tether tether;
	struct ledger rep; /* read by nobody */
	char id[DIGEST_HEX_SIZE], release[64];
	uint64_t bytes, said_ms, noted_ms;
	struct gift gift;
	int lock; /* gift_lock; -1: there is none */
	bool on_terminal, line;
	const char *worker; /* that is given it now */
	unsigned given, failed;
	uint32_t having;
	json_t *workers;
	char why[512];
};

static void _printf_(2, 3) set_why(struct push *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
}

static void
end_line(struct push *p)
{
	if (p->line)
		fputs("\r\033[K", stderr);
	p->line = false;
}

static void _printf_(2, 3) say(struct push *p, const char *fmt, ...)
{
	va_list ap;

	if (p->voice != VOICE_TEXT)
		return;
	end_line(p);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/* What cannot be written is nobody's loss. */
static void
write_down(struct push *p, enum gift_state state)
{
	p->gift.state = state;
	p->gift.at_s = clock_wall_ms() / 1000;
	p->gift.given = p->given;
	snprintf(p->gift.why, sizeof(p->gift.why), "%.255s", state == GIFT_FAILED ? p->why : "");
	(void)gift_write(p->conf->client.cache_dir, &p->gift);
}

static void
note_sent(struct push *p, uint64_t done, uint64_t of, uint64_t now)
{
	if (now - p->noted_ms < NOTE_MS)
		return;
	p->noted_ms = now;
	p->gift.done = done;
	p->gift.of = of;
	write_down(p, GIFT_GIVING);
	farm_progress(p->farm, done, of);
}

static void
on_sent(void *arg, uint64_t done, uint64_t of)
{
	struct push *p = arg;
	uint64_t now = clock_mono_ms();
	char d[SHOW_SIZE], o[SHOW_SIZE];

	note_sent(p, done, of, now);
	if (!p->on_terminal || p->voice != VOICE_TEXT || now - p->said_ms < PROGRESS_MS || !of)
		return;
	p->said_ms = now;
	p->line = true;
	show_bytes(done, d);
	show_bytes(of, o);
	fprintf(stderr, "\r\033[K%s: %s of %s that it lacks", p->worker, d, o);
	fflush(stderr);
}

static void
on_started(void *arg)
{
	struct push *p = arg;

	if (!p->on_terminal || p->voice != VOICE_TEXT)
		return;
	p->line = true;
	fprintf(stderr, "\r\033[K%s: it is proved there", p->worker);
	fflush(stderr);
}

/* ---- what is given */

static const char *
why_not(const struct toolchain *t, const char *compiler)
{
	_cleanup_(freep) char *launcher = toolchain_launcher(compiler);

	if (launcher)
		return "a script starts this compiler: no worker can stand in for it";
	if (t->outside)
		return "it has libraries outside of its directory, which its id does not cover";
	if (streq(t->sysroot, "/usr") || streq(t->sysroot, "/usr/local"))
		return "it is spread over the system's directories: install it on the workers, or "
		       "use one of rustup's";
	if (toolchain_has_sources(t))
		return "it has rust-src, of whose files its id says nothing: install it on the "
		       "workers, or give one without that component";
	return NULL;
}

static int
identify(struct push *p, const char *compiler, const char *driver, const char *target)
{
	_cleanup_(toolchain_done) struct toolchain t = { .sysroot = NULL };
	_cleanup_(freep) char *sysroot = NULL, *exe = NULL;
	const char *why;
	int r = toolchain_find_sysroot(p->memo, compiler, &sysroot, &exe);

	if (r == 0)
		r = toolchain_identify(p->memo, sysroot, driver, *target ? target : NULL, &t);
	if (r < 0) {
		set_why(p, "%s: %s", compiler,
			r == -ENOENT ? "there is no such toolchain, or it lacks that driver, or "
				       "the std of that target"
				     : strerror(-r));
		return r;
	}
	why = why_not(&t, compiler);
	if (why) {
		set_why(p, "%s cannot be given: %s", t.sysroot, why);
		return -EOPNOTSUPP;
	}
	digest_hex(&t.id, p->id);
	snprintf(p->release, sizeof(p->release), "%.63s", t.release);
	snprintf(p->gift.id, sizeof(p->gift.id), "%s", p->id);
	snprintf(p->gift.release, sizeof(p->gift.release), "%s", p->release);
	r = unit_of_toolchain(&t, p->memo, &p->unit);
	if (r < 0)
		set_why(p, "its files: %s", strerror(-r));
	else
		p->bytes = unit_source_bytes(p->unit);
	return r;
}

/* ---- to whom */

static void
note(struct push *p, const char *worker, bool good, uint64_t bytes, uint64_t ms, const char *text)
{
	char sent[SHOW_SIZE], took[SHOW_SIZE];

	show_bytes(bytes, sent);
	show_time(ms * 1000, took);
	if (good)
		say(p, "%s has it: %s sent, %s", worker, sent, took);
	else
		say(p, "%s does not take it: %s", worker, text);
	if (p->workers)
		json_array_append_new(p->workers,
			json_pack("{s:o, s:b, s:I, s:I, s:o}", "name", joblog_text(worker, 128),
				"given", good, "bytes_sent", (json_int_t)bytes, "ms",
				(json_int_t)ms, "why", joblog_text(good ? "" : text, 512)));
}

static void
give(struct push *p, const struct placement *place)
{
	uint64_t since = clock_mono_ms(), before = p->rep.bytes_sent;
	struct remote_in in = { .zctx = p->zctx,
		.farm = p->farm,
		.tether = &p->tether,
		.unit = p->unit,
		.memo = p->memo,
		.rep = &p->rep,
		.place = place,
		.compress = p->conf->client.compress == COMPRESS_NEVER ? COMPRESS_NEVER
								       : COMPRESS_ALWAYS,
		.silent_ms = p->conf->client.silent_s * 1000,
		.unit_ms = p->conf->client.unit_s * 1000,
		.run_ms = p->conf->client.unit_s * 1000,
		.refill = true,
		.push_bytes = p->bytes,
		.rate = p->voice != VOICE_QUIET	      ? 0
			: p->conf->client.upload_rate ? p->conf->client.upload_rate
						      : BACKGROUND_RATE,
		.on_sent = on_sent,
		.on_started = on_started,
		.arg = p };
	struct remote_result res;
	bool good;

	p->worker = place->worker;
	snprintf(p->gift.worker, sizeof(p->gift.worker), "%.79s", place->worker);
	p->gift.done = p->gift.of = 0;
	write_down(p, GIFT_GIVING);
	remote_run(&in, &res);
	good = res.end == REMOTE_DONE && res.status == 0;
	if (good)
		farm_finished(p->farm, 0);
	else
		farm_cancel(p->farm);
	note(p, place->worker, good, p->rep.bytes_sent - before, clock_mono_ms() - since, res.text);
	p->given += good;
	p->failed += !good;
	if (!good)
		set_why(p, "%s: %s", place->worker, res.text);
	/* it says soon that it has it, or has said that it will not */
	farm_exclude(p->farm, place->worker);
}

/* 1: there may be another one. */
static int
next(struct push *p)
{
	_cleanup_(placement_done) struct placement place = { NULL, NULL, NULL, NULL, NULL };
	_cleanup_(freep) char *why = NULL;
	static char crate[] = "toolchain", kind[] = "push";
	struct farm_job job = { .toolchain = unit_message(p->unit)->toolchain.data,
		.crate = crate,
		.kind = kind,
		.source_bytes = p->bytes,
		.push = true };
	int r = farm_request(p->farm, &job);

	if (r < 0) {
		set_why(p, "farm: %s", strerror(-r));
		return r;
	}
	if (farm_wait(p->farm, &p->tether, NULL, NULL, &place, &why) == FARM_PLACED) {
		give(p, &place);
		return tether_cut(&p->tether) ? -ECANCELED : 1;
	}
	p->having = farm_having(p->farm);
	if (farm_denied(p->farm) == DRAY__VERDICT__VERDICT_FULL)
		return -EAGAIN;
	if (p->failed == 0 || farm_denied(p->farm) != DRAY__VERDICT__VERDICT_NO_WORKER)
		set_why(p, "%s", why ? why : "the coordinator does not say why");
	return farm_denied(p->farm) == DRAY__VERDICT__VERDICT_NO_WORKER ? 0 : -EACCES;
}

static int
give_all(struct push *p)
{
	unsigned full = 0;
	int r = 1;

	while (r > 0 && p->failed < FAILED_MAX && (!p->most || p->given < p->most)) {
		r = next(p);
		if (r != -EAGAIN || ++full > FULL_MAX)
			continue;
		poll(NULL, 0, FULL_MS);
		r = tether_cut(&p->tether) ? -ECANCELED : 1;
	}
	return r;
}

/* Of what was done before it counts how often it failed in a row. One that somebody asked for, and
 * that finds another one going on, goes beside it. */
static int
begin_record(struct push *p)
{
	uint64_t now = clock_wall_ms() / 1000;
	struct gift before;
	int r = gift_lock(p->conf->client.cache_dir);

	if (r < 0 && p->voice == VOICE_QUIET)
		return r;
	p->lock = r;
	if (gift_read(p->conf->client.cache_dir, p->id, &before) == 0) {
		if (p->voice == VOICE_QUIET && gift_due_s(&before, now))
			return -EAGAIN;
		p->gift.failures = before.failures;
	}
	p->gift.begun_s = now;
	return 0;
}

static void
end_record(struct push *p, bool good)
{
	if (!*p->id || !p->gift.begun_s)
		return;
	p->gift.failures = good ? 0 : p->gift.failures + 1;
	write_down(p, good ? GIFT_GIVEN : GIFT_FAILED);
}

static int
open_farm(struct push *p)
{
	_cleanup_(freep) char *why = NULL;
	int r = zmq_ctx_open(&p->zctx);

	if (r == 0)
		r = farm_open(p->zctx, p->conf, &p->farm, &why);
	if (r == 0)
		r = farm_greet(p->farm, &p->tether, &why);
	if (r < 0) {
		set_why(p, "farm: %s", why ? why : strerror(-r));
		return r;
	}
	if (!farm_knows_pushes(p->farm)) {
		set_why(p, "the coordinator is of a version that does not know this");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Some have it, of those that take it: that is what was asked for. */
static int
report(struct push *p, int r)
{
	bool good = p->given > 0 || (r == 0 && p->failed == 0 && p->having > 0);
	json_t *o;

	if (!good && !*p->why)
		set_why(p, "%s", r < 0 ? strerror(-r) : "no worker took it");
	end_record(p, good);
	end_line(p);
	if (p->voice == VOICE_JSON) {
		o = json_pack("{s:b, s:s, s:s, s:I, s:i, s:i, s:O, s:o}", "done", good, "id", p->id,
			"release", p->release, "bytes", (json_int_t)p->bytes, "given",
			(int)p->given, "having", (int)p->having, "workers", p->workers, "why",
			joblog_text(good ? "" : p->why, 512));
		if (!o || json_dumpf(o, stdout, JSON_INDENT(2)) < 0)
			good = false;
		putchar('\n');
		json_decref(o);
	} else if (p->voice == VOICE_TEXT && good) {
		if (p->given == 0)
			printf("%u workers have it already\n", p->having);
	} else if (p->voice == VOICE_TEXT) {
		fprintf(stderr, "dray toolchain: %s\n", p->why);
	}
	return fflush(stdout) == 0 && good ? PUSH_DONE : PUSH_FAILED;
}

static int
go(struct push *p, char **args)
{
	char size[SHOW_SIZE];
	int r = identify(p, args[0], args[1], args[2]);

	if (r == 0)
		r = begin_record(p);
	if (r == 0)
		r = open_farm(p);
	if (r < 0)
		return r;
	show_bytes(p->bytes, size);
	say(p, "%s %s %.12s: %s in %zu files", p->release, args[1], p->id, size,
		unit_message(p->unit)->push->n_file);
	return give_all(p);
}

static bool
parse(struct push *p, char **args)
{
	static const char *const voices[] = { "text", "json", "quiet" };
	char *end;

	p->most = (unsigned)strtoul(args[3], &end, 10);
	if (*end || (!streq(args[1], "rustc") && !streq(args[1], "clippy-driver")))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(voices); i++)
		if (streq(args[4], voices[i])) {
			p->voice = (enum voice)i;
			return true;
		}
	return false;
}

/* Nobody waits for it, and nothing that ends here ends it. False: this is the process that was
 * asked to. */
static bool
go_apart(void)
{
	int ends[2];
	pid_t pid;
	const pid_t parent = getpid();
	char c;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		/* tether_open is to find the parent that it keeps */
		close(ends[1]);
		while (read(ends[0], &c, 1) < 0 && errno == EINTR)
			;
		/* its files close a moment before it is gone */
		for (unsigned i = 0; i < GONE_MS && getppid() == parent; i++)
			poll(NULL, 0, 1);
		if (!background_withdraw())
			_exit(PUSH_FAILED);
		return true;
	}
	/* the other end closes when this process does */
	close(ends[0]);
	return false;
}

int
push_main(const struct conf *conf, char **args)
{
	struct push p = { .conf = conf,
		.tether = TETHER_INIT,
		.lock = -1,
		.on_terminal = isatty(STDERR_FILENO) == 1 };
	int r;

	if (!parse(&p, args))
		return PUSH_USAGE;
	if (p.voice == VOICE_QUIET) {
		if (!go_apart())
			return PUSH_DONE;
		setpriority(PRIO_PROCESS, 0, NICE);
	}
	p.workers = json_array();
	/* before any thread starts */
	r = p.workers ? tether_open(&p.tether) : -ENOMEM;
	if (r == 0 && memo_open(conf->client.cache_dir, &p.memo) < 0)
		p.memo = NULL;
	if (r == 0)
		r = go(&p, args);
	memo_flush(p.memo);
	r = report(&p, r);
	farm_close(p.farm, FLUSH_MS);
	zmq_ctx_termp(&p.zctx);
	unit_free(p.unit);
	memo_close(p.memo);
	tether_done(&p.tether);
	json_decref(p.workers);
	closep(&p.lock);
	return r;
}
