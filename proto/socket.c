/* Sockets: every option that dray relies on is set here, and nowhere else.
 *
 * Invariant: a TCP socket that leaves this file has CURVE on it, and a listening one an
 * authenticator (zap.c) behind it. There is no way to ask for anything else. */
#include "config.h"

#include "proto/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "proto/wire.h"

/* Messages one connection may have waiting in either direction. Credit (job.proto) keeps chunks far
 * below; the rest are small. A full queue is -EAGAIN to the sender, never memory without end. What
 * goes out of a worker has chunks in it.
 *
 * What comes in by TCP at a listening socket is not bounded here: libzmq 4.3 may end this process
 * when a connection whose queue is full is lost. What it holds is bounded by monitor_look. */
#define QUEUE_MAX 4096
#define QUEUE_IN_MAX 64 /* over ipc */
#define QUEUE_OUT_WORKER_MAX 512
#define HANDSHAKE_MS 5000
#define CONNECT_MS 3000
#define RECONNECT_MS 50
#define RECONNECT_MAX_MS 1000
#define BACKLOG 256
/* CURVE adds a nonce, a flag and a MAC to each frame. */
#define FRAME_SLACK 1024
/* Each of libzmq's own heartbeats is encrypted, and answered. A peer that owes messages of its own,
 * as a worker does, is asked for one so many times less often. A coordinator asks all its peers
 * less often, since each of them asks it. */
#define SELDOM 5
/* The heartbeat's time to live travels as 16 bits of 1/10 s. */
#define HEARTBEAT_MAX_MS (6553500 / (SELDOM + 3))
#define ENDPOINT_MAX 1024

/* libzmq has it since 4.3.0, but its header names it among drafts only: no authenticator, nobody
 * gets in. Without it the look at zap_present stands alone. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

bool
endpoint_is_local(const char *endpoint)
{
	return starts_with(endpoint, "ipc://");
}

static bool
host_is_loopback(const char *host)
{
	struct in_addr a4;
	struct in6_addr a6;

	if (streq(host, "localhost"))
		return true;
	/* Parsed, not matched: "127.example.net" is a name. */
	if (inet_pton(AF_INET, host, &a4) == 1)
		return ntohl(a4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &a6) != 1)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&a6) || (IN6_IS_ADDR_V4MAPPED(&a6) && a6.s6_addr[12] == 127);
}

/* The host of a TCP endpoint, without the brackets of an IPv6 address. */
static bool
endpoint_host(const char *endpoint, char *host, size_t size)
{
	const char *begin, *end;
	size_t n;

	if (!starts_with(endpoint, "tcp://"))
		return false;
	begin = endpoint + strlen("tcp://");
	end = strrchr(begin, ':');
	if (!end)
		return false;
	n = (size_t)(end - begin);
	if (n >= 2 && begin[0] == '[' && begin[n - 1] == ']') {
		begin++;
		n -= 2;
	}
	if (n >= size)
		return false;
	memcpy(host, begin, n);
	host[n] = '\0';
	return true;
}

bool
endpoint_is_this_machine(const char *endpoint)
{
	char host[256];

	if (endpoint_is_local(endpoint))
		return true;
	return endpoint_host(endpoint, host, sizeof(host)) && host_is_loopback(host);
}

/* ipc:// takes an absolute path only: libzmq's "ipc://@name" would be a socket in the abstract
 * name space, which no file mode guards. */
static bool
endpoint_is_valid(const char *endpoint)
{
	if (strlen(endpoint) >= ENDPOINT_MAX)
		return false;
	return starts_with(endpoint, "ipc:///") || starts_with(endpoint, "tcp://");
}

static int
set_int(void *s, int option, int value)
{
	return zmq_setsockopt(s, option, &value, sizeof(value)) < 0 ? -zmq_errno() : 0;
}

/* A Z85 key is given as its 40 characters; libzmq decodes and checks it. */
static int
set_key(void *s, int option, const char *z85)
{
	if (strlen(z85) != CURVE_KEY_SIZE - 1)
		return -EINVAL;
	return zmq_setsockopt(s, option, z85, CURVE_KEY_SIZE) < 0 ? -zmq_errno() : 0;
}

/* Names and '*' mean both families. An IPv4 address given as such stays one: with ZMQ_IPV6 libzmq
 * would call it [::ffff:a.b.c.d] in the endpoint that others are told. */
static bool
wants_ipv6(const char *endpoint)
{
	char host[256];
	struct in_addr a4;

	return !endpoint_host(endpoint, host, sizeof(host)) || inet_pton(AF_INET, host, &a4) != 1;
}

/* seldom: a heartbeat is asked for at each so manieth of them. */
static int
set_common(
	void *s, const char *endpoint, int heartbeat_ms, int seldom, size_t frame, int in, int out)
{
	int beat = MAX2(0, MIN2(heartbeat_ms, HEARTBEAT_MAX_MS));
	const struct {
		int option;
		int value;
	} options[] = {
		{ ZMQ_LINGER, 0 },
		{ ZMQ_SNDHWM, out },
		{ ZMQ_RCVHWM, in },
		{ ZMQ_IPV6, wants_ipv6(endpoint) },
		{ ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS },
		{ ZMQ_TCP_KEEPALIVE, 1 },
		{ ZMQ_HEARTBEAT_IVL, seldom * beat },
		{ ZMQ_HEARTBEAT_TIMEOUT, 3 * beat },
		/* the next one comes before it is over */
		{ ZMQ_HEARTBEAT_TTL, (seldom > 1 ? seldom + 3 : 3) * beat },
	};
	const int64_t frame_max = (int64_t)frame + FRAME_SLACK;

	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		int r = set_int(s, options[i].option, options[i].value);

		if (r < 0)
			return r;
	}
	if (zmq_setsockopt(s, ZMQ_MAXMSGSIZE, &frame_max, sizeof(frame_max)) < 0)
		return -zmq_errno();
	return 0;
}

static int
set_keys(void *s, const struct identity *id)
{
	int r;

	if (!id || !id->has_secret)
		return -EINVAL;
	r = set_key(s, ZMQ_CURVE_PUBLICKEY, id->curve_public);
	if (r < 0)
		return r;
	return set_key(s, ZMQ_CURVE_SECRETKEY, id->curve_secret);
}

static int
set_server(void *ctx, void *s, const struct identity *id)
{
	int r;

	/* libzmq lets any key in when it finds no authenticator; so look before. */
	if (!zap_present(ctx))
		return -EINVAL;
	r = set_int(s, ZMQ_CURVE_SERVER, 1);
	if (r < 0)
		return r;
	r = set_keys(s, id);
	if (r < 0)
		return r;
	if (zmq_setsockopt(s, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN)) < 0)
		return -zmq_errno();
	r = set_int(s, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
	return r == -EINVAL ? 0 : r;
}

/* libzmq removes whatever is at the path before it binds. That is right for what a daemon that was
 * killed left behind, not for a live one's socket, nor for a file that a typing error names. */
static int
check_socket_path(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_(closep) int fd = -1;
	struct stat st;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: alive, its backlog full. */
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	return 0;
}

/* A socket file must never exist with a wider mode, not for a moment: so the umask, not a chmod. It
 * is the whole process's; programs listen before they start threads. */
static int
bind_to(void *s, const char *endpoint)
{
	mode_t old;
	int r;

	if (!endpoint_is_local(endpoint))
		return zmq_bind(s, endpoint) < 0 ? -zmq_errno() : 0;
	r = check_socket_path(endpoint + strlen("ipc://"));
	if (r < 0)
		return r;
	old = umask(0177);
	r = zmq_bind(s, endpoint) < 0 ? -zmq_errno() : 0;
	umask(old);
	return r;
}

static int
bound_endpoint(void *s, char **ret)
{
	char text[ENDPOINT_MAX + 64];
	size_t n = sizeof(text);

	if (zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, text, &n) < 0)
		return -zmq_errno();
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

/* A socket ready to be bound to endpoint. */
static int
make_listener(void *ctx, enum admit_at at, const char *endpoint, const struct identity *id,
	int heartbeat_ms, void **ret)
{
	_cleanup_(socket_closep) void *s = NULL;
	int r;

	if (!endpoint_is_valid(endpoint))
		return -EINVAL;
	s = zmq_socket(ctx, ZMQ_ROUTER);
	if (!s)
		return -zmq_errno();
	r = set_common(s, endpoint, heartbeat_ms, at == ADMIT_COORDINATOR ? SELDOM : 1,
		admit_frame_max(at), endpoint_is_local(endpoint) ? QUEUE_IN_MAX : 0,
		at == ADMIT_WORKER ? QUEUE_OUT_WORKER_MAX : QUEUE_MAX);
	if (r < 0)
		return r;
	r = set_int(s, ZMQ_ROUTER_MANDATORY, 1);
	if (r < 0)
		return r;
	r = set_int(s, ZMQ_BACKLOG, BACKLOG);
	if (r < 0)
		return r;
	if (!endpoint_is_local(endpoint)) {
		r = set_server(ctx, s, id);
		if (r < 0)
			return r;
	}
	*ret = steal_ptr(s);
	return 0;
}

int
socket_listen(void *ctx, enum admit_at at, const char *endpoint, const struct identity *id,
	int heartbeat_ms, void **ret_socket, char **ret_endpoint)
{
	_cleanup_(socket_closep) void *s = NULL;
	int r;

	r = make_listener(ctx, at, endpoint, id, heartbeat_ms, &s);
	if (r == 0)
		r = bind_to(s, endpoint);
	if (r == 0)
		r = bound_endpoint(s, ret_endpoint);
	if (r < 0)
		return r;
	*ret_socket = steal_ptr(s);
	return 0;
}

int
socket_listen_monitored(void *ctx, enum admit_at at, const char *endpoint,
	const struct identity *id, int heartbeat_ms, void **ret_socket,
	struct monitor **ret_monitor, char **ret_endpoint)
{
	_cleanup_(socket_closep) void *s = NULL;
	_cleanup_(monitor_freep) struct monitor *w = NULL;
	int r;

	r = make_listener(ctx, at, endpoint, id, heartbeat_ms, &s);
	if (r == 0)
		r = monitor_new(ctx, s, &w);
	if (r == 0)
		r = bind_to(s, endpoint);
	if (r == 0)
		r = bound_endpoint(s, ret_endpoint);
	if (r < 0)
		return r;
	*ret_monitor = steal_ptr(w);
	*ret_socket = steal_ptr(s);
	return 0;
}

/* libzmq asks SO_PEERCRED of each connection that it accepts. */
static int
admit_user(void *s, uid_t uid)
{
	return zmq_setsockopt(s, ZMQ_IPC_FILTER_UID, &uid, sizeof(uid)) < 0 ? -zmq_errno() : 0;
}

int
socket_listen_own(void *ctx, enum admit_at at, const char *endpoint, int heartbeat_ms,
	void **ret_socket, struct monitor **ret_monitor)
{
	_cleanup_(socket_closep) void *s = NULL;
	_cleanup_(monitor_freep) struct monitor *w = NULL;
	int r = endpoint_is_local(endpoint) ? 0 : -EINVAL;

	if (r == 0)
		r = make_listener(ctx, at, endpoint, NULL, heartbeat_ms, &s);
	if (r == 0)
		r = admit_user(s, geteuid());
	if (r == 0)
		r = admit_user(s, 0);
	if (r == 0)
		r = monitor_new(ctx, s, &w);
	if (r == 0)
		r = bind_to(s, endpoint);
	if (r < 0)
		return r;
	*ret_monitor = steal_ptr(w);
	*ret_socket = steal_ptr(s);
	return 0;
}

static int
set_client(void *s, const struct identity *id, const char *server_curve)
{
	int r;

	if (!server_curve || !server_curve[0])
		return -EINVAL;
	r = set_keys(s, id);
	if (r < 0)
		return r;
	return set_key(s, ZMQ_CURVE_SERVERKEY, server_curve);
}

/* A socket ready to connect to endpoint. */
static int
make_client(void *ctx, const char *endpoint, const struct identity *id, const char *server_curve,
	int heartbeat_ms, int seldom, void **ret)
{
	_cleanup_(socket_closep) void *s = NULL;
	int r;

	if (!endpoint_is_valid(endpoint))
		return -EINVAL;
	s = zmq_socket(ctx, ZMQ_DEALER);
	if (!s)
		return -zmq_errno();
	r = set_common(s, endpoint, heartbeat_ms, seldom,
		wire_frame_max(WIRE_FROM_COORDINATOR | WIRE_FROM_WORKER), QUEUE_MAX, QUEUE_MAX);
	if (r < 0)
		return r;
	r = set_int(s, ZMQ_RECONNECT_IVL, RECONNECT_MS);
	if (r < 0)
		return r;
	r = set_int(s, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
	if (r < 0)
		return r;
	r = set_int(s, ZMQ_CONNECT_TIMEOUT, CONNECT_MS);
	if (r < 0)
		return r;
	if (!endpoint_is_local(endpoint)) {
		r = set_client(s, id, server_curve);
		if (r < 0)
			return r;
	}
	*ret = steal_ptr(s);
	return 0;
}

int
socket_connect(void *ctx, const char *endpoint, const struct identity *id, const char *server_curve,
	int heartbeat_ms, void **ret_socket)
{
	_cleanup_(socket_closep) void *s = NULL;
	int r;

	r = make_client(ctx, endpoint, id, server_curve, heartbeat_ms, 1, &s);
	if (r < 0)
		return r;
	if (zmq_connect(s, endpoint) < 0)
		return -zmq_errno();
	*ret_socket = steal_ptr(s);
	return 0;
}

static int
connect_monitored(void *ctx, const char *endpoint, const struct identity *id,
	const char *server_curve, int heartbeat_ms, int seldom, void **ret_socket,
	struct monitor **ret_monitor)
{
	_cleanup_(socket_closep) void *s = NULL;
	_cleanup_(monitor_freep) struct monitor *w = NULL;
	int r;

	r = make_client(ctx, endpoint, id, server_curve, heartbeat_ms, seldom, &s);
	if (r < 0)
		return r;
	r = monitor_new(ctx, s, &w);
	if (r < 0)
		return r;
	if (zmq_connect(s, endpoint) < 0)
		return -zmq_errno();
	*ret_monitor = steal_ptr(w);
	*ret_socket = steal_ptr(s);
	return 0;
}

int
socket_connect_monitored(void *ctx, const char *endpoint, const struct identity *id,
	const char *server_curve, int heartbeat_ms, void **ret_socket, struct monitor **ret_monitor)
{
	return connect_monitored(
		ctx, endpoint, id, server_curve, heartbeat_ms, 1, ret_socket, ret_monitor);
}

int
socket_connect_talking(void *ctx, const char *endpoint, const struct identity *id,
	const char *server_curve, int heartbeat_ms, void **ret_socket, struct monitor **ret_monitor)
{
	return connect_monitored(
		ctx, endpoint, id, server_curve, heartbeat_ms, SELDOM, ret_socket, ret_monitor);
}

static int
try_calls(void)
{
	_cleanup_(closep) int poller = -1, event = -1;
	struct epoll_event e = { .events = EPOLLIN };
	struct sched_param param;
	int policy, r;

	/* each of its threads sets what it has */
	r = pthread_getschedparam(pthread_self(), &policy, &param);
	if (r == 0)
		r = pthread_setschedparam(pthread_self(), policy, &param);
	if (r != 0)
		return -r;
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0)
		return -errno;
	event = eventfd(1, EFD_CLOEXEC);
	if (event < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, event, &e) < 0 ||
		epoll_wait(poller, &e, 1, 0) < 0)
		return -errno;
	return 0;
}

int
zmq_ctx_open(void **ret)
{
	int r = try_calls();

	if (r < 0)
		return r;
	*ret = zmq_ctx_new();
	return *ret ? 0 : -errno;
}

/* Waits until every socket of it is closed; a signal may interrupt that. */
void
zmq_ctx_termp(void **ctx)
{
	if (*ctx)
		while (zmq_ctx_term(*ctx) < 0 && zmq_errno() == EINTR)
			;
	*ctx = NULL;
}
