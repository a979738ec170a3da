/* Every place that the rules know, and a client's file there: the worker refuses the unit, or what
 * is asked of the file is recorded. No place is both the client's and believed to be the worker's.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/digest.h"
#include "common/fs.h"
#include "trace/runtime.h"
#include "worker/sandbox/unit_check.h"
#include "worker/tracer/trace_rules.h"

enum meant { REFUSED, RECORDED };

static const struct row {
	const char *path;
	enum meant meant;
} rows[] = {
	/* the kernel's */
	{ "/proc/self/exe", REFUSED },
	{ "/proc/cpuinfo", REFUSED },
	{ "/proc/sys/vm/overcommit_memory", REFUSED },
	{ "/dev/null", REFUSED },
	{ "/dev/anything", REFUSED },
	{ "/sys/devices/system/cpu/online", REFUSED },
	{ "/sys/fs/cgroup/x", REFUSED },
	/* ours */
	{ "/.dray/args", REFUSED },
	{ "/.dray/bin/cc", REFUSED },
	/* the toolchain's and the out-dir's */
	{ "/rust/lib/libx.so", REFUSED },
	{ "/rust/bin/rustc", REFUSED },
	{ "/w/target/debug/deps/libx.rmeta", REFUSED },
	/* what the loader, libc or an allocator reads first */
	{ "/etc/ld.so.cache", REFUSED },
	{ "/etc/ld.so.preload", REFUSED },
	{ "/etc/malloc.conf", REFUSED },
	/* mounted */
	{ "/lib/x86_64-linux-gnu/libz.so.1", REFUSED },
	{ "/lib/x86_64-linux-gnu/sub/libz.so.1", REFUSED },
	{ "/lib64/ld-linux-x86-64.so.2", REFUSED },
	/* not mounted */
	{ "/usr/lib/x86_64-linux-gnu/libz.so.1", REFUSED },
	{ "/usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/libz.so.1", REFUSED },
	{ "/usr/lib/libz.so.1", REFUSED },
	{ "/usr/lib64/libz.so.1", REFUSED },
	{ "/lib/libz.so.1", REFUSED },
	{ "/lib/glibc-hwcaps/x86-64-v3/libz.so.1", REFUSED },
	{ "/lib32/libz.so.1", REFUSED },
	/* the client's, some of them where a name could be taken for more */
	{ "/usr/lib/llvm-14/lib/libLLVM.a", RECORDED },
	{ "/usr/local/lib/libx.a", RECORDED },
	{ "/usr/libx/x", RECORDED },
	{ "/rustc/abc/library/std/src/lib.rs", RECORDED },
	{ "/rustx/lib/x", RECORDED },
	{ "/.dray-in/libx.rmeta", RECORDED },
	{ "/.drayx", RECORDED },
	{ "/device/x", RECORDED },
	{ "/etc/localtime", RECORDED },
	{ "/tmp/src/main.rs", RECORDED },
	{ "/w/src/lib.rs", RECORDED },
	{ "/w/target/debug/depsx/y", RECORDED },
	{ "/home/me/.cargo/registry/src/x/lib.rs", RECORDED },
};

static char *const lib_dirs[] = { (char *)"/lib/x86_64-linux-gnu", (char *)"/lib64", NULL };

struct unit {
	Dray__Unit u;
	Dray__Blob blob, *blobs[1];
	Dray__UnitFile file, *files[1];
};

/* With a file at this path. */
static void
unit_make(struct unit *c, char *path)
{
	static uint8_t id[DIGEST_SIZE];

	*c = (struct unit){
		.u = DRAY__UNIT__INIT, .blob = DRAY__BLOB__INIT, .file = DRAY__UNIT_FILE__INIT
	};
	c->blobs[0] = &c->blob;
	c->files[0] = &c->file;
	c->blob.digest.data = c->u.toolchain.data = id;
	c->blob.digest.len = c->u.toolchain.len = DIGEST_SIZE;
	c->file.path = path;
	c->u.driver = (char *)"rustc";
	c->u.crate = (char *)"x";
	c->u.sysroot = (char *)"/rust";
	c->u.out_dir = (char *)"/w/target/debug/deps";
	c->u.cwd = (char *)"/w";
	c->u.linker = (char *)"";
	c->u.blobs = c->blobs;
	c->u.n_blobs = 1;
	c->u.files = c->files;
	c->u.n_files = 1;
}

static enum trace_place
place_of(const Dray__Unit *u, const char *path)
{
	char *tmp_names[] = { (char *)"src", NULL };
	const struct strv tmp = { .v = tmp_names, .n = 1 };
	struct trace_rules r;
	enum trace_place place;

	assert_int_equal(trace_rules_init(&r, u, lib_dirs, &tmp), 0);
	place = trace_rules_place(&r, path);
	trace_rules_done(&r);
	return place;
}

static void
test_each_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(freep) char *error = NULL;
		_cleanup_(freep) char *path = strdup(rows[i].path);
		struct unit c;
		enum trace_place place;
		int refused;

		unit_make(&c, path);
		refused = unit_check(&c.u, lib_dirs, 0, &error);
		if (refused != (rows[i].meant == REFUSED ? -EINVAL : 0))
			fail_msg("%s: %d: %s", path, refused, error ? error : "");
		if (refused)
			continue;
		place = place_of(&c.u, path);
		if (place != PLACE_TREE && place != PLACE_IN)
			fail_msg("%s is not recorded: place %d", path, (int)place);
	}
}

/* The table that both tracers have: no client has a file at any of its places, or below; what suits
 * a machine is no input, and what else the kernel says there is left to the user's machine.
 * test_watch is the other side's. */
static void
test_each_row(void **state)
{
	const struct runtime_row *row;
	size_t n = 0;

	(void)state;
	for (; (row = runtime_row(n)); n++) {
		for (unsigned below = 0; below < 2; below++) {
			_cleanup_(freep) char *error = NULL;
			_cleanup_(freep) char *path = path_join(row->path, below ? "x" : "");
			struct unit c;
			enum trace_place place;

			assert_non_null(path);
			if (!below)
				path[strlen(row->path)] = '\0';
			unit_make(&c, path);
			if (unit_check(&c.u, lib_dirs, 0, &error) != -EINVAL)
				fail_msg("%s: a client's file there is taken", path);
			if (below && !(row->what & RUNTIME_BELOW))
				continue;
			place = place_of(&c.u, path);
			if (row->what & RUNTIME_MACHINE)
				assert_int_equal(place, PLACE_OURS);
			else if (row->what & (RUNTIME_TOOL | RUNTIME_FICKLE))
				assert_int_equal(place, PLACE_KERNEL);
			else if (row->what & RUNTIME_KERNEL)
				assert_true(place != PLACE_TREE && place != PLACE_IN);
			else
				assert_int_equal(place, PLACE_TREE);
		}
	}
	assert_true(n > 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_place),
		cmocka_unit_test(test_each_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
