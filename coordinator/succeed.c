/* This coordinator's next keys (keys/succession.h): made when an admin says so, told to all that
 * hear of it, and in use from the time on that the old key has signed.
 *
 * Invariants: the new keys, and what is signed of them, are on the disk before anybody hears of
 * them. There is one key at a time, and which one is a matter of the clock alone. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/text/why.h"
#include "coordinator/server_priv.h"

#define FILE_NAME "successors"
#define FILE_MODE 0600
#define MS_PER_S 1000
#define OVERLAP_MAX_S (90u * 86400)
#define OVERLAP_S (7u * 86400)

static char *
file_of(const struct server *s)
{
	const char *dir = s->conf->coordinator.cache_dir;

	return dir ? path_join(dir, FILE_NAME) : NULL;
}

/* Where the secrets of a key lie that came by a succession. */
static char *
secrets_of(const struct server *s, const char *curve)
{
	const char *dir = s->conf->coordinator.cache_dir;
	char finger[KEYS_FINGERPRINT_SIZE], name[64];

	keys_fingerprint(curve, finger);
	snprintf(name, sizeof(name), "identity-%.4s%.4s", finger, finger + 5);
	return dir ? path_join(dir, name) : NULL;
}

static int
read_file(const struct server *s, struct buf *ret)
{
	_cleanup_(freep) char *path = file_of(s);
	int r = path ? fs_read_file(path, SUCCESSION_FILE_MAX, ret) : -ENOENT;

	return r == -ENOENT ? 0 : r;
}

static const char *
text_of(const struct buf *b)
{
	return b->n ? (const char *)b->p : "";
}

int
succeed_start(struct server *s, char **ret_error)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *path = NULL;
	struct identity now;
	unsigned line = 0;
	int r = read_file(s, &b);

	if (r < 0)
		return why_set(ret_error, r, "The keys that this coordinator has had since: %s.",
			strerror(-r));
	successions_follow(text_of(&b), b.n, &s->id, clock_wall_ms() / MS_PER_S, &now, &s->next);
	if (streq(now.curve_public, s->id.curve_public))
		return 0;
	path = secrets_of(s, now.curve_public);
	r = path ? identity_load(path, &now, &line) : -ENOMEM;
	if (r < 0 || !now.has_secret)
		return why_set(ret_error, r < 0 ? r : -EINVAL,
			"%s: this coordinator has had these keys since (drayctl key rotate), and "
			"they cannot be read: %s.",
			path ? path : "its directory", r < 0 ? strerror(-r) : "it has no secrets");
	log_info("the keys are those of %s, which came after %s", path,
		s->conf->coordinator.identity);
	identity_done(&s->id);
	s->id = now;
	return 0;
}

/* What is told: the same each time, since a signature is. */
static int
statement(const struct server *s, char ret[SUCCESSION_SIZE])
{
	struct identity fresh = { .has_secret = false };

	memcpy(fresh.curve_public, s->next.curve_public, sizeof(fresh.curve_public));
	memcpy(fresh.sign_public, s->next.sign_public, sizeof(fresh.sign_public));
	return succession_sign(&s->id, &fresh, s->next.serial, s->next.from_s, ret);
}

void
succeed_tell(struct server *s, struct peer *p)
{
	Dray__Successor m = DRAY__SUCCESSOR__INIT;
	char line[SUCCESSION_SIZE];

	if (!p->hears || s->next.serial == 0 || statement(s, line) < 0)
		return;
	m.statement = line;
	server_send(s, p, WIRE_SUCCESSOR, &m.base);
}

static void
tell_all(struct server *s)
{
	struct table_node *node;

	for (node = table_walk(&s->peers, NULL); node; node = table_walk(&s->peers, node)) {
		struct peer *p = table_entry(node, struct peer, by_id);

		if (p->state != ADMIT_DROPPED && !p->doomed)
			succeed_tell(s, p);
	}
}

bool
succeed_is_due(const struct server *s)
{
	return s->next.serial > 0 && !streq(s->next.curve_public, s->id.curve_public) &&
	       tokens_now(s) >= s->next.from_s;
}

/* ---- an admin's word */

static int
keep(struct server *s, const struct identity *fresh, uint64_t from_s, char *why, size_t n)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT, more = BUF_INIT;
	_cleanup_(freep) char *path = file_of(s);
	char line[SUCCESSION_SIZE];
	struct succession next;
	int r = path ? read_file(s, &b) : -ENOMEM;

	if (r == 0)
		r = succession_sign(&s->id, fresh, s->next.serial + 1, from_s, line);
	if (r == 0)
		r = successions_add(text_of(&b), b.n, &s->id, tokens_now(s), line, &more);
	if (r == 0)
		r = succession_read(line, strlen(line), &s->id, &next);
	/* the first one, of a key that the file does not lead to yet */
	if (r == 0)
		r = fs_replace(path, more.p, more.n, FILE_MODE, NULL);
	if (r < 0)
		snprintf(
			why, n, "%s cannot be written: %s", path ? path : "the file", strerror(-r));
	else
		s->next = next;
	return r < 0 ? -EIO : 0;
}

static unsigned
live_tokens(struct server *s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s->tokens.n; i++)
		n += join_token_state(&s->tokens.v[i], tokens_now(s)) == JOIN_LIVE;
	return n;
}

static int
take_back(struct server *s, char *why, size_t n)
{
	int r;

	if (s->next.serial == 0 || streq(s->next.curve_public, s->id.curve_public)) {
		snprintf(why, n, "this coordinator is to have no other keys");
		return -ENOENT;
	}
	r = keep(s, &s->id, 0, why, n);
	if (r == 0) {
		snprintf(why, n, "this coordinator keeps its keys");
		tell_all(s);
	}
	return r;
}

static int
check(const struct server *s, uint64_t overlap_s, char *why, size_t n)
{
	if (s->local || !s->conf->coordinator.cache_dir || !s->conf->coordinator.identity)
		snprintf(why, n,
			"this coordinator has no keys that last, or no directory to keep others "
			"in: [coordinator] identity and cache_dir");
	else if (overlap_s > OVERLAP_MAX_S)
		snprintf(why, n, "the overlap is 90 days at most");
	else if (s->next.serial > 0 && !streq(s->next.curve_public, s->id.curve_public))
		snprintf(why, n,
			"it is to have other keys already (drayctl key rotate --cancel takes that "
			"back)");
	else
		return 0;
	return -EINVAL;
}

int
admin_succeed(struct server *s, const Dray__AdminAct *m, char *why, size_t n)
{
	_cleanup_(identity_done) struct identity fresh = { .has_secret = false };
	_cleanup_(freep) char *path = NULL;
	uint64_t from_s = tokens_now(s) + (m->has_overlap ? m->overlap_s : OVERLAP_S);
	char finger[KEYS_FINGERPRINT_SIZE], at[32] = "";
	time_t from = (time_t)from_s;
	unsigned tokens = live_tokens(s);
	struct tm tm;
	int r;

	if (m->cancel)
		return take_back(s, why, n);
	r = check(s, m->has_overlap ? m->overlap_s : 0, why, n);
	if (r < 0)
		return r;
	r = identity_generate(s->id.name, &fresh);
	path = secrets_of(s, fresh.curve_public);
	if (r == 0)
		r = path ? identity_save(&fresh, path) : -ENOMEM;
	if (r < 0) {
		snprintf(why, n, "%s cannot be written: %s", path ? path : "the new identity",
			strerror(-r));
		return -EIO;
	}
	r = keep(s, &fresh, from_s, why, n);
	if (r < 0)
		return r;
	tell_all(s);
	keys_fingerprint(fresh.curve_public, finger);
	if (gmtime_r(&from, &tm))
		strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S UTC", &tm);
	snprintf(why, n,
		"from %s on it has the keys in %s (keep a copy), fingerprint %s; who connects "
		"until "
		"then hears of it, others join anew with any token; %u tokens that are out are of "
		"no "
		"use from then on",
		at, path, finger, tokens);
	return 0;
}
