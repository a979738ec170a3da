/* Sums over lines of the job log. */
#include "config.h"

#include <stdio.h>

#include "client/show/stats.h"

#define GAP "..."

static const char *const place_names[STATS_PLACES] = { "cache", "farm", "local", "passthrough" };

const char *
stats_place_name(enum stats_place p)
{
	return p < STATS_PLACES ? place_names[p] : "";
}

enum stats_place
stats_place_of(const char *where)
{
	unsigned p;

	for (p = 0; p < STATS_PLACES && !streq(place_names[p], where); p++)
		;
	return p;
}

static bool
is_upper(unsigned char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool
is_letter(unsigned char c)
{
	return is_upper(c) || (c >= 'a' && c <= 'z');
}

/* Whether a word stands for something particular: all but plain words, "=", "+" and "-". */
static bool
is_name(const char *word, size_t n)
{
	size_t letters = 0, capitals = 0, i;

	if (n == 1 && strchr("=+-", *word))
		return false;
	for (i = 0; i < n; i++) {
		letters += is_letter((unsigned char)word[i]);
		capitals += is_upper((unsigned char)word[i]);
		/* within a word: "non-UTF", "compiler's" */
		if (!is_letter((unsigned char)word[i]) && (i == 0 || !strchr("-',", word[i])))
			return true;
	}
	return capitals == letters && letters > 1;
}

/* One word more; a second gap in a row is left out. False: it does not fit. */
static bool
add_word(char *group, size_t *n, const char *word, size_t len)
{
	bool gap = is_name(word, len);

	if (gap) {
		if (*n >= strlen(GAP) && streq(group + *n - strlen(GAP), GAP))
			return true;
		word = GAP;
		len = strlen(GAP);
	}
	if (*n + 1 + len >= STATS_NAME_MAX)
		return false;
	if (*n)
		group[(*n)++] = ' ';
	memcpy(group + *n, word, len);
	*n += len;
	group[*n] = '\0';
	return true;
}

/* How long the quoted text at s is, with its quotes; 0: there is none. */
static size_t
quoted(const char *s)
{
	const char *end = strchr("`\"'", *s) ? strchr(s + 1, *s) : NULL;

	return end ? (size_t)(end - s) + 1 : 0;
}

/* Words up to what ends a group; where that is. */
static const char *
add_part(const char *s, char *group)
{
	size_t n = 0, len;

	*group = '\0';
	for (; *s; s += len) {
		s += strspn(s, " \t\r\n");
		if (strchr(":;(,", *s)) /* the end, too */
			break;
		len = quoted(s);
		if (!len) {
			len = strcspn(s, " \t\r\n");
			while (len > 1 && strchr(":;,.)", s[len - 1]))
				len--;
		}
		if (!add_word(group, &n, s, len))
			break;
		/* what the word ended with */
		if (s[len] == '.')
			s++;
	}
	return s;
}

/* "src/my lib.rs changed": what became of a file is the same whatever it is called. */
static const char *
file_group(const char *reason)
{
	static const struct {
		const char *end, *group;
	} ends[] = {
		{ " changed", "a file changed" },
		{ " is gone", "a file is gone" },
		{ " is new", "a file is new" },
		{ " is a file now", "a directory is a file now" },
		{ " has other files", "a directory has other files" },
		{ " is no symbolic link now", "a symbolic link leads elsewhere" },
		{ " leads elsewhere", "a symbolic link leads elsewhere" },
	};
	const char *sep = strpbrk(reason, "/.");

	/* an option of the key begins with a dash, and a variable is called one */
	if (*reason == '-' || !sep || (*reason != '/' && sep > reason + strcspn(reason, " ")))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (ends_with(reason, ends[i].end))
			return ends[i].group;
	return NULL;
}

void
stats_group_name(const char *reason, char ret[STATS_NAME_MAX])
{
	const char *file = file_group(reason);

	if (file) {
		snprintf(ret, STATS_NAME_MAX, "%s", file);
		return;
	}
	do {
		reason = add_part(reason, ret);
		/* "worker-1: it is gone", "farm: no worker is connected": what comes first says
		 * nothing
		 */
	} while ((!*ret || streq(ret, GAP) || (streq(ret, "farm") && *reason == ':')) && *reason &&
		 *++reason);
	if (!*ret || streq(ret, GAP))
		memcpy(ret, "other", sizeof("other"));
}

static void
add_sum(struct stats_sum *s, uint64_t us)
{
	s->units++;
	s->us += us;
}

static void
add_named(struct stats_groups *g, const char name[STATS_NAME_MAX], uint64_t us)
{
	size_t i;

	for (i = 0; i < g->n && !streq(g->g[i].name, name); i++)
		;
	if (i == STATS_GROUPS_MAX)
		i--;
	if (i == g->n) {
		g->n++;
		memcpy(g->g[i].name, i == STATS_GROUPS_MAX - 1 ? "other" : name,
			i == STATS_GROUPS_MAX - 1 ? sizeof("other") : STATS_NAME_MAX);
	}
	add_sum(&g->g[i].sum, us);
}

void
stats_add_group(struct stats_groups *g, const char *reason, uint64_t us)
{
	char name[STATS_NAME_MAX] = "no reason given";

	if (*reason)
		stats_group_name(reason, name);
	add_named(g, name, us);
}

/* "STORE: why" as "why": the same happens in each. */
static const char *
behind_store(const char *why)
{
	const char *behind = strstr(why, ": ");

	return behind ? behind + 2 : why;
}

static struct stats_tier *
tier_of(struct stats *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n_tiers && strncmp(s->tiers[i].name, name, STATS_TIER_MAX - 1) != 0; i++)
		;
	if (i == STATS_TIERS_MAX)
		return &s->tiers[STATS_TIERS_MAX - 1];
	if (i == s->n_tiers) {
		s->n_tiers++;
		snprintf(s->tiers[i].name, STATS_TIER_MAX, "%s",
			i == STATS_TIERS_MAX - 1 ? "other" : name);
	}
	return &s->tiers[i];
}

static void
add_tier(struct stats *s, const struct job_line *j, uint64_t us)
{
	struct stats_tier *t;

	if (!job_is_hit(j))
		return;
	t = tier_of(s, job_is_shared(j) ? j->tier : STATS_DISK);
	t->units += !job_is_run(j);
	t->runs += job_is_run(j);
	t->saved_us += us;
	t->bytes += job_is_shared(j) ? j->shared_bytes : 0;
}

static void
add_shared(struct stats_shared *s, const struct job_line *j, uint64_t us)
{
	s->wait_us += j->shared_us;
	s->bytes += j->shared_bytes;
	s->refused += j->refused;
	if (*j->shared_why)
		stats_add_group(&s->why, behind_store(j->shared_why), us);
	if (*j->not_shared)
		stats_add_group(&s->not_shared, j->not_shared, us);
}

static void
add_cache(struct stats *s, const struct job_line *j, uint64_t us)
{
	s->lookup_us += j->lookup_us;
	s->restore_us += j->restore_us;
	s->store_us += j->store_us;
	if (job_is_hit(j)) {
		add_sum(&s->hit, us);
		s->bytes_restored += j->cache_bytes;
		if (job_is_bundle(j)) {
			add_sum(&s->linked, j->link_us);
			stats_add_group(&s->linked_why, j->cache_why, j->link_us);
		}
	} else if (streq(j->cache, "miss")) {
		add_sum(&s->miss, us);
		stats_add_group(&s->miss_why, j->cache_why, us);
		s->bytes_stored += j->cache_bytes;
	} else if (streq(j->cache, "off")) {
		add_sum(&s->off, us);
		stats_add_group(&s->off_why, j->cache_why, us);
	}
	if (*j->not_stored)
		stats_add_group(&s->not_stored, j->not_stored, us);
}

static void
add_run(struct stats *s, const struct job_line *j, uint64_t us)
{
	struct stats_runs *r = &s->runs;

	add_sum(&r->all, us);
	if (j->exit_status != 0)
		add_sum(&r->failed, us);
	r->lookup_us += j->lookup_us;
	r->restore_us += j->restore_us;
	r->store_us += j->store_us;
	if (job_is_hit(j)) {
		add_sum(&r->hit, us);
		s->bytes_restored += j->cache_bytes;
	} else if (streq(j->cache, "miss")) {
		add_sum(&r->miss, us);
		stats_add_group(&r->miss_why, j->cache_why, us);
		s->bytes_stored += j->cache_bytes;
	} else {
		add_sum(&r->off, us);
		stats_add_group(&r->off_why, j->cache_why, us);
	}
	if (*j->not_stored)
		stats_add_group(&r->not_stored, j->not_stored, us);
}

void
stats_add(struct stats *s, const struct job_line *j)
{
	enum stats_place place = stats_place_of(j->where);
	uint64_t us = job_is_hit(j) ? j->saved_us : job_cost_us(j);

	if (streq(j->kind, "probe") || place == STATS_PLACES)
		return;
	/* a clock may have been set back meanwhile */
	s->first_ms = stats_is_empty(s) ? j->time_ms : MIN2(s->first_ms, j->time_ms);
	s->last_ms = MAX2(s->last_ms, j->time_ms);
	add_shared(&s->shared, j, us);
	add_tier(s, j, us);
	if (job_is_run(j)) {
		add_run(s, j, us);
		return;
	}
	add_sum(&s->all, us);
	add_sum(&s->place[place], us);
	if (j->exit_status != 0 && !job_is_trial(j))
		add_sum(&s->failed, us);
	if (place == STATS_LOCAL || place == STATS_PASSTHROUGH)
		stats_add_group(&s->not_on_farm, j->why, us);
	add_cache(s, j, us);
	s->bytes_sent += j->bytes_sent;
	s->bytes_received += j->bytes_received;
}

bool
stats_is_empty(const struct stats *s)
{
	return !s->all.units && !s->runs.all.units;
}

uint64_t
stats_saved_us(const struct stats *s)
{
	return s->hit.us + s->runs.hit.us;
}

static int
by_time(const void *a, const void *b)
{
	const struct stats_group *x = a, *y = b;

	if (x->sum.us != y->sum.us)
		return x->sum.us < y->sum.us ? 1 : -1;
	if (x->sum.units != y->sum.units)
		return x->sum.units < y->sum.units ? 1 : -1;
	return strcmp(x->name, y->name);
}

void
stats_sort_groups(struct stats_groups *g)
{
	qsort(g->g, g->n, sizeof(g->g[0]), by_time);
}

static int
by_saved(const void *a, const void *b)
{
	const struct stats_tier *x = a, *y = b;

	if (x->saved_us != y->saved_us)
		return x->saved_us < y->saved_us ? 1 : -1;
	return strcmp(x->name, y->name);
}

void
stats_sort(struct stats *s)
{
	qsort(s->tiers, s->n_tiers, sizeof(s->tiers[0]), by_saved);
	stats_sort_groups(&s->miss_why);
	stats_sort_groups(&s->linked_why);
	stats_sort_groups(&s->off_why);
	stats_sort_groups(&s->not_stored);
	stats_sort_groups(&s->not_on_farm);
	stats_sort_groups(&s->shared.why);
	stats_sort_groups(&s->shared.not_shared);
	stats_sort_groups(&s->runs.miss_why);
	stats_sort_groups(&s->runs.off_why);
	stats_sort_groups(&s->runs.not_stored);
}
