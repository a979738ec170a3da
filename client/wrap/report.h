/* What dray and dray-dispatch tell each other.
 *
 * dray makes one anonymous memory file of this struct, and starts
 *     dray-dispatch --report-fd=N -- RUSTC ARGS…
 * with the same stdin, stdout, stderr, environment and directory. dray-dispatch keeps the struct
 * true at every instant: a promise is written down before cargo hears of it. So when dray-dispatch
 * ends in any way, also by a crash, dray knows what has been said and done, and goes on from there:
 *
 *   REPORT_DONE      all outputs are in place, all text was printed; dray exits with `status`
 *   REPORT_LINK      outputs are in place; the link's inputs too; dray links (staging/link-N),
 * prints staging/tail, exits 0 REPORT_HOME      nothing more will come: dray compiles here,
 * skipping what was said already REPORT_RUNNING   (found after its death) like REPORT_HOME
 */
#ifndef DRAY_CLIENT_WRAP_REPORT_H
#define DRAY_CLIENT_WRAP_REPORT_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/digest.h"
#include "common/joblog.h"

#define REPORT_MAGIC 0x32594152u /* changes with the layout */
#define REPORT_ATTEMPTS 4

/* In the staging directory. */
#define FARM_RECORD "record"
#define FARM_RECORD_OUT "out"
#define FARM_RECORD_ERR "err"

enum report_outcome { REPORT_RUNNING, REPORT_DONE, REPORT_LINK, REPORT_HOME };

struct report {
	uint32_t magic;
	uint32_t outcome; /* enum report_outcome */
	int32_t status;	  /* the compiler's exit status */
	uint32_t n_links; /* link calls under staging: link-0, link-1, … */
	char why[256];	  /* for REPORT_HOME: the reason, for the job log */
	char worker[80];
	char attempt[REPORT_ATTEMPTS][192]; /* failed tries: "worker: reason" */
	uint32_t n_attempts;

	char staging[PATH_MAX]; /* directory under the out-dir, made by dray-dispatch; "" : none.
				 * dray removes it at the end */

	/* Promises. Bytes of stderr that were written, and their SHA-256; both are set before the
	 * write. text_sure: the same before the last write began, for a death in the middle of it.
	 */
	uint64_t text_bytes;
	struct digest text_digest;
	uint64_t text_sure_bytes;
	struct digest text_sure_digest;
	char rmeta[PATH_MAX]; /* final path of the rmeta that was announced; "": none */
	struct digest rmeta_digest;
	uint32_t connected; /* the farm answered */

	/* for the job log */
	uint64_t compile_start_us, rmeta_us;
	uint64_t pack_us, queue_us, upload_us, compile_us, download_us;
	uint64_t bytes_sent, bytes_received;
	uint32_t traced; /* whether trace is filled */
	struct joblog_trace trace;
};

/* For dray. Makes an empty one: shared memory that can neither shrink nor grow, and its descriptor
 * (O_CLOEXEC; hand it over with struct spawn_fd). 0 or -errno. */
int report_make(struct report **ret, int *ret_fd);
/* For dray-dispatch: maps the one it was given. -EBADMSG: it is not one of this layout. */
int report_map(int fd, struct report **ret);
/* Makes the staging directory in out_dir, and writes down which it is; left_sweep takes what the
 * owner leaves of it. 0 or -errno. */
int report_make_staging(struct report *r, const char *out_dir, pid_t owner);
void report_unmap(struct report *r); /* NULL is fine */
void report_unmapp(struct report **r);
/* For dray, once dray-dispatch has ended: copies what it left, and makes it safe to use: every
 * string ends, every number is in its range; what makes no sense is REPORT_HOME, its promises kept.
 */
void report_take(const struct report *shared, struct report *ret);

/* staging/link-N: the linker call, as NUL-terminated strings, in order: the PATH prefix (may be
 * empty); the argument count in decimal; each argument; then every path (absolute) that must be
 * removed after the link, files before the directories that hold them.
 * staging/record, out, err, when the result is to be kept: what the compile looked at, as
 * dray-trace would have written it (trace/watch.h); what it said, without a link's tail.
 * staging/tail: stderr bytes to print once the link is done (not counted in text_bytes). */

#endif
