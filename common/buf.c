/* Growable bytes. Invariant: once anything was added, p[n] is a NUL that is not counted, so text
 * can be used as a C string; and a failed call leaves what was there. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/buf.h"

int
buf_reserve(struct buf *b, size_t more)
{
	size_t need, cap;
	uint8_t *p;

	if (__builtin_add_overflow(b->n, more, &need) || __builtin_add_overflow(need, 1, &need))
		return -ENOMEM;
	if (need <= b->cap)
		return 0;
	/* Half as much again: doubling would waste up to the size of a large blob. */
	cap = MAX2(b->cap, 64);
	while (cap < need)
		if (__builtin_add_overflow(cap, cap / 2, &cap))
			return -ENOMEM;
	p = realloc(b->p, cap);
	if (!p)
		return -ENOMEM;
	p[b->n] = '\0';
	b->p = p;
	b->cap = cap;
	return 0;
}

int
buf_add(struct buf *b, const void *p, size_t n)
{
	int r = buf_reserve(b, n);

	if (r < 0)
		return r;
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
	return 0;
}

int
buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int len, r;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		return -ENOMEM;
	r = buf_reserve(b, (size_t)len);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	r = vsnprintf((char *)b->p + b->n, (size_t)len + 1, fmt, ap);
	va_end(ap);
	if (r != len) {
		b->p[b->n] = '\0';
		return -ENOMEM;
	}
	b->n += (size_t)len;
	return 0;
}

void
buf_consume(struct buf *b, size_t n)
{
	if (!n || !b->p)
		return;
	n = MIN2(n, b->n);
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
	b->p[b->n] = '\0';
}

void
buf_done(struct buf *b)
{
	free(b->p);
	*b = (struct buf)BUF_INIT;
}
