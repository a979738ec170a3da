/* Invariant: a file is the old one or the new one, whole. */
#include "config.h"

#include "coordinator/admin/kept.h"

#include <errno.h>
#include <stdlib.h>

#include "common/fs.h"

/* *text is behind the first line afterwards. */
static int
take_head(const struct kept_form *form, char **text)
{
	size_t n = strlen(form->name);
	char *line;

	if (!starts_with(*text, form->name) || (*text)[n] != ' ')
		return form->bare ? 0 : -EBADMSG;
	line = strsep(text, "\n");
	return !*text ? -EBADMSG : streq(line + n + 1, form->version) ? 0 : -EPROTONOSUPPORT;
}

int
kept_lines(const struct kept_form *form, const char *text, size_t n, kept_line_fn take, void *to)
{
	_cleanup_(freep) char *copy = strndup(text, n);
	char *rest = copy, *line;
	int r;

	if (!copy)
		return -ENOMEM;
	if (strlen(copy) != n)
		return -EBADMSG;
	r = take_head(form, &rest);
	while (r == 0 && *rest) {
		line = strsep(&rest, "\n");
		if (!rest) /* it is cut */
			return -EBADMSG;
		r = take(line, to);
	}
	return r;
}

int
kept_begin(const struct kept_form *form, struct buf *b)
{
	return buf_addf(b, "%s %s\n", form->name, form->version);
}

int
kept_read(const char *dir, const char *file, size_t max, struct buf *ret)
{
	_cleanup_(freep) char *path = path_join(dir, file);
	int r = path ? fs_read_file(path, max, ret) : -ENOMEM;

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = buf_reserve(ret, 1); /* an empty one has a text, too */
	if (r < 0)
		return r;
	ret->p[ret->n] = '\0';
	return 1;
}

int
kept_write(const char *dir, const char *file, const struct buf *b)
{
	_cleanup_(freep) char *path = path_join(dir, file);
	int r = path ? fs_mkdir_p(dir, 0700) : -ENOMEM;

	return r < 0 ? r : fs_replace(path, b->n ? b->p : (const uint8_t *)"", b->n, 0600, NULL);
}
