/* A line of the compiler's whose names are turned back (rustc/mapping.h), and texts with the marks
 * for places (cache/marks.h): what is hidden is shown again, byte for byte. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "cache/marks.h"
#include "rustc/mapping.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct inputs_place place = { .out_dir = "/w/target/debug/deps",
	.real_out_dir = "/w/target/debug/deps",
	.target_dir = "/w/target",
	.real_target_dir = "/w/target",
	.workspace = "/w",
	.cargo_home = "/h/c",
	.home = "/h" };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* longer than what stands for them */
	static const struct mapping mapping = { .workspace = "/home/user/workspace",
		.target_dir = "/home/user/workspace/target",
		.cargo_home = "/home/user/dot-cargo",
		.sources = "/home/user/sysroot/lib/rustlib/src/rust/library",
		.sources_name = "/rustc/59807616/library" };
	_cleanup_(buf_done) struct buf turned = BUF_INIT, hidden = BUF_INIT, shown = BUF_INIT;

	if (mapping_turn_back(&mapping, (const char *)data, size, &turned) < 0 || turned.n < size)
		abort();
	switch (marks_hide(&place, data, size, &hidden)) {
	case 0:
		if (marks_show(&place, hidden.p, hidden.n, &shown) < 0 || shown.n != size ||
			(size > 0 && memcmp(shown.p, data, size) != 0))
			abort();
		break;
	case -EBADMSG:
		break;
	default:
		abort();
	}
	return 0;
}
