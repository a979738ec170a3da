/* Lines of a configuration file are set, and nothing else of it changes. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/conf/conf.h"
#include "common/conf/edit.h"

static void
becomes(const char *text, const char *section, const char *key, const char *value, const char *to)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(conf_edit_set(text, strlen(text), section, key, value, &b), 0);
	assert_string_equal((const char *)b.p, to);
}

static void
test_places(void **state)
{
	(void)state;
	becomes("", "client", "identity", "/a", "[client]\nidentity = /a\n");
	becomes("[client]\n", "client", "identity", "/a", "[client]\nidentity = /a\n");
	becomes("[client]", "client", "identity", "/a", "[client]\nidentity = /a\n");
	/* in the line that is there: its comment, and others' lines, stay */
	becomes("# mine\n[client]\n  identity=/old ; why\ncache = off\n", "client", "identity",
		"/a", "# mine\n[client]\n  identity = /a ; why\ncache = off\n");
	becomes("[client]\nidentity : /old", "client", "identity", "/a", "[client]\nidentity = /a");
	becomes("[client]\r\nidentity = /old\r\n", "client", "identity", "/a",
		"[client]\r\nidentity = /a\r\n");
	/* below what the section has, and not in another one */
	becomes("[client]\ncache = off\n\n[worker]\nidentity = /w\n", "client", "identity", "/a",
		"[client]\ncache = off\nidentity = /a\n\n[worker]\nidentity = /w\n");
	becomes("[worker]\nidentity = /w\n", "client", "identity", "/a",
		"[worker]\nidentity = /w\n\n[client]\nidentity = /a\n");
	becomes("[worker]\nslots = 2", "client", "identity", "/a",
		"[worker]\nslots = 2\n\n[client]\nidentity = /a\n");
	/* the last one counts */
	becomes("[client]\nidentity = /1\nidentity = /2\n[worker]\n[client]\nidentity = /3\n",
		"client", "identity", "/a",
		"[client]\nidentity = /1\nidentity = /2\n[worker]\n[client]\nidentity = /a\n");
	/* no other key, and no comment, is taken for it */
	becomes("[client]\n# identity = /x\n;identity = /x\nidentity_x = 1\n", "client", "identity",
		"/a", "[client]\n# identity = /x\n;identity = /x\nidentity_x = 1\nidentity = /a\n");
}

static void
test_values(void **state)
{
	static const char *const bad[] = { "", " a", "a ", "a\nb", "a\x7f", "a ;b", ";a", "\"a\"" };
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(conf_edit_set("", 0, "client", "identity", bad[i], &b), -EINVAL);
	assert_int_equal(b.n, 0);
}

/* What is written is read so. */
static void
test_read(void **state)
{
	static const char *const texts[] = { "", "[client]\nidentity = /old\n",
		"[worker]\nidentity = /w\n[client]\n\tidentity=/old;x\n\n\n[coordinator]\n",
		"; only a comment", "[client]\nidentity = /1\n[client]\ncache = off" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		_cleanup_(conf_freep) struct conf *c = NULL;
		_cleanup_(freep) char *error = NULL;

		assert_int_equal(conf_edit_set(texts[i], strlen(texts[i]), "client", "identity",
					 "/home/a b/id#1", &b),
			0);
		if (conf_parse((const char *)b.p, b.n, "test", &c, &error) < 0)
			fail_msg("%s", error);
		assert_string_equal(c->client.identity, "/home/a b/id#1");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
