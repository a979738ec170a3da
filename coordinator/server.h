/* The coordinator's server: one poll loop over one socket for all peers. */
#ifndef DRAY_COORDINATOR_SERVER_H
#define DRAY_COORDINATOR_SERVER_H

#include "common/conf/conf.h"

struct server;
struct notify;

/* Loads the keys, blocks SIGTERM, SIGINT and SIGHUP in this thread (they come by a descriptor from
 * now on), and binds. Reads [coordinator] of conf, which must outlive the server. On error -errno
 * and a full sentence in *ret_error (caller frees). */
int server_new(const struct conf *conf, struct server **ret, char **ret_error);
void server_free(struct server *s);
void server_freep(struct server **s);

/* How the settings are read again (SIGHUP): as daemon_load_again has it. Until it is set they are
 * not. arg must outlive s. */
typedef int (*server_load_fn)(void *arg, struct conf **ret, char **ret_error);
void server_on_reload(struct server *s, server_load_fn load, void *arg);

/* What was bound, with the real port. */
const char *server_endpoint(const struct server *s);

/* Whom server_run tells of its life; n must outlive s. */
void server_notify(struct server *s, struct notify *n);

/* Serves until SIGTERM or SIGINT: what is queued and what still comes is denied, and it returns
 * once that was sent. A second signal ends it at once. 0 or -errno. SERVER_AGAIN: this coordinator
 * has other keys from now on (keys/succession.h), and a new server is to serve with these. */
#define SERVER_AGAIN 1
int server_run(struct server *s);

#endif
