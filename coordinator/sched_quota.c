/* Quotas: what the keys of a namespace may have at a time, all together, and have.
 *
 * A namespace that has all the slots that it may waits for one of its own: whose turn it is among
 * the namespaces is as ever (sched_share.c), and what it waits for is not held against others. A
 * twin has no slot, and needs none. Invariant: a space is in the table while a job or an account
 * names it; it holds as many slots as its jobs do. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "coordinator/sched_priv.h"

static uint64_t
space_hash(const struct sched *s, const char *name)
{
	return table_hash(s->conf.hash_key, name, strlen(name));
}

static struct space *
space_find(const struct sched *s, const char *name)
{
	struct table_node *node = table_find((struct table *)&s->spaces, space_hash(s, name));

	for (; node; node = table_find_next(node))
		if (streq(table_entry(node, struct space, node)->name, name))
			return table_entry(node, struct space, node);
	return NULL;
}

static void
ask_quota(const struct sched *s, const char *name, struct sched_quota *ret)
{
	*ret = (struct sched_quota){ 0, 0 };
	if (s->conf.quota)
		s->conf.quota(s->conf.allows_arg, name, ret);
}

int
space_join(struct sched *s, struct sched_job *job, const char *name)
{
	struct space *sp = space_find(s, name);

	if (!sp) {
		if (strlen(name) >= sizeof(sp->name))
			return -EINVAL;
		sp = calloc(1, sizeof(*sp));
		if (!sp)
			return -ENOMEM;
		memcpy(sp->name, name, strlen(name) + 1);
		ask_quota(s, name, &sp->may);
		table_put(&s->spaces, &sp->node, space_hash(s, name));
	}
	sp->jobs++;
	job->space = space_ref(sp);
	return 0;
}

void
space_leave(struct sched *s, struct sched_job *job)
{
	if (!job->space)
		return;
	job->space->jobs--;
	space_put(s, steal_ptr(job->space));
}

struct space *
space_ref(struct space *sp)
{
	if (sp)
		sp->refs++;
	return sp;
}

void
space_put(struct sched *s, struct space *sp)
{
	if (!sp || --sp->refs > 0)
		return;
	table_del(&s->spaces, &sp->node);
	free(sp);
}

bool
space_has_room(const struct space *sp)
{
	return !sp || sp->may.slots == 0 || sp->holding < sp->may.slots;
}

bool
space_may_hold(struct space *sp)
{
	bool may = space_has_room(sp);

	if (!may)
		sp->held_back = true;
	return may;
}

bool
space_may_queue(const struct space *sp)
{
	return !sp || sp->may.queue == 0 || sp->queued < sp->may.queue;
}

void
space_holds(struct sched *s, struct space *sp, int slots)
{
	if (!sp)
		return;
	sp->holding = (unsigned)((int)sp->holding + slots);
	if (slots > 0)
		return;
	s->let_on = s->let_on || (sp->held_back && sp->queued > 0);
	sp->held_back = false;
}

void
space_queued(struct space *sp, bool in)
{
	if (sp)
		sp->queued += in ? 1 : (size_t)-1;
}

/* What a person calls the keys of it. */
static const char *
called(const struct space *sp)
{
	return *sp->name ? sp->name : "-";
}

void
space_explain_slots(const struct space *sp, char *out, size_t n)
{
	snprintf(out, n,
		"the namespace %s has %u of the farm's slots, and may have %u at a time "
		"(quota_slots)",
		called(sp), sp->holding, sp->may.slots);
}

void
space_explain_queue(const struct space *sp, char *out, size_t n)
{
	snprintf(out, n,
		"%zu jobs of the namespace %s wait for a slot, and no more may at a time "
		"(quota_queue)",
		sp->queued, called(sp));
}

void
spaces_ask(struct sched *s)
{
	struct table_node *node;

	for (node = table_walk(&s->spaces, NULL); node; node = table_walk(&s->spaces, node)) {
		struct space *sp = table_entry(node, struct space, node);

		ask_quota(s, sp->name, &sp->may);
	}
}

void
sched_space_get(const struct sched *s, const char *name, struct sched_space_view *ret)
{
	const struct space *sp = space_find(s, name);

	*ret = (struct sched_space_view){ .jobs = 0 };
	ask_quota(s, name, &ret->may);
	if (!sp)
		return;
	ret->jobs = sp->jobs;
	ret->queued = sp->queued;
	ret->holding = sp->holding;
}
