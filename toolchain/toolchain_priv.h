/* Inside the toolchain module: its files (toolchain_files.c), what is remembered of an id
 * (toolchain_note.c). */
#ifndef DRAY_TOOLCHAIN_PRIV_H
#define DRAY_TOOLCHAIN_PRIV_H

#include <sys/stat.h>

#include "toolchain/toolchain.h"

/* One file or directory that an id stands on, as it was. */
struct tc_entry {
	char *name; /* relative to the sysroot */
	struct stat st;
};

struct tc_entries {
	struct tc_entry *v;
	size_t n;
	size_t cap;
};

int tc_entries_add(struct tc_entries *e, const char *name, const struct stat *st);
void tc_entries_done(struct tc_entries *e);

/* A name as a path component, so that nothing outside of the sysroot is looked at. */
bool tc_target_ok(const char *target);
/* Whether the std of target is installed. */
bool tc_has_std(const char *sysroot, const char *target);
bool tc_has_rust_src(const char *sysroot);

/* Runs `driver -vV`, and adds what it prints. 0; -ENOENT: it does not run, or prints what is no
 * text; -ENOMEM. */
int tc_run_version(const char *sysroot, const char *driver, struct buf *ret_text);
/* The value of a "field: value" line of -vV. NULL: it is not there, or no memory. The caller frees
 * it. */
char *tc_version_field(const char *text, const char *field);

/* The files of the id, in byte order, and every directory that was listed to find them with its
 * stat from before the listing. *outside: names of the compiler's libraries that are not in the
 * sysroot, in byte order. -ENOENT: driver or a std is not there. */
int tc_collect(const char *sysroot, const char *driver, const char *host, const char *target,
	struct strv *files, struct tc_entries *dirs, struct strv *outside);

/* The target that is the compiler's own by what is installed: it has the bundled linker, too. NULL:
 * that does not say it, or no memory. The caller frees it. */
char *tc_guess_host(const char *sysroot);

/* Begins to hash these files (toolchain_hash.c), by threads. m may be NULL; what is given outlives
 * it. NULL: no memory. */
struct tc_hashing;
struct tc_hashing *tc_hash_begin(struct memo *m, const char *sysroot, const struct strv *files);
/* Once, when all are hashed: adds (name, digest) of each to h, in their order, and its stat to
 * entries. 0 or -errno. */
int tc_hash_end(struct tc_hashing *w, struct hasher *h, struct tc_entries *entries);
/* At its end, or in its midst. */
void tc_hash_dropp(struct tc_hashing **w);

/* An id with all that it stands on, as a note. */
int tc_note(const struct toolchain *t, bool rust_src, const struct tc_entries *entries,
	struct buf *ret);
/* Remembers t->seal, which is such a note. target as asked for: NULL for the host. */
int tc_remember(struct memo *m, const char *target, const struct toolchain *t);
/* 0 when a note is there and every entry still has the same stat; else -ENOENT (or -ENOMEM). */
int tc_recall(struct memo *m, const char *sysroot, const char *driver, const char *target,
	struct toolchain *ret);

/* The files that t's id stands on, as toolchain_list_own_files gives them, from t->seal alone.
 * -ENOENT: there is no seal. */
int tc_sealed_files(const struct toolchain *t, struct strv *ret);

#endif
