/* What cargo's own configuration says of a wrapper. */
#ifndef DRAY_CLIENT_CMD_CARGO_CONFIG_H
#define DRAY_CLIENT_CMD_CARGO_CONFIG_H

#include "common/base.h"

/* The rustc-wrapper of the nearest configuration file that sets one: .cargo/config.toml (or
 * config) in dir and the directories above it, then in cargo's home. *ret_file: that file;
 * *ret_wrapper: the value, which may be empty. 0, -ENOENT when none sets one, or -ENOMEM. */
int cargo_config_wrapper(const char *dir, char **ret_file, char **ret_wrapper);

#endif
