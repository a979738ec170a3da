/* The server's structs, for its files only. From the bottom up, each calls only what is above it
 * here: peers.c (the connected peers and their roles), answer.c (what a peer is told),
 * key_file.c (the allowed keys), vouch_msgs.c (the producers among them), alike.c,
 * client_msgs.c, worker_msgs.c, holders.c, join_msgs.c, rotate_msgs.c, cache_msgs.c,
 * sample_msgs.c, aside.c, refill_msgs.c, push_msgs.c, purge_msgs.c, status_cache.c and
 * status_msg.c (what each side says), shots.c (the page), act.c (the scheduler's actions become
 * messages), handlers.c (the table of messages), server.c (sockets, loop, signals).
 */
#ifndef DRAY_COORDINATOR_SERVER_PRIV_H
#define DRAY_COORDINATOR_SERVER_PRIV_H

#include <sys/queue.h>
#include <sys/stat.h>

#include "common/conf/conf.h"
#include "common/process/daemon.h"
#include "keys/identity.h"
#include "common/log/log.h"
#include "common/process/notify.h"
#include "common/text/clean.h"
#include "coordinator/admin/audit.h"
#include "coordinator/admin/events.h"
#include "coordinator/admin/guests.h"
#include "coordinator/admin/join_tokens.h"
#include "coordinator/admin/standing.h"
#include "coordinator/cache/judged.h"
#include "coordinator/cache/refills.h"
#include "coordinator/cache/sampler.h"
#include "coordinator/give/invites.h"
#include "coordinator/page/tally.h"
#include "coordinator/sched.h"
#include "coordinator/toolchains.h"
#include "common/table.h"
#include "discovery/announce.h"
#include "proto/admit.h"
#include "proto/door.h"
#include "proto/socket.h"
#include "keys/join_word.h"
#include "keys/succession.h"
#include "keys/ticket.h"
#include "keys/trust.h"
#include "proto/wire.h"

#define BATCH 256	 /* messages taken in one turn of the loop */
#define WORKER_SILENCE 3 /* heartbeats */
#define SLOTS_MAX 4096	 /* of one worker */
#define GLIBC_MAX 999
#define INSTANCE_SIZE 16

/* What a worker has done and said, since it came. */
struct peer_did {
	uint64_t since_ms;
	uint64_t ended, failed, cpu_us, wall_us;
	unsigned load_percent, coordinators;
	uint64_t memory_available, store_bytes;
};

struct peer {
	struct table_node by_id;
	struct table_node by_serial;
	TAILQ_ENTRY(peer) doomed_link;
	struct wire_peer wire;
	uint64_t serial;	/* the scheduler's handle for it; never used again */
	enum admit_state state; /* NEW has no struct peer yet */
	enum role role;
	bool crowded;	 /* one connection too many of its key */
	unsigned unread; /* bytes that may wait for it, answer.c */
	bool barred;	 /* an admin has removed this worker */
	bool leaving;	 /* a worker that takes nothing more, by its own word */
	bool follows;	 /* an admin that waits for the next event: */
	uint32_t follow_number;
	uint64_t follow_after;
	bool doomed;		     /* cannot be sent to: removed before the next message */
	struct sched_worker *worker; /* while REGISTERED */
	bool samples;		     /* a worker that takes part in them, */
	bool tells_samples;	     /* and says how far they are */
	bool tells_alike;	     /* a worker that shares, and says of what (worker.proto) */
	unsigned n_alike;	     /* of a client: requests in alike.c */
	bool has_cpu;		     /* it has said the next one: its machine's, toolchain/cpu.h */
	struct digest cpu;
	bool peers;	       /* a worker that gives others blobs */
	bool takes_toolchains; /* a worker that clients may give some */
	bool purging;	       /* an admin that waits for results to be removed */
	bool hears;	       /* of the coordinator's next keys (link.proto, Successor) */
	bool asks_producers;   /* is told of the list's producers, and of each change */
	uint64_t heard_ms;     /* a worker's last heartbeat */
	struct peer_did did;
	uint8_t instance[INSTANCE_SIZE]; /* a worker's process; zeros: not told */
};

struct server {
	const struct conf *conf;
	const struct conf *limits; /* the same, or as it was read again: for what can change */
	struct conf *reloaded;	   /* what was, or NULL */
	int (*load)(void *arg, struct conf **ret, char **ret_error); /* NULL: it cannot be */
	void *load_arg;
	struct identity id;
	struct succession next; /* of its own; serial 0: none */
	struct allowed_keys keys;
	struct stat keys_stat; /* of the file that `keys` came from */
	bool local;	       /* ipc: roles are what Hello says */
	uint8_t hash_key[TABLE_KEY_SIZE];

	void *ctx;
	struct zap *zap;
	struct door *door;
	void *socket;
	struct monitor *monitor;
	char *endpoint;
	struct announce announce;
	void *admin_socket; /* DOOR_ADMIN; NULL: there is none; as the next one */
	struct monitor *admin_monitor;
	char *admin_path;	/* to be removed at the end, */
	struct stat admin_file; /* if it is still this one */
	int signal_fd;
	struct notify *notify; /* the service manager; may be NULL */

	struct sched *sched;
	struct table peers, serials;
	uint64_t next_serial;
	TAILQ_HEAD(, peer) doomed;
	uint64_t now; /* of this turn of the loop, monotonic ms */
	uint64_t began_ms;
	struct ticket_clock clock;
	uint64_t ticked_ms, checked_ms;
	uint64_t took; /* bytes of messages */
	struct daemon_rest rest;
	bool draining, quit;
	bool again;	  /* it quits to begin anew with its next keys */
	uint64_t quit_ms; /* when draining ends */
	bool wanted;	  /* what all workers were told last, beside their heartbeats; and when */
	uint64_t wanted_ms;

	struct vouched *vouched; /* of namespaces, as asked for since the list was read */
	struct desk *desk;	 /* the shared cache; NULL: there is none */
	struct table notes;	 /* of jobs, for the history */
	TAILQ_HEAD(, job_note) job_notes;

	struct recent *holders;	 /* of blobs; NULL: none is known */
	struct sampler *sampler; /* NULL: no result is compiled again */
	struct judged judged;	 /* what samples have shown; its file is in the cache's directory */
	bool judged_unsaved;	 /* some of it is not in the file */

	struct events *events;	       /* what happens, for those that follow it */
	struct standings standings;    /* of workers, as admins have said */
	struct toolchains *toolchains; /* what is known of them, and which are pinned */
	struct join_tokens tokens;     /* by which keys join */
	struct guests guests;	       /* those that come to join */
	struct oidc *oidc;	       /* NULL: nobody joins by OpenID Connect */
	size_t followers;	       /* peers with `follows` */
	uint64_t tried_from_ms;	       /* since when refused admin acts are counted */
	unsigned tried, tried_unsaid;  /* how many, and of these not written down */

	struct tally *tally;	/* what has happened */
	struct page *page;	/* NULL: none is wanted */
	uint64_t shot_ms;	/* when it was last shown what there is */
	struct refills refills; /* that run */
	struct alikes *alikes;	/* alike.c; NULL: there is no shared cache */
	struct refills pushes;	/* likewise: toolchains that clients give (push_msgs.c) */
	struct invites invites; /* to give one */

	struct log_throttle bad_peer, slow_peer, no_ticket, crowd, unsampled, no_audit, bad_keys;
};

/* Doors, in wire_peer.door: the socket that all connect to, and the one of admins of this machine,
 * whose user the kernel has proved. */
enum { DOOR_FARM, DOOR_ADMIN };

/* tell.c: what happens is told to those that follow it */
/* Keeps what in s->events, with the time; its words are made printable. */
void tell_event(struct server *s, struct event *what);
/* A worker came, went, or takes nothing more. */
void tell_worker(struct server *s, const char *name, const char *text);
void tell_fault(struct server *s, const char *who, const char *text);

/* admin_msgs.c: what admins ask for (proto/admin.proto) */
/* Opens the socket of this machine's admins, and reads what they have said of workers. What does
 * not go is logged, and the coordinator serves without it. */
void admin_start(struct server *s);
void admin_end(struct server *s);
void on_admin_look(
	struct server *s, struct peer *p, const struct wire_peer *from, struct wire_msg *m);
void on_admin_act(
	struct server *s, struct peer *p, const struct wire_peer *from, struct wire_msg *m);
void on_admin_follow(
	struct server *s, struct peer *p, const struct wire_peer *from, struct wire_msg *m);
/* A message that is an admin's came from one that is none, or cannot be read. */
void admin_refused(
	struct server *s, const struct wire_peer *from, const char *act, const char *why);
/* Answers those that follow, if there is something new. */
void admin_tell(struct server *s);
/* A file of the coordinator's that makes no sense (error) is kept under another name, and the log
 * says whose it is (what), and what follows (now). */
void admin_put_aside(
	const char *dir, const char *file, const char *what, const char *now, int error);
/* A key that is in no list asks to join, or has: what is its role, name and token. Of those that
 * are refused, some are written down. */
void admin_joined(struct server *s, const struct wire_peer *from, const char *what);
void admin_join_refused(
	struct server *s, const struct wire_peer *from, const char *what, const char *why);
/* The same of one that has another key come in its place. */
void admin_rotated(struct server *s, const struct wire_peer *from, const char *what);
void admin_rotate_refused(
	struct server *s, const struct wire_peer *from, const char *what, const char *why);
struct admin_who {
	char name[KEYS_NAME_MAX + 1]; /* "": it has none */
	char from[128];		      /* by what it was let in */
};
/* Only while its message is handled: later the connection may be another's. */
void admin_who_is(const struct server *s, const struct wire_peer *from, struct admin_who *ret);
/* Writes down what was asked for elsewhere (CachePurge), and what came of it. */
void admin_note(struct server *s, const struct admin_who *who, const char *act, const char *what,
	enum audit_result result, const char *why);

/* Refuses the worker of that name, which an admin has removed. p may be NULL. */
void admin_bar(struct server *s, const struct wire_peer *from, struct peer *p, const char *name);

/* admin_keys.c: the list of allowed keys is changed, which is to be read again then. What was done,
 * or why not, is in why. 0; -EINVAL, -EBADMSG, -ENOENT: what was asked for cannot be; or another
 * -errno. */
int admin_key_add(struct server *s, const Dray__AdminKey *m, char *why, size_t n);
/* from: who asks: of the admins' keys the last one is revoked by the coordinator's socket alone. */
int admin_key_revoke(struct server *s, const struct wire_peer *from, const Dray__AdminKey *m,
	char *why, size_t n);
/* The same of one that joins. */
int key_list_add(struct server *s, const struct allowed_key *k, char *why, size_t n);
/* And of one that comes in the place of another one: as of allowed_list_rotate. */
struct key_change {
	const char *old_curve;
	const struct allowed_key *fresh;
	uint64_t now_s, until_s;
	bool revoked;
};
int key_list_rotate(struct server *s, const struct key_change *c, char *why, size_t n);
/* The line of that key, which stays there, says that it is revoked. */
int key_list_revoke(struct server *s, const char *curve, char *why, size_t n);

/* admin_tokens.c: tokens are made and revoked. What was done, or why not, is in why; errors as
 * above, and -ENOSPC. */
struct token_made {
	char word[JOIN_WORD_SIZE]; /* "": none */
	struct join_token token;
};
/* by: who has it made. */
int admin_token_create(struct server *s, const Dray__AdminToken *m, const char *by,
	struct token_made *ret, char *why, size_t n);
int admin_token_revoke(struct server *s, const char *id, char *why, size_t n);
/* What is said of a token; its words are those of t, and of ret. */
struct token_said {
	Dray__AdminToken m;
	char id[JOIN_ID_SIZE], role[16], state[16];
};
void token_say(const struct server *s, struct join_token *t, struct token_said *ret);
/* Reads those that there are. 0; an error of join_tokens_load. */
int tokens_start(struct server *s);
/* The file's directory; -errno, and why, where there is none or it cannot be written. */
int tokens_save(struct server *s, char *why, size_t n);
uint64_t tokens_now(const struct server *s); /* seconds since 1970 */

/* oidc_state.c and oidc_join.c: a key joins by a token of OpenID Connect */
struct oidc;
/* Reads the rules; nobody may where [coordinator] oidc is not set. */
int oidc_start(struct server *s, char **ret_error);
/* Reads who has joined; keys_reload is to follow. Errors of passes_load. */
int oidc_load(struct server *s);
void oidc_end(struct server *s);
void oidc_reload(struct server *s);
bool oidc_open(const struct server *s); /* whether somebody may join so */
/* Adds those that have joined to the list's. 0 or -ENOMEM. */
int oidc_apply(const struct server *s, struct allowed_keys *keys);
/* Ends those in the keys in use that have ended; whether there were some. */
bool oidc_update(struct server *s);
bool oidc_has(const struct server *s, const char *curve_public); /* whether it has joined so */
/* -ENOENT: it has not joined so. Else it is revoked, and keys_reload is to follow: 0; -EIO, and
 * why: only until this process ends. */
int oidc_revoke(struct server *s, const char *curve_public, char *why, size_t n);
/* Of a whole Join, whose proof is right. It is answered, now or later. */
void oidc_join(struct server *s, const struct wire_peer *from, const Dray__Join *m);
/* -1: nothing is to be polled. */
int oidc_fd(const struct server *s);
void oidc_step(struct server *s);

/* join_msgs.c: a key joins by a token (link.proto) */
void on_join(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);

/* rotate_msgs.c: a key has another one come in its place (link.proto) */
void on_rotate(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);

/* succeed.c: this coordinator's next keys (keys/succession.h) */
/* The keys of now, where those of the configuration have had others come after them. */
int succeed_start(struct server *s, char **ret_error);
void succeed_tell(struct server *s, struct peer *p); /* what is to come, if it hears of that */
bool succeed_is_due(const struct server *s);	     /* this process is to begin anew with them */
/* As of admin_key_add. */
int admin_succeed(struct server *s, const Dray__AdminAct *m, char *why, size_t n);

/* peers.c */
/* The socket that it came by, and its monitor. */
void *peer_socket(const struct server *s, const struct wire_peer *wire);
struct monitor *peer_monitor(const struct server *s, const struct wire_peer *wire);
int peers_init(struct server *s);
void peers_done(struct server *s);
struct peer *peer_find(struct server *s, const struct wire_peer *wire);
struct peer *peer_by_serial(struct server *s, uint64_t serial);
/* The worker with that key that is here, or NULL; and its name, or where it is not here, the key.
 */
struct peer *peer_of_worker(struct server *s, const char *curve);
const char *peer_worker_name(struct server *s, const char *curve);
/* Whether b is the same client on a new connection, whose old one's end was not seen yet. */
bool peer_is_same_client(const struct server *s, const struct peer *a, const struct peer *b);
struct peer *peer_add(struct server *s, const struct wire_peer *wire);
/* Called when a connection is gone: ends all that the peer asked for or offered. */
void peer_remove(struct server *s, struct peer *p);
void peers_sweep_doomed(struct server *s);
/* The role of the peer's proved key; ROLE_LOCAL over ipc, where Hello tells the role. */
enum role peer_key_role(struct server *s, const struct wire_peer *wire);
/* Tells the scheduler that the worker behind p is gone. */
void peer_lose_worker(struct server *s, struct peer *p, const char *why);
/* Ends all that p asked for or offered; p stays. */
void peer_end(struct server *s, struct peer *p, const char *why);
/* What the scheduler counts p's use by: its key. */
uint64_t peer_account(struct server *s, const struct peer *p);
/* Marks p for peers_sweep_doomed. */
void peer_doom(struct server *s, struct peer *p);

/* answer.c */
/* Sends. If that fails, the peer is doomed (peer_doom). */
void server_send(
	struct server *s, struct peer *p, enum wire_type type, const ProtobufCMessage *body);
/* The same of a request of that number; the payload's content is taken if it is sent. */
void server_send_number(struct server *s, struct peer *p, uint32_t number, enum wire_type type,
	const ProtobufCMessage *body, zmq_msg_t *payload);
/* The time that tickets go by. */
uint64_t server_time(const struct server *s);
/* Tells the peer why, logs it (throttled), and ignores the peer from then on. */
void server_refuse(struct server *s, const struct wire_peer *wire, struct peer *p,
	Dray__Verdict verdict, const char *fmt, ...) _printf_(5, 6);
/* Its last message: nothing is heard of that connection any more, and it ends. */
void server_part(struct server *s, const struct wire_peer *wire, struct peer *p,
	enum wire_type type, const ProtobufCMessage *body);
/* Joined, of the key as the list has it now; the last message. */
void join_answer(struct server *s, struct peer *p, const struct wire_peer *to,
	const struct allowed_key *k, bool already);
/* A message of that peer was of no use (door_waste). */
void server_waste(struct server *s, const struct wire_peer *wire);
/* For one line of a log. */
#define CLEAN(text) clean_text(text, (char[256]){ 0 }, 256)
void send_denied(
	struct server *s, struct peer *p, const char *job, Dray__Verdict verdict, const char *text);
/* With what else JobDenied says, to a push or of a toolchain. */
struct denied_more {
	unsigned having;
	bool give;
};
void send_denied_as(struct server *s, struct peer *p, const char *job, Dray__Verdict verdict,
	const char *text, const struct denied_more *more);

/* key_file.c */
/* 0, or -errno with a sentence in *ret_error; the keys in use stay as they are then. */
int keys_load(struct server *s, char **ret_error);
void keys_reload(struct server *s);
void keys_check(struct server *s); /* reloads when the file has changed */
/* Lines of the list count otherwise than before: all whom that concerns are told. */
void keys_changed(struct server *s);
#define JUDGED_FILE "judged" /* in the cache directory: what samples have shown */
/* The file of what samples have shown (coordinator/cache/judged.h); NULL: there is none, or no
 * memory. */
char *judged_path(const struct server *s);

/* handlers.c */
/* err: of wire_take. */
void handle_message(struct server *s, const struct wire_peer *from, int err, struct wire_raw *raw);

typedef void (*handler_fn)(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);

/* client_msgs.c */
void on_job_request(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);
void on_job_retry(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);
void on_job_finished(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);
void on_job_cancel(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);

/* worker_msgs.c */
void on_worker_register(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);
void on_worker_heartbeat(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);
void on_worker_started(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);
void on_worker_ended(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);
void on_worker_refused(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);
void on_worker_bye(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);
/* Removes workers whose heartbeats have stopped. */
void workers_check(struct server *s);
/* Tells workers whether others wait for their slots, when that has changed. */
void workers_tell_wanted(struct server *s);

/* status_msg.c */
void on_status_request(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);

/* cache_msgs.c */
/* As the configuration says; without it where it cannot be opened. Starts threads. */
void cache_start(struct server *s);
void cache_end(struct server *s);
/* What Welcome says of it to that peer; how many there are. */
#define CACHE_FEATURES_MAX 2
size_t cache_features(const struct server *s, const struct peer *p, char *ret[CACHE_FEATURES_MAX]);
void on_shared(struct server *s, struct peer *p, const struct wire_peer *from, struct wire_msg *m);
/* What is known of jobs, for people and for the history. */
struct job_told {
	const char *crate, *kind, *namespace; /* until the next message */
	uint64_t asked_ms;
};
/* False: nothing is known of it, or not any more. */
bool cache_job_told(struct server *s, const struct job_id *id, struct job_told *ret);
/* tell_event (tell.c) of that job: what it is, and whose, is added. p: its client, NULL: the one
 * that it has now. */
void tell_job(struct server *s, const struct peer *p, const struct job_id *id, struct event *e);
void cache_job_asked(
	struct server *s, const struct peer *p, const struct job_id *id, const Dray__JobRequest *m);
void cache_job_placed(struct server *s, const struct job_id *id, uint64_t worker, bool twin);
void cache_job_cancelled(struct server *s, const struct job_id *id);
void cache_job_ended(struct server *s, const struct peer *worker, const struct job_id *id,
	const Dray__WorkerJobEnded *m);

/* status_cache.c: what a status says of the shared cache, and of whom the coordinator vouches for.
 */
struct status_cache {
	char namespace[KEYS_NAME_MAX + 1];
	struct trust_keys keys;
	Dray__Producer *producers, **producer_list;
	Dray__CacheSpace *spaces, **space_list;
};
/* Fills in m, which points into *c: status_cache_done when it is sent. Without memory it says less.
 */
void status_cache_fill(
	struct server *s, const struct peer *p, Dray__Status *m, struct status_cache *c);
void status_cache_done(struct status_cache *c);

/* vouch_msgs.c */
/* "" for none. */
const char *peer_namespace(const struct server *s, const struct peer *p);
/* Whether the coordinator says to p whom it vouches for. */
bool vouch_is_for(const struct peer *p);
/* One of these, in words that are k's. */
void vouch_fill(Dray__Producer *m, struct trust_key *k);
void on_producers_ask(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);
/* The list of keys is another: all that have asked are told. */
void vouch_changed(struct server *s);
/* The producers that it names for a namespace, until it changes (NULL: none); and p itself. 0 or
 * -ENOMEM. */
struct signers;
struct signer;
int vouch_signers(struct server *s, const struct peer *p, const char *namespace,
	struct signers **ret_signers, struct signer *ret);
void vouch_done(struct server *s);

/* sample_msgs.c: results of workers are compiled again by others (worker.proto, Samples) */
void samples_start(struct server *s);
void samples_end(struct server *s);
struct merge_note;
/* What the shared cache has kept. */
void samples_kept(struct server *s, const char *namespace, const struct digest *key,
	const struct merge_note *note);
/* A worker says that a job has ended. False: it is no sample. */
bool samples_ended(struct server *s, const struct peer *p, const Dray__WorkerJobEnded *m);
/* Likewise: how far it is. */
bool samples_started(struct server *s, const struct peer *p, const Dray__WorkerJobStarted *m);
/* Likewise: it did not take it. */
bool samples_refused(struct server *s, const struct peer *p, const char *job);
/* It has registered. */
void samples_worker_here(struct server *s, struct peer *p);
/* NULL: what it puts there is taken, of what *ret says; else why not. */
const char *samples_bar(struct server *s, const struct peer *p, const Dray__SharedPut *m,
	const char *namespace, struct signer *ret, Dray__Verdict *ret_verdict);
/* Whether anything is that this worker makes for that client. */
bool samples_take(const struct server *s, const struct peer *worker, const char *client);
void on_worker_lent(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);

/* holders.c: who has which blobs (worker.proto, Peers first) */
void on_worker_holds(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);
void on_worker_seek(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);
/* Of the client of a job that the worker with p's key has. NULL: it has no such job. */
const char *holders_namespace(struct server *s, const struct peer *p, const char *job);
void holders_end(struct server *s);

/* alike.c: of units that are the same wherever they lie one is made, and the others wait for its
 * result (client.proto, Alike units). ask: on_job_request, for one that was kept back. */
int alike_start(struct server *s, handler_fn ask);
extern struct alike_limits { /* of the waits: see alike.c */
	uint64_t unproved_ms, grace_ms, wait_max_ms, say_ms;
} alike_limits; /* tests make them short */
void alike_end(struct server *s);
/* A client's JobRequest. True: it is kept back, or was answered. */
bool alike_asked(
	struct server *s, struct peer *p, const Dray__JobRequest *m, const struct job_id *id);
/* The scheduler places it, of client p. True: it is kept back instead. */
bool alike_placed(struct server *s, struct peer *p, const struct sched_action *a);
/* Its client wants it no more. False: it is none that is kept back. */
bool alike_left(struct server *s, const struct peer *p, const char *job);
/* A worker says so of a job that it has. */
void alike_compiles(struct server *s, const struct peer *worker, const struct job_id *id,
	const Dray__WorkerJobStarted *m);
void alike_ended(struct server *s, const struct peer *worker, const struct job_id *id,
	const Dray__WorkerJobEnded *m);
/* The shared cache has a result of that key. */
void alike_made(struct server *s, const char *namespace, const struct digest *key);
void alike_tick(struct server *s);

/* aside.c: what goes to a worker beside the scheduler, without a slot: refills and pushes */
struct aside_at {
	struct peer *peer; /* NULL: no worker */
	struct sched_worker_view view;
};
bool aside_offers(const struct sched_worker *w, const struct sched_worker_view *view,
	const ProtobufCBinaryData *toolchain);
/* A worker whose line names a namespace is given only what its own namespace has. */
bool aside_may_see(struct server *s, const struct peer *worker, const struct peer *client);
/* With a ticket of these terms. NULL: it was denied, since none can be signed. */
struct refill *aside_place(struct server *s, struct refills *among, struct peer *client,
	const Dray__JobRequest *m, const struct aside_at *at, const struct ticket_terms *terms);
/* That client's; NULL: it has none of that name. */
struct refill *aside_of_client(struct refills *among, const struct peer *p, const char *job);
/* Its client has what it wanted, or (not finished) wants nothing any more. */
void aside_left(struct server *s, struct refills *among, struct refill *f, bool finished);
/* That worker has ended it. False: it has none of that name. */
bool aside_ended(struct refills *among, const struct peer *worker, const char *job);
/* Cancels what is overdue, or nobody's; wanted: all. */
void aside_tick(struct server *s, struct refills *among, bool wanted);

/* refill_msgs.c: what clients compiled at home is compiled again for the shared cache
 * (client.proto, Refills) */
/* A client's JobRequest that says it is one. */
void refill_asked(
	struct server *s, struct peer *p, const Dray__JobRequest *m, const struct job_id *id);
/* Its client has what it wanted, or wants nothing any more. False: it is no refill. */
bool refill_left(struct server *s, const struct peer *p, const char *job, bool finished);
/* A worker says that it has ended, or that it does not take it. False: it is no refill. */
bool refill_ended(struct server *s, const struct peer *worker, const char *job);
/* Those that run end where somebody waits for a slot, or their client is gone. */
void refills_tick(struct server *s);

/* push_msgs.c: clients give workers toolchains (client.proto, Pushes). The first four are as of
 * refills. */
void push_asked(
	struct server *s, struct peer *p, const Dray__JobRequest *m, const struct job_id *id);
bool push_left(struct server *s, const struct peer *p, const char *job, bool finished);
bool push_ended(struct server *s, const struct peer *worker, const char *job, bool given);
void pushes_tick(struct server *s);
/* A client's request was denied since no worker has its toolchain. Whether that client is to give
 * it: it is told so then, and nobody else is for now. */
bool push_invites(struct server *s, struct peer *client, const struct digest *toolchain);
void on_push_progress(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);
/* Whose push it is that the worker with p's key has; NULL. */
const struct peer *push_client(struct server *s, const struct peer *p, const char *job);

/* sample_ends.c: what follows of them */
/* sampler_host.doubt and .end */
void samples_doubted(void *arg, const struct sample *m);
void samples_judged(void *arg, const struct sample *m, enum sample_outcome o, const char *who,
	const char *text);
/* Whether what that worker makes for that client is (cache/blame.h). client: "": not known. */
bool samples_are_believed(const struct server *s, const char *curve, const char *client);
/* Names the packages to it that are not to be shared. */
void samples_tell_unshared(struct server *s, struct peer *p);

/* reload.c: the settings as they are now, as far as they count without a new start */
void settings_reload(struct server *s);
void settings_end(struct server *s);
/* sched_conf.quota */
void settings_quota(void *arg, const char *space, struct sched_quota *ret);

/* purge_msgs.c: an admin has results removed */
void on_cache_purge(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);

/* shots.c: the page, where one is wanted. 0; -errno with a sentence in *ret_error. */
int shots_start(struct server *s, char **ret_error);
void shots_end(struct server *s);
void shots_tick(struct server *s);  /* shows what there is, if it is time */
void shots_shoot(struct server *s); /* at once */

/* act.c: carries out all actions, and removes peers that could not be told. */
void act_all(struct server *s);

#endif
