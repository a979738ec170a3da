/* Sandboxes that stand ready: what a job finds in one is what it finds in one that was started for
 * it; and how many there are, for how long, and of whom. The "compiler" is a script. */
#include "config.h"

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

static void
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

static int
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

static int
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

static void
open_pool(struct place *p)
{
	p->ready.users = p->users;
	assert_int_equal(ready_open(&p->ready, &p->pool), 0);
}

static void
wait_for_count(struct place *p, unsigned n)
{
	uint64_t until = clock_mono_ms() + PATIENCE_MS;

	while (ready_count(p->pool) != n) {
		if (clock_mono_ms() > until)
			fail_msg("%u stand ready, not %u", ready_count(p->pool), n);
		poll(NULL, 0, 1);
	}
}

static void
want(struct place *p, const struct ready_key *k, unsigned then)
{
	ready_want(p->pool, k);
	wait_for_count(p, then);
}

static void
give_back(struct ready *r)
{
	sandbox_done(&r->box);
	limits_done(&r->limits);
	stage_done(&r->stage);
	job_users_give(r->user);
}

/* ---- what a job finds */

static void
drain(struct sandbox *box, struct buf *said)
{
	uint64_t until = clock_mono_ms() + PATIENCE_MS;

	while (box->out >= 0 || box->err >= 0) {
		struct pollfd fds[2] = { { .fd = box->out, .events = POLLIN },
			{ .fd = box->err, .events = POLLIN } };
		int *const ends[2] = { &box->out, &box->err };

		assert_true(clock_mono_ms() < until);
		poll(fds, 2, 1000);
		for (size_t i = 0; i < 2; i++) {
			char text[4096];
			ssize_t n = fds[i].revents ? read(fds[i].fd, text, sizeof(text)) : -1;

			if (fds[i].revents && n <= 0)
				closep(ends[i]);
			else if (n > 0)
				assert_int_equal(buf_add(&said[i], text, (size_t)n), 0);
		}
	}
}

static void
fill_root(const struct stage *s, const Dray__Unit *u)
{
	for (size_t i = 0; i <= u->n_files; i++) {
		_cleanup_(freep) char *path = NULL;

		assert_true(asprintf(&path, "%s%s%s", s->root, i ? u->files[i - 1]->path : u->cwd,
				    i ? "" : "/given") > 0);
		assert_int_equal(fs_write_atomic(path, "a file\n", 7, 0644), 0);
	}
}

struct run {
	struct ready r;
	struct tokens tokens;
	struct buf said[2];
};

/* Takes one that stands ready, or makes one as jobs do that find none. */
static void
run_in(struct place *p, bool ready, struct token_bank *bank, struct run *run)
{
	_cleanup_(freep) char *why = NULL;
	struct launch l = { .conf = p->conf,
		.stage = &run->r.stage,
		.unit = &p->unit,
		.sysroot = &p->sysroot,
		.toolchain = &p->toolchain,
		.jobserver = tokens_pool(&run->tokens),
		.filters = &p->filters,
		.trace_socket = -1 };
	int r;

	*run = (struct run){ .r = { .box = SANDBOX_INIT, .limits = LIMITS_INIT },
		.tokens = TOKENS_INIT,
		.said = { BUF_INIT, BUF_INIT } };
	assert_int_equal(tokens_begin(bank, 2, &run->tokens), 0);
	if (ready) {
		assert_true(ready_fits(&p->key, &p->unit));
		want(p, &p->key, 1);
		assert_true(ready_take(p->pool, &p->key, &run->r));
		assert_int_equal(stage_rename(&run->r.stage, p->jobs, "job"), 0);
		r = stage_fill(&run->r.stage, &p->unit);
	} else {
		run->r.user = job_users_take(p->users);
		r = stage_new(&(struct stage_spec){ .jobs = p->jobs,
				      .job = "plain",
				      .tools = p->tools,
				      .lib_dirs = p->sysroot.lib_dirs.v,
				      .unit = &p->unit,
				      .users = p->users },
			&run->r.stage);
	}
	assert_int_equal(r, 0);
	l.user = run->r.user;
	fill_root(&run->r.stage, &p->unit);
	r = ready ? launch_order(&l, &run->r.box, &why) : launch_start(&l, &run->r.box, &why);
	/* a child that had the job's namespace was of this memory */
	assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
	if (r < 0)
		fail_msg("%s", why);
	drain(&run->r.box, run->said);
	sandbox_wait(&run->r.box, NULL);
	tokens_done(&run->tokens);
}

static void
done(struct run *run)
{
	give_back(&run->r);
	buf_done(&run->said[0]);
	buf_done(&run->said[1]);
}

static void
same_job(struct place *p, const char *cwd, const char *out_dir)
{
	static char name[] = "OUT";
	_cleanup_(freep) char *c = strdup(cwd), *o = strdup(out_dir), *made = NULL;
	char a[] = "an argument", b[] = "", *argv[] = { a, b };
	Dray__EnvVar env = DRAY__ENV_VAR__INIT, *envs[] = { &env };
	struct token_bank bank;
	struct run runs[2];

	env.name = name;
	env.value.data = (uint8_t *)o;
	env.value.len = strlen(o);
	p->unit.cwd = c;
	p->unit.out_dir = o;
	p->unit.argv = argv;
	p->unit.n_argv = ARRAY_LEN(argv);
	p->unit.env = envs;
	p->unit.n_env = 1;
	p->unit.umask = 1 + 027;
	token_bank_init(&bank, 2);
	for (int i = 0; i < 2; i++) {
		run_in(p, i == 1, &bank, &runs[i]);
		if (runs[i].r.box.phase != SANDBOX_ENDED || runs[i].r.box.status != 3)
			fail_msg("%d: phase %d status %d %s %s", i, runs[i].r.box.phase,
				runs[i].r.box.status, runs[i].r.box.failure, runs[i].said[1].p);
		made = path_join(runs[i].r.stage.out, "x");
		assert_true(fs_exists(made));
		free(steal_ptr(made));
	}
	for (int s = 0; s < 2; s++) {
		assert_int_equal(buf_add(&runs[0].said[s], "", 1), 0);
		assert_int_equal(buf_add(&runs[1].said[s], "", 1), 0);
		assert_string_equal(runs[0].said[s].p, runs[1].said[s].p);
	}
	assert_non_null(strstr((char *)runs[1].said[0].p, "tokens\n"));
	assert_non_null(strstr((char *)runs[1].said[0].p, "0 1 10 2 3 4\n"));
	assert_non_null(strstr((char *)runs[1].said[0].p, "a file\n"));
	assert_null(strstr((char *)runs[1].said[0].p, "wrote /x"));
	assert_null(strstr((char *)runs[1].said[0].p, "wrote given"));
	assert_null(strstr((char *)runs[1].said[0].p, "wrote /.dray"));
	assert_int_equal(ready_count(p->pool), 0);
	done(&runs[0]);
	done(&runs[1]);
	token_bank_done(&bank);
}

static void
test_same_as_started(void **state)
{
	struct place *p = *state;

	open_pool(p);
	same_job(p, "/home/u/w", "/home/u/w/target/deps");
}

static void
test_same_below_tmp(void **state)
{
	struct place *p = *state;

	open_pool(p);
	same_job(p, "/tmp/project/w", "/tmp/target/deps");
}

/* Its directories are those of jobs before. */
static void
test_same_after_others(void **state)
{
	struct place *p = *state;

	open_pool(p);
	same_job(p, "/home/u/w", "/home/u/w/target/deps");
	assert_true(spare_count(ready_spare(p->pool)) > 0);
	same_job(p, "/srv/w/deep", "/srv/target/deps");
}

/* Its name is a mount, like that of a directory. */
static void
test_same_file_in_tmp(void **state)
{
	static char path[] = "/tmp/main.rs";
	struct place *p = *state;
	Dray__UnitFile file = DRAY__UNIT_FILE__INIT, *files[] = { &file };

	open_pool(p);
	file.path = path;
	p->unit.files = files;
	p->unit.n_files = 1;
	same_job(p, "/home/u/w", "/home/u/w/target/deps");
}

static void
test_same_own_user(void **state)
{
	struct place *p = *state;
	const struct passwd *own = getpwuid(geteuid());
	const struct job_users_conf c = { own ? own->pw_name : NULL, geteuid(), getegid(), 4 };
	_cleanup_(freep) char *why = NULL;

	if (job_users_open(&c, &p->users, &why) < 0)
		skip();
	open_pool(p);
	same_job(p, "/tmp/project/w", "/home/u/target/deps");
}

/* What the program left running is gone when its end is told. */
static void
test_ends_alone(void **state)
{
	struct place *p = *state;
	char cwd[] = "/w", out[] = "/out", leave[] = "leave", *argv[] = { leave };
	struct token_bank bank;
	struct run run;

	open_pool(p);
	p->unit.cwd = cwd;
	p->unit.out_dir = out;
	p->unit.argv = argv;
	p->unit.n_argv = 1;
	token_bank_init(&bank, 2);
	run_in(p, true, &bank, &run);
	assert_int_equal(run.r.box.phase, SANDBOX_ENDED);
	assert_int_equal(run.r.box.status, 0);
	assert_true(run.r.box.alone);
	assert_int_equal(run.said[0].n, strlen("left\n"));
	assert_true(run.r.box.usage.peak_rss > 0);
	done(&run);
	token_bank_done(&bank);
}

/* Of one that stands ready, process 1 is all; and of none that has ended. */
static void
looks_in(struct place *p)
{
	struct usage u;
	struct ready a;

	open_pool(p);
	want(p, &p->key, 1);
	assert_true(ready_take(p->pool, &p->key, &a));
	assert_true(a.box.child > 0);
	assert_int_equal(usage_of_sandbox(a.box.child, a.box.pidfd, 0, 100, &u), 0);
	assert_int_equal(u.tasks, 1);
	assert_true(u.memory > 0);
	assert_true(u.memory < 64 << 20);
	assert_int_equal(usage_of_sandbox(a.box.child, -1, 0, 100, &u), -ESRCH);
	/* another process's number */
	assert_int_equal(kill(a.box.child, SIGKILL), 0);
	assert_int_equal(
		poll(&(struct pollfd){ .fd = a.box.pidfd, .events = POLLIN }, 1, 10000), 1);
	assert_int_equal(usage_of_sandbox(getpid(), a.box.pidfd, 0, 100, &u), -ESRCH);
	give_back(&a);
}

static void
test_usage(void **state)
{
	looks_in(*state);
}

static void
test_usage_own_user(void **state)
{
	struct place *p = *state;
	const struct passwd *own = getpwuid(geteuid());
	const struct job_users_conf c = { own ? own->pw_name : NULL, geteuid(), getegid(), 1 };
	_cleanup_(freep) char *why = NULL;

	if (job_users_open(&c, &p->users, &why) < 0)
		skip();
	looks_in(p);
}

/* ---- the pool */

static void
test_taken_once(void **state)
{
	struct place *p = *state;
	struct ready_key other = p->key;
	char path[] = "/home/other/toolchain";
	struct ready a, b;

	open_pool(p);
	other.path = path;
	assert_false(ready_take(p->pool, &p->key, &a));
	want(p, &p->key, 1);
	assert_false(ready_take(p->pool, &other, &a));
	assert_true(ready_take(p->pool, &p->key, &a));
	assert_false(ready_take(p->pool, &p->key, &b));
	give_back(&a);
}

static void
wait_and_take(struct place *p, const struct ready_key *k, struct ready *ret)
{
	uint64_t until = clock_mono_ms() + PATIENCE_MS;

	while (!ready_take(p->pool, k, ret)) {
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, 1);
	}
}

static void
test_others_make_place(void **state)
{
	struct place *p = *state;
	struct ready_key other = p->key, third = p->key;
	char path[] = "/home/other/toolchain", path3[] = "/home/third/toolchain";
	struct ready a, b;

	open_pool(p);
	other.path = path;
	third.path = path3;
	want(p, &p->key, 1);
	want(p, &p->key, 2);
	ready_want(p->pool, &other);
	wait_and_take(p, &other, &a);
	assert_int_equal(ready_count(p->pool), 1);
	want(p, &other, 2);
	/* one more takes no other's place, while there is one; so the third takes the first's */
	ready_want(p->pool, &p->key);
	ready_want(p->pool, &third);
	wait_and_take(p, &third, &b);
	give_back(&a);
	give_back(&b);
	assert_true(ready_take(p->pool, &other, &a));
	assert_int_equal(ready_count(p->pool), 0);
	give_back(&a);
}

/* The child of one of its threads; 0: it has none. */
static pid_t
child_of(pid_t pid)
{
	char path[64], text[32] = "";
	glob_t g;
	long child = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/*/children", (int)pid);
	assert_int_equal(glob(path, 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc && !child; i++) {
		_cleanup_(closep) int fd = open(g.gl_pathv[i], O_RDONLY | O_CLOEXEC);

		if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
			child = strtol(text, NULL, 10);
	}
	globfree(&g);
	return (pid_t)child;
}

static unsigned
entries(const char *dir)
{
	_cleanup_(closedirp) DIR *d = opendir(dir);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n - 2;
}

static void
test_dead_is_not_given(void **state)
{
	struct place *p = *state;
	uint64_t until = clock_mono_ms() + PATIENCE_MS;
	struct ready a;
	pid_t bwrap, inside;

	open_pool(p);
	want(p, &p->key, 1);
	bwrap = child_of(getpid());
	inside = bwrap > 0 ? child_of(bwrap) : 0;
	assert_true(inside > 0);
	assert_int_equal(kill(inside, SIGKILL), 0);
	while (kill(inside, 0) == 0 && clock_mono_ms() < until)
		poll(NULL, 0, 1);
	assert_int_equal(ready_count(p->pool), 1);
	assert_false(ready_take(p->pool, &p->key, &a));
	assert_int_equal(ready_count(p->pool), 0);
	assert_int_equal(entries(p->jobs), 0);
}

static void
test_idle_ones_end(void **state)
{
	struct place *p = *state;

	p->ready.idle_ms = 2000;
	open_pool(p);
	want(p, &p->key, 1);
	wait_for_count(p, 0);
	for (uint64_t until = clock_mono_ms() + PATIENCE_MS; entries(p->jobs) > 0; poll(NULL, 0, 1))
		assert_true(clock_mono_ms() < until);
}

static void
test_user_comes_back(void **state)
{
	struct place *p = *state;
	const struct passwd *own = getpwuid(geteuid());
	const struct job_users_conf c = { own ? own->pw_name : NULL, geteuid(), getegid(), 1 };
	_cleanup_(freep) char *why = NULL;
	struct job_user *u;

	if (job_users_open(&c, &p->users, &why) < 0)
		skip();
	open_pool(p);
	want(p, &p->key, 1);
	assert_null(job_users_take(p->users));
	assert_true(ready_end_one(p->pool));
	u = job_users_take(p->users);
	assert_non_null(u);
	/* and no further one is made while jobs have them all */
	ready_want(p->pool, &p->key);
	assert_false(ready_end_one(p->pool));
	job_users_give(u);
}

static void
test_changed_toolchain(void **state)
{
	struct place *p = *state;
	struct toolchain other = p->toolchain;
	struct ready a;

	open_pool(p);
	want(p, &p->key, 1);
	ready_end_toolchain(p->pool, &other);
	assert_int_equal(ready_count(p->pool), 1);
	ready_end_toolchain(p->pool, &p->toolchain);
	assert_false(ready_take(p->pool, &p->key, &a));
}

/* What a job has used is removed by the thread; where that has enough to do, at once. */
static void
test_used_ones_are_removed(void **state)
{
	struct place *p = *state;
	struct ready a, b = READY_INIT;

	assert_false(ready_settle(NULL));
	open_pool(p);
	assert_false(ready_settle(p->pool));
	want(p, &p->key, 1);
	assert_true(ready_take(p->pool, &p->key, &a));
	assert_int_equal(entries(p->jobs), 1);
	ready_clear(p->pool, &a);
	assert_true(a.box.pid == -1 && !a.stage.dir);
	ready_settle(p->pool);
	assert_int_equal(entries(p->jobs), 0);
	want(p, &p->key, 1);
	assert_true(ready_take(p->pool, &p->key, &a));
	for (unsigned i = 0; i < 2 * p->ready.max; i++)
		ready_clear(p->pool, &b);
	ready_clear(NULL, &a);
	assert_int_equal(entries(p->jobs), 0);
}

static void
test_end_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct ready a;

	open_pool(p);
	want(p, &p->key, 1);
	want(p, &p->key, 2);
	assert_int_equal(entries(p->jobs), 2);
	assert_true(ready_take(p->pool, &p->key, &a));
	ready_clear(p->pool, &a);
	ready_freep(&p->pool);
	assert_int_equal(entries(p->jobs), 0);
}

static void
test_what_fits(void **state)
{
	static char below_tmp[] = "/tmp/u/toolchain", linker[] = "own-ld", cc[] = "cc";
	struct place *p = *state;
	_cleanup_(freep) char *path = below(p->view, "lib/rustlib/" HOST "/bin/own-ld");

	assert_true(ready_fits(&p->key, &p->unit));
	p->unit.linker = cc;
	assert_true(ready_fits(&p->key, &p->unit));
	p->unit.linker = linker;
	assert_true(ready_fits(&p->key, &p->unit));
	assert_int_equal(fs_write_atomic(path, "", 0, 0755), 0);
	assert_false(ready_fits(&p->key, &p->unit));
	p->unit.linker = cc;
	p->unit.sysroot = below_tmp;
	assert_false(ready_fits(&p->key, &p->unit));
}

/* Where none can be made, none is tried for ever, and nothing is left of them. */
static void
test_failures(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *tool = below(p->tools, "dray-exec");

	assert_int_equal(unlink(tool), 0);
	open_pool(p);
	for (int i = 0; i < 5; i++)
		ready_want(p->pool, &p->key);
	ready_freep(&p->pool);
	assert_int_equal(entries(p->jobs), 0);
}

/* None leaves a descriptor, a user or a directory behind. */
static void
test_failures_leave_nothing(void **state)
{
	struct place *p = *state;
	const struct passwd *own = getpwuid(geteuid());
	const struct job_users_conf c = { own ? own->pw_name : NULL, geteuid(), getegid(), 1 };
	_cleanup_(freep) char *tool = below(p->tools, "dray-exec"), *why = NULL;
	unsigned before;
	struct ready none = READY_INIT;

	(void)job_users_open(&c, &p->users, &why);
	assert_int_equal(fs_write_atomic(tool, "#!/nowhere\n", 11, 0755), 0);
	p->ready.rest_ms = 1;
	open_pool(p);
	before = entries("/proc/self/fd");
	for (int i = 0; i < 50; i++) {
		ready_want(p->pool, &p->key);
		ready_clear(p->pool, &none); /* after it */
		ready_settle(p->pool);
		none = (struct ready)READY_INIT;
		poll(NULL, 0, 2);
	}
	assert_int_equal(ready_count(p->pool), 0);
	assert_int_equal(entries("/proc/self/fd"), before);
	assert_int_equal(entries(p->jobs), 0);
	if (p->users) {
		struct job_user *u = job_users_take(p->users);

		assert_non_null(u);
		job_users_give(u);
	}
}

/* The thread is held up: two wait for it, the third is removed at once. */
static void
test_removal_is_bounded(void **state)
{
	static const char slow[] = "#!/bin/sh\nexec /bin/sleep 60\n";
	static const char *const names[] = { "a", "b", "c" };
	char cwd[] = "/w", out[] = "/out";
	struct place *p = *state;
	_cleanup_(freep) char *tool = below(p->tools, "dray-exec");
	uint64_t until = clock_mono_ms() + PATIENCE_MS;
	pid_t bwrap = 0;

	p->unit.cwd = cwd;
	p->unit.out_dir = out;
	assert_int_equal(fs_write_atomic(tool, slow, strlen(slow), 0755), 0);
	open_pool(p);
	ready_want(p->pool, &p->key);
	while (!bwrap || !child_of(bwrap)) {
		assert_true(clock_mono_ms() < until);
		bwrap = child_of(getpid());
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct ready r = READY_INIT;

		assert_int_equal(stage_new(&(struct stage_spec){ .jobs = p->jobs,
						   .job = names[i],
						   .tools = p->tools,
						   .lib_dirs = p->sysroot.lib_dirs.v,
						   .unit = &p->unit },
					 &r.stage),
			0);
		assert_int_equal(entries(p->jobs), i + 2);
		ready_clear(p->pool, &r);
	}
	assert_int_equal(entries(p->jobs), 3);
	assert_int_equal(kill(child_of(bwrap), SIGKILL), 0);
	ready_settle(p->pool);
	assert_int_equal(entries(p->jobs), 0);
}

/* After some failures nothing is tried, for a while only. */
static void
test_rests(void **state)
{
	struct place *p = *state;
	uint64_t until = clock_mono_ms() + PATIENCE_MS / 6;

	p->ready.rest_ms = 300;
	open_pool(p);
	want(p, &p->key, 1);
	for (int i = 0; i < 3; i++)
		ready_told(p->pool, false);
	ready_want(p->pool, &p->key);
	while (ready_count(p->pool) < 2) {
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, 10);
		ready_want(p->pool, &p->key);
	}
}

/* The job may begin again at once: its name is free, while what it used is still there. */
static void
test_used_ones_give_up_their_name(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *dir = below(p->jobs, "job");
	struct ready a;

	open_pool(p);
	for (int i = 0; i < 20; i++) {
		want(p, &p->key, 1);
		assert_true(ready_take(p->pool, &p->key, &a));
		assert_int_equal(stage_rename(&a.stage, p->jobs, "job"), 0);
		ready_clear(p->pool, &a);
		assert_int_equal(mkdir(dir, 0755), 0);
		ready_settle(p->pool);
		assert_int_equal(rmdir(dir), 0);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_same_as_started),
		TEST(test_same_below_tmp),
		TEST(test_same_after_others),
		TEST(test_same_file_in_tmp),
		TEST(test_same_own_user),
		TEST(test_ends_alone),
		TEST(test_usage),
		TEST(test_usage_own_user),
		TEST(test_taken_once),
		TEST(test_others_make_place),
		TEST(test_dead_is_not_given),
		TEST(test_idle_ones_end),
		TEST(test_user_comes_back),
		TEST(test_changed_toolchain),
		TEST(test_used_ones_are_removed),
		TEST(test_end_leaves_nothing),
		TEST(test_what_fits),
		TEST(test_failures),
		TEST(test_failures_leave_nothing),
		TEST(test_removal_is_bounded),
		TEST(test_rests),
		TEST(test_used_ones_give_up_their_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
