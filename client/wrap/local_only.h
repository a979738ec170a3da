/* Packages whose compile needs what only this machine has (the network, a file elsewhere, a
 * variable): a worker gave them back once, and they stay here until their version changes, or for a
 * month.
 *
 * A text file in the cache directory, so that it can be read, and removed, by hand: one line a
 * package, <seconds since 1970> TAB <package> TAB <version> TAB <crate> TAB <reason> */
#ifndef DRAY_CLIENT_WRAP_LOCAL_ONLY_H
#define DRAY_CLIENT_WRAP_LOCAL_ONLY_H

#include "common/base.h"

#define LOCAL_ONLY_FILE "local-only"
#define LOCAL_ONLY_DAYS 30
#define LOCAL_ONLY_REASON_MAX 256

struct local_only {
	uint64_t time_s;
	const char *package, *version, *crate, *reason;
};

/* The package of this process's environment (CARGO_PKG_NAME and _VERSION). False: there is none, or
 * it is not on the list. */
bool local_only_find(const char *cache_dir, const char *crate, uint64_t now_s,
	char ret_reason[LOCAL_ONLY_REASON_MAX]);
/* Puts it on the list. 0 or -errno; without a package, nothing is done. */
int local_only_add(const char *cache_dir, const char *crate, uint64_t now_s, const char *reason);

/* Takes one line apart, in place. False: it makes no sense, or holds no more. */
bool local_only_parse(char *line, uint64_t now_s, struct local_only *ret);

/* What is on the list, the latest entry of each crate last; entry's strings live as long as the
 * call. */
typedef void (*local_only_fn)(void *arg, const struct local_only *entry);
int local_only_each(const char *cache_dir, uint64_t now_s, local_only_fn fn, void *arg);
/* Removes the list. 0 also when there was none. */
int local_only_forget(const char *cache_dir);

#endif
