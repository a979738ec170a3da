/* The options of rustc, and what each means to dray. */
#ifndef DRAY_RUSTC_OPTION_TABLES_H
#define DRAY_RUSTC_OPTION_TABLES_H

#include "common/base.h"

/* What an option means to dray. */
enum act {
	ACT_FINE,	 /* goes along as it is */
	ACT_PROBE,	 /* prints something and compiles nothing */
	ACT_HOME,	 /* the unit is compiled here; the row says why */
	ACT_HOME_SWITCH, /* the same, unless it is switched off (=no) */
	ACT_HOME_LINK,	 /* the same, if the unit is linked */
	ACT_PROJECT,	 /* the project chose how to link */
	ACT_STR,	 /* the value is kept in the field of the row */
	ACT_INPUT,	 /* the value names a file that the compiler reads */
	/* of -C and -Z */
	ACT_CPU,
	ACT_LINK_ARG,
	ACT_LINK_ARGS,
	/* of the long and short options */
	ACT_LINT,
	ACT_CODEGEN,
	ACT_UNSTABLE,
	ACT_EMIT,
	ACT_PRINT,
	ACT_CRATE_TYPE,
	ACT_EXTERN,
	ACT_SEARCH,
	ACT_NATIVE,
	ACT_TEST,
	ACT_ERROR_FORMAT,
	ACT_JSON,
	/* of -C only */
	ACT_FLAVOR,
	ACT_LINKER,
	ACT_LTO,
	ACT_LLVM_ARGS,
	ACT_PASSES,
	/* of -Z only */
	ACT_CRATE_ATTR,
	ACT_BACKEND,
};

struct option_row {
	const char *name; /* long name; one letter: a short option */
	bool value;	  /* takes one */
	bool once;	  /* rustc refuses a second one */
	enum act act;
	size_t field;	 /* ACT_STR: offset of a char * in struct rustc_call */
	const char *why; /* ACT_HOME */
};

/* -C and -Z: in a key '_' and '-' are the same; the table has '-'. */
struct codegen_row {
	const char *name;
	enum act act;
	size_t field;
	const char *why;
};

/* NULL: not in the table. The first n bytes of name. */
const struct option_row *option_find(const char *name, size_t n, bool is_short);
const struct codegen_row *codegen_find(const char *name, size_t n);
const struct codegen_row *unstable_find(const char *name, size_t n);

/* The row's number, below 64: a bit in a set of options that were seen. */
unsigned option_index(const struct option_row *row);

/* Whether all these words of -C llvm-args, with blanks between, only change what LLVM makes: they
 * neither print nor read or write files. */
bool llvm_args_fine(const char *words);
/* The same of -C passes. */
bool passes_fine(const char *words);

#endif
