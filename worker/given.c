/* The toolchains that clients gave this worker: what is kept of them, and for how long.
 *
 * Invariants: together they are no larger than [worker] toolchains_max, and no more than GIVEN_MAX,
 * but for as long as jobs have those that are to go; none is kept that no job has had for
 * toolchains_days; one that a job has is not removed; one is
 * offered only after it was proved by this process (worker/push/assembly.h). */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/fs.h"
#include "worker/push/assembly.h"
#include "worker/service_priv.h"

#define GIVEN_MAX 64
#define DAY_MS UINT64_C(86400000)

struct kept {
	uint64_t bytes, in_use; /* in_use: of those that jobs have */
	size_t n;
};

static struct kept
count_kept(const struct service *s)
{
	struct kept k = { 0 };

	for (size_t i = 0; i < s->offers.n; i++) {
		const struct offer *o = s->offers.v[i];

		if (!o->pushed || o->removed)
			continue;
		k.n++;
		k.bytes += o->bytes;
		k.in_use += o->users > 0 ? o->bytes : 0;
	}
	return k;
}

/* Nobody gets it any more; its directory goes when its last job has ended. */
static void
drop(struct service *s, struct offer *o, const char *why)
{
	if (!offer_is_withdrawn(o)) {
		offer_withdraw(o);
		log_info("toolchain dropped: %s: %s", o->text, why);
	}
	if (o->users > 0 || o->removed)
		return;
	o->removed = true;
	assembly_remove(s->conf->worker.state_dir, o);
}

/* The one that has not been used for the longest time, and that no job has; not this one. */
static struct offer *
least_used(const struct service *s, const struct offer *but)
{
	struct offer *best = NULL;

	for (size_t i = 0; i < s->offers.n; i++) {
		struct offer *o = s->offers.v[i];

		if (o != but && o->pushed && !o->removed && o->users == 0 &&
			(!best || o->used_ms < best->used_ms))
			best = o;
	}
	return best;
}

bool
given_has_room(const struct service *s, uint64_t bytes)
{
	uint64_t max = s->conf->worker.toolchains_max;

	return bytes <= max && count_kept(s).in_use <= max - bytes;
}

bool
given_still_has(const struct service *s, const ProtobufCBinaryData *id)
{
	for (size_t i = 0; i < s->offers.n; i++) {
		const struct offer *o = s->offers.v[i];

		if (o->pushed && !o->removed && id->len == DIGEST_SIZE &&
			memcmp(o->toolchain.id.b, id->data, DIGEST_SIZE) == 0)
			return true;
	}
	return false;
}

/* Drops what is too much, but not `new`, for which room is made. */
static void
trim(struct service *s, const struct offer *new)
{
	struct kept k = count_kept(s);

	while (k.bytes > s->conf->worker.toolchains_max || k.n > GIVEN_MAX) {
		struct offer *o = least_used(s, new);

		if (!o)
			return;
		drop(s, o, "another one needs its room");
		k = count_kept(s);
	}
}

void
given_use(struct service *s, struct offer *o)
{
	(void)s;
	if (!o)
		return;
	o->users++;
	assembly_used(o);
}

void
given_leave(struct service *s, struct offer *o)
{
	if (!o)
		return;
	o->users--;
	if (o->pushed && offer_is_withdrawn(o))
		drop(s, o, "its last job has ended");
	if (o->pushed)
		trim(s, NULL);
}

void
given_take(struct service *s, struct offer *o)
{
	if (!o)
		return;
	o->used_ms = clock_wall_ms();
	if (offers_get(&s->offers, &o->toolchain.id) || offers_add(&s->offers, o) < 0) {
		offer_free(o);
		return;
	}
	log_info("toolchain given by a client, and proved: %s bytes=%llu", o->text,
		(unsigned long long)o->bytes);
	trim(s, o);
}

/* A clock that goes ahead for a moment may cost a toolchain, which is given again then. */
void
given_age(struct service *s, uint64_t wall_ms)
{
	const uint64_t most = s->conf->worker.toolchains_days * DAY_MS;

	for (size_t i = 0; most > 0 && i < s->offers.n; i++) {
		struct offer *o = s->offers.v[i];

		if (o->pushed && !o->removed && o->users == 0 && wall_ms > o->used_ms &&
			wall_ms - o->used_ms >= most)
			drop(s, o, "no job has had it for long ([worker] toolchains_days)");
	}
}

void
given_drop(void *arg, const Dray__WorkerDrop *m)
{
	struct service *s = ((struct upstream *)arg)->service;
	struct digest id;
	struct offer *o;

	if (m->toolchain.len != DIGEST_SIZE)
		return;
	memcpy(id.b, m->toolchain.data, DIGEST_SIZE);
	o = offers_get(&s->offers, &id);
	if (o && o->pushed)
		drop(s, o, "an admin has it removed");
}

static void
open_one(struct service *s, const char *dir, const char *name)
{
	const struct trial_conf c = { .conf = s->conf,
		.jobs_dir = s->jobs_dir,
		.tools_dir = s->tools_dir,
		.filters = &s->filters,
		.users = s->users,
		.cgroup = s->cgroup };
	_cleanup_(freep) char *path = path_join(dir, name), *why = NULL;
	struct offer *o = NULL;
	struct digest id;
	int r;

	if (!path)
		return;
	/* what was not whole, or was to be removed */
	r = digest_parse(name, &id) == 0 ? assembly_prove(&c, path, &id, "try", &o, &why)
					 : -EBADMSG;
	if (r == 0 && offers_get(&s->offers, &id)) {
		/* this worker has found it itself since */
		assembly_remove(s->conf->worker.state_dir, o);
		offer_free(o);
	} else if (r == 0 && offers_add(&s->offers, o) < 0) {
		offer_free(o);
	} else if (r == 0) {
		log_info("toolchain given by a client: %s", o->text);
	} else {
		if (*name != '.')
			log_warn("%s: it is removed: %s", path, why ? why : strerror(-r));
		(void)fs_rm_rf(path);
	}
}

void
given_open(struct service *s)
{
	_cleanup_(freep) char *dir = path_join(s->conf->worker.state_dir, ASSEMBLY_DIR);
	_cleanup_(strv_done) struct strv names = STRV_INIT;

	if (!dir || fs_list_dir(dir, &names) < 0)
		return;
	for (size_t i = 0; i < names.n; i++)
		if (s->conf->worker.toolchains_max > 0)
			open_one(s, dir, names.v[i]);
	trim(s, NULL);
}
