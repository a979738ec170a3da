/* Addresses and their debts, and the filter that shuts some of them out. Invariant: the filter on
 * the socket is the one made of the addresses that are marked shut. */
#include "config.h"

#include "proto/gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/base.h"
#include "proto/accepted.h"

#define TCP_FLAGS 13
#define TCP_SYN 0x02
#define TCP_ACK 0x10
#define IPV4_SOURCE 12
#define IPV6_SOURCE 8
#define IPV6_VERSION 0x60
#define GATE_OWED_MAX \
	(GATE_DEBT_MAX + GATE_DEBT_MAX / 2) /* no debt is larger: 16 s, and it is open */
#define CODE_MAX (16 + 5 * GATE_ADDRESSES)
#define PASS 0xffffffffu

struct debtor {
	struct gate_address address;
	double debt;
	uint64_t at_ms; /* when that was so */
	bool shut;
};

struct code {
	struct sock_filter v[CODE_MAX];
	unsigned short n;
};

struct gate {
	int fd;
	struct debtor v[GATE_ADDRESSES];
	unsigned n;
	struct gate_address news; /* family 0: none */
};

int
gate_new(int listen_fd, struct gate **ret)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->fd = listen_fd;
	/* without it those that are gone before anybody looks are nobody's */
	(void)accepted_watch(listen_fd);
	*ret = g;
	return 0;
}

void
gate_free(struct gate *g)
{
	if (g)
		accepted_unwatch(g->fd);
	free(g);
}

static struct gate_address
address_of(const struct sockaddr_storage *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
	struct gate_address ret = { 0 };

	if (a->ss_family == AF_INET) {
		ret.family = 4;
		ret.word[0] = ntohl(v4->sin_addr.s_addr);
	} else if (a->ss_family == AF_INET6) {
		/* the packets of a mapped one are IPv4 */
		bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
		const uint8_t *from = v6->sin6_addr.s6_addr + (mapped ? 12 : 0);

		ret.family = mapped ? 4 : 6;
		memcpy(ret.word, from, mapped ? 4 : 8);
		ret.word[0] = ntohl(ret.word[0]);
		ret.word[1] = ntohl(ret.word[1]);
	}
	return ret;
}

struct gate_address
gate_address_of(int fd)
{
	struct sockaddr_storage a = { .ss_family = AF_UNSPEC };
	socklen_t n = sizeof(a);

	if (getpeername(fd, (struct sockaddr *)&a, &n) < 0)
		return (struct gate_address){ 0 };
	return address_of(&a);
}

struct gate_address
gate_address_parse(const char *text)
{
	struct sockaddr_storage a = { .ss_family = AF_UNSPEC };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		a.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		a.ss_family = AF_INET6;
	return address_of(&a);
}

static void
add(struct code *c, const struct sock_filter *v, unsigned n)
{
	memcpy(c->v + c->n, v, n * sizeof(*v));
	c->n += (unsigned short)n;
}

static void
add_ipv4(struct code *c, const struct gate *g)
{
	const struct sock_filter load = BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, (unsigned)SKF_NET_OFF + IPV4_SOURCE);
	const struct sock_filter end = BPF_STMT(BPF_RET | BPF_K, PASS);

	add(c, &load, 1);
	for (unsigned i = 0; i < g->n; i++) {
		const struct gate_address *a = &g->v[i].address;
		const struct sock_filter drop[] = {
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, a->word[0], 0, 1),
			BPF_STMT(BPF_RET | BPF_K, 0),
		};

		if (g->v[i].shut && a->family == 4)
			add(c, drop, ARRAY_LEN(drop));
	}
	add(c, &end, 1);
}

static void
add_ipv6(struct code *c, const struct gate *g)
{
	const unsigned at = (unsigned)SKF_NET_OFF + IPV6_SOURCE;
	const struct sock_filter load[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at + 4),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
		BPF_STMT(BPF_ST, 0),
	};
	const struct sock_filter end = BPF_STMT(BPF_RET | BPF_K, PASS);

	add(c, load, ARRAY_LEN(load));
	for (unsigned i = 0; i < g->n; i++) {
		const struct gate_address *a = &g->v[i].address;
		const struct sock_filter drop[] = {
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, a->word[0], 0, 4),
			BPF_STMT(BPF_MISC | BPF_TXA, 0),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, a->word[1], 0, 1),
			BPF_STMT(BPF_RET | BPF_K, 0),
			BPF_STMT(BPF_LD | BPF_MEM, 0),
		};

		if (g->v[i].shut && a->family == 6)
			add(c, drop, ARRAY_LEN(drop));
	}
	add(c, &end, 1);
}

static void
set_filter(const struct gate *g)
{
	const struct sock_filter head[] = {
		/* a request to connect is SYN without ACK */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TCP_SYN | TCP_ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TCP_SYN, 1, 0), BPF_STMT(BPF_RET | BPF_K, PASS),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (unsigned)SKF_NET_OFF),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, IPV6_VERSION, 0, 1),
		BPF_STMT(BPF_JMP | BPF_JA, 0), /* over IPv4's part */
	};
	struct code c = { .n = 0 };
	struct sock_fprog program;

	add(&c, head, ARRAY_LEN(head));
	add_ipv4(&c, g);
	c.v[ARRAY_LEN(head) - 1].k = c.n - (unsigned)ARRAY_LEN(head);
	add_ipv6(&c, g);
	program = (struct sock_fprog){ c.n, c.v };
	/* Without it the other bounds stand alone. Connections that are accepted inherit it; a SYN
	 * is all that it drops. */
	(void)setsockopt(g->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

bool
gate_address_eq(const struct gate_address *a, const struct gate_address *b)
{
	return a->family == b->family && a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

static struct debtor *
find(struct gate *g, const struct gate_address *a)
{
	for (unsigned i = 0; i < g->n; i++)
		if (gate_address_eq(&g->v[i].address, a))
			return &g->v[i];
	return NULL;
}

static void
settle(struct debtor *d, uint64_t now)
{
	if (now > d->at_ms)
		d->debt = MAX2(0.0, d->debt - (double)(now - d->at_ms) * GATE_PER_S / 1000);
	d->at_ms = now;
}

/* Room for one more: a new place, or that of who owes least. */
static struct debtor *
make_room(struct gate *g, uint64_t now)
{
	struct debtor *least = &g->v[0];

	if (g->n < GATE_ADDRESSES)
		return &g->v[g->n++];
	for (unsigned i = 0; i < g->n; i++) {
		settle(&g->v[i], now);
		if (g->v[i].debt < least->debt)
			least = &g->v[i];
	}
	return least;
}

void
gate_came(struct gate *g, const struct gate_address *a, uint64_t now)
{
	gate_left(g, a, 1, now);
}

void
gate_left(struct gate *g, const struct gate_address *a, unsigned n, uint64_t now)
{
	struct debtor *d;

	if (a->family == 0 || n == 0)
		return;
	d = find(g, a);
	if (!d) {
		bool was_shut;

		d = make_room(g, now);
		was_shut = d->shut;
		*d = (struct debtor){ .address = *a, .at_ms = now };
		if (was_shut)
			set_filter(g);
	}
	settle(d, now);
	d->debt = MIN2(d->debt + n, (double)GATE_OWED_MAX);
	if (d->debt <= GATE_DEBT_MAX || d->shut)
		return;
	d->shut = true;
	g->news = *a;
	set_filter(g);
}

struct gate_address
gate_accepted(struct gate *g, int fd, uint64_t now)
{
	struct gate_address from;
	struct accepted a;

	while (accepted_take(g->fd, fd, &a)) {
		from = address_of(&a.from);
		gate_came(g, &from, now);
		if (a.fd == fd)
			return from;
	}
	from = gate_address_of(fd);
	gate_came(g, &from, now);
	return from;
}

void
gate_spoke(struct gate *g, const struct gate_address *a, uint64_t now)
{
	struct debtor *d = find(g, a);

	if (!d)
		return;
	settle(d, now);
	d->debt = MAX2(0.0, d->debt - 1);
}

void
gate_step(struct gate *g, uint64_t now)
{
	bool changed = false;

	for (unsigned i = 0; i < g->n; i++) {
		struct debtor *d = &g->v[i];

		if (!d->shut)
			continue;
		settle(d, now);
		if (d->debt > GATE_DEBT_MAX / 2)
			continue;
		d->shut = false;
		changed = true;
	}
	if (changed)
		set_filter(g);
}

bool
gate_address_text(const struct gate_address *a, char ret[GATE_TEXT_SIZE])
{
	const uint32_t v[4] = { htonl(a->word[0]), htonl(a->word[1]), 0, 0 };
	char text[INET6_ADDRSTRLEN];

	if (a->family == 0 ||
		!inet_ntop(a->family == 4 ? AF_INET : AF_INET6, v, text, sizeof(text)))
		return false;
	snprintf(ret, GATE_TEXT_SIZE, "%s%s", text, a->family == 4 ? "" : "/64");
	return true;
}

bool
gate_news(struct gate *g, char ret[GATE_TEXT_SIZE])
{
	bool news = gate_address_text(&g->news, ret);

	g->news.family = 0;
	return news;
}

bool
gate_is_shut(const struct gate *g, const struct gate_address *a)
{
	for (unsigned i = 0; i < g->n; i++)
		if (gate_address_eq(&g->v[i].address, a))
			return g->v[i].shut;
	return false;
}
