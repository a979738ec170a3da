/* Invariant: a unit that is compiled here meanwhile waits for nothing of this but a process that
 * starts another one, and ends. */
#include "config.h"

#include "client/give/begin.h"

#include <errno.h>
#include <stdio.h>

#include "client/give/gift.h"
#include "client/incremental/background.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/process/spawn.h"

static int
check(const struct conf *conf, const struct toolchain *t)
{
	char id[DIGEST_HEX_SIZE];
	uint64_t now = clock_wall_ms() / 1000;
	struct gift g;

	if (conf->client.give == REFILL_NEVER ||
		(conf->client.give == REFILL_AUTO && background_on_battery("")))
		return -ENOTSUP;
	digest_hex(&t->id, id);
	if (gift_read(conf->client.cache_dir, id, &g) == 0 && gift_due_s(&g, now))
		return -EAGAIN;
	return gift_is_going(conf->client.cache_dir) ? -EBUSY : 0;
}

int
give_begin(const struct conf *conf, const struct toolchain *t)
{
	static char self[] = "dray-dispatch", command[] = PUSH_COMMAND, all[] = "0",
		    quiet[] = "quiet", host[] = "";
	_cleanup_(freep) char *compiler = NULL;
	char *argv[] = { self, command, NULL, t->driver,
		streq(t->target, t->host) ? host : t->target, all, quiet, NULL };
	int r = check(conf, t);
	pid_t pid;

	if (r < 0)
		return r;
	compiler = path_join(t->sysroot, "bin/rustc");
	if (!compiler)
		return -ENOMEM;
	argv[2] = compiler;
	r = spawn_start(
		&(struct spawn){ .path = "/proc/self/exe", .argv = argv, .only_fds = true }, &pid);
	/* it forks, and ends */
	return r < 0 ? r : spawn_wait(pid, NULL) == 0 ? 0 : -EIO;
}
