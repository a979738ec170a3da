/* The user's local store, as the threads of a farm half use it: one at a time. */
#ifndef DRAY_CLIENT_FAR_KEEP_H
#define DRAY_CLIENT_FAR_KEEP_H

#include "common/conf/conf.h"
#include "memo/stay.h"
#include "store/depot.h"

struct keep;

/* conf and memo outlive it. 0 or -errno. */
int keep_open(const struct conf *conf, struct memo_stay *memo, struct keep **ret);
void keep_closep(struct keep **k);

/* As depot_has, depot_take_checked, depot_open_blob, depot_read_entry. */
bool keep_has(struct keep *k, const struct digest *digest, uint64_t size);
int keep_take(struct keep *k, int fd, const struct digest *digest, uint64_t size);
int keep_open_blob(struct keep *k, const struct digest *digest, uint64_t size);
int keep_read_entry(struct keep *k, const struct digest *key, struct buf *ret);
/* Other processes find what was learned so far. */
void keep_flush(struct keep *k);
/* After something was taken: as depot_trim. A build that has all from stores keeps nothing itself,
 * and so trims nothing. */
void keep_trim(struct keep *k);

#endif
