/* Configuration. One table holds every key; reading, setting, checking and describing all walk it,
 * so that no key can be known to one and unknown to another.
 *
 * Invariant: every value of a struct conf came through conf_set_key(), which checks it. */
#include "config.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/conf/ci.h"
#include "common/conf/priv.h"
#include "common/digest.h"
#include "common/fs.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

#define FILE_MAX (1u << 20)
#define LINE_BYTES 8192
#define ENV_PREFIX "DRAY_" /* of all variables */

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define MAX_CPUS 65536u
#define DAY_S 86400u
#define HOUR_MS 3600000u

extern char **environ;

static const char *const offload_words[] = { "auto", "always", "never", NULL };
static const char *const cache_words[] = { "on", "read", "off", NULL };
static const char *const incremental_words[] = { "auto", "always", "never", NULL };
static const char *const scripts_words[] = { "on", "off", NULL };
static const char *const paths_words[] = { "exact", "shared", NULL };
static const char *const linker_words[] = { "auto", "mold", "lld", "rustc", NULL };
static const char *const trust_words[] = { "workers", "publishers", NULL };
static const char *const share_env_words[] = { "cargo", "all", NULL };
static const char *const remote_words[] = { "off", "read", "readwrite", "auto", NULL };
static const char *const toolchains_words[] = { "offered", "push", "auto", NULL };
static const char *const refill_words[] = { "auto", "always", "never", NULL };
static const char *const compress_words[] = { "auto", "always", "never", NULL };

#define ROW(sec, key, type_, def_, env_, words_, min_, max_)                                      \
	{                                                                                         \
#sec, #key, type_, offsetof(struct conf, sec.key), def_, env_, words_, min_, max_ \
	}
#define TEXT(sec, key, type, def, env) ROW(sec, key, type, def, env, NULL, 0, 0)
#define WORD(sec, key, words, def, env) ROW(sec, key, TYPE_ENUM, def, env, words, 0, 0)
#define BOOL(sec, key, def, env) ROW(sec, key, TYPE_BOOL, def, env, NULL, 0, 0)
#define NUM(sec, key, def, env, min, max) ROW(sec, key, TYPE_NUMBER, def, env, NULL, min, max)
#define SIZE(sec, key, def, env, min) ROW(sec, key, TYPE_SIZE, def, env, NULL, min, INT64_MAX)

static const struct conf_key keys[] = {
	TEXT(client, coordinator, TYPE_CONNECTS, NULL, "DRAY_COORDINATOR"),
	TEXT(client, coordinator_key, TYPE_KEY_FILES, NULL, "DRAY_COORDINATOR_KEY"),
	TEXT(client, identity, TYPE_PATH, NULL, "DRAY_IDENTITY"),
	WORD(client, offload, offload_words, "auto", "DRAY_OFFLOAD"),
	WORD(client, linker, linker_words, "auto", "DRAY_LINKER"),
	NUM(client, local_slots, "0", "DRAY_LOCAL_SLOTS", 0, MAX_CPUS),
	SIZE(client, local_memory, "512M", "DRAY_LOCAL_MEMORY", 0),
	SIZE(client, small_unit, "16K", "DRAY_SMALL_UNIT", 0),
	TEXT(client, pass_env, TYPE_NAMES, NULL, "DRAY_PASS_ENV"),
	WORD(client, cache, cache_words, "on", "DRAY_CACHE"),
	SIZE(client, cache_max, "0", "DRAY_CACHE_MAX", 0),
	WORD(client, incremental, incremental_words, "auto", "DRAY_INCREMENTAL"),
	BOOL(client, prime, "yes", "DRAY_PRIME"),
	WORD(client, scripts, scripts_words, "on", "DRAY_SCRIPTS"),
	TEXT(client, scripts_trust, TYPE_WORDS, NULL, "DRAY_SCRIPTS_TRUST"),
	WORD(client, paths, paths_words, "exact", "DRAY_PATHS"),
	TEXT(client, namespace, TYPE_WORDS, NULL, "DRAY_NAMESPACE"),
	BOOL(client, recache, "no", "DRAY_RECACHE"),
	BOOL(client, disable, "no", "DRAY_DISABLE"),
	{ "client", "cache_dir", TYPE_PATH, offsetof(struct conf, client.cache_set), NULL,
		"DRAY_CACHE_DIR", NULL, 0, 0 },
	TEXT(client, cache_group, TYPE_WORD, NULL, "DRAY_CACHE_GROUP"),
	TEXT(client, job_log, TYPE_PATH, NULL, "DRAY_JOB_LOG"),
	SIZE(client, job_log_max, "16M", "DRAY_JOB_LOG_MAX", 4 * KIB),
	WORD(client, compress, compress_words, "auto", "DRAY_COMPRESS"),
	BOOL(client, farm_half, "yes", "DRAY_FARM_HALF"),
	NUM(client, farm_half_s, "60", "DRAY_FARM_HALF_S", 1, DAY_S),
	NUM(client, connect_ms, "500", "DRAY_CONNECT_MS", 1, HOUR_MS),
	NUM(client, silent_s, "2400", "DRAY_SILENT_S", 1, DAY_S),
	NUM(client, unit_s, "7200", "DRAY_UNIT_S", 1, 7 * DAY_S),
	NUM(client, retry_s, "30", "DRAY_RETRY_S", 0, DAY_S),
	SIZE(client, max_unit, "512M", "DRAY_MAX_UNIT", 0),
	TEXT(client, store, TYPE_STORES, NULL, "DRAY_STORE"),
	WORD(client, remote_mode, remote_words, "auto", "DRAY_REMOTE_MODE"),
	TEXT(client, trust_keys, TYPE_KEYS, NULL, "DRAY_TRUST_KEYS"),
	WORD(client, trust, trust_words, "publishers", "DRAY_TRUST"),
	WORD(client, share_env, share_env_words, "cargo", "DRAY_SHARE_ENV"),
	NUM(client, store_wait_ms, "500", "DRAY_STORE_WAIT_MS", 1, HOUR_MS),
	SIZE(client, upload_max, "1G", "DRAY_UPLOAD_MAX", 0),
	SIZE(client, upload_rate, "0", "DRAY_UPLOAD_RATE", 0),
	WORD(client, refill, refill_words, "auto", "DRAY_REFILL"),
	WORD(client, give, refill_words, "auto", "DRAY_GIVE"),

	TEXT(coordinator, listen, TYPE_LISTEN, "tcp://127.0.0.1:7420", "DRAY_COORDINATOR_LISTEN"),
	TEXT(coordinator, identity, TYPE_PATH, NULL, "DRAY_COORDINATOR_IDENTITY"),
	TEXT(coordinator, allowed_keys, TYPE_PATH, NULL, "DRAY_COORDINATOR_ALLOWED_KEYS"),
	NUM(coordinator, heartbeat_ms, "1000", "DRAY_COORDINATOR_HEARTBEAT_MS", 10, HOUR_MS),
	NUM(coordinator, max_queue, "100000", "DRAY_COORDINATOR_MAX_QUEUE", 0, 100000000),
	BOOL(coordinator, cache, "yes", "DRAY_COORDINATOR_CACHE"),
	TEXT(coordinator, cache_dir, TYPE_PATH, NULL, "DRAY_COORDINATOR_CACHE_DIR"),
	SIZE(coordinator, cache_size, "20G", "DRAY_COORDINATOR_CACHE_SIZE", MIB),
	TEXT(coordinator, admin_socket, TYPE_PATH, NULL, "DRAY_COORDINATOR_ADMIN_SOCKET"),
	TEXT(coordinator, cache_sizes, TYPE_SIZES, NULL, "DRAY_COORDINATOR_CACHE_SIZES"),
	TEXT(coordinator, quota_slots, TYPE_QUOTAS, NULL, "DRAY_COORDINATOR_QUOTA_SLOTS"),
	TEXT(coordinator, quota_queue, TYPE_QUOTAS, NULL, "DRAY_COORDINATOR_QUOTA_QUEUE"),
	TEXT(coordinator, quota_upload, TYPE_QUOTAS, NULL, "DRAY_COORDINATOR_QUOTA_UPLOAD"),
	TEXT(coordinator, store, TYPE_STORES, NULL, "DRAY_COORDINATOR_STORE"),
	NUM(coordinator, store_wait_ms, "250", "DRAY_COORDINATOR_STORE_WAIT_MS", 1, HOUR_MS),
	NUM(coordinator, sample, "50", "DRAY_COORDINATOR_SAMPLE", 0, 1000000),
	BOOL(coordinator, avahi, "no", "DRAY_COORDINATOR_AVAHI"),
	TEXT(coordinator, avahi_namespace, TYPE_WORD, NULL, "DRAY_COORDINATOR_AVAHI_NAMESPACE"),
	TEXT(coordinator, oidc, TYPE_PATH, NULL, "DRAY_COORDINATOR_OIDC"),
	TEXT(coordinator, oidc_ca, TYPE_PATH, NULL, "DRAY_COORDINATOR_OIDC_CA"),
	WORD(coordinator, toolchains, toolchains_words, "offered", "DRAY_COORDINATOR_TOOLCHAINS"),
	TEXT(coordinator, toolchains_roles, TYPE_WORDS, NULL, "DRAY_COORDINATOR_TOOLCHAINS_ROLES"),
	TEXT(coordinator, toolchains_namespaces, TYPE_WORDS, NULL,
		"DRAY_COORDINATOR_TOOLCHAINS_NAMESPACES"),
	TEXT(coordinator, page, TYPE_PAGE, "off", "DRAY_COORDINATOR_PAGE"),
	TEXT(coordinator, page_token, TYPE_PATH, NULL, "DRAY_COORDINATOR_PAGE_TOKEN"),

	TEXT(worker, coordinator, TYPE_CONNECTS, NULL, "DRAY_WORKER_COORDINATOR"),
	TEXT(worker, coordinator_key, TYPE_KEY_FILES, NULL, "DRAY_WORKER_COORDINATOR_KEY"),
	TEXT(worker, identity, TYPE_PATH, NULL, "DRAY_WORKER_IDENTITY"),
	TEXT(worker, listen, TYPE_LISTEN, "tcp://127.0.0.1:*", "DRAY_WORKER_LISTEN"),
	TEXT(worker, advertise, TYPE_CONNECT, NULL, "DRAY_WORKER_ADVERTISE"),
	TEXT(worker, user, TYPE_WORD, NULL, "DRAY_WORKER_USER"),
	TEXT(worker, state_dir, TYPE_PATH, NULL, "DRAY_WORKER_STATE_DIR"),
	TEXT(worker, memo_dir, TYPE_PATH, NULL, "DRAY_WORKER_MEMO_DIR"),
	NUM(worker, slots, "0", "DRAY_WORKER_SLOTS", 0, MAX_CPUS),
	NUM(worker, cores, "0", "DRAY_WORKER_CORES", 0, MAX_CPUS),
	SIZE(worker, store_max, "20G", "DRAY_WORKER_STORE_MAX", 0),
	SIZE(worker, toolchains_max, "0", "DRAY_WORKER_TOOLCHAINS_MAX", 0),
	NUM(worker, toolchains_days, "30", "DRAY_WORKER_TOOLCHAINS_DAYS", 0, 3650),
	TEXT(worker, toolchain_dirs, TYPE_PATHS, NULL, "DRAY_WORKER_TOOLCHAIN_DIRS"),
	BOOL(worker, find_rustup, "yes", "DRAY_WORKER_FIND_RUSTUP"),
	BOOL(worker, find_system, "yes", "DRAY_WORKER_FIND_SYSTEM"),
	BOOL(worker, trace, "yes", "DRAY_WORKER_TRACE"),
	NUM(worker, job_time_s, "1800", "DRAY_WORKER_JOB_TIME_S", 1, 7 * DAY_S),
	NUM(worker, job_cpu_s, "7200", "DRAY_WORKER_JOB_CPU_S", 0, 7 * DAY_S),
	NUM(worker, job_processes, "1024", "DRAY_WORKER_JOB_PROCESSES", 16, 1000000),
	NUM(worker, job_open_files, "8192", "DRAY_WORKER_JOB_OPEN_FILES", 64, 1000000),
	BOOL(worker, job_users, "yes", "DRAY_WORKER_JOB_USERS"),
	BOOL(worker, share, "yes", "DRAY_WORKER_SHARE"),
	BOOL(worker, peers, "yes", "DRAY_WORKER_PEERS"),
	NUM(worker, peer_wait_ms, "300", "DRAY_WORKER_PEER_WAIT_MS", 10, HOUR_MS),
	BOOL(worker, ready, "yes", "DRAY_WORKER_READY"),
	BOOL(worker, cgroups, "yes", "DRAY_WORKER_CGROUPS"),
	TEXT(worker, cgroup_dir, TYPE_PATH, NULL, "DRAY_WORKER_CGROUP_DIR"),
	SIZE(worker, job_memory, "0", "DRAY_WORKER_JOB_MEMORY", 0),
	SIZE(worker, job_file_max, "8G", "DRAY_WORKER_JOB_FILE_MAX", MIB),
	SIZE(worker, job_disk_max, "16G", "DRAY_WORKER_JOB_DISK_MAX", MIB),
	NUM(worker, job_files_max, "65536", "DRAY_WORKER_JOB_FILES_MAX", 16, 100000000),
	SIZE(worker, job_output_max, "64M", "DRAY_WORKER_JOB_OUTPUT_MAX", 4 * KIB),
	SIZE(worker, job_tmp_max, "1G", "DRAY_WORKER_JOB_TMP_MAX", MIB),
	NUM(worker, heartbeat_ms, "1000", "DRAY_WORKER_HEARTBEAT_MS", 10, HOUR_MS),
	WORD(worker, compress, compress_words, "auto", "DRAY_WORKER_COMPRESS"),
};

static int
unknown_section(const char *where, const char *section, char **ret_error)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *last = "";

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (!streq(keys[i].section, last))
			(void)buf_addf(&b, "%s[%s]", *last ? ", " : "", keys[i].section);
		last = keys[i].section;
	}
	if (!*section)
		return conf_fail(ret_error, -EINVAL, "%s: a key before any section; allowed: %s.",
			where, b.p ? (char *)b.p : "");
	return conf_fail(ret_error, -EINVAL, "%s: unknown section [%.60s]; allowed: %s.", where,
		section, b.p ? (char *)b.p : "");
}

static bool
section_known(const char *section)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (streq(keys[i].section, section))
			return true;
	return false;
}

static int
set_by_name(struct conf *c, const char *section, const char *name, const char *v, const char *base,
	const char *where, char **ret_error)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (streq(keys[i].section, section) && streq(keys[i].name, name))
			return conf_set_key(c, &keys[i], v, base, where, ret_error);
	if (!section_known(section))
		return unknown_section(where, section, ret_error);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (streq(keys[i].section, section))
			(void)buf_addf(&b, "%s%s", b.n ? ", " : "", keys[i].name);
	return conf_fail(ret_error, -EINVAL, "%s: unknown key \"%.60s\" in [%s]; allowed: %s.",
		where, name, section, b.p ? (char *)b.p : "");
}

/* Files. inih does not tell its handler the line, so the lines are counted where they are given to
 * it; it calls the handler for a line before it asks for the next one. */
struct reader {
	struct conf *c;
	const char *name;
	const char *p, *end;
	unsigned line;
	int error; /* the first; nothing is read after it */
	char **ret_error;
};

/* Debian's libinih has its limit of a line, 200 bytes, in a variable; elsewhere it is fixed, there
 * may be no such variable, and the limit that read_line() is told stands. */
#ifdef INI_MAX_LINE
extern int ini_max_line __attribute__((weak));
#endif

static void
raise_line_limit(void)
{
#ifdef INI_MAX_LINE
	int *limit = &ini_max_line;

	if (limit && *limit < LINE_BYTES)
		*limit = LINE_BYTES;
#endif
}

static int _printf_(2, 3) reader_fail(struct reader *rd, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return conf_fail(rd->ret_error, -EINVAL, "%s, line %u: %s", rd->name, rd->line, text);
}

/* A section's heading is checked here: inih says nothing of a section without keys. */
static int
check_heading(struct reader *rd, const char *line, size_t n)
{
	const char *end = memchr(line, ']', n);
	_cleanup_(freep) char *section = NULL;
	_cleanup_(freep) char *where = NULL;

	if (!end)
		return reader_fail(rd, "a section's heading without its ].");
	section = strndup(line + 1, (size_t)(end - line - 1));
	if (!section || asprintf(&where, "%s, line %u", rd->name, rd->line) < 0) {
		where = NULL;
		return -ENOMEM;
	}
	return section_known(section) ? 0 : unknown_section(where, section, rd->ret_error);
}

static char *
read_line(char *out, int room, void *user)
{
	struct reader *rd = user;
	const char *line = rd->p, *next;
	size_t n;

	if (rd->error || rd->p == rd->end)
		return NULL;
	next = memchr(line, '\n', (size_t)(rd->end - line));
	next = next ? next + 1 : rd->end;
	rd->p = next;
	rd->line++;
	/* inih takes an indented line as more of the value above it. */
	while (line < next && (*line == ' ' || *line == '\t'))
		line++;
	n = (size_t)(next - line);
	if (memchr(line, '\0', n))
		rd->error = reader_fail(rd, "this is not text.");
	else if (room < 1 || n >= (size_t)room)
		rd->error = reader_fail(rd, "the line is too long; allowed: %d bytes.", room - 1);
	else if (n && *line == '[')
		rd->error = check_heading(rd, line, n);
	if (rd->error)
		return NULL;
	memcpy(out, line, n);
	out[n] = '\0';
	return out;
}

static int
handle_pair(void *user, const char *section, const char *name, const char *value)
{
	struct reader *rd = user;
	_cleanup_(freep) char *where = NULL;

	if (rd->error)
		return 0;
	if (asprintf(&where, "%s, line %u", rd->name, rd->line) < 0) {
		where = NULL;
		rd->error = -ENOMEM;
		return 0;
	}
	rd->error = set_by_name(
		rd->c, section, name, value ? value : "", NULL, where, rd->ret_error);
	return rd->error == 0;
}

static int
read_text(struct conf *c, const char *text, size_t n, const char *name, char **ret_error)
{
	struct reader rd = { c, name, text, text + n, 0, 0, ret_error };
	int r;

	if (!n)
		return 0;
	raise_line_limit();
	r = ini_parse_stream(read_line, &rd, handle_pair, &rd);
	/* inih goes on after a line that it cannot read: the error of a later line is not the
	 * first. */
	if (r > 0 && (!rd.error || (unsigned)r < rd.line)) {
		rd.line = (unsigned)r;
		return reader_fail(&rd, "neither `key = value` nor a [section].");
	}
	return r < 0 && !rd.error ? -ENOMEM : rd.error;
}

static int
read_path(struct conf *c, const char *path, bool must, char **ret_error)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r;

	/* a customary way to say "none" */
	if (streq(path, "/dev/null"))
		return 0;
	r = fs_read_file(path, FILE_MAX, &b);
	if ((r == -ENOENT || r == -ENOTDIR) && !must)
		return 0;
	if (r < 0)
		return conf_fail(ret_error, r, "%s: cannot be read: %s.", path, strerror(-r));
	return read_text(c, (char *)b.p, b.n, path, ret_error);
}

/* Defaults that depend on the user. */

static bool
is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* For what is written: no home is made that is not there, nor what is named instead of it
 * (HOME=/homeless-shelter, in builds that are to touch nothing). NULL: neither is there. */
static char *
existing_user_path(const char *xdg, const char *dir, const char *tail)
{
	const char *env = getenv(xdg);
	_cleanup_(freep) char *home = NULL;
	_cleanup_(freep) char *base = NULL;

	if (env && *env == '/')
		return is_dir(env) ? path_join(env, tail) : NULL;
	home = conf_home_dir();
	if (!home || !is_dir(home))
		return NULL;
	base = path_join(home, dir);
	return base ? path_join(base, tail) : NULL;
}

/* $<xdg>/tail, else ~/<dir>/tail. NULL when there is no home. */
static char *
user_path(const char *xdg, const char *dir, const char *tail)
{
	const char *env = getenv(xdg);
	_cleanup_(freep) char *home = NULL;
	_cleanup_(freep) char *base = NULL;

	/* The XDG specification: a relative value is to be ignored. */
	if (env && *env == '/')
		return path_join(env, tail);
	home = conf_home_dir();
	base = home ? path_join(home, dir) : NULL;
	return base ? path_join(base, tail) : NULL;
}

static char *
default_job_log(const struct conf *c)
{
	return c->client.cache_dir ? path_join(c->client.cache_dir, "jobs.jsonl") : NULL;
}

char *
conf_job_log(const struct conf *c)
{
	if (c->client.job_log && *c->client.job_log)
		return strdup(c->client.job_log);
	return c->client.cache_dir && *c->client.cache_dir ? default_job_log(c) : NULL;
}

/* A home that is not there is not made by a path that names it either. */
static void
drop_in_missing_home(char **path)
{
	_cleanup_(freep) char *home = conf_home_dir();

	if (*path && home && path_is_below(*path, home) && !is_dir(home))
		free(steal_ptr(*path));
}

static char *
copy_of(const char *s)
{
	return s ? strdup(s) : NULL;
}

/* Where a group shares the cache, what one user's builds learn is kept apart from it. */
static char *
own_dir(const char *set, const char *group)
{
	char *own = set && !group ? strdup(set)
				  : existing_user_path("XDG_CACHE_HOME", ".cache", "dray");

	if (!group || !set || (own && !streq(own, set)))
		return own;
	free(own);
	/* it would be made with its parent, and that as this user's alone */
	if (!is_dir(set))
		return NULL;
	return asprintf(&own, "%s/user-%lu", set, (unsigned long)geteuid()) < 0 ? NULL : own;
}

static void
fill_cache_dirs(struct conf *c)
{
	const char *set = c->client.cache_set, *group;

	/* takes back what a file says, where an empty variable cannot */
	if (c->client.cache_group && streq(c->client.cache_group, "none"))
		free(steal_ptr(c->client.cache_group));
	group = c->client.cache_group;
	free(c->client.cache_dir);
	free(c->client.store_dir);
	c->client.cache_dir = own_dir(set, group);
	c->client.store_dir = copy_of(group ? set : c->client.cache_dir);
}

/* Where a daemon keeps what outlives it. */
static char *
default_state(const char *program)
{
	char path[64];

	if (geteuid() == 0)
		snprintf(path, sizeof(path), "/var/lib/dray/%s", program);
	else
		snprintf(path, sizeof(path), "dray/%s", program);
	return geteuid() == 0 ? strdup(path) : user_path("XDG_STATE_HOME", ".local/state", path);
}

static void
fill_paths(struct conf *c)
{
	drop_in_missing_home(&c->client.cache_set);
	drop_in_missing_home(&c->client.job_log);
	fill_cache_dirs(c);
	if (!c->client.job_log)
		c->client.job_log = default_job_log(c);
	if (!c->worker.state_dir)
		c->worker.state_dir = default_state("worker");
	if (!c->coordinator.cache_dir)
		c->coordinator.cache_dir = default_state("coordinator");
}

char *
conf_admin_socket(const struct conf *c)
{
	const char *set = c->coordinator.admin_socket, *dir = c->coordinator.cache_dir;

	return set && *set ? strdup(set) : dir && *dir ? path_join(dir, "admin") : NULL;
}

static int
new_with_defaults(struct conf **ret, char **ret_error)
{
	_cleanup_(conf_freep) struct conf *c = calloc(1, sizeof(*c));

	*ret_error = NULL;
	if (!c)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		int r = keys[i].def
				? conf_set_key(c, &keys[i], keys[i].def, NULL, "default", ret_error)
				: 0;

		if (r < 0)
			return r;
	}
	*ret = steal_ptr(c);
	return 0;
}

int
conf_files(struct strv *ret)
{
	const char *only = getenv("DRAY_CONFIG");
	char *own;
	int r;

	if (only && *only)
		return strv_add(ret, only);
	r = strv_add(ret, SYSCONFDIR "/dray/dray.conf");
	own = r == 0 ? user_path("XDG_CONFIG_HOME", ".config", "dray/dray.conf") : NULL;
	return own ? strv_take(ret, own) : r;
}

bool
conf_is_variable(const char *name)
{
	/* not keys: read before there is a configuration */
	static const char *const others[] = { "DRAY_CONFIG", "DRAY_LOG", "DRAY_LIBEXEC" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (streq(keys[i].env, name))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (streq(others[i], name))
			return true;
	return false;
}

static int
read_files(struct conf *c, char **ret_error)
{
	const char *only = getenv("DRAY_CONFIG");
	_cleanup_(strv_done) struct strv files = STRV_INIT;
	int r = conf_files(&files);

	for (size_t i = 0; r == 0 && i < files.n; i++)
		r = read_path(c, files.v[i], only && *only, ret_error);
	return r;
}

/* The value of the first variable of that name among these; NULL. */
static const char *
value_of(char *const *vars, const char *name)
{
	size_t n = strlen(name);

	for (; *vars; vars++)
		if (strncmp(*vars, name, n) == 0 && (*vars)[n] == '=')
			return *vars + n + 1;
	return NULL;
}

/* cargo sets a hundred variables, and there are as many keys: all names begin alike. */
static int
read_environment(struct conf *c, char **ret_error)
{
	_cleanup_(freep) char **own = NULL;
	size_t n = 0;

	for (char **e = environ; e && *e; e++)
		n += starts_with(*e, ENV_PREFIX);
	own = calloc(n + 1, sizeof(*own));
	if (!own)
		return -ENOMEM;
	n = 0;
	for (char **e = environ; e && *e; e++)
		if (starts_with(*e, ENV_PREFIX))
			own[n++] = *e;
	for (size_t i = 0; n && i < ARRAY_LEN(keys); i++) {
		const char *v = value_of(own, keys[i].env);
		int r = v && *v ? conf_set_key(c, &keys[i], v, NULL, keys[i].env, ret_error) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* A caller prints the error: there is always one, also when memory is short. */
static int
finish(int r, char **ret_error)
{
	if (r < 0 && !*ret_error)
		*ret_error = strdup("The configuration cannot be read: out of memory.");
	return r;
}

/* remote_mode = auto. One that writes below a prefix of its own takes a key to sign it. */
static int
go_by_ci(struct conf *c)
{
	const char *store = c->client.store, *identity = c->client.identity;
	char *own;
	struct ci ci;
	int r;

	ci_find(environ, &ci);
	c->client.remote_mode = ci.mode == CI_MODE_RW ? REMOTE_READWRITE : REMOTE_READ;
	if (ci.mode != CI_MODE_OWN || !store || !*store || !identity || !*identity ||
		access(identity, R_OK) < 0)
		return 0;
	r = ci_own_stores(store, ci.prefix, &own);
	if (r < 0)
		return r;
	free(c->client.store);
	c->client.store = own;
	c->client.ci_mode = CI_MODE_OWN;
	c->client.remote_mode = REMOTE_READWRITE;
	return 0;
}

int
conf_load(struct conf **ret, char **ret_error)
{
	_cleanup_(conf_freep) struct conf *c = NULL;
	int r;

	r = new_with_defaults(&c, ret_error);
	if (r == 0)
		r = read_files(c, ret_error);
	if (r == 0)
		r = read_environment(c, ret_error);
	if (r < 0)
		return finish(r, ret_error);
	fill_paths(c);
	if (c->client.refill == REFILL_AUTO &&
		(c->client.remote_mode == REMOTE_OFF || c->client.remote_mode == REMOTE_READ))
		c->client.refill = REFILL_NEVER;
	if (c->client.remote_mode == REMOTE_AUTO)
		r = go_by_ci(c);
	if (r < 0)
		return finish(r, ret_error);
	*ret = steal_ptr(c);
	return 0;
}

int
conf_parse(const char *text, size_t n, const char *name, struct conf **ret, char **ret_error)
{
	_cleanup_(conf_freep) struct conf *c = NULL;
	int r;

	r = new_with_defaults(&c, ret_error);
	if (r == 0)
		r = read_text(c, text, n, name, ret_error);
	if (r < 0)
		return finish(r, ret_error);
	fill_paths(c);
	*ret = steal_ptr(c);
	return 0;
}

int
conf_set_by(struct conf *c, const char *option, const char *assignment, char **ret_error)
{
	const char *dot = strchr(assignment, '.'), *eq = strchr(assignment, '=');
	_cleanup_(freep) char *log = default_job_log(c);
	_cleanup_(freep) char *section = NULL;
	_cleanup_(freep) char *name = NULL;
	_cleanup_(freep) char *cwd = NULL;
	int r;

	*ret_error = NULL;
	if (!dot || !eq || dot > eq)
		return finish(conf_fail(ret_error, -EINVAL,
				      "%s %.200s: not of the form section.key=value.", option,
				      assignment),
			ret_error);
	section = strndup(assignment, (size_t)(dot - assignment));
	name = strndup(dot + 1, (size_t)(eq - dot - 1));
	if (!section || !name)
		return finish(-ENOMEM, ret_error);
	/* A default that was made from another value follows that value. */
	if (log && c->client.job_log && streq(log, c->client.job_log))
		free(steal_ptr(c->client.job_log));
	/* On a command line, a relative path means what it means to every program. */
	cwd = getcwd(NULL, 0);
	r = set_by_name(c, section, name, eq + 1, cwd, option, ret_error);
	fill_paths(c);
	return finish(r, ret_error);
}

int
conf_set(struct conf *c, const char *assignment, char **ret_error)
{
	return conf_set_by(c, "-o", assignment, ret_error);
}

const struct conf_key *
conf_keys(size_t *ret_n)
{
	*ret_n = ARRAY_LEN(keys);
	return keys;
}

void
conf_free(struct conf *c)
{
	if (!c || __atomic_fetch_sub(&c->others, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (conf_key_is_text(&keys[i]))
			free(*(char **)conf_field(c, &keys[i]));
	free(c->client.cache_dir);
	free(c->client.store_dir);
	free(c);
}

void
conf_freep(struct conf **c)
{
	conf_free(*c);
	*c = NULL;
}

const struct conf *
conf_ref(const struct conf *c)
{
	/* the values stay as they are: this is about who uses them */
	__atomic_fetch_add(&((struct conf *)c)->others, 1, __ATOMIC_RELAXED);
	return c;
}

void
conf_unrefp(const struct conf **c)
{
	conf_free((struct conf *)*c);
	*c = NULL;
}

static void
describe_type(struct buf *b, const struct conf_key *k)
{
	static const char *const names[] = {
		[TYPE_CONNECT] = "endpoint",
		[TYPE_CONNECTS] = "endpoint",
		[TYPE_LISTEN] = "endpoint",
		[TYPE_PATH] = "path",
		[TYPE_KEY_FILES] = "path",
		[TYPE_PATHS] = "paths",
		[TYPE_NAMES] = "names",
		[TYPE_WORDS] = "names",
		[TYPE_SIZES] = "name=size",
		[TYPE_QUOTAS] = "name=size",
		[TYPE_WORD] = "name",
		[TYPE_PAGE] = "address",
		[TYPE_STORES] = "stores",
		[TYPE_KEYS] = "keys",
		[TYPE_BOOL] = "yes|no",
		[TYPE_NUMBER] = "number",
		[TYPE_SIZE] = "size",
	};

	if (k->type != TYPE_ENUM) {
		(void)buf_adds(b, names[k->type]);
		return;
	}
	for (size_t i = 0; k->words[i]; i++)
		(void)buf_addf(b, "%s%s", i ? "|" : "", k->words[i]);
}

void
conf_print_keys(int fd)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		(void)buf_addf(&b, "%s.%s\t", keys[i].section, keys[i].name);
		describe_type(&b, &keys[i]);
		(void)buf_addf(&b, "\t%s\t%s\n", keys[i].def ? keys[i].def : "-", keys[i].env);
	}
	if (b.n)
		(void)fs_write_all(fd, b.p, b.n);
}
