/* Invariant: what is let through makes the linker read libraries that the compiler was told of, the
 * toolchain's, and the link's own inputs, and write one file, an output of this unit. It makes it
 * load or run nothing but what the linker has by itself. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/link/link_check.h"
#include "client/link/linker.h"
#include "common/fs.h"
#include "common/text/why.h"

#define RESPONSE_MAX (64u << 20)
#define LIST_MAX (64u << 20)
#define TEMP_DIR "rustc"
#define TEMP_RANDOM 6
#define BLANKS " \t\r\n\f\v"
#define WORD "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define SYMBOL WORD ".$@?+-"
#define LIBRARY WORD ".+-"

/* ---- names */

bool
link_check_is_temp_dir(const char *name, size_t n)
{
	const size_t k = strlen(TEMP_DIR);

	return n == k + TEMP_RANDOM && starts_with(name, TEMP_DIR) &&
	       strspn(name + k, WORD) >= TEMP_RANDOM && !memchr(name, '_', n);
}

bool
link_check_is_object(const char *name)
{
	return ends_with(name, ".o") || ends_with(name, ".rcgu.rmeta");
}

bool
link_check_input_name(const char *crate, const char *extra, const char *name)
{
	const char *slash = strchr(name, '/');

	if (!slash)
		return call_output_name_ok(crate, extra, name) && link_check_is_object(name);
	return link_check_is_temp_dir(name, (size_t)(slash - name)) && path_is_name(slash + 1) &&
	       strlen(slash + 1) <= NAME_MAX;
}

/* ---- files */

enum content { CONTENT_OBJECT, CONTENT_ARCHIVE, CONTENT_LIST, CONTENT_RESPONSE, CONTENT_NONE };

/* What rustc puts into its temporary directory, by name. */
static enum content
content_of(const char *path)
{
	const char *name = path_basename(path);

	if (link_check_is_object(name))
		return CONTENT_OBJECT;
	if (ends_with(name, ".a") || ends_with(name, ".rlib"))
		return CONTENT_ARCHIVE;
	if (streq(name, "list"))
		return CONTENT_LIST;
	return streq(name, "linker-arguments") ? CONTENT_RESPONSE : CONTENT_NONE;
}

/* A linker takes what it does not know for a script. -errno: it cannot be opened. */
static int
begins_as(const char *path, enum content kind, int flags)
{
	static const struct {
		enum content kind;
		const char *bytes;
		size_t n;
	} begins[] = {
		{ CONTENT_OBJECT, "\177ELF", 4 },
		{ CONTENT_OBJECT, "\0asm", 4 },
		/* no bitcode, no thin archive: what is in them names files elsewhere */
		{ CONTENT_ARCHIVE, "!<arch>\n", 8 },
	};
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | flags);
	char b[8] = "";
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	n = pread(fd, b, sizeof(b), 0);
	for (size_t i = 0; i < ARRAY_LEN(begins); i++)
		if (begins[i].kind == kind && n >= (ssize_t)begins[i].n &&
			memcmp(b, begins[i].bytes, begins[i].n) == 0)
			return 1;
	return 0;
}

/* A compiler's, or none is there. */
static bool
is_made_library(const char *path)
{
	int r = begins_as(path, CONTENT_ARCHIVE, 0);

	return r != 0 ? r > 0 || r == -ENOENT : begins_as(path, CONTENT_OBJECT, 0) > 0;
}

/* A version script or a list of symbols: names, braces, "global:" and "local:". */
static bool
is_list(const char *path)
{
	static const char of[] = SYMBOL "{}:;*" BLANKS;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (fs_read_file(path, LIST_MAX, &b) < 0)
		return false;
	for (size_t i = 0; i < b.n; i++)
		if (!b.p[i] || !strchr(of, b.p[i]))
			return false;
	return true;
}

static bool
is_what_it_says(const char *path)
{
	enum content kind = content_of(path);

	switch (kind) {
	case CONTENT_OBJECT:
	case CONTENT_ARCHIVE:
		return begins_as(path, kind, O_NOFOLLOW) > 0;
	case CONTENT_LIST:
		return is_list(path);
	case CONTENT_RESPONSE:
		return true;
	case CONTENT_NONE:
		break;
	}
	return false;
}

/* ---- a walk over the arguments */

/* What the option before takes for its value. */
enum want {
	WANT_NONE,
	WANT_KEYWORD,
	WANT_RPATH,
	WANT_SYMBOL,
	WANT_DIR,
	WANT_LIBRARY,
	WANT_NAME,
	WANT_OUTPUT,
	WANT_LINKER_WORD,
	WANT_FLAVOR
};

struct walk {
	const struct link_check *in;
	enum want want;	       /* of a word for the driver */
	enum want linker_want; /* of one that it passes on */
	size_t own;	       /* words of the project's own that have come */
	unsigned outputs;
	char **ret_why;
	struct strv dirs, made; /* what is in `made` may be a worker's */
};

static int check_words(struct walk *w, char *const *v, size_t n, bool nested);

static int
refuse(struct walk *w, const char *what, const char *word)
{
	return why_set(w->ret_why, -EPERM, "the captured link: %s: %.200s", what, word);
}

static bool
is_all_of(const char *s, const char *chars)
{
	return *s && !s[strspn(s, chars)];
}

/* path: absolute, normal. As one of these kinds, alone, it would be a script. */
static bool
is_temporary(const struct walk *w, const char *path, enum content a, enum content b)
{
	enum content kind = content_of(path);

	return (kind == a || kind == b) && strv_has(w->in->temporaries, path);
}

static bool
is_sysroots(const struct walk *w, const char *path)
{
	_cleanup_(freep) char *lib = path_join(w->in->sysroot, "lib");

	return lib && path_is_below(path, lib);
}

/* The directories that the compiler was told to search, or that a named crate lies in. */
static int
find_dirs(struct walk *w)
{
	const struct rustc_call *c = w->in->call;
	int r = strv_add(&w->made, w->in->out_dir);

	for (size_t i = 0; r == 0 && i < c->n_libs; i++) {
		bool made = streq(c->libs[i].kind, "dependency") || streq(c->libs[i].kind, "crate");

		r = strv_take(
			made ? &w->made : &w->dirs, path_normalize(w->in->cwd, c->libs[i].path));
	}
	for (size_t i = 0; r == 0 && i < c->n_externs; i++) {
		const char *at = c->externs[i].path;
		_cleanup_(freep) char *path = at ? path_normalize(w->in->cwd, at) : NULL;

		if (at)
			r = path ? strv_take(&w->made, path_dirname(path)) : -ENOMEM;
	}
	strv_sort_unique(&w->made);
	return r;
}

/* A C driver goes by what follows the last dot: "c" is to be compiled. */
static bool
is_library_name(const char *name)
{
	return ends_with(name, ".rlib") || ends_with(name, ".a") || ends_with(name, ".so") ||
	       (strstr(name, ".so.") && strchr("0123456789", strrchr(name, '.')[1]));
}

/* The C library's, where no path is given. */
static bool
is_crt(const char *name)
{
	static const char *const names[] = { "crt1.o", "rcrt1.o", "Scrt1.o", "gcrt1.o", "crti.o",
		"crtn.o", "crtbegin.o", "crtbeginS.o", "crtbeginT.o", "crtend.o", "crtendS.o" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(name, names[i]))
			return true;
	return false;
}

static int
check_file(struct walk *w, const char *word)
{
	_cleanup_(freep) char *path = path_normalize(w->in->cwd, word);
	_cleanup_(freep) char *dir = path ? path_dirname(path) : NULL;

	if (!dir)
		return -ENOMEM;
	if (is_crt(word) || is_temporary(w, path, CONTENT_OBJECT, CONTENT_ARCHIVE))
		return 0;
	if (is_library_name(path_basename(path)) &&
		(is_sysroots(w, path) || (strv_has(&w->made, dir) ? is_made_library(path)
								  : strv_has(&w->dirs, dir))))
		return 0;
	if (ends_with(path, ".o") && is_sysroots(w, path))
		return 0;
	return refuse(w, "a file that is none of the unit's", word);
}

static int
check_dir(struct walk *w, const char *word)
{
	_cleanup_(freep) char *path = path_normalize(w->in->cwd, word);
	size_t n = strlen(w->in->out_dir);

	if (!path)
		return -ENOMEM;
	if (*word == '=' || *word == '$' || !*word)
		return refuse(w, "a directory that is none of the unit's", word);
	if (strv_has(&w->dirs, path) || strv_has(&w->made, path) || is_sysroots(w, path))
		return 0;
	if (path_is_below(path, w->in->out_dir) &&
		link_check_is_temp_dir(path + n + 1, strcspn(path + n + 1, "/")))
		return 0;
	return refuse(w, "a directory that is none of the unit's", word);
}

static int
check_output(struct walk *w, const char *word)
{
	const struct rustc_call *c = w->in->call;
	const char *name = path_basename(word);
	size_t n = (size_t)(name - word);

	while (n > 1 && word[n - 1] == '/')
		n--;
	/* as the compiler was told, or by its own name: other ways lead there by links alone */
	if (!(strlen(w->in->out_dir) == n && strncmp(word, w->in->out_dir, n) == 0) &&
		!(strlen(c->out_dir) == n && strncmp(word, c->out_dir, n) == 0))
		return refuse(w, "it makes something elsewhere", word);
	/* a cdylib's name has no extra-filename */
	if (++w->outputs > 1 || (!call_output_name_ok(c->crate_name, c->extra_filename, name) &&
					!call_output_name_ok(c->crate_name, NULL, name)))
		return refuse(w, "it makes something else", word);
	return 0;
}

static bool
is_keyword(const char *word)
{
	static const char *const words[] = { "relro", "norelro", "now", "lazy", "noexecstack",
		"text", "notext", "defs", "origin", "nostart-stop-gc", "start-stop-gc" };
	static const char *const numbers[] = {
		"stack-size=", "max-page-size=", "common-page-size="
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (streq(word, words[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (starts_with(word, numbers[i]))
			return is_all_of(word + strlen(numbers[i]), WORD);
	return false;
}

static bool
is_name(const char *word)
{
	return is_all_of(word, LIBRARY) && *word != '.' && *word != '-';
}

/* -l NAME, or -l :FILE: no script of a worker's. */
static bool
is_library(const struct walk *w, const char *word)
{
	const char *file = *word == ':' ? word + 1 : NULL;
	bool fine = file ? is_name(file) && is_library_name(file) : is_name(word);

	for (size_t i = 0; fine && i < 2 * w->made.n; i++) {
		const char *dir = w->made.v[i / 2], *end = i % 2 ? ".so" : ".a";
		_cleanup_(freep) char *path = NULL;

		if (file)
			path = path_join(dir, file);
		else if (asprintf(&path, "%s/lib%s%s", dir, word, end) < 0)
			path = NULL;
		fine = path && is_made_library(path);
	}
	return fine;
}

static int
check_value(struct walk *w, enum want want, const char *word)
{
	bool fine = false;

	switch (want) {
	case WANT_KEYWORD:
		fine = is_keyword(word);
		break;
	case WANT_RPATH:
		/* what the compiler makes of -C rpath */
		fine = starts_with(word, "$ORIGIN") || is_sysroots(w, word);
		break;
	case WANT_SYMBOL:
		fine = is_all_of(word, SYMBOL) && *word != '-';
		break;
	case WANT_LIBRARY:
		fine = is_library(w, word);
		break;
	case WANT_NAME:
		fine = is_name(word);
		break;
	case WANT_FLAVOR:
		fine = streq(word, "gnu") || streq(word, "wasm");
		break;
	case WANT_DIR:
		return check_dir(w, word);
	case WANT_OUTPUT:
		return check_output(w, word);
	case WANT_LINKER_WORD:
	case WANT_NONE:
		break;
	}
	return fine ? 0 : refuse(w, "an argument that rustc does not make", word);
}

struct form {
	const char *text;
	enum want want; /* of the word after it, or, with JOINED, of its own rest */
};

/* Of both: a linker that is called without a C driver has them alone. */
static const struct form whole[] = {
	{ "--as-needed", WANT_NONE },
	{ "--no-as-needed", WANT_NONE },
	{ "-Bstatic", WANT_NONE },
	{ "-Bdynamic", WANT_NONE },
	{ "-dn", WANT_NONE },
	{ "-dy", WANT_NONE },
	{ "--whole-archive", WANT_NONE },
	{ "--no-whole-archive", WANT_NONE },
	{ "-whole-archive", WANT_NONE },
	{ "-no-whole-archive", WANT_NONE },
	{ "--push-state", WANT_NONE },
	{ "--pop-state", WANT_NONE },
	{ "--start-group", WANT_NONE },
	{ "--end-group", WANT_NONE },
	{ "--gc-sections", WANT_NONE },
	{ "--no-gc-sections", WANT_NONE },
	{ "--eh-frame-hdr", WANT_NONE },
	{ "-O0", WANT_NONE },
	{ "-O1", WANT_NONE },
	{ "-O2", WANT_NONE },
	{ "-O3", WANT_NONE },
	{ "--strip-debug", WANT_NONE },
	{ "--strip-all", WANT_NONE },
	{ "--discard-all", WANT_NONE },
	{ "--export-dynamic", WANT_NONE },
	{ "--no-undefined-version", WANT_NONE },
	{ "--undefined-version", WANT_NONE },
	{ "--enable-new-dtags", WANT_NONE },
	{ "--no-dynamic-linker", WANT_NONE },
	{ "--no-copy-dt-needed-entries", WANT_NONE },
	{ "--fix-cortex-a53-843419", WANT_NONE },
	{ "--fix-cortex-a8", WANT_NONE },
	{ "--be8", WANT_NONE },
	{ "--no-relax", WANT_NONE },
	{ "--compress-debug-sections=none", WANT_NONE },
	{ "--compress-debug-sections=zlib", WANT_NONE },
	{ "--compress-debug-sections=zstd", WANT_NONE },
	{ "--hash-style=gnu", WANT_NONE },
	{ "--build-id", WANT_NONE },
	{ "-static", WANT_NONE },
	{ "-pie", WANT_NONE },
	{ "--pie", WANT_NONE },
	{ "-no-pie", WANT_NONE },
	{ "--no-pie", WANT_NONE },
	{ "-shared", WANT_NONE },
	/* of wasm-ld */
	{ "--no-entry", WANT_NONE },
	{ "--allow-undefined", WANT_NONE },
	{ "--fatal-warnings", WANT_NONE },
	{ "--no-demangle", WANT_NONE },
	{ "--stack-first", WANT_NONE },
	{ "--export-table", WANT_NONE },
	{ "--export-memory", WANT_NONE },
	{ "--import-memory", WANT_NONE },
	{ "--shared-memory", WANT_NONE },
	{ "-z", WANT_KEYWORD },
	{ "-rpath", WANT_RPATH },
	{ "-u", WANT_SYMBOL },
	{ "-L", WANT_DIR },
	{ "-l", WANT_LIBRARY },
	{ "--export", WANT_SYMBOL },
	{ "-soname", WANT_NAME },
};

/* Of a C driver. */
static const struct form drivers[] = {
	{ "-m64", WANT_NONE },
	{ "-m32", WANT_NONE },
	{ "-mx32", WANT_NONE },
	{ "-static-pie", WANT_NONE },
	{ "-nostartfiles", WANT_NONE },
	{ "-nodefaultlibs", WANT_NONE },
	{ "-nostdlib", WANT_NONE },
	{ "-rdynamic", WANT_NONE },
	{ "-fuse-ld=lld", WANT_NONE },
	{ "-o", WANT_OUTPUT },
	{ "-Xlinker", WANT_LINKER_WORD },
	{ "-flavor", WANT_FLAVOR },
};

/* The rest is the value. */
static const struct form joined[] = {
	{ "--export=", WANT_SYMBOL },
	{ "--export-if-defined=", WANT_SYMBOL },
	{ "--export-dynamic-symbol=", WANT_SYMBOL },
	{ "--undefined=", WANT_SYMBOL },
	{ "--max-memory=", WANT_SYMBOL },
	{ "--initial-memory=", WANT_SYMBOL },
	{ "-plugin-opt=O", WANT_SYMBOL },
	{ "-plugin-opt=mcpu=", WANT_SYMBOL },
	{ "-soname=", WANT_NAME },
	{ "-rpath=", WANT_RPATH },
	{ "-z", WANT_KEYWORD },
	{ "-L", WANT_DIR },
	{ "-l", WANT_LIBRARY },
	{ "-melf", WANT_SYMBOL },
};

static const struct form *
find_form(const struct form *v, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (streq(v[i].text, word))
			return &v[i];
	return NULL;
}

/* --version-script=FILE and its like. */
static int
check_script(struct walk *w, const char *word, bool *ret_is)
{
	static const char *const names[] = { "--version-script=", "--dynamic-list=" };
	_cleanup_(freep) char *path = NULL;
	size_t i = 0;

	while (i < ARRAY_LEN(names) && !starts_with(word, names[i]))
		i++;
	*ret_is = i < ARRAY_LEN(names);
	if (!*ret_is)
		return 0;
	path = path_normalize(w->in->cwd, word + strlen(names[i]));
	if (!path)
		return -ENOMEM;
	return is_temporary(w, path, CONTENT_LIST, CONTENT_LIST)
		       ? 0
		       : refuse(w, "a script from elsewhere", word);
}

/* A word that the linker gets. */
static int
check_linker_word(struct walk *w, const char *word, enum want *want)
{
	const struct form *f;
	enum want due = *want;
	bool is_script = false;
	int r;

	*want = WANT_NONE;
	/* each program that gets it would take it for a file of arguments, a value, too */
	if (*word == '@')
		return refuse(w, "arguments in a file of others", word);
	if (due != WANT_NONE)
		return check_value(w, due, word);
	if (*word != '-')
		return check_file(w, word);
	r = check_script(w, word, &is_script);
	if (r < 0 || is_script)
		return r;
	f = find_form(whole, ARRAY_LEN(whole), word);
	if (f) {
		*want = f->want;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(joined); i++) {
		size_t k = strlen(joined[i].text);

		if (strncmp(word, joined[i].text, k) == 0 && word[k])
			return check_value(w, joined[i].want, word + k);
	}
	return refuse(w, "an argument that rustc does not make", word);
}

/* -Wl,A,B */
static int
check_list(struct walk *w, const char *list)
{
	_cleanup_(freep) char *copy = strdup(list);
	char *rest = copy, *one;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	while (r == 0 && (one = strsep(&rest, ",")))
		r = *one ? check_linker_word(w, one, &w->linker_want)
			 : refuse(w, "an argument that rustc does not make", list);
	return r;
}

/* Where the C driver looks for its tools: rustc names the directory of the lld that it brings. */
static int
check_tools(struct walk *w, const char *word)
{
	_cleanup_(freep) char *lib = path_join(w->in->sysroot, "lib/rustlib");

	if (!lib)
		return -ENOMEM;
	return path_is_normal(word) && path_is_below(word, lib) && ends_with(word, "/bin/gcc-ld")
		       ? 0
		       : refuse(w, "tools from elsewhere", word);
}

/* As rustc writes a file of arguments: one a line, a backslash before a blank or another one.
 * Quotes and what else gcc, clang and ld do not all read alike make it -EPERM. */
static int
split(const char *p, size_t n, struct strv *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *end = p + n;
	int r = 0;

	for (; r == 0 && p < end; p++) {
		if (*p == '\n') {
			r = b.n ? strv_addn(ret, (const char *)b.p, b.n) : 0;
			b.n = 0;
			continue;
		}
		if (!*p || strchr(BLANKS "'\"", *p))
			return -EPERM;
		if (*p == '\\' && (++p == end || (*p != ' ' && *p != '\\')))
			return -EPERM;
		r = buf_add(&b, p, 1);
	}
	return r == 0 && b.n ? strv_addn(ret, (const char *)b.p, b.n) : r;
}

static int
check_response(struct walk *w, const char *word)
{
	_cleanup_(freep) char *path = path_normalize(w->in->cwd, word + 1);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(strv_done) struct strv words = STRV_INIT;
	int r;

	if (!path)
		return -ENOMEM;
	if (!is_temporary(w, path, CONTENT_RESPONSE, CONTENT_RESPONSE))
		return refuse(w, "arguments in a file of others", word);
	r = fs_read_file(path, RESPONSE_MAX, &b);
	if (r == 0)
		r = split((const char *)b.p, b.n, &words);
	if (r < 0 && r != -ENOMEM)
		return refuse(w, "arguments in a file that cannot be read", word);
	return r < 0 ? r : check_words(w, words.v, words.n, true);
}

static int
check_word(struct walk *w, const char *word, bool nested)
{
	const struct form *f;

	if (w->want == WANT_LINKER_WORD) {
		w->want = WANT_NONE;
		return check_linker_word(w, word, &w->linker_want);
	}
	if (w->want != WANT_NONE)
		return check_linker_word(w, word, &w->want);
	/* an option for the linker whose value did not come with it takes what comes next */
	if (w->linker_want != WANT_NONE && !starts_with(word, "-Wl,") && !streq(word, "-Xlinker"))
		return refuse(w, "an option without its value, before", word);
	if (*word == '@')
		return nested ? refuse(w, "files of arguments in each other", word)
			      : check_response(w, word);
	if (starts_with(word, "-Wl,"))
		return check_list(w, word + strlen("-Wl,"));
	if (starts_with(word, "-B") && word[2] == '/')
		return check_tools(w, word + 2);
	f = find_form(drivers, ARRAY_LEN(drivers), word);
	if (!f)
		return check_linker_word(w, word, &w->want);
	w->want = f->want;
	return 0;
}

/* Options that take the next word, whatever it is. */
static bool
takes_a_word(const char *word)
{
	static const char *const names[] = { "-Xlinker", "-Xassembler", "-Xpreprocessor",
		"-wrapper", "-include", "-specs", "-dumpbase", "-dumpdir", "-rpath", "-soname",
		"--param", "-target", "-aux-info", "-idirafter", "-imacros", "-isystem" };

	/* -s alone is a flag */
	if (*word == '-' && word[1] && !word[2])
		return word[1] != 's' && word[1] != 'g' && word[1] != 'v';
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(word, names[i]))
			return true;
	return starts_with(word, "-Wl,") && takes_a_word(strrchr(word, ',') + 1);
}

/* How many words from here on are those that the project gave by -C link-arg: all of them, in
 * their order, as the compiler passes them. */
static size_t
own_words(const struct walk *w, char *const *v, size_t n)
{
	const struct strv *own = &w->in->call->link_args;

	if (own->n == 0 || own->n > n || w->own || w->want || w->linker_want)
		return 0;
	for (size_t i = 0; i < own->n; i++)
		if (!streq(own->v[i], v[i]))
			return 0;
	return own->n;
}

static int
check_words(struct walk *w, char *const *v, size_t n, bool nested)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n;) {
		size_t own = own_words(w, v + i, n - i);

		w->own += own;
		if (own && takes_a_word(v[i + own - 1]))
			return refuse(w, "nothing may come after", v[i + own - 1]);
		r = own ? 0 : check_word(w, v[i], nested);
		i += own ? own : 1;
	}
	return r;
}

/* A target's file may name any linker, and no other is run for it. */
static int
check_linker(struct walk *w, const char *name)
{
	const struct rustc_call *c = w->in->call;
	_cleanup_(freep) char *file = NULL, *own = NULL, *why = NULL;
	const char *linker = call_linker(c);

	if (!linker && call_target_is_file(c)) {
		file = path_normalize(w->in->cwd, c->target);
		if (!file || linker_of_target(file, &own, &why) == -ENOMEM)
			return -ENOMEM;
		linker = own;
	}
	return linker && streq(name, linker) ? 0 : refuse(w, "another linker", name);
}

/* rustc puts only its own tools before PATH. */
static int
check_prefix(struct walk *w, const char *prefix)
{
	_cleanup_(freep) char *lib = path_join(w->in->sysroot, "lib/rustlib");

	if (!lib)
		return -ENOMEM;
	for (const char *p = prefix; *p;) {
		size_t n = strcspn(p, ":");
		_cleanup_(freep) char *one = strndup(p, n);

		if (!one)
			return -ENOMEM;
		if (p[n] != ':' || !path_is_normal(one) || !path_is_below(one, lib))
			return refuse(w, "tools from elsewhere", one);
		p += n + 1;
	}
	return 0;
}

static int
check_inputs(struct walk *w)
{
	const struct rustc_call *c = w->in->call;
	const struct strv *t = w->in->temporaries;
	size_t n = strlen(w->in->out_dir);

	for (size_t i = 0; i < t->n; i++) {
		const char *path = t->v[i];
		struct stat st;

		if (!path_is_below(path, w->in->out_dir) || streq(path, w->in->out_dir))
			return refuse(w, "an input that is none of the unit's", path);
		if (lstat(path, &st) < 0)
			return refuse(w, "an input that is not there", path);
		if (S_ISDIR(st.st_mode) &&
			link_check_is_temp_dir(path + n + 1, strcspn(path + n + 1, "/")))
			continue;
		if (!S_ISREG(st.st_mode) ||
			!link_check_input_name(c->crate_name, c->extra_filename, path + n + 1) ||
			!is_what_it_says(path))
			return refuse(w, "an input that is not what its name says", path);
	}
	return 0;
}

static int
check_call(struct walk *w, const struct link_call *l)
{
	int r = l->argv.n > 0 ? check_linker(w, l->argv.v[0]) : refuse(w, "another linker", "");

	if (r == 0)
		r = find_dirs(w);
	if (r == 0)
		r = check_prefix(w, l->path_prefix);
	if (r == 0)
		r = check_inputs(w);
	if (r == 0)
		r = check_words(w, l->argv.v + 1, l->argv.n - 1, false);
	if (r == 0 && (w->want || w->linker_want))
		r = refuse(w, "an option without its value", l->argv.v[l->argv.n - 1]);
	if (r == 0 && !w->outputs)
		r = refuse(w, "it makes nothing", l->argv.v[0]);
	return r;
}

int
link_check(const struct link_check *in, const struct link_call *l, char **ret_why)
{
	struct walk w = { .in = in, .ret_why = ret_why, .dirs = STRV_INIT, .made = STRV_INIT };
	int r;

	*ret_why = NULL;
	r = check_call(&w, l);
	strv_done(&w.dirs);
	strv_done(&w.made);
	return r;
}
