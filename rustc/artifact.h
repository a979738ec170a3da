/* The lines by which rustc (--json=artifacts) announces an output it has written:
 *
 *   {"$message_type":"artifact","artifact":"/t/debug/deps/libx-1a2b.rmeta","emit":"metadata"}
 *
 * ($message_type is missing in compilers before 1.72.) */
#ifndef DRAY_RUSTC_ARTIFACT_H
#define DRAY_RUSTC_ARTIFACT_H

#include "common/base.h"

enum artifact_emit { EMIT_OTHER, EMIT_DEP_INFO, EMIT_METADATA, EMIT_LINK };

struct artifact {
	enum artifact_emit emit;
	char *path;
};

#define ARTIFACT_INIT            \
	{                        \
		EMIT_OTHER, NULL \
	}

/* In bytes. The line is a path and a few words; a longer one is no such line. */
#define ARTIFACT_LINE_MAX (64u * 1024)

/* Whether a line that begins with these n bytes may be an artifact line. With fewer than 64 bytes
 * and no newline behind them it cannot be known: true. */
bool artifact_may_be(const char *line, size_t n, bool whole);
/* Parses one line of n bytes, without its newline. 0 and *ret; -ENOENT: another kind of line;
 * -EBADMSG: looks like one, but is not (no path, a NUL in it, bad JSON). */
int artifact_parse(const char *line, size_t n, struct artifact *ret);
/* The same of a line of somebody who may want it to be taken for another kind: an artifact line is
 * what cargo takes for one, any object with an "artifact". -EILSEQ: an object that another reader
 * may understand. */
int artifact_parse_any(const char *line, size_t n, struct artifact *ret);
void artifact_done(struct artifact *a);

#endif
