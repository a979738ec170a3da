/* What a client says of a toolchain that it gives (proto/job.proto, PushedToolchain). It is checked
 * as a whole before any of it is used. Pure functions. */
#ifndef DRAY_WORKER_PUSH_MANIFEST_H
#define DRAY_WORKER_PUSH_MANIFEST_H

#include "common/base.h"
#include "proto/job.pb-c.h"

#define MANIFEST_FILES_MAX 8192	  /* rustc with one std has about 130 */
#define MANIFEST_VERSION_MAX 4096 /* bytes of `rustc -vV`, as toolchain.c takes */
#define MANIFEST_PATH_MAX 512

/* What is wrong with it, as the end of a sentence; NULL: nothing is. It is a unit that has a
 * toolchain and its blobs, and nothing of a compile. All paths are below the toolchain's directory,
 * plain, in byte order, each once, and none is a directory of another. Its files are no larger than
 * `most` bytes together, *ret_bytes of them. */
const char *manifest_fault(const Dray__Unit *u, uint64_t most, uint64_t *ret_bytes);

/* Whether a file there is for running: all in a directory bin. Its mode is the worker's own, not
 * the client's word. */
bool manifest_runs(const char *path);

#endif
