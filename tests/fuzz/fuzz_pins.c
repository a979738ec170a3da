/* The file of pinned toolchains: any bytes. What is read is a list that is written as it was read,
 * each id once. */
#include "config.h"

#include "coordinator/admin/pins.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(pins_done) struct pins pins = { NULL, 0 };

	if (pins_parse((const char *)p, n, &pins) < 0) {
		if (pins.n != 0 || pins.v)
			abort();
		return 0;
	}
	if (pins.n > PINS_MAX)
		abort();
	for (size_t i = 0; i < pins.n; i++) {
		const struct pin *v = &pins.v[i];

		if (pins_find(&pins, &v->id) != v || strlen(v->text) >= PIN_TEXT_SIZE)
			abort();
		for (const char *c = v->text; *c; c++)
			if ((unsigned char)*c < ' ')
				abort();
	}
	return 0;
}
