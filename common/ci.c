/* Invariant: rw takes a variable of the CI's that says so; what is missing or unknown means ro. */
#include "config.h"

#include "common/ci.h"

#include <stdio.h>

#define NUMBER_DIGITS 12

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
