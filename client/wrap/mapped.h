/* Which units are compiled with mapped paths (paths = shared), and what is mapped of each: the
 * workspace and the target directory, of a member or a vendored package; the target directory
 * alone, of another package that may tell of it. */
#ifndef DRAY_CLIENT_WRAP_MAPPED_H
#define DRAY_CLIENT_WRAP_MAPPED_H

#include "common/conf.h"
#include "common/strv.h"
#include "rustc/call.h"
#include "rustc/mapping.h"

/* All zero before mapped_make. */
struct mapped {
	bool on;
	struct mapping mapping;
	char *workspace, *target_dir, *cargo_home;
	struct strv argv; /* the call's */
};

/* Where paths = shared, a unit is compiled with names that do not tell where it lies: every one
 * that can be, so that a unit is the same whether it was kept or not. True: *call is the mapped one
 * now, whose words are m->argv. False: it stays as it is. */
bool mapped_make(struct mapped *m, const struct conf *conf, struct rustc_call *call);
void mapped_done(struct mapped *m);

/* What a package is moved with: the nearest directory, from this one up, that has a Cargo.lock.
 * NULL: there is none, or no memory. The caller frees it. */
char *mapped_find_lock(const char *from);

#endif
