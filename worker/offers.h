/* The toolchains that this worker offers: those that it finds, and those that clients gave it
 * (worker/push/). Each was identified, and tried by running it in the sandbox. */
#ifndef DRAY_WORKER_OFFERS_H
#define DRAY_WORKER_OFFERS_H

#include "common/buf.h"
#include "common/conf/conf.h"
#include "toolchain/toolchain.h"
#include "worker/sandbox/sysroot.h"
#include "worker/trial.h"

struct offer {
	struct toolchain toolchain;
	const struct sysroot *sysroot; /* shared between the offers of one sysroot, or */
	struct sysroot *own_sysroot;   /* its own; else NULL */
	struct digest native;	       /* the id of the same for units compiled for this very CPU */
	bool has_native;
	char *text_native;  /* "1.95.0 rustc x86_64-unknown-linux-gnu target-cpu=native" */
	char *text;	    /* "1.95.0 rustc x86_64-unknown-linux-gnu" */
	uint64_t bytes;	    /* of its files */
	bool pushed;	    /* a client gave it */
	struct buf version; /* then: what it prints for -vV, since it is not run to be identified */
	/* of those, for the main loop: */
	uint64_t used_ms; /* wall clock */
	unsigned users;	  /* jobs */
	bool removed;	  /* so is its directory */
	bool withdrawn;	  /* atomic; never taken back */
};

struct offers {
	struct offer **v; /* each stays where it is, to the end */
	size_t n;
	struct sysroot **sysroots;
	size_t n_sysroots;
};

/* Finds all toolchains. One that does not work is left out, with a warning in the log. If the
 * sandbox itself does not work, returns -errno with a sentence in *ret_why, which the caller frees.
 * If none is found, returns 0 with n = 0. */
int offers_find(const struct trial_conf *c, struct offers *ret, char **ret_why);
void offers_done(struct offers *o);
/* Takes one more; o is the list's then. 0 or -ENOMEM. */
int offers_add(struct offers *list, struct offer *o);
/* The offer of that id; NULL: none, or it was withdrawn. */
struct offer *offers_get(const struct offers *o, const struct digest *id);
/* How many are not withdrawn. */
size_t offers_count(const struct offers *o);
/* What is said of them to a coordinator: those that were found, then those that clients gave, each
 * with its id for native units behind it; none that is withdrawn. At most `max`, which so leave out
 * what clients gave first. How many. */
struct offer_said {
	struct offer *offer;
	bool native;
};
size_t offers_say(const struct offers *o, struct offer_said *ret, size_t max);
/* Another number whenever what is offered is something else. */
uint64_t offers_stamp(const struct offers *o);
bool offer_is_withdrawn(const struct offer *o);
void offer_withdraw(struct offer *o);

/* Whether the toolchain on disk is still the one that was offered. If it changed, the offer is
 * withdrawn, with a warning in the log. Any thread may call it. */
bool offer_holds(struct offer *o);

/* For worker/push/: an empty one; its texts, native id and size from its toolchain; and its end. */
int offer_new(struct offer **ret);
int offer_name(struct offer *o);
void offer_free(struct offer *o);

#endif
