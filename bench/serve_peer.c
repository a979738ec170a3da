/* What 200 clients get at once of a coordinator's shared cache, and of a bare pair of CURVE
 * sockets:
 *
 *     serve_peer cache CLIENTS TIMES NAME   with the configuration of a client: each client, on a
 *                                           connection of its own, gets that blob so often
 *     serve_peer bare CLIENTS TIMES SIZE    the same of a process that sends as many chunks as
 *                                           are asked for, and reads nothing
 *
 * Both make a digest of all that comes, in one process. Prints MiB per second. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "store/tier/tier.h"
#include "common/clock.h"
#include "common/log.h"
#include "proto/socket.h"

#define MANY 1024

static void
say(uint64_t bytes, uint64_t begun)
{
	double s = (double)(clock_mono_us() - begun) / 1e6;

	printf("%.1f MiB/s (%.1f MiB in %.2f s)\n", (double)bytes / 1048576 / s,
		(double)bytes / 1048576, s);
}

/* ---- the cache */

struct client {
	struct store *s;
	struct digest name;
	unsigned left;
	uint64_t bytes;
	bool wrong;
};

static void
done(void *arg, const struct store_reply *r)
{
	struct client *c = arg;

	c->wrong |= r->error != 0;
	c->bytes += r->size;
	if (r->error == 0)
		close(r->fd);
	if (--c->left > 0 && !c->wrong)
		store_get(c->s, STORE_BLOB, &c->name, UINT64_MAX, done, c);
	else
		c->left = 0;
}

static int
cache(void *ctx, const struct conf *conf, unsigned n, unsigned times, const char *hex)
{
	static struct client v[MANY];
	static zmq_pollitem_t items[MANY];
	const struct store_in in = { .request_ms = 60000 };
	uint64_t begun, bytes = 0;
	unsigned open = n;
	char *why = NULL;

	for (unsigned i = 0; i < n; i++) {
		v[i].left = times;
		if (digest_parse(hex, &v[i].name) < 0 ||
			tier_connect(ctx, conf, &in, &v[i].s, &why) < 0) {
			fprintf(stderr, "serve_peer: %s\n", why ? why : "no name");
			return 1;
		}
	}
	begun = clock_mono_us();
	for (unsigned i = 0; i < n; i++)
		store_get(v[i].s, STORE_BLOB, &v[i].name, UINT64_MAX, done, &v[i]);
	while (open > 0) {
		open = 0;
		for (unsigned i = 0; i < n; i++) {
			items[i] = (zmq_pollitem_t){ NULL, store_fd(v[i].s), ZMQ_POLLIN, 0 };
			open += v[i].left > 0;
		}
		if (open > 0)
			zmq_poll(items, (int)n, 100);
		for (unsigned i = 0; i < n; i++)
			if (v[i].left > 0 && items[i].revents)
				store_work(v[i].s, 0);
	}
	for (unsigned i = 0; i < n; i++) {
		bytes += v[i].bytes;
		if (v[i].wrong)
			fprintf(stderr, "serve_peer: client %u: %s\n", i, store_why(v[i].s));
		store_close(v[i].s);
	}
	say(bytes, begun);
	return 0;
}

/* ---- a bare pair */

static enum zap_answer
let_in(void *arg, const char *curve_public)
{
	(void)arg;
	(void)curve_public;
	return ZAP_YES;
}

/* Each message that comes is answered by a chunk. */
static void
bare_server(const struct identity *id, int fd)
{
	static uint8_t chunk[WIRE_CHUNK_MAX];
	void *ctx = zmq_ctx_new(), *socket;
	struct zap *zap;
	char *endpoint;

	if (zap_new(ctx, let_in, NULL, &zap) < 0 ||
		socket_listen(ctx, ADMIT_COORDINATOR, "tcp://127.0.0.1:*", id, 1000, &socket,
			&endpoint) < 0 ||
		write(fd, endpoint, strlen(endpoint)) < 0)
		_exit(1);
	for (;;) {
		zmq_pollitem_t items[] = { { socket, 0, ZMQ_POLLIN, 0 },
			{ zap_socket(zap), 0, ZMQ_POLLIN, 0 } };
		uint8_t peer[64], word[64];
		int n;

		zmq_poll(items, 2, -1);
		zap_step(zap);
		while ((n = zmq_recv(socket, peer, sizeof(peer), ZMQ_DONTWAIT)) > 0) {
			(void)zmq_recv(socket, word, sizeof(word), ZMQ_DONTWAIT);
			zmq_send(socket, peer, (size_t)n, ZMQ_SNDMORE);
			zmq_send(socket, chunk, sizeof(chunk), 0);
		}
	}
}

static int
bare(void *ctx, unsigned n, unsigned times, const char *text)
{
	static zmq_pollitem_t items[MANY];
	static unsigned left[MANY];
	static uint8_t chunk[WIRE_CHUNK_MAX];
	unsigned chunks = (unsigned)(strtoull(text, NULL, 10) / WIRE_CHUNK_MAX) * times, open = n;
	struct hasher *h = hasher_new();
	struct identity server, client;
	char endpoint[256] = "";
	uint64_t begun, bytes = 0;
	int fds[2];
	pid_t pid;

	if (identity_generate("server", &server) < 0 || identity_generate("client", &client) < 0 ||
		pipe(fds) < 0 || (pid = fork()) < 0)
		return 1;
	if (pid == 0)
		bare_server(&server, fds[1]);
	if (read(fds[0], endpoint, sizeof(endpoint) - 1) <= 0)
		return 1;
	for (unsigned i = 0; i < n; i++) {
		void *s;

		if (socket_connect(ctx, endpoint, &client, server.curve_public, 1000, &s) < 0)
			return 1;
		items[i] = (zmq_pollitem_t){ s, 0, ZMQ_POLLIN, 0 };
		left[i] = chunks;
		zmq_send(s, "c", 1, 0);
	}
	/* all are connected */
	for (unsigned i = 0; i < n; i++)
		(void)zmq_recv(items[i].socket, chunk, sizeof(chunk), 0);
	begun = clock_mono_us();
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < TIER_CREDIT && k < chunks; k++)
			zmq_send(items[i].socket, "c", 1, 0);
	while (open > 0) {
		zmq_poll(items, (int)n, 1000);
		for (unsigned i = 0; i < n; i++) {
			int k;

			while (left[i] > 0 && (k = zmq_recv(items[i].socket, chunk, sizeof(chunk),
						       ZMQ_DONTWAIT)) > 0) {
				hasher_update(h, chunk, (size_t)k);
				bytes += (uint64_t)k;
				open -= --left[i] == 0;
				if (left[i] >= TIER_CREDIT)
					zmq_send(items[i].socket, "c", 1, 0);
			}
		}
	}
	say(bytes, begun);
	for (unsigned i = 0; i < n; i++)
		zmq_close(items[i].socket);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	hasher_free(h);
	return 0;
}

int
main(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(zmq_ctx_termp) void *ctx = NULL;
	_cleanup_(freep) char *error = NULL;
	unsigned n;

	log_init("serve_peer", LOG_LEVEL_NONE);
	if (argc != 5 || (n = (unsigned)atoi(argv[2])) < 1 || n > MANY)
		return 2;
	if (conf_load(&conf, &error) < 0 || zmq_ctx_open(&ctx) < 0)
		return 1;
	zmq_ctx_set(ctx, ZMQ_MAX_SOCKETS, 4 * MANY);
	return streq(argv[1], "cache") ? cache(ctx, conf, n, (unsigned)atoi(argv[3]), argv[4])
				       : bare(ctx, n, (unsigned)atoi(argv[3]), argv[4]);
}
