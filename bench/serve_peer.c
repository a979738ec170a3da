/* What many clients get at once of a coordinator's shared cache, and of a bare pair of CURVE
 * sockets, for bench/serve:
 *
 *     serve_peer cache CLIENTS TIMES NAME   with the configuration of a client: each client, on a
 *                                           connection of its own, gets that blob so often, and
 *                                           makes a digest of it
 *     serve_peer packed CLIENTS TIMES NAME  the same, compressed on the way, as between machines
 *     serve_peer store CLIENTS TIMES NAME   the same as dray's own clients do it (store/tier): what
 *                                           comes is kept in a file as well
 *     serve_peer bare CLIENTS TIMES SIZE    the same as `cache` of a process that sends as many
 *                                           chunks as are asked for, and reads nothing
 *
 * All clients are in one process, and have connected before the clock starts. Prints MiB per
 * second. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "store/tier/tier.h"
#include "common/clock.h"
#include "common/log/log.h"
#include "proto/chunk.h"
#include "proto/socket.h"

#define MANY 1024

static int
say(uint64_t bytes, uint64_t begun, bool wrong)
{
	double s = (double)(clock_mono_us() - begun) / 1e6;

	if (wrong) {
		fprintf(stderr, "serve_peer: what came is not what was asked for\n");
		return 1;
	}
	printf("%.1f MiB/s (%.1f MiB in %.2f s)\n", (double)bytes / 1048576 / s,
		(double)bytes / 1048576, s);
	return 0;
}

/* ---- many connections */

struct conn {
	void *socket;
	struct hasher *hasher;
	struct digest name;
	unsigned left; /* chunks, or gets */
	uint32_t number;
	uint64_t bytes;
	bool wrong;
};

struct crowd {
	struct conn v[MANY];
	unsigned n;
	int poll;
};

static int
crowd_connect(struct crowd *c, void *ctx, unsigned n, const char *endpoint,
	const struct identity *id, const char *server_curve)
{
	c->poll = epoll_create1(EPOLL_CLOEXEC);
	for (c->n = 0; c->n < n; c->n++) {
		struct conn *k = &c->v[c->n];
		struct epoll_event e = { .events = EPOLLIN, .data.u32 = c->n };
		size_t size = sizeof(int);
		int fd;

		k->hasher = hasher_new();
		if (!k->hasher ||
			socket_connect(ctx, endpoint, id, server_curve, 1000, &k->socket) < 0)
			return -1;
		if (zmq_getsockopt(k->socket, ZMQ_FD, &fd, &size) < 0 ||
			epoll_ctl(c->poll, EPOLL_CTL_ADD, fd, &e) < 0)
			return -1;
	}
	return 0;
}

/* Until all have nothing left. A socket's descriptor tells of a change once: `take` takes all that
 * is there, and the last that it does with the socket is to find nothing. */
static void
crowd_run(struct crowd *c, void (*take)(struct conn *k))
{
	struct epoll_event events[MANY];
	unsigned open = c->n;

	for (unsigned i = 0; i < c->n; i++)
		take(&c->v[i]);
	while (open > 0) {
		int n = epoll_wait(c->poll, events, MANY, 1000);

		for (int i = 0; i < n; i++)
			take(&c->v[events[i].data.u32]);
		open = 0;
		for (unsigned i = 0; i < c->n; i++)
			open += c->v[i].left > 0;
	}
}

static int
crowd_end(struct crowd *c, uint64_t begun)
{
	uint64_t bytes = 0;
	bool wrong = false;
	int r;

	for (unsigned i = 0; i < c->n; i++) {
		bytes += c->v[i].bytes;
		wrong |= c->v[i].wrong;
	}
	r = say(bytes, begun, wrong);
	for (unsigned i = 0; i < c->n; i++) {
		socket_closep(&c->v[i].socket);
		hasher_free(c->v[i].hasher);
	}
	close(c->poll);
	return r;
}

/* ---- the cache */

static struct chunk_coder *coder;
static bool compress;

static void
ask(struct conn *k)
{
	ProtobufCBinaryData name = { DIGEST_SIZE, k->name.b };
	Dray__SharedGet m;

	dray__shared_get__init(&m);
	m.name = &name;
	m.n_name = 1;
	m.credit = TIER_CREDIT;
	m.compress = compress;
	(void)wire_send_job(k->socket, NULL, ++k->number, WIRE_SHARED_GET, &m.base, NULL);
}

static void
hear_data(struct conn *k, const Dray__SharedData *m, zmq_msg_t *payload)
{
	Dray__SharedCredit credit;
	struct digest found;
	const uint8_t *p;

	dray__shared_credit__init(&credit);
	credit.n = 1;
	(void)wire_send_job(k->socket, NULL, k->number, WIRE_SHARED_CREDIT, &credit.base, NULL);
	if (chunk_decode(coder, payload, m->zstd, m->size, &p) < 0) {
		k->wrong = true;
		return;
	}
	hasher_update(k->hasher, p, m->size);
	k->bytes += m->size;
	if (!m->last)
		return;
	hasher_final(k->hasher, &found);
	k->wrong |= !digest_eq(&found, &k->name);
}

static void
take_cache(struct conn *k)
{
	struct wire_msg m = WIRE_MSG_INIT;
	int r;

	while ((r = wire_recv(k->socket, NULL, WIRE_FROM_COORDINATOR, &m)) != -EAGAIN) {
		if (r < 0 || m.info->type == WIRE_REFUSED) {
			k->wrong = true;
			k->left = 0;
		} else if (m.info->type == WIRE_SHARED_DATA) {
			hear_data(k, (const Dray__SharedData *)m.body, &m.payload);
		} else if (m.info->type == WIRE_SHARED_END) {
			k->wrong |= ((const Dray__SharedEnd *)m.body)->n_absent > 0;
			if (--k->left > 0)
				ask(k);
		}
		wire_msg_done(&m);
	}
}

static void
take_welcome(struct conn *k)
{
	struct wire_msg m = WIRE_MSG_INIT;

	while (wire_recv(k->socket, NULL, WIRE_FROM_COORDINATOR, &m) != -EAGAIN) {
		k->wrong |= !m.info || m.info->type != WIRE_WELCOME;
		k->left = 0;
		wire_msg_done(&m);
	}
}

static int
cache(void *ctx, const struct conf *conf, unsigned n, unsigned times, const char *hex)
{
	static struct crowd c;
	struct identity id = { .has_secret = false }, server = { .has_secret = false };
	char role[] = "client";
	struct digest name;
	Dray__Hello hello;
	uint64_t begun;

	if (digest_parse(hex, &name) < 0 || chunk_coder_new(&coder) < 0 ||
		identity_load_unchecked(conf->client.identity, &id, NULL) < 0 ||
		identity_load_unchecked(conf->client.coordinator_key, &server, NULL) < 0 ||
		crowd_connect(&c, ctx, n, conf->client.coordinator, &id, server.curve_public) < 0)
		return 1;
	wire_hello(&hello, role);
	for (unsigned i = 0; i < n; i++) {
		c.v[i].left = 1;
		c.v[i].name = name;
		wire_send(c.v[i].socket, NULL, WIRE_HELLO, &hello.base, NULL, 0);
	}
	crowd_run(&c, take_welcome);
	begun = clock_mono_us();
	for (unsigned i = 0; i < n; i++) {
		c.v[i].left = times;
		ask(&c.v[i]);
	}
	crowd_run(&c, take_cache);
	return crowd_end(&c, begun);
}

/* ---- the same by dray's own clients */

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

static void
run_stores(struct client *v, unsigned n)
{
	static struct epoll_event events[MANY];
	int poll = epoll_create1(EPOLL_CLOEXEC);
	unsigned open = n;

	for (unsigned i = 0; i < n; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };

		store_get(v[i].s, STORE_BLOB, &v[i].name, UINT64_MAX, done, &v[i]);
		if (epoll_ctl(poll, EPOLL_CTL_ADD, store_fd(v[i].s), &e) < 0)
			v[i].wrong = true;
	}
	while (open > 0) {
		int ready = epoll_wait(poll, events, MANY, 1000);

		for (int i = 0; i < ready; i++)
			store_work(v[events[i].data.u32].s, 0);
		open = 0;
		for (unsigned i = 0; i < n; i++)
			open += v[i].left > 0;
	}
	close(poll);
}

static int
stores(void *ctx, const struct conf *conf, unsigned n, unsigned times, const char *hex)
{
	static struct client v[MANY];
	const struct store_in in = { .request_ms = 60000 };
	uint64_t begun, bytes = 0;
	char *why = NULL;
	bool wrong = false;
	int r;

	for (unsigned i = 0; i < n; i++) {
		v[i].left = times;
		if (digest_parse(hex, &v[i].name) < 0 ||
			tier_connect(ctx, conf, &in, &v[i].s, &why) < 0) {
			fprintf(stderr, "serve_peer: %s\n", why ? why : "no name");
			return 1;
		}
	}
	begun = clock_mono_us();
	run_stores(v, n);
	for (unsigned i = 0; i < n; i++) {
		bytes += v[i].bytes;
		wrong |= v[i].wrong;
	}
	r = say(bytes, begun, wrong);
	for (unsigned i = 0; i < n; i++)
		store_close(v[i].s);
	return r;
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

static void
take_bare(struct conn *k)
{
	zmq_msg_t m;

	zmq_msg_init(&m);
	while (zmq_msg_recv(&m, k->socket, ZMQ_DONTWAIT) >= 0) {
		size_t n = zmq_msg_size(&m);

		if (n < WIRE_CHUNK_MAX || k->left == 0)
			continue;
		if (k->left-- > TIER_CREDIT)
			zmq_send(k->socket, "c", 1, 0);
		hasher_update(k->hasher, zmq_msg_data(&m), n);
		k->bytes += n;
	}
	zmq_msg_close(&m);
}

static int
bare(void *ctx, unsigned n, unsigned times, const char *text)
{
	static struct crowd c;
	unsigned chunks = (unsigned)(strtoull(text, NULL, 10) / WIRE_CHUNK_MAX) * times;
	struct identity server, client;
	char endpoint[256] = "";
	uint64_t begun;
	int fds[2], r;
	pid_t pid;

	if (identity_generate("server", &server) < 0 || identity_generate("client", &client) < 0 ||
		pipe(fds) < 0 || (pid = fork()) < 0)
		return 1;
	if (pid == 0)
		bare_server(&server, fds[1]);
	if (read(fds[0], endpoint, sizeof(endpoint) - 1) <= 0 ||
		crowd_connect(&c, ctx, n, endpoint, &client, server.curve_public) < 0)
		return 1;
	/* all are connected */
	for (unsigned i = 0; i < n; i++) {
		c.v[i].left = 1;
		zmq_send(c.v[i].socket, "c", 1, 0);
	}
	crowd_run(&c, take_bare);
	begun = clock_mono_us();
	for (unsigned i = 0; i < n; i++) {
		c.v[i].bytes = 0;
		c.v[i].left = chunks;
		for (unsigned k = 0; k < TIER_CREDIT && k < chunks; k++)
			zmq_send(c.v[i].socket, "c", 1, 0);
	}
	crowd_run(&c, take_bare);
	r = crowd_end(&c, begun);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return r;
}

int
main(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(zmq_ctx_termp) void *ctx = NULL;
	_cleanup_(freep) char *error = NULL;
	unsigned n, times;

	log_init("serve_peer", LOG_LEVEL_NONE);
	if (argc != 5 || (n = (unsigned)atoi(argv[2])) < 1 || n > MANY ||
		(times = (unsigned)atoi(argv[3])) < 1)
		return 2;
	if (conf_load(&conf, &error) < 0 || zmq_ctx_open(&ctx) < 0)
		return 1;
	zmq_ctx_set(ctx, ZMQ_MAX_SOCKETS, 4 * MANY);
	compress = streq(argv[1], "packed");
	if (compress || streq(argv[1], "cache"))
		return cache(ctx, conf, n, times, argv[4]);
	if (streq(argv[1], "store"))
		return stores(ctx, conf, n, times, argv[4]);
	return bare(ctx, n, times, argv[4]);
}
