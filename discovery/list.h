/* What was found on the network, for people who join by hand, and for programs. */
#ifndef DRAY_DISCOVERY_LIST_H
#define DRAY_DISCOVERY_LIST_H

#include "discovery/found.h"

/* Prints a table, or one JSON object: {"found": [{"endpoint", "fingerprint", "name", "namespace",
 * "version", "key"}], "error"}. key, or KEY: the file among these (`coordinator_key`; NULL: none)
 * that has it, which is what makes it one that is known; dir as of find_fingerprint. 0 or -errno.
 */
int list_print(const struct found *f, const char *keys, const char *dir, bool json);
/* The file, or NULL. The caller frees it. */
char *list_key(const char *keys, const char *dir, const char *fingerprint);

/* Looks, and prints that. why: said, where there is none, by what `program` says (stderr). An exit
 * status: 0; 1: there is none, or it could not be looked for. */
int list_look(const char *program, unsigned wait_ms, const char *keys, const char *dir, bool json);

#endif
