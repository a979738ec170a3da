/* Starting programs. Invariant: a child gets none of our descriptors but those named for it, an
 * empty signal mask and default actions; but a SIGHUP that is ignored stays so, or `nohup cargo
 * build` would end with its terminal. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/fs.h"
#include "common/spawn.h"

extern char **environ;

/* Whether entry i's source would be overwritten by another entry before it is used. */
static bool
source_is_target(const struct spawn *s, size_t i)
{
	for (size_t k = 0; k < s->n_fds; k++)
		if (k != i && s->fds[k].to == s->fds[i].from)
			return true;
	return false;
}

static bool
is_target(const struct spawn *s, int fd)
{
	for (size_t i = 0; i < s->n_fds; i++)
		if (s->fds[i].to == fd)
			return true;
	return false;
}

/* After the targets are in their places: closes all above them, and what lies between. */
static int
close_others(const struct spawn *s, posix_spawn_file_actions_t *fa, int top)
{
	int r = 0;

	for (int fd = STDERR_FILENO + 1; r == 0 && fd < top; fd++)
		if (!is_target(s, fd))
			r = posix_spawn_file_actions_addclose(fa, fd);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(fa, top + 1);
	return -r;
}

/* Sources that are also targets are first copied above all targets. *copies holds n_fds
 * descriptors, -1 where none was needed. */
static int
add_fds(const struct spawn *s, posix_spawn_file_actions_t *fa, int *copies)
{
	int top = STDERR_FILENO;

	for (size_t i = 0; i < s->n_fds; i++) {
		if (s->fds[i].from < 0 || s->fds[i].to < 0)
			return -EBADF;
		top = MAX2(top, s->fds[i].to);
	}
	for (size_t i = 0; i < s->n_fds; i++) {
		int from = s->fds[i].from, r;

		if (source_is_target(s, i)) {
			copies[i] = fcntl(from, F_DUPFD_CLOEXEC, top + 1);
			if (copies[i] < 0)
				return -errno;
			from = copies[i];
		}
		/* With equal numbers this clears close-on-exec in the child. */
		r = posix_spawn_file_actions_adddup2(fa, from, s->fds[i].to);
		if (r)
			return -r;
	}
	return s->only_fds ? close_others(s, fa, top) : 0;
}

static int
set_attributes(const struct spawn *s, posix_spawnattr_t *attr)
{
	short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
	struct sigaction hup;
	sigset_t set;
	int r;

	sigfillset(&set);
	if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler == SIG_IGN)
		sigdelset(&set, SIGHUP);
	r = posix_spawnattr_setsigdefault(attr, &set);
	sigemptyset(&set);
	if (!r)
		r = posix_spawnattr_setsigmask(attr, &set);
	if (!r && s->new_group) {
		flags |= POSIX_SPAWN_SETPGROUP;
		r = posix_spawnattr_setpgroup(attr, 0);
	}
	if (!r)
		r = posix_spawnattr_setflags(attr, flags);
	return -r;
}

static int
spawn_with(const struct spawn *s, posix_spawn_file_actions_t *fa, posix_spawnattr_t *attr,
	int *copies, pid_t *ret_pid)
{
	char *const *envp = s->envp ? s->envp : environ;
	pid_t pid = -1;
	int r;

	r = add_fds(s, fa, copies);
	if (r == 0 && s->cwd)
		r = -posix_spawn_file_actions_addchdir_np(fa, s->cwd);
	if (r == 0)
		r = set_attributes(s, attr);
	if (r < 0)
		return r;
	if (strchr(s->path, '/'))
		r = posix_spawn(&pid, s->path, fa, attr, s->argv, envp);
	else
		r = posix_spawnp(&pid, s->path, fa, attr, s->argv, envp);
	if (r)
		return -r;
	*ret_pid = pid;
	return 0;
}

int
spawn_start(const struct spawn *s, pid_t *ret_pid)
{
	_cleanup_(freep) int *copies = NULL;
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	int r;

	copies = calloc(MAX2(s->n_fds, 1), sizeof(*copies));
	if (!copies)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_fds; i++)
		copies[i] = -1;
	r = posix_spawn_file_actions_init(&fa);
	if (r)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r) {
		posix_spawn_file_actions_destroy(&fa);
		return -r;
	}
	r = spawn_with(s, &fa, &attr, copies, ret_pid);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	for (size_t i = 0; i < s->n_fds; i++)
		closep(&copies[i]);
	return r;
}

int
spawn_wait(pid_t pid, struct rusage *ret_usage)
{
	int status = 0;
	pid_t r;

	do
		r = wait4(pid, &status, 0, ret_usage);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int
read_bounded(int fd, size_t max, struct buf *b)
{
	size_t got = 0;

	for (;;) {
		ssize_t k;
		int r = buf_reserve(b, 4096);

		if (r < 0)
			return r;
		k = read(fd, b->p + b->n, b->cap - b->n - 1);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : 0;
		got += (size_t)k;
		if (got > max)
			return -EFBIG;
		b->n += (size_t)k;
		b->p[b->n] = '\0';
	}
}

int
spawn_capture(char *const *argv, char *const *envp, size_t max, struct buf *ret, int *ret_status)
{
	_cleanup_(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_(closep) int rd = -1;
	_cleanup_(closep) int wr = -1;
	size_t before = ret->n;
	int pipe_fds[2], r, status;
	pid_t pid;

	if (null < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	rd = pipe_fds[0];
	wr = pipe_fds[1];
	r = spawn_start(&(struct spawn){ .path = argv[0],
				.argv = argv,
				.envp = envp,
				.fds = (struct spawn_fd[]){ { null, 0 }, { wr, 1 }, { null, 2 } },
				.n_fds = 3 },
		&pid);
	if (r < 0)
		return r;
	closep(&wr);
	r = read_bounded(rd, max, ret);
	if (r < 0) {
		/* It may write on for ever. */
		kill(pid, SIGKILL);
		ret->n = before;
		if (ret->p)
			ret->p[ret->n] = '\0';
	}
	status = spawn_wait(pid, NULL);
	if (r == 0 && status < 0)
		r = status;
	if (r == 0 && ret_status)
		*ret_status = status;
	return r;
}

static char *
program_in(const char *dir, const char *sub, const char *name)
{
	_cleanup_(freep) char *with_sub = sub ? path_join(dir, sub) : strdup(dir);
	_cleanup_(freep) char *full = with_sub ? path_join(with_sub, name) : NULL;

	return full ? fs_which(full, NULL) : NULL;
}

/* The directory of this executable; NULL when it is not known. */
static char *
own_dir(void)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n <= 0)
		return NULL;
	exe[n] = '\0';
	return exe[0] == '/' ? path_dirname(exe) : NULL;
}

char *
spawn_find_program(const char *name)
{
	static const char *const beside[] = { NULL, "../client", "../coordinator", "../worker",
		"../libexec/dray", "../bin" };
	static const char *const installed[] = {
#ifdef PKGLIBEXECDIR
		PKGLIBEXECDIR,
#endif
#ifdef BINDIR
		BINDIR,
#endif
		NULL
	};
	_cleanup_(freep) char *own = own_dir();
	const char *env = getenv("DRAY_LIBEXEC");
	char *found;

	if (!path_is_name(name))
		return NULL;
	if (env && *env) {
		found = program_in(env, NULL, name);
		if (found)
			return found;
	}
	for (size_t i = 0; own && i < ARRAY_LEN(beside); i++) {
		found = program_in(own, beside[i], name);
		if (found)
			return found;
	}
	for (size_t i = 0; installed[i]; i++) {
		found = program_in(installed[i], NULL, name);
		if (found)
			return found;
	}
	return NULL;
}
