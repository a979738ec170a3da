#include "config.h"

#include "cache/amid.h"

#include <errno.h>
#include <string.h>

#include "cache/text.h"

#define SOURCE ".rs"
#define NAME_MAX_BYTES 256

static bool
is_of_name(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.' || c == '+';
}

static int
add(struct strv *names, const char *from, size_t n)
{
	_cleanup_(freep) char *name = strndup(from, n);

	if (!name)
		return -ENOMEM;
	return strv_has(names, name) ? 0 : strv_take(names, steal_ptr(name));
}

/* How many bytes before `at` belong to the component that ends there. */
static size_t
before(const char *from, const char *at)
{
	const char *s = at;

	while (s > from && is_of_name((unsigned char)s[-1]))
		s--;
	return (size_t)(at - s);
}

int
amid_add_path(struct strv *names, const char *path, const char *dir)
{
	size_t n = strlen(dir);
	int r = 0;

	for (const char *at = path; r == 0 && (at = strstr(at, dir)); at++) {
		size_t k = before(path, at);

		if (k > 0 && is_of_name((unsigned char)at[n]))
			r = add(names, at - k, k + strlen(at));
	}
	return r;
}

struct names {
	struct strv *v;
	const char *dir;
	int error;
};

/* A text has no end that is known: the next one may stand right behind it. So does a source's name
 * end with ".rs". */
static bool
add_names(const void *p, size_t size, void *to)
{
	struct names *names = to;
	const char *from = p, *end = from + size, *at = from;
	size_t n = strlen(names->dir);

	for (; size && names->error == 0 && (at = memmem(at, (size_t)(end - at), names->dir, n));
		at++) {
		size_t k = before(from, at), m = n;

		if (k == 0 || end - at <= (ptrdiff_t)n || !is_of_name((unsigned char)at[n]))
			continue;
		while (m < NAME_MAX_BYTES && at + m < end &&
			(is_of_name((unsigned char)at[m]) || at[m] == '/') &&
			!(m >= n + strlen(SOURCE) &&
				memcmp(at + m - strlen(SOURCE), SOURCE, strlen(SOURCE)) == 0))
			m++;
		if (m >= n + strlen(SOURCE) &&
			memcmp(at + m - strlen(SOURCE), SOURCE, strlen(SOURCE)) == 0)
			names->error = add(names->v, at - k, k + m);
	}
	return false;
}

int
amid_add_file(struct strv *names, const char *file, const char *dir)
{
	struct names to = { names, dir, 0 };
	int r = text_file_look(file, add_names, &to);

	return r < 0 ? r : to.error;
}

static bool
is_amid(const struct strv *names, const char *from, const char *at, const char *end,
	const char *dir)
{
	for (size_t i = 0; i < names->n; i++) {
		const char *name = names->v[i];
		size_t n = strlen(name);

		for (const char *in = name; (in = strstr(in, dir)); in++) {
			size_t k = (size_t)(in - name);

			if ((size_t)(at - from) >= k && (size_t)(end - at) >= n - k &&
				memcmp(at - k, name, n) == 0)
				return true;
		}
	}
	return false;
}

bool
amid_stands_free(const struct strv *names, const void *p, size_t size, const char *dir)
{
	const char *from = p, *end = from + size, *at = from;

	for (; size && (at = memmem(at, (size_t)(end - at), dir, strlen(dir))); at++)
		if (!is_amid(names, from, at, end, dir))
			return true;
	return false;
}

struct sought {
	const struct strv *names;
	const char *dir;
};

static bool
stands_free(const void *p, size_t size, void *sought)
{
	const struct sought *s = sought;

	return amid_stands_free(s->names, p, size, s->dir);
}

int
amid_file_stands_free(const struct strv *names, const char *file, const char *dir)
{
	struct sought s = { names, dir };

	return text_file_look(file, stands_free, &s);
}
