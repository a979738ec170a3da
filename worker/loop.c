/* The service's poll loop: jobs, clients, the coordinator, signals, drain.
 *
 * Invariant: the loop never waits on a disk, a compiler or one peer; jobs' threads do. It ends only
 * when every job has been joined. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

#include "common/clock.h"
#include "common/daemon.h"
#include "worker/service_priv.h"
#include "worker/share/loans.h"

#define FIXED_ITEMS 9
/* The last messages must leave before the sockets close. */
#define LINGER_MS 1000
/* The service manager waits so long for the coordinator's word. */
#define UNANSWERED_MS 15000

static void
kill_jobs(struct service *s)
{
	s->killing = true;
	for (unsigned i = 0; i < s->n_jobs; i++)
		job_kill(s->jobs[i], "the worker is stopping");
}

/* Nobody waits for them. */
static void
stop_samples(struct service *s)
{
	for (unsigned i = 0; i < s->n_jobs; i++)
		if (job_is_sample(s->jobs[i]))
			job_kill(s->jobs[i], "the worker is going away");
}

static void
on_signal(struct service *s)
{
	struct signalfd_siginfo si;

	while (read(s->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGHUP) {
			service_reload(s);
			continue;
		}
		if (s->draining || si.ssi_signo == SIGINT)
			kill_jobs(s);
		if (!s->draining) {
			log_info("draining: running=%u", s->n_jobs - s->n_samples);
			notify_stopping(s->life->notify);
		}
		stop_samples(s);
		s->draining = true;
		link_up_bye(s->link, "SIGTERM");
	}
}

static int
poll_once(struct service *s, zmq_pollitem_t *items)
{
	size_t n = 0;
	uint64_t now = clock_mono_ms(), wait = notify_wait(s->life->notify, now, 1000);
	long strangers = zap_wait(s->zap, now);

	wait = MIN2(wait, link_up_wait(s->link, now));
	if (strangers >= 0)
		wait = MIN2(wait, (uint64_t)strangers);
	items[n++] = (zmq_pollitem_t){ .socket = s->socket, .events = ZMQ_POLLIN };
	items[n++] = (zmq_pollitem_t){ .socket = monitor_socket(s->monitor), .events = ZMQ_POLLIN };
	items[n++] = (zmq_pollitem_t){ .socket = zap_socket(s->zap), .events = ZMQ_POLLIN };
	if (link_up_socket(s->link)) {
		items[n++] = (zmq_pollitem_t){ .socket = link_up_socket(s->link),
			.events = ZMQ_POLLIN };
		items[n++] = (zmq_pollitem_t){ .socket = link_up_monitor(s->link),
			.events = ZMQ_POLLIN };
	}
	items[n++] = (zmq_pollitem_t){ .fd = s->signal_fd, .events = ZMQ_POLLIN };
	if (s->share)
		items[n++] = (zmq_pollitem_t){ .fd = loans_fd(shares_loans(s->share)),
			.events = ZMQ_POLLIN };
	if (s->serve)
		items[n++] = (zmq_pollitem_t){ .fd = serve_fd(s->serve), .events = ZMQ_POLLIN };
	if (s->seeker)
		items[n++] = (zmq_pollitem_t){ .fd = seeker_fd(s->seeker), .events = ZMQ_POLLIN };
	for (unsigned i = 0; i < s->n_jobs; i++)
		items[n++] = (zmq_pollitem_t){ .socket = job_socket(s->jobs[i]),
			.events = ZMQ_POLLIN };
	if (zmq_poll(items, (int)n, (long)wait) < 0 && zmq_errno() != EINTR)
		return -zmq_errno();
	return 0;
}

/* Each turn: this is how the service manager sees that the loop turns. */
static void
tell_manager(struct service *s, uint64_t now)
{
	const char *how = s->draining		      ? "draining"
			  : link_up_welcomed(s->link) ? "registered"
						      : "no answer";
	char text[NOTIFY_TEXT_MAX];

	if (!s->life->notify)
		return;
	snprintf(text, sizeof(text), "%s, coordinator %s: slots in use %u of %u", how,
		s->conf->worker.coordinator, s->n_jobs - s->n_twins - s->n_samples, s->slots);
	notify_status(s->life->notify, now, text);
	notify_step(s->life->notify, now);
}

static void
turn(struct service *s)
{
	struct store_stats stats = { .bytes = 0 };
	bool caught_up;

	zap_step(s->zap);
	on_signal(s);
	/* Before the clients: the coordinator's time, by which their tickets are checked, may have
	 * come just now. */
	(void)store_get_stats(s->store, &stats);
	link_up_step(s->link, clock_mono_ms(), clock_wall_ms(),
		s->n_jobs - s->n_twins - s->n_samples, stats.bytes);
	others_ask(s);
	clients_serve(s);
	tapes_tick(s->tapes, clock_mono_ms());
	__atomic_store_n(&s->shared.wanted, link_up_wanted(s->link), __ATOMIC_RELAXED);
	caught_up = clients_receive(s);
	clients_gone(s);
	clients_expire(s, caught_up);
	for (unsigned i = 0; i < s->n_jobs;)
		if (!clients_from_job(s, s->jobs[i]))
			i++;
	tell_manager(s, clock_mono_ms());
}

static void
say_ready(struct service *s, bool *said)
{
	if (!*said)
		notify_ready(s->life->notify);
	*said = true;
}

int
service_run(struct service *s, const struct service_life *life)
{
	_cleanup_(freep) zmq_pollitem_t *items = calloc(
		FIXED_ITEMS + s->slots + s->twins + SAMPLES, sizeof(*items));
	_cleanup_(closep) int ready = life->ready_fd;
	const uint64_t began = clock_mono_ms();
	bool welcomed = false, said = false;
	int r = items ? 0 : -ENOMEM, linger = LINGER_MS;

	s->life = life;
	while (r == 0 && !(s->draining && s->n_jobs == 0)) {
		r = poll_once(s, items);
		if (r == 0)
			turn(s);
		if (link_up_welcomed(s->link)) {
			welcomed = true;
			daemon_say_ready(&ready, s->endpoint);
			say_ready(s, &said);
		} else if (!welcomed && link_up_refusal(s->link)) {
			r = -EACCES;
		} else if (clock_mono_ms() - began >= UNANSWERED_MS) {
			say_ready(s, &said);
		}
	}
	if (r < 0)
		kill_jobs(s);
	while (s->n_jobs > 0 && poll_once(s, items) == 0)
		turn(s);
	zmq_setsockopt(s->socket, ZMQ_LINGER, &linger, sizeof(linger));
	if (link_up_socket(s->link))
		zmq_setsockopt(link_up_socket(s->link), ZMQ_LINGER, &linger, sizeof(linger));
	return r;
}
