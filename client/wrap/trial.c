#include "config.h"

#include "client/wrap/trial.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/fs.h"

#define ABOVE_MAX 16 /* a script may run make, that a shell, that another script */
#define STAT_MAX 4096

bool
trial_is(const struct rustc_call *call)
{
	/* cargo's own calls have JSON; those of a cargo that a script runs do, too */
	return !call->json && getenv("OUT_DIR") && getenv("NUM_JOBS") && getenv("HOST") &&
	       getenv("TARGET");
}

/* Its name is cargo's; *ret_above: its parent. */
static bool
is_cargo(pid_t pid, pid_t *ret_above)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char path[64], *name, *end;
	int above = 0;

	*ret_above = 0;
	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	if (fs_read_file(path, STAT_MAX, &b) < 0 || buf_add(&b, "", 1) < 0)
		return false;
	/* "PID (NAME) STATE PARENT …", and a name may have brackets of its own */
	name = strchr((char *)b.p, '(');
	end = strrchr((char *)b.p, ')');
	if (!name || !end || end < name || sscanf(end + 1, " %*c %d", &above) != 1)
		return false;
	*ret_above = (pid_t)above;
	return end - name - 1 == 5 && memcmp(name + 1, "cargo", 5) == 0;
}

pid_t
trial_cargo(pid_t pid)
{
	pid_t above = 0;

	for (int i = 0; i < ABOVE_MAX && pid > 1; i++, pid = above)
		if (is_cargo(pid, &above))
			return pid;
	return 0;
}
