/* Inside a job's thread. Functions return 0, or -errno with job_fail's sentence and verdict set; a
 * job that is to stop returns -ECANCELED from wherever it waits. */
#ifndef DRAY_WORKER_JOB_JOB_PRIV_H
#define DRAY_WORKER_JOB_JOB_PRIV_H

#include <pthread.h>
#include <poll.h>
#include <sys/stat.h>

#include "proto/chunk.h"
#include "worker/job/job.h"
#include "worker/job/tape.h"
#include "worker/peers/seek.h"
#include "worker/sandbox/limits.h"
#include "worker/sandbox/sandbox.h"
#include "worker/sandbox/stage.h"
#include "worker/job/tokens.h"
#include "worker/job/unit_key.h"
#include "worker/push/assembly.h"
#include "worker/tracer/trace.h"

/* How many content messages may be on their way, where the worker does not say less: 16 MiB. */
#define JOB_CREDIT 64
#define JOB_OWED_MS 30000
#define JOB_OWED_WANTED_MS 5000 /* while others wait for a slot */
#define JOB_OWED_TRIAL_MS 1000	/* likewise, of keys that are on trial */
#define JOB_LAID_TRIAL_MS 500	/* how long laying out a unit of theirs may take then */
#define JOB_OWED_PER_MS 16	/* bytes: what moves more slowly is not waited for then */
#define JOB_MOVES_PER_MS 64	/* bytes: what a client that moves so many is not blamed for */
#define JOB_ANSWER_BYTES 4096	/* that an answer counts as: it takes its time to come */
#define JOB_OWED_LOOK_MS 500
#define TWIN_LOOK_MS 250 /* at who leads, or follows */
#define JOB_OUTPUTS_MAX 65536
#define JOB_POLL_FDS 4
#define JOB_PARTS_MAX 64
#define PIECE_HEAD 64 /* bytes at the beginning, by which pieces are told apart at first */

struct job_output {
	char *name;
	struct digest digest;
	bool there; /* at the compiler's end, too */
};

/* An object that was sent while the compiler ran. What its file has in it since says nothing of
 * what was sent: the job may write to it. */
struct piece {
	uint32_t output;
	uint64_t size;
	uint8_t head[PIECE_HEAD];
	struct digest digest;
	const char *name; /* of pieces.seen */
	dev_t dev;
	ino_t ino;
	struct timespec modified;
	bool taken; /* it has become another output */
};

struct pieces {
	int watch; /* of the out-dir; -1: none */
	struct strv seen;
	size_t next;	       /* of seen: not sent yet */
	struct piece *v, meta; /* meta: the announced metadata; size 0: there is none */
	size_t n, same;
	uint64_t bytes, events;
};

/* In a file, from `at` on, there are n bytes that are an earlier output. In order. */
struct part {
	uint64_t at, n;
	uint32_t output;
};

struct parts {
	struct part v[JOB_PARTS_MAX];
	size_t n;
};

/* A blob on its way in. */
struct blob_in {
	uint32_t index; /* as the client counts them */
	struct digest digest;
	uint64_t size, got;
	struct store_writer *writer;
};

/* What came on demand. */
struct fetched {
	char *path;
	struct digest digest;
};

/* A file that the compiler waits for while the client is asked. */
struct fetch {
	uint32_t next_id, files;
	uint64_t bytes;
	bool waiting;	   /* for the answer */
	struct seek *seek; /* then for others, which may have its content; NULL: nobody is asked */
	bool content;	   /* then for its content from the client */
	uint64_t begun_ms; /* since when the content is waited for */
	char path[PATH_MAX];
	int64_t modified; /* as the client has it */
	struct blob_in in;
	struct fetched *got; /* regular files */
	size_t n_got;
};

/* How job_talk.c hands over what concerns files on demand. */
struct job_demand {
	int (*event)(struct job *j); /* the tracer asks or refuses */
	/* The client's answer, or a chunk of the file. */
	int (*message)(struct job *j, struct wire_msg *m);
	int (*found)(struct job *j); /* j->fetch.seek has something */
};

struct job {
	const struct job_shared *shared;
	const struct conf *conf; /* its limits: as they were when it began */
	char id[33];
	struct offer *offer;
	struct wire_peer peer;
	struct wire_msg open;
	pthread_t thread;
	uint32_t number; /* on its client's connection */
	/* the main loop's */
	void *main_end;
	enum admit_state phase;
	bool stopping; /* atomic; it was told to stop */
	bool killing;  /* atomic; and nobody's wish that it goes on counts */

	/* The rest belongs to the thread. */
	void *socket;
	struct chunk_coder *coder;
	const Dray__JobOpen *request;
	ProtobufCMessage *unit_body;
	const Dray__Unit *unit; /* NULL: not all there yet */
	struct digest *blobs;	/* of unit->blobs */
	struct unit_index index;
	struct digest key; /* of the unit (unit_key.h) */
	char namespace[KEYS_NAME_MAX + 1];
	bool twin;   /* it has no slot */
	bool sample; /* likewise; job.h */
	bool refill; /* likewise */
	bool push;   /* likewise */
	uint64_t push_max;
	struct assembly *assembly; /* of it */
	struct offer *pushed;	   /* what it has become */
	bool sampled;		   /* the next one is what it comes to */
	struct shares_sum sum;
	struct tape *tape;	    /* which it leads, or NULL */
	struct tape_reader *reader; /* of one that it has joined, or NULL */
	size_t questions;	    /* of the tracer that are on the tape */
	struct twin_answer *answers;
	size_t n_answers;
	bool kept;	/* what it made is, for twins that come late */
	bool ownerless; /* its client is gone, and twins want it */
	struct stage stage;
	bool compress;
	uint32_t grant;	 /* content messages that may be on their way in either direction */
	uint32_t credit; /* of them, we may still send */
	bool stop;
	bool owed;		     /* the client owes us something */
	bool silent;		     /* ... and was silent for too long */
	uint64_t heard_ms;	     /* when it last said anything, or began to owe */
	uint64_t owed_ms, waited_ms; /* when it began to owe; for how long it did before */
	uint64_t moved;		     /* bytes of content, to it and from it */
	uint64_t wasted_ms;	     /* of that time, when the job failed */
	bool on_trial;		     /* atomic */

	struct job_user *user; /* NULL: the worker's own uid */
	struct sandbox box;
	bool ready;	     /* it stood ready */
	bool begun;	     /* its client was told, or is about to be, that it runs */
	bool ran;	     /* its compiler was started */
	struct trace *trace; /* NULL: the job is not traced */
	bool tracing;	     /* the job waits for its events, too */
	struct fetch fetch;
	const struct job_demand *demand;
	bool no_wait; /* job_poll only looks */
	struct limits limits;
	struct tokens tokens;
	uint64_t deadline_ms; /* the job is killed then; 0: none */
	uint64_t alive_ms;    /* when the client is told next that the job runs; 0: not yet */
	uint64_t text_bytes, text_budget;
	struct job_output *announced; /* outputs that were sent while the compiler ran */
	size_t n_announced;
	uint32_t n_outputs;
	uint64_t output_bytes; /* of all outputs so far */
	struct pieces pieces;
	struct shares_job *share; /* NULL: its result is not shared */
	struct digest alike;	  /* where it may be, once the compiler runs: unit_alike */
	bool has_alike;
	bool shares; /* its result is on its way */

	/* how it ended */
	Dray__Verdict verdict;
	char text[512];
	int status;
	uint64_t laying_us; /* since when it is laid out, or 0; staged_us: how long before */
	uint64_t staged_us, compile_us, cpu_us, wall_us, peak_rss;
};

/* Sets verdict and sentence (the first one stays) and returns err. */
int job_fail(struct job *j, int err, Dray__Verdict verdict, const char *fmt, ...) _printf_(4, 5);

/* Whether it was told to end, and no twin wants it: for a stage. arg: a job. */
bool job_is_stopped(void *arg);
/* It was, and its stage noticed. -ECANCELED */
int job_stopped(struct job *j);

/* The side that is to blame for an error at what the job itself made, or at a message whose size it
 * chose: the worker, where it lacks something; else the job. */
Dray__Verdict job_blame(int err);

/* job_talk.c: the conversation */
/* Whether such a message is not sent: of a job without a client, or that is a sample. */
bool job_keeps_back(const struct job *j, enum wire_type type);
int job_send(struct job *j, enum wire_type type, const ProtobufCMessage *body, zmq_msg_t *payload);
/* Receives one message if there is one. It handles credit, JobStop and files on demand itself.
 * -EAGAIN: there is no message for the caller; -ECANCELED: the job is to stop. */
int job_receive(struct job *j, struct wire_msg *ret);
/* Waits until the socket or one of the descriptors is readable. At the deadline the job fails with
 * LIMIT. Handles the tracer's events meanwhile. */
int job_poll(struct job *j, struct pollfd *fds, size_t n);
/* From now on job_poll tells the client at every heartbeat that the job is alive: a compile may be
 * quiet for an hour. */
void job_begin_alive(struct job *j);
/* Fails the job with NO_TOOLCHAIN when the toolchain is not the one that was asked for any more. */
int job_check_toolchain(struct job *j);
void job_set_deadline(struct job *j); /* each phase has one of its own */
/* Fails the job if a limit was passed. */
int job_fail_for(struct job *j, enum limits_verdict verdict, const char *text);
/* Waits until a content message may be sent, and takes its credit. */
int job_take_credit(struct job *j);
/* From now on the client owes us something, or not any more. While it does, and says nothing for
 * JOB_OWED_MS, the job ends: a slot is not kept for nobody. While others wait for one that is
 * sooner, and the job ends as well when less than JOB_OWED_PER_MS moves all the time. */
void job_owed(struct job *j, bool owed);
/* It is laid out from now on, or not any more, e.g. while its client sends what is lacking. */
void job_lay(struct job *j, bool on);
/* Whether laying out is to end (a stage's is_stopped): the job was stopped, or others wait for the
 * slot and it takes too long for a key that is on trial. */
bool job_laying_ends(void *arg);
/* Fails the job for that. */
int job_laying_ended(struct job *j);
/* push.c: a toolchain is taken in, and proved */
int push_take(struct job *j);
/* take_unit.c: takes in what is to be compiled */
int take_unit(struct job *j);
/* gather.c: lays out what is here, asks for the blobs that are missing, and takes them in */
int gather_inputs(struct job *j);
/* Takes one chunk of a blob. 1: the blob is whole and in the store; 0: more will come. */
int blob_in_take(struct job *j, struct blob_in *in, struct wire_msg *m);
void blob_in_done(struct blob_in *in);

/* fetch.c */
extern const struct job_demand fetch_demand;
/* Once nothing more comes: for fetch_find. */
void fetch_sort(struct job *j);
/* The digest of what came on demand for a path, or NULL. */
const struct digest *fetch_find(const struct job *j, const char *path);
void fetch_done(struct job *j);

/* job_text.c: relays the compiler's text while it runs, and the outputs it announces */
int job_text_relay(struct job *j);
int job_text_send(struct job *j, bool out, const uint8_t *p, size_t n);

/* content.c: sends outputs. Of d and same, which may be NULL, at most one; *ret is its number. */
int content_begin(struct job *j, const char *name, Dray__OutputKind kind, unsigned mode,
	uint64_t size, const struct digest *d, const struct piece *same, uint32_t *ret);
/* parts: of a file that nobody writes to; may be NULL. ret: NULL where content_begin had the
 * digest. ret_cut: not NULL where the file may be shorter than that by now; what is missing is sent
 * as zeros. -errno. */
int content_send(struct job *j, uint32_t output, int fd, uint64_t size, const struct parts *parts,
	struct digest *ret, bool *ret_cut);

/* pieces.c: what is sent ahead (job.proto, Pieces), where the client takes it */
void pieces_begin(struct job *j);
/* Nothing is sent ahead any more. The inotify to close, or 0. */
int pieces_end_watch(struct job *j);
void pieces_done(struct job *j);
/* Sends one, if there is one and half of the credit. */
int pieces_step(struct job *j);
bool pieces_may_go(const struct job *j);
void pieces_note_metadata(
	struct job *j, uint32_t output, int fd, uint64_t size, const struct digest *d);
/* The piece that this file in the out-dir is, or NULL. It is that file's from now on. */
const struct piece *pieces_take(struct job *j, const char *name, const struct stat *st);
/* What is in a library of pieces and of metadata, by digests. Nobody may write to it. */
void pieces_in(const struct pieces *p, int fd, uint64_t size, struct parts *ret);

/* results.c */
/* One whose content is known, and is not written to any more. -errno with a sentence. */
int results_send_known(struct job *j, const char *name, Dray__OutputKind kind, unsigned mode,
	const struct digest *d, uint64_t size, int fd);
/* A file in the out-dir that the running job may have closed to others. A descriptor, or -errno as
 * of fs_open_regular. */
int results_open(struct job *j, const char *path, struct stat *ret_st);
/* Sends an output that the running compiler announced, and keeps it in the store. */
int results_send_announced(struct job *j, const char *name);
/* Called when the compiler has ended: sends the other outputs, then the link inputs, then
 * JobResult. */
int results_finish(struct job *j);

#endif
