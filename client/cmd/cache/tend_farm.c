/* The coordinator's cache, as far as it tells (client/dispatch/farm_status.c): it keeps within its
 * budget by itself, and nothing of it can be listed. An admin's key may purge (farm_purge.c). */
#include "config.h"

#include "client/cmd/cache/tend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cmd/producers.h"
#include "client/dispatch/farm_purge.h"
#include "client/far/ask.h"
#include "common/digest.h"
#include "common/process/spawn.h"

#define ANSWER_MAX 65536

static const json_t *
cache_of(const struct tend *t)
{
	return json_object_get(t->farm, "cache");
}

static bool
answers(const struct tend *t)
{
	return json_is_true(json_object_get(t->farm, "reachable"));
}

void
tend_ask_farm(struct tend *t)
{
	_cleanup_(trust_keys_done) struct trust_keys told = { NULL, 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (!far_has_farm(t->conf))
		return;
	if (cmd_farm_status(NULL, &b) == 0)
		t->farm = json_loadb((const char *)b.p, b.n, 0, NULL);
	if (!t->farm)
		t->farm = json_object();
	/* they count as lines of trust_keys do, which come first */
	if (producers_read(t->farm, &told) == 0)
		trust_keys_add(&t->trust.keys, &told);
}

bool
tend_has_farm(const struct tend *t)
{
	if (!t->farm)
		return false;
	return !answers(t) || json_is_null(cache_of(t)) ||
	       json_is_true(json_object_get(cache_of(t), "is_there"));
}

static void
add_up(json_t *o, const json_t *spaces)
{
	static const char *const numbers[] = { "entries", "outputs", "bytes", "max" };
	json_t *space;
	size_t i, k;

	for (k = 0; k < ARRAY_LEN(numbers); k++)
		tend_set(o, numbers[k], 0);
	json_array_foreach(spaces, i, space)
	{
		for (k = 0; k < ARRAY_LEN(numbers); k++)
			tend_add(o, numbers[k],
				(uint64_t)json_integer_value(json_object_get(space, numbers[k])));
	}
}

static void
do_status(struct tend *t, json_t *o)
{
	json_t *spaces = json_object_get(cache_of(t), "spaces");

	add_up(o, spaces);
	json_object_set(o, "spaces", spaces);
	json_object_set(o, "vouched", json_object_get(cache_of(t), "producers"));
}

/* By dray-dispatch, with this client's key, which has to be an admin's. */
static int
ask_to_purge(const struct tend *t, json_t **ret)
{
	_cleanup_(freep) char *program = spawn_find_program("dray-dispatch");
	_cleanup_(freep) char *in = NULL, *before = NULL, *producer = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char command[] = FARM_PURGE_COMMAND;
	int status, r;

	if (!program)
		return -ENOENT;
	producer = strdup(t->producer ? t->producer : "");
	if (!producer ||
		asprintf(&in, "%s%s", t->namespace ? "=" : "", t->namespace ? t->namespace : "") <
			0 ||
		asprintf(&before, "%llu", (unsigned long long)t->before_s) < 0)
		return -ENOMEM;
	r = spawn_capture((char *[]){ program, command, producer, in, before, NULL }, NULL,
		FARM_PURGE_MS + SPAWN_ASK_MS, ANSWER_MAX, &b, &status);
	if (r < 0)
		return r;
	*ret = json_loadb((const char *)b.p, b.n, 0, NULL);
	return *ret ? 0 : -EPROTO;
}

static void
do_purge(const struct tend *t, json_t *o)
{
	const char *error;
	json_t *said = NULL;
	int r;

	if (t->producer && strlen(t->producer) != DIGEST_HEX_SIZE - 1) {
		tend_error(o,
			"a result there is signed: its producer's key has 64 digits (sign= in "
			"the coordinator's list of keys)");
		return;
	}
	r = ask_to_purge(t, &said);
	error = json_string_value(json_object_get(said, "error"));

	/* what is not told: outputs that no result names go in time */
	tend_set(o, "outputs", 0);
	tend_set(o, "bytes", 0);
	tend_set(o, "results", (uint64_t)json_integer_value(json_object_get(said, "results")));
	tend_set(o, "entries", (uint64_t)json_integer_value(json_object_get(said, "entries")));
	if (r < 0 || error)
		tend_error(o, "%s", error ? error : strerror(-r));
	json_decref(said);
}

void
tend_farm(struct tend *t, json_t *o)
{
	static const char *const helps[TEND_N] = {
		[TEND_GC] = "it keeps within its budget by itself (cache_size, cache_sizes of the "
			    "coordinator)",
		[TEND_VERIFY] = "each client checks digests and seals of what it takes from there, "
				"and its coordinator what it is given",
	};
	const char *error = json_string_value(json_object_get(t->farm, "error"));

	if (json_is_true(json_object_get(cache_of(t), "may_put")) &&
		t->conf->client.remote_mode == REMOTE_READWRITE)
		json_object_set_new(o, "mode", json_string("rw"));
	if (!answers(t)) {
		tend_error(o, "it cannot be asked: %s", error ? error : "no answer");
	} else if (helps[t->what] || json_is_null(cache_of(t))) {
		json_object_set_new(o, "cannot", json_true());
		tend_error(o, "%s",
			helps[t->what] ? helps[t->what]
				       : "it is older than this dray, and does not tell");
	} else if (t->what == TEND_PURGE) {
		do_purge(t, o);
	} else {
		do_status(t, o);
	}
}
