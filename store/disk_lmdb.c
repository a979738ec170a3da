/* The index of a store that a user's processes, or a group's, share: one LMDB file, DIR/index.lmdb.
 *
 * Invariant: the three databases agree, since each change of them is one transaction. With the
 * files they agree only nearly: a process that was killed has not said what it added, and what was
 * removed by hand is still named. A scan puts that right.
 *
 *   items   kind, digest         -> bytes, used
 *   order   used, kind, digest   -> nothing; numbers big-endian, so the oldest comes first
 *   state   nothing              -> struct disk_state */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "store/disk_priv.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "memo/lmdb_file.h"
#include "memo/memo.h"

enum { ITEMS, ORDER, STATE, N_DBS };

/* The names carry the format's version. */
static const struct lmdb_file_kind INDEX_FILE = {
	.name = "index.lmdb",
	.map_size = (size_t)256 << 20, /* sparse; about a million files */
	.n_dbs = N_DBS,
	.db_names = { [ITEMS] = "items-1", [ORDER] = "order-1", [STATE] = "state-1" },
};

struct index_key {
	uint8_t kind;
	uint8_t name[DIGEST_SIZE];
};

struct value {
	uint64_t bytes, used;
};

/* No padding: all of these are bytes. */
struct order_key {
	uint8_t used[8];
	struct index_key key;
};

#define PENDING 64

struct index {
	struct lmdb_file file; /* usable when open */
	bool tried, open;
	struct disk_item pending[PENDING]; /* to be written */
	size_t n_pending;
};

static bool
open_file(const struct disk *d)
{
	struct index *x = d->index_data;
	int r;

	if (!x->tried) {
		x->tried = true;
		r = lmdb_file_open_shared(d->dir, &INDEX_FILE, &d->share, &x->file);
		x->open = r == 0;
		if (r < 0)
			log_debug("%s: its index is not used: error %d", d->dir, -r);
	}
	return x->open;
}

/* In a transaction; all give LMDB codes. */

static struct index_key
key_of(const struct disk_item *i)
{
	struct index_key k = { .kind = (uint8_t)i->kind };

	memcpy(k.name, i->name.b, DIGEST_SIZE);
	return k;
}

static struct order_key
order_key_of(const struct index_key *k, uint64_t used)
{
	struct order_key o = { .key = *k };

	used = htobe64(used);
	memcpy(o.used, &used, sizeof(used));
	return o;
}

static int
load_state(MDB_txn *txn, const MDB_dbi *dbi, struct disk_state *ret)
{
	MDB_val k = { 1, (void *)"s" }, v;
	int rc = mdb_get(txn, dbi[STATE], &k, &v);

	*ret = (struct disk_state){ .scanned = 0 };
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc == 0 && v.mv_size != sizeof(*ret))
		return MDB_CORRUPTED;
	if (rc == 0)
		memcpy(ret, v.mv_data, sizeof(*ret));
	return rc;
}

static int
save_state(MDB_txn *txn, const MDB_dbi *dbi, struct disk_state *s)
{
	MDB_val k = { 1, (void *)"s" }, v = { sizeof(*s), s };

	return mdb_put(txn, dbi[STATE], &k, &v, 0);
}

static int
find(MDB_txn *txn, const MDB_dbi *dbi, struct index_key *key, struct value *ret)
{
	MDB_val k = { sizeof(*key), key }, v;
	int rc = mdb_get(txn, dbi[ITEMS], &k, &v);

	if (rc == 0 && v.mv_size != sizeof(*ret))
		return MDB_CORRUPTED;
	if (rc == 0)
		memcpy(ret, v.mv_data, sizeof(*ret));
	return rc;
}

static int
del(MDB_txn *txn, const MDB_dbi *dbi, struct disk_state *s, struct index_key *key,
	const struct value *v)
{
	struct order_key o = order_key_of(key, v->used);
	MDB_val k = { sizeof(*key), key }, ok = { sizeof(o), &o };
	int rc = mdb_del(txn, dbi[ITEMS], &k, NULL);

	if (rc == 0)
		rc = mdb_del(txn, dbi[ORDER], &ok, NULL);
	if (rc == MDB_NOTFOUND || s->bytes < v->bytes || key->kind >= STORE_N_KINDS ||
		s->files[key->kind] == 0)
		return MDB_CORRUPTED;
	s->bytes -= v->bytes;
	s->files[key->kind]--;
	return rc;
}

static int
put(MDB_txn *txn, const MDB_dbi *dbi, struct disk_state *s, const struct disk_item *i)
{
	struct index_key key = key_of(i);
	struct value old, new = { .bytes = i->bytes, .used = i->used };
	struct order_key o = order_key_of(&key, i->used);
	MDB_val k = { sizeof(key), &key }, v = { sizeof(new), &new };
	MDB_val ok = { sizeof(o), &o }, none = { 0, NULL };
	int rc = find(txn, dbi, &key, &old);

	if (rc == 0)
		rc = del(txn, dbi, s, &key, &old);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	rc = mdb_put(txn, dbi[ITEMS], &k, &v, 0);
	if (rc == 0)
		rc = mdb_put(txn, dbi[ORDER], &ok, &none, 0);
	s->bytes += i->bytes;
	s->files[i->kind]++;
	return rc;
}

/* Notes. */

static int
put_pending(void *arg, MDB_txn *txn, const MDB_dbi *dbi)
{
	const struct index *x = arg;
	struct disk_state s;
	size_t i;
	int rc = load_state(txn, dbi, &s);

	for (i = 0; rc == 0 && i < x->n_pending; i++)
		rc = put(txn, dbi, &s, &x->pending[i]);
	return rc == 0 ? save_state(txn, dbi, &s) : rc;
}

static void
flush(struct disk *d)
{
	struct index *x = d->index_data;
	int r = 0;

	if (x->n_pending > 0 && open_file(d))
		r = lmdb_file_write(&x->file, put_pending, x);
	if (r < 0)
		log_debug("%s: %zu files are not in its index: error %d", d->dir, x->n_pending, -r);
	x->n_pending = 0;
}

/* What was noted is in the file, if there is one. */
static bool
is_ready(struct disk *d)
{
	flush(d);
	return open_file(d);
}

/* Asking the file itself costs less. */
static int
lmdb_find(struct disk *d, enum store_kind kind, const struct digest *name, struct disk_item *ret,
	bool *ret_touch)
{
	(void)d;
	(void)kind;
	(void)name;
	(void)ret;
	(void)ret_touch;
	return -ENODATA;
}

static int
lmdb_note(struct disk *d, const struct disk_item *i)
{
	struct index *x = d->index_data;

	if (x->n_pending == PENDING)
		flush(d);
	d->added += i->bytes;
	d->touched[i->name.b[0] / 8] |= (uint8_t)(1u << i->name.b[0] % 8);
	x->pending[x->n_pending++] = *i;
	return 0;
}

/* Questions. */

static int
read_state(void *arg, MDB_txn *txn, const MDB_dbi *dbi)
{
	return load_state(txn, dbi, arg);
}

static int
lmdb_state(struct disk *d, struct disk_state *ret)
{
	struct index *x = d->index_data;

	return is_ready(d) ? lmdb_file_read(&x->file, read_state, ret) : -EIO;
}

struct oldest {
	struct disk_item *items;
	size_t n, max;
};

static int
read_oldest(void *arg, MDB_txn *txn, const MDB_dbi *dbi)
{
	struct oldest *q = arg;
	MDB_cursor *c;
	MDB_val k, v;
	int rc;

	q->n = 0;
	rc = mdb_cursor_open(txn, dbi[ORDER], &c);
	if (rc != 0)
		return rc;
	while (q->n < q->max && (rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		struct order_key o;
		struct value val;
		struct disk_item *i = &q->items[q->n];

		if (k.mv_size != sizeof(o)) {
			rc = MDB_CORRUPTED;
			break;
		}
		memcpy(&o, k.mv_data, sizeof(o));
		rc = find(txn, dbi, &o.key, &val);
		if (rc == MDB_NOTFOUND || o.key.kind >= STORE_N_KINDS)
			rc = MDB_CORRUPTED;
		if (rc != 0)
			break;
		i->kind = (enum store_kind)o.key.kind;
		memcpy(i->name.b, o.key.name, DIGEST_SIZE);
		i->bytes = val.bytes;
		i->used = val.used;
		q->n++;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
lmdb_oldest(struct disk *d, struct disk_item *ret, size_t max, size_t *ret_n)
{
	struct index *x = d->index_data;
	struct oldest q = { .items = ret, .max = max };
	int r;

	if (!is_ready(d))
		return -EIO;
	r = lmdb_file_read(&x->file, read_oldest, &q);
	if (r == 0)
		*ret_n = q.n;
	return r;
}

/* Changes. */

struct batch {
	struct disk_item *items; /* in the order of their keys, for a scan */
	size_t n;
	unsigned from, to; /* sub-directories; `to` is not among them */
	uint64_t begun;
};

static int
remove_unused(void *arg, MDB_txn *txn, const MDB_dbi *dbi)
{
	const struct batch *b = arg;
	struct disk_state s;
	size_t i;
	int rc = load_state(txn, dbi, &s);

	for (i = 0; rc == 0 && i < b->n; i++) {
		struct index_key key = key_of(&b->items[i]);
		struct value v;

		rc = find(txn, dbi, &key, &v);
		if (rc == 0 && v.used == b->items[i].used)
			rc = del(txn, dbi, &s, &key, &v);
		else if (rc == MDB_NOTFOUND)
			rc = 0;
	}
	return rc == 0 ? save_state(txn, dbi, &s) : rc;
}

static int
lmdb_forget(struct disk *d, const struct disk_item *items, size_t n)
{
	struct index *x = d->index_data;
	struct batch b = { .items = (struct disk_item *)items, .n = n };

	return is_ready(d) ? lmdb_file_write(&x->file, remove_unused, &b) : -EIO;
}

static int
by_key(const void *a, const void *b)
{
	struct index_key x = key_of(a), y = key_of(b);

	return memcmp(&x, &y, sizeof(x));
}

/* Up to max items that are in the index and in these sub-directories, but were not seen there. */
static int
find_unseen(const struct batch *b, enum store_kind kind, MDB_txn *txn, const MDB_dbi *dbi,
	struct disk_item *ret, size_t max, size_t *ret_n)
{
	struct index_key key = { .kind = (uint8_t)kind, .name = { (uint8_t)b->from } };
	MDB_val k = { sizeof(key), &key }, data;
	MDB_cursor *c;
	size_t n = 0;
	int rc = mdb_cursor_open(txn, dbi[ITEMS], &c);

	if (rc != 0)
		return rc;
	for (rc = mdb_cursor_get(c, &k, &data, MDB_SET_RANGE); rc == 0 && n < max;
		rc = mdb_cursor_get(c, &k, &data, MDB_NEXT)) {
		struct disk_item *i = &ret[n];
		struct value v;

		if (k.mv_size != sizeof(key) || data.mv_size != sizeof(v)) {
			rc = MDB_CORRUPTED;
			break;
		}
		memcpy(&key, k.mv_data, sizeof(key));
		memcpy(&v, data.mv_data, sizeof(v));
		if (key.kind != kind || key.name[0] >= b->to)
			break;
		*i = (struct disk_item){ .kind = kind, .bytes = v.bytes, .used = v.used };
		memcpy(i->name.b, key.name, DIGEST_SIZE);
		/* what came while the directory was read may not have been seen */
		n += v.used + 1 < b->begun &&
		     (b->n == 0 || bsearch(i, b->items, b->n, sizeof(*i), by_key) == NULL);
	}
	mdb_cursor_close(c);
	*ret_n = n;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
forget_unseen(const struct batch *b, enum store_kind kind, MDB_txn *txn, const MDB_dbi *dbi,
	struct disk_state *s)
{
	struct disk_item unseen[64];
	size_t n, i;
	int rc;

	do {
		rc = find_unseen(b, kind, txn, dbi, unseen, ARRAY_LEN(unseen), &n);
		for (i = 0; rc == 0 && i < n; i++) {
			struct index_key key = key_of(&unseen[i]);
			struct value v = { .bytes = unseen[i].bytes, .used = unseen[i].used };

			rc = del(txn, dbi, s, &key, &v);
		}
	} while (rc == 0 && n == ARRAY_LEN(unseen));
	return rc;
}

static int
take_in(void *arg, MDB_txn *txn, const MDB_dbi *dbi)
{
	struct batch *b = arg;
	struct disk_state s;
	size_t i;
	int rc = load_state(txn, dbi, &s);

	for (i = 0; rc == 0 && i < b->n; i++) {
		struct disk_item *it = &b->items[i];
		struct index_key key = key_of(it);
		struct value v;

		rc = find(txn, dbi, &key, &v);
		if (rc == 0)
			it->used = v.used;
		if (rc == MDB_NOTFOUND || (rc == 0 && v.bytes != it->bytes))
			rc = put(txn, dbi, &s, it);
	}
	if (rc == 0)
		rc = forget_unseen(b, STORE_BLOB, txn, dbi, &s);
	if (rc == 0)
		rc = forget_unseen(b, STORE_ENTRY, txn, dbi, &s);
	s.next_sub = b->to;
	if (s.next_sub == DISK_SUBS)
		s.scanned = b->begun;
	return rc == 0 ? save_state(txn, dbi, &s) : rc;
}

static int
lmdb_scanned(struct disk *d, unsigned from, unsigned to, struct disk_item *items, size_t n,
	uint64_t begun)
{
	struct index *x = d->index_data;
	struct batch b = { .items = items, .n = n, .from = from, .to = to, .begun = begun };

	if (!is_ready(d))
		return -EIO;
	if (n > 0)
		qsort(items, n, sizeof(*items), by_key);
	return lmdb_file_write(&x->file, take_in, &b);
}

/* The rest of the table. */

static void
lmdb_lock(struct disk *d)
{
	/* each change is a transaction; an evictor has a lock of its own */
	(void)d;
}

static int
lmdb_digest(struct disk *d, int fd, bool sealed, struct digest *ret, struct stat *ret_st)
{
	return memo_digest_fd(d->memo, fd, sealed, ret, ret_st);
}

static void
lmdb_learn(struct disk *d, const struct stat *st, const struct digest *digest)
{
	memo_note_stat(d->memo, st, digest);
}

static int
lmdb_open(struct disk *d)
{
	/* anything else is found out when it is needed */
	if (!d->share.on && fs_check_owner(d->dir) == -EPERM)
		return -EPERM;
	d->index_data = calloc(1, sizeof(struct index));
	return d->index_data == NULL ? -ENOMEM : 0;
}

static void
lmdb_close(struct disk *d)
{
	struct index *x = d->index_data;

	if (x == NULL)
		return;
	flush(d);
	if (x->open)
		lmdb_file_done(&x->file);
	free(x);
	d->index_data = NULL;
}

const struct disk_index disk_index_lmdb = {
	.name = "lmdb",
	.shared = true,
	.dir_mode = 0700,
	.blob_mode = 0400,
	.open = lmdb_open,
	.close = lmdb_close,
	.lock = lmdb_lock,
	.unlock = lmdb_lock,
	.find = lmdb_find,
	.note = lmdb_note,
	.state = lmdb_state,
	.oldest = lmdb_oldest,
	.forget = lmdb_forget,
	.scanned = lmdb_scanned,
	.digest = lmdb_digest,
	.learn = lmdb_learn,
};
