/* Stands for rustc in a toolchain that is small enough for a quick scenario: it says which compiler
 * it is, and "compiles" what it is given into two files. It writes down who starts it, in a file
 * whose path a scenario writes over the letters below, if it can reach that. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define X "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* Read as it is in the file: not known to the compiler. */
static volatile const char seen[] = "SEEN=" X X X X X;
/* Likewise: the compiler that it is outside of a sandbox, beside what it says of itself. */
static volatile const char real[] = "REAL=" X X X X X;
/* Likewise: "none" is one that can only say what it is; "slow" one that has no end, and is never
 * silent for long. */
static volatile const char makes[] = "MAKES=all ";

/* The path that a scenario has put there; it ends with a blank. */
static void
path_in(const volatile char *text, char *to)
{
	size_t i;

	for (i = 5; text[i] && text[i] != ' '; i++)
		to[i - 5] = text[i];
	to[i - 5] = '\0';
}

static void
write_down(void)
{
	char path[sizeof(seen)], name[64] = "?";
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)getppid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
	if (fd >= 0)
		close(fd);
	name[n > 0 ? n : 0] = '\0';
	path_in(seen, path);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, name, strlen(name));
	close(fd);
}

static int
make(const char *dir, const char *name)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	if (!f)
		return 1;
	fputs("made\n", f);
	return fclose(f) == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	char path[sizeof(real)];

	write_down();
	if (argc == 2 && strcmp(argv[1], "-vV") == 0) {
		puts("rustc 9.9.9 (small)\nbinary: rustc\nhost: small-unknown-linux\n"
		     "release: 9.9.9");
		return fflush(stdout) == 0 ? 0 : 1;
	}
	path_in(real, path);
	if (access(path, X_OK) == 0) {
		execv(path, argv);
		return 1;
	}
	if (makes[6] == 'n') {
		fputs("this one makes nothing\n", stderr);
		return 1;
	}
	while (makes[6] == 's') {
		fputc('.', stderr);
		usleep(50000);
	}
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--out-dir=", 10) == 0)
			return make(argv[i] + 10, "libdray_trial.rmeta") ||
			       make(argv[i] + 10, "libdray_trial.rlib");
	return 1;
}
