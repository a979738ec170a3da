/* Compiles again what the local cache has, and runs its build scripts again, and compares with what
 * a hit would give. */
#ifndef DRAY_CLIENT_CMD_VERIFY_VERIFY_H
#define DRAY_CLIENT_CMD_VERIFY_VERIFY_H

#include "cache/result.h"
#include "store/depot.h"
#include "client/slots/slots.h"
#include "common/digest.h"
#include "memo/memo.h"

enum verify_verdict {
	VERIFY_SAME,
	VERIFY_DIFFERS,
	VERIFY_SKIPPED, /* it cannot be compared here and now, where no hit would be possible
			 * either, or because it would be made in another way */
};

struct verify_in {
	struct depot *depot;
	struct memo *memo;   /* may be NULL */
	struct slots *slots; /* NULL: they cannot be used */
	const char *bwrap;   /* one that works (prime_binds_with); NULL: there is none */
	bool shared;	     /* paths = shared */
	const char *tmp;     /* an absolute directory for what is compiled; text_can_hide */
};

struct verify_said {
	enum verify_verdict verdict;
	char crate[128], package[128], kind[32]; /* "" when not known */
	char output[256];			 /* that differs; "" when none does */
	char why[512];				 /* it differs or was skipped */
	char producer[PRODUCER_SIZE];		 /* key of the worker that made it; "": none */
	bool run;				 /* it is a build script's */
	unsigned outputs;			 /* compared */
	uint64_t bytes;
	struct digest bundle; /* the key of the same unit's bundle; all zero: there can be none */
};

/* Takes the latest result of the entry whose inputs still hold. The compiler runs in the directory
 * where it ran then, so this process's own directory and environment are others meanwhile. An entry
 * that differs stays in the cache: the caller drops it, and its bundle. 0; -EINTR after a signal
 * (child_signal); -ENOMEM, or -errno when nothing can be made in tmp. */
int verify_entry(const struct verify_in *in, const struct digest *key, struct verify_said *ret);

#endif
