/* Where cargo puts things in a profile's directory, told by names alone. There are two layouts:
 *
 *   v1   deps/ examples/                 what all units make
 *        build/PKG-HASH/                 a build script's program
 *        build/PKG-HASH/out/             what the script writes: OUT_DIR
 *   v2   build/PKG/HASH/out/             what one unit makes, and OUT_DIR of one run of a script
 *
 * v2 is the only one since cargo 1.100 (-Zbuild-dir-new-layout before). HASH has 16 hex digits. */
#ifndef DRAY_COMMON_OUTDIR_LAYOUT_H
#define DRAY_COMMON_OUTDIR_LAYOUT_H

#include "common/base.h"

enum layout_place {
	LAYOUT_NONE,   /* none that cargo makes */
	LAYOUT_UNITS,  /* v1: deps, examples */
	LAYOUT_SCRIPT, /* v1: a build script's program */
	LAYOUT_UNIT,   /* v2: of one unit, or of one run of a script: names do not tell which */
	LAYOUT_OUT,    /* v1: OUT_DIR or below it; v2: below an `out` */
};

/* What the directory is (absolute, normal). *ret_profile: how many of its first bytes name the
 * profile's directory (target/debug), which is the place that a build has; 0 with LAYOUT_NONE. */
enum layout_place layout_find(const char *dir, size_t *ret_profile);

#endif
