/* Metrics as text. Invariant: whatever is in a label's value, a sample is one line of printable
 * ASCII: a reader refuses the whole text for one byte that is no UTF-8. */
#include "config.h"

#include "coordinator/page/expose.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void _printf_(2, 3) add(struct expose *e, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (e->failed == 0)
		e->failed = buf_add(&e->b, text, MIN2((size_t)MAX2(n, 0), sizeof(text) - 1));
}

void
expose_family(struct expose *e, const char *name, enum expose_kind kind, const char *help)
{
	static const char *const kinds[] = { "gauge", "counter", "histogram" };
	/* OpenMetrics names a counter's family without what its sample has behind it */
	const char *end = kind == EXPOSE_COUNTER && !e->open_metrics ? "_total" : "";

	e->name = name;
	e->kind = kind;
	add(e, "# HELP %s%s %s\n", name, end, help);
	add(e, "# TYPE %s%s %s\n", name, end, kinds[kind]);
}

static void
add_value(struct expose *e, const char *value)
{
	for (const char *p = value; *p; p++)
		if (*p == '\\' || *p == '"')
			add(e, "\\%c", *p);
		else
			add(e, "%c", *p >= ' ' && *p < 0x7f ? *p : '?');
}

/* more: of a bucket, its bound; or NULL. */
static void
begin(struct expose *e, const char *end, const char *label, const char *value, const char *more)
{
	add(e, "%s%s", e->name, end);
	if (!label && !more)
		return;
	add(e, "{");
	if (label) {
		add(e, "%s=\"", label);
		add_value(e, value);
		add(e, "\"");
	}
	if (more)
		add(e, "%sle=\"%s\"", label ? "," : "", more);
	add(e, "}");
}

static const char *
suffix(const struct expose *e)
{
	return e->kind == EXPOSE_COUNTER ? "_total" : "";
}

void
expose_count(struct expose *e, const char *label, const char *value, uint64_t n)
{
	begin(e, suffix(e), label, value, NULL);
	add(e, " %" PRIu64 "\n", n);
}

static void
add_us(struct expose *e, uint64_t us)
{
	add(e, " %" PRIu64 ".%06" PRIu64 "\n", us / 1000000, us % 1000000);
}

void
expose_us(struct expose *e, const char *label, const char *value, uint64_t us)
{
	begin(e, suffix(e), label, value, NULL);
	add_us(e, us);
}

void
expose_times(struct expose *e, const char *label, const char *value, const struct tally_times *t)
{
	uint64_t n = 0;
	char bound[32];

	for (size_t i = 0; i < TALLY_BUCKETS; i++) {
		n += t->n[i];
		/* OpenMetrics wants a float's form: 1.0 */
		snprintf(bound, sizeof(bound), tally_bounds_s[i] < 1 ? "%g" : "%.1f",
			tally_bounds_s[i]);
		begin(e, "_bucket", label, value, bound);
		add(e, " %" PRIu64 "\n", n);
	}
	n += t->more;
	begin(e, "_bucket", label, value, "+Inf");
	add(e, " %" PRIu64 "\n", n);
	begin(e, "_sum", label, value, NULL);
	add_us(e, t->sum_us);
	begin(e, "_count", label, value, NULL);
	add(e, " %" PRIu64 "\n", n);
}

void
expose_end(struct expose *e)
{
	if (e->open_metrics)
		add(e, "# EOF\n");
}

const char *
expose_content_type(bool open_metrics)
{
	return open_metrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
			    : "text/plain; version=0.0.4; charset=utf-8";
}
