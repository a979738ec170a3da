/* Invariant: a file whose real path is not below one of the roots never leaves; neither do more
 * files, or more bytes, than the bounds. */
#include "config.h"

#include "client/dispatch/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/fs.h"
#include "common/strv.h"

struct files {
	struct memo *memo;
	const struct rustc_call *call;
	char *out_dir;
	struct strv roots;   /* real paths; secrets below them are not sent */
	struct strv fetched; /* real paths: files that cargo fetched are no secrets */
	unsigned count;
	uint64_t bytes;
};

bool
files_is_secret(const char *name)
{
	static const char *const names[] = { ".env", ".envrc", ".netrc", ".npmrc", ".pypirc",
		".pgpass", ".git-credentials", ".htpasswd", "credentials", "credentials.json",
		"credentials.toml" };
	static const char *const starts[] = { ".env.", "id_rsa", "id_dsa", "id_ecdsa",
		"id_ed25519" };
	static const char *const ends[] = { ".pem", ".key", ".p12", ".pfx" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(name, names[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		if (starts_with(name, starts[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (ends_with(name, ends[i]))
			return true;
	return false;
}

/* Files that programs keep for themselves: a repository's configuration may hold a token in an
 * address. */
static bool
is_private_dir(const char *name, size_t n)
{
	static const char *const names[] = { ".git", ".hg", ".svn", ".jj", ".bzr", ".ssh", ".gnupg",
		".aws", ".azure", ".docker", ".kube", ".cargo" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
			return true;
	return false;
}

/* Whether this is so for a directory on the way from root to path. */
static bool
is_in_private_dir(const char *root, const char *path)
{
	for (const char *p = path + strlen(root); *p; p += strcspn(p, "/")) {
		p += strspn(p, "/");
		if (is_private_dir(p, strcspn(p, "/")))
			return true;
	}
	return false;
}

static int64_t
nanoseconds(const struct statx_timestamp *t)
{
	return t->tv_sec * 1000000000 + t->tv_nsec;
}

bool
files_times(const char *path, Dray__FileTimes *ret)
{
	struct statx st;

	dray__file_times__init(ret);
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return false;
	ret->link = S_ISLNK(st.stx_mode);
	if (ret->link && statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return false;
	ret->mode = st.stx_mode;
	ret->device = makedev(st.stx_dev_major, st.stx_dev_minor);
	ret->inode = st.stx_ino;
	ret->links = st.stx_nlink;
	ret->blocks = st.stx_blocks;
	ret->size = st.stx_size;
	ret->uid = st.stx_uid;
	ret->gid = st.stx_gid;
	ret->changed = nanoseconds(&st.stx_ctime);
	ret->accessed = nanoseconds(&st.stx_atime);
	ret->modified = nanoseconds(&st.stx_mtime);
	if (st.stx_mask & STATX_BTIME)
		ret->created = nanoseconds(&st.stx_btime);
	return true;
}

/* A directory that does not exist holds nothing. */
static int
add_root(struct strv *roots, const char *path)
{
	_cleanup_(freep) char *real = NULL;

	if (!path || path[0] != '/')
		return 0;
	real = realpath(path, NULL);
	if (!real)
		return errno == ENOMEM ? -ENOMEM : 0;
	return streq(real, "/") || strv_has(roots, real) ? 0 : strv_add(roots, real);
}

static int
add_below(struct strv *roots, const char *dir, const char *name)
{
	_cleanup_(freep) char *path = path_join(dir, name);

	return path ? add_root(roots, path) : -ENOMEM;
}

/* What may be anywhere counts where a package or a workspace begins. */
static int
add_if_package(struct strv *roots, const char *dir)
{
	_cleanup_(freep) char *manifest = dir ? path_join(dir, "Cargo.toml") : NULL;

	if (!dir)
		return 0;
	if (!manifest)
		return -ENOMEM;
	return fs_exists(manifest) ? add_root(roots, dir) : 0;
}

static int
add_cargo_home(struct files *f, const struct files_in *in)
{
	_cleanup_(freep) char *dir = NULL;
	int r;

	if (in->cargo_home)
		dir = strdup(in->cargo_home);
	else if (in->home)
		dir = path_join(in->home, ".cargo");
	else
		return 0;
	if (!dir)
		return -ENOMEM;
	r = add_below(&f->fetched, dir, "registry/src");
	return r < 0 ? r : add_below(&f->fetched, dir, "git/checkouts");
}

int
files_new(const struct files_in *in, struct files **ret)
{
	struct files *f = calloc(1, sizeof(*f));
	int r = f ? 0 : -ENOMEM;

	if (r == 0) {
		f->memo = in->memo;
		f->call = in->call;
		f->out_dir = strdup(in->out_dir);
		r = f->out_dir ? add_root(&f->roots, in->manifest_dir) : -ENOMEM;
	}
	if (r == 0)
		r = add_root(&f->roots, in->gen_dir);
	if (r == 0)
		r = add_root(&f->roots, in->target_dir);
	/* A compiler that is run by hand, or by a build script, may be anywhere. */
	if (r == 0)
		r = add_if_package(&f->roots, in->cwd);
	if (r == 0)
		r = add_if_package(&f->roots, in->workspace);
	if (r == 0)
		r = add_cargo_home(f, in);
	if (r < 0) {
		files_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

void
files_free(struct files *f)
{
	if (!f)
		return;
	strv_done(&f->roots);
	strv_done(&f->fetched);
	free(f->out_dir);
	free(f);
}

static const char *
root_of(const struct strv *roots, const char *path)
{
	for (size_t i = 0; i < roots->n; i++)
		if (path_is_below(path, roots->v[i]))
			return roots->v[i];
	return NULL;
}

static bool
may_leave(const struct files *f, const char *asked, const char *real)
{
	const char *root;

	if (root_of(&f->fetched, real))
		return true;
	root = root_of(&f->roots, real);
	return root && !is_in_private_dir(root, real) && !files_is_secret(path_basename(asked)) &&
	       !files_is_secret(path_basename(real));
}

/* The existence of a directory on the way to a root is no secret. */
static bool
leads_to(const struct strv *roots, const char *dir)
{
	for (size_t i = 0; i < roots->n; i++)
		if (path_is_below(roots->v[i], dir))
			return true;
	return false;
}

static int
refuse(struct files_answer *a, const char *what, const char *path)
{
	a->kind = DRAY__FILE_KIND__FILE_REFUSED;
	snprintf(a->text, sizeof(a->text), "%s %s", what, path);
	return 0;
}

/* An output of an earlier compile of this unit. */
static bool
is_own_output(const struct files *f, const char *path)
{
	const char *name = path + strlen(f->out_dir);

	return path_is_below(path, f->out_dir) && *name == '/' &&
	       call_output_name_ok(f->call->crate_name, f->call->extra_filename, name + 1);
}

static int
answer_file(struct files *f, const char *path, const char *real, struct files_answer *a)
{
	struct stat st;
	int r;

	if (!may_leave(f, path, real) || is_own_output(f, path))
		return refuse(a, "the file", path);
	r = memo_digest_file(f->memo, path, &a->digest, &st);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !files_times(path, &a->times))
		return refuse(a, "the unreadable file", path);
	a->times.behind = !streq(real, path);
	if (f->count == FILES_COUNT_MAX || (uint64_t)st.st_size > FILES_BYTES_MAX - f->bytes)
		return refuse(a, "more files than are sent on demand, last", path);
	f->count++;
	f->bytes += (uint64_t)st.st_size;
	a->kind = DRAY__FILE_KIND__FILE_REGULAR;
	a->size = (uint64_t)st.st_size;
	return 0;
}

int
files_answer(struct files *f, uint32_t id, const char *path, struct files_answer *ret)
{
	_cleanup_(freep) char *real = NULL;
	struct stat st;

	*ret = (struct files_answer){ .id = id, .kind = DRAY__FILE_KIND__FILE_ABSENT };
	if (stat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : refuse(ret, "the path", path);
	real = realpath(path, NULL);
	if (!real)
		return errno == ENOMEM ? -ENOMEM : refuse(ret, "the path", path);
	if (S_ISREG(st.st_mode))
		return answer_file(f, path, real, ret);
	if (!S_ISDIR(st.st_mode))
		return refuse(ret, "the special file", path);
	if (!root_of(&f->roots, real) && !root_of(&f->fetched, real) &&
		!leads_to(&f->roots, real) && !leads_to(&f->fetched, real))
		return refuse(ret, "the directory", path);
	if (!files_times(path, &ret->times))
		return refuse(ret, "the directory", path);
	ret->times.behind = !streq(real, path);
	ret->kind = DRAY__FILE_KIND__FILE_DIRECTORY;
	return 0;
}
