/* Which linker a link on this machine uses. */
#ifndef DRAY_CLIENT_LINK_LINKER_H
#define DRAY_CLIENT_LINK_LINKER_H

#include "common/conf/conf.h"

struct linker_pick {
	const char *name; /* for the job log: mold, lld, rustc, project */
	const char *flag; /* to be appended to the C driver's arguments, or NULL */
};

/* argv: the linker call as rustc made it (argv[0]: the C driver); path: the PATH it runs with.
 * project: the project chose how to link, so nothing is added. A linker that was asked for but that
 * the C driver cannot use is not forced on it: then rustc's own choice stands. What the C driver
 * can use is remembered in cache_dir, keyed by the files' stat; one that did not answer within 10 s
 * is not used for an hour. */
void linker_pick(const struct conf *conf, bool project, char *const *argv, const char *path,
	struct linker_pick *ret);

/* Whether the C driver cc (a path) takes -fuse-ld=<name>, name being "mold" or "lld". */
bool linker_usable(const char *cache_dir, const char *cc, const char *name, const char *path);

/* The linker that a target's file (a path) names, by itself or by its flavour. 0; -ENOTSUP, with
 * why in *ret_why; -ENOMEM. The caller frees both. */
int linker_of_target(const char *path, char **ret, char **ret_why);

#endif
