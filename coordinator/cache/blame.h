/* What follows for a worker that was the odd one (judged.h, its notes). Pure.
 *
 * One odd result proves nothing. A client chooses what is compiled, and can have a unit come out
 * otherwise on one worker: by an instruction that tells processors apart, by chance, or by what it
 * has found out of that machine. An honest crate can do so, too. So a package that came out
 * differently is not shared while that is all that is known, and a worker is only held to have lied
 *
 *   for a client's key     whose units were odd in BLAME_PACKAGES packages: what this worker makes
 *                          for that client is not taken any more (withheld). It is nobody else's
 *                          matter, since the client may be the one that lies
 *   at all                 where that is so for BLAME_CLIENTS keys, each with packages of its own:
 *                          shunned if another one of its kind of machine was among those that made
 *                          something else, in as many; else its results are believed no more, but
 *                          it goes on compiling (unlike)
 *
 * Packages are counted once, whatever of crate and source they have in common. What a client's jobs
 * were is the coordinator's own word (its ticket); a result without one counts for no client. */
#ifndef DRAY_COORDINATOR_CACHE_BLAME_H
#define DRAY_COORDINATOR_CACHE_BLAME_H

#include "coordinator/cache/judged.h"

#define BLAME_PACKAGES 3
#define BLAME_CLIENTS 2

enum blame { BLAME_NONE, BLAME_UNLIKE, BLAME_SHUNNED };

enum blame blame_of(const struct judged *j, const char *worker);
/* client: "": of results whose client is not known. */
bool blame_is_withheld(const struct judged *j, const char *worker, const char *client);
/* Packages that are not to be shared: those that vary, and those of notes that have no other
 * consequence. Room for n_packages + n_notes of them. The number of them. */
size_t blame_packages(const struct judged *j, const struct judged_package **ret);

#endif
