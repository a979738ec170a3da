/* Invariant: a manifest without a fault names only files that this worker makes itself, inside of
 * one directory that was empty: no link, no name that is two, no size beyond what was promised.
 * That the files are those of the toolchain's id, and no others, is proved afterwards (assembly.c).
 */
#include "config.h"

#include "worker/push/manifest.h"

#include <stdlib.h>

#include "common/digest.h"
#include "common/fs.h"

#define DEPTH_MAX 10
#define NAME_MAX_BYTES 128

static bool
is_word(const char *s)
{
	return path_is_name(s) && strlen(s) <= NAME_MAX_BYTES;
}

/* Relative, of plain components, none of which begins with a dot. */
static bool
path_ok(const char *path)
{
	unsigned depth = 0;

	if (!*path || strlen(path) > MANIFEST_PATH_MAX)
		return false;
	for (const char *p = path; *p; p++) {
		bool first = p == path || p[-1] == '/';

		if ((unsigned char)*p <= ' ' || *p == 0x7f || (first && (*p == '/' || *p == '.')))
			return false;
		depth += first;
	}
	return depth <= DEPTH_MAX && path[strlen(path) - 1] != '/';
}

static int
compare(const void *key, const void *element)
{
	return strcmp(key, (*(Dray__PushedFile *const *)element)->path);
}

/* Whether a directory on the way to it is a file of the list, which is in order. */
static bool
is_below_a_file(const Dray__PushedToolchain *t, const char *path)
{
	char dir[MANIFEST_PATH_MAX + 1];

	for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
		memcpy(dir, path, (size_t)(p - path));
		dir[p - path] = '\0';
		if (bsearch(dir, t->file, t->n_file, sizeof(t->file[0]), compare))
			return true;
	}
	return false;
}

static const char *
paths_fault(const Dray__PushedToolchain *t)
{
	for (size_t i = 0; i < t->n_file; i++) {
		if (!path_ok(t->file[i]->path))
			return "a path that is not plainly inside of it";
		if (i > 0 && strcmp(t->file[i - 1]->path, t->file[i]->path) >= 0)
			return "paths that are not in order, each once";
	}
	for (size_t i = 0; i < t->n_file; i++)
		if (is_below_a_file(t, t->file[i]->path))
			return "a file that is a directory as well";
	return NULL;
}

static int
by_digest(const void *a, const void *b)
{
	return memcmp((*(Dray__Blob *const *)a)->digest.data,
		(*(Dray__Blob *const *)b)->digest.data, DIGEST_SIZE);
}

static const char *
blobs_fault(const Dray__Unit *u)
{
	_cleanup_(freep) Dray__Blob **v = NULL;

	if (u->n_blobs == 0 || u->n_blobs > u->push->n_file)
		return "another number of blobs than its files have";
	for (size_t i = 0; i < u->n_blobs; i++)
		if (u->blobs[i]->digest.len != DIGEST_SIZE)
			return "a digest that is none";
	v = calloc(u->n_blobs, sizeof(*v));
	if (!v)
		return "more than there is memory for";
	memcpy(v, u->blobs, u->n_blobs * sizeof(*v));
	qsort(v, u->n_blobs, sizeof(*v), by_digest);
	for (size_t i = 1; i < u->n_blobs; i++)
		if (by_digest(&v[i - 1], &v[i]) == 0)
			return "a blob that it has twice";
	return NULL;
}

/* Each blob is some file's; the sizes count for each file. */
static const char *
sizes_fault(const Dray__Unit *u, uint64_t most, uint64_t *ret_bytes)
{
	_cleanup_(freep) bool *used = calloc(u->n_blobs + 1, sizeof(*used));
	uint64_t bytes = 0;

	if (!used)
		return "more than there is memory for";
	for (size_t i = 0; i < u->push->n_file; i++) {
		uint32_t blob = u->push->file[i]->blob;

		if (blob >= u->n_blobs)
			return "a file without a blob";
		used[blob] = true;
		if (u->blobs[blob]->size > most - bytes)
			return "more bytes than were promised";
		bytes += u->blobs[blob]->size;
	}
	for (size_t i = 0; i < u->n_blobs; i++)
		if (!used[i])
			return "a blob that is no file's";
	*ret_bytes = bytes;
	return NULL;
}

/* Nothing of a compile. */
static bool
is_bare(const Dray__Unit *u)
{
	return !*u->sysroot && !*u->driver && u->n_argv == 0 && !*u->cwd && !*u->out_dir &&
	       u->n_env == 0 && u->n_files == 0 && u->n_dirs == 0 && !*u->linker && !*u->crate &&
	       u->n_walked == 0 && u->n_withheld == 0 && u->n_withheld_env == 0 &&
	       u->n_links == 0 && u->umask == 0;
}

static const char *
words_fault(const Dray__PushedToolchain *t)
{
	if (!streq(t->driver, "rustc") && !streq(t->driver, "clippy-driver"))
		return "a driver that is none";
	if (!is_word(t->host) || !is_word(t->target))
		return "a target that is none";
	if (t->version.len == 0 || t->version.len > MANIFEST_VERSION_MAX ||
		memchr(t->version.data, '\0', t->version.len))
		return "no text of its version";
	if (t->n_file == 0 || t->n_file > MANIFEST_FILES_MAX)
		return "no files, or too many";
	return NULL;
}

const char *
manifest_fault(const Dray__Unit *u, uint64_t most, uint64_t *ret_bytes)
{
	const char *fault;

	*ret_bytes = 0;
	if (!u->push)
		return "no toolchain";
	if (u->toolchain.len != DIGEST_SIZE)
		return "no id";
	if (!is_bare(u))
		return "parts of a compile";
	fault = words_fault(u->push);
	if (!fault)
		fault = paths_fault(u->push);
	if (!fault)
		fault = blobs_fault(u);
	return fault ? fault : sizes_fault(u, most, ret_bytes);
}

bool
manifest_runs(const char *path)
{
	return starts_with(path, "bin/") || strstr(path, "/bin/");
}
