/* Which runs write, by the variables that GitHub and GitLab really set for each kind of run, and by
 * those that a run may set to be taken for another. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/conf/ci.h"

#define GITHUB "CI=true", "GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=team/app"
#define GITLAB "CI=true", "GITLAB_CI=true", "CI_PROJECT_PATH=team/app"

static const struct row {
	const char *what;
	const char *env[12];
	enum ci_kind kind;
	enum ci_mode mode;
	const char *prefix;
} ROWS[] = {
	{ "nothing", { "HOME=/home/a" }, CI_NONE, CI_MODE_RO, "" },
	{ "CI=false", { "CI=false" }, CI_NONE, CI_MODE_RO, "" },
	{ "a CI that is not known", { "CI=1", "JENKINS_URL=x" }, CI_OTHER, CI_MODE_RO, "" },

	{ "github: push to a protected branch",
		{ GITHUB, "GITHUB_EVENT_NAME=push", "GITHUB_REF=refs/heads/main",
			"GITHUB_REF_NAME=main", "GITHUB_REF_PROTECTED=true",
			"GITHUB_REF_TYPE=branch", "GITHUB_HEAD_REF=", "GITHUB_BASE_REF=" },
		CI_GITHUB, CI_MODE_RW, "" },
	{ "github: push to another branch",
		{ GITHUB, "GITHUB_EVENT_NAME=push", "GITHUB_REF=refs/heads/fix",
			"GITHUB_REF_PROTECTED=false" },
		CI_GITHUB, CI_MODE_RO, "" },
	{ "github: a nightly run",
		{ GITHUB, "GITHUB_EVENT_NAME=schedule", "GITHUB_REF=refs/heads/main",
			"GITHUB_REF_PROTECTED=true" },
		CI_GITHUB, CI_MODE_RW, "" },
	{ "github: by hand",
		{ GITHUB, "GITHUB_EVENT_NAME=workflow_dispatch", "GITHUB_REF=refs/heads/main",
			"GITHUB_REF_PROTECTED=true" },
		CI_GITHUB, CI_MODE_RW, "" },
	{ "github: a tag that nothing protects",
		{ GITHUB, "GITHUB_EVENT_NAME=push", "GITHUB_REF=refs/tags/v1",
			"GITHUB_REF_PROTECTED=false", "GITHUB_REF_TYPE=tag" },
		CI_GITHUB, CI_MODE_RO, "" },
	{ "github: a pull request",
		{ GITHUB, "GITHUB_EVENT_NAME=pull_request", "GITHUB_REF=refs/pull/123/merge",
			"GITHUB_REF_NAME=123/merge", "GITHUB_REF_PROTECTED=false",
			"GITHUB_HEAD_REF=fix", "GITHUB_BASE_REF=main" },
		CI_GITHUB, CI_MODE_OWN, "pr/123" },
	{ "github: a pull request whose ref is said to be protected",
		{ GITHUB, "GITHUB_EVENT_NAME=pull_request", "GITHUB_REF=refs/pull/7/merge",
			"GITHUB_REF_PROTECTED=true" },
		CI_GITHUB, CI_MODE_OWN, "pr/7" },
	{ "github: a pull request without a number",
		{ GITHUB, "GITHUB_EVENT_NAME=pull_request", "GITHUB_REF=refs/heads/main",
			"GITHUB_REF_PROTECTED=true" },
		CI_GITHUB, CI_MODE_RO, "" },
	{ "github: a number that leads elsewhere",
		{ GITHUB, "GITHUB_EVENT_NAME=pull_request", "GITHUB_REF=refs/pull/../../merge" },
		CI_GITHUB, CI_MODE_RO, "" },
	{ "github: a number that goes on",
		{ GITHUB, "GITHUB_EVENT_NAME=pull_request", "GITHUB_REF=refs/pull/1/x/merge" },
		CI_GITHUB, CI_MODE_RO, "" },
	{ "github: a number too long",
		{ GITHUB, "GITHUB_EVENT_NAME=pull_request",
			"GITHUB_REF=refs/pull/1234567890123/merge" },
		CI_GITHUB, CI_MODE_RO, "" },
	{ "github: pull_request_target runs on the protected branch, with a stranger's changes",
		{ GITHUB, "GITHUB_EVENT_NAME=pull_request_target", "GITHUB_REF=refs/heads/main",
			"GITHUB_REF_PROTECTED=true", "GITHUB_HEAD_REF=fix",
			"GITHUB_BASE_REF=main" },
		CI_GITHUB, CI_MODE_RO, "" },
	{ "github: so may workflow_run",
		{ GITHUB, "GITHUB_EVENT_NAME=workflow_run", "GITHUB_REF=refs/heads/main",
			"GITHUB_REF_PROTECTED=true" },
		CI_GITHUB, CI_MODE_RO, "" },
	{ "github: and a comment",
		{ GITHUB, "GITHUB_EVENT_NAME=issue_comment", "GITHUB_REF=refs/heads/main",
			"GITHUB_REF_PROTECTED=true" },
		CI_GITHUB, CI_MODE_RO, "" },
	{ "github: a merge queue's branch",
		{ GITHUB, "GITHUB_EVENT_NAME=merge_group",
			"GITHUB_REF=refs/heads/gh-readonly-queue/main/pr-5-abc",
			"GITHUB_REF_PROTECTED=true" },
		CI_GITHUB, CI_MODE_RO, "" },
	{ "github: nothing but its name", { "GITHUB_ACTIONS=true" }, CI_GITHUB, CI_MODE_RO, "" },

	{ "gitlab: push to a protected branch",
		{ GITLAB, "CI_PIPELINE_SOURCE=push", "CI_COMMIT_REF_NAME=main",
			"CI_COMMIT_BRANCH=main", "CI_COMMIT_REF_PROTECTED=true",
			"CI_DEFAULT_BRANCH=main" },
		CI_GITLAB, CI_MODE_RW, "" },
	{ "gitlab: a nightly pipeline",
		{ GITLAB, "CI_PIPELINE_SOURCE=schedule", "CI_COMMIT_REF_PROTECTED=true" },
		CI_GITLAB, CI_MODE_RW, "" },
	{ "gitlab: push to another branch",
		{ GITLAB, "CI_PIPELINE_SOURCE=push", "CI_COMMIT_BRANCH=fix",
			"CI_COMMIT_REF_PROTECTED=false" },
		CI_GITLAB, CI_MODE_RO, "" },
	{ "gitlab: a merge request",
		{ GITLAB, "CI_PIPELINE_SOURCE=merge_request_event", "CI_MERGE_REQUEST_IID=42",
			"CI_MERGE_REQUEST_ID=991", "CI_COMMIT_REF_PROTECTED=false",
			"CI_MERGE_REQUEST_SOURCE_PROJECT_PATH=stranger/app" },
		CI_GITLAB, CI_MODE_OWN, "mr/42" },
	{ "gitlab: a merge request of protected branches",
		{ GITLAB, "CI_PIPELINE_SOURCE=merge_request_event", "CI_MERGE_REQUEST_IID=42",
			"CI_COMMIT_REF_PROTECTED=true" },
		CI_GITLAB, CI_MODE_OWN, "mr/42" },
	{ "gitlab: its child pipeline",
		{ GITLAB, "CI_PIPELINE_SOURCE=parent_pipeline", "CI_MERGE_REQUEST_IID=42",
			"CI_COMMIT_REF_PROTECTED=true" },
		CI_GITLAB, CI_MODE_OWN, "mr/42" },
	{ "gitlab: a pull request of another host",
		{ GITLAB, "CI_PIPELINE_SOURCE=external_pull_request_event",
			"CI_EXTERNAL_PULL_REQUEST_IID=9", "CI_COMMIT_REF_PROTECTED=true" },
		CI_GITLAB, CI_MODE_OWN, "pr/9" },
	{ "gitlab: a merge request without a number",
		{ GITLAB, "CI_PIPELINE_SOURCE=merge_request_event",
			"CI_COMMIT_REF_PROTECTED=true" },
		CI_GITLAB, CI_MODE_RO, "" },
	{ "gitlab: a number that is none",
		{ GITLAB, "CI_PIPELINE_SOURCE=merge_request_event", "CI_MERGE_REQUEST_IID=4/2" },
		CI_GITLAB, CI_MODE_RO, "" },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
		const struct row *r = &ROWS[i];
		char *env[ARRAY_LEN(r->env) + 1] = { NULL };
		struct ci c;

		for (size_t k = 0; k < ARRAY_LEN(r->env) && r->env[k] != NULL; k++)
			assert_non_null(env[k] = strdup(r->env[k]));
		ci_find(env, &c);
		if (c.kind != r->kind || c.mode != r->mode || !streq(c.prefix, r->prefix))
			fail_msg("%s: kind %d, mode %d, prefix \"%s\" (%s)", r->what, c.kind,
				c.mode, c.prefix, c.why);
		assert_true(c.why[0] != '\0');
		for (size_t k = 0; k < ARRAY_LEN(env); k++)
			free(env[k]);
	}
}

static void
test_own_stores(void **state)
{
	static const struct {
		const char *stores, *own;
	} rows[] = {
		{ "s3://b/p", "s3://b/p?below=pr/7 own, s3://b/p ro" },
		{ "s3://b/p?region=r rw",
			"s3://b/p?region=r&below=pr/7 own, s3://b/p?region=r ro" },
		{ "file:///a?mode=rw", "file:///a?below=pr/7 own, file:///a ro" },
		{ "file:///a?mode=rw&access=all",
			"file:///a?access=all&below=pr/7 own, file:///a?access=all ro" },
		{ "file:///a?access=all&mode=own",
			"file:///a?access=all&below=pr/7 own, file:///a?access=all ro" },
		/* what is only read stays so */
		{ " redis://h ro ,\n\thttps://u:p@h/x  rw ",
			"redis://h ro, https://u:p@h/x?below=pr/7 own, https://u:p@h/x ro" },
		{ "file:///a?mode=ro", "file:///a?mode=ro" },
		{ "file:///a?mode=r%6f", "file:///a?mode=r%6f" },
		{ "file:///a r/o, file:///b rw ro", "file:///a r/o, file:///b rw ro" },
		{ "file:///a?below=x", "file:///a?below=x ro" },
		/* a password with such a word in it */
		{ "https://u:mode=rw@h",
			"https://u:mode=rw@h?below=pr/7 own, https://u:mode=rw@h ro" },
		{ "file:///1,file:///2,file:///3,file:///4,file:///5,file:///6,file:///7",
			"file:///1?below=pr/7 own, file:///1 ro, file:///2 ro, file:///3 ro, "
			"file:///4 ro, file:///5 ro, file:///6 ro, file:///7 ro" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(freep) char *own = NULL;

		assert_int_equal(ci_own_stores(rows[i].stores, "pr/7", &own), 0);
		assert_string_equal(own, rows[i].own);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_own_stores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
