/* A peer that says what it is told to, for the scenarios: wrong versions, rubbish, silence.
 *
 *     rawpeer send ENDPOINT SERVER-PUBLIC-FILE IDENTITY-FILE [--replies N] [--wait MS] FRAME…
 * connects as dray's programs do (CURVE; no keys when both files are "-"), sends messages, and
 * prints each message that comes back as one line of frames in hex, until N have come (1) or MS
 * have passed (5000). A FRAME is bytes in hex, `~N` for N bytes of noise (the same every time), or
 * `/`, which ends one message and begins the next. Exit 0: N replies came; 3: they did not.
 *
 *     rawpeer many ENDPOINT SERVER-PUBLIC-FILE IDENTITY-FILE N FRAME…
 * makes N connections at once, says the same on each as far as it is taken, and reads nothing.
 * Prints "said" when all was said, and ends with its standard input.
 *
 *     rawpeer hole
 * listens on a loopback port, prints its number, accepts every connection and never says a word.
 * Prints "open N" and "closed N after MS ms" for each. Ends with its standard input. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <zmq.h>

#include "common/base.h"
#include "common/clock.h"
#include "keys/identity.h"
#include "tests/scenario/listen.h"

#define HOLE_MAX 256
#define FRAME_MAX (32u << 20)

static int
die(const char *what)
{
	fprintf(stderr, "rawpeer: %s: %s\n", what, zmq_strerror(errno));
	return 1;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int
noise_frame(const char *number, zmq_msg_t *ret)
{
	uint32_t x = 2463534242u;
	char *end;
	unsigned long n = strtoul(number, &end, 10);
	uint8_t *p;

	if (*end != '\0' || n > FRAME_MAX)
		return -EINVAL;
	if (zmq_msg_init_size(ret, n) != 0)
		return -ENOMEM;
	p = zmq_msg_data(ret);
	for (unsigned long i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		p[i] = (uint8_t)x;
	}
	return 0;
}

static int
hex_frame(const char *hex, zmq_msg_t *ret)
{
	size_t n = strlen(hex);
	uint8_t *p;

	if (n % 2 != 0)
		return -EINVAL;
	if (zmq_msg_init_size(ret, n / 2) != 0)
		return -ENOMEM;
	p = zmq_msg_data(ret);
	for (size_t i = 0; i < n / 2; i++) {
		int hi = hex_digit(hex[2 * i]), lo = hex_digit(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		p[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

static int
send_frames(void *socket, char **frames)
{
	for (; *frames; frames++) {
		bool more = frames[1] && !streq(frames[1], "/");
		zmq_msg_t m;
		int r;

		if (streq(*frames, "/"))
			continue;
		r = **frames == '~' ? noise_frame(*frames + 1, &m) : hex_frame(*frames, &m);
		if (r < 0) {
			fprintf(stderr, "rawpeer: not a frame: %s\n", *frames);
			return r;
		}
		if (zmq_msg_send(&m, socket, more ? ZMQ_SNDMORE : 0) < 0)
			return -errno;
	}
	return 0;
}

/* Prints one whole message. */
static int
print_message(void *socket)
{
	int more = 1;

	while (more) {
		const uint8_t *p;
		zmq_msg_t m;

		zmq_msg_init(&m);
		if (zmq_msg_recv(&m, socket, 0) < 0)
			return -errno;
		p = zmq_msg_data(&m);
		for (size_t i = 0; i < zmq_msg_size(&m); i++)
			printf("%02x", p[i]);
		more = zmq_msg_more(&m);
		putchar(more ? ' ' : '\n');
		zmq_msg_close(&m);
	}
	fflush(stdout);
	return 0;
}

static int
set_keys(void *socket, const char *server_file, const char *identity_file)
{
	struct identity server = { 0 }, own = { 0 };
	int r = 0;

	if (streq(server_file, "-") && streq(identity_file, "-"))
		return 0;
	if (identity_load(server_file, &server, NULL) < 0 ||
		identity_load(identity_file, &own, NULL) < 0)
		r = -EINVAL;
	else if (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server.curve_public, 40) != 0 ||
		 zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, own.curve_public, 40) != 0 ||
		 zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own.curve_secret, 40) != 0)
		r = -errno;
	identity_done(&server);
	identity_done(&own);
	return r;
}

static int
cmd_send(int argc, char **argv)
{
	void *ctx = zmq_ctx_new(), *socket = zmq_socket(ctx, ZMQ_DEALER);
	long replies = 1, wait = 5000, got = 0;
	uint64_t deadline;
	int i = 3, zero = 0;

	for (; i + 1 < argc && starts_with(argv[i], "--"); i += 2) {
		long v = strtol(argv[i + 1], NULL, 10);

		if (streq(argv[i], "--replies"))
			replies = v;
		else if (streq(argv[i], "--wait"))
			wait = v;
	}
	zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof(zero));
	if (set_keys(socket, argv[1], argv[2]) < 0) {
		fprintf(stderr, "rawpeer: %s, %s: no usable keys\n", argv[1], argv[2]);
		return 2;
	}
	if (zmq_connect(socket, argv[0]) != 0)
		return die(argv[0]);
	if (send_frames(socket, argv + i) < 0)
		return die("sending");
	deadline = clock_mono_ms() + (uint64_t)wait;
	while (got < replies) {
		uint64_t now = clock_mono_ms();
		zmq_pollitem_t item = { socket, 0, ZMQ_POLLIN, 0 };

		if (now >= deadline || zmq_poll(&item, 1, (long)(deadline - now)) <= 0)
			break;
		if (print_message(socket) < 0)
			return die("receiving");
		got++;
	}
	zmq_close(socket);
	zmq_ctx_term(ctx);
	return got >= replies ? 0 : 3;
}

static int
cmd_many(int argc, char **argv)
{
	unsigned long n = strtoul(argv[3], NULL, 10);
	void *ctx = zmq_ctx_new();
	int zero = 0, few = 1000;
	char waste[64];

	zmq_ctx_set(ctx, ZMQ_MAX_SOCKETS, (int)n + 16);
	for (unsigned long i = 0; i < n; i++) {
		void *socket = zmq_socket(ctx, ZMQ_DEALER);

		if (!socket)
			return die("a socket");
		zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof(zero));
		zmq_setsockopt(socket, ZMQ_SNDTIMEO, &few, sizeof(few));
		if (set_keys(socket, argv[1], argv[2]) < 0)
			return die("keys");
		if (zmq_connect(socket, argv[0]) != 0)
			return die(argv[0]);
		(void)!send_frames(socket, argv + 4);
	}
	puts("said");
	fflush(stdout);
	while (read(0, waste, sizeof(waste)) > 0)
		;
	/* Not closed: the process ends. */
	_exit(0);
}

static int
cmd_hole(void)
{
	struct pollfd p[HOLE_MAX + 2] = { { .fd = 0, .events = POLLIN } };
	uint64_t opened[HOLE_MAX + 2];
	unsigned number[HOLE_MAX + 2], count = 0;
	nfds_t n = 2;
	char waste[4096];

	p[1] = (struct pollfd){ .fd = listen_on_loopback(), .events = POLLIN };
	if (p[1].fd < 0)
		return die("listening");
	for (;;) {
		if (poll(p, n, -1) < 0 && errno != EINTR)
			return die("waiting");
		if (p[0].revents && read(0, waste, sizeof(waste)) <= 0)
			return 0;
		for (nfds_t i = n - 1; i > 1; i--) {
			if (!p[i].revents || read(p[i].fd, waste, sizeof(waste)) > 0)
				continue;
			printf("closed %u after %llu ms\n", number[i],
				(unsigned long long)(clock_mono_ms() - opened[i]));
			fflush(stdout);
			close(p[i].fd);
			n--;
			p[i] = p[n];
			opened[i] = opened[n];
			number[i] = number[n];
		}
		if (p[1].revents && n < ARRAY_LEN(p)) {
			int fd = accept4(p[1].fd, NULL, NULL, SOCK_CLOEXEC);

			if (fd < 0)
				continue;
			p[n] = (struct pollfd){ .fd = fd, .events = POLLIN };
			opened[n] = clock_mono_ms();
			number[n++] = ++count;
			printf("open %u\n", count);
			fflush(stdout);
		}
	}
}

int
main(int argc, char **argv)
{
	if (argc == 2 && streq(argv[1], "hole"))
		return cmd_hole();
	if (argc >= 7 && streq(argv[1], "many"))
		return cmd_many(argc - 2, argv + 2);
	if (argc >= 6 && streq(argv[1], "send"))
		return cmd_send(argc - 2, argv + 2);
	fprintf(stderr, "usage: rawpeer send ENDPOINT SERVER-PUBLIC-FILE IDENTITY-FILE "
			"[--replies N] [--wait MS] FRAME...\n"
			"       rawpeer many ENDPOINT SERVER-PUBLIC-FILE IDENTITY-FILE N FRAME...\n"
			"       rawpeer hole\n");
	return 2;
}
