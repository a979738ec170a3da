/* The memo of a process that stays, for its threads: another process may begin the file anew, and
 * what it learns is then found only there. So who begins gets the file that is current, and who has
 * an older one keeps that until it is done. */
#ifndef DRAY_MEMO_STAY_H
#define DRAY_MEMO_STAY_H

#include <pthread.h>

#include "memo/memo.h"

struct memo_stay_one;

struct memo_stay {
	pthread_mutex_t lock; /* opening it may take a while */
	const char *dir;
	struct memo_stay_one *now; /* NULL: none is open */
};

void memo_stay_init(struct memo_stay *s, const char *dir); /* dir outlives it */
void memo_stay_done(struct memo_stay *s);		   /* when nobody has one any more */

/* NULL: no memory. To be put back. */
struct memo_stay_one *memo_stay_get(struct memo_stay *s);
void memo_stay_put(struct memo_stay *s, struct memo_stay_one *m); /* NULL is fine */
/* Whether it is the current one: without that, it should be put back soon. */
bool memo_stay_is_current(struct memo_stay *s, const struct memo_stay_one *m);
/* May be NULL, as everywhere. */
struct memo *memo_stay_memo(const struct memo_stay_one *m);

#endif
