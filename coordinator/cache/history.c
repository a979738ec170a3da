/* The history of units, in SQLite (WAL).
 *
 * Invariants: only history_write touches the file, and one thread at a time calls it: the keeper's
 * lane, or, when that has ended, history_free. A file that cannot be read is begun anew: it is a
 * memory, nobody's only copy of anything. */
#include "config.h"

#include "coordinator/cache/history.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <time.h>

#include "common/fs.h"
#include "common/log/log.h"

#define SCHEMA "1"
#define WRITE_MS 1000
#define WRITE_EVENTS 512
#define AGE_S 3600
#define BUSY_MS 2000
/* No sum or product of these overflows in SQL. */
#define VALUE_MAX (UINT64_C(1) << 58)

struct event {
	struct history_unit unit;
	struct history_facts facts; /* runs or hits is 1 */
};

struct history {
	char *path;
	struct pool *pool;
	struct event *pending; /* the loop's */
	size_t n_pending;
	uint64_t written_ms;
	struct pool_work work;
	bool working; /* the rest is the thread's meanwhile */
	struct event *batch;
	size_t n_batch;
	sqlite3 *db;
	uint64_t aged_s;
	struct log_throttle failed;
};

int
history_new(const char *path, struct pool *pool, struct history **ret)
{
	struct history *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->pool = pool;
	h->path = strdup(path);
	h->pending = calloc(HISTORY_PENDING_MAX, sizeof(*h->pending));
	h->batch = calloc(HISTORY_PENDING_MAX, sizeof(*h->batch));
	if (!h->path || !h->pending || !h->batch) {
		history_free(h);
		return -ENOMEM;
	}
	*ret = h;
	return 0;
}

/* ---- the file */

static const char schema[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
	"CREATE TABLE IF NOT EXISTS units(namespace TEXT NOT NULL, crate TEXT NOT NULL, kind TEXT "
	"NOT NULL, toolchain BLOB NOT NULL, runs INTEGER NOT NULL, hits INTEGER NOT NULL, wall_us "
	"INTEGER NOT NULL, cpu_us INTEGER NOT NULL, peak_rss INTEGER NOT NULL, source_bytes "
	"INTEGER NOT NULL, used_s INTEGER NOT NULL, UNIQUE(namespace, crate, kind, toolchain));"
	"CREATE INDEX IF NOT EXISTS units_used ON units(used_s);"
	"PRAGMA user_version=" SCHEMA ";";

static const char insert[] =
	"INSERT INTO units VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)"
	" ON CONFLICT(namespace,crate,kind,toolchain) DO UPDATE SET"
	" wall_us=CASE WHEN excluded.runs=0 THEN wall_us WHEN runs=0 THEN excluded.wall_us"
	"  ELSE (3*wall_us+excluded.wall_us)/4 END,"
	" cpu_us=CASE WHEN excluded.runs=0 THEN cpu_us WHEN runs=0 THEN excluded.cpu_us"
	"  ELSE (3*cpu_us+excluded.cpu_us)/4 END,"
	" peak_rss=MAX(peak_rss,excluded.peak_rss),"
	" source_bytes=CASE WHEN excluded.runs=0 THEN source_bytes ELSE excluded.source_bytes END,"
	" runs=runs+excluded.runs, hits=hits+excluded.hits, used_s=MAX(used_s,excluded.used_s)";

static const char lookup[] = "SELECT runs,hits,wall_us,cpu_us,peak_rss,source_bytes,used_s FROM "
			     "units WHERE namespace=?1 AND crate=?2 AND kind=?3 AND toolchain=?4";

static bool
has_version(sqlite3 *db)
{
	sqlite3_stmt *s = NULL;
	bool ok = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
		  sqlite3_step(s) == SQLITE_ROW &&
		  (sqlite3_column_int(s, 0) == 0 || sqlite3_column_int(s, 0) == atoi(SCHEMA));

	sqlite3_finalize(s);
	return ok;
}

static sqlite3 *
try_open(const char *path)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW,
		    NULL) == SQLITE_OK &&
		sqlite3_busy_timeout(db, BUSY_MS) == SQLITE_OK && has_version(db) &&
		sqlite3_exec(db, schema, NULL, NULL, NULL) == SQLITE_OK)
		return db;
	sqlite3_close(db);
	return NULL;
}

static void
remove_file(const char *path)
{
	static const char *const ends[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		char name[4096];

		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		(void)unlink(name);
	}
}

static void
open_file(struct history *h)
{
	h->db = try_open(h->path);
	if (h->db)
		return;
	log_throttled(&h->failed, 2, "%s: the history of units is begun anew", h->path);
	remove_file(h->path);
	h->db = try_open(h->path);
}

static void
bind_unit(sqlite3_stmt *s, const struct history_unit *u)
{
	sqlite3_bind_text(s, 1, u->namespace, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, u->crate, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 3, u->kind, -1, SQLITE_STATIC);
	sqlite3_bind_blob(s, 4, u->toolchain.b, DIGEST_SIZE, SQLITE_STATIC);
}

static bool
write_event(sqlite3_stmt *s, const struct event *e)
{
	const uint64_t v[] = { e->facts.runs, e->facts.hits, e->facts.wall_us, e->facts.cpu_us,
		e->facts.peak_rss, e->facts.source_bytes, e->facts.used_s };

	sqlite3_reset(s);
	bind_unit(s, &e->unit);
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		sqlite3_bind_int64(s, 5 + (int)i, (sqlite3_int64)MIN2(v[i], VALUE_MAX));
	return sqlite3_step(s) == SQLITE_DONE;
}

static bool
write_events(sqlite3 *db, const struct event *v, size_t n)
{
	sqlite3_stmt *s = NULL;
	bool ok = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK &&
		  sqlite3_prepare_v2(db, insert, -1, &s, NULL) == SQLITE_OK;

	for (size_t i = 0; ok && i < n; i++)
		ok = write_event(s, &v[i]);
	sqlite3_finalize(s);
	return ok && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
}

static void
age(struct history *h, uint64_t now_s)
{
	char text[320];

	if (now_s - h->aged_s < AGE_S)
		return;
	h->aged_s = now_s;
	snprintf(text, sizeof(text),
		"DELETE FROM units WHERE used_s < %llu; DELETE FROM units WHERE rowid IN (SELECT "
		"rowid FROM units ORDER BY used_s LIMIT MAX(0, (SELECT COUNT(*) FROM units)-%d))",
		(unsigned long long)(now_s - MIN2(now_s, (uint64_t)HISTORY_DAYS * 24 * 3600)),
		HISTORY_UNITS_MAX);
	(void)sqlite3_exec(h->db, text, NULL, NULL, NULL);
}

static void
history_write(struct history *h)
{
	if (h->n_batch == 0)
		return;
	if (!h->db)
		open_file(h);
	if (h->db && write_events(h->db, h->batch, h->n_batch)) {
		age(h, (uint64_t)time(NULL));
	} else {
		log_throttled(&h->failed, 2, "%s: the history of units cannot be written: %s",
			h->path, h->db ? sqlite3_errmsg(h->db) : "it does not open");
		/* The next time it is opened again, and made anew if it is damaged. */
		sqlite3_close(h->db);
		h->db = NULL;
	}
	h->n_batch = 0;
}

/* ---- the loop */

void
history_name(struct history_unit *ret, const char *namespace, const char *crate, const char *kind,
	const uint8_t *toolchain, size_t toolchain_n)
{
	const char *const from[] = { namespace, crate, kind };
	char *const to[] = { ret->namespace, ret->crate, ret->kind };

	memset(ret, 0, sizeof(*ret));
	for (size_t w = 0; w < ARRAY_LEN(from); w++)
		for (size_t i = 0; i + 1 < HISTORY_WORD && from[w][i]; i++)
			to[w][i] = from[w][i] > ' ' && from[w][i] < 0x7f ? from[w][i] : '?';
	if (toolchain_n == DIGEST_SIZE)
		memcpy(ret->toolchain.b, toolchain, DIGEST_SIZE);
}

static void
note(struct history *h, const struct history_unit *u, const struct history_facts *f)
{
	struct event *e;

	if (!h || !u->crate[0] || h->n_pending == HISTORY_PENDING_MAX)
		return;
	e = &h->pending[h->n_pending++];
	e->unit = *u;
	e->facts = *f;
	e->facts.used_s = (uint64_t)time(NULL);
}

void
history_ran(struct history *h, const struct history_unit *u, const struct history_facts *f)
{
	struct history_facts facts = *f;

	facts.runs = 1;
	facts.hits = 0;
	note(h, u, &facts);
}

void
history_hit(struct history *h, const struct history_unit *u)
{
	const struct history_facts facts = { .hits = 1 };

	note(h, u, &facts);
}

static void
take_pending(struct history *h)
{
	memcpy(h->batch, h->pending, h->n_pending * sizeof(*h->batch));
	h->n_batch = h->n_pending;
	h->n_pending = 0;
}

static struct history *
history_of(struct pool_work *w)
{
	return (struct history *)((char *)w - offsetof(struct history, work));
}

static void
write_run(struct pool_work *w, struct chunk_coder *coder)
{
	(void)coder;
	history_write(history_of(w));
}

/* What was not written when the pool ends is written by history_free. */
static void
write_done(struct pool_work *w, bool cancelled)
{
	(void)cancelled;
	history_of(w)->working = false;
}

void
history_step(struct history *h, uint64_t now)
{
	if (!h || h->working || h->n_pending == 0 ||
		(now - h->written_ms < WRITE_MS && h->n_pending < WRITE_EVENTS))
		return;
	h->written_ms = now;
	take_pending(h);
	h->working = true;
	h->work.run = write_run;
	h->work.done = write_done;
	pool_submit(h->pool, POOL_KEEPER, &h->work);
}

void
history_free(struct history *h)
{
	if (!h)
		return;
	if (h->batch && h->pending) {
		history_write(h);
		take_pending(h);
		history_write(h);
	}
	sqlite3_close(h->db);
	free(h->pending);
	free(h->batch);
	free(h->path);
	free(h);
}

/* ---- reading */

int
history_read(const char *path, const struct history_unit *u, struct history_facts *ret)
{
	uint64_t *const to[] = { &ret->runs, &ret->hits, &ret->wall_us, &ret->cpu_us,
		&ret->peak_rss, &ret->source_bytes, &ret->used_s };
	sqlite3_stmt *s = NULL;
	sqlite3 *db = NULL;
	int r = -ENOENT;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
		sqlite3_prepare_v2(db, lookup, -1, &s, NULL) != SQLITE_OK) {
		sqlite3_close(db);
		return -EIO;
	}
	bind_unit(s, u);
	if (sqlite3_step(s) == SQLITE_ROW) {
		for (size_t i = 0; i < ARRAY_LEN(to); i++)
			*to[i] = (uint64_t)sqlite3_column_int64(s, (int)i);
		r = 0;
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	return r;
}
