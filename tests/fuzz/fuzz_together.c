/* What a target directory was made of: any bytes. No path leads out of it, each is there once. */
#include "config.h"

#include "client/cached/together.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct together t = { NULL, 0, 0 };

	if (together_decode((const char *)data, size, &t) < 0)
		return 0;
	for (size_t i = 0; i < t.n; i++)
		if (!*t.v[i].path || *t.v[i].path == '/' || strstr(t.v[i].path, "..") ||
			(i > 0 && strcmp(t.v[i - 1].path, t.v[i].path) >= 0))
			abort();
	together_done(&t);
	return 0;
}
