/* Where farm halves are met: sockets in <cache_dir>/half-UID, a directory that is that user's
 * alone.
 *
 *   KEY         the socket
 *   KEY.start   locked while one is started; says which process it is, and on which machine
 *   KEY.late    when it last was too late for the stores: then it is not asked for a while */
#ifndef DRAY_CLIENT_HALF_PLACE_H
#define DRAY_CLIENT_HALF_PLACE_H

#include "common/digest.h"

#define HALF_NAME_SIZE 48

/* Opens the directory, which is made if it is not there. A descriptor, or -errno; -EPERM: it is
 * not this user's alone. */
int half_dir_open(const char *cache_dir);
/* The names in it. */
void half_socket_name(const struct digest *key, char ret[HALF_NAME_SIZE]);
void half_start_name(const struct digest *key, char ret[HALF_NAME_SIZE]);
void half_late_name(const struct digest *key, char ret[HALF_NAME_SIZE]);

/* A connection to who listens there, of this user; it never waits. A descriptor; -ENOENT,
 * -ECONNREFUSED: nobody does; -EAGAIN: it does not keep up; -errno. */
int half_connect(int dir, const struct digest *key);
/* Listens there, in the place of a socket that nobody listens on. A descriptor or -errno. */
int half_listen(int dir, const struct digest *key);
/* Writes down in KEY.start which process it is; 0: none yet. 0 or -errno. */
int half_sign_start(int start, pid_t pid);
/* Removes what the dead have left in the directory, but for that key, whose lock is held. Of a
 * socket that another machine, or another boot of this one, has made on a disk that they share,
 * nobody here can tell whether it is alive: it goes when it is HALF_STRANGE_S old. */
#define HALF_STRANGE_S (7 * 24 * 3600)
void half_sweep(int dir, const struct digest *but);

/* The other end's user is this process's. */
bool half_peer_is_ours(int fd, pid_t *ret_pid);

#endif
