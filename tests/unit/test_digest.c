/* digest: published SHA-256 vectors, fields that cannot run together, hostile hex. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/digest.h"
#include "common/fs.h"

/* FIPS 180-2, appendix B */
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void
check_hex(const struct digest *d, const char *want)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(d, hex);
	assert_string_equal(hex, want);
}

static void
test_vectors(void **state)
{
	struct digest d;

	assert_int_equal(digest_bytes("", 0, &d), 0);
	check_hex(&d, EMPTY);
	assert_int_equal(digest_bytes("abc", 3, &d), 0);
	check_hex(&d, ABC);
}

static void
test_pieces_and_starting_afresh(void **state)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	struct digest d;

	assert_non_null(h);
	for (int round = 0; round < 2; round++) {
		hasher_update(h, "a", 1);
		hasher_update(h, "", 0);
		hasher_update(h, "bc", 2);
		hasher_final(h, &d);
		check_hex(&d, ABC);
	}
	hasher_final(h, &d);
	check_hex(&d, EMPTY);
	hasher_free(NULL);
}

static void
test_fields(void **state)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	struct digest a, b, c;

	hasher_field(h, "ab", 2);
	hasher_field(h, "c", 1);
	hasher_final(h, &a);
	hasher_field(h, "a", 1);
	hasher_field(h, "bc", 2);
	hasher_final(h, &b);
	assert_false(digest_eq(&a, &b));
	/* The encoding itself: keys outlive a release. */
	assert_int_equal(digest_bytes("\0\0\0\0\0\0\0\2ab\0\0\0\0\0\0\0\1c", 19, &c), 0);
	assert_true(digest_eq(&a, &c));
}

static void
test_files(void **state)
{
	_cleanup_(freep) char *dir = NULL;
	_cleanup_(freep) char *path = NULL;
	_cleanup_(freep) char *fifo = NULL;
	_cleanup_(freep) char *text = malloc(1000000);
	_cleanup_(closep) int fd = -1;
	struct digest d;
	uint64_t size = 0;

	memset(text, 'a', 1000000);
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &dir), 0);
	path = path_join(dir, "f");
	fifo = path_join(dir, "fifo");
	assert_int_equal(fs_write_atomic(path, text, 1000000, 0600), 0);
	assert_int_equal(digest_file(path, &d, &size), 0);
	check_hex(&d, MILLION_A);
	assert_int_equal(size, 1000000);
	/* From the offset on. */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(lseek(fd, 1000000, SEEK_SET), 1000000);
	assert_int_equal(digest_fd(fd, &d, NULL), 0);
	check_hex(&d, EMPTY);
	/* None of these may wait, or pass for a file. */
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(digest_file(fifo, &d, NULL), -EINVAL);
	assert_int_equal(digest_file(dir, &d, NULL), -EISDIR);
	assert_int_equal(digest_file("/dev/zero", &d, NULL), -EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(digest_file(path, &d, NULL), -ENOENT);
	assert_int_equal(digest_fd(-1, &d, NULL), -EBADF);
	assert_int_equal(fs_rm_rf(dir), 0);
}

static void
test_parse(void **state)
{
	struct digest d, before;
	char hex[80];

	assert_int_equal(digest_parse(ABC, &d), 0);
	check_hex(&d, ABC);
	before = d;
	for (size_t n = 0; n < 64; n++) {
		_cleanup_(freep) char *cut = strndup(EMPTY, n);

		assert_int_equal(digest_parse(cut, &d), -EINVAL);
	}
	snprintf(hex, sizeof(hex), "%s0", EMPTY);
	assert_int_equal(digest_parse(hex, &d), -EINVAL);
	snprintf(hex, sizeof(hex), "%s", EMPTY);
	for (const char *bad = "ABFgG/:`@ \xff"; *bad; bad++) {
		hex[63] = *bad;
		assert_int_equal(digest_parse(hex, &d), -EINVAL);
	}
	assert_true(digest_eq(&before, &d));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_pieces_and_starting_afresh),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
