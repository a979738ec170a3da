/* A client or a publisher of the coordinator's shared cache, with the configuration of a client:
 *
 *     sharer put FILE…            puts each as a blob; prints its name, and "was there" or "kept"
 *     sharer put-entry KEY FILE
 *     sharer get NAME…            of blobs: all in one message; writes them to standard output
 *     sharer get-entry KEY
 *     sharer look NAME…           prints the size of each
 *     sharer many N NAME          N gets at once, on one connection; prints how many were right
 *     sharer deaf N NAME          asks N times and reads nothing; prints "asked", and "ended" when
 * the coordinator ends the connection; ends with its standard input
 *
 * Exit 0: all was there, or kept; 3: something was not; 4: there is no shared cache. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

#include "store/tier/tier.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "proto/socket.h"

struct got {
	unsigned open, right, wrong;
	int error;
	bool print, copy;
};

static void
done(void *arg, const struct store_reply *r)
{
	struct got *g = arg;
	int fd = r->fd;

	g->open--;
	if (r->error) {
		g->wrong++;
		g->error = r->error;
		return;
	}
	g->right++;
	if (g->print)
		printf("%llu\n", (unsigned long long)r->size);
	if (g->copy && fs_copy_fd(fd, STDOUT_FILENO) < 0)
		g->wrong++;
	closep(&fd);
}

static int
finish(struct store *s, struct got *g)
{
	while (g->open)
		store_work(s, -1);
	if (g->wrong)
		fprintf(stderr, "sharer: %u: %s: %s\n", g->wrong, strerror(-g->error),
			store_why(s));
	return g->wrong ? 3 : 0;
}

static int
ask(struct store *s, char **names, enum store_kind kind, bool look)
{
	struct got g = { .print = look, .copy = !look };

	for (; *names; names++) {
		struct digest name;

		if (digest_parse(*names, &name) < 0)
			return 2;
		g.open++;
		if (look)
			store_has(s, kind, &name, done, &g);
		else
			store_get(s, kind, &name, UINT64_MAX, done, &g);
	}
	return finish(s, &g);
}

static int
put(struct store *s, char **files)
{
	for (; *files; files++) {
		_cleanup_(closep) int fd = open(*files, O_RDONLY | O_CLOEXEC);
		char hex[DIGEST_HEX_SIZE];
		struct digest name;
		int r = fd < 0 ? -errno : store_put_fd_now(s, fd, &name, NULL);

		if (r < 0) {
			fprintf(stderr, "sharer: %s: %s: %s\n", *files, strerror(-r), store_why(s));
			return 3;
		}
		digest_hex(&name, hex);
		printf("%s %s\n", hex, r ? "was there" : "kept");
		fflush(stdout);
	}
	return 0;
}

static int
put_entry(struct store *s, const char *key, const char *file)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct digest name;
	int r = digest_parse(key, &name);

	if (r == 0)
		r = fs_read_file(file, 64u << 20, &b);
	if (r == 0)
		r = store_put_entry_now(s, &name, b.p, b.n);
	if (r < 0)
		fprintf(stderr, "sharer: %s: %s\n", strerror(-r), store_why(s));
	return r < 0 ? 3 : 0;
}

static int
many(struct store *s, unsigned n, const char *hex)
{
	struct got g = { .open = n };
	struct digest name;

	if (digest_parse(hex, &name) < 0)
		return 2;
	for (unsigned i = 0; i < n; i++)
		/* one message each: another bound is another question */
		store_get(s, STORE_BLOB, &name, (1u << 30) + i, done, &g);
	(void)finish(s, &g);
	printf("%u\n", g.right);
	return g.right == n ? 0 : 3;
}

static int
deaf(void *ctx, const struct conf *conf, unsigned n, const char *hex)
{
	struct identity me, its;
	struct digest name;
	void *socket;
	struct monitor *monitor;
	ProtobufCBinaryData data = { DIGEST_SIZE, name.b };
	char role[] = "client";
	Dray__SharedGet get;
	Dray__Hello hello;
	enum monitor_event e;

	if (digest_parse(hex, &name) < 0 || identity_load(conf->client.identity, &me, NULL) < 0 ||
		identity_load(conf->client.coordinator_key, &its, NULL) < 0 ||
		socket_connect_monitored(ctx, conf->client.coordinator, &me, its.curve_public, 1000,
			&socket, &monitor) < 0)
		return 1;
	wire_hello(&hello, role);
	if (wire_send(socket, NULL, WIRE_HELLO, &hello.base, NULL, 0) < 0)
		return 1;
	dray__shared_get__init(&get);
	get.name = &data;
	get.n_name = 1;
	get.credit = 64;
	for (unsigned i = 0; i < n; i++)
		if (wire_send_job(socket, NULL, i, WIRE_SHARED_GET, &get.base, NULL) < 0)
			return 1;
	puts("asked");
	fflush(stdout);
	for (;;) {
		zmq_pollitem_t items[] = { { monitor_socket(monitor), 0, ZMQ_POLLIN, 0 },
			{ NULL, STDIN_FILENO, ZMQ_POLLIN, 0 } };

		zmq_poll(items, ARRAY_LEN(items), -1);
		if (items[1].revents)
			break;
		while ((e = monitor_next(monitor, NULL)) != MONITOR_NONE)
			if (e == MONITOR_DISCONNECTED) {
				puts("ended");
				fflush(stdout);
			}
	}
	monitor_free(monitor);
	socket_closep(&socket);
	identity_done(&me);
	identity_done(&its);
	return 0;
}

static int
run(struct store *s, int argc, char **argv)
{
	const char *what = argv[1];

	if (streq(what, "put"))
		return put(s, argv + 2);
	if (streq(what, "put-entry") && argc == 4)
		return put_entry(s, argv[2], argv[3]);
	if (streq(what, "get"))
		return ask(s, argv + 2, STORE_BLOB, false);
	if (streq(what, "get-entry"))
		return ask(s, argv + 2, STORE_ENTRY, false);
	if (streq(what, "look"))
		return ask(s, argv + 2, STORE_BLOB, true);
	if (streq(what, "many") && argc == 4)
		return many(s, (unsigned)atoi(argv[2]), argv[3]);
	return 2;
}

int
main(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(zmq_ctx_termp) void *ctx = NULL;
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_(freep) char *error = NULL;
	const char *patience = getenv("DRAY_TEST_PATIENCE");
	const struct store_in in = {
		.request_ms = 20000 * (patience ? (unsigned)MAX2(atoi(patience), 1) : 1)
	};
	int r;

	log_init("sharer", LOG_LEVEL_NONE);
	if (argc < 3)
		return 2;
	r = conf_load(&conf, &error);
	if (r == 0)
		r = zmq_ctx_open(&ctx);
	if (r == 0 && streq(argv[1], "deaf") && argc == 4)
		return deaf(ctx, conf, (unsigned)atoi(argv[2]), argv[3]);
	if (r == 0)
		r = tier_connect(ctx, conf, &in, &s, &error);
	if (r < 0) {
		fprintf(stderr, "sharer: %s\n", error ? error : strerror(-r));
		return 4;
	}
	return run(s, argc, argv);
}
