/* A line between a client and a worker that is cut at a chosen chunk, for the scenarios.
 *
 *     cutter
 * listens on a loopback port, prints its number, and carries every connection's bytes to and from
 * the port that it was told. Ends with its standard input, which tells it, a line each:
 *     to PORT                      where new connections go
 *     cut up|down N after|within   the N-th chunk from now, or from a line's begin, that goes to
 *                                  (up) or comes from (down) that port is the last on its line:
 *                                  all of it, or half
 *     pass                         no cut
 * Each line is answered by "ok" and the line, each cut by "cut" and the same words. A cut is done
 * once, and closes both ends.
 *
 * A chunk is a large frame. CURVE hides what is in a frame, not where it ends: ZMTP 3.1 has 64
 * bytes of greeting, then frames of flags, a length of one or eight bytes, and so many bytes
 * (RFC 37). */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/base.h"
#include "tests/scenario/listen.h"

#define LINES_MAX 128
#define GREETING 64
#define FLAG_LONG 2
#define LARGE (64u * 1024)

enum way { UP, DOWN, WAYS };

/* One direction of a connection: where in its frames it is. */
struct stream {
	size_t greeting; /* bytes of it that are still to come */
	uint8_t head[9];
	size_t n_head;
	uint64_t size, left; /* of the present frame's body */
	unsigned chunks;
};

struct line {
	int fd[WAYS]; /* where bytes that go up, and down, are read */
	struct stream stream[WAYS];
};

struct cut {
	bool armed, within;
	enum way way;
	unsigned number;
};

static struct line lines[LINES_MAX];
static size_t n_lines;
static struct cut cut;
static uint16_t target;

static int
die(const char *what)
{
	fprintf(stderr, "cutter: %s: %s\n", what, strerror(errno));
	return 1;
}

static int
connect_there(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(target) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
take_line(int listener)
{
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC), worker, on = 1;

	if (client < 0)
		return;
	worker = n_lines < LINES_MAX ? connect_there() : -1;
	if (worker < 0) {
		close(client);
		return;
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(worker, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	lines[n_lines] = (struct line){ .fd = { [UP] = client, [DOWN] = worker } };
	lines[n_lines].stream[UP].greeting = lines[n_lines].stream[DOWN].greeting = GREETING;
	n_lines++;
}

static void
close_line(size_t i)
{
	close(lines[i].fd[UP]);
	close(lines[i].fd[DOWN]);
	lines[i] = lines[--n_lines];
}

/* One byte of a frame's head. */
static void
take_head(struct stream *s, uint8_t byte)
{
	size_t want;

	s->head[s->n_head++] = byte;
	want = s->head[0] & FLAG_LONG ? 9 : 2;
	if (s->n_head < want)
		return;
	s->size = 0;
	for (size_t i = 1; i < want; i++)
		s->size = s->size << 8 | s->head[i];
	s->left = s->size;
	s->n_head = 0;
}

/* Goes through bytes that are about to be passed on. Returns how many of them may be, and whether
 * the line ends there. */
static size_t
follow(struct stream *s, enum way way, const uint8_t *p, size_t n, bool *ret_cut)
{
	size_t i = 0;

	while (i < n) {
		uint64_t step, keep = 0;

		if (s->greeting > 0) {
			step = MIN2(s->greeting, n - i);
			s->greeting -= step;
			i += step;
			continue;
		}
		if (s->left == 0) {
			take_head(s, p[i++]);
			continue;
		}
		if (s->left == s->size && s->size >= LARGE)
			s->chunks++;
		if (s->size >= LARGE && cut.armed && cut.way == way && cut.number == s->chunks) {
			keep = cut.within ? s->size / 2 : 0;
			*ret_cut = s->left - keep <= n - i;
		}
		step = MIN2(s->left - keep, (uint64_t)(n - i));
		s->left -= step;
		i += step;
		if (*ret_cut)
			break;
	}
	return i;
}

static bool
write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

/* False: the line has ended. */
static bool
carry(struct line *l, enum way way)
{
	uint8_t b[65536];
	ssize_t n = read(l->fd[way], b, sizeof(b));
	bool ends = false;
	size_t k;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	k = follow(&l->stream[way], way, b, (size_t)n, &ends);
	if (!write_all(l->fd[way == UP ? DOWN : UP], b, k))
		return false;
	if (!ends)
		return true;
	printf("cut %s %u %s\n", way == UP ? "up" : "down", cut.number,
		cut.within ? "within" : "after");
	fflush(stdout);
	cut.armed = false;
	return false;
}

static bool
obey(const char *text)
{
	char way[8], where[8];
	unsigned n;

	if (sscanf(text, "to %u", &n) == 1 && n <= UINT16_MAX) {
		target = (uint16_t)n;
	} else if (sscanf(text, "cut %7s %u %7s", way, &n, where) == 3) {
		cut.armed = true;
		cut.way = streq(way, "up") ? UP : DOWN;
		cut.within = streq(where, "within");
		cut.number = n;
		/* a line may be older than the order */
		for (size_t i = 0; i < n_lines; i++)
			for (unsigned w = 0; w < WAYS; w++)
				lines[i].stream[w].chunks = 0;
	} else if (starts_with(text, "pass")) {
		cut.armed = false;
	} else {
		return false;
	}
	printf("ok %s", text);
	fflush(stdout);
	return true;
}

/* Its standard input; false at its end. Lines are short, and each comes by one write. */
static bool
listen_to_orders(void)
{
	char text[256];
	ssize_t n = read(0, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	if (obey(text))
		return true;
	fprintf(stderr, "cutter: not understood: %s", text);
	return false;
}

int
main(void)
{
	struct pollfd p[2 + WAYS * LINES_MAX];
	int listener = listen_on_loopback();

	if (listener < 0)
		return die("listening");
	for (;;) {
		size_t n = n_lines;

		p[0] = (struct pollfd){ .fd = 0, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = listener, .events = POLLIN };
		for (size_t i = 0; i < n; i++)
			for (unsigned w = 0; w < WAYS; w++)
				p[2 + WAYS * i + w] = (struct pollfd){ .fd = lines[i].fd[w],
					.events = POLLIN };
		if (poll(p, 2 + WAYS * n, -1) < 0 && errno != EINTR)
			return die("waiting");
		if (p[0].revents && !listen_to_orders())
			return 0;
		/* From the last: a line that ends is replaced by one that was looked at. */
		for (size_t i = n; i-- > 0;)
			for (unsigned w = 0; w < WAYS; w++)
				if (p[2 + WAYS * i + w].revents && !carry(&lines[i], (enum way)w)) {
					close_line(i);
					break;
				}
		if (p[1].revents)
			take_line(listener);
	}
}
