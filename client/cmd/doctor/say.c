/* What a check says: a line, or an object of the list. */
#include "config.h"

#include "client/cmd/doctor/doctor.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const finding_names[] = { "good", "note", "bad" };

void
doctor_say(struct doctor *d, enum finding f, const char *check, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		text = NULL;
	d->any_bad |= f == BAD;
	if (!d->json)
		printf("%-4s  %-12s %s\n", finding_names[f], check, text ? text : "");
	else
		json_array_append_new(
			d->list, json_pack("{s:s, s:s, s:s}", "check", check, "finding",
					 finding_names[f], "text", text ? text : ""));
}
