/* SIGHUP: what of the settings can change while the coordinator runs, and what of that others ask
 * for: quotas of namespaces. Of a file that is wrong nothing is taken. */
#include "config.h"

#include <errno.h>
#include <limits.h>

#include "common/buf.h"
#include "coordinator/cache/desk.h"
#include "coordinator/server.h"
#include "coordinator/server_priv.h"

static const char *const again[] = { "cache_size", "cache_sizes", "quota_slots", "quota_queue",
	"quota_upload" };

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
say(const struct server *s, const struct conf *fresh)
{
	_cleanup_(strv_done) struct strv quotas = STRV_INIT;
	_cleanup_(strv_done) struct strv all = STRV_INIT;
	_cleanup_(freep) char *now = NULL, *later = NULL;

	if (conf_differs(s->limits, fresh, "coordinator", &quotas) == 0)
		now = list(&quotas, true);
	if (conf_differs(s->conf, fresh, "coordinator", &all) == 0)
		later = list(&all, false);
	log_info("settings read again: from now on:%s", now ? now : " no change");
	if (later)
		log_warn("settings that count from the next start on:%s", later);
}

void
server_on_reload(struct server *s, server_load_fn load, void *arg)
{
	s->load = load;
	s->load_arg = arg;
}

void
settings_reload(struct server *s)
{
	_cleanup_(conf_freep) struct conf *fresh = NULL;
	_cleanup_(freep) char *error = NULL;
	int r;

	if (!s->load)
		return;
	r = s->load(s->load_arg, &fresh, &error);
	if (r < 0) {
		log_error(
			"the settings in use stay as they were: %s", error ? error : strerror(-r));
		return;
	}
	say(s, fresh);
	if (s->desk)
		desk_use(s->desk, fresh);
	s->limits = fresh;
	conf_free(s->reloaded);
	s->reloaded = steal_ptr(fresh);
	sched_quotas_changed(s->sched, s->now);
}

void
settings_end(struct server *s)
{
	conf_free(s->reloaded);
}

void
settings_quota(void *arg, const char *space, struct sched_quota *ret)
{
	const struct server *s = arg;

	ret->slots = (unsigned)MIN2(
		conf_quota_get(s->limits->coordinator.quota_slots, space), (uint64_t)INT_MAX);
	ret->queue = conf_quota_get(s->limits->coordinator.quota_queue, space);
}
