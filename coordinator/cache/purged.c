/* Invariant: a record that one other says as well is not there twice: purging the same again and
 * again keeps one, the latest. The lock is held for the list, and while it is written. */
#include "config.h"

#include "coordinator/cache/purged.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "cache/shared.h"
#include "coordinator/admin/kept.h"

#define FILE_NAME "purged"
#define FILE_MAX ((size_t)PURGED_MAX * 256)
#define NONE "-"  /* of a namespace: without a name; of a producer, a key: any */
#define EVERY "*" /* namespace */

struct record {
	uint64_t until_s;
	char namespace[KEYS_NAME_MAX + 1];
	bool everywhere, of_producer, of_key;
	struct digest producer, key; /* a producer's key is as long */
};

struct purged {
	pthread_mutex_t lock;
	char *dir; /* NULL: it is not written */
	struct record *v;
	size_t n;
};

static const struct kept_form form = { "dray-purged", "1", false };

static bool
is_same(const struct record *a, const struct record *b)
{
	return a->everywhere == b->everywhere && streq(a->namespace, b->namespace) &&
	       a->of_producer == b->of_producer && a->of_key == b->of_key &&
	       (!a->of_producer || digest_eq(&a->producer, &b->producer)) &&
	       (!a->of_key || digest_eq(&a->key, &b->key));
}

/* The latest one is the last. */
static int
add(struct purged *p, const struct record *r)
{
	struct record *v, one = *r;

	for (size_t i = 0; i < p->n; i++)
		if (is_same(&p->v[i], r)) {
			one.until_s = MAX2(one.until_s, p->v[i].until_s);
			memmove(&p->v[i], &p->v[i + 1], (p->n - i - 1) * sizeof(*p->v));
			p->n--;
			break;
		}
	if (p->n == PURGED_MAX) {
		memmove(p->v, p->v + 1, (p->n - 1) * sizeof(*p->v));
		p->n--;
	}
	v = reallocarray(p->v, p->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->v = v;
	v[p->n++] = one;
	return 0;
}

/* ---- the file */

static int
take_digest(const char *word, bool *ret_is, struct digest *ret)
{
	if (!word)
		return -EBADMSG;
	*ret_is = !streq(word, NONE);
	return *ret_is ? digest_parse(word, ret) : 0;
}

static int
take_line(char *line, void *arg)
{
	struct purged *p = arg;
	struct record r = { .until_s = 0 };
	const char *until = strsep(&line, " "), *namespace = strsep(&line, " "),
		   *producer = strsep(&line, " "), *key = strsep(&line, " ");
	char *end = NULL;

	if (!until || *until < '0' || *until > '9' || !namespace || !*namespace || line ||
		strlen(namespace) > KEYS_NAME_MAX ||
		take_digest(producer, &r.of_producer, &r.producer) < 0 ||
		take_digest(key, &r.of_key, &r.key) < 0 || p->n == PURGED_MAX)
		return -EBADMSG;
	errno = 0;
	r.until_s = strtoull(until, &end, 10);
	if (*end || errno)
		return -EBADMSG;
	r.everywhere = streq(namespace, EVERY);
	if (!r.everywhere && !streq(namespace, NONE))
		memcpy(r.namespace, namespace, strlen(namespace) + 1);
	return add(p, &r);
}

int
purged_parse(const char *text, size_t n, struct purged **ret)
{
	struct purged *p = calloc(1, sizeof(*p));
	int r = p ? 0 : -ENOMEM;

	if (p)
		pthread_mutex_init(&p->lock, NULL);
	if (r == 0 && n > 0)
		r = kept_lines(&form, text, n, take_line, p);
	if (r < 0)
		purged_free(p);
	else
		*ret = p;
	return r;
}

int
purged_print(struct purged *p, struct buf *ret)
{
	char producer[DIGEST_HEX_SIZE], key[DIGEST_HEX_SIZE];
	int r = kept_begin(&form, ret);

	for (size_t i = 0; r == 0 && i < p->n; i++) {
		const struct record *v = &p->v[i];

		digest_hex(&v->producer, producer);
		digest_hex(&v->key, key);
		r = buf_addf(ret, "%llu %s %s %s\n", (unsigned long long)v->until_s,
			v->everywhere	? EVERY
			: *v->namespace ? v->namespace
					: NONE,
			v->of_producer ? producer : NONE, v->of_key ? key : NONE);
	}
	return r;
}

int
purged_open(const char *dir, struct purged **ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct purged *p = NULL;
	int r = kept_read(dir, FILE_NAME, FILE_MAX, &b);

	if (r >= 0)
		r = purged_parse((const char *)b.p, r == 1 ? b.n : 0, &p);
	if (r < 0)
		return r;
	p->dir = strdup(dir);
	if (!p->dir) {
		purged_free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void
purged_free(struct purged *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p->dir);
	free(p->v);
	free(p);
}

/* ---- its use */

int
purged_add(struct purged *p, const char *namespace, const struct vault_purge *what, uint64_t now_s)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct record one = { .until_s = what->before_s ? what->before_s : now_s + PURGED_SLACK_S,
		.everywhere = !namespace,
		.of_producer = what->producer != NULL,
		.of_key = what->key != NULL };
	int r;

	if (namespace && strlen(namespace) > KEYS_NAME_MAX)
		return -EINVAL;
	if (namespace)
		memcpy(one.namespace, namespace, strlen(namespace) + 1);
	if (what->producer)
		memcpy(one.producer.b, what->producer, SIGN_KEY_SIZE);
	if (what->key)
		one.key = *what->key;
	pthread_mutex_lock(&p->lock);
	r = add(p, &one);
	if (r == 0)
		r = purged_print(p, &b);
	if (r == 0 && p->dir)
		r = kept_write(p->dir, FILE_NAME, &b);
	pthread_mutex_unlock(&p->lock);
	return r;
}

static bool
is_meant(const struct purged *p, const char *namespace, const struct digest *key,
	const struct shared_seal *seal)
{
	for (size_t i = p->n; i-- > 0;) {
		const struct record *v = &p->v[i];

		if ((v->everywhere || streq(v->namespace, namespace)) &&
			seal->time_s < v->until_s && (!v->of_key || digest_eq(&v->key, key)) &&
			(!v->of_producer ||
				memcmp(v->producer.b, seal->producer, SIGN_KEY_SIZE) == 0))
			return true;
	}
	return false;
}

size_t
purged_sift(struct purged *p, const char *namespace, struct shared_entry *e)
{
	size_t n = 0;

	pthread_mutex_lock(&p->lock);
	for (size_t i = e->n; p->n > 0 && i-- > 0;) {
		struct shared_seal seal;

		if (shared_peek(e, i, &seal) < 0 || !is_meant(p, namespace, &e->key, &seal))
			continue;
		shared_entry_drop(e, i);
		n++;
	}
	pthread_mutex_unlock(&p->lock);
	return n;
}
