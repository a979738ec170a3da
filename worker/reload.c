/* SIGHUP: what of the settings can change while the worker runs.
 *
 * Those are the limits of jobs. A job has those of the moment at which it begins, and keeps them;
 * of a file that is wrong nothing is taken. All else is of what the worker has opened, found and
 * said to its coordinator at its start.
 *
 * So are its keys: where the identity's file has others (dray-worker rotate), it drains, and begins
 * anew with these, as the same process. */
#include "config.h"

#include <errno.h>

#include "common/clock.h"
#include "worker/service_priv.h"

static const char *const again[] = { "job_time_s", "job_cpu_s", "job_processes", "job_open_files",
	"job_memory", "job_disk_max", "job_files_max", "job_file_max", "job_output_max",
	"job_tmp_max" };

static bool
counts_at_once(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(again); i++)
		if (streq(name, again[i]))
			return true;
	return false;
}

/* Names with a blank before each; NULL: there are none, or no memory. */
static char *
list(const struct strv *names, bool at_once)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	for (size_t i = 0; i < names->n; i++)
		if (counts_at_once(names->v[i]) == at_once)
			(void)buf_addf(&b, " %s", names->v[i]);
	return (char *)steal_ptr(b.p);
}

static void
say(const struct service *s, const struct conf *fresh)
{
	_cleanup_(strv_done) struct strv jobs = STRV_INIT;
	_cleanup_(strv_done) struct strv all = STRV_INIT;
	_cleanup_(freep) char *now = NULL, *later = NULL;

	/* what waits for a new start does so until there is one */
	if (conf_differs(s->up[0].shared.conf, fresh, "worker", &jobs) == 0)
		now = list(&jobs, true);
	if (conf_differs(s->conf, fresh, "worker", &all) == 0)
		later = list(&all, false);
	log_info("settings read again: for jobs from now on:%s", now ? now : " no change");
	if (later)
		log_warn("settings that count from the next start on:%s", later);
}

/* What jobs read of it beside their limits must agree with what runs. */
static void
keep(const struct conf *old, struct conf *fresh)
{
	fresh->worker.slots = old->worker.slots;
	fresh->worker.cores = old->worker.cores;
	fresh->worker.store_max = old->worker.store_max;
	fresh->worker.heartbeat_ms = old->worker.heartbeat_ms;
}

/* Of root's file the user that this process has become may read nothing. */
static void
look_at_keys(struct service *s)
{
	_cleanup_(identity_done) struct identity fresh = { .has_secret = false };
	const char *path = s->conf->worker.identity;
	int r = s->local || !path || !*path ? -ENOENT : identity_load(path, &fresh, NULL);

	if (s->draining || r == -ENOENT ||
		(r == 0 && streq(fresh.curve_public, s->identity.curve_public)))
		return;
	if (r < 0 || s->user.becomes) {
		log_info("%s is not read again: %s; other keys count from the next start on", path,
			r < 0 ? strerror(-r) : "this process is another user by now");
		return;
	}
	log_info("%s has other keys: running=%u jobs end, and it goes on with these", path,
		s->n_jobs - s->n_samples - s->n_pushes);
	s->again = true;
}

void
service_reload(struct service *s)
{
	_cleanup_(conf_freep) struct conf *fresh = NULL;
	_cleanup_(freep) char *error = NULL;
	int r;

	if (!s->life->load)
		return;
	notify_reloading(s->life->notify, clock_mono_us());
	r = s->life->load(s->life->arg, &fresh, &error);
	if (r < 0) {
		log_error(
			"the settings in use stay as they were: %s", error ? error : strerror(-r));
	} else {
		say(s, fresh);
		keep(s->conf, fresh);
		upstreams_use(s, fresh);
		ready_use(s->ready, s->up[0].shared.conf);
	}
	look_at_keys(s);
	notify_ready(s->life->notify);
}
