/* Objects of far places: what was made is read back; what is not whole, not true, too long, or of
 * another name is refused, wherever it is cut or changed, and in pieces of any size. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>
#include <zstd.h>

#include "common/fs.h"
#include "store/incoming.h"
#include "store/outgoing.h"

static const enum object_coding CODINGS[] = { OBJECT_RAW, OBJECT_ZSTD };

static int
file_of(const void *p, size_t n)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, p, n), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void
read_all(int fd, struct buf *ret)
{
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(buf_reserve(ret, (size_t)st.st_size + 1), 0);
	assert_int_equal(read(fd, ret->p, (size_t)st.st_size), st.st_size);
	ret->n = (size_t)st.st_size;
	close(fd);
}

/* The object of a blob, and its head. */
static void
make(enum object_coding coding, const void *p, size_t n, struct buf *ret, struct object_head *head)
{
	struct object o = { .fd = -1 };
	int fd = file_of(p, n);

	assert_int_equal(outgoing_blob(NULL, coding, fd, &o), 0);
	close(fd);
	*head = o.head;
	read_all(steal_fd(&o.fd), ret);
	assert_int_equal(ret->n, o.length);
	assert_true(ret->n <= n + OBJECT_OVERHEAD(n));
}

/* A descriptor or the error, of an object that comes in in pieces of that size. */
static int
take(const struct object_head *h, uint64_t max, const void *p, size_t n, size_t piece,
	uint64_t *ret_size)
{
	_cleanup_(incoming_freep) struct incoming *in = NULL;

	assert_int_equal(incoming_new(NULL, h->kind, &h->name, max, &in), 0);
	for (size_t i = 0; i < n; i += piece) {
		int r = incoming_add(in, (const uint8_t *)p + i, MIN2(piece, n - i));

		assert_int_equal(incoming_error(in), r);
	}
	return incoming_end(in, ret_size);
}

static void
fill(uint8_t *p, size_t n, bool shrinks)
{
	uint64_t x = 88172645463325252ull;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (uint8_t)(shrinks ? x & 1 : x >> 32);
	}
}

static void
test_there_and_back(void **state)
{
	static const size_t sizes[] = { 0, 1, 1000, 131072, 1000000 };
	static const size_t pieces[] = { 1, 95, 96, 97, 65536, 2000000 };

	for (size_t i = 0; i < ARRAY_LEN(sizes) * ARRAY_LEN(CODINGS) * 2; i++) {
		enum object_coding coding = CODINGS[i % 2];
		size_t n = sizes[i / 4];
		_cleanup_(freep) uint8_t *content = malloc(n + 1);
		_cleanup_(buf_done) struct buf object = BUF_INIT;
		struct object_head h;

		fill(content, n, i / 2 % 2);
		make(coding, content, n, &object, &h);
		assert_int_equal(h.size, n);
		if (coding == OBJECT_ZSTD && i / 2 % 2 == 1 && n > 1000)
			assert_true(object.n < n / 2);
		for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
			_cleanup_(buf_done) struct buf back = BUF_INIT;
			uint64_t size = 0;

			if (pieces[k] == 1 && n > 1000)
				continue;
			read_all(take(&h, n, object.p, object.n, pieces[k], &size), &back);
			assert_int_equal(size, n);
			assert_int_equal(back.n, n);
			assert_memory_equal(back.p, content, n);
		}
	}
}

/* Any tool reads it: the head is a frame that zstd skips. */
static void
test_is_a_zstd_file(void **state)
{
	_cleanup_(buf_done) struct buf object = BUF_INIT;
	struct object_head h;
	char out[64];

	make(OBJECT_ZSTD, "some content", 12, &object, &h);
	assert_int_equal(ZSTD_decompress(out, sizeof(out), object.p, object.n), 12);
	assert_memory_equal(out, "some content", 12);
}

static void
test_entry(void **state)
{
	struct object_head other;
	struct digest key;
	struct object o = { .fd = -1 };
	_cleanup_(buf_done) struct buf object = BUF_INIT;

	assert_int_equal(digest_bytes("key", 3, &key), 0);
	assert_int_equal(outgoing_entry(NULL, OBJECT_ZSTD, &key, "an entry", 8, &o), 0);
	read_all(steal_fd(&o.fd), &object);
	other = o.head;
	assert_true(digest_eq(&other.name, &key));
	close(take(&other, 8, object.p, object.n, 4096, NULL));
	/* swapped: it is under another key, or is to be a blob */
	other.name.b[31] ^= 1;
	assert_int_equal(take(&other, 8, object.p, object.n, 4096, NULL), -EBADMSG);
	other = o.head;
	other.kind = STORE_BLOB;
	assert_int_equal(take(&other, 8, object.p, object.n, 4096, NULL), -EBADMSG);
}

static void
test_bounds(void **state)
{
	_cleanup_(buf_done) struct buf object = BUF_INIT;
	struct object_head h;

	for (size_t i = 0; i < ARRAY_LEN(CODINGS); i++) {
		object.n = 0;
		make(CODINGS[i], "12345", 5, &object, &h);
		assert_int_equal(take(&h, 4, object.p, object.n, 4096, NULL), -EFBIG);
		close(take(&h, 5, object.p, object.n, 4096, NULL));
	}
}

/* Cut anywhere, or with anything behind it. */
static void
test_cut(void **state)
{
	uint8_t content[300];

	fill(content, sizeof(content), true);
	for (size_t i = 0; i < ARRAY_LEN(CODINGS); i++) {
		_cleanup_(buf_done) struct buf object = BUF_INIT;
		struct object_head h;

		make(CODINGS[i], content, sizeof(content), &object, &h);
		for (size_t n = 0; n < object.n; n++)
			assert_int_equal(take(&h, 300, object.p, n, 50, NULL), -EBADMSG);
		assert_int_equal(buf_add(&object, "x", 1), 0);
		assert_int_equal(take(&h, 300, object.p, object.n, 50, NULL), -EBADMSG);
		assert_int_equal(take(&h, 300, object.p, object.n, 4096, NULL), -EBADMSG);
	}
}

/* A bit that is wrong anywhere: never other content. What zstd has no use for may be changed. */
static void
test_changed(void **state)
{
	uint8_t content[300];

	fill(content, sizeof(content), true);
	for (size_t i = 0; i < ARRAY_LEN(CODINGS); i++) {
		_cleanup_(buf_done) struct buf object = BUF_INIT;
		struct object_head h;
		size_t taken = 0;

		make(CODINGS[i], content, sizeof(content), &object, &h);
		for (size_t bit = 0; bit < 8 * object.n; bit++) {
			_cleanup_(buf_done) struct buf back = BUF_INIT;
			int fd;

			object.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			fd = take(&h, 1000000, object.p, object.n, 4096, NULL);
			object.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			if (fd < 0) {
				assert_true(fd == -EBADMSG || fd == -EFBIG);
				continue;
			}
			taken++;
			assert_true(bit / 8 >= OBJECT_HEAD_SIZE && CODINGS[i] == OBJECT_ZSTD);
			read_all(fd, &back);
			assert_int_equal(back.n, sizeof(content));
			assert_memory_equal(back.p, content, sizeof(content));
		}
		assert_true(taken < 16);
	}
}

static void
put_head(struct buf *b, const struct object_head *h)
{
	uint8_t head[OBJECT_HEAD_SIZE];

	object_head_write(h, head);
	b->n = 0;
	assert_int_equal(buf_add(b, head, sizeof(head)), 0);
}

/* A small object whose content is large, says little, and has the right digest; one without end;
 * one that asks for much memory. */
static void
test_bombs(void **state)
{
	const size_t n = 64 << 20;
	_cleanup_(freep) uint8_t *zeros = calloc(1, n);
	_cleanup_(freep) uint8_t *frame = malloc(ZSTD_compressBound(n));
	_cleanup_(buf_done) struct buf object = BUF_INIT;
	_cleanup_(incoming_freep) struct incoming *in = NULL;
	struct object_head h = { .kind = STORE_BLOB, .coding = OBJECT_ZSTD, .size = 1000 };
	static const uint8_t begin[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00 };
	static const uint8_t empty[] = { 0x00, 0x00, 0x00 };
	static const uint8_t wide[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x01, 0x00, 0x00 };
	size_t k = ZSTD_compress(frame, ZSTD_compressBound(n), zeros, n, 1);
	int r = 0;

	assert_int_equal(digest_bytes(zeros, n, &h.content), 0);
	h.name = h.content;
	put_head(&object, &h);
	assert_int_equal(buf_add(&object, frame, k), 0);
	assert_int_equal(take(&h, 1000, object.p, object.n, 65536, NULL), -EBADMSG);
	h.size = n;
	put_head(&object, &h);
	assert_int_equal(buf_add(&object, frame, k), 0);
	close(take(&h, n, object.p, object.n, 65536, NULL));

	h.size = 10;
	put_head(&object, &h);
	assert_int_equal(incoming_new(NULL, h.kind, &h.name, 10, &in), 0);
	assert_int_equal(incoming_add(in, object.p, object.n), 0);
	assert_int_equal(incoming_add(in, begin, sizeof(begin)), 0);
	for (k = 0; r == 0 && k < 100000; k++)
		r = incoming_add(in, empty, sizeof(empty));
	assert_int_equal(r, -EBADMSG);
	assert_true(k < 1000);

	/* a window of 128 MiB */
	assert_int_equal(buf_add(&object, wide, sizeof(wide)), 0);
	assert_int_equal(take(&h, 10, object.p, object.n, 4096, NULL), -EBADMSG);
}

static void
test_restart(void **state)
{
	_cleanup_(incoming_freep) struct incoming *in = NULL;
	_cleanup_(buf_done) struct buf object = BUF_INIT, back = BUF_INIT;
	struct object_head h;
	uint64_t size;

	make(OBJECT_ZSTD, "again and again", 15, &object, &h);
	assert_int_equal(incoming_new(NULL, h.kind, &h.name, 15, &in), 0);
	for (size_t n = 0; n < object.n; n++) {
		incoming_add(in, object.p, n);
		assert_int_equal(incoming_restart(in), 0);
	}
	incoming_add(in,
		"rubbish that is longer than a head, and longer still, until it is ninety-six "
		"bytes and has to be wrong",
		100);
	assert_int_equal(incoming_error(in), -EBADMSG);
	assert_int_equal(incoming_restart(in), 0);
	assert_int_equal(incoming_add(in, object.p, object.n), 0);
	read_all(incoming_end(in, &size), &back);
	assert_int_equal(size, 15);
	assert_memory_equal(back.p, "again and again", 15);
	/* it was given once */
	assert_int_equal(incoming_end(in, NULL), -EBADF);
}

/* A disk of ours that is full is no fault of the object's. */
static void
test_no_room(void **state)
{
	_cleanup_(buf_done) struct buf object = BUF_INIT;
	_cleanup_(freep) uint8_t *content = calloc(1, 100000);
	struct object o = { .fd = -1 };
	struct rlimit old, small;
	struct object_head h;
	int fd = file_of(content, 100000), fd2, r;

	make(OBJECT_ZSTD, content, 100000, &object, &h);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 50000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	fd2 = take(&h, 100000, object.p, object.n, 4096, NULL);
	r = outgoing_blob(NULL, OBJECT_RAW, fd, &o);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(fd2, -EFBIG);
	assert_int_equal(r, -EFBIG);
	assert_int_equal(o.fd, -1);
	close(fd);
}

static void
test_temp(void **state)
{
	_cleanup_(freep) char *dir = NULL, *path = NULL;
	char proc[64];
	int fd;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &dir), 0);
	fd = object_temp(dir);
	assert_true(fd >= 0);
	assert_int_equal(rmdir(dir), 0); /* it has no name there */
	close(fd);
	assert_int_equal(object_temp(dir), -ENOENT);
	assert_int_equal(mkdir(dir, 0700), 0);
	fd = object_temp(dir);
	path = path_join(dir, "named");
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	assert_int_equal(linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW), 0);
	close(fd);
	assert_int_equal(fs_rm_rf(dir), 0);
}

static void
test_path(void **state)
{
	char path[OBJECT_PATH_SIZE];
	struct digest d;

	memset(d.b, 0xab, sizeof(d.b));
	object_path(STORE_ENTRY, &d, path);
	assert_int_equal(strlen(path), strlen("v1/entries/ab/") + 64);
	assert_true(starts_with(path, "v1/entries/ab/abab"));
	object_path(STORE_BLOB, &d, path);
	assert_true(starts_with(path, "v1/blobs/ab/abab"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_is_a_zstd_file),
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_temp),
		cmocka_unit_test(test_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
