/* Invariant: nothing waits for a priming process, and it changes nothing but a state that was not
 * there: what it makes goes to a directory of its own, and a whole state is moved to its place in
 * one step. Where a state came meanwhile, that one stays. */
#include "config.h"

#include "client/incremental/prime.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/incremental/background.h"
#include "client/incremental/incremental.h"
#include "client/incremental/seed.h"
#include "common/fs.h"
#include "common/outdir/left.h"
#include "common/process/spawn.h"

#define VIEW_MAX 20000
#define STATE ".dray-state"

/* The out-dir's path is among what rustc holds a state's objects to, so the compile must have the
 * real one; but what it writes there must not be seen. So it runs where another directory is
 * mounted in its place: with other names of all the files (what they hold is never changed in
 * place), but the unit's own. All else is read-only there: who removes the out-dir takes the mount
 * away, and rustc would make it anew. */
static int
make_view(const struct rustc_call *call, const char *view)
{
	_cleanup_(closedirp) DIR *d = opendir(call->out_dir);
	unsigned n = 0;
	struct dirent *e;

	if (!d || mkdir(view, 0700) < 0)
		return -errno;
	while ((e = readdir(d))) {
		_cleanup_(freep) char *from = NULL, *to = NULL;

		if (*e->d_name == '.' || e->d_type == DT_DIR ||
			call_output_name_ok(call->crate_name, call->extra_filename, e->d_name))
			continue;
		from = path_join(call->out_dir, e->d_name);
		to = path_join(view, e->d_name);
		if (!from || !to || ++n > VIEW_MAX)
			return -E2BIG;
		if (link(from, to) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static char ro_bind[] = "--ro-bind", dev_bind[] = "--dev-bind", root[] = "/", dev[] = "/dev",
	    die[] = "--die-with-parent", end[] = "--";

bool
prime_binds_with(const char *bwrap)
{
	static char program[] = "/bin/true";
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	_cleanup_(freep) char *copy = strdup(bwrap);
	char *argv[] = { copy, ro_bind, root, root, dev_bind, dev, dev, die, end, program, NULL };
	int status = 0;

	return copy && spawn_capture(argv, NULL, SPAWN_ASK_MS, 4096, &out, &status) == 0 &&
	       status == 0;
}

/* The call's words, with a state in the view; a linker that does nothing, since only the state
 * counts (rustc finishes it before the link). */
static int
make_argv(const struct rustc_call *call, char *bwrap, const char *view, struct strv *argv)
{
	static char bind[] = "--bind", set[] = "--setenv", tmpdir[] = "TMPDIR";
	_cleanup_(call_done) struct rustc_call plain = { .kind = CALL_UNKNOWN };
	_cleanup_(strv_done) struct strv words = STRV_INIT;
	_cleanup_(freep) char *cwd = getcwd(NULL, 0);
	_cleanup_(freep) char *out_dir = cwd ? path_normalize(cwd, call->out_dir) : NULL;
	_cleanup_(freep) char *copy = strdup(view);
	char *head[] = { bwrap, ro_bind, root, root, dev_bind, dev, dev, bind, copy, out_dir, set,
		tmpdir, out_dir, die, end, NULL };
	int r = out_dir && copy ? incremental_plain(call, &words, &plain) : -ENOMEM;

	if (r == 0)
		r = strv_add_all(argv, head);
	if (r == 0)
		r = strv_add_all(argv, words.v);
	if (r == 0)
		r = strv_addf(argv, "-Cincremental=%s/" STATE, out_dir);
	if (r == 0 && call->calls_linker)
		r = strv_add(argv, "-Clinker=true");
	return r;
}

/* The one directory below view/STATE becomes one of the call's. No directory is made for it: cargo
 * has made them, or they are being removed. */
static void
move_state(const struct rustc_call *call, const char *view, struct memo *m)
{
	_cleanup_(freep) char *state = path_join(view, STATE);
	_cleanup_(closedirp) DIR *d = state ? opendir(state) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_(freep) char *from = path_join(state, e->d_name);
		_cleanup_(freep) char *to = path_join(call->incremental, e->d_name);

		if (*e->d_name == '.' || !from || !to)
			continue;
		if (rename(from, to) == 0)
			incremental_note_state(call, m, e->d_name);
	}
}

static void
compile(const struct rustc_call *call, const char *dir, struct memo *m)
{
	static const char *const dropped[] = { "CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS" };
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	_cleanup_(freep) char *bwrap = fs_which("bwrap", getenv("PATH"));
	_cleanup_(freep) char *view = path_join(dir, "view");
	pid_t pid;

	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		unsetenv(dropped[i]);
	if (!bwrap || !view || make_view(call, view) < 0 || make_argv(call, bwrap, view, &argv) < 0)
		return;
	if (spawn_start(&(struct spawn){ .path = bwrap, .argv = argv.v }, &pid) == 0 &&
		spawn_wait(pid, NULL) == 0 && fs_exists(call->out_dir))
		move_state(call, view, m);
}

/* The view is made beside the cache: a directory in the target directory would be in the way when
 * that is removed. If they are on two file systems there is no view. */
static char *
make_dir(const struct conf *conf, const struct rustc_call *call)
{
	_cleanup_(freep) char *mine = path_join(conf->client.cache_dir, "prime");
	char *dir = NULL;
	struct stat a, b;

	if (!mine || stat(mine, &a) < 0 || stat(call->out_dir, &b) < 0 || a.st_dev != b.st_dev)
		return NULL;
	left_sweep(NULL, mine);
	return left_make_dir(mine, getpid(), &dir) < 0 ? NULL : dir;
}

static void
prime(const struct conf *conf, const struct rustc_call *call)
{
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(freep) char *dir = NULL;
	bool damaged;

	if (memo_open(conf->client.cache_dir, &m) < 0)
		m = NULL;
	/* cargo clean, or an edit that was compiled meanwhile */
	if (!fs_exists(call->out_dir) || incremental_has_state(call, m))
		return;
	/* what was compiled here before need not be made */
	if (seed_put(conf, call, &damaged) && incremental_has_state(call, m))
		return;
	dir = make_dir(conf, call);
	if (!dir)
		return;
	compile(call, dir, m);
	fs_rm_rf(dir);
	if (incremental_has_state(call, m))
		seed_keep(conf, call);
}

void
prime_start(const struct conf *conf, const struct rustc_call *call)
{
	background_start(conf, call, true, prime);
}
