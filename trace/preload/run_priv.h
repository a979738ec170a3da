/* What the parts of dray-run.so share. */
#ifndef DRAY_TRACE_RUN_PRIV_H
#define DRAY_TRACE_RUN_PRIV_H

#include <stdbool.h>

#include "trace/preload/env_priv.h"

#define EXPORTED __attribute__((visibility("default")))
#define RUN_ARGS_MAX 4096 /* of execl and its like, on the stack */

/* From now on what this program asks is asked once for all processes of the tree that run it.
 * name: what it was run as, beside the path of its file. */
void asked_begin(const char *path, const char *name);
/* Says it to the tracer (trace_say), if this program has not said it before. */
void asked_say(const char *what);
/* Whether a driver, which takes the value of PWD for its directory's name if it leads there, would
 * use it where getcwd says another name. */
bool asked_uses_pwd(const char *pwd);

/* ---- LD_LIBRARY_PATH (run_spawn.c) */

/* This program has begun; path: its file. */
void spawn_begin(const char *path, bool is_first);
/* Whether it is, by its name, a program that loads no library after its start but by a whole path.
 */
bool asked_loads(const char *path);
/* The script's own value of LD_LIBRARY_PATH; it stays where it is. */
void asked_first(const char *dirs);
/* A program was started with these values, and took no library of these directories. */
void asked_loaded(const char *path, const char *dirs, const char *preload);
/* Whether that was seen, and `dirs` is the script's own value. */
bool asked_has_loaded(const char *path, const char *dirs, const char *preload);
/* The name is looked for in these directories, and is this file. */
void asked_search(const char *name, const char *path, const char *dirs);
bool asked_has_searched(const char *name, const char *path, const char *dirs);
/* What access says of it; not told to the tracer. */
bool asked_can_run(const char *path);

/* ---- names of places in debug information (run_map.c) */

/* This program has begun; path: its file. Takes the mapping out of its environment. */
void map_begin(const char *path);
/* The variable that what it starts is to have in its environment; NULL: none. */
char *map_variable(void);
#define MAP_ARGS_MAX 1024
/* Whether the program at `path` is a C compiler that writes debug information. *n: its words. */
bool map_suits(const char *path, char *const *argv, size_t *n);
/* These with the mapping's options. */
void map_args(char *const *argv, size_t n, char *with[MAP_ARGS_MAX]);

/* ---- which programs this library can be loaded into (run_fits.c) */

/* This program has begun. */
void fits_begin(void);
/* Whether the program, or what reads it, can have this library. */
bool fits(const char *path);
/* Opens a file to be read; not told to the tracer. The descriptor, or -1. */
int asked_open(const char *path);

#endif
