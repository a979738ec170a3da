/* What a line of the job log says of a unit, in words. */
#include "config.h"

#include "common/text/show.h"
#include "client/show/stats.h"
#include "client/show/tell.h"

#define SIGNER_LENGTH 64 /* of a key in hex (cache/result.h) */

/* ---- on one line */

/* "a; b: c" */
static int
add_part(struct buf *b, const char *what, const char *of)
{
	return buf_addf(b, "%s%s%s%s", b->n ? "; " : "", what, *what && *of ? ": " : "", of);
}

static int
add_cache(struct buf *b, const struct job_line *j)
{
	char saved[SHOW_SIZE];

	show_time(j->saved_us, saved);
	if (streq(j->cache, "hit"))
		return buf_addf(b, "%s%s%s, saved %s", job_is_run(j) ? "put back" : "hit",
			job_is_shared(j) ? " from " : "", job_is_shared(j) ? j->tier : "", saved);
	if (job_is_bundle(j)) {
		int r = buf_addf(b, "hit but for the link%s%s, saved %s",
			job_is_shared(j) ? ", from " : "", job_is_shared(j) ? j->tier : "", saved);

		return r == 0 && *j->cache_why ? add_part(b, "", j->cache_why) : r;
	}
	if (streq(j->cache, "miss"))
		return add_part(b, "miss", j->cache_why);
	if (streq(j->cache, "off") && *j->cache_why)
		return add_part(b, "cache not asked", j->cache_why);
	return 0;
}

int
tell_short(struct buf *b, const struct job_line *j)
{
	enum stats_place place = stats_place_of(j->where);
	int r = add_cache(b, j);

	if (r == 0 && place == STATS_FARM && *j->worker)
		r = add_part(b, "", j->worker);
	if (r == 0 && (place == STATS_LOCAL || place == STATS_PASSTHROUGH) && *j->why)
		r = add_part(b, "", j->why);
	if (r == 0 && *j->not_stored)
		r = add_part(b, "not kept", j->not_stored);
	if (r == 0 && *j->shared_why)
		r = add_part(b, "shared stores", j->shared_why);
	if (r == 0 && *j->not_shared)
		r = add_part(b, "not uploaded", j->not_shared);
	if (r == 0 && *j->bound)
		r = add_part(b, "names its place", j->bound);
	if (r == 0 && json_array_size(j->attempts))
		r = add_part(
			b, "before, in vain", job_attempt(j, json_array_size(j->attempts) - 1));
	if (r == 0 && j->signal)
		r = buf_addf(b, "%skilled by signal %d", b->n ? "; " : "", j->signal);
	else if (r == 0 && j->exit_status && job_is_trial(j))
		r = add_part(b, "", "a build script's trial, which the compiler refused");
	else if (r == 0 && j->exit_status)
		r = buf_addf(b, "%sfailed, exit status %d", b->n ? "; " : "", j->exit_status);
	return r;
}

/* ---- in sentences */

/* What can be done, or why nothing can, where a run is not kept. */
static int
say_way_out(struct strv *s, const struct job_line *j)
{
	static const struct {
		const char *reason, *text; /* "%s": the package's name */
	} ways[] = {
		{ "asked for the time",
			"If its result does not depend on that, name %s in scripts_trust (or "
			"DRAY_SCRIPTS_TRUST); if it knows SOURCE_DATE_EPOCH, set that." },
		{ "asked for random numbers",
			"If its result does not depend on them, name %s in scripts_trust (or "
			"DRAY_SCRIPTS_TRUST)." },
		{ "used the network", "What it is told there may be another thing each time." },
		{ "asked another process",
			"What it is told there may be another thing each time." },
		{ "it changed ",
			"Only what a script writes in OUT_DIR and in temporary directories can be "
			"put back." },
		{ "it wrote ",
			"Only what a script writes in OUT_DIR and in temporary directories can be "
			"put back." },
		{ "which an earlier run left",
			"A run that begins in an empty OUT_DIR is kept: cargo clean -p %s." },
		{ "an earlier run left files",
			"A run that begins in an empty OUT_DIR is kept: cargo clean -p %s." },
	};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		const char *at = strstr(ways[i].text, "%s");
		size_t n = at ? (size_t)(at - ways[i].text) : strlen(ways[i].text);

		if (strstr(j->not_stored, ways[i].reason))
			return strv_addf(s, "%.*s%s%s", (int)n, ways[i].text, at ? j->crate : "",
				at ? at + 2 : "");
	}
	return 0;
}

static int
say_run_hit(struct strv *s, const struct job_line *j, const struct job_line *made)
{
	char took[SHOW_SIZE], saved[SHOW_SIZE], when[SHOW_SIZE];
	int r;

	show_time(j->end_us - j->start_us, took);
	show_time(j->saved_us, saved);
	r = strv_addf(s,
		"Its run was in %s: OUT_DIR was filled from there, and no script ran. That took "
		"%s, and saved %s.",
		job_is_shared(j) ? j->tier : "the local cache", took, saved);
	if (r < 0 || !made)
		return r;
	show_when(made->time_ms, when);
	return strv_addf(s, "The script had run here at %s.", when);
}

static int
say_run(struct strv *s, const struct job_line *j)
{
	const char *colon = *j->cache_why ? ": " : "";
	int r = 0;

	if (streq(j->cache, "miss"))
		r = strv_addf(s, "Its run was not in the local cache%s%s.", colon, j->cache_why);
	else if (streq(j->cache, "off"))
		r = strv_addf(s, "The local cache was not asked%s%s.", colon, j->cache_why);
	if (r == 0)
		r = strv_add(s, streq(j->where, "passthrough")
					? "The script was run as if there were no dray."
					: "The script ran here.");
	if (r == 0 && *j->not_stored)
		r = strv_addf(s, "Its run was not kept: %s.", j->not_stored);
	if (r == 0 && *j->not_stored)
		r = say_way_out(s, j);
	if (r == 0 && *j->bound)
		r = strv_addf(s,
			"What it made holds the path of its place (%s), so it is put back only "
			"there: in another target directory the script runs again.",
			j->bound);
	return r;
}

static int
say_hit(struct strv *s, const struct job_line *j, const struct job_line *made)
{
	char took[SHOW_SIZE], saved[SHOW_SIZE], when[SHOW_SIZE];
	int r;

	show_time(j->end_us - j->start_us, took);
	show_time(j->saved_us, saved);
	r = strv_addf(s, "It was in %s: nothing was compiled. That took %s, and saved %s.",
		job_is_shared(j) ? j->tier : "the local cache", took, saved);
	if (r < 0 || !made)
		return r;
	show_when(made->time_ms, when);
	if (job_is_bundle(made))
		return strv_addf(s, "It had been linked here at %s.", when);
	return strv_addf(s, "It had been compiled %s%s at %s.",
		streq(made->where, "farm") ? "on " : "",
		streq(made->where, "farm") ? made->worker : "here", when);
}

static int
say_bundle(struct strv *s, const struct job_line *j)
{
	char saved[SHOW_SIZE];
	int r;

	show_time(j->saved_us, saved);
	r = strv_addf(s,
		"What the farm had compiled of it was in %s, and only its link was made. That "
		"saved "
		"%s.",
		job_is_shared(j) ? j->tier : "the local cache", saved);
	if (r == 0 && *j->cache_why)
		r = strv_addf(s, "It had to be linked: %s.", j->cache_why);
	return r == 0 && *j->not_stored
		       ? strv_addf(s, "Its result was not kept: %s.", j->not_stored)
		       : r;
}

/* Where it was given up for that, why says it. */
static int
say_quota(struct strv *s, const struct job_line *j)
{
	if (!*j->queue_why || strstr(j->why, j->queue_why))
		return 0;
	return strv_addf(s, "It had to wait for a slot there: %s.", j->queue_why);
}

static int
say_place(struct strv *s, const struct job_line *j)
{
	const char *colon = *j->why ? ": " : "";

	switch (stats_place_of(j->where)) {
	case STATS_CACHE:
		return 0;
	case STATS_FARM:
		return strv_addf(s, "It was compiled on the farm, by %s%s%s.",
			*j->worker ? j->worker : "a worker", colon, j->why);
	case STATS_LOCAL:
		return strv_addf(s, "It was compiled here%s%s.", colon, j->why);
	case STATS_PASSTHROUGH:
		return strv_addf(
			s, "The real compiler was run in dray's place%s%s.", colon, j->why);
	default:
		return strv_addf(s, "The log says %s%s%s.", j->where, colon, j->why);
	}
}

static int
say_cache(struct strv *s, const struct job_line *j)
{
	int r = 0;

	if (streq(j->cache, "miss"))
		r = strv_addf(s, "It was not in the local cache%s%s.", *j->cache_why ? ": " : "",
			j->cache_why);
	else if (streq(j->cache, "off"))
		r = strv_addf(s, "The local cache was not asked%s%s.", *j->cache_why ? ": " : "",
			j->cache_why);
	if (r == 0 && strstr(j->cache_why, "lies outside of the workspace"))
		r = strv_add(s,
			"Of a package below the workspace's directory cargo's hash is the same "
			"wherever that lies.");
	if (r == 0 && *j->not_stored)
		r = strv_addf(s, "Its result was not kept: %s.", j->not_stored);
	if (r == 0 && *j->bound)
		r = strv_addf(s, "It tells where it was made (%s), so it is found there alone.",
			j->bound);
	return r;
}

static int
say_attempts(struct strv *s, const struct job_line *j)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < json_array_size(j->attempts); i++)
		r = strv_addf(s, "Tried before, in vain: %s.", job_attempt(j, i));
	return r;
}

static int
say_end(struct strv *s, const struct job_line *j)
{
	if (j->signal)
		return strv_addf(s, "It was killed by signal %d.", j->signal);
	if (j->exit_status && job_is_trial(j))
		return strv_addf(s,
			"The compiler refused it, with exit status %d. It was a trial: a build "
			"script "
			"asked what this compiler can do.",
			j->exit_status);
	if (j->exit_status)
		return strv_addf(s, "It failed, with exit status %d.", j->exit_status);
	return 0;
}

/* "1.5 s in all: 570 ms gathering, 890 ms compiling"; what took no millisecond is left out. */
static int
say_times(struct strv *s, const struct job_line *j)
{
	const struct {
		uint64_t us;
		const char *what;
	} phases[] = {
		{ j->lookup_us, "looking it up" },
		{ j->shared_us, "asking the shared stores" },
		{ j->restore_us, "putting it in place" },
		{ j->slot_wait_us, "waiting for a slot here" },
		{ j->pack_us, "gathering" },
		{ j->queue_us, "waiting for a worker" },
		{ j->upload_us, "sending" },
		{ j->compile_us, job_is_run(j) ? "running" : "compiling" },
		{ j->download_us, "receiving" },
		{ j->link_us, "linking" },
		{ j->store_us, "keeping it" },
	};
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char t[SHOW_SIZE];
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(phases); i++) {
		show_time(phases[i].us, t);
		if (phases[i].us >= 1000)
			r = buf_addf(&b, "%s%s %s", b.n ? ", " : ": ", t, phases[i].what);
	}
	if (r < 0)
		return r;
	show_time(j->end_us - j->start_us, t);
	r = strv_addf(s, "It took %s%s.", t, b.n ? (const char *)b.p : "");
	if (r == 0 && *j->linker)
		r = strv_addf(s, "It was linked here by %s.", j->linker);
	return r;
}

/* What the stores that are shared had to do with it. */
static int
say_shared(struct strv *s, const struct job_line *j)
{
	int r = 0;

	if (*j->shared_why)
		r = strv_addf(s, "Nothing was taken from the shared stores: %s.", j->shared_why);
	if (r == 0 && j->refused)
		r = strv_addf(
			s, "Results that are not believed: %llu.", (unsigned long long)j->refused);
	if (r == 0 && *j->not_shared)
		r = strv_addf(s, "It is not uploaded: %s.", j->not_shared);
	return r;
}

int
tell_long(struct strv *s, const struct job_line *j, const struct job_line *made, const char *signer)
{
	int r;

	if (job_is_run(j))
		r = streq(j->cache, "hit") ? say_run_hit(s, j, made) : say_run(s, j);
	else if (job_is_bundle(j))
		r = say_bundle(s, j);
	else if (streq(j->cache, "hit"))
		r = say_hit(s, j, made);
	else
		r = say_cache(s, j);
	if (r == 0 && !job_is_run(j))
		r = say_place(s, j);
	if (r == 0)
		r = say_quota(s, j);
	if (r == 0 && *j->worker_key)
		r = strv_addf(s,
			strlen(j->worker_key) == SIGNER_LENGTH
				? "It came from a shared cache, sealed by %s%s%s%s."
				: "A worker has answered for it, whose key is %s%s%s%s.",
			j->worker_key, *signer ? " (" : "", signer, *signer ? ")" : "");
	if (r == 0)
		r = say_shared(s, j);
	if (r == 0)
		r = say_attempts(s, j);
	if (r == 0)
		r = say_end(s, j);
	return r < 0 ? r : say_times(s, j);
}
