/* Between looking again (inputs.c) and recording (record.c). */
#ifndef DRAY_CACHE_INPUTS_PRIV_H
#define DRAY_CACHE_INPUTS_PRIV_H

#include "cache/inputs.h"

const char *inputs_env(char *const *envp, const char *name); /* NULL: not set */
int inputs_listing(const char *path, struct digest *ret);    /* -errno of opendir */
/* As execvp finds it, among absolute directories; NULL: nowhere. The caller frees it. */
char *inputs_find_program(const char *path_env, const char *name);

#endif
