/* dray cache export and import: the results of a build in one file (store/pack.h), for a CI that
 * keeps archives. dray-dispatch does it, since dray itself is not linked with zstd.
 *
 * Results are as the local cache has them, without how they were made again (arguments,
 * environment, directory). Those that were made here are in it without a signature, and the others
 * with their producer's name: so a pack is believed as the local cache is, and only one that is the
 * user's own file is taken. */
#ifndef DRAY_CLIENT_CMD_CACHE_PACKS_H
#define DRAY_CLIENT_CMD_CACHE_PACKS_H

/* argv[0]: anything. Returns the exit status of dray cache. */
int packs_main(int argc, char **argv);

#endif
