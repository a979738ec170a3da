/* The datagrams of sd_notify(3).
 *
 * Invariant: what was said and did not go out is owed, and goes out before anything newer. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "common/process/notify.h"

#define STATUS_MS 1000

enum { OWES_READY = 1, OWES_STOPPING = 2, OWES_STATUS = 4 };

static int
set_address(struct notify *n, const char *path)
{
	size_t len = strlen(path);

	/* systemd's others (vsock) are of managers of whole virtual machines */
	if ((*path != '/' && *path != '@') || len < 2 || len >= sizeof(n->to.sun_path))
		return -EINVAL;
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, path, len + 1);
	n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (*path == '@')
		n->to.sun_path[0] = '\0';
	else
		n->to_len++;
	return 0;
}

static int
parse_number(const char *text, uint64_t *ret)
{
	char *end;
	unsigned long long v;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || *end)
		return -EINVAL;
	*ret = v;
	return 0;
}

static int
read_watchdog(struct notify *n)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t us, whose = (uint64_t)getpid();

	if (!usec)
		return 0;
	if (parse_number(usec, &us) < 0 || us == 0 || (pid && parse_number(pid, &whose) < 0))
		return -EINVAL;
	/* half of it, as the manual page advises */
	if (whose == (uint64_t)getpid())
		n->every_ms = MAX2(us / 2000, (uint64_t)1);
	return 0;
}

static int
read_variables(struct notify *n)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int r = 0;

	if (!path || !*path)
		return 0;
	r = set_address(n, path);
	if (r == 0)
		r = read_watchdog(n);
	if (r < 0)
		return r;
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return n->fd < 0 ? -errno : 0;
}

int
notify_open(struct notify *n)
{
	int r;

	*n = (struct notify)NOTIFY_INIT;
	r = read_variables(n);
	if (r < 0)
		*n = (struct notify)NOTIFY_INIT;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return r;
}

void
notify_done(struct notify *n)
{
	closep(&n->fd);
}

/* False: there was no room. A manager that is gone has no use for it, and counts as told. */
static bool
tell(const struct notify *n, const char *text)
{
	ssize_t r;

	do
		r = sendto(n->fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&n->to,
			n->to_len);
	while (r < 0 && errno == EINTR);
	return r >= 0 || (errno != EAGAIN && errno != ENOBUFS);
}

/* Oldest first. True: nothing is owed any more. */
static bool
pay(struct notify *n)
{
	char text[NOTIFY_TEXT_MAX + 8];

	if ((n->owed & OWES_READY) && tell(n, "READY=1"))
		n->owed &= ~(unsigned)OWES_READY;
	if (!(n->owed & OWES_READY) && (n->owed & OWES_STOPPING) && tell(n, "STOPPING=1"))
		n->owed &= ~(unsigned)OWES_STOPPING;
	if (n->owed != OWES_STATUS)
		return n->owed == 0;
	snprintf(text, sizeof(text), "STATUS=%s", n->status);
	if (tell(n, text))
		n->owed = 0;
	return n->owed == 0;
}

void
notify_ready(struct notify *n)
{
	if (!n || n->fd < 0)
		return;
	n->owed |= OWES_READY;
	(void)pay(n);
}

void
notify_reloading(struct notify *n, uint64_t now_us)
{
	char text[64];

	if (!n || n->fd < 0)
		return;
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_us);
	/* Where this is lost, the READY=1 behind it means nothing new. */
	(void)tell(n, text);
}

void
notify_stopping(struct notify *n)
{
	if (!n || n->fd < 0)
		return;
	n->owed |= OWES_STOPPING;
	(void)pay(n);
}

void
notify_status(struct notify *n, uint64_t now_ms, const char *text)
{
	char line[NOTIFY_TEXT_MAX];
	size_t i;

	if (!n || n->fd < 0 || (*n->status && now_ms - n->status_ms < STATUS_MS))
		return;
	for (i = 0; text[i] && i < sizeof(line) - 1; i++)
		line[i] = (char)(iscntrl((unsigned char)text[i]) ? ' ' : text[i]);
	/* no half of a character */
	while (text[i] && i > 0 && ((unsigned char)text[i] & 0xc0) == 0x80)
		i--;
	line[i] = '\0';
	if (streq(line, n->status))
		return;
	memcpy(n->status, line, sizeof(line));
	n->status_ms = now_ms;
	n->owed |= OWES_STATUS;
	(void)pay(n);
}

void
notify_step(struct notify *n, uint64_t now_ms)
{
	if (!n || n->fd < 0 || !pay(n) || !n->every_ms)
		return;
	if (n->alive && now_ms - n->alive_ms < n->every_ms)
		return;
	if (!tell(n, "WATCHDOG=1"))
		return;
	n->alive = true;
	n->alive_ms = now_ms;
}

uint64_t
notify_wait(const struct notify *n, uint64_t now_ms, uint64_t most)
{
	uint64_t passed;

	if (!n || n->fd < 0 || !n->every_ms)
		return most;
	passed = now_ms - n->alive_ms;
	if (!n->alive || passed >= n->every_ms)
		return 0;
	return MIN2(n->every_ms - passed, most);
}
