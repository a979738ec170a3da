/* dray cache status, gc, verify and purge: what looks after the local cache, the coordinator's, and
 * the stores of the configuration that are directories; others cannot be listed, and it is said
 * what helps there.
 *
 * Each command tells of each place in one JSON object, which is also what its text is made of:
 *
 *   place    "local", "coordinator", or a store's URL without secrets
 *   dir      of the local cache
 *   mode     "rw", "ro"
 *   error    why nothing, or not all, could be done; null
 *   cannot   true: this is not done there; `error` says what helps
 *
 *   status   entries, outputs, bytes, max (of the local cache), results, damaged (entries that make
 *            no sense), later (entries of a later format), waiting (uploads), lists (of builds:
 *            they are no entries), and makers: a list of { namespace, kind, producer, name,
 *            results, believed: by this configuration and the coordinator, why }
 *            Of the coordinator's: endpoint, entries, outputs, bytes and max of all that this
 *            client's key may see, spaces: a list of { namespace, open, entries, outputs, bytes,
 *            max }, and vouched: whom it vouches for, a list of { key, kind, name, revoked }
 *   gc       before, after: { entries, outputs, bytes }
 *   verify   entries, results, outputs, bytes (looked at), damaged (entries and outputs), forged
 *            (results whose seal is wrong), lacking (results with outputs that are not there),
 *            untrusted (results that are not believed here), later, removed (of what is wrong)
 *   purge    results, entries (changed, or gone), outputs, bytes (removed)
 *
 * A store is changed where its list says rw, whatever remote_mode is: an admin asks for it. */
#ifndef DRAY_CLIENT_CMD_CACHE_TEND_H
#define DRAY_CLIENT_CMD_CACHE_TEND_H

#include <jansson.h>

#include "client/cmd/cmd.h"
#include "common/conf/conf.h"
#include "keys/trust.h"

enum tend_what { TEND_STATUS, TEND_GC, TEND_VERIFY, TEND_PURGE, TEND_N };

struct tend {
	enum tend_what what;
	struct conf *conf;
	struct trust trust; /* of trust_keys, and whom the coordinator vouches for */
	json_t *farm;	    /* what the coordinator says (farm_status.h); NULL: it was not asked */
	struct cmd_progress progress;
	/* gc */
	uint64_t max, unused_since_s;
	/* purge: all that are set have to be so; NULL, 0: not set */
	const char *namespace, *producer;
	uint64_t before_s;
};

/* argv[0]: one of the four words. Returns the exit status of dray cache: 1 if a place failed, or
 * verify found what is wrong. */
int tend_main(int argc, char **argv);
bool tend_is_command(const char *word);

/* tend_farm.c: asks the coordinator, if there is one, and adds those that it vouches for to
 * t->trust. */
void tend_ask_farm(struct tend *t);
/* Whether there is such a place, or it is not known. */
bool tend_has_farm(const struct tend *t);
/* tend_farm.c, tend_local.c, tend_dir.c: does it, and fills in *o. */
void tend_farm(struct tend *t, json_t *o);
void tend_local(struct tend *t, json_t *o);
struct store_url;
void tend_dir(struct tend *t, const struct store_url *u, bool read_only, json_t *o);

/* tend_tell.c: what is told of a place */
void tend_set(json_t *o, const char *key, uint64_t n);
void tend_add(json_t *o, const char *key, uint64_t n);
void tend_error(json_t *o, const char *fmt, ...) _printf_(2, 3);
/* One more result of that producer: 64 hex digits, or 40 characters, or "" for this machine. names:
 * the list that has its name. v: of the kind that it signs as; TRUST_VERDICTS: it is not known
 * whether it is believed. */
void tend_count_maker(const struct trust_keys *names, json_t *o, const char *namespace,
	const char *kind, const char *producer, enum trust_verdict v);

#endif
