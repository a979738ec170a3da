/* Watches a socket's connections, through libzmq's monitor.
 *
 * A DEALER has one connection, and its events are translated one by one. For a ROUTER the monitor
 * names descriptors only, and messages tell which peer is on which (monitor_note). The two streams
 * are not in step, and the kernel gives a closed descriptor's number to the next connection. What
 * orders them: libzmq reports DISCONNECTED(fd) before it closes fd, and ACCEPTED(fd) before it
 * reads from it (with one I/O thread); and the ids it makes for peers count up.
 *
 * Invariant: `peer` of a slot that is `noted` is the newest peer seen on that descriptor and was
 * not reported gone; every peer that was noted is reported gone once, after its connection ended.
 */
#include "config.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "proto/brake.h"
#include "proto/gate.h"
#include "proto/socket.h"

#define EVENTS                                                                         \
	(ZMQ_EVENT_LISTENING | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED |           \
		ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | \
		ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
#define HANDSHAKE_FAILED                                                              \
	(ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | \
		ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

#define FD_MAX                                                                              \
	(1 << 20)   /* no system's limit is larger by default; beyond it heartbeats must do \
		     */
#define DEAD_KEPT 4 /* how many former peers of one descriptor can have messages left */

/* Between two looks at what connections hold, which take no more than a part of the time. What
 * comes costs this process something, some MiB in so many microseconds: until it has used them, or
 * for a while, nothing worth a look can have come. */
#define LOOK_MS 50
#define LOOK_WORK_US 2000
#define LOOK_IDLE_MS 1000
#define LOOK_SHARE 20
#define HELD_LEAST (64u * 1024)	  /* below it nobody is cut that has said something */
#define SILENT_LEAST (16u * 1024) /* or nothing: of an address these are below half of a bound */
#define QUIET_MS 250
#define HOLD_MS 200	 /* the other kernel tries again 200 ms after it, at the earliest */
#define MESSAGE_COST 200 /* of memory, beside its bytes */
#define LEAST_MESSAGE 32 /* none is shorter as it comes, encrypted */
#define COUNT_LATELY 64
#define HEARTBEATS_PER_S 256 /* bytes of them, at most */

enum fd_state { FD_UNSEEN, FD_OPEN, FD_CLOSED };

struct slot {
	enum fd_state state;
	bool noted;
	uint64_t seen_ms; /* it was open and had said nothing; 0: not seen so */
	uint64_t end_ms;  /* when it is shut down; 0: it is not */
	int older, newer; /* by descriptor, among those that said nothing; -1: none */
	bool listed;	  /* among them */
	uint64_t got;	  /* bytes that came, as the kernel counts them */
	uint64_t taken;	  /* of them, those in messages that were taken */
	uint64_t took_ms; /* the look before the last of these */
	uint64_t held;	  /* as held_by said at the last look */
	uint64_t hold_ms; /* until when it is held back; 0: it is not */
	uint64_t size;	  /* bytes of the messages that were taken lately, */
	uint64_t count;	  /* and how many they were */
	struct gate_address from;
	struct wire_peer peer;
	uint32_t dead[DEAD_KEPT]; /* reported gone, a ring */
	unsigned n_dead;
};

struct monitor {
	void *socket;
	void *monitor;
	bool router;
	bool failed; /* DEALER: a DISCONNECTED that belongs to a failed handshake is to come */
	struct slot *slots; /* by descriptor */
	size_t n_slots;
	struct wire_peer *gone; /* first in, first out: [first, last) */
	size_t first, last, cap;
	int oldest, newest; /* of those that said nothing */
	unsigned n_silent, silent_max;
	uint64_t look_ms, looked_ms; /* the next look, and the last */
	uint64_t worked_us;	     /* by this process, until the last one */
	bool holds;		     /* somebody is held back */
	uint64_t held_max;
	uint64_t left; /* what connections that have ended held, as far as it was not taken since */
	struct gate *gate; /* of a TCP socket that was watched before it listened */
};

struct raw_event {
	unsigned event;
	int32_t value;
};

static int
open_monitor(struct monitor *w, void *ctx)
{
	static unsigned counter;
	char name[64];
	int zero = 0;

	snprintf(name, sizeof(name), "inproc://dray-monitor-%u",
		__atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED));
	w->monitor = zmq_socket(ctx, ZMQ_PAIR);
	if (!w->monitor)
		return -zmq_errno();
	/* libzmq's I/O thread blocks on a full monitor, with a lock that closing the socket wants.
	 */
	if (zmq_setsockopt(w->monitor, ZMQ_RCVHWM, &zero, sizeof(zero)) < 0 ||
		zmq_setsockopt(w->monitor, ZMQ_LINGER, &zero, sizeof(zero)) < 0)
		return -zmq_errno();
	if (zmq_socket_monitor(w->socket, name, EVENTS) < 0)
		return -zmq_errno();
	if (zmq_connect(w->monitor, name) < 0)
		return -zmq_errno();
	return 0;
}

static unsigned
silent_default(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur > FD_MAX)
		return FD_MAX / 4 * 3;
	return (unsigned)lim.rlim_cur / 4 * 3;
}

void
monitor_silent_max(struct monitor *w, unsigned n)
{
	w->silent_max = n;
}

void
monitor_held_max(struct monitor *w, uint64_t bytes)
{
	w->held_max = bytes;
}

int
monitor_new(void *ctx, void *socket, struct monitor **ret)
{
	_cleanup_(monitor_freep) struct monitor *w = calloc(1, sizeof(*w));
	int type, r;
	size_t n = sizeof(type);

	if (!w)
		return -ENOMEM;
	if (zmq_getsockopt(socket, ZMQ_TYPE, &type, &n) < 0)
		return -zmq_errno();
	w->socket = socket;
	w->router = type == ZMQ_ROUTER;
	w->oldest = w->newest = -1;
	w->silent_max = silent_default();
	w->held_max = MONITOR_HELD_MAX;
	r = open_monitor(w, ctx);
	if (r < 0)
		return r;
	*ret = steal_ptr(w);
	return 0;
}

void
monitor_free(struct monitor *w)
{
	if (!w)
		return;
	/* First the sender: without a receiver it would block the I/O thread at the next event. */
	zmq_socket_monitor(w->socket, NULL, 0);
	socket_closep(&w->monitor);
	gate_free(w->gate);
	free(w->slots);
	free(w->gone);
	free(w);
}

void
monitor_freep(struct monitor **w)
{
	monitor_free(*w);
	*w = NULL;
}

void *
monitor_socket(struct monitor *w)
{
	return w->monitor;
}

/* Reads one event: frame 1 is event (16 bits) and value (32 bits), packed, in host order; frame 2
 * the address. */
static bool
read_event(struct monitor *w, struct raw_event *ret)
{
	zmq_msg_t m;
	uint16_t event;
	int more;

	zmq_msg_init(&m);
	while (zmq_msg_recv(&m, w->monitor, ZMQ_DONTWAIT) < 0) {
		if (zmq_errno() != EINTR) {
			zmq_msg_close(&m);
			return false;
		}
	}
	memset(ret, 0, sizeof(*ret));
	if (zmq_msg_size(&m) == 6) {
		memcpy(&event, zmq_msg_data(&m), 2);
		memcpy(&ret->value, (const uint8_t *)zmq_msg_data(&m) + 2, 4);
		ret->event = event;
	}
	more = zmq_msg_more(&m);
	while (more) {
		if (zmq_msg_recv(&m, w->monitor, ZMQ_DONTWAIT) < 0 && zmq_errno() != EINTR)
			break;
		more = zmq_msg_more(&m);
	}
	zmq_msg_close(&m);
	return true;
}

/* NULL: a descriptor that cannot be, or no memory. */
static struct slot *
slot_of(struct monitor *w, int fd)
{
	if (fd < 0 || fd >= FD_MAX)
		return NULL;
	if ((size_t)fd >= w->n_slots) {
		size_t n = MAX2(w->n_slots * 2, (size_t)fd + 64);
		struct slot *v = realloc(w->slots, n * sizeof(*v));

		if (!v)
			return NULL;
		memset(v + w->n_slots, 0, (n - w->n_slots) * sizeof(*v));
		w->slots = v;
		w->n_slots = n;
	}
	return &w->slots[fd];
}

static bool
id_is_ours(const struct wire_peer *p)
{
	return p->id_len == 5 && p->id[0] == 0;
}

static uint32_t
id_count(const struct wire_peer *p)
{
	return (uint32_t)p->id[1] << 24 | (uint32_t)p->id[2] << 16 | (uint32_t)p->id[3] << 8 |
	       p->id[4];
}

/* The counter begins anywhere and wraps. */
static bool
is_older(const struct wire_peer *a, const struct wire_peer *b)
{
	return (int32_t)(id_count(a) - id_count(b)) < 0;
}

static bool
is_dead(const struct slot *s, const struct wire_peer *p)
{
	unsigned n = MIN2(s->n_dead, (unsigned)DEAD_KEPT);

	for (unsigned i = 0; i < n; i++)
		if (s->dead[i] == id_count(p))
			return true;
	return false;
}

static void
report_gone(struct monitor *w, struct slot *s, const struct wire_peer *p)
{
	s->dead[s->n_dead % DEAD_KEPT] = id_count(p);
	/* Kept below twice the ring, so that it never wraps to "few". */
	s->n_dead = s->n_dead + 1 < 2 * DEAD_KEPT ? s->n_dead + 1 : DEAD_KEPT;

	if (w->last == w->cap && w->first > 0) {
		memmove(w->gone, w->gone + w->first, (w->last - w->first) * sizeof(*w->gone));
		w->last -= w->first;
		w->first = 0;
	}
	if (w->last == w->cap) {
		size_t cap = MAX2((size_t)16, w->cap * 2);
		struct wire_peer *v = realloc(w->gone, cap * sizeof(*v));

		if (!v)
			return;
		w->gone = v;
		w->cap = cap;
	}
	w->gone[w->last++] = *p;
}

static void
silent_remove(struct monitor *w, struct slot *s)
{
	if (!s->listed)
		return;
	if (s->older >= 0)
		w->slots[s->older].newer = s->newer;
	else
		w->oldest = s->newer;
	if (s->newer >= 0)
		w->slots[s->newer].older = s->older;
	else
		w->newest = s->older;
	s->listed = false;
	w->n_silent--;
}

/* One too many of those that say nothing ends the oldest: who means to say something has done so
 * by then. */
static void
silent_add(struct monitor *w, struct slot *s, int fd)
{
	s->older = w->newest;
	s->newer = -1;
	if (w->newest >= 0)
		w->slots[w->newest].newer = fd;
	else
		w->oldest = fd;
	w->newest = fd;
	s->listed = true;
	if (++w->n_silent <= w->silent_max)
		return;
	shutdown(w->oldest, SHUT_RDWR);
	silent_remove(w, &w->slots[w->oldest]);
}

static void
came(struct monitor *w, struct slot *s, int fd)
{
	silent_add(w, s, fd);
	/* It has the listening socket's filter, which is not for it; and who had this descriptor
	 * before may just have been held back on it. */
	(void)brake_set(fd, 0);
	s->from = (struct gate_address){ 0 };
	if (w->gate)
		s->from = gate_accepted(w->gate, fd, clock_mono_ms());
}

/* Its whole messages wait in libzmq still, and others would come behind them if it came back. A
 * client that is killed in the middle of something owes nothing for that. */
static void
went(struct monitor *w, struct slot *s)
{
	w->left += s->held;
	if (w->gate && w->left > w->held_max / 2)
		gate_left(w->gate, &s->from, (unsigned)(s->held / GATE_LEFT), clock_mono_ms());
}

static void
apply_router_event(struct monitor *w, const struct raw_event *e)
{
	struct slot *s;

	if (e->event == ZMQ_EVENT_LISTENING && !w->gate)
		(void)gate_new(e->value, &w->gate);
	if (e->event != ZMQ_EVENT_ACCEPTED && e->event != ZMQ_EVENT_DISCONNECTED)
		return;
	s = slot_of(w, e->value);
	if (!s)
		return;
	if (s->noted)
		report_gone(w, s, &s->peer);
	if (s->state == FD_OPEN)
		went(w, s);
	s->noted = false;
	s->held = s->hold_ms = 0;
	s->seen_ms = s->end_ms = s->got = s->taken = s->took_ms = s->size = s->count = 0;
	s->state = e->event == ZMQ_EVENT_ACCEPTED ? FD_OPEN : FD_CLOSED;
	silent_remove(w, s);
	if (s->state == FD_OPEN)
		came(w, s, e->value);
}

static void
read_router_events(struct monitor *w)
{
	struct raw_event e;

	while (read_event(w, &e))
		apply_router_event(w, &e);
}

void
monitor_note(struct monitor *w, const struct wire_peer *peer)
{
	struct slot *s;

	if (!w->router || !id_is_ours(peer))
		return;
	s = slot_of(w, peer->fd);
	if (!s || (s->noted && wire_peer_eq(&s->peer, peer)))
		return;
	/* Whatever was on the descriptor before this peer has its DISCONNECTED in the monitor by
	 * now. */
	read_router_events(w);
	s = slot_of(w, peer->fd);
	if (!s || is_dead(s, peer))
		return;
	if (s->noted && is_older(peer, &s->peer)) {
		/* Left behind by a former connection, of which nothing was read while it lived. */
		report_gone(w, s, peer);
		return;
	}
	if (s->noted) {
		/* It was such a one itself. */
		report_gone(w, s, &s->peer);
	} else if (s->state == FD_CLOSED) {
		report_gone(w, s, peer);
		return;
	}
	s->peer = *peer;
	s->noted = true;
	silent_remove(w, s);
	if (w->gate)
		gate_spoke(w->gate, &s->from, clock_mono_ms());
}

void
monitor_took(struct monitor *w, const struct wire_peer *peer, size_t bytes)
{
	struct slot *s = w->router ? slot_of(w, peer->fd) : NULL;

	if (!s || !s->noted || !wire_peer_eq(&s->peer, peer)) {
		w->left -= MIN2(w->left, bytes + MESSAGE_COST);
		return;
	}
	s->taken += bytes;
	s->took_ms = w->looked_ms;
	s->size += bytes;
	if (++s->count < COUNT_LATELY)
		return;
	s->size /= 2;
	s->count /= 2;
}

static void
hold(struct slot *s, int fd, uint64_t until)
{
	if (s->from.family == 0 || until <= s->hold_ms || (!s->hold_ms && brake_set(fd, 1) < 0))
		return;
	s->hold_ms = until;
}

/* The descriptor is libzmq's: a moment later it may be another connection's. That is why the events
 * are read just before. NULL: it is. */
static struct slot *
slot_now(struct monitor *w, const struct wire_peer *peer)
{
	struct slot *s;

	if (!w->router)
		return NULL;
	read_router_events(w);
	s = slot_of(w, peer->fd);
	return s && s->state == FD_OPEN && s->noted && wire_peer_eq(&s->peer, peer) ? s : NULL;
}

void
monitor_hold(struct monitor *w, const struct wire_peer *peer, unsigned ms, uint64_t now)
{
	struct slot *s = slot_now(w, peer);

	if (!s)
		return;
	hold(s, peer->fd, now + ms);
	w->holds = true;
}

bool
monitor_charge(struct monitor *w, const struct wire_peer *peer, unsigned n,
	char ret_from[GATE_TEXT_SIZE], uint64_t now)
{
	struct slot *s = slot_now(w, peer);

	if (!s || !w->gate || !gate_address_text(&s->from, ret_from))
		return false;
	gate_left(w->gate, &s->from, n, now);
	return true;
}

void
monitor_end(struct monitor *w, const struct wire_peer *peer, uint64_t now)
{
	struct slot *s = slot_now(w, peer);

	if (!s || s->end_ms)
		return;
	s->end_ms = now + MONITOR_GRACE_MS;
	hold(s, peer->fd, UINT64_MAX);
}

/* What is shut down may be another connection by then, which has to be made again: slot_now. */
void
monitor_expire(struct monitor *w, uint64_t silent_ms, uint64_t now)
{
	read_router_events(w);
	for (size_t fd = 0; fd < w->n_slots; fd++) {
		struct slot *s = &w->slots[fd];

		if (s->state != FD_OPEN)
			continue;
		if (!s->noted && !s->seen_ms)
			s->seen_ms = now;
		if ((s->end_ms && now >= s->end_ms) ||
			(!s->noted && now - s->seen_ms >= silent_ms)) {
			shutdown((int)fd, SHUT_RDWR);
			s->end_ms = 0;
			s->seen_ms = now;
		}
	}
}

struct holder {
	int fd;
	int quiet; /* no message of it came whole: 1 for a while, 2 ever */
	uint64_t held;
};

/* What this connection has sent that is part of no message that was taken: its bytes, and what such
 * messages cost beside, if they are as small as those before; about. */
static uint64_t
held_by(struct slot *s, int fd, uint64_t passed_ms)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);
	uint64_t held;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 ||
		n < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(uint64_t))
		return 0;
	s->got = info.tcpi_bytes_received;
	s->taken = MIN2(s->taken + HEARTBEATS_PER_S * passed_ms / 1000, s->got);
	held = s->got - s->taken;
	return held + held * MESSAGE_COST * s->count / MAX2(s->size, LEAST_MESSAGE * s->count + 1);
}

static int
most_first(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;

	return x->quiet != y->quiet ? y->quiet - x->quiet
				    : (x->held < y->held) - (x->held > y->held);
}

static void
end_holder(struct monitor *w, const struct holder *h)
{
	struct slot *s = &w->slots[h->fd];

	shutdown(h->fd, SHUT_RDWR);
	s->taken = s->got;
	if (h->quiet == 2)
		s->held = 0; /* no message: it goes with the connection */
	if (w->gate)
		gate_left(w->gate, &s->from, (unsigned)(h->held / GATE_LEFT), w->looked_ms);
}

static void
bound_holders(struct monitor *w, struct holder *v, size_t n, uint64_t sum, uint64_t now)
{
	qsort(v, n, sizeof(*v), most_first);
	for (size_t i = 0; i < n; i++) {
		if (sum > (v[i].quiet ? w->held_max / 2 : 2 * w->held_max)) {
			end_holder(w, &v[i]);
			sum -= v[i].held;
		} else if (sum + w->left > w->held_max) {
			hold(&w->slots[v[i].fd], v[i].fd, now + HOLD_MS);
		}
	}
}

static void
let_go(struct slot *s, int fd, uint64_t now)
{
	if (!s->hold_ms || s->end_ms || now < s->hold_ms)
		return;
	(void)brake_set(fd, 0);
	s->hold_ms = 0;
}

/* What this thread (CLOCK_THREAD_CPUTIME_ID; while it waits for a processor, more comes) or the
 * whole process has used. */
static uint64_t
processor_us(clockid_t whose)
{
	struct timespec t = { .tv_sec = 0 };

	(void)clock_gettime(whose, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* No message of it was taken for a while, nor since the last look, however long ago that is: this
 * process may have stood still. */
static bool
is_quiet(const struct monitor *w, const struct slot *s, uint64_t now)
{
	return s->took_ms != w->looked_ms && now - s->took_ms >= QUIET_MS;
}

/* Below it a connection is not ended, or held back, for what it holds. */
static uint64_t
least_of(const struct monitor *w, const struct slot *s)
{
	return MIN2((uint64_t)(s->noted ? HELD_LEAST : SILENT_LEAST), w->held_max / 4);
}

/* libzmq counts whole messages, and each may have any number of frames. So one that never ends
 * takes any amount of memory, and many frames of the largest size, which lack a byte, do without a
 * key. Those that are still heard are ended last: their messages may only wait for us; who was
 * never heard, and may have no key, comes before a client in the middle of a message. */
void
monitor_look(struct monitor *w, bool caught_up, uint64_t now)
{
	uint64_t begin, worked, sum = 0;
	uint64_t passed = w->looked_ms ? now - w->looked_ms : 0; /* since there was a look */
	_cleanup_(freep) struct holder *v = NULL;
	size_t n = 0;

	if (caught_up)
		w->left = 0;
	if (!w->router || now < w->look_ms)
		return;
	worked = processor_us(CLOCK_PROCESS_CPUTIME_ID);
	if (passed < LOOK_IDLE_MS && worked - w->worked_us < LOOK_WORK_US && w->looked_ms &&
		!w->holds)
		return;
	w->worked_us = worked;
	w->holds = false;
	begin = processor_us(CLOCK_THREAD_CPUTIME_ID);
	read_router_events(w);
	if (w->gate)
		gate_step(w->gate, now);
	v = calloc(w->n_slots + 1, sizeof(*v));
	for (size_t fd = 0; v && fd < w->n_slots; fd++) {
		struct slot *s = &w->slots[fd];

		if (s->state != FD_OPEN)
			continue;
		s->held = held_by(s, (int)fd, passed);
		v[n] = (struct holder){ (int)fd, !s->noted ? 2 : is_quiet(w, s, now), s->held };
		sum += s->held;
		n += v[n].held >= least_of(w, s);
	}
	if (sum + w->left > w->held_max)
		bound_holders(w, v, n, sum, now);
	/* after it: one that is held back again is not let go for a moment */
	for (size_t fd = 0; fd < w->n_slots; fd++)
		if (w->slots[fd].state == FD_OPEN) {
			let_go(&w->slots[fd], (int)fd, now);
			w->holds |= w->slots[fd].hold_ms != 0;
		}
	w->looked_ms = now;
	begin = processor_us(CLOCK_THREAD_CPUTIME_ID) - begin;
	w->look_ms = now + MAX2((uint64_t)LOOK_MS, begin * LOOK_SHARE / 1000);
}

bool
monitor_shut_out(struct monitor *w, char ret[GATE_TEXT_SIZE])
{
	return w->gate && gate_news(w->gate, ret);
}

static enum monitor_event
dealer_event(struct monitor *w, const struct raw_event *e)
{
	if (e->event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
		w->failed = false;
		return MONITOR_CONNECTED;
	}
	if (e->event & HANDSHAKE_FAILED) {
		bool again = w->failed;

		w->failed = true;
		if (again)
			return MONITOR_NONE;
		return e->event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL ? MONITOR_PUT_OFF
									: MONITOR_REFUSED;
	}
	if (e->event == ZMQ_EVENT_DISCONNECTED) {
		bool failed = w->failed;

		w->failed = false;
		return failed ? MONITOR_NONE : MONITOR_DISCONNECTED;
	}
	return MONITOR_NONE;
}

enum monitor_event
monitor_next(struct monitor *w, struct wire_peer *ret_peer)
{
	struct raw_event e;

	if (w->router) {
		read_router_events(w);
		if (w->first == w->last) {
			w->first = w->last = 0;
			return MONITOR_NONE;
		}
		if (ret_peer)
			*ret_peer = w->gone[w->first];
		w->first++;
		return MONITOR_PEER_GONE;
	}
	while (read_event(w, &e)) {
		enum monitor_event event = dealer_event(w, &e);

		if (event != MONITOR_NONE)
			return event;
	}
	return MONITOR_NONE;
}
