/* The stores of a farm half: a clerk owns them (store/chain/clerk.h), and the threads ask it. */
#ifndef DRAY_CLIENT_FAR_STORES_H
#define DRAY_CLIENT_FAR_STORES_H

#include <sys/queue.h>

#include "client/far/farm.h"
#include "common/conf/conf.h"
#include "store/chain/clerk.h"

struct stores;

/* The coordinator's cache, if there is a farm (it outlives them), and what the configuration names.
 * tmp: a directory for what is not whole yet; it outlives them. 0; -ENOENT: there are none; -errno,
 * and a sentence in *ret_why that the caller frees, or NULL. */
int stores_open(const struct conf *conf, const struct far_farm *farm, const char *tmp,
	struct stores **ret, char **ret_why);
/* Waits until all that was asked is answered. */
void stores_closep(struct stores **s);
/* Whether one of them may be written to, by the configuration. */
bool stores_are_written(const struct stores *s);
/* The same, now: the coordinator has a say. */
enum far_puts stores_puts(struct stores *s);
/* Whether there is more than one that may be written to: what one has, another may lack. */
bool stores_are_several(const struct stores *s);

/* As of a clerk (store/chain/clerk.h). */
void stores_ask(struct stores *s, struct clerk_request *q);
int stores_ask_now(struct stores *s, struct clerk_request *q, struct store_reply *reply);

/* ---- whether it pays to ask
 *
 * A wait for a store that was in vain makes a build late. So when these waits were LOST_MS
 * (stores.c) in all, the stores are left alone for a while, and for longer each time that it
 * happens again. */

/* 0, or for how many more ms they are left alone. */
uint64_t stores_rest(struct stores *s);
/* A wait has ended: with what was wanted, or an answer that there is none; or in vain. */
void stores_note_wait(struct stores *s, uint64_t ms, bool in_vain);

#endif
