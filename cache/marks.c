/* Invariant: what is hidden is shown again, byte for byte, where the places are the same. */
#include "config.h"

#include "cache/marks.h"

#include <errno.h>
#include <string.h>

#include "cache/text.h"
#include "common/fs.h"

static bool
holds(const struct buf *b, const char *what)
{
	return b->n > 0 && memmem(b->p, b->n, what, strlen(what));
}

struct mark {
	char mark;
	const char *dir;
};

#define MARKS_MAX (sizeof(INPUT_MARKS) - 1)

/* A directory that lies in another one has the longer name, and comes first: a target directory
 * lies in the workspace, mostly, and a workspace may lie in a target directory, or in cargo's home.
 */
static size_t
list_marks(const struct inputs_place *p, struct mark to[MARKS_MAX])
{
	/* of places that are one the workspace counts; the out-dir stays the first */
	static const char marks[] = { INPUT_OUT_DIR_MARK, INPUT_WORKSPACE_MARK,
		INPUT_TARGET_DIR_MARK, INPUT_CARGO_HOME_MARK, INPUT_HOME_MARK,
		INPUT_TOOLCHAIN_MARK };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		struct mark m = { marks[i], inputs_place_dir(p, marks[i]) };
		size_t at = n;

		if (!m.dir)
			continue;
		for (; at > 1 && strlen(to[at - 1].dir) < strlen(m.dir); at--)
			to[at] = to[at - 1];
		to[at] = m;
		n++;
	}
	return n;
}

bool
marks_in(const struct inputs_place *p, const void *text, size_t n)
{
	for (const char *mark = INPUT_MARKS; n > 0 && *mark; mark++)
		if (inputs_place_dir(p, *mark) && memchr(text, *mark, n))
			return true;
	return false;
}

int
marks_find_named(const struct inputs_place *p, const char *path, unsigned among, unsigned *ret)
{
	const char *dirs[MARKS_MAX];
	char marks[MARKS_MAX];
	size_t n = 0;
	int r;

	*ret = 0;
	for (const char *mark = INPUT_MARKS; *mark; mark++)
		if ((among & INPUT_PLACE(*mark)) && (dirs[n] = inputs_place_dir(p, *mark)))
			marks[n++] = *mark;
	/* most files name none, and are read once */
	r = n > 0 ? text_file_has_any(path, dirs, n) : 0;
	for (size_t i = 0; r > 0 && i < n; i++) {
		int has = text_file_has(path, dirs[i]);

		if (has < 0)
			return has;
		*ret |= has ? INPUT_PLACE(marks[i]) : 0;
	}
	return MIN2(r, 0);
}

int
marks_hide(const struct inputs_place *p, const void *text, size_t n, struct buf *to)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct mark marks[MARKS_MAX];
	size_t n_marks = list_marks(p, marks);
	int r = 0;

	if (n == 0)
		return 0;
	if (marks_in(p, text, n))
		return -EBADMSG;
	for (size_t i = 0; i < n_marks; i++)
		if (!text_can_hide(marks[i].dir))
			return -EBADMSG;
	r = buf_add(&b, text, n);
	for (size_t i = 0; r == 0 && i < n_marks; i++) {
		struct buf next = BUF_INIT;

		/* the marks before it are in the text now, and this one is not */
		r = text_hide_as(marks[i].mark, b.p, b.n, marks[i].dir, &next);
		/* "/home/me" in "/home/me2": who minds it looks for it (marks.h) */
		if (r == -EBADMSG && marks[i].mark == INPUT_HOME_MARK) {
			buf_done(&next);
			r = 0;
			continue;
		}
		buf_done(&b);
		b = next;
	}
	if (r < 0)
		return r;
	/* behind a link: the text tells by which name it was reached */
	if (holds(&b, p->real_out_dir) || holds(&b, p->real_target_dir))
		return -EBADMSG;
	return buf_add(to, b.p, b.n);
}

int
marks_show(const struct inputs_place *p, const void *text, size_t n, struct buf *to)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct mark marks[MARKS_MAX];
	size_t n_marks = list_marks(p, marks);
	int r = n > 0 ? buf_add(&b, text, n) : 0;

	for (size_t i = 0; n > 0 && r == 0 && i < n_marks; i++) {
		struct buf next = BUF_INIT;

		r = text_show_as(marks[i].mark, b.p, b.n, marks[i].dir, &next);
		buf_done(&b);
		b = next;
	}
	return r < 0 || b.n == 0 ? r : buf_add(to, b.p, b.n);
}

static bool
names_any(const char *text, const struct mark *marks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(text, marks[i].dir))
			return true;
	return false;
}

int
marks_env(const struct inputs_place *p, char *const *envp, struct strv *ret)
{
	struct mark marks[MARKS_MAX];
	size_t n_marks = list_marks(p, marks);
	int r = 0;

	for (; r == 0 && envp && *envp; envp++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		/* most have none, and each unit looks at all of them */
		if (!names_any(*envp, marks, n_marks)) {
			r = strv_add(ret, *envp);
			continue;
		}
		r = marks_hide(p, *envp, strlen(*envp), &b);
		if (r == -EBADMSG)
			r = strv_add(ret, *envp);
		else if (r == 0)
			r = strv_addn(ret, (const char *)b.p, b.n);
	}
	return r;
}
