/* capture_parse with arbitrary files: two bytes each for the lengths of the first four, the fifth
 * is the rest. What it accepts must keep what capture.h promises. */
#include "config.h"

#include <limits.h>

#include "common/fs.h"
#include "worker/job/capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
take(const uint8_t **p, size_t *n, size_t want, struct buf *ret)
{
	want = MIN2(want, *n);
	if (buf_add(ret, *p, want) < 0)
		abort();
	*p += want;
	*n -= want;
}

static void
must_be_relative(const char *path)
{
	const char *slash = strchr(path, '/');
	_cleanup_(freep) char *first = strndup(path, slash ? (size_t)(slash - path) : strlen(path));

	if (!first || !path_is_name(first) || streq(first, CAPTURE_DIR))
		abort();
	if (slash && !path_is_name(slash + 1))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct capture_raw raw = { 0 };
	struct buf *const parts[] = { &raw.argv, &raw.path, &raw.files, &raw.dirs };
	struct capture c = { .fd = -1 };
	const uint8_t *lengths = p;

	if (n < 8)
		return 0;
	p += 8;
	n -= 8;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		take(&p, &n, (size_t)(lengths[2 * i] | lengths[2 * i + 1] << 8), parts[i]);
	take(&p, &n, n, &raw.output);
	if (capture_parse(&raw, &c) == 0) {
		if (c.argv.n == 0 || !c.path || !path_is_name(c.output))
			abort();
		for (size_t i = 0; i < c.files.n; i++)
			must_be_relative(c.files.v[i]);
		for (size_t i = 0; i < c.dirs.n; i++)
			must_be_relative(c.dirs.v[i]);
		capture_done(&c);
	}
	capture_raw_done(&raw);
	return 0;
}
