/* What a program is that is run: by its file, and by its name what it asks its environment for. */
#ifndef DRAY_TRACE_PROGRAM_H
#define DRAY_TRACE_PROGRAM_H

#include <limits.h>

#include "common/buf.h"
#include "common/strv.h"

enum program_form {
	PROGRAM_NONE,	 /* the kernel does not run it */
	PROGRAM_STATIC,	 /* of this machine's architecture, without a loader */
	PROGRAM_DYNAMIC, /* with one: `interpreter` */
	PROGRAM_SCRIPT,	 /* "#!" and `interpreter` */
	PROGRAM_FOREIGN, /* of another architecture, or run by something that its file does not name
			  */
};

struct program {
	enum program_form form;
	char interpreter[PATH_MAX];
};

/* Reads the file's head. 0 or -errno. */
int program_read(const char *path, struct program *ret);

/* What a program's result depends on of its environment. The names are those of the record
 * (watch.h). "linker": the names that C drivers and linkers ask for; "ccache", "git", …: these, and
 * all that begin with the tool's own prefix; "all": it may walk the environment, so all of it. */
const char *program_class(const char *path, enum program_form form);

/* Programs that say another thing each time they are run. */
bool program_is_fickle(const char *path);

/* The directories that a driver keeps its own cache in, by its environment (NAME=VALUE strings,
 * each with its NUL), to *dirs. Nothing for other programs. 0 or -ENOMEM. */
int program_cache_dirs(const char *path, const struct buf *env, struct strv *dirs);

/* The names of variables that the text speaks of, of those that are otherwise left out (session.h),
 * each given to `found`. */
void program_names(
	const char *text, size_t n, void (*found)(void *arg, const char *name), void *arg);

#endif
