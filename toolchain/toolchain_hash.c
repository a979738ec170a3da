/* The files of a toolchain are some hundred megabytes, which are hashed once a machine: by several
 * threads, since the first unit of a build waits for it.
 *
 * Invariant: a file is one thread's, which alone writes to its slot until it is joined. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/strv.h"
#include "toolchain/toolchain_priv.h"

#define THREADS 4

struct file {
	struct digest digest;
	struct stat st;
};

struct work {
	struct memo *memo;
	const char *sysroot;
	const struct strv *names;
	struct file *files;
	size_t next; /* atomic: the first that nobody has taken */
	int error;   /* atomic: the first one */
};

static int
hash_one(const struct work *w, size_t i)
{
	_cleanup_(freep) char *path = path_join(w->sysroot, w->names->v[i]);

	return path ? memo_digest_file(w->memo, path, &w->files[i].digest, &w->files[i].st)
		    : -ENOMEM;
}

static void *
hash_some(void *arg)
{
	struct work *w = arg;
	size_t i;

	while (__atomic_load_n(&w->error, __ATOMIC_RELAXED) == 0 &&
		(i = __atomic_fetch_add(&w->next, 1, __ATOMIC_RELAXED)) < w->names->n) {
		int none = 0, r = hash_one(w, i);

		if (r < 0)
			__atomic_compare_exchange_n(
				&w->error, &none, r, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	}
	return NULL;
}

static int
hash_all(struct work *w)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[THREADS];
	size_t n = 0;

	/* this thread is one of them */
	while (n + 1 < THREADS && (long)n + 1 < cpus &&
		pthread_create(&threads[n], NULL, hash_some, w) == 0)
		n++;
	(void)hash_some(w);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	return w->error;
}

int
tc_hash_files(struct memo *m, const char *sysroot, const struct strv *files, struct hasher *h,
	struct tc_entries *entries)
{
	struct work w = { .memo = m, .sysroot = sysroot, .names = files };
	int r;

	w.files = calloc(files->n + 1, sizeof(*w.files));
	r = w.files ? hash_all(&w) : -ENOMEM;
	for (size_t i = 0; r == 0 && i < files->n; i++) {
		hasher_field(h, files->v[i], strlen(files->v[i]));
		hasher_field(h, w.files[i].digest.b, DIGEST_SIZE);
		r = tc_entries_add(entries, files->v[i], &w.files[i].st);
	}
	free(w.files);
	return r;
}
