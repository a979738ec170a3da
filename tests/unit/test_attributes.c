/* worker/job/attributes.c: two clients' words of one file, and what hides beside them. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "worker/job/attributes.h"

/* As it lies in a job after its message has gone (twin.c, lead.c): a copy of the struct. beside: of
 * a field that this version does not know, so many bytes. */
static Dray__FileTimes
heard(const Dray__FileTimes *said, size_t beside)
{
	uint8_t p[2048];
	size_t n = dray__file_times__pack(said, p);
	Dray__FileTimes *m, copy;

	if (beside > 0) {
		/* number 99, of bytes */
		p[n++] = 0x9a;
		p[n++] = 0x06;
		p[n++] = (uint8_t)(0x80 | (beside & 0x7f));
		p[n++] = (uint8_t)(beside >> 7);
		memset(p + n, 'x', beside);
		n += beside;
	}
	m = dray__file_times__unpack(NULL, n, p);
	assert_non_null(m);
	assert_int_equal(m->base.n_unknown_fields, beside > 0);
	copy = *m;
	dray__file_times__free_unpacked(m, NULL);
	return copy;
}

static void
by_all_fields(void **state)
{
	Dray__FileTimes a = DRAY__FILE_TIMES__INIT, b;

	(void)state;
	a.modified = -7;
	a.mode = 0100644;
	a.size = 5;
	b = a;
	assert_true(attributes_are_same(&a, &b));
	b.mode = 0100645;
	assert_false(attributes_are_same(&a, &b));
	b = a;
	b.link = true;
	assert_false(attributes_are_same(&a, &b));
	b = a;
	b.blocks = 1;
	assert_false(attributes_are_same(&a, &b));
	/* all of them, at their largest */
	b = (Dray__FileTimes)DRAY__FILE_TIMES__INIT;
	b.modified = b.created = b.changed = b.accessed = INT64_MIN;
	b.mode = b.uid = b.gid = UINT32_MAX;
	b.link = b.behind = true;
	b.device = b.inode = b.links = b.blocks = b.size = UINT64_MAX;
	a = b;
	assert_true(attributes_are_same(&a, &b));
}

/* What was beside them was freed with their messages: a comparison that reads it is a use after
 * free, and one that counts it calls equal ones different. */
static void
unknown_fields_do_not_count(void **state)
{
	static const size_t beside[] = { 0, 1, 100, 1500 };
	Dray__FileTimes said = DRAY__FILE_TIMES__INIT, other;

	(void)state;
	said.modified = 1000;
	said.size = 3;
	other = said;
	other.size = 4;
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++)
		for (size_t k = 0; k < sizeof(beside) / sizeof(beside[0]); k++) {
			Dray__FileTimes a = heard(&said, beside[i]), b = heard(&said, beside[k]);
			Dray__FileTimes c = heard(&other, beside[k]);

			assert_true(attributes_are_same(&a, &b));
			assert_false(attributes_are_same(&a, &c));
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_all_fields),
		cmocka_unit_test(unknown_fields_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
