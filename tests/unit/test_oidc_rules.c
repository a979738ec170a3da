/* Rules of who may join by a token: what is an error, and which rule counts. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinator/oidc/rules.h"

#define ISSUER "https://tokens.example"
#define FILE_OF(allow) \
	"{\"issuers\":[{\"issuer\":\"" ISSUER "\",\"audience\":\"dray\",\"allow\":[" allow "]}]}"
#define ALLOW(claims) FILE_OF("{\"role\":\"client\",\"claims\":" claims "}")

static int
parse(const char *text, struct oidc_rules *ret, char **why)
{
	*why = NULL;
	return oidc_rules_parse(text, strlen(text), ret, why);
}

static void
test_errors(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "line 1" },
		{ "[]", "no object" },
		{ "{\"issuers\":[],\"issuers\":[]}", "duplicate" },
		{ "{\"issuers\":[]}", "no list" },
		{ "{\"issuer\":[]}", "\"issuer\" is no member" },
		{ "{\"issuers\":[{}]}", "issuer 1: issuer is no URL" },
		{ "{\"issuers\":[{\"issuer\":\"http://tokens.example\"}]}", "no URL" },
		{ "{\"issuers\":[{\"issuer\":\"https://a@tokens.example\"}]}", "no URL" },
		{ "{\"issuers\":[{\"issuer\":\"https://\"}]}", "no URL" },
		{ "{\"issuers\":[{\"issuer\":\"" ISSUER "\"}]}", "no audience" },
		{ "{\"issuers\":[{\"issuer\":\"" ISSUER "\",\"audience\":\"dray\"}]}", "allow" },
		{ "{\"issuers\":[{\"issuer\":\"" ISSUER
		  "\",\"audience\":\"dray\",\"keys\":\"file:///k\"}]}",
			"keys is no URL" },
		{ FILE_OF("{}"), "issuer 1: rule 1: there is no role" },
		{ FILE_OF("{\"role\":\"worker\",\"claims\":{\"sub\":\"x\"}}"), "may be client" },
		{ FILE_OF("{\"role\":\"admin\",\"claims\":{\"sub\":\"x\"}}"), "may be client" },
		{ FILE_OF("{\"role\":\"client\"}"), "claims is no object" },
		{ FILE_OF("{\"role\":\"client\",\"name\":\"x\",\"claims\":{\"sub\":\"x\"}}"),
			"\"name\" is no member" },
		{ FILE_OF("{\"role\":\"client\",\"namespace\":\"a b\",\"claims\":{\"sub\":\"x\"}}"),
			"a namespace is" },
		{ FILE_OF("{\"role\":\"client\",\"ttl\":\"25h\",\"claims\":{\"sub\":\"x\"}}"),
			"ttl" },
		{ FILE_OF("{\"role\":\"client\",\"ttl\":\"0m\",\"claims\":{\"sub\":\"x\"}}"),
			"ttl" },
		{ FILE_OF("{\"role\":\"client\",\"ttl\":\"6\",\"claims\":{\"sub\":\"x\"}}"),
			"ttl" },
		{ FILE_OF("{\"role\":\"client\",\"ttl\":6,\"claims\":{\"sub\":\"x\"}}"), "ttl" },
		{ ALLOW("{}"), "whose runs" },
		{ ALLOW("{\"ref_protected\":\"true\"}"), "whose runs" },
		{ ALLOW("{\"sub\":\"*\"}"), "the claim \"sub\"" },
		{ ALLOW("{\"sub\":\"\"}"), "the claim \"sub\"" },
		{ ALLOW("{\"sub\":\"repo:*\"}"), "the claim \"sub\"" },
		{ ALLOW("{\"sub\":\"/*\"}"), "the claim \"sub\"" },
		{ ALLOW("{\"repository\":\"example*\"}"), "the claim \"repository\"" },
		{ ALLOW("{\"repository\":\"*/web\"}"), "the claim \"repository\"" },
		{ ALLOW("{\"repository\":\"example/*/x\"}"), "the claim \"repository\"" },
		{ ALLOW("{\"repository\":[]}"), "the claim \"repository\"" },
		{ ALLOW("{\"repository\":null}"), "the claim \"repository\"" },
		{ ALLOW("{\"repository\":[[\"x\"]]}"), "the claim \"repository\"" },
		{ ALLOW("{\"repository\":1.5}"), "the claim \"repository\"" },
		{ "{\"issuers\":[{\"issuer\":\"" ISSUER
		  "\",\"audience\":\"a\",\"allow\":[{\"role\":\"client\",\"claims\":{\"sub\":\"x\"}"
		  "}]},"
		  "{\"issuer\":\"" ISSUER "\",\"audience\":\"b\",\"allow\":[{\"role\":\"client\","
		  "\"claims\":{\"sub\":\"x\"}}]}]}",
			"issuer 2: it is there already" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct oidc_rules rules = OIDC_RULES_INIT;
		_cleanup_(freep) char *why = NULL;

		if (parse(cases[i].text, &rules, &why) != -EBADMSG || !why ||
			!strstr(why, cases[i].why))
			fail_msg("%s: \"%s\" and not \"%s\"", cases[i].text, why ? why : "",
				cases[i].why);
		assert_null(rules.v);
	}
}

static const char rules_text[] =
	"{\"issuers\":[{\"issuer\":\"" ISSUER "\",\"audience\":\"dray\",\"allow\":["
	"{\"role\":\"publisher\",\"namespace\":\"web\",\"ttl\":\"90m\",\"claims\":"
	"{\"repository\":\"example/web\",\"ref_protected\":\"true\",\"run_attempt\":[1,2]}},"
	"{\"role\":\"client\",\"claims\":{\"sub\":[\"repo:example/*\",\"project_path:example/"
	"x:*\"],"
	"\"public\":false}},"
	"{\"role\":\"reader\",\"claims\":{\"repository_owner_id\":42}}]}]}";

static void
test_match(void **state)
{
#define WEB "\"repository\":\"example/web\",\"ref_protected\":\"true\""
	static const struct {
		const char *claims;
		int rule; /* -1: none */
	} cases[] = {
		{ "{" WEB ",\"run_attempt\":2}", 0 },
		{ "{" WEB ",\"run_attempt\":3}", -1 },
		{ "{" WEB ",\"run_attempt\":\"2\"}", -1 },
		{ "{" WEB "}", -1 },
		{ "{\"repository\":\"example/web\",\"ref_protected\":true,\"run_attempt\":1}", -1 },
		{ "{\"repository\":\"Example/web\",\"ref_protected\":\"true\",\"run_attempt\":1}",
			-1 },
		{ "{\"repository\":[\"example/web\"],\"ref_protected\":\"true\",\"run_attempt\":1}",
			-1 },
		{ "{\"sub\":\"repo:example/web:ref:refs/heads/x\",\"public\":false}", 1 },
		{ "{\"sub\":\"project_path:example/x:y\",\"public\":false}", 1 },
		{ "{\"sub\":\"project_path:example/xy\",\"public\":false}", -1 },
		{ "{\"sub\":\"repo:example/\",\"public\":false}", -1 },
		{ "{\"sub\":\"repo:example2/web\",\"public\":false}", -1 },
		{ "{\"sub\":\"repo:example/web\",\"public\":true}", -1 },
		{ "{\"sub\":\"repo:example/web\"}", -1 },
		{ "{\"repository_owner_id\":42}", 2 },
		{ "{\"repository_owner_id\":\"42\"}", -1 },
		{ "{\"repository_owner_id\":42.0}", -1 },
		{ "{}", -1 },
	};
	_cleanup_(oidc_rules_done) struct oidc_rules rules = OIDC_RULES_INIT;
	_cleanup_(freep) char *why = NULL;
	const struct oidc_issuer *issuer;

	(void)state;
	if (parse(rules_text, &rules, &why) < 0)
		fail_msg("%s", why);
	assert_null(oidc_rules_issuer(&rules, ISSUER "/"));
	issuer = oidc_rules_issuer(&rules, ISSUER);
	assert_non_null(issuer);
	assert_string_equal(issuer->audience, "dray");
	assert_null(issuer->keys);
	assert_int_equal(issuer->v[0].role, ROLE_PUBLISHER);
	assert_int_equal(issuer->v[0].ttl_s, 5400);
	assert_string_equal(issuer->v[0].namespace, "web");
	assert_int_equal(issuer->v[1].ttl_s, OIDC_TTL_S);
	assert_string_equal(issuer->v[1].namespace, "");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *claims = json_loads(cases[i].claims, 0, NULL);
		const struct oidc_allow *a = oidc_rules_match(issuer, claims);

		if (a != (cases[i].rule < 0 ? NULL : &issuer->v[cases[i].rule]))
			fail_msg("%s: %d", cases[i].claims, a ? (int)(a - issuer->v) : -1);
		json_decref(claims);
	}
}

static void
test_name(void **state)
{
	static const struct {
		const char *sub, *name;
	} cases[] = {
		{ "repo:example/web:ref:refs/heads/main",
			"ci-repo-example-web-ref-refs-heads-main" },
		{ "..x", "ci-..x" },
		{ "\n\"; worker", "ci-worker" },
		{ "", "ci" },
	};
	char name[KEYS_NAME_MAX + 1], large[400];
	json_t *claims = json_object();

	(void)state;
	oidc_rules_name(claims, name);
	assert_string_equal(name, "ci");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_object_set_new(claims, "sub", json_string(cases[i].sub));
		oidc_rules_name(claims, name);
		assert_string_equal(name, cases[i].name);
		assert_true(keys_name_ok(name, strlen(name)));
	}
	memset(large, 'x', sizeof(large));
	large[sizeof(large) - 1] = '\0';
	json_object_set_new(claims, "sub", json_string(large));
	oidc_rules_name(claims, name);
	assert_int_equal(strlen(name), KEYS_NAME_MAX);
	json_decref(claims);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
