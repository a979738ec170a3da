/* File-system helpers. Paths are plain C strings; every descriptor is opened O_CLOEXEC.
 * All return 0 or -errno unless said otherwise. */
#ifndef DRAY_COMMON_FS_H
#define DRAY_COMMON_FS_H

#include <dirent.h>
#include <fts.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "common/base.h"
#include "common/buf.h"

/* Joins with exactly one '/'; NULL when out of memory. */
char *path_join(const char *a, const char *b);
/* Absolute, no "." or ".." or empty component, no trailing '/', shorter than PATH_MAX. "/" is fine.
 */
bool path_is_normal(const char *path);
/* Makes `path` absolute against cwd and resolves "." and ".." by text only. NULL: out of memory. */
char *path_normalize(const char *cwd, const char *path);
/* The nearest directory of which that is true, among `most` from this one up, but never the root.
 * NULL: there is none, or no memory. The caller frees it. */
char *fs_find_up(const char *from, bool (*is_it)(const char *dir), unsigned most);
/* Whether path is dir itself or below it (both normal). */
bool path_is_below(const char *path, const char *dir);
/* A plain file name: not empty, no '/', not "." or "..". */
bool path_is_name(const char *name);
const char *path_basename(const char *path);
char *path_dirname(const char *path); /* new string; NULL when out of memory */

/* For `_cleanup_(closedirp) DIR *d = NULL;` and `_cleanup_(fts_closep) FTS *f = NULL;`: errno is
 * kept. */
void closedirp(DIR **d);
void fts_closep(FTS **f);

int fs_mkdir_p(const char *path, mode_t mode);
/* mkdir -p for the directory that holds path. */
int fs_mkdir_parent(const char *path, mode_t mode);
/* Whether what is in the directory can be believed: 0; -EPERM: any user may put files there, or it
 * belongs neither to this user nor to root (root accepts any owner, since it takes what is in a
 * user's home as it is); -errno. */
int fs_check_owner(const char *dir);
/* This process's umask, which only setting it tells: not where threads make files. */
mode_t fs_umask(void);
/* What modes of new files in the directory lose: `umask`, or, where the directory has a default
 * access list (acl(5)), what that takes away: then no umask counts. 1: it has one; 0: it has none.
 */
int fs_mask_in(const char *dir, mode_t umask, mode_t *ret);
/* Whether the open file has an access list of its own. */
bool fs_has_acl(int fd);
/* Removes a whole tree without following symlinks; a missing one is fine. */
int fs_rm_rf(const char *path);
/* The names in a directory, in byte order, without "." and "..". 0 or -errno. */
struct strv;
int fs_list_dir(const char *path, struct strv *ret);
/* Reads a whole regular file; -EFBIG above max bytes. */
int fs_read_file(const char *path, size_t max, struct buf *ret);
/* Writes a temporary name in the same directory, then renames it. A reader sees old or new, whole.
 */
int fs_write_atomic(const char *path, const void *p, size_t n, mode_t mode);
/* The same by a temporary name of the caller's, in the same directory, that is not there yet. */
int fs_write_atomic_by(const char *tmp, const char *path, const void *p, size_t n, mode_t mode);
/* The same, and it is on the disk before it has its name, which is there, too, when this returns:
 * for what must not be lost with the power. old, unless NULL: -ESTALE where the file is not that
 * one any more, as it was read (fs_same_file); between that look and the renaming there is no
 * time for more than a few system calls. */
int fs_replace(const char *path, const void *p, size_t n, mode_t mode, const struct stat *old);
/* Whether nobody has written to it, or put another one in its place, between these two looks. */
bool fs_same_file(const struct stat *a, const struct stat *b);
int fs_write_all(int fd, const void *p, size_t n);
/* As much as there is at this place, up to n; or -errno. */
ssize_t fs_read_at(int fd, void *p, size_t n, uint64_t at);
/* The same of what is in memory, without waiting for a disk: it may be less then. -EAGAIN: nothing
 * is; -EOPNOTSUPP: the file system cannot tell. */
ssize_t fs_read_cached(int fd, void *p, size_t n, uint64_t at);
/* Copies from one descriptor's offset to its end (copy_file_range, else read and write). */
int fs_copy_fd(int from, int to);
/* Makes the empty file a reflink of the other. -errno: the file system has none, as -EOPNOTSUPP. */
int fs_clone_fd(int from, int to);
/* Opens and follows no symlink in the last component; -ELOOP, or -EINVAL when not a regular file.
 */
int fs_open_regular(const char *path, struct stat *ret_st); /* descriptor or -errno */
bool fs_exists(const char *path);
/* Makes a fresh directory dir/prefixXXXXXX, mode 0700, and returns its path in *ret (caller frees).
 */
int fs_make_temp_dir(const char *dir, const char *prefix, char **ret);
bool fs_can_run(const char *path); /* whether execve may run the file that is there */
/* Finds a program as execvp would, in the given PATH value. NULL when not found. */
char *fs_which(const char *name, const char *path_env);

#endif
