/* Reads the rules, and matches claims with them. Invariant: what is not understood of the file is
 * an error, so that no word of it goes for nothing. */
#include "config.h"

#include "coordinator/oidc/rules.h"

#include <errno.h>
#include <stdio.h>

#include "common/text/why.h"

/* Claims that say whose run it is: of OpenID Connect itself, of GitHub and of GitLab. */
static const char *const OIDC_WHOSE[] = { "sub", "repository", "repository_id", "repository_owner",
	"repository_owner_id", "project_path", "project_id", "namespace_path", "namespace_id" };

void
oidc_rules_done(struct oidc_rules *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].v);
	free(r->v);
	json_decref(r->file);
	*r = (struct oidc_rules)OIDC_RULES_INIT;
}

static bool
is_one_of(const char *member, const char *const *names)
{
	for (; *names; names++)
		if (streq(member, *names))
			return true;
	return false;
}

/* Whether it is an object of these members alone. */
static int
check_object(const json_t *o, const char *what, const char *const *names, char **ret_why)
{
	const char *member;
	json_t *value;

	if (!json_is_object(o))
		return why_set(ret_why, -EBADMSG, "%s is no object", what);
	json_object_foreach(
		(json_t *)o, member, value) if (!is_one_of(member, names)) return why_set(ret_why,
		-EBADMSG, "\"%.40s\" is no member of %s", member, what);
	return 0;
}

/* A text; NULL where it is not there. False: it is something else. */
static bool
take_text(const json_t *o, const char *member, const char **ret)
{
	const json_t *j = json_object_get(o, member);

	*ret = json_string_value(j);
	return !j || (*ret && **ret);
}

/* A text that says something of its own: a '*' is its end, behind a "/"; or behind a ':' that is
 * not the first separator, since "repo:" begins the subject of all runs. */
static bool
is_pattern(const char *s)
{
	const char *star = strchr(s, '*'), *first = strpbrk(s, "/:");

	if (!star)
		return *s != '\0';
	if (star[1] || !first || first == s || first > star)
		return false;
	return star[-1] == '/' || (star[-1] == ':' && first < star - 1);
}

static bool
is_claim(const json_t *j)
{
	return json_is_string(j) ? is_pattern(json_string_value(j))
				 : json_is_integer(j) || json_is_boolean(j);
}

static bool
is_claim_or_list(const json_t *j)
{
	if (!json_is_array(j))
		return is_claim(j);
	for (size_t i = 0; i < json_array_size(j); i++)
		if (!is_claim(json_array_get(j, i)))
			return false;
	return json_array_size(j) > 0;
}

static int
take_claims(const json_t *o, struct oidc_allow *a, char **ret_why)
{
	const char *name;
	json_t *value;
	bool whose = false;

	a->claims = json_object_get(o, "claims");
	if (!json_is_object(a->claims))
		return why_set(ret_why, -EBADMSG, "claims is no object");
	json_object_foreach(a->claims, name, value)
	{
		if (!is_claim_or_list(value))
			return why_set(ret_why, -EBADMSG,
				"the claim \"%.40s\" is no text, number, true, false, or list of "
				"these; a \"*\" may only be a text's last character, behind a "
				"\"/\", or behind a \":\" that is not its first one",
				name);
		for (size_t i = 0; i < ARRAY_LEN(OIDC_WHOSE); i++)
			whose = whose || streq(name, OIDC_WHOSE[i]);
	}
	if (!whose)
		return why_set(ret_why, -EBADMSG,
			"claims does not say whose runs it means, and the issuer has other "
			"people's, "
			"too: name sub, repository, repository_owner, project_path or the like");
	return 0;
}

static int
take_ttl(const json_t *o, struct oidc_allow *a, char **ret_why)
{
	const char *text;
	char *end;
	unsigned long long n;

	a->ttl_s = OIDC_TTL_S;
	if (!take_text(o, "ttl", &text))
		return why_set(ret_why, -EBADMSG, "ttl is no text: \"6h\" or \"30m\"");
	if (!text)
		return 0;
	n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || (!streq(end, "h") && !streq(end, "m")) || n == 0 ||
		n > OIDC_TTL_MAX_S / 60 || n * (*end == 'h' ? 3600 : 60) > OIDC_TTL_MAX_S)
		return why_set(ret_why, -EBADMSG, "ttl is \"%.20s\": 1m to 24h", text);
	a->ttl_s = (uint32_t)n * (*end == 'h' ? 3600 : 60);
	return 0;
}

static int
take_allow(const json_t *o, struct oidc_allow *a, char **ret_why)
{
	static const char *const members[] = { "role", "namespace", "ttl", "claims", NULL };
	const char *role, *namespace;
	int r = check_object(o, "allow", members, ret_why);

	if (r < 0)
		return r;
	if (!take_text(o, "role", &role) || !role)
		return why_set(ret_why, -EBADMSG, "there is no role");
	a->role = role_parse(role);
	if (a->role != ROLE_CLIENT && a->role != ROLE_READER && a->role != ROLE_PUBLISHER)
		return why_set(ret_why, -EBADMSG,
			"role is \"%.20s\": by a token one may be client, reader or publisher",
			role);
	if (!take_text(o, "namespace", &namespace) ||
		(namespace && !keys_name_ok(namespace, strlen(namespace))))
		return why_set(ret_why, -EBADMSG, "a namespace is 1 to 64 of A-Z a-z 0-9 . _ -");
	snprintf(a->namespace, sizeof(a->namespace), "%s", namespace ? namespace : "");
	r = take_ttl(o, a, ret_why);
	return r < 0 ? r : take_claims(o, a, ret_why);
}

bool
oidc_rules_is_url(const char *s)
{
	static const char *const begins[] = { "https://", "http://127.0.0.1:", "http://[::1]:" };

	for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
		const char *rest = s + strlen(begins[i]);

		if (strncmp(s, begins[i], strlen(begins[i])) == 0)
			return *rest && *rest != '/' && !s[strcspn(s, " \t\r\n\"\\<>?#@")];
	}
	return false;
}

/* The issuer's own members; *ret_list: its rules. */
static int
take_issuer_head(const json_t *o, struct oidc_issuer *i, json_t **ret_list, char **ret_why)
{
	static const char *const members[] = { "issuer", "audience", "keys", "allow", NULL };
	int r = check_object(o, "issuers", members, ret_why);

	if (r < 0)
		return r;
	if (!take_text(o, "issuer", &i->url) || !i->url || !oidc_rules_is_url(i->url))
		return why_set(ret_why, -EBADMSG, "issuer is no URL that begins with https://");
	if (!take_text(o, "audience", &i->audience) || !i->audience)
		return why_set(ret_why, -EBADMSG,
			"there is no audience: the word that the tokens for this farm are made "
			"for");
	if (!take_text(o, "keys", &i->keys) || (i->keys && !oidc_rules_is_url(i->keys)))
		return why_set(ret_why, -EBADMSG, "keys is no URL that begins with https://");
	*ret_list = json_object_get(o, "allow");
	if (json_array_size(*ret_list) == 0 || json_array_size(*ret_list) > OIDC_ALLOW_MAX)
		return why_set(
			ret_why, -EBADMSG, "allow is no list of 1 to %u rules", OIDC_ALLOW_MAX);
	return 0;
}

static int
take_issuer(const json_t *o, struct oidc_issuer *i, char **ret_why)
{
	json_t *list = NULL;
	int r = take_issuer_head(o, i, &list, ret_why);

	if (r < 0)
		return r;
	i->v = calloc(json_array_size(list), sizeof(*i->v));
	if (!i->v)
		return -ENOMEM;
	for (; r == 0 && i->n < json_array_size(list); i->n++) {
		_cleanup_(freep) char *why = NULL;

		r = take_allow(json_array_get(list, i->n), &i->v[i->n], &why);
		if (r == -EBADMSG)
			why_set(ret_why, r, "rule %zu: %s", i->n + 1, why ? why : "it is wrong");
	}
	return r;
}

static int
take_issuers(struct oidc_rules *rules, char **ret_why)
{
	static const char *const members[] = { "issuers", NULL };
	int r = check_object(rules->file, "the file", members, ret_why);
	const json_t *list = json_object_get(rules->file, "issuers");
	size_t n = json_array_size(list);

	if (r < 0)
		return r;
	if (n == 0 || n > OIDC_ISSUERS_MAX)
		return why_set(ret_why, -EBADMSG, "issuers is no list of 1 to %u issuers",
			OIDC_ISSUERS_MAX);
	rules->v = calloc(n, sizeof(*rules->v));
	if (!rules->v)
		return -ENOMEM;
	for (; r == 0 && rules->n < n; rules->n++) {
		_cleanup_(freep) char *why = NULL;
		struct oidc_issuer *i = &rules->v[rules->n];

		r = take_issuer(json_array_get(list, rules->n), i, &why);
		if (r == 0 && oidc_rules_issuer(rules, i->url))
			r = why_set(&why, -EBADMSG, "it is there already");
		if (r == -EBADMSG)
			why_set(ret_why, r, "issuer %zu: %s", rules->n + 1,
				why ? why : "it is wrong");
	}
	return r;
}

int
oidc_rules_parse(const char *text, size_t n, struct oidc_rules *ret, char **ret_why)
{
	_cleanup_(oidc_rules_done) struct oidc_rules rules = OIDC_RULES_INIT;
	json_error_t e;
	int r;

	if (n > OIDC_FILE_MAX)
		return why_set(ret_why, -EBADMSG, "it is larger than %u bytes", OIDC_FILE_MAX);
	rules.file = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
	if (!rules.file)
		return json_error_code(&e) == json_error_out_of_memory
			       ? -ENOMEM
			       : why_set(ret_why, -EBADMSG, "line %d: %s", e.line, e.text);
	r = take_issuers(&rules, ret_why);
	if (r < 0)
		return r;
	*ret = rules;
	rules = (struct oidc_rules)OIDC_RULES_INIT;
	return 0;
}

const struct oidc_issuer *
oidc_rules_issuer(const struct oidc_rules *r, const char *url)
{
	for (size_t i = 0; i < r->n; i++)
		if (streq(r->v[i].url, url))
			return &r->v[i];
	return NULL;
}

static bool
text_matches(const char *pattern, const char *s)
{
	size_t n = strlen(pattern);

	if (pattern[n - 1] != '*')
		return streq(pattern, s);
	return strncmp(pattern, s, n - 1) == 0 && s[n - 1];
}

static bool
claim_matches(const json_t *wanted, const json_t *is)
{
	if (json_is_string(wanted))
		return json_is_string(is) &&
		       text_matches(json_string_value(wanted), json_string_value(is));
	return json_equal(wanted, is);
}

static bool
any_matches(const json_t *wanted, const json_t *is)
{
	if (!json_is_array(wanted))
		return claim_matches(wanted, is);
	for (size_t i = 0; i < json_array_size(wanted); i++)
		if (claim_matches(json_array_get(wanted, i), is))
			return true;
	return false;
}

static bool
allows(const struct oidc_allow *a, const json_t *claims)
{
	const char *name;
	json_t *wanted;

	json_object_foreach(a->claims, name, wanted)
	{
		const json_t *is = json_object_get(claims, name);

		if (!is || !any_matches(wanted, is))
			return false;
	}
	return true;
}

const struct oidc_allow *
oidc_rules_match(const struct oidc_issuer *i, const json_t *claims)
{
	for (size_t k = 0; k < i->n; k++)
		if (allows(&i->v[k], claims))
			return &i->v[k];
	return NULL;
}

void
oidc_rules_name(const json_t *claims, char ret[KEYS_NAME_MAX + 1])
{
	const char *sub = json_string_value(json_object_get(claims, "sub"));
	size_t n = (size_t)snprintf(ret, KEYS_NAME_MAX + 1, "ci");

	for (; sub && *sub && n < KEYS_NAME_MAX; sub++) {
		char c = keys_name_ok(sub, 1) ? *sub : '-';

		/* the first one, and what follows a run of others, is a letter of its own */
		if (n == 2)
			ret[n++] = '-';
		if (n < KEYS_NAME_MAX && (c != '-' || ret[n - 1] != '-'))
			ret[n++] = c;
	}
	ret[n] = '\0';
}
