/* Which clients are asked to give a toolchain that no worker has (proto/client.proto, Pushes): one
 * at a time for each; and of which it is known that they could not. No I/O; the clock is passed
 * in. */
#ifndef DRAY_COORDINATOR_GIVE_INVITES_H
#define DRAY_COORDINATOR_GIVE_INVITES_H

#include "common/digest.h"

#define INVITES_MAX 64			/* at a time; */
#define INVITE_MS 60000			/* for which nobody else is asked, from its last word */
#define INVITE_MOST_MS (3600u * 1000)	/* in all, without an end; then it could not */
#define INVITES_FAILED_MAX 256		/* that are remembered; of more the oldest is forgotten */
#define INVITE_FAILED_MS (3600u * 1000) /* for which that client is not asked again */
#define INVITE_FAILURES 3		/* of one toolchain; then nobody is asked */

struct invite {
	struct digest toolchain;
	uint64_t account; /* a handle, by the client's key */
	uint64_t until_ms, since_ms;
};

struct invites {
	struct invite open[INVITES_MAX], failed[INVITES_FAILED_MAX];
	size_t n_open, n_failed;
};

/* Whether that client is to be asked now. If so, it is: nobody else is for INVITE_MS. */
bool invites_ask(
	struct invites *v, const struct digest *toolchain, uint64_t account, uint64_t now_ms);
/* It gives it, asked or not: nobody else is asked for INVITE_MS from now, if nobody else is
 * already, and it is not one that could not. */
void invites_hold(
	struct invites *v, const struct digest *toolchain, uint64_t account, uint64_t now_ms);
/* A worker has it from that client: what failed before says nothing. */
void invites_given(struct invites *v, const struct digest *toolchain, uint64_t account);
/* It could not be given: to no worker since invites_given, at least. */
void invites_fail(
	struct invites *v, const struct digest *toolchain, uint64_t account, uint64_t now_ms);
/* The i-th that failed and is remembered now; NULL: there are no more. */
const struct invite *invites_failed(struct invites *v, size_t i, uint64_t now_ms);

#endif
