/* A coordinator is announced on the network: by dray-avahi, a process that has none of its keys,
 * and ends when this one does. Without that program, a bus or a daemon it is not, which one line in
 * the log says; nothing waits for any of them. */
#ifndef DRAY_DISCOVERY_ANNOUNCE_H
#define DRAY_DISCOVERY_ANNOUNCE_H

#include "common/conf/conf.h"
#include "keys/identity.h"

struct announce {
	bool on;
	pid_t pid;	   /* 0: it does not run */
	int life;	   /* it ends when this does: a pipe; -1 */
	uint64_t again_ms; /* when it is started again */
	char address[64], port[8], host[16], name[65];
	char fingerprint[48], namespace[65];
};

#define ANNOUNCE_INIT      \
	{                  \
		.life = -1 \
	}

/* endpoint: as it is bound. Does nothing where the configuration does not ask for it, nor where
 * nobody else can reach it, which is logged. */
void announce_start(struct announce *a, const struct conf *conf, const struct identity *id,
	const char *endpoint, uint64_t now_ms);
/* Starts one that has ended again, after a while. */
void announce_tick(struct announce *a, uint64_t now_ms);
/* It is withdrawn. Not started: fine. */
void announce_end(struct announce *a);

/* "tcp://ADDRESS:PORT" in two. False: no other machine reaches it. */
bool announce_split(const char *endpoint, char ret_address[64], char ret_port[8]);

#endif
