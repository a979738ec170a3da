/* Invariant: what a wrapper has of its own (directory, umask, environment, descriptors) is the
 * thread's that has its unit, and of no other; whatever becomes of one unit, the others go on. The
 * main thread waits for nothing but its poll, so its beat says that this process lives. */
#include "config.h"

#include "client/dispatch/half.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "cache/result.h"
#include "client/dispatch/dispatch.h"
#include "client/dispatch/hub.h"
#include "client/dispatch/pool.h"
#include "client/half/key.h"
#include "client/half/place.h"
#include "client/half/request.h"
#include "common/clock.h"
#include "common/process/environ.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "common/process/proc.h"
#include "common/thread.h"
#include "client/far/farm.h"
#include "client/far/forget.h"
#include "client/far/serve.h"
#include "client/wrap/distrust.h"
#include "client/wrap/farm_state.h"
#include "memo/stay.h"

#define BACKLOG 256
#define UNITS_MAX 512
#define UNIT_FDS 16 /* that a unit has open at most */
#define OWN_FDS 40  /* likewise, this process without any */
#define STACK_BYTES (1u << 20)
#define SOCKETS_MAX (4 * UNITS_MAX) /* of libzmq: a unit has two of them, the pool some */
#define HELLO_MS 1000
#define TICK_MS 250
#define AWAY_MS 3000  /* without the farm there is nothing to stay for */
#define QUIET_MS 1500 /* cargo starts a unit when it knows that another one has ended, or links */
#define ARENAS 4

struct guest {
	TAILQ_ENTRY(guest) link;
	struct half *half;
	int conn;
	pid_t dray;
	int fds[HALF_FDS];
	bool farm;  /* there is a farm for its unit */
	bool waits; /* its wrapper minds the beat */
	struct ledger *ledger;
	struct buf text;
	struct half_request request;
	struct memo_stay_one *memo;
};

struct half {
	struct conf *conf;
	struct digest key;
	int dir, listener, signals, spare;
	size_t units_max;
	struct stat place; /* of the socket, as it was made */
	void *zctx;
	struct hub *hub; /* NULL: there is no farm */
	struct pool *pool;
	struct far_farm farm;
	bool farm_noted, farm_up;
	struct far_half *stores; /* NULL: there are none */
	struct memo_stay memo;
	pthread_mutex_t lock; /* of all below */
	TAILQ_HEAD(, guest) guests;
	size_t n_guests;
	uint64_t idle_ms; /* since when there are none */
};

/* ---- one unit */

static void
guest_free(struct guest *g)
{
	ledger_unmap(g->ledger);
	half_request_done(&g->request);
	buf_done(&g->text);
	for (size_t i = 0; i < HALF_FDS; i++)
		closep(&g->fds[i]);
	/* last: cargo's pipes are closed when dray hears of it */
	closep(&g->conn);
	free(g);
}

/* Takes the descriptors out of a message; too few, or too many, are none. */
static int
take_fds(struct guest *g, struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	size_t n = 0;
	int *fds;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -EBADMSG;
	fds = (int *)CMSG_DATA(c);
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (size_t i = 0; i < n; i++) {
		if (i < HALF_FDS)
			memcpy(&g->fds[i], &fds[i], sizeof(int));
		else
			close(fds[i]);
	}
	return n == HALF_FDS && !(m->msg_flags & MSG_CTRUNC) ? 0 : -EBADMSG;
}

/* Waits for a message; the descriptors that came with it are the caller's. Its size, or -errno. */
static int
receive(struct guest *g, void *p, size_t size, struct msghdr *m)
{
	struct pollfd wait = { g->conn, POLLIN, 0 };
	struct iovec iov = { p, size };
	ssize_t n;

	if (poll(&wait, 1, HELLO_MS) <= 0)
		return -ETIMEDOUT;
	m->msg_iov = &iov;
	m->msg_iovlen = 1;
	n = recvmsg(g->conn, m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	return n < 0 ? -errno : (int)n;
}

static int
receive_hello(struct guest *g, enum half_purpose *ret)
{
	char b[sizeof(struct half_hello) + 1];
	struct msghdr m = { .msg_control = NULL };
	struct half_ready ready;
	int n = receive(g, b, sizeof(b), &m);

	if (n < 0 || !half_hello_ok(b, (size_t)n, &g->half->key, ret))
		return -EBADMSG;
	if (*ret == HALF_FOR_UNIT ? !g->farm : !g->half->stores)
		return -ENOENT;
	half_ready_make(getpid(), &ready);
	if (send(g->conn, &ready, sizeof(ready), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	pthread_mutex_lock(&g->half->lock);
	g->waits = *ret == HALF_FOR_UNIT;
	pthread_mutex_unlock(&g->half->lock);
	return 0;
}

static int
receive_fds(struct guest *g)
{
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(HALF_FDS * sizeof(int))];
	} control;
	struct msghdr m = { .msg_control = &control, .msg_controllen = sizeof(control) };
	char word[2];
	int n = receive(g, word, sizeof(word), &m), r;

	if (n < 0)
		return n;
	r = take_fds(g, &m);
	return r < 0 || n != 1 || *word != HALF_UNIT ? -EBADMSG : 0;
}

static int
read_request(struct guest *g)
{
	struct stat st;
	int r;

	if (fstat(g->fds[HALF_REQUEST], &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
		st.st_size > (off_t)HALF_REQUEST_MAX)
		return -EBADMSG;
	r = buf_reserve(&g->text, (size_t)st.st_size);
	if (r < 0)
		return r;
	if (fs_read_at(g->fds[HALF_REQUEST], g->text.p, (size_t)st.st_size, 0) !=
		(ssize_t)st.st_size)
		return -EBADMSG;
	g->text.n = (size_t)st.st_size;
	return half_request_decode(g->text.p, g->text.n, &g->request);
}

/* Directory and umask become this thread's own. */
static int
take_place(struct guest *g)
{
	if (unshare(CLONE_FS) < 0 || fchdir(g->fds[HALF_CWD]) < 0)
		return -errno;
	umask(g->request.umask);
	environ_use(g->request.env);
	return 0;
}

/* All that is dray's to wait for is done. */
static void
release(void *arg)
{
	struct guest *g = arg;

	pthread_mutex_lock(&g->half->lock);
	g->waits = false;
	pthread_mutex_unlock(&g->half->lock);
	ledger_unmap(steal_ptr(g->ledger));
	closep(&g->fds[HALF_OUT]);
	closep(&g->fds[HALF_ERR]);
	shutdown(g->conn, SHUT_RDWR);
}

static int
receive_unit(struct guest *g)
{
	int r = receive_fds(g);

	if (r == 0)
		r = ledger_map(g->fds[HALF_LEDGER], &g->ledger);
	if (r == 0)
		r = read_request(g);
	if (r == 0)
		r = take_place(g);
	/* of many units these are many */
	closep(&g->fds[HALF_LEDGER]);
	closep(&g->fds[HALF_REQUEST]);
	closep(&g->fds[HALF_CWD]);
	if (r == 0)
		__atomic_store_n(&g->ledger->half, (uint32_t)getpid(), __ATOMIC_SEQ_CST);
	return r;
}

static void
do_unit(struct guest *g)
{
	struct half *h = g->half;
	struct dispatch_shared shared = { .zctx = h->zctx, .hub = h->hub, .pool = h->pool };
	struct tether tether;
	struct dispatch_in in = { .conf = h->conf,
		.argv = g->request.argv,
		.jobs = g->request.jobs,
		.mapped = g->request.mapped,
		.alike = g->request.is_alike ? &g->request.alike : NULL,
		.dray = g->dray,
		.envp = g->request.env,
		.tether = &tether,
		.shared = &shared,
		.release = release,
		.arg = g };

	tether_hold(&tether, g->conn, g->fds[HALF_OUT], g->fds[HALF_ERR]);
	g->memo = memo_stay_get(&h->memo);
	shared.memo = memo_stay_memo(g->memo);
	dispatch_unit(&in, g->ledger);
	memo_stay_put(&h->memo, g->memo);
}

static void *
serve(void *arg)
{
	struct guest *g = arg;
	struct half *h = g->half;
	enum half_purpose purpose;

	if (receive_hello(g, &purpose) == 0) {
		if (purpose == HALF_FOR_STORES)
			far_serve(h->stores, g->conn);
		else if (receive_unit(g) == 0)
			do_unit(g);
	}
	environ_use(NULL);
	pthread_mutex_lock(&h->lock);
	TAILQ_REMOVE(&h->guests, g, link);
	pthread_mutex_unlock(&h->lock);
	guest_free(g);
	/* after this nothing of the half is touched: it may end */
	pthread_mutex_lock(&h->lock);
	if (--h->n_guests == 0)
		h->idle_ms = clock_mono_ms();
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* ---- all of them */

static bool
is_offloading(const struct conf *conf)
{
	return conf->client.offload != OFFLOAD_NEVER;
}

static void
welcome(struct half *h, int conn)
{
	struct guest *g = calloc(1, sizeof(*g));
	bool farm = h->hub && is_offloading(h->conf) && hub_serves(h->hub, clock_mono_ms());
	size_t n;

	pthread_mutex_lock(&h->lock);
	n = h->n_guests;
	pthread_mutex_unlock(&h->lock);
	if (!g || n >= h->units_max || !(farm || h->stores) || !half_peer_is_ours(conn, &g->dray)) {
		close(conn);
		free(g);
		return;
	}
	g->half = h;
	g->conn = conn;
	g->farm = farm;
	for (size_t i = 0; i < HALF_FDS; i++)
		g->fds[i] = -1;
	/* a build goes on, or begins */
	if (h->stores)
		far_half_say_quiet(h->stores, false);
	pthread_mutex_lock(&h->lock);
	TAILQ_INSERT_TAIL(&h->guests, g, link);
	h->n_guests++;
	pthread_mutex_unlock(&h->lock);
	if (thread_start(THREAD_DETACHED, STACK_BYTES, serve, g, NULL) == 0)
		return;
	pthread_mutex_lock(&h->lock);
	TAILQ_REMOVE(&h->guests, g, link);
	h->n_guests--;
	pthread_mutex_unlock(&h->lock);
	guest_free(g);
}

static int
accept_one(struct half *h)
{
	return accept4(h->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void
open_spare(struct half *h)
{
	if (h->spare < 0)
		h->spare = open("/", O_PATH | O_CLOEXEC);
}

/* Without a descriptor for it a wrapper would wait in vain, and the poll would not wait at all. */
static void
turn_away(struct half *h)
{
	int conn;

	closep(&h->spare);
	conn = accept_one(h);
	closep(&conn);
}

static void
accept_all(struct half *h)
{
	int conn;

	while ((conn = accept_one(h)) >= 0)
		welcome(h, conn);
	if (errno == EMFILE || errno == ENFILE)
		turn_away(h);
	open_spare(h);
}

static void
beat(struct half *h)
{
	const char word = HALF_BEAT;
	struct guest *g;

	pthread_mutex_lock(&h->lock);
	TAILQ_FOREACH(g, &h->guests, link)
	if (g->waits)
		(void)!send(g->conn, &word, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	pthread_mutex_unlock(&h->lock);
}

/* What can wait until no unit has come for a while is told when that is. */
static void
tell_quiet(struct half *h, uint64_t now)
{
	bool quiet;

	pthread_mutex_lock(&h->lock);
	quiet = h->n_guests == 0 && now - h->idle_ms >= QUIET_MS;
	pthread_mutex_unlock(&h->lock);
	if (quiet && h->stores)
		far_half_say_quiet(h->stores, true);
}

/* Whether wrappers still find this process: its socket, in the cache directory of its key. */
static bool
is_met(const struct half *h)
{
	char name[HALF_NAME_SIZE];
	struct stat st, dir, there;

	half_socket_name(&h->key, name);
	return fstatat(h->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == h->place.st_ino && st.st_dev == h->place.st_dev &&
	       fstat(h->dir, &dir) == 0 && dir.st_nlink > 0 &&
	       stat(h->conf->client.cache_dir, &there) == 0;
}

static bool
may_leave(struct half *h, uint64_t now)
{
	uint64_t away = h->hub ? hub_away_since(h->hub) : 0;
	bool idle;

	pthread_mutex_lock(&h->lock);
	idle = h->n_guests == 0;
	pthread_mutex_unlock(&h->lock);
	if (!idle)
		return false;
	if (!is_met(h))
		return true;
	if (h->stores && far_half_is_busy(h->stores))
		return false;
	/* a moment, since units of this build may still ask */
	if (h->hub && !(h->stores && far_half_has_stores(h->stores)) &&
		(hub_is_refused(h->hub) || away) && now - MAX2(away, h->idle_ms) > AWAY_MS)
		return true;
	return now - h->idle_ms >= h->conf->client.farm_half_s * 1000;
}

/* A wrapper that has connected meanwhile sees the end of file, and goes on without. */
static void
leave_place(struct half *h)
{
	char name[HALF_NAME_SIZE];

	if (!is_met(h))
		return;
	half_socket_name(&h->key, name);
	unlinkat(h->dir, name, 0);
	half_start_name(&h->key, name);
	unlinkat(h->dir, name, 0);
}

/* What all of this user's calls know of the farm (farm_state.h): those that ask for its cache alone
 * need not find out again. A connection that was lost may come back at once. Of several
 * coordinators the last one may have answered after a unit has given all of them up. */
static void
note_farm(struct half *h)
{
	enum tier_state now = hub_share_state(h->hub);
	bool was = h->farm_up;

	if (now == TIER_COMING)
		return;
	h->farm_up = now != TIER_AWAY;
	if (h->farm_noted && !(hub_has_several(h->hub) && h->farm_up && !was))
		return;
	h->farm_noted = true;
	farm_state_set(h->conf->client.cache_dir, h->conf->client.coordinator, h->farm_up);
}

static void
loop(struct half *h)
{
	uint64_t beaten = 0;

	for (;;) {
		zmq_pollitem_t items[HUB_ITEMS + 2];
		size_t n = h->hub ? hub_items(h->hub, items) : 0;
		uint64_t now, wait;

		items[n] = (zmq_pollitem_t){ NULL, h->listener, ZMQ_POLLIN, 0 };
		items[n + 1] = (zmq_pollitem_t){ NULL, h->signals, ZMQ_POLLIN, 0 };
		now = clock_mono_ms();
		wait = h->hub ? MIN2(hub_wait(h->hub, now), (uint64_t)TICK_MS) : TICK_MS;
		if (zmq_poll(items, (int)n + 2, (long)wait) < 0 && errno != EINTR)
			return;
		if (items[n + 1].revents)
			return;
		if (h->hub) {
			hub_step(h->hub);
			note_farm(h);
		}
		if (items[n].revents)
			accept_all(h);
		now = clock_mono_ms();
		if (now - beaten >= HALF_BEAT_MS) {
			beat(h);
			if (h->pool)
				pool_tick(h->pool, now);
			tell_quiet(h, now);
			beaten = now;
			if (may_leave(h, now))
				return;
		}
	}
}

/* ---- its life */

static int
open_signals(struct half *h)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	h->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return h->signals < 0 ? -errno : 0;
}

/* As many units at a time as there are descriptors for, with a connection that each leaves behind:
 * one that finds none fails, and libzmq ends the process. */
static int
bound_units(struct half *h)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return -errno;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return -errno;
	if (l.rlim_cur < OWN_FDS + UNIT_FDS + POOL_FDS)
		return -EMFILE;
	h->units_max = MIN2((l.rlim_cur - OWN_FDS) / (UNIT_FDS + POOL_FDS), (rlim_t)UNITS_MAX);
	if (h->pool)
		pool_bound(h->pool, h->units_max);
	open_spare(h);
	return 0;
}

/* Whether this is what the wrapper thinks it is. */
static int
check_key(struct half *h, const char *key)
{
	struct digest mine;
	int r = digest_parse(key, &h->key);

	if (r == 0)
		r = half_key_make(h->conf, "/proc/self/exe", &mine);
	return r < 0 ? r : digest_eq(&mine, &h->key) ? 0 : -EBADMSG;
}

static bool
has_coordinator(const struct conf *conf)
{
	return conf->client.coordinator && *conf->client.coordinator && conf->client.farm_half;
}

/* ret: what is new of it. */
static void
distrust(const struct half *h, const char *key, const Dray__Producer *p, struct strv *ret)
{
	const char *dir = h->conf->client.cache_dir;
	char reason[DISTRUST_REASON_MAX];

	if (!result_is_producer(key) || distrust_find(dir, key, "", (uint64_t)time(NULL), reason))
		return;
	if (distrust_add(dir, key, p->name, DISTRUST_EVER, "the coordinator revoked its key") == 0)
		(void)strv_add(ret, key);
	else
		log_warn("what a revoked key made may be taken from the cache: %s", key);
}

/* What a revoked key made is taken from the local cache no more, and is removed there: what it
 * signed, and what it compiled for this user. */
static void
hear_producers(void *arg, const Dray__Producers *m)
{
	const struct half *h = arg;
	_cleanup_(strv_done) struct strv revoked = STRV_INIT;

	for (size_t i = 0; i < m->n_producer; i++) {
		const Dray__Producer *p = m->producer[i];
		char hex[DIGEST_HEX_SIZE];
		struct digest d;

		if (!p->revoked || p->key.len != DIGEST_SIZE)
			continue;
		memcpy(d.b, p->key.data, DIGEST_SIZE);
		digest_hex(&d, hex);
		distrust(h, hex, p, &revoked);
		distrust(h, p->curve, p, &revoked);
	}
	forget_made(h->conf, &revoked);
	far_half_hear(h->stores, m);
}

static int
share(void *arg, bool read_only, const struct store_in *in, struct store **ret)
{
	return hub_share(arg, read_only, in, ret);
}

static enum far_puts
puts_now(void *arg)
{
	switch (hub_share_state(arg)) {
	case TIER_WRITES:
		return FAR_PUTS;
	case TIER_NONE:
	case TIER_READS:
		return FAR_PUTS_NO;
	default:
		return FAR_PUTS_LATER;
	}
}

static bool
will_vouch(void *arg)
{
	return hub_will_vouch(arg);
}

static bool
takes_refills(void *arg)
{
	return hub_takes_refills(arg);
}

static void
end_shares(void *arg)
{
	hub_end_shares(arg);
}

/* Where nothing is compiled by the farm, its coordinator still has a cache, and says who is to be
 * believed. */
static int
open_farm(struct half *h)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	if (!has_coordinator(h->conf))
		return -ENOENT;
	r = pool_new(&h->pool);
	if (r == 0)
		r = zmq_ctx_open(&h->zctx);
	if (r < 0)
		return r;
	zmq_ctx_set(h->zctx, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
	return hub_open(h->zctx, h->conf, &h->hub, &why);
}

static int
open_stores(struct half *h)
{
	int r;

	h->farm = (struct far_farm){ h->hub, share, puts_now, will_vouch, takes_refills,
		end_shares };
	r = far_half_open(h->conf, &h->memo, h->hub ? &h->farm : NULL, &h->stores);
	if (r == 0 && h->hub && h->stores)
		hub_on_producers(h->hub, hear_producers, h);
	return r;
}

/* Where there are stores, they are served without a farm, too. */
static int
open_both(struct half *h)
{
	int r = open_farm(h), e = open_stores(h);

	return e < 0 ? e : h->stores ? 0 : r;
}

static int
set_up(struct half *h, const char *key)
{
	char name[HALF_NAME_SIZE];
	int r;

	pthread_mutex_init(&h->lock, NULL);
	memo_stay_init(&h->memo, h->conf->client.cache_dir);
	TAILQ_INIT(&h->guests);
	h->idle_ms = clock_mono_ms();
	mallopt(M_ARENA_MAX, ARENAS);
	/* of the farm's keys, what the hub has read is what the key is about */
	r = check_key(h, key);
	if (r < 0)
		return r;
	h->dir = half_dir_open(h->conf->client.cache_dir);
	if (h->dir < 0)
		return h->dir;
	half_socket_name(&h->key, name);
	if (fstatat(h->dir, name, &h->place, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* from now on its peers are told that this process listens */
	if (listen(h->listener, BACKLOG) < 0 || unshare(CLONE_FS) < 0 || chdir("/") < 0)
		return -errno;
	r = open_signals(h);
	if (r == 0)
		r = open_both(h);
	if (r == 0)
		r = check_key(h, key);
	return r < 0 ? r : bound_units(h);
}

/* What the units of this process have of it is in use until each has ended. */
static void
tear_down(struct half *h)
{
	far_half_closep(&h->stores);
	memo_stay_done(&h->memo);
	pool_freep(&h->pool);
	hub_closep(&h->hub);
	zmq_ctx_termp(&h->zctx);
	closep(&h->signals);
	closep(&h->listener);
	closep(&h->spare);
	closep(&h->dir);
}

int
half_serve(struct conf *conf, int listener, const char *key)
{
	struct half h = {
		.conf = conf, .listener = listener, .dir = -1, .signals = -1, .spare = -1
	};
	size_t left;

	/* The terminal's signals are for the build that has started this process. */
	setsid();
	fcntl(listener, F_SETFD, FD_CLOEXEC);
	if (set_up(&h, key) < 0) {
		tear_down(&h);
		return 1;
	}
	loop(&h);
	leave_place(&h);
	pthread_mutex_lock(&h.lock);
	left = h.n_guests;
	pthread_mutex_unlock(&h.lock);
	/* their wrappers see the end of this process, and compile themselves */
	if (left)
		_exit(0);
	tear_down(&h);
	return 0;
}
