#include "config.h"

#include "keys/key_line.h"

#include <stdarg.h>
#include <stdio.h>

#define CUT "..."

void
key_line_fault(struct keys_fault *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->what, sizeof(f->what), fmt, ap);
	va_end(ap);
}

const char *
key_line_shown(struct file_span word, char ret[KEY_LINE_SHOWN])
{
	size_t n = 0;

	while (n < word.n && n < KEY_LINE_SHOWN - sizeof(CUT)) {
		/* what a terminal might obey, or cannot show */
		ret[n] = word.p[n] < ' ' || word.p[n] > '~' ? '?' : word.p[n];
		n++;
	}
	snprintf(ret + n, KEY_LINE_SHOWN - n, "%s", n < word.n ? CUT : "");
	return ret;
}

/* "namespace=" and what is behind it; false: the word begins otherwise. */
static bool
begins(struct file_span word, const char *begin, struct file_span *ret)
{
	size_t n = strlen(begin);

	if (word.n < n || memcmp(word.p, begin, n) != 0)
		return false;
	*ret = (struct file_span){ word.p + n, word.n - n };
	return true;
}

static bool
set_text(char to[KEYS_NAME_MAX + 1], struct file_span value, struct file_span word,
	const char *what, struct keys_fault *f)
{
	char shown[KEY_LINE_SHOWN];

	if (*to)
		key_line_fault(f, "\"%s\" is a second %s", key_line_shown(word, shown), what);
	else if (!keys_name_ok(value.p, value.n))
		key_line_fault(f, "\"%s\" is no %s: letters, digits, '.', '_' and '-', at most %d",
			key_line_shown(word, shown), what, KEYS_NAME_MAX);
	else
		memcpy(to, value.p, value.n);
	return !*f->what;
}

static bool
set_sign(struct key_words *w, struct file_span value, struct keys_fault *f)
{
	char shown[KEY_LINE_SHOWN];

	if (w->signs)
		key_line_fault(f, "there is a second sign=");
	else if (!keys_take_hex(value, w->sign, SIGN_KEY_SIZE))
		key_line_fault(f,
			"sign=\"%s\" is no signing key: that is 64 hex digits in small letters, "
			"the sign-public of an identity",
			key_line_shown(value, shown));
	w->signs = true;
	return !*f->what;
}

#define UNTIL_DIGITS 12 /* some thousand years */

static bool
set_until(struct key_words *w, struct file_span value, struct keys_fault *f)
{
	char shown[KEY_LINE_SHOWN];
	uint64_t n = 0;
	bool ok = value.n > 0 && value.n <= UNTIL_DIGITS;

	for (size_t i = 0; ok && i < value.n; i++) {
		ok = value.p[i] >= '0' && value.p[i] <= '9';
		n = n * 10 + (uint64_t)(value.p[i] - '0');
	}
	if (w->until_s)
		key_line_fault(f, "there is a second until=");
	else if (!ok || n == 0)
		key_line_fault(f, "until=\"%s\" is no time: that is seconds since 1970",
			key_line_shown(value, shown));
	else
		w->until_s = n;
	return !*f->what;
}

static bool
take_word(struct file_span word, bool with_sign, struct key_words *w, struct keys_fault *f)
{
	const char *known = with_sign ? "namespace=, sign=, until= and revoked"
				      : "namespace= and revoked";
	struct file_span value;
	char shown[KEY_LINE_SHOWN];

	if (keys_span_is(word, "revoked")) {
		if (w->revoked)
			key_line_fault(f, "there is a second revoked");
		w->revoked = true;
		return !*f->what;
	}
	if (begins(word, "namespace=", &value))
		return set_text(w->namespace, value, word, "namespace", f);
	if (with_sign && begins(word, "sign=", &value))
		return set_sign(w, value, f);
	if (with_sign && begins(word, "until=", &value))
		return set_until(w, value, f);
	if (memchr(word.p, '=', word.n)) {
		key_line_fault(f, "\"%s\" is none of the words that a line may have: a name, %s",
			key_line_shown(word, shown), known);
		return false;
	}
	return set_text(w->name, word, word, "name", f);
}

bool
key_line_words(
	struct file_span *rest, bool with_sign, struct key_words *ret, struct keys_fault *ret_fault)
{
	struct file_span word;

	memset(ret, 0, sizeof(*ret));
	*ret_fault->what = '\0';
	for (word = keys_next_word(rest); word.n > 0 && word.p[0] != '#';
		word = keys_next_word(rest))
		if (!take_word(word, with_sign, ret, ret_fault))
			return false;
	return true;
}
