/* Stores behind the shared cache's disk: what is not there is had from them, what is put goes to
 * them; who writes in them decides nothing. The stores are directories, and one that never answers.
 */
#include "config.h"

#include "tests/unit/desk_fixture.h"
#include "tests/unit/shared_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coordinator/cache/merge.h"
#include "common/clock.h"
#include "store/object.h"
#include "store/outgoing.h"

#define SOME 70000

static char *dir_of_store;
static struct identity second;

/* All that threads do is done: until `ready` says so. */
static void
work_until(struct room *d, bool (*ready)(struct room *d, const void *arg), const void *arg)
{
	uint64_t end = clock_mono_ms() + 60000;

	for (;;) {
		struct pollfd p = { desk_fd(d->c), POLLIN, 0 };

		desk_step(d->c, d->now);
		if (ready(d, arg))
			return;
		assert_true(clock_mono_ms() < end);
		(void)poll(&p, 1, 5);
	}
}

static bool
has_ended(struct room *d, const void *arg)
{
	(void)d;
	return ((const struct heard *)arg)->ended;
}

static struct heard *
await(struct room *d, uint64_t serial, uint32_t number)
{
	struct heard *h = heard_of(d, serial, number);

	work_until(d, has_ended, h);
	return h;
}

static bool
is_uploaded(struct room *d, const void *arg)
{
	struct desk_stats st;

	desk_get_stats(d->c, &st);
	return st.due == 0 && st.uploaded >= *(const uint64_t *)arg;
}

static void
await_uploads(struct room *d, uint64_t n)
{
	work_until(d, is_uploaded, &n);
}

static int
up(void **state)
{
	struct room *d;
	char url[512];

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &dir_of_store), 0);
	if (room_up(state) < 0)
		return -1;
	d = *state;
	desk_free(d->c);
	snprintf(url, sizeof(url), "file://%s", dir_of_store);
	room_option(d, "store", url);
	room_option(d, "store_wait_ms", "20000");
	room_open(d);
	make_identities(NULL);
	return identity_generate("second", &second);
}

static int
down(void **state)
{
	int r = room_down(state);

	fs_rm_rf(dir_of_store);
	free(dir_of_store);
	return r;
}

/* Another coordinator: its disk is empty. */
static void
fresh(struct room *d)
{
	desk_free(d->c);
	d->c = NULL;
	room_forget(d);
	d->n_sent = 0;
	fs_rm_rf(d->dir);
	assert_int_equal(fs_mkdir_p(d->dir, 0700), 0);
	room_open(d);
}

static void
name_signers(struct room *d, const char *of_worker)
{
	_cleanup_(buf_done) struct buf list = BUF_INIT;
	struct trust t;

	add_line(&list, "worker", &worker, of_worker);
	add_line(&list, "worker", &second, "w2");
	t = trust_of(&list, TRUST_PUBLISHERS);
	signers_release(d->signers);
	d->signers = signers_new(&t.keys, "team", NULL);
	assert_non_null(d->signers);
	d->signer = (struct signer){ .kind = TRUST_WORKER };
}

/* An entry of one result, whose output is a blob that is not put. */
static void
make_entry_of(const struct identity *id, const char *source, const struct digest *blob, size_t size,
	struct buf *ret)
{
	_cleanup_(shared_entry_done) struct shared_entry one = SHARED_ENTRY_INIT;
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(buf_done) struct buf sealed = BUF_INIT;
	struct shared_by by = by_worker();

	by.id = id;
	fill_result(&r, source);
	r.outputs[0].digest = *blob;
	r.outputs[0].size = size;
	seal(&by, &r, &sealed);
	entry_of(&sealed, &one);
	assert_int_equal(shared_entry_encode(&one, ret), 0);
}

/* Puts a blob, and an entry with it. */
static void
put_both(struct room *d, uint32_t number, const struct identity *id, unsigned seed,
	struct digest *ret)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT;
	_cleanup_(freep) uint8_t *p = make_blob(seed, SOME, ret);
	char source[32];

	snprintf(source, sizeof(source), "source %u", seed);
	make_entry_of(id, source, ret, SOME, &bytes);
	assert_int_equal(put_all(d, 1, "", number, false, ret, p, SOME), 0);
	assert_int_equal(put_all(d, 1, "", number + 1, true, &key, bytes.p, bytes.n), 0);
}

static size_t
results_of(const struct heard *h)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;

	if (h->n_absent > 0)
		return 0;
	assert_int_equal(shared_entry_decode(h->content.p, h->content.n, &key, &e), 0);
	return e.n;
}

static size_t
ask_results(struct room *d, uint32_t number)
{
	assert_int_equal(get_in(d, 2, 2, "", number, true, &key, 1, 64), 0);
	return results_of(await(d, 2, number));
}

static char *
path_in_store(const char *below, enum store_kind kind, const struct digest *name)
{
	char at[OBJECT_PATH_SIZE], *path;

	object_path(kind, name, at);
	assert_true(asprintf(&path, "%s/%s%s", dir_of_store, below, at) > 0);
	return path;
}

/* ---- */

static void
test_there_and_back(void **state)
{
	struct room *d = *state;
	struct digest names[3];
	struct desk_stats st;
	struct heard *h;

	name_signers(d, "w1");
	put_both(d, 1, &worker, 1, &names[0]);
	put_both(d, 3, &second, 2, &names[1]);
	await_uploads(d, 1);
	memset(names[2].b, 3, DIGEST_SIZE);
	fresh(d);
	assert_int_equal(ask_results(d, 1), 2);
	/* one that is nowhere, in the middle; in the order in which they were asked for */
	assert_int_equal(get(d, 2, 2, (struct digest[]){ names[1], names[2], names[0] }, 3, 64), 0);
	h = await(d, 2, 2);
	assert_int_equal(h->verdict, 0);
	assert_int_equal(h->n_absent, 1);
	assert_int_equal(h->absent[0], 1);
	assert_int_equal(h->content.n, 2 * SOME);
	for (unsigned i = 0; i < 2; i++) {
		_cleanup_(freep) uint8_t *p = make_blob(2 - i, SOME, &names[2]);

		assert_memory_equal(h->content.p + i * SOME, p, SOME);
	}
	desk_get_stats(d->c, &st);
	assert_int_equal(st.fetched, 3);
	assert_int_equal(st.due, 0);
	/* it is on the disk now */
	assert_int_equal(fs_rm_rf(dir_of_store), 0);
	assert_int_equal(ask_results(d, 3), 2);
	assert_int_equal(get(d, 2, 4, names, 1, 64), 0);
	assert_int_equal(await(d, 2, 4)->content.n, SOME);
}

/* Of what lies in a store only what a producer of the list has sealed comes in, and a blob that is
 * what its name says. */
static void
test_as_of_a_stranger(void **state)
{
	struct room *d = *state;
	_cleanup_(freep) char *entry = path_in_store("", STORE_ENTRY, &key), *blob = NULL;
	struct digest name;
	struct desk_stats st;
	struct stat size;

	/* nobody is named: anybody's results are taken, and put there */
	put_both(d, 1, &stranger, 1, &name);
	await_uploads(d, 1);
	blob = path_in_store("", STORE_BLOB, &name);
	assert_true(fs_exists(entry) && fs_exists(blob));
	fresh(d);
	name_signers(d, "w1");
	assert_int_equal(ask_results(d, 1), 0);
	desk_get_stats(d->c, &st);
	assert_int_equal(st.refused, 1);
	/* what is right is added to it, and what is not leaves it */
	put_both(d, 3, &worker, 2, &(struct digest){ { 0 } });
	await_uploads(d, 1);
	fresh(d);
	assert_int_equal(ask_results(d, 1), 1);
	/* revoked since */
	fresh(d);
	name_signers(d, "w1 revoked");
	assert_int_equal(ask_results(d, 1), 0);
	/* cut */
	name_signers(d, "w1");
	assert_int_equal(stat(entry, &size), 0);
	assert_int_equal(chmod(entry, 0600), 0);
	assert_int_equal(truncate(entry, size.st_size - 1), 0);
	assert_int_equal(stat(blob, &size), 0);
	assert_int_equal(chmod(blob, 0600), 0);
	assert_int_equal(truncate(blob, size.st_size - 1), 0);
	assert_int_equal(ask_results(d, 2), 0);
	assert_int_equal(get(d, 2, 3, &name, 1, 64), 0);
	assert_int_equal(await(d, 2, 3)->n_absent, 1);
	desk_get_stats(d->c, &st);
	assert_int_equal(st.fetched, 0);
}

/* Not the list of keys, which would be an old one for ever; nor anything else that is no results.
 */
static void
test_only_results(void **state)
{
	struct room *d = *state;
	struct object o;
	struct digest list;
	const struct digest *const names[] = { &list, &key };

	assert_int_equal(keys_object_name(&list), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_(freep) char *path = path_in_store("", STORE_ENTRY, names[i]);
		_cleanup_(freep) char *dir = path_dirname(path);
		int fd;

		assert_int_equal(outgoing_entry(NULL, OBJECT_RAW, names[i], "any", 3, &o), 0);
		assert_int_equal(fs_mkdir_p(dir, 0700), 0);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		assert_int_equal(fs_copy_fd(o.fd, fd), 0);
		close(fd);
		object_done(&o);
		assert_int_equal(get_in(d, 2, 2, "", (uint32_t)i, true, names[i], 1, 4), 0);
		assert_int_equal(await(d, 2, (uint32_t)i)->n_absent, 1);
	}
	/* one that is put here stays here */
	assert_int_equal(put_all(d, 1, "", 1, true, &list, "mine", 4), 0);
	assert_int_equal(get_in(d, 2, 2, "", 9, true, &list, 1, 4), 0);
	assert_memory_equal(await(d, 2, 9)->content.p, "mine", 4);
}

/* In a store a namespace has a place of its own, and finds nothing of another one's. */
static void
test_namespaces(void **state)
{
	struct room *d = *state;
	struct digest name;
	_cleanup_(freep) uint8_t *p = make_blob(1, SOME, &name);
	_cleanup_(freep) char *plain = path_in_store("", STORE_BLOB, &name);
	_cleanup_(freep) char *of_a = path_in_store("ns-a/", STORE_BLOB, &name);
	_cleanup_(freep) char *dir = path_dirname(of_a);

	put_both(d, 1, &worker, 1, &name);
	await_uploads(d, 1);
	assert_true(fs_exists(plain) && !fs_exists(of_a));
	fresh(d);
	assert_int_equal(get_in(d, 3, 3, "a", 1, false, &name, 1, 64), 0);
	assert_int_equal(await(d, 3, 1)->n_absent, 1);
	assert_int_equal(fs_mkdir_p(dir, 0700), 0);
	assert_int_equal(rename(plain, of_a), 0);
	assert_int_equal(get_in(d, 3, 3, "a", 2, false, &name, 1, 64), 0);
	assert_int_equal(await(d, 3, 2)->content.n, SOME);
	assert_int_equal(get(d, 2, 3, &name, 1, 64), 0);
	assert_int_equal(await(d, 2, 3)->n_absent, 1);
}

/* Two that have nothing of each other's on their disks lose nothing of each other's in the store.
 */
static void
test_merge(void **state)
{
	struct room *d = *state;
	struct digest name;

	name_signers(d, "w1");
	put_both(d, 1, &worker, 1, &name);
	await_uploads(d, 1);
	fresh(d);
	put_both(d, 1, &second, 2, &name);
	await_uploads(d, 1);
	fresh(d);
	assert_int_equal(ask_results(d, 1), 2);
}

static bool
is_purged(struct room *d, const void *arg)
{
	struct desk_stats st;

	desk_get_stats(d->c, &st);
	return st.purged == *(const uint64_t *)arg;
}

static bool
is_purge_done(struct room *d, const void *arg)
{
	(void)d;
	return ((const struct desk_purged *)arg)->error != -EINPROGRESS;
}

static void
on_purged(void *arg, const struct desk_purged *p)
{
	*(struct desk_purged *)arg = *p;
}

/* What a producer has made is gone from the store as well, and comes back from there no more. */
static void
test_purged(void **state)
{
	struct room *d = *state;
	const struct identity *const ids[] = { &worker, &second };
	const uint64_t one = 1;
	struct digest name;

	name_signers(d, "w1");
	put_both(d, 1, &worker, 1, &name);
	put_both(d, 3, &second, 2, &name);
	await_uploads(d, 1);
	for (unsigned i = 0; i < 2; i++) {
		struct desk_purge what = { .of_producer = true };
		struct desk_purged done = { .error = -EINPROGRESS };

		/* before, it comes back */
		fresh(d);
		assert_int_equal(ask_results(d, 1), 2 - i);
		memcpy(what.producer, ids[i]->sign_public, SIGN_KEY_SIZE);
		assert_int_equal(desk_purge(d->c, &what, on_purged, &done), 0);
		work_until(d, is_purged, &one);
		assert_int_equal(done.error, 0);
		assert_int_equal(done.results, 1);
	}
	fresh(d);
	assert_int_equal(ask_results(d, 1), 0);
}

/* The disk has nothing of it: what a store still has is refused, and another producer's is not. */
static void
test_purged_in_a_store_alone(void **state)
{
	struct room *d = *state;
	/* the fixture's seals are of a time to come */
	struct desk_purge what = { .of_producer = true, .before_s = SOME_TIME + 1 };
	struct desk_purged done = { .error = -EINPROGRESS };
	struct digest name;

	name_signers(d, "w1");
	put_both(d, 1, &worker, 1, &name);
	put_both(d, 3, &second, 2, &name);
	await_uploads(d, 1);
	fresh(d);
	memcpy(what.producer, worker.sign_public, SIGN_KEY_SIZE);
	assert_int_equal(desk_purge(d->c, &what, on_purged, &done), 0);
	work_until(d, is_purge_done, &done);
	assert_int_equal(done.error, 0);
	assert_int_equal(done.results, 0);
	assert_int_equal(ask_results(d, 1), 1);
}

/* What was not uploaded is, after a restart; and a store that is away gets it later. */
static void
test_store_is_away(void **state)
{
	struct room *d = *state;
	_cleanup_(freep) char *gone = NULL;
	struct digest name;
	struct desk_stats st;

	name_signers(d, "w1");
	assert_true(asprintf(&gone, "%s-gone", dir_of_store) > 0);
	assert_int_equal(rename(dir_of_store, gone), 0);
	put_both(d, 1, &worker, 1, &name);
	/* it serves all the same */
	assert_int_equal(ask_results(d, 1), 1);
	desk_free(d->c);
	room_forget(d);
	assert_int_equal(rename(gone, dir_of_store), 0);
	room_open(d);
	/* whose results count is known when somebody asks */
	assert_int_equal(ask_results(d, 1), 1);
	assert_int_equal(get(d, 2, 2, &name, 1, 64), 0);
	assert_int_equal(await(d, 2, 2)->content.n, SOME);
	await_uploads(d, 1);
	fresh(d);
	assert_int_equal(ask_results(d, 1), 1);
	desk_get_stats(d->c, &st);
	assert_int_equal(st.fetched, 1);
}

/* A server that takes connections and says nothing. */
static int
listen_silently(uint16_t *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(fd, 100), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

/* One that hangs: an entry is answered within its time, soon without any wait, and what is on the
 * disk is given meanwhile. Those that leave, and the end, wait for nothing. */
static void
test_store_hangs(void **state)
{
	struct room *d = *state;
	struct digest here, names[64];
	_cleanup_(freep) uint8_t *p = make_blob(1, SOME, &here);
	uint16_t port;
	int fd = listen_silently(&port);
	uint64_t start, least = UINT64_MAX;
	char url[64];

	desk_free(d->c);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", port);
	room_option(d, "store", url);
	room_option(d, "store_wait_ms", "600");
	room_open(d);
	assert_int_equal(put_all(d, 1, "", 1, false, &here, p, SOME), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		free(make_blob(100 + (unsigned)i, 10, &names[i]));
	/* blobs that hang: 64 at once, of which some are begun */
	assert_int_equal(get(d, 2, 1, names, ARRAY_LEN(names), 64), 0);
	assert_int_equal(get(d, 2, 2, names, 1, 64), 0);
	for (uint32_t i = 0; i < 8; i++) {
		start = clock_mono_ms();
		assert_int_equal(get_in(d, 3, 3, "", i, true, &names[i], 1, 64), 0);
		assert_int_equal(await(d, 3, i)->n_absent, 1);
		/* three wait; then it is left alone */
		if (i >= 4)
			least = MIN2(least, clock_mono_ms() - start);
		assert_int_equal(get(d, 4, i, &here, 1, 64), 0);
		assert_int_equal(await(d, 4, i)->content.n, SOME);
	}
	if (least >= 600)
		fail_msg("each of the last took %u ms", (unsigned)least);
	/* one that stops, one that goes, and the end */
	assert_false(heard_of(d, 2, 1)->ended);
	assert_int_equal(stop_request(d, 2, 1), 0);
	room_work(d);
	assert_int_equal(heard_of(d, 2, 1)->verdict, DRAY__VERDICT__VERDICT_CANCELLED);
	desk_gone(d->c, 2);
	assert_int_equal(get(d, 5, 1, names, 4, 64), 0);
	room_work(d);
	start = clock_mono_ms();
	desk_free(d->c);
	d->c = NULL;
	assert_true(clock_mono_ms() - start < 5000);
	close(fd);
}

/* Many names that are nowhere: all are answered, and no more are under way than may be. */
static void
test_many(void **state)
{
	struct room *d = *state;
	struct digest names[WIRE_SHARED_ITEMS_MAX];
	struct desk_stats st;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		free(make_blob(1000 + (unsigned)i, 10, &names[i]));
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(get(d, 2 + i % 2, i, names, ARRAY_LEN(names), 64), 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(await(d, 2 + i % 2, i)->n_absent, ARRAY_LEN(names));
	desk_get_stats(d->c, &st);
	assert_int_equal(st.fetched, 0);
	assert_int_equal(st.requests, 0);
}

/* ---- merge_entry of what a store has */

static void
test_merge_of_a_store(void **state)
{
	struct room *d = *state;
	_cleanup_(buf_done) struct buf good = BUF_INIT, bad = BUF_INIT, ret = BUF_INIT;
	const struct buf none = BUF_INIT;
	struct digest blob = digest_for("blob"), list;

	assert_int_equal(keys_object_name(&list), 0);
	name_signers(d, "w1");
	make_entry_of(&worker, "a", &blob, 4, &good);
	make_entry_of(&stranger, "b", &blob, 4, &bad);
	assert_int_equal(merge_entry(&key, &none, d->signers, NULL, good.p, good.n, &ret, NULL), 0);
	assert_int_equal(
		merge_entry(&key, &none, d->signers, NULL, bad.p, bad.n, &ret, NULL), -EACCES);
	assert_int_equal(
		merge_entry(&list, &none, d->signers, NULL, good.p, good.n, &ret, NULL), -EBADMSG);
	assert_int_equal(merge_entry(&key, &none, NULL, NULL, "x", 1, &ret, NULL), -EACCES);
	assert_int_equal(
		merge_entry(&key, &none, NULL, NULL, good.p, good.n - 1, &ret, NULL), -EBADMSG);
	assert_int_equal(merge_entry(&key, &none, NULL, NULL, bad.p, bad.n, &ret, NULL), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_there_and_back),
		TEST(test_as_of_a_stranger),
		TEST(test_only_results),
		TEST(test_namespaces),
		TEST(test_merge),
		TEST(test_purged),
		TEST(test_purged_in_a_store_alone),
		TEST(test_store_is_away),
		TEST(test_store_hangs),
		TEST(test_many),
		TEST(test_merge_of_a_store),
	};

	log_init("test", LOG_LEVEL_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
