/* Sentences for errors. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/text/why.h"

int
why_set(char **ret_why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(ret_why, fmt, ap) < 0)
		*ret_why = NULL;
	va_end(ap);
	return err;
}
