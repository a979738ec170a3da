#include "config.h"

#include "proto/alias.h"

static int
add_escaped(struct buf *b, const char *s, const char *escape)
{
	int r = 0;

	for (; r == 0 && *s; s++) {
		if (strchr(escape, *s))
			r = buf_add(b, "\\", 1);
		if (r == 0)
			r = buf_add(b, s, 1);
	}
	return r;
}

int
alias_undo(const void *p, size_t n, const char *out_dir, const char *escape, struct buf *ret)
{
	static const char alias[] = JOB_ALIAS;
	const uint8_t *s = p;
	int r = 0;

	while (r == 0 && n > 0) {
		const uint8_t *at = memmem(s, n, alias, sizeof(alias) - 1);
		size_t k = at ? (size_t)(at - s) : n;

		r = k ? buf_add(ret, s, k) : 0;
		if (r == 0 && at) {
			r = add_escaped(ret, out_dir, escape);
			k += sizeof(alias) - 1;
		}
		s += k;
		n -= k;
	}
	return r;
}
