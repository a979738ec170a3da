/* An admin has results removed from the shared cache (proto/serve.proto, CachePurge). The log has
 * a line for the one that asked, and for what came of it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "coordinator/cache/desk.h"
#include "coordinator/server_priv.h"

struct asked {
	struct server *server;
	uint64_t serial; /* of the peer */
	struct wire_peer from;
	char what[3 * KEYS_NAME_MAX];
};

static void
answer(struct server *s, struct peer *p, Dray__Verdict verdict, const char *text,
	const struct desk_purged *done)
{
	Dray__CachePurged m;
	char copy[256];

	dray__cache_purged__init(&m);
	snprintf(copy, sizeof(copy), "%s", text);
	m.verdict = verdict;
	m.text = copy;
	m.entries = done->entries;
	m.results = done->results;
	server_send(s, p, WIRE_CACHE_PURGED, &m.base);
}

static void
on_done(void *arg, const struct desk_purged *done)
{
	struct asked *a = arg;
	struct server *s = a->server;
	struct peer *p = peer_by_serial(s, a->serial);

	log_info("shared cache: purged%s: results=%llu entries=%llu%s%s", a->what,
		(unsigned long long)done->results, (unsigned long long)done->entries,
		done->error ? " error=" : "", done->error ? strerror(-done->error) : "");
	admin_note(s, &a->from, "cache purge", *a->what ? a->what + 1 : "", !done->error,
		done->error ? strerror(-done->error) : "");
	if (p && p->purging) {
		p->purging = false;
		answer(s, p,
			done->error ? DRAY__VERDICT__VERDICT_NO_ROOM : DRAY__VERDICT__VERDICT_NONE,
			done->error ? strerror(-done->error) : "", done);
	}
	free(a);
}

/* For the log. */
static void
describe(const Dray__CachePurge *m, char *to, size_t size)
{
	struct digest d = { { 0 } };
	char hex[DIGEST_HEX_SIZE];
	int n = 0;

	*to = '\0';
	if (m->producer.len == SIGN_KEY_SIZE) {
		memcpy(d.b, m->producer.data, SIGN_KEY_SIZE);
		digest_hex(&d, hex);
		n += snprintf(to + n, size - (size_t)n, " producer=%s", hex);
	}
	if (m->in_namespace)
		n += snprintf(to + n, size - (size_t)n, " namespace=%s",
			*m->namespace_ ? CLEAN(m->namespace_) : "-");
	if (m->before_s)
		snprintf(to + n, size - (size_t)n, " before=%llu", (unsigned long long)m->before_s);
}

/* The mistake in it; NULL: none. */
static const char *
fault_of(const Dray__CachePurge *m)
{
	if (m->producer.len != 0 && m->producer.len != SIGN_KEY_SIZE)
		return "a producer's key has 32 bytes";
	if (strlen(m->namespace_) > KEYS_NAME_MAX || strchr(m->namespace_, '/'))
		return "a namespace is 1 to 64 of A-Z a-z 0-9 . _ -";
	if (m->producer.len == 0 && !m->in_namespace && !m->before_s)
		return "nothing says which results are to be removed";
	return NULL;
}

void
on_cache_purge(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__CachePurge *m = (const Dray__CachePurge *)body;
	const struct allowed_key *k = allowed_keys_find(&s->keys, from->curve);
	const struct desk_purged none = { .error = 0 };
	struct desk_purge what = { .of_producer = m->producer.len == SIGN_KEY_SIZE,
		.in_namespace = m->in_namespace,
		.before_s = m->before_s };
	const char *fault = fault_of(m);
	struct asked *a;
	int r;

	if (fault || p->purging) {
		answer(s, p, DRAY__VERDICT__VERDICT_MALFORMED,
			fault ? fault : "the one before has not ended", &none);
		return;
	}
	if (!s->desk) {
		answer(s, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"this coordinator has no shared cache", &none);
		return;
	}
	a = calloc(1, sizeof(*a));
	if (a) {
		a->server = s;
		a->serial = p->serial;
		a->from = *from;
		describe(m, a->what, sizeof(a->what));
	}
	if (what.of_producer)
		memcpy(what.producer, m->producer.data, SIGN_KEY_SIZE);
	snprintf(what.namespace, sizeof(what.namespace), "%s", m->namespace_);
	p->purging = true;
	log_info("shared cache: the admin %s (key=%s) purges%s", k && *k->name ? k->name : "-",
		*from->curve ? from->curve : "-", a ? a->what : "");
	r = a ? desk_purge(s->desk, &what, on_done, a) : -ENOMEM;
	if (r < 0) {
		free(a);
		p->purging = false;
		answer(s, p, DRAY__VERDICT__VERDICT_FULL, strerror(-r), &none);
	}
}
