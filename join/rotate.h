/* `dray key rotate` and `dray-worker rotate`: a node makes new keys, which come in the place of
 * those that it has.
 *
 * The new identity is in FILE.next until each coordinator has taken it; so one that was interrupted
 * goes on where it was. Invariant: FILE is the old identity or the new one, whole. */
#ifndef DRAY_JOIN_ROTATE_H
#define DRAY_JOIN_ROTATE_H

#include "common/base.h"

struct rotate_program {
	const char *name;    /* "dray key rotate" */
	const char *section; /* of the configuration: "client", "worker" */
	const char *note;    /* for those that have new keys */
};

#define ROTATE_ARGS "[OPTION]..."
#define ROTATE_OPTIONS                                                                        \
	"      --overlap SECONDS  for which the old key counts beside the new one, 3600\n"    \
	"      --stolen           somebody else has the old key: it is revoked at once, and " \
	"what\n"                                                                              \
	"                         it has signed counts no more\n"                             \
	"      --config FILE      read this configuration file instead of the default ones\n" \
	"      --wait SECONDS     for each coordinator, 15\n"                                 \
	"      --json             say what was done as one JSON object\n"                     \
	"  -h, --help             show this, and exit\n"

/* argv[0] is its name. An exit status: 0; 1: refused, or failed; 2: usage; 3: a coordinator does
 * not answer, or has another key. */
int rotate_main(const struct rotate_program *p, int argc, char **argv);

#endif
