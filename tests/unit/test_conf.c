/* conf: every key from its file and its variable, the order of the sources, and errors that say
 * where and what is allowed. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/conf/conf.h"
#include "common/fs.h"

extern char **environ;

static char *dir;
static char *config_home;

/* A private, empty environment: the user's own settings must not reach the tests. */
static int
setup(void **state)
{
	char *path;
	int r;

	clearenv();
	if (fs_make_temp_dir("/tmp", "dray-test-", &dir) < 0)
		return -1;
	setenv("HOME", "/home/somebody", 1);
	config_home = path_join(dir, "cfg");
	setenv("XDG_CONFIG_HOME", config_home, 1);
	path = path_join(config_home, "dray");
	r = fs_mkdir_p(path, 0700);
	free(path);
	return r;
}

static int
teardown(void **state)
{
	int r = fs_rm_rf(dir);

	free(dir);
	free(config_home);
	return r;
}

static struct conf *
parse(const char *text)
{
	_cleanup_(freep) char *error = NULL;
	struct conf *c = NULL;

	if (conf_parse(text, strlen(text), "test.conf", &c, &error) < 0)
		fail_msg("refused: %s", error);
	assert_null(error);
	return c;
}

/* The text is refused, and each of the words is in the error. */
static void
refused_n(const char *text, size_t n, const char *const *words)
{
	_cleanup_(freep) char *error = NULL;
	struct conf *c = NULL;

	assert_int_equal(conf_parse(text, n, "test.conf", &c, &error), -EINVAL);
	assert_null(c);
	assert_non_null(error);
	for (; *words; words++)
		if (!strstr(error, *words))
			fail_msg("no \"%s\" in: %s", *words, error);
}

#define REFUSED(text, ...) refused_n(text, strlen(text), (const char *[]){ __VA_ARGS__, NULL })

static void
test_defaults(void **state)
{
	_cleanup_(conf_freep) struct conf *c = NULL;

	/* one that is there */
	setenv("HOME", "/usr", 1);
	c = parse("");
	assert_null(c->client.coordinator);
	assert_null(c->client.pass_env);
	assert_int_equal(c->client.offload, OFFLOAD_AUTO);
	assert_int_equal(c->client.linker, LINKER_AUTO);
	assert_int_equal(c->client.local_memory, 512u << 20);
	assert_int_equal(c->client.small_unit, 16384);
	assert_int_equal(c->client.connect_ms, 500);
	assert_int_equal(c->client.retry_s, 30);
	assert_int_equal(c->client.max_unit, 512ull << 20);
	assert_int_equal(c->client.job_log_max, 16 << 20);
	assert_string_equal(c->client.cache_dir, "/usr/.cache/dray");
	assert_string_equal(c->client.job_log, "/usr/.cache/dray/jobs.jsonl");
	assert_string_equal(c->coordinator.listen, "tcp://127.0.0.1:7420");
	assert_int_equal(c->coordinator.heartbeat_ms, 1000);
	assert_int_equal(c->coordinator.max_queue, 100000);
	assert_string_equal(c->worker.listen, "tcp://127.0.0.1:*");
	assert_int_equal(c->worker.store_max, 20ull << 30);
	assert_int_equal(c->worker.job_file_max, 8ull << 30);
	assert_int_equal(c->worker.job_time_s, 1800);
	assert_true(c->worker.find_rustup && c->worker.find_system);
	if (geteuid() == 0)
		assert_string_equal(c->worker.state_dir, "/var/lib/dray/worker");
	else
		assert_string_equal(c->worker.state_dir, "/usr/.local/state/dray/worker");
}

static void
test_user_directories(void **state)
{
	struct conf *c;

	setenv("XDG_CACHE_HOME", "/var", 1);
	c = parse("[client]\nidentity = ~/keys/me\n");
	assert_string_equal(c->client.cache_dir, "/var/dray");
	assert_string_equal(c->client.identity, "/home/somebody/keys/me");
	conf_free(c);
	/* The XDG specification: a relative value counts as none. */
	setenv("XDG_CACHE_HOME", "relative", 1);
	setenv("HOME", "/var", 1);
	c = parse("[client]\ncache_dir=\n");
	assert_string_equal(c->client.cache_dir, "/var/.cache/dray");
	conf_free(c);
	/* What is not there is not made, whatever names it. */
	setenv("XDG_CACHE_HOME", "/nonexistent/cache", 1);
	c = parse("");
	assert_null(c->client.cache_dir);
	assert_null(c->client.job_log);
	conf_free(c);
	unsetenv("XDG_CACHE_HOME");
	setenv("HOME", "/homeless-shelter", 1);
	c = parse("");
	assert_null(c->client.cache_dir);
	conf_free(c);
	c = parse("[client]\ncache_dir = ~/.c\njob_log = /homeless-shelter/x/log\n");
	assert_null(c->client.cache_dir);
	assert_null(c->client.job_log);
	conf_free(c);
	c = parse("[client]\ncache_dir = /var/c\n");
	assert_string_equal(c->client.cache_dir, "/var/c");
	conf_free(c);
	/* a file is no home */
	setenv("HOME", "/etc/passwd", 1);
	c = parse("");
	assert_null(c->client.cache_dir);
	conf_free(c);
	/* Without HOME, the user database is asked. */
	unsetenv("HOME");
	unsetenv("XDG_CACHE_HOME");
	c = parse("");
	assert_true(!c->client.cache_dir || c->client.cache_dir[0] == '/');
	conf_free(c);
}

/* What a group shares, and what stays the user's. */
static void
test_cache_group(void **state)
{
	_cleanup_(freep) char *of_user = NULL;
	char *error = NULL;
	struct conf *c;

	assert_true(asprintf(&of_user, "/usr/user-%lu", (unsigned long)geteuid()) >= 0);
	unsetenv("XDG_CACHE_HOME");
	setenv("HOME", "/usr", 1);
	c = parse("[client]\ncache_dir = /srv/c\ncache_group = builders\n");
	assert_string_equal(c->client.store_dir, "/srv/c");
	assert_string_equal(c->client.cache_dir, "/usr/.cache/dray");
	assert_string_equal(c->client.job_log, "/usr/.cache/dray/jobs.jsonl");
	assert_string_equal(c->client.cache_group, "builders");
	assert_int_equal(conf_set(c, "client.cache_dir=/srv/d", &error), 0);
	assert_string_equal(c->client.store_dir, "/srv/d");
	assert_string_equal(c->client.cache_dir, "/usr/.cache/dray");
	assert_int_equal(conf_set(c, "client.cache_group=none", &error), 0);
	assert_null(c->client.cache_group);
	assert_string_equal(c->client.store_dir, "/srv/d");
	assert_string_equal(c->client.cache_dir, "/srv/d");
	assert_string_equal(c->client.job_log, "/srv/d/jobs.jsonl");
	conf_free(c);
	/* what is shared is never where the user's own things are; and where it is not there, it is
	   not for these that it is made, as one user's directory */
	c = parse("[client]\ncache_dir = /usr/.cache/dray\ncache_group = 1000\n");
	assert_string_equal(c->client.store_dir, "/usr/.cache/dray");
	assert_null(c->client.cache_dir);
	conf_free(c);
	c = parse("[client]\ncache_group = builders\n");
	assert_null(c->client.store_dir);
	assert_string_equal(c->client.cache_dir, "/usr/.cache/dray");
	conf_free(c);
	setenv("HOME", "/homeless-shelter", 1);
	c = parse("[client]\ncache_dir = /usr\ncache_group = builders\n");
	assert_string_equal(c->client.store_dir, "/usr");
	assert_string_equal(c->client.cache_dir, of_user);
	assert_int_equal(conf_set(c, "client.cache_dir=/usr/not/there", &error), 0);
	assert_string_equal(c->client.store_dir, "/usr/not/there");
	assert_null(c->client.cache_dir);
	conf_free(c);
	REFUSED("[client]\ncache_group = two groups\n", "line 2", "a name of letters");
	setenv("HOME", "/home/somebody", 1);
}

static void
test_values(void **state)
{
	_cleanup_(conf_freep) struct conf *c = parse(
		"\xef\xbb\xbf# a comment\r\n"
		"[client]\r\n"
		"  coordinator = tcp://[::1]:7420 ; a comment behind it\r\n"
		"offload: ALWAYS\n"
		"linker=rustc\n"
		"\tpass_env =  A \t _B2   C\n"
		"\tscripts_trust = rdkafka-sys  9p_2\n"
		"\tnamespace = ci-2.1\n"
		"small_unit = 2k\nlocal_memory = 0\n"
		"max_unit=1G\n"
		"cache_dir = /c/./x/../y//z/\n"
		"[worker]\n"
		"find_rustup = off\nfind_system = TRUE\n"
		"toolchain_dirs = /a:~/b::/c/\n"
		"store_max = 1T\n"
		"listen = ipc:///run/dray/worker\n"
		"job_memory = 17179869184\n"
		"[client]\n"
		"retry_s=0");

	assert_string_equal(c->client.coordinator, "tcp://[::1]:7420");
	assert_int_equal(c->client.offload, OFFLOAD_ALWAYS);
	assert_int_equal(c->client.linker, LINKER_RUSTC);
	assert_string_equal(c->client.pass_env, "A _B2 C");
	assert_string_equal(c->client.scripts_trust, "rdkafka-sys 9p_2");
	assert_string_equal(c->client.namespace, "ci-2.1");
	assert_int_equal(c->client.small_unit, 2048);
	assert_int_equal(c->client.local_memory, 0);
	assert_int_equal(c->client.max_unit, 1 << 30);
	assert_string_equal(c->client.cache_dir, "/c/y/z");
	assert_string_equal(c->client.job_log, "/c/y/z/jobs.jsonl");
	assert_int_equal(c->client.retry_s, 0);
	assert_false(c->worker.find_rustup);
	assert_true(c->worker.find_system);
	assert_string_equal(c->worker.toolchain_dirs, "/a:/home/somebody/b:/c");
	assert_int_equal(c->worker.store_max, 1ull << 40);
	assert_int_equal(c->worker.job_memory, 16ull << 30);
	assert_string_equal(c->worker.listen, "ipc:///run/dray/worker");
}

static void
test_last_one_wins_and_empty_unsets(void **state)
{
	_cleanup_(conf_freep) struct conf *c = parse("[client]\n"
						     "coordinator = tcp://a:1\n"
						     "coordinator = tcp://b:2\n"
						     "identity = /x\n"
						     "identity =\n"
						     "linker = lld\n"
						     "linker = mold\n");

	assert_string_equal(c->client.coordinator, "tcp://b:2");
	assert_null(c->client.identity);
	assert_int_equal(c->client.linker, LINKER_MOLD);
}

static void
test_errors_say_where_and_what(void **state)
{
	REFUSED("[client]\n\n# x\nofload = auto\n", "test.conf, line 4", "\"ofload\"", "[client]",
		"coordinator_key", "small_unit");
	REFUSED("[client]\noffload = auto\n[clinet]\n", "line 3", "[clinet]",
		"[client], [coordinator], [worker]");
	REFUSED("offload = auto\n", "line 1", "before any section");
	REFUSED("[client]\nlinker = gold\n", "line 2", "\"gold\"", "auto, mold, lld, rustc");
	REFUSED("[worker]\nfind_rustup = maybe\n", "line 2", "yes", "no");
	REFUSED("[client]\nsomething\n", "line 2", "key = value");
	REFUSED("[client]\nsomething\noffload = maybe\n", "line 2");
	REFUSED("[client]\noffload = maybe\nsomething\n", "line 2", "maybe");
	REFUSED("[client\noffload = auto\n", "line 1", "]");
	REFUSED("[client]\nidentity = keys/me\n", "line 2", "keys/me", "/ or ~/");
	REFUSED("[worker]\ntoolchain_dirs = /a:b\n", "line 2", "colons");
	REFUSED("[worker]\nlisten = udp://x:1\n", "line 2", "tcp://HOST:PORT", "ipc:///PATH");
	REFUSED("[client]\npass_env = A B-C\n", "line 2", "names of variables");
	REFUSED("[client]\nscripts_trust = rdkafka-sys a/b\n", "line 2", "names of letters");
	REFUSED("[client]\nnamespace = a=b\n", "line 2", "names of letters");
	/* The text cannot act on the terminal that shows it. */
	REFUSED("[client]\noffload = \x1b[31m\n", "?[31m");
}

static void
test_numbers(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", "1.5", "0x10", "1 0", "1KB", "K",
		"99999999T", "18446744073709551616", "9223372036854775808", "ten", "1Z" };
	char text[128];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text), "[client]\nsmall_unit = %s\n", bad[i]);
		REFUSED(text, "line 2", "small_unit", "K, M, G or T");
	}
	/* A suffix is for bytes only. */
	REFUSED("[client]\nlocal_memory = -1\n", "line 2", "local_memory", "K, M, G or T");
	REFUSED("[client]\nlocal_memory = half\n", "line 2", "local_memory", "K, M, G or T");
	REFUSED("[client]\nlocal_slots = 1K\n", "at most 65536");
	REFUSED("[client]\nlocal_slots = 65537\n", "at most 65536");
	REFUSED("[worker]\nheartbeat_ms = 0\n", "at least 10");
	conf_free(parse("[client]\nlocal_slots = 65536\nsmall_unit=9223372036854775807\n"));
}

static void
test_endpoints(void **state)
{
	static const char *const bad[] = { "tcp://", "tcp://host", "tcp://:1",
		"tcp://host:", "tcp://h:0", "tcp://h:65536", "tcp://h:*", "tcp://h:1/x",
		"tcp://h:1 x", "ipc://", "ipc://rel", "ipc://@name", "inproc://x", "host:1",
		"tcp://h:-1" };
	_cleanup_(freep) char *longest = malloc(200);
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text), "[client]\ncoordinator = %s\n", bad[i]);
		REFUSED(text, "line 2", "tcp://HOST:PORT");
	}
	conf_free(parse("[client]\ncoordinator = tcp://farm.example:65535\n"));
	conf_free(parse("[worker]\nlisten = tcp://0.0.0.0:*\n"));
	/* What fits into a socket's address, and one byte more. */
	memset(longest, 'x', 199);
	longest[106] = '\0';
	snprintf(text, sizeof(text), "[client]\ncoordinator = ipc:///%s\n", longest);
	conf_free(parse(text));
	longest[106] = 'x';
	longest[107] = '\0';
	snprintf(text, sizeof(text), "[client]\ncoordinator = ipc:///%s\n", longest);
	REFUSED(text, "ipc:///PATH");
}

static void
test_long_lines(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(conf_freep) struct conf *c = NULL;

	/* Longer than a line of inih's own default. */
	assert_int_equal(buf_adds(&b, "[worker]\ntoolchain_dirs = "), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(buf_addf(&b, "%s/toolchains/number-%03d", i ? ":" : "", i), 0);
	assert_int_equal(buf_adds(&b, "\nslots = 3\n"), 0);
	c = parse((char *)b.p);
	assert_int_equal(strlen(c->worker.toolchain_dirs), 100 * 22 + 99);
	assert_int_equal(c->worker.slots, 3);
	b.n = 0;
	assert_int_equal(buf_adds(&b, "[client]\npass_env = "), 0);
	for (int i = 0; i < 20000; i++)
		assert_int_equal(buf_adds(&b, "A"), 0);
	REFUSED((char *)b.p, "line 2", "too long");
}

static void
test_not_text(void **state)
{
	refused_n(
		"[client]\noffload\0 = auto\n", 25, (const char *[]){ "line 2", "not text", NULL });
	refused_n("\0", 1, (const char *[]){ "line 1", NULL });
}

static void
write_file(const char *name, const char *text)
{
	_cleanup_(freep) char *path = path_join(dir, name);

	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600), 0);
}

static struct conf *
load(void)
{
	_cleanup_(freep) char *error = NULL;
	struct conf *c = NULL;

	if (conf_load(&c, &error) < 0)
		fail_msg("refused: %s", error);
	return c;
}

static void
load_refused(int want, const char *word)
{
	_cleanup_(freep) char *error = NULL;
	struct conf *c = NULL;

	assert_int_equal(conf_load(&c, &error), want);
	assert_null(c);
	if (!strstr(error, word))
		fail_msg("no \"%s\" in: %s", word, error);
}

static void
test_sources(void **state)
{
	_cleanup_(freep) char *only = path_join(dir, "only.conf");
	struct conf *c;

	write_file("cfg/dray/dray.conf", "[client]\nlocal_slots = 3\noffload = never\n");
	c = load();
	assert_int_equal(c->client.local_slots, 3);
	conf_free(c);
	setenv("DRAY_LOCAL_SLOTS", "4", 1);
	setenv("DRAY_OFFLOAD", "", 1);
	c = load();
	assert_int_equal(c->client.local_slots, 4);
	assert_int_equal(c->client.offload, OFFLOAD_NEVER);
	conf_free(c);
	/* This file instead of the others. */
	setenv("DRAY_CONFIG", only, 1);
	load_refused(-ENOENT, "only.conf");
	write_file("only.conf", "[client]\nlinker = lld\n");
	c = load();
	assert_int_equal(c->client.offload, OFFLOAD_AUTO);
	assert_int_equal(c->client.linker, LINKER_LLD);
	assert_int_equal(c->client.local_slots, 4);
	conf_free(c);
	setenv("DRAY_LOCAL_SLOTS", "four", 1);
	load_refused(-EINVAL, "DRAY_LOCAL_SLOTS");
	setenv("DRAY_LOCAL_SLOTS", "4", 1);
	write_file("only.conf", "[client]\nlinker = gold\n");
	load_refused(-EINVAL, "only.conf, line 2");
	setenv("DRAY_CONFIG", dir, 1);
	load_refused(-EISDIR, dir);
}

/* Which field a row of the table fills is seen from outside: the variable named by the listing, set
 * to a value of the listed type, must change the conf. */
static int
set_store(struct conf *c, const char *v, char **ret_error)
{
	_cleanup_(freep) char *assignment = NULL;

	assert_true(asprintf(&assignment, "client.store=%s", v) >= 0);
	free(*ret_error);
	*ret_error = NULL;
	return conf_set(c, assignment, ret_error);
}

/* Each in one form; and no error shows what may be a password. */
static void
test_stores(void **state)
{
	static const char *const bad[] = { "/dir", "file://", "://x", "FILE:///x", "file:///x rx",
		"file:///x ro rw", "file:///x,", ", file:///x", "file:///x file:///y",
		"redis://u:secret@h rox", "redis://u:secret@h/\x01" };
	_cleanup_(conf_freep) struct conf *c = NULL;
	_cleanup_(freep) char *error = NULL;

	assert_int_equal(conf_parse("", 0, "t", &c, &error), 0);
	assert_null(c->client.store);
	assert_int_equal(
		set_store(c, " file:///a\t ro ,s3://b/c?region=x rw,https://h/p", &error), 0);
	assert_string_equal(c->client.store, "file:///a ro, s3://b/c?region=x rw, https://h/p");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(set_store(c, bad[i], &error), -EINVAL);
		assert_non_null(error);
		assert_null(strstr(error, "secret"));
	}
	assert_int_equal(set_store(c, "", &error), 0);
	assert_null(c->client.store);
}

static void
test_every_variable(void **state)
{
	_cleanup_(freep) char *path = path_join(dir, "keys");
	_cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	unsigned rows = 0;

	conf_print_keys(fd);
	assert_int_equal(fs_read_file(path, 65536, &b), 0);
	for (char *line = strtok((char *)b.p, "\n"); line; line = strtok(NULL, "\n"), rows++) {
		static const char *const values[][2] = { { "endpoint", "tcp://changed:9" },
			{ "path", "/changed" }, { "paths", "/changed" }, { "names", "CHANGED" },
			{ "name=size", "changed=7" }, { "number", "777" }, { "size", "7777777" },
			{ "name", "changed" }, { "stores", "file:///changed ro" },
			{ "keys", "/changed" }, { "address", "127.0.0.1:777" } };
		char key[64], type[64], def[64], env[64];
		const char *value = NULL;
		_cleanup_(conf_freep) struct conf *plain = NULL;
		_cleanup_(conf_freep) struct conf *changed = NULL;

		assert_int_equal(
			sscanf(line, "%63[^\t]\t%63[^\t]\t%63[^\t]\t%63s", key, type, def, env), 4);
		assert_true(starts_with(env, "DRAY_"));
		for (size_t i = 0; i < ARRAY_LEN(values); i++)
			if (streq(type, values[i][0]))
				value = values[i][1];
		/* of words the last, or the one before */
		if (!value) {
			value = strrchr(type, '|');
			assert_non_null(value);
			if (streq(value + 1, def)) {
				type[value - type] = '\0';
				value = strrchr(type, '|') ? strrchr(type, '|') : type - 1;
			}
			value++;
		}
		plain = load();
		assert_int_equal(setenv(env, value, 1), 0);
		changed = load();
		assert_int_equal(unsetenv(env), 0);
		if (memcmp(&plain->coordinator, &changed->coordinator,
			    sizeof(plain->coordinator)) == 0 &&
			memcmp(&plain->client, &changed->client, sizeof(plain->client)) == 0 &&
			memcmp(&plain->worker, &changed->worker, sizeof(plain->worker)) == 0)
			fail_msg("%s has no effect", env);
	}
	assert_true(rows >= 39);
}

static void
test_names_of_variables(void **state)
{
	struct conf *c;

	setenv("DRAY_COORDINATOR", "tcp://one:1", 1);
	setenv("DRAY_COORDINATOR_KEY", "/two", 1);
	setenv("DRAY_COORDINATOR_IDENTITY", "/three", 1);
	setenv("DRAY_WORKER_COORDINATOR", "tcp://four:4", 1);
	setenv("DRAY_WORKER_COORDINATOR_KEY", "/five", 1);
	setenv("DRAY_IDENTITY", "/six", 1);
	setenv("DRAY_WORKER_IDENTITY", "/seven", 1);
	c = load();
	assert_string_equal(c->client.coordinator, "tcp://one:1");
	assert_string_equal(c->client.coordinator_key, "/two");
	assert_string_equal(c->coordinator.identity, "/three");
	assert_string_equal(c->worker.coordinator, "tcp://four:4");
	assert_string_equal(c->worker.coordinator_key, "/five");
	assert_string_equal(c->client.identity, "/six");
	assert_string_equal(c->worker.identity, "/seven");
	conf_free(c);
}

static void
set_refused(struct conf *c, const char *assignment, const char *word)
{
	_cleanup_(freep) char *error = NULL;

	assert_int_equal(conf_set(c, assignment, &error), -EINVAL);
	if (!error || !strstr(error, word))
		fail_msg("no \"%s\" in: %s", word, error);
}

static void
test_set(void **state)
{
	_cleanup_(conf_freep) struct conf *c = parse("");
	_cleanup_(freep) char *want = path_join(dir, "here/id");
	char *error = NULL;

	assert_int_equal(chdir(dir), 0);
	assert_int_equal(conf_set(c, "worker.slots=7", &error), 0);
	assert_int_equal(conf_set(c, "client.pass_env=A=B", &error), -EINVAL);
	free(error);
	assert_int_equal(conf_set(c, "worker.identity=here/id", &error), 0);
	assert_int_equal(c->worker.slots, 7);
	assert_string_equal(c->worker.identity, want);
	/* A default made from another value follows it; one that was set does not. */
	assert_int_equal(conf_set(c, "client.cache_dir=/new", &error), 0);
	assert_string_equal(c->client.job_log, "/new/jobs.jsonl");
	assert_int_equal(conf_set(c, "client.job_log=/my.log", &error), 0);
	assert_int_equal(conf_set(c, "client.cache_dir=/newer", &error), 0);
	assert_string_equal(c->client.job_log, "/my.log");
	set_refused(c, "worker.slots", "section.key=value");
	set_refused(c, "slots=7", "section.key=value");
	set_refused(c, "slots=7.0", "section.key=value");
	set_refused(c, "", "section.key=value");
	set_refused(c, "farm.slots=1", "[worker]");
	set_refused(c, "worker.slot=1", "slots");
	set_refused(c, "worker.slots=x", "whole number");
	assert_int_equal(c->worker.slots, 7);
	assert_int_equal(chdir("/"), 0);
}

static void
test_differences(void **state)
{
	struct conf *a = parse("[worker]\nslots = 2\n"), *b, *c;
	struct strv names = STRV_INIT;
	char *error = NULL;

	b = parse("[worker]\nslots = 2\n[client]\nlocal_slots = 3\n");
	assert_int_equal(conf_differs(a, b, "worker", &names), 0);
	assert_int_equal(names.n, 0);
	assert_int_equal(conf_differs(a, b, "client", &names), 0);
	assert_int_equal(names.n, 1);
	assert_string_equal(names.v[0], "local_slots");
	strv_done(&names);
	c = parse("[worker]\nslots = 3\nshare = no\ntrace = no\nuser = me\nstate_dir = "
		  "/d\ncompress = never\nstore_max = 1\n");
	assert_int_equal(conf_set(b, "worker.share=yes", &error), 0);
	assert_int_equal(conf_differs(b, c, "worker", &names), 0);
	assert_int_equal(names.n, 7);
	/* one that is set, and one that is not */
	assert_int_equal(conf_differs(c, b, "worker", &names), 0);
	assert_int_equal(names.n, 14);
	strv_done(&names);
	conf_free(a);
	conf_free(b);
	conf_free(c);
}

/* The last of its users frees it: AddressSanitizer sees whether it was too early, or never. */
static void
test_users(void **state)
{
	struct conf *c = parse("[worker]\nuser = me\n");
	const struct conf *second = conf_ref(c), *third = conf_ref(second);

	conf_unrefp(&second);
	assert_null(second);
	conf_free(c);
	assert_string_equal(third->worker.user, "me");
	conf_unrefp(&third);
	conf_unrefp(&third);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* The CI's variables say who writes to stores, where nothing else does. */
static void
test_remote_mode_by_ci(void **state)
{
	static const char *const names[] = { "CI", "GITHUB_ACTIONS", "GITLAB_CI",
		"GITHUB_EVENT_NAME", "GITHUB_REF", "GITHUB_REF_PROTECTED", "DRAY_REMOTE_MODE" };
	struct conf *c = NULL;
	char *error = NULL;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unsetenv(names[i]);
	assert_int_equal(conf_load(&c, &error), 0);
	assert_int_equal(c->client.remote_mode, REMOTE_READ);
	conf_freep(&c);
	setenv("GITHUB_ACTIONS", "true", 1);
	setenv("GITHUB_EVENT_NAME", "push", 1);
	setenv("GITHUB_REF", "refs/heads/main", 1);
	setenv("GITHUB_REF_PROTECTED", "true", 1);
	assert_int_equal(conf_load(&c, &error), 0);
	assert_int_equal(c->client.remote_mode, REMOTE_READWRITE);
	conf_freep(&c);
	setenv("DRAY_REMOTE_MODE", "read", 1);
	assert_int_equal(conf_load(&c, &error), 0);
	assert_int_equal(c->client.remote_mode, REMOTE_READ);
	conf_freep(&c);
	unsetenv("DRAY_REMOTE_MODE");
	setenv("GITHUB_EVENT_NAME", "pull_request", 1);
	setenv("GITHUB_REF", "refs/pull/7/merge", 1);
	assert_int_equal(conf_load(&c, &error), 0);
	assert_int_equal(c->client.remote_mode, REMOTE_READ);
	conf_freep(&c);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unsetenv(names[i]);
}

static void
test_quotas(void **state)
{
	_cleanup_(conf_freep) struct conf *c = NULL;

	c = parse("[coordinator]\nquota_slots = ci=8  *=32 -=2 free=0\nquota_upload = ci=2G\n");
	assert_int_equal(conf_quota_get(c->coordinator.quota_slots, "ci"), 8);
	assert_int_equal(conf_quota_get(c->coordinator.quota_slots, "c"), 32);
	assert_int_equal(conf_quota_get(c->coordinator.quota_slots, "*"), 32);
	assert_int_equal(conf_quota_get(c->coordinator.quota_slots, ""), 2);
	assert_int_equal(conf_quota_get(c->coordinator.quota_slots, "free"), 0);
	assert_int_equal(conf_quota_get(c->coordinator.quota_upload, "ci"), 2ull << 30);
	assert_int_equal(conf_quota_get(c->coordinator.quota_upload, "team"), 0);
	assert_null(c->coordinator.quota_queue);
	assert_int_equal(conf_quota_get(NULL, "ci"), 0);
	REFUSED("[coordinator]\nquota_slots = ci\n", "line 2", "NAME=NUMBER", "* is each");
	REFUSED("[coordinator]\nquota_slots = **=1\n", "line 2");
	REFUSED("[coordinator]\nquota_queue = ci=many\n", "line 2");
	REFUSED("[coordinator]\nquota_queue = ci=-1\n", "line 2");
	/* there the rest has a setting of its own */
	REFUSED("[coordinator]\ncache_sizes = *=1G\n", "line 2", "NAME=SIZE");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_remote_mode_by_ci),
		TEST(test_user_directories),
		TEST(test_cache_group),
		TEST(test_values),
		TEST(test_last_one_wins_and_empty_unsets),
		TEST(test_errors_say_where_and_what),
		TEST(test_numbers),
		TEST(test_endpoints),
		TEST(test_long_lines),
		TEST(test_not_text),
		TEST(test_sources),
		TEST(test_every_variable),
		TEST(test_stores),
		TEST(test_quotas),
		TEST(test_names_of_variables),
		TEST(test_set),
		TEST(test_differences),
		TEST(test_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
