/* Runs one recorded call of the compiler (limit.c: "call") again and again, through each of some
 * wrappers in turn:
 *
 *     again ROUNDS[+WARMUP] CALL [NAME=VALUE...] WRAPPER...
 *
 * The first WARMUP rounds (3) are not counted. NAME=VALUE is set for the wrapper that follows, and
 * for no other. Prints a line a round: of each wrapper the wall time and the processor time (user
 * and system), in µs. The outputs are removed before each, as cargo clean does. The environment is
 * the recorded one, but for DRAY_* and LIMIT_*, which are ours. It is to be started as cargo was,
 * by a shell: what a unit's environment is, is found by comparing. */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WARMUP 3

extern char **environ;

struct call {
	const char *cwd;
	char **argv; /* [0] is the wrapper's */
	char **envp;
	char files[PATH_MAX]; /* beside the call: named as the outputs */
	int out_dir;
};

struct wrapper {
	char *path;
	char **envp;
};

static bool
is_ours(const char *variable)
{
	return strncmp(variable, "DRAY_", 5) == 0 || strncmp(variable, "LIMIT_", 6) == 0;
}

static char *
read_all(const char *path, size_t *ret_n)
{
	size_t n = 0, cap = 1 << 20, k;
	char *p = malloc(cap);
	FILE *f = fopen(path, "r");

	if (!f || !p)
		err(1, "%s", path);
	while ((k = fread(p + n, 1, cap - n, f)) > 0) {
		n += k;
		if (n == cap && !(p = realloc(p, cap *= 2)))
			err(1, "realloc");
	}
	fclose(f);
	if (n == 0 || p[n - 1] != '\0')
		errx(1, "%s is not whole", path);
	*ret_n = n;
	return p;
}

static struct call
read_call(const char *path)
{
	size_t n, n_words = 0, n_env = 0;
	char *p = read_all(path, &n), *end = p + n;
	struct call c = { .cwd = p, .out_dir = -1 };
	size_t argc, i;

	for (char *q = p; q < end; q++)
		n_words += *q == '\0';
	for (char **e = environ; *e; e++)
		n_env++;
	p += strlen(p) + 1;
	argc = p < end ? (size_t)atoi(p) : 0;
	if (argc == 0 || argc + 2 > n_words)
		errx(1, "%s is not whole", path);
	c.argv = calloc(argc + 2, sizeof(char *));
	c.envp = calloc(n_words + n_env, sizeof(char *));
	if (!c.argv || !c.envp)
		err(1, "calloc");
	for (i = 0; i < argc; i++)
		c.argv[i + 1] = p += strlen(p) + 1;
	n_env = 0;
	for (p += strlen(p) + 1; p < end; p += strlen(p) + 1)
		if (!is_ours(p))
			c.envp[n_env++] = p;
	for (char **e = environ; *e; e++)
		if (is_ours(*e))
			c.envp[n_env++] = *e;
	return c;
}

static void
find_outputs(struct call *c, const char *path)
{
	const char *slash = strrchr(path, '/');

	snprintf(c->files, sizeof(c->files), "%.*s/files", slash ? (int)(slash - path) : 1,
		slash ? path : ".");
	for (char **a = c->argv + 1; *a; a++)
		if (strcmp(*a, "--out-dir") == 0 && a[1])
			c->out_dir = open(a[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->out_dir < 0)
		errx(1, "there is no directory for the outputs");
}

static void
remove_outputs(const struct call *c)
{
	DIR *d = opendir(c->files);
	struct dirent *e;

	if (!d)
		err(1, "%s", c->files);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && unlinkat(c->out_dir, e->d_name, 0) < 0 &&
			errno != ENOENT)
			err(1, "%s", e->d_name);
	closedir(d);
}

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t
us_of(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

/* Takes the variables and the wrapper that begin at *at, and moves it behind them. The first of two
 * that have one name counts. */
static struct wrapper
take_wrapper(const struct call *c, char **argv, int *at)
{
	struct wrapper w = { NULL, NULL };
	size_t n = 0, n_old = 0;

	while (c->envp[n_old])
		n_old++;
	while (argv[*at + n] && strchr(argv[*at + n], '='))
		n++;
	w.envp = calloc(n + n_old + 1, sizeof(char *));
	if (!w.envp)
		err(1, "calloc");
	memcpy(w.envp, argv + *at, n * sizeof(char *));
	memcpy(w.envp + n, c->envp, n_old * sizeof(char *));
	w.path = argv[*at + n];
	if (!w.path)
		errx(1, "there is no wrapper behind %s", argv[*at]);
	*at += (int)n + 1;
	return w;
}

static void
run_once(struct call *c, const struct wrapper *w, const posix_spawn_file_actions_t *actions,
	bool show)
{
	uint64_t begin, end;
	struct rusage u;
	int status, r;
	pid_t pid;

	c->argv[0] = w->path;
	remove_outputs(c);
	begin = now_us();
	r = posix_spawn(&pid, w->path, actions, NULL, c->argv, w->envp);
	if (r != 0 || wait4(pid, &status, 0, &u) < 0)
		errx(1, "%s cannot be run", w->path);
	end = now_us();
	if (status != 0)
		errx(1, "%s: status %d", w->path, status);
	if (show)
		printf("%llu %llu ", (unsigned long long)(end - begin),
			(unsigned long long)(us_of(u.ru_utime) + us_of(u.ru_stime)));
}

int
main(int argc, char **argv)
{
	posix_spawn_file_actions_t actions;
	struct wrapper *w;
	struct call c;
	int rounds, warmup = WARMUP, n = 0;

	if (argc < 4 || sscanf(argv[1], "%d+%d", &rounds, &warmup) < 1 || rounds < 1 || warmup < 0)
		errx(1, "usage: again ROUNDS[+WARMUP] CALL [NAME=VALUE...] WRAPPER...");
	c = read_call(argv[2]);
	if (chdir(c.cwd) < 0)
		err(1, "%s", c.cwd);
	find_outputs(&c, argv[2]);
	w = calloc((size_t)argc, sizeof(*w));
	if (!w)
		err(1, "calloc");
	for (int at = 3; at < argc;)
		w[n++] = take_wrapper(&c, argv, &at);
	posix_spawn_file_actions_init(&actions);
	for (int fd = 0; fd < 3; fd++)
		if (fd != STDOUT_FILENO)
			posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	for (int i = -warmup; i < rounds; i++) {
		for (int k = 0; k < n; k++)
			run_once(&c, &w[k], &actions, i >= 0);
		if (i >= 0)
			putchar('\n');
	}
	posix_spawn_file_actions_destroy(&actions);
	return 0;
}
