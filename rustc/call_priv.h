/* What call.c and options.c share: a command line while it is parsed. */
#ifndef DRAY_RUSTC_CALL_PRIV_H
#define DRAY_RUSTC_CALL_PRIV_H

#include "rustc/call.h"
#include "rustc/option_tables.h"

struct call_parse {
	struct rustc_call *c;
	uint64_t seen;	    /* bit n: row n (option_index) was met */
	bool probe;	    /* an option that makes rustc print and stop */
	bool codegen_print; /* a --print that compiles as well */
	bool error_json, artifacts, lto;
	struct strv free_args;
};

/* Reads c->args by the option tables. Something not understood ends in c->why. 0 or -ENOMEM. */
int call_parse_options(struct call_parse *p);
/* Notes why the call is not understood, unless that is known already. 0 or -ENOMEM. */
int call_unknown(struct call_parse *p, const char *what, const char *arg);

#endif
