#include "config.h"

#include "cache/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fs.h"

#define MARK '\x01'
#define CHUNK (1u << 20)

bool
text_can_hide(const char *out_dir)
{
	if (!path_is_normal(out_dir) || !out_dir[1])
		return false;
	for (const char *s = out_dir; *s; s++)
		if ((unsigned char)*s <= ' ' || strchr("\"\\#$%:=*?\x7f", *s))
			return false;
	return true;
}

/* Whether a path may end here in a text: what follows must not continue the name. */
static bool
ends_name(const uint8_t *p, const uint8_t *end)
{
	return p == end || strchr("/\"': \t\r\n\\,;)]}><|&`", *p) != NULL;
}

/* Whether the m before p ends a colour: ESC [ numbers m, in JSON with the escape written out. */
static bool
ends_colour(const uint8_t *start, const uint8_t *p)
{
	static const char escape[] = "\\u001b";
	size_t k = strlen(escape);

	p--;
	while (p > start && ((p[-1] >= '0' && p[-1] <= '9') || p[-1] == ';'))
		p--;
	if (p - start < 2 || *--p != '[')
		return false;
	return p[-1] == '\x1b' || ((size_t)(p - start) >= k && memcmp(p - k, escape, k) == 0);
}

/* Whether a path may begin here: what stands before must not be a part of the name. In a compiler's
 * or a linker's arguments a path may follow the letter of an option, and in JSON the n of \n. */
static bool
begins_name(const uint8_t *start, const uint8_t *p)
{
	unsigned char c = p > start ? p[-1] : '\0';
	bool in_name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		       c >= 0x80 || (c && strchr("-_.+~@%/", c));

	if (!in_name)
		return true;
	if (p - start < 2)
		return false;
	if (p[-2] == '\\')
		return strchr("nrt", c) != NULL;
	if (c == 'm' && ends_colour(start, p))
		return true;
	return p[-2] == '-' && strchr("BFILRT", c) && (p - start == 2 || strchr(" \t\n\"'", p[-3]));
}

int
text_hide_as(char mark, const void *p, size_t n, const char *dir, struct buf *ret)
{
	const uint8_t *s = p, *end = s + n;
	size_t k = strlen(dir);
	int r = 0;

	if (n > 0 && memchr(s, mark, n))
		return -EBADMSG;
	while (r == 0 && s < end) {
		const uint8_t *at = memmem(s, (size_t)(end - s), dir, k);
		const uint8_t *to = at ? at : end;

		if (at && (!begins_name(p, at) || !ends_name(at + k, end)))
			return -EBADMSG;
		r = buf_add(ret, s, (size_t)(to - s));
		if (r == 0 && at)
			r = buf_add(ret, &mark, 1);
		s = at ? at + k : end;
	}
	return r;
}

int
text_hide(const void *p, size_t n, const char *out_dir, struct buf *ret)
{
	return text_hide_as(MARK, p, n, out_dir, ret);
}

int
text_show(const void *p, size_t n, const char *out_dir, struct buf *ret)
{
	return text_show_as(MARK, p, n, out_dir, ret);
}

int
text_show_as(char mark, const void *p, size_t n, const char *dir, struct buf *ret)
{
	const uint8_t *s = p, *end = s + n;
	int r = 0;

	while (r == 0 && s < end) {
		const uint8_t *at = memchr(s, mark, (size_t)(end - s));
		const uint8_t *to = at ? at : end;

		r = buf_add(ret, s, (size_t)(to - s));
		if (r == 0 && at)
			r = buf_adds(ret, dir);
		s = at ? at + 1 : end;
	}
	return r;
}

/* What is no file may block, or has no end. */
static int
open_file(const char *path, struct stat *ret)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 || fstat(fd, ret) < 0)
		return -errno;
	return S_ISREG(ret->st_mode) ? steal_fd(&fd) : -EINVAL;
}

int
text_file_has_any(const char *path, const char *const *what, size_t n_what)
{
	struct stat st;
	_cleanup_(closep) int fd = open_file(path, &st);
	_cleanup_(freep) uint8_t *b = malloc(CHUNK);
	size_t longest = 0, have = 0;

	if (fd < 0)
		return fd;
	if (!b)
		return -ENOMEM;
	for (size_t i = 0; i < n_what; i++) {
		if (!*what[i] || strlen(what[i]) >= CHUNK / 2)
			return -EINVAL;
		longest = MAX2(longest, strlen(what[i]));
	}
	while (longest) {
		ssize_t n = read(fd, b + have, CHUNK - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		have += (size_t)n;
		for (size_t i = 0; i < n_what; i++)
			if (memmem(b, have, what[i], strlen(what[i])))
				return 1;
		/* a match may begin here and end in the next block */
		if (have >= longest) {
			memmove(b, b + have - (longest - 1), longest - 1);
			have = longest - 1;
		}
	}
	return 0;
}

int
text_file_has(const char *path, const char *what)
{
	return text_file_has_any(path, &what, 1);
}

static bool
begins_any(const uint8_t *p, size_t left, const char *const *but, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t k = strlen(but[i]);

		if (left >= k && memcmp(p, but[i], k) == 0)
			return true;
	}
	return false;
}

bool
text_has_but(const void *p, size_t size, const char *what, const char *const *but, size_t n)
{
	const uint8_t *at = p, *end = at + size;

	for (; size && (at = memmem(at, (size_t)(end - at), what, strlen(what))); at++)
		if (!begins_any(at, (size_t)(end - at), but, n))
			return true;
	return false;
}

bool
text_has_not_after(const void *p, size_t size, const char *what, const char *before)
{
	const uint8_t *from = p, *at = p, *end = at + size;
	size_t k = strlen(before);

	for (; size && (at = memmem(at, (size_t)(end - at), what, strlen(what))); at++)
		if ((size_t)(at - from) < k || memcmp(at - k, before, k) != 0)
			return true;
	return false;
}

/* A word of the processor. */
#define PIECE 8

static bool
has(const void *p, size_t size, const char *what, size_t n)
{
	return memmem(p, size, what, n) != NULL;
}

bool
text_has_pieces(const void *p, size_t size, const char *what)
{
	size_t n = strlen(what), at = 0;

	if (n < PIECE)
		return n < PIECE / 2 || has(p, size, what, PIECE / 2);
	for (; n - at >= PIECE; at += PIECE)
		if (!has(p, size, what + at, PIECE))
			return false;
	/* the rest is a piece of its own, or overlaps; less than four bytes could be anywhere */
	return n - at < PIECE / 2 || has(p, size, what + at, PIECE / 2) ||
	       has(p, size, what + n - PIECE, PIECE);
}

struct sought {
	const char *what;
	const char *const *but;
	size_t n;
};

static bool
has_sought_but(const void *p, size_t size, void *sought)
{
	const struct sought *s = sought;

	return text_has_but(p, size, s->what, s->but, s->n);
}

static bool
has_sought_not_after(const void *p, size_t size, void *sought)
{
	const struct sought *s = sought;

	return text_has_not_after(p, size, s->what, *s->but);
}

static bool
has_sought_pieces(const void *p, size_t size, void *sought)
{
	const struct sought *s = sought;

	return text_has_pieces(p, size, s->what);
}

int
text_file_look(const char *path, bool (*look)(const void *p, size_t size, void *to), void *to)
{
	struct stat st;
	_cleanup_(closep) int fd = open_file(path, &st);
	bool found;
	void *p;

	if (fd < 0)
		return fd;
	if (st.st_size == 0)
		return 0;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	found = look(p, (size_t)st.st_size, to);
	munmap(p, (size_t)st.st_size);
	return found;
}

int
text_file_has_but(const char *path, const char *what, const char *const *but, size_t n)
{
	struct sought s = { what, but, n };

	return text_file_look(path, has_sought_but, &s);
}

int
text_file_has_not_after(const char *path, const char *what, const char *before)
{
	struct sought s = { what, &before, 1 };

	return text_file_look(path, has_sought_not_after, &s);
}

int
text_file_has_pieces(const char *path, const char *what)
{
	struct sought s = { what, NULL, 0 };

	return text_file_look(path, has_sought_pieces, &s);
}
