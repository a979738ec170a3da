/* Invariant: no other user can make, or reach, anything in the directory. A cache's path may be
 * longer than a socket's address: so all goes by the open directory. */
#include "config.h"

#include "client/half/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "common/fs.h"
#include "common/process/proc.h"

#define BACKLOG 256
#define NAME_DIGITS 32
#define START_SIZE 64

int
half_dir_open(const char *cache_dir)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(closep) int fd = -1;
	char name[HALF_NAME_SIZE];
	struct stat st;
	int r;

	/* a cache may be shared by a group */
	snprintf(name, sizeof(name), "half-%lu", (unsigned long)geteuid());
	path = path_join(cache_dir, name);
	r = path ? fs_mkdir_p(path, 0700) : -ENOMEM;
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return -EPERM;
	return steal_fd(&fd);
}

void
half_socket_name(const struct digest *key, char ret[HALF_NAME_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(key, hex);
	snprintf(ret, HALF_NAME_SIZE, "%.*s", NAME_DIGITS, hex);
}

void
half_start_name(const struct digest *key, char ret[HALF_NAME_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(key, hex);
	snprintf(ret, HALF_NAME_SIZE, "%.*s.start", NAME_DIGITS, hex);
}

void
half_late_name(const struct digest *key, char ret[HALF_NAME_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(key, hex);
	snprintf(ret, HALF_NAME_SIZE, "%.*s.late", NAME_DIGITS, hex);
}

static void
address(int dir, const char *name, struct sockaddr_un *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%.64s", dir, name);
}

static int
connect_to(int dir, const char *name)
{
	_cleanup_(closep) int fd = -1;
	struct sockaddr_un a;

	address(dir, name, &a);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return steal_fd(&fd);
}

bool
half_peer_is_ours(int fd, pid_t *ret_pid)
{
	struct ucred u;
	socklen_t n = sizeof(u);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n) < 0 || u.uid != geteuid())
		return false;
	*ret_pid = u.pid;
	return true;
}

int
half_connect(int dir, const struct digest *key)
{
	_cleanup_(closep) int fd = -1;
	char name[HALF_NAME_SIZE];
	pid_t pid;

	half_socket_name(key, name);
	fd = connect_to(dir, name);
	if (fd < 0)
		return steal_fd(&fd);
	return half_peer_is_ours(fd, &pid) ? steal_fd(&fd) : -EPERM;
}

int
half_listen(int dir, const struct digest *key)
{
	_cleanup_(closep) int fd = -1;
	char name[HALF_NAME_SIZE];
	struct sockaddr_un a;

	half_socket_name(key, name);
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return -errno;
	address(dir, name, &a);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
		listen(fd, BACKLOG) < 0)
		return -errno;
	return steal_fd(&fd);
}

static bool
is_socket_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == NAME_DIGITS && !name[NAME_DIGITS];
}

int
half_sign_start(int start, pid_t pid)
{
	char text[START_SIZE];
	int n = snprintf(
		text, sizeof(text), "%ld %016" PRIx64 "\n", (long)pid, (uint64_t)proc_place());

	return pwrite(start, text, (size_t)n, 0) == n ? 0 : -EIO;
}

static bool
is_of_here(int dir, const char *start)
{
	_cleanup_(closep) int fd = openat(dir, start, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[START_SIZE + 1] = "";
	uint64_t place = 0;
	long pid;

	return fd >= 0 && fs_read_at(fd, text, START_SIZE, 0) > 0 &&
	       sscanf(text, "%ld %" SCNx64, &pid, &place) == 2 && place && place == proc_place();
}

static bool
is_old(int dir, const char *name)
{
	struct timespec now;
	struct stat st;

	clock_gettime(CLOCK_REALTIME, &now);
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       now.tv_sec - st.st_mtim.tv_sec > HALF_STRANGE_S;
}

/* A lock file may be held by who starts one there: it goes with a socket that is dead, and another
 * one is made. */
static void
sweep_one(int dir, const char *name)
{
	_cleanup_(closep) int fd = connect_to(dir, name);
	char start[HALF_NAME_SIZE];

	snprintf(start, sizeof(start), "%.*s.start", NAME_DIGITS, name);
	if (fd != -ECONNREFUSED || (!is_of_here(dir, start) && !is_old(dir, name)))
		return;
	unlinkat(dir, name, 0);
	unlinkat(dir, start, 0);
	snprintf(start, sizeof(start), "%.*s.late", NAME_DIGITS, name);
	unlinkat(dir, start, 0);
}

void
half_sweep(int dir, const struct digest *but)
{
	_cleanup_(closedirp) DIR *d = NULL;
	char own[HALF_NAME_SIZE];
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;

	half_socket_name(but, own);
	d = copy < 0 ? NULL : fdopendir(copy);
	while (d && (e = readdir(d)) != NULL)
		if (is_socket_name(e->d_name) && !streq(e->d_name, own))
			sweep_one(dir, e->d_name);
}
