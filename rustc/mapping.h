/* How a unit is compiled where paths = shared: without a word of where it lies. The mapping is
 * mostly that of cargo's trim-paths (cargo/core/compiler/mod.rs, trim_paths_args):
 *
 *     HOME/registry/src=/cargo/registry/src   HOME/git/checkouts=/cargo/git/checkouts
 *     WORKSPACE=.   WORKSPACE/vendor=./vendor   TARGET-DIRECTORY=/cargo/build-dir
 *     SYSROOT/lib/rustlib/src/rust/library=/rustc/COMMIT/library   where these sources are there
 *
 * trim-paths has no name for what lies in cargo's home. But rustc looks for a source by reading the
 * mapping backwards, and for that it needs one; and for what is vendored one that has more than a
 * dot in it. And trim-paths leaves out "/library": but where the second name is just the compiler's
 * own for the library, older ones do not look for its sources at all (rustc_metadata, decoder). */
#ifndef DRAY_RUSTC_MAPPING_H
#define DRAY_RUSTC_MAPPING_H

#include "common/buf.h"
#include "rustc/call.h"

#define MAPPING_WORKSPACE "."
#define MAPPING_TARGET_DIR "/cargo/build-dir"
#define MAPPING_SOURCES "lib/rustlib/src/rust/library" /* below the sysroot */
#define MAPPING_HOME "/cargo" /* of cargo's home, with one of these behind it */
#define MAPPING_REGISTRY "/registry/src"
#define MAPPING_CHECKOUTS "/git/checkouts"

struct mapping {
	const char *
		workspace; /* absolute, normal: where cargo starts the compiler; NULL: not mapped */
	const char *target_dir; /* absolute, normal; NULL: it is not known */
	const char *cargo_home; /* absolute, normal; NULL: it is not known */
	/* the library's sources, as toolchain_find_sources tells; NULL: they are not there */
	const char *sources, *sources_name;
};

/* Whether cargo calls the compiler for a package of its workspace, so that the unit can be mapped:
 * the source is named by its path from there, the directory of the package lies below, and the call
 * has no mapping of its own. manifest_dir: CARGO_MANIFEST_DIR; NULL: it is not set. */
bool mapping_suits(const struct rustc_call *call, const char *cwd, const char *manifest_dir);

/* Whether cargo calls it for another package, in the directory of that, and the call has no mapping
 * of its own. */
bool mapping_suits_package(
	const struct rustc_call *call, const char *cwd, const char *manifest_dir);

/* Adds the words of the call with the mapping's options before all others. 0 or -ENOMEM. */
int mapping_argv(const struct mapping *m, const struct rustc_call *call, struct strv *ret);

/* The mapping of a call that mapping_argv made. What *ret points to is among *words, which the
 * caller frees. 0 or -ENOMEM. */
int mapping_read(const struct rustc_call *call, struct strv *words, struct mapping *ret);

/* Cargo's home, as the words of a mapped call name it. argv: NULL-terminated; NULL: no words. NULL:
 * they do not name it, or no memory. The caller frees it. */
char *mapping_find_home(char *const *argv);

/* Whether the call maps this directory. */
bool mapping_has(const struct rustc_call *call, const char *dir);

/* Of a mapping of the library's sources, where the sysroot ends in FROM, which has n bytes. 0: it
 * is another mapping. */
size_t mapping_of_sources(const char *from, size_t n, const char *to);

/* Turns the names in a line of the compiler's (JSON, without its end) back into what it would say
 * without the mapping, and adds it to *ret. 0 or -ENOMEM. */
int mapping_turn_back(const struct mapping *m, const char *line, size_t n, struct buf *ret);

#endif
