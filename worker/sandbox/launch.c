/* Invariant: the job's environment is the unit's, and from the worker PATH, CARGO_MAKEFLAGS and
 * LD_PRELOAD (which the compiler does not see), and nothing else; its mounts are the toolchain, the
 * system libraries, its out-dir, and the tree. */
#include "config.h"

#include "worker/sandbox/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/fs.h"
#include "common/process/spawn.h"
#include "common/text/why.h"
#include "worker/sandbox/compiler.h"
#include "worker/sandbox/limits.h"
#include "worker/sandbox/order.h"
#include "worker/sandbox/unit_check.h"

/* The kernel's limits are higher than those that the worker checks (limits.h), so that a job meets
 * the latter first, and they give the reason. Memory of one process: stacks that are hardly used
 * count in full. Processes: since Linux 5.14 the kernel counts those of the job's user namespace,
 * before that all of the worker's user, and never those of root. */
#define DATA_SLACK (1ull << 30)
#define CPU_SLACK_S 5
#define PROCESSES_SLACK 64

static const char *const programs[] = { "dray-exec", "dray-ld", "dray-env.so" };

static int
copy_program(const char *from, const char *to)
{
	_cleanup_(closep) int in = -1, out = -1;
	struct stat st;
	int r;

	in = fs_open_regular(from, &st);
	if (in < 0)
		return in;
	if (unlink(to) < 0 && errno != ENOENT)
		return -errno;
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (out < 0)
		return -errno;
	r = fs_copy_fd(in, out);
	if (r == 0 && fchmod(out, 0555) < 0)
		r = -errno;
	return r;
}

int
launch_prepare(const char *state_dir, char **ret_why)
{
	_cleanup_(freep) char *dir = path_join(state_dir, LAUNCH_TOOLS);
	int r = dir ? fs_mkdir_p(dir, 0755) : -ENOMEM;

	if (r < 0)
		return why_set(ret_why, r, "%s/bin: %s", state_dir, strerror(-r));
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		_cleanup_(freep) char *from = spawn_find_program(programs[i]);
		_cleanup_(freep) char *to = path_join(dir, programs[i]);

		if (!from)
			return why_set(ret_why, -ENOENT, "%s is not installed", programs[i]);
		r = to ? copy_program(from, to) : -ENOMEM;
		if (r < 0)
			return why_set(
				ret_why, r, "cannot copy %s to %s: %s", from, dir, strerror(-r));
	}
	return 0;
}

static int
add_env(struct buf *b, const char *name, const void *value, size_t n)
{
	int r = buf_adds(b, name);

	if (r == 0)
		r = buf_add(b, "=", 1);
	if (r == 0)
		r = buf_add(b, value, n);
	return r < 0 ? r : buf_add(b, "", 1);
}

static bool
is_ours(const char *name)
{
	static const char *const ours[] = { "PATH", "CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS",
		"LD_PRELOAD" };

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (streq(name, ours[i]))
			return true;
	return false;
}

static int
build_env(const Dray__Unit *u, bool traced, struct buf *env)
{
	char flags[96];
	int r;

	jobserver_flags(flags, 3, 4);
	r = add_env(env, "PATH", SANDBOX_BIN, strlen(SANDBOX_BIN));
	if (r == 0)
		r = add_env(env, "CARGO_MAKEFLAGS", flags, strlen(flags));
	/* dray-env.so takes itself out of the variable before the compiler sees it. */
	if (r == 0 && traced)
		r = add_env(env, "LD_PRELOAD", SANDBOX_BIN "/dray-env.so",
			strlen(SANDBOX_BIN "/dray-env.so"));
	for (size_t i = 0; r == 0 && i < u->n_env; i++)
		if (!is_ours(u->env[i]->name))
			r = add_env(
				env, u->env[i]->name, u->env[i]->value.data, u->env[i]->value.len);
	return r;
}

/* What of a sandbox is the same for all jobs. */
static struct sandbox_spec
common_spec(const struct launch *l)
{
	const uint64_t memory = limits_memory(l->conf), cpu_s = l->conf->worker.job_cpu_s;

	return (struct sandbox_spec){ .root = l->stage->root,
		.bin = l->stage->bin,
		.filters = l->filters,
		.trace_socket = -1,
		.cgroup = l->cgroup,
		.user = l->user,
		.tmp_max = l->conf->worker.job_tmp_max,
		.data_max = memory ? memory + DATA_SLACK : 0,
		.file_max = l->conf->worker.job_file_max,
		.cpu_s = cpu_s ? cpu_s + CPU_SLACK_S : 0,
		.open_files = l->conf->worker.job_open_files,
		.processes = l->conf->worker.job_processes + PROCESSES_SLACK };
}

struct mount_list {
	struct strv keep;
	struct sandbox_mount *v;
	size_t n;
};

static void
mount_list_done(struct mount_list *m)
{
	strv_done(&m->keep);
	free(m->v);
}

static int
list_mounts(const struct launch *l, struct mount_list *m)
{
	int r = stage_mounts(l->stage, l->sysroot->view, l->sysroot->lib_root,
		l->sysroot->lib_dirs.v, &m->keep, &m->v, &m->n);

	if (r == 0 && l->toolchain)
		r = compiler_mounts(&(struct compiler){ l->unit, l->toolchain, l->sysroot,
					    l->stage->root, l->stage->bin },
			&m->keep, &m->v, &m->n);
	return r;
}

struct command {
	struct strv argv;
	struct buf env;
};

static void
command_done(struct command *c)
{
	strv_done(&c->argv);
	buf_done(&c->env);
}

/* The unit's own part of it. */
static int
make_command(const struct launch *l, struct command *c, struct sandbox_spec *spec)
{
	int r = build_env(l->unit, l->trace_socket >= 0, &c->env);

	if (r == 0)
		r = compiler_argv(l->unit, l->stage->root, &c->argv);
	spec->cwd = l->unit->cwd;
	spec->argv = c->argv.v;
	spec->env = &c->env;
	spec->trace_socket = l->trace_socket;
	spec->js = l->jobserver;
	spec->umask = unit_umask(l->unit);
	return r;
}

int
launch_start(const struct launch *l, struct sandbox *ret, char **ret_why)
{
	_cleanup_(command_done) struct command c = { STRV_INIT, BUF_INIT };
	_cleanup_(mount_list_done) struct mount_list m = { STRV_INIT, NULL, 0 };
	struct sandbox_spec spec = common_spec(l);
	int r = make_command(l, &c, &spec);

	if (r == 0)
		r = list_mounts(l, &m);
	if (r < 0)
		return why_set(ret_why, r, "cannot prepare the sandbox: %s", strerror(-r));
	spec.mounts = m.v;
	spec.n_mounts = m.n;
	r = sandbox_start(&spec, ret);
	return r < 0 ? why_set(ret_why, r, "cannot start bubblewrap: %s", strerror(-r)) : 0;
}

int
launch_ahead(const struct launch *l, struct sandbox *ret, char **ret_why)
{
	_cleanup_(mount_list_done) struct mount_list m = { STRV_INIT, NULL, 0 };
	struct sandbox_spec spec = common_spec(l);
	int r = list_mounts(l, &m);

	if (r < 0)
		return why_set(ret_why, r, "cannot prepare a sandbox: %s", strerror(-r));
	spec.mounts = m.v;
	spec.n_mounts = m.n;
	spec.waits = true;
	spec.traced = l->filters->trace.n > 0;
	r = sandbox_start(&spec, ret);
	return r < 0 ? why_set(ret_why, r, "cannot start bubblewrap: %s", strerror(-r)) : 0;
}

int
launch_order(const struct launch *l, struct sandbox *box, char **ret_why)
{
	_cleanup_(command_done) struct command c = { STRV_INIT, BUF_INIT };
	struct sandbox_spec spec = common_spec(l);
	int r = make_command(l, &c, &spec);

	if (r == 0)
		r = order_mounts(box, l->unit->out_dir, &l->stage->tmp);
	if (r == 0)
		r = order_command(box, &spec);
	return r < 0 ? why_set(ret_why, r, "a sandbox that stood ready is of no use: %s",
			       strerror(-r))
		     : 0;
}
