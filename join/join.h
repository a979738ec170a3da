/* `dray login` and `dray-worker join`: a node joins a farm by a token. What they have in common,
 * which is all but their names. */
#ifndef DRAY_JOIN_JOIN_H
#define DRAY_JOIN_JOIN_H

#include "common/base.h"

struct join_program {
	const char *name;     /* "dray login" */
	const char *section;  /* of the configuration: "client", "worker" */
	const char *identity; /* the default name of its identity's file */
	const char *note;     /* for those that have joined; "" */
};

#define JOIN_ARGS "[OPTION]... [[ENDPOINT] TOKEN]"
/* For a user. */
#define JOIN_ID_TOKEN                                                                           \
	"      --id-token FILE  by a token of OpenID Connect, as a CI gives one to each run;\n" \
	"                       TOKEN is the coordinator's public key then, or its file\n"
#define JOIN_OPTIONS                                                                               \
	"The coordinator's endpoint is like tcp://build.example:7420. The token may be -, and is " \
	"a\n"                                                                                      \
	"line of standard input then. Without an endpoint the coordinator with the token's key "   \
	"is\n"                                                                                     \
	"looked for on the network (Avahi); without both, those that are there are listed.\n\n"    \
	"      --name NAME      what admins see, where the token has no name; this machine's\n"    \
	"      --identity FILE  its keys, which are made if they are not there\n"                  \
	"      --config FILE    set the lines in this configuration file, instead of the\n"        \
	"                       default one\n"                                                     \
	"      --only           use this coordinator alone: the others of the configuration go;\n" \
	"                       else it is one more, tried after them\n"                           \
	"      --wait SECONDS   for the coordinator, 15\n"                                         \
	"      --print          print the lines of the configuration, and set none\n"              \
	"      --json           say what was done as one JSON object\n"                            \
	"  -h, --help           show this, and exit\n"

/* argv[0] is its name. An exit status: 0; 1: refused, or failed; 2: usage; 3: no coordinator
 * answers, or one with another key. */
int join_main(const struct join_program *p, int argc, char **argv);

#endif
