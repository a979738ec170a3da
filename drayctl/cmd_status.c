/* drayctl status: the farm in a dozen lines. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "client/wrap/farm_state.h"
#include "common/conf/coordinators.h"
#include "common/text/show.h"
#include "drayctl/ctl.h"

#define MS_US 1000

#define EACH_MS 1000

/* ---- of several coordinators, each */

struct each {
	const char *endpoint;
	bool used, answers;
	uint64_t up_ms;
	uint64_t away_ms; /* for so long it has not answered this user; 0: it has, or not known */
	char *why;
};

struct several {
	struct coordinators all;
	struct each v[COORDINATORS_MAX];
};

/* As each of this user's clients does: the first that finds it so says since when. */
static void
note(const struct ctl *c, struct each *e, int r)
{
	bool up = false;
	uint64_t ms = 0;

	/* one that refuses this key has answered */
	if (r < 0 && r != -ENOTCONN && r != -ETIMEDOUT)
		return;
	farm_state_set(c->conf->client.cache_dir, e->endpoint, e->answers);
	if (!e->answers && farm_state_since(c->conf->client.cache_dir, e->endpoint, &up, &ms) &&
		!up)
		e->away_ms = MAX2(ms, (uint64_t)1);
}

static void
ask_one(const struct ctl *c, struct each *e)
{
	struct ctl other = { .conf = c->conf,
		.command = c->command,
		.where = { .coordinator = e->endpoint, .wait_ms = EACH_MS } };
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	Dray__AdminLook look = DRAY__ADMIN_LOOK__INIT;
	uint32_t number = 0;
	int r = link_open(c->conf, &other.where, &other.link, &e->why);

	if (r == 0)
		r = link_send(other.link, WIRE_ADMIN_LOOK, &look.base, &number);
	if (r == 0)
		r = link_wait(other.link, WIRE_ADMIN_VIEW, number, EACH_MS, -1, &m, &e->why);
	e->answers = r == 0;
	if (r == 0)
		e->up_ms = ((const Dray__AdminView *)m.body)->up_ms;
	note(c, e, r);
	link_free(other.link);
}

/* None, where it came by a socket or the configuration names one alone. */
static void
ask_each(struct ctl *c, const Dray__AdminView *v, struct several *ret)
{
	_cleanup_(freep) char *why = NULL;

	*ret = (struct several){ .all = COORDINATORS_INIT };
	if (coordinators_parse("client", c->conf->client.coordinator,
		    c->conf->client.coordinator_key, &ret->all, &why) < 0)
		return;
	for (size_t i = 0; i < ret->all.n; i++)
		ret->v[i].used = streq(ret->all.v[i].endpoint, link_endpoint(c->link));
	for (size_t i = 0; ret->all.n > 1 && i < ret->all.n; i++) {
		struct each *e = &ret->v[i];

		e->endpoint = ret->all.v[i].endpoint;
		if (!e->used) {
			ask_one(c, e);
		} else {
			e->answers = true;
			e->up_ms = v->up_ms;
		}
	}
}

static void
several_done(struct several *s)
{
	for (size_t i = 0; i < s->all.n; i++)
		free(s->v[i].why);
	coordinators_done(&s->all);
}

static json_t *
json_each(const struct several *s)
{
	json_t *list = json_array();

	for (size_t i = 0; s->all.n > 1 && i < s->all.n; i++) {
		const struct each *e = &s->v[i];

		json_array_append_new(list,
			json_pack("{s:o, s:b, s:b, s:o, s:o, s:o}", "endpoint",
				ctl_json_text(e->endpoint), "answered", (int)e->used, "reachable",
				(int)e->answers, "up_ms",
				e->answers ? ctl_json_number(e->up_ms) : json_null(), "away_ms",
				e->away_ms ? ctl_json_number(e->away_ms) : json_null(), "error",
				e->why ? ctl_json_text(e->why) : json_null()));
	}
	return list;
}

static void
print_each(const struct several *s)
{
	for (size_t i = 0; s->all.n > 1 && i < s->all.n; i++) {
		const struct each *e = &s->v[i];
		char up[SHOW_SIZE], away[SHOW_SIZE];

		show_time(e->up_ms * MS_US, up);
		show_time(e->away_ms * MS_US, away);
		if (e->answers)
			printf("%s  %s, up %s%s\n", i ? "        " : "one of  ", e->endpoint, up,
				e->used ? ": this one" : "");
		else
			printf("%s  %s: not reachable%s%s\n", i ? "        " : "one of  ",
				e->endpoint, e->away_ms ? ", for " : "", e->away_ms ? away : "");
	}
}

struct counts {
	unsigned drained, removed, away, leaving, shunned;
};

static void
count(const Dray__AdminView *v, struct counts *n)
{
	for (size_t i = 0; i < v->n_worker; i++) {
		const Dray__AdminWorker *w = v->worker[i];

		n->removed += streq(w->standing, "removed");
		n->drained += streq(w->standing, "drained");
		n->away += !w->here && !streq(w->standing, "removed");
		n->leaving += w->here && w->leaving;
		n->shunned += w->here && streq(w->trust, "shunned");
	}
}

/* null: there is no quota. */
static json_t *
json_limit(uint64_t max)
{
	return max ? ctl_json_number(max) : json_null();
}

static json_t *
json_spaces(const Dray__AdminView *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n_space; i++) {
		const Dray__AdminSpace *p = v->space[i];

		json_array_append_new(list,
			json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "namespace",
				ctl_json_text(p->namespace_), "jobs", ctl_json_number(p->jobs),
				"slots_used", ctl_json_number(p->slots), "slots_max",
				json_limit(p->slots_max), "jobs_queued", ctl_json_number(p->queued),
				"queue_max", json_limit(p->queue_max), "uploaded_bytes",
				ctl_json_number(p->uploaded), "upload_max",
				json_limit(p->upload_max)));
	}
	return list;
}

static int
print_json(struct ctl *c, const Dray__AdminView *v)
{
	_cleanup_(several_done) struct several each = { .all = COORDINATORS_INIT };
	struct counts n = { 0 };
	json_t *o;

	ask_each(c, v, &each);

	count(v, &n);
	o = json_pack("{s:o, s:o, s:o, s:o, s:b}", "name", ctl_json_text(v->name), "software",
		ctl_json_text(v->software), "at_ms", ctl_json_number(v->at_ms), "up_ms",
		ctl_json_number(v->up_ms), "shutting_down", v->shutting_down);
	if (!o)
		return ctl_print_json(c, o);
	json_object_set_new(o, "coordinator", ctl_json_text(link_endpoint(c->link)));
	json_object_set_new(o, "coordinators", json_each(&each));
	json_object_set_new(o, "namespaces", json_spaces(v));
	const struct {
		const char *name;
		uint64_t n;
	} fields[] = {
		{ "workers", v->workers },
		{ "workers_drained", n.drained },
		{ "workers_removed", n.removed },
		{ "workers_away", n.away },
		{ "workers_leaving", n.leaving },
		{ "workers_shunned", n.shunned },
		{ "slots", v->slots },
		{ "slots_used", v->used },
		{ "jobs", v->jobs },
		{ "jobs_queued", v->queued },
		{ "queue_ms", v->queue_ms },
		{ "queue_oldest_ms", v->queue_oldest_ms },
		{ "jobs_placed", v->placed },
		{ "jobs_ended", v->ended },
		{ "jobs_twins", v->twins },
		{ "connections", v->connections },
		{ "samples", v->samples },
		{ "samples_odd", v->samples_odd },
		{ "producers_shunned", v->shunned },
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		json_object_set_new(o, fields[i].name, ctl_json_number(fields[i].n));
	json_object_set_new(o, "cache",
		v->has_cache ? json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "asked",
				       ctl_json_number(v->cache_asked), "found",
				       ctl_json_number(v->cache_found), "absent",
				       ctl_json_number(v->cache_absent), "bytes_sent",
				       ctl_json_number(v->cache_bytes), "stored",
				       ctl_json_number(v->cache_stored), "store_fetched",
				       ctl_json_number(v->store_fetched), "store_uploaded",
				       ctl_json_number(v->store_uploaded), "store_due",
				       ctl_json_number(v->store_due))
			     : json_null());
	return ctl_print_json(c, o);
}

static void
print_workers(const Dray__AdminView *v)
{
	struct counts n = { 0 };
	const struct {
		unsigned n;
		const char *what;
	} kinds[] = { { n.drained, "drained" }, { n.removed, "removed" }, { n.away, "away" },
		{ n.leaving, "leaving" }, { n.shunned, "shunned" } };
	unsigned counts[ARRAY_LEN(kinds)];

	count(v, &n);
	counts[0] = n.drained;
	counts[1] = n.removed;
	counts[2] = n.away;
	counts[3] = n.leaving;
	counts[4] = n.shunned;
	printf("workers   %u here", v->workers);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (counts[i])
			printf(", %u %s", counts[i], kinds[i].what);
	printf("\nslots     %u of %u in use\n", v->used, v->slots);
}

static void
print_queue(const Dray__AdminView *v)
{
	char oldest[SHOW_SIZE];

	show_time(v->queue_oldest_ms * MS_US, oldest);
	if (v->queued)
		printf("queue     %u wait, the first one for %s\n", v->queued, oldest);
	else
		puts("queue     nothing waits");
	printf("jobs      %llu placed, %llu ended, %llu of them joined others\n",
		(unsigned long long)v->placed, (unsigned long long)v->ended,
		(unsigned long long)v->twins);
}

/* A line for each that has a quota. */
static void
print_quotas(const Dray__AdminView *v)
{
	const char *head = "quotas  ";

	for (size_t i = 0; i < v->n_space; i++) {
		const Dray__AdminSpace *p = v->space[i];
		char came[SHOW_SIZE], most[SHOW_SIZE];
		const char *sep = "";

		if (!p->slots_max && !p->queue_max && !p->upload_max)
			continue;
		show_bytes(p->uploaded, came);
		show_bytes(p->upload_max, most);
		printf("%s  %s: ", head, *p->namespace_ ? p->namespace_ : "-");
		head = "        ";
		if (p->slots_max) {
			printf("%u of %u slots", p->slots, p->slots_max);
			sep = ", ";
		}
		if (p->queue_max) {
			printf("%s%u of %u jobs wait", sep, p->queued, p->queue_max);
			sep = ", ";
		}
		if (p->upload_max)
			printf("%s%s of %s put within the hour", sep, came, most);
		putchar('\n');
	}
}

static void
print_cache(const Dray__AdminView *v)
{
	char share[SHOW_SIZE], bytes[SHOW_SIZE];

	if (!v->has_cache) {
		puts("cache     none is kept");
		return;
	}
	show_share(v->cache_found, v->cache_found + v->cache_absent, share);
	show_bytes(v->cache_bytes, bytes);
	printf("cache     %llu of %llu were there (%s), %s sent, %llu stored\n",
		(unsigned long long)v->cache_found,
		(unsigned long long)(v->cache_found + v->cache_absent), share, bytes,
		(unsigned long long)v->cache_stored);
	if (v->store_fetched || v->store_uploaded || v->store_due)
		printf("stores    %llu fetched, %llu uploaded, %llu due\n",
			(unsigned long long)v->store_fetched, (unsigned long long)v->store_uploaded,
			(unsigned long long)v->store_due);
}

static int
print_text(struct ctl *c, const Dray__AdminView *v)
{
	_cleanup_(buf_done) struct buf name = BUF_INIT;
	_cleanup_(several_done) struct several each = { .all = COORDINATORS_INIT };
	char up[SHOW_SIZE];

	ask_each(c, v, &each);

	if (show_text(&name, v->name) < 0 || buf_adds(&name, ", ") < 0 ||
		show_text(&name, v->software) < 0)
		return CTL_FAILED;
	show_time(v->up_ms * MS_US, up);
	printf("farm      %s, up %s%s\n", (const char *)name.p, up,
		v->shutting_down ? ", shutting down" : "");
	print_each(&each);
	print_workers(v);
	print_queue(v);
	print_quotas(v);
	print_cache(v);
	if (v->samples)
		printf("samples   %llu compiled again, %llu came out otherwise\n",
			(unsigned long long)v->samples, (unsigned long long)v->samples_odd);
	if (v->shunned)
		printf("shunned   %u workers, since they made what no other makes\n", v->shunned);
	printf("peers     %u connections\n", v->connections);
	return ctl_flush(c);
}

static int
run(struct ctl *c)
{
	Dray__AdminLook look = DRAY__ADMIN_LOOK__INIT;

	look.workers = true;
	look.spaces = true;
	return ctl_show(c, &look, print_json, print_text);
}

const struct ctl_command ctl_status = {
	.name = "status",
	.usage = "",
	.summary = "Show the farm as a whole",
	.help = "      --json               as one JSON object\n",
	.options = CTL_JSON,
	.run = run,
};
