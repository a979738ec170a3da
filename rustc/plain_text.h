/* Whether text from a worker, or from a shared cache, may be shown on a terminal.
 *
 * It holds no control character but newline, tab and the colours that rustc makes, and nothing that
 * hides: no other colour, no character without a width. rustc shows C0
 * controls and DEL of a source as pictures, and U+202A to U+202E, U+2066 to U+2069 (which turn the
 * direction of text) as U+FFFD, since 1.83; C1 controls as they are
 * (rustc_errors::emitter::OUTPUT_REPLACEMENTS). A macro prints what it likes. So honest text may
 * have such characters, and what has is left to the compiler here, which prints it as without dray.
 */
#ifndef DRAY_RUSTC_PLAIN_TEXT_H
#define DRAY_RUSTC_PLAIN_TEXT_H

#include "common/base.h"

/* Whether a text is plain: UTF-8, whole lines. What begins with a brace is taken for JSON as well:
 * a program that reads it shows what its escapes stand for. *ret_char: the first character that may
 * not be shown; UINT32_MAX: it is no UTF-8. */
bool plain_text(const void *p, size_t n, uint32_t *ret_char);

#endif
