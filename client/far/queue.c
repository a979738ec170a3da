/* Invariant: a file of such a name is whole. What is of another name is none, and stays. */
#include "config.h"

#include "client/far/queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fs.h"

#define DIR_NAME "uploads"
#define REFILLS_NAME "refills"
#define TARGET_DIGITS 32
#define ENV_MAX (1u << 20)
#define HEX (DIGEST_HEX_SIZE - 1)
#define NAME_SIZE (2 * DIGEST_HEX_SIZE) /* with '-' and NUL */
#define LIST_NAME "list-"
#define LIST_DEAD_S 10 /* one that is made a moment ago may not be locked yet */

struct found {
	struct queue_item item;
	struct timespec when;
};

static void
name_of(const struct queue_item *i, char ret[NAME_SIZE])
{
	char key[DIGEST_HEX_SIZE], result[DIGEST_HEX_SIZE];

	digest_hex(&i->key, key);
	digest_hex(&i->result, result);
	snprintf(ret, NAME_SIZE, "%s-%s", key, result);
}

static bool
parse_name(const char *name, struct queue_item *ret)
{
	char key[DIGEST_HEX_SIZE];

	if (strlen(name) != NAME_SIZE - 1 || name[HEX] != '-')
		return false;
	memcpy(key, name, HEX);
	key[HEX] = '\0';
	return digest_parse(key, &ret->key) == 0 && digest_parse(name + HEX + 1, &ret->result) == 0;
}

static int
path_of(const char *dir, const char *name, char **ret)
{
	return asprintf(ret, "%s/%s", dir, name) < 0 ? -ENOMEM : 0;
}

static int
dir_of(const struct conf *conf, const char *name, char **ret)
{
	const char *const target[] = { conf->client.store, conf->client.namespace,
		conf->client.identity, conf->client.coordinator };
	/* as before there were farms that keep a cache */
	size_t n_target = ARRAY_LEN(target) - !target[ARRAY_LEN(target) - 1];
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	char hex[DIGEST_HEX_SIZE], *dir;
	struct digest d;

	if (!h)
		return -ENOMEM;
	for (size_t i = 0; i < n_target; i++)
		hasher_field(h, target[i] ? target[i] : "", target[i] ? strlen(target[i]) : 0);
	hasher_final(h, &d);
	digest_hex(&d, hex);
	if (asprintf(&dir, "%s/%s/%.*s", conf->client.cache_dir, name, TARGET_DIGITS, hex) < 0)
		return -ENOMEM;
	*ret = dir;
	return 0;
}

int
queue_dir(const struct conf *conf, char **ret)
{
	return dir_of(conf, DIR_NAME, ret);
}

int
queue_refill_dir(const struct conf *conf, char **ret)
{
	return dir_of(conf, REFILLS_NAME, ret);
}

int
queue_add(const char *dir, const struct queue_item *i, char *const *env)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *path = NULL;
	char name[NAME_SIZE];
	int r;

	name_of(i, name);
	r = path_of(dir, name, &path);
	if (r < 0) {
		path = NULL;
		return r;
	}
	for (; r == 0 && *env; env++)
		r = buf_add(&b, *env, strlen(*env) + 1);
	if (r == 0 && b.n > ENV_MAX)
		r = -E2BIG;
	if (r == 0)
		r = fs_mkdir_parent(path, 0700);
	return r < 0 ? r : fs_write_atomic(path, b.p ? b.p : (uint8_t *)"", b.n, 0600);
}

static int
compare(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->when.tv_sec != y->when.tv_sec)
		return x->when.tv_sec < y->when.tv_sec ? -1 : 1;
	return x->when.tv_nsec < y->when.tv_nsec ? -1 : x->when.tv_nsec > y->when.tv_nsec;
}

static int
read_dir(DIR *d, struct found **v, size_t *n)
{
	size_t cap = 0;
	struct dirent *e;

	while ((e = readdir(d)) != NULL) {
		struct queue_item item;
		struct stat st;

		if (!parse_name(e->d_name, &item) ||
			fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISREG(st.st_mode))
			continue;
		if (*n == cap) {
			struct found *more;

			cap = cap ? 2 * cap : 64;
			more = reallocarray(*v, cap, sizeof(*more));
			if (!more)
				return -ENOMEM;
			*v = more;
		}
		(*v)[(*n)++] = (struct found){ item, st.st_mtim };
	}
	return 0;
}

int
queue_list(const char *dir, struct queue_item **ret, size_t *ret_n)
{
	_cleanup_(freep) struct found *v = NULL;
	_cleanup_(closedirp) DIR *d = opendir(dir);
	struct queue_item *items;
	size_t n = 0;
	int r;

	if (!d && errno != ENOENT)
		return -errno;
	r = d ? read_dir(d, &v, &n) : 0;
	if (r < 0)
		return r;
	items = calloc(n + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	if (n)
		qsort(v, n, sizeof(*v), compare);
	for (size_t i = 0; i < n; i++)
		items[i] = v[i].item;
	/* of what has waited longest a later build is the least likely to be asked */
	for (size_t i = 0; i + QUEUE_MAX < n; i++)
		queue_remove(dir, &items[i]);
	if (n > QUEUE_MAX)
		memmove(items, items + (n - QUEUE_MAX), QUEUE_MAX * sizeof(*items));
	*ret = items;
	*ret_n = MIN2(n, (size_t)QUEUE_MAX);
	return 0;
}

int
queue_read(const char *dir, const struct queue_item *i, struct strv *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *path = NULL;
	char name[NAME_SIZE];
	int r;

	name_of(i, name);
	r = path_of(dir, name, &path);
	if (r < 0) {
		path = NULL;
		return r;
	}
	r = fs_read_file(path, ENV_MAX, &b);
	if (r == 0 && b.n && b.p[b.n - 1] != '\0')
		r = -EBADMSG;
	for (const char *p = (const char *)b.p; r == 0 && b.n && p < (const char *)b.p + b.n;
		p += strlen(p) + 1)
		r = strv_add(ret, p);
	return r;
}

void
queue_remove(const char *dir, const struct queue_item *i)
{
	char name[NAME_SIZE], *path;

	name_of(i, name);
	if (path_of(dir, name, &path) < 0)
		return;
	unlink(path);
	free(path);
}

int
queue_note_list(const char *dir, char **ret_path)
{
	_cleanup_(freep) char *path = path_join(dir, LIST_NAME "XXXXXX");
	_cleanup_(closep) int fd = -1;
	int r = path ? fs_mkdir_parent(path, 0700) : -ENOMEM;

	if (r < 0)
		return r;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = -errno;
		unlink(path);
		return r;
	}
	*ret_path = steal_ptr(path);
	return steal_fd(&fd);
}

void
queue_drop_list(char *path, int fd)
{
	unlink(path);
	free(path);
	close(fd);
}

/* Of one that is not locked: nobody will put it any more. */
static bool
is_dead(int dir, const char *name, int fd)
{
	struct stat st;

	if (flock(fd, LOCK_SH | LOCK_NB) < 0 || fstat(fd, &st) < 0)
		return false;
	if (time(NULL) - st.st_mtim.tv_sec > LIST_DEAD_S)
		unlinkat(dir, name, 0);
	return true;
}

size_t
queue_count_lists(const char *dir)
{
	_cleanup_(closedirp) DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d)) != NULL) {
		_cleanup_(closep) int fd = -1;

		if (!starts_with(e->d_name, LIST_NAME))
			continue;
		fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		n += fd >= 0 && !is_dead(dirfd(d), e->d_name, fd);
	}
	return n;
}

int
queue_lock(const char *dir)
{
	_cleanup_(freep) char *path = path_join(dir, "lock");
	_cleanup_(closep) int fd = -1;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : steal_fd(&fd);
}
