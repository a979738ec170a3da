/* The program that cargo starts for a build script. It asks dray whether the run is known, and is
 * the real script where dray cannot say (launcher.h).
 *
 * libc only, static, no allocation: it must start in no time, and run where dray is gone. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/script/launcher.h"

#define ARGS_MAX 256 /* cargo gives none */
#define STATUS_NOT_STARTED 127
#define TRAILER_SIZE (4 + SCRIPT_MAGIC_SIZE)

extern char **environ;

static char names[SCRIPT_NAMES_MAX + 1];
static char real[PATH_MAX];
static const char *dray;

static void
say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static bool
read_trailer(const char *self)
{
	int fd = open(self, O_RDONLY | O_CLOEXEC);
	unsigned char t[TRAILER_SIZE];
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	uint32_t n = 0;
	bool ok = end > TRAILER_SIZE &&
		  pread(fd, t, TRAILER_SIZE, end - TRAILER_SIZE) == TRAILER_SIZE &&
		  memcmp(t + 4, SCRIPT_MAGIC, SCRIPT_MAGIC_SIZE) == 0;

	if (ok)
		n = (uint32_t)t[0] | (uint32_t)t[1] << 8 | (uint32_t)t[2] << 16 |
		    (uint32_t)t[3] << 24;
	ok = ok && n > 2 && n <= SCRIPT_NAMES_MAX && end - TRAILER_SIZE >= (off_t)n &&
	     pread(fd, names, n, end - TRAILER_SIZE - (off_t)n) == (ssize_t)n &&
	     names[n - 1] == '\0';
	if (fd >= 0)
		close(fd);
	if (!ok || strlen(names) + 1 >= n)
		return false;
	dray = names;
	return true;
}

/* The real program, in the launcher's own directory: a target directory may be moved. */
static bool
find_real(const char *self)
{
	const char *slash = strrchr(self, '/'), *name = dray + strlen(dray) + 1;
	size_t dir = slash ? (size_t)(slash - self) + 1 : 0;

	if (*name == '\0' || strchr(name, '/') || dir + strlen(name) >= sizeof(real))
		return false;
	memcpy(real, self, dir);
	memcpy(real + dir, name, strlen(name) + 1);
	return true;
}

static bool
find_self(char self[PATH_MAX])
{
	const char *given = (const char *)getauxval(AT_EXECFN);
	ssize_t n;

	if (given && *given && strlen(given) < PATH_MAX) {
		memcpy(self, given, strlen(given) + 1);
		if (read_trailer(self) && find_real(self) && access(real, X_OK) == 0)
			return true;
	}
	n = readlink("/proc/self/exe", self, PATH_MAX - 1);
	if (n <= 0)
		return false;
	self[n] = '\0';
	return read_trailer(self) && find_real(self);
}

static int
become_real(char **argv)
{
	execv(real, argv);
	say("dray: cannot run ");
	say(real);
	say(": ");
	say(strerror(errno));
	say("\n");
	return STATUS_NOT_STARTED;
}

/* In the child, which shares this process's memory until then. */
static void
become_dray(int fd, int argc, char **argv)
{
	static char number[12], option[] = SCRIPT_OPTION;
	char *v[ARGS_MAX + 6];
	char *p = number + sizeof(number) - 1;
	int n = 0;

	for (*p = '\0'; p == number + sizeof(number) - 1 || fd > 0; fd /= 10)
		*--p = (char)('0' + fd % 10);
	v[n++] = names;
	v[n++] = option;
	v[n++] = p;
	v[n++] = real;
	for (int i = 0; i < argc; i++)
		v[n++] = argv[i];
	v[n] = NULL;
	/* Where the launcher is killed, what it stands for ends too. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(names, v);
	_exit(STATUS_NOT_STARTED);
}

static int
end_as(int status)
{
	struct rlimit none = { 0, 0 };
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (!sig)
		return WEXITSTATUS(status);
	setrlimit(RLIMIT_CORE, &none);
	signal(sig, SIG_DFL);
	raise(sig);
	return 128 + sig;
}

int
main(int argc, char **argv)
{
	char self[PATH_MAX], byte;
	int fds[2], status = 0;
	pid_t pid, done;

	if (!find_self(self)) {
		say("dray: the build script's program is not beside its launcher; run cargo clean, "
		    "or set DRAY_SCRIPTS=off and build again\n");
		return STATUS_NOT_STARTED;
	}
	if (argc < 1 || argc > ARGS_MAX || access(dray, X_OK) != 0 || pipe2(fds, O_CLOEXEC) != 0)
		return become_real(argv);
	fcntl(fds[1], F_SETFD, 0);
	pid = vfork();
	if (pid == 0)
		become_dray(fds[1], argc, argv);
	close(fds[1]);
	do
		done = pid < 0 ? -1 : waitpid(pid, &status, 0);
	while (done < 0 && errno == EINTR);
	/* dray does not leave a process that has the other end */
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	if (done < 0 || read(fds[0], &byte, 1) != 1) {
		close(fds[0]);
		return become_real(argv);
	}
	return end_as(status);
}
