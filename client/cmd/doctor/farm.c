/* The farm: who this client is there, whether it can be asked, and whether it has workers. */
#include "config.h"

#include "client/cmd/doctor/doctor.h"

#include <errno.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "client/far/ask.h"
#include "common/conf/coordinators.h"
#include "common/text/show.h"
#include "keys/identity.h"

/* For its workers, or for its cache. */
static bool
farm_is_wanted(const struct conf *conf)
{
	return is_set(conf->client.coordinator) &&
	       (conf->client.offload != OFFLOAD_NEVER || far_has_farm(conf));
}

static void
check_workers(struct doctor *d)
{
	bool has_cache = json_is_true(
		json_object_get(json_object_get(d->status, "cache"), "is_there"));
	long workers = (long)json_integer_value(json_object_get(d->status, "workers"));
	long matching = (long)json_integer_value(json_object_get(d->status, "matching"));
	long slots = (long)json_integer_value(json_object_get(d->status, "matching_slots"));

	if (d->conf->client.offload == OFFLOAD_NEVER)
		doctor_say(d, NOTE, "workers", "offload is never: none is asked");
	else if (matching > 0)
		doctor_say(
			d, GOOD, "workers", "%ld with this toolchain, %ld slots", matching, slots);
	else if (json_is_true(json_object_get(d->status, "not_pinned")))
		doctor_say(d, BAD, "workers",
			"the farm's admin has limited it to other toolchains than this one, so all "
			"is compiled here: install one of those, or ask for this one to be pinned "
			"(`drayctl toolchain list`)");
	else if (workers == 0 && has_cache)
		doctor_say(d, NOTE, "workers",
			"there is none: what is not in the coordinator's cache is compiled here");
	else if (workers == 0)
		doctor_say(d, BAD, "workers",
			"there is none, so all is compiled here: start dray-worker (a coordinator "
			"that was started a moment ago may not have heard of them yet)");
	else if (d->giving)
		doctor_say(d, NOTE, "workers",
			"none has this toolchain yet: it is being given to them, and all is "
			"compiled here meanwhile");
	else
		doctor_say(d, BAD, "workers",
			"none has this toolchain, so all is compiled here: install the "
			"same release on them (`dray-worker --list-toolchains` there)");
}

static void
check_key(struct doctor *d, const char *path)
{
	_cleanup_(identity_done) struct identity coordinator = { .has_secret = false };
	unsigned line = 0;
	int r = identity_load(path, &coordinator, &line);

	if (r < 0)
		doctor_say(d, BAD, "farm's key", "%s: %s", path,
			r == -EBADMSG ? "is no identity file" : strerror(-r));
	else
		doctor_say(d, GOOD, "farm's key", "%s (%s)", path, coordinator.name);
}

/* Of each coordinator one. */
static void
check_keys(struct doctor *d)
{
	_cleanup_(coordinators_done) struct coordinators all = COORDINATORS_INIT;
	_cleanup_(freep) char *why = NULL;

	if (coordinators_parse("client", d->conf->client.coordinator,
		    d->conf->client.coordinator_key, &all, &why) < 0)
		doctor_say(d, BAD, "farm's key", "%s", why ? why : strerror(ENOMEM));
	for (size_t i = 0; i < all.n; i++)
		if (all.v[i].key)
			check_key(d, all.v[i].key);
}

void
doctor_check_identity(struct doctor *d)
{
	const char *path = d->conf->client.identity, *key = d->conf->client.coordinator_key;
	_cleanup_(identity_done) struct identity id;
	bool uploads = d->conf->client.remote_mode == REMOTE_READWRITE;
	char hex[SIGN_HEX_SIZE];
	unsigned line = 0;
	int r;

	memset(&id, 0, sizeof(id));
	if (!farm_is_wanted(d->conf) || !strstr(d->conf->client.coordinator, "tcp:"))
		return;
	if (!is_set(path)) {
		doctor_say(d, BAD, "identity",
			"none is set: `dray keygen FILE`, set [client] identity, and "
			"give FILE.pub to the coordinator's admin");
	} else if ((r = identity_load(path, &id, &line)) == -EPERM) {
		doctor_say(
			d, BAD, "identity", "%s can be read by others: chmod 600 %s", path, path);
	} else if (r < 0 || !id.has_secret) {
		doctor_say(d, BAD, "identity", "%s: %s; `dray keygen` makes one", path,
			r == -EBADMSG ? "is no identity file"
			: r < 0	      ? strerror(-r)
				      : "has no secret key");
	} else {
		doctor_say(d, GOOD, "identity", "%s (%s)", path, id.name);
		identity_sign_hex(&id, hex);
		if ((uploads ? asprintf(&d->key_line, "publisher %s %s sign=%s", id.curve_public,
				       id.name, hex)
			     : asprintf(&d->key_line, "client %s %s", id.curve_public, id.name)) <
			0)
			d->key_line = NULL;
	}
	if (!is_set(key)) {
		doctor_say(d, BAD, "farm's key",
			"none is set: set [client] coordinator_key to the "
			"coordinator's .pub file");
		return;
	}
	check_keys(d);
}

/* What results that were compiled again have shown. */
static void
check_samples(struct doctor *d)
{
	const json_t *shunned = json_object_get(d->status, "shunned"),
		     *unshared = json_object_get(d->status, "unshared");

	for (size_t i = 0; i < json_array_size(shunned); i++) {
		const json_t *w = json_array_get(shunned, i);
		const char *name = json_string_value(json_object_get(w, "name")),
			   *why = json_string_value(json_object_get(w, "why"));

		if (json_is_true(json_object_get(w, "compiles")))
			doctor_say(d, NOTE, "samples",
				"what the worker %s shares is used by nobody: %s",
				name ? name : "?", why ? why : "?");
		else
			doctor_say(d, BAD, "samples",
				"the worker %s is shunned, and nothing that it made is used: %s",
				name ? name : "?", why ? why : "?");
	}
	for (size_t i = 0; i < json_array_size(unshared); i++)
		doctor_say(d, NOTE, "samples",
			"%s comes out differently each time it is compiled: workers do not share "
			"it",
			json_string_value(json_array_get(unshared, i)));
}

/* Of several: those that are not used. */
static void
check_others(struct doctor *d)
{
	const json_t *list = json_object_get(d->status, "coordinators");

	for (size_t i = 0; json_array_size(list) > 1 && i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);
		const char *at = json_string_value(json_object_get(o, "endpoint"));
		const char *error = json_string_value(json_object_get(o, "error"));
		const json_t *since = json_object_get(o, "since_ms");
		char for_ms[SHOW_SIZE] = "";

		if (json_is_integer(since))
			show_time((uint64_t)json_integer_value(since) * 1000, for_ms);
		if (json_is_true(json_object_get(o, "used")))
			continue;
		if (json_is_true(json_object_get(o, "reachable")))
			doctor_say(d, GOOD, "farm",
				"%s answers, too: it is there for when those "
				"before it do not",
				at ? at : "?");
		else
			doctor_say(d, NOTE, "farm", "%s does not answer%s%s: %s", at ? at : "?",
				*for_ms ? ", since " : "", for_ms, error ? error : "no answer");
	}
}

void
doctor_check_farm(struct doctor *d)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *ep = d->conf->client.coordinator, *error, *role;
	long workers;
	int r;

	if (!farm_is_wanted(d->conf))
		return;
	r = cmd_farm_status(d->compiler, &b);
	if (r == 0)
		d->status = json_loadb((const char *)b.p, b.n, 0, NULL);
	if (!d->status) {
		doctor_say(d, BAD, "farm", "dray-dispatch cannot ask %s: %s", ep,
			r < 0 ? strerror(-r) : "its answer is not JSON");
		return;
	}
	if (!json_is_true(json_object_get(d->status, "reachable"))) {
		error = json_string_value(json_object_get(d->status, "error"));
		doctor_say(d, BAD, "farm", "%s cannot be reached: %s", ep,
			error ? error : "no answer");
		/* it is told no more than that: a key that was revoked, no more than a stranger */
		if (error && strstr(error, " key ") && d->key_line)
			doctor_say(d, NOTE, "farm",
				"its allowed-keys file needs the line: %s; where it has one that "
				"says revoked, this key was shut out on purpose, and `dray keygen "
				"FILE` makes another",
				d->key_line);
		return;
	}
	if (json_is_string(json_object_get(d->status, "endpoint")))
		ep = json_string_value(json_object_get(d->status, "endpoint"));
	check_others(d);
	/* the coordinator answers an admin, and a build would only find out unit by unit */
	role = json_string_value(json_object_get(d->status, "role"));
	if (role && streq(role, "admin"))
		doctor_say(d, BAD, "farm",
			"this client's key is an admin's, which gets no job: all is compiled here. "
			"%s's allowed-keys file needs the line: %s",
			ep, d->key_line ? d->key_line : "client KEY NAME");
	workers = (long)json_integer_value(json_object_get(d->status, "workers"));
	if (role && streq(role, "reader"))
		doctor_say(d, NOTE, "farm",
			"this client's key is a reader's, which gets no job: what is not in a "
			"cache is compiled here");
	doctor_say(d, GOOD, "farm", "%s: %ld workers, %ld slots, %ld in use, %ld jobs waiting", ep,
		workers, (long)json_integer_value(json_object_get(d->status, "slots")),
		(long)json_integer_value(json_object_get(d->status, "running")),
		(long)json_integer_value(json_object_get(d->status, "queued")));
	check_samples(d);
	check_workers(d);
}
