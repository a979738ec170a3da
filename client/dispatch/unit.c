/* Puts a unit together. Invariant: a unit that is sent to a worker is complete as far as this
 * machine knows. Anything odd about it is a reason to compile it here. */
#include "config.h"

#include "client/dispatch/unit.h"

#include <errno.h>
#include <stdio.h>

#include "client/wrap/closure.h"
#include "client/wrap/envscan.h"
#include "client/wrap/identify.h"
#include "client/dispatch/sources.h"
#include "client/wrap/target_dir.h"
#include "client/dispatch/unit_priv.h"
#include "common/fs.h"
#include "common/text/why.h"
#include "rustc/release.h"

void
unit_free(struct unit *u)
{
	if (!u)
		return;
	free(u->cwd);
	free(u->out_dir);
	free(u->source);
	free(u->linker);
	toolchain_done(&u->tc);
	strv_done(&u->argv);
	strv_done(&u->env);
	strv_done(&u->dirs);
	strv_done(&u->walked);
	strv_done(&u->withheld);
	strv_done(&u->withheld_env);
	strv_done(&u->links);
	files_free(u->on_demand);
	strv_done(&u->inputs);
	strv_done(&u->names);
	strv_done(&u->blob_paths);
	free(u->files);
	free(u->files_p);
	free(u->times);
	free(u->digests);
	free(u->blobs);
	free(u->blobs_p);
	free(u->vars);
	free(u->vars_p);
	if (u->push) {
		free(u->push->files);
		free(u->push->files_p);
		buf_done(&u->push->version);
	}
	free(u->push);
	free(u);
}

void
unit_freep(struct unit **u)
{
	unit_free(*u);
	*u = NULL;
}

Dray__Unit *
unit_message(struct unit *u)
{
	return &u->msg;
}

const struct rustc_call *
unit_call(const struct unit *u)
{
	return u->call;
}

const struct mapping *
unit_mapping(const struct unit *u)
{
	return u->mapping;
}

const char *
unit_blob_path(const struct unit *u, uint32_t blob)
{
	return blob < u->blob_paths.n ? u->blob_paths.v[blob] : NULL;
}

const struct toolchain *
unit_toolchain(const struct unit *u)
{
	return &u->tc;
}

const char *
unit_cwd(const struct unit *u)
{
	return u->cwd;
}

const char *
unit_out_dir(const struct unit *u)
{
	return u->out_dir;
}

uint32_t
unit_glibc(const struct unit *u)
{
	return u->glibc;
}

uint64_t
unit_source_bytes(const struct unit *u)
{
	return u->source_bytes;
}

struct files *
unit_on_demand(struct unit *u)
{
	return u->on_demand;
}

static const char *
env_get(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp; envp++)
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
			return (*envp)[n + 1] ? *envp + n + 1 : NULL;
	return NULL;
}

/* A job has directories of its own at these places (worker/sandbox/unit_check.c). */
static bool
is_jobs_own(const char *path)
{
	static const char *const places[] = { "/proc", "/dev", "/sys", "/.dray" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (path_is_below(path, places[i]))
			return true;
	return false;
}

/* Why a job on a worker cannot have the unit's paths. NULL: it can. */
static const char *
place_problem(const struct unit *u)
{
	const struct rustc_call *c = u->call;

	if (streq(u->out_dir, "/") || !path_is_normal(u->out_dir) || !path_is_normal(u->cwd) ||
		!path_is_normal(u->source))
		return "a path that is too long or too odd";
	if (path_is_below(u->source, u->out_dir))
		return "the source is in the out-dir";
	if (path_is_below(u->cwd, u->out_dir))
		return "it runs inside its out-dir";
	if (path_is_below(u->source, u->tc.sysroot))
		return "the source is part of the toolchain";
	if (is_jobs_own(u->source) || is_jobs_own(u->cwd) || is_jobs_own(u->out_dir))
		return "a place below /dev, /proc, /sys or /.dray";
	/* the worker sends an announced output before its line, and finds it by its full path */
	if (c->json && c->out_dir[0] != '/')
		return "a relative out-dir";
	if (u->linker && strchr(u->linker, '/') && !path_is_normal(u->linker))
		return "a linker by a relative path";
	if (strstr(u->out_dir, JOB_ALIAS) || strstr(u->cwd, JOB_ALIAS) ||
		strstr(u->source, JOB_ALIAS))
		return "a path like the job's own";
	for (size_t i = 0; i < c->args.n; i++)
		if (strstr(c->args.v[i], JOB_ALIAS))
			return "a path like the job's own";
	if (fs_exists(JOB_ALIAS))
		return "this machine has a " JOB_ALIAS;
	return NULL;
}

static int
fill_paths(struct unit *u, const struct unit_in *in, char **ret_home)
{
	const struct rustc_call *c = in->call;

	if (!c->source || !c->out_dir || !c->crate_name || !*c->crate_name)
		return why_set(ret_home, -ENOTSUP, "no %s is given",
			!c->source    ? "source"
			: !c->out_dir ? "out-dir"
				      : "crate name");
	u->cwd = strdup(in->cwd);
	u->out_dir = path_normalize(in->cwd, c->out_dir);
	u->source = path_normalize(in->cwd, c->source);
	if (!u->cwd || !u->out_dir || !u->source)
		return -ENOMEM;
	return unit_find_inputs(u, ret_home);
}

static int
fill_env(struct unit *u, const struct unit_in *in, const char *target_dir, char **ret_home)
{
	struct envscan_in e = { .envp = in->envp,
		.parent = in->parent_env,
		.pass_env = in->conf->client.pass_env,
		.out_dir = u->out_dir,
		.alias = JOB_ALIAS,
		.target_dir = target_dir,
		.sysroot = u->tc.sysroot };
	int r = envscan_collect(&e, &u->env, &u->withheld_env, ret_home);

	if (r < 0)
		return r;
	u->vars = calloc(u->env.n + 1, sizeof(*u->vars));
	u->vars_p = calloc(u->env.n + 1, sizeof(*u->vars_p));
	if (!u->vars || !u->vars_p)
		return -ENOMEM;
	for (size_t i = 0; i < u->env.n; i++) {
		char *eq = strchr(u->env.v[i], '=');

		*eq = '\0';
		dray__env_var__init(&u->vars[i]);
		u->vars[i].name = u->env.v[i];
		u->vars[i].value.data = (uint8_t *)eq + 1;
		u->vars[i].value.len = strlen(eq + 1);
		u->vars_p[i] = &u->vars[i];
	}
	u->msg.env = u->vars_p;
	u->msg.n_env = u->env.n;
	u->msg.withheld_env = u->withheld_env.v;
	u->msg.n_withheld_env = u->withheld_env.n;
	u->msg.umask = in->umask + 1;
	return 0;
}

/* Adds directories that the compiler expects, though they may have no file. */
static int
fill_dirs(struct unit *u, const struct strv *empty, const char *const *named)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < empty->n; i++)
		if (!path_is_below(empty->v[i], u->out_dir))
			r = strv_add(&u->dirs, empty->v[i]);
	for (; r == 0 && *named; named++)
		if (path_is_normal(*named) && !streq(*named, "/") &&
			!path_is_below(*named, u->out_dir))
			r = strv_add(&u->dirs, *named);
	strv_sort_unique(&u->dirs);
	u->msg.dirs = u->dirs.v;
	u->msg.n_dirs = u->dirs.n;
	return r;
}

static int
collect_sources(struct unit *u, const struct unit_in *in, struct sources *s, char **ret_home)
{
	const struct rustc_call *c = in->call;
	const char *gen = env_get(in->envp, "OUT_DIR");
	_cleanup_(freep) char *last = NULL;
	struct sources_in si = { .source = u->source,
		.out_dir = u->out_dir,
		.cache_dir = in->conf->client.cache_dir,
		.cwd = u->cwd,
		.clippy = c->clippy,
		.max_bytes = in->conf->client.max_unit };
	const char *dir = env_get(in->envp, "CARGO_MANIFEST_DIR");
	const char *named[] = { u->cwd, NULL, NULL };
	int r;

	if (asprintf(&last, "%s/%s%s.d", u->out_dir, c->crate_name,
		    c->extra_filename ? c->extra_filename : "") < 0) {
		last = NULL;
		return -ENOMEM;
	}
	si.last_depinfo = last;
	if (dir && path_is_normal(dir) && !streq(dir, "/"))
		si.manifest_dir = dir;
	if (gen && path_is_normal(gen) && !streq(gen, "/"))
		si.gen_dir = gen;
	named[1] = si.gen_dir;
	r = sources_collect(&si, s, ret_home);
	if (r == -E2BIG)
		return -ENOTSUP;
	for (size_t i = 0; r == 0 && i < u->inputs.n; i++)
		if (!path_is_below(u->inputs.v[i], u->tc.sysroot))
			r = strv_add(&s->files, u->inputs.v[i]);
	strv_sort_unique(&s->files);
	if (r == 0)
		r = fill_dirs(u, &s->dirs, named);
	u->source_bytes = s->rust_bytes;
	return r;
}

/* The unit takes over the lists. */
static int
fill_withheld(struct unit *u, struct sources *s)
{
	u->walked = s->walked;
	u->withheld = s->withheld;
	u->links = s->links;
	s->walked = s->withheld = s->links = (struct strv)STRV_INIT;
	strv_sort_unique(&u->withheld);
	u->msg.walked = u->walked.v;
	u->msg.n_walked = u->walked.n;
	u->msg.withheld = u->withheld.v;
	u->msg.n_withheld = u->withheld.n;
	u->msg.links = u->links.v;
	u->msg.n_links = u->links.n;
	return 0;
}

static int
fill_on_demand(struct unit *u, const struct unit_in *in, const char *target_dir)
{
	struct files_in fi = { .memo = in->memo,
		.call = in->call,
		.out_dir = u->out_dir,
		.manifest_dir = env_get(in->envp, "CARGO_MANIFEST_DIR"),
		.gen_dir = env_get(in->envp, "OUT_DIR"),
		.cwd = u->cwd,
		.workspace = in->mapping ? in->mapping->workspace : NULL,
		.target_dir = target_dir,
		.cargo_home = env_get(in->envp, "CARGO_HOME"),
		.home = env_get(in->envp, "HOME") };

	return files_new(&fi, &u->on_demand);
}

static int
fill_files(struct unit *u, const struct unit_in *in, const char *target_dir, char **ret_home)
{
	_cleanup_(sources_done) struct sources s = SOURCES_INIT;
	_cleanup_(closure_done) struct closure cl = CLOSURE_INIT;
	struct closure_in ci = { .memo = in->memo,
		.call = in->call,
		.cwd = u->cwd,
		.target_dir = target_dir,
		.sysroot = u->tc.sysroot };
	struct unit_paths paths = { &s.files, &cl.files, &cl.direct, &s.withheld };
	int r = collect_sources(u, in, &s, ret_home);

	if (r == 0)
		r = closure_collect(&ci, &cl, ret_home);
	if (r < 0)
		return r;
	if (cl.has_profiled)
		return why_set(
			ret_home, -ENOTSUP, "a proc-macro in it writes profiles while it runs");
	if (cl.environ_of && release_is_since(u->tc.release, RELEASE_ENVIRON, false))
		return why_set(ret_home, -ENOTSUP,
			"a proc-macro may read the whole environment: %s", cl.environ_of);
	u->glibc = cl.has_dso ? toolchain_glibc_minor() : 0;
	r = unit_fill_files(u, in->memo, &paths, ret_home);
	if (r == 0)
		r = fill_withheld(u, &s);
	return r < 0 ? r : fill_on_demand(u, in, target_dir);
}

static void
fill_message(struct unit *u)
{
	u->msg.toolchain.data = u->tc.id.b;
	u->msg.toolchain.len = DIGEST_SIZE;
	u->msg.sysroot = u->tc.sysroot;
	u->msg.driver = u->tc.driver;
	u->msg.argv = u->argv.v;
	u->msg.n_argv = u->argv.n;
	u->msg.cwd = u->cwd;
	u->msg.out_dir = u->out_dir;
	if (u->linker)
		u->msg.linker = u->linker;
	u->msg.crate = u->call->crate_name;
}

static int
build(struct unit *u, const struct unit_in *in, char **ret_home)
{
	_cleanup_(freep) char *target_dir = NULL;
	const char *problem;
	int r = fill_paths(u, in, ret_home);

	if (r == 0)
		r = identify_toolchain(in->memo, in->call, &u->tc, ret_home);
	if (r < 0)
		return r;
	problem = place_problem(u);
	if (problem)
		return why_set(ret_home, -ENOTSUP, "%s", problem);
	target_dir = target_dir_of(u->out_dir, u->cwd);
	if (!target_dir)
		return -ENOMEM;
	r = fill_env(u, in, target_dir, ret_home);
	if (r == 0)
		r = unit_fill_args(u);
	if (r == 0)
		r = fill_files(u, in, target_dir, ret_home);
	if (r == 0)
		fill_message(u);
	return r;
}

int
unit_build(const struct unit_in *in, struct unit **ret, char **ret_home)
{
	_cleanup_(unit_freep) struct unit *u = calloc(1, sizeof(*u));
	int r;

	*ret_home = NULL;
	if (!u)
		return -ENOMEM;
	dray__unit__init(&u->msg);
	u->call = in->call;
	u->mapping = in->mapping;
	r = build(u, in, ret_home);
	if (r < 0)
		return r;
	*ret = steal_ptr(u);
	return 0;
}

int
unit_of_toolchain(struct toolchain *t, struct memo *memo, struct unit **ret)
{
	_cleanup_(unit_freep) struct unit *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	dray__unit__init(&u->msg);
	r = unit_fill_push(u, t, memo);
	if (r == 0)
		*ret = steal_ptr(u);
	return r;
}
