/* Packs: what goes in comes out, in order; what is cut, changed, too large or of a later form does
 * not. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <zstd.h>

#include "common/fs.h"
#include "store/pack.h"

static int
file_of(const void *p, size_t n)
{
	int fd = memfd_create("test-pack", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, p, n), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static struct digest
digest_for(const char *text)
{
	struct digest d;

	assert_int_equal(digest_bytes(text, strlen(text), &d), 0);
	return d;
}

static void
read_all(int fd, struct buf *ret)
{
	off_t n = lseek(fd, 0, SEEK_END);

	assert_true(n > 0);
	assert_int_equal(buf_reserve(ret, (size_t)n), 0);
	assert_int_equal(fs_read_at(fd, ret->p, (size_t)n, 0), n);
	ret->n = (size_t)n;
}

/* A large blob, an empty one, and an entry. */
static void
make(struct buf *ret)
{
	_cleanup_(pack_writer_freep) struct pack_writer *w = NULL;
	_cleanup_(closep) int fd = memfd_create("test-pack", MFD_CLOEXEC), blob = -1;
	struct pack_item item = { STORE_BLOB, digest_for("large"), 3u << 20 };
	_cleanup_(freep) char *large = malloc(3u << 20);

	assert_true(fd >= 0 && large);
	for (size_t i = 0; i < 3u << 20; i++)
		large[i] = (char)(i * i / 7);
	blob = file_of(large, 3u << 20);
	assert_int_equal(pack_writer_new(fd, &w), 0);
	assert_int_equal(pack_put_fd(w, &item, blob), 0);
	item = (struct pack_item){ STORE_BLOB, digest_for(""), 0 };
	assert_int_equal(pack_put(w, &item, ""), 0);
	item = (struct pack_item){ STORE_ENTRY, digest_for("key"), 5 };
	assert_int_equal(pack_put(w, &item, "entry"), 0);
	assert_int_equal(pack_end(w), 0);
	read_all(fd, ret);
}

static void
test_there_and_back(void **state)
{
	_cleanup_(pack_reader_freep) struct pack_reader *r = NULL;
	_cleanup_(buf_done) struct buf pack = BUF_INIT, got = BUF_INIT;
	_cleanup_(closep) int fd = -1, to = memfd_create("test-pack", MFD_CLOEXEC);
	struct pack_item item;
	struct digest d;

	(void)state;
	make(&pack);
	assert_true(pack.n < 3u << 20);
	fd = file_of(pack.p, pack.n);
	assert_int_equal(pack_reader_new(fd, &r), 0);
	assert_int_equal(pack_next(r, &item), 1);
	assert_int_equal(item.kind, STORE_BLOB);
	d = digest_for("large");
	assert_true(digest_eq(&item.name, &d));
	assert_int_equal(item.size, 3u << 20);
	assert_int_equal(pack_get_fd(r, to), 0);
	read_all(to, &got);
	assert_int_equal(got.n, 3u << 20);
	for (size_t i = 0; i < got.n; i++)
		if (got.p[i] != (uint8_t)(i * i / 7))
			fail_msg("byte %zu", i);
	assert_int_equal(pack_next(r, &item), 1);
	assert_int_equal(item.size, 0);
	assert_int_equal(pack_next(r, &item), 1);
	assert_int_equal(item.kind, STORE_ENTRY);
	buf_done(&got);
	assert_int_equal(pack_get(r, &got), 0);
	assert_string_equal((char *)got.p, "entry");
	assert_int_equal(pack_next(r, &item), 0);
}

/* To its end, or where it is none. *ret: of all that was in it; NULL: that is passed over. */
static int
walk(const void *p, size_t n, struct digest *ret)
{
	_cleanup_(pack_reader_freep) struct pack_reader *r = NULL;
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	_cleanup_(closep) int fd = file_of(p, n);
	struct pack_item item;
	int k = pack_reader_new(fd, &r);

	if (k < 0)
		return k;
	while ((k = pack_next(r, &item)) > 0) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		if (ret && pack_get(r, &b) == 0) {
			hasher_field(h, &item.kind, sizeof(item.kind));
			hasher_field(h, item.name.b, DIGEST_SIZE);
			hasher_field(h, b.p, b.n);
		}
	}
	if (ret)
		hasher_final(h, ret);
	return k;
}

static int
walk_to_end(const void *p, size_t n)
{
	return walk(p, n, NULL);
}

static void
test_damaged(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct digest whole, now;

	(void)state;
	make(&b);
	assert_int_equal(walk(b.p, b.n, &whole), 0);
	for (size_t n = 0; n < b.n; n += n < 64 || n + 64 > b.n ? 1 : b.n / 40)
		assert_int_equal(walk_to_end(b.p, n), -EBADMSG);
	for (size_t i = 0; i < b.n; i += i < 32 || i + 64 > b.n ? 1 : b.n / 40) {
		int k;

		b.p[i] ^= 1;
		k = walk(b.p, b.n, &now);
		/* a bit that fills a byte up is none of the content's */
		if (k != -EBADMSG && !(i == 7 && k == -EPROTONOSUPPORT) &&
			!(k == 0 && digest_eq(&whole, &now)))
			fail_msg("byte %zu: %d", i, k);
		b.p[i] ^= 1;
	}
	/* nor does anything come behind: a byte, a frame without content */
	assert_int_equal(buf_adds(&b, "x"), 0);
	assert_int_equal(walk_to_end(b.p, b.n), -EBADMSG);
	b.n--;
	assert_int_equal(buf_reserve(&b, 64), 0);
	b.n += ZSTD_compress(b.p + b.n, 64, "", 0, 1);
	assert_int_equal(walk_to_end(b.p, b.n), -EBADMSG);
}

/* The same bytes in a frame of zstd. */
static int
walk_items(const void *p, size_t n)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	size_t k;

	assert_int_equal(buf_adds(&b, "draypck1"), 0);
	assert_int_equal(buf_reserve(&b, ZSTD_compressBound(n)), 0);
	k = ZSTD_compress(b.p + b.n, ZSTD_compressBound(n), p, n, 1);
	assert_false(ZSTD_isError(k));
	return walk_to_end(b.p, b.n + k);
}

#define HEAD 41

static void
head(uint8_t *p, char kind, uint64_t size)
{
	memset(p, 0, HEAD);
	p[0] = (uint8_t)kind;
	for (unsigned i = 0; i < 8; i++)
		p[33 + i] = (uint8_t)(size >> (56 - 8 * i));
}

static void
test_odd_items(void **state)
{
	uint8_t b[2 * HEAD + 8] = { 0 };

	(void)state;
	head(b, 'z', 0);
	assert_int_equal(walk_items(b, HEAD), 0);
	assert_int_equal(walk_items(b, HEAD + 1), -EBADMSG);
	assert_int_equal(walk_items(b, HEAD - 1), -EBADMSG);
	head(b, 'z', 1);
	assert_int_equal(walk_items(b, HEAD), -EBADMSG);
	head(b, 'b', 0);
	head(b + HEAD, 'z', 1);
	assert_int_equal(walk_items(b, 2 * HEAD), 0);
	head(b + HEAD, 'z', 0);
	assert_int_equal(walk_items(b, 2 * HEAD), -EBADMSG);
	head(b + HEAD, 'z', 2);
	assert_int_equal(walk_items(b, 2 * HEAD), -EBADMSG);
	head(b + HEAD, 'z', 1);
	head(b, 'x', 0);
	assert_int_equal(walk_items(b, 2 * HEAD), -EBADMSG);
	head(b, 'e', PACK_ENTRY_MAX + 1);
	assert_int_equal(walk_items(b, 2 * HEAD), -EBADMSG);
	head(b, 'b', UINT64_MAX);
	assert_int_equal(walk_items(b, 2 * HEAD), -EBADMSG);
	head(b, 'e', 7);
	assert_int_equal(walk_items(b, 2 * HEAD), -EBADMSG);
}

static void
test_forms(void **state)
{
	(void)state;
	assert_int_equal(walk_to_end("", 0), -EBADMSG);
	assert_int_equal(walk_to_end("draypck", 7), -EBADMSG);
	assert_int_equal(walk_to_end("draypck2and more", 16), -EPROTONOSUPPORT);
	assert_int_equal(walk_to_end("drayent4and more", 16), -EBADMSG);
}

/* What has another length than was said is no pack. */
static void
test_short_blob(void **state)
{
	_cleanup_(pack_writer_freep) struct pack_writer *w = NULL;
	_cleanup_(closep) int fd = memfd_create("test-pack", MFD_CLOEXEC), blob = file_of("abc", 3);
	const struct pack_item item = { STORE_BLOB, digest_for("abcd"), 4 };

	(void)state;
	assert_int_equal(pack_writer_new(fd, &w), 0);
	assert_int_equal(pack_put_fd(w, &item, blob), -ESTALE);
	assert_int_equal(pack_end(w), -ESTALE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_odd_items),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_short_blob),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
