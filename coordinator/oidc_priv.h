/* Runs of a CI that join, inside the server: oidc_state.c keeps who may and who has, oidc_join.c
 * lets them in. */
#ifndef DRAY_COORDINATOR_OIDC_PRIV_H
#define DRAY_COORDINATOR_OIDC_PRIV_H

#include "coordinator/oidc/passes.h"
#include "coordinator/oidc/sets.h"
#include "coordinator/server_priv.h"

#define OIDC_WAITING_MAX 32

/* One that comes, and waits for its issuer's keys. */
struct oidc_guest {
	struct wire_peer from;
	char *token; /* NULL: this place is free */
	size_t token_n;
	uint8_t sign[SIGN_KEY_SIZE];
	uint64_t until_ms;
};

struct oidc {
	struct oidc_rules rules;
	struct oidc_sets *sets;
	struct passes passes;
	uint64_t looked_s; /* when passes were looked at last */
	struct oidc_guest waiting[OIDC_WAITING_MAX];
};

void oidc_guest_done(struct oidc_guest *g);
/* Seconds since 1970, by the clock of tickets. */
uint64_t oidc_now(const struct server *s);
/* The passes are on the disk when it returns 0; -errno. */
int oidc_save(struct server *s);

#endif
