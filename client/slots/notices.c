/* Invariants: a record is written by one call, under its lock; a reader takes no lock that a writer
 * could meet. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/slots/notices.h"
#include "common/clock.h"

#define PLACES_MAX 4096
#define FILE_NAME "waiting"
#define TEXT_SIZE (NOTICE_SIZE - PROC_SIGNATURE_SIZE)

/* Cut where it is too long. */
static void
put(char *to, size_t size, const char *text)
{
	size_t n = strnlen(text, size - 1);

	memcpy(to, text, n);
	to[n] = '\0';
}

void
notice_make(struct notice *n, const char *kind, const char *what, const char *dir)
{
	char cwd[PATH_MAX];

	*n = (struct notice){ .since_ms = clock_wall_ms() };
	if (!dir)
		dir = getcwd(cwd, sizeof(cwd)) ? cwd : "";
	put(n->kind, sizeof(n->kind), kind);
	put(n->what, sizeof(n->what), what);
	put(n->dir, sizeof(n->dir), dir);
}

/* In a dependency's case the compiler runs among its sources, which says nothing of the build. */
static bool
parent_dir(char ret[PATH_MAX])
{
	char path[48];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%ld/cwd", (long)getppid());
	n = readlink(path, ret, PATH_MAX - 1);
	if (n <= 0 || *ret != '/' || getppid() == 1)
		return false;
	ret[n] = '\0';
	return true;
}

void
notice_make_unit(struct notice *n, const char *kind, const char *crate, const char *crate_kind)
{
	const char *name = getenv("CARGO_PKG_NAME"), *version = getenv("CARGO_PKG_VERSION");
	char what[NOTICE_WHAT_MAX], dir[PATH_MAX];

	if (name && version)
		snprintf(what, sizeof(what), "%.100s %.40s (%s %.80s)", name, version, crate_kind,
			crate);
	else
		snprintf(what, sizeof(what), "%s (%s)", crate, crate_kind);
	notice_make(n, kind, what, parent_dir(dir) ? dir : NULL);
}

int
notice_write(int fd, off_t at, const struct notice *n)
{
	char record[NOTICE_SIZE], *text = record + PROC_SIGNATURE_SIZE;
	int k;

	memset(record, 0, sizeof(record));
	proc_signature(record);
	k = snprintf(text, TEXT_SIZE, "%" PRIu64 " %d %s", n->since_ms, (int)n->state, n->kind);
	k += 1 + snprintf(text + k + 1, TEXT_SIZE - (size_t)k - 1, "%s", n->what);
	snprintf(text + k + 1, TEXT_SIZE - (size_t)k - 1, "%s", n->dir);
	return pwrite(fd, record, sizeof(record), at) == (ssize_t)sizeof(record) ? 0 : -EIO;
}

/* How many bytes the UTF-8 character at s has; 0: it is none. */
static size_t
character(const unsigned char *s)
{
	size_t n = *s < 0x80   ? 1
		   : *s < 0xc2 ? 0
		   : *s < 0xe0 ? 2
		   : *s < 0xf0 ? 3
		   : *s < 0xf5 ? 4
			       : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* too long a form; a surrogate; beyond the last one */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* The next text; cut where it is too long. What follows it, or NULL at the end. */
static const char *
take_text(const char *at, const char *end, char *ret, size_t size)
{
	const char *nul = at ? memchr(at, '\0', (size_t)(end - at)) : NULL;
	size_t n = 0;

	*ret = '\0';
	if (!nul)
		return NULL;
	while (at < nul) {
		size_t k = character((const unsigned char *)at);

		if (n + MAX2(k, (size_t)1) >= size)
			break;
		if (k)
			memcpy(ret + n, at, k);
		else
			ret[n] = '?';
		n += MAX2(k, (size_t)1);
		at += MAX2(k, (size_t)1);
	}
	ret[n] = '\0';
	return nul + 1;
}

int
notice_read(int fd, off_t at, struct notice *ret)
{
	char record[NOTICE_SIZE + 1] = "", head[64], kind[16] = "";
	const char *p = record + PROC_SIGNATURE_SIZE, *end = record + NOTICE_SIZE;
	int state = 0;

	*ret = (struct notice){ .since_ms = 0 };
	if (pread(fd, record, NOTICE_SIZE, at) <= 0 || proc_parse(record, &ret->process) < 0) {
		ret->process = (struct proc_name){ .pid = 0 };
		return -ENOENT;
	}
	p = take_text(p, end, head, sizeof(head));
	if (sscanf(head, "%20" SCNu64 " %5d %15[a-z]", &ret->since_ms, &state, kind) != 3 ||
		state < 0 || state >= NOTICE_STATES)
		return -ENOENT;
	put(ret->kind, sizeof(ret->kind), kind);
	ret->state = (enum notice_state)state;
	p = take_text(p, end, ret->what, sizeof(ret->what));
	(void)take_text(p, end, ret->dir, sizeof(ret->dir));
	return 0;
}

/* ---- those that wait */

static struct flock
record_lock(off_t at)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
}

int
notices_begin(int dir_fd, const struct notice *n, struct notices_place *place)
{
	int r = 0;

	if (place->fd >= 0)
		return notice_write(place->fd, place->at, n);
	place->fd = openat(dir_fd, FILE_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (place->fd < 0)
		return -errno;
	r = -ENOSPC;
	for (off_t i = 0; i < PLACES_MAX; i++) {
		struct flock l = record_lock(i * NOTICE_SIZE);

		place->at = l.l_start;
		r = fcntl(place->fd, F_OFD_SETLK, &l) < 0 ? -errno : 0;
		if (r != -EAGAIN && r != -EACCES)
			break;
	}
	if (r == 0)
		r = notice_write(place->fd, place->at, n);
	if (r < 0)
		closep(&place->fd);
	return r;
}

void
notices_end(struct notices_place *place)
{
	closep(&place->fd);
}

int
notices_each(int dir_fd, notices_fn fn, void *arg)
{
	_cleanup_(closep) int fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	int r = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	for (off_t at = 0; r == 0 && at < st.st_size && at < (off_t)PLACES_MAX * NOTICE_SIZE;
		at += NOTICE_SIZE) {
		struct flock l = record_lock(at);
		struct notice n;

		if (fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK &&
			notice_read(fd, at, &n) == 0 && n.state != NOTICE_HOLDS)
			r = fn(arg, &n);
	}
	return r;
}
