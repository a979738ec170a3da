/* Which mount a file with an image's times is of. */
#include "config.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "memo/image.h"

/* Debian 12's headers have neither. */
#define MNT_ID_UNIQUE 0x4000u /* STATX_MNT_ID_UNIQUE, linux/stat.h */
#ifndef EROFS_SUPER_MAGIC_V1
#define EROFS_SUPER_MAGIC_V1 0xe0f5e1e2
#endif
#define XFS_MAGIC 0x58465342 /* statfs(2) */

bool
image_times(const struct stat *st)
{
	return st->st_ctim.tv_nsec == 0 && st->st_mtim.tv_nsec == 0 &&
	       st->st_ctim.tv_sec == st->st_mtim.tv_sec;
}

/* Those that keep a ctime of their own for what is changed below a mount. */
static bool
is_known(const struct statfs *fs)
{
	switch ((unsigned long)fs->f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case OVERLAYFS_SUPER_MAGIC:
	case SQUASHFS_MAGIC:
	case EROFS_SUPER_MAGIC_V1:
		return true;
	}
	return false;
}

uint64_t
image_mount(int fd)
{
	struct statx st;
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0 || !is_known(&fs) ||
		statx(fd, "", AT_EMPTY_PATH, MNT_ID_UNIQUE, &st) < 0 ||
		!(st.stx_mask & MNT_ID_UNIQUE))
		return 0;
	return st.stx_mnt_id;
}
