/* The checks of dray doctor, a file for each subject. A check says what it finds by doctor_say, in
 * one line or more; what it cannot find out is "bad" with its reason, never left out. */
#ifndef DRAY_CLIENT_CMD_DOCTOR_DOCTOR_H
#define DRAY_CLIENT_CMD_DOCTOR_DOCTOR_H

#include <jansson.h>

#include "common/conf/conf.h"
#include "memo/memo.h"

enum finding { GOOD, NOTE, BAD };

struct doctor {
	bool json;
	bool any_bad;
	json_t *list;
	struct conf *conf;
	struct memo *memo;
	const char *compiler;
	bool giving;	/* the toolchain is being given to the farm */
	json_t *status; /* what the farm said; NULL: it could not be asked */
	char *key_line; /* what lets this client in, in allowed-keys; NULL: it has no key */
};

static inline bool
is_set(const char *s)
{
	return s && *s;
}

/* A line: what was checked, in one or two words, and a sentence on it. */
void doctor_say(struct doctor *d, enum finding f, const char *check, const char *fmt, ...)
	_printf_(4, 5);

/* ---- settings.c */

void doctor_check_files(struct doctor *d);
void doctor_check_variables(struct doctor *d);
/* Sets d->conf. False: it cannot be read, and nothing else can be checked. */
bool doctor_check_conf(struct doctor *d);
void doctor_check_programs(struct doctor *d);
void doctor_check_wrapper(struct doctor *d);
void doctor_check_job_log(struct doctor *d);

/* ---- cache.c */

/* Whether its directory can be used: by this user, or by a group's members. */
bool doctor_check_cache(struct doctor *d);
bool doctor_check_shared_cache(struct doctor *d);
void doctor_check_cache_use(struct doctor *d, bool usable);

/* ---- tracing.c */

void doctor_check_tracer(struct doctor *d);
void doctor_check_scripts(struct doctor *d);

/* ---- tools.c */

void doctor_check_priming(struct doctor *d);
void doctor_check_toolchain(struct doctor *d);
void doctor_check_linker(struct doctor *d);
void doctor_check_sandbox(struct doctor *d);
void doctor_check_job_users(struct doctor *d);

/* ---- discovery.c */

/* Where coordinator is auto: what the network has. */
void doctor_check_discovery(struct doctor *d);

/* ---- farm.c */

/* Sets d->key_line. */
void doctor_check_identity(struct doctor *d);
/* Sets d->status. */
void doctor_check_farm(struct doctor *d);

/* ---- stores.c */

/* Whose results are taken, the key that signs here, and each store by a probe (probe.h). */
void doctor_check_stores(struct doctor *d);

#endif
