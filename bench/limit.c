/* The least that a compile cache has to do: a stand-in for the wrapper that knows what each call
 * makes, and checks nothing.
 *
 *     LIMIT_DIR=DIR LIMIT_LEARN=1 RUSTC_WRAPPER=limit cargo build     runs the compiler, and learns
 *     LIMIT_DIR=DIR RUSTC_WRAPPER=limit cargo build                   hard-links, prints, and exits
 *
 *   DIR/<hash of directory and arguments>/files/   hard links of the outputs; none: it failed
 *                                        /out, /err   what was printed
 *                                        /call     directory, arguments and environment, for
 * again.c
 *
 *     LIMIT_STORE=redis:PORT:PREFIX or http:PORT:PREFIX     each call first GETs its share of the
 * objects in DIR/objects (a name a line) from 127.0.0.1, all at once over one connection, and drops
 * them: what a store costs a build, however little is done with what it has. DIR/taken has how many
 * of them earlier calls took.
 *
 *   DIR/unknown   a line for each call that it had not learned, and that the compiler ran for:
 * build scripts try the compiler with names made at random. A bench has to look there. */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct call {
	char **argv;
	int argc;
	char cwd[PATH_MAX];
	char dir[PATH_MAX]; /* of what is known of it */
	const char *out_dir, *crate, *extra;
};

static void
add_hash(uint64_t *h, const char *s)
{
	do {
		*h = (*h ^ (unsigned char)*s) * 1099511628211u;
	} while (*s++);
}

/* The value of --NAME VALUE or --NAME=VALUE at argv[i]. */
static const char *
long_option(const struct call *c, int i, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(c->argv[i], name, n) != 0)
		return NULL;
	if (c->argv[i][n] == '=')
		return c->argv[i] + n + 1;
	return c->argv[i][n] == '\0' && i + 1 < c->argc ? c->argv[i + 1] : NULL;
}

static void
parse(struct call *c)
{
	static const char extra[] = "extra-filename=";
	const char *v;

	c->extra = "";
	for (int i = 1; i < c->argc; i++) {
		if ((v = long_option(c, i, "--out-dir")))
			c->out_dir = v;
		if ((v = long_option(c, i, "--crate-name")))
			c->crate = v;
		if (strncmp(c->argv[i], extra, sizeof(extra) - 1) == 0)
			c->extra = c->argv[i] + sizeof(extra) - 1;
	}
}

static void
locate(struct call *c)
{
	const char *top = getenv("LIMIT_DIR");
	uint64_t h = 14695981039346656037u;

	if (!top || !getcwd(c->cwd, sizeof(c->cwd)))
		errx(1, "LIMIT_DIR is not set, or there is no directory");
	add_hash(&h, c->cwd);
	for (int i = 0; i < c->argc; i++)
		add_hash(&h, c->argv[i]);
	if (snprintf(c->dir, sizeof(c->dir), "%s/%016llx", top, (unsigned long long)h) >= PATH_MAX)
		errx(1, "LIMIT_DIR is too long");
}

static int
open_in(const struct call *c, const char *name, int flags)
{
	char path[PATH_MAX + 8];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", c->dir, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		err(1, "%s: not learned: %s", path, c->crate);
	return fd;
}

static void
print(const struct call *c, const char *name, int to)
{
	static char chunk[65536];
	int fd = open_in(c, name, O_RDONLY);
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		if (write(to, chunk, (size_t)n) != n)
			err(1, "write");
	close(fd);
}

/* ---- learning */

static bool
is_output(const struct call *c, const char *name)
{
	size_t n = strlen(c->crate), e = strlen(c->extra);

	if (strncmp(name, "lib", 3) == 0 && strncmp(name + 3, c->crate, n) == 0)
		name += 3;
	return strncmp(name, c->crate, n) == 0 && strncmp(name + n, c->extra, e) == 0 &&
	       (name[n + e] == '\0' || name[n + e] == '.');
}

/* A hard link at DIRFD_TO/NAME in place of what is there. */
static void
put(int from, int to, const char *name)
{
	if (linkat(from, name, to, name, 0) == 0)
		return;
	if (errno != EEXIST || unlinkat(to, name, 0) < 0 || linkat(from, name, to, name, 0) < 0)
		err(1, "%s", name);
}

static void
keep_outputs(const struct call *c)
{
	int to = open_in(c, "files", O_RDONLY | O_DIRECTORY);
	DIR *d = opendir(c->out_dir);
	struct dirent *e;

	if (!d)
		err(1, "%s", c->out_dir);
	while ((e = readdir(d)))
		if (is_output(c, e->d_name))
			put(dirfd(d), to, e->d_name);
	closedir(d);
	close(to);
}

static void
keep_call(const struct call *c)
{
	FILE *f = fdopen(open_in(c, "call", O_WRONLY | O_CREAT | O_TRUNC), "w");

	if (!f)
		err(1, "call");
	fprintf(f, "%s%c%d%c", c->cwd, 0, c->argc, 0);
	for (int i = 0; i < c->argc; i++)
		fprintf(f, "%s%c", c->argv[i], 0);
	for (char **e = environ; *e; e++)
		fprintf(f, "%s%c", *e, 0);
	if (fclose(f) != 0)
		err(1, "call");
}

static int
learn(const struct call *c)
{
	char files[PATH_MAX + 8];
	int status;
	pid_t pid;

	snprintf(files, sizeof(files), "%s/files", c->dir);
	if ((mkdir(c->dir, 0700) < 0 || mkdir(files, 0700) < 0) && errno != EEXIST)
		err(1, "%s", files);
	pid = fork();
	if (pid == 0) {
		dup2(open_in(c, "out", O_WRONLY | O_CREAT | O_TRUNC), STDOUT_FILENO);
		dup2(open_in(c, "err", O_WRONLY | O_CREAT | O_TRUNC), STDERR_FILENO);
		execvp(c->argv[0], c->argv);
		err(127, "%s", c->argv[0]);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		err(1, "fork");
	if (status == 0) {
		keep_outputs(c);
		keep_call(c);
	} else if (rmdir(files) < 0) {
		err(1, "%s", files);
	}
	print(c, "out", STDOUT_FILENO);
	print(c, "err", STDERR_FILENO);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* ---- a hit */

static void
compile_unknown(const struct call *c)
{
	char path[PATH_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/unknown", getenv("LIMIT_DIR"));
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dprintf(fd, "%s\n", c->crate) < 0)
		err(1, "%s", path);
	execvp(c->argv[0], c->argv);
	err(127, "%s", c->argv[0]);
}

/* The exit status: 0, or 1 when the compiler failed, as it does for build scripts that try it. */
static int
restore(const struct call *c)
{
	char files[PATH_MAX + 8];
	struct dirent *e;
	int to;
	DIR *d;

	if (access(c->dir, F_OK) < 0)
		compile_unknown(c);
	snprintf(files, sizeof(files), "%s/files", c->dir);
	d = opendir(files);
	to = open(c->out_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (to < 0)
		err(1, "%s", c->out_dir);
	if (!d)
		return 1;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			put(dirfd(d), to, e->d_name);
	return 0;
}

/* ---- a store */

struct stream {
	int fd;
	char buf[1 << 16];
	size_t at, n;
};

static char
next_byte(struct stream *s)
{
	if (s->at == s->n) {
		ssize_t n = read(s->fd, s->buf, sizeof(s->buf));

		if (n <= 0)
			err(1, "the store has ended the connection");
		s->at = 0;
		s->n = (size_t)n;
	}
	return s->buf[s->at++];
}

/* Without its end. */
static void
read_line(struct stream *s, char *ret, size_t size)
{
	size_t n = 0;
	char c;

	while ((c = next_byte(s)) != '\n')
		if (c != '\r' && n + 1 < size)
			ret[n++] = c;
	ret[n] = '\0';
}

static void
drop(struct stream *s, size_t n)
{
	while (n > 0) {
		size_t k;

		next_byte(s);
		s->at--;
		k = s->n - s->at < n ? s->n - s->at : n;
		s->at += k;
		n -= k;
	}
}

static void
take_answer(struct stream *s, bool redis, const char *name)
{
	char line[1024];
	size_t size = SIZE_MAX;

	read_line(s, line, sizeof(line));
	if (redis) {
		if (line[0] != '$' || line[1] == '-')
			errx(1, "%s: %s", name, line);
		drop(s, strtoul(line + 1, NULL, 10) + 2);
		return;
	}
	if (!strstr(line, " 200 "))
		errx(1, "%s: %s", name, line);
	do {
		read_line(s, line, sizeof(line));
		if (strncasecmp(line, "Content-Length:", 15) == 0)
			size = strtoul(line + 15, NULL, 10);
	} while (line[0]);
	if (size == SIZE_MAX)
		errx(1, "%s: no length", name);
	drop(s, size);
}

/* The number that is in the file, which is `more` higher then. */
static long
take_share(const char *path, long more)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char text[32] = "";
	long n;

	if (fd < 0 || flock(fd, LOCK_EX) < 0 || read(fd, text, sizeof(text) - 1) < 0)
		err(1, "%s", path);
	n = strtol(text, NULL, 10);
	snprintf(text, sizeof(text), "%-16ld", n + more);
	if (pwrite(fd, text, strlen(text), 0) < 0)
		err(1, "%s", path);
	close(fd);
	return n;
}

static int
connect_to(unsigned port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		err(1, "the store");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void
get_share(const char *store)
{
	static struct stream s;
	const char *top = getenv("LIMIT_DIR");
	char kind[16], prefix[256] = "", path[PATH_MAX], (*names)[256];
	bool redis;
	unsigned port;
	long share, from, n = 0;
	FILE *f;

	if (!top || sscanf(store, "%15[^:]:%u:%255s", kind, &port, prefix) < 2)
		errx(1, "LIMIT_STORE: %s", store);
	redis = strcmp(kind, "redis") == 0;
	share = strtol(getenv("LIMIT_SHARE") ? getenv("LIMIT_SHARE") : "1", NULL, 10);
	snprintf(path, sizeof(path), "%s/taken", top);
	from = take_share(path, share);
	names = calloc((size_t)share, sizeof(*names));
	snprintf(path, sizeof(path), "%s/objects", top);
	f = fopen(path, "re");
	if (!f || !names)
		err(1, "%s", path);
	for (long i = 0; n < share && fscanf(f, "%255s", names[n]) == 1; i++)
		n += i >= from;
	fclose(f);
	if (n == 0)
		return;
	s.fd = connect_to(port);
	for (long i = 0; i < n; i++)
		if (dprintf(s.fd,
			    redis ? "GET %s%s\r\n" : "GET %s%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
			    prefix, names[i]) < 0)
			err(1, "the store");
	for (long i = 0; i < n; i++)
		take_answer(&s, redis, names[i]);
	close(s.fd);
}

int
main(int argc, char **argv)
{
	struct call c = { .argv = argv + 1, .argc = argc - 1 };
	int status;

	if (argc < 2)
		errx(1, "usage: limit COMPILER ARGUMENT...");
	parse(&c);
	/* cargo asks the compiler for its version and the like: not a compile */
	if (!c.out_dir || !c.crate) {
		execvp(argv[1], argv + 1);
		err(127, "%s", argv[1]);
	}
	locate(&c);
	if (getenv("LIMIT_LEARN"))
		return learn(&c);
	if (getenv("LIMIT_STORE"))
		get_share(getenv("LIMIT_STORE"));
	status = restore(&c);
	print(&c, "out", STDOUT_FILENO);
	print(&c, "err", STDERR_FILENO);
	return status;
}
