/* What samples have shown, and what must outlive the coordinator: workers that made what no other
 * makes, and packages that come out differently each time (doc/shared-cache.md, Samples).
 *
 * A text file, so that an admin can read it, and take a line out. A line each:
 *
 *   shunned <CURVE key, Z85> <Ed25519 key, 64 hex digits> <seconds since 1970> <name> <why>
 *   unlike  likewise: it goes on compiling, and what it shares is not believed
 *   varies <namespace, or -> <seconds since 1970> <crate> <source>
 *   odd <CURVE key> <its client's, or -> <seconds since 1970> <alike|other> <namespace, or ->
 * <crate> <source>
 *
 * An odd line is evidence: of that package that worker made what others did not, who compiled it
 * again (cache/panel.h); alike: one of a machine of its kind among them. What follows of such lines
 * is in blame.h. The last field goes to the end of its line. Lines that are none of these are left
 * alone. */
#ifndef DRAY_COORDINATOR_CACHE_JUDGED_H
#define DRAY_COORDINATOR_CACHE_JUDGED_H

#include "cache/same.h"
#include "keys/identity.h"

#define JUDGED_MAX 4096		    /* of each */
#define JUDGED_FILE_MAX (64u << 20) /* of years: lines stay */
#define JUDGED_WHY 256
/* Notes of one worker for one client: more would show nothing that these do not. */
#define JUDGED_NOTES_PAIR 16
/* How long a note counts. */
#define JUDGED_NOTE_S (30u * 86400)
#define JUDGED_NOTES_MAX 1024

struct judged_worker {
	char curve[CURVE_KEY_SIZE];
	uint8_t sign[SIGN_KEY_SIZE];
	uint64_t since_s;
	char name[KEYS_NAME_MAX + 1];
	char why[JUDGED_WHY];
	bool unlike; /* it is not shunned: its machine is of another kind */
};

struct judged_package {
	char namespace[KEYS_NAME_MAX + 1];
	uint64_t since_s;
	char crate[SAME_WORD], source[SAME_WORD];
};

/* A worker was the odd one. */
struct judged_note {
	char worker[CURVE_KEY_SIZE];
	char client[CURVE_KEY_SIZE]; /* whose job it was; "": not known */
	bool alike;
	struct judged_package of;
};

struct judged {
	struct judged_worker *workers;
	size_t n_workers;
	struct judged_package *packages;
	size_t n_packages;
	struct judged_note *notes; /* as they were made */
	size_t n_notes;
};
#define JUDGED_INIT                       \
	{                                 \
		NULL, 0, NULL, 0, NULL, 0 \
	}

/* Adds what the text says, each once. 0 or -ENOMEM. */
int judged_parse(const char *text, size_t n, struct judged *ret);
/* *ret must be empty. One that is not there is an empty one. 0 or -errno. */
int judged_load(const char *path, struct judged *ret);
void judged_done(struct judged *j);

/* Adds it here, and to the file. 0; -EEXIST; -E2BIG: there are too many; -errno of the file: it
 * counts until the coordinator ends. */
int judged_add_worker(struct judged *j, const char *path, const struct judged_worker *w);
int judged_add_package(struct judged *j, const char *path, const struct judged_package *p);
/* Likewise; -E2BIG also: of this worker and client enough is known. */
int judged_add_note(struct judged *j, const char *path, const struct judged_note *n);
/* Forgets notes that are older than JUDGED_NOTE_S; their lines stay. */
void judged_expire(struct judged *j, uint64_t now_s);

/* What is known of that key is so of the one that comes in its place, too. Errors as of
 * judged_add_worker, of which -EEXIST is none here. path: NULL: nothing is known of any. */
int judged_follow(
	struct judged *j, const char *path, const char *old_curve, const struct allowed_key *fresh);

const struct judged_worker *judged_find(const struct judged *j, const char *curve);
bool judged_varies(const struct judged *j, const char *namespace, const struct same_unit *u);
/* Lines of workers that are shunned are as revoked; of those that are unlike, what they sign. */
void judged_apply(const struct judged *j, struct allowed_keys *keys);

#endif
