/* clang-format off */
/* The tracer of one job: sees every path that the job's processes ask the kernel for, and every
 * variable (dray-env.so). A thread answers the kernel:
 *
 *   known: in the tree, or surely absent    it is recorded, and the call goes on
 *   not sent                                the call waits. trace_event() gives the path to the
 *                                           job's thread, which asks the client, puts the file in
 *                                           its place and calls trace_answer(): the call goes on
 *   only the client's machine has it        the call is never answered. trace_event() says what it
 *                                           was, and the job is to end
 *
 * It cannot see a macro that walks the whole environment, or reads the clock or random numbers. */
/* clang-format on */
#ifndef DRAY_WORKER_TRACER_TRACE_H
#define DRAY_WORKER_TRACER_TRACE_H

#include "common/strv.h"
#include "proto/job.pb-c.h"
#include "worker/sandbox/stage.h"
#include "worker/sandbox/sysroot.h"

struct trace;

enum trace_event {
	TRACE_QUIET,
	TRACE_ASKS,    /* *ret_text: the path that is looked for; answer it */
	TRACE_REFUSES, /* *ret_text: what the compile needs, for "needs …" */
};

/* Starts the thread. Stage and unit must outlive it. 0 or -errno. */
int trace_new(const struct stage *stage, const struct sysroot *sysroot, struct trace **ret);
/* The descriptor for dray-exec's --trace-socket. Call trace_handed when the sandbox has it. */
int trace_child_socket(const struct trace *t);
void trace_handed(struct trace *t);
/* Readable when trace_event may have news. */
int trace_event_fd(const struct trace *t);
enum trace_event trace_event(struct trace *t, char ret_text[PATH_MAX + 64]);
/* Call it before trace_answer: the attributes that a stat of the requested file shall return. */
void trace_set_times(struct trace *t, const char *path, const Dray__FileTimes *times);
/* found: the file is in the tree now. refused: it exists at the client's but is not sent; this is
 * the text for "needs …". NULL otherwise. */
void trace_answer(struct trace *t, bool found, const char *refused);
/* What the compile has asked for that its client said with the unit, and that another client may
 * say otherwise: a variable that was not sent, or the attributes of a file. */
struct trace_question {
	const char *name; /* the trace's */
	bool attributes;
	Dray__FileTimes times; /* as they were told */
};
/* The next one, in their order; *at begins as 0. What the compile does after an answer comes after
 * the question is here. 1; 0: there is none now; -ENOMEM: one was lost. */
int trace_next_question(struct trace *t, size_t *at, struct trace_question *ret);
/* Joins the thread; the sandbox has ended or been killed. */
void trace_stop(struct trace *t);
/* After trace_stop: whether what is at this path, in the out-dir, is the client's. */
bool trace_was_given(const struct trace *t, const char *path);
/* After trace_stop: what a stat of it said to the job, where that is the client's word. NULL. */
const Dray__FileTimes *trace_told(const struct trace *t, const char *path);
/* After trace_stop. Strings stay the trace's; the arrays are freed by trace_message_done. False: it
 * never saw the job (then nothing is filled), or there was no memory. */
bool trace_message(const struct trace *t, Dray__Trace *ret);
void trace_message_done(Dray__Trace *m);
void trace_freep(struct trace **t); /* stops it first */

#endif
