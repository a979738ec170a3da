/* The stores that are shared: whose results are taken from them, who signs what is made here, and
 * each store as dray-dispatch finds it (probe.h). */
#include "config.h"

#include "client/cmd/doctor/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client/cmd/doctor/probe.h"
#include "client/show/jobs.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/process/spawn.h"
#include "common/text/when.h"
#include "keys/identity.h"
#include "keys/trust.h"

#define LIMIT_MS 120000
#define ANSWER_MAX (4u << 20)
#define CLOCK_MS 60000 /* what is further away is said */
#define SOON_S (7 * 86400)
#define NAMED_MAX 8 /* producers that a line names */

/* Beside the line that was said last, for programs. */
static void
attach(struct doctor *d, const char *key, json_t *o)
{
	if (d->json)
		json_object_set(json_array_get(d->list, json_array_size(d->list) - 1), key, o);
}

static const char *
text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static bool
farm_answers(const struct doctor *d)
{
	return json_is_true(json_object_get(d->status, "reachable"));
}

/* What the coordinator says of its cache, and of whom it vouches for; NULL: it does not. */
static const json_t *
told(const struct doctor *d)
{
	const json_t *o = json_object_get(d->status, "cache");

	return json_is_object(o) ? o : NULL;
}

static bool
is_revoked(const json_t *producer)
{
	return json_is_true(json_object_get(producer, "revoked"));
}

/* ---- who signs */

/* "ci, nightly and 3 more", of those that are, or are not, revoked; a key without a name is shown
 * by its begin. */
static void
name_producers(const json_t *list, bool revoked, struct buf *b)
{
	const json_t *p;
	size_t i, n = 0;

	json_array_foreach(list, i, p)
	{
		const char *name = text_of(p, "name"), *key = text_of(p, "key");

		if (is_revoked(p) != revoked || ++n > NAMED_MAX)
			continue;
		buf_addf(b, "%s%s %.*s", n > 1 ? ", " : "", text_of(p, "kind"),
			name && *name ? 64 : 16, name && *name ? name : key);
	}
	if (n > NAMED_MAX)
		buf_addf(b, " and %zu more", n - NAMED_MAX);
}

/* Whom the coordinator vouches for: these count as well. */
static void
check_vouched(struct doctor *d)
{
	_cleanup_(buf_done) struct buf good = BUF_INIT, bad = BUF_INIT;
	const json_t *o = told(d), *list = json_object_get(o, "producers");
	const char *namespace = text_of(o, "namespace");

	if (!o) {
		if (farm_answers(d))
			doctor_say(d, NOTE, "vouched",
				"the coordinator is older than this dray, and does not tell here "
				"whom it vouches for");
		return;
	}
	name_producers(list, false, &good);
	name_producers(list, true, &bad);
	if (buf_add(&good, "", 1) < 0 || buf_add(&bad, "", 1) < 0)
		return;
	if (*good.p)
		doctor_say(d, GOOD, "vouched",
			"results are taken that are signed by those that the coordinator vouches "
			"for%s%s: %s%s%s",
			namespace && *namespace ? " in namespace " : "", namespace ? namespace : "",
			(char *)good.p, *bad.p ? "; revoked: " : "", (char *)bad.p);
	else
		doctor_say(d, NOTE, "vouched",
			"the coordinator vouches for nobody%s%s: lines of its list of keys with "
			"sign= name producers%s%s",
			namespace && *namespace ? " in namespace " : "", namespace ? namespace : "",
			*bad.p ? "; revoked: " : "", (char *)bad.p);
}

static void
check_trust(struct doctor *d)
{
	_cleanup_(trust_keys_done) struct trust_keys keys = { NULL, 0 };
	const char *setting = d->conf->client.trust_keys;
	unsigned kinds[TRUST_KINDS] = { 0 }, revoked = 0;
	struct keys_fault fault;
	int r = is_set(setting) ? trust_keys_load(setting, &keys, &fault) : -ENOKEY;

	if (r == -ENOKEY && farm_answers(d)) {
		doctor_say(d, GOOD, "trust",
			"trust_keys is not set: the coordinator alone says whose results count");
		return;
	}
	if (r == -ENOKEY) {
		doctor_say(d, BAD, "trust",
			"nobody's results are taken from the stores: set [client] trust_keys");
		return;
	}
	if (r < 0) {
		if (r == -EBADMSG)
			doctor_say(
				d, BAD, "trust", "trust_keys, line %u: %s", fault.line, fault.what);
		else
			doctor_say(d, BAD, "trust", "trust_keys cannot be read: %s", strerror(-r));
		return;
	}
	for (size_t i = 0; i < keys.n; i++) {
		revoked += keys.v[i].revoked;
		kinds[keys.v[i].kind] += !keys.v[i].revoked;
	}
	doctor_say(d, GOOD, "trust",
		"trust_keys has %u publishers, %u workers, %u admins, %u revoked; trust = %s",
		kinds[TRUST_PUBLISHER], kinds[TRUST_WORKER], kinds[TRUST_ADMIN], revoked,
		d->conf->client.trust == TRUST_IN_WORKERS ? "workers" : "publishers");
}

/* Of a key that signs here: whether the coordinator takes it, and tells its clients of it. */
static void
check_publisher(struct doctor *d, const char *hex, const char *name)
{
	const json_t *o = told(d), *list = json_object_get(o, "producers"), *p;
	const char *role = text_of(d->status, "role");
	size_t i;

	if (!o || !json_is_true(json_object_get(o, "is_there")))
		return;
	if (!json_is_true(json_object_get(o, "may_put"))) {
		doctor_say(d, NOTE, "publishing",
			"the coordinator stores nothing of this key, which is a %s's: its line in "
			"the list of keys would have to be a publisher's",
			role ? role : "client");
		return;
	}
	json_array_foreach(list, i, p)
	{
		const char *key = text_of(p, "key");

		if (!key || !streq(key, hex))
			continue;
		doctor_say(d, is_revoked(p) ? BAD : GOOD, "publishing",
			is_revoked(p)
				? "what is compiled here is believed by nobody: this key was "
				  "revoked. A new one, by `dray keygen FILE`, needs a line in "
				  "the coordinator's list of keys"
				: "what is compiled here is stored by the coordinator, which "
				  "vouches for this key to its clients");
		return;
	}
	doctor_say(d, BAD, "publishing",
		"the coordinator takes what this key signs from nobody, and vouches for it to "
		"nobody: its line in the list of keys lacks sign=%s (%s)",
		hex, name);
}

/* Whether what is compiled here goes up. */
static void
check_signer(struct doctor *d)
{
	_cleanup_(identity_done) struct identity id;
	const char *path = d->conf->client.identity;
	char hex[SIGN_HEX_SIZE];
	int r;

	memset(&id, 0, sizeof(id));
	if (d->conf->client.remote_mode != REMOTE_READWRITE) {
		doctor_say(d, GOOD, "uploads", "none: remote_mode is read");
		return;
	}
	r = is_set(path) ? identity_load(path, &id, NULL) : -ENOKEY;
	if (r < 0 || !id.has_secret) {
		doctor_say(d, NOTE, "uploads",
			"none, since there is no key to sign them: %s; `dray keygen FILE`, and "
			"set [client] identity",
			r == -ENOKEY ? "identity is not set"
			: r < 0	     ? strerror(-r)
				     : path);
		return;
	}
	identity_sign_hex(&id, hex);
	if (is_set(d->conf->client.store))
		doctor_say(d, GOOD, "uploads",
			"signed by %s; readers need the line: publisher %s %s", path, hex, id.name);
	else
		doctor_say(d, GOOD, "uploads", "signed by %s, %s", path, hex);
	check_publisher(d, hex, id.name);
}

/* ---- a store */

static void
say_keys(struct doctor *d, const char *url, json_t *k)
{
	const char *error = text_of(k, "error"), *admin = text_of(k, "admin");
	json_int_t expires = json_integer_value(json_object_get(k, "expires"));
	char when[WHEN_SIZE];

	if (!admin) {
		doctor_say(d, BAD, "store's keys", "%s: its list of keys is not taken: %s", url,
			error ? error : "?");
		return;
	}
	when_format((uint64_t)expires * 1000, when);
	doctor_say(d,
		error					    ? BAD
		: expires - (json_int_t)time(NULL) < SOON_S ? NOTE
							    : GOOD,
		"store's keys",
		"%s: list %" JSON_INTEGER_FORMAT ", until %s: %" JSON_INTEGER_FORMAT
		" publishers, %" JSON_INTEGER_FORMAT " workers, %" JSON_INTEGER_FORMAT
		" revoked; signed by the admin %s%s%s",
		url, json_integer_value(json_object_get(k, "serial")), when,
		json_integer_value(json_object_get(k, "publishers")),
		json_integer_value(json_object_get(k, "workers")),
		json_integer_value(json_object_get(k, "revoked")), admin,
		error ? "; it is not taken: " : "", error ? error : "");
}

static void
say_clock(struct doctor *d, const char *url, const json_t *ahead)
{
	json_int_t ms = json_integer_value(ahead), away = ms < 0 ? -ms : ms;

	if (away >= CLOCK_MS)
		doctor_say(d, NOTE, "clock",
			"%s: its clock is %" JSON_INTEGER_FORMAT
			" s %s ours: S3 refuses what differs by 15 minutes, and lists of keys "
			"end by this machine's clock: set the one that is wrong",
			url, away / 1000, ms < 0 ? "behind" : "ahead of");
}

/* Of a clock that is known: ", its clock 0.3 s ahead" */
static void
clock_words(const json_t *ahead, char *ret, size_t n)
{
	json_int_t ms = json_integer_value(ahead);

	if (!json_is_integer(ahead))
		snprintf(ret, n, ", its clock is not told");
	else
		snprintf(ret, n, ", its clock %.1f s %s", (double)(ms < 0 ? -ms : ms) / 1000,
			ms < 0 ? "behind" : "ahead");
}

/* What is wrong with it; NULL: it works. */
static const char *
fault_of(const json_t *o, const char **ret_what)
{
	static const struct {
		const char *key, *what;
	} errors[] = { { "error", "cannot be opened" }, { "read_error", "cannot be read" },
		{ "write_error", "cannot be written" } };

	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		*ret_what = errors[i].what;
		if (text_of(o, errors[i].key))
			return text_of(o, errors[i].key);
	}
	return NULL;
}

static bool
may_put(const struct doctor *d)
{
	return d->conf->client.remote_mode == REMOTE_READWRITE &&
	       json_is_true(json_object_get(told(d), "may_put"));
}

static void
say_store(struct doctor *d, json_t *o)
{
	const char *url = text_of(o, "url"), *mode = text_of(o, "mode"), *what, *fault;
	json_t *ahead = json_object_get(o, "clock_ahead_ms");
	json_int_t first = json_integer_value(json_object_get(o, "first_ms"));
	json_int_t read = json_integer_value(json_object_get(o, "read_ms"));
	json_t *written = json_object_get(o, "write_ms");
	char clock[64], write[64] = "";

	if (!url || !mode)
		return;
	fault = fault_of(o, &what);
	clock_words(ahead, clock, sizeof(clock));
	if (json_is_integer(written))
		snprintf(write, sizeof(write), ", written in %" JSON_INTEGER_FORMAT " ms",
			json_integer_value(written));
	/* nothing is written there for a trial: only what is signed, and is a result, is taken */
	if (json_is_true(json_object_get(o, "coordinator")) && may_put(d))
		mode = "rw";
	if (fault)
		doctor_say(d, BAD, "store", "%s (%s) %s: %s", url, mode, what, fault);
	else
		doctor_say(d, GOOD, "store",
			"%s (%s): read in %" JSON_INTEGER_FORMAT
			" ms (at first, with its connection, %" JSON_INTEGER_FORMAT " ms)%s%s",
			url, mode, read, first, write, clock);
	attach(d, "store", o);
	if (json_is_true(json_object_get(o, "forbidden")))
		doctor_say(d, NOTE, "store",
			"%s: reading was refused (401 or 403): either what was asked for is not "
			"there and may not be listed, or nothing may be read",
			url);
	if (json_is_integer(ahead))
		say_clock(d, url, ahead);
	if (json_is_object(json_object_get(o, "keys")))
		say_keys(d, url, json_object_get(o, "keys"));
	if (text_of(o, "lifecycle"))
		doctor_say(d, NOTE, "lifecycle",
			"%s: nothing is evicted there by use: the bucket needs a rule by age, "
			"such as this one (what is read is renewed in time, renew_days in "
			"doc/stores.md): %s",
			url, text_of(o, "lifecycle"));
}

static json_t *
ask(struct doctor *d)
{
	_cleanup_(freep) char *program = spawn_find_program("dray-dispatch");
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char command[] = PROBE_COMMAND;
	char *argv[] = { program, command, NULL };
	json_t *all = NULL;
	int status = 0;
	int r = program ? spawn_capture(argv, NULL, LIMIT_MS, ANSWER_MAX, &b, &status) : -ENOENT;

	if (r == 0)
		all = json_loadb(b.p ? (char *)b.p : "", b.n, 0, NULL);
	if (!json_is_array(all)) {
		doctor_say(d, BAD, "stores", "dray-dispatch cannot ask them: %s",
			r < 0 ? strerror(-r) : "its answer is no list");
		json_decref(all);
		return NULL;
	}
	return all;
}

void
doctor_check_stores(struct doctor *d)
{
	json_t *all, *o;
	size_t i;

	if (!is_set(d->conf->client.store) && !farm_answers(d))
		return;
	if (d->conf->client.remote_mode == REMOTE_OFF) {
		doctor_say(d, NOTE, "stores", "remote_mode is off: nothing is asked there");
		return;
	}
	if (is_set(d->conf->client.store) || json_is_true(json_object_get(told(d), "is_there"))) {
		check_trust(d);
		check_vouched(d);
		check_signer(d);
	}
	all = ask(d);
	json_array_foreach(all, i, o)
	{
		/* that a farm is away was said */
		if (farm_answers(d) || !json_is_true(json_object_get(o, "coordinator")))
			say_store(d, o);
	}
	json_decref(all);
}
