/* One compiler call, from cargo's exec to the exit status. */
#ifndef DRAY_CLIENT_WRAP_WRAP_H
#define DRAY_CLIENT_WRAP_WRAP_H

/* argv: the compiler and its arguments, NULL-terminated. Does not return when the call is handed to
 * the real compiler by exec; else returns the exit status, or SPAWN_SIGNALLED + signal, for
 * child_exit. */
int wrap_main(char **argv);

#endif
