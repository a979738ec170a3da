/* What the shared cache keeps on disk: a store (store/disk.h) for each namespace, with a budget of
 * its own.
 *
 *   DIR/lock        this coordinator's
 *   DIR/ns/         a store: of keys without a namespace
 *   DIR/ns-NAME/    of the namespace NAME
 *
 * Invariant: what is asked in one namespace gives nothing of another, not even whether it is there.
 *
 * Threads: vault_new, vault_find, vault_use, vault_walk and vault_free are the loop's; all else may
 * wait for a disk, and is for the threads of pool.h. Where something is read, changed and put back
 * (an entry), its lane is chosen by its name, so that no other thread is at it. */
#ifndef DRAY_COORDINATOR_CACHE_VAULT_H
#define DRAY_COORDINATOR_CACHE_VAULT_H

#include <stdatomic.h>

#include "common/conf/conf.h"
#include "coordinator/cache/allowance.h"
#include "coordinator/cache/merge.h"
#include "store/store.h"

struct vault;
struct behind_space; /* behind.h */

enum space_state { SPACE_CLOSED, SPACE_OPENING, SPACE_OPEN, SPACE_FAILED };

struct vault_space {
	struct vault_space *next;
	char name[65];
	char *dir;
	atomic_uint_fast64_t max;
	struct allowance uploads; /* the loop's: bytes that may be put here */
	struct store *store;	  /* while SPACE_OPEN */
	enum space_state state;	  /* the loop's */
	uint64_t failed_ms;	  /* the loop's */
	bool trimming;		  /* the loop's */
	bool again;		  /* likewise: something was put since */
	struct store_stats stats; /* likewise: what there was when it was opened, or trimmed last */
	struct purged *purged;	  /* the vault's (purged.h) */
	struct behind_space *behind; /* while SPACE_OPEN; NULL: no stores are behind it */
};

/* Makes the directory. -EBUSY: another process has it; -errno, with a sentence in *ret_error
 * (caller frees). conf must outlive it, or the next vault_use. */
int vault_new(const struct conf *conf, struct vault **ret, char **ret_error);
struct purged *vault_purged(const struct vault *v); /* purged.h; its own */
void vault_free(struct vault *v);		    /* no thread is at it any more */
/* The budgets are those of conf from now on; those that are open have to be trimmed. */
void vault_use(struct vault *v, const struct conf *conf);
/* Walks those that there are: NULL begins. */
struct vault_space *vault_walk(const struct vault *v, struct vault_space *prev);
const char *vault_dir(const struct vault *v);
/* That namespace, made when it is not there: CLOSED. NULL: no memory. */
struct vault_space *vault_find(struct vault *v, const char *name);

/* The same, or NULL where nobody has asked for it yet. */
const struct vault_space *vault_known(const struct vault *v, const char *name);

/* Scans what is there. Sets `store`. 0 or -errno. */
int vault_open(struct vault_space *s);
/* A descriptor at its begin, for a blob or an entry of at most `most` bytes; or -errno. */
int vault_get(struct vault_space *s, enum store_kind kind, const struct digest *name, uint64_t most,
	uint64_t *ret_size);
/* Whether it is there: 0 or -ENOENT. ret_size: NULL is fine. It counts as used. */
int vault_look(
	struct vault_space *s, enum store_kind kind, const struct digest *name, uint64_t *ret_size);
/* Puts an entry in the place of an earlier one, or one made of both (merge_entry). who: NULL: it is
 * a store's. 0 or -errno. */
int vault_put_entry(struct vault_space *s, const struct digest *name, const struct signers *signers,
	const struct signer *who, const void *p, size_t n, struct merge_note *note);
/* Takes a blob that came from a store, as a file of its tmp/ without a name that nobody else has;
 * its digest was looked at. 0 or -errno. */
int vault_take_blob(struct vault_space *s, int fd, const struct digest *name, uint64_t size);
/* All files of a kind, added to *ret: waits long. 0 or -errno. */
int vault_list(struct vault_space *s, enum store_kind kind, struct digest **ret, size_t *ret_n);

/* Results to be removed: all that is given has to be so. */
struct vault_purge {
	const uint8_t *producer;  /* NULL: any */
	const struct digest *key; /* likewise */
	uint64_t before_s;	  /* sealed before; 0: whenever */
};
struct shared_entry;
/* Takes them out of that entry; how many. */
size_t vault_purge_results(struct shared_entry *e, const struct vault_purge *what);
/* Takes them out of one that is there; what is no entry of sealed results goes if nothing is given
 * but a key. *ret_results: how many. 1: it is changed, or gone; 0: nothing was in it; -errno. */
int vault_purge_entry(struct vault_space *s, const struct digest *name,
	const struct vault_purge *what, uint64_t *ret_results);
/* Evicts the least recently used until within the budget. */
void vault_trim(struct vault_space *s);
/* What there is; all zero if that cannot be told. */
void vault_count(const struct vault_space *s, struct store_stats *ret);

#endif
