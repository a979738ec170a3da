/* drayctl jobs: what runs and what waits, whose it is and where. */
#include "config.h"

#include <stdio.h>

#include "common/text/show.h"
#include "drayctl/ctl.h"
#include "drayctl/grid.h"
#include "drayctl/words.h"

#define MS_US 1000

static bool
is_wanted(const struct ctl *c, const Dray__AdminJob *j)
{
	return !c->worker || streq(j->worker, c->worker);
}

static int
print_json(struct ctl *c, const Dray__AdminView *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n_job; i++) {
		const Dray__AdminJob *j = v->job[i];

		if (!is_wanted(c, j))
			continue;
		json_array_append_new(list,
			json_pack("{s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:i, s:o, s:o}",
				"id", ctl_json_text(j->id), "crate", ctl_json_text(j->crate),
				"kind", ctl_json_text(j->kind), "state", ctl_json_text(j->state),
				"twin", j->twin, "client", ctl_json_text(j->client), "key",
				ctl_json_text(j->curve_public), "namespace",
				ctl_json_text(j->namespace_), "worker", ctl_json_text(j->worker),
				"tries", (int)j->tries, "age_ms", ctl_json_number(j->age_ms),
				"held_ms", ctl_json_number(j->held_ms)));
	}
	return ctl_print_json(
		c, json_pack("{s:o, s:o}", "jobs", list, "more", ctl_json_number(v->more_jobs)));
}

static void
add_job(struct grid *g, const Dray__AdminJob *j)
{
	char key[WORDS_KEY_SIZE], age[SHOW_SIZE] = "-", held[SHOW_SIZE] = "-";

	if (j->age_ms)
		show_time(j->age_ms * MS_US, age);
	if (j->held_ms)
		show_time(j->held_ms * MS_US, held);
	grid_add(g, "%.8s", j->id);
	grid_add(g, "%s%s", j->state, j->twin ? "+" : "");
	grid_add(g, "%s", *j->crate ? j->crate : "-");
	grid_add(g, "%s", *j->kind ? j->kind : "-");
	grid_add(g, "%s", words_who(j->client, j->curve_public, key));
	grid_add(g, "%s", *j->worker ? j->worker : "-");
	grid_add(g, "%s", age);
	grid_add(g, "%s", held);
}

static int
print_text(struct ctl *c, const Dray__AdminView *v)
{
	static const struct grid_column columns[] = {
		{ "JOB", false, 0 },
		{ "STATE", false, 0 },
		{ "CRATE", false, 10 },
		{ "KIND", false, 4 },
		{ "CLIENT", false, 8 },
		{ "WORKER", false, 8 },
		{ "AGE", true, 0 },
		{ "IN SLOT", true, 0 },
	};
	_cleanup_(grid_freep) struct grid *g = grid_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; g && i < v->n_job; i++)
		if (is_wanted(c, v->job[i]))
			add_job(g, v->job[i]);
	return ctl_print_grid(c, g, "no job is here", v->more_jobs);
}

static int
run(struct ctl *c)
{
	Dray__AdminLook look = DRAY__ADMIN_LOOK__INIT;

	look.jobs = true;
	return ctl_show(c, &look, print_json, print_text);
}

const struct ctl_command ctl_jobs = {
	.name = "jobs",
	.usage = "[--worker NAME]",
	.summary = "List what runs, and what waits; + is a job that has joined another one",
	.help = "      --worker NAME        those of that worker alone\n"
		"      --json               as one JSON object\n",
	.options = CTL_JSON | CTL_WORKER,
	.run = run,
};
