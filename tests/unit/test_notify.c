/* notify.c: what a manager's socket gets, and when; variables that cannot be understood; a socket
 * that has no room, or is gone. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>

#include "common/process/notify.h"

#define S(x) (x), sizeof(x)

/* The manager's end, at an abstract name of this process. */
static int
manager(char *ret_name, size_t size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), n;

	n = snprintf(ret_name, size, "@dray-test-notify-%ld", (long)getpid());
	memcpy(a.sun_path, ret_name, (size_t)n);
	a.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&a,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)),
		0);
	return fd;
}

/* The next datagram; "" when there is none. */
static const char *
heard(int fd)
{
	static char text[1024];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	assert_true(n > 0 || errno == EAGAIN);
	text[MAX2(n, (ssize_t)0)] = '\0';
	return text;
}

static void
asks(const char *path, const char *usec, const char *pid)
{
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	if (usec)
		assert_int_equal(setenv("WATCHDOG_USEC", usec, 1), 0);
	if (pid)
		assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
}

static void
a_life(void **state)
{
	_cleanup_(notify_done) struct notify n;
	_cleanup_(closep) int fd = -1;
	char name[64], pid[32];

	(void)state;
	fd = manager(name, sizeof(name));
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	asks(name, "3000000", pid);
	assert_int_equal(notify_open(&n), 0);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
	assert_string_equal(heard(fd), "");
	notify_ready(&n);
	assert_string_equal(heard(fd), "READY=1");
	/* at once, and then each half of it */
	assert_int_equal(notify_wait(&n, 500, 1000), 0);
	notify_step(&n, 500);
	assert_string_equal(heard(fd), "WATCHDOG=1");
	assert_int_equal(notify_wait(&n, 500, 1000), 1000);
	assert_int_equal(notify_wait(&n, 600, 5000), 1400);
	notify_step(&n, 1999);
	assert_string_equal(heard(fd), "");
	notify_step(&n, 2000);
	assert_string_equal(heard(fd), "WATCHDOG=1");
	assert_int_equal(notify_wait(&n, 4000, 1000), 0);
	notify_reloading(&n, 77);
	assert_string_equal(heard(fd), "RELOADING=1\nMONOTONIC_USEC=77");
	notify_ready(&n);
	assert_string_equal(heard(fd), "READY=1");
	notify_stopping(&n);
	assert_string_equal(heard(fd), "STOPPING=1");
}

static void
a_status_is_said_when_it_is_another(void **state)
{
	_cleanup_(notify_done) struct notify n;
	_cleanup_(closep) int fd = -1;
	char name[64], longest[600];

	(void)state;
	fd = manager(name, sizeof(name));
	asks(name, NULL, NULL);
	assert_int_equal(notify_open(&n), 0);
	notify_status(&n, 10, "a\nREADY=1\tb");
	assert_string_equal(heard(fd), "STATUS=a READY=1 b");
	notify_status(&n, 5000, "a\nREADY=1\tb");
	assert_string_equal(heard(fd), "");
	notify_status(&n, 5000, "b");
	assert_string_equal(heard(fd), "STATUS=b");
	notify_status(&n, 5999, "c");
	assert_string_equal(heard(fd), "");
	/* no half of a character at its end */
	memset(longest, 'x', sizeof(longest));
	memcpy(longest + NOTIFY_TEXT_MAX - 2, S("\xc3\xa9"));
	notify_status(&n, 6000, longest);
	assert_int_equal(strlen(heard(fd)), strlen("STATUS=") + NOTIFY_TEXT_MAX - 2);
	/* nobody asked for signs of life */
	notify_step(&n, 9000);
	assert_string_equal(heard(fd), "");
	assert_int_equal(notify_wait(&n, 9000, 123), 123);
}

static void
what_finds_no_room_is_owed(void **state)
{
	_cleanup_(notify_done) struct notify n;
	_cleanup_(closep) int fd = -1;
	char name[64], text[32];
	unsigned full = 0;

	(void)state;
	fd = manager(name, sizeof(name));
	asks(name, "2000", NULL);
	assert_int_equal(notify_open(&n), 0);
	/* the queue of such a socket holds some tens at most */
	for (uint64_t now = 1; full < 3 && now < 100000; now++) {
		notify_step(&n, now);
		full = n.alive_ms == now ? 0 : full + 1;
	}
	assert_int_equal(full, 3);
	notify_status(&n, 200000, "s");
	notify_ready(&n);
	notify_stopping(&n);
	notify_step(&n, 200000);
	while (*heard(fd))
		;
	notify_step(&n, 200001);
	assert_string_equal(heard(fd), "READY=1");
	assert_string_equal(heard(fd), "STOPPING=1");
	assert_string_equal(heard(fd), "STATUS=s");
	assert_string_equal(heard(fd), "WATCHDOG=1");
	assert_string_equal(heard(fd), "");
	/* a manager that is gone is nobody's trouble */
	closep(&fd);
	snprintf(text, sizeof(text), "t");
	notify_status(&n, 300000, text);
	notify_step(&n, 300000);
	assert_int_equal(n.owed, 0);
}

static void
what_cannot_be_understood(void **state)
{
	static const struct {
		const char *path, *usec, *pid;
	} wrong[] = { { "relative", NULL, NULL }, { "vsock:2:1234", NULL, NULL },
		{ "/", NULL, NULL }, { "@", NULL, NULL }, { "/x", "", NULL }, { "/x", "0", NULL },
		{ "/x", "-1", NULL }, { "/x", "12s", NULL },
		{ "/x", "99999999999999999999999", NULL }, { "/x", "10", "me" },
		{ "/x", "10", "" } };
	char longest[200];
	struct notify n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		asks(wrong[i].path, wrong[i].usec, wrong[i].pid);
		assert_int_equal(notify_open(&n), -EINVAL);
		assert_int_equal(n.fd, -1);
		assert_null(getenv("NOTIFY_SOCKET"));
		assert_null(getenv("WATCHDOG_USEC"));
	}
	memset(longest, '/', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	asks(longest, NULL, NULL);
	assert_int_equal(notify_open(&n), -EINVAL);
	/* without a manager, or an empty word of it, all of this says nothing */
	asks("", "7", NULL);
	assert_int_equal(notify_open(&n), 0);
	assert_int_equal(n.fd, -1);
	assert_int_equal(notify_open(&n), 0);
	notify_ready(&n);
	notify_status(&n, 1, "x");
	notify_step(&n, 1);
	notify_stopping(&n);
	assert_int_equal(n.owed, 0);
	notify_ready(NULL);
	notify_reloading(NULL, 1);
	notify_stopping(NULL);
	notify_status(NULL, 1, "x");
	notify_step(NULL, 1);
	assert_int_equal(notify_wait(NULL, 1, 5), 5);
}

/* A daemon below the one that is watched: another's watchdog is not its own. */
static void
another_process_is_watched(void **state)
{
	_cleanup_(notify_done) struct notify n;
	_cleanup_(closep) int fd = -1;
	char name[64];

	(void)state;
	fd = manager(name, sizeof(name));
	asks(name, "1000000", "1");
	assert_int_equal(notify_open(&n), 0);
	notify_step(&n, 5000);
	assert_string_equal(heard(fd), "");
	notify_ready(&n);
	assert_string_equal(heard(fd), "READY=1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_life),
		cmocka_unit_test(a_status_is_said_when_it_is_another),
		cmocka_unit_test(what_finds_no_room_is_owed),
		cmocka_unit_test(what_cannot_be_understood),
		cmocka_unit_test(another_process_is_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
