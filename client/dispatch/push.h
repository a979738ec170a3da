/* Gives a toolchain to the workers that lack it, one after another, where the coordinator's admin
 * allows that (proto/client.proto, Pushes). */
#ifndef DRAY_CLIENT_DISPATCH_PUSH_H
#define DRAY_CLIENT_DISPATCH_PUSH_H

#include "client/give/begin.h"
#include "common/conf/conf.h"

/* The word by which dray has dray-dispatch do it (dispatch_main.c): COMPILER DRIVER TARGET ("": the
 * host), a number of workers ("0": all), and how it is said: "text" (what there is to say on
 * stdout, and how far it is on stderr, if that is a terminal), "json", or "quiet": a process of its
 * own does it, at the lowest priority, and no faster than upload_rate, and this one ends at once.
 * What becomes of it is written down (client/give/gift.h). */
#define PUSH_ARGS 5

/* Exit statuses: as of commands; and there is nothing to do: all have it that take it. */
enum { PUSH_DONE = 0, PUSH_FAILED = 1, PUSH_USAGE = 2 };

/* args: PUSH_ARGS of them. An exit status. */
int push_main(const struct conf *conf, char **args);

#endif
