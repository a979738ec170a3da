/* What a node has of a farm on its own disk: its identity, the coordinator's public key, and the
 * lines of a configuration file that name both. Invariants: no keys are written over, nor is a
 * file of another coordinator's key; of a configuration file nothing is changed but these lines. */
#ifndef DRAY_JOIN_SETTLE_H
#define DRAY_JOIN_SETTLE_H

#include "common/conf/conf.h"
#include "common/conf/coordinators.h"
#include "keys/identity.h"

/* Which of the programs of a machine it is. */
struct settle {
	const char *section;  /* "client", "worker" */
	const char *identity; /* the default name of its identity's file */
	const struct conf *conf;
	const char *given_identity; /* by an option; NULL: as the configuration says */
	char *config, *dir;	    /* the file whose lines are set, and its directory */
	char *identity_path, *coordinator_path;
	bool only;		 /* it is to be the only coordinator */
	struct coordinators all; /* what the configuration names, of settle_coordinator */
	char *endpoints, *keys;	 /* of settle_lines */
	bool made;		 /* the identity is new */
};

/* Finds the files. 0; -errno, and why. */
int settle_begin(struct settle *s, char **ret_why);
void settle_done(struct settle *s);
/* The identity, made by that name if there is none. 0; -errno, and why. */
int settle_identity(struct settle *s, const char *name, struct identity *ret, char **ret_why);
/* Gives it the name that the farm knows it by, which a worker has to go by. 0; -errno, and why. */
int settle_name(struct settle *s, struct identity *id, const char *name, char **ret_why);
/* Writes the coordinator's key, unless the file in use has it. 0; -errno, and why. */
int settle_coordinator(struct settle *s, const struct identity *coordinator, char **ret_why);

/* A line that is to be: key and value, and what it was before ("": there was none). */
#define SETTLE_LINES 3
struct settle_line {
	const char *key, *value;
	char was[512];
	bool changed;
};
/* What the configuration has to say, for that endpoint, after settle_coordinator. Coordinators that
 * it names stay, unless `only` is set: this one takes the place of the one with its endpoint or its
 * key, or is one more, the last choice. 0; -errno, and why. */
int settle_lines(struct settle *s, const char *endpoint, struct settle_line ret[SETTLE_LINES],
	char **ret_why);
/* The same for one that was found on the network: where no endpoints are set the line becomes
 * `coordinator = auto`, and this one's key is one of its keys. */
int settle_lines_found(struct settle *s, const char *endpoint, struct settle_line ret[SETTLE_LINES],
	char **ret_why);
/* Sets those that are otherwise. 0; -errno, and why. */
int settle_write(const struct settle *s, struct settle_line lines[SETTLE_LINES], char **ret_why);

#endif
