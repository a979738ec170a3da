/* Whether a captured link may be made. A link call comes from a worker, or from a cache that a
 * worker filled, and the linker runs as the user: an argument can name a plugin, a script, another
 * linker, or a file to write. So each is held against a list of the forms that rustc itself makes
 * (rustc_codegen_ssa::back::link and ::linker), and each input against what its name says it is.
 * What is not on the list is linked by rustc here, with all the rest of its work. */
#ifndef DRAY_CLIENT_LINK_LINK_CHECK_H
#define DRAY_CLIENT_LINK_LINK_CHECK_H

#include "client/link/link.h"
#include "rustc/call.h"

struct link_check {
	const struct rustc_call *call;
	const char *cwd;     /* the compiler's directory */
	const char *out_dir; /* absolute, normal */
	const char *sysroot; /* likewise */
	/* what all of the unit's links read that was sent with them; absolute */
	const struct strv *temporaries;
};

/* Whether name, relative to the out-dir, may be an input of a link that is sent with it: an object
 * of this crate, or a file or directory in rustc's own temporary directory. */
bool link_check_input_name(const char *crate, const char *extra, const char *name);
/* Whether it is an object by its name: older compilers have one of metadata, *.rcgu.rmeta. */
bool link_check_is_object(const char *name);
/* Whether it is that directory itself: "rustc" and six letters or digits. n: of its bytes. */
bool link_check_is_temp_dir(const char *name, size_t n);

/* 0; -ENOMEM; or -EPERM: the call is not one of rustc's, and why is in *ret_why (the caller frees).
 * Reads response files, where they lie, the first bytes of other inputs, and a target's file. */
int link_check(const struct link_check *in, const struct link_call *l, char **ret_why);

#endif
