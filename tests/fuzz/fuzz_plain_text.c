/* plain_text on any bytes: what it lets through has no control, raw or, in JSON, as a reader of
 * JSON has it. */
#include "config.h"

#include <jansson.h>

#include "rustc/plain_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Only colours begin with an escape. */
static void
check(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == 0x1b) {
			for (i++; i < n && strchr("[0123456789;", p[i]) && p[i]; i++)
				;
			if (i == n || p[i] != 'm')
				abort();
		} else if ((p[i] < 0x20 && p[i] != '\n' && p[i] != '\t') || p[i] == 0x7f ||
			   (p[i] == 0xc2 && i + 1 < n && p[i + 1] < 0xa0)) {
			abort();
		}
	}
}

static void
check_strings(json_t *j)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_string(j))
		check((const uint8_t *)json_string_value(j), json_string_length(j));
	json_object_foreach(j, key, v)
	{
		check((const uint8_t *)key, strlen(key));
		check_strings(v);
	}
	json_array_foreach(j, i, v)
	{
		check_strings(v);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint32_t c;
	json_t *j;

	if (!plain_text(p, n, &c))
		return 0;
	check(p, n);
	j = json_loadb((const char *)p, n, JSON_ALLOW_NUL, NULL);
	if (json_is_object(j))
		check_strings(j);
	json_decref(j);
	return 0;
}
