#include "config.h"

#include "store/chain/list.h"

#include <errno.h>
#include <stdio.h>

#include "common/text/why.h"
#include "store/url.h"

static const char BLANK[] = " \t\r\n";

void
chain_list_done(struct chain_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->urls[i] != NULL)
			explicit_bzero(l->urls[i], strlen(l->urls[i]));
		free(l->urls[i]);
		free(l->shown[i]);
	}
	*l = (struct chain_list){ .n = 0 };
}

/* One place: its URL, and its word or "". */
static int
add(struct chain_list *l, const char *url, const char *word, char **ret_why)
{
	_cleanup_(store_url_freep) struct store_url *u = NULL;
	_cleanup_(freep) char *why = NULL;
	unsigned number = (unsigned)l->n + 1;
	const char *mode, *options, *separator;
	size_t i = l->n;
	int r;

	if (l->n == CHAIN_PLACES_MAX)
		return why_set(ret_why, -EINVAL, "there may be %d stores in a list, and no more",
			CHAIN_PLACES_MAX);
	r = store_url_parse(url, &u, &why);
	if (r < 0)
		return why_set(ret_why, r, "store %u of the list: %s", number,
			why != NULL ? why : strerror(-r));
	/* the word may be a piece of a password with a blank in it */
	if (word[0] != '\0' && !streq(word, "ro") && !streq(word, "rw") && !streq(word, "own"))
		return why_set(ret_why, -EINVAL,
			"store %u of the list: behind its URL comes ro, rw or own, or a comma and "
			"the "
			"next "
			"one (%%2C is a comma in a URL, and %%20 a blank)",
			number);
	mode = store_url_get(u, STORE_PARAM_MODE);
	if (word[0] != '\0' && mode != NULL && !streq(word, mode))
		return why_set(ret_why, -EINVAL,
			"store %u of the list: its URL says mode=%s, and %s comes behind it",
			number, mode, word);
	if (word[0] == '\0' && mode != NULL)
		word = mode;
	l->read_only[i] = streq(word, "ro");
	l->own[i] = streq(word, "own");
	l->n++;
	l->shown[i] = store_url_show(u);
	/* "…?" has no options, and is fine */
	options = strchr(url, '?');
	separator = options == NULL ? "?" : options[1] == '\0' ? "" : "&";
	if (mode != NULL || word[0] == '\0')
		l->urls[i] = strdup(url);
	else if (asprintf(&l->urls[i], "%s%smode=%s", url, separator, word) < 0)
		l->urls[i] = NULL;
	if (l->urls[i] == NULL || l->shown[i] == NULL)
		return -ENOMEM;
	for (size_t k = 0; k < i; k++)
		if (streq(l->urls[k], l->urls[i]))
			return why_set(ret_why, -EINVAL, "stores %zu and %u of the list are one",
				k + 1, number);
	return 0;
}

/* "URL word" in place. */
static int
add_part(struct chain_list *l, char *part, char **ret_why)
{
	char *word, *end;

	part += strspn(part, BLANK);
	word = part + strcspn(part, BLANK);
	if (*part == '\0')
		return why_set(ret_why, -EINVAL,
			"store %zu of the list is empty: there is a comma too many", l->n + 1);
	if (*word != '\0') {
		*word++ = '\0';
		word += strspn(word, BLANK);
		end = word + strlen(word);
		while (end > word && strchr(BLANK, end[-1]) != NULL)
			*--end = '\0';
	}
	return add(l, part, word, ret_why);
}

int
chain_list_parse(const char *text, struct chain_list *ret, char **ret_why)
{
	struct chain_list l = { .n = 0 };
	char *copy, *part;
	int r = 0;

	if (text[strspn(text, BLANK)] == '\0') {
		*ret = l;
		return 0;
	}
	copy = strdup(text);
	if (copy == NULL)
		return -ENOMEM;
	for (part = copy; r == 0 && part != NULL;) {
		char *comma = strchr(part, ',');

		if (comma != NULL)
			*comma = '\0';
		r = add_part(&l, part, ret_why);
		part = comma != NULL ? comma + 1 : NULL;
	}
	explicit_bzero(copy, strlen(text));
	free(copy);
	if (r < 0)
		chain_list_done(&l);
	else
		*ret = l;
	return r;
}
