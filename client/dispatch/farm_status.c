/* Asks the coordinator for its status and prints it. */
#include "config.h"

#include "client/dispatch/farm_status.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "client/dispatch/farm.h"
#include "client/far/believed.h"
#include "client/wrap/farm_state.h"
#include "common/conf/coordinators.h"
#include "common/log/joblog.h"
#include "toolchain/toolchain.h"
#include "proto/socket.h"
#include "proto/wire.h"

/* The answer of a coordinator with many workers takes longer than a welcome. */
#define ANSWER_MS 2000

struct status {
	const char *endpoint; /* of the first that answers, or of the first */
	char *error;	      /* NULL: reachable */
	struct wire_msg msg;
	char release[64]; /* of --compiler */
	struct coordinators all;
	bool answers[COORDINATORS_MAX];
	char *errors[COORDINATORS_MAX];
};

static const Dray__Status *
body(const struct status *s)
{
	return (const Dray__Status *)s->msg.body;
}

/* 0 with *ret_id set: the compiler was identified. */
static int
identify(const struct conf *conf, const char *compiler, struct status *s,
	uint8_t ret_id[DIGEST_SIZE])
{
	_cleanup_(memo_closep) struct memo *memo = NULL;
	_cleanup_(freep) char *sysroot = NULL, *exe = NULL;
	const char *slash = strrchr(compiler, '/');
	struct toolchain t = { .sysroot = NULL };
	int r;

	if (memo_open(conf->client.cache_dir, &memo) < 0)
		memo = NULL;
	r = toolchain_find_sysroot(memo, compiler, &sysroot, &exe);
	if (r == 0)
		r = toolchain_identify(memo, sysroot,
			streq(slash ? slash + 1 : compiler, "clippy-driver") ? "clippy-driver"
									     : "rustc",
			NULL, &t);
	if (r < 0)
		return r;
	memcpy(ret_id, t.id.b, DIGEST_SIZE);
	snprintf(s->release, sizeof(s->release), "%s", t.release ? t.release : "");
	toolchain_done(&t);
	return 0;
}

static int
ask_one(void *ctx, const struct conf *conf, size_t i, const uint8_t *id, uint64_t wait_ms,
	struct wire_msg *ret, char **ret_why)
{
	_cleanup_(farm_closep) struct farm *farm = NULL;
	int r = farm_open_at(ctx, conf, i, &farm, ret_why);

	if (r == 0)
		r = farm_ask_status(farm, id, wait_ms, ret, ret_why);
	if (r < 0 && !*ret_why)
		*ret_why = strdup(r == -ETIMEDOUT ? "no answer" : strerror(-r));
	return r;
}

/* In turn; of those behind the first that answers it is only found out whether they do, too. */
static void
ask_all(void *ctx, const struct conf *conf, const uint8_t *id, struct status *s)
{
	for (size_t i = 0; i < s->all.n; i++) {
		bool first = !s->msg.body;
		uint64_t wait = conf->client.connect_ms;
		struct wire_msg m = WIRE_MSG_INIT;

		if (first)
			wait = MAX2(wait, (uint64_t)ANSWER_MS);
		s->answers[i] = ask_one(ctx, conf, i, id, wait, &m, &s->errors[i]) == 0;
		if (!first || !s->answers[i]) {
			wire_msg_done(&m);
			continue;
		}
		s->msg = m;
		s->endpoint = s->all.v[i].endpoint;
	}
}

static void
ask(const struct conf *conf, const char *compiler, struct status *s)
{
	uint8_t id[DIGEST_SIZE];
	bool has_id = compiler && identify(conf, compiler, s, id) == 0;
	void *ctx = NULL;
	int r = zmq_ctx_open(&ctx);

	if (r == 0)
		r = coordinators_parse("client", conf->client.coordinator,
			conf->client.coordinator_key, &s->all, &s->error);
	if (r == 0)
		ask_all(ctx, conf, has_id ? id : NULL, s);
	if (s->msg.body && compiler && !has_id)
		s->error = strdup("the compiler's toolchain cannot be identified");
	else if (!s->msg.body && !s->error)
		s->error = strdup(s->all.n == 0	 ? "no coordinator is configured"
				  : s->errors[0] ? s->errors[0]
						 : strerror(r < 0 ? -r : ENOMEM));
	zmq_ctx_termp(&ctx);
}

/* As the resident half has noted it last, if it did (client/wrap/farm_state.h). */
static json_t *
coordinator_json(const struct conf *conf, const struct status *s, size_t i)
{
	const char *at = s->all.v[i].endpoint;
	bool up = false;
	uint64_t ms = 0;
	bool known = farm_state_since(conf->client.cache_dir, at, &up, &ms) && up == s->answers[i];

	return json_pack("{s:s, s:b, s:b, s:o, s:o}", "endpoint", at, "reachable",
		(int)s->answers[i], "used", s->msg.body && at == s->endpoint, "error",
		s->errors[i] ? joblog_text(s->errors[i], SIZE_MAX) : json_null(), "since_ms",
		known ? json_integer((json_int_t)ms) : json_null());
}

static json_t *
worker_json(const Dray__WorkerStatus *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->n_toolchains; i++)
		json_array_append_new(list, json_string(w->toolchains[i]));
	return json_pack("{s:s, s:i, s:i, s:i, s:i, s:b, s:I, s:s, s:o}", "name", w->name, "slots",
		(int)w->slots, "running", (int)w->running, "cores", (int)w->cores, "glibc",
		(int)w->glibc, "matching", (int)w->matching, "heard_ms", (json_int_t)w->heard_ms,
		"trust", w->trust, "toolchains", list);
}

static json_t *
space_json(const Dray__CacheSpace *c)
{
	return json_pack("{s:o, s:b, s:I, s:I, s:I, s:I}", "namespace",
		joblog_text(c->namespace_, SIZE_MAX), "open", (int)c->open, "entries",
		(json_int_t)c->entries, "outputs", (json_int_t)c->outputs, "bytes",
		(json_int_t)c->bytes, "max", (json_int_t)c->max);
}

static json_t *
producer_json(const struct trust_key *k)
{
	char hex[DIGEST_HEX_SIZE];
	struct digest key;

	memcpy(key.b, k->key, SIGN_KEY_SIZE);
	digest_hex(&key, hex);
	return json_pack("{s:s, s:s, s:s, s:b}", "key", hex, "kind", trust_kind_name(k->kind),
		"name", k->name, "revoked", (int)k->revoked);
}

/* null: an older coordinator, which does not say, or one whose words make no sense. */
static json_t *
cache_json(const Dray__Status *m)
{
	_cleanup_(trust_keys_done) struct trust_keys keys = { NULL, 0 };
	Dray__Producers said = DRAY__PRODUCERS__INIT;
	char namespace[KEYS_NAME_MAX + 1];
	json_t *spaces, *producers;

	said.namespace_ = m->namespace_;
	said.producer = m->producer;
	said.n_producer = m->n_producer;
	if (!m->says_cache || believed_read(&said, namespace, &keys) < 0)
		return json_null();
	spaces = json_array();
	producers = json_array();
	for (size_t i = 0; i < m->n_space; i++)
		json_array_append_new(spaces, space_json(m->space[i]));
	for (size_t i = 0; i < keys.n; i++)
		json_array_append_new(producers, producer_json(&keys.v[i]));
	return json_pack("{s:b, s:b, s:s, s:o, s:o}", "is_there", (int)m->has_cache, "may_put",
		(int)m->may_put, "namespace", namespace, "spaces", spaces, "producers", producers);
}

static void
add_samples(json_t *o, const Dray__Status *m)
{
	json_t *shunned = json_array(), *unshared = json_array();

	for (size_t i = 0; i < m->n_shunned; i++) {
		const Dray__ShunnedStatus *w = m->shunned[i];

		json_array_append_new(shunned,
			json_pack("{s:s, s:s, s:s, s:I, s:s, s:b}", "name", w->name, "key",
				w->curve_public, "producer", w->sign_public, "since",
				(json_int_t)w->since_s, "why", w->why, "compiles", w->compiles));
	}
	for (size_t i = 0; i < m->n_unshared; i++)
		json_array_append_new(unshared, json_string(m->unshared[i]));
	json_object_set_new(o, "samples",
		json_pack("{s:I, s:I, s:I}", "again", (json_int_t)m->samples, "same",
			(json_int_t)m->samples_same, "failed", (json_int_t)m->samples_failed));
	json_object_set_new(o, "shunned", shunned);
	json_object_set_new(o, "unshared", unshared);
}

static void
add_status(json_t *o, const Dray__Status *m)
{
	json_t *list = json_array();

	json_object_set_new(o, "name", json_string(m->name));
	json_object_set_new(o, "workers", json_integer(m->workers));
	json_object_set_new(o, "matching", json_integer(m->matching));
	json_object_set_new(o, "not_pinned", json_boolean(m->not_pinned));
	json_object_set_new(o, "slots", json_integer(m->slots));
	json_object_set_new(o, "matching_slots", json_integer(m->matching_slots));
	json_object_set_new(o, "running", json_integer(m->running));
	json_object_set_new(o, "queued", json_integer(m->queued));
	json_object_set_new(o, "jobs_placed", json_integer((json_int_t)m->jobs_placed));
	json_object_set_new(o, "jobs_ended", json_integer((json_int_t)m->jobs_ended));
	for (size_t i = 0; i < m->n_worker; i++)
		json_array_append_new(list, worker_json(m->worker[i]));
	json_object_set_new(o, "worker", list);
	json_object_set_new(o, "role", json_string(m->role));
	json_object_set_new(o, "cache", cache_json(m));
	add_samples(o, m);
}

static int
print_json(const struct conf *conf, const struct status *s)
{
	json_t *o = json_object(), *list = json_array();
	int r;

	json_object_set_new(o, "endpoint", json_string(s->endpoint ? s->endpoint : ""));
	json_object_set_new(o, "reachable", json_boolean(s->msg.body != NULL));
	json_object_set_new(o, "error", s->error ? json_string(s->error) : json_null());
	for (size_t i = 0; i < s->all.n; i++)
		json_array_append_new(list, coordinator_json(conf, s, i));
	json_object_set_new(o, "coordinators", list);
	if (s->msg.body)
		add_status(o, body(s));
	r = json_dumpf(o, stdout, JSON_INDENT(2));
	json_decref(o);
	return r < 0 || putchar('\n') == EOF ? -EIO : 0;
}

static int
print_text(const struct status *s)
{
	const Dray__Status *m = body(s);

	if (!m) {
		fprintf(stderr, "dray-dispatch: %s: %s\n",
			s->endpoint && *s->endpoint ? s->endpoint : "farm",
			s->error ? s->error : "?");
		return 0;
	}
	printf("coordinator  %s  %s\n", m->name, s->endpoint);
	for (size_t i = 0; s->all.n > 1 && i < s->all.n; i++)
		if (s->all.v[i].endpoint != s->endpoint)
			printf("             %s %s\n", s->all.v[i].endpoint,
				s->answers[i] ? "answers, too" : "does not answer");
	if (streq(m->role, "admin"))
		printf("this key     an admin's: it may ask, and gets no job\n");
	printf("workers      %u, %u slots\n", m->workers, m->slots);
	if (s->release[0])
		printf("matching     %u with rustc %s, %u slots\n", m->matching, s->release,
			m->matching_slots);
	else if (s->error)
		printf("matching     unknown: %s\n", s->error);
	printf("jobs         %u running, %u queued, %llu placed, %llu ended\n", m->running,
		m->queued, (unsigned long long)m->jobs_placed, (unsigned long long)m->jobs_ended);
	for (size_t i = 0; i < m->n_worker; i++) {
		const Dray__WorkerStatus *w = m->worker[i];

		printf("  %-20s %u of %u slots, %u cores, heard %llu ms ago%s\n", w->name,
			w->running, w->slots, w->cores, (unsigned long long)w->heard_ms,
			w->matching ? ", matching" : "");
	}
	if (m->samples > 0)
		printf("samples      %llu results of workers compiled again, %llu came out the "
		       "same, "
		       "%llu could not be\n",
			(unsigned long long)m->samples, (unsigned long long)m->samples_same,
			(unsigned long long)m->samples_failed);
	for (size_t i = 0; i < m->n_shunned; i++)
		printf("%s %s: %s\n", m->shunned[i]->compiles ? "not believed" : "shunned     ",
			m->shunned[i]->name, m->shunned[i]->why);
	for (size_t i = 0; i < m->n_unshared; i++)
		printf("not shared   %s: it comes out differently each time\n", m->unshared[i]);
	return 0;
}

int
farm_status_print(const struct conf *conf, const char *compiler, bool json)
{
	struct status s = {
		.endpoint = conf->client.coordinator, .msg = WIRE_MSG_INIT, .all = COORDINATORS_INIT
	};
	int r;

	ask(conf, compiler, &s);
	r = json ? print_json(conf, &s) : print_text(&s);
	if (fflush(stdout) != 0)
		r = -EIO;
	r = r == 0 && s.msg.body ? 0 : 1;
	wire_msg_done(&s.msg);
	free(s.error);
	for (size_t i = 0; i < s.all.n; i++)
		free(s.errors[i]);
	coordinators_done(&s.all);
	return r;
}
