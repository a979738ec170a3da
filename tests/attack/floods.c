/* Connections, and what is said on them: without a key (raw sockets, since libzmq would not stop
 * half-way) and with one. */
#include "config.h"

#include "tests/attack/attack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "proto/admit.h"

#define GREETING 64 /* ZMTP 3.1 */
#define HELLO_FRAME 202
#define GIB (1u << 30)
#define MIB (1u << 20)
#define FRAMES_MAX 16384 /* connections that hold half a frame */

/* ---- without a key */

static struct sockaddr_in
address(const struct place *p)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	const char *colon = strrchr(p->endpoint, ':');

	if (!colon)
		fail(p->endpoint);
	a.sin_port = htons((uint16_t)atoi(colon + 1));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

/* -1: the other end has no room. */
static int
dial(const struct sockaddr_in *a, uint32_t from)
{
	const struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(from) };
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct linger at_once = { 1, 0 };

	if (fd < 0)
		return -1;
	/* no port waits for a minute */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	/* the port is chosen when it is known where to */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&here, sizeof(here)) < 0 ||
		(connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 && errno != EINPROGRESS)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
read_whole(int fd, uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t k = read(fd, p, n);

		if (k <= 0)
			fail("the handshake to copy");
		p += k;
		n -= (size_t)k;
	}
}

/* What libzmq says to that server until it wants an answer: greeting and HELLO. They are good for
 * any number of connections. */
static void
copy_handshake(
	const struct attack_conf *c, const struct place *p, uint8_t out[GREETING + HELLO_FRAME])
{
	static const uint8_t server[GREETING] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'C',
		'U', 'R', 'V', 'E', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), conn;
	socklen_t n = sizeof(a);
	void *ctx = zmq_ctx_new(), *s;
	struct place own = *p;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0 ||
		getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		fail("a port");
	snprintf(own.endpoint, sizeof(own.endpoint), "tcp://127.0.0.1:%d", ntohs(a.sin_port));
	s = dealer(ctx, c, &own, true);
	zmq_connect(s, own.endpoint);
	conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (conn < 0 || write(conn, server, sizeof(server)) != (ssize_t)sizeof(server))
		fail("a connection");
	read_whole(conn, out, GREETING + HELLO_FRAME);
	zmq_close(s);
	close(conn);
	close(fd);
	zmq_ctx_term(ctx);
}

struct raw {
	struct sockaddr_in to;
	uint32_t from;
	uint8_t hello[GREETING + HELLO_FRAME];
	int poller;
	unsigned stop; /* how many ways there are to stop */
};

/* One that stops: before its greeting, in it, after HELLO. */
static bool
open_stopped(struct raw *r, struct tally *t, unsigned i)
{
	static const size_t say_n[] = { 0, 11, GREETING + HELLO_FRAME, 0 };
	struct epoll_event e = { .events = EPOLLRDHUP | EPOLLOUT | EPOLLONESHOT };
	int fd = dial(&r->to, r->from);

	if (fd < 0)
		return false;
	e.data.u64 = (uint64_t)fd << 32 | say_n[i % ARRAY_LEN(say_n)];
	epoll_ctl(r->poller, EPOLL_CTL_ADD, fd, &e);
	t->opened++;
	return true;
}

/* Those that have come through say their part; those that were closed are opened anew. */
static void
turn_stopped(struct raw *r, struct tally *t, unsigned *open)
{
	struct epoll_event v[256];
	int n = epoll_wait(r->poller, v, ARRAY_LEN(v), 20);

	for (int i = 0; i < n; i++) {
		int fd = (int)(v[i].data.u64 >> 32);
		size_t part = v[i].data.u64 & 0xffffffff;

		if (v[i].events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
			close(fd);
			(*open)--;
			continue;
		}
		if (part > 0 && write(fd, r->hello, part) > 0)
			t->bytes += part;
		v[i].events = EPOLLRDHUP;
		epoll_ctl(r->poller, EPOLL_CTL_MOD, fd, &v[i]);
	}
}

static void
crowd(const struct attack_conf *c, struct tally *t, const struct place *p)
{
	struct raw r = {
		.to = address(p), .from = c->from, .poller = epoll_create1(EPOLL_CLOEXEC)
	};
	unsigned stopped = c->connections / 2, whole = c->connections - stopped, open = 0, said = 0;
	void *ctx = zmq_ctx_new(), *s;

	get_named(c, t);
	copy_handshake(c, p, r.hello);
	s = dealer(ctx, c, p, true);
	/* One socket has as many connections as it is told. */
	for (unsigned i = 0; i < whole; i++)
		if (zmq_connect(s, p->endpoint) != 0)
			fail("a connection");
	t->opened = whole;
	for (;;) {
		for (unsigned k = 0; open < stopped && k < 256; k++) {
			if (!open_stopped(&r, t, open))
				break;
			open++;
		}
		turn_stopped(&r, t, &open);
		/* each goes to another connection */
		for (unsigned k = 0; said < whole / 2 && k < 16; k++, said++)
			say_hello(s, t);
		t->going = open >= stopped || t->opened > c->connections;
	}
}

void
attack_crowd_coordinator(const struct attack_conf *c, struct tally *t)
{
	crowd(c, t, &c->coordinator);
}

void
attack_crowd_worker(const struct attack_conf *c, struct tally *t)
{
	crowd(c, t, &c->worker);
}

struct half {
	int fd;
	size_t left; /* of its frame */
	bool worker;
};

static void
open_half(
	struct half *h, const struct sockaddr_in to[2], uint32_t from, unsigned i, struct tally *t)
{
	static const uint8_t greeting[GREETING] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1, 'C',
		'U', 'R', 'V', 'E' };
	bool larger = i % 16 == 15;
	enum admit_at at = i % 2 ? ADMIT_WORKER : ADMIT_COORDINATOR;
	uint64_t size = larger ? (uint64_t)1 << 40 : admit_frame_max(at);
	uint8_t head[GREETING + 9];

	h->worker = i % 2;
	h->fd = dial(&to[h->worker], from);
	if (h->fd < 0)
		return;
	memcpy(head, greeting, GREETING);
	head[GREETING] = 0x06; /* a long command, as all of a handshake are */
	for (int k = 0; k < 8; k++)
		head[GREETING + 1 + k] = (uint8_t)(size >> (56 - 8 * k));
	h->left = larger ? GIB : (size_t)size - 1;
	t->opened++;
	/* On loopback it is there when connect has returned. */
	if (write(h->fd, head, sizeof(head)) != (ssize_t)sizeof(head)) {
		close(h->fd);
		h->fd = -1;
	}
}

static void
feed_half(struct half *h, struct tally *t)
{
	static const uint8_t waste[65536];
	ssize_t n;
	char c;

	if (h->left > 0) {
		n = send(h->fd, waste, MIN2(h->left, sizeof(waste)), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			h->left -= (size_t)n;
			t->bytes += (uint64_t)n;
			return;
		}
		if (n < 0 && errno == EAGAIN)
			return;
	} else {
		do
			n = recv(h->fd, &c, 1, MSG_DONTWAIT);
		while (n > 0);
		if (n < 0 && errno == EAGAIN)
			return;
	}
	close(h->fd);
	h->fd = -1;
}

void
attack_halves(const struct attack_conf *c, struct tally *t)
{
	const struct sockaddr_in to[2] = { address(&c->coordinator), address(&c->worker) };
	const size_t pair = admit_frame_max(ADMIT_COORDINATOR) + admit_frame_max(ADMIT_WORKER);
	size_t n = MIN2(2 * (size_t)GIB / pair, (size_t)FRAMES_MAX);
	struct half *v = calloc(n, sizeof(*v));

	if (!v)
		fail("memory");
	for (size_t i = 0; i < n; i++)
		v[i].fd = -1;
	for (;;) {
		for (size_t i = 0; i < n; i++) {
			if (v[i].fd < 0)
				open_half(&v[i], to, c->from, (unsigned)i, t);
			else
				feed_half(&v[i], t);
		}
		t->going = t->bytes > 0;
		pause_ms(1);
	}
}

/* ---- with one */

static uint8_t zeros[2 * MIB];

void
attack_parts(const struct attack_conf *c, struct tally *t)
{
	void *ctx = zmq_ctx_new();
	bool worker = false;

	get_named(c, t);
	for (;; worker = !worker) {
		const struct place *p = worker ? &c->worker : &c->coordinator;
		size_t size = admit_frame_max(worker ? ADMIT_WORKER : ADMIT_COORDINATOR);
		void *s = dealer(ctx, c, p, true);
		uint64_t end = clock_mono_ms() + 2000;

		zmq_connect(s, p->endpoint);
		t->opened++;
		say_hello(s, t);
		/* libzmq holds it until it is whole: nothing of it is copied */
		for (size_t sent = 0; sent < GIB; sent += size) {
			zmq_msg_t m;

			zmq_msg_init_data(&m, zeros, size, NULL, NULL);
			if (zmq_msg_send(&m, s, sent + size < GIB ? ZMQ_SNDMORE : 0) < 0)
				zmq_msg_close(&m);
			t->bytes += size;
		}
		t->messages++;
		t->going = t->messages > 1;
		while (clock_mono_ms() < end)
			pause_ms(50);
		zmq_close(s);
	}
}

/* A message of that type whose body or payload is of that size. */
static void
say_large(void *s, struct tally *t, enum wire_type type, size_t size)
{
	const struct wire_info *info = wire_info(type);
	size_t head = wire_header_size(type);
	uint8_t frame[WIRE_HEADER_MAX] = { 'D', 'R', 'A', 'Y', 0, WIRE_VERSION, 0, (uint8_t)type };

	memcpy(zeros, frame, head);
	if (info->payload_max) {
		if (zmq_send(s, frame, head, ZMQ_SNDMORE) >= 0)
			(void)zmq_send(s, zeros, size, 0);
	} else {
		(void)zmq_send(s, zeros, size, 0);
	}
	t->messages++;
	t->bytes += size;
}

void
attack_large(const struct attack_conf *c, struct tally *t)
{
	static const enum wire_type types[2][4] = { { WIRE_HELLO, WIRE_JOB_REQUEST, WIRE_JOB_OPEN,
							    WIRE_STATUS_REQUEST },
		{ WIRE_HELLO, WIRE_JOB_OPEN, WIRE_JOB_UNIT, WIRE_BLOB_CHUNK } };
	void *ctx = zmq_ctx_new();

	get_named(c, t);
	for (unsigned i = 0;; i++) {
		bool worker = i % 2, larger = i % 16 >= 14;
		const struct place *p = worker ? &c->worker : &c->coordinator;
		size_t size = admit_frame_max(worker ? ADMIT_WORKER : ADMIT_COORDINATOR);
		void *s = dealer(ctx, c, p, true);

		zmq_connect(s, p->endpoint);
		t->opened++;
		if (i / 8 % 2)
			say_hello(s, t);
		for (unsigned k = 0; k < 64; k++)
			say_large(s, t, types[worker][i / 2 % 4], larger ? 2 * size : size);
		t->going = 1;
		pause_ms(100);
		zmq_close(s);
	}
}

static void
ask_status(void *s, struct tally *t)
{
	Dray__StatusRequest m = DRAY__STATUS_REQUEST__INIT;

	say(s, t, 0, WIRE_STATUS_REQUEST, &m.base, NULL, 0);
}

void
attack_status(const struct attack_conf *c, struct tally *t)
{
	void *ctx = zmq_ctx_new(), *s = dealer(ctx, c, &c->coordinator, true);

	zmq_connect(s, c->coordinator.endpoint);
	t->opened = 1;
	say_hello(s, t);
	for (;;) {
		zmq_msg_t m;

		ask_status(s, t);
		t->going = 1;
		zmq_msg_init(&m);
		while (zmq_msg_recv(&m, s, ZMQ_DONTWAIT) >= 0)
			;
		zmq_msg_close(&m);
	}
}

void
attack_deaf(const struct attack_conf *c, struct tally *t)
{
	char job[] = "00000000000000000000000000000001", worker[] = "nobody";
	Dray__JobRetry retry = DRAY__JOB_RETRY__INIT;
	void *ctx = zmq_ctx_new(), *v[400];

	get_named(c, t);
	retry.job = job;
	retry.worker = worker;
	retry.verdict = DRAY__VERDICT__VERDICT_CANCELLED;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		int none = 0;

		v[i] = dealer(ctx, c, i % 4 ? &c->coordinator : &c->worker, false);
		zmq_setsockopt(v[i], ZMQ_SNDTIMEO, &none, sizeof(none));
		zmq_connect(v[i], i % 4 ? c->coordinator.endpoint : c->worker.endpoint);
		t->opened++;
		say_hello(v[i], t);
	}
	for (;;)
		for (size_t i = 0; i < ARRAY_LEN(v); i++) {
			if (i % 4 == 0 || i % 4 == 1)
				say_hello(v[i], t);
			else if (i % 4 == 2)
				ask_status(v[i], t);
			else
				say(v[i], t, 0, WIRE_JOB_RETRY, &retry.base, NULL, 0);
			t->going = 1;
		}
}
