#include "config.h"

#include "cache/attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static const char *const names[] = { "kind", "mode", "owner", "group", "size", "mtime", "ctime",
	"time of creation" };

static int64_t
nanoseconds(const struct statx_timestamp *t)
{
	return t->tv_sec * 1000000000 + t->tv_nsec;
}

int
attributes_read(const char *path, bool links, struct attributes *ret)
{
	struct statx st;

	if (statx(AT_FDCWD, path, links ? 0 : AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME,
		    &st) < 0)
		return -errno;
	*ret = (struct attributes){ .v = { [ATTRIBUTE_KIND] = st.stx_mode & S_IFMT,
					    [ATTRIBUTE_MODE] = st.stx_mode & 07777,
					    [ATTRIBUTE_UID] = st.stx_uid,
					    [ATTRIBUTE_GID] = st.stx_gid,
					    [ATTRIBUTE_MODIFIED] = nanoseconds(&st.stx_mtime),
					    [ATTRIBUTE_CHANGED] = nanoseconds(&st.stx_ctime) } };
	if (!S_ISDIR(st.stx_mode))
		ret->v[ATTRIBUTE_SIZE] = (int64_t)st.stx_size;
	if (st.stx_mask & STATX_BTIME)
		ret->v[ATTRIBUTE_CREATED] = nanoseconds(&st.stx_btime);
	return 0;
}

const char *
attributes_difference(const struct attributes *kept, const struct attributes *now)
{
	for (unsigned i = 0; i < ATTRIBUTES; i++)
		if (kept->v[i] != now->v[i] && !(kept->ignored & ATTRIBUTE_TIMES & (1u << i)))
			return names[i];
	return NULL;
}

static int64_t
seconds(int64_t ns)
{
	return ns / 1000000000 - (ns % 1000000000 < 0);
}

unsigned
attributes_moved(const struct attributes *a, const struct attributes *b)
{
	unsigned moved = 0;

	for (unsigned i = ATTRIBUTE_MODIFIED; i < ATTRIBUTES; i++)
		if (seconds(a->v[i]) != seconds(b->v[i]))
			moved |= 1u << i;
	return moved;
}

int
attributes_encode(const struct attributes *a, struct buf *ret)
{
	return buf_add(ret, a, sizeof(*a));
}

int
attributes_decode(const struct buf *b, struct attributes *ret)
{
	if (b->n != sizeof(*ret))
		return -EBADMSG;
	memcpy(ret, b->p, sizeof(*ret));
	return 0;
}
