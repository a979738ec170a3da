/* Paths as text: nothing here looks at the disk. Invariant: path_is_normal() is the gate for every
 * path that came from a peer; what it accepts cannot climb out of a directory by its text. */
#include "config.h"

#include <limits.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/fs.h"

char *
path_join(const char *a, const char *b)
{
	size_t n = strlen(a);
	char *r = NULL;

	if (!n)
		return strdup(b);
	while (n && a[n - 1] == '/')
		n--;
	while (*b == '/')
		b++;
	if (n > INT_MAX || asprintf(&r, "%.*s/%s", (int)n, a, b) < 0)
		return NULL;
	return r;
}

bool
path_is_name(const char *name)
{
	return *name && !strchr(name, '/') && !streq(name, ".") && !streq(name, "..");
}

bool
path_is_normal(const char *path)
{
	const char *p = path;

	if (*p != '/' || strnlen(path, PATH_MAX) >= PATH_MAX)
		return false;
	if (!p[1])
		return true;
	while (*p == '/') {
		const char *name = ++p;
		size_t n;

		p = strchrnul(p, '/');
		n = (size_t)(p - name);
		if (n == 0 || (n == 1 && name[0] == '.') ||
			(n == 2 && name[0] == '.' && name[1] == '.'))
			return false;
	}
	return true;
}

static int
add_component(struct buf *b, const char *name, size_t n)
{
	int r;

	if (n == 0 || (n == 1 && name[0] == '.'))
		return 0;
	if (n == 2 && name[0] == '.' && name[1] == '.') {
		/* ".." of the root is the root. */
		while (b->n && b->p[b->n - 1] != '/')
			b->n--;
		if (b->n)
			b->n--;
		if (b->p)
			b->p[b->n] = '\0';
		return 0;
	}
	r = buf_add(b, "/", 1);
	return r < 0 ? r : buf_add(b, name, n);
}

static int
add_components(struct buf *b, const char *path)
{
	while (*path) {
		const char *end = strchrnul(path, '/');
		int r = add_component(b, path, (size_t)(end - path));

		if (r < 0)
			return r;
		path = *end ? end + 1 : end;
	}
	return 0;
}

char *
path_normalize(const char *cwd, const char *path)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (*path != '/' && add_components(&b, cwd) < 0)
		return NULL;
	if (add_components(&b, path) < 0)
		return NULL;
	if (!b.n && buf_add(&b, "/", 1) < 0)
		return NULL;
	return (char *)steal_ptr(b.p);
}

bool
path_is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (streq(dir, "/"))
		return *path == '/';
	return strncmp(path, dir, n) == 0 && (!path[n] || path[n] == '/');
}

const char *
path_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

char *
path_dirname(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	while (slash > path && slash[-1] == '/')
		slash--;
	if (slash == path)
		return strdup("/");
	return strndup(path, (size_t)(slash - path));
}
