/* The unit key: one digest of all that is known of a compile before it runs. A bundle (entry.h) has
 * a key of its own.
 *
 * It is made of parts in this order, each "name=value". The list of them is the recipe; it serves
 * to say in words how two keys differ.
 *
 *   format          this encoding's version
 *   namespace       what the user set (dray.conf(5))
 *   toolchain       its id (toolchain/toolchain.h); the CPU as well, for target-cpu=native
 *   sysroot         where it is, if the library's sources are there and are not mapped: their paths
 *                   are in the outputs
 *   driver          rustc or clippy-driver
 *   paths           "shared": the unit is mapped (client/wrap/mapped.h); then \x03 stands for the
 *                   workspace, and \x04 for cargo's home, in cwd, source, -L and
 *                   --remap-path-prefix
 *   cwd             the compiler's directory: it is in the outputs
 *   source          the source file as given
 *   linker          the user's choice (dray.conf(5)), of a unit that is linked
 *   --OPTION        each option in its order, values as given; sorted, each once: --cfg,
 *                   --check-cfg, the words of --json, --extern (name and digest of the file)
 *   env NAME        the variables that every run of the compiler asks for: RUSTC_BOOTSTRAP,
 *                   RUSTC_FORCE_RUSTC_VERSION, and clippy's; digests of the values
 *
 * In -L and in the FROM of --remap-path-prefix \x02 stands for the target directory.
 *
 * These are not in the key: --out-dir; --diagnostic-width and the words of --json that set a
 * diagnostic's form (they are inputs of a unit that has diagnostics); -C incremental; -L
 * dependency; paths of artifacts; and all other variables, cargo's own too, which are inputs of the
 * units that ask for them. A value of more than 128 bytes stands in the key as "sha256:" and its
 * digest. The key is the SHA-256 over all parts, each after its length (hasher_field).
 *
 * A bundle's key leaves out the choice of a linker, since nothing was linked yet. It has what
 * linker calls name: always the sysroot, and the paths of artifacts and of -L dependency, with \x01
 * for the out-dir and \x02 for the target directory:
 *
 *   bundle=yes
 *   path NAME       where the file of --extern NAME is
 *
 * All else that a compile reads (sources, the closure of artifacts, variables) is in the result's
 * inputs (inputs.h). */
#ifndef DRAY_CACHE_KEY_H
#define DRAY_CACHE_KEY_H

#include "common/digest.h"
#include "common/strv.h"
#include "rustc/call.h"

/* The digest of an extern's file, as the call names it. 0 or -errno. */
typedef int (*key_digest_fn)(void *arg, const char *path, struct digest *ret);

struct key_in {
	const char *namespace; /* may be NULL */
	const struct digest *toolchain;
	const char *sysroot; /* NULL: it has no library sources, and it is no bundle */
	/* where the library's sources are: a mapping of others is named whole; NULL: all such
	 * mappings are of the toolchain's */
	const char *sources;
	const char
		*bundle; /* the out-dir (absolute, normal): it is a bundle's key; NULL: it is not */
	const struct rustc_call *call; /* CALL_UNIT */
	const char *cwd;
	const char *target_dir; /* that the out-dir belongs to; NULL: none is known */
	const char *workspace;	/* of a mapped unit; NULL: it is not one of a workspace */
	const char *cargo_home; /* of a mapped unit; NULL: it is none */
	const char *linker;	/* the user's choice of one; NULL: nothing is linked */
	const struct strv *env; /* NAME=VALUE, sorted */
	key_digest_fn digest;
	void *arg;
};

struct unit_key {
	struct digest id;
	struct strv recipe;
};

/* Whether the library's sources are in a toolchain: then their place is in outputs
 * (key_in.sysroot).
 */
bool key_sees_sources(const char *sysroot);
/* 0; -errno of an extern's digest; -ENOMEM. */
int unit_key_make(const struct key_in *in, struct unit_key *ret);
void unit_key_done(struct unit_key *k);

/* The key that a recipe, of a unit, a bundle or a run, is the one of. 0 or -ENOMEM. */
int unit_key_of_recipe(const struct strv *recipe, struct digest *ret);

/* The key of a build script's run. Its parts:
 *
 *   format, what, namespace
 *   build script    the digest of its program
 *   argument        each
 *   cwd             the package's directory; \x03 stands for a workspace that is moved, \x04 for
 *                   cargo's home
 *   env NAME        what cargo says of the package, its configuration, and the libraries that it
 *                   depends on: CARGO_PKG_*, CARGO_FEATURE_*, CARGO_CFG_*, DEP_*, TARGET, …
 *   name of a place each: PLACE=NAME, in the debug information of its C compilers (paths = shared)
 *
 * Each other variable is an input of the runs that ask for it. */
struct run_key_in {
	const char *namespace; /* may be NULL */
	struct digest program;
	char *const *args; /* without the program's name; NULL-terminated */
	const char *cwd;   /* with the mark for the place in which it lies (inputs_mark_path) */
	char *const *env;  /* NAME=VALUE, with marks for directories (inputs_place.marked) */
	char *const *maps; /* place_maps' second list, NULL-terminated; NULL: there is none */
};

/* 0 or -ENOMEM. */
int run_key_make(const struct run_key_in *in, struct unit_key *ret);

/* Says in words what the first difference between two recipes is: "--cfg feature=\"a\" is new".
 * NULL: no memory, or they are equal. The caller frees it. */
char *unit_key_difference(char *const *before, size_t n_before, const struct strv *now);

#endif
