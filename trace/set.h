/* What a compile looked at: names, each once, in the order they came, with a kind. The set is
 * bounded; `lost` says that something did not fit. */
#ifndef DRAY_TRACE_SET_H
#define DRAY_TRACE_SET_H

#include "common/table.h"

enum trace_kind {
	TRACE_NONE, /* not there */
	TRACE_FILE,
	TRACE_READ, /* and opened */
	TRACE_ABSENT,
	TRACE_DIR, /* listed */
	TRACE_ENV_OF_MACRO,
	TRACE_ENV_OF_RUSTC,
	TRACE_STATED,	   /* its attributes were asked for */
	TRACE_STATED_LINK, /* of the link, where it is one */
	TRACE_REAL,	   /* seen to be no link */
	TRACE_EXTENDED,	   /* its extended attributes were asked for */
	TRACE_MADE,	   /* made or changed by the compile itself */
	TRACE_MADE_DIR,	   /* a directory that was there, and would have been made: what lies in it
			    * was not */
	TRACE_RAN,	   /* a program: its class, a blank and its path */
	TRACE_TEXT,	   /* read by a program that may use any variable it names */
	TRACE_GROUP,	   /* variables whose names begin so */
	TRACE_WAS_ABSENT,  /* looked for before it was made, in a temporary directory */
	TRACE_REPLACED,	   /* likewise: it was there, and another file took its place */
	TRACE_MODE,	   /* opened by what may give its mode to a copy */
	TRACE_WAY,	   /* watch.c: up from which directory a path led to nothing */
	TRACE_WENT_UP,	   /* not recorded: there is such a way of the path */
	TRACE_PASSED,	   /* nothing to record, but need not be thought about again */
	TRACE_KINDS
};

struct trace_item {
	struct table_node node;
	enum trace_kind kind;
	char name[];
};

struct trace_set {
	struct trace_item **v;
	size_t n, cap;
	struct table by_name;
	uint8_t hash_key[TABLE_KEY_SIZE];
	size_t bytes, max_bytes; /* of names; 0: TRACE_SET_BYTES */
	bool lost;
};

#define TRACE_SET_INIT \
	{              \
		0      \
	}
#define TRACE_SET_MAX 131072		   /* items */
#define TRACE_SET_BYTES (2u * 1024 * 1024) /* of names: a JobResult is at most 4 MiB */
#define TRACE_SET_SCRIPT_BYTES (16u * 1024 * 1024)

/* Kinds of names that are kept apart: the same name may be in each space. */
enum trace_space {
	TRACE_PATHS,
	TRACE_LISTINGS,
	TRACE_MACRO_VARS,
	TRACE_RUSTC_VARS,
	TRACE_STATS,
	TRACE_LINK_STATS,
	TRACE_REALS,
	TRACE_EXTENDEDS,
	TRACE_PROGRAMS,
	TRACE_TEXTS,
	TRACE_GROUPS,
	TRACE_BEFORE,
	TRACE_MODES,
	TRACE_WAYS
};
enum trace_kind trace_set_get(const struct trace_set *s, enum trace_space space, const char *name);
/* Adds a name. If it is there already, its kind stays. Without room it sets `lost`. */
void trace_set_add(
	struct trace_set *s, enum trace_space space, const char *name, enum trace_kind kind);
/* Adds a name, or changes the kind of one that is there; both kinds are of the same space. */
void trace_set_put(
	struct trace_set *s, enum trace_space space, const char *name, enum trace_kind kind);
void trace_set_done(struct trace_set *s);

#endif
