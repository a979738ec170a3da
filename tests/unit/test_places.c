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

static void
test_each_place(void **state)
{
	static char *const lib_dirs[] = { (char *)"/lib/x86_64-linux-gnu", (char *)"/lib64", NULL };
	char *tmp_names[] = { (char *)"src", NULL };
	const struct strv tmp = { .v = tmp_names, .n = 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		static uint8_t id[DIGEST_SIZE];
		_cleanup_(freep) char *error = NULL;
		_cleanup_(freep) char *path = strdup(rows[i].path);
		Dray__Blob blob = DRAY__BLOB__INIT, *blobs[] = { &blob };
		Dray__UnitFile file = DRAY__UNIT_FILE__INIT, *files[] = { &file };
		Dray__Unit u = DRAY__UNIT__INIT;
		struct trace_rules r;
		enum trace_place place;
		int refused;

		blob.digest.data = u.toolchain.data = id;
		blob.digest.len = u.toolchain.len = DIGEST_SIZE;
		file.path = path;
		u.driver = (char *)"rustc";
		u.crate = (char *)"x";
		u.sysroot = (char *)"/rust";
		u.out_dir = (char *)"/w/target/debug/deps";
		u.cwd = (char *)"/w";
		u.linker = (char *)"";
		u.blobs = blobs;
		u.n_blobs = 1;
		u.files = files;
		u.n_files = 1;
		refused = unit_check(&u, lib_dirs, 0, &error);
		if (refused != (rows[i].meant == REFUSED ? -EINVAL : 0))
			fail_msg("%s: %d: %s", path, refused, error ? error : "");
		if (refused)
			continue;
		assert_int_equal(trace_rules_init(&r, &u, lib_dirs, &tmp), 0);
		place = trace_rules_place(&r, path);
		if (place != PLACE_TREE && place != PLACE_IN)
			fail_msg("%s is not recorded: place %d", path, (int)place);
		trace_rules_done(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
