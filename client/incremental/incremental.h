/* Calls with -C incremental: makes the same call without it, and tells whether there is a state to
 * continue from.
 *
 * rustc keeps a state in <incremental>/<crate>-<id>/s-…, where the id is made of the crate's name,
 * -C metadata and the compiler's version (rustc_incremental::persist::fs). Only of states that dray
 * made is it known which unit an id belongs to. */
#ifndef DRAY_CLIENT_WRAP_INCREMENTAL_H
#define DRAY_CLIENT_WRAP_INCREMENTAL_H

#include "memo/memo.h"
#include "rustc/call.h"

/* The call without -C incremental. argv gets its words, and must live as long as *ret. 0; -ENOMEM;
 * -EINVAL: there is no such call (with an @file). */
int incremental_plain(const struct rustc_call *call, struct strv *argv, struct rustc_call *ret);

/* By its name alone: whether it is a state of the unit's crate; a session in one that came to its
 * end, since others are named …-working. */
bool incremental_is_state(const struct rustc_call *call, const char *name);
bool incremental_is_session(const char *name);
/* Whether the unit's crate has a finished state here. The state of a unit of the same name counts,
 * unless it is known to be another unit's. */
bool incremental_has_state(const struct rustc_call *call, struct memo *m);
/* Whether the unit was made in this out-dir before: its dep-info is there. Then this compile is of
 * an edit, and others will follow. */
bool incremental_is_rebuild(const struct rustc_call *call);
/* Notes that this state, a directory in the call's, is this unit's. */
void incremental_note_state(const struct rustc_call *call, struct memo *m, const char *name);

#endif
