/* drayctl key list, key add, key revoke: who may connect. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "drayctl/ctl.h"
#include "drayctl/grid.h"
#include "keys/identity.h"

/* ---- list */

static void
sign_hex(const Dray__AdminKey *k, char ret[SIGN_HEX_SIZE])
{
	struct identity id = { .name = "" };

	*ret = '\0';
	if (k->sign_public.len != SIGN_KEY_SIZE)
		return;
	memcpy(id.sign_public, k->sign_public.data, SIGN_KEY_SIZE);
	identity_sign_hex(&id, ret);
}

static int
list_json(struct ctl *c, const Dray__AdminView *v)
{
	json_t *list = json_array();
	char hex[SIGN_HEX_SIZE];

	for (size_t i = 0; i < v->n_key; i++) {
		const Dray__AdminKey *k = v->key[i];

		sign_hex(k, hex);
		json_array_append_new(
			list, json_pack("{s:o, s:o, s:o, s:o, s:s, s:b, s:i, s:o, s:b}", "role",
				      ctl_json_text(k->role), "key", ctl_json_text(k->curve_public),
				      "name", ctl_json_text(k->name), "namespace",
				      ctl_json_text(k->namespace_), "sign", hex, "revoked",
				      k->revoked, "connections", (int)k->connections, "until",
				      ctl_json_number(k->until_s), "over", k->over));
	}
	return ctl_print_json(
		c, json_pack("{s:o, s:o}", "keys", list, "more", ctl_json_number(v->more_keys)));
}

static int
list_text(struct ctl *c, const Dray__AdminView *v)
{
	static const struct grid_column columns[] = {
		{ "ROLE", false, 0 },
		{ "KEY", false, 0 },
		{ "NAME", false, 6 },
		{ "NAMESPACE", false, 4 },
		{ "NOW", false, 0 },
	};
	_cleanup_(grid_freep) struct grid *g = grid_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; g && i < v->n_key; i++) {
		const Dray__AdminKey *k = v->key[i];

		grid_add(g, "%s", k->role);
		grid_add(g, "%s", k->curve_public);
		grid_add(g, "%s", *k->name ? k->name : "-");
		grid_add(g, "%s", *k->namespace_ ? k->namespace_ : "-");
		if (k->revoked)
			grid_add(g, "revoked");
		else if (k->over)
			grid_add(g, "over");
		else
			grid_add(g, "%u", k->connections);
	}
	return ctl_print_grid(c, g, NULL, v->more_keys);
}

static int
run_list(struct ctl *c)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	Dray__AdminLook look = DRAY__ADMIN_LOOK__INIT;
	const Dray__AdminView *v;
	int status;

	look.keys = true;
	status = ctl_look(c, &look, &m);
	if (status != CTL_OK)
		return status;
	v = (const Dray__AdminView *)m.body;
	if (!v->has_keys) {
		ctl_error(c, "this coordinator listens on a Unix socket, and has no keys");
		return CTL_FAILED;
	}
	return c->given & CTL_JSON ? list_json(c, v) : list_text(c, v);
}

/* ---- add and revoke */

/* What a public file says, or a key by itself. False: what is wrong was said. */
static bool
take_key(struct ctl *c, const char *word, struct identity *ret)
{
	uint8_t raw[32];
	unsigned line = 0;
	int r;

	*ret = (struct identity){ .name = "" };
	if (strlen(word) == CURVE_KEY_SIZE - 1 && z85_decode32(word, raw) == 0) {
		memcpy(ret->curve_public, word, CURVE_KEY_SIZE);
		return true;
	}
	r = identity_load(word, ret, &line);
	if (r == -EBADMSG)
		ctl_error(c, "%s: line %u: this is not an identity file", word, line);
	else if (r < 0)
		ctl_error(c, "%s: %s; a key is a .pub file of dray keygen, or 40 characters", word,
			strerror(-r));
	return r == 0;
}

static bool
has_sign(const struct identity *id)
{
	static const uint8_t none[SIGN_KEY_SIZE];

	return memcmp(id->sign_public, none, SIGN_KEY_SIZE) != 0;
}

static char *
text_of(const char *text, char *space, size_t n)
{
	snprintf(space, n, "%s", text ? text : "");
	return space;
}

static int
run_add(struct ctl *c)
{
	_cleanup_(identity_done) struct identity id;
	Dray__AdminKey k = DRAY__ADMIN_KEY__INIT;
	Dray__AdminAct m = DRAY__ADMIN_ACT__INIT;
	char role[32], name[KEYS_NAME_MAX + 2], namespace[KEYS_NAME_MAX + 2];
	bool signs;

	if (!take_key(c, c->args[1], &id))
		return CTL_FAILED;
	if (c->sign && !ctl_sign_key(c, "--sign", c->sign, id.sign_public))
		return CTL_USAGE;
	k.role = text_of(c->args[0], role, sizeof(role));
	k.curve_public = id.curve_public;
	k.name = text_of(c->name ? c->name : id.name, name, sizeof(name));
	k.namespace_ = text_of(c->namespace, namespace, sizeof(namespace));
	signs = has_sign(&id) && (c->sign || streq(role, "worker") || streq(role, "publisher"));
	if (signs)
		k.sign_public = (ProtobufCBinaryData){ SIGN_KEY_SIZE, id.sign_public };
	m.what = DRAY__ADMIN_WHAT__ADMIN_KEY_ADD;
	m.key = &k;
	return ctl_act(c, &m, NULL);
}

static int
run_revoke(struct ctl *c)
{
	_cleanup_(identity_done) struct identity id = { .name = "" };
	Dray__AdminKey k = DRAY__ADMIN_KEY__INIT;
	Dray__AdminAct m = DRAY__ADMIN_ACT__INIT;
	char name[KEYS_NAME_MAX + 2], role[32];
	bool is_key = strlen(c->args[0]) == CURVE_KEY_SIZE - 1 || strchr(c->args[0], '/') ||
		      ends_with(c->args[0], ".pub");

	if (is_key && !take_key(c, c->args[0], &id))
		return CTL_FAILED;
	k.curve_public = id.curve_public;
	k.role = text_of(c->role, role, sizeof(role));
	k.name = text_of(is_key ? "" : c->args[0], name, sizeof(name));
	m.what = DRAY__ADMIN_WHAT__ADMIN_KEY_REVOKE;
	m.key = &k;
	return ctl_act(c, &m, NULL);
}

const struct ctl_command ctl_key_list = {
	.name = "key list",
	.usage = "",
	.summary = "List who may connect, in which role",
	.help = "      --json               as one JSON object\n",
	.options = CTL_JSON,
	.run = run_list,
};

const struct ctl_command ctl_key_add = {
	.name = "key add",
	.usage = "[--name NAME] [--namespace NAMESPACE] [--sign KEY] ROLE FILE|KEY",
	.summary = "Let a key in, as client, reader, publisher, worker or admin",
	.help = "      --name NAME          else as the file has it\n"
		"      --namespace NAME     what its work is kept apart by\n"
		"      --sign KEY           what it signs by, else as the file of a worker or "
		"publisher has it\n"
		"      --json               as one JSON object\n",
	.options = CTL_JSON | CTL_NAME | CTL_NAMESPACE | CTL_SIGN,
	.least = 2,
	.most = 2,
	.run = run_add,
};

static int
run_rotate(struct ctl *c)
{
	Dray__AdminAct m = DRAY__ADMIN_ACT__INIT;

	m.what = DRAY__ADMIN_WHAT__ADMIN_KEY_ROTATE;
	m.cancel = (c->given & CTL_CANCEL) != 0;
	m.has_overlap = c->overlap != NULL;
	if (m.cancel && m.has_overlap) {
		ctl_error(c, "--cancel has no --overlap");
		return CTL_USAGE;
	}
	if (m.has_overlap && !(m.overlap_s = ctl_duration(c, "--overlap", c->overlap)))
		return CTL_USAGE;
	return ctl_act(c, &m, NULL);
}

const struct ctl_command ctl_key_rotate = {
	.name = "key rotate",
	.usage = "[--overlap TIME | --cancel]",
	.summary = "Have the coordinator take other keys, from some time on",
	.help = "      --overlap TIME       until then it has its old ones, 7d\n"
		"      --cancel             it keeps its old ones after all\n"
		"      --json               as one JSON object\n",
	.options = CTL_JSON | CTL_OVERLAP | CTL_CANCEL,
	.run = run_rotate,
};

const struct ctl_command ctl_key_revoke = {
	.name = "key revoke",
	.usage = "[--role ROLE] NAME|FILE|KEY",
	.summary = "Let a key in no more, and end at once what it has",
	.help = "      --role ROLE          of several keys of that name, the one with this role\n"
		"      --json               as one JSON object\n",
	.options = CTL_JSON | CTL_ROLE,
	.least = 1,
	.most = 1,
	.run = run_revoke,
};
