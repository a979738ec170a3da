/* One compiler call, from cargo's exec to the exit status. */
#ifndef DRAY_CLIENT_WRAP_WRAP_H
#define DRAY_CLIENT_WRAP_WRAP_H

struct conf;

/* argv: the compiler and its arguments, NULL-terminated. Does not return when the call is handed to
 * the real compiler by exec; else returns the exit status, or SPAWN_SIGNALLED + signal, for
 * child_exit. */
int wrap_main(char **argv);

/* The configuration of what cargo starts. A bad one must not stop a build: defaults then, no farm,
 * and *ret_error says why (NULL where it is good; the caller frees both). 0 or -ENOMEM. */
int wrap_load_conf(struct conf **ret, char **ret_error);

#endif
