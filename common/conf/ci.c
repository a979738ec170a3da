/* Invariant: rw takes a variable of the CI's that says so; what is missing or unknown means ro. */
#include "config.h"

#include "common/conf/ci.h"

#include <errno.h>
#include <stdio.h>

#include "common/buf.h"

#define NUMBER_DIGITS 12
#define PLACES_MAX 8 /* store/chain/list.h */

static const char *
get(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp != NULL; envp++)
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
			return *envp + n + 1;
	return "";
}

static bool
is_yes(char *const *envp, const char *name)
{
	return streq(get(envp, name), "true");
}

static bool
is_one_of(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (streq(word, *words))
			return true;
	return false;
}

static void
set(struct ci *c, enum ci_mode mode, const char *why)
{
	c->mode = mode;
	c->why = why;
}

/* A number goes into a path: digits, followed by `end`. */
static void
set_own(struct ci *c, const char *what, const char *number, const char *end, const char *why)
{
	size_t n = strspn(number, "0123456789");

	if (n == 0 || n > NUMBER_DIGITS || !streq(number + n, end)) {
		set(c, CI_MODE_RO, "its pull request has no number in the CI's variables");
		return;
	}
	set(c, CI_MODE_OWN, why);
	snprintf(c->prefix, sizeof(c->prefix), "%s/%.*s", what, (int)n, number);
}

static void
by_github(char *const *envp, struct ci *c)
{
	static const char *const ours[] = { "push", "schedule", "workflow_dispatch", NULL };
	static const char pulls[] = "refs/pull/";
	const char *event = get(envp, "GITHUB_EVENT_NAME"), *ref = get(envp, "GITHUB_REF");

	c->kind = CI_GITHUB;
	if (streq(event, "pull_request"))
		set_own(c, "pr", starts_with(ref, pulls) ? ref + strlen(pulls) : "", "/merge",
			"it is a pull request's run");
	else if (!is_one_of(event, ours))
		set(c, CI_MODE_RO, "its event may be a stranger's");
	else if (is_yes(envp, "GITHUB_REF_PROTECTED"))
		set(c, CI_MODE_RW, "its branch is protected");
	else
		set(c, CI_MODE_RO, "its branch is not protected");
}

static void
by_gitlab(char *const *envp, struct ci *c)
{
	const char *merge = get(envp, "CI_MERGE_REQUEST_IID");
	const char *pull = get(envp, "CI_EXTERNAL_PULL_REQUEST_IID");
	const char *source = get(envp, "CI_PIPELINE_SOURCE");

	c->kind = CI_GITLAB;
	/* a child pipeline's source is its parent, and the number is there all the same */
	if (*merge != '\0' || streq(source, "merge_request_event"))
		set_own(c, "mr", merge, "", "it is a merge request's pipeline");
	else if (*pull != '\0' || streq(source, "external_pull_request_event"))
		set_own(c, "pr", pull, "", "it is a pull request's pipeline");
	else if (is_yes(envp, "CI_COMMIT_REF_PROTECTED"))
		set(c, CI_MODE_RW, "its branch is protected");
	else
		set(c, CI_MODE_RO, "its branch is not protected");
}

void
ci_find(char *const *envp, struct ci *ret)
{
	const char *any = get(envp, "CI");
	struct ci c = { .kind = CI_NONE };

	if (is_yes(envp, "GITHUB_ACTIONS")) {
		by_github(envp, &c);
	} else if (is_yes(envp, "GITLAB_CI")) {
		by_gitlab(envp, &c);
	} else if (*any != '\0' && !streq(any, "false") && !streq(any, "0")) {
		c.kind = CI_OTHER;
		set(&c, CI_MODE_RO, "it is a CI whose variables are not known here");
	} else {
		set(&c, CI_MODE_RO, "it is no CI");
	}
	*ret = c;
}

/* ---- a list of stores */

static const char blank[] = " \t\r\n";

/* What is set behind the URL's '?' under that name, with "&" before it, or NULL. */
static const char *
find_option(const char *url, const char *name)
{
	const char *at = strchr(url, '?');
	size_t n = strlen(name);

	while (at != NULL && !(strncmp(at + 1, name, n) == 0 && at[n + 1] == '='))
		at = strchr(at + 1, '&');
	return at;
}

/* The URL without its mode. */
static int
add_url(struct buf *b, const char *url)
{
	const char *mode = find_option(url, "mode"), *rest;
	int r;

	if (mode == NULL)
		return buf_adds(b, url);
	rest = mode + 1 + strcspn(mode + 1, "&");
	r = buf_add(b, url, (size_t)(mode - url));
	return r < 0 || *rest == '\0' ? r : buf_addf(b, "%c%s", *mode, rest + 1);
}

/* Whether there is something behind its '?' already. */
static const char *
separator(const struct buf *b, size_t from)
{
	return b->n > from && memchr(b->p + from, '?', b->n - from) != NULL ? "&" : "?";
}

/* Whether its words, of which any may be "", say that it is written to. */
static bool
is_written(const char *mode, const char *word)
{
	static const char *const words[] = { "", "rw", "own", NULL };

	return is_one_of(mode, words) && is_one_of(word, words);
}

/* A place: its URL, and what is behind it, or "". One that is only read, or is written in no way
 * that is known, stays as it is: who reads the list says what is wrong. */
static int
add_place(struct buf *b, const char *url, const char *word, const char *prefix, size_t *n)
{
	const char *option = find_option(url, "mode");
	char mode[8] = "";
	size_t from = b->n;
	int r = 0;

	if (option != NULL)
		snprintf(mode, sizeof(mode), "%.*s", (int)strcspn(option + 6, "&"), option + 6);
	if (!is_written(mode, word))
		return buf_addf(b, "%s%s%s", url, *word != '\0' ? " " : "", word);
	if (*n < PLACES_MAX && find_option(url, "below") == NULL) {
		r = add_url(b, url);
		if (r == 0)
			r = buf_addf(b, "%sbelow=%s own, ", separator(b, from), prefix);
		++*n;
	}
	if (r == 0)
		r = add_url(b, url);
	return r < 0 ? r : buf_adds(b, " ro");
}

static size_t
count_places(const char *stores)
{
	size_t n = 1;

	for (; *stores != '\0'; stores++)
		n += *stores == ',';
	return n;
}

int
ci_own_stores(const char *stores, const char *prefix, char **ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *copy = strdup(stores);
	size_t n = count_places(stores);
	int r = copy == NULL ? -ENOMEM : 0;

	for (char *part = copy, *next; r == 0 && part != NULL; part = next) {
		char *word, *end;

		next = strchr(part, ',');
		if (next != NULL)
			*next++ = '\0';
		part += strspn(part, blank);
		word = part + strcspn(part, blank);
		if (*word != '\0')
			*word++ = '\0';
		word += strspn(word, blank);
		end = word + strlen(word);
		while (end > word && strchr(blank, end[-1]) != NULL)
			*--end = '\0';
		/* an empty one is a mistake, which is said by who reads the list */
		if (b.n != 0)
			r = buf_adds(&b, ", ");
		if (r == 0 && *part != '\0')
			r = add_place(&b, part, word, prefix, &n);
	}
	if (r == 0)
		r = buf_add(&b, "", 1);
	if (r < 0)
		return r;
	*ret = (char *)steal_ptr(b.p);
	return 0;
}
