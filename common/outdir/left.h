/* What dray keeps in an out-dir for the time of one unit: dray-dispatch's staging directory, the
 * second name of a promised rmeta, a file that is not whole yet. They go with the unit. Where dray
 * was killed they stay, and a later unit of the same out-dir sweeps them. The local cache keeps
 * what is not whole under such names, too.
 *
 * A name says whose it is: .dray-KIND-PLACE-PID-START[-XXXXXX]. PLACE is of this boot of this
 * machine and of this PID namespace; START is when the process began, so that its number may be
 * used again. An out-dir can be on a disk that other machines and containers write to: what is of
 * another place is left alone until it is older than any compile. */
#ifndef DRAY_COMMON_OUTDIR_LEFT_H
#define DRAY_COMMON_OUTDIR_LEFT_H

#include <sys/types.h>
#include <time.h>

#include "common/base.h"

#define LEFT_NAME_SIZE 80
#define LEFT_OLD_S (2 * 24 * 3600)

enum left_kind {
	LEFT_KEPT, /* a file */
	LEFT_UNIT, /* a directory; "-XXXXXX" follows */
	LEFT_PUT,  /* a file; "-XXXXXX" follows */
};

/* The name, for what belongs to that process of this machine. */
void left_name(enum left_kind kind, pid_t owner, char out[LEFT_NAME_SIZE]);
/* Makes a fresh directory of kind LEFT_UNIT in parent, mode 0700, and returns its path in *ret
 * (caller frees). 0 or -errno, and *ret as it was. */
int left_make_dir(const char *parent, pid_t owner, char **ret);

/* Removes from dir what killed processes of this user left there. Looks no more than once a minute
 * for each directory that units share (noted in cache_dir, when that is not NULL), and each time in
 * a unit's own (layout.h). Never fails: what cannot be judged stays. */
void left_sweep(const char *cache_dir, const char *dir);

/* The same in a directory of several users', below theirs: what any of them left. */
struct share;
void left_sweep_shared(const struct share *s, const char *cache_dir, const char *dir);

/* For left_sweep and its test: whether an entry of that name, that was last changed `age` seconds
 * ago, may go. */
bool left_may_go(const char *name, time_t age);

#endif
