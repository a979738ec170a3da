/* What admins ask for (proto/admin.proto). Invariant: whatever an admin does, or somebody else
 * tries to, is in the log, in a file of coordinator/admin/audit.h, and among the events, before
 * it is answered. */
#include "config.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/users.h"
#include "coordinator/server_priv.h"

#define EVENTS_IN_ONE 256 /* AdminEvents.event */
#define TRIED_MS 60000	  /* of those that may not, so many are written down in that time: */
#define TRIED_MAX 32	  /* the file is bounded, and is not theirs to fill */

/* ---- the socket */

static int
listen_on(struct server *s, const char *path)
{
	_cleanup_(freep) char *endpoint = NULL;
	int r = fs_mkdir_parent(path, 0700);

	if (r == 0 && asprintf(&endpoint, "ipc://%s", path) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = socket_listen_own(s->ctx, ADMIT_COORDINATOR, endpoint,
			(int)s->conf->coordinator.heartbeat_ms, &s->admin_socket,
			&s->admin_monitor);
	return r;
}

static void
open_door(struct server *s)
{
	_cleanup_(freep) char *path = conf_admin_socket(s->conf);
	int r;

	if (!path) {
		log_warn("there is no directory for the admins' socket: set [coordinator] "
			 "admin_socket");
		return;
	}
	r = listen_on(s, path);
	if (r < 0)
		log_warn("%s: no socket for admins: %s", path,
			r == -EADDRINUSE ? "another coordinator listens there" : strerror(-r));
	else
		log_info("admins of this machine: socket=%s", path);
	if (r == 0 && lstat(path, &s->admin_file) == 0)
		s->admin_path = steal_ptr(path);
}

/* What lies there may be another's by now: who moved this one's away need not ask. */
static void
remove_door(struct server *s)
{
	struct stat st;

	if (s->admin_path && lstat(s->admin_path, &st) == 0 && st.st_dev == s->admin_file.st_dev &&
		st.st_ino == s->admin_file.st_ino)
		(void)unlink(s->admin_path);
	free(steal_ptr(s->admin_path));
}

/* What cannot be read is not written over: what admins have said is in it. */
void
admin_put_aside(const char *dir, const char *file, const char *what, const char *now, int error)
{
	_cleanup_(freep) char *path = path_join(dir, file), *bad = NULL;

	if (path && asprintf(&bad, "%s.bad", path) < 0)
		bad = NULL;
	if (!bad)
		return;
	log_error("%s: what admins have said of %s cannot be read: %s; it is %s now, and %s", path,
		what, error == -EBADMSG ? "a line is wrong" : strerror(-error),
		rename(path, bad) == 0 ? bad : "in the way", now);
}

void
admin_start(struct server *s)
{
	const char *dir = s->conf->coordinator.cache_dir;
	int r = events_new(&s->events);

	if (r < 0)
		log_error_errno(r, "nothing of what happens is kept for those that follow it");
	r = dir ? standings_load(dir, &s->standings) : 0;
	if (r < 0)
		admin_put_aside(
			dir, STANDING_FILE, "workers", "no worker is drained or removed", r);
	r = dir ? pins_load(dir, toolchains_pins(s->toolchains)) : 0;
	if (r < 0)
		admin_put_aside(
			dir, PINS_FILE, "toolchains", "none is pinned: jobs of all are taken", r);
	r = tokens_start(s);
	if (r < 0)
		admin_put_aside(dir, JOIN_TOKENS_FILE, "tokens", "nobody joins by one", r);
	open_door(s);
}

void
admin_end(struct server *s)
{
	events_free(s->events);
	s->events = NULL;
	standings_done(&s->standings);
	join_tokens_done(&s->tokens);
	/* libzmq leaves it. While this one still listens: afterwards it may be the next
	 * coordinator's. */
	remove_door(s);
	monitor_free(steal_ptr(s->admin_monitor));
	socket_closep(&s->admin_socket);
}

/* ---- who it is, and what is written down */

static void
who_of_socket(int fd, struct admin_who *ret)
{
	_cleanup_(freep) char *name = NULL, *home = NULL;
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0) {
		snprintf(ret->from, sizeof(ret->from), "socket");
		return;
	}
	snprintf(ret->from, sizeof(ret->from), "socket uid=%u pid=%d", (unsigned)peer.uid,
		(int)peer.pid);
	if (users_find(peer.uid, &name, &home) == 0)
		clean_text(name, ret->name, sizeof(ret->name));
}

void
admin_who_is(const struct server *s, const struct wire_peer *from, struct admin_who *ret)
{
	const struct allowed_key *k;

	*ret = (struct admin_who){ .name = "" };
	if (!from->curve[0]) {
		who_of_socket(from->fd, ret);
		return;
	}
	k = allowed_keys_find(&s->keys, from->curve);
	snprintf(ret->name, sizeof(ret->name), "%s", k ? k->name : "");
	snprintf(ret->from, sizeof(ret->from), "key %s", from->curve);
}

void
admin_note(struct server *s, const struct admin_who *who, const char *act, const char *what,
	enum audit_result result, const char *why)
{
	const char *dir = s->conf->coordinator.cache_dir;
	struct event e = { .kind = EVENT_ADMIN, .good = result == AUDIT_DONE };
	struct audit_line line = { .at_ms = clock_wall_ms(),
		.who = who->name,
		.from = who->from,
		.act = act,
		.what = what,
		.result = result,
		.why = why };
	int r;

	log_info("admin: who=%s from=\"%s\" act=\"%s\" what=\"%s\" result=%s%s%s",
		*who->name ? who->name : "-", who->from, act, CLEAN(what),
		audit_result_name(result), *why ? ": " : "", CLEAN(why));
	r = dir ? audit_append(dir, &line) : -ENOENT;
	if (r < 0)
		log_throttled(&s->no_audit, 5, "the admins' acts cannot be written down in %s: %s",
			dir ? dir : "a file", strerror(-r));
	clean_text(*who->name ? who->name : who->from, e.who, sizeof(e.who));
	snprintf(e.text, sizeof(e.text), "%s %s: %s%s%s", act, CLEAN(what),
		audit_result_name(result), *why ? ": " : "", CLEAN(why));
	tell_event(s, &e);
}

static void
write_down(struct server *s, const struct wire_peer *from, const char *act, const char *what,
	enum audit_result result, const char *why)
{
	struct admin_who who;

	admin_who_is(s, from, &who);
	admin_note(s, &who, act, what, result, why);
}

/* Of those that may not, so many are written down. */
static void
write_refused(struct server *s, const struct wire_peer *from, const char *act, const char *what,
	const char *why)
{
	char text[700];

	if (s->now - s->tried_from_ms >= TRIED_MS) {
		s->tried_from_ms = s->now;
		s->tried = 0;
	}
	if (s->tried++ >= TRIED_MAX) {
		s->tried_unsaid++;
		return;
	}
	snprintf(text, sizeof(text), "%s%s", why,
		s->tried_unsaid ? "; more were not written down" : "");
	s->tried_unsaid = 0;
	write_down(s, from, act, what, AUDIT_REFUSED, text);
}

void
admin_joined(struct server *s, const struct wire_peer *from, const char *what)
{
	write_down(s, from, "join", what, AUDIT_DONE, "");
}

void
admin_join_refused(
	struct server *s, const struct wire_peer *from, const char *what, const char *why)
{
	write_refused(s, from, "join", what, why);
}

void
admin_rotated(struct server *s, const struct wire_peer *from, const char *what)
{
	write_down(s, from, "key rotate", what, AUDIT_DONE, "");
}

void
admin_rotate_refused(
	struct server *s, const struct wire_peer *from, const char *what, const char *why)
{
	write_refused(s, from, "key rotate", what, why);
}

void
admin_refused(struct server *s, const struct wire_peer *from, const char *act, const char *why)
{
	write_refused(s, from, act, "", why);
}

/* ---- acts on workers */

struct outcome {
	enum audit_result result;
	Dray__Verdict verdict;
	unsigned running;
	bool keys; /* the list of keys is another now */
	char text[512];
	struct token_made made;
};

/* Returns false, for a handler to return. */
static bool _printf_(3, 4) refuse(struct outcome *o, Dray__Verdict verdict, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(o->text, sizeof(o->text), fmt, ap);
	va_end(ap);
	o->result = verdict == DRAY__VERDICT__VERDICT_NO_ROOM ? AUDIT_FAILED : AUDIT_REFUSED;
	o->verdict = verdict;
	return false;
}

/* A worker that is meant by name: here, of an earlier word, or by the list of keys. */
struct meant {
	struct sched_worker *w; /* NULL: not here */
	const char *curve;
};

static bool
find_worker(struct server *s, const char *name, struct meant *ret, struct outcome *o)
{
	const struct standing_worker *said = standings_find(&s->standings, name);
	struct sched_worker_view view;

	*ret = (struct meant){ sched_worker_find(s->sched, name), "" };
	if (ret->w) {
		sched_worker_get(ret->w, &view);
		ret->curve = view.curve;
		return true;
	}
	if (said) {
		ret->curve = said->curve;
		return true;
	}
	for (size_t i = 0; i < s->keys.n; i++)
		if (s->keys.v[i].role == ROLE_WORKER && streq(s->keys.v[i].name, name)) {
			ret->curve = s->keys.v[i].curve_public;
			/* not one that it had before, if there is another */
			if (!s->keys.v[i].until_s)
				break;
		}
	if (*ret->curve)
		return true;
	return refuse(o, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
		"no worker %s is here, or was named (drayctl workers lists them)", CLEAN(name));
}

static bool
keep_standing(
	struct server *s, const char *name, const char *curve, enum standing is, struct outcome *o)
{
	const char *dir = s->conf->coordinator.cache_dir;
	char copy[CURVE_KEY_SIZE];
	int r;

	snprintf(copy, sizeof(copy), "%s", curve); /* it may lie in the list */
	r = standings_set(&s->standings, name, copy, is);
	if (r == 0)
		r = dir ? standings_save(dir, &s->standings) : -ENOENT;
	if (r == -ENOSPC)
		return refuse(o, DRAY__VERDICT__VERDICT_NO_ROOM,
			"%d workers are drained or removed: resume some that are gone",
			STANDING_MAX);
	if (r < 0)
		return refuse(o, DRAY__VERDICT__VERDICT_NO_ROOM,
			"it holds until this coordinator ends, but cannot be written to %s/%s: %s",
			dir ? dir : "(no directory)", STANDING_FILE, strerror(-r));
	return true;
}

static unsigned
count_running(struct sched_worker *w)
{
	struct sched_worker_view view;

	if (!w)
		return 0;
	sched_worker_get(w, &view);
	return view.used + view.twins;
}

static bool
do_drain(struct server *s, const struct wire_peer *from, const Dray__AdminAct *m, struct outcome *o)
{
	struct meant meant;

	(void)from;
	if (!find_worker(s, m->worker, &meant, o))
		return false;
	if (standings_get(&s->standings, m->worker, meant.curve) == STANDING_REMOVED)
		return refuse(o, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"%s is removed (drayctl resume takes it back)", m->worker);
	if (meant.w)
		sched_worker_drain(s->sched, meant.w, s->now);
	o->running = count_running(meant.w);
	if (!keep_standing(s, m->worker, meant.curve, STANDING_DRAINED, o))
		return false;
	if (!meant.w)
		snprintf(o->text, sizeof(o->text), "%s gets no jobs when it comes", m->worker);
	else
		snprintf(o->text, sizeof(o->text), "%s gets no new jobs; %u run there", m->worker,
			o->running);
	tell_worker(s, m->worker, "drained by an admin");
	return true;
}

/* Workers that were refused keep their connection; a new one makes them say again who they are. */
static void
let_in_again(struct server *s)
{
	struct table_node *node;

	for (node = table_walk(&s->peers, NULL); node; node = table_walk(&s->peers, node)) {
		struct peer *p = table_entry(node, struct peer, by_id);

		if (p->barred && p->state == ADMIT_DROPPED)
			monitor_end(peer_monitor(s, &p->wire), &p->wire, s->now);
	}
}

static bool
do_resume(
	struct server *s, const struct wire_peer *from, const Dray__AdminAct *m, struct outcome *o)
{
	struct meant meant;
	enum standing was;
	struct sched_worker_view view;
	const struct peer *p = NULL;

	(void)from;
	if (!find_worker(s, m->worker, &meant, o))
		return false;
	was = standings_get(&s->standings, m->worker, meant.curve);
	if (sched_worker_believe(s->sched, m->worker, s->now) && was == STANDING_FREE) {
		snprintf(o->text, sizeof(o->text), "%s gets jobs of all toolchains that it offers",
			m->worker);
		return true;
	}
	if (was == STANDING_FREE)
		return refuse(o, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"%s is neither drained nor removed", m->worker);
	if (meant.w) {
		sched_worker_get(meant.w, &view);
		p = peer_by_serial(s, view.tag);
	}
	if (!keep_standing(s, m->worker, meant.curve, STANDING_FREE, o))
		return false;
	if (meant.w && !(p && p->leaving))
		sched_worker_resume(s->sched, meant.w, s->now);
	if (was == STANDING_REMOVED)
		let_in_again(s);
	snprintf(o->text, sizeof(o->text), "%s %s", m->worker,
		p && p->leaving ? "takes nothing more, as it says itself: it is about to end"
		: meant.w	? "gets jobs again"
				: "is taken when it comes");
	tell_worker(s, m->worker, "resumed by an admin");
	return true;
}

static bool
do_remove(
	struct server *s, const struct wire_peer *from, const Dray__AdminAct *m, struct outcome *o)
{
	struct meant meant;
	struct sched_worker_view view;
	struct peer *p;

	(void)from;
	if (!find_worker(s, m->worker, &meant, o))
		return false;
	o->running = count_running(meant.w);
	if (o->running > 0 && !m->now)
		return refuse(o, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"%u jobs run on %s: drain it first (drayctl drain --wait %s), or say "
			"--now: what runs goes on between client and worker",
			o->running, m->worker, m->worker);
	if (!keep_standing(s, m->worker, meant.curve, STANDING_REMOVED, o))
		return false;
	snprintf(o->text, sizeof(o->text),
		"%s is let in no more, until drayctl resume %s; its key is still in the list",
		m->worker, m->worker);
	tell_worker(s, m->worker, "removed by an admin");
	if (!meant.w)
		return true;
	/* that its jobs are lost here is not its fault */
	sched_worker_drain(s->sched, meant.w, s->now);
	sched_worker_get(meant.w, &view);
	p = peer_by_serial(s, view.tag);
	if (p)
		admin_bar(s, &p->wire, p, m->worker);
	return true;
}

void
admin_bar(struct server *s, const struct wire_peer *from, struct peer *p, const char *name)
{
	server_refuse(s, from, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
		"An admin has removed the worker %s from this farm; drayctl resume %s takes it "
		"back.",
		name, name);
	p->barred = true;
}

static bool
do_key(struct server *s, const struct wire_peer *from, const Dray__AdminAct *m, struct outcome *o)
{
	bool add = m->what == DRAY__ADMIN_WHAT__ADMIN_KEY_ADD;
	int r;

	if (!m->key)
		return refuse(o, DRAY__VERDICT__VERDICT_MALFORMED, "no key is named");
	r = add ? admin_key_add(s, m->key, o->text, sizeof(o->text))
		: admin_key_revoke(s, from, m->key, o->text, sizeof(o->text));
	if (r < 0) {
		o->result = r == -EINVAL || r == -EBADMSG || r == -ENOENT ? AUDIT_REFUSED
									  : AUDIT_FAILED;
		o->verdict = o->result == AUDIT_REFUSED ? DRAY__VERDICT__VERDICT_NOT_ALLOWED
							: DRAY__VERDICT__VERDICT_NO_ROOM;
		return false;
	}
	o->keys = true;
	return true;
}

static bool
do_succeed(
	struct server *s, const struct wire_peer *from, const Dray__AdminAct *m, struct outcome *o)
{
	int r = admin_succeed(s, m, o->text, sizeof(o->text));

	(void)from;
	if (r == 0)
		return true;
	o->result = r == -EINVAL || r == -ENOENT ? AUDIT_REFUSED : AUDIT_FAILED;
	o->verdict = o->result == AUDIT_REFUSED ? DRAY__VERDICT__VERDICT_NOT_ALLOWED
						: DRAY__VERDICT__VERDICT_NO_ROOM;
	return false;
}

static bool
do_toolchain(
	struct server *s, const struct wire_peer *from, const Dray__AdminAct *m, struct outcome *o)
{
	int r = (m->what == DRAY__ADMIN_WHAT__ADMIN_TOOLCHAIN_PIN ? toolchains_pin
		 : m->what == DRAY__ADMIN_WHAT__ADMIN_TOOLCHAIN_UNPIN
			 ? toolchains_unpin
			 : toolchains_remove)(s, m->toolchain, o->text, sizeof(o->text));

	(void)from;
	if (r == 0)
		return true;
	o->result = r == -ENOENT || r == -EINVAL || r == -E2BIG ? AUDIT_REFUSED : AUDIT_FAILED;
	o->verdict = o->result == AUDIT_REFUSED ? DRAY__VERDICT__VERDICT_NOT_ALLOWED
						: DRAY__VERDICT__VERDICT_NO_ROOM;
	return false;
}

static bool
token_failed(struct outcome *o, int r)
{
	o->result = r == -EINVAL || r == -ENOENT ? AUDIT_REFUSED : AUDIT_FAILED;
	o->verdict = o->result == AUDIT_REFUSED ? DRAY__VERDICT__VERDICT_NOT_ALLOWED
						: DRAY__VERDICT__VERDICT_NO_ROOM;
	return false;
}

static bool
do_token(struct server *s, const struct wire_peer *from, const Dray__AdminAct *m, struct outcome *o)
{
	struct admin_who who;
	int r;

	if (!m->token)
		return refuse(o, DRAY__VERDICT__VERDICT_MALFORMED, "no token is named");
	admin_who_is(s, from, &who);
	r = m->what == DRAY__ADMIN_WHAT__ADMIN_TOKEN_CREATE
		    ? admin_token_create(s, m->token, who.name, &o->made, o->text, sizeof(o->text))
		    : admin_token_revoke(s, m->token->id, o->text, sizeof(o->text));
	return r == 0 || token_failed(o, r);
}

static const struct act {
	Dray__AdminWhat what;
	const char *name;
	bool (*run)(struct server *s, const struct wire_peer *from, const Dray__AdminAct *m,
		struct outcome *o);
} acts[] = {
	{ DRAY__ADMIN_WHAT__ADMIN_DRAIN, "drain", do_drain },
	{ DRAY__ADMIN_WHAT__ADMIN_RESUME, "resume", do_resume },
	{ DRAY__ADMIN_WHAT__ADMIN_REMOVE, "remove", do_remove },
	{ DRAY__ADMIN_WHAT__ADMIN_KEY_ADD, "key add", do_key },
	{ DRAY__ADMIN_WHAT__ADMIN_KEY_REVOKE, "key revoke", do_key },
	{ DRAY__ADMIN_WHAT__ADMIN_KEY_ROTATE, "key rotate", do_succeed },
	{ DRAY__ADMIN_WHAT__ADMIN_TOOLCHAIN_PIN, "toolchain pin", do_toolchain },
	{ DRAY__ADMIN_WHAT__ADMIN_TOOLCHAIN_UNPIN, "toolchain unpin", do_toolchain },
	{ DRAY__ADMIN_WHAT__ADMIN_TOOLCHAIN_REMOVE, "toolchain remove", do_toolchain },
	{ DRAY__ADMIN_WHAT__ADMIN_TOKEN_CREATE, "token create", do_token },
	{ DRAY__ADMIN_WHAT__ADMIN_TOKEN_REVOKE, "token revoke", do_token },
};

static const struct act *
find_act(Dray__AdminWhat what)
{
	for (size_t i = 0; i < ARRAY_LEN(acts); i++)
		if (acts[i].what == what)
			return &acts[i];
	return NULL;
}

/* What is meant, for the record. */
static void
describe(const Dray__AdminAct *m, char *to, size_t n)
{
	const Dray__AdminKey *k = m->key;
	const Dray__AdminToken *t = m->token;

	if (t)
		snprintf(to, n, "%s%s%s%s%s%s%s", CLEAN(t->id), CLEAN(t->role), *t->name ? " " : "",
			CLEAN(t->name), *t->namespace_ ? " namespace=" : "", CLEAN(t->namespace_),
			t->uses > 1 ? " several uses" : "");
	else if (k)
		snprintf(to, n, "%s%s%s%s%s", CLEAN(k->role), *k->role ? " " : "",
			CLEAN(k->curve_public), *k->name ? " " : "", CLEAN(k->name));
	else
		snprintf(to, n, "%s%s%s%s", CLEAN(m->worker), CLEAN(m->toolchain),
			m->now ? " now" : "",
			m->what != DRAY__ADMIN_WHAT__ADMIN_KEY_ROTATE ? ""
			: m->cancel				      ? "coordinator, taken back"
								      : "coordinator");
}

void
on_admin_act(struct server *s, struct peer *p, const struct wire_peer *from, struct wire_msg *msg)
{
	const Dray__AdminAct *m = (const Dray__AdminAct *)msg->body;
	const struct act *act = find_act(m->what);
	struct outcome o = { .result = AUDIT_DONE };
	struct token_said said;
	Dray__AdminDone done;
	char what[512];

	describe(m, what, sizeof(what));
	if (!act)
		refuse(&o, DRAY__VERDICT__VERDICT_MALFORMED,
			"this coordinator (dray %s) does not know that act", PACKAGE_VERSION);
	else
		act->run(s, from, m, &o);
	write_down(s, from, act ? act->name : "?", what, o.result,
		o.result == AUDIT_DONE ? "" : o.text);
	dray__admin_done__init(&done);
	done.verdict = o.verdict;
	done.text = o.text;
	done.running = o.running;
	if (*o.made.word) {
		token_say(s, &o.made.token, &said);
		done.token = o.made.word;
		done.made = &said.m;
	}
	server_send_number(s, p, msg->job, WIRE_ADMIN_DONE, &done.base, NULL);
	OPENSSL_cleanse(o.made.word, sizeof(o.made.word));
	/* last: the key may be the asker's own */
	if (o.keys)
		keys_reload(s);
}

/* ---- those that follow */

struct events_out {
	struct event copies[EVENTS_IN_ONE];
	Dray__AdminEvent v[EVENTS_IN_ONE], *list[EVENTS_IN_ONE];
	char kinds[EVENTS_IN_ONE][16];
};

static void
add_event(struct events_out *out, size_t i, const struct event *e)
{
	struct event *copy = &out->copies[i];
	Dray__AdminEvent *m = &out->v[i];

	*copy = *e;
	snprintf(out->kinds[i], sizeof(out->kinds[i]), "%s", event_kind_name(e->kind));
	dray__admin_event__init(m);
	m->serial = copy->serial;
	m->at_ms = copy->at_ms;
	m->kind = out->kinds[i];
	m->good = copy->good;
	m->took_ms = copy->took_ms;
	m->job = copy->job;
	m->crate = copy->crate;
	m->unit = copy->unit;
	m->worker = copy->worker;
	m->who = copy->who;
	m->text = copy->text;
	out->list[i] = m;
}

static void
send_events(struct server *s, struct peer *p, uint32_t number, uint64_t after)
{
	_cleanup_(freep) struct events_out *out = calloc(1, sizeof(*out));
	const struct event *e;
	uint64_t lost = 0;
	Dray__AdminEvents m;

	dray__admin_events__init(&m);
	m.next = events_last(s->events) < after ? 0 : after;
	while (out && m.n_event < EVENTS_IN_ONE && (e = events_after(s->events, m.next, &lost))) {
		m.lost += lost;
		m.next = e->serial;
		add_event(out, m.n_event++, e);
	}
	m.event = out ? out->list : NULL;
	server_send_number(s, p, number, WIRE_ADMIN_EVENTS, &m.base, NULL);
}

void
on_admin_follow(
	struct server *s, struct peer *p, const struct wire_peer *from, struct wire_msg *msg)
{
	const Dray__AdminFollow *m = (const Dray__AdminFollow *)msg->body;
	uint64_t lost;

	(void)from;
	if (!s->events || (m->wait && !events_after(s->events, m->after, &lost))) {
		s->followers += !p->follows;
		p->follows = true;
		p->follow_number = msg->job;
		p->follow_after = m->after;
		return;
	}
	send_events(s, p, msg->job, m->after);
}

void
admin_tell(struct server *s)
{
	struct table_node *node;
	uint64_t lost;

	if (s->followers == 0 || !s->events)
		return;
	for (node = table_walk(&s->peers, NULL); node; node = table_walk(&s->peers, node)) {
		struct peer *p = table_entry(node, struct peer, by_id);

		if (!p->follows || !events_after(s->events, p->follow_after, &lost))
			continue;
		p->follows = false;
		s->followers--;
		send_events(s, p, p->follow_number, p->follow_after);
	}
}
