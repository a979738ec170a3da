/* The index of a store that one process owns: in memory, used by many threads.
 *
 * Invariant: the lock covers the index together with the rename that puts a name under blobs/ or
 * takes it away, so the two always agree; reading, writing and hashing go on outside it.
 *
 * Order of use outlives the process in the files' atimes, set at most once a minute each. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/table.h"
#include "store/disk_priv.h"

#define TOUCH_EVERY_MS 60000u

struct file {
	struct table_node node;
	struct file *older, *newer; /* order of use */
	struct digest name;
	uint64_t bytes;
	uint64_t used;
	uint64_t touched_ms; /* monotonic, when the atime was last set; 0: not yet */
	bool is_entry, verified;
};

struct memory {
	int lock_fd;
	pthread_mutex_t lock;
	struct table table;
	struct file *oldest, *newest;
	uint64_t files[STORE_N_KINDS], bytes;
};

/* A digest is as good as random: its first bytes are the hash. */
static uint64_t
hash(const struct digest *d)
{
	uint64_t h;

	memcpy(&h, d->b, sizeof(h));
	return h;
}

static struct file *
lookup(const struct memory *m, enum store_kind kind, const struct digest *name)
{
	struct table_node *node = table_find(&m->table, hash(name));

	for (; node; node = table_find_next(node)) {
		struct file *f = table_entry(node, struct file, node);

		if (digest_eq(&f->name, name) && f->is_entry == (kind == STORE_ENTRY))
			return f;
	}
	return NULL;
}

static enum store_kind
kind_of(const struct file *f)
{
	return f->is_entry ? STORE_ENTRY : STORE_BLOB;
}

static void
lru_remove(struct memory *m, struct file *f)
{
	*(f->older ? &f->older->newer : &m->oldest) = f->newer;
	*(f->newer ? &f->newer->older : &m->newest) = f->older;
	f->older = f->newer = NULL;
}

static void
lru_append(struct memory *m, struct file *f)
{
	f->newer = NULL;
	f->older = m->newest;
	*(m->newest ? &m->newest->newer : &m->oldest) = f;
	m->newest = f;
}

static void
remove_file(struct memory *m, struct file *f)
{
	table_del(&m->table, &f->node);
	lru_remove(m, f);
	m->files[kind_of(f)]--;
	m->bytes -= f->bytes;
	free(f);
}

static struct disk_item
item_of(const struct file *f)
{
	return (struct disk_item){ .kind = kind_of(f),
		.name = f->name,
		.bytes = f->bytes,
		.used = f->used,
		.verified = f->verified };
}

static void
memory_lock(struct disk *d)
{
	struct memory *m = d->index_data;

	pthread_mutex_lock(&m->lock);
}

static void
memory_unlock(struct disk *d)
{
	struct memory *m = d->index_data;

	pthread_mutex_unlock(&m->lock);
}

static int
memory_find(struct disk *d, enum store_kind kind, const struct digest *name, struct disk_item *ret,
	bool *ret_touch)
{
	struct memory *m = d->index_data;
	struct file *f = lookup(m, kind, name);
	uint64_t now;

	if (!f)
		return -ENOENT;
	now = clock_mono_ms();
	lru_remove(m, f);
	lru_append(m, f);
	f->used = clock_wall_ms() / 1000;
	*ret_touch = !f->touched_ms || now - f->touched_ms >= TOUCH_EVERY_MS;
	if (*ret_touch)
		f->touched_ms = now;
	*ret = item_of(f);
	return 0;
}

static int
memory_note(struct disk *d, const struct disk_item *i)
{
	struct memory *m = d->index_data;
	struct file *f = lookup(m, i->kind, &i->name);

	if (f) {
		lru_remove(m, f);
		m->bytes -= f->bytes;
	} else {
		f = calloc(1, sizeof(*f));
		if (!f)
			return -ENOMEM;
		f->name = i->name;
		f->is_entry = i->kind == STORE_ENTRY;
		table_put(&m->table, &f->node, hash(&i->name));
		m->files[i->kind]++;
	}
	f->bytes = i->bytes;
	f->used = i->used;
	f->verified = i->verified;
	m->bytes += i->bytes;
	lru_append(m, f);
	return 0;
}

static int
memory_state(struct disk *d, struct disk_state *ret)
{
	const struct memory *m = d->index_data;

	*ret = (struct disk_state){ .bytes = m->bytes, .scanned = 1, .next_sub = DISK_SUBS };
	memcpy(ret->files, m->files, sizeof(ret->files));
	return 0;
}

static int
memory_oldest(struct disk *d, struct disk_item *ret, size_t max, size_t *ret_n)
{
	const struct memory *m = d->index_data;
	const struct file *f = m->oldest;
	size_t n = 0;

	for (; f && n < max; f = f->newer)
		ret[n++] = item_of(f);
	*ret_n = n;
	return 0;
}

static int
memory_forget(struct disk *d, const struct disk_item *items, size_t n)
{
	struct memory *m = d->index_data;

	for (size_t i = 0; i < n; i++) {
		struct file *f = lookup(m, items[i].kind, &items[i].name);

		if (f && f->used == items[i].used)
			remove_file(m, f);
	}
	return 0;
}

/* At the opening: there is nothing in it yet. What comes in is in the order of its use. */
static int
memory_scanned(struct disk *d, unsigned from, unsigned to, struct disk_item *items, size_t n,
	uint64_t begun)
{
	int r = 0;

	(void)from;
	(void)to;
	(void)begun;
	if (n > 0)
		qsort(items, n, sizeof(*items), disk_by_use);
	for (size_t i = 0; i < n && r == 0; i++)
		r = memory_note(d, &items[i]);
	return r;
}

static int
memory_digest(struct disk *d, int fd, bool sealed, struct digest *ret, struct stat *ret_st)
{
	(void)d;
	(void)sealed;
	if (ret_st && fstat(fd, ret_st) < 0)
		return -errno;
	return digest_fd(fd, ret, NULL);
}

static void
memory_learn(struct disk *d, const struct stat *st, const struct digest *digest)
{
	(void)d;
	(void)st;
	(void)digest;
}

static void
memory_close(struct disk *d)
{
	struct memory *m = d->index_data;

	if (!m)
		return;
	while (m->oldest)
		remove_file(m, m->oldest);
	if (m->lock_fd >= 0)
		close(m->lock_fd);
	pthread_mutex_destroy(&m->lock);
	table_done(&m->table);
	free(m);
	d->index_data = NULL;
}

static int
memory_open(struct disk *d)
{
	struct memory *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->lock_fd = -1;
	pthread_mutex_init(&m->lock, NULL);
	d->index_data = m;
	if (table_init(&m->table) < 0)
		return -ENOMEM;
	return disk_own(d, &m->lock_fd);
}

const struct disk_index disk_index_memory = {
	.name = "memory",
	.dir_mode = 0755,
	.blob_mode = 0444,
	.open = memory_open,
	.close = memory_close,
	.lock = memory_lock,
	.unlock = memory_unlock,
	.find = memory_find,
	.note = memory_note,
	.state = memory_state,
	.oldest = memory_oldest,
	.forget = memory_forget,
	.scanned = memory_scanned,
	.digest = memory_digest,
	.learn = memory_learn,
};
