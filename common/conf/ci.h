/* Which runs write to a shared store, by what a CI says of the run in its variables. It is a
 * default, for convenience: what enforces it is the store's credentials, and a producer's key that
 * only protected runs have. A run that sets these variables itself gains nothing that it could not
 * do otherwise. */
#ifndef DRAY_COMMON_CONF_CI_H
#define DRAY_COMMON_CONF_CI_H

#include "common/base.h"

enum ci_kind { CI_NONE, CI_GITHUB, CI_GITLAB, CI_OTHER };

enum ci_mode {
	CI_MODE_RO,  /* the store is read */
	CI_MODE_OWN, /* it is read, and what is made goes below `prefix` alone, which is read first
		      */
	CI_MODE_RW   /* it is read and written, as far as the configuration says so */
};

struct ci {
	enum ci_kind kind;
	enum ci_mode mode;
	char prefix[32]; /* CI_MODE_OWN: "pr/123", "mr/123": letters, '/' and digits */
	const char *why; /* for `dray doctor`: a clause that begins with no capital */
};

/* By the environment alone (NULL at its end):
 *
 *   GitHub   push, schedule, workflow_dispatch of a protected ref: rw; pull_request: own; else ro
 *   GitLab   a merge request: own; a protected ref: rw; else ro
 *   another  ro
 *   none     ro
 *
 * An event that may run a stranger's changes with the rights of the repository
 * (pull_request_target, workflow_run, comments) is never rw, whatever the ref. */
void ci_find(char *const *envp, struct ci *ret);

/* A list of stores (`store` in dray.conf) as CI_MODE_OWN has it: before each place that may be
 * written comes the one below the prefix, which is (`own`), and the place itself is only read. A
 * list of too many places is read, and no more. *ret is the caller's. 0 or -ENOMEM. */
int ci_own_stores(const char *stores, const char *prefix, char **ret);

#endif
