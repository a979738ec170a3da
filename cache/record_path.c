/* Paths of the tracer's record as inputs: what was read, listed, asked for, or not there.
 * Invariant: as in record.c. */
#include "config.h"

#include "cache/record_priv.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cache/attributes.h"
#include "cache/marks.h"
#include "cache/rlib.h"
#include "cache/variables.h"
#include "common/clock.h"
#include "common/fs.h"
#include "memo/git_index.h"
#include "toolchain/elf.h"

#define LINKS_MAX 8 /* that lead to links */
#define C_MAX (16u << 20)

/* The loader looks in each directory of LD_LIBRARY_PATH for variants for this processor. They are
 * no inputs: what runs is the toolchain, and the directories of the library path are cargo's, which
 * puts no variants there. */
static bool
is_loader_variant(const struct recorder *r, const char *path)
{
	for (size_t i = 0; i < r->library_path.n; i++) {
		const char *dir = r->library_path.v[i];
		size_t n = strlen(dir);

		if (path_is_below(path, dir) && path[n] == '/' &&
			elf_is_variant(path + n + 1, strcspn(path + n + 1, "/")))
			return true;
	}
	return false;
}

/* The system's libraries that every compiler is run with. What it makes does not depend on them.
 * This does not hold for a linker's inputs, for the libraries of other programs or of a macro, or
 * for LLVM where it is the system's. */
static bool
is_system_library(const char *path)
{
	static const char *const dirs[] = { "/lib", "/lib64", "/usr/lib", "/usr/lib64",
		"/usr/local/lib" };
	static const char *const names[] = { "ld-linux-", "libatomic.", "libc.", "libdl.",
		"libgcc_s.", "libm.", "libpthread.", "librt.", "libstdc++.", "libutil.", "libz.",
		"libzstd." };
	const char *base = path_basename(path), *so = strstr(base, ".so");
	size_t k = 0;

	if (!so || (so[3] && so[3] != '.'))
		return false;
	while (k < ARRAY_LEN(names) && !starts_with(base, names[k]))
		k++;
	if (k == ARRAY_LEN(names))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (path_is_below(path, dirs[i]))
			return true;
	return false;
}

/* Whether the name is one of a shared library. */
static bool
is_library(const char *path)
{
	const char *base = path_basename(path), *so = strstr(base, ".so");

	return so && so > base && (!so[3] || so[3] == '.');
}

/* Whether the path lies directly in a directory of LD_LIBRARY_PATH. */
static bool
in_library_path(const struct recorder *r, const char *path)
{
	size_t n = (size_t)(path_basename(path) - path);

	for (size_t i = 0; i < r->library_path.n; i++) {
		const char *dir = r->library_path.v[i];
		size_t k = strlen(dir);

		if (n > 1 && k == n - 1 && memcmp(path, dir, k) == 0)
			return true;
	}
	return false;
}

static bool
in_out_dir(const struct recorder *r, const char *path)
{
	return path_is_below(path, r->in->place->out_dir) ||
	       path_is_below(path, r->in->place->real_out_dir);
}

static bool
in_target_dir(const struct recorder *r, const char *path)
{
	const struct inputs_place *p = r->in->place;

	return (p->target_dir && path_is_below(path, p->target_dir)) ||
	       (p->real_target_dir && path_is_below(path, p->real_target_dir));
}

/* What cargo has unpacked: everything there is the archive's, its mtime, too, but when it was
 * unpacked. */
static bool
is_unpacked(const struct recorder *r, const char *path)
{
	const char *home = r->in->place->cargo_home;
	size_t n = home ? strlen(home) : 0;

	return home && path_is_below(path, home) && starts_with(path + n, "/registry/src/");
}

/* Whether it is a crate's artifact, anywhere in the target directory. */
static bool
is_artifact(const struct recorder *r, const char *path)
{
	return (ends_with(path, ".rlib") || ends_with(path, ".rmeta") || ends_with(path, ".so")) &&
	       in_target_dir(r, path);
}

/* Whether the file may have changed since the compile began. The ctime decides, since an mtime can
 * be anything, also in the future. Files of the out-dir and artifacts are an exception: cargo may
 * link them to another name at any time, which changes their ctime. Cargo writes them before it
 * starts their readers, so there the mtime decides. */
static bool
is_young(const struct recorder *r, const char *path, const struct stat *st)
{
	struct timespec now;

	if (clock_is_before(&st->st_ctim, &r->in->started))
		return false;
	if (!in_out_dir(r, path) && !is_artifact(r, path))
		return true;
	clock_gettime(CLOCK_REALTIME, &now);
	return !clock_is_before(&st->st_mtim, &r->in->started) &&
	       clock_is_before(&st->st_mtim, &now);
}

/* Adds it by its name relative to the out-dir or to the target directory. 1: it is in neither. */
static int
add_below(struct recorder *r, const char *dir, char mark, enum input_kind kind, const char *path,
	const void *value, size_t n)
{
	_cleanup_(freep) char *name = NULL;
	size_t k = dir ? strlen(dir) : 0;

	if (!dir || !path_is_below(path, dir))
		return 1;
	if (asprintf(&name, "%c%s", mark, path[k] ? path + k + 1 : "") < 0) {
		name = NULL;
		return -ENOMEM;
	}
	return inputs_add(r->inputs, kind, name, value, n);
}

int
record_add(struct recorder *r, enum input_kind kind, const char *path, const void *value, size_t n)
{
	const struct inputs_place *p = r->in->place;
	const struct {
		const char *dir;
		char mark;
	} own[] = { { p->out_dir, INPUT_OUT_DIR_MARK }, { p->real_out_dir, INPUT_OUT_DIR_MARK },
		{ p->target_dir, INPUT_TARGET_DIR_MARK },
		{ p->real_target_dir, INPUT_TARGET_DIR_MARK } };
	int k = 1;

	if (marks_in(p, path, strlen(path)))
		return cannot(r, "an input with an odd name");
	for (size_t i = 0; k > 0 && i < ARRAY_LEN(own); i++)
		k = add_below(r, own[i].dir, own[i].mark, kind, path, value, n);
	for (const char *mark = INPUT_MOVED_MARKS; k > 0 && *mark; mark++) {
		/* a workspace in the home may have reached it by a relative path */
		if (*mark == INPUT_HOME_MARK && record_note_around(r, kind, path) < 0)
			return -ENOMEM;
		k = add_below(r, inputs_place_dir(p, *mark), *mark, kind, path, value, n);
	}
	return k <= 0 ? k : inputs_add(r->inputs, kind, path, value, n);
}

/* A macro that walks its whole environment asks for no name, so nothing is reported. Such a macro
 * needs libc's pointer to the environment; so does one that runs programs, which get all of it. */
static void
look_at_library(struct recorder *r, const char *path, const char *at)
{
	if (r->in->run && is_system_library(path))
		return;
	if ((r->environ && (r->walks || !r->in->walkers)) ||
		(r->in->linked && !is_artifact(r, path)) || elf_uses_symbol(at, "environ") == 0)
		return;
	r->environ = true;
	/* a library of crates that is linked is not loaded */
	r->walks |= r->in->walkers && is_artifact(r, path) &&
		    (!r->in->linked || elf_has_dynamic_part(at, "rustc_proc_macro_decls") > 0);
}

/* Notes a library for add_libraries. The loader opens a macro by its path, but what the macro needs
 * by names. */
static int
note_library(struct recorder *r, const char *path, const char *at)
{
	unsigned machine;
	int k;

	if (!is_artifact(r, path))
		return strv_add(&r->libraries, path_basename(path));
	k = elf_needed(at, &machine, &r->libraries);
	return k == -ENOMEM ? k : 0;
}

/* The loader asks whether each directory of LD_LIBRARY_PATH is there at all. */
static bool
is_cargos_library_dir(const struct recorder *r, const char *path)
{
	const struct inputs_place *p = r->in->place;

	return strv_has(&r->library_path, path) &&
	       ((p->target_dir && path_is_below(path, p->target_dir)) ||
		       (p->real_target_dir && path_is_below(path, p->real_target_dir)));
}

/* Whether the path leads elsewhere since the compile began: a link was replaced, or a directory was
 * put in another one's place. A rename, unlike a new file in it, changes a directory's ctime alone.
 */
static bool
is_swapped(const struct recorder *r, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0 || clock_is_before(&st.st_ctim, &r->in->started))
		return false;
	return S_ISLNK(st.st_mode) ||
	       (S_ISDIR(st.st_mode) && clock_is_before(&st.st_mtim, &r->in->started));
}

static int check_way_to(struct recorder *r, const char *path, unsigned links);

/* The way to what was read is as it was, or the compile may have read something else than what is
 * there now. `path` is a part of it; where that is a link, so is what lies above its end. */
int
record_check_way(struct recorder *r, const char *path, unsigned links)
{
	_cleanup_(freep) char *above = NULL, *to = NULL;
	char text[PATH_MAX];
	ssize_t n;

	if (r->in->place->view)
		return 0;
	if (is_swapped(r, path))
		return cannot(r, "%s changed while it was read", path);
	n = links < LINKS_MAX ? readlink(path, text, sizeof(text) - 1) : -1;
	if (n <= 0)
		return 0;
	text[n] = '\0';
	above = path_dirname(path);
	to = above ? path_normalize(above, text) : NULL;
	return to ? check_way_to(r, to, links + 1) : -ENOMEM;
}

/* The path itself, and all that lies above it. */
static int
check_way_to(struct recorder *r, const char *path, unsigned links)
{
	_cleanup_(freep) char *to = strdup(path);
	int k = to ? 0 : -ENOMEM;

	for (char *end = to + (to ? strlen(to) : 0); k == 0 && end > to; end = strrchr(to, '/')) {
		*end = '\0';
		k = record_check_way(r, to, links);
	}
	return k;
}

/* A macro may learn where a symbolic link leads, so the link's text is an input. A link on the way
 * to the out-dir is not: it is the user's choice of a place. */
static int
add_link(struct recorder *r, const char *path)
{
	char to[PATH_MAX];
	ssize_t n;

	if (path_is_below(r->in->place->out_dir, path))
		return 0;
	if (r->in->place->view)
		return r->in->place->view->is_link(r->in->place->view, path)
			       ? cannot(r, "%s is a symbolic link", path)
			       : 0;
	n = readlink(path, to, sizeof(to));
	if (n < 0)
		return 0;
	if (is_swapped(r, path))
		return cannot(r, "%s changed while it was read", path);
	if (n == sizeof(to))
		return cannot(r, "%s is too long a link", path);
	return record_add(r, INPUT_LINK, path, to, (size_t)n);
}

/* Adds what git's index says, if git was run. The file may be younger than the compile: git
 * rewrites it even for a question. 1: it is no index. */
static int
add_git_index(struct recorder *r, const char *path)
{
	char hex[DIGEST_HEX_SIZE];
	struct digest d;
	int k;

	if (!streq(path_basename(path), "index") || !strv_has(&r->variables, "git"))
		return 1;
	k = git_index_digest_memo(r->in->place->memo, path, &d);
	if (k < 0)
		return k == -ENOMEM ? k : 1;
	digest_hex(&d, hex);
	for (size_t i = 0; i < r->indexes.n; i++) {
		const char *g = r->indexes.v[i], *name = strchr(g, ' ');

		if (!name || !streq(name + 1, path))
			continue;
		if (strncmp(g, hex, (size_t)(name - g)) != 0)
			return cannot(r, "it wrote %s", path);
		return record_add(r, INPUT_GIT_INDEX, path, d.b, DIGEST_SIZE);
	}
	return 1;
}

/* Git compares kind, mode and content of each file with its index. A file's times only tell it what
 * to read again. */
static int
add_git_attributes(struct recorder *r, const char *path)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct attributes a;
	int k;

	if (!strv_has_sorted(&r->variables, "git") || in_target_dir(r, path) ||
		attributes_read(path, false, &a) < 0)
		return 0;
	a.ignored = ATTRIBUTE_TIMES;
	k = attributes_encode(&a, &b);
	return k < 0 ? k : record_add(r, INPUT_LSTAT, path, b.p, b.n);
}

int
record_add_listing(struct recorder *r, const char *path)
{
	_cleanup_(freep) char *seen = NULL;
	const char *at = inputs_see(r->in->place, path, &seen);
	struct digest d;
	struct stat st;
	int k;

	if (!at)
		return -ENOMEM;
	if (in_out_dir(r, path) || strv_has(r->in->ignored_lists, path))
		return 0;
	if (stat(at, &st) < 0 ||
		(!r->in->place->view && !clock_is_before(&st.st_ctim, &r->in->started)))
		return cannot(r, "%s changed while it was listed", path);
	k = check_way_to(r, path, 0);
	if (k < 0)
		return k;
	k = inputs_listing(at, &d);
	if (k == -ENOMEM)
		return k;
	if (k < 0)
		return cannot(r, "%s cannot be listed: %s", path, strerror(-k));
	return record_add(r, INPUT_LISTING, path, d.b, DIGEST_SIZE);
}

bool
record_is_c(const char *path)
{
	static const char *const endings[] = { ".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp",
		".hxx", ".i", ".ii", ".inc", ".m", ".S" };

	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (ends_with(path, endings[i]))
			return true;
	return false;
}

/* C compilers put the time of the compile there. */
static bool
has_time(const char *path)
{
	static const char *const macros[] = { "__DATE__", "__TIME__", "__TIMESTAMP__" };
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (path_is_below(path, "/usr") || fs_read_file(path, C_MAX, &b) < 0 || b.n == 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(macros); i++)
		if (memmem(b.p, b.n, macros[i], strlen(macros[i])))
			return true;
	return false;
}

/* Git looks at a directory's time, and lists it only if that is another one. */
static bool
stands_for_listing(const struct recorder *r, const char *path)
{
	for (size_t i = 0; i < r->trees.n; i++) {
		const char *top = r->trees.v[i], *git = strstr(path, "/.git");

		if (path_is_below(path, top) && !in_target_dir(r, path) &&
			!(git && (git[strlen("/.git")] == '/' || !git[strlen("/.git")])))
			return true;
	}
	return false;
}

int
record_add_file(struct recorder *r, const char *path)
{
	const struct inputs_view *view = r->in->place->view;
	_cleanup_(freep) char *seen = NULL;
	const char *at = inputs_see(r->in->place, path, &seen);
	struct digest d;
	struct stat st;
	int k = at ? add_link(r, path) : -ENOMEM;

	if (k < 0)
		return k;
	if (stat(at, &st) < 0)
		return cannot(r, "%s was there, and is not any more", path);
	if (S_ISDIR(st.st_mode) && stands_for_listing(r, path))
		return record_add_listing(r, path);
	if (!S_ISREG(st.st_mode)) {
		if (strv_has_sorted(&r->up, path) || is_cargos_library_dir(r, path))
			return 0;
		return record_add(r, INPUT_EXISTS, path, NULL, 0);
	}
	if (is_library(path))
		k = note_library(r, path, at);
	if (k < 0)
		return k;
	if (!r->ran && is_system_library(path))
		return 0;
	if (is_library(path))
		look_at_library(r, path, at);
	if (r->compiles && record_is_c(path) && has_time(at) &&
		!variables_get(r->in->place->envp, "SOURCE_DATE_EPOCH"))
		return cannot(r, "a C compiler may have put the time into %s", path);
	k = add_git_index(r, path);
	if (k <= 0)
		return k;
	if (!view && is_young(r, path, &st))
		return cannot(r, "%s changed while it was read", path);
	/* cargo gives it another name each time */
	if (r->in->argfiles && strv_has(r->in->argfiles, path))
		return 0;
	k = add_git_attributes(r, path);
	if (k < 0)
		return k;
	if (r->in->metadata && ends_with(path, ".rlib")) {
		k = rlib_metadata_digest(r->in->place->memo, at, &d);
		if (k == 0)
			return record_add(r, INPUT_METADATA, path, d.b, DIGEST_SIZE);
	}
	k = view ? view->digest(view, path, &d)
		 : memo_digest_file(r->in->place->memo, path, &d, NULL);
	if (k == -ENOMEM)
		return k;
	if (k < 0)
		return cannot(r, "%s cannot be read: %s", path, strerror(-k));
	return record_add(r, INPUT_FILE, path, d.b, DIGEST_SIZE);
}

/* Whether every build changes the directory, so that no program can depend on its times. */
static bool
is_always_changed(const struct recorder *r, const char *dir)
{
	static const char *const temporaries[] = { "TMPDIR", "TMP", "TEMP" };
	const struct inputs_place *p = r->in->place;

	for (size_t i = 0; i < ARRAY_LEN(temporaries); i++) {
		const char *tmp = variables_get(p->envp, temporaries[i]);

		if (tmp && streq(tmp, dir))
			return true;
	}
	return streq(dir, "/tmp") || path_is_below(p->out_dir, dir) ||
	       path_is_below(p->real_out_dir, dir) || in_target_dir(r, dir);
}

/* A directory, or a file, may become a link to another one of the same content. The out-dir, and
 * what is above it, the user puts behind a link without another result; what holds the real place
 * says so (INPUT_OUT_DIR). */
int
record_add_real(struct recorder *r, const char *path)
{
	const char *from = inputs_moves_with(r->in->place);
	_cleanup_(freep) char *marked = NULL;
	char real[PATH_MAX];

	if (in_target_dir(r, path) || in_out_dir(r, path) ||
		path_is_below(r->in->place->out_dir, path) ||
		path_is_below(r->in->place->real_out_dir, path) || !realpath(path, real))
		return 0;
	/* one way up: realpath asks whether any directory above is a link; from elsewhere there are
	 * others above */
	if (from && streq(path, real) && path_is_below(from, path)) {
		path = from;
		if (!realpath(path, real))
			return 0;
	}
	marked = inputs_mark_path(r->in->place, real);
	return marked ? record_add(r, INPUT_REAL, path, marked, strlen(marked)) : -ENOMEM;
}

static unsigned
ignored_attributes(const struct recorder *r, const char *path)
{
	unsigned ignored = 0;

	/* cargo gives it other names at any time */
	if (in_target_dir(r, path))
		ignored |= 1u << ATTRIBUTE_CHANGED;
	if (is_unpacked(r, path))
		ignored |= 1u << ATTRIBUTE_CHANGED | 1u << ATTRIBUTE_CREATED;
	return ignored;
}

/* The same of a view. */
static int
add_told_attributes(struct recorder *r, const char *path, bool links)
{
	const struct inputs_view *view = r->in->place->view;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct attributes a;
	int k = view->attributes(view, path, links, &a);

	if (k < 0)
		return k == -ENOMEM ? k : cannot(r, "what %s is like at home is not known", path);
	if (S_ISDIR(a.v[ATTRIBUTE_KIND]) && is_always_changed(r, path))
		a.ignored = ATTRIBUTE_TIMES;
	a.ignored |= ignored_attributes(r, path);
	k = attributes_encode(&a, &b);
	return k < 0 ? k : record_add(r, links ? INPUT_STAT : INPUT_LSTAT, path, b.p, b.n);
}

/* Adds the attributes that a macro asked for. */
int
record_add_attributes(struct recorder *r, const char *path, bool links)
{
	const struct inputs_view *view = r->in->place->view;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct attributes a;
	struct stat st;
	int k;

	if (view)
		return add_told_attributes(r, path, links);
	k = attributes_read(path, links, &a);
	if (k < 0 || (links ? stat(path, &st) : lstat(path, &st)) < 0)
		return 0; /* its absence is an input of its own */
	if (S_ISDIR(st.st_mode) && is_always_changed(r, path))
		a.ignored = ATTRIBUTE_TIMES;
	else if (is_young(r, path, &st))
		return cannot(r, "%s changed while it was looked at", path);
	a.ignored |= ignored_attributes(r, path);
	k = attributes_encode(&a, &b);
	return k < 0 ? k : record_add(r, links ? INPUT_STAT : INPUT_LSTAT, path, b.p, b.n);
}

int
record_add_replaced(struct recorder *r, const char *path)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct attributes a;
	int k = attributes_read(path, true, &a);

	if (k < 0)
		return k == -ENOMEM ? k : cannot(r, "%s is not there any more", path);
	a.ignored = ATTRIBUTE_TIMES;
	k = attributes_encode(&a, &b);
	return k < 0 ? k : record_add(r, INPUT_STAT, path, b.p, b.n);
}

/* The file itself is an input of its own. */
int
record_add_mode(struct recorder *r, const char *path)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct attributes a;
	int k = attributes_read(path, true, &a);

	if (k < 0)
		return k == -ENOMEM ? k : 0;
	a.ignored = ATTRIBUTE_TIMES | ATTRIBUTE_OWNER;
	k = attributes_encode(&a, &b);
	return k < 0 ? k : record_add(r, INPUT_STAT, path, b.p, b.n);
}

/* Adds the extended attributes that a macro, or a program that it runs, asked for. */
int
record_add_extended(struct recorder *r, const char *path)
{
	struct digest d;
	struct stat st;
	int k;

	if (lstat(path, &st) < 0)
		return 0; /* its absence is an input of its own */
	if (!(S_ISDIR(st.st_mode) && is_always_changed(r, path)) && is_young(r, path, &st))
		return cannot(r, "%s changed while it was looked at", path);
	k = attributes_extended(path, &d);
	if (k == -ENOMEM)
		return k;
	if (k < 0)
		return cannot(
			r, "extended attributes of %s cannot be read: %s", path, strerror(-k));
	return record_add(r, INPUT_EXTENDED, path, d.b, DIGEST_SIZE);
}

bool
record_in_path(const struct recorder *r, const char *path)
{
	const char *base = path_basename(path);
	size_t n = (size_t)(base - path);

	for (size_t i = 0; i < r->path.n; i++) {
		const char *dir = r->path.v[i];

		if (strlen(dir) + 1 == n && strncmp(path, dir, n - 1) == 0)
			return true;
	}
	return false;
}

int
record_add_absent(struct recorder *r, const char *path)
{
	_cleanup_(freep) char *seen = NULL;
	const char *at = inputs_see(r->in->place, path, &seen);
	struct stat st;
	int k;

	if (!at)
		return -ENOMEM;
	if (is_loader_variant(r, path) || (!r->ran && is_system_library(path)))
		return 0;
	/* A program that was looked for in PATH is an input by its name: PATH may have other
	 * directories later. Likewise a library. */
	if (r->ran && record_in_path(r, path))
		return strv_add(&r->programs, path_basename(path));
	if (is_cargos_library_dir(r, path))
		return 0;
	if (is_library(path) && in_library_path(r, path))
		return strv_add(&r->libraries, path_basename(path));
	if (stat(at, &st) == 0)
		return cannot(r, "%s was not there, and is now", path);
	k = add_link(r, path);
	return k < 0 ? k : record_add(r, INPUT_ABSENT, path, NULL, 0);
}
