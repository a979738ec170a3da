/* Where coordinators are of which only the keys are known (`[worker] coordinator = auto`).
 *
 * The main loop never waits for the network: dray-avahi looks, in a process of its own, and leaves
 * a file. Invariant: a coordinator is moved only while there is no link to it, and to an endpoint
 * that was announced with its key's fingerprint; which one it really is shows in the handshake. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/text/why.h"
#include "worker/service_priv.h"

#define LOOK_MS 1000  /* at the file, while a link is lacking */
#define AGAIN_MS 5000 /* between starts of dray-avahi, likewise */
#define TRY_MS 5000   /* that an endpoint has to answer, where there is another one */

int
finding_coordinators(struct service *s, char **ret_error)
{
	_cleanup_(strv_done) struct strv keys = STRV_INIT;
	int r = coordinators_split(s->conf->worker.coordinator_key, true, &keys);

	if (r == 0 && keys.n == 0)
		return why_set(ret_error, -EINVAL,
			"[worker] coordinator is auto, and coordinator_key names no key: what is "
			"found on the network is used only if its key is known (dray-worker join "
			"TOKEN).");
	for (size_t i = 0; r == 0 && i < keys.n && i < COORDINATORS_MAX; i++) {
		struct coordinator_at *c = &s->coordinators.v[s->coordinators.n++];

		r = str_copy("", &c->endpoint);
		if (r == 0)
			r = str_copy(keys.v[i], &c->key);
	}
	s->finding.on = true;
	return r < 0 ? why_set(ret_error, r, "Out of memory.") : 0;
}

static void
move(struct upstream *up, const char *endpoint, uint64_t now)
{
	whereabouts_set(&up->where, endpoint);
	snprintf(up->found_at, sizeof(up->found_at), "%s", endpoint);
	up->moved_ms = now;
}

/* Where it is thought to be now; NULL: where it was, or nowhere. */
static const char *
elsewhere(const struct upstream *up, const struct found *f, uint64_t now)
{
	const char *next;

	if (*up->at && find_has(f, up->fingerprint, up->at) && now < up->moved_ms + TRY_MS)
		return NULL;
	next = find_next(f, up->fingerprint, up->at);
	return next && !streq(next, up->at) ? next : NULL;
}

void
finding_begin(struct upstream *up)
{
	const struct service *s = up->service;
	_cleanup_(freep) struct found *f = calloc(1, sizeof(*f));
	const char *at;
	uint64_t age;

	if (!s->finding.on)
		return;
	keys_fingerprint(up->identity.curve_public, up->fingerprint);
	if (!f || find_read(s->conf->worker.state_dir, f, &age) < 0)
		return;
	at = find_next(f, up->fingerprint, "");
	if (at)
		move(up, at, clock_mono_ms());
}

static bool
any_lacks(const struct service *s)
{
	for (size_t i = 0; i < s->n_up; i++)
		if (!link_up_welcomed(s->up[i].link))
			return true;
	return false;
}

static void
tell(struct service *s, const struct found *f)
{
	const char *why = *f->why ? f->why : "";

	if (streq(why, s->finding.told))
		return;
	snprintf(s->finding.told, sizeof(s->finding.told), "%s", why);
	if (*why)
		log_info("discovery: no coordinator can be found: %s", why);
}

static void
look(struct service *s, const struct found *f, uint64_t now)
{
	for (size_t i = 0; i < s->n_up; i++) {
		struct upstream *up = &s->up[i];
		const char *at = link_up_welcomed(up->link) ? NULL : elsewhere(up, f, now);

		if (!at)
			continue;
		log_throttled(&s->finding.moves, 10,
			"discovery: the coordinator with the key %s is tried at %s",
			up->fingerprint, at);
		move(up, at, now);
		link_up_moved(up->link);
	}
}

void
finding_step(struct service *s, uint64_t now)
{
	_cleanup_(freep) struct found *f = NULL;
	const char *dir = s->conf->worker.state_dir;
	uint64_t age;

	if (!s->finding.on || now < s->finding.next_ms)
		return;
	s->finding.next_ms = now + LOOK_MS;
	if (!any_lacks(s)) {
		/* it is collected */
		if (s->finding.helper > 0 && waitpid(s->finding.helper, NULL, WNOHANG) != 0)
			s->finding.helper = 0;
		return;
	}
	(void)find_again(dir, AGAIN_MS, &s->finding.helper);
	f = calloc(1, sizeof(*f));
	if (!f || find_read(dir, f, &age) < 0)
		return;
	tell(s, f);
	look(s, f, now);
}
