/* Which units are compiled with mapped paths (paths = shared), and what is mapped of each: cargo's
 * home, the target directory, the library's sources; and of a member or a vendored package the
 * workspace. */
#ifndef DRAY_CLIENT_WRAP_MAPPED_H
#define DRAY_CLIENT_WRAP_MAPPED_H

#include "common/conf/conf.h"
#include "common/strv.h"
#include "memo/memo.h"
#include "rustc/call.h"
#include "rustc/mapping.h"

/* All zero before mapped_make. */
struct mapped {
	bool on;
	struct mapping mapping;
	char *workspace, *target_dir, *cargo_home, *sources, *sources_name;
	struct strv argv; /* the call's */
};

/* Where paths = shared, a unit is compiled with names that do not tell where it lies: every one
 * that can be, so that a unit is the same whether it was kept or not. memo may be NULL: the
 * library's sources are not mapped then. True: *call is the mapped one now, whose words are
 * m->argv. False: it stays as it is. */
bool mapped_make(
	struct mapped *m, const struct conf *conf, struct memo *memo, struct rustc_call *call);
void mapped_done(struct mapped *m);

/* What a package is moved with: the nearest directory, from this one up, that has a Cargo.lock.
 * NULL: there is none, or no memory. The caller frees it. */
char *mapped_find_lock(const char *from);

#endif
