/* pieces_in: what of a library was sent before; a file that is no archive has nothing of it. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "worker/job/job_priv.h"

static int
file_of(const void *p, size_t n)
{
	int fd = memfd_create("piece", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, n, 0), n);
	return fd;
}

static char *
content_of(char fill, size_t n)
{
	char *p = malloc(n);

	assert_non_null(p);
	memset(p, fill, n);
	memcpy(p, fill == 'm' ? "rust" : "obj_", 4);
	return p;
}

static struct piece
piece_of(uint32_t output, char fill, size_t n)
{
	_cleanup_(freep) char *p = content_of(fill, n);
	struct piece v = { .output = output, .size = n };

	memcpy(v.head, p, sizeof(v.head));
	assert_int_equal(digest_bytes(p, n, &v.digest), 0);
	return v;
}

static void
add_member(struct buf *b, const char *name, char fill, size_t size, const char *before)
{
	_cleanup_(freep) char *p = content_of(fill, size);
	size_t n = strlen(before) + size;

	assert_int_equal(buf_addf(b, "%-16s%-12d%-6d%-6d%-8d%-10zu`\n", name, 0, 0, 0, 644, n), 0);
	assert_int_equal(buf_add(b, before, strlen(before)), 0);
	assert_int_equal(buf_add(b, p, size), 0);
	if (n & 1)
		assert_int_equal(buf_add(b, "\n", 1), 0);
}

struct library {
	struct buf b;
	struct pieces p;
	struct piece v[3];
};

/* The metadata, an object that was sent, one that was not, one that begins as what was sent and
 * goes on otherwise, one that has become a link's. */
static void
make(struct library *l)
{
	*l = (struct library){ .b = BUF_INIT };
	l->p.watch = -1;
	l->p.meta = piece_of(0, 'm', 1001);
	l->v[0] = piece_of(1, 'a', 500);
	l->v[1] = piece_of(2, 'b', 301);
	l->v[2] = piece_of(3, 'c', 700);
	l->v[2].taken = true;
	l->p.v = l->v;
	l->p.n = 3;
	assert_int_equal(buf_adds(&l->b, "!<arch>\n"), 0);
	add_member(&l->b, "lib.rmeta/", 'm', 1001,
		"\x7f"
		"ELF and so on");
	add_member(&l->b, "/0", 'u', 300, "");
	add_member(&l->b, "/10", 'b', 301, "");
	l->b.p[l->b.n - 2] = 'z'; /* its last one; what follows makes the size even */
	add_member(&l->b, "/20", 'a', 500, "");
	add_member(&l->b, "/30", 'c', 700, "");
}

static void
done(struct library *l)
{
	buf_done(&l->b);
}

static void
look(struct library *l, size_t n, struct parts *ret)
{
	int fd = file_of(l->b.p, n);

	pieces_in(&l->p, fd, n, ret);
	close(fd);
}

static void
test_parts(void **state)
{
	struct library l;
	struct parts parts;
	const uint8_t *meta, *object;

	make(&l);
	look(&l, l.b.n, &parts);
	meta = memmem(l.b.p, l.b.n, "rust", 4);
	object = memmem(l.b.p, l.b.n, "obj_aaaa", 8);
	assert_int_equal(parts.n, 2);
	assert_int_equal(parts.v[0].output, 0);
	assert_int_equal(parts.v[0].at, meta - l.b.p);
	assert_int_equal(parts.v[0].n, 1001);
	assert_int_equal(parts.v[1].output, 1);
	assert_int_equal(parts.v[1].at, object - l.b.p);
	assert_int_equal(parts.v[1].n, 500);
	done(&l);
}

/* Cut off anywhere, or with any byte of its headers another one: parts are within the file. */
static void
test_malformed(void **state)
{
	struct library l;
	struct parts parts;

	make(&l);
	for (size_t n = 0; n < l.b.n; n += n < 100 ? 1 : 37) {
		look(&l, n, &parts);
		for (size_t i = 0; i < parts.n; i++)
			assert_true(parts.v[i].at + parts.v[i].n <= n);
	}
	for (size_t i = 0; i < 68; i++) {
		uint8_t was = l.b.p[i];

		for (unsigned k = 0; k < 256; k += 15) {
			l.b.p[i] = (uint8_t)k;
			look(&l, l.b.n, &parts);
			for (size_t at = 0; at < parts.n; at++)
				assert_true(parts.v[at].at + parts.v[at].n <= l.b.n);
		}
		l.b.p[i] = was;
	}
	done(&l);
}

static void
test_a_file_is_its_piece_once(void **state)
{
	struct piece v = { .output = 4, .size = 10, .name = "a.o", .ino = 7, .modified = { 5, 6 } };
	struct job j = { .pieces = { .v = &v, .n = 1 } };
	struct stat st = { .st_size = 10, .st_ino = 7, .st_mtim = { 5, 6 } };

	st.st_mtim.tv_nsec = 7; /* written to since */
	assert_null(pieces_take(&j, "a.o", &st));
	st.st_mtim.tv_nsec = 6;
	st.st_size = 11;
	assert_null(pieces_take(&j, "a.o", &st));
	st.st_size = 10;
	st.st_ino = 8;
	assert_null(pieces_take(&j, "a.o", &st));
	st.st_ino = 7;
	assert_null(pieces_take(&j, "b.o", &st)); /* one made in its place */
	assert_ptr_equal(pieces_take(&j, "a.o", &st), &v);
	assert_null(pieces_take(&j, "a.o", &st));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_a_file_is_its_piece_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
