/* outputs: only what was verified is placed, whole, under a name of the unit's. say and relay:
 * nothing is said before it is written down and in its place. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "client/dispatch/outputs.h"
#include "client/dispatch/say.h"
#include "client/dispatch/unit.h"
#include "client/link/link_check.h"
#include "common/fs.h"
#include "proto/alias.h"

static char *dir, *staging;
static struct rustc_call call; /* a library, and one that is linked */
static struct outputs *o;
static struct memo *memo;

static char *
at(const char *name)
{
	char *p = path_join(dir, name);

	assert_non_null(p);
	return p;
}

static struct outputs *
open_outputs(unsigned try, uint64_t max)
{
	struct outputs_in in = { .out_dir = dir,
		.staging = staging,
		.call = &call,
		.try = try,
		.umask = 022,
		.max_bytes = max,
		.memo = memo };
	struct outputs *ret = NULL;

	assert_int_equal(outputs_new(&in, &ret), 0);
	return ret;
}

/* argv: one word each, with blanks between. */
static void
parse(const char *words, struct rustc_call *ret)
{
	static char copy[400];
	static char *argv[32];
	char *rest = copy;
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", words);
	while (n < ARRAY_LEN(argv) - 1 && (argv[n] = strsep(&rest, " ")))
		n++;
	argv[n] = NULL;
	assert_int_equal(call_parse(argv, ret), 0);
}

static int
set_up(void **state)
{
	parse("rustc --crate-name foo --crate-type lib --crate-type cdylib "
	      "--emit=dep-info,metadata,link -Cextra-filename=-1a --out-dir /o x.rs",
		&call);
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-outputs-", &dir), 0);
	assert_int_equal(fs_make_temp_dir(dir, ".dray-", &staging), 0);
	o = open_outputs(0, 0);
	return 0;
}

static int
tear_down(void **state)
{
	outputs_freep(&o);
	call_done(&call);
	fs_rm_rf(dir);
	free(dir);
	free(staging);
	return 0;
}

static unsigned mode = 0644; /* as the worker says */

static int
begin(uint32_t number, const char *name, Dray__OutputKind kind, const char *content, uint64_t size)
{
	Dray__OutputBegin m;
	struct digest d;
	char copy[400];

	snprintf(copy, sizeof(copy), "%s", name);
	assert_int_equal(digest_bytes(content, strlen(content), &d), 0);
	dray__output_begin__init(&m);
	m.output = number;
	m.name = copy;
	m.kind = kind;
	m.size = size;
	m.digest.data = d.b;
	m.digest.len = DIGEST_SIZE;
	m.mode = mode;
	return outputs_begin(o, &m);
}

static int
chunk(uint32_t number, uint64_t offset, const char *p, bool last)
{
	Dray__OutputChunk m;

	dray__output_chunk__init(&m);
	m.output = number;
	m.offset = offset;
	m.last = last;
	return outputs_chunk(o, &m, p, strlen(p));
}

static void
receive(uint32_t number, const char *name, Dray__OutputKind kind, const char *content)
{
	assert_int_equal(begin(number, name, kind, content, strlen(content)), 0);
	assert_int_equal(chunk(number, 0, content, true), 0);
}

#define FILE_KIND DRAY__OUTPUT_KIND__OUTPUT_FILE
#define LINK_KIND DRAY__OUTPUT_KIND__OUTPUT_LINK_INPUT

static void
expect_text(const char *name, const char *text)
{
	_cleanup_(freep) char *p = at(name);
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(fs_read_file(p, 1 << 20, &b), 0);
	assert_int_equal(b.n, strlen(text));
	assert_memory_equal(b.p, text, b.n);
}

static bool
there(const char *name)
{
	_cleanup_(freep) char *p = at(name);

	return fs_exists(p);
}

/* ---- pieces */

#define PIECE_KIND DRAY__OUTPUT_KIND__OUTPUT_PIECE

static int
begin_late(uint32_t number, const char *name, Dray__OutputKind kind, uint64_t size)
{
	Dray__OutputBegin m = DRAY__OUTPUT_BEGIN__INIT;

	m.output = number;
	m.name = (char *)name;
	m.kind = kind;
	m.size = size;
	m.mode = 0644;
	return outputs_begin(o, &m);
}

/* same: the number plus one of a piece. */
static int
begin_same(uint32_t number, const char *name, Dray__OutputKind kind, const char *content,
	uint32_t same)
{
	Dray__OutputBegin m = DRAY__OUTPUT_BEGIN__INIT;
	struct digest d;

	assert_int_equal(digest_bytes(content, strlen(content), &d), 0);
	m.output = number;
	m.name = (char *)name;
	m.kind = kind;
	m.size = strlen(content);
	m.digest.data = d.b;
	m.digest.len = DIGEST_SIZE;
	m.mode = 0644;
	m.same = same;
	return outputs_begin(o, &m);
}

/* whole: what the digest is of, in the last chunk. */
static int
chunk_late(uint32_t number, uint64_t at, const char *p, const char *whole)
{
	Dray__OutputChunk m = DRAY__OUTPUT_CHUNK__INIT;
	struct digest d;

	m.output = number;
	m.offset = at;
	m.size = (uint32_t)strlen(p);
	m.last = whole != NULL;
	if (whole) {
		assert_int_equal(digest_bytes(whole, strlen(whole), &d), 0);
		m.digest.data = d.b;
		m.digest.len = DIGEST_SIZE;
	}
	return outputs_chunk(o, &m, p, strlen(p));
}

static int
chunk_from(uint32_t number, uint64_t at, uint32_t from, uint64_t from_at, uint32_t n,
	const char *payload)
{
	Dray__OutputChunk m = DRAY__OUTPUT_CHUNK__INIT;

	m.output = number;
	m.offset = at;
	m.from = from;
	m.from_offset = from_at;
	m.size = n;
	return outputs_chunk(o, &m, payload, strlen(payload));
}

static void
receive_piece(uint32_t number, const char *content)
{
	assert_int_equal(begin_late(number, "", PIECE_KIND, strlen(content)), 0);
	assert_int_equal(chunk_late(number, 0, content, content), 0);
}

static void
test_late_digest(void **state)
{
	assert_int_equal(begin_late(0, "foo-1a.d", FILE_KIND, 5), 0);
	assert_int_equal(outputs_settle(o), -EBADMSG);
	assert_int_equal(chunk_late(0, 0, "right", "right"), 0);
	/* none at all */
	assert_int_equal(begin_late(1, "libfoo-1a.rmeta", FILE_KIND, 1), 0);
	assert_int_equal(chunk(1, 0, "x", true), -EBADMSG);
	outputs_freep(&o);
	o = open_outputs(1, 0);
	assert_int_equal(begin_late(0, "foo-1a.d", FILE_KIND, 5), 0);
	assert_int_equal(chunk_late(0, 0, "right", "wrong"), -EBADMSG);
	assert_int_equal(outputs_place(o, "foo-1a.d"), -EBADMSG);
	outputs_freep(&o);
	o = open_outputs(2, 0);
	/* two */
	assert_int_equal(begin(0, "foo-1a.d", FILE_KIND, "right", 5), 0);
	assert_int_equal(chunk_late(0, 0, "right", "right"), -EBADMSG);
	outputs_freep(&o);
	o = open_outputs(3, 0);
	/* an empty one has a chunk */
	assert_int_equal(begin_late(0, "foo-1a.d", FILE_KIND, 0), 0);
	assert_int_equal(chunk_late(0, 0, "", ""), 0);
	assert_int_equal(begin_late(1, "libfoo-1a.rmeta", FILE_KIND, 0), 0);
	assert_int_equal(outputs_settle(o), -EBADMSG);
}

static void
test_made_of_pieces(void **state)
{
	_cleanup_(strv_done) struct strv paths = STRV_INIT;

	receive(0, "libfoo-1a.rmeta", FILE_KIND, "metadata");
	receive_piece(1, "object");
	assert_int_equal(outputs_place(o, "libfoo-1a.rmeta"), 0);
	assert_int_equal(begin_late(2, "libfoo-1a.rlib", FILE_KIND, 18), 0);
	assert_int_equal(chunk_late(2, 0, "<", NULL), 0);
	assert_int_equal(chunk_from(2, 1, 1, 0, 8, ""), 0);
	assert_int_equal(chunk_late(2, 9, "><", NULL), 0);
	assert_int_equal(chunk_from(2, 11, 2, 0, 3, ""), 0);
	assert_int_equal(chunk_from(2, 14, 2, 3, 3, ""), 0);
	assert_int_equal(chunk_late(2, 17, ">", "<metadata><object>"), 0);
	assert_int_equal(outputs_place_all(o), 0);
	expect_text("libfoo-1a.rlib", "<metadata><object>");
	assert_true(outputs_none_linked(o));
	/* the piece is no output */
	assert_int_equal(outputs_list(o, &paths), 0);
	assert_int_equal(paths.n, 2);
	assert_int_equal(outputs_count(o), 3);
}

static void
test_no_such_piece(void **state)
{
	assert_int_equal(begin_late(0, "libfoo-1a.rlib", PIECE_KIND, 6), -EINVAL);
	receive_piece(0, "object");
	receive(1, "foo-1a.x.rcgu.o", LINK_KIND, "linked");
	assert_int_equal(begin_late(2, "libfoo-1a.rlib", FILE_KIND, 20), 0);
	assert_int_equal(chunk_from(2, 0, 1, 0, 7, ""), -EBADMSG);
	assert_int_equal(chunk_from(2, 0, 1, 7, 0, ""), -EBADMSG);
	assert_int_equal(chunk_from(2, 0, 1, UINT64_MAX, 2, ""), -EBADMSG);
	assert_int_equal(chunk_from(2, 0, 1, 0, 6, "object"), -EBADMSG);
	assert_int_equal(chunk_from(2, 0, 2, 0, 6, ""), -EBADMSG);
	assert_int_equal(chunk_from(2, 0, 3, 0, 0, ""), -EBADMSG);
	assert_int_equal(chunk_from(2, 0, UINT32_MAX, 0, 1, ""), -EBADMSG);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(chunk_from(2, 6 * i, 1, 0, 6, ""), 0);
	/* longer than it was said to be */
	assert_int_equal(chunk_from(2, 18, 1, 0, 6, ""), -EBADMSG);
	assert_int_equal(chunk_late(2, 18, "xx", "what it is not"), -EBADMSG);
}

/* Of a file that lies in the out-dir by then others may have made another one. */
static void
test_a_part_changed_here(void **state)
{
	_cleanup_(freep) char *path = at("libfoo-1a.rmeta");

	receive(0, "libfoo-1a.rmeta", FILE_KIND, "metadata");
	assert_int_equal(outputs_place(o, "libfoo-1a.rmeta"), 0);
	assert_int_equal(fs_write_atomic(path, "METADATA", 8, 0644), 0);
	assert_int_equal(begin_late(1, "libfoo-1a.rlib", FILE_KIND, 9), 0);
	assert_int_equal(chunk_from(1, 0, 1, 0, 8, ""), 0);
	assert_int_equal(chunk_late(1, 8, "!", "metadata!"), -ESTALE);
	outputs_freep(&o);
	o = open_outputs(1, 0);
	receive(0, "libfoo-1a.rmeta", FILE_KIND, "metadata");
	assert_int_equal(outputs_place(o, "libfoo-1a.rmeta"), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(begin_late(1, "libfoo-1a.rlib", FILE_KIND, 9), 0);
	assert_int_equal(chunk_from(1, 0, 1, 0, 8, ""), -ESTALE);
	/* the worker's fault, where nobody has */
	outputs_freep(&o);
	o = open_outputs(1, 0);
	receive(0, "libfoo-1a.rmeta", FILE_KIND, "metadata");
	assert_int_equal(outputs_place(o, "libfoo-1a.rmeta"), 0);
	assert_int_equal(begin_late(1, "libfoo-1a.rlib", FILE_KIND, 9), 0);
	assert_int_equal(chunk_from(1, 0, 1, 0, 8, ""), 0);
	assert_int_equal(chunk_late(1, 8, "!", "metadata?"), -EBADMSG);
}

static void
test_is_a_piece(void **state)
{
	_cleanup_(strv_done) struct strv none = STRV_INIT;

	receive_piece(0, "object");
	receive_piece(1, "other");
	assert_int_equal(begin_same(2, "foo-1a.x.rcgu.o", LINK_KIND, "object", 3), -EBADMSG);
	assert_int_equal(begin_same(2, "foo-1a.x.rcgu.o", LINK_KIND, "object", 2), -EBADMSG);
	assert_int_equal(
		begin_same(2, "foo-1a.x.rcgu.o", LINK_KIND, "object", UINT32_MAX), -EBADMSG);
	assert_int_equal(begin_same(2, "", PIECE_KIND, "object", 1), -EBADMSG);
	assert_int_equal(begin_same(2, "../x", LINK_KIND, "object", 1), -EINVAL);
	assert_int_equal(begin_same(2, "foo-1a.x.rcgu.o", LINK_KIND, "object", 1), 0);
	assert_int_equal(chunk(2, 0, "", true), -EBADMSG); /* nothing is open */
	/* nothing else is made of it */
	assert_int_equal(begin_same(3, "foo-1a.y.rcgu.o", LINK_KIND, "object", 1), -EBADMSG);
	/* of what is no piece nothing is */
	assert_int_equal(begin_same(3, "foo-1a.y.rcgu.o", LINK_KIND, "object", 3), -EBADMSG);
	assert_int_equal(begin_late(3, "libfoo-1a.rlib", FILE_KIND, 6), 0);
	assert_int_equal(chunk_from(3, 0, 1, 0, 6, ""), -EBADMSG);
	assert_int_equal(chunk_from(3, 0, 2, 0, 5, ""), 0);
	assert_int_equal(chunk_late(3, 5, "!", "other!"), 0);
	assert_int_equal(outputs_place_links(o, &none), 0);
	expect_text("foo-1a.x.rcgu.o", "object");
	assert_int_equal(outputs_place_all(o), 0);
	outputs_freep(&o);
	assert_int_equal(rmdir(staging), 0); /* the other piece is gone, too */
}

static void
test_names(void **state)
{
	static const char *const good[] = { "foo-1a.d", "libfoo-1a.rmeta", "libfoo-1a.rlib",
		"foo-1a", "foo-1a.x.rcgu.o", "libfoo-1a.so" };
	static const char *const bad[] = { "", ".", "..", "foo.d", "foo-1ab.d", "bar-1a.d",
		"libfoo-1a/x", "../foo-1a.d", "/foo-1a.d", "Foo-1a.d", "liblibfoo-1a.d", "foo-1a/",
		".dray-x" };
	static const char *const links[] = { "rustcAbC123/symbols.o", "foo-1a.7z.rcgu.o",
		"foo-1a.7z.rcgu.rmeta", "rustcAbC123/list" };
	static const char *const no_links[] = { "rustcAbC123/../x", "rustcAbC123/b/c", "other/x",
		"rustcAbC123/", "/x", "rustcAbC123/..", "x.o", "rustcAbC123", "rustcAbC1234/x",
		"rustcAb_123/x", "rustcAbC12/x", "rustc/list", "foo-1a.d", "libfoo-1a.rmeta",
		"foo-1a" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(call_output_name_ok("foo", "-1a", good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(call_output_name_ok("foo", "-1a", bad[i]));
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		assert_true(link_check_input_name("foo", "-1a", links[i]));
	for (size_t i = 0; i < ARRAY_LEN(no_links); i++)
		assert_false(link_check_input_name("foo", "-1a", no_links[i]));
	assert_true(call_output_name_ok("foo", NULL, "libfoo.so"));
	assert_false(call_output_name_ok("", NULL, ".x"));
}

/* Of what carries the crate's name only what the call asks for. */
static void
test_what_a_call_makes(void **state)
{
	static const struct {
		const char *call, *made, *not ;
	} rows[] = {
		{ "--crate-type lib --emit=dep-info,metadata,link",
			"foo-1a.d libfoo-1a.rmeta libfoo-1a.rlib foo-1a.1.dwo "
			"foo-1a.long-type-12.txt",
			"foo-1a libfoo-1a.so libfoo-1a.a foo-1a.rs foo-1a.o foo-1a.s libfoo-1a.d "
			"foo-1a.rmeta foo-1a.dwp foo-1a.d.x foo.d libfoo-1ab.rlib" },
		{ "--crate-type lib --emit=dep-info,metadata", "foo-1a.d libfoo-1a.rmeta",
			"libfoo-1a.rlib foo-1a.x.dwo foo-1a" },
		{ "--emit=dep-info,link", "foo-1a.d foo-1a.dwp foo-1a.3.rcgu.dwo",
			"foo-1a libfoo-1a.rmeta libfoo-1a.rlib foo-1a.rcgu.o" },
		{ "--test --crate-type lib --emit=dep-info,link", "foo-1a.d",
			"libfoo-1a.rlib foo-1a" },
		{ "--crate-type staticlib --emit=link", "libfoo-1a.a", "foo-1a.d libfoo-1a.rlib" },
		{ "--crate-type proc-macro --emit=link", "libfoo-1a.so.dwp",
			"libfoo-1a.so libfoo-1a.rlib" },
		{ "--crate-type lib --emit=asm,obj,llvm-ir,llvm-bc,mir",
			"foo-1a.s foo-1a.o foo-1a.1.rcgu.o foo-1a.ll foo-1a.bc foo-1a.mir",
			"libfoo-1a.rlib foo-1a.d" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (int made = 0; made < 2; made++) {
			struct rustc_call c;
			char words[400], names[400], *rest = names, *name;

			snprintf(words, sizeof(words),
				"rustc --crate-name foo -Cextra-filename=-1a x.rs %s",
				rows[i].call);
			parse(words, &c);
			assert_int_equal(c.kind, CALL_UNIT);
			snprintf(names, sizeof(names), "%s", made ? rows[i].made : rows[i].not );
			while ((name = strsep(&rest, " ")))
				if (call_makes_name(&c, name) != made)
					fail_msg("%s: %s", rows[i].call, name);
			call_done(&c);
		}
}

static void
test_places(void **state)
{
	struct digest d, want;
	uint64_t size = 0;
	struct stat st;
	_cleanup_(freep) char *p = at("libfoo-1a.rmeta");

	receive(0, "foo-1a.d", FILE_KIND, "deps");
	assert_int_equal(begin(1, "libfoo-1a.rmeta", FILE_KIND, "metadata", 8), 0);
	assert_int_equal(outputs_find(o, "libfoo-1a.rmeta", &d, NULL), -ENOENT); /* not whole yet */
	assert_int_equal(chunk(1, 0, "meta", false), 0);
	assert_int_equal(chunk(1, 4, "data", true), 0);
	assert_int_equal(outputs_find(o, "libfoo-1a.rmeta", &d, &size), 0);
	assert_int_equal(digest_bytes("metadata", 8, &want), 0);
	assert_true(digest_eq(&d, &want));
	assert_int_equal(size, 8);
	assert_false(there("libfoo-1a.rmeta"));
	assert_int_equal(outputs_place(o, "libfoo-1a.rmeta"), 0);
	expect_text("libfoo-1a.rmeta", "metadata");
	assert_int_equal(stat(p, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_false(there("foo-1a.d"));
	assert_int_equal(outputs_place_all(o), 0);
	expect_text("foo-1a.d", "deps");
	assert_int_equal(outputs_place(o, "libother.rlib"), -ENOENT);
	assert_int_equal(outputs_count(o), 2);
}

static void
test_refuses(void **state)
{
	assert_int_equal(begin(1, "foo-1a.d", FILE_KIND, "x", 1), -EBADMSG); /* counts from 0 */
	assert_int_equal(begin(0, "evil", FILE_KIND, "x", 1), -EINVAL);
	assert_int_equal(begin(0, "libfoo-1a.so", FILE_KIND, "x", 1), -EINVAL);
	/* no input of a link stands for an output, which would go with it */
	assert_int_equal(begin(0, "libfoo-1a.rmeta", LINK_KIND, "x", 1), -EINVAL);
	assert_int_equal(begin(0, "rustcAbC123/a.o", FILE_KIND, "x", 1), -EINVAL);
	assert_int_equal(chunk(0, 0, "x", true), -EBADMSG); /* nothing is open */
	assert_int_equal(begin(0, "foo-1a.d", FILE_KIND, "right", 5), 0);
	assert_int_equal(chunk(1, 0, "x", false), -EBADMSG);
	assert_int_equal(chunk(0, 1, "x", false), -EBADMSG);
	assert_int_equal(chunk(0, 0, "longer", false), -EBADMSG);
	assert_int_equal(chunk(0, 0, "wrong", true), -EBADMSG); /* the digest */
	assert_int_equal(outputs_place(o, "foo-1a.d"), -EBADMSG);
	assert_false(there("foo-1a.d"));
	assert_int_equal(outputs_place_all(o), -EBADMSG);
}

/* Modes are the compiler's and the umask's, whatever a worker says; a mode that is none is no
 * answer. */
static void
test_modes(void **state)
{
	_cleanup_(freep) char *path = at("libfoo-1a.rlib"), *object = at("foo-1a.x.rcgu.o");
	_cleanup_(strv_done) struct strv none = STRV_INIT;
	struct stat st;

	mode = 04755;
	assert_int_equal(begin(0, "libfoo-1a.rlib", FILE_KIND, "x", 1), -EBADMSG);
	mode = 0777;
	receive(0, "libfoo-1a.rlib", FILE_KIND, "x");
	receive(1, "foo-1a.x.rcgu.o", LINK_KIND, "x");
	mode = 0644;
	assert_int_equal(outputs_place_all(o), 0);
	assert_int_equal(outputs_place_links(o, &none), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(stat(object, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void
test_half(void **state)
{
	assert_int_equal(begin(0, "foo-1a.d", FILE_KIND, "whole", 5), 0);
	assert_int_equal(chunk(0, 0, "who", false), 0);
	assert_int_equal(outputs_settle(o), -EBADMSG);
	assert_int_equal(begin(1, "libfoo-1a.rlib", FILE_KIND, "x", 1), -EBADMSG);
	assert_int_equal(outputs_place_all(o), -EBADMSG);
	assert_false(there("foo-1a.d"));
}

static void
test_empty_and_limit(void **state)
{
	outputs_freep(&o);
	o = open_outputs(1, 10);
	/* empty: with a chunk or without */
	assert_int_equal(begin(0, "foo-1a.d", FILE_KIND, "", 0), 0);
	assert_int_equal(begin(1, "libfoo-1a.rmeta", FILE_KIND, "", 0), 0);
	assert_int_equal(chunk(1, 0, "", true), 0);
	assert_int_equal(begin(2, "foo-1a.d", FILE_KIND, "", 0), -EBADMSG); /* twice */
	assert_int_equal(begin(2, "libfoo-1a.rlib", FILE_KIND, "", 11), -EFBIG);
	assert_int_equal(begin(2, "libfoo-1a.rlib", FILE_KIND, "", UINT64_MAX), -EFBIG);
	assert_int_equal(outputs_place_all(o), 0);
	expect_text("foo-1a.d", "");
}

static void
test_drop_leaves_the_old(void **state)
{
	_cleanup_(freep) char *p = at("libfoo-1a.rmeta");

	assert_int_equal(fs_write_atomic(p, "promised", 8, 0644), 0);
	receive(0, "libfoo-1a.rmeta", FILE_KIND, "metadata");
	assert_int_equal(outputs_drop(o, "libfoo-1a.rmeta"), 0);
	assert_int_equal(outputs_place_all(o), 0);
	expect_text("libfoo-1a.rmeta", "promised");
}

static void
test_free_leaves_nothing(void **state)
{
	receive(0, "foo-1a.d", FILE_KIND, "x");
	assert_int_equal(begin(1, "libfoo-1a.rmeta", FILE_KIND, "abc", 3), 0);
	assert_int_equal(chunk(1, 0, "a", false), 0);
	outputs_freep(&o);
	/* the directory is empty: nothing was left in it */
	assert_int_equal(rmdir(staging), 0);
	assert_false(there("foo-1a.d"));
}

static void
test_links(void **state)
{
	_cleanup_(strv_done) struct strv response = STRV_INIT, dirs = STRV_INIT, paths = STRV_INIT;
	_cleanup_(buf_done) struct buf want = BUF_INIT;

	assert_int_equal(strv_add(&response, "rustcAbC123/linker-arguments"), 0);
	assert_int_equal(strv_add(&dirs, "rustcAbC123/raw-dylibs"), 0);
	receive(0, "foo-1a.o.rcgu.o", LINK_KIND, "object");
	receive(1, "rustcAbC123/symbols.o", LINK_KIND, "symbols");
	receive(2, "rustcAbC123/linker-arguments", LINK_KIND, "/.dray-in/libz.rlib\n");
	assert_int_equal(outputs_link_paths(o, &dirs, &paths), 0);
	assert_int_equal(paths.n, 5);
	for (size_t i = 0; i < paths.n; i++)
		for (size_t k = i + 1; k < paths.n; k++)
			assert_false(path_is_below(paths.v[k], paths.v[i]));
	assert_int_equal(outputs_place_all(o), 0);
	assert_false(there("rustcAbC123"));
	assert_int_equal(outputs_place_links(o, &response), 0);
	expect_text("foo-1a.o.rcgu.o", "object");
	expect_text("rustcAbC123/symbols.o", "symbols");
	assert_int_equal(buf_addf(&want, "%s/libz.rlib\n", dir), 0);
	expect_text("rustcAbC123/linker-arguments", (const char *)want.p);
	for (size_t i = 0; i < paths.n; i++)
		assert_true(unlink(paths.v[i]) == 0 || rmdir(paths.v[i]) == 0 || errno == ENOENT);
	assert_false(there("rustcAbC123"));
}

static void
expect_unalias(const char *text, const char *out_dir, const char *escape, const char *want)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(alias_undo(text, strlen(text), out_dir, escape, &b), 0);
	assert_string_equal(b.n ? (const char *)b.p : "", want);
}

static void
test_unalias(void **state)
{
	expect_unalias("", "/o", "", "");
	expect_unalias("no such", "/o", "", "no such");
	expect_unalias("/.dray-in", "/o", "", "/o");
	expect_unalias("-L/.dray-in/a:/.dray-in/b /.dray", "/o/d", "", "-L/o/d/a:/o/d/b /.dray");
	expect_unalias("\"/.dray-in/x\"", "/o \"q\\", "\"\\", "\"/o \\\"q\\\\/x\"");
	expect_unalias("/.dray-in/x", "/a b", " \\", "/a\\ b/x");
}

static int
set_up_memo(void **state)
{
	assert_int_equal(set_up(state), 0);
	assert_int_equal(memo_open(dir, &memo), 0);
	outputs_freep(&o);
	o = open_outputs(0, 0);
	return 0;
}

static int
tear_down_memo(void **state)
{
	outputs_freep(&o);
	memo_closep(&memo);
	return tear_down(state);
}

/* Whether asking for its digest opens the file. */
static bool
is_read_for_digest(struct memo *m, const char *path, struct digest *ret)
{
	_cleanup_(closep) int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct inotify_event e;
	ssize_t n;

	assert_true(fd >= 0);
	assert_true(inotify_add_watch(fd, path, IN_OPEN) >= 0);
	assert_int_equal(memo_digest_file(m, path, ret, NULL), 0);
	n = read(fd, &e, sizeof(e));
	assert_true(n == sizeof(e) || (n < 0 && errno == EAGAIN));
	return n > 0;
}

static void
test_digests_are_noted(void **state)
{
	static const char *const names[] = { "libfoo-1a.rmeta", "libfoo-1a.rlib", "foo-1a.d" };
	struct digest d, want;

	receive(0, names[0], FILE_KIND, "metadata");
	assert_int_equal(outputs_place(o, names[0]), 0);
	receive(1, names[1], FILE_KIND, "metadata");
	receive(2, names[2], FILE_KIND, "metadata");
	assert_int_equal(outputs_place_all(o), 0);
	assert_int_equal(digest_bytes("metadata", 8, &want), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_(freep) char *p = at(names[i]);

		assert_true(is_read_for_digest(NULL, p, &d));
		assert_true(digest_eq(&d, &want));
		memset(&d, 0, sizeof(d));
		assert_false(is_read_for_digest(memo, p, &d));
		assert_true(digest_eq(&d, &want));
	}
}

/* A response file is not what the worker sent any more. */
static void
test_mapped_is_not_noted(void **state)
{
	_cleanup_(strv_done) struct strv response = STRV_INIT;
	_cleanup_(freep) char *p = at("rustcAbC123/linker-arguments");
	struct digest d, want;

	assert_int_equal(strv_add(&response, "rustcAbC123/linker-arguments"), 0);
	receive(0, "rustcAbC123/linker-arguments", LINK_KIND, "/.dray-in/libz.rlib\n");
	assert_int_equal(outputs_place_links(o, &response), 0);
	assert_int_equal(memo_digest_file(NULL, p, &want, NULL), 0);
	assert_int_equal(memo_digest_file(memo, p, &d, NULL), 0);
	assert_true(digest_eq(&d, &want));
}

static int
pipe_as_stderr(int *ret_saved)
{
	int p[2];

	assert_int_equal(pipe(p), 0);
	*ret_saved = dup(STDERR_FILENO);
	assert_true(*ret_saved >= 0);
	assert_int_equal(dup2(p[1], STDERR_FILENO), STDERR_FILENO);
	close(p[1]);
	return p[0];
}

static void
test_say(void **state)
{
	struct ledger rep;
	struct tether t = TETHER_INIT;
	_cleanup_(say_freep) struct say *s = NULL;
	struct digest d;
	char got[16] = "";
	int saved, rd;

	memset(&rep, 0, sizeof(rep));
	assert_int_equal(tether_open(&t), 0);
	assert_int_equal(say_new(&rep, &t, &s), 0);
	rd = pipe_as_stderr(&saved);
	assert_int_equal(say_text(s, "one\n", 4), 0);
	assert_int_equal(say_text(s, "two\n", 4), 0);
	assert_int_equal(read(rd, got, sizeof(got) - 1), 8);
	assert_string_equal(got, "one\ntwo\n");
	assert_int_equal(rep.text_bytes, 8);
	assert_int_equal(digest_bytes("one\ntwo\n", 8, &d), 0);
	assert_true(digest_eq(&rep.text_digest, &d));
	assert_true(digest_eq(&rep.text_sure_digest, &d));
	close(rd);
	/* the reader is gone: what may have been said is written down, what surely was too */
	assert_int_equal(say_text(s, "three\n", 6), -EPIPE);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_true(t.reader_gone);
	assert_true(tether_cut(&t));
	assert_int_equal(rep.text_bytes, 14);
	assert_int_equal(rep.text_sure_bytes, 8);
	assert_true(digest_eq(&rep.text_sure_digest, &d));
	assert_int_equal(say_is_promised(s, "/o/x.rmeta", &d), 0);
	assert_int_equal(say_promise_rmeta(s, "/o/x.rmeta", &d), 0);
	assert_int_equal(say_is_promised(s, "/o/x.rmeta", &d), 1);
	assert_int_equal(say_is_promised(s, "/o/y.rmeta", &d), -EEXIST);
	d.b[0] ^= 1;
	assert_int_equal(say_is_promised(s, "/o/x.rmeta", &d), -EEXIST);
	tether_done(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_what_a_call_makes),
		cmocka_unit_test_setup_teardown(test_places, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_modes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_half, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_empty_and_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_drop_leaves_the_old, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_free_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_links, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late_digest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_made_of_pieces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_such_piece, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_part_changed_here, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_is_a_piece, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_digests_are_noted, set_up_memo, tear_down_memo),
		cmocka_unit_test_setup_teardown(
			test_mapped_is_not_noted, set_up_memo, tear_down_memo),
		cmocka_unit_test(test_unalias),
		cmocka_unit_test(test_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
