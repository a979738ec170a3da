/* client/far: what wrappers and the farm half say to each other of stores, the queue of what is to
 * be uploaded, and who uploads. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/far/ask.h"
#include "client/far/keep.h"
#include "client/far/messages.h"
#include "client/far/queue.h"
#include "common/buf.h"
#include "common/fs.h"

static char var_a[] = "A=1", var_b[] = "B=";
static char *env[] = { var_a, var_b, NULL };
static char *none[] = { NULL };

static int
make_dir(void **state)
{
	char *dir = NULL;

	if (fs_make_temp_dir("/tmp", "dray-far-", &dir) < 0)
		return -1;
	*state = dir;
	return 0;
}

static int
remove_dir(void **state)
{
	int r = fs_rm_rf(*state);

	free(*state);
	return r;
}

static void
make_pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
}

static size_t
count_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- messages */

static void
test_message_ok(void **state)
{
	struct far_message m = { .what = FAR_FOUND, .error = -2, .why = "x" }, got;
	const unsigned kinds = 1u << FAR_FOUND;

	assert_true(far_message_ok(&m, sizeof(m), kinds, &got));
	assert_memory_equal(&m, &got, sizeof(m));
	assert_false(far_message_ok(&m, sizeof(m) - 1, kinds, &got));
	assert_false(far_message_ok(&m, sizeof(m), 1u << FAR_ALL, &got));
	m.error = 1;
	assert_false(far_message_ok(&m, sizeof(m), kinds, &got));
	m.error = 0;
	memset(m.why, 'x', sizeof(m.why));
	assert_false(far_message_ok(&m, sizeof(m), kinds, &got));
	*m.why = '\0';
	memset(m.store, 'x', sizeof(m.store));
	assert_false(far_message_ok(&m, sizeof(m), kinds, &got));
	*m.store = '\0';
	assert_true(far_message_ok(&m, sizeof(m), kinds, &got));
	/* no shift by what is larger than an int */
	m.what = 1000;
	assert_false(far_message_ok(&m, sizeof(m), UINT_MAX, &got));
	m.what = 0;
	assert_false(far_message_ok(&m, sizeof(m), kinds, &got));
}

static void
test_send_file(void **state)
{
	const unsigned kinds = (1u << FAR_FOUND) | (1u << FAR_ALL);
	struct far_message m = { .what = FAR_FOUND, .bytes = 7 }, got;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int fds[2], fd = far_file_make("content", 7), other = -1;
	size_t before = count_fds();

	make_pair(fds);
	assert_int_equal(far_receive(fds[1], kinds, &got, &other), -EAGAIN);
	assert_int_equal(far_send(fds[0], &m, fd), 0);
	assert_int_equal(far_receive(fds[1], kinds, &got, &other), 0);
	assert_int_equal(got.bytes, 7);
	assert_int_equal(far_file_read(other, 6, &b), -EBADMSG);
	assert_int_equal(far_file_read(other, 7, &b), 0);
	assert_int_equal(b.n, 7);
	assert_memory_equal(b.p, "content", 7);
	/* no file at all */
	assert_int_equal(far_file_read(fds[0], 7, &b), -EBADMSG);
	close(other);
	/* of a kind that is not expected: its descriptor is closed */
	m.what = FAR_FIND;
	assert_int_equal(far_send(fds[0], &m, fd), 0);
	assert_int_equal(far_receive(fds[1], kinds, &got, &other), -EBADMSG);
	assert_int_equal(count_fds(), before + 2);
	close(fds[0]);
	assert_int_equal(far_receive(fds[1], kinds, &got, &other), -ECONNRESET);
	close(fds[1]);
	close(fd);
}

/* More descriptors than one are none, and none of them stays open. */
static void
test_many_fds(void **state)
{
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(3 * sizeof(int))];
	} control;
	struct far_message m = { .what = FAR_ALL }, got;
	struct iovec iov = { &m, sizeof(m) };
	struct msghdr h = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int fds[2], other = -1, send[3] = { 0, 0, 0 };
	size_t before;

	make_pair(fds);
	before = count_fds();
	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&h);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(send));
	memcpy(CMSG_DATA(c), send, sizeof(send));
	assert_int_equal(sendmsg(fds[0], &h, 0), sizeof(m));
	assert_int_equal(far_receive(fds[1], 1u << FAR_ALL, &got, &other), -EBADMSG);
	assert_int_equal(other, -1);
	assert_int_equal(count_fds(), before);
	close(fds[0]);
	close(fds[1]);
}

/* ---- the queue */

static void
add(const char *dir, uint8_t key, uint8_t result, char *const *vars)
{
	const struct queue_item i = { { { key } }, { { result } } };

	assert_int_equal(queue_add(dir, &i, vars), 0);
}

static void
test_queue(void **state)
{
	const char *dir = *state;
	_cleanup_(strv_done) struct strv vars = STRV_INIT;
	struct queue_item *v = NULL;
	size_t n = 7;

	/* where nothing was ever queued */
	assert_int_equal(queue_list(dir, &v, &n), 0);
	assert_int_equal(n, 0);
	free(v);
	add(dir, 1, 2, env);
	add(dir, 1, 3, none);
	add(dir, 1, 2, env);
	assert_int_equal(queue_list(dir, &v, &n), 0);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(v[i].key.b[0], 1);
		strv_done(&vars);
		assert_int_equal(queue_read(dir, &v[i], &vars), 0);
		assert_int_equal(vars.n, v[i].result.b[0] == 2 ? 2 : 0);
		queue_remove(dir, &v[i]);
		assert_int_equal(queue_read(dir, &v[i], &vars), -ENOENT);
	}
	free(v);
	assert_int_equal(queue_list(dir, &v, &n), 0);
	assert_int_equal(n, 0);
	free(v);
}

/* What comes first goes first; what is of another name is nobody's. */
static void
test_queue_order(void **state)
{
	const struct timespec early[2] = { { 1000, 0 }, { 1000, 0 } };
	const char *dir = *state;
	_cleanup_(freep) char *odd = path_join(dir, "lock");
	struct queue_item *v = NULL;
	char name[256], path[PATH_MAX];
	size_t n;

	add(dir, 9, 9, env);
	add(dir, 1, 1, env);
	assert_int_equal(fs_write_atomic(odd, "", 0, 0600), 0);
	snprintf(name, sizeof(name), "01%062d-01%062d", 0, 0);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(utimensat(AT_FDCWD, path, early, 0), 0);
	assert_int_equal(queue_list(dir, &v, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(v[0].key.b[0], 1);
	free(v);
	/* one that is cut is none to be believed */
	assert_int_equal(fs_write_atomic(path, "A=1", 3, 0600), 0);
	assert_int_equal(queue_list(dir, &v, &n), 0);
	for (size_t i = 0; i < n; i++) {
		_cleanup_(strv_done) struct strv vars = STRV_INIT;

		assert_int_equal(queue_read(dir, &v[i], &vars), v[i].key.b[0] == 1 ? -EBADMSG : 0);
	}
	free(v);
}

/* A list that is about to be put is there for others until it was; what one that died has left is
 * none, and goes when it is old. It is no result. */
static void
test_queue_of_lists(void **state)
{
	_cleanup_(freep) char *dir = path_join(*state, "uploads/target"), *dead = NULL;
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct queue_item *v = NULL;
	char *a = NULL, *b = NULL;
	int fd_a, fd_b;
	size_t n;

	assert_int_equal(queue_count_lists(dir), 0);
	fd_a = queue_note_list(dir, &a);
	fd_b = queue_note_list(dir, &b);
	assert_true(fd_a >= 0 && fd_b >= 0);
	assert_int_equal(queue_count_lists(dir), 2);
	assert_int_equal(queue_list(dir, &v, &n), 0);
	assert_int_equal(n, 0);
	free(v);
	queue_drop_list(a, fd_a);
	assert_int_equal(queue_count_lists(dir), 1);
	/* as when its process is killed */
	dead = strdup(b);
	close(fd_b);
	free(b);
	assert_int_equal(queue_count_lists(dir), 0);
	assert_int_equal(access(dead, F_OK), 0);
	assert_int_equal(utimensat(AT_FDCWD, dead, old, 0), 0);
	assert_int_equal(queue_count_lists(dir), 0);
	assert_int_equal(access(dead, F_OK), -1);
}

static void
test_queue_lock(void **state)
{
	const char *dir = *state;
	int a, b;

	add(dir, 1, 1, env);
	a = queue_lock(dir);
	assert_true(a >= 0);
	assert_int_equal(queue_lock(dir), -EWOULDBLOCK);
	close(a);
	b = queue_lock(dir);
	assert_true(b >= 0);
	close(b);
}

static char *
dir_of(const char *store, const char *namespace, const char *identity, const char *other)
{
	struct conf c = { .client = { .cache_dir = (char *)"/c",
				  .store = (char *)store,
				  .namespace = (char *)namespace,
				  .identity = (char *)identity,
				  .job_log = (char *)other } };
	char *dir = NULL;

	assert_int_equal(queue_dir(&c, &dir), 0);
	assert_true(starts_with(dir, "/c/uploads/"));
	return dir;
}

/* What is for one store, in one namespace and by one key, is for no other. */
static void
test_queue_dir(void **state)
{
	_cleanup_(freep) char *a = dir_of("file:///a", "n", "/id", "x");
	_cleanup_(freep) char *same = dir_of("file:///a", "n", "/id", "y");
	_cleanup_(freep) char *store = dir_of("file:///b", "n", "/id", "x");
	_cleanup_(freep) char *namespace = dir_of("file:///a", NULL, "/id", "x");
	_cleanup_(freep) char *identity = dir_of("file:///a", "n", "/other", "x");

	(void)state;
	assert_string_equal(a, same);
	assert_string_not_equal(a, store);
	assert_string_not_equal(a, namespace);
	assert_string_not_equal(a, identity);
}

/* ---- what comes from stores is kept */

/* However much comes, the cache stays within its bounds. */
static void
test_keep_trim(void **state)
{
	struct conf c = {
		.client = { .cache_dir = *state, .store_dir = *state, .cache_max = 1 << 20 }
	};
	_cleanup_(freep) uint8_t *content = calloc(1, 64 << 10);
	struct digest d[64];
	struct memo_stay memo;
	struct keep *k = NULL;
	size_t left = 0;

	memo_stay_init(&memo, *state);
	assert_int_equal(keep_open(&c, &memo, &k), 0);
	for (size_t i = 0; i < ARRAY_LEN(d); i++) {
		_cleanup_(closep) int fd = -1;

		content[0] = (uint8_t)i;
		fd = far_file_make(content, 64 << 10);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(digest_bytes(content, 64 << 10, &d[i]), 0);
		assert_int_equal(keep_take(k, fd, &d[i], 64 << 10), 0);
		assert_true(keep_has(k, &d[i], 64 << 10));
		keep_trim(k);
	}
	for (size_t i = 0; i < ARRAY_LEN(d); i++)
		left += keep_has(k, &d[i], 64 << 10);
	assert_in_range(left, 1, 24);
	keep_closep(&k);
	memo_stay_done(&memo);
}

/* ---- who uploads */

static void
set(struct conf *c, const char *key, const char *value)
{
	_cleanup_(freep) char *text = NULL;
	char *error = NULL;

	assert_true(asprintf(&text, "client.%s=%s", key, value) > 0);
	assert_int_equal(conf_set(c, text, &error), 0);
}

static void
test_who_writes(void **state)
{
	static const struct {
		const char *mode, *identity, *store;
		bool writes;
	} cases[] = {
		{ "readwrite", "/id", "file:///a", true },
		{ "readwrite", "/id", "file:///a rw", true },
		{ "readwrite", "/id", "file:///a ro, file:///b", true },
		{ "readwrite", "/id", "file:///a ro", false },
		{ "readwrite", "/id", "file:///a?mode=ro", false },
		{ "readwrite", "/id", "file:///a ro,file:///b?mode=ro", false },
		{ "readwrite", "/id", "", false },
		{ "readwrite", "/id", "other://a", false },
		{ "readwrite", "", "file:///a", false },
		{ "read", "/id", "file:///a rw", false },
		{ "off", "/id", "file:///a rw", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct conf *c = NULL;
		char *error = NULL;

		assert_int_equal(conf_parse("", 0, "none", &c, &error), 0);
		set(c, "cache_dir", *state);
		set(c, "cache", "on");
		set(c, "remote_mode", cases[i].mode);
		set(c, "identity", cases[i].identity);
		set(c, "store", cases[i].store);
		assert_int_equal(far_may_write(c), cases[i].writes);
		conf_free(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_ok),
		cmocka_unit_test(test_send_file),
		cmocka_unit_test(test_many_fds),
		cmocka_unit_test_setup_teardown(test_queue, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_queue_order, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_queue_of_lists, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_queue_lock, make_dir, remove_dir),
		cmocka_unit_test(test_queue_dir),
		cmocka_unit_test_setup_teardown(test_keep_trim, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_who_writes, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
