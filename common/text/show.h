/* Numbers and foreign text for people: on a terminal, and in HTML.
 *
 * Names of crates, reasons and paths come from crates and compilers. Nothing in them may move a
 * cursor, end a tag, or turn the direction in which text is read. */
#ifndef DRAY_COMMON_TEXT_SHOW_H
#define DRAY_COMMON_TEXT_SHOW_H

#include "common/buf.h"

/* Adds s (UTF-8) with '?' in place of each control character: ASCII's, U+0080 to U+009F, line and
 * paragraph separators, and what turns the direction of text. 0 or -ENOMEM. */
int show_text(struct buf *b, const char *s);
/* The same, safe as HTML's text and inside a quoted attribute. */
int show_html(struct buf *b, const char *s);
/* "340 ms", "12.3 s", "4 m 12 s", "2 h 5 m" */
#define SHOW_SIZE 32
void show_time(uint64_t us, char ret[SHOW_SIZE]);
/* Local time, "2026-11-21 10:00:30". */
void show_when(uint64_t ms, char ret[SHOW_SIZE]);
/* "0 B", "812 B", "12.3 MiB" */
void show_bytes(uint64_t n, char ret[SHOW_SIZE]);
/* "97.0 %"; "-" when there is no whole */
void show_share(uint64_t part, uint64_t whole, char ret[SHOW_SIZE]);

#endif
