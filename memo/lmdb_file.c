/* An LMDB file, shared by hundreds of processes that may be killed or stopped at any instant.
 *
 * Invariants:
 *
 * A process that dies at any point harms nobody. LMDB writes pages before the meta page that names
 * them, its locks are robust, and dead readers are cleared away.
 *
 * A power loss is seen, not repaired. Commits are not synced (a sync would cost more than what is
 * remembered saves), so after a reboot the file can be anything, and LMDB may crash on it. The
 * guard file holds the boot's id; a file of another boot is removed unopened. (Device numbers may
 * have changed their meaning by then too.)
 *
 * Nobody waits for a process that is stopped. A process that writes, opens or replaces the file
 * first takes a lock on the guard file, for a bounded time; who does not get it goes on without
 * remembering. LMDB's own locks, which know no timeout, are then free but for an instant.
 *
 *   flock, shared       while LMDB opens the file: it must not get an old lock file and
 *                       a new data file
 *   flock, exclusive    while the file is removed
 *   OFD lock, byte 0    while writing
 *
 * A process that still has a removed file open goes on in it, alone. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/fs.h"
#include "memo/lmdb_file.h"
#include "common/log/log.h"

#define MAX_READERS 4096 /* more than there are processes at -j200, many times over */
#define LOCK_WAIT_MS 250

/* What LMDB makes for so many readers, or somewhat more: a cache line for each, and a head. */
#define LOCK_FILE_SIZE ((off_t)(MAX_READERS + 8) * 64)

/* LMDB's codes are positive errno values or its own negative ones. */
static int
errno_of(int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return -ENOSPC;
	case MDB_READERS_FULL:
		return -EAGAIN;
	case MDB_BAD_VALSIZE:
		return -EINVAL;
	default:
		return rc > 0 ? -rc : -EIO;
	}
}

/* Whether the file itself is at fault, so that a new one helps. */
static bool
is_damage(int rc)
{
	switch (rc) {
	case MDB_CORRUPTED:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_PAGE_NOTFOUND:
	case MDB_PANIC:
	case MDB_INCOMPATIBLE:
	case MDB_MAP_RESIZED:
	case MDB_BAD_DBI:
	case MDB_DBS_FULL:
		return true;
	default:
		return false;
	}
}

/* One try of a lock: 0 or -errno. */
typedef int (*try_lock_fn)(int fd);

static int
try_shared(int fd)
{
	return flock(fd, LOCK_SH | LOCK_NB) < 0 ? -errno : 0;
}

static int
try_exclusive(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static int
set_write_lock(int fd, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

static int
try_write(int fd)
{
	return set_write_lock(fd, F_WRLCK);
}

/* Tries until LOCK_WAIT_MS are over; -ETIMEDOUT then, and at once from then on: one that is stopped
 * stays so. Holders need microseconds, so it naps briefly. */
static int
lock_bounded(struct lmdb_file *f, int fd, try_lock_fn try)
{
	uint64_t until = 0;
	int r;

	while ((r = try(fd)) == -EAGAIN || r == -EWOULDBLOCK || r == -EACCES || r == -EINTR) {
		uint64_t now = clock_mono_ms();

		if (f->no_waiting)
			return -ETIMEDOUT;

		if (until == 0)
			until = now + LOCK_WAIT_MS;
		if (now >= until) {
			f->no_waiting = true;
			return -ETIMEDOUT;
		}
		poll(NULL, 0, 1);
	}
	return r;
}

/* Where one process opens LMDB's files first it has them for itself for an instant, and others wait
 * for it without an end. */
static int
try_lmdb(int fd)
{
	struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };

	if (fcntl(fd, F_GETLK, &l) < 0)
		return 0;
	return l.l_type == F_UNLCK ? 0 : -EAGAIN;
}

bool
lmdb_boot_id(char out[LMDB_BOOT_ID_SIZE])
{
	_cleanup_(closep) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, out, LMDB_BOOT_ID_SIZE) == LMDB_BOOT_ID_SIZE)
		return true;
	memset(out, '0', LMDB_BOOT_ID_SIZE);
	return false;
}

static bool
guard_is_of(int fd, const char id[LMDB_BOOT_ID_SIZE])
{
	char there[LMDB_BOOT_ID_SIZE];

	return pread(fd, there, LMDB_BOOT_ID_SIZE, 0) == LMDB_BOOT_ID_SIZE &&
	       memcmp(there, id, LMDB_BOOT_ID_SIZE) == 0;
}

static int
unlink_if_there(const char *path)
{
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Removes the file and LMDB's lock file. The guard is held exclusively. */
static int
remove_files(const struct lmdb_file *f)
{
	_cleanup_(freep) char *lock = NULL;
	int r;

	if (asprintf(&lock, "%s-lock", f->path) < 0)
		return -ENOMEM;
	r = unlink_if_there(f->path);
	return r < 0 ? r : unlink_if_there(lock);
}

/* Takes the guard shared, with the file that is there being one of this boot. */
static int
enter(struct lmdb_file *f)
{
	char id[LMDB_BOOT_ID_SIZE];
	int r, tries;

	(void)lmdb_boot_id(id);
	for (tries = 0; tries < 3; tries++) {
		r = lock_bounded(f, f->guard, try_shared);
		if (r < 0 || guard_is_of(f->guard, id))
			return r;
		/* flock does not turn shared into exclusive in one step: look again under the new
		 * lock */
		flock(f->guard, LOCK_UN);
		r = lock_bounded(f, f->guard, try_exclusive);
		if (r == 0 && !guard_is_of(f->guard, id)) {
			r = remove_files(f);
			if (r == 0 &&
				pwrite(f->guard, id, LMDB_BOOT_ID_SIZE, 0) != LMDB_BOOT_ID_SIZE)
				r = -EIO;
		}
		flock(f->guard, LOCK_UN);
		if (r < 0)
			return r;
	}
	return -EAGAIN;
}

/* A file that was cut short would kill us with SIGBUS at the first page that is not there. */
static int
check_length(MDB_env *env)
{
	MDB_envinfo info;
	MDB_stat st;
	struct stat fst;
	mdb_filehandle_t fd;

	if (mdb_env_info(env, &info) != 0 || mdb_env_stat(env, &st) != 0 ||
		mdb_env_get_fd(env, &fd) != 0 || fstat(fd, &fst) < 0 ||
		/* lmdb leaves it to be inherited */
		fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return MDB_INVALID;
	return (uint64_t)fst.st_size < ((uint64_t)info.me_last_pgno + 1) * st.ms_psize ? MDB_INVALID
										       : 0;
}

/* Opens the databases; create: those that are not there yet are made. */
static int
open_dbs(struct lmdb_file *f, bool create)
{
	MDB_txn *txn;
	unsigned i;
	int rc;

	rc = mdb_txn_begin(f->env, NULL, create ? 0 : MDB_RDONLY, &txn);
	if (rc != 0)
		return rc;
	for (i = 0; rc == 0 && i < f->kind->n_dbs; i++)
		rc = mdb_dbi_open(txn, f->kind->db_names[i], create ? MDB_CREATE : 0, &f->dbi[i]);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	/* only a commit keeps the handles, also for a reading transaction */
	return mdb_txn_commit(txn);
}

static int
open_dbs_locked(struct lmdb_file *f)
{
	int r, rc;

	r = lock_bounded(f, f->guard, try_write);
	if (r < 0)
		return -r;
	rc = open_dbs(f, true);
	set_write_lock(f->guard, F_UNLCK);
	return rc;
}

static void
close_env(struct lmdb_file *f)
{
	if (f->reader != NULL)
		mdb_txn_abort(f->reader);
	f->reader = NULL;
	if (f->env != NULL)
		mdb_env_close(f->env);
	f->env = NULL;
}

/* LMDB maps its lock file: a page of it that the disk has no room for would be a SIGBUS. So it has
 * all of its room before, or LMDB does not open it. An LMDB code. */
static int
reserve_lock_file(struct lmdb_file *f)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(closep) int fd = -1;
	struct stat st;
	int rc;

	if (asprintf(&path, "%s-lock", f->path) < 0) {
		path = NULL;
		return ENOMEM;
	}
	fd = share_open(&f->share, path, 0600);
	if (fd < 0)
		return -fd;
	if (fstat(fd, &st) < 0)
		return errno;
	rc = -lock_bounded(f, fd, try_lmdb);
	if (rc != 0)
		return rc;
	if (st.st_size >= LOCK_FILE_SIZE && (off_t)st.st_blocks * 512 >= st.st_size)
		return 0;
	rc = posix_fallocate(fd, 0, LOCK_FILE_SIZE);
	return rc == EOPNOTSUPP || rc == EINVAL ? 0 : rc;
}

/* LMDB would make the file with a mode that the umask has a part in: an empty one is as good as
 * none. An LMDB code. */
static int
make_shared(const struct lmdb_file *f)
{
	_cleanup_(closep) int fd = f->share.on ? share_open(&f->share, f->path, 0600) : -1;

	return f->share.on && fd < 0 ? -fd : 0;
}

/* One try to open; an LMDB code. The guard is held shared. */
static int
open_env(struct lmdb_file *f)
{
	int rc, dead;

	rc = reserve_lock_file(f);
	if (rc == 0)
		rc = make_shared(f);
	if (rc == 0)
		rc = mdb_env_create(&f->env);
	if (rc != 0)
		return rc;
	mdb_env_set_mapsize(f->env, f->kind->map_size);
	mdb_env_set_maxreaders(f->env, MAX_READERS);
	mdb_env_set_maxdbs(f->env, f->kind->n_dbs);
	rc = mdb_env_open(f->env, f->path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NOSYNC, 0600);
	if (rc == 0)
		rc = check_length(f->env);
	if (rc == 0)
		rc = open_dbs(f, false);
	if (rc == MDB_READERS_FULL) {
		mdb_reader_check(f->env, &dead);
		rc = open_dbs(f, false);
	}
	if (rc == MDB_NOTFOUND)
		rc = open_dbs_locked(f);
	if (rc != 0)
		close_env(f);
	return rc;
}

/* Opens under the guard; an LMDB code. On failure *ret_bad is the file it failed on. */
static int
open_guarded(struct lmdb_file *f, struct stat *ret_bad)
{
	int rc = -enter(f);

	if (rc != 0)
		return rc;
	rc = open_env(f);
	if (rc != 0 && stat(f->path, ret_bad) < 0)
		memset(ret_bad, 0, sizeof(*ret_bad));
	flock(f->guard, LOCK_UN);
	return rc;
}

/* Throws the file away, once a process, and opens a new one. bad: the file that was at fault; if
 * another process has replaced it since, that one is opened. An LMDB code. */
static int
renew(struct lmdb_file *f, const struct stat *bad)
{
	struct stat st;
	int rc;

	close_env(f);
	if (f->renewed)
		return EIO;
	f->renewed = true;
	rc = -lock_bounded(f, f->guard, try_exclusive);
	if (rc != 0)
		return rc;
	if (stat(f->path, &st) == 0 && st.st_ino == bad->st_ino && st.st_dev == bad->st_dev)
		rc = -remove_files(f);
	flock(f->guard, LOCK_UN);
	if (rc != 0)
		return rc;
	log_debug("%s was damaged or full, and is begun anew", f->path);
	return open_guarded(f, &st);
}

/* The same for the file that is open. */
static int
renew_open(struct lmdb_file *f)
{
	struct stat bad = { 0 };
	mdb_filehandle_t fd;

	if (mdb_env_get_fd(f->env, &fd) != 0 || fstat(fd, &bad) < 0)
		memset(&bad, 0, sizeof(bad));
	return renew(f, &bad);
}

int
lmdb_file_open(const char *dir, const struct lmdb_file_kind *kind, struct lmdb_file *ret)
{
	return lmdb_file_open_shared(dir, kind, &(struct share){ .on = false }, ret);
}

int
lmdb_file_open_shared(const char *dir, const struct lmdb_file_kind *kind, const struct share *share,
	struct lmdb_file *ret)
{
	_cleanup_(
		lmdb_file_done) struct lmdb_file f = { .kind = kind, .share = *share, .guard = -1 };
	_cleanup_(freep) char *guard = NULL;
	struct stat bad = { 0 };
	int r, rc;

	r = share_mkdir_p(share, dir, dir, 0700);
	if (r == 0 && !share->on)
		r = fs_check_owner(dir);
	if (r < 0)
		return r;
	f.path = path_join(dir, kind->name);
	if (f.path == NULL || asprintf(&guard, "%s-guard", f.path) < 0)
		return -ENOMEM;
	f.guard = share_open(share, guard, 0600);
	if (f.guard < 0)
		return f.guard;
	rc = open_guarded(&f, &bad);
	if (is_damage(rc))
		rc = renew(&f, &bad);
	if (rc != 0)
		return errno_of(rc);
	*ret = f;
	f = (struct lmdb_file){ .guard = -1 };
	return 0;
}

void
lmdb_file_done(struct lmdb_file *f)
{
	close_env(f);
	closep(&f->guard);
	free(f->path);
	*f = (struct lmdb_file){ .guard = -1 };
}

bool
lmdb_file_is_current(struct lmdb_file *f)
{
	struct stat open, there;
	mdb_filehandle_t fd;

	f->no_waiting = false;
	return f->env && mdb_env_get_fd(f->env, &fd) == 0 && fstat(fd, &open) == 0 &&
	       stat(f->path, &there) == 0 && open.st_ino == there.st_ino &&
	       open.st_dev == there.st_dev;
}

static int
begin_read(struct lmdb_file *f)
{
	int rc, dead;

	if (f->reader != NULL)
		return mdb_txn_renew(f->reader);
	rc = mdb_txn_begin(f->env, NULL, MDB_RDONLY, &f->reader);
	if (rc == MDB_READERS_FULL && mdb_reader_check(f->env, &dead) == 0 && dead > 0)
		rc = mdb_txn_begin(f->env, NULL, MDB_RDONLY, &f->reader);
	if (rc != 0)
		f->reader = NULL;
	return rc;
}

int
lmdb_file_read(struct lmdb_file *f, lmdb_file_fn fn, void *arg)
{
	int rc;

	if (f->env == NULL)
		return -ENOENT;
	rc = begin_read(f);
	if (rc == 0) {
		rc = fn(arg, f->reader, f->dbi);
		mdb_txn_reset(f->reader);
	}
	if (is_damage(rc))
		(void)renew_open(f);
	return errno_of(rc);
}

static int
write_once(struct lmdb_file *f, lmdb_file_fn fn, void *arg)
{
	MDB_txn *txn;
	int rc;

	rc = mdb_txn_begin(f->env, NULL, 0, &txn);
	if (rc != 0)
		return rc;
	rc = fn(arg, txn, f->dbi);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

/* Empties one database, so that its pages can be used again. */
static int
empty_db(void *arg, MDB_txn *txn, const MDB_dbi *dbi)
{
	const unsigned *which = arg;

	return mdb_drop(txn, dbi[*which], 0);
}

/* Writes; makes room by forgetting. */
static int
write_with_room(struct lmdb_file *f, lmdb_file_fn fn, void *arg)
{
	unsigned which;
	int rc, dead;

	rc = write_once(f, fn, arg);
	if (rc == MDB_MAP_FULL)
		(void)mdb_reader_check(
			f->env, &dead); /* a dead reader keeps old pages from reuse */
	for (which = 0; rc == MDB_MAP_FULL && which < f->kind->n_forget; which++) {
		rc = write_once(f, empty_db, &which);
		if (rc == 0)
			rc = write_once(f, fn, arg);
	}
	return rc;
}

int
lmdb_file_write(struct lmdb_file *f, lmdb_file_fn fn, void *arg)
{
	int rc = 0, again;

	for (again = 0; again < 2; again++) {
		if (f->env == NULL)
			return -EIO;
		rc = -lock_bounded(f, f->guard, try_write);
		if (rc != 0)
			break;
		rc = write_with_room(f, fn, arg);
		set_write_lock(f->guard, F_UNLCK);
		if (!is_damage(rc) && rc != MDB_MAP_FULL)
			break;
		if (renew_open(f) != 0)
			break;
	}
	return errno_of(rc);
}
