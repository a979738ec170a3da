/* dray up: an embedded farm, for one command or until it is stopped. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/cmd/cmd.h"
#include "client/cmd/embed.h"
#include "client/wrap/farm_state.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/fs.h"
#include "discovery/find.h"

#define WORKERS_MAX 64
#define SLOTS_MAX 4096

/* What the job log of this run adds up to. */
struct tally {
	unsigned hits, farm, local, passthrough;
	unsigned runs, put_back; /* of build scripts, which are no units */
	double saved_s, farm_s, local_s;
};

static void
count_line(struct tally *t, const char *line)
{
	json_t *o = json_loads(line, 0, NULL);
	const char *where = json_string_value(json_object_get(o, "where"));
	const char *kind = json_string_value(json_object_get(o, "kind"));
	double s = json_number_value(json_object_get(o, "wall_ms")) / 1000;

	if (where && kind && streq(kind, "script-run")) {
		*(streq(where, "cache") ? &t->put_back : &t->runs) += 1;
	} else if (where && streq(where, "farm")) {
		t->farm++;
		t->farm_s += s;
	} else if (where && streq(where, "local")) {
		t->local++;
		t->local_s += s;
	} else if (where && streq(where, "cache")) {
		t->hits++;
		t->saved_s += json_number_value(json_object_get(o, "saved_ms")) / 1000;
	} else if (where) {
		t->passthrough++;
	}
	json_decref(o);
}

static off_t
log_size(const char *path)
{
	struct stat st;

	return path && stat(path, &st) == 0 ? st.st_size : 0;
}

/* One line for people: what ran where. from: the log's size before. */
static void
summarise(const char *path, off_t from, uint64_t start_ms)
{
	_cleanup_(freep) char *line = NULL;
	struct tally t = { 0 };
	char scripts[64] = "";
	size_t cap = 0;
	FILE *f = path ? fopen(path, "re") : NULL;

	if (!f)
		return;
	/* shorter than before: it was begun afresh meanwhile */
	if (log_size(path) >= from && fseeko(f, from, SEEK_SET) < 0) {
		fclose(f);
		return;
	}
	while (getline(&line, &cap, f) > 0)
		count_line(&t, line);
	fclose(f);
	if (t.hits + t.farm + t.local + t.passthrough + t.runs + t.put_back == 0)
		return;
	if (t.runs + t.put_back)
		snprintf(scripts, sizeof(scripts), "; %u build scripts ran, %u put back", t.runs,
			t.put_back);
	fprintf(stderr,
		"dray up: %u units on the farm (%.1f s), %u here (%.1f s), %u from the cache (%.1f "
		"s "
		"saved), %u passed through%s; %.1f s in all\n",
		t.farm, t.farm_s, t.local, t.local_s, t.hits, t.saved_s, t.passthrough, scripts,
		(double)(clock_mono_ms() - start_ms) / 1000);
}

/* The cache that the command uses; NULL: its own, by its configuration. */
static char *
cache_of(const struct embed_options *o, const char *temporary)
{
	_cleanup_(freep) char *dir = o->dir ? realpath(o->dir, NULL) : NULL;

	if (o->dir)
		return dir ? path_join(dir, "cache") : NULL;
	return temporary ? strdup(temporary) : NULL;
}

static int
export_all(const struct embed *e, const char *cache_dir, bool temporary, bool print)
{
	_cleanup_(freep) char *self = cmd_self();
	const char *const pairs[][2] = {
		{ "RUSTC_WRAPPER", self ? self : "dray" },
		{ "DRAY_COORDINATOR", embed_endpoint(e) },
		{ "DRAY_COORDINATOR_KEY", embed_coordinator_key(e) },
		{ "DRAY_IDENTITY", embed_identity(e) },
		{ "DRAY_CACHE_DIR", cache_dir },
		/* this one is shared with nobody */
		{ "DRAY_CACHE_GROUP", cache_dir ? "none" : NULL },
		{ "DRAY_CACHE", temporary ? "off" : NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		if (!pairs[i][1])
			continue;
		if (setenv(pairs[i][0], pairs[i][1], 1) < 0)
			return -errno;
		if (!print)
			continue;
		if (cmd_add_quoted(&b, pairs[i][1]) < 0)
			return -ENOMEM;
		printf("export %s=%s\n", pairs[i][0], (const char *)b.p);
	}
	return print && fflush(stdout) != 0 ? -errno : 0;
}

static int
run_command(char **argv)
{
	int r = child_run(&(struct spawn){ .path = argv[0], .argv = argv });

	if (r >= 0 || r == -ECANCELED)
		return MAX2(r, 0);
	cmd_error(&cmd_up, "cannot run %s: %s", argv[0], strerror(-r));
	return r == -ENOENT ? 127 : 126;
}

/* What fails in dray does not stop a build. The wrapper is set all the same: what was compiled
 * before is in the cache. A farm that is configured is not asked, since another one was wanted. */
static int
run_without_farm(const char *cache_dir, char **argv)
{
	_cleanup_(freep) char *self = cmd_self();

	cmd_error(&cmd_up, "the command runs without a farm; dray doctor says what is missing");
	if (setenv("RUSTC_WRAPPER", self ? self : "dray", 1) < 0 ||
		setenv("DRAY_OFFLOAD", "never", 1) < 0 ||
		(cache_dir && (setenv("DRAY_CACHE_DIR", cache_dir, 1) < 0 ||
				      setenv("DRAY_CACHE_GROUP", "none", 1) < 0)))
		cmd_error(&cmd_up, "the command runs without dray: %s", strerror(errno));
	return run_command(argv);
}

static int
stay(struct embed *e)
{
	struct timespec pause = { 0, 200000000 };
	const char *lost = NULL;

	fprintf(stderr, "dray up: the farm serves; Ctrl-C ends it\n");
	while (!child_signal() && !(lost = embed_lost(e)))
		nanosleep(&pause, NULL);
	if (!lost)
		return CMD_OK;
	cmd_error(&cmd_up, "%s has ended", lost);
	return CMD_FAILED;
}

static void
say_waiting(const char *name)
{
	fprintf(stderr, "dray up: %s is not ready yet: it reads this machine's toolchains\n", name);
}

static int
up(const struct embed_options *o, const char *temporary, char **command)
{
	_cleanup_(embed_stopp) struct embed *e = NULL;
	_cleanup_(conf_freep) struct conf *seen = NULL;
	_cleanup_(freep) char *cache_dir = NULL;
	_cleanup_(freep) char *error = NULL;
	const char *path;
	uint64_t start;
	off_t from;
	int r;

	child_catch_signals();
	r = embed_start(o, &e, &error);
	cache_dir = cache_of(o, temporary);
	if (r < 0 && child_signal())
		return SPAWN_SIGNALLED + child_signal();
	if (r < 0) {
		cmd_error(&cmd_up, "%s", error ? error : strerror(-r));
		return *command ? run_without_farm(cache_dir, command) : CMD_FAILED;
	}
	if (geteuid() == 0)
		fprintf(stderr, "dray up: started by root, so the worker runs as root; its jobs do "
				"not, where they can have uids of their own\n");
	if (export_all(e, cache_dir, temporary != NULL, !*command) < 0)
		return CMD_FAILED;
	/* with the environment as it is now: what the wrapper will see */
	if (cmd_load_conf(&cmd_up, &seen) < 0)
		return CMD_FAILED;
	path = seen->client.job_log;
	start = clock_mono_ms();
	from = log_size(path);
	r = *command ? run_command(command) : stay(e);
	if (*command && embed_lost(e))
		cmd_error(&cmd_up, "%s ended before the command did", embed_lost(e));
	/* its address was for once */
	farm_state_forget(seen->client.cache_dir, embed_endpoint(e));
	embed_stopp(&e);
	if (*command)
		summarise(path, from, start);
	/* stopped from outside while it stayed: that is its normal end */
	if (child_signal() && *command)
		return SPAWN_SIGNALLED + child_signal();
	return r;
}

/* Why nothing can be kept there, or 0. */
static int
try_cache_dir(const char *dir)
{
	int r = dir ? fs_mkdir_p(dir, 0700) : -ENOENT;

	return r == 0 && access(dir, W_OK | X_OK) < 0 ? -errno : r;
}

/* A directory that is refused must not stop the build: a farm for this once, below /tmp, which
 * keeps nothing. why: a sentence. */
static int
load_without_cache(const char *why, char **ret_dir, struct conf **ret)
{
	_cleanup_(freep) char *error = NULL;
	_cleanup_(freep) char *dir = NULL;
	int r = fs_make_temp_dir("/tmp", "dray-up-", &dir);

	if (r < 0)
		return r;
	if (setenv("DRAY_CACHE_DIR", dir, 1) < 0 || setenv("DRAY_CACHE_GROUP", "none", 1) < 0 ||
		setenv("DRAY_CACHE", "off", 1) < 0)
		r = -errno;
	if (r == 0)
		r = find_conf_load(ret, &error);
	if (r < 0) {
		fs_rm_rf(dir);
		return r;
	}
	cmd_error(&cmd_up,
		"%s Nothing is kept of this run; set DRAY_CACHE_DIR to a directory that can be "
		"written, by its full path.",
		why);
	*ret_dir = steal_ptr(dir);
	return 0;
}

/* What the farm keeps its files by. 0; or the reason is told, and there is no farm.
 * *ret_dir: a temporary directory, for the caller to remove. */
static int
load(const struct embed_options *o, char **ret_dir, struct conf **ret)
{
	_cleanup_(freep) char *why = NULL;
	const char *dir;
	int r = find_conf_load(ret, &why);

	if (r == 0 && o->dir)
		return 0;
	if (r == 0) {
		dir = (*ret)->client.cache_dir;
		r = try_cache_dir(dir);
		if (r == 0)
			return 0;
		if (asprintf(&why, "%s: %s.", dir ? dir : "No cache directory", strerror(-r)) < 0)
			why = NULL;
		conf_freep(ret);
	}
	if (why && load_without_cache(why, ret_dir, ret) == 0)
		return 0;
	cmd_error(&cmd_up, "%s", why ? why : strerror(-r));
	return r;
}

static bool
parse_number(const char *s, unsigned max, unsigned *ret)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(s, &end, 10);
	if (errno || *end || *s < '0' || *s > '9' || n == 0 || n > max)
		return false;
	*ret = (unsigned)n;
	return true;
}

/* The number of an option, where it was given; false: it is none, which is said. */
static bool
take_number(const char *option, const char *s, unsigned max, unsigned *ret)
{
	if (!s || parse_number(s, max, ret))
		return true;
	cmd_error(&cmd_up, "%s %s: a number from 1 to %u", option, s, max);
	return false;
}

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	struct embed_options eo = { .workers = 1, .waiting = say_waiting };
	_cleanup_(freep) char *temporary = NULL;
	const char *workers = NULL, *slots = NULL;
	const struct cmd_option options[] = {
		{ .name = "workers", .text = &workers },
		{ .name = "slots", .text = &slots },
		{ .name = "dir", .text = &eo.dir },
		{ .name = "ipc", .flag = &eo.ipc },
		{ .name = NULL },
	};
	int args, r;

	if (!cmd_options(&cmd_up, argc, argv, options, 0, CMD_ARGS_MAX, &args, &r))
		return r;
	if (!take_number("--workers", workers, WORKERS_MAX, &eo.workers) ||
		!take_number("--slots", slots, SLOTS_MAX, &eo.slots))
		return CMD_USAGE;
	if (load(&eo, &temporary, &conf) < 0) {
		if (!argv[args])
			return CMD_FAILED;
		cmd_error(&cmd_up, "the command runs without a farm");
		return run_command(argv + args);
	}
	eo.cache_dir = conf->client.cache_dir;
	r = up(&eo, temporary, argv + args);
	if (temporary)
		fs_rm_rf(temporary);
	return r;
}

const struct cmd cmd_up = {
	.name = "up",
	.usage = "up [--workers N] [--slots N] [--dir DIR] [--ipc] [--] [COMMAND [ARGUMENT]...]",
	.summary = "Start a farm on this machine for one command, or until it is stopped",
	.help = "  --workers N  how many workers, 1 when not given\n"
		"  --slots N    jobs at a time on each; the cores shared out when not given\n"
		"  --dir DIR    keep the workers' stores, the logs and the client's cache there\n"
		"  --ipc        Unix sockets instead of loopback ports\n"
		"  -h, --help   print this\n",
	.run = run,
};
