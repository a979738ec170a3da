/* What trace.c (the thread), trace_consider.c (what a call means) and trace_news.c (questions to
 * the job's thread) share. trace_news.c is below the other two; trace.c is above. */
#ifndef DRAY_WORKER_TRACER_TRACE_PRIV_H
#define DRAY_WORKER_TRACER_TRACE_PRIV_H

#include <pthread.h>

#include "trace/caller.h"
#include "trace/listener.h"
#include "trace/runtime.h"
#include "trace/set.h"
#include "trace/trace_call.h"
#include "worker/tracer/trace.h"
#include "worker/tracer/trace_rules.h"
#include "worker/tracer/trace_stat.h"

struct trace {
	const struct stage *stage;
	const struct sysroot *sysroot;
	struct trace_rules rules;
	pthread_t thread;
	bool running;
	int root;	   /* the tree's directory */
	int out;	   /* the out-dir's */
	int socket, child; /* the listener comes here */
	int stop, event;   /* eventfds */
	struct trace_listener listener;

	/* The thread's, and after trace_stop the job's. */
	struct trace_set set;
	struct trace_stat stat;
	struct trace_call call;
	struct trace_caller caller;
	bool listening; /* the listener came */
	bool moved;	/* a process changed its directory: relative paths are looked up */
	bool unread;	/* some call could not be understood */
	bool umask;	/* asked for */
	int up;		/* of a ".." in this call's paths; negative: the job ends */
	struct runtime_loading loading;
	uint32_t calls, fetched, asks;
	uint64_t wait_us;

	pthread_mutex_t lock;
	pthread_cond_t answered;
	enum trace_event news;	  /* under lock, as all that follows */
	char text[PATH_MAX + 64]; /* of the news */
	bool asked, found, ending;
	struct trace_question *questions;
	size_t n_questions;
	bool questions_lost;
	char refused[PATH_MAX + 64];
};

/* ---- trace_news.c */

/* Makes an eventfd readable. */
void trace_ring(int fd);
/* Ends the job: says why, and leaves the call unanswered. -EPERM. */
int trace_refuse(struct trace *t, const char *fmt, ...) _printf_(2, 3);
/* Notes a question that the trace has for the first time. times: NULL for a variable. */
void trace_note_question(struct trace *t, const char *name, const Dray__FileTimes *times);
/* Asks the client through the job's thread, and waits. 1: it is in the tree now; 0: absent; -errno:
 * the job ends. */
int trace_ask(struct trace *t, const char *path);

/* ---- trace_consider.c */

/* Reads the call that waits into t->call, and records what it asks for. 0: the kernel goes on with
 * it; 1: its caller is gone; negative: no answer. */
int trace_consider(struct trace *t);
/* The tree's files are the worker's, with its own times and modes; a stat is answered with what it
 * would say at the client's. False: the kernel is to answer. */
bool trace_answer_stat(struct trace *t);

#endif
