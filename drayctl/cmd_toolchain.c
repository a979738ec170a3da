/* drayctl toolchain list: what is offered, and by which workers. */
#include "config.h"

#include <stdio.h>

#include "common/digest.h"
#include "drayctl/ctl.h"
#include "drayctl/grid.h"
#include "drayctl/words.h"

#define ID_SHOWN 12

static bool
offers(const Dray__AdminWorker *w, size_t toolchain)
{
	for (size_t i = 0; i < w->n_toolchain; i++)
		if (w->toolchain[i] == toolchain)
			return true;
	return false;
}

static void
id_of(const Dray__AdminToolchain *t, char hex[DIGEST_HEX_SIZE])
{
	struct digest d = { { 0 } };

	if (t->id.len == DIGEST_SIZE)
		memcpy(d.b, t->id.data, DIGEST_SIZE);
	digest_hex(&d, hex);
}

static int
print_json(struct ctl *c, const Dray__AdminView *v)
{
	json_t *list = json_array();
	char hex[DIGEST_HEX_SIZE];

	for (size_t i = 0; i < v->n_toolchain; i++) {
		json_t *workers = json_array();

		for (size_t k = 0; k < v->n_worker; k++)
			if (offers(v->worker[k], i))
				json_array_append_new(workers, ctl_json_text(v->worker[k]->name));
		id_of(v->toolchain[i], hex);
		json_array_append_new(
			list, json_pack("{s:s, s:o, s:o}", "id", hex, "text",
				      ctl_json_text(v->toolchain[i]->text), "workers", workers));
	}
	return ctl_print_json(c, json_pack("{s:o}", "toolchains", list));
}

/* The names, with blanks between. */
static int
name_workers(const Dray__AdminView *v, size_t toolchain, struct buf *to, unsigned *ret_slots)
{
	int r = buf_adds(to, "");

	*ret_slots = 0;
	for (size_t k = 0; r == 0 && k < v->n_worker; k++)
		if (offers(v->worker[k], toolchain)) {
			r = buf_addf(to, "%s%s", to->n ? " " : "", v->worker[k]->name);
			*ret_slots += v->worker[k]->slots;
		}
	return r;
}

static int
print_text(struct ctl *c, const Dray__AdminView *v)
{
	static const struct grid_column columns[] = {
		{ "ID", false, 0 },
		{ "TOOLCHAIN", false, 20 },
		{ "SLOTS", true, 0 },
		{ "WORKERS", false, 10 },
	};
	_cleanup_(grid_freep) struct grid *g = grid_new(columns, ARRAY_LEN(columns));
	char hex[DIGEST_HEX_SIZE];
	int r = g ? 0 : -1;

	for (size_t i = 0; r == 0 && i < v->n_toolchain; i++) {
		_cleanup_(buf_done) struct buf names = BUF_INIT;
		unsigned slots;

		r = name_workers(v, i, &names, &slots);
		id_of(v->toolchain[i], hex);
		grid_add(g, "%.*s", ID_SHOWN, hex);
		grid_add(g, "%s", v->toolchain[i]->text);
		grid_add(g, "%u", slots);
		grid_add(g, "%s", names.p ? (const char *)names.p : "");
	}
	if (r == 0 && v->n_toolchain == 0)
		puts("no worker offers a toolchain");
	else if (r == 0)
		r = grid_print(g, grid_width(stdout), stdout);
	if (r < 0) {
		ctl_error(c, "out of memory");
		return CTL_FAILED;
	}
	return ctl_flush(c);
}

static int
run(struct ctl *c)
{
	Dray__AdminLook look = DRAY__ADMIN_LOOK__INIT;

	look.workers = true;
	return ctl_show(c, &look, print_json, print_text);
}

const struct ctl_command ctl_toolchain_list = {
	.name = "toolchain list",
	.usage = "",
	.summary = "List the toolchains that are offered, and by which workers",
	.help = "      --json               as one JSON object\n",
	.options = CTL_JSON,
	.run = run,
};
