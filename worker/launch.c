/* Invariant: the job's environment is the unit's and three names of ours: PATH, CARGO_MAKEFLAGS, and
 * nothing else; its mounts are the toolchain, the system libraries, its out-dir, and the tree. */
#include "config.h"

#include "worker/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/fs.h"
#include "common/spawn.h"
#include "worker/seccomp.h"

static const char *const programs[] = { "dray-exec", "dray-ld" };

static int fail(char **ret_why, int err, const char *fmt, ...) _printf_(3, 4);

static int
fail(char **ret_why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(ret_why, fmt, ap) < 0)
		*ret_why = NULL;
	va_end(ap);
	return err;
}

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
	_cleanup_(freep) char *dir = path_join(state_dir, "bin");
	int r = dir ? fs_mkdir_p(dir, 0755) : -ENOMEM;

	if (r < 0)
		return fail(ret_why, r, "%s/bin: %s", state_dir, strerror(-r));
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		_cleanup_(freep) char *from = spawn_find_program(programs[i]);
		_cleanup_(freep) char *to = path_join(dir, programs[i]);

		if (!from)
			return fail(ret_why, -ENOENT, "%s is not installed", programs[i]);
		r = to ? copy_program(from, to) : -ENOMEM;
		if (r < 0)
			return fail(ret_why, r, "cannot copy %s to %s: %s", from, dir, strerror(-r));
	}
	return 0;
}

/* stage->dir is <state>/jobs/<job>. */
static char *
program_path(const struct stage *stage, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/../../bin/%s", stage->dir, name) < 0)
		return NULL;
	return path;
}

static int
link_program(const struct stage *stage, const char *name, const char *to)
{
	_cleanup_(freep) char *from = program_path(stage, name);

	if (!from)
		return -ENOMEM;
	return link(from, to) < 0 && errno != EEXIST ? -errno : 0;
}

/* rustc finds its linker by name in PATH, or at the absolute path that the project gives; dray-ld must
 * stand under that very name, since the name decides which arguments rustc makes. */
static int
place_linker(const struct stage *stage, const char *bin, const char *linker)
{
	_cleanup_(freep) char *to = NULL;
	int r;

	if (!*linker)
		return 0;
	to = path_join(*linker == '/' ? stage->root : bin, *linker == '/' ? linker + 1 : linker);
	if (!to)
		return -ENOMEM;
	r = fs_mkdir_parent(to, 0755);
	return r < 0 ? r : link_program(stage, "dray-ld", to);
}

static int
make_bin(const struct stage *stage, const char *linker, char **ret)
{
	_cleanup_(freep) char *bin = path_join(stage->dir, "bin");
	_cleanup_(freep) char *exec = bin ? path_join(bin, programs[0]) : NULL;
	int r;

	if (!exec)
		return -ENOMEM;
	r = fs_mkdir_p(bin, 0755);
	if (r == 0)
		r = link_program(stage, programs[0], exec);
	if (r == 0)
		r = place_linker(stage, bin, linker);
	if (r == 0)
		*ret = steal_ptr(bin);
	return r;
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
	static const char *const ours[] = { "PATH", "CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS" };

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (streq(name, ours[i]))
			return true;
	return false;
}

static int
build_env(const Dray__Unit *u, struct buf *env)
{
	char flags[96];
	int r;

	jobserver_flags(flags, 3, 4);
	r = add_env(env, "PATH", SANDBOX_BIN, strlen(SANDBOX_BIN));
	if (r == 0)
		r = add_env(env, "CARGO_MAKEFLAGS", flags, strlen(flags));
	for (size_t i = 0; r == 0 && i < u->n_env; i++)
		if (!is_ours(u->env[i]->name))
			r = add_env(env, u->env[i]->name, u->env[i]->value.data,
				u->env[i]->value.len);
	return r;
}

static int
build_argv(const Dray__Unit *u, struct strv *argv)
{
	int r = strv_addf(argv, "%s/bin/%s", u->sysroot, u->driver);

	for (size_t i = 0; r == 0 && i < u->n_argv; i++)
		r = strv_add(argv, u->argv[i]);
	return r;
}

struct mounts {
	struct sandbox_mount *v;
	size_t n;
	struct strv texts; /* owns what v points to and nobody else does */
};

static void
mounts_done(struct mounts *m)
{
	free(m->v);
	strv_done(&m->texts);
}

/* Parents before what lies in them: the client's trees below /tmp, which a mount of its own hides; then
 * the libraries and the toolchain; the out-dir last, as it may be in any of them. */
static int
build_mounts(const struct stage *stage, const struct stage_unit *unit, struct mounts *m)
{
	const struct sysroot *sys = unit->offer->sysroot;
	const Dray__Unit *u = unit->unit;
	int r = 0;

	m->v = calloc(stage->tmp_tops.n + sys->lib_from.n + 2, sizeof(*m->v));
	if (!m->v)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < stage->tmp_tops.n; i++) {
		r = strv_addf(&m->texts, "%s/tmp/%s", stage->root, stage->tmp_tops.v[i]);
		if (r == 0)
			r = strv_addf(&m->texts, "/tmp/%s", stage->tmp_tops.v[i]);
		if (r == 0)
			m->v[m->n++] = (struct sandbox_mount){ m->texts.v[m->texts.n - 2],
				m->texts.v[m->texts.n - 1], false };
	}
	for (size_t i = 0; i < sys->lib_from.n; i++)
		m->v[m->n++] = (struct sandbox_mount){ sys->lib_from.v[i], sys->lib_to.v[i], false };
	m->v[m->n++] = (struct sandbox_mount){ sys->view, u->sysroot, false };
	m->v[m->n++] = (struct sandbox_mount){ stage->out, u->out_dir, true };
	return r;
}

int
launch_start(const struct conf *conf, const struct stage *stage, const struct stage_unit *unit,
	const struct jobserver *js, struct sandbox *ret, char **ret_why)
{
	const Dray__Unit *u = unit->unit;
	_cleanup_(mounts_done) struct mounts mounts = { NULL, 0, STRV_INIT };
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	_cleanup_(buf_done) struct buf env = BUF_INIT, seccomp = BUF_INIT;
	_cleanup_(freep) char *bin = NULL;
	struct sandbox_spec spec;
	int r = make_bin(stage, u->linker, &bin);

	if (r == 0)
		r = build_env(u, &env);
	if (r == 0)
		r = build_argv(u, &argv);
	if (r == 0)
		r = build_mounts(stage, unit, &mounts);
	if (r == 0)
		r = seccomp_program(&seccomp);
	if (r < 0)
		return fail(ret_why, r, "cannot prepare the sandbox: %s", strerror(-r));
	spec = (struct sandbox_spec){ .root = stage->root, .bin = bin, .mounts = mounts.v,
		.n_mounts = mounts.n, .cwd = u->cwd, .argv = argv.v, .env = &env,
		.seccomp = &seccomp, .js = js, .tmp_max = conf->worker.job_tmp_max,
		.memory_max = conf->worker.job_memory, .file_max = conf->worker.job_file_max,
		.cpu_s = 0 };
	r = sandbox_start(&spec, ret);
	return r < 0 ? fail(ret_why, r, "cannot start bubblewrap: %s", strerror(-r)) : 0;
}
