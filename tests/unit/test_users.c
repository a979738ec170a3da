#include "config.h"

#include <errno.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/users.h"

static void
test_root(void **state)
{
	_cleanup_(freep) char *name = NULL, *home = NULL;
	const struct passwd *root = getpwuid(0);

	(void)state;
	assert_non_null(root);
	assert_int_equal(users_find(0, &name, &home), 0);
	assert_string_equal(name, root->pw_name);
	assert_string_equal(home, root->pw_dir);
}

static void
test_nobody_known(void **state)
{
	char *name = NULL, *home = NULL;
	uid_t uid = 4123456;

	(void)state;
	while (getpwuid(uid))
		uid++;
	assert_int_equal(users_find(uid, &name, &home), -ENOENT);
	assert_null(name);
	assert_null(home);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_root),
		cmocka_unit_test(test_nobody_known) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
