/* A Redis that answers anything: what each answer comes to, that none is waited for twice, and that
 * nothing that a server quotes is shown. The server is a thread, and says the same to everybody. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fs.h"
#include "store/object.h"
#include "store/place.h"

static char *dir, *path;

struct server {
	int fd;
	const char *says;
	size_t n;
	bool hangs_up; /* after that */
	pthread_t thread;
};

static void
talk(const struct server *s, int fd)
{
	char line[4096];
	bool more = read(fd, line, sizeof(line)) > 0;

	for (size_t i = 0; more && i < s->n;) {
		ssize_t k = send(fd, s->says + i, s->n - i, MSG_NOSIGNAL);

		more = k > 0;
		i += k > 0 ? (size_t)k : 0;
	}
	/* until the other side has enough */
	while (more && !s->hangs_up && read(fd, line, sizeof(line)) > 0)
		;
	close(fd);
}

static void *
serve(void *arg)
{
	const struct server *s = arg;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0)
		talk(s, fd);
	return NULL;
}

static void
server_start(struct server *s)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	(void)unlink(path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(bind(s->fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void
server_stop(struct server *s)
{
	assert_int_equal(shutdown(s->fd, SHUT_RDWR), 0);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	close(s->fd);
}

static int
setup(void **state)
{
	int r = fs_make_temp_dir("/tmp", "dray-test-", &dir);

	path = r == 0 ? path_join(dir, "sock") : NULL;
	return path != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	int r = fs_rm_rf(dir);

	free(dir);
	free(path);
	return r;
}

static struct store *
open_store(const char *options)
{
	_cleanup_(freep) char *url = NULL, *why = NULL;
	const struct store_in in = { .connect_ms = 5000, .request_ms = 20000 };
	struct store *s = NULL;

	assert_true(asprintf(&url, "redis+unix://%s%s", path, options) > 0);
	if (place_open(url, &in, &s, &why) < 0)
		fail_msg("%s", why);
	return s;
}

#define TEXT(t) (t), sizeof(t) - 1

static const struct row {
	const char *says;
	size_t n;
	bool hangs_up;
	int has, get;
} ROWS[] = {
	{ TEXT("$0\r\n\r\n"), false, -ENOENT, -ENOENT },
	{ TEXT("$5\r\nhello\r\n"), false, -ENOENT, -EBADMSG },
	{ TEXT("$-1\r\n"), false, -EPROTO, -EPROTO },
	{ TEXT(":5\r\n"), false, -EPROTO, -EPROTO },
	{ TEXT("+OK\r\n"), false, -EPROTO, -EPROTO },
	{ TEXT("-ERR something\r\n"), false, -EPROTO, -EPROTO },
	{ TEXT("-NOAUTH Authentication required.\r\n"), false, -EACCES, -EACCES },
	{ TEXT("-NOPERM no\r\n"), false, -EACCES, -EACCES },
	{ TEXT("-OOM command not allowed\r\n"), false, -ENOSPC, -ENOSPC },
	{ TEXT("-LOADING it\r\n"), false, -EAGAIN, -EAGAIN },
	{ TEXT("-MOVED 1234 127.0.0.1:1\r\n"), false, -EREMOTE, -EREMOTE },
	{ TEXT("-WRONGTYPE no string\r\n"), false, -EBADMSG, -EBADMSG },
	{ TEXT("-\r\n"), false, -EPROTO, -EPROTO },
	{ TEXT("*1\r\n$1\r\na\r\n"), false, -EPROTO, -EPROTO },
	{ TEXT("*1000000000\r\n"), false, -EPROTO, -EPROTO },
	{ TEXT("*-1\r\n"), false, -EPROTO, -EPROTO },
	{ TEXT("$-2\r\n"), false, -EPROTO, -EPROTO },
	{ TEXT("$9223372036854775807\r\n"), true, -ECONNRESET, -ECONNRESET },
	{ TEXT("$100\r\nhello"), true, -ECONNRESET, -ECONNRESET },
	{ TEXT("HTTP/1.1 400 Bad Request\r\n\r\n"), true, -EPROTO, -EPROTO },
	{ TEXT("\x15\x03\x01\x00\x02\x02\x16"), true, -EPROTO, -EPROTO },
	{ "", 0, true, -ECONNRESET, -ECONNRESET },
};

static void
test_answers(void **state)
{
	struct digest d = { { 1 } };

	for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
		const struct row *row = &ROWS[i];
		struct server server = {
			.says = row->says, .n = row->n, .hangs_up = row->hangs_up
		};
		struct store *s;
		uint64_t begun = clock_mono_ms();
		int r;

		server_start(&server);
		/* whatever is asked first: the connection is not used again */
		s = open_store("?mode=ro");
		r = store_has_now(s, STORE_BLOB, &d, NULL);
		if (r != row->has)
			fail_msg("%s: has: %s", row->says, strerror(-r));
		store_close(s);
		s = open_store("?mode=ro");
		r = store_get_now(s, STORE_BLOB, &d, 1000, NULL);
		if (r != row->get)
			fail_msg("%s: get: %s", row->says, strerror(-r));
		store_close(s);
		server_stop(&server);
		/* none of them by a limit of time */
		assert_true(clock_mono_ms() - begun < 5000);
	}
}

/* Longer than anything that is asked for: it is not read to its end, nor kept. */
static void
test_endless(void **state)
{
	static const char begin[] = "$536870912\r\n";
	const size_t n = (size_t)32 << 20;
	_cleanup_(freep) char *says = malloc(n);
	struct server server = { .says = says, .n = n };
	struct digest d = { { 1 } };
	struct store *s;

	assert_non_null(says);
	memset(says, 'x', n);
	memcpy(says, begin, sizeof(begin) - 1);
	server_start(&server);
	s = open_store("?mode=ro");
	assert_int_equal(store_get_now(s, STORE_BLOB, &d, 1000, NULL), -EPROTO);
	store_close(s);
	server_stop(&server);
}

static void
test_quotes_nothing(void **state)
{
	static const char says[] =
		"-ERR unknown command `AUTH`, with args beginning with: `s3cret`\r\n"
		"-ERR s3cret\r\n";
	_cleanup_(freep) char *file = path_join(dir, "password"), *options = NULL;
	struct server server = { .says = says, .n = sizeof(says) - 1 };
	struct digest d = { { 1 } };
	struct store *s;

	assert_int_equal(fs_write_atomic(file, "s3cret\n", 7, 0600), 0);
	assert_true(asprintf(&options, "?password_file=%s&mode=ro", file) > 0);
	server_start(&server);
	s = open_store(options);
	assert_int_equal(store_has_now(s, STORE_BLOB, &d, NULL), -EACCES);
	assert_null(strstr(store_why(s), "s3cret"));
	assert_non_null(strstr(store_why(s), "password"));
	store_close(s);
	s = open_store("?mode=ro");
	assert_int_equal(store_has_now(s, STORE_BLOB, &d, NULL), -EPROTO);
	assert_null(strstr(store_why(s), "s3cret"));
	assert_non_null(strstr(store_why(s), "ERR"));
	store_close(s);
	server_stop(&server);
}

static void
count_late(void *arg, const struct store_reply *r)
{
	unsigned *n = arg;

	assert_int_equal(r->error, -ETIMEDOUT);
	++*n;
}

static unsigned
open_objects(void)
{
	_cleanup_(closedirp) DIR *fds = opendir("/proc/self/fd");
	struct dirent *e;
	char to[64];
	unsigned n = 0;

	assert_non_null(fds);
	while ((e = readdir(fds)) != NULL) {
		ssize_t k = readlinkat(dirfd(fds), e->d_name, to, sizeof(to) - 1);

		to[MAX2(k, 0)] = '\0';
		n += strstr(to, "dray-object") != NULL;
	}
	return n;
}

/* A server that owes answers for ever: what waits for one holds no file, nor what was told that it
 * is late. Of the first, half has come. */
static void
test_late(void **state)
{
	const size_t piece = (size_t)4 << 20;
	const struct object_head h = { .size = 2 * piece, .name = { { 1 } }, .content = { { 1 } } };
	_cleanup_(freep) char *says = calloc(1, piece + 64);
	int n = snprintf(says, 64, "$%zu\r\n", piece);
	struct server server = { .says = says, .n = (size_t)n + piece + 2 };
	unsigned late = 0;
	struct store *s;

	object_head_write(&h, (uint8_t *)says + n);
	memcpy(says + (size_t)n + piece, "\r\n", 2);
	server_start(&server);
	s = open_store("?mode=ro&request_s=2");
	for (unsigned i = 0; i < 10; i++)
		store_get(s, STORE_BLOB, &h.name, UINT64_MAX, count_late, &late);
	assert_int_equal(open_objects(), 0);
	while (open_objects() == 0 && late == 0)
		store_work(s, -1);
	assert_int_equal(open_objects(), 1);
	while (late < 10)
		store_work(s, -1);
	assert_int_equal(open_objects(), 0);
	store_close(s);
	server_stop(&server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endless, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quotes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
