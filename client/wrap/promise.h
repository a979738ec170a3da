/* What has been said to cargo of one unit, and cannot be taken back: the bytes of stderr and the
 * rmeta. A second try, elsewhere or here, must say the same again; what was said already is dropped
 * from it.
 *
 * promise_text passes a stream's bytes through: while they repeat what was said they are swallowed;
 * as soon as they go on beyond it they are given out. When they differ from it, all that was held
 * back of this stream is given out (text is only for reading; an rmeta that differs is an error).
 */
#ifndef DRAY_CLIENT_WRAP_PROMISE_H
#define DRAY_CLIENT_WRAP_PROMISE_H

#include "common/buf.h"
#include "common/digest.h"

struct promise;

/* said: bytes of text said before, and their digest (0 and NULL for a first try). */
int promise_new(uint64_t said, const struct digest *said_digest, struct promise **ret);
void promise_free(struct promise *p);
void promise_freep(struct promise **p);
/* Feeds n bytes; adds to *ret_out what is to be written now. */
int promise_text(struct promise *p, const void *data, size_t n, struct buf *ret_out);
/* At the stream's end: what is still held back (it was shorter than what had been said: nothing; it
 * differed: given out). */
int promise_end(struct promise *p, struct buf *ret_out);
/* Instead of promise_end, when the run failed: all that is held back is given out, since an error
 * said twice is better than one never said. */
int promise_give(struct promise *p, struct buf *ret_out);

#endif
