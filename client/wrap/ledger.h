/* clang-format off */
/* What dray and dray-dispatch tell each other.
 *
 * dray makes one anonymous memory file of this struct, and starts
 *     dray-dispatch --ledger-fd=N --jobs=N [--mapped] … -- RUSTC ARGS…
 * with the same stdin, stdout, stderr, environment and directory. dray-dispatch keeps the struct
 * true at every instant: a promise is written down before cargo hears of it. So when dray-dispatch
 * ends in any way, also by a crash, dray knows what has been said and done, and goes on from there:
 *
 *   LEDGER_DONE      all outputs are in place, all text was printed; dray exits with `status`
 *   LEDGER_LINK      outputs are in place, the link's inputs too; dray links (staging/link-N),
 *                    prints staging/tail, exits 0
 *   LEDGER_HOME      nothing more will come: dray compiles here, skipping what was said already
 *   LEDGER_RUNNING   (found after its death) like LEDGER_HOME
 */
/* clang-format on */
#ifndef DRAY_CLIENT_WRAP_LEDGER_H
#define DRAY_CLIENT_WRAP_LEDGER_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/digest.h"
#include "common/log/joblog.h"

#define LEDGER_MAGIC 0x38594152u /* changes with the layout */
#define LEDGER_ATTEMPTS 4

/* In the staging directory. */
#define FARM_RECORD "record"
#define FARM_RECORD_OUT "out"
#define FARM_RECORD_ERR "err"

enum ledger_outcome { LEDGER_RUNNING, LEDGER_DONE, LEDGER_LINK, LEDGER_HOME };

struct ledger {
	uint32_t magic;
	uint32_t outcome; /* enum ledger_outcome */
	uint32_t half;	  /* process id of the resident farm half (client/half/request.h), set
			   * before it begins; 0: none has */
	int32_t status;	  /* the compiler's exit status */
	uint32_t n_links; /* link calls under staging: link-0, link-1, … */
	char why[256];	  /* for LEDGER_HOME: the reason, for the job log */
	char worker[80];
	char worker_key[48];   /* its public key, which the connection has proved; "": over a Unix
				  socket there is none */
	char coordinator[256]; /* which of several has named the worker; "": there is one */
	char attempt[LEDGER_ATTEMPTS][192]; /* failed tries: "worker: reason" */
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
	char rmeta_worker[80]; /* which made it, as worker and worker_key */
	char rmeta_key[48];
	uint32_t rmeta_stored; /* dray's own: it came from a store instead, which rmeta_worker names
				*/
	uint32_t connected;    /* the farm answered */
	char queue_why[160];   /* the quota of its namespace that it waited for; "" */
	uint32_t made; /* of LEDGER_HOME: another job has made it, and the shared cache has it */

	/* for the job log */
	uint64_t compile_start_us, rmeta_us;
	uint64_t pack_us, queue_us, upload_us, compile_us, download_us;
	uint64_t bytes_sent, bytes_received;
	uint32_t traced; /* whether trace is filled */
	struct joblog_trace trace;
};

/* For dray. Makes an empty one: shared memory that can neither shrink nor grow, and its descriptor
 * (O_CLOEXEC; hand it over with struct spawn_fd). 0 or -errno. */
int ledger_make(struct ledger **ret, int *ret_fd);
/* For dray-dispatch: maps the one it was given. -EBADMSG: it is not one of this layout. */
int ledger_map(int fd, struct ledger **ret);
/* Makes the staging directory in out_dir, and writes down which it is; left_sweep takes what the
 * owner leaves of it. 0 or -errno. */
int ledger_make_staging(struct ledger *r, const char *out_dir, pid_t owner);
void ledger_unmap(struct ledger *r); /* NULL is fine */
void ledger_unmapp(struct ledger **r);
/* For dray, after dray-dispatch has ended: copies the ledger and makes it safe to use. Every string
 * ends, and every number is in its range. One that makes no sense becomes LEDGER_HOME, with its
 * promises.
 */
void ledger_take(const struct ledger *shared, struct ledger *ret);
/* What it says of the unit, for its line of the job log; *r outlives *e. */
void ledger_fill(const struct ledger *r, struct joblog_entry *e);

/* Whether rustc makes an output of this name while it links or afterwards: crates, archives, what
 * is linked, packed debug information. */
#define LEDGER_LATE "late"
bool ledger_is_late(const char *name);

/* staging/link-N: the linker call, as NUL-terminated strings, in order: the PATH prefix (may be
 * empty); the argument count in decimal; each argument; then every path (absolute) that must be
 * removed after the link, files before the directories that hold them.
 * staging/record, out, err, when the result is to be kept: what the compile looked at, as
 * dray-trace would have written it (trace/watch.h); what it said, without a link's tail.
 * staging/late/NAME: what rustc makes while it links or afterwards (ledger_is_late): link_run puts
 * it at out-dir/NAME once its links are done, so that a failed one leaves what was there.
 * staging/tail: stderr bytes to print once the link is done (not counted in text_bytes). */

#endif
