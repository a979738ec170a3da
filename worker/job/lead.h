/* What a job puts on its tape for its twins. Every function does nothing for a job without one. */
#ifndef DRAY_WORKER_JOB_LEAD_H
#define DRAY_WORKER_JOB_LEAD_H

#include "worker/job/job_priv.h"

/* Notes what the compile has asked for until now, then the text. */
void lead_note_text(struct job *j, bool out, const void *p, size_t n);
/* Likewise the output. fd: nobody writes to it any more. */
void lead_note_output(struct job *j, const char *name, Dray__OutputKind kind, unsigned mode,
	const struct digest *d, uint64_t size, int fd);
/* The client's answer to the question that waits. */
void lead_note_answer(struct job *j, const Dray__FileAnswer *m);
void lead_note_result(struct job *j, const Dray__JobResult *m);
/* Whether the job goes on without its client, for its twins. */
bool lead_is_wanted(struct job *j);
/* Whether a job without a client has nobody left. */
bool lead_is_alone(struct job *j);

#endif
