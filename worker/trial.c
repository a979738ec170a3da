#include "config.h"

#include "worker/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "common/text/why.h"
#include "worker/sandbox/launch.h"
#include "worker/sandbox/limits.h"
#include "worker/sandbox/stage.h"

#define LOOK_MS 100
#define WORDS_MAX 400
#define CRATE "dray_trial"
#define SOURCE "/" CRATE ".rs"
#define LIBRARY "lib" CRATE ".rlib"

/* With something for LLVM to do. Another target than the host may have no std. */
#define BARE "#![no_std]\n"
static const char program[] = BARE
	"pub fn sum(v: &[u64]) -> Option<u64> { v.iter().try_fold(0u64, |a, b| a.checked_add(*b)) "
	"}\npub struct Held<T>(pub core::cell::Cell<T>);\n"
	"impl<T: Copy> Held<T> { pub fn get(&self) -> T { self.0.get() } }\n"
	"pub fn held() -> u64 { Held(core::cell::Cell::new(7)).get() }\n";

struct words {
	char err[WORDS_MAX];
	size_t n;
	struct buf *out;  /* NULL: not wanted */
	char killed[256]; /* why it was, by this worker; "": it was not */
	bool stopped;	  /* it was told to */
};

static void
take(struct words *w, bool err, const char *text, size_t n)
{
	for (size_t k = 0; err && k < n && w->n + 1 < sizeof(w->err); k++)
		w->err[w->n++] = text[k] == '\n' ? ' ' : text[k];
	if (!err && w->out)
		(void)buf_add(w->out, text,
			MIN2(n, TRIAL_OUT_MAX - MIN2(w->out->n, (size_t)TRIAL_OUT_MAX)));
}

/* Ends what takes too long, whatever it prints, or too much; and what nobody wants any more. */
static void
look(const struct trial_conf *c, struct sandbox *box, struct limits *limits, uint64_t end_ms,
	struct words *w)
{
	uint64_t now = clock_mono_ms();

	if (box->killed)
		return;
	w->stopped = c->stop && c->stop(c->arg);
	if (w->stopped)
		snprintf(w->killed, sizeof(w->killed), "stopped");
	else if (now >= end_ms)
		snprintf(
			w->killed, sizeof(w->killed), "it takes longer than %d s", TRIAL_MS / 1000);
	else if (limits_check(limits, box, now, w->killed, sizeof(w->killed)) == LIMITS_FINE)
		return;
	sandbox_kill(box);
}

/* Reads what the sandbox prints, up to its end. */
static void
drain(const struct trial_conf *c, struct sandbox *box, struct limits *limits, struct words *w)
{
	uint64_t end_ms = clock_mono_ms() + TRIAL_MS;

	while (box->out >= 0 || box->err >= 0 || box->report >= 0) {
		struct pollfd fds[3] = { { .fd = box->out, .events = POLLIN },
			{ .fd = box->err, .events = POLLIN },
			{ .fd = box->report, .events = POLLIN } };
		int *const ends[2] = { &box->out, &box->err };
		int got = poll(fds, 3, LOOK_MS);

		sandbox_step(box);
		look(c, box, limits, end_ms, w);
		for (size_t i = 0; got > 0 && i < 2; i++) {
			char text[1024];
			ssize_t n;

			if (!fds[i].revents)
				continue;
			n = read(fds[i].fd, text, sizeof(text));
			if (n <= 0)
				closep(ends[i]);
			else
				take(w, i == 1, text, (size_t)n);
		}
	}
	w->err[w->n] = '\0';
}

/* Whether the library is there, by the worker's rights. */
static bool
has_made(const struct stage *stage, const struct job_user *user)
{
	_cleanup_(closep) int dir = open(stage->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	return dir >= 0 && (!user || job_user_take_over(user, dir) == 0) &&
	       fstatat(dir, LIBRARY, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size > 0;
}

static int
lay_out(const struct stage_spec *spec, const char *source, struct stage *stage)
{
	_cleanup_(freep) char *path = NULL;
	int r = stage_new(spec, stage);

	if (r < 0 || !source)
		return r;
	path = path_join(stage->root, &SOURCE[1]);
	return path ? fs_write_atomic(path, source, strlen(source), 0644) : -ENOMEM;
}

/* argv: NULL-terminated. -EPERM: the sandbox itself failed. */
static int
run_as(const struct trial *t, char **argv, const struct job_user *user, const char *source,
	struct buf *out, char **ret_why)
{
	static char out_dir[] = "/out", cwd[] = "/", empty[] = "";
	const struct trial_conf *c = t->c;
	_cleanup_(stage_done) struct stage stage = { .dir = NULL };
	_cleanup_(limits_done) struct limits limits = LIMITS_INIT;
	_cleanup_(sandbox_done) struct sandbox box = SANDBOX_INIT;
	_cleanup_(freep) char *name = strdup(t->driver), *sysroot = strdup(t->sysroot->path);
	Dray__Unit unit;
	struct stage_spec spec = { .jobs = c->jobs_dir,
		.job = t->job,
		.tools = c->tools_dir,
		.lib_dirs = t->sysroot->lib_dirs.v,
		.unit = &unit,
		.users = user ? c->users : NULL };
	struct launch launch = { .conf = c->conf,
		.stage = &stage,
		.unit = &unit,
		.sysroot = t->sysroot,
		.filters = c->filters,
		.trace_socket = -1,
		.user = user };
	struct words words = { .out = out };
	int r;

	if (!name || !sysroot)
		return -ENOMEM;
	dray__unit__init(&unit);
	unit.sysroot = sysroot;
	unit.driver = name;
	unit.argv = argv;
	while (argv[unit.n_argv])
		unit.n_argv++;
	unit.cwd = cwd;
	unit.out_dir = out_dir;
	unit.linker = empty;
	r = lay_out(&spec, source, &stage);
	if (r == 0)
		r = limits_begin(c->conf, c->cgroup, t->job, stage.out, &limits, ret_why);
	limits.user = user;
	launch.cgroup = limits_cgroup(&limits);
	if (r == 0)
		r = launch_start(&launch, &box, ret_why);
	if (r < 0)
		return r;
	drain(c, &box, &limits, &words);
	sandbox_wait(&box, NULL);
	if (words.stopped)
		return -ECANCELED;
	if (*words.killed)
		return why_set(ret_why, -ENOEXEC, "it does not run here: %s", words.killed);
	if (box.phase == SANDBOX_ENDED && box.status == 0 && (!source || has_made(&stage, user)))
		return 0;
	if (asprintf(ret_why, "%s%s%s",
		    box.phase != SANDBOX_ENDED ? box.failure
		    : box.status	       ? "it does not run:"
					       : "it compiles nothing",
		    *words.err ? " " : "", words.err) < 0)
		*ret_why = NULL;
	return box.phase == SANDBOX_ENDED ? -ENOEXEC : -EPERM;
}

/* Where it runs for the worker's own user alone, no job has another one: what they keep apart is a
 * matter of the worker, not of a toolchain. A client's toolchain changes nothing of that. */
static int
run(const struct trial *t, char **argv, const char *source, struct buf *out, char **ret_why)
{
	struct job_user *user = job_users_take(t->c->users);
	int r;

	if (!user && t->foreign && job_users_are(t->c->users))
		return -EAGAIN;
	r = run_as(t, argv, user, source, out, ret_why);
	job_users_give(user);
	if (r == 0 || !user || t->foreign)
		return r;
	log_debug("%s: %s, as another uid: %s", t->sysroot->path, t->driver,
		*ret_why ? *ret_why : "");
	free(steal_ptr(*ret_why));
	if (out)
		out->n = 0;
	r = run_as(t, argv, NULL, source, out, ret_why);
	if (r == 0) {
		job_users_give_up(t->c->users);
		log_warn("jobs have the worker's own uid: %s: %s does not run for another one "
			 "(chmod -R a+rX?)",
			t->sysroot->path, t->driver);
	}
	return r;
}

int
trial_version(const struct trial *t, struct buf *out, char **ret_why)
{
	static char flag[] = "-vV";
	char *argv[] = { flag, NULL };

	return run(t, argv, NULL, out, ret_why);
}

int
trial_compile(const struct trial *t, char **ret_why)
{
	static char type[] = "--crate-type=lib", emit[] = "--emit=metadata,link",
		    name[] = "--crate-name=" CRATE, out[] = "--out-dir=/out",
		    opt[] = "-Copt-level=1", source[] = SOURCE, target_flag[] = "--target",
		    rustc[] = "/rustc", edition[] = "--edition=2021";
	_cleanup_(freep) char *target = t->target ? strdup(t->target) : NULL;
	char *argv[12], **a = argv;

	if (t->target && !target)
		return -ENOMEM;
	/* its first argument is the compiler in whose place it stands */
	if (streq(t->driver, "clippy-driver"))
		*a++ = rustc;
	*a++ = type;
	*a++ = emit;
	*a++ = name;
	*a++ = edition;
	*a++ = out;
	*a++ = opt;
	if (target) {
		*a++ = target_flag;
		*a++ = target;
	}
	*a++ = source;
	*a = NULL;
	return run(t, argv, target ? program : program + strlen(BARE), NULL, ret_why);
}
