/* Times that an image of a file system says of its files (squashfs, erofs, an ext4 that was made
 * with fixed times, a layer of a container): a ctime there is no time of a change but the mtime
 * once more, in whole seconds. Device and inode are the same in the next image, and so is the size
 * after many an edit. Within one mount an image does not change. */
#ifndef DRAY_MEMO_IMAGE_H
#define DRAY_MEMO_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Whether the file's times may be an image's. */
bool image_times(const struct stat *st);

/* The mount by which fd was opened: its number, which no other mount of this boot ever has (Linux
 * 6.8, statx(2), STATX_MNT_ID_UNIQUE). 0: the kernel does not tell, or the file system is none in
 * which a mount holds one state of a file: sshfs and CVMFS (FUSE) and network file systems tell
 * such times of files that change. */
uint64_t image_mount(int fd);

#endif
