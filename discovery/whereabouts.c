#include "config.h"

#include "discovery/whereabouts.h"

#include <stdio.h>

void
whereabouts_init(struct whereabouts *w)
{
	pthread_mutex_init(&w->lock, NULL);
	w->at[0] = w->curve[0] = '\0';
}

void
whereabouts_set(struct whereabouts *w, const char *endpoint)
{
	pthread_mutex_lock(&w->lock);
	snprintf(w->at, sizeof(w->at), "%s", endpoint);
	pthread_mutex_unlock(&w->lock);
}

void
whereabouts_get(struct whereabouts *w, char ret[FOUND_ENDPOINT_MAX])
{
	pthread_mutex_lock(&w->lock);
	memcpy(ret, w->at, FOUND_ENDPOINT_MAX);
	pthread_mutex_unlock(&w->lock);
}

void
whereabouts_set_key(struct whereabouts *w, const char *curve)
{
	pthread_mutex_lock(&w->lock);
	snprintf(w->curve, sizeof(w->curve), "%s", curve);
	pthread_mutex_unlock(&w->lock);
}

void
whereabouts_get_key(struct whereabouts *w, char ret[CURVE_KEY_SIZE])
{
	pthread_mutex_lock(&w->lock);
	memcpy(ret, w->curve, CURVE_KEY_SIZE);
	pthread_mutex_unlock(&w->lock);
}

void
whereabouts_done(struct whereabouts *w)
{
	pthread_mutex_destroy(&w->lock);
}
