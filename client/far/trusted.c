/* Invariant: a list in a store is replaced by none that is older. */
#include "config.h"

#include "client/far/trusted.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "common/fs.h"
#include "common/text/why.h"

#define WAIT_MS 2000

static bool
names_admin(const struct trust_keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->v[i].kind == TRUST_ADMIN && !k->v[i].revoked)
			return true;
	return false;
}

static int
get_list(struct stores *s, struct buf *ret)
{
	struct clerk_request q = {
		.what = CLERK_GET, .kind = STORE_ENTRY, .max = KEYS_OBJECT_MAX, .ms = WAIT_MS
	};
	struct store_reply reply = { .fd = -1 };
	_cleanup_(closep) int fd = -1;
	int r = keys_object_name(&q.name);

	if (r == 0)
		r = stores_ask_now(s, &q, &reply);
	if (r < 0)
		return r;
	fd = reply.fd;
	r = buf_reserve(ret, (size_t)reply.size);
	if (r == 0 && fs_read_at(fd, ret->p, (size_t)reply.size, 0) != (ssize_t)reply.size)
		r = -EIO;
	if (r == 0)
		ret->n = (size_t)reply.size;
	return r;
}

const char *
trusted_why(int error)
{
	switch (error) {
	case -EBADMSG:
		return "it makes no sense";
	case -EPROTONOSUPPORT:
		return "it is of a later format";
	case -EKEYREJECTED:
		return "no admin that trust_keys names signed it";
	case -EKEYEXPIRED:
		return "it has expired";
	case -ESTALE:
		return "it is older than one that was seen here";
	default:
		return strerror(-error);
	}
}

static int
refuse(char **ret_why, int err)
{
	return ret_why ? why_set(ret_why, err, "the store's list of keys is not taken: %s",
				 trusted_why(err))
		       : err;
}

int
trusted_take(struct stores *s, const struct conf *conf, struct trust_keys *to, char **ret_why)
{
	_cleanup_(keys_object_done) struct keys_object o = { .serial = 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = names_admin(to) ? get_list(s, &b) : -ENOENT;

	if (r == 0)
		r = keys_object_take(
			b.p, b.n, to, (uint64_t)time(NULL), conf->client.cache_dir, &o);
	if (r == 0)
		r = trust_keys_add(to, &o.keys);
	return r == 0 || r == -ENOENT || r == -ENOMEM ? r : refuse(ret_why, r);
}

/* Whether the stores have none that is later. */
static int
check_later(struct stores *s, const struct keys_object *o, char **ret_why)
{
	_cleanup_(keys_object_done) struct keys_object there = { .serial = 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = get_list(s, &b);

	if (r == 0 && keys_object_peek(b.p, b.n, &there) == 0 &&
		memcmp(there.admin, o->admin, SIGN_KEY_SIZE) == 0 && there.serial > o->serial)
		return why_set(ret_why, -ESTALE,
			"the store has a later one: serial %" PRIu64 ", and not %" PRIu64,
			there.serial, o->serial);
	/* what is damaged, or of a later format, is not in its way */
	return r == -ENOENT || r == -EBADMSG ? 0 : r;
}

static int
put_list(const struct conf *conf, const char *tmp, const struct keys_object *o, const void *p,
	size_t n, char **ret_why)
{
	_cleanup_(stores_closep) struct stores *s = NULL;
	struct clerk_request q = { .what = CLERK_PUT_ENTRY, .p = p, .n = n };
	struct store_reply reply = { .fd = -1 };
	int r = stores_open(conf, NULL, tmp, &s, ret_why);

	if (r == -ENOENT)
		return why_set(ret_why, r, "no store is configured (store, remote_mode)");
	if (r == 0 && !stores_are_written(s))
		return why_set(ret_why, -EROFS, "no store is written to (remote_mode, store)");
	if (r == 0)
		r = check_later(s, o, ret_why);
	if (r == 0)
		r = keys_object_name(&q.name);
	return r < 0 ? r : stores_ask_now(s, &q, &reply);
}

int
trusted_put(const struct conf *conf, const void *p, size_t n, char **ret_why)
{
	_cleanup_(keys_object_done) struct keys_object o = { .serial = 0 };
	_cleanup_(freep) char *tmp = path_join(conf->client.cache_dir, "tmp");
	int r = keys_object_peek(p, n, &o);

	*ret_why = NULL;
	if (r < 0)
		return why_set(ret_why, r, "it is no signed list of keys");
	r = tmp ? fs_mkdir_p(tmp, 0700) : -ENOMEM;
	if (r == 0)
		r = put_list(conf, tmp, &o, p, n, ret_why);
	return r < 0 && !*ret_why ? why_set(ret_why, r, "%s", strerror(-r)) : r;
}
