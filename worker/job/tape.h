/* What a job says and makes, kept for its twins: jobs of other clients that are the same (Twins in
 * proto/job.proto), and read it from the beginning, each at its own pace.
 *
 *   the job, which leads          its twins
 *   tapes_enter ─▶ a tape         tapes_enter ─▶ a reader
 *   tape_started, tape_file …     tape_next, until it is over
 *   tape_result
 *   tape_leave                    tape_reader_closep
 *
 * The order on a tape is that in which things happened, as far as it counts: an answer that a
 * client gave is there before anything that may come of it. A tape that ended well is kept for
 * TAPE_LINGER_MS, since a twin may be on its way. All functions may be called by any thread. */
#ifndef DRAY_WORKER_JOB_TAPE_H
#define DRAY_WORKER_JOB_TAPE_H

#include "common/digest.h"
#include "proto/job.pb-c.h"

#define TAPE_LINGER_MS 10000
#define TAPE_TEXT_MAX                                                                             \
	(4u << 20) /* bytes of memory: texts, names, the result, and what each entry takes beside \
		    */
#define TAPE_FILES_MAX 1024 /* open files of one tape */

struct tapes; /* of a worker */
struct tape;
struct tape_reader;

enum tape_kind {
	TAPE_STARTED,	 /* the compiler runs */
	TAPE_FILE,	 /* a client was asked for the file `name`: answer, digest, size, times */
	TAPE_VARIABLE,	 /* `name` was asked for, and not sent */
	TAPE_ATTRIBUTES, /* of the file `name`; it was told times */
	TAPE_TEXT,	 /* out, bytes */
	TAPE_OUTPUT,	 /* name, output, mode, digest, size, fd */
	TAPE_RESULT,	 /* bytes: a packed JobResult; the last one */
};

struct tape_entry {
	struct tape_entry *next; /* the tape's own, as is the number */
	enum tape_kind kind;
	Dray__FileKind answer;
	Dray__OutputKind output;
	unsigned mode;
	bool out, has_times;
	struct digest digest;
	uint64_t size;
	Dray__FileTimes times;
	char *name;
	uint8_t *p;
	size_t n;
	int fd; /* -1: none */
};

int tapes_new(struct tapes **ret);
/* Nobody has one of its tapes any more. */
void tapes_freep(struct tapes **t);

struct tape_way {
	const struct digest *key; /* of all that makes two jobs the same */
	const char *job;	  /* for the log */
	const char *client;	  /* its key */
	bool may_join, may_lead;
};
/* 1: *ret_reader, of a tape that goes on or has ended well just now; or, for one that may not lead,
 * of a tape that a job is yet to lead. 0: *ret is a new one, which the caller leads; NULL where it
 * may not, or where another one is there. -ENOMEM. */
int tapes_enter(struct tapes *t, const struct tape_way *way, uint64_t now_ms, struct tape **ret,
	struct tape_reader **ret_reader);
/* Forgets what has lingered. */
void tapes_tick(struct tapes *t, uint64_t now_ms);

/* ---- for the job. What does not fit makes the tape void: its readers lose it. NULL is fine. */

void tape_started(struct tape *t);
void tape_file(struct tape *t, const char *path, Dray__FileKind answer, const struct digest *digest,
	uint64_t size, const Dray__FileTimes *times);
void tape_variable(struct tape *t, const char *name);
void tape_attributes(struct tape *t, const char *path, const Dray__FileTimes *times);
void tape_text(struct tape *t, bool out, const void *p, size_t n);
/* fd stays the caller's; nobody may write to the file any more. */
void tape_output(struct tape *t, const char *name, Dray__OutputKind output, unsigned mode,
	const struct digest *digest, uint64_t size, int fd);
void tape_result(struct tape *t, const Dray__JobResult *m);
void tape_void(struct tape *t);
/* Whether twins read it, and whether it has begun. */
bool tape_is_read(struct tape *t);
bool tape_has_begun(struct tape *t);
/* The job waits for its client, or not any more. */
void tape_wait(struct tape *t, bool waits, uint64_t now_ms);
/* The job has ended. Without a result the tape is void; with one of a compile that failed nobody
 * else may join. Whether it is kept for a while. */
bool tape_leave(struct tape **t, bool succeeded, uint64_t now_ms);

/* ---- for a twin */

enum tape_next { TAPE_ENTRY, TAPE_QUIET, TAPE_VOID };

/* *ret: valid until the reader is closed. */
enum tape_next tape_next(struct tape_reader *r, const struct tape_entry **ret);
int tape_reader_fd(const struct tape_reader *r); /* readable when tape_next may have more */
/* For how long, since the reader is there, the job has waited for its client. */
uint64_t tape_reader_waited_ms(const struct tape_reader *r, uint64_t now_ms);
/* Whether there is a job that leads, or has. */
bool tape_reader_is_led(const struct tape_reader *r);
/* That job: 32 hex digits; "": there is none yet. */
const char *tape_reader_job(const struct tape_reader *r);
void tape_reader_closep(struct tape_reader **r);

#endif
