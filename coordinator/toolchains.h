/* Toolchains, as the coordinator knows them: those that admins have pinned
 * (coordinator/admin/pins.h), and of all that were offered what was said of them, and when a job
 * used one last. */
#ifndef DRAY_COORDINATOR_TOOLCHAINS_H
#define DRAY_COORDINATOR_TOOLCHAINS_H

#include "coordinator/admin/pins.h"

struct server;
struct toolchains;

int toolchains_new(struct toolchains **ret); /* 0 or -ENOMEM */
void toolchains_free(struct toolchains *t);

/* The list itself, to be filled from its file. */
struct pins *toolchains_pins(struct toolchains *t);

/* A worker offers it, and calls it so. bytes: 0: not told. */
void toolchains_offered(struct toolchains *t, const struct digest *id, const char *text,
	uint64_t bytes, bool pushed);
/* A job of it was asked for. */
void toolchains_used(struct toolchains *t, const struct digest *id);
struct toolchain_known {
	uint64_t bytes;	  /* 0: not known */
	uint64_t used_ms; /* wall clock; 0: not yet */
	bool pushed;	  /* some worker had it from a client */
};
void toolchains_get(
	const struct toolchains *t, const struct digest *id, struct toolchain_known *ret);
/* The workers that are here, or the pins, are others than before. */
void toolchains_stale(struct toolchains *t);

/* Whether jobs of it are taken: nothing is pinned; or it is, or is the id for native units
 * (toolchain/cpu.h) of one that is, on the CPU of a worker that is here. */
bool toolchains_allow(struct server *s, const struct digest *id);

/* By an id, at least 6 first digits of one, or first words of what workers call it: "1.95.0" are
 * all of that release. What was done, or why not, is in why. Queued jobs that are not taken any
 * more are denied. 0; -ENOENT, -EINVAL, -E2BIG: what was asked for cannot be; or another -errno. */
int toolchains_pin(struct server *s, const char *words, char *why, size_t n);
int toolchains_unpin(struct server *s, const char *words, char *why, size_t n);
/* Likewise: workers drop it, where a client gave it. */
int toolchains_remove(struct server *s, const char *words, char *why, size_t n);

#endif
