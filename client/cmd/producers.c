#include "config.h"

#include "client/cmd/producers.h"

#include <errno.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "client/far/ask.h"

/* False: it makes no sense. */
static bool
read_key(const json_t *k, const char *namespace, struct trust_key *ret)
{
	const char *hex = json_string_value(json_object_get(k, "key"));
	const char *kind = json_string_value(json_object_get(k, "kind"));
	const char *name = json_string_value(json_object_get(k, "name"));
	struct digest key;

	memset(ret, 0, sizeof(*ret));
	if (!hex || !kind || !name || digest_parse(hex, &key) < 0)
		return false;
	memcpy(ret->key, key.b, SIGN_KEY_SIZE);
	ret->kind = streq(kind, "worker") ? TRUST_WORKER : TRUST_PUBLISHER;
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	snprintf(ret->namespace, sizeof(ret->namespace), "%s", namespace ? namespace : "");
	ret->revoked = json_is_true(json_object_get(k, "revoked"));
	return streq(kind, trust_kind_name(ret->kind));
}

int
producers_read(const json_t *status, struct trust_keys *ret)
{
	const json_t *cache = json_object_get(status, "cache"), *k;
	const json_t *list = json_object_get(cache, "producers");
	_cleanup_(freep) struct trust_key *v = calloc(json_array_size(list) + 1, sizeof(*v));
	size_t i, n = 0;
	int r;

	if (!v)
		return -ENOMEM;
	json_array_foreach(list, i, k)
	{
		n += read_key(k, json_string_value(json_object_get(cache, "namespace")), &v[n]);
	}
	r = trust_keys_make(v, n, ret);
	return r == -EBADMSG ? 0 : r;
}

static void
read_varying(struct producers *p, const json_t *status)
{
	const json_t *list = json_object_get(status, "unshared"), *k;
	size_t i;

	json_array_foreach(list, i, k)
	{
		if (json_is_string(k))
			(void)strv_add(&p->varying, json_string_value(k));
	}
}

static void
ask_coordinator(struct producers *p)
{
	_cleanup_(trust_keys_done) struct trust_keys told = { NULL, 0 };
	_cleanup_(json_decrefp) json_t *o = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	p->asked = true;
	if (!far_has_farm(p->conf))
		return;
	if (cmd_farm_status(NULL, &b) == 0)
		o = json_loadb((const char *)b.p, b.n, 0, NULL);
	if (producers_read(o, &told) == 0)
		trust_keys_add(&p->keys, &told);
	read_varying(p, o);
}

const char *
producers_name(struct producers *p, const char *key)
{
	const char *setting = p->conf->client.trust_keys;
	const struct trust_key *k;
	struct digest d;

	if (digest_parse(key, &d) < 0)
		return "";
	if (!p->loaded && setting && *setting && trust_keys_load(setting, &p->keys, NULL) < 0)
		p->keys = (struct trust_keys){ NULL, 0 };
	p->loaded = true;
	k = trust_keys_find(&p->keys, d.b);
	if (!k && !p->asked) {
		ask_coordinator(p);
		k = trust_keys_find(&p->keys, d.b);
	}
	return k ? k->name : "";
}

bool
producers_varies(struct producers *p, const char *crate)
{
	if (!p->asked)
		ask_coordinator(p);
	for (size_t i = 0; i < p->varying.n; i++)
		if (streq(p->varying.v[i], crate))
			return true;
	return false;
}

void
producers_done(struct producers *p)
{
	strv_done(&p->varying);
	trust_keys_done(&p->keys);
}
