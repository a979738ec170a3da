/* dray flush: waits until what was compiled here is uploaded to the stores that are shared. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/cmd/cmd.h"
#include "client/far/ask.h"
#include "client/far/queue.h"
#include "common/clock.h"

#define LOOK_MS 100
#define KICK_MS 2000 /* a store that has just refused is not asked again for each look */
#define ANSWER_MS 5000
#define TIMEOUT_MAX_S 86400

/* How many wait; the farm half that uploads is asked, and started, if need be. */
static int
look(const struct conf *conf, struct far_ask **a, uint64_t *ret_left, struct far_answer *answer)
{
	int r = *a ? 0 : far_ask_open(conf, a);

	*answer->why = '\0';
	if (r == 0)
		r = far_ask_flush(*a, ANSWER_MS, ret_left, answer);
	if (r < 0)
		far_ask_closep(a);
	return r;
}

/* Results that wait; and, beside these, lists that a farm half, whichever, is about to put. */
static uint64_t
count_results(const struct conf *conf, uint64_t *ret_lists)
{
	_cleanup_(freep) struct queue_item *v = NULL;
	_cleanup_(freep) char *dir = NULL;
	size_t n = 0;

	*ret_lists = 0;
	if (queue_dir(conf, &dir) < 0)
		return 0;
	if (queue_list(dir, &v, &n) < 0)
		n = 0;
	*ret_lists = queue_count_lists(dir);
	return n;
}

static uint64_t
count_left(const struct conf *conf)
{
	uint64_t lists = 0, results = count_results(conf, &lists);

	return results + lists;
}

int
cmd_wait_uploads(
	const struct cmd *c, const struct conf *conf, uint64_t until, struct cmd_uploads *ret)
{
	_cleanup_(far_ask_closep) struct far_ask *a = NULL;
	struct cmd_progress progress = { .begun_ms = clock_mono_ms() };
	uint64_t lists = 0, waited = count_results(conf, &lists), all = waited + lists, left = all;
	uint64_t asked = 0, now;
	struct far_answer answer = { .why = "" };
	int r = 0;

	while (left > 0 && (now = clock_mono_ms()) < until) {
		if (!asked || now - asked >= KICK_MS) {
			r = look(conf, &a, &left, &answer);
			asked = now;
			/* no time helps */
			if (r == -ENOKEY)
				break;
		} else {
			poll(NULL, 0, LOOK_MS);
			left = count_left(conf);
		}
		cmd_progress(&progress, "uploading", all - MIN2(left, all), all);
	}
	cmd_progress_done(&progress);
	*ret = (struct cmd_uploads){ .waited = waited, .left = left };
	if (left == 0)
		return CMD_OK;
	cmd_error(c, "%" PRIu64 " results are not uploaded yet%s%s", left,
		r < 0 || *answer.why ? ": " : "",
		r < 0 && !*answer.why ? "no farm half can be started" : answer.why);
	return CMD_FAILED;
}

bool
cmd_check_uploads(const struct cmd *c, const struct conf *conf)
{
	if (far_may_write(conf))
		return true;
	cmd_error(c, "nothing is uploaded from here: that takes a store, or a coordinator with a "
		     "cache, and identity, and remote_mode = readwrite (see dray.conf(5))");
	return false;
}

bool
cmd_parse_timeout(const struct cmd *c, const char *s, uint64_t *ret_ms)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno || *end || *s < '0' || *s > '9' || v > TIMEOUT_MAX_S) {
		cmd_error(c, "--timeout %s: seconds, at most %d", s, TIMEOUT_MAX_S);
		return false;
	}
	*ret_ms = v * 1000;
	return true;
}

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	const char *timeout = CMD_UPLOADS_S;
	const struct cmd_option options[] = {
		{ .name = "timeout", .text = &timeout },
		{ .name = NULL },
	};
	struct cmd_uploads uploads;
	uint64_t ms;
	int args, status;

	if (!cmd_options(&cmd_flush, argc, argv, options, 0, 0, &args, &status))
		return status;
	if (!cmd_parse_timeout(&cmd_flush, timeout, &ms))
		return CMD_USAGE;
	if (cmd_load_conf(&cmd_flush, &conf) < 0 || !cmd_check_uploads(&cmd_flush, conf))
		return CMD_FAILED;
	status = cmd_wait_uploads(&cmd_flush, conf, clock_mono_ms() + ms, &uploads);
	if (status == CMD_OK && uploads.waited == 0)
		puts("nothing waits for its upload");
	else if (status == CMD_OK)
		printf("uploaded: %" PRIu64 " result%s\n", uploads.waited,
			uploads.waited == 1 ? "" : "s");
	return fflush(stdout) == 0 ? status : CMD_FAILED;
}

const struct cmd cmd_flush = {
	.name = "flush",
	.usage = "flush [--timeout SECONDS]",
	.summary = "Wait until what was compiled here is uploaded to the shared stores",
	.help = "  --timeout SECONDS  how long at most (" CMD_UPLOADS_S
		"); then the exit status is 1\n"
		"  -h, --help         print this\n",
	.run = run,
};
