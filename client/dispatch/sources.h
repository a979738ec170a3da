/* The first guess of the files a unit reads: the package's tree (what cargo would package),
 * OUT_DIR, and what lies around the source file. Artifacts of other crates are closure.h's.
 *
 * Left out: version control, directories marked as caches (CACHEDIR.TAG: target directories),
 * those that cargo has locked for a profile, a directory `target` beside a Cargo.toml, dray's own
 * cache, packages nested in this one (each unless the source is in it), the unit's own out-dir, and
 * files that by their name hold secrets (files.h). Symbolic links are followed: a file is sent
 * under each path by which it can be reached, and links are named in `links`. What is left out, or
 * cannot be read, is named in `withheld`, so that a worker knows what it does not know. */
#ifndef DRAY_CLIENT_DISPATCH_SOURCES_H
#define DRAY_CLIENT_DISPATCH_SOURCES_H

#include "common/strv.h"

#define SOURCES_FILES_MAX 20000

struct sources_in {
	const char *source;	  /* absolute, normal */
	const char *manifest_dir; /* CARGO_MANIFEST_DIR; NULL: the source's directory */
	const char *gen_dir;	  /* OUT_DIR; may be NULL */
	const char *out_dir;	  /* --out-dir: never entered */
	const char *cache_dir;	  /* dray's own; NULL: none */
	const char *cwd;	  /* against which a dep-info names relative files */
	const char *last_depinfo; /* .d of this unit's last compile, NULL or missing: none. It names
				   * files outside the package that the walk would not find */
	bool clippy;		  /* clippy.toml may be in any directory above the package */
	uint64_t max_bytes;	  /* 0: no limit */
	size_t max_files;	  /* 0: SOURCES_FILES_MAX */
};

struct sources {
	struct strv files;    /* absolute; sorted, each once */
	struct strv dirs;     /* empty directories; sorted */
	struct strv walked;   /* directories: all below is in files, dirs or withheld; sorted */
	struct strv withheld; /* files and directories; sorted */
	struct strv links;    /* symbolic links below `walked`, and on the way to it; sorted */
	uint64_t bytes;
	uint64_t rust_bytes; /* of *.rs: a measure of the compile's cost */
};

#define SOURCES_INIT                                                        \
	{                                                                   \
		STRV_INIT, STRV_INIT, STRV_INIT, STRV_INIT, STRV_INIT, 0, 0 \
	}

/* 0; -errno; or -E2BIG with a reason in *ret_home (caller frees). */
int sources_collect(const struct sources_in *in, struct sources *ret, char **ret_home);
void sources_done(struct sources *s);

#endif
