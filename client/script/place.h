/* Where a build script runs, and how what it makes tells of that. */
#ifndef DRAY_CLIENT_SCRIPT_PLACE_H
#define DRAY_CLIENT_SCRIPT_PLACE_H

#include "cache/inputs.h"
#include "common/buf.h"
#include "common/strv.h"

/* Whether the file's bytes hold the target directory's path, by either of its names. 1, 0 or
 * -errno. */
int place_is_named(const struct inputs_place *p, const char *path);
/* How relative paths tell of the place: the way from the script's directory to the profile's, the
 * one back from OUT_DIR, and the script's directory in the profile's, below whatever it is reached
 * from. A text with one of them holds for this place alone. */
struct place_ways {
	char *v[3];
	size_t n;
	size_t n_there; /* without the one back, which is the last */
	bool mapped;	/* its C compilers were told how to name the place (place_maps) */
};
/* 0 or -ENOMEM. */
int place_ways_find(const struct inputs_place *p, const char *cwd, struct place_ways *ret);
void place_ways_done(struct place_ways *w);
/* Whether a text in which marks stand for whole paths has one of them. */
bool place_ways_in(const struct place_ways *w, const struct buf *hidden);
/* Whether the file's bytes have one, or name the place (place_is_named): most files have neither,
 * and are read once. 1; PLACE_TOLD_UNIT: it does so by the names of place_maps alone, so that only
 * the way from the target directory to OUT_DIR counts; 0; -errno. */
#define PLACE_TOLD_UNIT 2
int place_is_told(const struct inputs_place *p, const struct place_ways *w, const char *path);
/* The environment with marks, for inputs_place.marked: without what differs from run to run: the
 * jobserver, NUM_JOBS, in LD_LIBRARY_PATH what lies in the target directory. Adds to *ret, and a
 * NULL at the end. 0 or -ENOMEM. */
int place_mark_env(const struct inputs_place *p, char *const *envp, struct strv *ret);
/* How the script's C compilers are to name the place in debug information
 * (trace/preload/run_map.c), as a mapped unit does (rustc/mapping.h): adds FROM=TO to *maps, and
 * the same with marks to *marked, and a NULL at the end. A place whose name they would not read as
 * one word is left out. 0 or -ENOMEM. */
int place_maps(const struct inputs_place *p, struct strv *maps, struct strv *marked);
/* Adds what cargo and rustup set for a build script to *ret, as it is: NAME=VALUE. 0 or -ENOMEM. */
int place_cargo_env(char *const *envp, struct strv *ret);

#endif
