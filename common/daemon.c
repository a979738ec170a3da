/* Settings, limits, and the message that a daemon serves. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/daemon.h"
#include "common/fs.h"

#define FD_MAX (1 << 20)

int
daemon_conf(const struct strv *settings, struct conf **ret, char **ret_error)
{
	_cleanup_(conf_freep) struct conf *c = NULL;
	int r;

	r = conf_load(&c, ret_error);
	for (size_t i = 0; r == 0 && i < settings->n; i++)
		r = conf_set(c, settings->v[i], ret_error);
	if (r == 0)
		*ret = steal_ptr(c);
	return r;
}

int
daemon_raise_limits(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return -errno;
	lim.rlim_cur = lim.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &lim) < 0 ? -errno : 0;
}

int
daemon_parse_fd(const char *text, int *ret)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || end == text || *end || v < 0 || v > FD_MAX)
		return -EINVAL;
	*ret = (int)v;
	return 0;
}

int
daemon_say_ready(int *fd, const char *endpoint)
{
	_cleanup_(freep) char *line = NULL;
	int r;

	if (*fd < 0)
		return 0;
	if (asprintf(&line, "%s\n", endpoint) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	r = fs_write_all(*fd, line, strlen(line));
	closep(fd);
	return r;
}
