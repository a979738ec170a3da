/* call_parse on any command line (the input, cut at newlines): it never fails but for memory, and
 * what it takes for a unit has what a unit needs. */
#include "config.h"

#include "rustc/call.h"

#define ARGS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(const struct rustc_call *c)
{
	if (c->kind == CALL_UNIT) {
		if (!c->source || !c->driver || c->why)
			abort();
		if (call_home_reason(c) == NULL &&
			(!c->out_dir || c->incremental || !*c->crate_name || c->sysroot))
			abort();
		if (c->calls_linker && !c->reads_rlibs)
			abort();
	} else if (!c->why) {
		abort();
	}
	if (!*call_kind_name(c))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(freep) char *text = malloc(n + 1);
	char *argv[ARGS_MAX + 2], *at, *save = NULL;
	struct rustc_call c;
	size_t argc = 0;
	char rustc[] = "rustc", clippy[] = "clippy-driver";

	if (!text)
		return 0;
	if (n)
		memcpy(text, p, n);
	text[n] = '\0';
	argv[argc++] = n % 5 ? rustc : clippy;
	for (at = strtok_r(text, "\n", &save); at && argc <= ARGS_MAX;
		at = strtok_r(NULL, "\n", &save))
		/* any file of the machine could be named */
		if (*at != '@')
			argv[argc++] = at;
	argv[argc] = NULL;
	if (call_parse(argv, &c) == 0)
		check(&c);
	call_done(&c);
	return 0;
}
