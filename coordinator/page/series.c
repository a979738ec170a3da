#include "config.h"

#include "coordinator/page/series.h"

void
series_add(struct series *s, const struct series_point *p)
{
	const struct series_point *last = &s->minutes[(s->n_minutes - 1) % SERIES_MINUTES];

	s->seconds[s->n_seconds++ % SERIES_SECONDS] = *p;
	/* the clock may have been set back */
	if (s->n_minutes == 0 || p->at_ms < last->at_ms ||
		p->at_ms - last->at_ms >= SERIES_MINUTE_MS)
		s->minutes[s->n_minutes++ % SERIES_MINUTES] = *p;
}
