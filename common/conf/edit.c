/* Changes of a configuration file. */
#include "config.h"

#include "common/conf/edit.h"

#include <errno.h>

/* A line, with its newline, as the reader of conf.c takes it: blanks in front do not count. */
struct line {
	const char *p, *end;
};

static bool
next_line(const char **at, const char *end, struct line *ret)
{
	const char *nl;

	if (*at == end)
		return false;
	nl = memchr(*at, '\n', (size_t)(end - *at));
	*ret = (struct line){ *at, nl ? nl + 1 : end };
	*at = ret->end;
	return true;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

/* Whether text is there, and then nothing but blanks up to `mark`. */
static bool
has_word(const char *p, const char *end, const char *text, char mark)
{
	size_t n = strlen(text);

	if ((size_t)(end - p) <= n || memcmp(p, text, n) != 0)
		return false;
	p = skip_blanks(p + n, end);
	return p < end && *p == mark;
}

static bool
is_heading(const struct line *l, const char *section, bool *ret_ours)
{
	const char *p = skip_blanks(l->p, l->end);
	size_t n = strlen(section);

	if (p == l->end || *p != '[')
		return false;
	/* the reader takes what is between the brackets as it is */
	*ret_ours = (size_t)(l->end - p) > n + 1 && memcmp(p + 1, section, n) == 0 &&
		    p[n + 1] == ']';
	return true;
}

static bool
is_setting(const struct line *l, const char *key)
{
	const char *p = skip_blanks(l->p, l->end);

	return has_word(p, l->end, key, '=') || has_word(p, l->end, key, ':');
}

static bool
is_empty(const struct line *l)
{
	return skip_blanks(l->p, l->end) == l->end;
}

/* What follows a value in its line: a comment, and the line's end. */
static const char *
tail_of(const struct line *l)
{
	const char *p, *end = l->end;

	for (p = l->p + 1; p < l->end; p++)
		if (*p == ';' && is_blank(p[-1]))
			return p - 1;
	while (end > l->p && (end[-1] == '\n' || end[-1] == '\r'))
		end--;
	return end;
}

static bool
value_ok(const char *v)
{
	size_t n = strlen(v);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)v[i] < ' ' || v[i] == 0x7f ||
			(v[i] == ';' && i && v[i - 1] == ' '))
			return false;
	return n > 0 && v[0] != ' ' && v[n - 1] != ' ' && v[0] != ';' && v[0] != '"' &&
	       v[0] != '\'';
}

/* Where it goes. */
struct place {
	struct line setting; /* that counts; p: NULL: there is none */
	const char *below;   /* of the section's last line; NULL: there is no section */
};

static struct place
find_place(const char *text, size_t n, const char *section, const char *key)
{
	const char *at = text, *end = text + n;
	struct place ret = { { NULL, NULL }, NULL };
	bool ours = false;
	struct line l;

	while (next_line(&at, end, &l)) {
		if (is_heading(&l, section, &ours)) {
			if (ours)
				ret.below = l.end;
			continue;
		}
		if (!ours || is_empty(&l))
			continue;
		ret.below = l.end;
		if (is_setting(&l, key))
			ret.setting = l;
	}
	return ret;
}

static int
add_setting(struct buf *b, const char *key, const char *value)
{
	return buf_addf(b, "%s = %s", key, value);
}

/* A line of its own, behind what is there. */
static int
add_line(struct buf *b, const char *key, const char *value)
{
	int r = b->n && b->p[b->n - 1] != '\n' ? buf_adds(b, "\n") : 0;

	if (r == 0)
		r = add_setting(b, key, value);
	return r == 0 ? buf_adds(b, "\n") : r;
}

static int
replace(const char *text, size_t n, const struct line *l, const char *key, const char *value,
	struct buf *b)
{
	const char *tail = tail_of(l), *first = skip_blanks(l->p, l->end);
	int r = buf_add(b, text, (size_t)(first - text));

	if (r == 0)
		r = add_setting(b, key, value);
	return r == 0 ? buf_add(b, tail, (size_t)(text + n - tail)) : r;
}

static int
insert(const char *text, size_t n, const char *below, const char *key, const char *value,
	struct buf *b)
{
	int r = buf_add(b, text, (size_t)(below - text));

	if (r == 0)
		r = add_line(b, key, value);
	return r == 0 ? buf_add(b, below, (size_t)(text + n - below)) : r;
}

static int
append(const char *text, size_t n, const char *section, const char *key, const char *value,
	struct buf *b)
{
	int r = buf_add(b, text, n);

	if (r == 0 && n)
		r = buf_adds(b, text[n - 1] == '\n' ? "\n" : "\n\n");
	if (r == 0)
		r = buf_addf(b, "[%s]\n", section);
	return r == 0 ? add_line(b, key, value) : r;
}

int
conf_edit_set(const char *text, size_t n, const char *section, const char *key, const char *value,
	struct buf *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct place at = find_place(text, n, section, key);
	int r;

	if (!value_ok(value))
		return -EINVAL;
	if (at.setting.p)
		r = replace(text, n, &at.setting, key, value, &b);
	else if (at.below)
		r = insert(text, n, at.below, key, value, &b);
	else
		r = append(text, n, section, key, value, &b);
	if (r < 0)
		return r;
	*ret = b;
	b = (struct buf)BUF_INIT;
	return 0;
}
