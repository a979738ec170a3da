/* The critical path.
 *
 * Invariant: each step back goes to a unit that began earlier, so the walk ends, whatever the log
 * says; and a unit is found by binary search, so it is fast. */
#include "config.h"

#include <ctype.h>
#include <errno.h>

#include "client/show/critical.h"
#include "client/show/lanes.h"
#include "common/log/unit_id.h"

/* cargo starts what is ready in less, where there is a slot. */
#define READY_US 20000

/* Where units are found by a name: by the id, build scripts by the package as well, and runs by
 * what their package links. */
struct key {
	char name[UNIT_ID_SIZE];
	uint64_t from_us;
	size_t unit;
};

struct keys {
	struct key *k;
	size_t n;
};

/* How long as many units ran as ever: up to at_us, so long. Steps in the order of time. */
struct full {
	uint64_t at_us, sum_us;
};

struct find {
	const struct critical_unit *units;
	size_t n;
	struct keys ids, scripts, links;
	struct full *full;
	size_t n_full;
};

static void
find_done(struct find *f)
{
	free(f->ids.k);
	free(f->scripts.k);
	free(f->links.k);
	free(f->full);
}

/* ---- names */

static int
by_name(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	if (c)
		return c;
	if (x->from_us != y->from_us)
		return x->from_us < y->from_us ? -1 : 1;
	return x->unit < y->unit ? -1 : x->unit > y->unit;
}

static void
package_name(const char *package, char ret[UNIT_ID_SIZE])
{
	size_t n = MIN2(strlen(package), (size_t)UNIT_ID_SIZE - 1);

	memcpy(ret, package, n);
	ret[n] = '\0';
}

/* "zstd-sys" is ZSTD_SYS in the names of variables. */
static void
links_name(const char *links, char ret[UNIT_ID_SIZE])
{
	package_name(links, ret);
	for (char *p = ret; *p; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
}

static void
add_key(struct keys *to, const struct key *k)
{
	if (*k->name)
		to->k[to->n++] = *k;
}

static int
fill_keys(struct find *f)
{
	struct keys *all[] = { &f->ids, &f->scripts, &f->links };

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		all[i]->k = calloc(f->n + 1, sizeof(*all[i]->k));
		if (!all[i]->k)
			return -ENOMEM;
	}
	for (size_t i = 0; i < f->n; i++) {
		const struct critical_unit *u = &f->units[i];
		struct key k = { .from_us = u->from_us, .unit = i };

		if (u->left_out)
			continue;
		unit_id(u->stem, strlen(u->stem), k.name);
		add_key(&f->ids, &k);
		package_name(u->package, k.name);
		if (u->script)
			add_key(&f->scripts, &k);
		links_name(u->links ? u->links : "", k.name);
		if (u->run)
			add_key(&f->links, &k);
	}
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		qsort(all[i]->k, all[i]->n, sizeof(*all[i]->k), by_name);
	return 0;
}

/* The one of that name that began last before `before`; NULL: none. */
static const struct critical_unit *
lookup(const struct find *f, const struct keys *keys, const char *name, uint64_t before)
{
	size_t low = 0, high = keys->n;

	/* the first key behind it */
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(keys->k[mid].name, name);

		if (c < 0 || (c == 0 && keys->k[mid].from_us < before))
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || !streq(keys->k[low - 1].name, name))
		return NULL;
	return &f->units[keys->k[low - 1].unit];
}

/* ---- how full it was */

struct change {
	uint64_t at_us;
	int by;
};

static int
by_time(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	return x->by - y->by;
}

static size_t
fill_changes(const struct find *f, struct change *changes)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct critical_unit *u = &f->units[i];

		if (u->left_out || u->to_us <= u->from_us)
			continue;
		changes[n++] = (struct change){ u->from_us, 1 };
		changes[n++] = (struct change){ u->to_us, -1 };
	}
	qsort(changes, n, sizeof(*changes), by_time);
	return n;
}

static int
fill_full(struct find *f)
{
	_cleanup_(freep) struct change *changes = calloc(2 * f->n + 1, sizeof(*changes));
	long now = 0, most = 0;
	uint64_t sum = 0;
	size_t n;

	f->full = calloc(2 * f->n + 1, sizeof(*f->full));
	if (!changes || !f->full)
		return -ENOMEM;
	n = fill_changes(f, changes);
	for (size_t i = 0; i < n; i++) {
		now += changes[i].by;
		most = MAX2(most, now);
	}
	now = 0;
	for (size_t i = 0; i < n; i++) {
		if (i && now == most)
			sum += changes[i].at_us - changes[i - 1].at_us;
		f->full[f->n_full++] = (struct full){ changes[i].at_us, sum };
		now += changes[i].by;
	}
	return 0;
}

static uint64_t
full_until(const struct find *f, uint64_t us)
{
	size_t low = 0, high = f->n_full;
	const struct full *a;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (f->full[mid].at_us <= us)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return 0;
	a = &f->full[low - 1];
	/* within a stretch that is full as a whole */
	if (low < f->n_full && f->full[low].sum_us > a->sum_us)
		return a->sum_us + (us - a->at_us);
	return a->sum_us;
}

static bool
mostly_full(const struct find *f, uint64_t from, uint64_t to)
{
	return to > from && full_until(f, to) - full_until(f, from) > (to - from) / 2;
}

/* ---- what a unit waited for */

struct waited {
	const struct critical_unit *unit; /* NULL: nothing */
	enum critical_need need;
	uint64_t at_us; /* it was there */
};

/* When `u` had what it needs of `dep`, which began before it. */
static struct waited
had(const struct critical_unit *u, const struct critical_unit *dep)
{
	bool known = dep->rmeta_us > dep->from_us && dep->rmeta_us <= u->from_us;

	if (dep->to_us > u->from_us)
		/* only metadata can have been there; if nothing tells when, just in time */
		return (struct waited){ dep, CRITICAL_METADATA,
			known ? dep->rmeta_us : u->from_us };
	if (u->pipelined && known)
		return (struct waited){ dep, CRITICAL_METADATA, MIN2(dep->rmeta_us, dep->to_us) };
	return (struct waited){ dep, CRITICAL_ALL, dep->to_us };
}

static void
take_later(struct waited *best, struct waited c)
{
	if (!best->unit || c.at_us > best->at_us ||
		(c.at_us == best->at_us && c.unit->from_us > best->unit->from_us))
		*best = c;
}

/* Of what its externs name. *ret_run: one of these is a run. */
static struct waited
wait_for_externs(const struct find *f, const struct critical_unit *u, bool *ret_run)
{
	struct waited best = { NULL, CRITICAL_NOTHING, 0 };
	const struct critical_unit *dep;
	char name[UNIT_ID_SIZE];

	*ret_run = false;
	for (const char *p = u->externs + strspn(u->externs, " "); *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		/* a longer one has been made by nobody */
		if (n < sizeof(name)) {
			memcpy(name, p, n);
			name[n] = '\0';
			dep = lookup(f, &f->ids, name, u->from_us);
			if (dep)
				take_later(&best, had(u, dep));
			*ret_run |= dep && dep->run;
		}
		p += n;
	}
	return best;
}

/* Of the runs that gave it its DEP_ variables: in LINKS_KEY both parts may have a '_'. */
static void
wait_for_runs(const struct find *f, const struct critical_unit *u, struct waited *best)
{
	char name[UNIT_ID_SIZE];

	for (const char *p = u->deps + strspn(u->deps, " "); *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		for (size_t k = 1; k < MIN2(n, sizeof(name)); k++) {
			const struct critical_unit *dep;

			if (p[k] != '_')
				continue;
			memcpy(name, p, k);
			name[k] = '\0';
			dep = lookup(f, &f->links, name, u->from_us);
			if (dep && dep->to_us <= u->from_us)
				take_later(best, had(u, dep));
		}
		p += n;
	}
}

static struct waited
choose(const struct find *f, const struct critical_unit *u)
{
	const struct critical_unit *dep;
	char name[UNIT_ID_SIZE];
	struct waited best;
	uint64_t since;
	bool run;

	best = wait_for_externs(f, u, &run);
	if (u->run && u->deps)
		wait_for_runs(f, u, &best);
	if (u->script || run || !*u->package)
		return best;
	package_name(u->package, name);
	dep = lookup(f, &f->scripts, name, u->from_us);
	if (!dep || dep->to_us > u->from_us)
		return best;
	if (u->run) {
		take_later(&best, had(u, dep));
		return best;
	}
	/* its run ends at an unknown time. If all else was there, and a slot, it was that. */
	since = MAX2(best.unit ? best.at_us : 0, dep->to_us);
	if (!best.unit || dep->to_us >= best.at_us ||
		(u->from_us - since > READY_US && !mostly_full(f, since, u->from_us)))
		best = (struct waited){ dep, CRITICAL_SCRIPT, dep->to_us };
	return best;
}

/* ---- the walk */

static const struct critical_unit *
last_unit(const struct find *f)
{
	const struct critical_unit *last = NULL;

	for (size_t i = 0; i < f->n; i++) {
		const struct critical_unit *u = &f->units[i];

		if (!u->left_out &&
			(!last || u->to_us > last->to_us ||
				(u->to_us == last->to_us && u->from_us > last->from_us)))
			last = u;
	}
	return last;
}

static uint64_t
first_begin(const struct find *f)
{
	uint64_t begin = UINT64_MAX;

	for (size_t i = 0; i < f->n; i++)
		if (!f->units[i].left_out)
			begin = MIN2(begin, f->units[i].from_us);
	return begin;
}

static enum critical_gap
gap_of(const struct find *f, enum critical_need need, uint64_t from, uint64_t to)
{
	if (need == CRITICAL_SCRIPT)
		return CRITICAL_GAP_SCRIPT;
	return mostly_full(f, from, to) ? CRITICAL_GAP_SLOT : CRITICAL_GAP_CARGO;
}

/* Whether any unit tells what it is: lines of an older dray do not. */
static bool
tells(const struct find *f)
{
	size_t i;

	for (i = 0; i < f->n && (f->units[i].left_out || !*f->units[i].stem); i++)
		;
	return i < f->n;
}

static int
walk(const struct find *f, struct critical *c)
{
	const struct critical_unit *u = last_unit(f);
	uint64_t begin = first_begin(f), until;
	size_t n = 0;

	c->steps = calloc(f->n + 1, sizeof(*c->steps));
	if (!c->steps)
		return -ENOMEM;
	c->whole_us = u->to_us - begin;
	for (until = u->to_us; u; n++) {
		struct waited before = choose(f, u);
		uint64_t at = before.unit ? before.at_us : begin;

		c->steps[n] = (struct critical_step){ .unit = (size_t)(u - f->units),
			.need = before.need,
			.gap = gap_of(f, before.need, at, u->from_us),
			.gap_us = u->from_us - at,
			.from_us = u->from_us,
			.to_us = until };
		until = at;
		u = before.unit;
	}
	c->n = n;
	for (size_t i = 0; i < n / 2; i++) {
		struct critical_step s = c->steps[i];

		c->steps[i] = c->steps[n - 1 - i];
		c->steps[n - 1 - i] = s;
	}
	return 0;
}

int
critical_find(const struct critical_unit *units, size_t n, struct critical *ret)
{
	_cleanup_(find_done) struct find f = { .units = units, .n = n };
	struct critical c = { 0 };
	int r = fill_keys(&f);

	if (r == 0)
		r = fill_full(&f);
	if (r == 0 && tells(&f))
		r = walk(&f, &c);
	if (r == 0)
		*ret = c;
	return r;
}

int
critical_of_jobs(const struct job_line *jobs, size_t n, struct critical *ret)
{
	_cleanup_(freep) struct critical_unit *units = calloc(n + 1, sizeof(*units));
	_cleanup_(lanes_done) struct lanes l = { 0 };
	int r = units ? lanes_make(jobs, n, 0, &l) : -ENOMEM;

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		const struct job_line *j = l.units[i].job;
		uint64_t from = l.units[i].from_us;

		units[j - jobs] = (struct critical_unit){ .stem = j->unit,
			.externs = j->externs,
			.package = j->package,
			.links = j->links,
			.deps = j->deps,
			.script = streq(j->kind, "build-script"),
			.run = job_is_run(j),
			.pipelined = streq(j->kind, "lib") || streq(j->kind, "check"),
			/* the launcher runs the script once dray has ended */
			.left_out = job_is_trial(j) ||
				    (job_is_run(j) && streq(j->where, "passthrough")),
			.from_us = from,
			.to_us = l.units[i].to_us,
			.rmeta_us = j->rmeta_us > j->start_us && j->rmeta_us <= j->end_us
					    ? from + (j->rmeta_us - j->start_us)
					    : 0 };
	}
	return critical_find(units, n, ret);
}

void
critical_done(struct critical *c)
{
	free(c->steps);
	memset(c, 0, sizeof(*c));
}

/* ---- of a path */

uint64_t
critical_part_us(const struct critical_step *s)
{
	return s->to_us - s->from_us;
}

static int
longest_first(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? 1 : *x > *y ? -1 : 0;
}

int
critical_least(const struct critical *c, size_t max, uint64_t *ret_us)
{
	_cleanup_(freep) uint64_t *parts = NULL;

	*ret_us = 0;
	if (c->n <= max)
		return 0;
	parts = calloc(c->n, sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	for (size_t i = 0; i < c->n; i++)
		parts[i] = critical_part_us(&c->steps[i]);
	qsort(parts, c->n, sizeof(*parts), longest_first);
	*ret_us = parts[max - 1];
	return 0;
}

const char *
critical_gap_name(enum critical_gap gap)
{
	static const char *const names[] = { "cargo", "build script", "free slot" };

	return names[gap];
}

const char *
critical_need_name(enum critical_need need)
{
	static const char *const names[] = { "nothing", "metadata", "all", "build script" };

	return names[need];
}
