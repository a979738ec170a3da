/* Sockets as dray uses them: CURVE on TCP, heartbeats, high-water marks, no lingering, and a
 * monitor that tells at once when a peer is gone.
 *
 * Nothing unencrypted is reachable from another machine: a TCP endpoint without keys is refused
 * here, for bind and connect alike, loopback included. ipc:// goes without keys; its directory's
 * mode guards it. */
#ifndef DRAY_PROTO_SOCKET_H
#define DRAY_PROTO_SOCKET_H

#include <zmq.h>

#include "keys/identity.h"
#include "proto/admit.h"
#include "proto/gate.h"
#include "proto/peer.h"

struct monitor;

/* Whether endpoint is ipc://. */
bool endpoint_is_local(const char *endpoint);
/* Whether it is ipc:// or a loopback TCP address: then compression only costs. */
bool endpoint_is_this_machine(const char *endpoint);

/* Between a client and a worker. Three of these without a sign of life end the connection. A sign
 * of life waits behind a chunk (256 KiB) and what the system has buffered: 6 s at 64 kB/s. */
#define JOB_HEARTBEAT_MS 3000

/* A ROUTER bound to endpoint (tcp://host:port, port may be '*'; or ipc:///path). id may be NULL for
 * ipc. *ret_endpoint is what was really bound (caller frees). -EINVAL: TCP without keys, or without
 * the ZAP handler below, which must be there first. An ipc path is absolute; its socket gets mode
 * 0600 (by the process's umask: listen before threads are started). -EADDRINUSE: somebody listens
 * there; -EEXIST: an ipc path that is no socket. */
/* at: by it goes the largest frame that is taken (proto/admit.h), and how many messages wait. */
int socket_listen(void *ctx, enum admit_at at, const char *endpoint, const struct identity *id,
	int heartbeat_ms, void **ret_socket, char **ret_endpoint);
/* The same with a monitor that is there before it listens: with it goes a bound on what an address
 * costs before it is known (proto/gate.h). */
int socket_listen_monitored(void *ctx, enum admit_at at, const char *endpoint,
	const struct identity *id, int heartbeat_ms, void **ret_socket,
	struct monitor **ret_monitor, char **ret_endpoint);

/* The same for an ipc endpoint that is for this process's user, and root, alone: the kernel says at
 * each connection whose it is, and another's is ended, whatever the modes of the directories are.
 */
int socket_listen_own(void *ctx, enum admit_at at, const char *endpoint, int heartbeat_ms,
	void **ret_socket, struct monitor **ret_monitor);

/* A DEALER that connects. server_curve: the other's public key, Z85; "" or NULL for ipc. Connecting
 * goes on in the background and again after a loss. */
int socket_connect(void *ctx, const char *endpoint, const struct identity *id,
	const char *server_curve, int heartbeat_ms, void **ret_socket);
/* The same with a monitor (below) that is there before the first attempt. A monitor_new after
 * socket_connect can come too late for the first CONNECTED. */
int socket_connect_monitored(void *ctx, const char *endpoint, const struct identity *id,
	const char *server_curve, int heartbeat_ms, void **ret_socket,
	struct monitor **ret_monitor);
/* The same where both sides say something of their own at least each heartbeat_ms: libzmq's
 * heartbeats, which each cost as much, go five times as seldom (as a coordinator's do to all), and
 * a connection that is dead without a word is noticed after eight of them instead of four. */
int socket_connect_talking(void *ctx, const char *endpoint, const struct identity *id,
	const char *server_curve, int heartbeat_ms, void **ret_socket,
	struct monitor **ret_monitor);

static inline void
socket_closep(void **socket)
{
	if (*socket)
		zmq_close(*socket);
	*socket = NULL;
}
/* A context; 0 or -errno. Asks first for the system calls without which libzmq ends the process. */
int zmq_ctx_open(void **ret);
void zmq_ctx_termp(void **ctx);

/* Watches connections come and go. For a ROUTER tell it of each message's peer (monitor_note); then
 * monitor_next gives the peers that are gone. fd reuse is handled: a peer is reported gone exactly
 * once, never its successor on the same descriptor. */
enum monitor_event {
	MONITOR_NONE,
	MONITOR_CONNECTED,
	MONITOR_PEER_GONE,
	MONITOR_DISCONNECTED,
	MONITOR_REFUSED,
	MONITOR_PUT_OFF
};

int monitor_new(void *ctx, void *socket, struct monitor **ret);
void monitor_free(struct monitor *w);
void monitor_freep(struct monitor **w);
void *monitor_socket(struct monitor *w); /* to poll for ZMQ_POLLIN */
void monitor_note(struct monitor *w, const struct wire_peer *peer);
/* For a ROUTER, which cannot end a connection: these shut its descriptor down. The peer, at the
 * next monitor_expire that is MONITOR_GRACE_MS later, so that what it was told still leaves; each
 * connection that has not said a word for silent_ms. */
#define MONITOR_GRACE_MS 1000
void monitor_end(struct monitor *w, const struct wire_peer *peer, uint64_t now);
void monitor_expire(struct monitor *w, uint64_t silent_ms, uint64_t now);
/* Nothing more is read of that peer's connection for so long (proto/brake.h), as exactly as
 * monitor_look is called. What it has sent before may still come. A longer time holds; over ipc it
 * does nothing. Held longer than three heartbeats it ends: its signs of life are dropped, too. */
void monitor_hold(struct monitor *w, const struct wire_peer *peer, unsigned ms, uint64_t now);
/* Of connections that said nothing yet there are n at most; one more ends the oldest. By default as
 * many as three quarters of the descriptors: each that is ended may come back, and costs a
 * handshake. */
void monitor_silent_max(struct monitor *w, unsigned n);
/* What all connections have sent, and no message that was taken had in it, with what small messages
 * cost beside, and what those that have ended have left behind in libzmq's queues. Above half of it
 * those that never said anything are ended, then those of which no message came lately, that hold
 * most first; above it those that hold most of the others are held back, until what waits was
 * taken. One that is ended for it is a debt of its address (proto/gate.h), and so is one that ends
 * by itself, where much was left behind. Tell it of each message, and call monitor_look at each
 * turn of the loop, and whether all that was there was taken; it decides by itself when it is time.
 */
#define MONITOR_HELD_MAX (64u * 1024 * 1024)
void monitor_held_max(struct monitor *w, uint64_t bytes); /* another bound than that */
void monitor_took(struct monitor *w, const struct wire_peer *peer, size_t bytes);
void monitor_look(struct monitor *w, bool caught_up, uint64_t now);
/* Where that peer's connection comes from, in words; and n connections more that its address owes
 * (proto/gate.h). False: it is gone, or not of TCP. */
bool monitor_charge(struct monitor *w, const struct wire_peer *peer, unsigned n,
	char ret_from[GATE_TEXT_SIZE], uint64_t now);
/* gate_news of its socket's, for the log of the program. */
bool monitor_shut_out(struct monitor *w, char ret[GATE_TEXT_SIZE]);
/* The next event without blocking. PEER_GONE fills *ret_peer (a ROUTER only). CONNECTED: handshake
 * done. DISCONNECTED, REFUSED (authentication failed, or the other speaks otherwise) and PUT_OFF
 * (it ended the handshake without a word: another key than was expected, or it wants to be asked
 * again): for a DEALER. It then tries again, except when its key was refused: libzmq gives that
 * socket up, and a new one must be made. */
enum monitor_event monitor_next(struct monitor *w, struct wire_peer *ret_peer);

/* ZAP (ZeroMQ RFC 27): libzmq asks it about each new CURVE client. */
struct zap;
/* NO: refused (400), and its libzmq gives up. LATER: put off (300); its libzmq tries again, but
 * often only when the handshake's time is over. WAIT: ask again when zap_again names the key, at
 * the latest after ZAP_WAIT_MS, which is less than a handshake may take; then WAIT means LATER. */
enum zap_answer { ZAP_NO, ZAP_YES, ZAP_LATER, ZAP_WAIT };
#define ZAP_WAIT_MS 3000
/* decide: whether a client with this key may connect; NULL: any key may. Must be made before the
 * first listening socket of ctx. */
typedef enum zap_answer (*zap_decide_fn)(void *arg, const char *curve_public);
int zap_new(void *ctx, zap_decide_fn decide, void *arg, struct zap **ret);
void zap_free(struct zap *z);
void zap_freep(struct zap **z);
void *zap_socket(struct zap *z); /* to poll for ZMQ_POLLIN; then call zap_step */
/* While `decide` runs: where that client comes from; family 0: it cannot be told. */
struct gate_address zap_from(const struct zap *z);
void zap_step(struct zap *z); /* answers those that have come, and those that waited long enough */
void zap_again(struct zap *z, const char *curve_public); /* something is known of that key now */
long zap_wait(
	const struct zap *z, uint64_t now); /* ms until zap_step has something to do; -1: none */
#define ZAP_DOMAIN "dray"
bool zap_present(void *ctx); /* whether ctx has one */

#endif
