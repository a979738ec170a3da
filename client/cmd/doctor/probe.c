/* Invariant: a store that does not answer is asked nothing more, so each costs PROBE_MS at most,
 * and what it takes to write and read back. */
#include "config.h"

#include "client/cmd/doctor/probe.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "client/cmd/cmd.h"
#include "client/far/ask.h"
#include "client/far/trusted.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/log/joblog.h"
#include "proto/socket.h"
#include "store/chain/list.h"
#include "store/http/http.h"
#include "store/place.h"
#include "store/tier/tier.h"
#include "store/url.h"

#define PROBE_MS 4000 /* for an answer */
#define TEXT_SIZE 96

struct probe {
	const struct conf *conf;
	const struct trust_keys *keys; /* of trust_keys */
	struct store *store;
	const char *shown;
	bool written;
	json_t *o;
	/* what is asked */
	bool answered, given_up;
	struct store_reply reply;
};

static void
on_answer(void *arg, const struct store_reply *r)
{
	struct probe *p = arg;

	p->answered = true;
	p->reply = *r;
}

/* The answer, and how long it took. */
static int
wait_answer(struct probe *p, uint64_t begun, uint64_t *ret_ms)
{
	uint64_t now = begun;

	while (!p->answered && now - begun < PROBE_MS) {
		store_work(p->store, (int)(PROBE_MS - (now - begun)));
		now = clock_mono_ms();
	}
	*ret_ms = clock_mono_ms() - begun;
	p->given_up = !p->answered;
	return p->answered ? p->reply.error : -ETIMEDOUT;
}

static int
read_entry(
	struct probe *p, const struct digest *name, size_t max, struct buf *ret, uint64_t *ret_ms)
{
	uint64_t begun = clock_mono_ms();
	int r;

	p->answered = false;
	store_get(p->store, STORE_ENTRY, name, max, on_answer, p);
	r = wait_answer(p, begun, ret_ms);
	if (r == 0) {
		_cleanup_(closep) int fd = p->reply.fd;
		size_t n = (size_t)p->reply.size;

		r = buf_reserve(ret, n + 1);
		if (r == 0 && fs_read_at(fd, ret->p, n, 0) != (ssize_t)n)
			r = -EIO;
		if (r == 0)
			ret->n = n;
	}
	return r;
}

static void
set_error(struct probe *p, const char *key, int r)
{
	const char *why = r == -ETIMEDOUT ? "" : store_why(p->store);

	json_object_set_new(p->o, key, joblog_text(*why ? why : strerror(-r), SIZE_MAX));
}

static void
set_ms(struct probe *p, const char *key, uint64_t ms)
{
	json_object_set_new(p->o, key, json_integer((json_int_t)ms));
}

/* ---- the list of keys */

static void
count_keys(const struct trust_keys *k, json_t *o)
{
	unsigned kinds[TRUST_KINDS] = { 0 }, revoked = 0;

	for (size_t i = 0; i < k->n; i++) {
		revoked += k->v[i].revoked;
		kinds[k->v[i].kind] += !k->v[i].revoked;
	}
	json_object_set_new(o, "workers", json_integer(kinds[TRUST_WORKER]));
	json_object_set_new(o, "publishers", json_integer(kinds[TRUST_PUBLISHER]));
	json_object_set_new(o, "revoked", json_integer(revoked));
}

/* What it says of itself, and whether a build would take it. */
static json_t *
describe_keys(const struct probe *p, const struct buf *b)
{
	_cleanup_(keys_object_done) struct keys_object o = { .serial = 0 }, taken = { .serial = 0 };
	json_t *k = json_object();
	struct digest admin;
	char hex[DIGEST_HEX_SIZE];
	int r = keys_object_peek(b->p, b->n, &o);

	if (r == 0) {
		memcpy(admin.b, o.admin, SIGN_KEY_SIZE);
		digest_hex(&admin, hex);
		json_object_set_new(k, "serial", json_integer((json_int_t)o.serial));
		json_object_set_new(k, "expires", json_integer((json_int_t)o.expires_s));
		json_object_set_new(k, "admin", json_string(hex));
		count_keys(&o.keys, k);
		r = keys_object_take(b->p, b->n, p->keys, (uint64_t)time(NULL),
			p->conf->client.cache_dir, &taken);
	}
	json_object_set_new(k, "error", r < 0 ? json_string(trusted_why(r)) : json_null());
	return k;
}

/* ---- the probes */

/* True: it answers. */
static bool
try_read(struct probe *p)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct digest name;
	uint64_t ms = 0;
	int r = keys_object_name(&name);

	if (r == 0)
		r = read_entry(p, &name, KEYS_OBJECT_MAX, &b, &ms);
	set_ms(p, "first_ms", ms);
	set_ms(p, "read_ms", ms);
	json_object_set_new(
		p->o, "forbidden", json_boolean(r == -ENOENT && store_was_forbidden(p->store)));
	json_object_set_new(p->o, "keys", r == 0 ? describe_keys(p, &b) : json_null());
	if (r < 0 && r != -ENOENT)
		set_error(p, "read_error", r);
	return r == 0 || r == -ENOENT;
}

/* "dray probe 1 TIME RANDOM": another doctor may write its own at the same time, which is later. */
static int
make_text(char ret[TEXT_SIZE])
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -errno;
	snprintf(ret, TEXT_SIZE, "dray probe 1 %020" PRIu64 " %016" PRIx64 "\n", clock_wall_ms(),
		random);
	return 0;
}

static bool
is_ours_or_later(const struct buf *b, const char *text)
{
	size_t n = strlen(text);

	return b->n == n && memcmp(b->p, text, strlen("dray probe 1 ")) == 0 &&
	       memcmp(b->p, text, n) >= 0;
}

static void
read_back(struct probe *p, const struct digest *name, const char *text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	uint64_t ms;
	int r = read_entry(p, name, TEXT_SIZE, &b, &ms);

	set_ms(p, "read_ms", ms);
	if (r == 0 && !is_ours_or_later(&b, text))
		json_object_set_new(
			p->o, "read_error", json_string("what was written is not what is read"));
	else if (r == -ENOENT)
		json_object_set_new(p->o, "read_error",
			json_string(store_was_forbidden(p->store)
					    ? "what was written may not be read"
					    : "what was written is not there"));
	else if (r < 0)
		set_error(p, "read_error", r);
	if (r == 0)
		json_object_set_new(p->o, "forbidden", json_false());
}

int
probe_name(struct digest *ret)
{
	static const char of[] = "dray probe";

	return digest_bytes(of, sizeof(of) - 1, ret);
}

static void
try_write(struct probe *p)
{
	char text[TEXT_SIZE];
	struct digest name;
	uint64_t begun, ms;
	int r = probe_name(&name);

	if (r == 0)
		r = make_text(text);
	if (r < 0) {
		set_error(p, "write_error", r);
		return;
	}
	begun = clock_mono_ms();
	p->answered = false;
	store_put_entry(p->store, &name, text, strlen(text), on_answer, p);
	r = wait_answer(p, begun, &ms);
	set_ms(p, "write_ms", ms);
	if (r < 0)
		set_error(p, "write_error", r);
	else
		read_back(p, &name, text);
}

/* ---- S3 */

/* In single quotes for a shell: neither a bucket nor an encoded path has one. */
static int
lifecycle(const struct store_url *u, struct buf *b)
{
	int r = buf_adds(b, "aws s3api put-bucket-lifecycle-configuration --bucket '");

	if (r == 0)
		r = store_url_encode(b, u->host, "");
	if (r == 0)
		r = buf_adds(b, "' --lifecycle-configuration '{\"Rules\":[{\"ID\":\"dray\","
				"\"Status\":\"Enabled\",\"Filter\":{\"Prefix\":\"");
	if (r == 0)
		r = store_url_encode(b, u->path, "/");
	return r < 0 ? r
		     : buf_addf(b, "%sv1/blobs/\"},\"Expiration\":{\"Days\":%d}}]}'",
			       *u->path ? "/" : "", STORE_S3_EXPIRE_DAYS);
}

static void
describe_place(struct probe *p, const char *url)
{
	_cleanup_(store_url_freep) struct store_url *u = NULL;
	_cleanup_(freep) char *why = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (store_url_parse(url, &u, &why) == 0 && u->scheme == STORE_URL_S3 &&
		lifecycle(u, &b) == 0)
		json_object_set_new(p->o, "lifecycle", json_stringn((char *)b.p, b.n));
}

/* ---- all of them */

/* One that owes an answer may not be closed: it is left to this process's end, which is near. */
static void
close_store(struct probe *p)
{
	static struct store *owing[CHAIN_PLACES_MAX + 1];
	static size_t n;

	if (!p->given_up)
		store_close(p->store);
	else if (n < ARRAY_LEN(owing))
		owing[n++] = p->store;
	p->store = NULL;
}

static const struct store_in limits = { .connect_ms = PROBE_MS / 2, .request_ms = PROBE_MS };

/* One that was opened, or could not be: then r says so, and why. */
static json_t *
probe_one(struct probe *p, int r, const char *why)
{
	int64_t ahead;

	p->o = json_pack("{s:o, s:s, s:n, s:n, s:n, s:n}", "url", joblog_text(p->shown, SIZE_MAX),
		"mode", p->written ? "rw" : "ro", "read_error", "write_error", "write_ms",
		"clock_ahead_ms");
	if (r < 0) {
		json_object_set_new(p->o, "error", joblog_text(why ? why : strerror(-r), SIZE_MAX));
		return p->o;
	}
	json_object_set_new(p->o, "error", json_null());
	store_ask_clock(p->store);
	if (try_read(p) && p->written)
		try_write(p);
	if (store_get_clock(p->store, &ahead) == 0)
		json_object_set_new(p->o, "clock_ahead_ms", json_integer(ahead));
	close_store(p);
	return p->o;
}

static json_t *
probe_place(struct probe *p, const char *url)
{
	_cleanup_(freep) char *why = NULL;
	int r = place_open(url, &limits, &p->store, &why);
	json_t *o = probe_one(p, r, why);

	describe_place(p, url);
	return o;
}

/* The coordinator's cache, which is read alone: who may write there its list of keys says. NULL: it
 * has none, or there is no coordinator. */
static json_t *
probe_coordinator(const struct conf *conf, const struct trust_keys *keys)
{
	const char *endpoint = conf->client.coordinator;
	_cleanup_(freep) char *why = NULL, *shown = NULL;
	struct probe p = { .conf = conf, .keys = keys };
	void *ctx = NULL;
	json_t *o = NULL;
	int r;

	if (!far_has_farm(conf) || asprintf(&shown, "the coordinator's cache, %s", endpoint) < 0)
		return NULL;
	p.shown = shown;
	r = zmq_ctx_open(&ctx);
	if (r == 0)
		r = tier_connect(ctx, conf, &limits, &p.store, &why);
	if (r != -ENOTSUP) {
		o = probe_one(&p, r, why);
		json_object_set_new(o, "coordinator", json_true());
	}
	zmq_ctx_termp(&ctx);
	return o;
}

int
probe_stores(const struct conf *conf)
{
	_cleanup_(chain_list_done) struct chain_list list = { .n = 0 };
	_cleanup_(trust_keys_done) struct trust_keys keys = { NULL, 0 };
	_cleanup_(freep) char *why = NULL;
	const char *setting = conf->client.trust_keys;
	bool writes = conf->client.remote_mode == REMOTE_READWRITE;
	json_t *all = json_array(), *o;
	int r = chain_list_parse(conf->client.store ? conf->client.store : "", &list, &why);

	/* doctor says what is wrong with these */
	if (setting && *setting && trust_keys_load(setting, &keys, NULL) < 0)
		keys = (struct trust_keys){ NULL, 0 };
	for (size_t i = 0; r == 0 && i < list.n; i++) {
		struct probe p = { .conf = conf,
			.keys = &keys,
			.shown = list.shown[i],
			.written = writes && !list.read_only[i] };

		json_array_append_new(all, probe_place(&p, list.urls[i]));
	}
	if (r == 0 && (o = probe_coordinator(conf, &keys)))
		json_array_append_new(all, o);
	if (r == 0)
		r = json_dumpf(all, stdout, JSON_INDENT(2));
	json_decref(all);
	return r < 0 || putchar('\n') == EOF || fflush(stdout) != 0 ? CMD_FAILED : CMD_OK;
}
