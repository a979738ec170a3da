/* Inside the hub: hub.c has seats and desks on one connection, hub_ways.c says which one,
 * hub_mail.c is what both hand on. */
#ifndef DRAY_CLIENT_DISPATCH_HUB_PRIV_H
#define DRAY_CLIENT_DISPATCH_HUB_PRIV_H

#include <pthread.h>
#include <sys/queue.h>

#include "client/dispatch/farm_priv.h"
#include "client/dispatch/hub.h"
#include "common/conf/coordinators.h"

/* More than a connection can make while a thread sleeps. What is above that is forgotten: the last
 * events are what counts. */
#define EVENTS_MAX 16

struct letter {
	TAILQ_ENTRY(letter) link;
	zmq_msg_t msg;
	bool has_payload;
	bool asks;	   /* for a job: it is answered at once */
	bool of_desk;	   /* for the one in use */
	size_t way;	   /* else for this one */
	zmq_msg_t payload; /* initialised always */
};
TAILQ_HEAD(letters, letter);

/* A store over the coordinator's shared cache. What comes for it is bounded by its own credit. */
struct hub_desk {
	TAILQ_ENTRY(hub_desk) link;
	struct hub *hub;
	int fd;
	uint32_t first; /* of its numbers */
	struct letters mail;
	bool lost; /* the connection, since it was told */
};

struct hub_seat {
	TAILQ_ENTRY(hub_seat) link;
	struct hub *hub;
	int fd;
	size_t way; /* where its job was asked for */
	bool waits; /* for a placement */
	char job[JOB_ID_SIZE];
	struct letters mail;
	enum monitor_event events[EVENTS_MAX];
	size_t n_events;
};

/* A connection with one of the coordinators. */
struct hub_way {
	struct farm *farm; /* NULL: none is made */
	zmq_msg_t welcome; /* as it came on this connection */
	/* when that was; 0: it has not come, or an answer was waited for in vain since */
	uint64_t since_ms;
	uint64_t failed_ms;   /* when none could be made, or was refused; 0: it was not */
	bool noted, noted_up; /* whether it answers, as it was noted last */
};

struct hub {
	pthread_mutex_t lock;
	/* The connections with the coordinators of the configuration, an own one for each; that at
	 * `at` is the one that seats and desks have. */
	struct hub_way ways[COORDINATORS_MAX];
	size_t n_ways, at;
	uint64_t steady_ms;
	struct coordinators coordinators;
	struct identity identity; /* this client's */
	bool has_identity;
	void *zctx;
	const struct conf *conf;
	struct farm *farm; /* ways[at].farm; its job is none */
	uint64_t mute_ms;  /* since when a job was asked for, and nothing was heard; 0: no */
	int wake;	   /* the outbox has something */
	struct letters outbox;
	TAILQ_HEAD(, hub_seat) seats;
	TAILQ_HEAD(, hub_desk) desks;
	uint32_t next_desk;
	bool compress;		 /* what its shares send and are sent */
	bool greeted;		 /* Welcome was heard on this connection */
	bool has_cache, may_put; /* as it said */
	bool refills;		 /* likewise */
	bool asked, vouched;	 /* for whom it vouches, on this connection */
	bool closing;
	enum tier_state told; /* to desks */
	hub_producers_fn on_producers;
	void *producers_arg;
	uint64_t away_ms;
};

/* hub_mail.c */
struct letter *hub_letter_new(void); /* NULL: no memory */
void hub_letter_free(struct letter *l);
void hub_letters_free(struct letters *v);
void hub_ring(int fd); /* of an eventfd: it is readable, or not any more */
void hub_silence(int fd);
void hub_send_all(struct hub *h); /* what is in the outbox */
/* The lock is held. */
void hub_put_event(struct hub_seat *s, enum monitor_event event);
void hub_put_mail(struct hub_seat *s, zmq_msg_t *msg);
void hub_lose_desks(struct hub *h);
void hub_hear_welcome(struct hub *h, const Dray__Welcome *m);

/* hub_ways.c */
/* Begins to connect to the first. 0; -errno with a sentence in *ret_why (caller frees). */
int hub_ways_open(struct hub *h, char **ret_why);
void hub_ways_close(struct hub *h);
/* Welcome was heard on that way, or its connection was lost, as its seats were told. The lock is
 * held. */
void hub_way_welcomed(struct hub_way *w, zmq_msg_t *welcome, uint64_t now);
void hub_way_lost(struct hub *h, size_t way);
/* Opens and closes ways as it is time, and takes another one into use where that is due. */
void hub_ways_step(struct hub *h, uint64_t now);
size_t hub_ways_items(const struct hub *h, zmq_pollitem_t *items);
/* For how many ms nothing has to be done. */
uint64_t hub_ways_wait(const struct hub *h, uint64_t now);

#endif
