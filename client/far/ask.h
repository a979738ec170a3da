/* A wrapper's side of the stores (messages.h): what is in them is asked for at the farm half that
 * is resident, which is started where it is not. Each call is bounded by time; whatever goes wrong
 * is a miss, and dray compiles. */
#ifndef DRAY_CLIENT_FAR_ASK_H
#define DRAY_CLIENT_FAR_ASK_H

#include "client/far/messages.h"
#include "common/buf.h"
#include "common/conf/conf.h"

struct far_ask;

/* Whether there is a coordinator whose cache is asked; offload has nothing to do with it. */
bool far_has_farm(const struct conf *conf);
/* Whether stores are to be read from, and what comes from them can be kept here. */
bool far_may_read(const struct conf *conf);
/* Whether what is made here is to be uploaded: remote_mode says so, there is a key to sign it, and
 * one of the stores is not only read. */
bool far_may_write(const struct conf *conf);

/* 0; -errno: there is no farm half for this process now. */
int far_ask_open(const struct conf *conf, struct far_ask **ret);
/* For tests: over a connection that was greeted, which is then its own. */
int far_ask_over(int conn, struct far_ask **ret);
void far_ask_closep(struct far_ask **a);

struct far_answer {
	char store[FAR_STORE_MAX]; /* where it was found; "": in none */
	char why[FAR_WHY_MAX];	   /* why there is nothing */
	uint64_t bytes;		   /* that came */
	uint32_t publishers;	   /* a bit for each result: a publisher sealed it */
	unsigned refused;	   /* results that were found and are not believed */
};

/* Says which build this is of, before its first key is known. No answer is waited for. */
void far_ask_build(struct far_ask *a, const struct digest *list);

/* Asks for the results of a key, and waits ms at most. list: the name of the build's list (list.h);
 * NULL: it has none. Adds an entry (cache/entry.h) to *ret. 0;
 * -ENOENT: there is none that is trusted; -errno, e.g. -ETIMEDOUT; with a reason in *answer. After
 * any but -ENOENT the connection is not used again. */
int far_ask_find(struct far_ask *a, const struct digest *key, const struct digest *list,
	unsigned ms, struct buf *ret, struct far_answer *answer);

/* Called for each blob as it comes into the local store. How many ms the others may take from now
 * on; 0: as long as was said before. */
typedef unsigned (*far_here_fn)(void *arg, const struct digest *blob);
/* Has blobs brought into the local store, within ms. 0: all are there; otherwise as above. fn may
 * be NULL. */
int far_ask_bring(struct far_ask *a, const struct far_blob *blobs, size_t n, unsigned ms,
	far_here_fn fn, void *arg, struct far_answer *answer);

/* Has what could not be uploaded tried again. *ret_left: how many results wait; answer->why: what
 * went wrong last, or "". 0; -ENOKEY: this half uploads nothing, as answer->why says; -errno. */
int far_ask_flush(struct far_ask *a, unsigned ms, uint64_t *ret_left, struct far_answer *answer);

#endif
