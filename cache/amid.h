/* A directory's name amid other names: "/root", a home, stands in "src/roots.rs", and names nothing
 * there. What other names there are is known by the paths of what a compile read, and by the bytes
 * of the crates that it read: these are the same wherever its result is found. */
#ifndef DRAY_CACHE_AMID_H
#define DRAY_CACHE_AMID_H

#include "common/strv.h"

/* Adds to *names what of a path stands around dir: from the begin of the component before it to the
 * end ("src/roots.rs"). Nothing where dir is no part of it, or ends there with a name. 0 or
 * -ENOMEM.
 */
int amid_add_path(struct strv *names, const char *path, const char *dir);
/* The same for all names of Rust sources in a file's bytes. 0 or -errno. */
int amid_add_file(struct strv *names, const char *file, const char *dir);
/* Whether dir stands in the n bytes anywhere but amid these names. */
bool amid_stands_free(const struct strv *names, const void *p, size_t n, const char *dir);
/* The same of a file. 1, 0, or -errno. */
int amid_file_stands_free(const struct strv *names, const char *file, const char *dir);

#endif
