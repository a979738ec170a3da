/* One call of the compiler, taken apart.
 *
 * Understands separate and joined options, `-Ckey=value` and `-C key=value`, `--opt=value` and
 * `--opt value`, and @file (one argument a line, not nested), for rustc and for clippy-driver
 * (`clippy-driver rustc args…`). The tables in option_tables.c say of each option what dray may do
 * with the unit; an option that is not in them makes the call CALL_UNKNOWN. */
#ifndef DRAY_RUSTC_CALL_H
#define DRAY_RUSTC_CALL_H

#include "common/base.h"
#include "common/strv.h"

enum call_kind {
	CALL_PROBE,   /* prints something, or compiles nothing: -vV, --print, stdin as source */
	CALL_UNIT,    /* compiles one crate in a way dray understands */
	CALL_UNKNOWN, /* compiles, but not in a way dray understands (call.why says what) */
};

struct call_extern {
	char *name; /* may carry "priv:", "noprelude:" options as given */
	char *path; /* NULL when none was given (--extern proc_macro) */
};

struct option_row;
struct call_option {		      /* as given; the value stands apart from its option */
	const struct option_row *row; /* option_tables.h */
	const char *value;	      /* NULL for a flag */
};

struct call_lib {   /* -L */
	char *kind; /* dependency, crate, native, framework, all */
	char *path;
};

struct rustc_call {
	enum call_kind kind;
	char *why;	  /* for CALL_PROBE and CALL_UNKNOWN: a reason for the job log */
	const char *home; /* an option's reason to compile here, for call_home_reason; NULL: none */
	const char *home_link; /* the same, of a unit that is linked */

	char **argv; /* the compiler's own argv, as given: argv[0] is what to exec. Not owned */
	struct strv args; /* the arguments after the driver (and after clippy's rustc), @file
			     expanded */
	struct call_option *options; /* of args, in their order; values point into args */
	size_t n_options, cap_options;
	char *driver; /* argv[0] */
	bool clippy;  /* driver is clippy-driver, and argv[1] the rustc path: inner_rustc */
	char *inner_rustc;

	char *crate_name; /* "" when not given */
	char *source;	  /* as given */
	char *out_dir;	  /* as given */
	char *target;	  /* NULL: the host. A path to a target JSON ends in .json */
	char *sysroot;	  /* --sysroot, NULL mostly */
	char *extra_filename;
	char *linker;		 /* -C linker=, NULL: the target's default */
	char *flavor;		 /* -C linker-flavor= */
	char *incremental;	 /* -C incremental= */
	struct strv crate_types; /* split at commas; empty when none was given */
	struct strv emit;	 /* split at commas */
	struct call_extern *externs;
	size_t n_externs;
	struct call_lib *libs;
	size_t n_libs;
	struct strv native;    /* values of -l */
	struct strv inputs;    /* files that options name and the compiler reads: profiles */
	struct strv link_args; /* values of -C link-arg, words of -C link-args */
	bool test;
	bool emits_link; /* "link" is in emit (or emit was not given) */
	bool emits_metadata;
	bool calls_linker; /* a linker will run: emits_link, and bin, test, dylib, cdylib or
			      proc-macro */
	bool reads_rlibs;  /* needs whole rlibs of the closure: calls_linker, staticlib, or LTO */
	bool json;	 /* --error-format=json and --json=…artifacts…: outputs are announced */
	bool native_cpu; /* the outputs depend on this machine's CPU: target-cpu=native */
	bool project_linker; /* the project chose how to link: -C linker, linker-flavor,
			      * linker-features, link-self-contained, or -fuse-ld / -B / --ld-path
			      * in its link args */
};

/* argv: the wrapper's arguments after its own name, NULL-terminated; kept, not copied. Always
 * fills *ret (CALL_UNKNOWN on anything odd); 0, or -ENOMEM. */
int call_parse(char **argv, struct rustc_call *ret);
void call_done(struct rustc_call *c);

/* A reason, for the job log, why a CALL_UNIT must be compiled here whatever the configuration says:
 * incremental, save-temps, an explicit output path, a target or linker that dray does not know, …
 * NULL: the farm may compile it. */
const char *call_home_reason(const struct rustc_call *c);

/* Whether the compiler, before it calls its linker, reads only the metadata of an rlib, and the C
 * archives in it that the linker gets whole. False when in doubt: LTO, staticlib, packed debuginfo,
 * unstable options. */
bool call_takes_metadata(const struct rustc_call *c);
/* Whether -Z embed-metadata=no leaves the metadata out of rlibs. */
bool call_splits_metadata(const struct rustc_call *c);

/* The linker that rustc will call, as a name or a path: -C linker, or the default of the flavour or
 * of the target. NULL: not known (a target described by a file). */
const char *call_linker(const struct rustc_call *c);
/* The same of -C linker-flavor alone. */
const char *call_flavor_linker(const char *flavor);
/* The last value that was given for an option ("diagnostic-width"), or NULL. */
const char *call_option_value(const struct rustc_call *c, const char *name);
/* Whether a word of --json sets the form of diagnostics (a short line, colours, Unicode) and not
 * which are printed. */
bool call_is_form(const char *word, size_t n);
/* The call's words of that kind, sorted, with commas between; "" when there is none. The caller
 * frees it. NULL: no memory. */
char *call_form(const struct rustc_call *c);
/* For a walk over c->args: the option whose value is this argument, or the end of it, or NULL. *at
 * starts at 0 and is kept over the walk.
 */
const struct call_option *call_option_of(const struct rustc_call *c, const char *arg, size_t *at);
/* Whether a file in the out-dir may be this crate's output by its name: `<crate><extra>` or
 * `lib<crate><extra>`, then the end or a dot. extra may be NULL. */
bool call_output_name_ok(const char *crate, const char *extra, const char *name);
/* Whether the compiler itself, without a linker, makes a file of this name in the out-dir, if it is
 * called so: of what a worker sends nothing else is taken. */
bool call_makes_name(const struct rustc_call *c, const char *name);
/* The first file that the compiler itself makes in any compile of this kind and that `has` does not
 * know: *ret, which the caller frees; NULL: it knows them all. 0 or -ENOMEM. */
int call_find_lacking(const struct rustc_call *c, bool (*has)(const void *arg, const char *name),
	const void *arg, char **ret);
/* Whether --target names a file (a custom target). */
bool call_target_is_file(const struct rustc_call *c);

/* "lib", "bin", "test", "build-script", "proc-macro", "cdylib", "dylib", "staticlib", "check". */
const char *call_kind_name(const struct rustc_call *c);

#endif
