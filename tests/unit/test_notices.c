/* notices: what is said is read again, cut and clean; only what is locked counts; nothing that
 * stands in a file does harm. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "client/slots/notices.h"
#include "client/slots/slots.h"
#include "common/clock.h"
#include "common/fs.h"

static char *dir;
static int dir_fd = -1;

static int
setup(void **state)
{
	if (fs_make_temp_dir("/tmp", "dray-notices-", &dir) < 0)
		return -1;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	closep(&dir_fd);
	fs_rm_rf(dir);
	free(dir);
	return 0;
}

static int
open_file(void)
{
	int fd = openat(dir_fd, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void
test_said_and_read(void **state)
{
	_cleanup_(closep) int fd = open_file();
	struct notice n, got;

	notice_make(&n, "compile", "serde 1.0", "/home/a b");
	n.state = NOTICE_TWIN;
	assert_int_equal(notice_write(fd, NOTICE_SIZE, &n), 0);
	assert_int_equal(notice_read(fd, 0, &got), -ENOENT);
	assert_int_equal(notice_read(fd, NOTICE_SIZE, &got), 0);
	assert_string_equal(got.kind, "compile");
	assert_string_equal(got.what, "serde 1.0");
	assert_string_equal(got.dir, "/home/a b");
	assert_int_equal(got.state, NOTICE_TWIN);
	assert_int_equal(got.process.pid, getpid());
	assert_int_equal(got.process.place, proc_place());
	assert_true(got.since_ms == n.since_ms && n.since_ms + 60000 > clock_wall_ms());
	/* a shorter one leaves nothing of it; one without words says nothing */
	notice_make(&n, "run", "", "");
	assert_int_equal(notice_write(fd, NOTICE_SIZE, &n), 0);
	assert_int_equal(notice_read(fd, NOTICE_SIZE, &got), 0);
	assert_string_equal(got.what, "");
	assert_string_equal(got.dir, "");
	/* a name alone, as another version writes it */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(proc_sign(fd), 0);
	assert_int_equal(notice_read(fd, 0, &got), -ENOENT);
	assert_int_equal(got.process.pid, getpid());
}

static void
test_units(void **state)
{
	char cwd[4096];
	ssize_t n;
	struct notice got;
	char parent[64];

	setenv("CARGO_PKG_NAME", "serde", 1);
	setenv("CARGO_PKG_VERSION", "1.0.2", 1);
	notice_make_unit(&got, "compile", "serde_core", "lib");
	assert_string_equal(got.what, "serde 1.0.2 (lib serde_core)");
	/* cargo's */
	snprintf(parent, sizeof(parent), "/proc/%ld/cwd", (long)getppid());
	n = readlink(parent, cwd, sizeof(cwd) - 1);
	assert_true(n > 0);
	cwd[n] = '\0';
	assert_true(starts_with(cwd, got.dir));
	unsetenv("CARGO_PKG_NAME");
	notice_make_unit(&got, "link", "a", "bin");
	assert_string_equal(got.what, "a (bin)");
}

static void
test_long_and_foreign_texts(void **state)
{
	_cleanup_(closep) int fd = open_file();
	struct notice n, got;
	char words[2 * NOTICE_DIR_MAX];

	memset(words, 'x', sizeof(words));
	words[sizeof(words) - 1] = '\0';
	notice_make(&n, words, words, words);
	n.since_ms = UINT64_MAX;
	assert_int_equal(notice_write(fd, 0, &n), 0);
	assert_int_equal(notice_read(fd, 0, &got), 0);
	assert_int_equal(strlen(got.kind), sizeof(got.kind) - 1);
	assert_int_equal(strlen(got.what), NOTICE_WHAT_MAX - 1);
	assert_int_equal(strlen(got.dir), NOTICE_DIR_MAX - 1);
	assert_true(got.since_ms == UINT64_MAX);
	notice_make(&n, "run", "a\xff\xc3\xa4\xc3 \xed\xa0\x80\n", "\xf0\x9f\x92\xa9\xf0\x9f");
	assert_int_equal(notice_write(fd, 0, &n), 0);
	assert_int_equal(notice_read(fd, 0, &got), 0);
	assert_string_equal(got.what, "a?\xc3\xa4? ???\n");
	assert_string_equal(got.dir, "\xf0\x9f\x92\xa9??");
}

/* As anything may stand there. */
static void
test_nonsense(void **state)
{
	_cleanup_(closep) int fd = open_file();
	char name[PROC_SIGNATURE_SIZE], record[NOTICE_SIZE];
	static const char *const bad[] = { "", "x", "1", "1 2", "1 -1 run", "1 99 run", "x 1 run",
		"1  ", "1 2 R", "1 2 \xe4\xb8" };
	struct notice got;

	proc_signature(name);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		memset(record, 0, sizeof(record));
		memcpy(record, name, sizeof(name));
		memcpy(record + sizeof(name), bad[i], strlen(bad[i]));
		assert_int_equal(pwrite(fd, record, sizeof(record), 0), sizeof(record));
		if (notice_read(fd, 0, &got) != -ENOENT)
			fail_msg("taken: \"%s\"", bad[i]);
		assert_string_equal(got.what, "");
	}
	/* no end anywhere; each byte, and each length */
	for (unsigned c = 0; c < 256; c++) {
		memset(record + (c % 2 ? sizeof(name) : 0), (int)c,
			sizeof(record) - (c % 2 ? sizeof(name) : 0));
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(
			pwrite(fd, record, sizeof(record) - 3 * c, 0), sizeof(record) - 3 * c);
		(void)notice_read(fd, 0, &got);
		assert_true(memchr(got.what, 0, sizeof(got.what)));
		assert_true(memchr(got.dir, 0, sizeof(got.dir)));
	}
}

struct seen {
	unsigned n;
	char what[64];
};

static int
see(void *arg, const struct notice *n)
{
	struct seen *s = arg;

	s->n++;
	snprintf(s->what, sizeof(s->what), "%.60s", n->what);
	return 0;
}

static unsigned
count(struct seen *s)
{
	*s = (struct seen){ .n = 0 };
	assert_int_equal(notices_each(dir_fd, see, s), 0);
	return s->n;
}

static void
test_what_waits_is_seen_as_long_as_it_does(void **state)
{
	struct notices_place a = NOTICES_PLACE_INIT, b = NOTICES_PLACE_INIT;
	struct notice n;
	struct seen s;
	int gate[2], status;
	char c;
	pid_t pid;

	assert_int_equal(count(&s), 0);
	notice_make(&n, "compile", "a", NULL);
	n.state = NOTICE_QUEUES;
	assert_int_equal(notices_begin(dir_fd, &n, &a), 0);
	assert_int_equal(notices_begin(dir_fd, &n, &b), 0);
	assert_int_equal(count(&s), 2);
	/* again is the same place */
	notice_make(&n, "compile", "b", NULL);
	n.state = NOTICE_ALL_TAKEN;
	assert_int_equal(notices_begin(dir_fd, &n, &b), 0);
	assert_int_equal(count(&s), 2);
	assert_string_equal(s.what, "b");
	notices_end(&a);
	assert_int_equal(count(&s), 1);
	notices_end(&b);
	assert_int_equal(count(&s), 0);
	/* a killed process's is gone with it; its place is taken again */
	assert_int_equal(pipe(gate), 0);
	pid = fork();
	if (pid == 0) {
		notices_begin(dir_fd, &n, &a);
		notices_begin(dir_fd, &n, &b);
		c = 'x';
		if (write(gate[1], &c, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(gate[0], &c, 1), 1);
	assert_int_equal(count(&s), 2);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(count(&s), 0);
	assert_int_equal(notices_begin(dir_fd, &n, &a), 0);
	assert_int_equal(a.at, 0);
	assert_int_equal(count(&s), 1);
	notices_end(&a);
	close(gate[0]);
	close(gate[1]);
}

static int
hold(void *arg, unsigned slot, const struct notice *n)
{
	struct seen *s = arg;

	s->n += 1 + 10 * slot;
	snprintf(s->what, sizeof(s->what), "%.60s", n->what);
	return 0;
}

static void
test_holders_of_slots(void **state)
{
	_cleanup_(slots_closep) struct slots *s = NULL;
	_cleanup_(slots_closep) struct slots *look = NULL;
	_cleanup_(freep) char *none = path_join(dir, "none");
	struct notice n;
	struct seen seen = { .n = 0 };
	struct stat before, after;
	int a, b;

	/* looking makes nothing */
	assert_int_equal(slots_look(none, 2, &look), fs_exists("/tmp/dray-0") ? 0 : -ENOENT);
	assert_false(fs_exists(none));
	slots_closep(&look);
	assert_int_equal(slots_look(dir, 2, &look), 0);
	assert_int_equal(slots_each(look, hold, &seen), 0);
	assert_int_equal(seen.n, 0);
	assert_int_equal(slots_open(dir, 2, &s), 0);
	notice_make(&n, "run", "one", NULL);
	slots_say(s, &n);
	a = slots_try(s);
	notice_make(&n, "run", "two", NULL);
	slots_say(s, &n);
	b = slots_try(s);
	assert_true(a >= 0 && b >= 0);
	close(a);
	/* the text of the first is there still, and its lock is not */
	assert_int_equal(slots_each(look, hold, &seen), 0);
	assert_int_equal(seen.n, 11);
	assert_string_equal(seen.what, "two");
	/* what another has written there is no name of anything */
	assert_int_equal(fstat(b, &before), 0);
	assert_int_equal(pwrite(b, "\xff\xff\xff", 3, 0), 3);
	seen = (struct seen){ .what = "x" };
	assert_int_equal(slots_each(look, hold, &seen), 0);
	assert_int_equal(seen.n, 11);
	assert_string_equal(seen.what, "");
	close(b);
	/* and the next one's text is whole */
	notice_make(&n, "run", "three", NULL);
	slots_say(s, &n);
	a = slots_try(s);
	assert_int_equal(fstat(a, &after), 0);
	assert_int_equal(after.st_size, NOTICE_SIZE);
	close(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_said_and_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_units, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_and_foreign_texts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_what_waits_is_seen_as_long_as_it_does, setup, teardown),
		cmocka_unit_test_setup_teardown(test_holders_of_slots, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
