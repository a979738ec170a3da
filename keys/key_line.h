/* The words of a line of a list of keys: what is read of them, and what is said of one that is
 * none. For keys/ only.
 *
 * Invariant: what is said of a list is plain text, whatever the list holds. */
#ifndef DRAY_KEYS_KEY_LINE_H
#define DRAY_KEYS_KEY_LINE_H

#include "keys/keys_priv.h"

/* What may stand behind a key, in any order, each once. */
struct key_words {
	char name[KEYS_NAME_MAX + 1]; /* "": not given; as the next one */
	char namespace[KEYS_NAME_MAX + 1];
	bool signs; /* sign= is given */
	uint8_t sign[SIGN_KEY_SIZE];
	bool revoked;
	uint64_t until_s; /* until=, since 1970; 0: not given */
};

/* Reads the words behind a key, up to the line's end or a comment. with_sign: sign=
 * and until= may be among them. False: ret_fault->what says which word is wrong, and why. */
bool key_line_words(struct file_span *rest, bool with_sign, struct key_words *ret,
	struct keys_fault *ret_fault);
/* Sets `what` with a printf's text, of which each "%s" is to be a word by key_line_shown. */
void key_line_fault(struct keys_fault *f, const char *fmt, ...) _printf_(2, 3);

/* A word as it may be shown: cut, and without control characters. */
#define KEY_LINE_SHOWN 64
const char *key_line_shown(struct file_span word, char ret[KEY_LINE_SHOWN]);

#endif
