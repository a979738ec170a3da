/* What a line of the job log says of a unit, in words. The text is not yet safe to print: show.h.
 */
#ifndef DRAY_CLIENT_SHOW_TELL_H
#define DRAY_CLIENT_SHOW_TELL_H

#include "client/show/jobs.h"
#include "common/buf.h"
#include "common/strv.h"

/* One line: what matters beside the place where it ran. May be empty. 0 or -ENOMEM. */
int tell_short(struct buf *b, const struct job_line *j);
/* The same in sentences, one a string. made: the line of the compile whose result was taken, or
 * NULL when it is not in the log any more. signer: the name beside its worker_key in a list of
 * keys; "": none is known. */
int tell_long(
	struct strv *s, const struct job_line *j, const struct job_line *made, const char *signer);

#endif
