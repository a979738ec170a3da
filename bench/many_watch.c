/* Looks, again and again, at all processes below one, and counts how many compilers, build scripts
 * and tests run at a time:
 *
 *     many_watch PID EVERY_MS
 *
 * until its standard input ends. Then it prints a line: the greatest number of compilers, of build
 * scripts, of tests, and of all of them together; their number in the mean; how often it looked;
 * pages swapped in and out meanwhile; and the least memory available, in MiB.
 *
 * What runs below one that is counted is a part of it: a script's cc, a test's own programs. It
 * goes by what /proc says alone, and knows nothing of slots:
 *
 *   rustc           with --crate-name, but for cargo's questions ("___")
 *   build-script-*  and .build_script_*, the real program of a script for which a launcher stands;
 * the launchers themselves are none
 *   .../deps/NAME-HASH   a test
 *
 * It shall not take the processors from what it looks at. So it asks for a process's parent once,
 * and for its kind when the program is another one. */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <unistd.h>

#define PROCESSES_MAX 16384
#define MAGIC "drayscr1" /* client/script/launcher.h */

enum kind { COMPILER, SCRIPT, TEST, KINDS, OTHER };

struct process {
	pid_t pid, parent;
	enum kind kind;
	uint64_t exe; /* the hash of its program's path */
};

static struct process tables[2][PROCESSES_MAX], *all = tables[0], *before = tables[1];
static size_t n_all, n_before;

static int
by_pid(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static struct process *
find_in(struct process *table, size_t n, pid_t pid)
{
	struct process key = { .pid = pid };

	return bsearch(&key, table, n, sizeof(*table), by_pid);
}

static ssize_t
read_file(pid_t pid, const char *name, char *to, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, to, size - 1);
	close(fd);
	to[MAX(n, 0)] = '\0';
	return n;
}

static bool
has_word(const char *words, ssize_t n, const char *word, const char *next_is_not)
{
	size_t size = strlen(word) + 1;

	for (const char *p = words; p < words + n; p += strlen(p) + 1)
		if (strcmp(p, word) == 0)
			return p + size < words + n && strcmp(p + size, next_is_not) != 0;
	return false;
}

static bool
is_launcher(pid_t pid)
{
	char path[64], end[sizeof(MAGIC)] = "";
	int fd;
	off_t size;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size = lseek(fd, 0, SEEK_END);
	if (size > (off_t)sizeof(end) && pread(fd, end, sizeof(end) - 1, size - 8) != 8)
		end[0] = '\0';
	close(fd);
	return strcmp(end, MAGIC) == 0;
}

/* NAME-HASH: sixteen digits. */
static bool
is_hashed(const char *name)
{
	const char *dash = strrchr(name, '-');

	return dash && strlen(dash + 1) == 16 && strspn(dash + 1, "0123456789abcdef") == 16;
}

static enum kind
kind_of(pid_t pid, const char *exe)
{
	static char words[65536];
	const char *name = strrchr(exe, '/');
	ssize_t n;

	name = name ? name + 1 : exe;
	if (strcmp(name, "rustc") == 0) {
		n = read_file(pid, "cmdline", words, sizeof(words));
		return has_word(words, n, "--crate-name", "___") ? COMPILER : OTHER;
	}
	if (strncmp(name, ".build_script_", 14) == 0)
		return SCRIPT;
	if (strncmp(name, "build-script-", 13) == 0)
		return is_launcher(pid) ? OTHER : SCRIPT;
	if (name - exe > 6 && strncmp(name - 6, "/deps/", 6) == 0 && is_hashed(name))
		return TEST;
	return OTHER;
}

static uint64_t
hash(const char *text)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211u;
	return h;
}

static pid_t
ask_parent(pid_t pid)
{
	char text[1024], state, *p;
	int parent;

	if (read_file(pid, "stat", text, sizeof(text)) <= 0)
		return 0;
	p = strrchr(text, ')');
	return p && sscanf(p, ") %c %d", &state, &parent) == 2 ? parent : 0;
}

/* What is dead, or a thread of the kernel's, has no program. */
static void
add(pid_t pid)
{
	const struct process *old = find_in(before, n_before, pid);
	char path[64], exe[PATH_MAX];
	struct process p = { .pid = pid };
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0 || n_all == PROCESSES_MAX)
		return;
	exe[n] = '\0';
	p.exe = hash(exe);
	if (old && old->exe == p.exe) {
		all[n_all++] = *old;
		return;
	}
	p.kind = kind_of(pid, exe);
	p.parent = ask_parent(pid);
	if (p.parent)
		all[n_all++] = p;
}

/* Whether it is below `root`, and nothing between them is counted. */
static bool
counts(const struct process *p, pid_t root)
{
	unsigned depth = 0;

	if (p->kind == OTHER)
		return false;
	for (const struct process *q = p; q && depth < 1000; depth++) {
		if (q->pid == root)
			return true;
		if (q != p && q->kind != OTHER)
			return false;
		q = find_in(all, n_all, q->parent);
	}
	return false;
}

/* Returns how many there are together. */
static unsigned
look(pid_t root, unsigned greatest[KINDS + 1])
{
	struct process *old = before;
	unsigned now[KINDS + 1] = { 0 };
	DIR *d = opendir("/proc");
	struct dirent *e;

	before = all;
	n_before = n_all;
	all = old;
	n_all = 0;
	while (d && (e = readdir(d)))
		if (*e->d_name >= '1' && *e->d_name <= '9')
			add((pid_t)atoi(e->d_name));
	if (d)
		closedir(d);
	qsort(all, n_all, sizeof(*all), by_pid);
	for (size_t i = 0; i < n_all; i++)
		if (counts(&all[i], root)) {
			now[all[i].kind]++;
			now[KINDS]++;
		}
	for (size_t i = 0; i <= KINDS; i++)
		greatest[i] = MAX(greatest[i], now[i]);
	return now[KINDS];
}

/* The number after a name at a line's start in a file of /proc. */
static unsigned long
number(const char *file, const char *name)
{
	char line[256];
	unsigned long n = 0;
	FILE *f = fopen(file, "re");
	size_t len = strlen(name);

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, name, len) == 0)
			n = strtoul(line + len, NULL, 10);
	if (f)
		fclose(f);
	return n;
}

static unsigned long
swapped(void)
{
	return number("/proc/vmstat", "pswpin ") + number("/proc/vmstat", "pswpout ");
}

int
main(int argc, char **argv)
{
	unsigned greatest[KINDS + 1] = { 0 }, looks = 0, sum = 0;
	unsigned long least = ULONG_MAX, swapped_before = swapped();
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char c;

	if (argc != 3)
		errx(2, "usage: many_watch PID EVERY_MS");
	for (;;) {
		unsigned long available = number("/proc/meminfo", "MemAvailable:") / 1024;

		least = MIN(least, available);
		sum += look((pid_t)atoi(argv[1]), greatest);
		looks++;
		if (poll(&in, 1, atoi(argv[2])) > 0 && read(STDIN_FILENO, &c, 1) <= 0)
			break;
	}
	printf("%u %u %u %u %.2f %u %lu %lu\n", greatest[COMPILER], greatest[SCRIPT],
		greatest[TEST], greatest[KINDS], (double)sum / looks, looks,
		swapped() - swapped_before, least);
	return 0;
}
