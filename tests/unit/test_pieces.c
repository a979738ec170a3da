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

static struct piece
piece_of(uint32_t output, char fill, size_t n)
{
	_cleanup_(freep) char *p = malloc(n);

	assert_non_null(p);
	memset(p, fill, n);
	memcpy(p, fill == 'm' ? "rust" : "obj_", 4);
	return (struct piece){ .output = output, .size = n, .fd = file_of(p, n) };
}

static void
add_member(struct buf *b, const char *name, const struct piece *v, const char *before)
{
	_cleanup_(freep) char *p = malloc(v->size);
	size_t n = strlen(before) + v->size;

	assert_int_equal(pread(v->fd, p, v->size, 0), v->size);
	assert_int_equal(buf_addf(b, "%-16s%-12d%-6d%-6d%-8d%-10zu`\n", name, 0, 0, 0, 644, n), 0);
	assert_int_equal(buf_add(b, before, strlen(before)), 0);
	assert_int_equal(buf_add(b, p, v->size), 0);
	if (n & 1)
		assert_int_equal(buf_add(b, "\n", 1), 0);
}

struct library {
	struct buf b;
	struct pieces p;
	struct piece v[3];
};

/* The metadata, an object that was sent, one that was not, one of another content, one that has
 * become a link's. */
static void
make(struct library *l)
{
	struct piece unknown = piece_of(9, 'u', 300);
	char other[301];

	*l = (struct library){ .b = BUF_INIT };
	l->p.watch = -1;
	l->p.meta = piece_of(0, 'm', 1001);
	l->v[0] = piece_of(1, 'a', 500);
	l->v[1] = piece_of(2, 'b', 301);
	l->v[2] = piece_of(3, 'c', 700);
	l->v[2].taken = true;
	l->p.v = l->v;
	l->p.n = l->p.held = 3;
	assert_int_equal(buf_adds(&l->b, "!<arch>\n"), 0);
	add_member(&l->b, "lib.rmeta/", &l->p.meta,
		"\x7f"
		"ELF and so on");
	add_member(&l->b, "/0", &unknown, "");
	add_member(&l->b, "/10", &l->v[1], "");
	add_member(&l->b, "/20", &l->v[0], "");
	add_member(&l->b, "/30", &l->v[2], "");
	memset(other, 'z', sizeof(other));
	assert_int_equal(pwrite(l->v[1].fd, other, sizeof(other), 0), sizeof(other));
	close(unknown.fd);
}

static void
done(struct library *l)
{
	close(l->p.meta.fd);
	for (size_t i = 0; i < 3; i++)
		close(l->v[i].fd);
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
	assert_int_equal(parts.v[1].from, 0);
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
	struct piece v = { .output = 4, .size = 10, .ino = 7, .modified = { 5, 6 }, .fd = -1 };
	struct job j = { .pieces = { .v = &v, .n = 1 } };
	struct stat st = { .st_size = 10, .st_ino = 7, .st_mtim = { 5, 6 } };

	st.st_mtim.tv_nsec = 7; /* written to since */
	assert_null(pieces_take(&j, &st));
	st.st_mtim.tv_nsec = 6;
	st.st_size = 11;
	assert_null(pieces_take(&j, &st));
	st.st_size = 10;
	st.st_ino = 8;
	assert_null(pieces_take(&j, &st));
	st.st_ino = 7;
	assert_ptr_equal(pieces_take(&j, &st), &v);
	assert_null(pieces_take(&j, &st));
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
