/* The file of workers that admins have drained or removed: any bytes. What is read is a list that
 * is written as it was read, with whole names and keys, each name once. */
#include "config.h"

#include "coordinator/admin/standing.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(standings_done) struct standings s = { NULL, 0 };
	uint8_t raw[32];

	if (standings_parse((const char *)p, n, &s) < 0) {
		if (s.n != 0 || s.v)
			abort();
		return 0;
	}
	if (s.n > STANDING_MAX)
		abort();
	for (size_t i = 0; i < s.n; i++) {
		const struct standing_worker *w = &s.v[i];

		if (!keys_name_ok(w->name, strlen(w->name)) || standings_find(&s, w->name) != w ||
			(*w->curve && z85_decode32(w->curve, raw) < 0) ||
			(w->is != STANDING_DRAINED && w->is != STANDING_REMOVED) ||
			standings_get(&s, w->name, "") < w->is)
			abort();
	}
	return 0;
}
