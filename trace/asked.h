/* What the programs of a build script's tree have asked the kernel, once for all processes that run
 * the same program: each C compiler looks for the same hundreds of headers, a shell for the same
 * programs.
 *
 * The tracer makes a table (TRACE_ASKED gives a program its descriptor), and dray-run.so puts a
 * hash of each question into it, once the tracer has seen the question. The same question of the
 * same path adds nothing to the record: what is asked, and how it is answered, stays in it, and a
 * path that the tree then makes or changes is seen when that happens. So it is put to the kernel in
 * a way that the filter lets pass: with ASKED_PASS as a sixth argument, which these calls have not.
 *
 * Where the tree makes a link to what it did not make, or may move one, the same path may lead to
 * something else afterwards. The tracer then counts on what lies behind the table: questions hold
 * for one value of it. */
#ifndef DRAY_TRACE_ASKED_H
#define DRAY_TRACE_ASKED_H

#include <stddef.h>
#include <stdint.h>

#define ASKED_SLOTS 65536     /* a power of two */
#define ASKED_AGE ASKED_SLOTS /* where the tracer counts */
#define ASKED_BYTES ((ASKED_SLOTS + 1) * sizeof(uint64_t))
#define ASKED_PASS UINT64_C(0x647261792d72756e)

#endif
