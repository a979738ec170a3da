/* Sandboxes that stand ready: how many there are, for how long, and of whom; what jobs have used is
 * removed. */
#include "config.h"

#include "tests/unit/ready_fixture.h"

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
	int watch;

	assert_false(ready_settle(NULL));
	open_pool(p);
	assert_false(ready_settle(p->pool));
	want(p, &p->key, 1);
	assert_true(ready_take(p->pool, &p->key, &a));
	assert_int_equal(entries(p->jobs), 1);
	watch = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(watch > 0);
	a.watch = watch;
	ready_clear(p->pool, &a);
	assert_true(a.box.pid == -1 && !a.stage.dir && !a.watch);
	ready_settle(p->pool);
	assert_int_equal(entries(p->jobs), 0);
	assert_int_equal(fcntl(watch, F_GETFD), -1);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
