/* The toolchains this worker offers: found, identified, and each proved by running it in the sandbox. */
#ifndef DRAY_WORKER_OFFERS_H
#define DRAY_WORKER_OFFERS_H

#include "common/conf.h"
#include "common/toolchain.h"
#include "worker/sysroot.h"

struct offer {
	struct toolchain toolchain;
	struct sysroot *sysroot;   /* shared between offers of one sysroot; owned by struct offers */
	char *text;                /* "1.95.0 rustc x86_64-unknown-linux-gnu" */
};

struct offers {
	struct offer *v;
	size_t n;
	struct sysroot **sysroots;
	size_t n_sysroots;
};

/* Finds them all; what does not work is left out with a warning in the log. 0 or -errno; none found
 * is 0 with n = 0. */
int offers_find(const struct conf *conf, struct offers *ret);
void offers_done(struct offers *o);
const struct offer *offers_get(const struct offers *o, const struct digest *id);

#endif
