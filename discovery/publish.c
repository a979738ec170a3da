/* Invariant: there is one client of the daemon at most, and what it announces is as p says, or
 * nothing.
 *
 *   no bus ──────▶ another client each RETRY_MS
 *   CONNECTING     there is no daemon: libavahi waits for it
 *   RUNNING ─────▶ the group is made     COLLISION ─▶ another name, again
 *   FAILURE        the daemon, or the bus, was lost ─▶ another client */
#include "config.h"

#include "discovery/publish.h"

#include <arpa/inet.h>
#include <avahi-client/client.h>
#include <avahi-client/publish.h>
#include <avahi-common/alternative.h>
#include <avahi-common/domain.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/simple-watch.h>
#include <avahi-common/timeval.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/log/log.h"
#include "discovery/txt.h"

#define RETRY_MS 3000
#define NAMES_MAX 32 /* tries after one another */

struct publishing {
	const struct publish *p;
	AvahiSimplePoll *poll;
	AvahiTimeout *again;
	AvahiClient *client;
	AvahiEntryGroup *group;
	AvahiAddress address;
	bool one_address; /* it is bound to, and no more */
	AvahiIfIndex interface;
	AvahiStringList *txt;
	char *name, *host; /* libavahi's; as they are announced */
	unsigned renamed;
	bool told; /* that it cannot be announced */
	bool lost; /* the client is of no use any more */
};

const char *
avahi_reason(int error)
{
	/* libavahi-client says "no daemon" of a bus that is not there, too */
	return error == AVAHI_ERR_NO_DAEMON || error == AVAHI_ERR_DBUS_ERROR ||
			       error == AVAHI_ERR_DISCONNECTED
		       ? "no avahi-daemon answers on the system bus"
		       : avahi_strerror(error);
}

static void
tell_waiting(struct publishing *s, const char *why)
{
	if (!s->told)
		log_info("discovery: not announced: %s; it will be when that is otherwise", why);
	s->told = true;
}

static void
tell_announced(struct publishing *s)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	for (size_t i = 0; i < s->p->txt->n; i++)
		(void)buf_addf(&b, " %s", s->p->txt->v[i]);
	log_info("discovery: announced as \"%s\": " TXT_SERVICE " port=%u%s", s->name, s->p->port,
		b.p ? (const char *)b.p : "");
	s->told = false;
	s->renamed = 0;
}

static void
again_in(struct publishing *s, unsigned ms)
{
	struct timeval tv;

	avahi_elapse_time(&tv, ms, 0);
	avahi_simple_poll_get(s->poll)->timeout_update(s->again, &tv);
}

static void
lose(struct publishing *s)
{
	s->lost = true;
	again_in(s, RETRY_MS);
}

/* ---- the group */

/* The next name that may be free. */
static bool
rename_it(struct publishing *s)
{
	char *name = avahi_alternative_service_name(s->name);
	char *host = s->host ? avahi_alternative_host_name(s->host) : NULL;

	if (!name || (s->host && !host) || ++s->renamed > NAMES_MAX) {
		avahi_free(name);
		avahi_free(host);
		return false;
	}
	log_info("discovery: the name \"%s\" is taken; trying \"%s\"", s->name, name);
	avahi_free(s->name);
	avahi_free(s->host);
	s->name = name;
	s->host = host;
	return true;
}

static int
add_entries(struct publishing *s)
{
	const AvahiProtocol protocol = s->address.proto;
	char host[AVAHI_DOMAIN_NAME_MAX];
	int r = AVAHI_OK;

	if (s->host) {
		snprintf(host, sizeof(host), "%s.%s", s->host,
			avahi_client_get_domain_name(s->client));
		r = avahi_entry_group_add_address(s->group, s->interface, protocol,
			AVAHI_PUBLISH_NO_REVERSE, host, &s->address);
	}
	if (r == AVAHI_OK)
		r = avahi_entry_group_add_service_strlst(s->group, s->interface, protocol, 0,
			s->name, TXT_SERVICE, NULL, s->host ? host : NULL, (uint16_t)s->p->port,
			s->txt);
	return r == AVAHI_OK ? avahi_entry_group_commit(s->group) : r;
}

static void on_group(AvahiEntryGroup *g, AvahiEntryGroupState state, void *arg);

static void
announce(struct publishing *s)
{
	int r = AVAHI_ERR_COLLISION;

	if (!s->group)
		s->group = avahi_entry_group_new(s->client, on_group, s);
	if (!s->group)
		r = avahi_client_errno(s->client);
	while (s->group && r == AVAHI_ERR_COLLISION) {
		avahi_entry_group_reset(s->group);
		r = add_entries(s);
		if (r == AVAHI_ERR_COLLISION && !rename_it(s))
			break;
	}
	if (r == AVAHI_OK)
		return;
	log_warn("discovery: cannot be announced: %s", avahi_strerror(r));
	lose(s);
}

static void
on_group(AvahiEntryGroup *g, AvahiEntryGroupState state, void *arg)
{
	struct publishing *s = arg;

	s->group = g;
	switch (state) {
	case AVAHI_ENTRY_GROUP_ESTABLISHED:
		tell_announced(s);
		break;
	case AVAHI_ENTRY_GROUP_COLLISION:
		if (rename_it(s))
			announce(s);
		else
			lose(s);
		break;
	case AVAHI_ENTRY_GROUP_FAILURE:
		log_warn("discovery: cannot be announced: %s",
			avahi_strerror(avahi_client_errno(avahi_entry_group_get_client(g))));
		lose(s);
		break;
	default:
		break;
	}
}

/* ---- the client */

static void
on_client(AvahiClient *c, AvahiClientState state, void *arg)
{
	struct publishing *s = arg;

	/* it may call back before it has returned */
	s->client = c;
	switch (state) {
	case AVAHI_CLIENT_S_RUNNING:
		announce(s);
		break;
	case AVAHI_CLIENT_S_COLLISION:
	case AVAHI_CLIENT_S_REGISTERING:
		/* the machine's own name is being settled */
		if (s->group)
			avahi_entry_group_reset(s->group);
		break;
	case AVAHI_CLIENT_CONNECTING:
		tell_waiting(s, avahi_reason(AVAHI_ERR_NO_DAEMON));
		break;
	default:
		tell_waiting(s, avahi_reason(avahi_client_errno(c)));
		lose(s);
	}
}

static void
open_client(struct publishing *s)
{
	AvahiClient *c;
	int error = AVAHI_OK;

	if (s->client)
		avahi_client_free(s->client); /* and its group */
	s->client = NULL;
	s->group = NULL;
	s->lost = false;
	c = avahi_client_new(
		avahi_simple_poll_get(s->poll), AVAHI_CLIENT_NO_FAIL, on_client, s, &error);
	s->client = c;
	if (c)
		return;
	tell_waiting(s, avahi_reason(error));
	lose(s);
}

static void
on_again(AvahiTimeout *t, void *arg)
{
	struct publishing *s = arg;

	avahi_simple_poll_get(s->poll)->timeout_update(t, NULL);
	if (s->lost)
		open_client(s);
}

/* ---- all of it */

static void
on_stdin(AvahiWatch *w, int fd, AvahiWatchEvent event, void *arg)
{
	struct publishing *s = arg;
	char nothing[64];
	ssize_t n = read(fd, nothing, sizeof(nothing));

	(void)w;
	(void)event;
	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		avahi_simple_poll_quit(s->poll);
}

/* The interface that has the address, while one has it. */
static AvahiIfIndex
interface_of(const AvahiAddress *a)
{
	struct ifaddrs *all = NULL, *i;
	AvahiIfIndex found = AVAHI_IF_UNSPEC;
	bool v6 = a->proto == AVAHI_PROTO_INET6;

	if (getifaddrs(&all) < 0)
		return AVAHI_IF_UNSPEC;
	for (i = all; i && found == AVAHI_IF_UNSPEC; i = i->ifa_next) {
		const void *bytes;

		if (!i->ifa_addr || i->ifa_addr->sa_family != (v6 ? AF_INET6 : AF_INET))
			continue;
		bytes = v6 ? (const void *)&((const struct sockaddr_in6 *)(void *)i->ifa_addr)
					->sin6_addr
			   : (const void *)&((const struct sockaddr_in *)(void *)i->ifa_addr)
					->sin_addr;
		if (memcmp(bytes, a->data.data, v6 ? 16 : 4) == 0)
			found = (AvahiIfIndex)if_nametoindex(i->ifa_name);
	}
	freeifaddrs(all);
	return found;
}

static int
take_address(struct publishing *s)
{
	uint8_t any[16] = { 0 };
	bool v6;

	if (!avahi_address_parse(s->p->address, AVAHI_PROTO_UNSPEC, &s->address))
		return -EINVAL;
	v6 = s->address.proto == AVAHI_PROTO_INET6;
	s->one_address = memcmp(s->address.data.data, any, v6 ? 16 : 4) != 0;
	s->interface = s->one_address ? interface_of(&s->address) : AVAHI_IF_UNSPEC;
	/* one that is bound to all of IPv6 takes IPv4 as well */
	if (!s->one_address && v6)
		s->address.proto = AVAHI_PROTO_UNSPEC;
	return 0;
}

static int
prepare(struct publishing *s)
{
	int r = take_address(s);

	if (r < 0)
		return r;
	for (size_t i = s->p->txt->n; i-- > 0;)
		s->txt = avahi_string_list_add(s->txt, s->p->txt->v[i]);
	s->name = avahi_strdup(s->p->name);
	s->host = s->one_address && s->p->host ? avahi_strdup(s->p->host) : NULL;
	s->poll = avahi_simple_poll_new();
	if (!s->name || !s->poll)
		return -ENOMEM;
	s->again = avahi_simple_poll_get(s->poll)->timeout_new(
		avahi_simple_poll_get(s->poll), NULL, on_again, s);
	return s->again && avahi_simple_poll_get(s->poll)->watch_new(avahi_simple_poll_get(s->poll),
				   STDIN_FILENO, AVAHI_WATCH_IN, on_stdin, s)
		       ? 0
		       : -ENOMEM;
}

int
publish(const struct publish *p)
{
	struct publishing s = { .p = p };
	int r = prepare(&s);

	if (r == 0) {
		open_client(&s);
		while (avahi_simple_poll_iterate(s.poll, -1) == 0)
			;
	}
	if (s.client)
		avahi_client_free(s.client);
	if (s.poll)
		avahi_simple_poll_free(s.poll);
	avahi_string_list_free(s.txt);
	avahi_free(s.name);
	avahi_free(s.host);
	return r;
}
