/* What a compiler says: artifact_parse over arbitrary lines, and the names that may come of them;
 * refusals. */
#include "config.h"

#include <errno.h>
#include <stdint.h>

#include "rustc/artifact.h"
#include "rustc/call.h"
#include "rustc/refusal.h"
#include "client/dispatch/unit.h"
#include "client/link/link_check.h"
#include "common/fs.h"
#include "proto/alias.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A name that is accepted stays in the out-dir. */
static void
check_name(const char *name)
{
	if (call_output_name_ok("foo", "-1a", name) && !path_is_name(name))
		abort();
	if (link_check_input_name("foo", "-1a", name)) {
		_cleanup_(freep) char *p = path_normalize("/out", name);

		if (!p || !path_is_below(p, "/out") || streq(p, "/out"))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct artifact a = ARTIFACT_INIT;
	struct buf b = BUF_INIT;
	int r = artifact_parse((const char *)data, size, &a);

	/* However much of it is there. */
	for (size_t n = 0; r != -ENOENT && n <= MIN2(size, (size_t)128); n++)
		if (!artifact_may_be((const char *)data, n, n == size))
			abort();
	if (r == 0) {
		if (!a.path || !*a.path)
			abort();
		check_name(a.path);
		check_name(path_basename(a.path));
	} else if (a.path) {
		abort();
	}
	artifact_done(&a);
	r = artifact_parse_any((const char *)data, size, &a);
	if (r == 0 && (!a.path || !*a.path))
		abort();
	artifact_done(&a);
	if (refusal_is_final((const char *)data, size) && !memmem(data, size, "error[E", 7))
		abort();
	if (alias_undo(data, size, "/out dir", " \\", &b) == 0 && b.n &&
		memmem(b.p, b.n, JOB_ALIAS "/", strlen(JOB_ALIAS) + 1) &&
		!memmem(data, size, "/.dray-", 7))
		abort();
	buf_done(&b);
	return 0;
}
