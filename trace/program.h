/* What a program that a compile runs is: its form, by its file; and, by its name, which variables
 * it asks for. */
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

/* The variables that a program's result depends on, as a class that stands in the record (watch.h).
 * "linker": those that C drivers and linkers ask for; "ccache", "git", …: these, and all with the
 * tool's own prefix; "all": the program may walk the environment, so all count. */
const char *program_class(const char *path, enum program_form form);

/* In a class's place: there was a file, and it could not be run. */
#define PROGRAM_REFUSED "refused"

/* Whether the program's output differs each time it is run. */
bool program_is_fickle(const char *path);

/* The same, if it is given this argument: an option, the text of a program, or that of a file. text
 * need not end in a NUL byte. */
bool program_is_fickle_with(const char *path, const char *text, size_t n);

/* Whether it is a driver that has a cache of its own (ccache, zig). */
bool program_keeps_cache(const char *path);

/* Adds to *dirs the directories of a driver's own cache, found by its environment (NAME=VALUE
 * strings, each with its NUL). Adds nothing for other programs. 0 or -ENOMEM. */
int program_cache_dirs(const char *path, const struct buf *env, struct strv *dirs);

/* Calls `found` with each variable that the text names and that is otherwise left out (session.h).
 */
void program_names(
	const char *text, size_t n, void (*found)(void *arg, const char *name), void *arg);

/* The same for what is no text: names have no ends there. A '*' stands for the rest of a name. */
void program_names_in_binary(
	const uint8_t *p, size_t n, void (*found)(void *arg, const char *name), void *arg);

#endif
