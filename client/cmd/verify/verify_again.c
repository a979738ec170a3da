/* How a unit or a run is made again: at its place, with its environment, in a slot. Below verify.c
 * and verify_run.c, which say what. */
#include "config.h"

#include "client/cmd/verify/verify_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/text.h"
#include "client/cached/cached.h"
#include "client/wrap/local.h"
#include "common/process/child.h"
#include "common/fs.h"
#include "common/outdir/left.h"

extern char **environ;

int
verify_judge(struct again *a, enum verify_verdict verdict, const char *fmt, ...)
{
	va_list ap;

	a->said->verdict = verdict;
	va_start(ap, fmt);
	vsnprintf(a->said->why, sizeof(a->said->why), fmt, ap);
	va_end(ap);
	return -ECANCELED;
}

int
verify_skip(struct again *a, const char *why)
{
	return verify_judge(a, VERIFY_SKIPPED, "%s", why);
}

int
verify_differs(struct again *a, const char *output, const char *how)
{
	snprintf(a->said->output, sizeof(a->said->output), "%s", output);
	return verify_judge(a, VERIFY_DIFFERS, "%s", how);
}

void
verify_end_environment(struct again *a)
{
	if (a->environ_now) {
		environ = a->environ_now;
		free(a->environ_then);
	}
	a->environ_now = a->environ_then = NULL;
}

/* This process's own, with the result's over it. */
int
verify_begin_environment(struct again *a)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->res.env.n; i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		const char *v = a->res.env.v[i];

		r = text_show(v, strlen(v), a->out_dir, &b);
		if (r == 0)
			r = strv_addn(&a->env, b.p ? (char *)b.p : "", b.n);
	}
	if (r == 0 && a->env.n > 0) {
		a->environ_then = local_environ((const char *const *)a->env.v);
		if (!a->environ_then)
			return -ENOMEM;
		a->environ_now = environ;
		environ = a->environ_then;
	}
	return r;
}

/* ---- whether it would be a hit now */

const char *
verify_recipe_value(const struct entry *e, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < e->recipe.n; i++)
		if (strncmp(e->recipe.v[i], name, n) == 0 && e->recipe.v[i][n] == '=')
			return e->recipe.v[i] + n + 1;
	return NULL;
}

/* Where the mark stands in the working directory of the recipe. 0 or -ENOMEM. */
static int
find_marked(const struct again *a, char mark, char **ret)
{
	const char *cwd = verify_recipe_value(&a->entry, "cwd");
	size_t n = strlen(a->res.cwd), k;

	if (!cwd || *cwd != mark || !ends_with(a->res.cwd, ++cwd))
		return 0;
	k = strlen(cwd);
	*ret = strndup(a->res.cwd, n - k);
	return *ret ? 0 : -ENOMEM;
}

/* A run says which names its C compilers gave to places. */
static bool
is_run_with_home(const struct again *a)
{
	static const char part[] = "name of a place=";

	for (size_t i = 0; a->res.run && i < a->entry.recipe.n; i++)
		if (starts_with(a->entry.recipe.v[i], part) &&
			a->entry.recipe.v[i][strlen(part)] == INPUT_CARGO_HOME_MARK)
			return true;
	return false;
}

int
verify_find_places(struct again *a)
{
	int r = find_marked(a, INPUT_WORKSPACE_MARK, &a->workspace);

	if (r == 0)
		r = find_marked(a, INPUT_CARGO_HOME_MARK, &a->cargo_home);
	if (r == 0 && !a->cargo_home)
		a->cargo_home = is_run_with_home(a) ? cached_cargo_home()
						    : mapping_find_home(a->res.argv.v);
	return r;
}

bool
verify_is_bound(const struct result *res)
{
	for (size_t i = 0; i < res->inputs.n; i++)
		if (res->inputs.v[i].kind == INPUT_OUT_DIR &&
			(streq(res->inputs.v[i].name, INPUT_OUT_DIR_NAME) ||
				streq(res->inputs.v[i].name, INPUT_REAL_OUT_DIR_NAME)))
			return true;
	return false;
}

int
verify_has_outputs(struct again *a)
{
	for (size_t i = 0; i < a->res.n_outputs; i++) {
		const struct output *o = &a->res.outputs[i];

		if (o->is_blob && !depot_has(a->in->depot, &o->digest, o->size))
			return verify_skip(a, "an output is not in the cache any more");
	}
	return 0;
}

/* ---- the compile */

int
verify_make_dirs(struct again *a)
{
	int r = fs_mkdir_p(a->in->tmp, 0700);

	if (r == 0)
		r = left_make_dir(a->in->tmp, getpid(), &a->dir);
	if (r < 0)
		return r;
	a->made = path_join(a->dir, "made");
	a->want = path_join(a->dir, "want");
	if (!a->made || !a->want)
		return -ENOMEM;
	return mkdir(a->made, 0700) < 0 || mkdir(a->want, 0700) < 0 ? -errno : 0;
}

/* The name that the compile is to find its out-dir by. */
const char *
verify_named_out_dir(const struct again *a)
{
	return a->bound ? a->call.out_dir : a->made;
}

/* The name of a file that it read in its out-dir; NULL: it is another input. */
const char *
verify_read_in_out_dir(const struct input *in)
{
	if (in->kind != INPUT_FILE && in->kind != INPUT_METADATA)
		return NULL;
	return in->name[0] == INPUT_OUT_DIR_MARK && in->name[1] ? in->name + 1 : NULL;
}

/* In the out-dir's place stands another one, with what was read in it. */
int
verify_add_mounts(struct again *a)
{
	static char dev_bind[] = "--dev-bind", root[] = "/", bind[] = "--bind",
		    die[] = "--die-with-parent";
	_cleanup_(freep) char *bwrap = strdup(a->in->bwrap);
	char *head[] = { bwrap, dev_bind, root, root, die, bind, a->made, a->real_out_dir, NULL };
	int r = bwrap ? strv_add_all(&a->argv, head) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < a->res.inputs.n; i++) {
		const char *name = verify_read_in_out_dir(&a->res.inputs.v[i]);

		if (!name)
			continue;
		r = strv_add(&a->argv, "--ro-bind");
		for (int k = 0; r == 0 && k < 2; k++)
			r = strv_addf(&a->argv, "%s/%s", a->real_out_dir, name);
	}
	return r < 0 ? r : strv_add(&a->argv, "--");
}

static int
open_text(const struct again *a, const char *name)
{
	_cleanup_(freep) char *path = path_join(a->dir, name);
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	return fd < 0 ? path ? -errno : -ENOMEM : fd;
}

static int
start(struct again *a, struct spawn_fd *fds, size_t n, int slot)
{
	_cleanup_(slots_tokens_done) struct slots_tokens t = SLOTS_TOKENS_INIT;
	_cleanup_(freep) char **env = NULL;
	char flags[96], makeflags[128];
	const char *set[VERIFY_SET_MAX + 2] = { NULL };
	size_t n_set = 0;

	if (slot >= 0)
		fds[n++] = (struct spawn_fd){ slot, slot };
	if (slot >= 0 && slots_tokens_open(a->in->slots, &t) == 0) {
		jobserver_flags(flags, t.js.rd, t.js.wr);
		snprintf(makeflags, sizeof(makeflags), "CARGO_MAKEFLAGS=%s", flags);
		set[n_set++] = makeflags;
		fds[n++] = (struct spawn_fd){ t.js.rd, t.js.rd };
		fds[n++] = (struct spawn_fd){ t.js.wr, t.js.wr };
	}
	for (size_t i = 0; i < VERIFY_SET_MAX && a->set[i]; i++)
		set[n_set++] = a->set[i];
	env = n_set ? local_environ(set) : NULL;
	if (n_set && !env)
		return -ENOMEM;
	return child_run(&(struct spawn){ .path = a->argv.v[0],
		.argv = a->argv.v,
		.envp = env,
		.fds = fds,
		.n_fds = n,
		.only_fds = true });
}

/* For `dray status`. */
static int
take_slot(struct again *a)
{
	struct slots *s = a->in->slots;
	struct notice n;

	if (!s)
		return -1;
	notice_make(&n, "verify", a->call.crate_name ? a->call.crate_name : "", a->res.cwd);
	slots_say(s, &n);
	return slots_wait(s);
}

int
verify_compile(struct again *a)
{
	_cleanup_(closep) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	_cleanup_(closep) int out = open_text(a, "stdout");
	_cleanup_(closep) int err = open_text(a, "stderr");
	_cleanup_(closep) int slot = take_slot(a);
	struct spawn_fd fds[6] = { { null, STDIN_FILENO }, { out, STDOUT_FILENO },
		{ err, STDERR_FILENO } };
	int status;

	if (child_signal())
		return -EINTR;
	if (null < 0 || out < 0 || err < 0)
		return null < 0 ? -errno : out < 0 ? out : err;
	status = start(a, fds, 3, slot);
	if (child_signal())
		return -EINTR;
	if (status < 0)
		return status == -ENOENT ? verify_skip(a, "its program is gone") : status;
	if (spawn_signal(status))
		return verify_judge(
			a, VERIFY_SKIPPED, "it was killed by signal %d", spawn_signal(status));
	/* it may be the mount that failed */
	if (status != (int)a->res.status && a->bound)
		return verify_skip(
			a, a->res.run ? "it fails with another directory in OUT_DIR's place"
				      : "it cannot be compiled with another out-dir in its place");
	if (status == (int)a->res.status)
		return 0;
	verify_judge(a, VERIFY_DIFFERS, "its exit status is %d, and was %u", status, a->res.status);
	return -ECANCELED;
}

int
verify_compare_blob(struct again *a, const struct output *o, const char *path)
{
	_cleanup_(freep) char *want = path_join(a->want, "blob");
	struct digest d, made;
	uint64_t size;
	int r = want ? depot_restore(a->in->depot, &o->digest, o->size, DEPOT_COPY,
			       (mode_t)o->mode | 0400, want)
		     : -ENOMEM;

	if (r == -EBADMSG)
		return verify_differs(a, o->name, "it was damaged");
	if (r == -ENOENT)
		return verify_skip(a, "an output is not in the cache any more");
	/* the bytes themselves: no memo is asked */
	if (r == 0)
		r = digest_file(want, &d, NULL);
	if (r < 0)
		return r;
	unlink(want);
	r = digest_file(path, &made, &size);
	if (r == -ENOENT)
		return verify_differs(a, o->name, "it was not made");
	if (r < 0)
		return r;
	a->said->bytes += size;
	return digest_eq(&d, &made) ? 0 : verify_differs(a, o->name, "other bytes");
}
