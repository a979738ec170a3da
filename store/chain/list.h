/* The places that a configuration names, in the order in which they are read:
 *
 *   store = URL [ro|rw|own], URL [ro|rw|own], …
 *
 * `ro`: nothing is written there; `rw` is what a place is without a word; `own`: what is new is
 * written there, and what another place had is not. A comma in a URL is written as %2C. */
#ifndef DRAY_STORE_CHAIN_LIST_H
#define DRAY_STORE_CHAIN_LIST_H

#include "common/base.h"

#define CHAIN_PLACES_MAX 8

struct chain_list {
	char *urls[CHAIN_PLACES_MAX];  /* for place_open: the word is in it, as `mode` */
	char *shown[CHAIN_PLACES_MAX]; /* without secrets */
	bool read_only[CHAIN_PLACES_MAX], own[CHAIN_PLACES_MAX];
	size_t n;
};

/* 0; -EINVAL, and a sentence in *ret_why that shows no secret (NULL without memory); -ENOMEM. *ret
 * is as it was, then. An empty text is an empty list. */
int chain_list_parse(const char *text, struct chain_list *ret, char **ret_why);
void chain_list_done(struct chain_list *l);

#endif
