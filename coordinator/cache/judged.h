/* What samples have shown, and what must outlive the coordinator: workers that made what no other
 * makes, and packages that come out differently each time (doc/shared-cache.md, Samples).
 *
 * A text file, so that an admin can read it, and take a line out. A line each:
 *
 *   shunned <CURVE key, Z85> <Ed25519 key, 64 hex digits> <seconds since 1970> <name> <why>
 *   varies <namespace, or -> <seconds since 1970> <crate> <source>
 *
 * The last field goes to the end of its line. Lines that are none of these are left alone. */
#ifndef DRAY_COORDINATOR_CACHE_JUDGED_H
#define DRAY_COORDINATOR_CACHE_JUDGED_H

#include "cache/same.h"
#include "keys/identity.h"

#define JUDGED_MAX 4096 /* of each */
#define JUDGED_FILE_MAX (4u << 20)
#define JUDGED_WHY 256

struct judged_worker {
	char curve[CURVE_KEY_SIZE];
	uint8_t sign[SIGN_KEY_SIZE];
	uint64_t since_s;
	char name[KEYS_NAME_MAX + 1];
	char why[JUDGED_WHY];
};

struct judged_package {
	char namespace[KEYS_NAME_MAX + 1];
	uint64_t since_s;
	char crate[SAME_WORD], source[SAME_WORD];
};

struct judged {
	struct judged_worker *workers;
	size_t n_workers;
	struct judged_package *packages;
	size_t n_packages;
};

/* Adds what the text says, each once. 0 or -ENOMEM. */
int judged_parse(const char *text, size_t n, struct judged *ret);
/* *ret must be empty. One that is not there is an empty one. 0 or -errno. */
int judged_load(const char *path, struct judged *ret);
void judged_done(struct judged *j);

/* Adds it here, and to the file. 0; -EEXIST; -E2BIG: there are too many; -errno of the file: it
 * counts until the coordinator ends. */
int judged_add_worker(struct judged *j, const char *path, const struct judged_worker *w);
int judged_add_package(struct judged *j, const char *path, const struct judged_package *p);

const struct judged_worker *judged_find(const struct judged *j, const char *curve);
bool judged_varies(const struct judged *j, const char *namespace, const struct same_unit *u);
/* Lines of these are as revoked. */
void judged_apply(const struct judged *j, struct allowed_keys *keys);

#endif
