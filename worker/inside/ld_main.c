/* dray-ld: stands where the linker would be in a job, and keeps what a linker would have read.
 *
 * It is called under the linker's own name, by rustc, inside a worker's sandbox. Below the
 * directory of the output it makes .dray-cap/N/ with: `argv` and `path` (how it was called),
 * `files` (the temporary inputs, relative to that directory, NUL-terminated; hard links 0, 1, 2 …
 * stand beside it), `dirs` (directories that were there), `output` (the name of the file it makes
 * in the linker's place). Invariant: exit 0 after a link means that all of it was kept; any failure
 * exits 1 with a message, so that the unit fails here and is compiled at home.
 *
 * Some compilers (1.63 is one) have their temporary directory in /tmp and not beside the output.
 * It is copied to where the others have it, and the arguments name the copy.
 *
 * libc only: it starts once per link in a root directory that holds little else. */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/inside/capture_dir.h"

#define RESPONSE_MAX (64u * 1024 * 1024) /* link lines of 2.3 MB were seen */
#define RESPONSE_DEPTH 4
#define BLANKS " \t\r\n\f\v"
#define TEMP_START "/tmp/rustc" /* then six letters and digits */
#define TEMP_LENGTH (sizeof(TEMP_START) - 1 + 6)

struct list {
	char **v;
	size_t n;
	size_t cap;
};

struct link_keep {
	char cwd[PATH_MAX];
	char *out;	   /* absolute, normal: what -o names */
	char *out_dir;	   /* its directory */
	char *dir;	   /* out_dir/.dray-cap/N */
	struct list files; /* relative to out_dir */
	struct list dirs;  /* relative to out_dir */
	struct list temps; /* that were moved to it from /tmp */
};

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("dray-ld: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	/* Not exit(): stderr has no buffer, and a leak checker's exit hook needs ptrace, which the
	 * sandbox refuses. */
	_exit(1);
}

static void *
need(void *p)
{
	if (!p)
		fail("out of memory");
	return p;
}

static char *__attribute__((format(printf, 1, 2))) text(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&s, fmt, ap);
	va_end(ap);
	return need(r < 0 ? NULL : s);
}

static void
list_take(struct list *l, char *s)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->v = need(realloc(l->v, l->cap * sizeof(*l->v)));
	}
	l->v[l->n++] = need(s);
}

static bool
list_has(const struct list *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!strcmp(l->v[i], s))
			return true;
	}
	return false;
}

/* Absolute against cwd, with ".", ".." and doubled slashes resolved by text. */
static char *
absolute(const char *cwd, const char *path)
{
	char *in = text("%s/%s", path[0] == '/' ? "" : cwd, path), *save = NULL;
	char *out = need(malloc(strlen(in) + 2));
	size_t len = 0;

	for (char *part = strtok_r(in, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		size_t m = strlen(part);

		if (!strcmp(part, "."))
			continue;
		if (!strcmp(part, "..")) {
			while (len > 0 && out[--len] != '/')
				;
			continue;
		}
		out[len++] = '/';
		memcpy(out + len, part, m);
		len += m;
	}
	if (len == 0)
		out[len++] = '/';
	out[len] = '\0';
	free(in);
	return out;
}

static void
write_all(int fd, const char *p, size_t n, const char *path)
{
	while (n > 0) {
		ssize_t r = write(fd, p, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			fail("cannot write %s: %s", path, strerror(errno));
		p += r;
		n -= (size_t)r;
	}
}

static int
create(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0)
		fail("cannot create %s: %s", path, strerror(errno));
	return fd;
}

static void
finish(int fd, const char *path)
{
	/* A full disk may show only here. */
	if (close(fd) < 0)
		fail("cannot write %s: %s", path, strerror(errno));
}

/* A response file, NUL-terminated. NULL when it is none: the argument is then a plain one. */
static char *
slurp(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t n = 0;
	char *p;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return NULL;
	}
	if (st.st_size > (off_t)RESPONSE_MAX)
		fail("%s is too large", path);
	p = need(malloc((size_t)st.st_size + 1));
	while (n < (size_t)st.st_size) {
		ssize_t r = read(fd, p + n, (size_t)st.st_size - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			fail("cannot read %s: %s", path, strerror(errno));
		if (r == 0)
			break;
		n += (size_t)r;
	}
	close(fd);
	p[n] = '\0';
	return p;
}

/* Takes one word off a response file as gcc and ld do: white space separates, a backslash takes the
 * next character as it is, quotes of either kind hold white space. A word is never longer than its
 * source, so it is built in place. NULL at the end. */
static char *
next_word(char **rest)
{
	char *p = *rest + strspn(*rest, BLANKS), *word = p, *to = p, quote = '\0';

	if (!*p)
		return NULL;
	for (; *p; p++) {
		if (*p == '\\' && p[1]) {
			*to++ = *++p;
		} else if (quote) {
			if (*p == quote)
				quote = '\0';
			else
				*to++ = *p;
		} else if (*p == '"' || *p == '\'') {
			quote = *p;
		} else if (strchr(BLANKS, *p)) {
			p++;
			break;
		} else {
			*to++ = *p;
		}
	}
	*rest = p;
	*to = '\0';
	return word;
}

/* Adds an argument to *flat and, after an @file, the words in it. The @file stays in the list: it
 * is an input of the link too. */
static void
flatten(const char *arg, unsigned depth, struct list *flat)
{
	char *all, *rest, *word;

	list_take(flat, strdup(arg));
	if (arg[0] != '@')
		return;
	if (depth >= RESPONSE_DEPTH)
		fail("response files nest too deep at %s", arg);
	all = rest = slurp(arg + 1);
	if (!all)
		return;
	while ((word = next_word(&rest)))
		flatten(word, depth + 1, flat);
	free(all);
}

static const char *
find_output(const struct list *flat)
{
	for (size_t i = 0; i < flat->n; i++) {
		const char *a = flat->v[i];

		if (!strcmp(a, "-o"))
			return i + 1 < flat->n ? flat->v[i + 1] : NULL;
		if (!strncmp(a, "--output=", 9))
			return a + 9;
	}
	return NULL;
}

/* Where path is below the out-dir, the rest of it; else NULL. */
static const char *
below_out(const struct link_keep *c, const char *path)
{
	size_t n = strlen(c->out_dir);

	if (n == 1)
		n = 0; /* "/" */
	if (strncmp(path, c->out_dir, n) != 0 || path[n] != '/' || !path[n + 1])
		return NULL;
	return path + n + 1;
}

static void
keep_dir(struct link_keep *c, const char *rel, size_t n)
{
	char *dir = need(strndup(rel, n));

	if (list_has(&c->dirs, dir))
		free(dir);
	else
		list_take(&c->dirs, dir);
}

/* A directory that is named is searched for -l libraries (raw-dylibs). It is empty in every link
 * that can be captured. */
static void
keep_search_dir(struct link_keep *c, const char *rel, const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (!d)
		fail("cannot list %s: %s", path, strerror(errno));
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			fail("%s holds %s, which a search for libraries may find", path, e->d_name);
	}
	closedir(d);
	keep_dir(c, rel, strlen(rel));
}

/* Keeps what `word` names if it is a temporary of this link. A word that is no path names nothing.
 */
static void
consider(struct link_keep *c, const char *word)
{
	char *path;
	const char *rel, *slash;
	struct stat st;

	if (!*word)
		return;
	path = absolute(c->cwd, word);
	rel = below_out(c, path);
	if (rel && strcmp(path, c->out) != 0 && lstat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode)) {
			keep_search_dir(c, rel, path);
		} else if (!S_ISREG(st.st_mode)) {
			fail("%s is no regular file", path);
		} else if (!list_has(&c->files, rel)) {
			slash = strrchr(rel, '/');
			if (slash)
				keep_dir(c, rel, (size_t)(slash - rel));
			list_take(&c->files, strdup(rel));
		}
	}
	free(path);
}

static void
consider_with_value(struct link_keep *c, const char *word)
{
	const char *eq = strchr(word, '=');

	consider(c, word);
	if (eq)
		consider(c, eq + 1);
}

static void
consider_argument(struct link_keep *c, const char *arg)
{
	if (arg[0] == '@') {
		consider(c, arg + 1);
	} else if (!strncmp(arg, "-L", 2)) {
		consider(c, arg + 2);
	} else if (!strncmp(arg, "-Wl,", 4)) {
		char *list = need(strdup(arg + 4)), *save = NULL;

		for (char *w = strtok_r(list, ",", &save); w; w = strtok_r(NULL, ",", &save))
			consider_with_value(c, w);
		free(list);
	} else {
		consider_with_value(c, arg);
	}
}

static void
make_capture_dir(struct link_keep *c)
{
	char *top = text("%s/" CAPTURE_DIR, c->out_dir);

	if (mkdir(top, 0755) < 0 && errno != EEXIST)
		fail("cannot make %s: %s", top, strerror(errno));
	for (unsigned i = 0; i < CAPTURE_CALLS_MAX && !c->dir; i++) {
		char *dir = text("%s/%u", top, i);

		if (mkdir(dir, 0755) == 0) {
			c->dir = dir;
			break;
		}
		if (errno != EEXIST)
			fail("cannot make %s: %s", dir, strerror(errno));
		free(dir);
	}
	if (!c->dir)
		fail("more than %u links in one unit", CAPTURE_CALLS_MAX);
	free(top);
}

static void
write_strings(const struct link_keep *c, const char *name, char *const *v, size_t n)
{
	char *path = text("%s/%s", c->dir, name);
	int fd = create(path, 0600);

	for (size_t i = 0; i < n; i++)
		write_all(fd, v[i], strlen(v[i]) + 1, path);
	finish(fd, path);
	free(path);
}

static void
copy_file(const char *from, const char *to, mode_t mode)
{
	int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out;
	char *chunk = need(malloc(256 * 1024));

	if (in < 0)
		fail("cannot read %s: %s", from, strerror(errno));
	out = create(to, mode);
	for (;;) {
		ssize_t r = read(in, chunk, 256 * 1024);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			fail("cannot read %s: %s", from, strerror(errno));
		if (r == 0)
			break;
		write_all(out, chunk, (size_t)r, to);
	}
	free(chunk);
	close(in);
	finish(out, to);
}

/* rustc removes its temporaries once the linker is done; a hard link outlives that. */
static void
keep_files(const struct link_keep *c)
{
	for (size_t i = 0; i < c->files.n; i++) {
		char *from = text("%s/%s", c->out_dir, c->files.v[i]);
		char *to = text("%s/%zu", c->dir, i);

		if (link(from, to) < 0)
			copy_file(from, to, 0600);
		free(from);
		free(to);
	}
}

/* With split-debuginfo=packed rustc reads the linked file as ELF afterwards: symbols.o is one. */
static void
make_output(const struct link_keep *c)
{
	if (unlink(c->out) < 0 && errno != ENOENT)
		fail("cannot replace %s: %s", c->out, strerror(errno));
	for (size_t i = 0; i < c->files.n; i++) {
		const char *slash = strrchr(c->files.v[i], '/');

		if (!strcmp(slash ? slash + 1 : c->files.v[i], "symbols.o")) {
			char *from = text("%s/%zu", c->dir, i);

			copy_file(from, c->out, 0755);
			free(from);
			return;
		}
	}
	finish(create(c->out, 0755), c->out);
}

/* The next place in s where a directory is named as rustc names its own in /tmp; NULL: none. */
static const char *
find_temp(const char *s)
{
	for (; (s = strstr(s, TEMP_START)); s++) {
		size_t i = sizeof(TEMP_START) - 1;

		while (i < TEMP_LENGTH && isalnum((unsigned char)s[i]))
			i++;
		if (i == TEMP_LENGTH && !isalnum((unsigned char)s[i]))
			return s;
	}
	return NULL;
}

/* The same for directories that were moved. */
static const char *
find_moved(const struct link_keep *c, const char *s)
{
	for (; (s = find_temp(s)); s++) {
		for (size_t i = 0; i < c->temps.n; i++) {
			if (!strncmp(s, c->temps.v[i], TEMP_LENGTH))
				return s;
		}
	}
	return NULL;
}

/* Replaces in s the directories that were moved. In a response file, characters with a meaning
 * there are escaped. */
static char *
moved_text(const struct link_keep *c, const char *s, bool response)
{
	char *out = NULL;
	size_t n = 0;
	FILE *f = need(open_memstream(&out, &n));

	for (const char *temp; (temp = find_moved(c, s)); s = temp + strlen("/tmp")) {
		fwrite(s, 1, (size_t)(temp - s), f);
		for (const char *at = c->out_dir; *at; at++) {
			if (response && strchr(BLANKS "\\\"'", *at))
				fputc('\\', f);
			fputc(*at, f);
		}
	}
	fputs(s, f);
	if (fclose(f) != 0)
		fail("out of memory");
	return need(out);
}

static void
move_response(const struct link_keep *c, const char *from, const char *to)
{
	char *all = need(slurp(from)), *moved = moved_text(c, all, true);
	int fd = create(to, 0600);

	write_all(fd, moved, strlen(moved), to);
	finish(fd, to);
	free(moved);
	free(all);
}

/* Copies a temporary directory to the out-dir, without its subdirectories, in which there is no
 * input. */
static void
move_dir(const struct link_keep *c, const struct list *flat, const char *temp)
{
	char *dir = text("%s%s", c->out_dir, temp + strlen("/tmp"));
	DIR *d = opendir(temp);
	struct dirent *e;

	if (!d)
		fail("cannot list %s: %s", temp, strerror(errno));
	if (mkdir(dir, 0755) < 0 && errno != EEXIST) /* a unit of several links */
		fail("cannot make %s: %s", dir, strerror(errno));
	while ((e = readdir(d))) {
		char *word = text("@%s/%s", temp, e->d_name), *from = word + 1;
		char *to = text("%s/%s", dir, e->d_name);
		struct stat st;

		if (lstat(from, &st) < 0)
			fail("cannot look at %s: %s", from, strerror(errno));
		if (S_ISREG(st.st_mode) && unlink(to) < 0 && errno != ENOENT)
			fail("cannot replace %s: %s", to, strerror(errno));
		if (S_ISREG(st.st_mode) && list_has(flat, word))
			move_response(c, from, to);
		else if (S_ISREG(st.st_mode))
			copy_file(from, to, 0600);
		else if (S_ISDIR(st.st_mode) && mkdir(to, 0755) < 0 && errno != EEXIST)
			fail("cannot make %s: %s", to, strerror(errno));
		free(word);
		free(to);
	}
	closedir(d);
	free(dir);
}

/* Whether the job made it: the client's files in /tmp cannot be written to. */
static bool
is_own_temp(const struct link_keep *c, const char *temp)
{
	size_t n = strlen(c->out_dir);
	struct stat st;

	if (lstat(temp, &st) < 0 || !S_ISDIR(st.st_mode) || access(temp, W_OK) < 0)
		return false;
	return strncmp(c->out_dir, temp, TEMP_LENGTH) != 0 ||
	       (n > TEMP_LENGTH && c->out_dir[TEMP_LENGTH] != '/');
}

static void
note_temps(struct link_keep *c, const char *word)
{
	for (; (word = find_temp(word)); word++) {
		char *temp = need(strndup(word, TEMP_LENGTH));

		if (!list_has(&c->temps, temp) && is_own_temp(c, temp))
			list_take(&c->temps, temp);
		else
			free(temp);
	}
}

/* Moves temporaries that are in /tmp, and changes the arguments to their new places. */
static void
move_temporaries(struct link_keep *c, struct list *flat, int argc, char **argv)
{
	for (size_t i = 0; i < flat->n; i++)
		note_temps(c, flat->v[i]);
	if (c->temps.n == 0)
		return;
	for (size_t i = 0; i < c->temps.n; i++)
		move_dir(c, flat, c->temps.v[i]);
	flat->n = 0;
	for (int i = 1; i < argc; i++) {
		if (find_moved(c, argv[i])) {
			/* its commas would end items of the list */
			if (!strncmp(argv[i], "-Wl,", 4) && strchr(c->out_dir, ','))
				fail("%s has a comma", c->out_dir);
			argv[i] = moved_text(c, argv[i], false);
		}
		flatten(argv[i], 0, flat);
	}
}

int
main(int argc, char **argv)
{
	static struct link_keep c;
	struct list flat = { 0 };
	const char *output, *path = getenv("PATH");
	char *name, *slash;

	for (int i = 1; i < argc; i++)
		flatten(argv[i], 0, &flat);
	output = find_output(&flat);
	if (!output) /* a question (-v, --version, -print-file-name): nothing to link */
		_exit(0);
	if (!getcwd(c.cwd, sizeof(c.cwd)))
		fail("no current directory: %s", strerror(errno));
	c.out = absolute(c.cwd, output);
	slash = strrchr(c.out, '/');
	name = slash + 1;
	c.out_dir = need(strndup(c.out, slash == c.out ? 1 : (size_t)(slash - c.out)));
	move_temporaries(&c, &flat, argc, argv);
	for (size_t i = 0; i < flat.n; i++)
		consider_argument(&c, flat.v[i]);

	make_capture_dir(&c);
	keep_files(&c);
	write_strings(&c, "argv", argv, (size_t)argc);
	write_strings(&c, "path", (char *[]){ need(strdup(path ? path : "")) }, 1);
	write_strings(&c, "files", c.files.v, c.files.n);
	write_strings(&c, "dirs", c.dirs.v, c.dirs.n);
	write_strings(&c, "output", &name, 1);
	make_output(&c);
	_exit(0);
}
