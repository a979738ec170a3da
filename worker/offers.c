/* Invariant: every offer was run once, in the very sandbox that jobs get. A toolchain that is half
 * installed, or that this system cannot run, is never offered; one that was changed is offered no
 * more. */
#include "config.h"

#include "worker/offers.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>

#include "toolchain/cpu.h"
#include "common/fs.h"
#include "common/log.h"
#include "worker/sandbox/launch.h"
#include "worker/sandbox/stage.h"

#define TRY_MS 30000

struct offer_search {
	const struct offers_conf *c;
	struct memo *memo;
	struct offers *out;
	struct strv paths; /* resolved sysroots */
};

/* path is a sysroot, or else holds some. */
static int
add_candidate(struct offer_search *s, const char *path)
{
	_cleanup_(freep) char *rustc = path_join(path, "bin/rustc");
	_cleanup_(freep) char *rustlib = path_join(path, "lib/rustlib"), *real = NULL;

	if (!rustc || !rustlib)
		return -ENOMEM;
	if (!fs_exists(rustc) || !fs_exists(rustlib))
		return -ENOENT;
	real = realpath(path, NULL);
	if (!real)
		return -errno;
	return strv_has(&s->paths, real) ? 0 : strv_add(&s->paths, real);
}

static int
add_children(struct offer_search *s, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (!d && errno == EACCES)
		log_warn("toolchains left out: %s: this worker's user may not look there; put them "
			 "where "
			 "it may, and name that in [worker] toolchain_dirs",
			dir);
	while (d && r != -ENOMEM && (e = readdir(d)) != NULL) {
		_cleanup_(freep) char *path = NULL;

		if (e->d_name[0] == '.')
			continue;
		path = path_join(dir, e->d_name);
		r = path ? add_candidate(s, path) : -ENOMEM;
	}
	if (d)
		closedir(d);
	return r == -ENOMEM ? r : 0;
}

static int
add_rustup(struct offer_search *s)
{
	const char *home = getenv("RUSTUP_HOME"), *user = getenv("HOME");
	_cleanup_(freep) char *dir = NULL;

	if (home && *home)
		dir = path_join(home, "toolchains");
	else if (user && *user)
		dir = path_join(user, ".rustup/toolchains");
	else
		return 0;
	return dir ? add_children(s, dir) : -ENOMEM;
}

static int
add_configured(struct offer_search *s)
{
	_cleanup_(freep) char *copy = NULL;
	const char *dirs = s->c->conf->worker.toolchain_dirs;
	char *dir, *save = NULL;
	int r = 0;

	if (!dirs || !*dirs)
		return 0;
	copy = strdup(dirs);
	if (!copy)
		return -ENOMEM;
	for (dir = strtok_r(copy, ":", &save); dir && r != -ENOMEM;
		dir = strtok_r(NULL, ":", &save)) {
		r = add_candidate(s, dir);
		if (r == -ENOENT)
			r = add_children(s, dir);
	}
	return r == -ENOMEM ? r : 0;
}

static int
find_sysroots(struct offer_search *s)
{
	int r = add_configured(s);

	if (r == 0 && s->c->conf->worker.find_rustup)
		r = add_rustup(s);
	if (r == 0 && s->c->conf->worker.find_system) {
		r = add_candidate(s, "/usr");
		if (r != -ENOMEM)
			r = add_candidate(s, "/usr/local");
	}
	return r == -ENOMEM ? r : 0;
}

/* Reads what the sandbox prints, up to its end. Only this trial uses it. */
static void
drain(struct sandbox *box, char *words, size_t size)
{
	size_t used = 0;

	while (box->out >= 0 || box->err >= 0) {
		struct pollfd fds[2] = { { .fd = box->out, .events = POLLIN },
			{ .fd = box->err, .events = POLLIN } };
		int *const ends[2] = { &box->out, &box->err };
		int got = poll(fds, 2, TRY_MS);

		if (got == 0)
			sandbox_kill(box);
		for (size_t i = 0; got > 0 && i < 2; i++) {
			char text[1024];
			ssize_t n;

			if (!fds[i].revents)
				continue;
			n = read(fds[i].fd, text, sizeof(text));
			if (n <= 0)
				closep(ends[i]);
			for (ssize_t k = 0; i == 1 && k < n && used + 1 < size; k++)
				words[used++] = text[k] == '\n' ? ' ' : text[k];
		}
	}
	words[used] = '\0';
}

/* Lays out a job without files and runs `<driver> -vV` in it. -EPERM: the sandbox itself failed. */
static int
try_as(const struct offers_conf *c, const struct sysroot *sys, const char *driver,
	const struct job_user *user, char **ret_why)
{
	static char out_dir[] = "/out", cwd[] = "/", empty[] = "", version[] = "-vV";
	_cleanup_(sandbox_done) struct sandbox box = SANDBOX_INIT;
	_cleanup_(stage_done) struct stage stage = { .dir = NULL };
	_cleanup_(freep) char *name = strdup(driver), *sysroot = strdup(sys->path);
	char *argv[] = { version };
	Dray__Unit unit;
	struct stage_spec spec = { .jobs = c->jobs_dir,
		.job = "try",
		.tools = c->tools_dir,
		.lib_dirs = sys->lib_dirs.v,
		.unit = &unit,
		.users = user ? c->users : NULL };
	struct launch launch = { .conf = c->conf,
		.stage = &stage,
		.unit = &unit,
		.sysroot = sys,
		.filters = c->filters,
		.trace_socket = -1,
		.user = user };
	char words[400];
	int r;

	if (!name || !sysroot)
		return -ENOMEM;
	dray__unit__init(&unit);
	unit.sysroot = sysroot;
	unit.driver = name;
	unit.argv = argv;
	unit.n_argv = 1;
	unit.cwd = cwd;
	unit.out_dir = out_dir;
	unit.linker = empty;
	r = stage_new(&spec, &stage);
	if (r == 0)
		r = launch_start(&launch, &box, ret_why);
	if (r < 0)
		return r;
	drain(&box, words, sizeof(words));
	sandbox_wait(&box, NULL);
	if (box.phase == SANDBOX_ENDED && box.status == 0)
		return 0;
	if (asprintf(ret_why, "%s%s%s",
		    box.phase == SANDBOX_ENDED ? "it does not run: " : box.failure,
		    *words ? " " : "", words) < 0)
		*ret_why = NULL;
	return box.phase == SANDBOX_ENDED ? -ENOEXEC : -EPERM;
}

/* Where it runs for the worker's own user alone, no job has another one: what they keep apart is a
 * matter of the worker, not of a toolchain. */
static int
try_driver(
	const struct offers_conf *c, const struct sysroot *sys, const char *driver, char **ret_why)
{
	struct job_user *user = job_users_take(c->users);
	int r = try_as(c, sys, driver, user, ret_why);

	job_users_give(user);
	if (r == 0 || !user)
		return r;
	log_debug("%s: %s, as another uid: %s", sys->path, driver, *ret_why ? *ret_why : "");
	free(steal_ptr(*ret_why));
	r = try_as(c, sys, driver, NULL, ret_why);
	if (r == 0) {
		job_users_give_up(c->users);
		log_warn("jobs have the worker's own uid: %s: %s does not run for another one "
			 "(chmod -R a+rX?)",
			sys->path, driver);
	}
	return r;
}

static int
add_offer(struct offer_search *s, const struct sysroot *sys, const char *driver, const char *target)
{
	struct toolchain t;
	struct offer *v;
	int r;

	memset(&t, 0, sizeof(t));
	r = toolchain_identify(s->memo, sys->path, driver, target, &t);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		log_warn_errno(r, "toolchain left out: %s %s %s", sys->path, driver, target);
		return 0;
	}
	/* the toolchain's id does not cover them */
	if (t.outside) {
		log_warn("toolchain left out: %s %s %s: it has libraries outside of its sysroot",
			sys->path, driver, target);
		toolchain_done(&t);
		return 0;
	}
	v = reallocarray(s->out->v, s->out->n + 1, sizeof(*v));
	if (!v) {
		toolchain_done(&t);
		return -ENOMEM;
	}
	s->out->v = v;
	v[s->out->n] = (struct offer){
		.toolchain = t, .sysroot = sys, .bytes = toolchain_bytes(&t)
	};
	v[s->out->n].has_native = cpu_native_toolchain(&t.id, &v[s->out->n].native) == 0;
	if (asprintf(&v[s->out->n].text, "%s %s %s", t.release, driver, target) < 0) {
		toolchain_done(&t);
		return -ENOMEM;
	}
	if (asprintf(&v[s->out->n].text_native, "%s target-cpu=native", v[s->out->n].text) < 0) {
		free(v[s->out->n].text);
		toolchain_done(&t);
		return -ENOMEM;
	}
	s->out->n++;
	return 0;
}

static bool
has_driver(const struct sysroot *sys, const char *driver)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/bin/%s", sys->path, driver) < (int)sizeof(path) &&
	       fs_exists(path);
}

static int
offer_sysroot(struct offer_search *s, const struct sysroot *sys, char **ret_why)
{
	static const char *const drivers[] = { "rustc", "clippy-driver" };
	_cleanup_(strv_done) struct strv targets = STRV_INIT;
	int r = toolchain_list_targets(sys->path, &targets);

	for (size_t d = 0; r == 0 && d < ARRAY_LEN(drivers); d++) {
		_cleanup_(freep) char *why = NULL;

		if (!has_driver(sys, drivers[d]))
			continue;
		r = try_driver(s->c, sys, drivers[d], &why);
		if (r == -EPERM)
			*ret_why = steal_ptr(why);
		if (r < 0 && r != -EPERM) {
			log_warn("toolchain left out: %s %s: %s", sys->path, drivers[d],
				why ? why : strerror(-r));
			r = 0;
			continue;
		}
		for (size_t t = 0; r == 0 && t < targets.n; t++)
			r = add_offer(s, sys, drivers[d], targets.v[t]);
	}
	return r;
}

static int
take_sysroot(struct offer_search *s, const char *path, char **ret_why)
{
	_cleanup_(freep) char *why = NULL;
	struct sysroot *sys = calloc(1, sizeof(*sys)), **v;
	int r;

	if (!sys)
		return -ENOMEM;
	r = sysroot_prepare(s->c->conf->worker.state_dir, path, sys, &why);
	if (r < 0) {
		log_warn("toolchain left out: %s: %s", path, why ? why : strerror(-r));
		free(sys);
		return 0;
	}
	v = reallocarray(s->out->sysroots, s->out->n_sysroots + 1, sizeof(struct sysroot *));
	if (!v) {
		sysroot_done(sys);
		free(sys);
		return -ENOMEM;
	}
	s->out->sysroots = v;
	v[s->out->n_sysroots++] = sys;
	return offer_sysroot(s, sys, ret_why);
}

int
offers_find(const struct offers_conf *c, struct offers *ret, char **ret_why)
{
	_cleanup_(memo_closep) struct memo *memo = NULL;
	struct offer_search s = { .c = c, .out = ret };
	const char *dir = c->conf->worker.memo_dir;
	int r;

	*ret = (struct offers){ NULL, 0, NULL, 0 };
	memo_open(dir ? dir : c->conf->worker.state_dir, &memo);
	s.memo = memo;
	r = find_sysroots(&s);
	for (size_t i = 0; r == 0 && i < s.paths.n; i++)
		r = take_sysroot(&s, s.paths.v[i], ret_why);
	strv_done(&s.paths);
	memo_flush(memo);
	if (r < 0)
		offers_done(ret);
	return r;
}

void
offers_done(struct offers *o)
{
	for (size_t i = 0; i < o->n; i++) {
		toolchain_done(&o->v[i].toolchain);
		free(o->v[i].text);
		free(o->v[i].text_native);
	}
	for (size_t i = 0; i < o->n_sysroots; i++) {
		sysroot_done(o->sysroots[i]);
		free(o->sysroots[i]);
	}
	free(o->v);
	free(o->sysroots);
	*o = (struct offers){ NULL, 0, NULL, 0 };
}

struct offer *
offers_get(const struct offers *o, const struct digest *id)
{
	for (size_t i = 0; i < o->n; i++)
		if (!offer_is_withdrawn(&o->v[i]) &&
			(digest_eq(&o->v[i].toolchain.id, id) ||
				(o->v[i].has_native && digest_eq(&o->v[i].native, id))))
			return &o->v[i];
	return NULL;
}

size_t
offers_count(const struct offers *o)
{
	size_t n = 0;

	for (size_t i = 0; i < o->n; i++)
		n += !offer_is_withdrawn(&o->v[i]);
	return n;
}

bool
offer_is_withdrawn(const struct offer *o)
{
	return __atomic_load_n(&o->withdrawn, __ATOMIC_RELAXED);
}

/* A file whose stat differs may have the same content: it was linked to another name, or touched.
 */
static bool
is_same_still(struct offer *o)
{
	_cleanup_(toolchain_done) struct toolchain now = { .sysroot = NULL };
	struct toolchain *was = &o->toolchain;
	struct buf seal = was->seal;
	int r = toolchain_identify(NULL, was->sysroot, was->driver, was->target, &now);

	if (r == 0 && digest_eq(&now.id, &was->id)) {
		was->seal = now.seal;
		now.seal = seal;
		return true;
	}
	if (r < 0 && r != -ENOENT) {
		log_warn_errno(r, "toolchain %s in %s: cannot be looked at", o->text, was->sysroot);
		return false;
	}
	__atomic_store_n(&o->withdrawn, true, __ATOMIC_RELAXED);
	log_warn("toolchain withdrawn: %s in %s has changed; start the worker again to offer it as "
		 "it is now",
		o->text, was->sysroot);
	return false;
}

bool
offer_holds(struct offer *o)
{
	/* Guards the seals. A thread that waits here needs the same answer. */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	bool holds;

	/* Jobs see the copy that was made at the start. */
	if (!streq(o->sysroot->view, o->sysroot->path))
		return true;
	pthread_mutex_lock(&lock);
	holds = !offer_is_withdrawn(o) && (toolchain_holds(&o->toolchain) || is_same_still(o));
	pthread_mutex_unlock(&lock);
	return holds;
}
