/* call_parse with "@file", the input being the file: the same outcome as with the file's lines on
 * the command line, and no call at all when it cannot be one. */
#include "config.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rustc/call.h"

#define ARGS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
must_be_equal(const struct rustc_call *a, const struct rustc_call *b)
{
	if (a->kind != b->kind || !a->why != !b->why || (a->why && !streq(a->why, b->why)))
		abort();
	if (a->args.n != b->args.n || a->n_externs != b->n_externs || a->n_libs != b->n_libs)
		abort();
	for (size_t i = 0; i < a->args.n; i++)
		if (!streq(a->args.v[i], b->args.v[i]))
			abort();
	if (!streq(call_kind_name(a), call_kind_name(b)))
		abort();
}

/* text's lines as rustc takes them: a last line without an end counts, an empty rest does not.
 * False when they are too many, or one would be a file's name itself on a command line. */
static bool
cut(char *text, char **argv)
{
	size_t argc = 1;

	for (char *at = text, *nl; *at; at = nl + 1) {
		if (*at == '@' || argc > ARGS_MAX)
			return false;
		argv[argc++] = at;
		nl = strchr(at, '\n');
		if (!nl)
			break;
		*nl = '\0';
		if (nl > at && nl[-1] == '\r')
			nl[-1] = '\0';
	}
	argv[argc] = NULL;
	return true;
}

static void
compare(const uint8_t *p, size_t n, char *rustc, const struct rustc_call *from_file)
{
	_cleanup_(freep) char *text = malloc(n + 1);
	char *argv[ARGS_MAX + 3] = { rustc };
	struct rustc_call c;

	if (!text)
		return;
	if (n)
		memcpy(text, p, n);
	text[n] = '\0';
	if (!cut(text, argv))
		return;
	if (call_parse(argv, &c) == 0)
		must_be_equal(from_file, &c);
	call_done(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static int fd = -1;
	static char name[48];
	char rustc[] = "rustc", *argv[] = { rustc, name, NULL };
	struct rustc_call c;

	if (fd < 0) {
		fd = memfd_create("args", MFD_CLOEXEC);
		snprintf(name, sizeof(name), "@/proc/self/fd/%d", fd);
	}
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, p, n, 0) != (ssize_t)n)
		abort();
	if (call_parse(argv, &c) == 0) {
		if (n && memchr(p, '\0', n)) {
			if (c.kind != CALL_UNKNOWN || !c.why)
				abort();
		} else {
			compare(p, n, rustc, &c);
		}
	}
	call_done(&c);
	return 0;
}
