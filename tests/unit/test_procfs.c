/* Whose /proc it is, by what it says of a process. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "common/process/procfs.h"

static void
test_says(void **state)
{
	static const struct {
		long pid;
		const char *self, *status;
		bool ours;
	} rows[] = {
		{ 7, "7", "Name:\tx\nNSpid:\t7\nNSsid:\t1\n", true },
		/* it is 4711 there, and 7 here */
		{ 7, "4711", "Name:\tx\nNSpid:\t4711\t7\n", false },
		/* by chance the same number in both */
		{ 7, "7", "Name:\tx\nNSpid:\t7\t7\n", false },
		{ 7, "77", "Name:\tx\nNSpid:\t77\n", false },
		{ 7, "7", "Name:\tx\nNSpid:\t71\n", false },
		{ 7, "7", "Name:\tx\n", false },
		{ 7, "7", "", false },
		{ 7, "7", NULL, false },
		{ 7, "", "Name:\tx\nNSpid:\t7\n", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (procfs_says(rows[i].pid, rows[i].self, rows[i].status) != rows[i].ours)
			fail_msg("row %zu", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_says) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
