/* The metadata in an rlib: found wherever it is, and nothing else in the file matters. */
#include "config.h"

#include <elf.h>
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

/* An object of ELF with the metadata in its section, and another section. */
static void
add_wrapped(struct buf *b, const char *name, const char *metadata, size_t n, size_t more)
{
	static const char names[] = "\0.rmeta\0.shstrtab";
	_cleanup_(buf_done) struct buf o = BUF_INIT;
	char pad[4096] = "", size[24];
	Elf64_Ehdr e = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_shoff = sizeof(e) + n + sizeof(names) + more,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 3,
		.e_shstrndx = 2 };
	Elf64_Shdr s[3] = { { .sh_type = SHT_NULL },
		{ .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = sizeof(e), .sh_size = n },
		{ .sh_name = 8,
			.sh_type = SHT_STRTAB,
			.sh_offset = sizeof(e) + n,
			.sh_size = sizeof(names) } };

	assert_int_equal(buf_add(&o, &e, sizeof(e)), 0);
	assert_int_equal(buf_add(&o, metadata, n), 0);
	assert_int_equal(buf_add(&o, names, sizeof(names)), 0);
	assert_int_equal(buf_add(&o, pad, more), 0);
	assert_int_equal(buf_add(&o, s, sizeof(s)), 0);
	snprintf(size, sizeof(size), "%zu", o.n);
	add_sized(b, name, "", size);
	assert_int_equal(buf_add(b, o.p, o.n), 0);
	if (b->n % 2)
		assert_int_equal(buf_adds(b, "\n"), 0);
}

#define METADATA "rust\0\0\0\012 what a crate says"

static int
agree(const struct buf *b, const char *metadata, size_t n)
{
	_cleanup_(freep) char *dir = NULL, *rlib = NULL, *rmeta = NULL;
	int r;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-rlib-", &dir), 0);
	rlib = path_join(dir, "liba.rlib");
	rmeta = path_join(dir, "liba.rmeta");
	assert_int_equal(fs_write_atomic(rlib, b->p, b->n, 0644), 0);
	assert_int_equal(fs_write_atomic(rmeta, metadata, n, 0644), 0);
	r = rlib_agrees(rlib, rmeta);
	assert_int_equal(fs_rm_rf(dir), 0);
	return r;
}

static void
test_agrees(void **state)
{
	static const char m[] = METADATA, other[] = METADATA "!", begins[] = "rust";
	_cleanup_(buf_done) struct buf b = BUF_INIT, raw = BUF_INIT, two = BUF_INIT;
	char size[24];

	(void)state;
	begin_archive(&b);
	add_wrapped(&b, "lib.rmeta/", m, sizeof(m), 0);
	add_member(&b, "a.o/", "object");
	assert_int_equal(agree(&b, m, sizeof(m)), 0);
	assert_int_equal(agree(&b, m, sizeof(m) - 1), -EBADMSG);
	assert_int_equal(agree(&b, other, sizeof(other)), -EBADMSG);
	assert_int_equal(agree(&b, begins, sizeof(begins)), -EBADMSG);
	/* what is announced lies beside what is read */
	buf_done(&b);
	begin_archive(&b);
	add_wrapped(&b, "lib.rmeta/", m, sizeof(m), 2000);
	assert_int_equal(agree(&b, m, sizeof(m)), -ENOTSUP);
	/* or in a member that is not */
	begin_archive(&two);
	add_wrapped(&two, "lib.rmeta/", other, sizeof(other), 0);
	add_wrapped(&two, "lib.rmeta/", m, sizeof(m), 0);
	assert_int_equal(agree(&two, m, sizeof(m)), -EBADMSG);
	/* as compilers before 1.64 have it, and in an object of another kind */
	snprintf(size, sizeof(size), "%zu", sizeof(m));
	begin_archive(&raw);
	add_sized(&raw, "lib.rmeta/", "", size);
	assert_int_equal(buf_add(&raw, m, sizeof(m)), 0);
	assert_int_equal(agree(&raw, m, sizeof(m)), 0);
	assert_int_equal(agree(&raw, other, sizeof(other)), -ENOTSUP);
	buf_done(&raw);
	snprintf(size, sizeof(size), "%zu", sizeof(m) + 4);
	begin_archive(&raw);
	add_sized(&raw, "lib.rmeta/", "\177obj", size);
	assert_int_equal(buf_add(&raw, m, sizeof(m)), 0);
	assert_int_equal(agree(&raw, m, sizeof(m)), 0);
	/* one before it has its name elsewhere */
	for (unsigned i = 0; i < 2; i++) {
		buf_done(&raw);
		begin_archive(&raw);
		add_member(&raw, "//", "another-name-of-an-object.o/\nlib.rmeta/\n");
		add_member(&raw, i ? "/0" : "/29", "x");
		add_wrapped(&raw, "lib.rmeta/", m, sizeof(m), 0);
		assert_int_equal(agree(&raw, m, sizeof(m)), i ? 0 : -ENOTSUP);
	}
	buf_done(&raw);
	begin_archive(&raw);
	add_member(&raw, "#1/10", "lib.rmeta\nx");
	add_wrapped(&raw, "lib.rmeta/", m, sizeof(m), 0);
	assert_int_equal(agree(&raw, m, sizeof(m)), -ENOTSUP);
	/* none at all */
	buf_done(&raw);
	begin_archive(&raw);
	assert_int_equal(agree(&raw, m, sizeof(m)), -ENOTSUP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wherever_it_is),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_of_a_file),
		cmocka_unit_test(test_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
