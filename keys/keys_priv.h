/* What the readers of key files share: lines and words of a text, names, keys. For keys/ only. */
#ifndef DRAY_KEYS_KEYS_PRIV_H
#define DRAY_KEYS_KEYS_PRIV_H

#include "keys/identity.h"

/* One line or word of a text that is not NUL-terminated. */
struct file_span {
	const char *p;
	size_t n;
};

static inline bool
keys_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next line of *rest, without its newline; false at the end. */
bool keys_next_line(struct file_span *rest, struct file_span *ret);
void keys_trim(struct file_span *s);
bool keys_span_is(struct file_span s, const char *word);
/* The next word of *rest, which it shortens; empty at the end. */
struct file_span keys_next_word(struct file_span *rest);
/* n bytes in lower-case hex digits, and no more. */
bool keys_take_hex(struct file_span v, uint8_t *out, size_t n);
void keys_hex(const uint8_t *in, size_t n, char *out); /* with its NUL */
/* Takes a Z85 key from text as the structs keep it. raw: the decoded bytes. */
bool keys_take_curve(struct file_span v, char out[CURVE_KEY_SIZE], uint8_t raw[32]);

#endif
