/* Names on disk.
 *
 * Invariant: a directory that is missing is made when something is put into it: a store may be
 * removed at any time. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "store/disk_priv.h"
#include "common/fs.h"
#include "common/outdir/left.h"

/* Room for "/entries/ab/" and a digest, or "/tmp/" and a temporary name. */
#define BELOW_MAX (LEFT_NAME_SIZE + 32)

const char *const disk_dirs[STORE_N_KINDS] = { [STORE_BLOB] = "blobs", [STORE_ENTRY] = "entries" };

bool
disk_fits(const char *dir)
{
	return strlen(dir) + BELOW_MAX < PATH_MAX;
}

void
disk_path(const struct disk *d, enum store_kind kind, const struct digest *name, char out[PATH_MAX])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(name, hex);
	snprintf(out, PATH_MAX, "%s/%s/%.2s/%s", d->dir, disk_dirs[kind], hex, hex);
}

void
disk_tmp_dir(const struct disk *d, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/tmp", d->dir);
}

int
disk_temp_name(const char *dir, char out[PATH_MAX])
{
	/* what tells this process takes a few reads in /proc, and changes with a fork only */
	static _Thread_local char name[LEFT_NAME_SIZE];
	static _Thread_local pid_t pid;
	static unsigned counter;
	int n;

	if (pid != getpid()) {
		pid = getpid();
		left_name(LEFT_PUT, pid, name);
	}
	n = snprintf(out, PATH_MAX, "%s/%s-%06x", dir, name,
		__atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED) & 0xffffff);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int
disk_mkdir(const struct disk *d, const char *path)
{
	return share_mkdir_p(&d->share, d->dir, path, d->index->dir_mode);
}

mode_t
disk_blob_mode(const struct disk *d)
{
	return d->share.on ? SHARE_SEALED_MODE : d->index->blob_mode;
}

int
disk_open_temp(const struct disk *d, char ret_name[PATH_MAX])
{
	char dir[PATH_MAX];
	int fd, r;

	disk_tmp_dir(d, dir);
	r = disk_temp_name(dir, ret_name);
	if (r < 0)
		return r;
	fd = open(ret_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno == ENOENT) {
		r = disk_mkdir(d, dir);
		if (r < 0)
			return r;
		fd = open(ret_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	return fd < 0 ? -errno : fd;
}

int
disk_rename(const struct disk *d, const char *from, const char *to)
{
	_cleanup_(freep) char *dir = NULL;
	int r;

	if (rename(from, to) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	dir = path_dirname(to);
	r = dir == NULL ? -ENOMEM : disk_mkdir(d, dir);
	if (r < 0)
		return r;
	return rename(from, to) < 0 ? -errno : 0;
}

uint64_t
disk_bytes(const struct disk *d, const struct stat *st)
{
	uint64_t blocks = (uint64_t)st->st_blocks * 512;

	/* what is not written out yet may have no blocks */
	return d->index->shared ? MAX2(blocks, (uint64_t)st->st_size) : (uint64_t)st->st_size;
}
