/* The configuration of what cargo starts. */
#ifndef DRAY_CLIENT_WRAP_SETTINGS_H
#define DRAY_CLIENT_WRAP_SETTINGS_H

struct conf;

/* A bad one must not stop a build: defaults then, no farm, and *ret_error says why (NULL where it
 * is good; the caller frees both). 0 or -ENOMEM. */
int wrap_load_conf(struct conf **ret, char **ret_error);

#endif
