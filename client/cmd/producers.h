/* Whose keys these are that sign what is shared: the names beside them in trust_keys, and in the
 * coordinator's list of keys. */
#ifndef DRAY_CLIENT_CMD_PRODUCERS_H
#define DRAY_CLIENT_CMD_PRODUCERS_H

#include <jansson.h>

#include "common/conf/conf.h"
#include "common/strv.h"
#include "keys/trust.h"

/* Those that the coordinator vouches for, of what it says (cmd_farm_status); what makes no sense is
 * left out. *ret must be empty. 0 or -ENOMEM. */
int producers_read(const json_t *status, struct trust_keys *ret);

struct producers {
	const struct conf *conf;
	struct trust_keys keys;
	struct strv varying; /* crates of which workers share nothing, by the coordinator's word */
	bool loaded, asked;
};
/* Empty but for conf. The name of a key of 64 hex digits; "": it has none, or is of another kind.
 * The coordinator is asked, once, about the first one that trust_keys does not name. */
const char *producers_name(struct producers *p, const char *key);
/* Whether workers do not share that crate, since it comes out differently each time; the
 * coordinator is asked, if it was not yet. */
bool producers_varies(struct producers *p, const char *crate);
void producers_done(struct producers *p);

#endif
