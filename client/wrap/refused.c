/* Invariant: nothing is said on the unit's own stderr. cargo keeps what a unit says there, and says
 * it again whenever the unit is fresh: long after the cache was put right. So it is said on
 * cargo's. Where that is a file which cargo does not append to, it would write over our words, and
 * we say nothing: the job log and `dray doctor` tell. */
#include "config.h"

#include "client/wrap/refused.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fs.h"

#define AGAIN_S 3600
#define NOTE "refused"
#define NOTE_MAX 1024

/* Whether an open file of another process is appended to. */
static bool
appends(pid_t pid)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *flags;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/fdinfo/2", (long)pid);
	if (fs_read_file(path, 4096, &b) < 0 || !b.p)
		return false;
	flags = strstr((const char *)b.p, "flags:");
	return flags && (strtoul(flags + strlen("flags:"), NULL, 8) & O_APPEND);
}

/* cargo's stderr, or -1. */
static int
open_said(void)
{
	_cleanup_(closep) int fd = -1;
	pid_t cargo = getppid();
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%ld/fd/2", (long)cargo);
	if (stat(path, &st) < 0 || !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode) ||
					   (S_ISREG(st.st_mode) && appends(cargo))))
		return -1;
	fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return steal_fd(&fd);
}

/* The note, locked, if this is to be said now; else -1. */
static int
take_note(const struct conf *conf, const char *why)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(closep) int fd = -1;
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char said[NOTE_MAX + 1] = "";
	struct stat st;

	if (!conf->client.cache_dir || fs_mkdir_p(conf->client.cache_dir, 0700) < 0 ||
		!(path = path_join(conf->client.cache_dir, NOTE)))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &l) < 0 || fstat(fd, &st) < 0 ||
		pread(fd, said, NOTE_MAX, 0) < 0)
		return -1;
	if (strncmp(said, why, NOTE_MAX) == 0 &&
		llabs((long long)(time(NULL) - st.st_mtime)) < AGAIN_S)
		return -1;
	return steal_fd(&fd);
}

void
refused_say(const struct conf *conf, const char *why)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	_cleanup_(closep) int note = take_note(conf, why);
	_cleanup_(closep) int to = note >= 0 ? open_said() : -1;
	char text[NOTE_MAX];
	int n;

	if (to < 0)
		return;
	/* on a terminal a line of cargo's progress may be there */
	n = snprintf(text, sizeof(text),
		"%sdray: the build goes on without the cache, since %s (dray doctor says more)\n",
		isatty(to) ? "\r\033[K" : "", why);
	n = MIN2(n, (int)sizeof(text) - 1);
	text[n - 1] = '\n';
	sigaction(SIGPIPE, &ignore, &before);
	n = write(to, text, (size_t)n) == n;
	sigaction(SIGPIPE, &before, NULL);
	if (n && ftruncate(note, 0) == 0)
		(void)!pwrite(note, why, strlen(why), 0);
}
