/* drayctl workers: each worker, what it does, and how far it is trusted. */
#include "config.h"

#include <stdio.h>

#include "common/text/show.h"
#include "drayctl/ctl.h"
#include "drayctl/grid.h"
#include "drayctl/words.h"

#define MS_US 1000

static json_t *
json_worker(const Dray__AdminWorker *w, const Dray__AdminView *v)
{
	json_t *list = json_array(),
	       *o = json_pack("{s:o, s:o, s:o, s:s, s:b, s:o, s:b, s:o}", "name",
		       ctl_json_text(w->name), "key", ctl_json_text(w->curve_public), "endpoint",
		       ctl_json_text(w->endpoint), "state", words_worker_state(w), "here", w->here,
		       "standing", ctl_json_text(w->standing), "leaving", w->leaving, "trust",
		       ctl_json_text(w->trust));
	const struct {
		const char *name;
		uint64_t n;
	} fields[] = {
		{ "slots", w->slots },
		{ "slots_used", w->used },
		{ "twins", w->twins },
		{ "cores", w->cores },
		{ "glibc", w->glibc },
		{ "failures", w->failures },
		{ "heard_ms", w->heard_ms },
		{ "up_ms", w->up_ms },
		{ "jobs_ended", w->ended },
		{ "jobs_failed", w->failed },
		{ "cpu_ms", w->cpu_us / MS_US },
		{ "wall_ms", w->wall_us / MS_US },
		{ "load_percent", w->load_percent },
		{ "coordinators", w->coordinators },
		{ "toolchains_doubted", w->doubted },
		{ "memory_available", w->memory_available },
		{ "store_bytes", w->store_bytes },
	};

	for (size_t i = 0; o && i < ARRAY_LEN(fields); i++)
		json_object_set_new(o, fields[i].name, ctl_json_number(fields[i].n));
	for (size_t i = 0; i < w->n_toolchain; i++)
		if (w->toolchain[i] < v->n_toolchain)
			json_array_append_new(
				list, ctl_json_text(v->toolchain[w->toolchain[i]]->text));
	json_object_set_new(o, "toolchains", list);
	return o;
}

static int
print_json(struct ctl *c, const Dray__AdminView *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n_worker; i++)
		json_array_append_new(list, json_worker(v->worker[i], v));
	return ctl_print_json(c,
		json_pack("{s:o, s:o}", "workers", list, "more", ctl_json_number(v->more_workers)));
}

static void
add_worker(struct grid *g, const Dray__AdminWorker *w)
{
	char heard[SHOW_SIZE] = "-", up[SHOW_SIZE] = "-";

	if (w->here) {
		show_time(w->heard_ms * MS_US, heard);
		show_time(w->up_ms * MS_US, up);
	}
	grid_add(g, "%s", w->name);
	grid_add(g, "%s", words_worker_state(w));
	if (w->here)
		grid_add(g, "%u/%u", w->used, w->slots);
	else
		grid_add(g, "-");
	if (w->here)
		grid_add(g, "%u%%", w->load_percent);
	else
		grid_add(g, "-");
	grid_add(g, "%llu", (unsigned long long)w->ended);
	grid_add(g, "%llu", (unsigned long long)w->failed);
	grid_add(g, "%s", heard);
	grid_add(g, "%s", up);
	grid_add(g, "%s", w->endpoint);
}

/* Their slots may be in use although nothing of this coordinator's runs there. */
static void
print_shared(const Dray__AdminView *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n_worker; i++)
		n += v->worker[i]->here && v->worker[i]->coordinators > 1;
	if (n)
		printf("%zu of them serve%s other coordinators, too\n", n, n == 1 ? "s" : "");
}

/* What they offer, and clients say that they lack it. */
static void
print_doubted(const Dray__AdminView *v)
{
	for (size_t i = 0; i < v->n_worker; i++)
		if (v->worker[i]->doubted)
			printf("%s gets no jobs of %u of its toolchains: clients say that it lacks "
			       "them\n",
				v->worker[i]->name, v->worker[i]->doubted);
}

static int
print_text(struct ctl *c, const Dray__AdminView *v)
{
	static const struct grid_column columns[] = {
		{ "WORKER", false, 8 },
		{ "STATE", false, 0 },
		{ "SLOTS", true, 0 },
		{ "LOAD", true, 0 },
		{ "ENDED", true, 0 },
		{ "FAILED", true, 0 },
		{ "HEARD", true, 0 },
		{ "UP", true, 0 },
		{ "ENDPOINT", false, 8 },
	};
	_cleanup_(grid_freep) struct grid *g = grid_new(columns, ARRAY_LEN(columns));
	int status;

	for (size_t i = 0; g && i < v->n_worker; i++)
		add_worker(g, v->worker[i]);
	status = ctl_print_grid(c, g, "no worker is here", v->more_workers);
	if (status != CTL_OK)
		return status;
	print_shared(v);
	print_doubted(v);
	return ctl_flush(c);
}

static int
run(struct ctl *c)
{
	Dray__AdminLook look = DRAY__ADMIN_LOOK__INIT;

	look.workers = true;
	return ctl_show(c, &look, print_json, print_text);
}

const struct ctl_command ctl_workers = {
	.name = "workers",
	.usage = "",
	.summary = "List the workers: what each does, and how far it is trusted",
	.help = "      --json               as one JSON object\n",
	.options = CTL_JSON,
	.run = run,
};
