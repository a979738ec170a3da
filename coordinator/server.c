/* The coordinator's sockets, signals and poll loop.
 *
 * Invariant: every message is answered in full (act_all) before the next is taken, so the
 * scheduler's actions never belong to an older state than its inputs. Messages wait only in
 * libzmq's queues, which are bounded; nothing is kept here but peers and jobs. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

#include "common/clock.h"
#include "common/text/why.h"
#include "coordinator/cache/desk.h"
#include "coordinator/oidc/passes.h"
#include "coordinator/server.h"
#include "coordinator/server_priv.h"

#define TICK_MS 100
#define CHECK_MS 1000	/* between looks at the allowed keys' file */
#define SILENT_MS 15000 /* a connection that has not said a word */
/* Its messages are small: a few hundred bytes each, from some hundreds of peers. */
#define HELD_MAX (24u * 1024 * 1024)
#define DRAIN_MS 300   /* how long peers are answered that do not know of the end yet */
#define LINGER_MS 1000 /* time for the last messages to reach the network */

const char *
server_endpoint(const struct server *s)
{
	return s->endpoint;
}

void
server_notify(struct server *s, struct notify *n)
{
	s->notify = n;
}

static bool
is_set(const char *text)
{
	return text && *text;
}

static int
load_identity(struct server *s, char **ret_error)
{
	const char *path = s->conf->coordinator.identity;
	unsigned line = 0;
	int r;

	if (!is_set(path)) {
		if (!s->local)
			return why_set(ret_error, -EINVAL,
				"[coordinator] identity is not set: a coordinator on TCP needs "
				"keys (make "
				"them with `dray keygen`, or listen on ipc:///path).");
		r = identity_generate("coordinator", &s->id);
		if (r < 0)
			return why_set(ret_error, r, "Cannot make keys: %s.", strerror(-r));
		log_warn(
			"no identity is set: tickets are signed with a key made for this run only");
		return 0;
	}
	r = identity_load(path, &s->id, &line);
	if (r == -EPERM)
		return why_set(
			ret_error, r, "%s: others can read these secret keys (chmod 600).", path);
	if (r == -EBADMSG)
		return why_set(
			ret_error, r, "%s: line %u: this is not an identity file.", path, line);
	if (r < 0)
		return why_set(ret_error, r, "%s: cannot read the identity: %s%s.", path,
			strerror(-r), r == -ENOENT ? "; `dray keygen` makes one" : "");
	if (!s->id.has_secret)
		return why_set(ret_error, -EINVAL,
			"%s: the coordinator needs the file with the secret keys, not the .pub "
			"file.",
			path);
	return 0;
}

static int
load_keys(struct server *s, char **ret_error)
{
	if (s->local)
		return 0;
	if (!is_set(s->conf->coordinator.allowed_keys))
		return why_set(ret_error, -EINVAL,
			"[coordinator] allowed_keys is not set: it names a file with a line for "
			"each key "
			"that may connect, \"<client|reader|publisher|worker|admin> <public key> "
			"[name]\".");
	return keys_load(s, ret_error);
}

static int
open_signals(struct server *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	/* Before libzmq starts its threads, which inherit the mask. */
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? -errno : 0;
}

/* One that is in no list, or revoked. */
static enum zap_answer
decide_on_guest(struct server *s, const char *curve_public)
{
	const struct gate_address from = zap_from(s->zap);

	if (allowed_keys_is_revoked(&s->keys, curve_public) ||
		!(oidc_open(s) || join_tokens_open(&s->tokens, tokens_now(s)))) {
		log_throttled(&s->bad_peer, 10, "key=%s is %s", curve_public,
			allowed_keys_is_revoked(&s->keys, curve_public)
				? "revoked"
				: "not among the allowed keys");
		return ZAP_NO;
	}
	if (guests_take(&s->guests, &from, clock_mono_ms()))
		return ZAP_YES;
	log_throttled(&s->crowd, 5, "key=%s, which is not among the allowed ones, is put off",
		curve_public);
	return ZAP_LATER;
}

static enum zap_answer
decide(void *arg, const char *curve_public)
{
	struct server *s = arg;
	enum zap_answer answer;
	bool ok = allowed_keys_role(&s->keys, curve_public) != ROLE_NONE;

	/* A key may have been added to the file a moment ago; its peer must not be refused. */
	if (!ok) {
		keys_check(s);
		ok = allowed_keys_role(&s->keys, curve_public) != ROLE_NONE;
	}
	if (!ok)
		return decide_on_guest(s, curve_public);
	answer = door_knock(s->door, curve_public, true, clock_mono_ms());
	if (answer != ZAP_YES)
		log_throttled(&s->crowd, 5, "key=%s connects too often; put off", curve_public);
	return answer;
}

static int
open_sockets(struct server *s, char **ret_error)
{
	const char *listen = s->conf->coordinator.listen;
	int r;

	s->ctx = zmq_ctx_new();
	if (!s->ctx)
		return why_set(ret_error, -ENOMEM, "Cannot start libzmq.");
	r = door_new(&s->door);
	if (r == 0)
		r = zap_new(s->ctx, decide, s, &s->zap);
	if (r < 0)
		return why_set(
			ret_error, r, "Cannot start the authenticator: %s.", zmq_strerror(-r));
	r = socket_listen_monitored(s->ctx, ADMIT_COORDINATOR, listen, &s->id,
		(int)s->conf->coordinator.heartbeat_ms, &s->socket, &s->monitor, &s->endpoint);
	if (r < 0)
		return why_set(ret_error, r, "Cannot listen on %s: %s.", listen, zmq_strerror(-r));
	monitor_held_max(s->monitor, HELD_MAX);
	return 0;
}

static bool
allows(void *arg, const struct digest *toolchain)
{
	return toolchains_allow(arg, toolchain);
}

static int
make_sched(struct server *s)
{
	struct sched_conf c;
	int r = toolchains_new(&s->toolchains);

	if (r < 0)
		return r;
	sched_conf_default(&c);
	c.allows = allows;
	c.allows_arg = s;
	c.quota = settings_quota;
	c.max_queue = s->conf->coordinator.max_queue;
	table_key(c.hash_key);
	return sched_new(&c, &s->sched);
}

int
server_new(const struct conf *conf, struct server **ret, char **ret_error)
{
	_cleanup_(server_freep) struct server *s = calloc(1, sizeof(*s));
	int r;

	*ret_error = NULL;
	if (!s)
		return why_set(ret_error, -ENOMEM, "Out of memory.");
	s->conf = s->limits = conf;
	s->signal_fd = -1;
	s->announce = (struct announce)ANNOUNCE_INIT;
	TAILQ_INIT(&s->doomed);
	if (!is_set(conf->coordinator.listen))
		return why_set(ret_error, -EINVAL, "[coordinator] listen is not set.");
	s->local = endpoint_is_local(conf->coordinator.listen);
	r = load_identity(s, ret_error);
	if (r == 0 && !s->local)
		r = succeed_start(s, ret_error);
	if (r < 0)
		return r;
	r = load_keys(s, ret_error);
	if (r < 0)
		return r;
	r = peers_init(s);
	if (r == 0)
		r = alike_start(s, on_job_request);
	if (r == 0)
		r = make_sched(s);
	if (r == 0)
		r = open_signals(s);
	if (r < 0)
		return why_set(ret_error, r, "Cannot start: %s.", strerror(-r));
	r = open_sockets(s, ret_error);
	if (r < 0)
		return r;
	/* before there are threads: it binds with a umask of its own (proto/socket.h), in which no
	 * other may make directories */
	admin_start(s);
	r = shots_start(s, ret_error);
	if (r < 0)
		return r;
	r = oidc_start(s, ret_error);
	if (r < 0)
		return r;
	r = oidc_load(s);
	if (r < 0)
		admin_put_aside(conf->coordinator.cache_dir, PASSES_FILE, "runs of a CI",
			"they have to join again", r);
	cache_start(s);
	s->now = s->began_ms = s->ticked_ms = s->checked_ms = clock_mono_ms();
	ticket_clock_set(&s->clock, clock_wall_ms(), s->now);
	if (oidc_open(s))
		keys_reload(s);
	shots_shoot(s);
	announce_start(&s->announce, conf, &s->id, s->endpoint, s->now);
	*ret = steal_ptr(s);
	return 0;
}

void
server_free(struct server *s)
{
	if (!s)
		return;
	announce_end(&s->announce);
	oidc_end(s);
	cache_end(s);
	holders_end(s);
	admin_end(s);
	shots_end(s);
	vouch_done(s);
	monitor_free(s->monitor);
	socket_closep(&s->socket);
	zap_free(s->zap);
	door_free(s->door);
	zmq_ctx_termp(&s->ctx);
	sched_free(s->sched);
	toolchains_free(s->toolchains);
	alike_end(s);
	peers_done(s);
	allowed_keys_done(&s->keys);
	judged_done(&s->judged);
	identity_done(&s->id);
	closep(&s->signal_fd);
	settings_end(s);
	free(s->endpoint);
	free(s);
}

void
server_freep(struct server **s)
{
	server_free(*s);
	*s = NULL;
}

static void
begin_drain(struct server *s)
{
	if (s->draining) {
		s->quit = true;
		return;
	}
	log_info("shutting down: what is queued is denied; what runs goes on without us");
	notify_stopping(s->notify);
	announce_end(&s->announce);
	s->draining = true;
	s->quit_ms = s->now + DRAIN_MS;
	sched_drain(s->sched, s->now);
	act_all(s);
	shots_shoot(s);
}

static void
take_signals(struct server *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			notify_reloading(s->notify, clock_mono_us());
			settings_reload(s);
			oidc_reload(s);
			keys_reload(s);
			act_all(s);
			notify_ready(s->notify);
		} else {
			begin_drain(s);
		}
	}
}

/* Takes at most BATCH messages of a socket. False: none was left. */
static bool
take_messages(struct server *s, void *socket, struct monitor *monitor, uint8_t door)
{
	for (unsigned i = 0; i < BATCH; i++) {
		_cleanup_(wire_raw_done) struct wire_raw raw;
		struct wire_peer from;
		int r;

		from.id_len = 0;
		r = wire_take(socket, &from, WIRE_FROM_CLIENT | WIRE_FROM_WORKER, &raw);
		if (r == -EAGAIN)
			return false;
		from.door = door;
		/* who chose its own name says nothing: its connection ends as a silent one */
		if (from.id_len > 0) {
			monitor_note(monitor, &from);
			monitor_took(monitor, &from, wire_raw_size(&raw));
			s->took += wire_raw_size(&raw);
			handle_message(s, &from, r, &raw);
			act_all(s);
		}
	}
	return true;
}

/* Only once all messages are taken: those that a peer sent before it went still count. */
static void
take_departures(struct server *s, struct monitor *monitor)
{
	struct wire_peer gone;
	enum monitor_event e;

	while ((e = monitor_next(monitor, &gone)) != MONITOR_NONE) {
		struct peer *p = e == MONITOR_PEER_GONE ? peer_find(s, &gone) : NULL;

		if (!p)
			continue;
		peer_remove(s, p);
		act_all(s);
	}
}

static void
take_all_departures(struct server *s)
{
	take_departures(s, s->monitor);
	if (s->admin_monitor)
		take_departures(s, s->admin_monitor);
}

static void
see_to_rest(struct server *s)
{
	struct desk_stats stats = { .bytes = 0 };

	if (s->desk)
		desk_get_stats(s->desk, &stats);
	(void)daemon_rest(&s->rest, s->took + stats.bytes, s->now);
}

/* It counts over all workers: not at each turn. */
static void
tell_status(struct server *s)
{
	struct sched_stats n;
	char text[NOTIFY_TEXT_MAX];

	sched_get_stats(s->sched, &n);
	snprintf(text, sizeof(text), "%s%s: workers %zu, slots in use %zu of %zu, jobs waiting %zu",
		s->draining ? "ending, " : "", s->endpoint, n.workers, n.used, n.slots, n.queued);
	notify_status(s->notify, s->now, text);
}

static void
tick(struct server *s, bool caught_up)
{
	uint64_t late = s->now - s->ticked_ms;

	if (late < TICK_MS)
		return;
	s->ticked_ms = s->now;
	sched_tick(s->sched, s->now);
	workers_tell_wanted(s);
	/* If this process was stopped or is late itself, the workers' heartbeats still wait in its
	 * queue. */
	if (caught_up && late < MAX2(s->conf->coordinator.heartbeat_ms, (uint64_t)5 * TICK_MS))
		workers_check(s);
	if (s->now - s->checked_ms >= CHECK_MS) {
		s->checked_ms = s->now;
		keys_check(s);
		if (!s->draining && succeed_is_due(s)) {
			log_info("it has its next keys from now on");
			s->again = s->quit = true;
		}
		monitor_expire(s->monitor, SILENT_MS, s->now);
		if (s->admin_monitor)
			monitor_expire(s->admin_monitor, SILENT_MS, s->now);
		see_to_rest(s);
		announce_tick(&s->announce, s->now);
	}
	if (s->desk)
		desk_tick(s->desk, s->now);
	if (s->sampler)
		sampler_tick(s->sampler, s->now);
	refills_tick(s);
	alike_tick(s);
	oidc_step(s);
	pushes_tick(s);
	act_all(s);
	admin_tell(s);
	act_all(s);
	shots_tick(s);
	tell_status(s);
}

static void
look_at_connections(struct server *s, bool caught_up)
{
	char address[GATE_TEXT_SIZE];

	monitor_look(s->monitor, caught_up, s->now);
	if (s->admin_monitor)
		monitor_look(s->admin_monitor, caught_up, s->now);
	if (monitor_shut_out(s->monitor, address))
		log_throttled(&s->crowd, 5,
			"address=%s makes connections that say nothing; shut out for some seconds",
			address);
}

/* The last messages get time to leave, then the connections end. */
static void
flush(struct server *s)
{
	int linger = LINGER_MS;

	monitor_free(steal_ptr(s->monitor));
	monitor_free(steal_ptr(s->admin_monitor));
	if (s->admin_socket)
		zmq_setsockopt(s->admin_socket, ZMQ_LINGER, &linger, sizeof(linger));
	socket_closep(&s->admin_socket);
	zmq_setsockopt(s->socket, ZMQ_LINGER, &linger, sizeof(linger));
	socket_closep(&s->socket);
}

int
server_run(struct server *s)
{
	bool more = false;

	while (!s->quit && !(s->draining && clock_mono_ms() >= s->quit_ms)) {
		zmq_pollitem_t items[] = {
			{ s->socket, 0, ZMQ_POLLIN, 0 },
			{ monitor_socket(s->monitor), 0, ZMQ_POLLIN, 0 },
			{ zap_socket(s->zap), 0, ZMQ_POLLIN, 0 },
			{ NULL, s->signal_fd, ZMQ_POLLIN, 0 },
			{ NULL, s->desk ? desk_fd(s->desk) : s->signal_fd, ZMQ_POLLIN, 0 },
			{ NULL, oidc_fd(s) >= 0 ? oidc_fd(s) : s->signal_fd, ZMQ_POLLIN, 0 },
			{ s->admin_socket, 0, ZMQ_POLLIN, 0 },
			{ s->admin_socket ? monitor_socket(s->admin_monitor) : NULL, 0, ZMQ_POLLIN,
				0 },
		};
		int n = (int)ARRAY_LEN(items) - (s->admin_socket ? 0 : 2);

		if (zmq_poll(items, n, more ? 0 : TICK_MS) < 0 && zmq_errno() != EINTR) {
			int err = zmq_errno();

			log_error("cannot poll: %s", zmq_strerror(err));
			return -err;
		}
		s->now = clock_mono_ms();
		/* Signals first: after SIGHUP a newly allowed key must be accepted, since libzmq's
		 * client does not try again after a refusal. */
		if (items[2].revents || items[3].revents)
			take_signals(s);
		if (items[2].revents)
			zap_step(s->zap);
		more = take_messages(s, s->socket, s->monitor, DOOR_FARM);
		if (s->admin_socket)
			more |= take_messages(s, s->admin_socket, s->admin_monitor, DOOR_ADMIN);
		if (items[4].revents && s->desk) {
			desk_step(s->desk, s->now);
			act_all(s);
		}
		if (items[5].revents && oidc_fd(s) >= 0) {
			oidc_step(s);
			act_all(s);
		}
		if (!more)
			take_all_departures(s);
		look_at_connections(s, !more);
		tick(s, !more);
		/* each turn: this is how the service manager sees that the loop turns */
		notify_step(s->notify, s->now);
	}
	flush(s);
	return s->again ? SERVER_AGAIN : 0;
}
