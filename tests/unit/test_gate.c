/* What one address may cost before it is known: its debts, and the kernel's filter. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "proto/accepted.h"
#include "proto/gate.h"

#define PATIENCE_MS 10000
#define DROPPED_MS 150 /* how long to look for what must not come */

static int
listen_at(const char *address, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	socklen_t n = sizeof(*ret);
	int fd;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1)
		ret->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1)
		ret->ss_family = AF_INET6;
	fd = socket(ret->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)ret, sizeof(*ret)) < 0 || listen(fd, 16) < 0)
		skip(); /* a machine without IPv6 */
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &n), 0);
	return fd;
}

/* A connection from there; -1: none in ms. */
static int
dial(const struct sockaddr_storage *to, const char *from, int ms)
{
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct pollfd item = { fd, POLLOUT, 0 };

	assert_true(fd >= 0);
	if (from) {
		assert_int_equal(inet_pton(AF_INET, from, &a.sin_addr), 1);
		assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	}
	(void)connect(fd, (const struct sockaddr *)to, sizeof(*to));
	if (poll(&item, 1, ms) == 1 && !(item.revents & (POLLERR | POLLHUP)))
		return fd;
	close(fd);
	return -1;
}

static void
come(struct gate *g, const struct gate_address *a, unsigned n, uint64_t now)
{
	while (n-- > 0)
		gate_came(g, a, now);
}

static void
test_kernel_drops(void **state)
{
	struct sockaddr_storage at;
	int fd = listen_at("127.0.0.1", &at), before, conn, good;
	struct gate_address a;
	struct gate *g = NULL;
	char c = 0, text[GATE_TEXT_SIZE];

	assert_int_equal(gate_new(fd, &g), 0);
	before = dial(&at, "127.0.0.2", PATIENCE_MS);
	conn = accept(fd, NULL, NULL);
	a = gate_address_of(conn);
	assert_int_equal(a.family, 4);
	assert_int_equal(a.word[0], 0x7f000002);
	come(g, &a, GATE_DEBT_MAX, 1000);
	assert_false(gate_is_shut(g, &a));
	assert_false(gate_news(g, text));
	gate_came(g, &a, 1000);
	assert_true(gate_is_shut(g, &a));
	assert_true(gate_news(g, text));
	assert_string_equal(text, "127.0.0.2");
	assert_false(gate_news(g, text));
	assert_int_equal(dial(&at, "127.0.0.2", DROPPED_MS), -1);
	/* another address, and what is there, go on: also one that came in meanwhile */
	good = dial(&at, "127.0.0.3", PATIENCE_MS);
	assert_true(good >= 0);
	close(accept(fd, NULL, NULL));
	assert_int_equal(write(before, "x", 1), 1);
	assert_int_equal(read(conn, &c, 1), 1);
	assert_int_equal(c, 'x');
	close(good);

	gate_step(g, 1000);
	assert_true(gate_is_shut(g, &a));
	gate_step(g, 1000 + 1000 * (GATE_DEBT_MAX / 2 + 2) / GATE_PER_S);
	assert_false(gate_is_shut(g, &a));
	good = dial(&at, "127.0.0.2", PATIENCE_MS);
	assert_true(good >= 0);
	close(good);
	close(before);
	close(conn);
	close(fd);
	gate_free(g);
}

static void
test_kernel_drops_ipv6(void **state)
{
	struct sockaddr_storage at;
	int fd = listen_at("::1", &at), good = dial(&at, NULL, PATIENCE_MS), conn;
	struct gate_address a, other = { 6, { 0, 1 } }, mapped = { 4, { 0, 0 } };
	struct gate *g = NULL;
	char text[GATE_TEXT_SIZE];

	assert_int_equal(gate_new(fd, &g), 0);
	conn = accept(fd, NULL, NULL);
	a = gate_address_of(conn);
	assert_int_equal(a.family, 6);
	close(conn);
	close(good);
	/* others of the same words, or of some of them */
	come(g, &other, GATE_DEBT_MAX + 1, 1000);
	assert_true(gate_news(g, text));
	assert_string_equal(text, "0:0:0:1::/64");
	come(g, &mapped, GATE_DEBT_MAX + 1, 1000);
	good = dial(&at, NULL, PATIENCE_MS);
	assert_true(good >= 0);
	close(good);
	come(g, &a, GATE_DEBT_MAX + 1, 1000);
	assert_int_equal(dial(&at, NULL, DROPPED_MS), -1);
	close(fd);
	gate_free(g);
}

static void
test_both_families(void **state)
{
	struct sockaddr_storage at, to;
	int fd = listen_at("::", &at), conn, good;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&to;
	struct gate_address a;
	struct gate *g = NULL;

	memset(&to, 0, sizeof(to));
	v4->sin_family = AF_INET;
	v4->sin_port = ((struct sockaddr_in6 *)&at)->sin6_port;
	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(gate_new(fd, &g), 0);
	good = dial(&to, "127.0.0.2", PATIENCE_MS);
	assert_true(good >= 0);
	conn = accept(fd, NULL, NULL);
	a = gate_address_of(conn);
	assert_int_equal(a.family, 4);
	assert_int_equal(a.word[0], 0x7f000002);
	close(good);
	close(conn);
	come(g, &a, GATE_DEBT_MAX + 1, 1000);
	assert_int_equal(dial(&to, "127.0.0.2", DROPPED_MS), -1);
	good = dial(&to, "127.0.0.3", PATIENCE_MS);
	assert_true(good >= 0);
	close(good);
	close(fd);
	gate_free(g);
}

/* One that speaks owes nothing. */
static void
test_a_word_pays(void **state)
{
	const struct gate_address a = { 4, { 1, 0 } };
	struct gate *g = NULL;

	assert_int_equal(gate_new(-1, &g), 0);
	for (unsigned i = 0; i < 10 * GATE_DEBT_MAX; i++) {
		gate_came(g, &a, 1000);
		gate_spoke(g, &a, 1000);
	}
	assert_false(gate_is_shut(g, &a));
	come(g, &a, GATE_DEBT_MAX + 1, 1000);
	for (unsigned i = 0; i < GATE_DEBT_MAX; i++)
		gate_spoke(g, &a, 1000);
	gate_step(g, 1000);
	assert_false(gate_is_shut(g, &a));
	gate_free(g);
}

static void
test_many_addresses(void **state)
{
	struct gate_address a = { 4, { 1, 0 } }, last = a;
	struct sockaddr_storage at;
	int fd = listen_at("127.0.0.1", &at), good;
	struct gate *g = NULL;

	assert_int_equal(gate_new(fd, &g), 0);
	for (unsigned i = 1; i <= GATE_ADDRESSES; i++) {
		a = (struct gate_address){ i % 2 ? 4 : 6, { i, 0 } };
		come(g, &a, GATE_DEBT_MAX + 1, 1000);
	}
	good = dial(&at, "127.0.0.2", PATIENCE_MS);
	assert_true(good >= 0);
	close(good);
	assert_true(gate_is_shut(g, &a));
	come(g, &last, 1, 1000);
	last.word[0] = GATE_ADDRESSES + 1;
	/* one that owes least makes room, and is open then */
	come(g, &last, GATE_DEBT_MAX + 1, 1000);
	assert_true(gate_is_shut(g, &last));
	assert_true(gate_is_shut(g, &(struct gate_address){ 4, { 1, 0 } }));
	assert_false(gate_is_shut(g, &(struct gate_address){ 6, { 2, 0 } }));
	last.word[0] = 0x7f000002;
	come(g, &last, GATE_DEBT_MAX + 2, 1000);
	assert_int_equal(dial(&at, "127.0.0.2", DROPPED_MS), -1);
	close(fd);
	gate_free(g);
}

/* Both had one descriptor: the first was reset before it was accepted, and somebody else's has its
 * number by the time that this is told. */
static void
test_whose_it_was(void **state)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	struct sockaddr_storage at;
	int fd = listen_at("127.0.0.1", &at), bad, good, first, second;
	struct gate_address from;
	struct gate *g = NULL;

	assert_int_equal(gate_new(fd, &g), 0);
	bad = dial(&at, "127.0.0.2", PATIENCE_MS);
	assert_int_equal(setsockopt(bad, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(bad);
	first = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(first >= 0);
	assert_int_equal(gate_address_of(first).family, 0);
	close(first);
	good = dial(&at, "127.0.0.3", PATIENCE_MS);
	second = accept(fd, NULL, NULL);
	assert_true(second >= 0);
	if (second != first)
		assert_int_equal(dup2(second, first), first);
	from = gate_accepted(g, first, 1000);
	assert_int_equal(from.family, 4);
	assert_int_equal(from.word[0], 0x7f000002);
	from = gate_accepted(g, second, 1000);
	assert_int_equal(from.word[0], 0x7f000003);
	/* one that was not noted: by what it is now */
	from = gate_accepted(g, second, 1000);
	assert_int_equal(from.word[0], 0x7f000003);
	close(first);
	close(second);
	close(good);
	gate_free(g);
	close(fd);
}

/* Others' and more than there is room for: nothing is lost that was noted. */
static void
test_notes(void **state)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	struct sockaddr_storage at, other_at;
	int fd = listen_at("127.0.0.1", &at), other = listen_at("127.0.0.1", &other_at), in = -1;
	struct accepted a;
	unsigned n_taken = 0;

	assert_int_equal(accepted_watch(fd), 0);
	assert_int_equal(accepted_watch(fd), -EBUSY);
	for (unsigned i = 0; i < ACCEPTED_NOTES + 10; i++) {
		int out = dial(i % 1000 ? &at : &other_at, NULL, PATIENCE_MS);
		struct sockaddr_storage said;
		socklen_t n = sizeof(said);

		in = accept4(i % 1000 ? fd : other, (struct sockaddr *)&said, &n, SOCK_CLOEXEC);
		assert_true(out >= 0 && in >= 0);
		assert_int_equal(
			setsockopt(out, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
		assert_int_equal(n, sizeof(struct sockaddr_in));
		assert_int_equal(said.ss_family, AF_INET);
		close(out);
		close(in);
	}
	assert_false(accepted_take(other, in, &a));
	assert_false(accepted_take(fd, -1, &a));
	while (accepted_take(fd, in, &a))
		n_taken++;
	assert_int_equal(n_taken, ACCEPTED_NOTES);
	accepted_unwatch(fd);
	assert_false(accepted_take(fd, fd, &a));
	close(other);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_drops),
		cmocka_unit_test(test_kernel_drops_ipv6),
		cmocka_unit_test(test_both_families),
		cmocka_unit_test(test_whose_it_was),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_a_word_pays),
		cmocka_unit_test(test_many_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
