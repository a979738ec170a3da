/* The table of calls, and the lists that the filter takes. A call that is added here is read by its
 * row alone (trace_call.c). */
#include "config.h"

#include "trace/call_rows.h"

#include <stddef.h>
#include <sys/syscall.h>

/* Since Linux 6.6. */
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

/* Where the path stands: alone, or with the directory that it begins at; or a descriptor alone. */
#define PATH .path = 1
#define AT .dir = 1, .path = 2
#define FD .dir = 1

static const struct call_row rows[] = {
	{ SYS_openat, TRACE_OPEN, AT, .flags = 3 },
	{ SYS_openat2, TRACE_OPEN, AT, .flags = 3 },
	{ SYS_statx, TRACE_STAT, AT, .tells = 3 },
	{ SYS_newfstatat, TRACE_STAT, AT, .tells = 4 },
	{ SYS_fstat, TRACE_STAT, FD, .tells = FOLLOWS },
	{ SYS_readlinkat, TRACE_LOOK, AT, .is = ASKS_LINK },
	{ SYS_faccessat, TRACE_LOOK, AT, .tells = FOLLOWS },
	{ SYS_faccessat2, TRACE_LOOK, AT, .tells = 4 },
	{ SYS_getxattr, TRACE_LOOK, PATH, .is = ASKS_EXTENDED },
	{ SYS_lgetxattr, TRACE_LOOK, PATH, .is = ASKS_EXTENDED },
	{ SYS_fgetxattr, TRACE_LOOK, FD, .is = ASKS_EXTENDED },
	{ SYS_getxattrat, TRACE_LOOK, AT, .is = ASKS_EXTENDED },
	{ SYS_listxattr, TRACE_LOOK, PATH, .is = ASKS_EXTENDED },
	{ SYS_llistxattr, TRACE_LOOK, PATH, .is = ASKS_EXTENDED },
	{ SYS_flistxattr, TRACE_LOOK, FD, .is = ASKS_EXTENDED },
	{ SYS_listxattrat, TRACE_LOOK, AT, .is = ASKS_EXTENDED },
	{ SYS_setxattr, TRACE_CHANGE, PATH, .is = SETS_EXTENDED },
	{ SYS_lsetxattr, TRACE_CHANGE, PATH, .is = SETS_EXTENDED },
	{ SYS_fsetxattr, TRACE_CHANGE, FD, .is = SETS_EXTENDED },
	{ SYS_setxattrat, TRACE_CHANGE, AT, .is = SETS_EXTENDED },
	{ SYS_removexattr, TRACE_CHANGE, PATH, .is = SETS_EXTENDED },
	{ SYS_lremovexattr, TRACE_CHANGE, PATH, .is = SETS_EXTENDED },
	{ SYS_fremovexattr, TRACE_CHANGE, FD, .is = SETS_EXTENDED },
	{ SYS_removexattrat, TRACE_CHANGE, AT, .is = SETS_EXTENDED },
	{ SYS_getdents64, TRACE_LIST, FD },
	{ SYS_mkdirat, TRACE_CHANGE, AT, .is = MAKES_DIR },
	{ SYS_unlinkat, TRACE_CHANGE, AT, .is = REMOVES },
	{ SYS_mknodat, TRACE_CHANGE, AT, .is = MAKES_NODE },
	{ SYS_renameat2, TRACE_CHANGE, AT, .dir2 = 3, .path2 = 4, .from = MOVES },
	{ SYS_linkat, TRACE_CHANGE, AT, .dir2 = 3, .path2 = 4, .from = READS },
	{ SYS_symlinkat, TRACE_CHANGE, PATH, .dir2 = 2, .path2 = 3, .from = POINTS },
	{ SYS_truncate, TRACE_CHANGE, PATH },
	{ SYS_fchmodat, TRACE_MARK, AT },
	{ SYS_fchmodat2, TRACE_MARK, AT },
	{ SYS_fchownat, TRACE_MARK, AT },
	{ SYS_utimensat, TRACE_MARK, AT },
	{ SYS_execve, TRACE_EXEC, PATH },
	{ SYS_execveat, TRACE_EXEC, AT },
	{ SYS_chdir, TRACE_CHDIR, PATH },
	{ SYS_fchdir, .op = TRACE_CHDIR },
	{ SYS_socket, .op = TRACE_SOCKET },
	{ SYS_connect, .op = TRACE_CONNECT },
	{ SYS_getrandom, .op = TRACE_RANDOM_BYTES },
	{ SYS_uname, .op = TRACE_MACHINE },
	{ SYS_sched_getaffinity, .op = TRACE_MACHINE },
	{ SYS_umask, .op = TRACE_UMASK },
	{ SYS_prlimit64, .op = TRACE_LIMIT },
#ifdef SYS_getrlimit
	{ SYS_getrlimit, .op = TRACE_LIMIT },
#endif
	{ SYS_io_uring_setup, .op = TRACE_UNSEEN },
	{ SYS_open_by_handle_at, .op = TRACE_UNSEEN },
	{ SYS_chroot, .op = TRACE_REMOUNT },
	{ SYS_pivot_root, .op = TRACE_REMOUNT },
	{ SYS_mount, .op = TRACE_REMOUNT },
	{ SYS_umount2, .op = TRACE_REMOUNT },
	{ SYS_move_mount, .op = TRACE_REMOUNT },
	{ SYS_setns, .op = TRACE_REMOUNT },
#ifdef SYS_renameat
	{ SYS_renameat, TRACE_CHANGE, AT, .dir2 = 3, .path2 = 4, .from = MOVES },
#endif
/* Newer architectures have only the calls above. */
#ifdef SYS_open
	{ SYS_open, TRACE_OPEN, PATH, .flags = 2 },
	{ SYS_creat, TRACE_CHANGE, PATH, .is = MAKES_FILE },
	{ SYS_stat, TRACE_STAT, PATH, .tells = FOLLOWS },
	{ SYS_lstat, TRACE_STAT, PATH, .tells = OF_LINK },
	{ SYS_readlink, TRACE_LOOK, PATH, .is = ASKS_LINK },
	{ SYS_access, TRACE_LOOK, PATH, .tells = FOLLOWS },
	{ SYS_getdents, TRACE_LIST, FD },
	{ SYS_chmod, TRACE_MARK, PATH },
	{ SYS_chown, TRACE_MARK, PATH },
	{ SYS_lchown, TRACE_MARK, PATH },
	{ SYS_utime, TRACE_MARK, PATH },
	{ SYS_utimes, TRACE_MARK, PATH },
	{ SYS_futimesat, TRACE_MARK, AT },
	{ SYS_mkdir, TRACE_CHANGE, PATH, .is = MAKES_DIR },
	{ SYS_rmdir, TRACE_CHANGE, PATH },
	{ SYS_unlink, TRACE_CHANGE, PATH, .is = REMOVES },
	{ SYS_mknod, TRACE_CHANGE, PATH, .is = MAKES_NODE },
	{ SYS_rename, TRACE_CHANGE, PATH, .path2 = 2, .from = MOVES },
	{ SYS_link, TRACE_CHANGE, PATH, .path2 = 2, .from = READS },
	{ SYS_symlink, TRACE_CHANGE, PATH, .path2 = 2, .from = POINTS },
#endif
};

const int trace_calls[] = { SYS_openat, SYS_openat2, SYS_statx, SYS_newfstatat, SYS_readlinkat,
	SYS_faccessat, SYS_faccessat2, SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr, SYS_listxattr,
	SYS_llistxattr, SYS_flistxattr, SYS_getxattrat, SYS_listxattrat, SYS_setxattr,
	SYS_lsetxattr, SYS_fsetxattr, SYS_setxattrat, SYS_removexattr, SYS_lremovexattr,
	SYS_fremovexattr, SYS_removexattrat, SYS_getdents64, SYS_mkdirat, SYS_unlinkat, SYS_mknodat,
	SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_truncate, SYS_execve, SYS_execveat, SYS_chdir,
	SYS_fchdir, SYS_connect, SYS_io_uring_setup, SYS_open_by_handle_at, SYS_chroot,
	SYS_pivot_root, SYS_mount, SYS_umount2, SYS_move_mount, SYS_setns, SYS_umask, SYS_prlimit64,
#ifdef SYS_getrlimit
	SYS_getrlimit,
#endif
#ifdef SYS_renameat
	SYS_renameat,
#endif
#ifdef SYS_open
	SYS_open, SYS_creat, SYS_stat, SYS_lstat, SYS_readlink, SYS_access, SYS_getdents, SYS_mkdir,
	SYS_rmdir, SYS_unlink, SYS_mknod, SYS_rename, SYS_link, SYS_symlink,
#endif
	-1 };

const int trace_marks[] = { SYS_fchmodat, SYS_fchmodat2, SYS_fchownat, SYS_utimensat,
#ifdef SYS_open
	SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat,
#endif
	-1 };

const struct call_row *
call_row_find(int nr)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].nr == nr)
			return &rows[i];
	return NULL;
}
