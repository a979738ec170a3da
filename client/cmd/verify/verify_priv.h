/* What verify.c, which compiles units again, verify_run.c, which runs build scripts again, and
 * verify_again.c, how both do it, share.
 *
 * Each function returns 0, -errno, or -ECANCELED: the verdict is told. */
#ifndef DRAY_CLIENT_CMD_VERIFY_VERIFY_PRIV_H
#define DRAY_CLIENT_CMD_VERIFY_VERIFY_PRIV_H

#include "cache/entry.h"
#include "client/cmd/verify/verify.h"
#include "rustc/call.h"

#define VERIFY_SET_MAX 4

struct again {
	const struct verify_in *in;
	struct verify_said *said;
	struct entry entry;
	struct result res;
	struct rustc_call call; /* as it was */
	struct strv argv;	/* as it is now */
	struct strv env;
	char **environ_then, **environ_now;
	char *out_dir, *real_out_dir, *target_dir, *real_target_dir;
	char *workspace;  /* of a mapped unit, or a run likewise; NULL: it is none */
	char *cargo_home; /* the same */
	char *sysroot;
	const char *set[VERIFY_SET_MAX + 1]; /* more variables, of the program that is run */
	struct strv marked;		     /* of a run: inputs_place.marked */
	struct strv maps;		     /* of a run: place_maps */
	struct inputs_place place;	     /* of a run */
	bool bound; /* compiled where its out-dir was, with another one mounted in its place */
	char *dir, *made, *want; /* private: of this process, its out-dir, and what a hit gives */
};

int verify_judge(struct again *a, enum verify_verdict verdict, const char *fmt, ...) _printf_(3, 4);
int verify_skip(struct again *a, const char *why);
int verify_differs(struct again *a, const char *output, const char *how);

/* The part of the entry's recipe with this name; NULL: there is none. */
const char *verify_recipe_value(const struct entry *e, const char *name);
/* Finds the workspace and cargo's home of what is found from elsewhere. 0 or -ENOMEM. */
int verify_find_places(struct again *a);
/* Whether the outputs hold the path of their out-dir. */
bool verify_is_bound(const struct result *res);
/* Makes the result's environment this process's: its own, with a->res.env over it. */
int verify_begin_environment(struct again *a);
/* Takes that back. */
void verify_end_environment(struct again *a);
/* The out-dir by the name that its outputs hold. */
const char *verify_named_out_dir(const struct again *a);
/* The name in the out-dir of an input that was read there; NULL: it is none. */
const char *verify_read_in_out_dir(const struct input *in);
/* Skips what lacks an output. */
int verify_has_outputs(struct again *a);
int verify_make_dirs(struct again *a);
/* Adds to a->argv what mounts a->made in the place of a->real_out_dir. */
int verify_add_mounts(struct again *a);
/* Runs a->argv: as one of the local slots, its texts in files of a->dir. */
int verify_compile(struct again *a);
int verify_compare_blob(struct again *a, const struct output *o, const char *path);

/* ---- of runs: a->res is one */

/* Where it ran, and with what. */
int verify_run_take(struct again *a);
int verify_run_check_inputs(struct again *a);
int verify_run(struct again *a);

#endif
