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
#include "common/process/daemon.h"
#include "worker/service_priv.h"

#define FIXED_ITEMS 4
/* The last messages must leave before the sockets close. */
#define LINGER_MS 1000
/* The service manager waits so long for the coordinator's word. */
#define AGE_MS 60000 /* between looks at toolchains that nobody uses */
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
		if (job_is_sample(s->jobs[i]) || job_is_push(s->jobs[i]))
			job_kill(s->jobs[i], "the worker is going away");
}

/* No job begins any more, and what runs ends. */
static void
drain(struct service *s, const char *why)
{
	stop_samples(s);
	s->draining = true;
	upstreams_bye(s, why);
}

static void
on_signal(struct service *s)
{
	struct signalfd_siginfo si;

	while (read(s->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGHUP) {
			service_reload(s);
			if (s->again && !s->draining)
				drain(s, "it has other keys");
			continue;
		}
		if ((s->draining && !s->again) || si.ssi_signo == SIGINT)
			kill_jobs(s);
		s->draining &= !s->again;
		s->again = false;
		if (!s->draining) {
			log_info("draining: running=%u", s->n_jobs - s->n_samples - s->n_pushes);
			notify_stopping(s->life->notify);
		}
		drain(s, "SIGTERM");
	}
}

static int
poll_once(struct service *s, zmq_pollitem_t *items)
{
	size_t n = 0;
	uint64_t now = clock_mono_ms(), wait = notify_wait(s->life->notify, now, 1000);
	long strangers = zap_wait(s->zap, now);

	wait = MIN2(wait, upstreams_wait(s, now));
	if (strangers >= 0)
		wait = MIN2(wait, (uint64_t)strangers);
	items[n++] = (zmq_pollitem_t){ .socket = s->socket, .events = ZMQ_POLLIN };
	items[n++] = (zmq_pollitem_t){ .socket = monitor_socket(s->monitor), .events = ZMQ_POLLIN };
	items[n++] = (zmq_pollitem_t){ .socket = zap_socket(s->zap), .events = ZMQ_POLLIN };
	items[n++] = (zmq_pollitem_t){ .fd = s->signal_fd, .events = ZMQ_POLLIN };
	n += upstreams_items(s, items + n);
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
	unsigned welcomed = upstreams_welcomed(s);
	const char *how = s->draining ? "draining" : welcomed ? "registered" : "no answer";
	char text[NOTIFY_TEXT_MAX], of[32] = "";

	if (!s->life->notify)
		return;
	if (s->n_up > 1)
		snprintf(of, sizeof(of), " (%u of %zu)", welcomed, s->n_up);
	snprintf(text, sizeof(text), "%s%s, coordinator %.160s: slots in use %u of %u", how, of,
		s->conf->worker.coordinator, s->n_jobs - s->n_twins - s->n_samples - s->n_pushes,
		s->slots);
	notify_status(s->life->notify, now, text);
	notify_step(s->life->notify, now);
}

static void
turn(struct service *s)
{
	bool caught_up;

	zap_step(s->zap);
	on_signal(s);
	/* Before the clients: a coordinator's time, by which their tickets are checked, may have
	 * come just now. */
	upstreams_step(s);
	clients_serve(s);
	caught_up = clients_receive(s);
	clients_gone(s);
	clients_expire(s, caught_up);
	for (unsigned i = 0; i < s->n_jobs;)
		if (!clients_from_job(s, s->jobs[i]))
			i++;
	if (clock_mono_ms() - s->aged_ms >= AGE_MS) {
		s->aged_ms = clock_mono_ms();
		given_age(s, clock_wall_ms());
	}
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
		FIXED_ITEMS + UPSTREAM_ITEMS * s->n_up + s->slots + s->twins + SAMPLES + PUSHES,
		sizeof(*items));
	_cleanup_(closep) int ready = life->ready_fd;
	const uint64_t began = clock_mono_ms();
	bool said = false;
	int r = items ? 0 : -ENOMEM, linger = LINGER_MS;

	s->life = life;
	s->was_welcomed |= life->again;
	while (r == 0 && !(s->draining && s->n_jobs == 0)) {
		r = poll_once(s, items);
		if (r == 0)
			turn(s);
		if (upstreams_welcomed(s) > 0) {
			daemon_say_ready(&ready, s->endpoint);
			say_ready(s, &said);
		} else if (upstreams_refused(s)) {
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
	upstreams_linger(s, linger);
	return r == 0 && s->again ? SERVICE_AGAIN : r;
}
