/* The metadata in an rlib: found wherever it is, and nothing else in the file matters. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cache/rlib.h"
#include "common/fs.h"

static void
begin_archive(struct buf *b)
{
	assert_int_equal(buf_adds(b, "!<arch>\n"), 0);
}

/* size: what its header says of it. */
static void
add_sized(struct buf *b, const char *name, const char *content, const char *size)
{
	assert_int_equal(buf_addf(b, "%-16s%-12s%-6s%-6s%-8s%-10s`\n%s", name, "0", "0", "0", "644",
				 size, content),
		0);
	if (b->n % 2)
		assert_int_equal(buf_adds(b, "\n"), 0);
}

static void
add_member(struct buf *b, const char *name, const char *content)
{
	char size[24];

	snprintf(size, sizeof(size), "%zu", strlen(content));
	add_sized(b, name, content, size);
}

static int
look(const struct buf *b, struct digest *ret)
{
	char path[] = "/tmp/dray-rlib-XXXXXX";
	_cleanup_(closep) int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(fs_write_all(fd, b->p, b->n), 0);
	return rlib_find_metadata(fd, b->n, ret);
}

static void
finds(const struct buf *b, const char *metadata)
{
	struct digest d, expected;

	assert_int_equal(look(b, &d), 0);
	assert_int_equal(digest_bytes(metadata, strlen(metadata), &expected), 0);
	assert_true(digest_eq(&d, &expected));
}

static void
test_wherever_it_is(void **state)
{
	_cleanup_(buf_done) struct buf first = BUF_INIT, last = BUF_INIT;

	(void)state;
	begin_archive(&first);
	add_member(&first, "lib.rmeta/", "odd");
	add_member(&first, "a.o/", "object");
	finds(&first, "odd");
	begin_archive(&last);
	add_member(&last, "/", "symbols");
	add_member(&last, "//", "a-name-of-more-than-fifteen-characters.o/\n");
	add_member(&last, "/0", "odd");
	add_member(&last, "lib.rmeta2/", "not this");
	add_member(&last, "lib.rmeta/", "metadata");
	finds(&last, "metadata");
}

static void
is_none(const struct buf *b)
{
	struct digest d;

	assert_int_equal(look(b, &d), -EBADMSG);
}

static void
test_none(void **state)
{
	static const char *const sizes[] = { "", "x", "4x", "-4", "9999999999", "5", " 4" };
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(buf_adds(&b, "!<thin>\nand so on"), 0);
	is_none(&b);
	b.n = 0;
	begin_archive(&b);
	is_none(&b);
	add_member(&b, "a.o/", "object");
	add_member(&b, "#1/20", "lib.rmeta");
	is_none(&b);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		b.n = 0;
		begin_archive(&b);
		add_sized(&b, "lib.rmeta/", "four", sizes[i]);
		is_none(&b);
	}
	b.n = 0;
	begin_archive(&b);
	add_member(&b, "lib.rmeta/", "metadata");
	for (b.n--; b.n > 0; b.n--)
		is_none(&b);
}

static void
write_rlib(const char *path, const char *metadata, const char *object)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	begin_archive(&b);
	add_member(&b, "lib.rmeta/", metadata);
	add_member(&b, "a.o/", object);
	assert_int_equal(fs_write_atomic(path, b.p, b.n, 0644), 0);
}

static struct digest
digest_now(struct memo *m, const char *path)
{
	struct digest d;

	assert_int_equal(rlib_metadata_digest(m, path, &d), 0);
	return d;
}

static void
test_of_a_file(void **state)
{
	char dir[] = "/tmp/dray-rlib-XXXXXX";
	_cleanup_(freep) char *path = NULL;
	_cleanup_(memo_closep) struct memo *m = NULL;
	struct digest first, d;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = path_join(dir, "liba.rlib");
	assert_non_null(path);
	assert_int_equal(memo_open(dir, &m), 0);
	assert_int_equal(rlib_metadata_digest(m, path, &d), -ENOENT);
	write_rlib(path, "one", "object");
	first = digest_now(m, path);
	for (unsigned i = 0; i < 2; i++) {
		struct memo *memo = i ? NULL : m;

		write_rlib(path, "one", "another object");
		d = digest_now(memo, path);
		assert_true(digest_eq(&d, &first));
		write_rlib(path, "two", "object");
		d = digest_now(memo, path);
		assert_false(digest_eq(&d, &first));
		/* remembered, and still the same */
		write_rlib(path, "one", "object");
		d = digest_now(memo, path);
		assert_true(digest_eq(&d, &first));
	}
	memo_closep(&m);
	assert_int_equal(fs_rm_rf(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wherever_it_is),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_of_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
