/* What a coordinator says of itself beside its address: the TXT record of _dray._tcp (RFC 6763,
 * strings "key=value").
 *
 *   txtvers=1      of these keys; another: it is left alone
 *   fp=…           the fingerprint of its CURVE key
 *   ns=…           the namespace that its admin has named; may be missing
 *   version=…      of dray; may be missing
 *
 * Keys that are not known are for later versions. */
#ifndef DRAY_DISCOVERY_TXT_H
#define DRAY_DISCOVERY_TXT_H

#include "common/strv.h"
#include "discovery/found.h"

#define TXT_SERVICE "_dray._tcp"
#define TXT_STRINGS_MAX 32 /* that are looked at */
#define TXT_STRING_MAX 255 /* of one; the record's own bound */

struct txt_string {
	const uint8_t *p;
	size_t n;
};

/* Fills fingerprint, namespace and version; the rest stays. The first of two strings with one key
 * counts. -EBADMSG: it is no coordinator's, or of another txtvers. */
int txt_decode(const struct txt_string *v, size_t n, struct found_one *ret);
/* "key=value" each. 0 or -ENOMEM. */
int txt_encode(const struct found_one *o, struct strv *ret);

#endif
