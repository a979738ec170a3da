/* A build script's run:
 *
 *   what is it? ─▶ not to be kept ─▶ the launcher runs it
 *        └▶ its result is known ─▶ OUT_DIR is made, texts are printed: nothing ran
 *             └▶ it runs here, traced, in a slot ─▶ its record, OUT_DIR and texts are kept
 *
 * Invariant: the script runs once, or not at all; twice only if it started a program that lost its
 * rights to the tracer (sudo). What goes wrong before it was begun is left to the launcher;
 * afterwards its exit status is ours. */
#include "config.h"

#include "client/script/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/marks.h"
#include "cache/text.h"
#include "client/script/launcher.h"
#include "client/script/loader.h"
#include "client/script/place.h"
#include "client/script/run_priv.h"
#include "client/script/tree.h"
#include "client/wrap/local.h"
#include "client/wrap/mapped.h"
#include "client/wrap/target_dir.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/process/daemon.h"
#include "common/fs.h"
#include "common/outdir/layout.h"
#include "common/log/log.h"
#include "common/text/why.h"
#include "discovery/find.h"

#define STATUS_NOT_STARTED 127
#define LEFT_TO_LAUNCHER 0 /* any status: without the byte it does not count */

extern char **environ;

static void
run_done(struct run *r)
{
	slots_closep(&r->slots);
	cached_closep(&r->c);
	memo_closep(&r->memo);
	strv_done(&r->marked);
	strv_done(&r->maps);
	strv_done(&r->marked_maps);
	strv_done(&r->trace);
	strv_done(&r->argv);
	local_seen_done(&r->seen);
	conf_freep(&r->conf);
	free(r->off);
	free(r->not_stored);
	free(r->bound);
	closep(&r->launcher);
}

/* From here on the launcher only waits. */
static bool
take_over(struct run *r)
{
	return child_write(r->launcher, "s", 1) == 0;
}

/* ---- what it is */

bool
script_is_traced(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "/dray-run.so");
}

static int
off(struct run *r, const char *why)
{
	return why_set(&r->off, -ENOTSUP, "%s", why);
}

/* Whether cargo made the directory for a script's run: a hit empties it. One that a user names by
 * hand is the user's. */
static bool
is_cargos(const char *out_dir)
{
	size_t profile = 0;
	enum layout_place place = layout_find(out_dir, &profile);
	_cleanup_(freep) char *dir = strndup(out_dir, profile);
	unsigned slashes = 0;

	/* /build/PKG-HASH/out, and not below it */
	for (const char *s = out_dir + profile; *s; s++)
		slashes += *s == '/';
	return dir && (place == LAYOUT_UNIT || (place == LAYOUT_OUT && slashes == 3)) &&
	       ends_with(out_dir, "/out") && target_dir_is_profile(dir);
}

/* Cargo's home, and the directory that a checkout is moved with: the nearest one from the package's
 * up that has a Cargo.lock, or the package's own. What lies elsewhere does not move with it
 * (record_around.c). A package in cargo's home is the same for each checkout. 0 or -ENOMEM. */
static int
find_workspace(struct cached *c)
{
	char *dir;

	c->keep.has_macros = true; /* a script may do what these do */
	c->cargo_home = cached_cargo_home();
	if (c->cargo_home && path_is_normal(c->cargo_home) && text_can_hide(c->cargo_home))
		c->place.cargo_home = c->cargo_home;
	c->place.home = inputs_find_home();
	c->sysroot = cached_run_sysroot();
	c->place.toolchain = inputs_markable(c->sysroot);
	if (c->cargo_home && path_is_below(c->cwd, c->cargo_home))
		return 0;
	dir = mapped_find_lock(c->cwd);
	if (!dir)
		dir = strdup(c->cwd);
	c->workspace = dir;
	if (dir && text_can_hide(dir) && !path_is_below(dir, c->target_dir))
		c->place.workspace = dir;
	return dir ? 0 : -ENOMEM;
}

static int
find_place(struct run *r)
{
	const char *out_dir = getenv("OUT_DIR");
	struct cached *c = r->c;
	char cwd[PATH_MAX];

	if (!out_dir || !path_is_normal(out_dir) || !out_dir[1])
		return off(r, "OUT_DIR is not set, or is no absolute path");
	if (!is_cargos(out_dir))
		return off(r, "OUT_DIR is not one that cargo made");
	if (!getcwd(cwd, sizeof(cwd)))
		return -errno;
	c->cwd = strdup(cwd);
	c->out_dir = strdup(out_dir);
	c->real_out_dir = realpath(out_dir, NULL);
	if (!c->cwd || !c->out_dir)
		return -ENOMEM;
	if (!c->real_out_dir)
		return errno == ENOMEM ? -ENOMEM : off(r, "OUT_DIR is not there");
	c->target_dir = target_dir_of(c->out_dir, cwd);
	c->real_target_dir = c->target_dir ? realpath(c->target_dir, NULL) : NULL;
	if (!c->target_dir || !c->real_target_dir)
		return -ENOMEM;
	c->place = (struct inputs_place){ .out_dir = c->out_dir,
		.real_out_dir = c->real_out_dir,
		.target_dir = c->target_dir,
		.real_target_dir = c->real_target_dir,
		.envp = environ,
		.umask = c->umask,
		.memo = r->memo };
	return r->conf->client.paths == PATHS_SHARED ? find_workspace(c) : 0;
}

static int
make_key(struct run *r)
{
	struct cached *c = r->c;
	_cleanup_(freep) char *cwd = inputs_mark_path(&c->place, c->cwd);
	struct run_key_in k = {
		.namespace = r->conf->client.namespace, .args = r->argv.v + 1, .cwd = cwd
	};
	int e = cwd ? place_mark_env(&c->place, environ, &r->marked) : -ENOMEM;

	if (e == 0 && r->conf->client.paths == PATHS_SHARED)
		e = place_maps(&c->place, &r->maps, &r->marked_maps);
	if (e < 0)
		return e;
	k.maps = r->marked_maps.v;
	c->place.marked = k.env = r->marked.v;
	e = memo_digest_file(r->memo, r->argv.v[0], &k.program, NULL);
	return e < 0 ? e : run_key_make(&k, &c->key);
}

static int
open_cache(struct run *r)
{
	struct depot_in d = { .dir = r->conf->client.store_dir,
		.max = r->conf->client.cache_max,
		.read_only = r->conf->client.cache == CACHE_READ,
		.group = r->conf->client.cache_group };
	struct cached *c = r->c = calloc(1, sizeof(*r->c));
	const char *own = r->conf->client.cache_dir;
	char why[SHARE_WHY_SIZE];
	int e;

	if (!c)
		return -ENOMEM;
	if (!own || memo_open(own, &r->memo) < 0)
		r->memo = NULL;
	d.memo = r->memo;
	c->in = (struct cached_in){ .conf = r->conf, .memo = r->memo, .began = r->began };
	c->lock = -1;
	c->run = r->package;
	c->umask = fs_umask();
	e = find_place(r);
	if (e == 0)
		e = make_key(r);
	cached_init_keep(c);
	if (e == 0)
		e = depot_open(&d, &c->depot);
	if (e != -EPERM)
		return e;
	depot_why_refused(&d, why);
	return off(r, why);
}

/* ---- a run that is known */

static bool
try_result(struct run *r, const struct entry *e, size_t i)
{
	struct cached *c = r->c;
	_cleanup_(result_done) struct result res = RESULT_INIT;
	_cleanup_(buf_done) struct buf out = BUF_INIT, err = BUF_INIT;
	_cleanup_(freep) char *why = NULL;
	struct tree t = { .place = &c->place, .depot = c->depot };
	uint64_t start;
	int k;

	if (entry_result(e, i, &res) < 0 || !res.run)
		return false;
	if (inputs_check(&res.inputs, &c->place, &why) < 0) {
		if (i == 0)
			cached_why(&r->said, "%s", why ? why : "no memory");
		return false;
	}
	start = clock_mono_us();
	k = marks_show(&c->place, res.out.p, res.out.n, &out);
	if (k == 0)
		k = marks_show(&c->place, res.err.p, res.err.n, &err);
	if (k == 0)
		k = tree_put(&t, &res);
	if (k < 0) {
		/* a script that minds no error would leave less than it does elsewhere */
		if (k != -ENOENT && k != -EBADMSG && !r->not_stored)
			why_set(&r->not_stored, k, "OUT_DIR cannot be written: %s", strerror(-k));
		cached_why(&r->said, "OUT_DIR cannot be put in place: %s",
			k == -ENOENT	? "some of it is not in the cache any more"
			: k == -EBADMSG ? "some of it was damaged"
					: strerror(-k));
		return false;
	}
	if (!take_over(r))
		return false;
	child_write(STDOUT_FILENO, out.p, out.n);
	child_write(STDERR_FILENO, err.p, err.n);
	snprintf(
		r->said.producer, sizeof(r->said.producer), "%s", res.producer ? res.producer : "");
	r->said.saved_us = res.compile_us;
	r->said.bytes = t.bytes;
	*r->said.why = '\0';
	free(r->not_stored);
	r->not_stored = NULL;
	cached_mark_used(c, &c->key.id, &res);
	r->restore_us = clock_mono_us() - start;
	return true;
}

static bool
look_up(struct run *r)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	bool hit = false;

	memset(&r->said, 0, sizeof(r->said));
	digest_hex(&r->c->key.id, r->said.key);
	if (r->conf->client.recache) {
		cached_why(&r->said, "nothing was looked up (recache)");
		return false;
	}
	if (cached_read_entry(r->c, &r->c->key.id, &e) < 0)
		return false;
	for (size_t i = 0; !hit && i < e.n_results; i++) {
		hit = try_result(r, &e, i);
		if (hit && i > 0)
			cached_note_order(r->c, &e, i);
	}
	if (!hit && !*r->said.why)
		cached_say_new_key(r->c, &r->said);
	return hit;
}

/* Where this run will not be kept, a twin's will not be, either: there is nothing to wait for. */
static bool
find(struct run *r)
{
	uint64_t start = clock_mono_us();
	bool hit = look_up(r);

	if (!hit) {
		run_give_up_again(r);
		while (!hit && !r->not_stored && cached_wait_twin(r->c))
			hit = look_up(r);
	}
	if (!hit && cached_fetch(r->c, &r->far, NULL))
		hit = look_up(r);
	r->lookup_us = clock_mono_us() - start - r->restore_us - r->far.us;
	if (!hit)
		memo_flush(r->memo);
	return hit;
}

/* ---- the run */

static bool
is_trusted(const struct run *r)
{
	return conf_names_has(r->conf->client.scripts_trust, r->package, strlen(r->package));
}

/* Whether the tracer may be spared the loader's questions (trace/preload/run_spawn.c). */
static bool
hides_library_path(const struct run *r)
{
	static const char *const others[] = { "LD_AUDIT", "LD_PRELOAD" };
	const char *dirs = getenv("LD_LIBRARY_PATH");

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (getenv(others[i]))
			return false;
	return dirs && *dirs && loader_takes_nothing(r->argv.v[0], dirs, r->c->target_dir);
}

static int
add_trace(struct run *r)
{
	int e = strv_add(&r->trace, "--script");

	if (e == 0)
		e = cached_add_writable(r->c, &r->trace);
	if (e == 0)
		e = strv_addf(&r->trace, "--argv0=%s", r->argv0);
	if (e == 0 && hides_library_path(r))
		e = strv_add(&r->trace, "--hide-library-path");
	for (size_t i = 0; e == 0 && i < r->maps.n; i++)
		e = strv_addf(&r->trace, "--prefix-map=%s", r->maps.v[i]);
	return e == 0 && is_trusted(r) ? strv_add(&r->trace, "--trust") : e;
}

/* For `dray status`. */
static void
say(struct run *r)
{
	const char *version = getenv("CARGO_PKG_VERSION");
	char what[NOTICE_WHAT_MAX];
	struct notice n;

	snprintf(what, sizeof(what), "%.200s %.40s", r->package, version ? version : "");
	notice_make(&n, "script", what, r->c->out_dir);
	slots_say(r->slots, &n);
}

static int
run_it(struct run *r)
{
	struct rustc_call call = { .argv = r->argv.v };
	struct local_run l = {
		.call = &call, .slot = -1, .slot_stays = true, .takes_rest = true, .seen = &r->seen
	};
	const char *program;
	int status;

	r->slots = local_open_slots(r->conf);
	l.slots = r->slots;
	if (r->slots)
		say(r);
	if (r->conf->client.cache == CACHE_ON && !r->not_stored && add_trace(r) == 0) {
		l.trace = &r->trace;
		r->was_empty = tree_is_empty(r->c->out_dir);
		l.began = cached_begin_traced(r->c, r->argv.v[0]);
	}
	if (!take_over(r))
		return LEFT_TO_LAUNCHER;
	r->began_run = true;
	status = local_run(&l);
	if (l.trace && (program = inputs_lost_rights(&r->seen.record)) && !child_signal()) {
		why_set(&r->not_stored, -ENOTSUP, INPUTS_LOST_RIGHTS, path_basename(program));
		run_give_up(r);
		l.trace = NULL;
		status = local_run(&l);
	}
	r->slot_wait_us = l.slot_wait_us;
	r->run_start_us = l.compile_start_us;
	r->run_us = l.compile_start_us ? clock_mono_us() - l.compile_start_us : 0;
	return status;
}

/* ---- all of it */

static int
parse(struct run *r, int argc, char **argv)
{
	int e = 0;

	/* dray SCRIPT_OPTION FD REAL ARGV0 ARGS… */
	if (argc < 5 || daemon_parse_fd(argv[2], &r->launcher) < 0 ||
		fcntl(r->launcher, F_SETFD, FD_CLOEXEC) < 0)
		return -EINVAL;
	r->argv0 = argv[4];
	e = strv_add(&r->argv, argv[3]);
	for (int i = 5; e == 0 && i < argc; i++)
		e = strv_add(&r->argv, argv[i]);
	r->package = getenv("CARGO_PKG_NAME");
	return e < 0 ? e : r->package ? 0 : -EINVAL;
}

static bool
is_wanted(struct run *r)
{
	_cleanup_(freep) char *error = NULL;

	return find_conf_load(&r->conf, &error) == 0 && !r->conf->client.disable &&
	       r->conf->client.scripts == SCRIPTS_ON && r->conf->client.cache != CACHE_OFF &&
	       r->conf->client.store_dir && *r->conf->client.store_dir;
}

static int
become_script(const struct run *r)
{
	char **argv = r->argv.v;
	_cleanup_(freep) char *real = strdup(argv[0]);

	if (real) {
		free(argv[0]);
		argv[0] = r->argv0;
		execv(real, argv);
		argv[0] = NULL;
	}
	return STATUS_NOT_STARTED;
}

int
script_main(int argc, char **argv)
{
	_cleanup_(run_done) struct run r = { .launcher = -1 };
	int e, status;

	r.start_us = clock_mono_us();
	clock_gettime(CLOCK_REALTIME, &r.began);
	log_init("dray", LOG_LEVEL_NONE);
	if (parse(&r, argc, argv) < 0 || script_is_traced() || !is_wanted(&r))
		return LEFT_TO_LAUNCHER;
	child_catch_signals();
	e = open_cache(&r);
	if (e < 0) {
		if (!r.off)
			off(&r, strerror(-e));
		run_log(&r, "passthrough", 0);
		return LEFT_TO_LAUNCHER;
	}
	if (find(&r)) {
		run_log(&r, "cache", 0);
		return 0;
	}
	snprintf(r.why, sizeof(r.why), "%s", r.said.why);
	status = run_it(&r);
	if (!r.began_run)
		return LEFT_TO_LAUNCHER;
	if (status < 0 && !child_signal())
		return become_script(&r);
	run_keep(&r, status);
	if (child_signal())
		status = SPAWN_SIGNALLED + child_signal();
	run_log(&r, "local", status);
	return status;
}
