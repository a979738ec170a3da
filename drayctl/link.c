/* The way to a coordinator. */
#include "config.h"

#include "drayctl/link.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/conf/coordinators.h"
#include "common/text/why.h"
#include "keys/identity.h"
#include "keys/succession.h"
#include "proto/socket.h"

#define HEARTBEAT_MS 1000
#define POLL_MS 1000

struct link {
	void *ctx, *socket;
	struct monitor *monitor;
	char *endpoint;
	struct identity own, its;
	char *key, *key_dir; /* of its; with what comes after it */
	bool refused;	     /* its key, or ours: libzmq gives up */
	bool was_connected, lost;
	uint32_t number;
};

void
link_free(struct link *l)
{
	if (!l)
		return;
	monitor_freep(&l->monitor);
	socket_closep(&l->socket);
	zmq_ctx_termp(&l->ctx);
	identity_done(&l->own);
	identity_done(&l->its);
	free(l->endpoint);
	free(l->key);
	free(l->key_dir);
	free(l);
}

void
link_freep(struct link **l)
{
	link_free(*l);
	*l = NULL;
}

/* ---- where it is */

static bool
is_set(const char *s)
{
	return s && *s;
}

/* libzmq tries for ever where nobody listens; so look before. */
static int
probe(const char *path, char **ret_why)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	size_t n = strlen(path);

	if (fd < 0)
		return why_set(ret_why, -errno, "cannot make a socket: %s", strerror(errno));
	if (n >= sizeof(a.sun_path))
		return why_set(ret_why, -EINVAL, "%s: the path of a socket is shorter", path);
	memcpy(a.sun_path, path, n + 1);
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 || errno == EAGAIN)
		return 0;
	if (errno == EACCES || errno == EPERM)
		return why_set(ret_why, -EACCES,
			"%s: only the coordinator's user and root may connect; with an admin's key "
			"say --remote",
			path);
	return why_set(ret_why, -ENOTCONN,
		"no coordinator listens on %s: %s (--socket PATH names another one, --remote the "
		"one "
		"of [client] coordinator)",
		path, strerror(errno));
}

static bool
is_socket(const char *path)
{
	struct stat st;

	return path && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Whether it is the socket of this machine; then its endpoint. */
static int
find_here(const struct conf *conf, const struct link_where *where, char **ret, char **ret_why)
{
	_cleanup_(freep) char *own = where->socket ? strdup(where->socket)
						   : conf_admin_socket(conf);
	const char *far = conf->client.coordinator;
	bool here = !where->remote && !where->coordinator &&
		    (where->socket || is_socket(own) || !is_set(far));

	if (!here)
		return is_set(far)
			       ? 0
			       : why_set(ret_why, -ENOTCONN,
					 "[client] coordinator is not set (dray.conf(5)): it is "
					 "what --remote goes to");
	if (!own)
		return why_set(ret_why, -ENOTCONN,
			"there is no place for a socket, and [client] coordinator is not set");
	if (asprintf(ret, "ipc://%s", own) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* ---- keys */

static int
load_key(const char *path, const char *setting, struct identity *ret, char **ret_why)
{
	unsigned line = 0;
	int r;

	if (!is_set(path))
		return why_set(ret_why, -EACCES,
			"[client] %s is not set (dray.conf(5)): a coordinator on TCP is reached "
			"with "
			"keys",
			setting);
	r = identity_load(path, ret, &line);
	if (r == -EPERM)
		return why_set(ret_why, -EACCES,
			"%s: others can read these secret keys (chmod 600)", path);
	if (r == -EBADMSG)
		return why_set(
			ret_why, -EACCES, "%s: line %u: this is not an identity file", path, line);
	return r < 0 ? why_set(ret_why, -EACCES, "%s: %s", path, strerror(-r)) : 0;
}

static int
load_keys(struct link *l, const struct conf *conf, const char *its, char **ret_why)
{
	int r = load_key(conf->client.identity, "identity", &l->own, ret_why);

	if (r == 0 && !l->own.has_secret)
		return why_set(ret_why, -EACCES,
			"%s: that is the public file; the one with the secrets is needed",
			conf->client.identity);
	if (r == 0)
		r = load_key(its, "coordinator_key", &l->its, ret_why);
	if (r == 0 && (str_copy(its, &l->key) < 0 ||
			      (conf->client.cache_dir &&
				      str_copy(conf->client.cache_dir, &l->key_dir) < 0)))
		r = -ENOMEM;
	/* it was read without a fault just now */
	if (r == 0)
		r = successor_load(l->key, l->key_dir, clock_wall_ms() / 1000, &l->its, NULL, NULL);
	return r;
}

/* ---- messages */

static int
say_hello(struct link *l)
{
	Dray__Hello m;
	char role[] = "admin";

	wire_hello_hears(&m, role);
	return wire_send(l->socket, NULL, WIRE_HELLO, &m.base, NULL, 0);
}

static void
take_events(struct link *l)
{
	for (;;) {
		switch (monitor_next(l->monitor, NULL)) {
		case MONITOR_NONE:
			return;
		case MONITOR_CONNECTED:
			l->was_connected = true;
			break;
		case MONITOR_REFUSED:
		case MONITOR_PUT_OFF:
			l->refused = true;
			break;
		case MONITOR_DISCONNECTED:
			l->lost = l->was_connected;
			break;
		case MONITOR_PEER_GONE:
			break;
		}
	}
}

static int
say_refused(const Dray__Refused *m, char **ret_why)
{
	return why_set(ret_why,
		m->verdict == DRAY__VERDICT__VERDICT_VERSION ? -EOPNOTSUPP : -EACCES,
		"the coordinator refuses: %.400s", m->text);
}

/* 0, and it is the one; -EAGAIN: there was none. */
static int
take(struct link *l, enum wire_type type, uint32_t number, struct wire_msg *ret, char **ret_why)
{
	for (;;) {
		struct wire_msg m = WIRE_MSG_INIT;
		int r = wire_recv(l->socket, NULL, WIRE_FROM_COORDINATOR, &m);

		if (r == -EAGAIN)
			return r;
		if (r < 0)
			return why_set(ret_why, -EPROTO,
				"the coordinator says what this drayctl does not understand: it is "
				"of "
				"another version");
		if (m.info->type == type && m.job == number) {
			*ret = m;
			return 0;
		}
		if (m.info->type == WIRE_SUCCESSOR && l->key)
			(void)successor_take(l->key, l->key_dir, clock_wall_ms() / 1000,
				((const Dray__Successor *)m.body)->statement);
		r = m.info->type == WIRE_REFUSED
			    ? say_refused((const Dray__Refused *)m.body, ret_why)
			    : 0;
		wire_msg_done(&m);
		if (r < 0)
			return r;
	}
}

int
link_send(struct link *l, enum wire_type type, const ProtobufCMessage *body, uint32_t *ret_number)
{
	uint32_t number = wire_is_of_job(type) ? ++l->number : 0;

	*ret_number = number;
	return wire_send_job(l->socket, NULL, number, type, body, NULL);
}

int
link_wait(struct link *l, enum wire_type type, uint32_t number, uint64_t wait_ms, int fd,
	struct wire_msg *ret, char **ret_why)
{
	uint64_t end = clock_mono_ms() + wait_ms;

	for (;;) {
		zmq_pollitem_t items[] = {
			{ l->socket, 0, ZMQ_POLLIN, 0 },
			{ monitor_socket(l->monitor), 0, ZMQ_POLLIN, 0 },
			{ NULL, fd, ZMQ_POLLIN, 0 },
		};
		uint64_t now = clock_mono_ms();
		int r = take(l, type, number, ret, ret_why);

		if (r != -EAGAIN)
			return r;
		take_events(l);
		if (l->refused)
			return why_set(ret_why, -EACCES,
				"the coordinator at %s does not let this key in, or has another "
				"key "
				"than [client] coordinator_key says",
				l->endpoint);
		if (l->lost)
			return why_set(
				ret_why, -ENOTCONN, "the coordinator at %s is gone", l->endpoint);
		if (now >= end)
			return -ETIMEDOUT;
		if (zmq_poll(items, fd < 0 ? 2 : 3, (long)MIN2(end - now, (uint64_t)POLL_MS)) < 0 &&
			zmq_errno() != EINTR)
			return -zmq_errno();
		if (fd >= 0 && items[2].revents)
			return -EINTR;
	}
}

/* ---- the beginning */

static bool
names(const Dray__Welcome *m, const char *feature)
{
	for (size_t i = 0; i < m->n_features; i++)
		if (streq(m->features[i], feature))
			return true;
	return false;
}

static int
meet(struct link *l, uint64_t wait_ms, char **ret_why)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	int r = say_hello(l);

	if (r == 0)
		r = link_wait(l, WIRE_WELCOME, 0, wait_ms, -1, &m, ret_why);
	if (r == -ETIMEDOUT)
		return why_set(
			ret_why, -ENOTCONN, "no answer from the coordinator at %s", l->endpoint);
	if (r == 0 && !names((const Dray__Welcome *)m.body, WIRE_ADMIN))
		return why_set(ret_why, -EOPNOTSUPP,
			"the coordinator at %s is older than drayctl, and does not know admins' "
			"requests",
			l->endpoint);
	return r;
}

/* key: the path of its public key; of this machine it needs none. */
static int
open_one(const struct conf *conf, const struct coordinator_at *at, uint64_t wait_ms,
	struct link **ret, char **ret_why)
{
	_cleanup_(link_freep) struct link *l = calloc(1, sizeof(*l));
	bool local = endpoint_is_local(at->endpoint);
	int r;

	if (!l || !(l->endpoint = strdup(at->endpoint)))
		return -ENOMEM;
	r = local ? probe(at->endpoint + strlen("ipc://"), ret_why)
		  : load_keys(l, conf, at->key, ret_why);
	if (r == 0)
		r = zmq_ctx_open(&l->ctx);
	if (r < 0)
		return r;
	r = socket_connect_monitored(l->ctx, l->endpoint, local ? NULL : &l->own,
		local ? NULL : l->its.curve_public, HEARTBEAT_MS, &l->socket, &l->monitor);
	if (r < 0)
		return why_set(ret_why, -ENOTCONN, "cannot connect to %s: %s", l->endpoint,
			zmq_strerror(-r));
	r = meet(l, wait_ms, ret_why);
	if (r == 0)
		*ret = steal_ptr(l);
	return r;
}

/* In turn, while nobody answers: one that refuses has answered. */
static int
open_first(
	const struct conf *conf, const struct link_where *where, struct link **ret, char **ret_why)
{
	_cleanup_(coordinators_done) struct coordinators all = COORDINATORS_INIT;
	int r = coordinators_parse(
		"client", conf->client.coordinator, conf->client.coordinator_key, &all, ret_why);
	uint64_t wait = where->wait_ms ? where->wait_ms : LINK_WELCOME_MS;
	bool asked = false;

	if (r < 0)
		return r;
	for (size_t i = 0; i < all.n; i++) {
		if (where->coordinator && !streq(where->coordinator, all.v[i].endpoint))
			continue;
		asked = true;
		free(steal_ptr(*ret_why));
		r = open_one(conf, &all.v[i],
			all.n == 1 ? wait : MIN2(wait, (uint64_t)LINK_WELCOME_EACH_MS), ret,
			ret_why);
		if (r != -ENOTCONN)
			return r;
	}
	if (!asked)
		return why_set(ret_why, -ENOTCONN,
			"--coordinator %s: [client] coordinator names %s", where->coordinator,
			conf->client.coordinator);
	return r;
}

int
link_open(
	const struct conf *conf, const struct link_where *where, struct link **ret, char **ret_why)
{
	_cleanup_(freep) char *here = NULL;
	int r;

	*ret_why = NULL;
	r = find_here(conf, where, &here, ret_why);
	if (r < 0)
		return r;
	if (!here)
		return open_first(conf, where, ret, ret_why);
	return open_one(conf, &(struct coordinator_at){ here, NULL },
		where->wait_ms ? where->wait_ms : LINK_WELCOME_MS, ret, ret_why);
}

const char *
link_endpoint(const struct link *l)
{
	return l->endpoint;
}
