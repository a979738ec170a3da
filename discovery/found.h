/* Coordinators that were found on the network, and their list as a text: what dray-avahi prints,
 * and what it leaves in a file for those that must not wait.
 *
 *   dray-found 1
 *   why<TAB>no avahi-daemon answers on the system bus
 *   at<TAB>tcp://10.0.0.7:7420<TAB>FINGERPRINT<TAB>NAMESPACE<TAB>VERSION<TAB>NAME
 *
 * Anybody on the network can announce anything. So all of it is bounded and plain text, an endpoint
 * is an address in numbers, and nothing of it is believed: which coordinator it is shows when it
 * proves to have the key of that fingerprint (CURVE). */
#ifndef DRAY_DISCOVERY_FOUND_H
#define DRAY_DISCOVERY_FOUND_H

#include "common/buf.h"
#include "keys/join_word.h"

#define FOUND_MAX 64	      /* in a list */
#define FOUND_SAME_MAX 8      /* of them, with one fingerprint */
#define FOUND_ENDPOINT_MAX 64 /* with NUL */
#define FOUND_VERSION_MAX 32  /* without */
#define FOUND_NAME_MAX 63     /* without; a label of DNS */
#define FOUND_TEXT_MAX (32u << 10)

struct found_one {
	char endpoint[FOUND_ENDPOINT_MAX];
	char fingerprint[KEYS_FINGERPRINT_SIZE];
	char namespace[KEYS_NAME_MAX + 1];   /* ""; as the next one */
	char version[FOUND_VERSION_MAX + 1]; /* of dray */
	char name[FOUND_NAME_MAX + 1];	     /* printable ASCII, no more than that */
};

struct found {
	size_t n;
	struct found_one v[FOUND_MAX];
	char why[160]; /* why it could not be looked for; "" */
};

/* Whether it has the form of a fingerprint. */
bool found_fingerprint_ok(const char *s, size_t n);
/* Whether it may be a version: letters, digits, and ".+~-". */
bool found_version_ok(const char *s, size_t n);
/* "tcp://ADDRESS:PORT" of an address of 4 or 16 bytes (network order). False: nobody else can be
 * meant by it (loopback, multicast, unspecified), or only with an interface (link-local IPv6). */
bool found_endpoint_make(
	const uint8_t *address, size_t n, unsigned port, char ret[FOUND_ENDPOINT_MAX]);
/* Whether it is as found_endpoint_make writes it. */
bool found_endpoint_ok(const char *s);
/* Makes a name fit: what is not printable becomes '?'. */
void found_name_set(struct found_one *o, const char *name);

/* Adds one, unless it is there, the list is full, or has enough of that fingerprint. False: not
 * added. */
bool found_add(struct found *f, const struct found_one *o);

/* 0 or -ENOMEM. */
int found_format(const struct found *f, struct buf *ret);
/* -EBADMSG: it is none; *ret is then empty. */
int found_parse(const char *text, size_t n, struct found *ret);

#endif
