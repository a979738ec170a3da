/* The connection. Invariant: what the server is owed and what it owes is in four queues: greeting,
 * urgent and uploads (not yet sent), sent. When the connection is lost they are emptied, once. */
#include "config.h"

#include "store/redis/link.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "store/redis/resolve.h"
#include "store/redis/tls.h"

#define CHUNK ((size_t)64 << 10)
#define DOWNLOADS_MAX 16u
#define BACKOFF_MS 100u
#define BACKOFF_MAX_MS 5000u
#define WHY_SIZE 160

enum state { DOWN, RESOLVING, CONNECTING, SHAKING, GREETING, UP };

struct queue {
	struct link_command *first, **end; /* end: where the next one goes */
};

struct link {
	struct link_in in;
	struct waiter *waiter;
	enum state state;
	int fd;
	uint32_t events; /* that the waiter looks for */
	struct resolve *resolve;
	struct addrinfo *found, *next; /* next: to be tried after the one that is */
	struct tls *tls;
	struct replies *replies;
	struct queue greeting, urgent, uploads, sent;
	struct link_command hello[2];
	unsigned hello_left;	  /* replies */
	struct link_command *now; /* is being copied to wire; of no queue */
	unsigned part;		  /* 0 head, 1 file, 2 tail */
	uint64_t part_at;
	unsigned downloads; /* among sent */
	struct buf plain;   /* what goes through TLS next */
	struct buf wire;    /* what goes to the socket next */
	size_t wire_at;
	int error;	   /* it is lost, and this is why */
	bool heard;	   /* a request was answered by this connection */
	unsigned failures; /* in a row */
	int last_error;
	uint64_t connect_by, address_by, moved_at, retry_at;
	bool busy;
	char why[WHY_SIZE];
};

static void
queue_init(struct queue *q)
{
	q->first = NULL;
	q->end = &q->first;
}

static void
queue_add(struct queue *q, struct link_command *c)
{
	c->next = NULL;
	*q->end = c;
	q->end = &c->next;
}

static struct link_command *
queue_take(struct queue *q)
{
	struct link_command *c = q->first;

	if (c == NULL)
		return NULL;
	q->first = c->next;
	if (q->first == NULL)
		q->end = &q->first;
	c->next = NULL;
	return c;
}

int
link_value(struct buf *head, const void *p, uint64_t n)
{
	int r = buf_addf(head, "$%llu\r\n", (unsigned long long)n);

	if (r < 0 || p == NULL)
		return r;
	r = buf_add(head, p, (size_t)n);
	return r < 0 ? r : buf_adds(head, "\r\n");
}

int
link_words(struct buf *head, const char *const *words, unsigned more)
{
	size_t n = 0;
	int r;

	while (words[n] != NULL)
		n++;
	r = buf_addf(head, "*%zu\r\n", n + more);
	for (size_t i = 0; i < n && r == 0; i++)
		r = link_value(head, words[i], strlen(words[i]));
	return r;
}

static void _printf_(3, 4) fail(struct link *l, int error, const char *fmt, ...)
{
	va_list ap;

	if (l->error != 0)
		return;
	l->error = error;
	va_start(ap, fmt);
	vsnprintf(l->why, sizeof(l->why), fmt, ap);
	va_end(ap);
}

static void
watch(struct link *l, uint32_t events)
{
	if (l->fd >= 0 && events != l->events && waiter_change(l->waiter, l->fd, events, l) == 0)
		l->events = events;
}

static void
hang_up(struct link *l)
{
	if (l->fd >= 0)
		waiter_remove(l->waiter, l->fd);
	closep(&l->fd);
	if (l->resolve != NULL)
		waiter_remove(l->waiter, resolve_fd(l->resolve));
	resolve_free(l->resolve);
	l->resolve = NULL;
	if (l->found != NULL)
		freeaddrinfo(l->found);
	l->found = l->next = NULL;
	tls_free(l->tls);
	l->tls = NULL;
	replies_free(l->replies);
	l->replies = NULL;
	l->wire.n = l->wire_at = l->plain.n = 0;
	l->state = DOWN;
}

static bool
owes(const struct link *l)
{
	return l->sent.first != NULL || l->wire_at < l->wire.n || l->now != NULL;
}

static unsigned
backoff(const struct link *l)
{
	unsigned ms = BACKOFF_MS << MIN2(l->failures - 1, 6u), random = 0;

	ms = MIN2(ms, BACKOFF_MAX_MS);
	(void)getrandom(&random, sizeof(random), GRND_NONBLOCK);
	/* those who lost it together do not come back together */
	return ms / 2 + random % (ms / 2);
}

static bool
is_hello(const struct link *l, const struct link_command *c)
{
	return c == &l->hello[0] || c == &l->hello[1];
}

/* Gives everything back. */
static void
lose(struct link *l, uint64_t now)
{
	struct queue *const all[] = { &l->sent, &l->greeting, &l->urgent, &l->uploads };
	bool idle = l->state == UP && !owes(l);
	int error = l->error;
	struct queue lost;
	struct link_command *c;

	hang_up(l);
	l->last_error = error;
	l->error = 0;
	/* a server may close what nobody uses */
	l->failures = l->heard ? !idle : l->failures + 1;
	l->retry_at = l->heard ? now : now + backoff(l);
	l->downloads = 0;
	queue_init(&lost);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		while ((c = queue_take(all[i])) != NULL)
			if (!is_hello(l, c))
				queue_add(&lost, c);
		/* it was sent in part, and comes after what was sent */
		if (i == 0 && l->now != NULL && !is_hello(l, l->now))
			queue_add(&lost, l->now);
	}
	l->now = NULL;
	while ((c = queue_take(&lost)) != NULL)
		c->lost(c, error);
}

/* Making it. */

static void
greeted(struct link_command *c, const struct reply *r)
{
	/* the first of the two has the link behind it */
	struct link *l = (struct link *)((char *)c -
					 (c->is_upload ? offsetof(struct link, hello[1])
						       : offsetof(struct link, hello[0])));

	if (r->kind == REPLY_ERROR && c->is_upload)
		fail(l, -EINVAL, "it has no database %llu", (unsigned long long)l->in.db);
	else if (r->kind == REPLY_ERROR)
		fail(l, -EACCES, "it refuses the user or the password");
	if (--l->hello_left == 0 && l->error == 0)
		l->state = UP;
}

static int
add_hello(struct link *l, unsigned i, const char *const *words)
{
	struct link_command *c = &l->hello[i];

	c->head.n = 0;
	c->n = 0;
	c->tail[0] = '\0';
	c->replied = greeted;
	c->is_upload = i == 1; /* which of the two it is */
	l->hello_left++;
	queue_add(&l->greeting, c);
	return link_words(&c->head, words, 0);
}

static int
greet(struct link *l)
{
	const struct link_in *in = &l->in;
	const char *const alone[] = { "AUTH", in->password, NULL };
	const char *const both[] = { "AUTH", in->user, in->password, NULL };
	char db[24];
	const char *const select[] = { "SELECT", db, NULL };
	int r = 0;

	l->state = GREETING;
	l->hello_left = 0;
	if (in->password != NULL)
		r = add_hello(l, 0, in->user != NULL && in->user[0] != '\0' ? both : alone);
	snprintf(db, sizeof(db), "%llu", (unsigned long long)in->db);
	if (r == 0 && in->db != 0)
		r = add_hello(l, 1, select);
	if (l->hello_left == 0)
		l->state = UP;
	return r;
}

static void
shake(struct link *l)
{
	bool done = false;
	int r = tls_shake(l->tls, &l->wire, &done);

	if (r == -EKEYREJECTED)
		fail(l, r, "its certificate will not do: %s", tls_why(l->tls));
	else if (r < 0)
		fail(l, r, "it does not speak TLS with us");
	else if (done && greet(l) < 0)
		fail(l, -ENOMEM, "out of memory");
}

static void on_reply(void *arg, const struct reply *r);

/* The socket is connected. */
static void
begin_talk(struct link *l)
{
	int r;

	l->heard = false;
	l->moved_at = clock_mono_ms();
	r = replies_new(on_reply, l, &l->replies);
	if (r == 0 && l->in.tls != NULL) {
		l->state = SHAKING;
		r = tls_new(l->in.tls, l->in.host, &l->tls);
		if (r == 0)
			shake(l);
	} else if (r == 0) {
		r = greet(l);
	}
	if (r < 0)
		fail(l, r, "%s", strerror(-r));
}

/* 0: it is connected, or will be. */
static int
dial(struct link *l, int family, const struct sockaddr *to, socklen_t n)
{
	static const int yes = 1;
	int r;

	l->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	if (family != AF_UNIX) {
		(void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		(void)setsockopt(l->fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	}
	l->state = CONNECTING;
	l->events = EPOLLOUT;
	if (connect(l->fd, to, n) < 0 && errno != EINPROGRESS)
		r = -errno;
	else
		r = waiter_add(l->waiter, l->fd, l->events, l);
	if (r < 0)
		closep(&l->fd);
	return r;
}

/* The next address; each has its part of the time. */
static void
dial_next(struct link *l, uint64_t now, int error)
{
	unsigned left = 0;
	int r = error;

	while (l->next != NULL && r < 0) {
		const struct addrinfo *a = l->next;

		left = 0;
		for (const struct addrinfo *b = a; b != NULL; b = b->ai_next)
			left++;
		l->next = a->ai_next;
		l->address_by = now + (l->connect_by - MIN2(l->connect_by, now)) / left;
		r = dial(l, a->ai_family, a->ai_addr, a->ai_addrlen);
	}
	if (r < 0)
		fail(l, r, "it cannot be reached: %s", strerror(-r));
}

static void
dial_path(struct link *l)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int r = -ENAMETOOLONG;

	l->address_by = l->connect_by;
	if (strlen(l->in.path) < sizeof(a.sun_path)) {
		memcpy(a.sun_path, l->in.path, strlen(l->in.path) + 1);
		r = dial(l, AF_UNIX, (const struct sockaddr *)&a, sizeof(a));
	}
	/* "not found" is said of content */
	if (r < 0)
		fail(l, r == -ENOENT ? -ECONNREFUSED : r, "its socket: %s", strerror(-r));
}

static void
begin(struct link *l, uint64_t now)
{
	int r = 0;

	l->heard = false;
	l->connect_by = now + l->in.connect_ms;
	if (l->in.host == NULL) {
		dial_path(l);
		return;
	}
	l->state = RESOLVING;
	r = resolve_begin(l->in.host, l->in.port, &l->resolve);
	if (r == 0)
		r = waiter_add(l->waiter, resolve_fd(l->resolve), EPOLLIN, l);
	if (r < 0)
		fail(l, r, "its name cannot be looked up: %s", strerror(-r));
}

static void
resolved(struct link *l, uint64_t now)
{
	int r = resolve_end(l->resolve, &l->found);

	waiter_remove(l->waiter, resolve_fd(l->resolve));
	resolve_free(l->resolve);
	l->resolve = NULL;
	l->next = l->found;
	if (r < 0)
		fail(l, -EHOSTUNREACH, "its name has no address");
	else
		dial_next(l, now, -EHOSTUNREACH);
}

static void
connected(struct link *l, uint64_t now)
{
	socklen_t n = sizeof(int);
	int e = 0;

	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0)
		e = errno;
	if (e == 0) {
		begin_talk(l);
		return;
	}
	waiter_remove(l->waiter, l->fd);
	closep(&l->fd);
	dial_next(l, now, -e);
}

/* Sending. */

static bool
may_send(const struct link *l, const struct link_command *c)
{
	return c != NULL && (!c->is_download || l->downloads < DOWNLOADS_MAX);
}

static struct link_command *
take_next(struct link *l)
{
	if (l->state == GREETING)
		return queue_take(&l->greeting);
	if (l->state != UP)
		return NULL;
	if (may_send(l, l->urgent.first))
		return queue_take(&l->urgent);
	return l->urgent.first == NULL ? queue_take(&l->uploads) : NULL;
}

static bool
has_next(const struct link *l)
{
	if (l->now != NULL)
		return true;
	if (l->state == GREETING)
		return l->greeting.first != NULL;
	return l->state == UP && (may_send(l, l->urgent.first) ||
					 (l->urgent.first == NULL && l->uploads.first != NULL));
}

/* Adds the command's next bytes. 0 or -errno. */
static int
copy_some(struct link *l, struct buf *to)
{
	struct link_command *c = l->now;
	size_t n = 0;
	ssize_t k;
	int r = 0;

	if (l->part == 0) {
		r = buf_add(to, c->head.p, c->head.n);
	} else if (l->part == 1) {
		n = (size_t)MIN2((uint64_t)CHUNK, c->n - l->part_at);
		r = buf_reserve(to, n);
		k = r == 0 && n > 0 ? fs_read_at(c->fd, to->p + to->n, n, c->at + l->part_at) : 0;
		/* half a command cannot be taken back */
		if (r == 0 && k != (ssize_t)n)
			return k < 0 ? (int)k : -EIO;
		if (r == 0)
			to->n += n;
		l->part_at += n;
		if (l->part_at < c->n)
			return r;
	} else {
		r = buf_adds(to, c->tail);
	}
	l->part++;
	l->part_at = 0;
	return r;
}

static int
fill(struct link *l)
{
	struct buf *to = l->tls != NULL ? &l->plain : &l->wire;
	int r = 0;

	while (r == 0 && to->n < CHUNK && has_next(l)) {
		if (l->now == NULL) {
			l->now = take_next(l);
			l->part = 0;
			l->part_at = 0;
		}
		r = copy_some(l, to);
		if (r == 0 && l->part == 3) {
			l->downloads += l->now->is_download;
			queue_add(&l->sent, l->now);
			l->now = NULL;
		}
	}
	if (r == 0 && l->tls != NULL) {
		r = tls_write(l->tls, l->plain.p, l->plain.n, &l->wire);
		l->plain.n = 0;
	}
	return r;
}

static void
send_all(struct link *l, uint64_t now)
{
	while (l->error == 0) {
		ssize_t k;

		if (l->wire_at == l->wire.n) {
			int r;

			l->wire.n = l->wire_at = 0;
			r = fill(l);
			if (r < 0)
				fail(l, r, "sending: %s", strerror(-r));
			if (l->wire.n == 0)
				return;
		}
		k = send(l->fd, l->wire.p + l->wire_at, l->wire.n - l->wire_at, MSG_NOSIGNAL);
		if (k < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (k < 0) {
			fail(l, -errno, "it has hung up: %s", strerror(errno));
		} else {
			l->wire_at += (size_t)k;
			l->moved_at = now;
		}
	}
}

/* Receiving. */

static void
on_reply(void *arg, const struct reply *r)
{
	struct link *l = arg;
	struct link_command *c = l->error == 0 ? queue_take(&l->sent) : NULL;

	if (c == NULL) {
		fail(l, -EPROTO, "it says what it was not asked for");
		return;
	}
	l->downloads -= c->is_download;
	if (!is_hello(l, c)) {
		l->heard = true;
		l->failures = 0;
	}
	c->replied(c, r);
}

static void
took(struct link *l, const uint8_t *p, size_t n)
{
	int r;

	if (l->tls == NULL) {
		r = replies_feed(l->replies, p, n);
	} else {
		r = tls_take(l->tls, p, n);
		if (r == 0 && l->state == SHAKING)
			shake(l);
		if (r == 0 && l->state != SHAKING && l->error == 0) {
			l->plain.n = 0;
			r = tls_read(l->tls, &l->plain, &l->wire);
			if (l->plain.n > 0) {
				int e = replies_feed(l->replies, l->plain.p, l->plain.n);

				r = r < 0 ? r : e;
			}
			l->plain.n = 0;
		}
	}
	if (r < 0)
		fail(l, r, "%s",
			r == -EPROTO	   ? "what it says is not Redis's protocol"
			: r == -ECONNRESET ? "it has hung up"
					   : strerror(-r));
}

static void
receive(struct link *l, uint64_t now)
{
	uint8_t chunk[CHUNK];

	/* not for ever: others wait as well */
	for (unsigned i = 0; i < 64 && l->error == 0; i++) {
		ssize_t k = recv(l->fd, chunk, sizeof(chunk), 0);

		if (k < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (k <= 0) {
			fail(l, k < 0 ? -errno : -ECONNRESET, "it has hung up");
			return;
		}
		l->moved_at = now;
		took(l, chunk, (size_t)k);
	}
}

static bool
has_work(const struct link *l)
{
	return l->urgent.first != NULL || l->uploads.first != NULL;
}

uint64_t
link_next(const struct link *l)
{
	switch (l->state) {
	case DOWN:
		return has_work(l) ? MAX2(l->retry_at, 1u) : 0;
	case RESOLVING:
		return l->connect_by;
	case CONNECTING:
		return MIN2(l->address_by, l->connect_by);
	case SHAKING:
	case GREETING:
		return l->connect_by;
	case UP:
		break;
	}
	return owes(l) ? l->moved_at + LINK_SILENT_MS : 0;
}

static void
check_time(struct link *l, uint64_t now)
{
	uint64_t next = link_next(l);

	if (l->state == DOWN || next == 0 || now < next || l->error != 0)
		return;
	if (l->state == CONNECTING && now < l->connect_by && l->next != NULL) {
		waiter_remove(l->waiter, l->fd);
		closep(&l->fd);
		dial_next(l, now, -ETIMEDOUT);
		return;
	}
	fail(l, -ETIMEDOUT, "%s",
		l->state == UP		? "it owes an answer and says nothing"
		: l->state == RESOLVING ? "looking up its name takes too long"
					: "it does not answer in time");
}

static void
on_events(struct link *l, uint32_t events, uint64_t now)
{
	if (l->state == RESOLVING)
		resolved(l, now);
	else if (l->state == CONNECTING)
		connected(l, now);
	else if (l->state != DOWN && (events & ~(uint32_t)EPOLLOUT))
		receive(l, now);
}

uint32_t
link_ready(const struct link *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	if (l->state == RESOLVING)
		p.fd = resolve_fd(l->resolve);
	else if (l->state == CONNECTING)
		p.events = POLLOUT;
	/* the bits of both calls are the same */
	return poll(&p, 1, 0) > 0 ? (uint32_t)p.revents : 0;
}

void
link_step(struct link *l, uint32_t events, uint64_t now)
{
	uint64_t next = link_next(l);

	if (l->busy)
		return;
	l->busy = true;
	if (events == 0 && next != 0 && now >= next)
		events = link_ready(l);
	if (events != 0)
		on_events(l, events, now);
	check_time(l, now);
	for (;;) {
		if (l->error == 0 && l->state == DOWN && has_work(l) && now >= l->retry_at)
			begin(l, now);
		if (l->error == 0 && l->state >= SHAKING) {
			/* silence counts from when something is owed */
			if (!owes(l))
				l->moved_at = now;
			send_all(l, now);
		}
		if (l->error == 0)
			break;
		lose(l, now);
	}
	if (l->state >= SHAKING)
		watch(l, EPOLLIN | (l->wire_at < l->wire.n || has_next(l) ? EPOLLOUT : 0u));
	l->busy = false;
}

int
link_send(struct link *l, struct link_command *c)
{
	if (l->state == DOWN && l->failures >= 2 && clock_mono_ms() < l->retry_at)
		return l->last_error;
	queue_add(c->is_upload ? &l->uploads : &l->urgent, c);
	return 0;
}

const char *
link_why(const struct link *l)
{
	return l->why;
}

int
link_new(const struct link_in *in, struct waiter *w, struct link **ret)
{
	struct link *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->in = *in;
	l->waiter = w;
	l->fd = -1;
	queue_init(&l->greeting);
	queue_init(&l->urgent);
	queue_init(&l->uploads);
	queue_init(&l->sent);
	*ret = l;
	return 0;
}

void
link_free(struct link *l)
{
	if (l == NULL)
		return;
	l->busy = true;
	l->error = -ECANCELED;
	lose(l, 0);
	for (size_t i = 0; i < ARRAY_LEN(l->hello); i++) {
		if (l->hello[i].head.p != NULL)
			explicit_bzero(l->hello[i].head.p, l->hello[i].head.cap);
		buf_done(&l->hello[i].head);
	}
	buf_done(&l->plain);
	buf_done(&l->wire);
	free(l);
}
