/* drayctl cache status, cache purge: the coordinator's shared cache. */
#include "config.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/text/show.h"
#include "common/text/when.h"
#include "drayctl/ctl.h"
#include "drayctl/grid.h"
#include "keys/identity.h"

#define MS 1000

#define PURGE_MS 600000 /* it is done behind other requests */

static int
status_json(struct ctl *c, const Dray__AdminView *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n_cache; i++) {
		const Dray__AdminCache *k = v->cache[i];

		json_array_append_new(list,
			json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "namespace",
				ctl_json_text(k->namespace_), "open", k->open, "entries",
				ctl_json_number(k->entries), "outputs", ctl_json_number(k->outputs),
				"bytes", ctl_json_number(k->bytes), "max", ctl_json_number(k->max),
				"evicted", ctl_json_number(k->evicted)));
	}
	return ctl_print_json(c,
		json_pack("{s:o, s:o, s:o, s:o, s:o}", "namespaces", list, "found",
			ctl_json_number(v->cache_found), "absent", ctl_json_number(v->cache_absent),
			"bytes_sent", ctl_json_number(v->cache_bytes), "stored",
			ctl_json_number(v->cache_stored)));
}

static int
status_text(struct ctl *c, const Dray__AdminView *v)
{
	static const struct grid_column columns[] = {
		{ "NAMESPACE", false, 10 },
		{ "ENTRIES", true, 0 },
		{ "OUTPUTS", true, 0 },
		{ "SIZE", true, 0 },
		{ "OF", true, 0 },
		{ "FULL", true, 0 },
		{ "EVICTED", true, 0 },
	};
	_cleanup_(grid_freep) struct grid *g = grid_new(columns, ARRAY_LEN(columns));
	char bytes[SHOW_SIZE], max[SHOW_SIZE], share[SHOW_SIZE];

	for (size_t i = 0; g && i < v->n_cache; i++) {
		const Dray__AdminCache *k = v->cache[i];

		grid_add(g, "%s", *k->namespace_ ? k->namespace_ : "-");
		show_bytes(k->bytes, bytes);
		show_bytes(k->max, max);
		show_share(k->bytes, k->max, share);
		grid_add(g, k->open ? "%llu" : "?", (unsigned long long)k->entries);
		grid_add(g, k->open ? "%llu" : "?", (unsigned long long)k->outputs);
		grid_add(g, "%s", k->open ? bytes : "?");
		grid_add(g, "%s", k->open ? max : "?");
		grid_add(g, "%s", k->open ? share : "?");
		grid_add(g, k->open ? "%llu" : "?", (unsigned long long)k->evicted);
	}
	return ctl_print_grid(c, g, NULL, 0);
}

static int
run_status(struct ctl *c)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	Dray__AdminLook look = DRAY__ADMIN_LOOK__INIT;
	const Dray__AdminView *v;
	int status;

	look.caches = true;
	status = ctl_look(c, &look, &m);
	if (status != CTL_OK)
		return status;
	v = (const Dray__AdminView *)m.body;
	if (!v->has_cache) {
		ctl_error(c, "this coordinator keeps no cache");
		return CTL_FAILED;
	}
	return c->given & CTL_JSON ? status_json(c, v) : status_text(c, v);
}

/* ---- purge */

/* False: what is wrong was said. */
static bool
take_what(struct ctl *c, Dray__CachePurge *m, uint8_t producer[SIGN_KEY_SIZE])
{
	uint64_t before_ms = 0;

	if (!(c->given & (CTL_PRODUCER | CTL_NAMESPACE | CTL_OLDER))) {
		ctl_error(c, "which results? --producer, --namespace or --older-than says it");
		return false;
	}
	if (c->producer && !ctl_sign_key(c, "--producer", c->producer, producer))
		return false;
	if (c->producer)
		m->producer = (ProtobufCBinaryData){ SIGN_KEY_SIZE, producer };
	/* 0 would be none at all */
	if (c->older &&
		(!when_parse_since(c->older, clock_wall_ms(), &before_ms) || before_ms < MS)) {
		ctl_error(c, "--older-than: \"%s\" is neither a time like 30d or 12h, nor a day",
			c->older);
		return false;
	}
	m->before_s = before_ms / MS;
	return true;
}

static int
say_purged(struct ctl *c, const Dray__CachePurged *m)
{
	if (m->verdict != DRAY__VERDICT__VERDICT_NONE) {
		ctl_error(c, "%s", m->text);
		return CTL_FAILED;
	}
	if (c->given & CTL_JSON)
		return ctl_print_json(
			c, json_pack("{s:o, s:o}", "results", ctl_json_number(m->results),
				   "entries", ctl_json_number(m->entries)));
	printf("%llu results of %llu entries removed\n", (unsigned long long)m->results,
		(unsigned long long)m->entries);
	return ctl_flush(c);
}

static int
run_purge(struct ctl *c)
{
	_cleanup_(wire_msg_done) struct wire_msg answer = WIRE_MSG_INIT;
	Dray__CachePurge m = DRAY__CACHE_PURGE__INIT;
	uint8_t producer[SIGN_KEY_SIZE];
	char namespace[KEYS_NAME_MAX + 2];
	int status;

	if (!take_what(c, &m, producer))
		return CTL_USAGE;
	if (c->namespace) {
		snprintf(namespace, sizeof(namespace), "%s",
			streq(c->namespace, "-") ? "" : c->namespace);
		m.in_namespace = true;
		m.namespace_ = namespace;
	}
	status = ctl_ask_for(c, WIRE_CACHE_PURGE, &m.base, WIRE_CACHE_PURGED, PURGE_MS, &answer);
	return status == CTL_OK ? say_purged(c, (const Dray__CachePurged *)answer.body) : status;
}

const struct ctl_command ctl_cache_status = {
	.name = "cache status",
	.usage = "",
	.summary = "Show what the shared cache holds of each namespace",
	.help = "      --json               as one JSON object\n",
	.options = CTL_JSON,
	.run = run_status,
};

const struct ctl_command ctl_cache_purge = {
	.name = "cache purge",
	.usage = "[--producer KEY] [--namespace NAME] [--older-than TIME]",
	.summary = "Remove results from the shared cache: those that are all that is given",
	.help = "      --producer KEY       made by the one that signs by this key (64 hex "
		"digits)\n"
		"      --namespace NAME     of that namespace; - is that of keys without one\n"
		"      --older-than TIME    30d, 12h, 5m, 90s, or a day: 2026-11-01\n"
		"      --json               as one JSON object\n",
	.options = CTL_JSON | CTL_PRODUCER | CTL_NAMESPACE | CTL_OLDER,
	.run = run_purge,
};
