/* The hash table: what is in it is found, what is not is not, also where hashes are equal. */
#include "config.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/table.h"

struct item {
	struct table_node node;
	int key;
};

static struct item *
find(const struct table *t, uint64_t hash, int key)
{
	struct table_node *n = table_find(t, hash);

	for (; n; n = table_find_next(n))
		if (table_entry(n, struct item, node)->key == key)
			return table_entry(n, struct item, node);
	return NULL;
}

static void
test_an_empty_one_of_zeros(void **state)
{
	struct table t = { .n = 0 };

	(void)state;
	assert_null(table_find(&t, 1));
	assert_null(table_walk(&t, NULL));
	table_done(&t);
}

static void
test_many_with_few_hashes(void **state)
{
	static struct item v[1000];
	struct table t;
	struct table_node *n, *next;
	int seen = 0;

	(void)state;
	assert_int_equal(table_init(&t), 0);
	for (int i = 0; i < 1000; i++) {
		v[i].key = i;
		table_put(&t, &v[i].node, (uint64_t)(i % 7) << 40);
	}
	for (int i = 0; i < 1000; i++)
		assert_ptr_equal(find(&t, (uint64_t)(i % 7) << 40, i), &v[i]);
	assert_null(find(&t, UINT64_C(8) << 40, 1));
	for (int i = 0; i < 1000; i += 2)
		table_del(&t, &v[i].node);
	assert_int_equal(t.n, 500);
	for (int i = 0; i < 1000; i++)
		assert_ptr_equal(find(&t, (uint64_t)(i % 7) << 40, i), i % 2 ? &v[i] : NULL);
	for (n = table_walk(&t, NULL); n; n = next) {
		next = table_walk(&t, n);
		table_del(&t, n);
		seen++;
	}
	assert_int_equal(seen, 500);
	assert_int_equal(t.n, 0);
	table_done(&t);
}

static void
test_a_secret_decides_the_hash(void **state)
{
	const uint8_t a[TABLE_KEY_SIZE] = { 1 }, b[TABLE_KEY_SIZE] = { 2 };

	(void)state;
	assert_true(table_hash(a, "x", 1) == table_hash(a, "x", 1));
	assert_true(table_hash(a, "x", 1) != table_hash(b, "x", 1));
	assert_true(table_hash(a, "12345678", 8) != table_hash(a, "123456789", 9));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_one_of_zeros),
		cmocka_unit_test(test_many_with_few_hashes),
		cmocka_unit_test(test_a_secret_decides_the_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
