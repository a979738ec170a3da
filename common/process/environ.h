/* The environment of a thread. A process that works for several others gives each of its threads
 * the environment of whom it works for; all others have the process's own. */
#ifndef DRAY_COMMON_PROCESS_ENVIRON_H
#define DRAY_COMMON_PROCESS_ENVIRON_H

#include "common/base.h"

/* For this thread, and until it is called again. envp must outlive that; NULL: the process's. */
void environ_use(char *const *envp);
char *const *environ_all(void);
/* As getenv. */
const char *environ_get(const char *name);

#endif
