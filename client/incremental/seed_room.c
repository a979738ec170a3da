/* Invariant: nothing is removed but seeds, and what became none: a directory may be named so by
 * chance ("cache_dir = ."). */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/incremental/seed.h"
#include "client/incremental/seed_priv.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/outdir/left.h"

#define SEEDS "seeds"

char *
seed_dir(const char *cache_dir)
{
	return cache_dir && *cache_dir && fs_check_owner(cache_dir) == 0
		       ? path_join(cache_dir, SEEDS)
		       : NULL;
}

static bool
is_seed(const char *name)
{
	return strlen(name) == DIGEST_HEX_SIZE - 1 &&
	       strspn(name, "0123456789abcdef") == DIGEST_HEX_SIZE - 1;
}

uint64_t
seed_size(const char *path, int depth)
{
	_cleanup_(closedirp) DIR *d = opendir(path);
	uint64_t size = 0;
	struct dirent *e;

	while (d && depth > 0 && (e = readdir(d))) {
		_cleanup_(freep) char *one = path_join(path, e->d_name);
		struct stat st;

		if (streq(e->d_name, ".") || streq(e->d_name, "..") || !one || lstat(one, &st) < 0)
			continue;
		size += S_ISDIR(st.st_mode) ? seed_size(one, depth - 1)
					    : (uint64_t)st.st_blocks * 512;
	}
	return size;
}

void
seed_remove(const char *dir, const char *path)
{
	_cleanup_(freep) char *aside = NULL;

	/* a full disk has no room for another directory */
	if (left_make_dir(dir, getpid(), &aside) < 0 || rename(path, aside) < 0)
		fs_rm_rf(path);
	if (aside)
		fs_rm_rf(aside);
}

struct seed {
	char *path;
	uint64_t size;
	struct timespec used;
};

static int
compare_used(const void *a, const void *b)
{
	const struct seed *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? 1 : -1;
	return x->used.tv_nsec < y->used.tv_nsec ? 1 : -(x->used.tv_nsec > y->used.tv_nsec);
}

struct seeds {
	struct seed *v;
	size_t n, cap;
};

static int
add_seed(struct seeds *s, char *path, const struct stat *st)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		struct seed *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = (struct seed){ path, seed_size(path, SEED_DEPTH), st->st_mtim };
	return 0;
}

void
seed_trim(const char *cache_dir, uint64_t max)
{
	_cleanup_(freep) char *dir = seed_dir(cache_dir);
	_cleanup_(closedirp) DIR *d = dir ? opendir(dir) : NULL;
	struct seeds s = { NULL, 0, 0 };
	uint64_t size = 0;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char *path = is_seed(e->d_name) ? path_join(dir, e->d_name) : NULL;
		struct stat st;

		if (!path || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) ||
			add_seed(&s, path, &st) < 0)
			free(path);
	}
	if (s.n > 0)
		qsort(s.v, s.n, sizeof(*s.v), compare_used);
	for (size_t i = 0; i < s.n; i++) {
		size += s.v[i].size;
		if (size > max)
			seed_remove(dir, s.v[i].path);
		free(s.v[i].path);
	}
	free(s.v);
}

void
seed_clear(const char *cache_dir)
{
	_cleanup_(freep) char *dir = seed_dir(cache_dir);
	_cleanup_(closedirp) DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_(freep) char *path = NULL;

		/* what is being copied, too: it will not be found, and is not kept */
		if (is_seed(e->d_name) || starts_with(e->d_name, ".dray-"))
			path = path_join(dir, e->d_name);
		if (path)
			seed_remove(dir, path);
	}
	if (dir)
		(void)rmdir(dir);
}
