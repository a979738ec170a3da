/* Sums over lines of the job log. Most units are small, so counts alone mislead: each count has a
 * sum of compile time beside it. */
#ifndef DRAY_CLIENT_SHOW_STATS_H
#define DRAY_CLIENT_SHOW_STATS_H

#include "client/show/jobs.h"

/* us: compile and link time, or that of a run; of hits, what they saved. */
struct stats_sum {
	uint64_t units, us; /* or runs */
};

#define STATS_NAME_MAX 64
#define STATS_GROUPS_MAX 48

/* Reasons that differ only in names and numbers are one group; past STATS_GROUPS_MAX, new ones are
 * "other". */
struct stats_group {
	char name[STATS_NAME_MAX];
	struct stats_sum sum;
};

struct stats_groups {
	struct stats_group g[STATS_GROUPS_MAX];
	size_t n;
};

enum stats_place { STATS_CACHE, STATS_FARM, STATS_LOCAL, STATS_PASSTHROUGH, STATS_PLACES };

/* Runs of build scripts. They are no units: what they took and saved is counted here alone. */
struct stats_runs {
	struct stats_sum all, failed;
	struct stats_sum hit, miss, off;
	struct stats_groups miss_why, off_why, not_stored;
	uint64_t lookup_us, restore_us, store_us;
};

/* Where hits came from: this disk, the coordinator, a store. */
#define STATS_TIER_MAX 256 /* of a name, which is a URL without secrets */
#define STATS_TIERS_MAX 32 /* past it, "other" */
#define STATS_DISK "disk"  /* the local cache's name; none of a store is so */
struct stats_tier {
	char name[STATS_TIER_MAX];
	uint64_t units, runs, saved_us; /* by both */
	uint64_t bytes;			/* that came over a network */
};

/* Stores that are shared: what units and runs had of them. */
struct stats_shared {
	struct stats_groups why; /* why nothing was taken */
	struct stats_groups not_shared;
	uint64_t wait_us, bytes, refused;
};

struct stats {
	uint64_t first_ms, last_ms; /* when lines were written; 0: there is none */
	struct stats_sum all, place[STATS_PLACES];
	struct stats_sum failed; /* without build scripts' trials */
	struct stats_sum hit, miss, off;
	struct stats_sum
		linked; /* of the hits those that had to be linked, with the time of that */
	struct stats_groups miss_why, linked_why, off_why, not_stored, not_on_farm;
	uint64_t lookup_us, restore_us, store_us;
	uint64_t bytes_restored, bytes_stored, bytes_sent, bytes_received; /* runs' as well */
	struct stats_runs runs;
	struct stats_shared shared;
	struct stats_tier tiers[STATS_TIERS_MAX];
	size_t n_tiers;
};

/* The job log's word for a place, and back: STATS_PLACES when it is none. */
const char *stats_place_name(enum stats_place p);
enum stats_place stats_place_of(const char *where);

/* The group of a reason: what is before a colon, a semicolon or a bracket, with "..." for names
 * (a path, a number, a word in quotes or in capitals). "a file changed: src/lib.rs" is "a file
 * changed", as is "/a/src/lib.rs changed"; "variable HOME is set" is "variable ... is set". */
void stats_group_name(const char *reason, char ret[STATS_NAME_MAX]);

/* Counts one unit, with its time, to the group of its reason. Empty: all zero. */
void stats_add_group(struct stats_groups *g, const char *reason, uint64_t us);
/* The group with the most time first, then the one with the most units. */
void stats_sort_groups(struct stats_groups *g);

/* Empty: all zero. */
void stats_add(struct stats *s, const struct job_line *j);
/* Whether nothing was counted. */
bool stats_is_empty(const struct stats *s);
/* What hits saved: of units and of runs. */
uint64_t stats_saved_us(const struct stats *s);
/* The groups, and tiers, with the most time first. */
void stats_sort(struct stats *s);

#endif
