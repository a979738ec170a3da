/* A directory that many machines and users read and write, as on NFS, as a place for objects
 * (object.h): file:///DIR (url.h). It has to be there: where it is a mount, it may come and go.
 *
 *   DIR/v1/blobs/ab/…, DIR/v1/entries/ab/…   objects
 *   DIR/v1/tmp/                              what is not whole yet, under names of left.h
 *
 * With `below`, all of that is below DIR/BELOW, which is made.
 *
 * There is no index and no lock: a name is given by link or rename, in one step, to a file that is
 * whole; blobs are create-only, and entries replaced. What is found there is believed for nothing
 * but its content, whose length and digest are checked: not for its owner, its mode or its kind. No
 * symbolic link below DIR is followed.
 *
 * Whatever waits, waits in a thread (crew.h): a server that is away costs each request its limit of
 * time, and no more. A store belongs to one thread.
 *
 * `access` says who may use what is made: `group` (the group of DIR's; directories 2770, files
 * 660), `all` (777, 666), or as the umask says. Files can be written by those who may read them,
 * since only then may they set their times: what is used has its times set to now, at most once an
 * hour, so that a cleaner goes by either:  find DIR/v1 -type f -mtime +30 -delete
 *
 * Errors: -ENODEV: DIR is not there; -ETIMEDOUT; -ENOENT, -EBADMSG, -EFBIG, and of the disk. */
#ifndef DRAY_STORE_SHARED_DIR_H
#define DRAY_STORE_SHARED_DIR_H

#include "store/store.h"

extern const struct store_type store_shared_dir;

#endif
