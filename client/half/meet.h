/* A wrapper's way to the farm half of its key (key.h): finds it, or starts it, and has its word
 * that it serves. */
#ifndef DRAY_CLIENT_HALF_MEET_H
#define DRAY_CLIENT_HALF_MEET_H

#include <sys/types.h>

#include "client/half/request.h"
#include "common/conf/conf.h"

struct half_meet {
	const struct conf *conf;
	const char *program; /* the path of dray-dispatch */
	enum half_purpose purpose;
	int dir, conn, pidfd; /* conn: never waits */
	pid_t pid;	      /* of the half; 0: not known yet */
	struct digest key;
	bool started; /* by this process */
};
#define HALF_MEET_INIT                             \
	{                                          \
		.dir = -1, .conn = -1, .pidfd = -1 \
	}

/* 0: conn is a connection with one that is ready; -errno: there is none for this process now, and
 * it has got nothing but a hello. half_meet_done in either case. */
int half_meet(struct half_meet *m);
void half_meet_done(struct half_meet *m);
/* Whether it is seen to be stopped. */
bool half_is_stopped(const struct half_meet *m);

#endif
