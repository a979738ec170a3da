/* promise: what was said is not said again, however the stream is cut; what differs is not lost.
 * ledger: what a dead dray-dispatch left can mislead nobody. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "client/wrap/promise.h"
#include "client/wrap/ledger.h"
#include "client/wrap/rmeta.h"
#include "common/fs.h"

static const char text[] = "{\"a\":1}\n{\"artifact\":\"libx.rmeta\"}\nwarning: unused\n";
#define TEXT_N (sizeof(text) - 1)

static struct promise *
said(const char *p, size_t n)
{
	struct promise *promise = NULL;
	struct digest d;

	assert_int_equal(digest_bytes(p, n, &d), 0);
	assert_int_equal(promise_new(n, &d, &promise), 0);
	return promise;
}

/* Feeds all in pieces and ends the stream. */
static void
feed(struct promise *p, const char *bytes, size_t n, size_t piece, bool failed, struct buf *out)
{
	for (size_t at = 0; at < n; at += piece)
		assert_int_equal(promise_text(p, bytes + at, MIN2(piece, n - at), out), 0);
	assert_int_equal(failed ? promise_give(p, out) : promise_end(p, out), 0);
}

static void
expect_output(size_t n_said, const char *again, size_t n, bool failed, const char *expected)
{
	for (size_t piece = 1; piece <= n; piece = piece < 8 ? piece + 1 : piece * 2) {
		_cleanup_(promise_freep) struct promise *p = said(text, n_said);
		_cleanup_(buf_done) struct buf out = BUF_INIT;

		feed(p, again, n, piece, failed, &out);
		assert_int_equal(out.n, strlen(expected));
		if (out.n)
			assert_memory_equal(out.p, expected, out.n);
	}
}

static void
test_a_first_try_passes_all(void **state)
{
	_cleanup_(promise_freep) struct promise *p = NULL;
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	assert_int_equal(promise_new(0, NULL, &p), 0);
	assert_int_equal(promise_text(p, "a", 1, &out), 0);
	assert_int_equal(out.n, 1);
	feed(p, "bc", 2, 1, false, &out);
	assert_string_equal((const char *)out.p, "abc");
}

static void
test_the_same_is_swallowed_and_what_follows_is_not(void **state)
{
	for (size_t n = 1; n <= TEXT_N; n++)
		expect_output(n, text, TEXT_N, false, text + n);
}

static void
test_text_that_differs_is_given_out_whole(void **state)
{
	static const char other[] = "{\"a\":2}\n{\"artifact\":\"libx.rmeta\"}\nwarning: unused\n!";

	expect_output(TEXT_N, other, sizeof(other) - 1, false, other);
	expect_output(3, "xyz and more", 12, false, "xyz and more");
}

static void
test_a_shorter_text(void **state)
{
	expect_output(TEXT_N, text, 10, false, "");
	/* a run that failed early has an error to tell */
	expect_output(TEXT_N, "error: no space\n", 16, true, "error: no space\n");
	/* once the decision fell, nothing is held that could come twice */
	expect_output(10, text, TEXT_N, true, text + 10);
}

static void
test_said_without_a_digest_is_refused(void **state)
{
	struct promise *p = NULL;

	assert_int_equal(promise_new(1, NULL, &p), -EINVAL);
	assert_null(p);
	promise_free(NULL);
}

static void
test_a_ledger_goes_from_hand_to_hand(void **state)
{
	_cleanup_(ledger_unmapp) struct ledger *mine = NULL;
	_cleanup_(ledger_unmapp) struct ledger *theirs = NULL;
	_cleanup_(closep) int fd = -1;
	struct ledger r;

	assert_int_equal(ledger_make(&mine, &fd), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(ledger_map(fd, &theirs), 0);
	theirs->outcome = LEDGER_DONE;
	theirs->status = 101;
	ledger_take(mine, &r);
	assert_int_equal(r.outcome, LEDGER_DONE);
	assert_int_equal(r.status, 101);
	/* it can neither shrink nor grow under the other's feet */
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 1 << 20), -1);
}

static void
test_what_is_no_ledger_is_not_mapped(void **state)
{
	_cleanup_(ledger_unmapp) struct ledger *mine = NULL;
	_cleanup_(closep) int fd = -1;
	_cleanup_(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct ledger *p = NULL;

	assert_int_equal(ledger_map(null, &p), -EBADMSG);
	assert_int_equal(ledger_map(-1, &p), -EBADF);
	assert_int_equal(ledger_make(&mine, &fd), 0);
	mine->magic++;
	assert_int_equal(ledger_map(fd, &p), -EBADMSG);
	assert_null(p);
}

/* Its path is never cut. */
static void
test_a_staging_directory_is_written_down(void **state)
{
	_cleanup_(freep) struct ledger *r = calloc(1, sizeof(*r));
	_cleanup_(freep) char *dir = NULL;
	char deep[PATH_MAX];
	struct stat st;
	size_t n;

	assert_non_null(r);
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &dir), 0);
	assert_int_equal(ledger_make_staging(r, dir, getpid()), 0);
	assert_true(path_is_below(r->staging, dir));
	assert_int_equal(stat(r->staging, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	/* the longest directory that there can be has no room for another name */
	snprintf(deep, sizeof(deep), "%s", dir);
	for (n = strlen(deep); n < PATH_MAX - 1; n++)
		deep[n] = n % 200 == 100 ? '/' : 'd';
	deep[n] = '\0';
	deep[n - 1] = 'd';
	deep[n - 2] = 'd';
	assert_int_equal(fs_mkdir_p(deep, 0700), 0);
	r->staging[0] = '\0';
	assert_int_equal(ledger_make_staging(r, deep, getpid()), -ENAMETOOLONG);
	assert_string_equal(r->staging, "");
	assert_int_equal(fs_rm_rf(dir), 0);
}

static void
test_a_ledger_full_of_nonsense(void **state)
{
	_cleanup_(freep) struct ledger *left = malloc(sizeof(*left));
	struct ledger r;

	assert_non_null(left);
	memset(left, 0xff, sizeof(*left));
	left->magic = LEDGER_MAGIC;
	ledger_take(left, &r);
	assert_int_equal(r.outcome, LEDGER_HOME);
	assert_true(strlen(r.why) > 0 && strlen(r.why) < sizeof(r.why));
	assert_string_equal(r.staging, "");
	assert_string_equal(r.rmeta, "");
	assert_int_equal(r.n_attempts, LEDGER_ATTEMPTS);
	for (unsigned i = 0; i < LEDGER_ATTEMPTS; i++)
		assert_true(strlen(r.attempt[i]) < sizeof(r.attempt[i]));
}

static void
take_outcome(struct ledger *left, uint32_t outcome, uint32_t expected)
{
	struct ledger r;

	left->outcome = outcome;
	ledger_take(left, &r);
	assert_int_equal(r.outcome, expected);
	if (expected == LEDGER_HOME)
		assert_true(*r.why);
}

static void
test_outcomes(void **state)
{
	_cleanup_(freep) struct ledger *left = calloc(1, sizeof(*left));

	assert_non_null(left);
	/* never written to: it died before its first breath */
	take_outcome(left, LEDGER_DONE, LEDGER_HOME);
	left->magic = LEDGER_MAGIC;
	take_outcome(left, LEDGER_RUNNING, LEDGER_HOME);
	take_outcome(left, LEDGER_HOME, LEDGER_HOME);
	take_outcome(left, 77, LEDGER_HOME);
	take_outcome(left, LEDGER_DONE, LEDGER_DONE);
	left->status = 4711;
	take_outcome(left, LEDGER_DONE, LEDGER_HOME);
	left->status = 0;
	take_outcome(left, LEDGER_LINK, LEDGER_HOME);
	snprintf(left->staging, sizeof(left->staging), "%s", "/t/deps/.dray-1");
	take_outcome(left, LEDGER_LINK, LEDGER_LINK);
	left->n_links = 1000;
	take_outcome(left, LEDGER_LINK, LEDGER_HOME);
	left->n_links = 1;
	snprintf(left->staging, sizeof(left->staging), "%s", "/t/../etc");
	take_outcome(left, LEDGER_LINK, LEDGER_HOME);
	snprintf(left->staging, sizeof(left->staging), "%s", "/");
	take_outcome(left, LEDGER_LINK, LEDGER_HOME);
}

static void
test_where_metadata_is_announced(void **state)
{
	static const char before[] = "{\"artifact\":\"a.d\",\"emit\":\"dep-info\"}\n"
				     "{\"message\":\"\\\"emit\\\":\\\"metadata\\\"\"}\n";
	static const char line[] = "{\"artifact\":\"a.rmeta\",\"emit\":\"metadata\"}\n";
	static const char after[] = "{\"artifact\":\"a.rlib\",\"emit\":\"link\"}\n";
	char all[sizeof(before) + sizeof(line) + sizeof(after)];

	(void)state;
	snprintf(all, sizeof(all), "%s%s%s", before, line, after);
	assert_int_equal(rmeta_announced_end(all, strlen(all)), strlen(before) + strlen(line));
	assert_int_equal(rmeta_announced_end(line, strlen(line) - 1), strlen(line) - 1);
	assert_int_equal(rmeta_announced_end(before, strlen(before)), 0);
	assert_int_equal(rmeta_announced_end(after, strlen(after)), 0);
	assert_int_equal(rmeta_announced_end(NULL, 0), 0);
	assert_true(rmeta_is_announced(all, strlen(all)));
	assert_false(rmeta_is_announced(before, strlen(before)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_first_try_passes_all),
		cmocka_unit_test(test_the_same_is_swallowed_and_what_follows_is_not),
		cmocka_unit_test(test_text_that_differs_is_given_out_whole),
		cmocka_unit_test(test_a_shorter_text),
		cmocka_unit_test(test_said_without_a_digest_is_refused),
		cmocka_unit_test(test_a_ledger_goes_from_hand_to_hand),
		cmocka_unit_test(test_what_is_no_ledger_is_not_mapped),
		cmocka_unit_test(test_a_staging_directory_is_written_down),
		cmocka_unit_test(test_a_ledger_full_of_nonsense),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_where_metadata_is_announced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
