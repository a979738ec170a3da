/* Words of tokens, which are any bytes: one that is taken is written as it was read. */
#include "config.h"

#include "keys/join_word.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(freep) char *text = strndup((const char *)p, n);
	struct join_word w = { .curve_public = "untouched" };
	char again[JOIN_WORD_SIZE], finger[KEYS_FINGERPRINT_SIZE];

	if (!text)
		return 0;
	if (join_word_parse(text, &w) < 0) {
		if (!streq(w.curve_public, "untouched"))
			abort();
		return 0;
	}
	keys_fingerprint(w.curve_public, finger);
	if (join_word_format(&w, again) < 0 || !streq(text, again) || !*finger)
		abort();
	return 0;
}
