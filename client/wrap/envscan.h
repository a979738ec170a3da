/* Finds the variables that go along with a unit: those that cargo set for this very process.
 *
 * A variable was set by cargo if cargo's own environment lacks it or has another value. A few names
 * always go, since a user may have exported the very value that cargo would set. The rest of the
 * user's environment stays here; the dep-info (depinfo.h) shows afterwards whether the compile
 * asked for one of these names. */
#ifndef DRAY_CLIENT_WRAP_ENVSCAN_H
#define DRAY_CLIENT_WRAP_ENVSCAN_H

#include "common/buf.h"
#include "common/strv.h"

struct envscan_in {
	char *const *envp;	  /* this process's, NULL-terminated */
	const struct buf *parent; /* cargo's: NUL-terminated strings; NULL when it cannot be read */
	const char *pass_env;	  /* conf: more names, separated by white space; may be NULL */
	const char *out_dir;	  /* absolute; the alias stands for it in LD_LIBRARY_PATH */
	const char *alias;
	const char
		*target_dir; /* only its, and the sysroot's, directories stay in LD_LIBRARY_PATH */
	const char *sysroot;
};

/* NAME=VALUE strings, sorted, each name once; and the names of those that stay here (sorted), but
 * for what a worker sets itself. 0; -ENOMEM; or -ENOTSUP with a reason in *ret_home (caller frees)
 * when a variable is set that changes the compiler in ways a worker does not follow.
 */
int envscan_collect(
	const struct envscan_in *in, struct strv *ret, struct strv *ret_withheld, char **ret_home);

/* The initial environment of the cargo that we were started by, also where wrappers stand between;
 * where there is none, of the process that started us. The other one, the same for the process pid.
 * 0 or -errno. */
int envscan_read_parent(struct buf *ret);
int envscan_read_parent_of(long pid, struct buf *ret);

/* The parent's pid in the text of /proc/<pid>/stat; the command name in it may hold blanks and
 * parentheses. -EBADMSG when there is none. */
int envscan_parse_stat(const char *text, size_t n, long *ret_ppid);

#endif
