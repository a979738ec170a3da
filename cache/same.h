/* What of a result must come out again where the same unit is compiled once more, and what is known
 * of a unit by its key's recipe: for results of workers, which are compiled again as samples
 * (doc/shared-cache.md, Samples). */
#ifndef DRAY_CACHE_SAME_H
#define DRAY_CACHE_SAME_H

#include "cache/result.h"

/* Two digests of a result: of all its inputs, in any order; and of what it made: outputs with their
 * names, kinds, modes, sizes and content, in any order, texts, the exit status, links. Not in them:
 * how long it took, when and where it was made, how it was called; the name of rustc's temporary
 * directory, which is another one in each run. */
struct same {
	struct digest inputs, made;
};

#define SAME_WORD 161

/* Of what the result of a key is, by its recipe (cache/key.h). */
struct same_unit {
	struct digest toolchain;
	/* As the recipe has them, cut to their room; "": not there. */
	char crate[SAME_WORD], source[SAME_WORD];
};

/* 0 or -ENOMEM. */
int same_of(const struct result *r, struct same *ret);
bool same_eq(const struct same *a, const struct same *b);
/* 0; -ENOENT: it names no toolchain. */
int same_unit_of(const struct strv *recipe, struct same_unit *ret);

#endif
