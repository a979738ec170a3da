/* Between looking up (cached.c) and keeping (cached_keep.c). */
#ifndef DRAY_CLIENT_CACHED_PRIV_H
#define DRAY_CLIENT_CACHED_PRIV_H

#include "cache/depot.h"
#include "cache/entry.h"
#include "cache/key.h"
#include "client/cached.h"
#include "common/toolchain.h"

struct cached {
	struct cached_in in;
	struct depot *depot;
	struct toolchain tc;
	char *cwd, *out_dir, *real_out_dir;
	const char *width;
	struct unit_key key;
	struct strv env; /* the hermetic one */
	struct inputs_place place;
	int lock; /* of the key, or -1 */
	struct strv trace_options, dirs;
	struct timespec started;
};

/* The entry as it is on disk now; empty when there is none that holds. 0 or -ENOMEM. */
int cached_read_entry(struct cached *c, struct entry *ret);
/* The last recipe of what seems to be the same unit, NUL-terminated strings. -ENOENT. */
int cached_former_recipe(struct cached *c, struct strv *ret);
/* DEPOT_SHARE for what nobody changes in place. */
enum depot_way cached_way(const char *name);
void cached_note_recipe(struct cached *c);
void cached_why(struct cached_said *said, const char *fmt, ...) _printf_(2, 3);

#endif
