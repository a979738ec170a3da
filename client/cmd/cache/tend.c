#include "config.h"

#include "client/cmd/cache/tend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cache/result.h"
#include "client/cmd/cache/tend_say.h"
#include "client/show/jobs.h"
#include "common/clock.h"
#include "common/log/joblog.h"
#include "common/text/when.h"
#include "store/chain/list.h"
#include "store/url.h"

static const char *const words[TEND_N] = {
	[TEND_STATUS] = "status", [TEND_GC] = "gc", [TEND_VERIFY] = "verify", [TEND_PURGE] = "purge"
};

bool
tend_is_command(const char *word)
{
	for (size_t i = 0; i < TEND_N; i++)
		if (streq(word, words[i]))
			return true;
	return false;
}

/* ---- the places */

/* So that each number is there, and each command's. */
static void
begin(const struct tend *t, json_t *o)
{
	static const char *const numbers[TEND_N][10] = {
		[TEND_STATUS] = { "entries", "outputs", "bytes", "results", "damaged", "later",
			"lists", NULL },
		[TEND_GC] = { NULL },
		[TEND_VERIFY] = { "entries", "results", "outputs", "bytes", "damaged", "forged",
			"lacking", "untrusted", "later", "removed" },
		[TEND_PURGE] = { "results", "entries", "outputs", "bytes", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(numbers[0]) && numbers[t->what][i]; i++)
		tend_set(o, numbers[t->what][i], 0);
	if (t->what == TEND_STATUS)
		json_object_set_new(o, "makers", json_array());
}

static json_t *
tend_local_cache(struct tend *t)
{
	json_t *o = json_pack("{s:s, s:o, s:s, s:n, s:b}", "place", "local", "dir",
		joblog_text(t->conf->client.store_dir ? t->conf->client.store_dir : "", SIZE_MAX),
		"mode", t->conf->client.cache == CACHE_READ ? "ro" : "rw", "error", "cannot", 0);

	if (!o)
		return NULL;
	begin(t, o);
	tend_local(t, o);
	return o;
}

static json_t *
tend_coordinator(struct tend *t)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:n, s:b}", "place", "coordinator", "endpoint",
		t->conf->client.coordinator, "mode", "ro", "error", "cannot", 0);

	if (o)
		tend_farm(t, o);
	return o;
}

/* Of those that cannot be listed: what helps. */
static void
say_cannot(const struct tend *t, const struct store_url *u, json_t *o)
{
	static const char *const helps[STORE_N_SCHEMES] = {
		[STORE_URL_HTTP] = "look after its files on the server",
		[STORE_URL_HTTPS] = "look after its files on the server",
		[STORE_URL_S3] =
			"`aws s3 ls --recursive --summarize` lists a bucket, and a lifecycle "
			"rule, which dray doctor prints, deletes what is old",
		[STORE_URL_REDIS] =
			"it evicts by itself (maxmemory-policy, expire_s), and redis-cli "
			"--scan lists it",
		[STORE_URL_REDISS] =
			"it evicts by itself (maxmemory-policy, expire_s), and redis-cli "
			"--scan lists it",
		[STORE_URL_REDIS_UNIX] = "it evicts by itself (maxmemory-policy, expire_s), and "
					 "redis-cli --scan lists it",
	};

	json_object_set_new(o, "cannot", json_true());
	if (t->what == TEND_PURGE)
		tend_error(o,
			"dray lists directories alone, so nothing is purged there: revoke the "
			"key (trust_keys, dray keys sign), and what it signed counts no more; %s",
			helps[u->scheme]);
	else
		tend_error(o, "dray lists directories alone; %s", helps[u->scheme]);
}

static json_t *
tend_store(struct tend *t, const struct chain_list *list, size_t i)
{
	_cleanup_(store_url_freep) struct store_url *u = NULL;
	_cleanup_(freep) char *why = NULL;
	json_t *o = json_pack("{s:o, s:s, s:n, s:b}", "place",
		joblog_text(list->shown[i], SIZE_MAX), "mode", list->read_only[i] ? "ro" : "rw",
		"error", "cannot", 0);

	if (!o)
		return NULL;
	if (store_url_parse(list->urls[i], &u, &why) < 0) {
		tend_error(o, "%s", why ? why : "its URL makes no sense");
	} else if (u->scheme != STORE_URL_FILE) {
		say_cannot(t, u, o);
	} else {
		begin(t, o);
		tend_dir(t, u, list->read_only[i], o);
	}
	return o;
}

/* Whether all went well. */
static bool
is_fine(const struct tend *t, const json_t *o)
{
	bool cannot = json_is_true(json_object_get(o, "cannot"));

	return (json_is_null(json_object_get(o, "error")) || (cannot && t->what != TEND_PURGE)) &&
	       (t->what != TEND_VERIFY ||
		       (json_integer_value(json_object_get(o, "damaged")) == 0 &&
			       json_integer_value(json_object_get(o, "forged")) == 0));
}

static int
tend_all(struct tend *t, bool local, bool stores, bool json)
{
	_cleanup_(chain_list_done) struct chain_list list = { .n = 0 };
	_cleanup_(freep) char *why = NULL;
	_cleanup_(json_decrefp) json_t *all = json_array();
	const char *text = t->conf->client.store;
	int status = CMD_OK;
	json_t *o;
	size_t i;

	if (stores && chain_list_parse(text ? text : "", &list, &why) < 0) {
		cmd_error(&cmd_cache, "store: %s", why ? why : "no memory");
		return CMD_FAILED;
	}
	if (local)
		json_array_append_new(all, tend_local_cache(t));
	if (stores && tend_has_farm(t))
		json_array_append_new(all, tend_coordinator(t));
	for (i = 0; i < list.n; i++)
		json_array_append_new(all, tend_store(t, &list, i));
	cmd_progress_done(&t->progress);
	json_array_foreach(all, i, o)
	{
		if (!is_fine(t, o))
			status = CMD_FAILED;
		if (!json)
			tend_say(t->what, o);
	}
	if (json && json_dumpf(all, stdout, JSON_INDENT(2)) < 0)
		status = CMD_FAILED;
	if (json)
		putchar('\n');
	return fflush(stdout) == 0 ? status : CMD_FAILED;
}

/* ---- options */

static bool
parse_ago(const char *option, const char *given, uint64_t *ret_s)
{
	uint64_t ms = 0, now = clock_wall_ms();

	if (!given)
		return true;
	if (!when_parse_since(given, now, &ms)) {
		cmd_bad_time(&cmd_cache, option, given);
		return false;
	}
	if (ms > now) {
		cmd_error(&cmd_cache, "%s %s: that is yet to come", option, given);
		return false;
	}
	*ret_s = ms / 1000;
	return true;
}

/* As in dray.conf(5). */
static bool
parse_max(struct conf *conf, const char *given, uint64_t *ret)
{
	_cleanup_(freep) char *assignment = NULL, *error = NULL;

	if (!given)
		return true;
	if (asprintf(&assignment, "client.cache_max=%s", given) < 0 ||
		conf_set(conf, assignment, &error) < 0 || conf->client.cache_max == 0) {
		cmd_error(&cmd_cache, "--max %s: bytes, more than 0, as 500M or 20G", given);
		return false;
	}
	*ret = conf->client.cache_max;
	return true;
}

static bool
check_purge(const struct tend *t)
{
	if (!t->namespace && !t->producer && !t->before_s)
		cmd_error(&cmd_cache, "purge: say what is to go: --namespace, --older-than, "
				      "--producer; dray clear empties the local cache");
	else if (t->producer && !result_is_producer(t->producer))
		cmd_error(&cmd_cache,
			"--producer: the public key of a worker, 40 characters, or of a producer "
			"of a shared cache, 64 hex digits, as dray cache status says it");
	else
		return true;
	return false;
}

/* What counts as trusted where nothing is set is nobody; doctor says so. */
static void
load_trust(struct tend *t)
{
	const char *setting = t->conf->client.trust_keys;

	t->trust.level = t->conf->client.trust == TRUST_IN_WORKERS ? TRUST_WORKERS
								   : TRUST_PUBLISHERS;
	if (setting && *setting && trust_keys_load(setting, &t->trust.keys, NULL) < 0)
		t->trust.keys = (struct trust_keys){ NULL, 0 };
}

static enum tend_what
find_what(const char *word)
{
	enum tend_what what = TEND_STATUS;

	while (what < TEND_PURGE && !streq(word, words[what]))
		what++;
	return what;
}

int
tend_main(int argc, char **argv)
{
	struct tend t = { .what = find_what(argv[0]), .progress = { clock_mono_ms(), 0 } };
	_cleanup_(conf_freep) struct conf *conf = NULL;
	const char *max = NULL, *unused = NULL, *older = NULL;
	bool json = false, local = false, stores = false, gc = t.what == TEND_GC,
	     purge = t.what == TEND_PURGE;
	const struct cmd *part = cmd_cache_part(words[t.what]);
	static char name[32];
	const struct cmd_option options[] = { { .name = "json", .flag = &json },
		{ .name = "local", .flag = &local }, { .name = "stores", .flag = &stores },
		{ .name = gc	  ? "max"
			  : purge ? "namespace"
				  : NULL,
			.text = gc ? &max : &t.namespace },
		{ .name = gc	  ? "unused-since"
			  : purge ? "older-than"
				  : NULL,
			.text = gc ? &unused : &older },
		{ .name = purge ? "producer" : NULL, .text = &t.producer }, { .name = NULL } };
	int args, status;

	snprintf(name, sizeof(name), "dray cache %s", words[t.what]);
	argv[0] = name;
	if (!cmd_options(part, argc, argv, options, 0, 0, &args, &status))
		return status;
	if (cmd_load_conf(&cmd_cache, &conf) < 0)
		return CMD_FAILED;
	t.conf = conf;
	if (!parse_max(conf, max, &t.max) ||
		!parse_ago("--unused-since", unused, &t.unused_since_s) ||
		!parse_ago("--older-than", older, &t.before_s) || (purge && !check_purge(&t)))
		return CMD_USAGE;
	/* what is kept here has none */
	if (t.namespace && !local)
		stores = true;
	load_trust(&t);
	if (stores || !local)
		tend_ask_farm(&t);
	status = tend_all(&t, local || !stores, stores || !local, json);
	trust_keys_done(&t.trust.keys);
	json_decref(t.farm);
	return status;
}
