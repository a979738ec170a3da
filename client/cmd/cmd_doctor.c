/* dray doctor: whether everything that a build wants is there; each line is good, or says what to
 * do.
 *
 * Invariant: nothing is changed but what a build would change too (the memo, the linker's note),
 * and a check that cannot be made is "bad" with its reason, never left out. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/cmd/cargo_config.h"
#include "client/cmd/cmd.h"
#include "client/cmd/userns.h"
#include "client/wrap/linker.h"
#include "client/wrap/local_only.h"
#include "client/incremental/background.h"
#include "client/incremental/prime.h"
#include "client/show/show.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/share.h"
#include "keys/identity.h"
#include "machine/new_proc.h"
#include "machine/subids.h"
#include "memo/memo.h"
#include "common/spawn.h"
#include "toolchain/toolchain.h"

#ifndef BWRAP_PATH
#define BWRAP_PATH "/usr/bin/bwrap"
#endif

enum finding { GOOD, NOTE, BAD };

static const char *const finding_names[] = { "good", "note", "bad" };

struct doctor {
	bool json;
	bool any_bad;
	json_t *list;
	struct conf *conf;
	struct memo *memo;
	const char *compiler;
	json_t *status; /* what the farm said; NULL: it could not be asked */
	char *key_line; /* what lets this client in, in allowed-keys; NULL: it has no key */
};

static void _printf_(4, 5)
	say(struct doctor *d, enum finding f, const char *check, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		text = NULL;
	d->any_bad |= f == BAD;
	if (!d->json)
		printf("%-4s  %-12s %s\n", finding_names[f], check, text ? text : "");
	else
		json_array_append_new(
			d->list, json_pack("{s:s, s:s, s:s}", "check", check, "finding",
					 finding_names[f], "text", text ? text : ""));
}

static bool
is_set(const char *s)
{
	return s && *s;
}

static bool
farm_is_wanted(const struct conf *conf)
{
	return is_set(conf->client.coordinator) && conf->client.offload != OFFLOAD_NEVER;
}

/* "/etc/dray/dray.conf (not there), /home/ann/.config/dray/dray.conf" */
static void
check_files(struct doctor *d)
{
	_cleanup_(strv_done) struct strv files = STRV_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = conf_files(&files);

	for (size_t i = 0; r == 0 && i < files.n; i++)
		r = buf_addf(&b, "%s%s%s", i ? ", " : "", files.v[i],
			access(files.v[i], F_OK) == 0 ? "" : " (not there)");
	if (r == 0)
		say(d, GOOD, "files", "%s", b.n ? (const char *)b.p : "none is looked for");
	else
		say(d, BAD, "files", "%s", strerror(-r));
}

/* A variable that no program of dray reads is most likely misspelt. */
static void
check_variables(struct doctor *d)
{
	for (char **e = environ; *e; e++) {
		_cleanup_(freep) char *name = strndup(*e, strcspn(*e, "="));

		if (name && starts_with(name, "DRAY_") && !conf_is_variable(name))
			say(d, NOTE, "variables",
				"%s is no setting, so it changes nothing: dray.conf(5) lists them",
				name);
	}
}

static bool
check_conf(struct doctor *d)
{
	_cleanup_(freep) char *error = NULL;

	if (conf_load(&d->conf, &error) < 0) {
		say(d, BAD, "config", "%s Until this is right all is compiled here.",
			error ? error : "It cannot be read.");
		return false;
	}
	if (!is_set(d->conf->client.coordinator))
		say(d, NOTE, "config",
			"no coordinator is set, so all is compiled here: set "
			"[client] coordinator or DRAY_COORDINATOR, or try `dray up`");
	else if (d->conf->client.offload == OFFLOAD_NEVER)
		say(d, NOTE, "config", "offload is never: all is compiled here");
	else
		say(d, GOOD, "config", "coordinator %s", d->conf->client.coordinator);
	return true;
}

/* "3 entries, 12.0 MiB of at most 20.0 GiB"; "" when it cannot be told. */
static void
describe_size(const struct conf *conf, char *ret, size_t n)
{
	_cleanup_(depot_closep) struct depot *d = NULL;
	struct depot_in in = { .dir = conf->client.store_dir,
		.max = conf->client.cache_max,
		.read_only = conf->client.cache == CACHE_READ,
		.group = conf->client.cache_group };
	char bytes[SHOW_SIZE], max[SHOW_SIZE];
	struct store_stats s;

	*ret = '\0';
	if (depot_open(&in, &d) < 0 || depot_get_stats(d, &s) < 0)
		return;
	show_bytes(s.bytes, bytes);
	show_bytes(s.max, max);
	snprintf(ret, n, ", %" PRIu64 " entries, %s of at most %s", s.entries, bytes, max);
}

/* What is made in a shared directory has the right mode; what was there before, or was made by a
 * build without cache_group, may not, and shuts the others out. */
static bool
check_shared_parts(struct doctor *d, const struct share *share)
{
	static const char *const parts[] = { "blobs", "entries", "locks", "tmp", "swept",
		"index.lmdb", "index.lmdb-guard", "index.lmdb-lock" };
	const char *dir = d->conf->client.store_dir;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		_cleanup_(freep) char *path = path_join(dir, parts[i]);
		struct stat st;
		mode_t want;

		if (!path || lstat(path, &st) < 0)
			continue;
		want = S_ISDIR(st.st_mode) ? SHARE_DIR_MODE : SHARE_FILE_MODE;
		if (st.st_gid == share->gid && (st.st_mode & 07777) == want)
			continue;
		say(d, BAD, "cache",
			"%s is not for the group (mode %04o): it is from a time before the "
			"directory was shared, or from a build without cache_group; as user %lu, "
			"or root: cd %s && rm -rf blobs entries locks tmp swept index.lmdb*",
			path, (unsigned)st.st_mode & 07777, (unsigned long)st.st_uid, dir);
		return false;
	}
	return true;
}

static bool
check_shared_cache(struct doctor *d)
{
	const char *dir = d->conf->client.store_dir, *group = d->conf->client.cache_group;
	_cleanup_(freep) char *probe = NULL;
	struct share share;
	char size[128], why[SHARE_WHY_SIZE];
	int r = share_check(dir, group, &share, why);

	if (r < 0) {
		say(d, BAD, "cache", "is not used: %s", why);
		return false;
	}
	r = share_mkdir_p(&share, dir, dir, 0);
	if (r == 0 && asprintf(&probe, "%s/doctor-%ld", dir, (long)getpid()) >= 0) {
		r = fs_write_atomic(probe, dir, strlen(dir), SHARE_FILE_MODE);
		unlink(probe);
	}
	if (r < 0) {
		say(d, BAD, "cache", "%s cannot be written (%s)", dir, strerror(-r));
		return false;
	}
	if (check_shared_parts(d, &share)) {
		describe_size(d->conf, size, sizeof(size));
		say(d, GOOD, "cache", "%s%s", dir, size);
	}
	say(d, NOTE, "cache",
		"%s is shared by the group %s: each member can run code as the others", dir, group);
	return true;
}

/* Whether it can be used. */
static bool
check_cache(struct doctor *d)
{
	const char *dir = d->conf->client.cache_dir;
	_cleanup_(freep) char *probe = NULL;
	struct stat st;
	char size[128];
	int r = is_set(dir) ? fs_mkdir_p(dir, 0700) : -ENOENT;

	if (r == 0 && asprintf(&probe, "%s/doctor-%ld", dir, (long)getpid()) >= 0) {
		/* not empty: such a file fits on a full disk */
		r = fs_write_atomic(probe, dir, strlen(dir), 0600);
		unlink(probe);
	}
	if (!is_set(dir)) {
		say(d, BAD, "cache",
			"there is no directory for it, so nothing is kept: no home, or no "
			"$XDG_CACHE_HOME, and neither is made; set cache_dir");
		return false;
	}
	if (r < 0) {
		say(d, BAD, "cache", "%s cannot be written (%s): make %s, or set cache_dir", dir,
			strerror(-r), r == -ENOSPC || r == -EDQUOT ? "room" : "it yours");
		return false;
	}
	if (fs_check_owner(dir) == -EPERM) {
		say(d, BAD, "cache",
			"%s is not used, since other users may write there, or it is theirs: "
			"chmod o-w, or set cache_dir",
			dir);
		return false;
	}
	describe_size(d->conf, size, sizeof(size));
	say(d, GOOD, "cache", "%s%s", dir, size);
	if (stat(dir, &st) == 0 && (st.st_mode & 07777) == SHARE_DIR_MODE && st.st_uid != geteuid())
		say(d, NOTE, "cache",
			"%s has the mode of one that a group shares: what this user keeps there "
			"shuts the others out, until cache_group is set",
			dir);
	return true;
}

static void
check_cache_use(struct doctor *d, bool usable)
{
	if (d->conf->client.disable)
		say(d, NOTE, "cache use",
			"disable is set (DRAY_DISABLE): builds run as if there were no dray");
	else if (d->conf->client.cache == CACHE_OFF)
		say(d, NOTE, "cache use",
			"cache is off (DRAY_CACHE): nothing is looked up, and nothing kept");
	else if (!usable)
		say(d, BAD, "cache use",
			"nothing is looked up, and nothing kept, until the directory can be used");
	else if (d->conf->client.recache)
		say(d, NOTE, "cache use",
			"recache is set (DRAY_RECACHE): nothing is looked up, all is %s",
			d->conf->client.cache == CACHE_READ ? "compiled" : "compiled and kept");
	else if (d->conf->client.cache == CACHE_READ)
		say(d, NOTE, "cache use",
			"cache is read (DRAY_CACHE): what is compiled is not kept");
	else
		say(d, GOOD, "cache use", "what is compiled is kept, and looked up");
}

/* Whether a record is whole and without a doubt (trace/watch.h): *ret_doubt points into it. */
static bool
is_whole(const struct buf *record, const char **ret_doubt)
{
	const char *p = (const char *)record->p, *end = p + record->n;
	bool whole = false;

	*ret_doubt = "its record is not whole";
	if (record->n == 0 || end[-1] != '\0')
		return false;
	for (; p < end; p += strlen(p) + 1) {
		whole = *p == 'e';
		if (*p == '!') {
			*ret_doubt = p + 1;
			return false;
		}
	}
	return whole;
}

/* A program of no interest, traced in a way of dray-trace's. 0: it can be; -errno; -ENOTSUP: the
 * record has a doubt, which *ret_doubt says (the caller frees it). */
static int
try_tracer(char *program, const char *way, char **ret_doubt)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT;
	_cleanup_(freep) char *option = strdup(way);
	char fd[] = "--record-fd=1", end[] = "--", sh[] = "/bin/sh", c[] = "-c", colon[] = ":";
	char *argv[] = { program, fd, option, end, sh, c, colon, NULL };
	const char *doubt = "";
	int status = 0, r;

	if (!option)
		return -ENOMEM;
	r = spawn_capture(argv, NULL, SPAWN_ASK_MS, 1u << 20, &record, &status);
	if (r < 0 || is_whole(&record, &doubt))
		return MIN2(r, 0);
	*ret_doubt = strdup(doubt);
	return -ENOTSUP;
}

/* What paths = shared is good for. */
static void
check_paths(struct doctor *d, bool traced)
{
	const struct conf *c = d->conf;

	if (c->client.paths != PATHS_SHARED || c->client.cache == CACHE_OFF || c->client.disable)
		return;
	if (!traced)
		say(d, NOTE, "paths",
			"paths = shared is of no use where compiles cannot be traced: set paths = "
			"exact");
	else
		say(d, GOOD, "paths",
			"paths = shared: units are found from each checkout; for a "
			"debugger: dray env --gdb, dray env --lldb");
}

/* As a linker, since only the compiler is expected to say which variables it asks for. */
static void
check_tracer(struct doctor *d)
{
	static const char lost[] = "what is compiled on this machine is not kept in the cache";
	_cleanup_(freep) char *program = spawn_find_program("dray-trace");
	_cleanup_(freep) char *env = spawn_find_program("dray-env.so");
	_cleanup_(freep) char *doubt = NULL;
	int r;

	if (!program || !env) {
		say(d, BAD, "tracer", "%s is not beside dray: install dray whole; until then %s",
			program ? "dray-env.so" : "dray-trace", lost);
		return;
	}
	r = try_tracer(program, "--linker", &doubt);
	if (r < 0 && !doubt)
		say(d, NOTE, "tracer", "%s: %s: %s", program, strerror(-r), lost);
	else if (r < 0)
		say(d, NOTE, "tracer",
			"this kernel or container does not let a compile be traced (%s; seccomp "
			"user "
			"notification, Linux 5.5): %s",
			doubt, lost);
	else
		say(d, GOOD, "tracer", "compiles here can be traced");
	check_paths(d, r == 0);
}

/* Whether runs of build scripts are kept. */
static void
check_scripts(struct doctor *d)
{
	static const char lost[] = "build scripts run in each build";
	static const char *const parts[] = { "dray-script", "dray-trace", "dray-run.so" };
	_cleanup_(freep) char *program = spawn_find_program("dray-trace");
	_cleanup_(freep) char *doubt = NULL;
	const char *trust = d->conf->client.scripts_trust;
	int r;

	if (d->conf->client.cache == CACHE_OFF || d->conf->client.disable)
		return;
	if (d->conf->client.scripts != SCRIPTS_ON) {
		say(d, NOTE, "scripts", "scripts is off (DRAY_SCRIPTS): %s", lost);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		_cleanup_(freep) char *path = spawn_find_program(parts[i]);

		if (path)
			continue;
		say(d, BAD, "scripts", "%s is not beside dray: install dray whole; until then %s",
			parts[i], lost);
		return;
	}
	r = program ? try_tracer(program, "--script", &doubt) : -ENOENT;
	if (r < 0)
		say(d, NOTE, "scripts", "a build script cannot be traced here (%s): %s",
			doubt ? doubt : strerror(-r), lost);
	else if (is_set(trust))
		say(d, GOOD, "scripts",
			"runs of build scripts are kept, and put back; scripts_trust: %s", trust);
	else
		say(d, GOOD, "scripts", "runs of build scripts are kept, and put back");
}

/* Why bubblewrap may fail. */
static const char *
why_not(void)
{
	const char *ban = userns_ban("");

	return ban ? ban : "user namespaces are off?";
}

static void
check_priming(struct doctor *d)
{
	static const char lost[] = "so the first edit after a hit compiles its crate whole";
	_cleanup_(freep) char *bwrap = fs_which("bwrap", getenv("PATH"));
	const char *ci = getenv("CI");

	if (d->conf->client.cache == CACHE_OFF || d->conf->client.disable ||
		d->conf->client.incremental != INCREMENTAL_AUTO)
		return;
	if (!d->conf->client.prime)
		say(d, NOTE, "priming", "prime is no: incremental states are not made ready, %s",
			lost);
	else if (!bwrap)
		say(d, NOTE, "priming", "bwrap is not in PATH, %s: install bubblewrap", lost);
	else if (!prime_binds_with(bwrap))
		say(d, NOTE, "priming", "%s does not work here (%s), %s", bwrap, why_not(), lost);
	else if (is_set(ci) && !streq(ci, "false"))
		say(d, NOTE, "priming", "CI is set: incremental states are not made ready");
	else if (background_on_battery(""))
		say(d, NOTE, "priming", "not while this machine is on battery");
	else
		say(d, GOOD, "priming", "incremental states can be made ready in the background");
}

static void
check_job_log(struct doctor *d)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(closep) int fd = -1;
	struct stat st;

	path = is_set(d->conf->client.job_log) ? strdup(d->conf->client.job_log)
	       : is_set(d->conf->client.cache_dir)
		       ? path_join(d->conf->client.cache_dir, "jobs.jsonl")
		       : NULL;
	if (!path) {
		say(d, BAD, "job log", "there is no place for it: set job_log");
		return;
	}
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		say(d, GOOD, "job log", "%s (begun with the first unit)", path);
	else if (fd < 0 || fstat(fd, &st) < 0)
		say(d, BAD, "job log", "%s: %s; set job_log to a file that you can write", path,
			strerror(errno));
	else
		say(d, GOOD, "job log", "%s, %jd bytes", path, (intmax_t)st.st_size);
}

static void
check_identity(struct doctor *d)
{
	const char *path = d->conf->client.identity, *key = d->conf->client.coordinator_key;
	_cleanup_(identity_done) struct identity id;
	_cleanup_(identity_done) struct identity coordinator;
	unsigned line = 0;
	int r;

	memset(&id, 0, sizeof(id));
	memset(&coordinator, 0, sizeof(coordinator));
	if (!farm_is_wanted(d->conf) || starts_with(d->conf->client.coordinator, "ipc:"))
		return;
	if (!is_set(path)) {
		say(d, BAD, "identity",
			"none is set: `dray keygen FILE`, set [client] identity, and "
			"give FILE.pub to the coordinator's admin");
	} else if ((r = identity_load(path, &id, &line)) == -EPERM) {
		say(d, BAD, "identity", "%s can be read by others: chmod 600 %s", path, path);
	} else if (r < 0 || !id.has_secret) {
		say(d, BAD, "identity", "%s: %s; `dray keygen` makes one", path,
			r == -EBADMSG ? "is no identity file"
			: r < 0	      ? strerror(-r)
				      : "has no secret key");
	} else {
		say(d, GOOD, "identity", "%s (%s)", path, id.name);
		if (asprintf(&d->key_line, "client %s %s", id.curve_public, id.name) < 0)
			d->key_line = NULL;
	}
	if (!is_set(key)) {
		say(d, BAD, "farm's key",
			"none is set: set [client] coordinator_key to the "
			"coordinator's .pub file");
		return;
	}
	r = identity_load(key, &coordinator, &line);
	if (r < 0)
		say(d, BAD, "farm's key", "%s: %s", key,
			r == -EBADMSG ? "is no identity file" : strerror(-r));
	else
		say(d, GOOD, "farm's key", "%s (%s)", key, coordinator.name);
}

static void
check_toolchain(struct doctor *d)
{
	_cleanup_(toolchain_done) struct toolchain t;
	_cleanup_(freep) char *sysroot = NULL;
	_cleanup_(freep) char *exe = NULL;
	char hex[DIGEST_HEX_SIZE];
	int r;

	memset(&t, 0, sizeof(t));
	r = toolchain_find_sysroot(d->memo, d->compiler, &sysroot, &exe);
	if (r == 0)
		r = toolchain_identify(d->memo, sysroot, "rustc", NULL, &t);
	if (r < 0) {
		say(d, BAD, "toolchain", "%s: %s; set RUSTC or install Rust (https://rustup.rs)",
			d->compiler, r == -ENOENT ? "no compiler that dray knows" : strerror(-r));
		return;
	}
	digest_hex(&t.id, hex);
	say(d, GOOD, "toolchain", "rustc %s %s, id %.12s, %s", t.release, t.host, hex, t.sysroot);
}

static void
check_linker(struct doctor *d)
{
	const char *path = getenv("PATH"), *cache = d->conf->client.cache_dir;
	_cleanup_(freep) char *cc = fs_which("cc", path ? path : "");
	int choice = d->conf->client.linker;
	bool mold, lld;

	if (!cc) {
		say(d, BAD, "linker",
			"there is no C compiler to link with (cc): install gcc or clang");
		return;
	}
	if (choice == LINKER_RUSTC) {
		say(d, GOOD, "linker", "what rustc uses, through %s", cc);
		return;
	}
	mold = choice != LINKER_LLD && linker_usable(cache, cc, "mold", path ? path : "");
	lld = choice != LINKER_MOLD && linker_usable(cache, cc, "lld", path ? path : "");
	if (mold || lld)
		say(d, GOOD, "linker", "%s, through %s", mold ? "mold" : "lld", cc);
	else if (choice == LINKER_AUTO)
		say(d, NOTE, "linker",
			"what rustc uses, through %s; mold would be faster (gcc takes it "
			"from version 12.1 on)",
			cc);
	else
		say(d, BAD, "linker", "%s cannot use %s: install it, or set linker = auto", cc,
			choice == LINKER_MOLD ? "mold" : "lld");
}

/* 0; 1: it does not work; or -errno. */
static int
try_sandbox(bool with_proc)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	char bwrap[] = BWRAP_PATH, all[] = "--unshare-all", cap[] = "--cap-drop", cap_all[] = "ALL";
	char bind[] = "--ro-bind", root[] = "/", root2[] = "/", program[] = "/bin/true";
	char user[] = "--unshare-user", proc[] = "--proc", at[] = "/proc";
	char *argv[] = { bwrap, all, user, cap, cap_all, bind, root, root2,
		with_proc ? proc : program, with_proc ? at : NULL, program, NULL };
	int status = 0, r = spawn_capture(argv, NULL, SPAWN_ASK_MS, 4096, &out, &status);

	return r < 0 ? r : status != 0;
}

/* A client runs no sandbox, but `dray up` does. */
static void
check_sandbox(struct doctor *d)
{
	static const char whom[] = "only a worker on this machine (`dray up`) needs it";
	int r = try_sandbox(true);

	if (r < 0)
		say(d, NOTE, "sandbox", "%s: %s; %s: install bubblewrap", BWRAP_PATH, strerror(-r),
			whom);
	else if (r == 0)
		say(d, GOOD, "sandbox", "%s works", BWRAP_PATH);
	else if (try_sandbox(false) == 0)
		say(d, NOTE, "sandbox", "%s; %s", NEW_PROC_HELP, whom);
	else
		say(d, NOTE, "sandbox", "%s does not work here (%s); %s", BWRAP_PATH, why_not(),
			whom);
}

static void
check_job_users(struct doctor *d)
{
	_cleanup_(freep) char *why = NULL;

	if (subids_possible(&why) < 0)
		say(d, NOTE, "job users", "none: what gets out of a job would be the worker's: %s",
			why);
}

static void
check_farm(struct doctor *d)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *ep = d->conf->client.coordinator, *error, *role;
	long workers, matching, slots;
	int r;

	if (!farm_is_wanted(d->conf))
		return;
	r = cmd_farm_status(d->compiler, &b);
	if (r == 0)
		d->status = json_loadb((const char *)b.p, b.n, 0, NULL);
	if (!d->status) {
		say(d, BAD, "farm", "dray-dispatch cannot ask %s: %s", ep,
			r < 0 ? strerror(-r) : "its answer is not JSON");
		return;
	}
	if (!json_is_true(json_object_get(d->status, "reachable"))) {
		error = json_string_value(json_object_get(d->status, "error"));
		say(d, BAD, "farm", "%s cannot be reached: %s", ep, error ? error : "no answer");
		if (error && strstr(error, " key ") && d->key_line)
			say(d, NOTE, "farm", "its allowed-keys file needs the line: %s",
				d->key_line);
		return;
	}
	/* the coordinator answers an admin, and a build would only find out unit by unit */
	role = json_string_value(json_object_get(d->status, "role"));
	if (role && streq(role, "admin"))
		say(d, BAD, "farm",
			"this client's key is an admin's, which gets no job: all is compiled here. "
			"%s's allowed-keys file needs the line: %s",
			ep, d->key_line ? d->key_line : "client KEY NAME");
	workers = (long)json_integer_value(json_object_get(d->status, "workers"));
	say(d, GOOD, "farm", "%s: %ld workers, %ld slots, %ld in use, %ld jobs waiting", ep,
		workers, (long)json_integer_value(json_object_get(d->status, "slots")),
		(long)json_integer_value(json_object_get(d->status, "running")),
		(long)json_integer_value(json_object_get(d->status, "queued")));
	matching = (long)json_integer_value(json_object_get(d->status, "matching"));
	slots = (long)json_integer_value(json_object_get(d->status, "matching_slots"));
	if (matching > 0)
		say(d, GOOD, "workers", "%ld with this toolchain, %ld slots", matching, slots);
	else if (workers == 0)
		say(d, BAD, "workers",
			"there is none, so all is compiled here: start dray-worker (a coordinator "
			"that was started a moment ago may not have heard of them yet)");
	else
		say(d, BAD, "workers",
			"none has this toolchain, so all is compiled here: install the "
			"same release on them (`dray-worker --list-toolchains` there)");
}

static void
check_programs(struct doctor *d)
{
	_cleanup_(freep) char *dispatch = spawn_find_program("dray-dispatch");
	_cleanup_(freep) char *self = cmd_self();

	if (!dispatch)
		say(d, BAD, "programs", "dray-dispatch is not beside %s: install dray whole",
			self ? self : "dray");
}

/* What cargo would start in this directory, in its own order: RUSTC_WRAPPER, which may say "none",
 * CARGO_BUILD_RUSTC_WRAPPER, the files. */
static void
check_wrapper(struct doctor *d)
{
	const char *variable = getenv("RUSTC_WRAPPER"), *wrapper = variable,
		   *from = "RUSTC_WRAPPER";
	_cleanup_(freep) char *self = cmd_self();
	_cleanup_(freep) char *cwd = getcwd(NULL, 0);
	_cleanup_(freep) char *in_file = NULL;
	_cleanup_(freep) char *in = NULL;
	_cleanup_(freep) char *file = NULL;

	if (!wrapper)
		wrapper = getenv(from = "CARGO_BUILD_RUSTC_WRAPPER");
	if (!wrapper && cargo_config_wrapper(cwd ? cwd : "/", &file, &in_file) == 0) {
		wrapper = in_file;
		if (asprintf(&in, "rustc-wrapper in %s", file) < 0)
			in = NULL;
		from = in ? in : file;
	}
	if (!wrapper)
		say(d, NOTE, "wrapper",
			"RUSTC_WRAPPER is not set here: export RUSTC_WRAPPER=%s, or set "
			"build.rustc-wrapper in cargo's config, or use `dray run`",
			self ? self : "dray");
	else if (!*wrapper)
		say(d, NOTE, "wrapper", "%s is empty: cargo runs the compiler without dray", from);
	else if (!streq(path_basename(wrapper), "dray"))
		say(d, NOTE, "wrapper", "%s is %s, not dray", from, wrapper);
	else
		say(d, GOOD, "wrapper", "%s is %s", from, wrapper);
}

static void
say_local_only(void *arg, const struct local_only *e)
{
	say(arg, NOTE, "local-only",
		"%s %s (crate %s) %s: it is compiled here. "
		"`dray doctor --forget` lets a worker try again",
		e->package, e->version, e->crate, e->reason);
}

static int
forget(const char *cache_dir)
{
	int r = local_only_forget(cache_dir);

	if (r < 0)
		fprintf(stderr, "dray: %s/%s: %s\n", cache_dir, LOCAL_ONLY_FILE, strerror(-r));
	return r < 0 ? CMD_FAILED : CMD_OK;
}

static int
finish(struct doctor *d)
{
	int bad = d->any_bad ? CMD_FAILED : CMD_OK;

	if (d->json) {
		json_dumpf(d->list, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(d->list);
	json_decref(d->status);
	free(d->key_line);
	memo_close(d->memo);
	conf_free(d->conf);
	return fflush(stdout) == 0 ? bad : CMD_FAILED;
}

static int
run(int argc, char **argv)
{
	const char *rustc = getenv("RUSTC");
	struct doctor d = { .compiler = is_set(rustc) ? rustc : "rustc" };
	bool forgets = false, usable;
	const struct cmd_option options[] = {
		{ .name = "json", .flag = &d.json },
		{ .name = "forget", .flag = &forgets },
		{ .name = NULL },
	};
	int args, status;

	if (!cmd_options(&cmd_doctor, argc, argv, options, 0, 0, &args, &status))
		return status;
	d.list = json_array();
	check_files(&d);
	check_variables(&d);
	if (!check_conf(&d))
		return finish(&d);
	if (forgets) {
		status = forget(d.conf->client.cache_dir);
		if (status != CMD_OK) {
			finish(&d);
			return status;
		}
	}
	check_programs(&d);
	check_wrapper(&d);
	usable = is_set(d.conf->client.cache_group) ? check_shared_cache(&d) : check_cache(&d);
	check_cache_use(&d, usable);
	check_tracer(&d);
	if (usable) {
		check_scripts(&d);
		check_priming(&d);
	}
	check_job_log(&d);
	if (!is_set(d.conf->client.cache_dir) || memo_open(d.conf->client.cache_dir, &d.memo) < 0)
		d.memo = NULL;
	check_toolchain(&d);
	check_linker(&d);
	check_sandbox(&d);
	check_job_users(&d);
	check_identity(&d);
	check_farm(&d);
	local_only_each(d.conf->client.cache_dir, clock_wall_ms() / 1000, say_local_only, &d);
	return finish(&d);
}

const struct cmd cmd_doctor = {
	.name = "doctor",
	.usage = "doctor [--json] [--forget]",
	.summary = "Check what a build wants: each line is good, or says what to do",
	.help = "  --json      as JSON: a list of check, finding (good, note, bad) and text\n"
		"  --forget    forget which packages are compiled here because a worker lacks\n"
		"              what they need\n"
		"  -h, --help  print this\n",
	.run = run,
};
