/* Invariant: every offer was run once, in the very sandbox that jobs get. A toolchain that is half
 * installed, or that this system cannot run, is never offered; one that was changed is offered no
 * more. */
#include "config.h"

#include "worker/offers.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>

#include "toolchain/cpu.h"
#include "common/fs.h"
#include "common/log/log.h"

struct offer_search {
	const struct trial_conf *c;
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

/* ---- one */

int
offer_new(struct offer **ret)
{
	*ret = calloc(1, sizeof(struct offer));
	return *ret ? 0 : -ENOMEM;
}

void
offer_free(struct offer *o)
{
	if (!o)
		return;
	toolchain_done(&o->toolchain);
	if (o->own_sysroot)
		sysroot_done(o->own_sysroot);
	free(o->own_sysroot);
	buf_done(&o->version);
	free(o->text);
	free(o->text_native);
	free(o);
}

static void
offer_freep(struct offer **o)
{
	offer_free(*o);
	*o = NULL;
}

int
offer_name(struct offer *o)
{
	const struct toolchain *t = &o->toolchain;

	o->has_native = cpu_native_toolchain(&t->id, &o->native) == 0;
	o->bytes = toolchain_bytes(t);
	if (asprintf(&o->text, "%s %s %s", t->release, t->driver, t->target) < 0) {
		o->text = NULL;
		return -ENOMEM;
	}
	if (asprintf(&o->text_native, "%s target-cpu=native", o->text) < 0) {
		o->text_native = NULL;
		return -ENOMEM;
	}
	return 0;
}

int
offers_add(struct offers *list, struct offer *o)
{
	struct offer **v = reallocarray(list->v, list->n + 1, sizeof(struct offer *));

	if (!v)
		return -ENOMEM;
	list->v = v;
	v[list->n++] = o;
	return 0;
}

/* ---- those that are found */

static int
add_offer(struct offer_search *s, const struct sysroot *sys, const char *driver, const char *target)
{
	_cleanup_(offer_freep) struct offer *o = NULL;
	int r = offer_new(&o);

	if (r < 0)
		return r;
	r = toolchain_identify(s->memo, sys->path, driver, target, &o->toolchain);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		log_warn_errno(r, "toolchain left out: %s %s %s", sys->path, driver, target);
		return 0;
	}
	/* the toolchain's id does not cover them */
	if (o->toolchain.outside) {
		log_warn("toolchain left out: %s %s %s: it has libraries outside of its sysroot",
			sys->path, driver, target);
		return 0;
	}
	o->sysroot = sys;
	r = offer_name(o);
	if (r == 0)
		r = offers_add(s->out, o);
	if (r == 0)
		o = NULL;
	return r;
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
		r = trial_version(
			&(struct trial){
				.c = s->c, .sysroot = sys, .driver = drivers[d], .job = "try" },
			NULL, &why);
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
offers_find(const struct trial_conf *c, struct offers *ret, char **ret_why)
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
	for (size_t i = 0; i < o->n; i++)
		offer_free(o->v[i]);
	for (size_t i = 0; i < o->n_sysroots; i++) {
		sysroot_done(o->sysroots[i]);
		free(o->sysroots[i]);
	}
	free(o->v);
	free(o->sysroots);
	*o = (struct offers){ NULL, 0, NULL, 0 };
}

static size_t
say_some(const struct offers *o, bool pushed, struct offer_said *ret, size_t n, size_t max)
{
	for (size_t i = 0; i < o->n && n < max; i++) {
		struct offer *one = o->v[i];

		if (one->pushed != pushed || offer_is_withdrawn(one))
			continue;
		ret[n++] = (struct offer_said){ one, false };
		if (one->has_native && n < max)
			ret[n++] = (struct offer_said){ one, true };
	}
	return n;
}

size_t
offers_say(const struct offers *o, struct offer_said *ret, size_t max)
{
	return say_some(o, true, ret, say_some(o, false, ret, 0, max), max);
}

struct offer *
offers_get(const struct offers *o, const struct digest *id)
{
	for (size_t i = 0; i < o->n; i++)
		if (!offer_is_withdrawn(o->v[i]) &&
			(digest_eq(&o->v[i]->toolchain.id, id) ||
				(o->v[i]->has_native && digest_eq(&o->v[i]->native, id))))
			return o->v[i];
	return NULL;
}

size_t
offers_count(const struct offers *o)
{
	size_t n = 0;

	for (size_t i = 0; i < o->n; i++)
		n += !offer_is_withdrawn(o->v[i]);
	return n;
}

/* None is ever taken out of the list, and none that was withdrawn comes back. */
uint64_t
offers_stamp(const struct offers *o)
{
	return (uint64_t)o->n << 32 | offers_count(o);
}

bool
offer_is_withdrawn(const struct offer *o)
{
	return __atomic_load_n(&o->withdrawn, __ATOMIC_RELAXED);
}

void
offer_withdraw(struct offer *o)
{
	__atomic_store_n(&o->withdrawn, true, __ATOMIC_RELAXED);
}

/* What a client gave is not run here. */
static int
identify_again(const struct offer *o, struct toolchain *ret)
{
	const struct toolchain *was = &o->toolchain;

	return o->pushed ? toolchain_identify_as(
				   was->sysroot, was->driver, was->target, &o->version, ret)
			 : toolchain_identify(NULL, was->sysroot, was->driver, was->target, ret);
}

/* A file whose stat differs may have the same content: it was linked to another name, or touched.
 */
static bool
is_same_still(struct offer *o)
{
	_cleanup_(toolchain_done) struct toolchain now = { .sysroot = NULL };
	struct toolchain *was = &o->toolchain;
	struct buf seal = was->seal;
	int r = identify_again(o, &now);

	if (r == 0 && digest_eq(&now.id, &was->id)) {
		was->seal = now.seal;
		now.seal = seal;
		return true;
	}
	if (r < 0 && r != -ENOENT) {
		log_warn_errno(r, "toolchain %s in %s: cannot be looked at", o->text, was->sysroot);
		return false;
	}
	offer_withdraw(o);
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
