/* A configuration file, which is any bytes, in which a line is set: where it was read before it is
 * read afterwards, with that value. */
#include "config.h"

#include "common/conf/conf.h"
#include "common/conf/edit.h"

#define VALUE "/home/a b/identity"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct conf *
read_text(const char *text, size_t n)
{
	_cleanup_(freep) char *error = NULL;
	struct conf *c = NULL;

	return conf_parse(text, n, "fuzz", &c, &error) == 0 ? c : NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(conf_freep) struct conf *before = read_text((const char *)p, n), *after = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (conf_edit_set((const char *)p, n, "client", "identity", VALUE, &b) < 0)
		abort();
	if (!before)
		return 0;
	after = read_text((const char *)b.p, b.n);
	if (!after || !after->client.identity || !streq(after->client.identity, VALUE))
		abort();
	return 0;
}
