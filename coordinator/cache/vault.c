/* The stores of the namespaces. */
#include "config.h"

#include "coordinator/cache/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "cache/shared.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "common/text/why.h"
#include "coordinator/cache/merge.h"
#include "coordinator/cache/purged.h"
#include "proto/wire.h"
#include "store/disk.h"

#define TRIM_FILES 256u

struct vault {
	char *dir;
	const struct conf *conf;
	int lock;
	struct vault_space *spaces;
	struct purged *purged;
};

static int
take_lock(struct vault *v)
{
	_cleanup_(freep) char *path = path_join(v->dir, "lock");

	if (!path)
		return -ENOMEM;
	v->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (v->lock < 0)
		return -errno;
	if (flock(v->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

int
vault_new(const struct conf *conf, struct vault **ret, char **ret_error)
{
	const char *dir = conf->coordinator.cache_dir;
	struct vault *v;
	int r;

	if (!dir)
		return why_set(ret_error, -ENOENT, "No directory for the shared cache is known.");
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->lock = -1;
	v->conf = conf;
	v->dir = strdup(dir);
	r = v->dir ? fs_mkdir_p(v->dir, 0700) : -ENOMEM;
	if (r == 0)
		r = fs_check_owner(v->dir);
	if (r == 0)
		r = take_lock(v);
	if (r == 0) {
		r = purged_open(v->dir, &v->purged);
		if (r == -EBADMSG || r == -EPROTONOSUPPORT) {
			vault_free(v);
			return why_set(ret_error, r,
				"%s/purged, which says what was purged, cannot be read: %s.", dir,
				r == -EBADMSG ? "it is damaged" : "it is of a later version");
		}
	}
	if (r < 0) {
		vault_free(v);
		return why_set(ret_error, r, "%s: the shared cache cannot be kept here: %s.", dir,
			r == -EBUSY ? "another coordinator keeps its own here" : strerror(-r));
	}
	*ret = v;
	return 0;
}

void
vault_free(struct vault *v)
{
	struct vault_space *s;

	if (!v)
		return;
	while ((s = v->spaces) != NULL) {
		v->spaces = s->next;
		store_close(s->store);
		free(s->dir);
		free(s);
	}
	closep(&v->lock);
	purged_free(v->purged);
	free(v->dir);
	free(v);
}

const char *
vault_dir(const struct vault *v)
{
	return v->dir;
}

struct purged *
vault_purged(const struct vault *v)
{
	return v->purged;
}

static struct vault_space *
known(const struct vault *v, const char *name)
{
	struct vault_space *s = v->spaces;

	while (s && !streq(s->name, name))
		s = s->next;
	return s;
}

const struct vault_space *
vault_known(const struct vault *v, const char *name)
{
	return known(v, name);
}

static void
set_budget(const struct vault *v, struct vault_space *s)
{
	s->max = conf_sizes_get(
		v->conf->coordinator.cache_sizes, s->name, v->conf->coordinator.cache_size);
	allowance_set(&s->uploads, conf_quota_get(v->conf->coordinator.quota_upload, s->name));
}

void
vault_use(struct vault *v, const struct conf *conf)
{
	v->conf = conf;
	for (struct vault_space *s = v->spaces; s; s = s->next) {
		set_budget(v, s);
		if (s->state == SPACE_OPEN)
			disk_set_max(s->store, s->max);
	}
}

struct vault_space *
vault_walk(const struct vault *v, struct vault_space *prev)
{
	return prev ? prev->next : v->spaces;
}

struct vault_space *
vault_find(struct vault *v, const char *name)
{
	struct vault_space *s = known(v, name);

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	if (strlen(name) >= sizeof(s->name) || strchr(name, '/') ||
		asprintf(&s->dir, "%s/ns%s%s", v->dir, *name ? "-" : "", name) < 0) {
		free(s);
		return NULL;
	}
	memcpy(s->name, name, strlen(name) + 1);
	s->purged = v->purged;
	set_budget(v, s);
	s->next = v->spaces;
	v->spaces = s;
	return s;
}

int
vault_open(struct vault_space *s)
{
	const struct disk_in disk = { .index = &disk_index_memory };
	const struct store_in in = { .where = s->dir, .max = s->max, .disk = &disk };
	int r = store_open(&store_disk, &in, &s->store);

	if (r < 0)
		s->store = NULL;
	else
		vault_trim(s);
	return r;
}

int
vault_get(struct vault_space *s, enum store_kind kind, const struct digest *name, uint64_t most,
	uint64_t *ret_size)
{
	return store_get_now(s->store, kind, name, most, ret_size);
}

int
vault_look(
	struct vault_space *s, enum store_kind kind, const struct digest *name, uint64_t *ret_size)
{
	return store_has_now(s->store, kind, name, ret_size);
}

int
vault_put_entry(struct vault_space *s, const struct digest *name, const struct signers *signers,
	const struct signer *who, const void *p, size_t n, struct merge_note *note)
{
	_cleanup_(buf_done) struct buf old = BUF_INIT;
	_cleanup_(buf_done) struct buf merged = BUF_INIT;
	int r = store_read_now(s->store, STORE_ENTRY, name, WIRE_SHARED_ENTRY_MAX, &old);

	if (r < 0 && r != -ENOENT && r != -EFBIG)
		return r;
	r = merge_entry(name, &old, signers, who, p, n, &merged, note);
	if (r < 0)
		return r;
	return r == 1 ? store_put_entry_now(s->store, name, p, n)
		      : store_put_entry_now(s->store, name, merged.p, merged.n);
}

int
vault_take_blob(struct vault_space *s, int fd, const struct digest *name, uint64_t size)
{
	_cleanup_(freep) char *path = NULL;
	char from[64], hex[DIGEST_HEX_SIZE];
	struct digest found;
	int r;

	digest_hex(name, hex);
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if (asprintf(&path, "%s/tmp/far-%s", s->dir, hex) < 0)
		return -ENOMEM;
	if (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0) {
		r = disk_adopt_as(s->store, path, fd, name, size);
		(void)unlink(path);
		return MIN2(r, 0);
	}
	/* a file that cannot get a name any more, as where there is no O_TMPFILE */
	r = store_put_fd_now(s->store, fd, &found, NULL);
	return r < 0 ? r : digest_eq(&found, name) ? 0 : -EBADMSG;
}

static int
list_in(const char *dir, struct digest **v, size_t *n, size_t *cap)
{
	_cleanup_(closedirp) DIR *d = opendir(dir);
	const struct dirent *e;

	if (!d)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while ((e = readdir(d)) != NULL) {
		struct digest name;

		if (digest_parse(e->d_name, &name) < 0)
			continue;
		if (*n == *cap) {
			size_t more = *cap ? 2 * *cap : 1024;
			struct digest *larger = reallocarray(*v, more, sizeof(*larger));

			if (!larger)
				return -ENOMEM;
			*v = larger;
			*cap = more;
		}
		(*v)[(*n)++] = name;
	}
	return 0;
}

int
vault_list(struct vault_space *s, enum store_kind kind, struct digest **ret, size_t *ret_n)
{
	_cleanup_(freep) struct digest *v = NULL;
	size_t n = 0, cap = 0;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < 256; i++) {
		_cleanup_(freep) char *dir = NULL;

		if (asprintf(&dir, "%s/%s/%02x", s->dir, kind == STORE_BLOB ? "blobs" : "entries",
			    i) < 0) {
			dir = NULL;
			return -ENOMEM;
		}
		r = list_in(dir, &v, &n, &cap);
	}
	if (r < 0)
		return r;
	*ret = steal_ptr(v);
	*ret_n = n;
	return 0;
}

static bool
goes(const struct shared_entry *e, size_t i, const struct vault_purge *what)
{
	struct shared_seal seal;

	if (shared_peek(e, i, &seal) < 0)
		return false;
	return (!what->producer || memcmp(seal.producer, what->producer, SIGN_KEY_SIZE) == 0) &&
	       (!what->before_s || seal.time_s < what->before_s);
}

size_t
vault_purge_results(struct shared_entry *e, const struct vault_purge *what)
{
	size_t n = 0;

	for (size_t i = e->n; i-- > 0;) {
		if ((what->producer || what->before_s) && !goes(e, i, what))
			continue;
		shared_entry_drop(e, i);
		n++;
	}
	return n;
}

int
vault_purge_entry(struct vault_space *s, const struct digest *name, const struct vault_purge *what,
	uint64_t *ret_results)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	bool all = !what->producer && !what->before_s;
	int r;

	*ret_results = 0;
	if (what->key && !digest_eq(what->key, name))
		return 0;
	r = store_read_now(s->store, STORE_ENTRY, name, WIRE_SHARED_ENTRY_MAX, &b);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = shared_entry_decode(b.p, b.n, name, &e);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		r = all ? disk_drop(s->store, STORE_ENTRY, name) : 0;
		return r < 0 ? r : all;
	}
	*ret_results = vault_purge_results(&e, what);
	if (e.n == 0) {
		r = disk_drop(s->store, STORE_ENTRY, name);
		return r < 0 ? r : 1;
	}
	if (*ret_results == 0)
		return 0;
	buf_done(&b);
	r = shared_entry_encode(&e, &b);
	if (r == 0)
		r = store_put_entry_now(s->store, name, b.p, b.n);
	return r < 0 ? r : 1;
}

void
vault_trim(struct vault_space *s)
{
	struct store_stats before, after;

	do {
		if (store_get_stats(s->store, &before) < 0)
			return;
		store_trim(s->store, TRIM_FILES);
		if (store_get_stats(s->store, &after) < 0)
			return;
	} while (after.bytes > s->max && after.bytes < before.bytes);
}

void
vault_count(const struct vault_space *s, struct store_stats *ret)
{
	*ret = (struct store_stats){ .max = s->max };
	if (store_get_stats(s->store, ret) < 0)
		*ret = (struct store_stats){ .max = s->max };
}
