#include "config.h"

#include "client/far/forget.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/process/spawn.h"
#include "common/thread.h"

#define STACK_BYTES (256u << 10)
#define NICE 19

static void
forget(const char *dray, char *key)
{
	_cleanup_(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char name[] = "dray", clear[] = "clear", option[] = "--producer";
	char *argv[] = { name, clear, option, key, NULL };
	const struct spawn_fd fds[] = { { null, 0 }, { null, 1 }, { null, 2 } };
	const struct spawn s = { .path = dray,
		.argv = argv,
		.cwd = "/",
		.fds = fds,
		.n_fds = ARRAY_LEN(fds),
		.new_group = true,
		.only_fds = true };
	pid_t pid;
	int r = null < 0 ? -1 : spawn_start(&s, &pid);

	if (r == 0)
		r = spawn_wait(pid, NULL);
	log_debug("what the key %s made is removed from the cache: status=%d", key, r);
}

static void *
work(void *arg)
{
	struct strv *keys = arg;
	_cleanup_(freep) char *dray = spawn_find_program("dray");

	/* what it starts has the same */
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	for (size_t i = 0; dray && i < keys->n && i < FORGET_MAX; i++)
		forget(dray, keys->v[i]);
	strv_done(keys);
	free(keys);
	return NULL;
}

void
forget_made(const struct conf *conf, struct strv *keys)
{
	struct strv *mine = keys->n > 0 && conf->client.cache != CACHE_READ ? malloc(sizeof(*mine))
									    : NULL;

	if (!mine) {
		strv_done(keys);
		return;
	}
	*mine = *keys;
	*keys = (struct strv)STRV_INIT;
	if (thread_start(THREAD_DETACHED, STACK_BYTES, work, mine, NULL) < 0) {
		strv_done(mine);
		free(mine);
	}
}
