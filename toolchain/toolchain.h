/* clang-format off */
/* Toolchains: what a compile depends on besides the unit, as one id.
 *
 * The id is the SHA-256 of (name, digest) of these files, in byte order of their names, which are
 * relative to the sysroot:
 *
 *   bin/<driver>                          driver is "rustc" or "clippy-driver"
 *   lib/librustc_driver*, lib/libLLVM*, lib/libstd-*.so and the like
 *                                         in lib/, lib/<multiarch>/ and lib64/
 *   lib/rustlib/<host>/lib/ and bin/      with all below: std for proc-macros, the bundled linker
 *   lib/rustlib/<target>/lib/ and bin/    likewise, if the target is another one
 *
 * then of whether lib/rustlib/src/rust/library/ is there (it changes bytes of rlibs), then of the
 * text of `<driver> -vV`. The sysroot's own path is not in it. */
/* clang-format on */
#ifndef DRAY_TOOLCHAIN_H
#define DRAY_TOOLCHAIN_H

#include "common/buf.h"
#include "common/digest.h"
#include "memo/memo.h"
#include "common/strv.h"

struct toolchain {
	char *sysroot; /* absolute, resolved */
	char *driver;  /* "rustc" or "clippy-driver" */
	char *host;    /* e.g. x86_64-unknown-linux-gnu */
	char *target;  /* the std that is in the id; equals host for a host build */
	char *release; /* e.g. 1.95.0 */
	struct digest id;
	bool outside; /* it needs libraries that are not in the sysroot: see toolchain_identify */
	struct buf seal; /* the stat of all that the id stands on, for toolchain_holds */
};

void toolchain_done(struct toolchain *t);

/* The sysroot of a compiler given as cargo gives it: a path, or a bare name looked up in PATH. A
 * rustup proxy is asked (`--print sysroot`), remembered by RUSTUP_TOOLCHAIN; so is a script,
 * remembered by its file. 0, or -ENOENT when it is no compiler that dray knows. *ret_exe is the
 * resolved driver inside the sysroot. */
int toolchain_find_sysroot(
	struct memo *m, const char *compiler, char **ret_sysroot, char **ret_exe);

/* Where the library's sources lie (rust-src), and the name that the compiler has for them in what
 * it makes where they do not lie there: "/rustc/COMMIT/library" (rustc_session::config,
 * real_rust_source_base_dir). Remembered by the driver's file. 0; -ENOENT: they are not there, or
 * behind a link, or the compiler names no commit; -ENOMEM. The caller frees both. */
int toolchain_find_sources(struct memo *m, const char *compiler, char **ret_dir, char **ret_name);

/* The path of what the name leads to, where that is a script or another program that only starts
 * the compiler: it may give it other arguments, so its own file counts, and no worker can stand in
 * for it. NULL: it is the compiler, or rustup's proxy. The caller frees it. */
char *toolchain_launcher(const char *compiler);

/* Computes the id, or recalls it by the stat of every file in it. target NULL means the host.
 * -ENOENT: driver or target std not installed there. Of a compiler's library that is not in the
 * sysroot (LLVM in a place of its own) the id has the name alone, and `outside` is set: what is in
 * it is for others to see, a compile's tracer here; a worker cannot offer such a toolchain. */
int toolchain_identify(struct memo *m, const char *sysroot, const char *driver, const char *target,
	struct toolchain *ret);

/* The same without a memo, and without running anything of it: `version` is what its driver prints
 * for -vV, as somebody says, or printed before. */
int toolchain_identify_as(const char *sysroot, const char *driver, const char *target,
	const struct buf *version, struct toolchain *ret);
/* What the driver prints for -vV, added to ret; as it is in the id. -ENOENT: it does not run. */
int toolchain_version(const struct toolchain *t, struct buf *ret);
/* Whether the library's sources (rust-src) are there: the compiler reads them, and the id has no
 * more of them than that. */
bool toolchain_has_sources(const struct toolchain *t);

/* How large the files are that the id stands on, all together; 0: not known. */
uint64_t toolchain_bytes(const struct toolchain *t);

/* Whether all that the id stands on is as it was when the toolchain was identified: no file of it
 * was changed, replaced, added or removed. By stat only, so false may mean no more than that a file
 * was linked or touched: identify it again to know. */
bool toolchain_holds(const struct toolchain *t);

/* The targets whose std is installed in a sysroot. */
int toolchain_list_targets(const char *sysroot, struct strv *ret);

/* The files that make up the id, relative to the sysroot (a worker that must build a view of a
 * toolchain spread over /usr needs them). */
int toolchain_list_files(
	const char *sysroot, const char *driver, const char *target, struct strv *ret);
/* The same of one that was identified. Of the target that it was identified for, nothing is asked
 * of the disk. */
int toolchain_list_own_files(const struct toolchain *t, const char *target, struct strv *ret);

/* The minor version of this machine's glibc 2; 0 if its libc is another one. */
uint32_t toolchain_glibc_minor(void);

#endif
