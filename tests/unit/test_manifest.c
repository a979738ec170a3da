/* What a client says of a toolchain that it gives: a good manifest, and each bad one. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/digest.h"
#include "common/fs.h"
#include "tests/unit/store_fixture.h"
#include "worker/push/assembly.h"
#include "worker/push/manifest.h"

#define FILES 5
#define MOST 1000

struct world {
	Dray__Unit unit;
	Dray__PushedToolchain push;
	Dray__PushedFile file[FILES], *files[FILES];
	Dray__Blob blob[FILES], *blobs[FILES];
	uint8_t id[DIGEST_SIZE], digests[FILES][DIGEST_SIZE], version[32];
	char path[FILES][MANIFEST_PATH_MAX + 8], driver[32], host[160], target[160], word[32];
	char *words[1];
};

static int
setup(void **state)
{
	static const char *const paths[FILES] = { "bin/rustc", "lib/libLLVM.so",
		"lib/rustlib/x/bin/gcc-ld/ld.lld", "lib/rustlib/x/lib/libcore-1.rlib",
		"lib/rustlib/x/lib/libstd-1.rlib" };
	struct world *w = calloc(1, sizeof(*w));

	dray__unit__init(&w->unit);
	dray__pushed_toolchain__init(&w->push);
	for (uint32_t i = 0; i < FILES; i++) {
		dray__pushed_file__init(&w->file[i]);
		dray__blob__init(&w->blob[i]);
		snprintf(w->path[i], sizeof(w->path[i]), "%s", paths[i]);
		w->digests[i][0] = (uint8_t)i;
		w->file[i].path = w->path[i];
		w->file[i].blob = i;
		w->blob[i].digest = (ProtobufCBinaryData){ DIGEST_SIZE, w->digests[i] };
		w->blob[i].size = 100;
		w->files[i] = &w->file[i];
		w->blobs[i] = &w->blob[i];
	}
	snprintf(w->driver, sizeof(w->driver), "rustc");
	snprintf(w->host, sizeof(w->host), "x");
	snprintf(w->target, sizeof(w->target), "x");
	snprintf(w->word, sizeof(w->word), "word");
	memcpy(w->version, "rustc 1", 7);
	w->words[0] = w->word;
	w->push.driver = w->driver;
	w->push.host = w->host;
	w->push.target = w->target;
	w->push.version = (ProtobufCBinaryData){ 7, w->version };
	w->push.file = w->files;
	w->push.n_file = FILES;
	w->unit.toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, w->id };
	w->unit.blobs = w->blobs;
	w->unit.n_blobs = FILES;
	w->unit.push = &w->push;
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

static void
expect(struct world *w, const char *part)
{
	uint64_t bytes = 7;
	const char *fault = manifest_fault(&w->unit, MOST, &bytes);

	if (!part && fault)
		fail_msg("%s", fault);
	if (part && (!fault || !strstr(fault, part)))
		fail_msg("\"%s\" is not in \"%s\"", part, fault ? fault : "(none)");
	assert_true(bytes == (part ? 0 : 500));
}

static void
test_good(void **state)
{
	struct world *w = *state;
	uint64_t bytes;

	expect(w, NULL);
	/* two files of one content count twice */
	w->unit.n_blobs = FILES - 1;
	w->file[FILES - 1].blob = 0;
	expect(w, NULL);
	assert_non_null(manifest_fault(&w->unit, 499, &bytes));
	assert_null(manifest_fault(&w->unit, 500, &bytes));
	assert_true(manifest_runs("bin/rustc"));
	assert_true(manifest_runs("lib/rustlib/x/bin/gcc-ld/ld.lld"));
	assert_false(manifest_runs("lib/libbin.so"));
}

static void
test_paths(void **state)
{
	static const char *const wrong[] = { "", "/bin/rustc", "bin/../rustc", "../rustc",
		"./rustc", "bin//rustc", "bin/rustc/", "bin/.rustc", ".bin/rustc", "bin/rus tc",
		"bin/rus\ntc", "bin/rus\033tc", "bin/rus\177tc", "..", ".", "/",
		"a/b/c/d/e/f/g/h/i/j/k" };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		snprintf(w->path[0], sizeof(w->path[0]), "%s", wrong[i]);
		expect(w, "not plainly inside");
	}
	memset(w->path[0], 'a', MANIFEST_PATH_MAX + 1);
	w->path[0][MANIFEST_PATH_MAX + 1] = '\0';
	expect(w, "not plainly inside");
	w->path[0][MANIFEST_PATH_MAX] = '\0';
	expect(w, NULL);
	snprintf(w->path[0], sizeof(w->path[0]), "lib/libLLVM.so");
	expect(w, "in order, each once");
	snprintf(w->path[0], sizeof(w->path[0]), "lib/z");
	expect(w, "in order, each once");
	/* a file and a directory, with a name between them */
	snprintf(w->path[0], sizeof(w->path[0]), "lib/rust");
	snprintf(w->path[1], sizeof(w->path[1]), "lib/rust-more");
	snprintf(w->path[2], sizeof(w->path[2]), "lib/rust/lib");
	expect(w, "a directory as well");
}

static void
test_blobs(void **state)
{
	struct world *w = *state;

	w->unit.n_blobs = 0;
	expect(w, "number of blobs");
	w->unit.n_blobs = FILES;
	w->push.n_file = FILES - 1;
	expect(w, "number of blobs");
	w->push.n_file = FILES;
	w->blob[2].digest.len = 31;
	expect(w, "digest that is none");
	w->blob[2].digest.len = DIGEST_SIZE;
	w->digests[4][0] = 1;
	expect(w, "twice");
	w->digests[4][0] = 4;
	w->file[1].blob = FILES;
	expect(w, "without a blob");
	w->file[1].blob = 0;
	expect(w, "no file's");
	w->file[1].blob = 1;
	w->blob[3].size = 601;
	expect(w, "more bytes");
	w->blob[3].size = UINT64_MAX - 50;
	expect(w, "more bytes");
}

static void
test_words(void **state)
{
	struct world *w = *state;

	snprintf(w->driver, sizeof(w->driver), "rustdoc");
	expect(w, "driver");
	snprintf(w->driver, sizeof(w->driver), "../bin/rustc");
	expect(w, "driver");
	snprintf(w->driver, sizeof(w->driver), "clippy-driver");
	expect(w, NULL);
	snprintf(w->host, sizeof(w->host), "..");
	expect(w, "target");
	snprintf(w->host, sizeof(w->host), "x");
	snprintf(w->target, sizeof(w->target), "a/b");
	expect(w, "target");
	memset(w->target, 'a', 129);
	expect(w, "target");
	snprintf(w->target, sizeof(w->target), "%s", "");
	expect(w, "target");
	snprintf(w->target, sizeof(w->target), "x");
	w->push.version.len = 0;
	expect(w, "text of its version");
	w->push.version.len = MANIFEST_VERSION_MAX + 1;
	expect(w, "text of its version");
	w->push.version.len = 8; /* with a NUL */
	expect(w, "text of its version");
	w->push.version.len = 7;
	w->push.n_file = 0;
	expect(w, "no files");
	w->push.n_file = MANIFEST_FILES_MAX + 1;
	expect(w, "too many");
}

/* Nothing of a compile, and nothing is missing. */
static void
test_unit(void **state)
{
	struct world *w = *state;

	w->unit.toolchain.len = 31;
	expect(w, "no id");
	w->unit.toolchain.len = DIGEST_SIZE;
	w->unit.push = NULL;
	expect(w, "no toolchain");
	w->unit.push = &w->push;
	w->unit.argv = w->words;
	w->unit.n_argv = 1;
	expect(w, "parts of a compile");
	w->unit.n_argv = 0;
	w->unit.sysroot = w->word;
	expect(w, "parts of a compile");
	w->unit.sysroot = NULL;
	dray__unit__init(&w->unit);
	expect(w, "no toolchain");
}

/* A blob that the store has: how large it is is not its client's word. */
static void
test_size(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *dir = NULL, *at = NULL, *file = NULL, *made = NULL;
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(assembly_freep) struct assembly *a = NULL;
	_cleanup_(closep) int fd = -1;
	struct digest d;
	uint64_t size;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-manifest-", &dir), 0);
	at = path_join(dir, "store");
	file = path_join(dir, "file");
	made = path_join(dir, ASSEMBLY_DIR "/.new-job/tree/bin/rustc");
	assert_int_equal(open_own_store(at, 1 << 20, &store), 0);
	assert_int_equal(fs_write_atomic(file, "rustc", 5, 0600), 0);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	assert_int_equal(store_put_fd_now(store, fd, &d, &size), 0);
	memcpy(w->digests[0], d.b, DIGEST_SIZE);
	assert_int_equal(assembly_begin(dir, "job", &w->unit, &a), 0);
	w->blob[0].size = 4;
	assert_int_equal(assembly_place(a, store, 0), -EBADMSG);
	assert_false(fs_exists(made));
	w->blob[0].size = 5;
	assert_int_equal(assembly_place(a, store, 0), 0);
	assert_true(fs_exists(made));
	assert_int_equal(assembly_place(a, store, 1), -ENOENT);
	fs_rm_rf(dir);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_good),
		T(test_paths),
		T(test_blobs),
		T(test_words),
		T(test_unit),
		T(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
