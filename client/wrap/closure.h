/* The artifacts a unit needs: its direct externs and, through them, theirs; and native archives.
 *
 * The memo knows the externs of each artifact that this user's builds made or fetched. If one is
 * unknown, all crates in the -L dependency directories are taken: too much, but never too little.
 *
 * A unit that only compiles needs metadata; one that links, makes a staticlib or does LTO needs
 * whole rlibs. A proc-macro's library is a leaf: what it was made from is linked into it. */
#ifndef DRAY_CLIENT_WRAP_CLOSURE_H
#define DRAY_CLIENT_WRAP_CLOSURE_H

#include "rustc/call.h"
#include "memo/memo.h"

struct closure_in {
	struct memo *memo;
	const struct rustc_call *call;
	const char *cwd;
	const char *target_dir;
	const char *sysroot;
};

struct closure {
	struct strv files; /* absolute, normal; sorted, each once */
	struct strv
		direct;	   /* those that --extern names: without them there is nothing to compile */
	bool has_dso;	   /* a proc-macro or dylib is in it: the worker's libc must be no older */
	bool guessed;	   /* an artifact was unknown */
	bool has_profiled; /* a proc-macro or dylib is in it that writes a profile at its end */
	char *environ_of;  /* a proc-macro that the unit may call and that has libc's `environ`:
			    * it may read all variables, asking for none by name. NULL: none.
			    * Compilers before 1.95 put that into each macro */
};

#define CLOSURE_INIT                                            \
	{                                                       \
		STRV_INIT, STRV_INIT, false, false, false, NULL \
	}

/* 0; -errno; or -ENOTSUP with a reason in *ret_home (caller frees). */
int closure_collect(const struct closure_in *in, struct closure *ret, char **ret_home);
void closure_done(struct closure *c);

/* Records that the artifact at path was made by this call. */
int closure_remember_file(
	struct memo *m, const struct rustc_call *call, const char *cwd, const char *path);
/* Whether the call makes a library of any kind, which other crates can name. */
bool closure_makes_artifacts(const struct rustc_call *call);
/* Records the same for every artifact of the call that is in its out-dir. Call it after a success.
 * Paths of the call are relative to this process's directory. */
int closure_remember(struct memo *m, const struct rustc_call *call);

#endif
