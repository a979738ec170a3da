#include "config.h"

#include "cache/attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "common/strv.h"

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
		if (kept->v[i] != now->v[i] &&
			!(kept->ignored & (ATTRIBUTE_TIMES | ATTRIBUTE_OWNER) & (1u << i)))
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

/* ---- extended attributes */

typedef ssize_t (*list_fn)(const char *path, char *list, size_t size);
typedef ssize_t (*get_fn)(const char *path, const char *name, void *value, size_t size);

static int
list_names(const char *path, list_fn list, struct strv *ret)
{
	_cleanup_(freep) char *text = malloc(XATTR_LIST_MAX);
	ssize_t n = text ? list(path, text, XATTR_LIST_MAX) : 0;
	int r = text ? 0 : -ENOMEM;

	if (n < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (ssize_t i = 0; r == 0 && i < n; i += (ssize_t)strlen(text + i) + 1)
		r = strv_add(ret, text + i);
	strv_sort_unique(ret);
	return r;
}

static int
hash_all(struct hasher *h, const char *path, list_fn list, get_fn get)
{
	_cleanup_(strv_done) struct strv all = STRV_INIT;
	_cleanup_(freep) char *value = NULL;
	int r = list_names(path, list, &all);

	if (r < 0 || all.n == 0)
		return r;
	value = malloc(XATTR_SIZE_MAX);
	if (!value)
		return -ENOMEM;
	for (size_t i = 0; i < all.n; i++) {
		ssize_t n = get(path, all.v[i], value, XATTR_SIZE_MAX);

		hasher_field(h, all.v[i], strlen(all.v[i]));
		/* one that may be listed but not read counts by its name */
		hasher_field(h, value, n < 0 ? 0 : (size_t)n);
	}
	return 0;
}

int
attributes_extended(const char *path, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	struct stat st;
	int r;

	if (!h)
		return -ENOMEM;
	if (lstat(path, &st) < 0)
		return -errno;
	r = hash_all(h, path, llistxattr, lgetxattr);
	if (r == 0 && S_ISLNK(st.st_mode)) {
		hasher_field(h, "", 0);
		r = hash_all(h, path, listxattr, getxattr);
	}
	/* a link that leads nowhere */
	if (r < 0 && r != -ENOENT)
		return r;
	hasher_final(h, ret);
	return 0;
}

/* ---- */

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
