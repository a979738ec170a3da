/* The toolchains that this worker offers. Each was identified, and tried by running it in the
 * sandbox. */
#ifndef DRAY_WORKER_OFFERS_H
#define DRAY_WORKER_OFFERS_H

#include "common/buf.h"
#include "common/conf.h"
#include "worker/sandbox/job_user.h"
#include "toolchain/toolchain.h"
#include "worker/sandbox/sysroot.h"

struct offer {
	struct toolchain toolchain;
	const struct sysroot *sysroot; /* shared between the offers of one sysroot */
	struct digest native;	       /* the id of the same for units compiled for this very CPU */
	bool has_native;
	char *text_native; /* "1.95.0 rustc x86_64-unknown-linux-gnu target-cpu=native" */
	char *text;	   /* "1.95.0 rustc x86_64-unknown-linux-gnu" */
	uint64_t bytes;	   /* of its files */
	bool withdrawn;	   /* atomic; never taken back */
};

struct offers {
	struct offer *v;
	size_t n;
	struct sysroot **sysroots;
	size_t n_sysroots;
};

struct offers_conf {
	const struct conf *conf;
	const char *jobs_dir, *tools_dir; /* as in struct job_shared */
	const struct filters *filters;
	struct job_users *users; /* NULL: none. Given up where no toolchain can be run by them */
};

/* Finds all toolchains. One that does not work is left out, with a warning in the log. If the
 * sandbox itself does not work, returns -errno with a sentence in *ret_why, which the caller frees.
 * If none is found, returns 0 with n = 0. */
int offers_find(const struct offers_conf *c, struct offers *ret, char **ret_why);
void offers_done(struct offers *o);
/* The offer of that id; NULL: none, or it was withdrawn. */
struct offer *offers_get(const struct offers *o, const struct digest *id);
/* How many are not withdrawn. */
size_t offers_count(const struct offers *o);
bool offer_is_withdrawn(const struct offer *o);

/* Whether the toolchain on disk is still the one that was offered. If it changed, the offer is
 * withdrawn, with a warning in the log. Any thread may call it. */
bool offer_holds(struct offer *o);

#endif
