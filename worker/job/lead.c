/* Invariant: what a text or an output may depend on is on the tape before it. The tracer notes a
 * question before it lets the compile go on. */
#include "config.h"

#include "worker/job/lead.h"

static void
note_questions(struct job *j)
{
	struct trace_question q;
	int r = 0;

	while (j->trace && (r = trace_next_question(j->trace, &j->questions, &q)) == 1) {
		if (q.attributes)
			tape_attributes(j->tape, q.name, &q.times);
		else
			tape_variable(j->tape, q.name);
	}
	if (r < 0)
		tape_void(j->tape);
}

void
lead_note_text(struct job *j, bool out, const void *p, size_t n)
{
	if (!j->tape)
		return;
	note_questions(j);
	tape_text(j->tape, out, p, n);
}

void
lead_note_output(struct job *j, const char *name, Dray__OutputKind kind, unsigned mode,
	const struct digest *d, uint64_t size, int fd)
{
	if (!j->tape)
		return;
	note_questions(j);
	tape_output(j->tape, name, kind, mode, d, size, fd);
}

void
lead_note_answer(struct job *j, const Dray__FileAnswer *m)
{
	struct digest d = { { 0 } };
	bool regular = m->kind == DRAY__FILE_KIND__FILE_REGULAR;

	if (!j->tape)
		return;
	if (regular && m->blob && m->blob->digest.len == DIGEST_SIZE)
		memcpy(d.b, m->blob->digest.data, DIGEST_SIZE);
	tape_file(j->tape, j->fetch.path, m->kind, &d, regular && m->blob ? m->blob->size : 0,
		m->times);
}

void
lead_note_result(struct job *j, const Dray__JobResult *m)
{
	if (!j->tape)
		return;
	note_questions(j);
	tape_result(j->tape, m);
}

/* Only its client can answer what was asked, and have what others may not have. */
bool
lead_is_wanted(struct job *j)
{
	return !j->fetch.waiting && !j->fetch.content && !j->fetch.seek &&
	       tape_has_begun(j->tape) && tape_is_read(j->tape);
}

bool
lead_is_alone(struct job *j)
{
	return !tape_is_read(j->tape);
}
