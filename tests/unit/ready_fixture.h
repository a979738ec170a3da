/* A pool of sandboxes that stand ready, and a "compiler" for them, which is a script. */
#ifndef DRAY_TESTS_UNIT_READY_FIXTURE_H
#define DRAY_TESTS_UNIT_READY_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "tests/unit/tools_fixture.h"
#include "common/clock.h"
#include "common/fs.h"
#include "worker/job/tokens.h"
#include "worker/sandbox/launch.h"
#include "worker/sandbox/order.h"
#include "worker/sandbox/ready.h"
#include "worker/sandbox/usage.h"

#define PATIENCE_MS 60000
#define SYSROOT "/home/u/toolchain"
#define HOST "x86_64-unknown-linux-gnu"

struct place {
	char *dir, *jobs, *tools, *view;
	struct conf *conf;
	struct filters filters;
	struct sysroot sysroot;
	struct toolchain toolchain;
	struct job_users *users;
	struct ready_conf ready;
	struct ready_pool *pool;
	struct ready_key key;
	Dray__Unit unit;
};

static const char probe[] =
	"#!/bin/sh\n"
	"[ \"$1\" = leave ] && { PATH=/usr/bin:/bin; sleep 1000 </dev/null >/dev/null 2>&1 &\n"
	"  until grep -q sleep /proc/$!/comm; do :; done; echo left; exit 0; }\n"
	"echo \"$PATH\"; PATH=/usr/bin:/bin; pwd; umask; id; echo \"$@\"; env | sort\n"
	"cut -d' ' -f5,6 /proc/self/mountinfo | sort\n"
	"ls -1AF / /home/u \"$PWD\" /.dray/bin /tmp /home/u/toolchain/lib/rustlib/*\n"
	"(cd /proc/$$/fd && echo *); cat given\n"
	"for f in /x /tmp/x ./x given target/deps/x \"$OUT\"/x /.dray/x /.dray/bin/x "
	"/.dray/out/x; do\n"
	"  (echo made >$f) 2>/dev/null && echo wrote $f\n"
	"done\n"
	"(: </proc/self/fd/3) && (: >/proc/self/fd/4) && printf x >&4 && echo tokens\n"
	"unshare -m true; unshare -U true; mount --move \"$OUT\" /home 2>&1 | cut -c1-20\n"
	"ulimit -n; ulimit -c; echo to err >&2; exit 3\n";

static inline void
make_toolchain(struct place *p)
{
	static const char *const dirs[] = { "bin", "lib/rustlib/" HOST "/bin",
		"lib/rustlib/" HOST "/lib", "lib/rustlib/other-target/lib" };
	static const char *const libs[] = { "/usr", "/bin", "/lib", "/lib64" };
	_cleanup_(freep) char *rustc = below(p->view, "bin/rustc");

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		_cleanup_(freep) char *dir = below(p->view, dirs[i]);

		assert_int_equal(fs_mkdir_p(dir, 0755), 0);
	}
	assert_int_equal(fs_write_atomic(rustc, probe, strlen(probe), 0755), 0);
	p->sysroot = (struct sysroot){ .path = p->view, .view = p->view, .lib_root = strdup("") };
	for (size_t i = 0; i < ARRAY_LEN(libs); i++)
		if (fs_exists(libs[i]))
			assert_int_equal(strv_add(&p->sysroot.lib_dirs, libs[i]), 0);
	p->toolchain.host = p->toolchain.target = strdup(HOST);
}

static inline int
set_up(void **state)
{
	static char sysroot[] = SYSROOT, driver[] = "rustc", none[] = "";
	struct place *p = calloc(1, sizeof(*p));
	char *error = NULL;

	assert_non_null(p);
	assert_int_equal(fs_make_temp_dir("/var/tmp", "dray-ready-", &p->dir), 0);
	/* with a uid of its own a job gets to it through the worker's namespace alone */
	p->jobs = below(p->dir, "jobs");
	p->tools = below(p->dir, "tools");
	p->view = below(p->dir, "view");
	assert_int_equal(chmod(p->dir, 0755), 0);
	assert_int_equal(fs_mkdir_p(p->jobs, 0755), 0);
	assert_int_equal(fs_mkdir_p(p->tools, 0755), 0);
	install(p->tools, "worker/dray-exec");
	install(p->tools, "worker/dray-ld");
	install(p->tools, "trace/dray-env.so");
	make_toolchain(p);
	assert_int_equal(conf_parse("", 0, "test", &p->conf, &error), 0);
	assert_int_equal(filters_make(false, &p->filters), 0);
	dray__unit__init(&p->unit);
	p->unit.sysroot = sysroot;
	p->unit.driver = driver;
	p->unit.linker = none;
	p->key = (struct ready_key){ &p->toolchain, &p->sysroot, sysroot };
	p->ready = (struct ready_conf){ .conf = p->conf,
		.jobs_dir = p->jobs,
		.tools_dir = p->tools,
		.filters = &p->filters,
		.max = 2 };
	*state = p;
	return 0;
}

static inline int
tear_down(void **state)
{
	struct place *p = *state;

	ready_freep(&p->pool);
	job_users_freep(&p->users);
	filters_done(&p->filters);
	conf_free(p->conf);
	strv_done(&p->sysroot.lib_dirs);
	free(p->sysroot.lib_root);
	free(p->toolchain.host);
	fs_rm_rf(p->dir);
	free(p->view);
	free(p->tools);
	free(p->jobs);
	free(p->dir);
	free(p);
	return 0;
}

static inline void
open_pool(struct place *p)
{
	p->ready.users = p->users;
	assert_int_equal(ready_open(&p->ready, &p->pool), 0);
}

static inline void
wait_for_count(struct place *p, unsigned n)
{
	uint64_t until = clock_mono_ms() + PATIENCE_MS;

	while (ready_count(p->pool) != n) {
		if (clock_mono_ms() > until)
			fail_msg("%u stand ready, not %u", ready_count(p->pool), n);
		poll(NULL, 0, 1);
	}
}

static inline void
want(struct place *p, const struct ready_key *k, unsigned then)
{
	ready_want(p->pool, k);
	wait_for_count(p, then);
}

static inline void
give_back(struct ready *r)
{
	sandbox_done(&r->box);
	limits_done(&r->limits);
	stage_done(&r->stage);
	job_users_give(r->user);
}

/* A test with a place of its own. */
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
