/* Invariant: however much is announced, so many are asked for at most, and it ends in time. */
#include "config.h"

#include "discovery/browse.h"

#include <avahi-client/client.h>
#include <avahi-client/lookup.h>
#include <avahi-common/error.h>
#include <avahi-common/simple-watch.h>
#include <stdio.h>

#include "common/clock.h"
#include "discovery/publish.h"
#include "discovery/txt.h"

/* Of services, each once for an interface and a protocol. The daemon allows a client 1024 objects
 * (avahi-daemon.conf, objects-per-client-max). */
#define ASKED_MAX 256

struct browsing {
	struct found *found;
	char *const *wanted;
	size_t n_wanted;
	AvahiSimplePoll *poll;
	AvahiClient *client;
	AvahiServiceResolver *asked[ASKED_MAX]; /* NULL: it has answered */
	size_t n_asked, n_open;
	bool all; /* the daemon has told what it knows */
};

static void
give_up(struct browsing *b, int error)
{
	if (!*b->found->why)
		snprintf(b->found->why, sizeof(b->found->why), "%s", avahi_reason(error));
	b->all = true;
	avahi_simple_poll_quit(b->poll);
}

static bool
is_wanted(const struct browsing *b, const char *fingerprint)
{
	for (size_t i = 0; i < b->n_wanted; i++)
		if (streq(b->wanted[i], fingerprint))
			return true;
	return b->n_wanted == 0;
}

static int
decode(AvahiStringList *txt, struct found_one *ret)
{
	struct txt_string v[TXT_STRINGS_MAX];
	size_t n = 0;

	for (; txt && n < TXT_STRINGS_MAX; txt = avahi_string_list_get_next(txt), n++)
		v[n] = (struct txt_string){ avahi_string_list_get_text(txt),
			avahi_string_list_get_size(txt) };
	return txt_decode(v, n, ret);
}

static void
take(struct browsing *b, const char *name, const AvahiAddress *a, uint16_t port,
	AvahiStringList *txt)
{
	bool v6 = a->proto == AVAHI_PROTO_INET6;
	const uint8_t *bytes = v6 ? a->data.ipv6.address : (const uint8_t *)&a->data.ipv4.address;
	struct found_one o = { .endpoint = "" };

	if (!found_endpoint_make(bytes, v6 ? 16 : 4, port, o.endpoint) || decode(txt, &o) < 0 ||
		!is_wanted(b, o.fingerprint))
		return;
	found_name_set(&o, name);
	(void)found_add(b->found, &o);
}

/* libavahi's types are its own. */
static void
on_resolved(AvahiServiceResolver *r, AvahiIfIndex interface, AvahiProtocol protocol,
	AvahiResolverEvent event, const char *name, const char *type, const char *domain,
	const char *host, const AvahiAddress *a, uint16_t port, AvahiStringList *txt,
	AvahiLookupResultFlags flags, void *arg)
{
	struct browsing *b = arg;

	(void)interface;
	(void)protocol;
	(void)type;
	(void)domain;
	(void)host;
	(void)flags;
	if (event == AVAHI_RESOLVER_FOUND && a && name)
		take(b, name, a, port, txt);
	for (size_t i = 0; i < b->n_asked; i++)
		if (b->asked[i] == r)
			b->asked[i] = NULL;
	avahi_service_resolver_free(r);
	b->n_open--;
}

static void
ask(struct browsing *b, AvahiIfIndex interface, AvahiProtocol protocol, const char *name,
	const char *type, const char *domain)
{
	AvahiServiceResolver *r;

	if (b->n_asked == ASKED_MAX)
		return;
	/* what is announced by one protocol is reached by that one */
	r = avahi_service_resolver_new(
		b->client, interface, protocol, name, type, domain, protocol, 0, on_resolved, b);
	if (!r)
		return;
	b->asked[b->n_asked++] = r;
	b->n_open++;
}

static void
on_browser(AvahiServiceBrowser *s, AvahiIfIndex interface, AvahiProtocol protocol,
	AvahiBrowserEvent event, const char *name, const char *type, const char *domain,
	AvahiLookupResultFlags flags, void *arg)
{
	struct browsing *b = arg;

	(void)s;
	(void)flags;
	switch (event) {
	case AVAHI_BROWSER_NEW:
		ask(b, interface, protocol, name, type, domain);
		break;
	case AVAHI_BROWSER_ALL_FOR_NOW:
		b->all = true;
		break;
	case AVAHI_BROWSER_FAILURE:
		give_up(b, avahi_client_errno(b->client));
		break;
	default:
		break;
	}
}

static void
on_client(AvahiClient *c, AvahiClientState state, void *arg)
{
	struct browsing *b = arg;

	if (state == AVAHI_CLIENT_FAILURE)
		give_up(b, avahi_client_errno(c));
}

static void
turn(struct browsing *b, unsigned wait_ms)
{
	uint64_t end = clock_mono_ms() + wait_ms, now;

	while ((now = clock_mono_ms()) < end && !(b->all && b->n_open == 0))
		if (avahi_simple_poll_iterate(b->poll, (int)(end - now)) != 0)
			break;
}

void
browse(unsigned wait_ms, char *const *fingerprints, size_t n, struct found *ret)
{
	struct browsing b = { .found = ret, .wanted = fingerprints, .n_wanted = n };
	AvahiServiceBrowser *browser = NULL;
	int error = AVAHI_ERR_NO_MEMORY;

	b.poll = avahi_simple_poll_new();
	if (!b.poll) {
		snprintf(ret->why, sizeof(ret->why), "out of memory");
		return;
	}
	b.client = avahi_client_new(avahi_simple_poll_get(b.poll), 0, on_client, &b, &error);
	if (!b.client) {
		give_up(&b, error);
	} else if (!b.all) {
		browser = avahi_service_browser_new(b.client, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC,
			TXT_SERVICE, NULL, 0, on_browser, &b);
		if (browser)
			turn(&b, wait_ms);
		else
			give_up(&b, avahi_client_errno(b.client));
	}
	/* all else goes with the client */
	if (b.client)
		avahi_client_free(b.client);
	avahi_simple_poll_free(b.poll);
}
