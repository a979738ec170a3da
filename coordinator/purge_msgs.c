/* An admin has results removed from the shared cache (proto/serve.proto, CachePurge). The log has
 * a line for the one that asked, and for what came of it. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "coordinator/cache/desk.h"
#include "coordinator/server_priv.h"

struct asked {
	struct server *server;
	uint64_t serial; /* of the peer */
	struct admin_who who;
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
refuse(struct server *s, struct peer *p, const struct asked *a, Dray__Verdict verdict,
	const char *why)
{
	const struct desk_purged none = { .error = 0 };

	admin_note(s, &a->who, "cache purge", a->what,
		verdict == DRAY__VERDICT__VERDICT_FULL ? AUDIT_FAILED : AUDIT_REFUSED, why);
	answer(s, p, verdict, why, &none);
}

static void
on_done(void *arg, const struct desk_purged *done)
{
	struct asked *a = arg;
	struct server *s = a->server;
	struct peer *p = peer_by_serial(s, a->serial);

	log_info("shared cache: purged %s: results=%llu entries=%llu%s%s", a->what,
		(unsigned long long)done->results, (unsigned long long)done->entries,
		done->error ? " error=" : "", done->error ? strerror(-done->error) : "");
	admin_note(s, &a->who, "cache purge", a->what, done->error ? AUDIT_FAILED : AUDIT_DONE,
		done->error ? strerror(-done->error) : "");
	if (p && p->purging) {
		p->purging = false;
		answer(s, p,
			done->error ? DRAY__VERDICT__VERDICT_NO_ROOM : DRAY__VERDICT__VERDICT_NONE,
			done->error ? strerror(-done->error) : "", done);
	}
	free(a);
}

static void _printf_(3, 4) add_word(char *to, size_t size, const char *fmt, ...)
{
	size_t n = strlen(to);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to + n, size - n, *to ? fmt : fmt + 1, ap);
	va_end(ap);
}

/* For the log: "producer=… namespace=… before=…". Nothing of it has been looked at yet. */
static void
describe(const Dray__CachePurge *m, char *to, size_t size)
{
	struct digest d = { { 0 } };
	char hex[DIGEST_HEX_SIZE];

	*to = '\0';
	if (m->producer.len == SIGN_KEY_SIZE) {
		memcpy(d.b, m->producer.data, SIGN_KEY_SIZE);
		digest_hex(&d, hex);
		add_word(to, size, " producer=%s", hex);
	}
	if (m->in_namespace)
		add_word(to, size, " namespace=%s", *m->namespace_ ? CLEAN(m->namespace_) : "-");
	if (m->before_s)
		add_word(to, size, " before=%llu", (unsigned long long)m->before_s);
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
	struct desk_purge what = { .of_producer = m->producer.len == SIGN_KEY_SIZE,
		.in_namespace = m->in_namespace,
		.before_s = m->before_s };
	const char *fault = fault_of(m);
	struct asked ask = { .server = s, .serial = p->serial }, *a;
	int r;

	admin_who_is(s, from, &ask.who);
	describe(m, ask.what, sizeof(ask.what));
	if (fault || p->purging) {
		refuse(s, p, &ask, DRAY__VERDICT__VERDICT_MALFORMED,
			fault ? fault : "the one before has not ended");
		return;
	}
	if (!s->desk) {
		refuse(s, p, &ask, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"this coordinator has no shared cache");
		return;
	}
	a = calloc(1, sizeof(*a));
	if (a)
		*a = ask;
	if (what.of_producer)
		memcpy(what.producer, m->producer.data, SIGN_KEY_SIZE);
	snprintf(what.namespace, sizeof(what.namespace), "%s", m->namespace_);
	p->purging = true;
	log_info("shared cache: the admin %s (%s) purges %s", *ask.who.name ? ask.who.name : "-",
		ask.who.from, ask.what);
	r = a ? desk_purge(s->desk, &what, on_done, a) : -ENOMEM;
	if (r < 0) {
		free(a);
		p->purging = false;
		refuse(s, p, &ask, DRAY__VERDICT__VERDICT_FULL, strerror(-r));
	}
}
