/* The files of a toolchain are some hundred megabytes, which are hashed once a machine: by several
 * threads, since the first unit of a build waits for it.
 *
 * Invariant: a file is one thread's, which alone writes to its slot until it is joined; and no
 * thread outlives what it was begun with. */
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

struct tc_hashing {
	struct memo *memo;
	const char *sysroot;
	const struct strv *names;
	struct file *files;
	size_t next; /* atomic: the first that nobody has taken */
	int error;   /* atomic: the first one */
	pthread_t threads[THREADS];
	size_t n; /* of them */
};

static int
hash_one(const struct tc_hashing *w, size_t i)
{
	_cleanup_(freep) char *path = path_join(w->sysroot, w->names->v[i]);

	return path ? memo_digest_file(w->memo, path, &w->files[i].digest, &w->files[i].st)
		    : -ENOMEM;
}

static void *
hash_some(void *arg)
{
	struct tc_hashing *w = arg;
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

static void
join(struct tc_hashing *w)
{
	while (w->n > 0)
		pthread_join(w->threads[--w->n], NULL);
}

struct tc_hashing *
tc_hash_begin(struct memo *m, const char *sysroot, const struct strv *files)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct tc_hashing *w = calloc(1, sizeof(*w));

	if (w)
		w->files = calloc(files->n + 1, sizeof(*w->files));
	if (!w || !w->files) {
		free(w);
		return NULL;
	}
	w->memo = m;
	w->sysroot = sysroot;
	w->names = files;
	/* who waits for the end is one of them */
	while (w->n + 1 < THREADS && (long)w->n + 1 < cpus &&
		pthread_create(&w->threads[w->n], NULL, hash_some, w) == 0)
		w->n++;
	return w;
}

void
tc_hash_dropp(struct tc_hashing **ret)
{
	struct tc_hashing *w = *ret;
	int none = 0;

	*ret = NULL;
	if (!w)
		return;
	__atomic_compare_exchange_n(
		&w->error, &none, -ECANCELED, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	join(w);
	free(w->files);
	free(w);
}

int
tc_hash_end(struct tc_hashing *w, struct hasher *h, struct tc_entries *entries)
{
	int r;

	(void)hash_some(w);
	join(w);
	r = w->error;
	for (size_t i = 0; r == 0 && i < w->names->n; i++) {
		hasher_field(h, w->names->v[i], strlen(w->names->v[i]));
		hasher_field(h, w->files[i].digest.b, DIGEST_SIZE);
		r = tc_entries_add(entries, w->names->v[i], &w->files[i].st);
	}
	return r;
}
