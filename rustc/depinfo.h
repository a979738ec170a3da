/* What rustc's dep-info (a .d file) says a compile depended on: the source files, and the variables
 * asked for by env!, option_env! and by what rustc itself tracks (rustc_interface::passes,
 * write_out_deps):
 *
 *   out: file file …            a rule for each output
 *   file:                       a phony rule for each source file
 *   # env-dep:NAME=VALUE        the value that was seen; without '=' the variable was not set
 *
 * Spaces in file names are written "\ "; in env-dep lines \n, \r and \\ are escaped. */
#ifndef DRAY_RUSTC_DEPINFO_H
#define DRAY_RUSTC_DEPINFO_H

#include "common/strv.h"

#define DEPINFO_MAX (64u * 1024 * 1024)

struct depinfo_env {
	char *name;
	char *value; /* NULL: was not set */
};

struct depinfo {
	struct strv files; /* as written: absolute, or relative to the compiler's directory */
	struct depinfo_env *env;
	size_t n_env;
	size_t cap_env;
};

#define DEPINFO_INIT                  \
	{                             \
		STRV_INIT, NULL, 0, 0 \
	}

/* 0; -EBADMSG for a NUL byte, an unfinished last line or an empty variable name; -ENOMEM. *ret is
 * empty on failure. */
int depinfo_parse(const void *p, size_t n, struct depinfo *ret);
void depinfo_done(struct depinfo *d);

/* Whether it names this file, each as seen from the directory cwd. 1, 0 or -ENOMEM. */
int depinfo_names(const struct depinfo *d, const char *cwd, const char *file);

/* The first variable whose value, as the compile saw it, is not the one in envp (NULL-terminated
 * NAME=VALUE strings); NULL when all agree. Points into d. */
const char *depinfo_env_differs(const struct depinfo *d, char *const *envp);

#endif
