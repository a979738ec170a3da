#include "config.h"

#include "worker/peers/owners.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "common/recent.h"

#define KEY_MAX 64 /* in Z85 it has 40 characters */

struct owners {
	pthread_mutex_t lock;
	struct recent *pairs;
};

int
owners_new(size_t most, struct owners **ret)
{
	_cleanup_(owners_freep) struct owners *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return -ENOMEM;
	pthread_mutex_init(&o->lock, NULL);
	r = recent_new(most, 0, &o->pairs);
	if (r == 0)
		*ret = steal_ptr(o);
	return r;
}

void
owners_freep(struct owners **o)
{
	if (*o) {
		pthread_mutex_destroy(&(*o)->lock);
		recent_freep(&(*o)->pairs);
	}
	free(*o);
	*o = NULL;
}

/* What is a client's is not everybody's, whatever that client is called. */
static void
name_of(const char *client, char ret[KEY_MAX])
{
	snprintf(ret, KEY_MAX, "%c%s", client ? '=' : '*', client ? client : "");
}

void
owners_add(struct owners *o, const char *client, const struct digest *blob)
{
	char name[KEY_MAX];

	name_of(client, name);
	pthread_mutex_lock(&o->lock);
	(void)recent_add(o->pairs, name, blob);
	pthread_mutex_unlock(&o->lock);
}

static bool
has(struct owners *o, const char *client, const struct digest *blob)
{
	char name[KEY_MAX];
	bool found;

	name_of(client, name);
	pthread_mutex_lock(&o->lock);
	found = recent_find(o->pairs, name, blob) != NULL;
	pthread_mutex_unlock(&o->lock);
	return found;
}

bool
owners_has(struct owners *o, const char *client, const struct digest *blob)
{
	return has(o, client, blob) || has(o, NULL, blob);
}
