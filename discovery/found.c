/* Invariant: what is in a struct found has passed the checks here, whether it came from the network
 * or from a file. */
#include "config.h"

#include "discovery/found.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "keys/identity.h"

#define HEAD "dray-found 1"
#define FIELDS 6
#define GROUP 5 /* of a fingerprint: four digits and a colon */

bool
found_fingerprint_ok(const char *s, size_t n)
{
	if (n != KEYS_FINGERPRINT_SIZE - 1)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool colon = i % GROUP == GROUP - 1;

		if (colon ? s[i] != ':' : !s[i] || !strchr("0123456789abcdef", s[i]))
			return false;
	}
	return true;
}

bool
found_version_ok(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && (!s[i] || !strchr(".+~-", s[i])))
			return false;
	return n > 0 && n <= FOUND_VERSION_MAX;
}

static bool
v4_ok(const uint8_t a[4])
{
	/* 0/8 is nobody, 127/8 this machine, from 224/4 on many or none */
	return a[0] != 0 && a[0] != 127 && a[0] < 224;
}

static bool
v6_ok(const uint8_t a[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t none[15] = { 0 };

	if (memcmp(a, mapped, sizeof(mapped)) == 0)
		return false;
	if (memcmp(a, none, sizeof(none)) == 0)
		return false; /* :: and ::1 */
	return a[0] != 0xff && !(a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
}

bool
found_endpoint_make(const uint8_t *address, size_t n, unsigned port, char ret[FOUND_ENDPOINT_MAX])
{
	char text[INET6_ADDRSTRLEN];
	bool v6 = n == 16;

	if (port == 0 || port > UINT16_MAX || (n != 4 && n != 16))
		return false;
	if (v6 ? !v6_ok(address) : !v4_ok(address))
		return false;
	if (!inet_ntop(v6 ? AF_INET6 : AF_INET, address, text, sizeof(text)))
		return false;
	snprintf(ret, FOUND_ENDPOINT_MAX, v6 ? "tcp://[%s]:%u" : "tcp://%s:%u", text, port);
	return true;
}

/* "ADDRESS]:PORT" or "ADDRESS:PORT". */
static bool
take_address(const char *s, bool v6, uint8_t ret[16], unsigned *ret_port)
{
	char text[INET6_ADDRSTRLEN];
	const char *end = strrchr(s, v6 ? ']' : ':'), *p;
	unsigned port = 0;

	if (!end || (size_t)(end - s) >= sizeof(text) || (v6 && end[1] != ':'))
		return false;
	memcpy(text, s, (size_t)(end - s));
	text[end - s] = '\0';
	p = end + (v6 ? 2 : 1);
	if (!*p || strlen(p) > 5)
		return false;
	for (; isdigit((unsigned char)*p); p++)
		port = port * 10 + (unsigned)(*p - '0');
	*ret_port = port;
	return !*p && inet_pton(v6 ? AF_INET6 : AF_INET, text, ret) == 1;
}

bool
found_endpoint_ok(const char *s)
{
	char again[FOUND_ENDPOINT_MAX];
	uint8_t address[16];
	unsigned port;
	bool v6 = starts_with(s, "tcp://[");

	return starts_with(s, "tcp://") && strlen(s) < FOUND_ENDPOINT_MAX &&
	       take_address(s + (v6 ? 7 : 6), v6, address, &port) &&
	       found_endpoint_make(address, v6 ? 16 : 4, port, again) && streq(s, again);
}

void
found_name_set(struct found_one *o, const char *name)
{
	size_t n = 0;

	for (; n < FOUND_NAME_MAX && name[n]; n++)
		o->name[n] = name[n];
	o->name[n] = '\0';
	for (char *p = o->name; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
}

bool
found_add(struct found *f, const struct found_one *o)
{
	size_t same = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (!streq(f->v[i].fingerprint, o->fingerprint))
			continue;
		if (streq(f->v[i].endpoint, o->endpoint))
			return false;
		same++;
	}
	if (f->n == FOUND_MAX || same >= FOUND_SAME_MAX)
		return false;
	f->v[f->n++] = *o;
	return true;
}

int
found_format(const struct found *f, struct buf *ret)
{
	int r = buf_adds(ret, HEAD "\n");

	if (r == 0 && *f->why)
		r = buf_addf(ret, "why\t%s\n", f->why);
	for (size_t i = 0; r == 0 && i < f->n; i++) {
		const struct found_one *o = &f->v[i];

		r = buf_addf(ret, "at\t%s\t%s\t%s\t%s\t%s\n", o->endpoint, o->fingerprint,
			o->namespace, o->version, o->name);
	}
	return r;
}

static bool
is_plain(const char *s)
{
	while (*s >= 0x20 && *s <= 0x7e)
		s++;
	return !*s;
}

/* f: all fields of an "at". */
static bool
take_one(char *const f[FIELDS], struct found *ret)
{
	struct found_one o = { .endpoint = "" };
	size_t namespace = strlen(f[3]), version = strlen(f[4]);

	if (!found_endpoint_ok(f[1]) || !found_fingerprint_ok(f[2], strlen(f[2])) ||
		(namespace && !keys_name_ok(f[3], namespace)) ||
		(version && !found_version_ok(f[4], version)) || !is_plain(f[5]) ||
		strlen(f[5]) > FOUND_NAME_MAX)
		return false;
	snprintf(o.endpoint, sizeof(o.endpoint), "%s", f[1]);
	snprintf(o.fingerprint, sizeof(o.fingerprint), "%s", f[2]);
	snprintf(o.namespace, sizeof(o.namespace), "%s", f[3]);
	snprintf(o.version, sizeof(o.version), "%s", f[4]);
	snprintf(o.name, sizeof(o.name), "%s", f[5]);
	return found_add(ret, &o);
}

static bool
take_line(char *line, struct found *ret)
{
	char *f[FIELDS];
	size_t n = 0;

	for (char *p = line; p; n++) {
		if (n == FIELDS)
			return false;
		f[n] = p;
		p = strchr(p, '\t');
		if (p)
			*p++ = '\0';
	}
	if (n == 2 && streq(f[0], "why") && !*ret->why && *f[1] && is_plain(f[1]) &&
		strlen(f[1]) < sizeof(ret->why)) {
		snprintf(ret->why, sizeof(ret->why), "%s", f[1]);
		return true;
	}
	return n == FIELDS && streq(f[0], "at") && take_one(f, ret);
}

static int
take_text(char *text, struct found *ret)
{
	bool head = true;

	for (char *line = text; *line;) {
		char *end = strchr(line, '\n');

		/* one that is not whole */
		if (!end)
			return -EBADMSG;
		*end = '\0';
		if (head ? !streq(line, HEAD) : !take_line(line, ret))
			return -EBADMSG;
		head = false;
		line = end + 1;
	}
	return head ? -EBADMSG : 0;
}

int
found_parse(const char *text, size_t n, struct found *ret)
{
	_cleanup_(freep) char *copy = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (n == 0 || n > FOUND_TEXT_MAX || memchr(text, '\0', n))
		return -EBADMSG;
	copy = strndup(text, n);
	r = copy ? take_text(copy, ret) : -ENOMEM;
	if (r < 0)
		memset(ret, 0, sizeof(*ret));
	return r;
}
