/* What each call that is notified does, and which of its arguments say it. */
#ifndef DRAY_TRACE_CALL_ROWS_H
#define DRAY_TRACE_CALL_ROWS_H

#include <sys/syscall.h>

#include "trace/trace_call.h"

/* Since Linux 6.13, with one number on every architecture. */
#ifndef SYS_getxattrat
#define SYS_setxattrat 463
#define SYS_getxattrat 464
#define SYS_listxattrat 465
#define SYS_removexattrat 466
#endif

/* What the first of two paths is. */
enum call_from { NOT_FROM, READS, MOVES, POINTS };

/* What a call is besides its op. */
enum {
	MAKES_FILE = 1 << 0,
	MAKES_DIR = 1 << 1,
	MAKES_NODE = 1 << 2,
	REMOVES = 1 << 3,
	ASKS_LINK = 1 << 4,
	ASKS_EXTENDED = 1 << 5,
	SETS_EXTENDED = 1 << 6,
};

/* In `tells`, besides an argument's number: links are followed, or never are. */
enum { FOLLOWS = -1, OF_LINK = -2 };

/* Arguments are counted from 1; 0: it has none. dir: a directory's descriptor that path begins at,
 * or without a path the descriptor that is meant. flags: an open's. tells: where
 * AT_SYMLINK_NOFOLLOW stands in a call that tells attributes. */
struct call_row {
	int nr;
	enum trace_op op;
	signed char dir, path, flags;
	signed char dir2, path2;
	signed char tells;
	enum call_from from;
	unsigned is;
};

/* NULL: no call that is notified. */
const struct call_row *call_row_find(int nr);

#endif
