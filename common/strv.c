/* Growable vector of strings. Invariant: v[n] is NULL whenever v is not NULL, so the vector can be
 * handed to exec at any time. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/strv.h"

static int
strv_reserve(struct strv *s, size_t more)
{
	size_t need, cap;
	char **v;

	if (__builtin_add_overflow(s->n, more, &need) || __builtin_add_overflow(need, 1, &need))
		return -ENOMEM;
	if (need <= s->cap)
		return 0;
	cap = MAX2(s->cap, 8);
	while (cap < need)
		if (__builtin_mul_overflow(cap, 2, &cap))
			return -ENOMEM;
	v = reallocarray(s->v, cap, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v[s->n] = NULL;
	s->v = v;
	s->cap = cap;
	return 0;
}

int
strv_take(struct strv *s, char *str)
{
	if (!str)
		return -ENOMEM;
	if (strv_reserve(s, 1) < 0) {
		free(str);
		return -ENOMEM;
	}
	s->v[s->n++] = str;
	s->v[s->n] = NULL;
	return 0;
}

int
strv_add(struct strv *s, const char *str)
{
	return strv_take(s, strdup(str));
}

int
strv_addn(struct strv *s, const char *str, size_t n)
{
	char *copy;

	if (n == SIZE_MAX)
		return -ENOMEM;
	copy = malloc(n + 1);
	if (!copy)
		return -ENOMEM;
	if (n)
		memcpy(copy, str, n);
	copy[n] = '\0';
	return strv_take(s, copy);
}

int
strv_addf(struct strv *s, const char *fmt, ...)
{
	char *str = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&str, fmt, ap);
	va_end(ap);
	return r < 0 ? -ENOMEM : strv_take(s, str);
}

int
strv_add_all(struct strv *s, char *const *list)
{
	size_t before = s->n;
	int r;

	for (; list && *list; list++) {
		r = strv_add(s, *list);
		if (r < 0) {
			while (s->n > before) {
				free(s->v[--s->n]);
				s->v[s->n] = NULL;
			}
			return r;
		}
	}
	return 0;
}

bool
strv_has_sorted(const struct strv *s, const char *str)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(s->v[mid], str);

		if (c == 0)
			return true;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

bool
strv_has(const struct strv *s, const char *str)
{
	for (size_t i = 0; i < s->n; i++)
		if (streq(s->v[i], str))
			return true;
	return false;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
strv_sort_unique(struct strv *s)
{
	size_t kept = 0;

	if (s->n < 2)
		return;
	qsort(s->v, s->n, sizeof(*s->v), compare);
	for (size_t i = 0; i < s->n; i++) {
		if (kept && streq(s->v[kept - 1], s->v[i]))
			free(s->v[i]);
		else
			s->v[kept++] = s->v[i];
	}
	s->n = kept;
	s->v[kept] = NULL;
}

int
str_copy(const char *from, char **ret)
{
	if (from == NULL)
		return 0;
	*ret = strdup(from);
	return *ret != NULL ? 0 : -ENOMEM;
}

void
strv_done(struct strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct strv)STRV_INIT;
}
