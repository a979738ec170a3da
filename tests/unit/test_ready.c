/* What a job finds in a sandbox that stood ready is what it finds in one that was started for it.
 */
#include "config.h"

#include "tests/unit/ready_fixture.h"

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

/* What stands ready for other limits is of no use: it ends, and the next one has the new ones. */
static void
test_other_limits(void **state)
{
	static const char text[] = "[worker]\njob_tmp_max = 3M\n";
	struct place *p = *state;
	struct conf *fresh = NULL;
	char *error = NULL;
	struct ready a;

	open_pool(p);
	want(p, &p->key, 1);
	assert_int_equal(conf_parse(text, sizeof(text) - 1, "test", &fresh, &error), 0);
	ready_use(p->pool, fresh);
	assert_int_equal(ready_count(p->pool), 0);
	assert_false(ready_take(p->pool, &p->key, &a));
	want(p, &p->key, 1);
	assert_true(ready_take(p->pool, &p->key, &a));
	assert_ptr_equal(a.limits.conf, fresh);
	/* the pool, and what it has made, have it still */
	conf_freep(&fresh);
	assert_int_equal(a.limits.conf->worker.job_tmp_max, 3 << 20);
	give_back(&a);
	ready_use(NULL, p->conf);
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
		TEST(test_other_limits),
		TEST(test_usage),
		TEST(test_usage_own_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
