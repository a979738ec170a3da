/* Files of statements, and statements, which are any bytes: what nobody has signed leads nowhere.
 */
#include "config.h"

#include "keys/succession.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct identity own;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *line = strndup((const char *)p, n);
	struct succession s = { .serial = 7 };
	struct identity to;
	char good[SUCCESSION_SIZE];

	if (!line || (!*own.name && identity_generate("own", &own) < 0))
		return 0;
	/* its key is a new one each time: nothing here can be of it */
	if (succession_read((const char *)p, n, &own, &s) == 0 || s.serial != 7)
		abort();
	successions_follow((const char *)p, n, &own, UINT64_MAX, &to, &s);
	if (!streq(to.curve_public, own.curve_public) || s.serial != 0)
		abort();
	if (successions_add((const char *)p, n, &own, 1, line, &b) == 0)
		abort();
	if (succession_sign(&own, &own, 1, 1, good) == 0 &&
		successions_add((const char *)p, n, &own, 1, good, &b) == 0) {
		successions_follow((const char *)b.p, b.n, &own, 1, &to, &s);
		if (s.serial != 1 || !streq(s.curve_public, own.curve_public))
			abort();
	}
	return 0;
}
