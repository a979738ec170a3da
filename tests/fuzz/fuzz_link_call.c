/* link_call_parse on any bytes: what it accepts is a command to run, and no file to remove but
 * those below the out-dir. */
#include "config.h"

#include "client/wrap/link.h"
#include "common/fs.h"

#define OUT_DIR "/w/target/debug/deps"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct link_call l;

	if (link_call_parse(p, n, OUT_DIR, &l) < 0)
		return 0;
	if (!l.path_prefix || l.argv.n == 0 || !*l.argv.v[0])
		abort();
	for (size_t i = 0; i < l.temporaries.n; i++)
		if (!path_is_normal(l.temporaries.v[i]) ||
			!starts_with(l.temporaries.v[i], OUT_DIR "/"))
			abort();
	link_call_done(&l);
	return 0;
}
