/* drayctl token: by which keys join the farm: made, listed, revoked. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "common/text/show.h"
#include "drayctl/ctl.h"
#include "drayctl/grid.h"
#include "keys/join_word.h"

#define MS_PER_S 1000

static bool
take_uses(const struct ctl *c, uint32_t *ret)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(c->uses, &end, 10);
	if (!errno && *c->uses >= '0' && *c->uses <= '9' && !*end && n > 0 && n <= UINT16_MAX) {
		*ret = (uint32_t)n;
		return true;
	}
	ctl_error(c, "--uses: \"%s\" is no number of uses", c->uses);
	return false;
}

/* protobuf-c's strings are not const; what is too long to be one is refused over there. */
static char *
text_of(const char *s, char *to, size_t n)
{
	snprintf(to, n, "%s", s ? s : "");
	return to;
}

static json_t *
json_of(const Dray__AdminToken *t)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
		ctl_json_text(t->id), "role", ctl_json_text(t->role), "namespace",
		ctl_json_text(t->namespace_), "name", ctl_json_text(t->name), "state",
		ctl_json_text(t->state), "uses", ctl_json_number(t->uses), "used",
		ctl_json_number(t->used), "made_ms", ctl_json_number(t->made_s * MS_PER_S),
		"expires_ms", ctl_json_number(t->expires_s * MS_PER_S), "by", ctl_json_text(t->by));
}

/* ---- create */

/* The word alone goes to standard output, for scripts; how it is used is beside it. */
static int
print_made(struct ctl *c, const Dray__AdminDone *done)
{
	struct join_word word = { .curve_public = "" };
	char finger[KEYS_FINGERPRINT_SIZE], when[SHOW_SIZE];
	const Dray__AdminToken *t = done->made;
	bool worker = streq(t->role, "worker");

	if (join_word_parse(done->token, &word) < 0) {
		ctl_error(c, "the coordinator's answer has no token: it is of another version");
		return CTL_FAILED;
	}
	keys_fingerprint(word.curve_public, finger);
	join_word_done(&word);
	if (c->given & CTL_JSON) {
		json_t *o = json_of(t);

		if (o && (json_object_set_new(o, "token", ctl_json_text(done->token)) < 0 ||
				 json_object_set_new(o, "fingerprint", json_string(finger)) < 0)) {
			json_decref(o);
			o = NULL;
		}
		return ctl_print_json(c, o);
	}
	printf("%s\n", done->token);
	show_when(t->expires_s * MS_PER_S, when);
	fprintf(stderr,
		"for %u to join as %s until %s, once each: %s tcp://HOST:PORT TOKEN\n"
		"the coordinator's fingerprint, which that shows: %s\n",
		t->uses, t->role, when, worker ? "dray-worker join" : "dray login", finger);
	return ctl_flush(c);
}

static int
run_create(struct ctl *c)
{
	_cleanup_(wire_msg_done) struct wire_msg msg = WIRE_MSG_INIT;
	Dray__AdminToken t = DRAY__ADMIN_TOKEN__INIT;
	Dray__AdminAct m = DRAY__ADMIN_ACT__INIT;
	char role[32], name[KEYS_NAME_MAX + 2], namespace[KEYS_NAME_MAX + 2];
	const Dray__AdminDone *done;
	int status;

	if (!c->role) {
		ctl_error(c, "--role is missing: client, reader, publisher, worker or admin");
		return CTL_USAGE;
	}
	if ((c->ttl && !(t.ttl_s = ctl_duration(c, "--ttl", c->ttl))) ||
		(c->uses && !take_uses(c, &t.uses)))
		return CTL_USAGE;
	t.role = text_of(c->role, role, sizeof(role));
	t.name = text_of(c->name, name, sizeof(name));
	t.namespace_ = text_of(c->namespace, namespace, sizeof(namespace));
	m.what = DRAY__ADMIN_WHAT__ADMIN_TOKEN_CREATE;
	m.token = &t;
	status = ctl_ask(c, WIRE_ADMIN_ACT, &m.base, WIRE_ADMIN_DONE, &msg);
	if (status != CTL_OK)
		return status;
	done = (const Dray__AdminDone *)msg.body;
	if (done->verdict != DRAY__VERDICT__VERDICT_NONE || !done->made) {
		ctl_error(c, "%s", *done->text ? done->text : "this coordinator knows no tokens");
		return CTL_FAILED;
	}
	return print_made(c, done);
}

/* ---- list */

static int
print_json(struct ctl *c, const Dray__AdminView *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n_token; i++)
		json_array_append_new(list, json_of(v->token[i]));
	return ctl_print_json(c, json_pack("{s:o}", "tokens", list));
}

static void
add_token(struct grid *g, const Dray__AdminToken *t)
{
	char when[SHOW_SIZE];

	show_when(t->expires_s * MS_PER_S, when);
	grid_add(g, "%s", t->id);
	grid_add(g, "%s", t->role);
	grid_add(g, "%s", *t->name ? t->name : "-");
	grid_add(g, "%s", *t->namespace_ ? t->namespace_ : "-");
	grid_add(g, "%s", t->state);
	grid_add(g, "%u/%u", t->used, t->uses);
	grid_add(g, "%s", when);
	grid_add(g, "%s", *t->by ? t->by : "-");
}

static int
print_text(struct ctl *c, const Dray__AdminView *v)
{
	static const struct grid_column columns[] = {
		{ "TOKEN", false, 8 },
		{ "ROLE", false, 0 },
		{ "NAME", false, 4 },
		{ "NAMESPACE", false, 9 },
		{ "STATE", false, 0 },
		{ "USED", true, 0 },
		{ "EXPIRES", false, 0 },
		{ "BY", false, 4 },
	};
	_cleanup_(grid_freep) struct grid *g = grid_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; g && i < v->n_token; i++)
		add_token(g, v->token[i]);
	return ctl_print_grid(c, g, NULL, 0);
}

static int
run_list(struct ctl *c)
{
	Dray__AdminLook look = DRAY__ADMIN_LOOK__INIT;

	look.tokens = true;
	return ctl_show(c, &look, print_json, print_text);
}

/* ---- revoke */

static int
run_revoke(struct ctl *c)
{
	Dray__AdminToken t = DRAY__ADMIN_TOKEN__INIT;
	Dray__AdminAct m = DRAY__ADMIN_ACT__INIT;
	char id[40];

	t.id = text_of(c->args[0], id, sizeof(id));
	m.what = DRAY__ADMIN_WHAT__ADMIN_TOKEN_REVOKE;
	m.token = &t;
	return ctl_act(c, &m, NULL);
}

const struct ctl_command ctl_token_create = {
	.name = "token create",
	.usage = "--role ROLE [--namespace NAMESPACE] [--name NAME] [--ttl TIME] [--uses N]",
	.summary = "Make a token, with which dray login, or dray-worker join, lets itself in",
	.help = "      --role ROLE          client, reader, publisher, worker or admin\n"
		"      --namespace NAME     what the work of those that join is kept apart by\n"
		"      --name NAME          what the one that joins is called; else as it says\n"
		"      --ttl TIME           90s, 30m, 12h, 7d: for how long it counts; 1h\n"
		"      --uses N             how many may join with it; 1\n"
		"      --json               as one JSON object\n",
	.options = CTL_JSON | CTL_ROLE | CTL_NAME | CTL_NAMESPACE | CTL_TTL | CTL_USES,
	.run = run_create,
};

const struct ctl_command ctl_token_list = {
	.name = "token list",
	.usage = "",
	.summary = "List the tokens: for whom, how long, how often used, and who made them",
	.help = "      --json               as one JSON object\n",
	.options = CTL_JSON,
	.run = run_list,
};

const struct ctl_command ctl_token_revoke = {
	.name = "token revoke",
	.usage = "ID",
	.summary = "Let nobody join with that token any more",
	.help = "      --json               as one JSON object\n",
	.options = CTL_JSON,
	.least = 1,
	.most = 1,
	.run = run_revoke,
};
