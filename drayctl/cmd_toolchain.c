/* drayctl toolchain list, pin, unpin: what is offered, by which workers, and what the farm is
 * limited to. */
#include "config.h"

#include <stdio.h>

#include "common/digest.h"
#include "common/text/clean.h"
#include "common/text/show.h"
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
id_of(const ProtobufCBinaryData *id, char hex[DIGEST_HEX_SIZE])
{
	struct digest d = { { 0 } };

	if (id->len == DIGEST_SIZE)
		memcpy(d.b, id->data, DIGEST_SIZE);
	digest_hex(&d, hex);
}

static json_t *
json_toolchain(const Dray__AdminToolchain *t, const char *hex, json_t *workers)
{
	return json_pack("{s:s, s:o, s:b, s:b, s:o, s:o, s:o}", "id", hex, "text",
		ctl_json_text(t->text), "pinned", t->pinned, "pushed", t->pushed, "bytes",
		ctl_json_number(t->bytes), "used_ms",
		t->used_ms ? ctl_json_number(t->used_ms) : json_null(), "workers", workers);
}

static json_t *
json_pushes(const Dray__AdminView *v)
{
	json_t *list = json_array();
	char hex[DIGEST_HEX_SIZE];

	for (size_t i = 0; i < v->n_push; i++) {
		const Dray__AdminPush *p = v->push[i];

		id_of(&p->id, hex);
		json_array_append_new(
			list, json_pack("{s:s, s:o, s:o, s:b, s:o, s:o, s:o}", "id", hex, "client",
				      ctl_json_text(p->client), "worker", ctl_json_text(p->worker),
				      "failed", p->failed, "age_ms", ctl_json_number(p->age_ms),
				      "bytes_done", ctl_json_number(p->done), "bytes",
				      ctl_json_number(p->of)));
	}
	return list;
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
		id_of(&v->toolchain[i]->id, hex);
		json_array_append_new(list, json_toolchain(v->toolchain[i], hex, workers));
	}
	return ctl_print_json(c, json_pack("{s:b, s:o, s:o}", "limited", v->has_pins, "toolchains",
					 list, "pushes", json_pushes(v)));
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

/* How long ago by the coordinator's clock. */
static void
add_state(struct grid *g, const Dray__AdminView *v, const Dray__AdminToolchain *t)
{
	char size[SHOW_SIZE] = "-", used[SHOW_SIZE] = "-";

	if (t->bytes)
		show_bytes(t->bytes, size);
	if (t->used_ms)
		show_time((v->at_ms > t->used_ms ? v->at_ms - t->used_ms : 0) * 1000, used);
	grid_add(g, "%s", !v->has_pins ? "-" : t->pinned ? "yes" : "no");
	grid_add(g, "%s", size);
	grid_add(g, "%s", used);
}

static void
print_pushes(const Dray__AdminView *v)
{
	char hex[DIGEST_HEX_SIZE], done[SHOW_SIZE], of[SHOW_SIZE], age[SHOW_SIZE];

	for (size_t i = 0; i < v->n_push; i++) {
		const Dray__AdminPush *p = v->push[i];
		char worker[128], name[128] = "a client";

		if (*p->client)
			clean_text(p->client, name, sizeof(name));
		id_of(&p->id, hex);
		show_bytes(p->done, done);
		show_bytes(p->of, of);
		show_time(p->age_ms * 1000, age);
		if (p->failed)
			printf("%.*s could not be given by %s, %s ago\n", ID_SHOWN, hex, name, age);
		else
			printf("%.*s is given to %s by %s: %s of %s that it lacks, for %s\n",
				ID_SHOWN, hex, clean_text(p->worker, worker, sizeof(worker)), name,
				done, of, age);
	}
}

static int
print_text(struct ctl *c, const Dray__AdminView *v)
{
	static const struct grid_column columns[] = {
		{ "ID", false, 0 },
		{ "TOOLCHAIN", false, 20 },
		{ "PINNED", false, 0 },
		{ "SIZE", true, 0 },
		{ "USED", true, 0 },
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
		id_of(&v->toolchain[i]->id, hex);
		grid_add(g, "%.*s", ID_SHOWN, hex);
		grid_add(g, "%s", v->toolchain[i]->text);
		add_state(g, v, v->toolchain[i]);
		grid_add(g, "%u", slots);
		grid_add(g, "%s", names.p ? (const char *)names.p : "");
	}
	r = ctl_print_grid(c, r == 0 ? g : NULL, "no worker offers a toolchain", 0);
	print_pushes(v);
	return r;
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
	.summary = "List the toolchains that are offered, by which workers, and which are pinned",
	.help = "      --json               as one JSON object\n",
	.options = CTL_JSON,
	.run = run,
};

static int
act(struct ctl *c, Dray__AdminWhat what)
{
	Dray__AdminAct m = DRAY__ADMIN_ACT__INIT;

	m.what = what;
	m.toolchain = c->args[0];
	return ctl_act(c, &m, NULL);
}

static int
pin(struct ctl *c)
{
	return act(c, DRAY__ADMIN_WHAT__ADMIN_TOOLCHAIN_PIN);
}

static int
unpin(struct ctl *c)
{
	return act(c, DRAY__ADMIN_WHAT__ADMIN_TOOLCHAIN_UNPIN);
}

static int
remove_it(struct ctl *c)
{
	return act(c, DRAY__ADMIN_WHAT__ADMIN_TOOLCHAIN_REMOVE);
}

const struct ctl_command ctl_toolchain_pin = {
	.name = "toolchain pin",
	.usage = "TOOLCHAIN",
	.summary = "Limit the farm to this toolchain, and others that are pinned",
	.help = "      --json               as one JSON object\n",
	.options = CTL_JSON,
	.least = 1,
	.most = 1,
	.run = pin,
};

const struct ctl_command ctl_toolchain_unpin = {
	.name = "toolchain unpin",
	.usage = "TOOLCHAIN",
	.summary = "Take it from the pinned ones; without any the farm has no limit",
	.help = "      --json               as one JSON object\n",
	.options = CTL_JSON,
	.least = 1,
	.most = 1,
	.run = unpin,
};

const struct ctl_command ctl_toolchain_remove = {
	.name = "toolchain remove",
	.usage = "TOOLCHAIN",
	.summary = "Have the workers drop a toolchain that a client gave them",
	.help = "      --json               as one JSON object\n",
	.options = CTL_JSON,
	.least = 1,
	.most = 1,
	.run = remove_it,
};
