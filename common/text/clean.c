#include "config.h"

#include "common/text/clean.h"

const char *
clean_text(const char *text, char *out, size_t size)
{
	size_t i;

	for (i = 0; text && i + 1 < size && text[i]; i++)
		out[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	out[i] = '\0';
	return out;
}
