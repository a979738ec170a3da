/* Users of this machine, by /etc/passwd alone: getpwuid would load modules, which a program that is
 * linked statically cannot. */
#ifndef DRAY_COMMON_USERS_H
#define DRAY_COMMON_USERS_H

#include <sys/types.h>

/* The caller frees both. 0; -ENOENT: the file does not name that user; -ENOMEM. */
int users_find(uid_t uid, char **ret_name, char **ret_home);

#endif
