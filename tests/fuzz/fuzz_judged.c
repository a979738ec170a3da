/* The file of what samples have shown: any bytes. What is read is within its bounds, and each field
 * is one. */
#include "config.h"

#include "coordinator/cache/judged.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct judged j = JUDGED_INIT;

	if (judged_parse((const char *)p, n, &j) < 0 || j.n_workers > JUDGED_MAX ||
		j.n_packages > JUDGED_MAX)
		abort();
	for (size_t i = 0; i < j.n_workers; i++) {
		const struct judged_worker *w = &j.workers[i];

		if (strlen(w->curve) != CURVE_KEY_SIZE - 1 || strchr(w->name, ' ') || !*w->why ||
			strchr(w->why, '\n') || judged_find(&j, w->curve) != w)
			abort();
	}
	for (size_t i = 0; i < j.n_packages; i++)
		if (!*j.packages[i].crate || strchr(j.packages[i].crate, ' ') ||
			!*j.packages[i].source || strchr(j.packages[i].source, '\n'))
			abort();
	judged_done(&j);
	return 0;
}
