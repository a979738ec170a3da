/* drayctl clients: which keys are connected, and what each has of the farm. */
#include "config.h"

#include <stdio.h>

#include "common/text/show.h"
#include "drayctl/ctl.h"
#include "drayctl/grid.h"
#include "drayctl/words.h"

#define MS_US 1000

/* Of its namespace; NULL: of an older coordinator, or it is in none that is listed. */
static const Dray__AdminSpace *
space_of(const Dray__AdminView *v, const Dray__AdminClient *k)
{
	for (size_t i = 0; i < v->n_space; i++)
		if (streq(v->space[i]->namespace_, k->namespace_))
			return v->space[i];
	return NULL;
}

/* null: there is no quota. */
static json_t *
json_slots_max(const Dray__AdminSpace *p)
{
	return p && p->slots_max ? ctl_json_number(p->slots_max) : json_null();
}

static json_t *
json_slots(const Dray__AdminSpace *p)
{
	return p ? ctl_json_number(p->slots) : json_null();
}

static int
print_json(struct ctl *c, const Dray__AdminView *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n_client; i++) {
		const Dray__AdminClient *k = v->client[i];
		const Dray__AdminSpace *p = space_of(v, k);

		json_array_append_new(list,
			json_pack("{s:o, s:o, s:o, s:o, s:i, s:i, s:i, s:i, s:o, s:o, s:o}", "name",
				ctl_json_text(k->name), "key", ctl_json_text(k->curve_public),
				"namespace", ctl_json_text(k->namespace_), "role",
				ctl_json_text(k->role), "connections", (int)k->connections, "jobs",
				(int)k->jobs, "jobs_queued", (int)k->queued, "slots_used",
				(int)k->slots, "used_ms", ctl_json_number(k->used_us / MS_US),
				"namespace_slots_used", json_slots(p), "namespace_slots_max",
				json_slots_max(p)));
	}
	return ctl_print_json(c,
		json_pack("{s:o, s:o}", "clients", list, "more", ctl_json_number(v->more_clients)));
}

static void
add_client(struct grid *g, const Dray__AdminView *v, const Dray__AdminClient *k)
{
	const Dray__AdminSpace *p = space_of(v, k);
	char key[WORDS_KEY_SIZE], used[SHOW_SIZE];

	show_time(k->used_us, used);
	grid_add(g, "%s", words_who(k->name, k->curve_public, key));
	grid_add(g, "%s", k->role);
	grid_add(g, "%s", *k->namespace_ ? k->namespace_ : "-");
	grid_add(g, "%u", k->connections);
	grid_add(g, "%u", k->jobs);
	grid_add(g, "%u", k->queued);
	grid_add(g, "%u", k->slots);
	if (p && p->slots_max)
		grid_add(g, "%u/%u", p->slots, p->slots_max);
	else
		grid_add(g, "-");
	grid_add(g, "%s", used);
}

static int
print_text(struct ctl *c, const Dray__AdminView *v)
{
	static const struct grid_column columns[] = {
		{ "CLIENT", false, 8 },
		{ "ROLE", false, 0 },
		{ "NAMESPACE", false, 8 },
		{ "CONNS", true, 0 },
		{ "JOBS", true, 0 },
		{ "WAIT", true, 0 },
		{ "SLOTS", true, 0 },
		{ "QUOTA", true, 0 },
		{ "USED", true, 0 },
	};
	_cleanup_(grid_freep) struct grid *g = grid_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; g && i < v->n_client; i++)
		add_client(g, v, v->client[i]);
	return ctl_print_grid(c, g, NULL, v->more_clients);
}

static int
run(struct ctl *c)
{
	Dray__AdminLook look = DRAY__ADMIN_LOOK__INIT;

	look.clients = look.spaces = true;
	return ctl_show(c, &look, print_json, print_text);
}

const struct ctl_command ctl_clients = {
	.name = "clients",
	.usage = "",
	.summary = "List the keys that are connected, and what each has of the farm",
	.help = "      --json               as one JSON object\n",
	.options = CTL_JSON,
	.run = run,
};
