/* The worker's coordinators (proto/worker.proto, Several coordinators).
 *
 * Invariant: what one of them says changes nothing of another one's: a job, its ticket, its twins
 * and the blobs that it may name are those of the coordinator that has signed the ticket. Common to
 * all are the slots, which are the worker's own, and the bytes of its store. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/sysinfo.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/text/why.h"
#include "keys/join_word.h"
#include "toolchain/cpu.h"
#include "worker/service_priv.h"
#include "worker/share/loans.h"

#define MS_PER_S 1000

/* ---- their words */

static void
expect_client(void *arg, const Dray__WorkerExpect *m)
{
	struct upstream *up = arg;
	struct service *s = up->service;
	enum role role = role_parse(m->role);

	if (strlen(m->curve_public) != CURVE_KEY_SIZE - 1 ||
		(role != ROLE_CLIENT && role != ROLE_PUBLISHER) ||
		door_name(up->door, m->curve_public, role, m->namespace_, clock_mono_ms()) < 0)
		log_throttled(
			&s->bad_peer, 5, "a client that cannot be let in: %.64s", m->curve_public);
	else
		zap_again(s->zap, m->curve_public);
	door_set_on_trial(up->door, m->curve_public, m->on_trial);
	door_set_shares(up->door, m->curve_public, m->share);
}

static void
list_running(void *arg, struct strv *ret, struct strv *ret_twins)
{
	const struct upstream *up = arg;
	const struct service *s = up->service;

	for (unsigned i = 0; i < s->n_jobs; i++)
		if (upstream_of(s->jobs[i]) == up && !job_is_sample(s->jobs[i]) &&
			!job_is_push(s->jobs[i]))
			strv_add(job_is_twin(s->jobs[i]) ? ret_twins : ret, job_id(s->jobs[i]));
}

static void
cancel_job(void *arg, const char *job)
{
	const struct upstream *up = arg;
	const struct service *s = up->service;

	for (unsigned i = 0; i < s->n_jobs; i++)
		if (upstream_of(s->jobs[i]) == up && streq(job_id(s->jobs[i]), job))
			job_stop(s->jobs[i], "the coordinator says that nobody waits for it");
}

/* ---- who may what */

struct upstream *
upstream_of(const struct job *j)
{
	return job_arg(j);
}

bool
upstreams_name(const struct service *s, const char *curve, uint64_t now)
{
	for (size_t i = 0; i < s->n_up; i++)
		if (s->up[i].any_key || door_is_named(s->up[i].door, curve, now))
			return true;
	return false;
}

enum role
upstreams_role(const struct service *s, const struct wire_peer *p)
{
	enum role role = ROLE_NONE;

	if (!p->curve[0])
		return s->local ? ROLE_LOCAL : ROLE_NONE;
	for (size_t i = 0; role == ROLE_NONE && i < s->n_up; i++)
		role = s->up[i].any_key ? ROLE_CLIENT : door_role(s->up[i].door, p->curve);
	return role;
}

bool
upstream_names(const struct upstream *up, const struct wire_peer *p)
{
	return !*p->curve || up->any_key || door_role(up->door, p->curve) != ROLE_NONE;
}

static uint64_t
time_of(const struct upstream *up)
{
	return link_up_time(up->link, clock_mono_ms(), clock_wall_ms());
}

/* Its last word takes an earlier one back: it stays at hand, for its serial number. */
static bool
keeps_its_keys(const struct upstream *up)
{
	return streq(up->next.curve_public, up->identity.curve_public);
}

/* What it is to have afterwards, and from when on. Kept before it counts. */
static void
hear_successor(void *arg, const char *statement)
{
	struct upstream *up = arg;
	struct identity now;
	int r = successor_take(
		up->key, up->service->conf->worker.state_dir, time_of(up) / MS_PER_S, statement);

	if (r == -EALREADY)
		return;
	if (r < 0) {
		log_throttled(&up->service->bad_peer, 5,
			"%s: what it says of its next key is not taken: %s", up->at,
			r == -EKEYREJECTED ? "its key has not signed that"
			: r == -ESTALE	   ? "a later word of it is known"
					   : strerror(-r));
		return;
	}
	if (successor_load(up->key, up->service->conf->worker.state_dir, time_of(up) / MS_PER_S,
		    &now, &up->next, NULL) < 0)
		return;
	if (keeps_its_keys(up))
		log_info("%s keeps its keys", up->at);
	else
		log_info("%s has other keys in %lld s", up->at,
			(long long)(up->next.from_s - time_of(up) / MS_PER_S));
}

/* From that time on it is known by its next key alone: its tickets, too. */
static void
follow_successor(struct upstream *up)
{
	struct identity now;
	struct succession next;

	if (up->next.serial == 0 || keeps_its_keys(up) || time_of(up) / MS_PER_S < up->next.from_s)
		return;
	if (successor_load(up->key, up->service->conf->worker.state_dir, time_of(up) / MS_PER_S,
		    &now, &next, NULL) < 0)
		return;
	up->next = next;
	if (streq(now.curve_public, up->identity.curve_public))
		return;
	log_info("%s has other keys now", up->at);
	up->identity = now;
	whereabouts_set_key(&up->where, now.curve_public);
	keys_fingerprint(up->identity.curve_public, up->fingerprint);
	link_up_reconnect(up->link);
}

static const char *
own_key(const struct service *s)
{
	return s->local ? "" : s->identity.curve_public;
}

int
upstreams_issuer(struct service *s, const struct wire_peer *p, const Dray__JobOpen *o,
	struct upstream **ret, char **ret_job, struct ticket_terms *ret_terms)
{
	int r = -EKEYREJECTED;

	for (size_t i = 0; r == -EKEYREJECTED && i < s->n_up; i++) {
		*ret = &s->up[i];
		r = ticket_check((*ret)->tickets, o->ticket.data, o->ticket.len, o->signature.data,
			o->signature.len, (*ret)->identity.sign_public, p->curve, own_key(s),
			time_of(*ret), ret_job, ret_terms);
	}
	return r;
}

int
upstreams_getter(struct service *s, const struct wire_peer *p, const Dray__SharedGet *m,
	struct upstream **ret, char ret_owner[CURVE_KEY_SIZE])
{
	int r = -EOPNOTSUPP;

	for (size_t i = 0; (r == -EOPNOTSUPP || r == -EKEYREJECTED) && i < s->n_up; i++) {
		if (!s->up[i].serve)
			continue;
		*ret = &s->up[i];
		r = ticket_check_blobs(m->ticket.data, m->ticket.len, m->signature.data,
			m->signature.len, (*ret)->identity.sign_public, p->curve, own_key(s),
			time_of(*ret), ret_owner);
	}
	return r;
}

/* ---- set-up */

static int
identity_error(const char *what, const char *path, bool secret, const struct identity *ret, int r,
	unsigned line, char **ret_error)
{
	if (r == -EPERM)
		return why_set(ret_error, r,
			"%s %s: others can read these secret keys (chmod 600).", what, path);
	if (r == -EBADMSG)
		return why_set(ret_error, r, "%s %s: line %u: this is not an identity file.", what,
			path, line);
	if (r < 0)
		return why_set(ret_error, r, "%s %s: %s%s.", what, path, strerror(-r),
			r == -ENOENT && secret ? "; `dray keygen` makes one" : "");
	if (secret && !ret->has_secret)
		return why_set(ret_error, -EINVAL,
			"%s %s: the file with the secret keys is needed, not the .pub file.", what,
			path);
	return 0;
}

int
upstreams_load_identity(
	const char *what, const char *path, bool secret, struct identity *ret, char **ret_error)
{
	unsigned line = 0;
	int r = identity_load(path, ret, &line);

	return identity_error(what, path, secret, ret, r, line, ret_error);
}

static int
load_coordinator(struct upstream *up, uint64_t now_s, char **ret_error)
{
	unsigned line = 0;
	int r = successor_load(up->key, up->service->conf->worker.state_dir, now_s, &up->identity,
		&up->next, &line);

	return identity_error(
		"[worker] coordinator_key", up->key, false, &up->identity, r, line, ret_error);
}

/* One key of two coordinators would not tell whose job is whose. */
static int
check_other_keys(const struct service *s, size_t i, char **ret_error)
{
	for (size_t k = 0; k < i; k++)
		if (memcmp(s->up[k].identity.sign_public, s->up[i].identity.sign_public,
			    SIGN_KEY_SIZE) == 0)
			return why_set(ret_error, -EINVAL,
				"[worker] coordinator_key: %s and %s have one key (%s); each "
				"coordinator needs an identity of its own, since a ticket tells by "
				"its signature whose it is.",
				s->finding.on ? s->coordinators.v[k].key : s->up[k].at,
				s->finding.on ? "this one" : s->up[i].at, s->coordinators.v[i].key);
	return 0;
}

static int
load_one(struct service *s, size_t i, char **ret_error)
{
	struct upstream *up = &s->up[i];
	const char *key = s->coordinators.v[i].key;
	int r;

	up->service = s;
	up->at = s->finding.on ? up->found_at : s->coordinators.v[i].endpoint;
	whereabouts_init(&up->where);
	/* such a one cannot name any: then the ticket alone says who may what */
	up->any_key = endpoint_is_local(up->at);
	s->n_up = i + 1;
	if (!key)
		return why_set(ret_error, -EINVAL,
			"[worker] coordinator_key is not set: without the coordinator's public key "
			"no ticket can be checked (it is the .pub file beside its identity).");
	up->key = key;
	r = load_coordinator(up, clock_wall_ms() / MS_PER_S, ret_error);
	if (r == 0)
		r = check_other_keys(s, i, ret_error);
	if (r < 0)
		return r;
	whereabouts_set_key(&up->where, up->identity.curve_public);
	r = door_new(&up->door);
	if (r == 0)
		r = ticket_book_new(&up->tickets);
	if (r == 0)
		r = owners_new(OWNERS / s->coordinators.n, &up->owners);
	if (r == 0)
		r = tapes_new(&up->tapes);
	return r < 0 ? why_set(ret_error, r, "Cannot start: %s.", strerror(-r)) : 0;
}

int
upstreams_load(struct service *s, char **ret_error)
{
	int r = find_is_auto(s->conf->worker.coordinator)
			? finding_coordinators(s, ret_error)
			: coordinators_parse("worker", s->conf->worker.coordinator,
				  s->conf->worker.coordinator_key, &s->coordinators, ret_error);

	if (r == 0 && !(s->up = calloc(s->coordinators.n, sizeof(*s->up))))
		r = why_set(ret_error, -ENOMEM, "Out of memory.");
	for (size_t i = 0; r == 0 && i < s->coordinators.n; i++)
		r = load_one(s, i, ret_error);
	return r;
}

/* Names in there are those that the coordinator gives. */
static int
make_tmp(struct upstream *up)
{
	const struct service *s = up->service;
	size_t i = (size_t)(up - s->up);
	char name[32];

	snprintf(name, sizeof(name), "coordinator-%zu", i);
	up->tmp = i == 0 ? strdup(s->jobs_dir) : path_join(s->jobs_dir, name);
	if (!up->tmp)
		return -ENOMEM;
	return i == 0 ? 0 : fs_mkdir_p(up->tmp, 0700);
}

/* What a job that gets out of its sandbox could do with the worker's key concerns everybody who
 * believes it. */
static const char *
share_reason(const struct upstream *up)
{
	const struct service *s = up->service;

	if (!s->conf->worker.share)
		return "[worker] share is no";
	if (s->local || !s->identity.has_secret || !*up->identity.curve_public)
		return "this worker has no key that others could know";
	if (geteuid() == 0)
		return "this worker runs as root";
	if (!s->users)
		return "jobs have no uids of their own";
	return s->filters.trace.n > 0 ? NULL : "jobs are not traced";
}

static void
open_shares(struct upstream *up)
{
	struct service *s = up->service;
	const char *why = share_reason(up);
	const struct shares_conf c = { .conf = s->conf,
		.identity = &s->identity,
		.at = up->at,
		.moves = s->finding.on ? &up->where : NULL,
		.key = &up->where,
		.store = s->store,
		.tmp = up->tmp,
		.ctx = s->ctx };
	int r = why ? 0 : shares_open(&c, &up->share);

	if (why || r < 0)
		log_info("results are not shared by the coordinator's cache: %s",
			why ? why : strerror(-r));
}

static uint64_t
machine_memory(void)
{
	struct sysinfo si;

	return sysinfo(&si) == 0 ? (uint64_t)si.totalram * si.mem_unit : 0;
}

static int
open_link(struct upstream *up, char **ret_error)
{
	struct service *s = up->service;
	const char *advertise = s->conf->worker.advertise;
	const struct link_up_conf c = { .conf = s->conf,
		.at = up->at,
		.coordinator = &up->identity,
		.identity = &s->identity,
		.offers = &s->offers,
		.name = s->name,
		.endpoint = advertise && *advertise ? advertise : s->endpoint,
		.curve_public = own_key(s),
		.cores = s->cores,
		.slots = s->slots,
		.twins = s->filters.trace.n > 0 ? s->twins : 0,
		.memory = machine_memory(),
		.cpu = cpu_digest(&s->cpu) == 0 ? &s->cpu : NULL,
		.list_running = list_running,
		.cancel = cancel_job,
		.expect = expect_client,
		.samples = up->share != NULL,
		.lend = others_lend,
		.unshared = others_unshared,
		.peers = up->serve != NULL,
		.found = others_found,
		.takes_toolchains = s->conf->worker.toolchains_max > 0,
		.drop = given_drop,
		.successor = hear_successor,
		.arg = up };
	int r = link_up_new(s->ctx, &c, &up->link);

	return r < 0 ? why_set(ret_error, r, "Cannot connect to the coordinator %s: %s.", up->at,
			       zmq_strerror(-r))
		     : 0;
}

static void
fill_shared(struct upstream *up)
{
	struct service *s = up->service;

	up->shared = (struct job_shared){ .ctx = s->ctx,
		.credit = MAX2(4u, MIN2(64u, 128 / s->slots)),
		.conf = conf_ref(s->conf),
		.jobs_dir = s->jobs_dir,
		.tools_dir = s->tools_dir,
		.filters = &s->filters,
		.name = s->name,
		.store = s->store,
		.tokens = &s->tokens,
		.owners = up->owners,
		.tapes = up->tapes,
		.cgroup = s->cgroup,
		.users = s->users,
		.ready = s->ready,
		.share = up->share,
		.seeker = up->seeker,
		.arg = up };
}

int
upstreams_open(struct service *s, char **ret_error)
{
	for (size_t i = 0; i < s->n_up; i++) {
		struct upstream *up = &s->up[i];
		int r = make_tmp(up);

		if (r < 0)
			return why_set(ret_error, r, "%s: %s.", s->jobs_dir, strerror(-r));
		finding_begin(up);
		/* the coordinator hears whether there are any */
		open_shares(up);
		others_open(up);
		r = open_link(up, ret_error);
		if (r < 0)
			return r;
		fill_shared(up);
	}
	return 0;
}

void
upstreams_use(struct service *s, struct conf *conf)
{
	for (size_t i = 0; i < s->n_up; i++) {
		conf_unrefp(&s->up[i].shared.conf);
		s->up[i].shared.conf = conf_ref(conf);
	}
}

void
upstreams_close(struct service *s)
{
	for (size_t i = 0; i < s->n_up; i++) {
		shares_closep(&s->up[i].share);
		seeker_closep(&s->up[i].seeker);
		serve_closep(&s->up[i].serve);
		link_up_free(steal_ptr(s->up[i].link));
	}
}

void
upstreams_done(struct service *s)
{
	for (size_t i = 0; i < s->n_up; i++) {
		struct upstream *up = &s->up[i];

		conf_unrefp(&up->shared.conf);
		owners_freep(&up->owners);
		tapes_freep(&up->tapes);
		ticket_book_free(up->tickets);
		door_free(up->door);
		identity_done(&up->identity);
		whereabouts_done(&up->where);
		free(up->tmp);
	}
	free(steal_ptr(s->up));
	s->n_up = 0;
	coordinators_done(&s->coordinators);
}

/* ---- between */

size_t
upstreams_items(const struct service *s, zmq_pollitem_t *items)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_up; i++) {
		const struct upstream *up = &s->up[i];

		if (link_up_socket(up->link)) {
			items[n++] = (zmq_pollitem_t){ .socket = link_up_socket(up->link),
				.events = ZMQ_POLLIN };
			items[n++] = (zmq_pollitem_t){ .socket = link_up_monitor(up->link),
				.events = ZMQ_POLLIN };
		}
		if (up->share)
			items[n++] = (zmq_pollitem_t){ .fd = loans_fd(shares_loans(up->share)),
				.events = ZMQ_POLLIN };
		if (up->serve)
			items[n++] = (zmq_pollitem_t){ .fd = serve_fd(up->serve),
				.events = ZMQ_POLLIN };
		if (up->seeker)
			items[n++] = (zmq_pollitem_t){ .fd = seeker_fd(up->seeker),
				.events = ZMQ_POLLIN };
	}
	return n;
}

uint64_t
upstreams_wait(const struct service *s, uint64_t now)
{
	uint64_t wait = UINT64_MAX;

	for (size_t i = 0; i < s->n_up; i++)
		wait = MIN2(wait, link_up_wait(s->up[i].link, now));
	return wait;
}

static unsigned
slots_of(const struct service *s, const struct upstream *up)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_jobs; i++)
		n += upstream_of(s->jobs[i]) == up && !job_is_twin(s->jobs[i]) &&
		     !job_is_sample(s->jobs[i]) && !job_is_push(s->jobs[i]);
	return n;
}

void
upstreams_step(struct service *s)
{
	struct store_stats stats = { .bytes = 0 };
	bool wanted = false;

	finding_step(s, clock_mono_ms());
	(void)store_get_stats(s->store, &stats);
	for (size_t i = 0; i < s->n_up; i++) {
		struct upstream *up = &s->up[i];
		struct link_up_news news = { .running = s->n_jobs - s->n_twins - s->n_samples -
							s->n_pushes,
			.coordinators = upstreams_welcomed(s),
			.store_bytes = stats.bytes };

		news.elsewhere = s->n_up > 1 ? news.running - slots_of(s, up) : 0;
		follow_successor(up);
		link_up_step(up->link, clock_mono_ms(), clock_wall_ms(), &news);
		others_ask(up);
		tapes_tick(up->tapes, clock_mono_ms());
		wanted |= link_up_wanted(up->link);
		s->was_welcomed |= link_up_welcomed(up->link);
	}
	for (size_t i = 0; i < s->n_up; i++)
		__atomic_store_n(&s->up[i].shared.wanted, wanted, __ATOMIC_RELAXED);
}

unsigned
upstreams_welcomed(const struct service *s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s->n_up; i++)
		n += link_up_welcomed(s->up[i].link);
	return n;
}

bool
upstreams_refused(const struct service *s)
{
	/* another one may be announced with the key's fingerprint */
	if (s->finding.on)
		return false;
	for (size_t i = 0; i < s->n_up; i++)
		if (!link_up_refusal(s->up[i].link))
			return false;
	return !s->was_welcomed;
}

void
upstreams_bye(struct service *s, const char *why)
{
	for (size_t i = 0; i < s->n_up; i++)
		link_up_bye(s->up[i].link, why);
}

void
upstreams_linger(const struct service *s, int ms)
{
	for (size_t i = 0; i < s->n_up; i++)
		if (link_up_socket(s->up[i].link))
			zmq_setsockopt(link_up_socket(s->up[i].link), ZMQ_LINGER, &ms, sizeof(ms));
}
