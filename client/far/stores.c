#include "config.h"

#include "client/far/stores.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/fs.h"
#include "store/chain/chain.h"
#include "store/chain/clerk.h"

#define LOST_MS 1000
#define REST_MS 30000
#define REST_MAX_MS 480000

struct stores {
	struct clerk *clerk;	     /* has the chain of them */
	const struct far_farm *farm; /* NULL: there is none */
	bool writes;		     /* remote_mode says so */
	bool farm_writes;	     /* and not only below a prefix of its own (common/conf/ci.h) */
	bool written;		     /* one of the list is */
	bool several;
	pthread_mutex_t lock; /* of all below */
	uint64_t lost_ms, rest_ms, rest_until;
};

/* ---- opening */

static int
open_chain(struct stores *s, const struct conf *conf, const char *tmp, struct store **ret,
	char **ret_why)
{
	struct chain_in in = { .tmp = tmp, .first_name = FAR_FARM_NAME, .renews = s->writes };
	const struct store_in first = { .tmp = tmp };
	_cleanup_(chain_list_done) struct chain_list list = { .n = 0 };
	const char *urls = conf->client.store ? conf->client.store : "";
	bool any = false;
	int r = chain_list_parse(urls, &list, ret_why);

	if (r == 0 && s->farm)
		r = s->farm->share(s->farm->arg, !s->farm_writes, &first, &in.first);
	if (r < 0)
		return r;
	for (size_t i = 0; i < list.n; i++)
		any |= !list.read_only[i];
	s->written = any && s->writes;
	s->several = list.n + (s->farm != NULL) > 1;
	return chain_open(&list, &in, ret, ret_why);
}

int
stores_open(const struct conf *conf, const struct far_farm *farm, const char *tmp,
	struct stores **ret, char **ret_why)
{
	_cleanup_(freep) struct stores *s = NULL;
	struct store *chain = NULL;
	bool named = conf->client.store && *conf->client.store;
	int r;

	if ((!named && !farm) || conf->client.remote_mode == REMOTE_OFF)
		return -ENOENT;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->farm = farm;
	s->writes = conf->client.remote_mode == REMOTE_READWRITE;
	s->farm_writes = s->writes && conf->client.ci_mode != CI_MODE_OWN;
	r = open_chain(s, conf, tmp, &chain, ret_why);
	if (r == 0)
		r = clerk_open(chain, &s->clerk);
	if (r < 0)
		return r;
	pthread_mutex_init(&s->lock, NULL);
	*ret = steal_ptr(s);
	return 0;
}

void
stores_closep(struct stores **ret)
{
	struct stores *s = *ret;

	*ret = NULL;
	if (!s)
		return;
	clerk_finish(s->clerk);
	clerk_free(s->clerk);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

bool
stores_are_written(const struct stores *s)
{
	return s->written || (s->farm && s->farm_writes);
}

enum far_puts
stores_puts(struct stores *s)
{
	return s->written		   ? FAR_PUTS
	       : s->farm && s->farm_writes ? s->farm->puts(s->farm->arg)
					   : FAR_PUTS_NO;
}

bool
stores_are_several(const struct stores *s)
{
	return s->several;
}

/* ---- asking */

void
stores_ask(struct stores *s, struct clerk_request *q)
{
	clerk_ask(s->clerk, q);
}

int
stores_ask_now(struct stores *s, struct clerk_request *q, struct store_reply *reply)
{
	return clerk_ask_now(s->clerk, q, reply);
}

/* ---- whether it pays */

uint64_t
stores_rest(struct stores *s)
{
	uint64_t now = clock_mono_ms(), left;

	pthread_mutex_lock(&s->lock);
	left = s->rest_until > now ? s->rest_until - now : 0;
	pthread_mutex_unlock(&s->lock);
	return left;
}

void
stores_note_wait(struct stores *s, uint64_t ms, bool in_vain)
{
	pthread_mutex_lock(&s->lock);
	if (!in_vain) {
		s->lost_ms /= 2;
		s->rest_ms = 0;
	} else {
		s->lost_ms += ms;
	}
	if (s->lost_ms >= LOST_MS) {
		s->rest_ms = s->rest_ms ? MIN2(2 * s->rest_ms, (uint64_t)REST_MAX_MS) : REST_MS;
		s->rest_until = clock_mono_ms() + s->rest_ms;
		s->lost_ms = 0;
	}
	pthread_mutex_unlock(&s->lock);
}
