/* What forbids user namespaces, by the kernel's settings. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/cmd/userns.h"
#include "common/fs.h"

static void
set(const char *root, const char *name, const char *text)
{
	_cleanup_(freep) char *path = path_join(root, name);

	assert_int_equal(fs_mkdir_parent(path, 0700), 0);
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600), 0);
}

static void
test_bans(void **state)
{
	static const char apparmor[] = "proc/sys/kernel/apparmor_restrict_unprivileged_userns";
	static const char debian[] = "proc/sys/kernel/unprivileged_userns_clone";
	static const char most[] = "proc/sys/user/max_user_namespaces";
	_cleanup_(freep) char *root = NULL;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-userns-", &root), 0);
	assert_null(userns_ban(root));
	set(root, apparmor, "0\n");
	set(root, debian, "1\n");
	set(root, most, "95984\n");
	assert_null(userns_ban(root));
	set(root, apparmor, "1\n");
	assert_non_null(strstr(userns_ban(root), "apparmor/dray-bwrap"));
	set(root, apparmor, "rubbish\n");
	assert_null(userns_ban(root));
	set(root, debian, "0\n");
	assert_non_null(strstr(userns_ban(root), "unprivileged_userns_clone"));
	set(root, debian, "");
	set(root, most, "0\n");
	assert_non_null(strstr(userns_ban(root), "max_user_namespaces"));
	fs_rm_rf(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_bans) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
