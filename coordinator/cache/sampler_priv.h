/* What sampler.c and sampler_fair.c share. */
#ifndef DRAY_COORDINATOR_CACHE_SAMPLER_PRIV_H
#define DRAY_COORDINATOR_CACHE_SAMPLER_PRIV_H

#include "coordinator/cache/lender.h"
#include "coordinator/cache/sampled.h"
#include "coordinator/cache/sampler.h"

_Static_assert(SAMPLER_INSTANCE_SIZE == LENDER_INSTANCE_SIZE, "of one process");

enum state { ASKED, WAITING, RUNNING, AWAY };
/* Of a run. */
enum part { GIVEN, OPENED, COMPILES };

struct open_sample {
	struct sample m; /* first: the host has it */
	TAILQ_ENTRY(open_sample) link;
	struct lender *lender;
	struct sampled_client *client;
	struct panel panel;
	enum state state;
	enum part part;
	char avoid[SAMPLER_AVOID_MAX][CURVE_KEY_SIZE];
	size_t n_avoid;
	bool forgiven;	    /* runners that were not reached, or late, have been asked twice */
	bool accused;	    /* a runner says that its lender did not hand it over */
	unsigned unreached; /* runners that its lender did not reach, it says */
	unsigned late;	    /* runs that had no end */
	unsigned unmade;    /* runners where its compile failed */
	unsigned faults;    /* of runners */
	unsigned aways;	    /* its lender's connection was lost */
	uint64_t since_ms;  /* it waits, or is asked for */
	uint64_t run_ms, part_ms, again_ms;
	uint64_t nobody_ms;	   /* since when nobody could compile it; 0: somebody can */
	char pick[CURVE_KEY_SIZE]; /* who was drawn to run it next; "": nobody */
	uint64_t pick_ms;
};

TAILQ_HEAD(samples, open_sample);

struct sampler {
	struct sampler_host host;
	uint64_t every;
	struct samples samples;
	struct lenders lenders;
	struct sampled clients;
	struct sampler_stats stats;
	uint64_t ticked_ms;
};

/* ---- sampler_fair.c: which client's sample is next */

bool sample_is_doubted(const struct open_sample *o);
/* Of those that only wait the one that has to go, where one more is to come; l: of this lender;
 * NULL: of any. client: whose is to come. NULL: there is none. */
struct open_sample *fair_victim(struct sampler *s, const struct lender *l, const char *client);
/* Whether another one has its turn before it. */
bool fair_is_behind(const struct sampler *s, const struct open_sample *o);
/* Time has passed. Puts the samples in their turn. */
void fair_tick(struct sampler *s, uint64_t now);

#endif
