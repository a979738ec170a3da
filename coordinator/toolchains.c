/* Toolchains: what workers said of each, when a job last used it, and which of them admins have
 * pinned. With at least one pin jobs of others are denied, offered or not.
 *
 * Invariant: an id for native units (toolchain/cpu.h) is taken only where it was made here from a
 * pinned id and the CPU of a worker that is here: no worker's word makes it one. */
#include "config.h"

#include "coordinator/toolchains.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "coordinator/server_priv.h"
#include "toolchain/cpu.h"

#define SEEN_MAX 1024
#define CPUS_MAX 256 /* different ones */
#define PREFIX_MIN 6 /* digits of an id */
#define NAMED_MAX 64 /* toolchains in one act */
#define NATIVE_WORDS " target-cpu=native"

/* One that a worker has offered, since the coordinator began. */
struct seen {
	struct digest id;
	char text[PIN_TEXT_SIZE];
	uint64_t bytes;
	bool pushed;
	uint64_t offered_ms, used_ms; /* wall clock; the latter 0: not yet */
};

struct toolchains {
	struct pins pins;
	struct seen *seen;
	size_t n_seen;
	/* what pins are on the CPUs of the workers that are here; made when it is asked for */
	struct digest *natives;
	size_t n_natives;
	bool stale;
};

int
toolchains_new(struct toolchains **ret)
{
	*ret = calloc(1, sizeof(struct toolchains));
	return *ret ? 0 : -ENOMEM;
}

void
toolchains_free(struct toolchains *t)
{
	if (!t)
		return;
	pins_done(&t->pins);
	free(t->seen);
	free(t->natives);
	free(t);
}

struct pins *
toolchains_pins(struct toolchains *t)
{
	return &t->pins;
}

/* ---- what is known of them */

static struct seen *
find_seen(const struct toolchains *t, const struct digest *id)
{
	for (size_t i = 0; i < t->n_seen; i++)
		if (digest_eq(&t->seen[i].id, id))
			return &t->seen[i];
	return NULL;
}

/* In the place of the one that was heard of last the longest time ago. */
static struct seen *
place_for(struct toolchains *t)
{
	struct seen *v, *oldest;

	if (t->n_seen < SEEN_MAX) {
		v = reallocarray(t->seen, t->n_seen + 1, sizeof(*v));
		if (!v)
			return NULL;
		t->seen = v;
		return &v[t->n_seen++];
	}
	oldest = &t->seen[0];
	for (size_t i = 1; i < t->n_seen; i++)
		if (MAX2(t->seen[i].offered_ms, t->seen[i].used_ms) <
			MAX2(oldest->offered_ms, oldest->used_ms))
			oldest = &t->seen[i];
	return oldest;
}

void
toolchains_offered(struct toolchains *t, const struct digest *id, const char *text, uint64_t bytes,
	bool pushed)
{
	struct seen *s = find_seen(t, id);

	if (!s) {
		s = place_for(t);
		if (!s)
			return;
		*s = (struct seen){ .id = *id };
		snprintf(s->text, sizeof(s->text), "%s", text);
	}
	s->offered_ms = clock_wall_ms();
	s->bytes = bytes ? bytes : s->bytes;
	s->pushed |= pushed;
}

void
toolchains_used(struct toolchains *t, const struct digest *id)
{
	struct seen *s = find_seen(t, id);

	if (s)
		s->used_ms = clock_wall_ms();
}

void
toolchains_get(const struct toolchains *t, const struct digest *id, struct toolchain_known *ret)
{
	const struct seen *s = find_seen(t, id);

	*ret = s ? (struct toolchain_known){ s->bytes, s->used_ms, s->pushed }
		 : (struct toolchain_known){ .bytes = 0 };
}

/* ---- which are taken */

void
toolchains_stale(struct toolchains *t)
{
	t->stale = true;
}

static size_t
list_cpus(struct server *s, struct digest cpus[CPUS_MAX])
{
	struct sched_worker *w;
	size_t n = 0;

	for (w = sched_worker_walk(s->sched, NULL); w && n < CPUS_MAX;
		w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;
		const struct peer *p;
		size_t i;

		sched_worker_get(w, &view);
		p = peer_by_serial(s, view.tag);
		if (!p || !p->has_cpu)
			continue;
		for (i = 0; i < n && !digest_eq(&cpus[i], &p->cpu); i++)
			;
		if (i == n)
			cpus[n++] = p->cpu;
	}
	return n;
}

static void
make_natives(struct server *s, struct toolchains *t)
{
	struct digest cpus[CPUS_MAX];
	size_t n = list_cpus(s, cpus);

	free(t->natives);
	t->n_natives = 0;
	t->natives = calloc(n * t->pins.n + 1, sizeof(*t->natives));
	for (size_t i = 0; t->natives && i < n; i++)
		for (size_t k = 0; k < t->pins.n; k++)
			if (cpu_native_of(&t->pins.v[k].id, &cpus[i], &t->natives[t->n_natives]) ==
				0)
				t->n_natives++;
	t->stale = !t->natives;
}

bool
toolchains_allow(struct server *s, const struct digest *id)
{
	struct toolchains *t = s->toolchains;

	if (t->pins.n == 0 || pins_find(&t->pins, id))
		return true;
	if (t->stale)
		make_natives(s, t);
	for (size_t i = 0; i < t->n_natives; i++)
		if (digest_eq(&t->natives[i], id))
			return true;
	return false;
}

/* ---- by which words an admin means them */

struct named {
	struct digest id[NAMED_MAX];
	char text[NAMED_MAX][PIN_TEXT_SIZE];
	size_t n;
	bool more; /* than there is room for */
};

static void
add_named(struct named *to, const struct digest *id, const char *text)
{
	for (size_t i = 0; i < to->n; i++)
		if (digest_eq(&to->id[i], id))
			return;
	if (to->n == NAMED_MAX) {
		to->more = true;
		return;
	}
	to->id[to->n] = *id;
	snprintf(to->text[to->n++], PIN_TEXT_SIZE, "%s", text);
}

static bool
begins_id(const char *word, const struct digest *id)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(id, hex);
	return starts_with(hex, word);
}

/* Whether these are its first words. What is for native units goes with the one it was made of. */
static bool
begins_text(const char *words, const char *text)
{
	size_t n = strlen(words);

	return n && strncmp(words, text, n) == 0 && (!text[n] || text[n] == ' ') &&
	       !ends_with(text, NATIVE_WORDS);
}

static void
look_up(const struct toolchains *t, const char *words, bool pinned, struct named *ret)
{
	size_t digits = strspn(words, "0123456789abcdef");
	bool by_id = digits >= PREFIX_MIN && !words[digits];

	for (size_t i = 0; i < t->pins.n; i++)
		if (by_id ? begins_id(words, &t->pins.v[i].id)
			  : begins_text(words, t->pins.v[i].text))
			add_named(ret, &t->pins.v[i].id, t->pins.v[i].text);
	for (size_t i = 0; !pinned && i < t->n_seen; i++)
		if (by_id ? begins_id(words, &t->seen[i].id) : begins_text(words, t->seen[i].text))
			add_named(ret, &t->seen[i].id, t->seen[i].text);
}

/* Two that workers call alike: only their ids tell which is meant. NULL: there are none. */
static const char *
called_alike(const struct named *v)
{
	for (size_t i = 0; i < v->n; i++)
		for (size_t k = 0; k < i; k++)
			if (streq(v->text[i], v->text[k]))
				return v->text[i];
	return NULL;
}

static int _printf_(4, 5) say(char *why, size_t n, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, n, fmt, ap);
	va_end(ap);
	return r;
}

static int
find(const struct toolchains *t, const char *words, bool pinned, struct named *ret, char *why,
	size_t n)
{
	size_t digits = strspn(words, "0123456789abcdef");
	const char *alike;
	struct digest id;

	*ret = (struct named){ .n = 0 };
	look_up(t, words, pinned, ret);
	/* one that no worker has yet */
	if (ret->n == 0 && !pinned && digest_parse(words, &id) == 0)
		add_named(ret, &id, "");
	if (ret->n == 0)
		return say(why, n, -ENOENT,
			pinned ? "no toolchain \"%s\" is pinned (drayctl toolchain list)"
			       : "no worker offers a toolchain \"%s\" (drayctl toolchain list); "
				 "one "
				 "that none has yet is pinned by the 64 digits of its id",
			CLEAN(words));
	if (ret->more)
		return say(why, n, -E2BIG, "more than %d toolchains are called so", NAMED_MAX);
	alike = called_alike(ret);
	if (alike && !pinned)
		return say(why, n, -EINVAL,
			"several toolchains are called \"%s\": say which by its id (drayctl "
			"toolchain list)",
			alike);
	if (ret->n > 1 && digits >= PREFIX_MIN && !words[digits])
		return say(why, n, -EINVAL, "%zu ids begin with %s: more digits are needed", ret->n,
			words);
	return 0;
}

/* ---- acts */

static bool
offers(const struct sched_worker *w, const struct sched_worker_view *view, const struct digest *id)
{
	for (size_t i = 0; i < view->n_offers; i++)
		if (digest_eq(sched_worker_offer(w, i, NULL), id))
			return true;
	return false;
}

static unsigned
count_workers(struct server *s, const struct digest *id)
{
	struct sched_worker *w;
	unsigned n = 0;

	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;

		sched_worker_get(w, &view);
		n += offers(w, &view, id);
	}
	return n;
}

static void
describe(const struct named *v, char *to, size_t n)
{
	char hex[DIGEST_HEX_SIZE];

	if (v->n > 1) {
		snprintf(to, n, "%zu toolchains", v->n);
		return;
	}
	digest_hex(&v->id[0], hex);
	snprintf(to, n, "%s%s%.12s%s", v->text[0], *v->text[0] ? " (" : "", hex,
		*v->text[0] ? ")" : "");
}

static int
save(struct server *s, char *why, size_t n)
{
	const char *dir = s->conf->coordinator.cache_dir;
	int r = dir ? pins_save(dir, &s->toolchains->pins) : -ENOENT;

	if (r == 0)
		return 0;
	return say(why, n, r,
		"it holds until this coordinator ends, but cannot be written to %s/%s: %s",
		dir ? dir : "(no directory)", PINS_FILE, strerror(-r));
}

/* What was done is said in why, and why it holds no longer than this coordinator. */
static int
changed(struct server *s, const char *said, char *why, size_t n)
{
	int r = save(s, why, n);

	toolchains_stale(s->toolchains);
	sched_allows_changed(s->sched, s->now);
	return r < 0 ? r : say(why, n, 0, "%s", said);
}

int
toolchains_pin(struct server *s, const char *words, char *why, size_t n)
{
	struct toolchains *t = s->toolchains;
	size_t before = t->pins.n;
	unsigned workers = 0;
	struct named v;
	char what[256], said[400];
	int r = find(t, words, false, &v, why, n);

	if (r < 0)
		return r;
	describe(&v, what, sizeof(what));
	for (size_t i = 0; i < v.n; i++)
		workers = MAX2(workers, count_workers(s, &v.id[i]));
	/* all or none */
	for (size_t i = 0; r == 0 && i < v.n; i++)
		r = pins_add(&t->pins, &v.id[i], v.text[i]);
	if (r < 0) {
		t->pins.n = before;
		return r == -ENOSPC
			       ? say(why, n, r, "%d toolchains are pinned: unpin some", PINS_MAX)
			       : say(why, n, r, "%s", strerror(-r));
	}
	snprintf(said, sizeof(said),
		"%s pinned%s; %u workers have %s; jobs of others are taken no more", what,
		t->pins.n == before ? " already" : "", workers, v.n > 1 ? "them" : "it");
	return changed(s, said, why, n);
}

int
toolchains_unpin(struct server *s, const char *words, char *why, size_t n)
{
	struct toolchains *t = s->toolchains;
	struct named v;
	char what[256], said[400];
	int r = find(t, words, true, &v, why, n);

	if (r < 0)
		return r;
	describe(&v, what, sizeof(what));
	snprintf(said, sizeof(said), "%s pinned no more; %s", what,
		t->pins.n == v.n ? "no pin is left: jobs of all toolchains are taken again"
				 : "jobs of it are taken no more");
	for (size_t i = 0; i < v.n; i++)
		(void)pins_drop(&t->pins, &v.id[i]);
	return changed(s, said, why, n);
}

/* Tells the workers that have it and take toolchains to drop it. How many. */
static unsigned
tell_to_drop(struct server *s, const struct digest *id)
{
	struct sched_worker *w;
	unsigned n = 0;

	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		Dray__WorkerDrop m = DRAY__WORKER_DROP__INIT;
		struct sched_worker_view view;
		struct digest copy = *id;
		struct peer *p;

		sched_worker_get(w, &view);
		p = peer_by_serial(s, view.tag);
		if (!p || p->worker != w || !p->takes_toolchains || !offers(w, &view, id))
			continue;
		m.toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, copy.b };
		server_send(s, p, WIRE_WORKER_DROP, &m.base);
		n++;
	}
	return n;
}

int
toolchains_remove(struct server *s, const char *words, char *why, size_t n)
{
	struct named v;
	char what[256];
	unsigned workers = 0;
	int r = find(s->toolchains, words, false, &v, why, n);

	if (r < 0)
		return r;
	describe(&v, what, sizeof(what));
	for (size_t i = 0; i < v.n; i++) {
		struct seen *seen = find_seen(s->toolchains, &v.id[i]);

		workers += tell_to_drop(s, &v.id[i]);
		if (seen)
			seen->pushed = false;
	}
	if (workers == 0)
		return say(why, n, -ENOENT,
			"no worker that takes toolchains has %s: one that a worker has found is "
			"removed there",
			what);
	return say(why, n, 0,
		"%s: %u workers are told to drop it, where a client gave it; one that a worker has "
		"found stays",
		what, workers);
}
