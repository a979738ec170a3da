/* What is read of a caller's memory, or written there, is the memory of a caller that waits: not of
 * the process that has its number after it was killed. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/buf.h"
#include "trace/attach.h"
#include "trace/filter.h"
#include "trace/listener.h"
#include "trace/trace_call.h"
#include "worker/tracer/trace_stat.h"

#define ASKED "/asked/for"
#define PLACE "/usr" /* there, and what its times are said to be */

/* The same in parent and child: the number of a process is all that tells them apart. */
static char asked[32];
static struct stat told;
static const char *strings[] = { asked, NULL };

struct place {
	struct trace_listener l;
	struct trace_stat stat;
	pid_t child;
};

static void
be_child(const struct buf *filter, int socket)
{
	snprintf(asked, sizeof(asked), ASKED);
	if (trace_attach((struct sock_filter *)filter->p, filter->n, socket) != 0)
		_exit(1);
	/* answered by the tracer */
	if (syscall(SYS_newfstatat, AT_FDCWD, asked, &told, 0) != 0)
		_exit(2);
	_exit(told.st_mtime == 5 ? 0 : 3);
}

static int
set_up(void **state)
{
	static char name[] = PLACE;
	struct place *p = calloc(1, sizeof(*p));
	_cleanup_(buf_done) struct buf filter = BUF_INIT;
	Dray__FileTimes times = DRAY__FILE_TIMES__INIT;
	int pair[2];

	assert_non_null(p);
	times.modified = 5000000000;
	trace_stat_add(&p->stat, name, &times);
	assert_int_equal(trace_filter_make(0, &filter), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	p->child = fork();
	assert_true(p->child >= 0);
	if (p->child == 0)
		be_child(&filter, pair[1]);
	close(pair[1]);
	assert_int_equal(trace_listener_init(&p->l), 0);
	assert_int_equal(trace_listener_accept(&p->l, pair[0], -1), 0);
	close(pair[0]);
	do
		assert_int_equal(trace_listener_next(&p->l), 1);
	while (p->l.req->data.nr != SYS_newfstatat && trace_listener_go_on(&p->l) == 0);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	kill(p->child, SIGKILL);
	waitpid(p->child, NULL, 0);
	trace_listener_done(&p->l);
	trace_stat_done(&p->stat);
	free(p);
	memset(asked, 0, sizeof(asked));
	memset(&told, 0, sizeof(told));
	return 0;
}

static int
open_root(void)
{
	int root = open("/", O_PATH | O_DIRECTORY);

	assert_true(root >= 0);
	return root;
}

static void
test_who_waits(void **state)
{
	struct place *p = *state;
	struct trace_call c = { .listener = &p->l };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(closep) int root = open_root();
	int status;

	trace_call_read(p->l.req, "/", &c);
	assert_false(c.gone);
	assert_string_equal(c.path[0], ASKED);
	assert_int_equal(trace_call_strings(&c, (uint64_t)(uintptr_t)strings, 100, &b), 0);
	assert_string_equal((const char *)b.p, ASKED);
	assert_true(trace_stat_answer(&p->stat, &p->l, root, PLACE));
	trace_listener_answer(&p->l, 0);
	assert_int_equal(waitpid(p->child, &status, 0), p->child);
	assert_int_equal(status, 0);
	p->child = fork();
	if (p->child == 0)
		_exit(0);
}

static void
test_who_is_gone(void **state)
{
	struct place *p = *state;
	struct trace_call c = { .listener = &p->l };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(closep) int root = open_root();
	const char zero = 0;

	kill(p->child, SIGKILL);
	assert_int_equal(waitpid(p->child, NULL, 0), p->child);
	/* as if we had got its number */
	p->l.req->pid = (uint32_t)getpid();
	snprintf(asked, sizeof(asked), "/ours");
	trace_call_read(p->l.req, "/", &c);
	assert_true(c.gone);
	assert_int_equal(trace_call_strings(&c, (uint64_t)(uintptr_t)strings, 100, &b), -ESRCH);
	assert_false(trace_stat_answer(&p->stat, &p->l, root, PLACE));
	assert_int_equal(told.st_mtime, 0);
	assert_false(trace_listener_write(&p->l, (uint64_t)(uintptr_t)asked, &zero, 1));
	assert_string_equal(asked, "/ours");
	p->child = fork();
	if (p->child == 0)
		_exit(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_is_gone, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
