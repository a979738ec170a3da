/* files: what is there for a compile that asks, and what may leave. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/dispatch/files.h"
#include "common/fs.h"

#define ABSENT DRAY__FILE_KIND__FILE_ABSENT
#define REGULAR DRAY__FILE_KIND__FILE_REGULAR
#define DIRECTORY DRAY__FILE_KIND__FILE_DIRECTORY
#define REFUSED DRAY__FILE_KIND__FILE_REFUSED

struct place {
	char *dir, *out_dir;
	struct rustc_call call;
	struct files *files;
};

static void
put(const struct place *p, const char *name, const char *text)
{
	_cleanup_(freep) char *path = path_join(p->dir, name);

	assert_non_null(path);
	assert_int_equal(fs_mkdir_parent(path, 0755), 0);
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0644), 0);
}

static void
put_link(const struct place *p, const char *to, const char *name)
{
	_cleanup_(freep) char *path = path_join(p->dir, name);

	assert_non_null(path);
	assert_int_equal(symlink(to, path), 0);
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	const char *tmp = getenv("TMPDIR");
	_cleanup_(freep) char *pkg = NULL, *ws = NULL, *target = NULL, *cargo = NULL;
	_cleanup_(freep) char *vendors = NULL;
	struct files_in in = { .memo = NULL };

	assert_non_null(p);
	assert_int_equal(fs_make_temp_dir(tmp ? tmp : "/tmp", "dray-files-", &p->dir), 0);
	put(p, "ws/Cargo.toml", "[workspace]");
	put(p, "ws/pkg/src/lib.rs", "");
	put(p, "ws/shared/a.txt", "abc");
	put(p, "ws/.env", "SECRET=1");
	put(p, "ws/target/x", "x");
	put(p, "ws/target/debug/deps/libpkg-0123.rmeta", "own");
	put(p, "ws/target/debug/deps/libpkg-4567.rmeta", "of another unit");
	put(p, "ws/target/debug/deps/artifact/tool/bin/tool", "program");
	put(p, "cargo/registry/src/i/foo-1.0.0/.env", "published");
	put(p, "cargo/credentials.toml", "token");
	put(p, "cargo/config.toml", "");
	put(p, "outside/hosts", "");
	put(p, "vendors/Cargo.toml", "[workspace]");
	put(p, "vendors/low/src/lib.rs", "");
	put(p, "ws/.git/config", "token");
	put(p, "ws/pkg/certs/server.pem", "private");
	put(p, "ws/pkg/.cargo/config.toml", "token");
	put_link(p, "../shared/a.txt", "ws/pkg/inner");
	put_link(p, "../../outside/hosts", "ws/pkg/outer");
	put_link(p, "../.env", "ws/pkg/harmless");
	pkg = path_join(p->dir, "ws/pkg");
	ws = path_join(p->dir, "ws");
	target = path_join(p->dir, "ws/target");
	cargo = path_join(p->dir, "cargo");
	p->out_dir = path_join(p->dir, "ws/target/debug/deps");
	vendors = path_join(p->dir, "vendors");
	assert_true(pkg && ws && target && cargo && vendors && p->out_dir);
	p->call.crate_name = (char *)"pkg";
	p->call.extra_filename = (char *)"-0123";
	in.call = &p->call;
	in.out_dir = p->out_dir;
	in.manifest_dir = pkg;
	in.cwd = ws;
	in.workspace = vendors;
	in.target_dir = target;
	in.cargo_home = cargo;
	in.home = "/nowhere";
	assert_int_equal(files_new(&in, &p->files), 0);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	files_free(p->files);
	fs_rm_rf(p->dir);
	free(p->dir);
	free(p->out_dir);
	free(p);
	return 0;
}

static Dray__FileKind
ask(const struct place *p, const char *name, struct files_answer *a)
{
	_cleanup_(freep) char *path = path_join(p->dir, name);

	assert_non_null(path);
	assert_int_equal(files_answer(p->files, 7, path, a), 0);
	assert_int_equal(a->id, 7);
	return a->kind;
}

static void
test_kinds(void **state)
{
	const struct place *p = *state;
	struct files_answer a;
	struct digest d;

	assert_int_equal(ask(p, "ws/shared/a.txt", &a), REGULAR);
	assert_int_equal(a.size, 3);
	digest_bytes("abc", 3, &d);
	assert_true(digest_eq(&a.digest, &d));
	assert_int_equal(ask(p, "ws/shared/none", &a), ABSENT);
	assert_int_equal(ask(p, "ws/shared/a.txt/below", &a), ABSENT);
	assert_int_equal(ask(p, "ws/shared", &a), DIRECTORY);
	assert_int_equal(ask(p, "", &a), DIRECTORY);
	assert_int_equal(ask(p, "ws/target/x", &a), REGULAR);
}

/* What a unit made before is not what another place has. */
static void
test_out_dir(void **state)
{
	const struct place *p = *state;
	struct files_answer a;

	assert_int_equal(ask(p, "ws/target/debug/deps/artifact/tool/bin/tool", &a), REGULAR);
	assert_int_equal(ask(p, "ws/target/debug/deps/artifact", &a), DIRECTORY);
	assert_int_equal(ask(p, "ws/target/debug/deps/libpkg-4567.rmeta", &a), REGULAR);
	assert_int_equal(ask(p, "ws/target/debug/deps/libpkg-0123.rmeta", &a), REFUSED);
	assert_int_equal(ask(p, "ws/target/debug/deps/libpkg-0123.rlib", &a), ABSENT);
}

static void
test_what_stays(void **state)
{
	static const char *const names[] = { "ws/.env", "ws/pkg/harmless", "ws/pkg/outer",
		"outside/hosts", "cargo/credentials.toml", "cargo/config.toml", "ws/.git/config",
		"ws/pkg/certs/server.pem", "ws/pkg/.cargo/config.toml" };
	const struct place *p = *state;
	struct files_answer a;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (ask(p, names[i], &a) != REFUSED)
			fail_msg("%s would leave", names[i]);
		assert_non_null(strstr(a.text, names[i]));
	}
	assert_int_equal(ask(p, "outside", &a), REFUSED);
}

/* A package that is vendored is called in its own directory. */
static void
test_workspace(void **state)
{
	const struct place *p = *state;
	_cleanup_(freep) char *no_package = path_join(p->dir, "outside");
	struct files_in in = {
		.call = &p->call, .out_dir = p->out_dir, .cwd = no_package, .workspace = no_package
	};
	struct place none = { .dir = p->dir };
	struct files_answer a;

	assert_int_equal(ask(p, "vendors/low/src/lib.rs", &a), REGULAR);
	assert_int_equal(files_new(&in, &none.files), 0);
	assert_int_equal(ask(&none, "vendors/low/src/lib.rs", &a), REFUSED);
	assert_int_equal(ask(&none, "outside/hosts", &a), REFUSED);
	files_free(none.files);
}

static void
test_links(void **state)
{
	const struct place *p = *state;
	struct files_answer a;

	assert_int_equal(ask(p, "ws/pkg/inner", &a), REGULAR);
	assert_int_equal(a.size, 3);
}

static void
test_what_cargo_fetched_is_public(void **state)
{
	const struct place *p = *state;
	struct files_answer a;

	assert_int_equal(ask(p, "cargo/registry/src/i/foo-1.0.0/.env", &a), REGULAR);
}

static void
test_special_files(void **state)
{
	const struct place *p = *state;
	_cleanup_(freep) char *path = path_join(p->dir, "ws/fifo");
	struct files_answer a;

	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(ask(p, "ws/fifo", &a), REFUSED);
}

static void
test_count_is_bounded(void **state)
{
	const struct place *p = *state;
	struct files_answer a;

	for (int i = 0; i < FILES_COUNT_MAX; i++)
		assert_int_equal(ask(p, "ws/shared/a.txt", &a), REGULAR);
	assert_int_equal(ask(p, "ws/shared/a.txt", &a), REFUSED);
}

static void
test_bytes_are_bounded(void **state)
{
	const struct place *p = *state;
	_cleanup_(freep) char *path = path_join(p->dir, "ws/big");
	struct files_answer a;

	put(p, "ws/big", "");
	assert_int_equal(truncate(path, (off_t)FILES_BYTES_MAX + 1), 0);
	assert_int_equal(ask(p, "ws/big", &a), REFUSED);
}

static void
test_names(void **state)
{
	assert_true(files_is_secret(".env"));
	assert_true(files_is_secret(".env.local"));
	assert_true(files_is_secret("id_ed25519_work"));
	assert_true(files_is_secret("tls.key"));
	assert_false(files_is_secret("key.rs"));
	assert_false(files_is_secret("env"));
	assert_false(files_is_secret("lib.rs"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kinds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_out_dir, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_workspace, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_links, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_what_cargo_fetched_is_public, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_special_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_count_is_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bytes_are_bounded, set_up, tear_down),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
