/* Keeps what a compile made. Invariant: what is kept is whole, and says all that it depends on. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/text.h"
#include "cache/times.h"
#include "client/far/ask.h"
#include "client/far/refill.h"
#include "client/cached/cached_priv.h"
#include "client/wrap/ledger.h"
#include "common/clock.h"
#include "common/fs.h"
#include "rustc/refusal.h"

#define TRIM_FILES 4096 /* depot_trim has a limit of time, too */

extern char **environ;

/* ---- how it is to be traced */

static int
add_blob(void *arg, const char *name, const char *path, struct digest *ret, uint64_t *ret_size)
{
	struct cached *c = arg;

	return depot_add(c->depot, path, name ? cached_way(c, name) : DEPOT_SHARE, ret, ret_size);
}

void
cached_init_keep(struct cached *c)
{
	c->keep.call = c->in.call;
	c->keep.mapped = c->in.mapping != NULL;
	c->keep.place = &c->place;
	c->keep.cwd = c->cwd;
	c->keep.env = &c->env;
	c->keep.marked_env = &c->marked_env;
	c->keep.toolchain = &c->tc;
	c->keep.sysroot = c->tc.sysroot;
	c->keep.script_sysroot = c->sysroot;
	c->keep.mask = c->mask;
	c->keep.add_blob = add_blob;
	c->keep.arg = c;
}

int
cached_add_writable(const struct cached *c, struct strv *to)
{
	static const char *const temporaries[] = { "TMPDIR", "TMP", "TEMP" };
	int r = strv_addf(to, "--writable=%s", c->out_dir);

	if (r == 0 && !streq(c->out_dir, c->place.real_out_dir))
		r = strv_addf(to, "--writable=%s", c->place.real_out_dir);
	if (r == 0)
		r = strv_add(to, "--temporary=/tmp");
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(temporaries); i++) {
		const char *dir = getenv(temporaries[i]);

		if (dir && path_is_normal(dir) && dir[1])
			r = strv_addf(to, "--temporary=%s", dir);
	}
	return r;
}

static int
add_options(struct cached *c)
{
	int r;

	cached_init_keep(c);
	r = keep_find_known(&c->keep);
	for (size_t i = 0; r == 0 && i < c->keep.known.n; i++)
		r = strv_addf(&c->trace_options, "--toolchain=%s", c->keep.known.v[i]);
	return r < 0 ? r : cached_add_writable(c, &c->trace_options);
}

const struct strv *
cached_trace_options(struct cached *c)
{
	if (c->trace_options.n == 0 && add_options(c) < 0) {
		strv_done(&c->trace_options);
		strv_done(&c->keep.known);
	}
	return &c->trace_options;
}

void
cached_begin(struct cached *c)
{
	c->started = clock_stamp_after(&c->in.began);
}

/* Whether nothing that is written from now on can have the file's stamps. */
static bool
is_settled(const char *path, const struct timespec *now)
{
	struct stat st;

	return stat(path, &st) < 0 ||
	       (clock_is_before(&st.st_ctim, now) && clock_is_before(&st.st_mtim, now));
}

/* What cargo has just had made for this: the last of the crates that a unit depends on, of those
 * that are not named, too, where their code is read; what its build script generated. */
static bool
unit_is_settled(const struct cached *c)
{
	const struct rustc_call *call = c->in.call;
	bool settled = !call->calls_linker && !call->reads_rlibs && !getenv("OUT_DIR") &&
		       is_settled(call->source, &c->started);

	for (size_t i = 0; settled && i < call->n_externs; i++)
		settled = !call->externs[i].path || is_settled(call->externs[i].path, &c->started);
	return settled;
}

/* A script's program, and what other scripts say to this one by DEP_*. */
static bool
run_is_settled(const struct cached *c, const char *program)
{
	for (char **e = environ; *e; e++)
		if (starts_with(*e, "DEP_"))
			return false;
	return is_settled(program, &c->started);
}

/* The tracer says when the program began; were that not in its record, more would seem to have
 * changed meanwhile. To wait until the clock that stamps files shows it takes some milliseconds. */
const struct timespec *
cached_begin_traced(struct cached *c, const char *program)
{
	c->started = clock_stamp();
	return (program ? run_is_settled(c, program) : unit_is_settled(c)) ? NULL : &c->in.began;
}

/* How to do it again. */
static int
add_call(const struct cached *c, struct result *res)
{
	int r = strv_add_all(&res->argv, c->in.call->argv);

	for (size_t i = 0; r == 0 && i < c->env.n; i++)
		r = strv_add(&res->env, c->env.v[i]);
	if (r == 0)
		res->cwd = strdup(c->cwd);
	return r < 0 ? r : res->cwd ? 0 : -ENOMEM;
}

/* By which a package with these macros, compiled in this way, is known again, whatever its sources
 * are, and its libraries. NULL: no memory. */
static char *
times_note_name(const struct unit_key *key, const struct result *res)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *name = getenv("CARGO_PKG_NAME"), *version = getenv("CARGO_PKG_VERSION");
	int r = buf_addf(&b, "times %s %s", name ? name : "", version ? version : "");

	for (size_t i = 0; r == 0 && i < key->recipe.n; i++)
		if (!starts_with(key->recipe.v[i], "--extern"))
			r = buf_addf(&b, "\n%s", key->recipe.v[i]);
	for (size_t i = 0; r == 0 && i < res->inputs.n; i++) {
		const struct input *in = &res->inputs.v[i];
		struct digest d;
		char hex[DIGEST_HEX_SIZE];

		if (in->kind != INPUT_FILE || !ends_with(in->name, ".so") ||
			in->value.n != DIGEST_SIZE)
			continue;
		memcpy(d.b, in->value.p, DIGEST_SIZE);
		digest_hex(&d, hex);
		r = buf_addf(&b, "\n%s", hex);
	}
	return r < 0 ? NULL : (char *)steal_ptr(b.p);
}

/* What of its times does not count, from what was kept of the same before; that is not kept twice.
 */
static int
learn_times(struct cached *c, const struct unit_key *key, struct entry *e, struct result *res)
{
	_cleanup_(times_done) struct times t = TIMES_INIT;
	_cleanup_(freep) char *name = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	bool learned = false;
	int r;

	if (!times_matter_to(res))
		return 0;
	name = times_note_name(key, res);
	r = name ? 0 : -ENOMEM;
	if (r == 0 && memo_get_note(c->in.memo, name, &b) == 0)
		r = times_decode(&b, &t);
	for (size_t i = e->n_results; r == 0 && i-- > 0;) {
		_cleanup_(result_done) struct result kept = RESULT_INIT;
		enum times_verdict v = TIMES_OTHER;

		if (entry_result(e, i, &kept) == 0)
			r = times_compare(&kept, res, &t, &v);
		learned |= v != TIMES_OTHER;
		if (v == TIMES_IDLE)
			entry_drop_result(e, i);
	}
	if (r == 0)
		r = times_apply(&t, res);
	buf_done(&b);
	if (r == 0 && learned && times_encode(&t, &b) == 0)
		memo_set_note(c->in.memo, name, b.p, b.n);
	return r;
}

int
cached_write_result(struct cached *c, const struct unit_key *key, struct result *res)
{
	_cleanup_(closep) int lock = depot_lock_entry(c->depot, &key->id);
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = cached_read_entry(c, &key->id, &e);

	(void)lock; /* held to the end */
	e.key = key->id;
	if (r == 0 && e.recipe.n == 0)
		for (size_t i = 0; r == 0 && i < key->recipe.n; i++)
			r = strv_add(&e.recipe, key->recipe.v[i]);
	if (r == 0)
		r = learn_times(c, key, &e, res);
	if (r == 0)
		r = entry_add_result(&e, res);
	if (r == 0 && (far_may_write(c->in.conf) || refill_is_wanted(c->in.conf)))
		r = digest_bytes(e.results[0].p, e.results[0].n, &c->kept);
	if (r == 0)
		r = entry_encode(&e, &b);
	return r < 0 ? r : depot_write_entry(c->depot, &key->id, b.p, b.n);
}

int
cached_add_linked(const struct buf *linked, struct buf *record)
{
	const char *p = (const char *)linked->p, *end = p + linked->n;
	int r = linked->n == 0 || linked->p[linked->n - 1] == '\0' ? 0 : -EBADMSG;

	for (; r == 0 && p < end; p += strlen(p) + 1)
		if (*p != 'e')
			r = buf_add(record, p, strlen(p) + 1);
	return r;
}

int
cached_read_farm(const struct ledger *said, const struct buf *linked, struct buf *record,
	struct buf *out, struct buf *err)
{
	int r = cached_add_linked(linked, record);

	if (r == 0)
		r = cached_read_staged(said, FARM_RECORD, record);
	if (r == 0)
		r = cached_read_staged(said, FARM_RECORD_OUT, out);
	if (r == 0)
		r = cached_read_staged(said, FARM_RECORD_ERR, err);
	if (r == 0 && said->n_links > 0)
		r = cached_read_staged(said, "tail", err);
	return r;
}

bool
cached_is_final(const struct rustc_call *call, int status, const struct buf *err)
{
	/* cargo's own calls have JSON, and after an error the user may change what no trace shows
	 */
	return status == 0 || (status == 1 && !call->json && !call->extra_filename &&
				      refusal_is_final((const char *)err->p, err->n));
}

bool
cached_keep(struct cached *c, const struct cached_made *made, struct cached_said *said,
	struct cached_far *far)
{
	_cleanup_(result_done) struct result res = RESULT_INIT;
	const struct unit_key *key = made->staged ? &c->bundle_key : &c->key;
	struct digest job_key;
	struct keep_made m = { .status = made->status,
		.record = made->record,
		.out = made->out,
		.err = made->err,
		.tail = made->tail,
		.known = made->known,
		.metadata = made->metadata,
		.add_links = made->staged ? cached_add_links : NULL,
		.arg = made->staged };
	int r;

	*said->why = *said->bound = '\0';
	said->bytes = 0;
	if (c->in.conf->client.cache != CACHE_ON) {
		cached_why(said, "the cache is only read");
		return false;
	}
	r = made->staged ? cached_bundle_key(c) : 0;
	if (r == 0 && streq(made->from, "farm")) {
		m.job_key = &job_key;
		r = cached_job_key(c, &job_key);
	}
	if (r == 0) {
		cached_init_keep(c);
		c->keep.started = c->started;
		r = keep_make(&c->keep, &m, &res);
		memcpy(said->why, c->keep.why, sizeof(said->why));
		memcpy(said->bound, c->keep.bound, sizeof(said->bound));
		said->bytes = c->keep.bytes;
	}
	if (r == 0)
		r = add_call(c, &res);
	if (r == 0) {
		res.status = (unsigned)made->status;
		res.compile_us = made->compile_us;
		res.time_s = (uint64_t)time(NULL);
		res.from = strdup(made->from);
		res.rustc = strdup(c->tc.release ? c->tc.release : "");
		if (made->producer && result_is_producer(made->producer)) {
			res.producer = strdup(made->producer);
			r = res.producer ? 0 : -ENOMEM;
		}
	}
	if (r == 0) {
		r = res.from && res.rustc ? cached_write_result(c, key, &res) : -ENOMEM;
	}
	if (r < 0 && !*said->why)
		cached_why(said, "%s", strerror(-r));
	if (r == 0 && !made->staged) {
		cached_note_together(c);
		cached_offer(c, &key->id, &res, c->place.cargo_env->v, far);
		cached_note_refill(c, &res);
	}
	if (!made->staged) {
		cached_note_recipe(c);
		depot_trim(c->depot, TRIM_FILES);
	}
	return r == 0;
}
