/* What a client goes by where coordinator is auto: only keys that it has, whatever was found; and
 * the helper that looks again, of which there is one at a time. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/conf/coordinators.h"
#include "common/fs.h"
#include "discovery/find.h"
#include "keys/identity.h"
#include "keys/succession.h"

struct world {
	char *dir, *cache;
	char *key[2], fp[2][KEYS_FINGERPRINT_SIZE];
};

static char *
in(const struct world *w, const char *name)
{
	char *path = path_join(w->dir, name);

	assert_non_null(path);
	return path;
}

static void
write_text(const char *path, const char *text, mode_t mode)
{
	assert_int_equal(fs_write_atomic(path, text, strlen(text), mode), 0);
}

static void
write_found(const struct world *w, const char *text)
{
	_cleanup_(freep) char *path = path_join(w->cache, "found");

	write_text(path, text, 0600);
}

static int
begin(void **state)
{
	static const char *const names[] = { "a.pub", "b.pub" };
	struct world *w = calloc(1, sizeof(*w));
	_cleanup_(freep) char *conf = NULL;

	if (!w || fs_make_temp_dir("/tmp", "test-find-", &w->dir) < 0)
		return -1;
	w->cache = in(w, "cache");
	for (size_t i = 0; i < 2; i++) {
		struct identity id;

		w->key[i] = in(w, names[i]);
		assert_int_equal(identity_generate("coordinator", &id), 0);
		assert_int_equal(identity_save_public(&id, w->key[i]), 0);
		assert_int_equal(find_fingerprint(w->key[i], NULL, w->fp[i]), 0);
		identity_done(&id);
	}
	assert_int_equal(fs_mkdir_p(w->cache, 0700), 0);
	conf = in(w, "dray.conf");
	write_text(conf, "[client]\ncoordinator = auto\n", 0600);
	setenv("DRAY_CONFIG", conf, 1);
	setenv("DRAY_CACHE_DIR", w->cache, 1);
	setenv("DRAY_LIBEXEC", w->dir, 1);
	*state = w;
	return 0;
}

static int
end(void **state)
{
	struct world *w = *state;

	(void)fs_rm_rf(w->dir);
	free(w->key[0]);
	free(w->key[1]);
	free(w->cache);
	free(w->dir);
	free(w);
	return 0;
}

/* The configuration as a client has it; keys: NULL: none are known. */
static struct conf *
load(const char *keys)
{
	_cleanup_(freep) char *error = NULL;
	struct conf *c = NULL;

	setenv("DRAY_COORDINATOR_KEY", keys ? keys : "", 1);
	assert_int_equal(find_conf_load(&c, &error), 0);
	assert_true(c->client.discovers);
	return c;
}

#define LINE(at) "at\t" at "\t%s\t\t0.1.0\tname\n"

static void
test_known_keys_only(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *both = NULL, *text = NULL;
	_cleanup_(conf_freep) struct conf *none = NULL, *a = NULL, *two = NULL, *nothing = NULL;

	/* nothing was found yet */
	nothing = load(w->key[0]);
	assert_null(nothing->client.coordinator);
	assert_true(asprintf(&text,
			    "dray-found 1\n" LINE("tcp://10.0.0.1:1") LINE("tcp://10.0.0.2:1")
				    LINE("tcp://10.0.0.3:1"),
			    w->fp[1], w->fp[0], w->fp[1]) > 0);
	write_found(w, text);
	none = load(NULL);
	assert_null(none->client.coordinator);
	a = load(w->key[0]);
	assert_string_equal(a->client.coordinator, "tcp://10.0.0.2:1");
	assert_string_equal(a->client.coordinator_key, w->key[0]);
	assert_true(asprintf(&both, "%s, %s", w->key[0], w->key[1]) > 0);
	two = load(both);
	/* each key's first, then each key's second */
	assert_string_equal(
		two->client.coordinator, "tcp://10.0.0.2:1, tcp://10.0.0.1:1, tcp://10.0.0.3:1");
	free(steal_ptr(both));
	assert_true(asprintf(&both, "%s, %s, %s", w->key[0], w->key[1], w->key[1]) > 0);
	assert_string_equal(two->client.coordinator_key, both);
}

/* Its key has become another one, and what says so could be kept in the cache directory alone. */
static void
test_next_key(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *path = in(w, "c"), *pub = in(w, "c.pub"), *text = NULL;
	_cleanup_(freep) char *beside = in(w, "c.pub.successors");
	_cleanup_(conf_freep) struct conf *c = NULL;
	struct identity old, fresh;
	char line[SUCCESSION_SIZE], fp[KEYS_FINGERPRINT_SIZE];

	assert_int_equal(identity_generate("coordinator", &old), 0);
	assert_int_equal(identity_generate("coordinator", &fresh), 0);
	assert_int_equal(identity_save(&old, path), 0);
	assert_int_equal(succession_sign(&old, &fresh, 1, 1, line), 0);
	/* root, too, cannot put a file there */
	assert_int_equal(fs_mkdir_p(beside, 0700), 0);
	assert_int_equal(successor_take(pub, w->cache, (uint64_t)time(NULL), line), 0);
	keys_fingerprint(fresh.curve_public, fp);
	assert_true(asprintf(&text, "dray-found 1\n" LINE("tcp://10.0.0.9:1"), fp) > 0);
	write_found(w, text);
	c = load(pub);
	assert_non_null(c->client.coordinator);
	assert_string_equal(c->client.coordinator, "tcp://10.0.0.9:1");
	identity_done(&old);
	identity_done(&fresh);
}

/* So much is announced with one key's fingerprint that there would be no place for another's. */
static void
test_places(void **state)
{
	struct world *w = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *both = NULL;
	_cleanup_(coordinators_done) struct coordinators all = COORDINATORS_INIT;
	_cleanup_(conf_freep) struct conf *c = NULL;
	char *why = NULL;

	assert_int_equal(buf_adds(&b, "dray-found 1\n"), 0);
	for (unsigned i = 1; i <= FOUND_SAME_MAX; i++)
		assert_int_equal(buf_addf(&b, LINE("tcp://10.0.0.1:%u"), i, w->fp[0]), 0);
	assert_int_equal(buf_addf(&b, LINE("tcp://10.0.0.2:1"), w->fp[1]), 0);
	write_found(w, (const char *)b.p);
	assert_true(asprintf(&both, "%s, %s", w->key[0], w->key[1]) > 0);
	c = load(both);
	assert_int_equal(coordinators_parse("client", c->client.coordinator,
				 c->client.coordinator_key, &all, &why),
		0);
	assert_int_equal(all.n, COORDINATORS_MAX);
	assert_string_equal(all.v[1].endpoint, "tcp://10.0.0.2:1");
	assert_string_equal(all.v[1].key, w->key[1]);
}

static void
set_age(const char *path, time_t age)
{
	const struct timespec t[2] = { { time(NULL) - age, 0 }, { time(NULL) - age, 0 } };

	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void
test_age(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *path = path_join(w->cache, "found");
	static struct found f;
	uint64_t ms;

	assert_int_equal(find_read(w->cache, &f, &ms), -ENOENT);
	assert_int_equal(find_read(NULL, &f, &ms), -ENOENT);
	write_found(w, "dray-found 1\nwhy\ta reason\n");
	assert_int_equal(find_read(w->cache, &f, &ms), 0);
	assert_true(ms < 60000);
	assert_string_equal(f.why, "a reason");
	set_age(path, 3600);
	assert_int_equal(find_read(w->cache, &f, &ms), 0);
	assert_true(ms >= 3600000 && ms < 3700000);
	set_age(path, FIND_OLD_MS / 1000 + 60);
	assert_int_equal(find_read(w->cache, &f, &ms), -ENOENT);
	/* of the future */
	set_age(path, -3600);
	assert_int_equal(find_read(w->cache, &f, &ms), -ENOENT);
	write_found(w, "dray-found 1\nwhy\n");
	assert_int_equal(find_read(w->cache, &f, &ms), -EBADMSG);
}

/* A helper that takes as long as this end of a pipe is open. */
static void
make_helper(const struct world *w)
{
	_cleanup_(freep) char *program = in(w, "dray-avahi"), *fifo = in(w, "fifo");

	assert_int_equal(mkfifo(fifo, 0600), 0);
	write_text(program,
		"#!/bin/sh\n[ \"$1 $2\" = 'browse --file' ] && read -r x <\"${0%/*}/fifo\"\n"
		"echo \"$3\" >>\"${0%/*}/ran\"\n",
		0700);
}

static int
open_fifo(const struct world *w)
{
	_cleanup_(freep) char *fifo = in(w, "fifo");
	int fd = open(fifo, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void
test_one_helper(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *lock = path_join(w->cache, "found.lock"), *ran = in(w, "ran");
	_cleanup_(closep) int fifo = -1;
	struct buf b = BUF_INIT;
	pid_t pid = 0, first;
	int status;

	make_helper(w);
	fifo = open_fifo(w);
	assert_true(find_again(w->cache, 60000, &pid));
	assert_true(pid > 0);
	first = pid;
	/* it runs still: neither this process nor another one starts a second, however old it is */
	assert_false(find_again(w->cache, 0, &pid));
	set_age(lock, 3600);
	assert_false(find_again(w->cache, 60000, NULL));
	assert_int_equal(pid, first);
	assert_int_equal(write(fifo, "x\n", 2), 2);
	assert_int_equal(waitpid(first, &status, 0), first);
	assert_int_equal(status, 0);
	assert_int_equal(fs_read_file(ran, 4096, &b), 0);
	assert_true(b.n > 7 && streq((const char *)b.p + b.n - 7, "/found\n"));
	buf_done(&b);
	/* it is collected, and too new */
	set_age(lock, 30);
	assert_false(find_again(w->cache, 60000, &pid));
	assert_int_equal(pid, 0);
	set_age(lock, 61);
	assert_true(find_again(w->cache, 60000, &pid));
	assert_int_equal(write(fifo, "x\n", 2), 2);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* Without one, and where nothing can be written. */
static void
test_no_helper(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *nowhere = in(w, "nowhere"), *self = NULL;
	static struct found f;
	pid_t pid = 0;

	assert_false(find_again(nowhere, 0, &pid));
	assert_false(find_again(NULL, 0, &pid));
	make_helper(w);
	self = in(w, "dray-avahi");
	write_text(self, "#!/bin/sh\necho nonsense\n", 0700);
	assert_int_equal(find_look(100, &f), -EBADMSG);
	write_text(self, "#!/bin/sh\necho dray-found 1; exit 3\n", 0700);
	assert_int_equal(find_look(100, &f), -EIO);
	write_text(self, "#!/bin/sh\necho dray-found 1; exit 0\n", 0700);
	assert_int_equal(find_look(100, &f), 0);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_known_keys_only),
		TEST(test_places),
		TEST(test_next_key),
		TEST(test_age),
		TEST(test_one_helper),
		TEST(test_no_helper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
