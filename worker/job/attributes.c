#include "config.h"

#include "worker/job/attributes.h"

#include <string.h>

/* Packed, they are compared field by field, whatever fields there are. */
bool
attributes_are_same(const Dray__FileTimes *a, const Dray__FileTimes *b)
{
	Dray__FileTimes s = *a, t = *b;
	uint8_t x[512], y[sizeof(x)];
	size_t n;

	/* what they had beside was freed with the messages that they are of */
	s.base.n_unknown_fields = t.base.n_unknown_fields = 0;
	s.base.unknown_fields = t.base.unknown_fields = NULL;
	n = dray__file_times__get_packed_size(&s);
	if (n != dray__file_times__get_packed_size(&t) || n > sizeof(x))
		return false;
	dray__file_times__pack(&s, x);
	dray__file_times__pack(&t, y);
	return memcmp(x, y, n) == 0;
}
