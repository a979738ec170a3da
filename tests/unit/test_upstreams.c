/* upstreams: what counts by the word of one coordinator of a worker's, and not by another's. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/inotify.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fs.h"
#include "store/disk.h"
#include "worker/service_priv.h"

#define JOB "0123456789abcdef0123456789abcdef"
#define OTHER_JOB "00000000000000000000000000000001"

/* "same": its key is that of b. */
enum { A, B, SAME, STRANGER, N_KEYS };
static const char *const names[] = { "a", "b", "same", "stranger" };

struct world {
	char *dir;
	struct conf *conf;
	struct identity keys[N_KEYS];
	struct identity client;
	struct service s;
};

static void
set(struct world *w, const char *key, const char *value)
{
	_cleanup_(freep) char *text = NULL, *error = NULL;

	assert_true(asprintf(&text, "worker.%s=%s", key, value) > 0);
	if (conf_set(w->conf, text, &error) < 0)
		fail_msg("%s", error);
}

static void
set_keys(struct world *w, const char *one, const char *two)
{
	_cleanup_(freep) char *v = NULL;

	assert_true(asprintf(&v, "%s/%s.pub,%s/%s.pub", w->dir, one, w->dir, two) > 0);
	set(w, "coordinator_key", v);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	_cleanup_(freep) char *error = NULL, *store = NULL;
	const struct disk_in disk = { .index = &disk_index_memory };
	struct store_in in = { .max = 1u << 20, .disk = &disk };

	if (!w || fs_make_temp_dir("/tmp", "dray-up-", &w->dir) < 0)
		return -1;
	for (size_t i = 0; i < N_KEYS; i++) {
		_cleanup_(freep) char *path = path_join(w->dir, names[i]);

		assert_int_equal(identity_generate(names[i], &w->keys[i]), 0);
		assert_int_equal(identity_save(&w->keys[i == SAME ? B : i], path), 0);
	}
	assert_int_equal(identity_generate("client", &w->client), 0);
	assert_int_equal(identity_generate("worker", &w->s.identity), 0);
	assert_int_equal(conf_parse("", 0, "none", &w->conf, &error), 0);
	/* nobody listens there */
	set(w, "coordinator", "tcp://127.0.0.1:1,tcp://127.0.0.1:2");
	set_keys(w, "a", "b");
	w->s.conf = w->conf;
	w->s.slots = w->s.cores = 2;
	w->s.signal_fd = -1;
	w->s.name = strdup("worker");
	w->s.endpoint = strdup("tcp://127.0.0.1:3");
	w->s.ctx = zmq_ctx_new();
	w->s.jobs_dir = path_join(w->dir, "jobs");
	store = path_join(w->dir, "store");
	in.where = store;
	assert_int_equal(fs_mkdir_p(w->s.jobs_dir, 0700), 0);
	assert_int_equal(store_open(&store_disk, &in, &w->s.store), 0);
	*state = w;
	return 0;
}

static int
done(void **state)
{
	struct world *w = *state;
	int r;

	upstreams_close(&w->s);
	zmq_ctx_termp(&w->s.ctx);
	upstreams_done(&w->s);
	store_close(w->s.store);
	identity_done(&w->s.identity);
	identity_done(&w->client);
	for (size_t i = 0; i < N_KEYS; i++)
		identity_done(&w->keys[i]);
	free(w->s.name);
	free(w->s.endpoint);
	free(w->s.jobs_dir);
	conf_free(w->conf);
	r = fs_rm_rf(w->dir);
	free(w->dir);
	free(w);
	return r;
}

static void
open_both(struct world *w)
{
	_cleanup_(freep) char *error = NULL;

	if (upstreams_load(&w->s, &error) < 0 || upstreams_open(&w->s, &error) < 0)
		fail_msg("%s", error);
	assert_int_equal(w->s.n_up, 2);
}

static struct wire_peer
peer_of(const struct identity *id)
{
	struct wire_peer p = { .fd = -1 };

	memcpy(p.curve, id->curve_public, CURVE_KEY_SIZE);
	return p;
}

struct ticket {
	uint8_t *p, sig[SIGNATURE_SIZE];
	size_t n;
};

static struct ticket
issue(struct world *w, int by, const char *job, const struct ticket_terms *terms)
{
	struct ticket t = { .p = NULL };

	assert_int_equal(
		ticket_issue(&w->keys[by], job, w->client.curve_public, w->s.identity.curve_public,
			terms, clock_wall_ms(), &t.p, &t.n, t.sig),
		0);
	return t;
}

/* As at JobOpen; *ret_up: which of them. */
static int
open_job(struct world *w, const struct ticket *t, size_t *ret_up)
{
	struct wire_peer p = peer_of(&w->client);
	Dray__JobOpen o = DRAY__JOB_OPEN__INIT;
	_cleanup_(freep) char *job = NULL;
	struct ticket_terms terms = { .twin = false };
	struct upstream *up = NULL;
	uint8_t sig[SIGNATURE_SIZE];
	int r;

	memcpy(sig, t->sig, sizeof(sig));
	o.ticket = (ProtobufCBinaryData){ t->n, t->p };
	o.signature = (ProtobufCBinaryData){ sizeof(sig), sig };
	r = upstreams_issuer(&w->s, &p, &o, &up, &job, &terms);
	*ret_up = up ? (size_t)(up - w->s.up) : SIZE_MAX;
	return r;
}

static void
test_whose_ticket(void **state)
{
	struct world *w = *state;
	size_t up;

	open_both(w);
	for (int by = A; by <= B; by++) {
		struct ticket t = issue(w, by, JOB, NULL);

		assert_int_equal(open_job(w, &t, &up), 0);
		assert_int_equal(up, by);
		/* once, as ever */
		assert_int_equal(open_job(w, &t, &up), -EALREADY);
		t.sig[0] ^= 1;
		assert_int_equal(open_job(w, &t, &up), -EKEYREJECTED);
		free(t.p);
	}
	{
		struct ticket t = issue(w, STRANGER, JOB, NULL);

		assert_int_equal(open_job(w, &t, &up), -EKEYREJECTED);
		free(t.p);
	}
}

/* One that issues tickets without end fills its own book. */
static void
test_books(void **state)
{
	struct world *w = *state;
	struct ticket t;
	size_t up;

	open_both(w);
	ticket_book_limit(w->s.up[B].tickets, 1);
	for (int i = 0; i < 3; i++) {
		t = issue(w, B, i ? OTHER_JOB : JOB, NULL);
		assert_int_equal(open_job(w, &t, &up), i ? -EBUSY : 0);
		free(t.p);
	}
	t = issue(w, A, JOB, NULL);
	assert_int_equal(open_job(w, &t, &up), 0);
	assert_int_equal(up, A);
	free(t.p);
}

static void
test_who_is_named(void **state)
{
	struct world *w = *state;
	struct wire_peer p = peer_of(&w->client);
	uint64_t now = clock_mono_ms();

	open_both(w);
	assert_false(upstreams_name(&w->s, p.curve, now));
	assert_int_equal(upstreams_role(&w->s, &p), ROLE_NONE);
	assert_int_equal(door_name(w->s.up[A].door, p.curve, ROLE_CLIENT, "x", now), 0);
	/* it may come in; but open jobs of that one alone, in what that one says of it */
	assert_true(upstreams_name(&w->s, p.curve, now));
	assert_int_equal(upstreams_role(&w->s, &p), ROLE_CLIENT);
	assert_true(upstream_names(&w->s.up[A], &p));
	assert_false(upstream_names(&w->s.up[B], &p));
	door_set_shares(w->s.up[A].door, p.curve, true);
	assert_int_equal(door_name(w->s.up[B].door, p.curve, ROLE_CLIENT, "y", now), 0);
	assert_string_equal(door_namespace(w->s.up[A].door, p.curve), "x");
	assert_string_equal(door_namespace(w->s.up[B].door, p.curve), "y");
	assert_false(door_shares(w->s.up[B].door, p.curve));
	/* and the name of one ends alone */
	assert_false(upstreams_name(&w->s, p.curve, now + DOOR_NAMED_MS));
}

/* Tickets for blobs lead to what that coordinator's clients have sent. */
static void
test_blobs(void **state)
{
	struct world *w = *state;
	struct wire_peer p = peer_of(&w->client);
	const struct ticket_terms terms = { .blobs = true };

	open_both(w);
	assert_non_null(w->s.up[A].serve);
	for (int by = A; by < N_KEYS; by++) {
		struct ticket t = issue(w, by, JOB, &terms);
		Dray__SharedGet m = DRAY__SHARED_GET__INIT;
		struct upstream *up = NULL;
		char owner[CURVE_KEY_SIZE];

		m.ticket = (ProtobufCBinaryData){ t.n, t.p };
		m.signature = (ProtobufCBinaryData){ sizeof(t.sig), t.sig };
		assert_int_equal(
			upstreams_getter(&w->s, &p, &m, &up, owner), by <= B ? 0 : -EKEYREJECTED);
		if (by <= B)
			assert_ptr_equal(up, &w->s.up[by]);
		free(t.p);
	}
	for (size_t i = 0; i < 2; i++) {
		const struct upstream *up = &w->s.up[i], *other = &w->s.up[1 - i];

		assert_ptr_equal(up->shared.owners, up->owners);
		assert_ptr_equal(up->shared.tapes, up->tapes);
		assert_ptr_equal(up->shared.seeker, up->seeker);
		assert_ptr_not_equal(up->owners, other->owners);
		assert_ptr_not_equal(up->tapes, other->tapes);
		assert_ptr_not_equal(up->serve, other->serve);
		assert_ptr_not_equal(up->seeker, other->seeker);
		assert_string_not_equal(up->tmp, other->tmp);
	}
}

static void
test_one_key_twice(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *error = NULL;

	set_keys(w, "b", "same");
	assert_int_equal(upstreams_load(&w->s, &error), -EINVAL);
	assert_non_null(strstr(error, "tcp://127.0.0.1:1 and tcp://127.0.0.1:2 have one key"));
}

static void
test_keys_missing(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *error = NULL, *one = path_join(w->dir, "a.pub");

	set(w, "coordinator_key", one);
	assert_int_equal(upstreams_load(&w->s, &error), -EINVAL);
	assert_non_null(strstr(error, "names 2 coordinators, coordinator_key 1 key file"));
	free(steal_ptr(error));
	set(w, "coordinator_key", "");
	assert_int_equal(upstreams_load(&w->s, &error), -EINVAL);
	assert_non_null(strstr(error, "coordinator_key is not set"));
}

/* ---- coordinators of which only the keys are known */

/* Writes what was found: each at that port of 10.0.0.1, with the key of that number. */
static void
write_found(const struct world *w, const unsigned at[][2], size_t n)
{
	_cleanup_(freep) char *path = path_join(w->dir, "found");
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(buf_adds(&b, "dray-found 1\n"), 0);
	for (size_t i = 0; i < n; i++) {
		char finger[KEYS_FINGERPRINT_SIZE];

		keys_fingerprint(w->keys[at[i][1]].curve_public, finger);
		assert_int_equal(
			buf_addf(&b, "at\ttcp://10.0.0.1:%u\t%s\t\t\tx\n", at[i][0], finger), 0);
	}
	assert_int_equal(fs_write_atomic(path, b.p, b.n, 0600), 0);
}

static void
test_found(void **state)
{
	static const unsigned first[][2] = { { 1, A } };
	static const unsigned then[][2] = { { 1, A }, { 2, A }, { 3, B }, { 4, SAME } };
	struct world *w = *state;
	struct service *s = &w->s;
	char at[FOUND_ENDPOINT_MAX];
	uint64_t now = clock_mono_ms();

	set(w, "coordinator", "auto");
	set(w, "state_dir", w->dir);
	write_found(w, first, ARRAY_LEN(first));
	open_both(w);
	assert_string_equal(s->up[0].at, "tcp://10.0.0.1:1");
	assert_non_null(link_up_socket(s->up[0].link));
	assert_string_equal(s->up[1].at, "");
	assert_null(link_up_socket(s->up[1].link));
	/* an endpoint has its time to answer, and is then one of several */
	write_found(w, then, ARRAY_LEN(then));
	finding_step(s, now);
	assert_string_equal(s->up[0].at, "tcp://10.0.0.1:1");
	assert_string_equal(s->up[1].at, "tcp://10.0.0.1:3");
	assert_non_null(link_up_socket(s->up[1].link));
	finding_step(s, now + 6000);
	assert_string_equal(s->up[0].at, "tcp://10.0.0.1:2");
	whereabouts_get(&s->up[0].where, at);
	assert_string_equal(at, "tcp://10.0.0.1:2");
	assert_string_equal(s->up[1].at, "tcp://10.0.0.1:3");
	/* what is not announced any more is left when there is another one */
	write_found(w, first, ARRAY_LEN(first));
	finding_step(s, now + 7000);
	assert_string_equal(s->up[0].at, "tcp://10.0.0.1:1");
	assert_string_equal(s->up[1].at, "tcp://10.0.0.1:3");
	assert_false(upstreams_refused(s));
}

static void
test_found_without_key(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *error = NULL;

	set(w, "coordinator", "auto");
	set(w, "coordinator_key", "");
	assert_int_equal(upstreams_load(&w->s, &error), -EINVAL);
	assert_non_null(strstr(error, "coordinator_key names no key"));
	free(steal_ptr(error));
	set_keys(w, "b", "same");
	assert_int_equal(upstreams_load(&w->s, &error), -EINVAL);
	assert_non_null(strstr(error, "have one key"));
}

/* ---- keys that come after others */

/* A has keys of that one from then on, it says. */
static void
say_next(struct world *w, int next, uint64_t serial, uint64_t from_s)
{
	_cleanup_(freep) char *key = path_join(w->dir, "a.pub");
	char text[SUCCESSION_SIZE];

	assert_int_equal(succession_sign(&w->keys[A], &w->keys[next], serial, from_s, text), 0);
	assert_int_equal(successor_take(key, NULL, clock_wall_ms() / 1000, text), 0);
}

/* Whether a turn of the loop opens the file of A's key. */
static bool
step_reads_key(struct world *w)
{
	_cleanup_(freep) char *key = path_join(w->dir, "a.pub");
	_cleanup_(closep) int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	char events[1024];

	assert_true(inotify_add_watch(fd, key, IN_OPEN) >= 0);
	upstreams_step(&w->s);
	return read(fd, events, sizeof(events)) > 0;
}

/* What was taken back costs nothing afterwards. */
static void
test_keeps_its_keys(void **state)
{
	struct world *w = *state;

	say_next(w, STRANGER, 1, clock_wall_ms() / 1000 + 1000);
	say_next(w, A, 2, 0);
	open_both(w);
	assert_int_equal(w->s.up[A].next.serial, 2);
	assert_false(step_reads_key(w));
	assert_string_equal(w->s.up[A].identity.curve_public, w->keys[A].curve_public);
}

/* And one whose time comes is followed, once. */
static void
test_follows(void **state)
{
	struct world *w = *state;
	char curve[CURVE_KEY_SIZE];

	open_both(w);
	say_next(w, STRANGER, 1, 1);
	w->s.up[A].next.serial = 1;
	w->s.up[A].next.from_s = 1;
	whereabouts_get_key(&w->s.up[A].where, curve);
	assert_string_equal(curve, w->keys[A].curve_public);
	assert_true(step_reads_key(w));
	assert_string_equal(w->s.up[A].identity.curve_public, w->keys[STRANGER].curve_public);
	/* and other threads hear of it */
	whereabouts_get_key(&w->s.up[A].where, curve);
	assert_string_equal(curve, w->keys[STRANGER].curve_public);
	assert_false(step_reads_key(w));
}

/* Wherever they begin, and whatever their own clocks say: after two heartbeats they come together.
 */
static void
test_heartbeats_meet(void **state)
{
	(void)state;
	for (uint64_t beat = 50; beat <= 1000; beat += 950)
		for (uint64_t skew = 0; skew < 5000; skew += 7)
			for (unsigned moment = 0; moment < 4; moment++) {
				uint64_t now = 123456, next = now;

				for (unsigned i = 0; i < 3; i++) {
					now = next;
					next = link_up_next(now, now + skew, beat, moment);
					assert_in_range(next - now, beat - beat / 2, beat);
				}
				assert_int_equal((next + skew) % beat,
					moment % LINK_UP_MOMENTS * beat / LINK_UP_MOMENTS);
				/* and a timer that is late does not make it later each time */
				next = link_up_next(next + 3, next + 3 + skew, beat, moment);
				assert_int_equal((next + skew) % beat,
					moment % LINK_UP_MOMENTS * beat / LINK_UP_MOMENTS);
			}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, done)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heartbeats_meet),
		TEST(test_whose_ticket),
		TEST(test_books),
		TEST(test_who_is_named),
		TEST(test_blobs),
		TEST(test_one_key_twice),
		TEST(test_keys_missing),
		TEST(test_found),
		TEST(test_found_without_key),
		TEST(test_keeps_its_keys),
		TEST(test_follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
