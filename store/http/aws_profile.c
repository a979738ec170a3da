/* Profiles. inih, which reads dray's own configuration, cuts lines at 200 bytes in Debian's build;
 * a session token has a thousand and more. */
#include "config.h"

#include "store/http/aws_profile.h"

#include <errno.h>

static const char *const NAMES[AWS_N_SETTINGS] = {
	[AWS_KEY_ID] = "aws_access_key_id",
	[AWS_SECRET] = "aws_secret_access_key",
	[AWS_TOKEN] = "aws_session_token",
	[AWS_REGION] = "region",
	[AWS_ROLE_ARN] = "role_arn",
	[AWS_ROLE_SESSION_NAME] = "role_session_name",
	[AWS_WEB_IDENTITY_TOKEN_FILE] = "web_identity_token_file",
	[AWS_SOURCE_PROFILE] = "source_profile",
	[AWS_CREDENTIAL_SOURCE] = "credential_source",
	[AWS_CREDENTIAL_PROCESS] = "credential_process",
	[AWS_SSO_SESSION] = "sso_session",
	[AWS_SSO_START_URL] = "sso_start_url",
};

void
aws_profile_done(struct aws_profile *p)
{
	for (size_t i = 0; i < AWS_N_SETTINGS; i++)
		free(p->v[i]);
	*p = (struct aws_profile){ .found = false };
}

const char *
aws_setting_name(enum aws_setting s)
{
	return NAMES[s];
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts blanks off both ends. */
static void
trim(const char **s, size_t *n)
{
	while (*n > 0 && is_blank(**s))
		(*s)++, (*n)--;
	while (*n > 0 && is_blank((*s)[*n - 1]))
		(*n)--;
}

static bool
is_text(const char *s, size_t n, const char *text)
{
	return n == strlen(text) && memcmp(s, text, n) == 0;
}

/* Of a line "[…]", without its brackets. */
static bool
is_section(const char *s, size_t n, const char *name, bool is_config)
{
	static const char word[] = "profile";

	trim(&s, &n);
	if (is_config && n >= sizeof(word) && memcmp(s, word, sizeof(word) - 1) == 0 &&
		is_blank(s[sizeof(word) - 1])) {
		s += sizeof(word);
		n -= sizeof(word);
		trim(&s, &n);
		return is_text(s, n, name);
	}
	return is_text(s, n, name) && (!is_config || streq(name, "default"));
}

static int
add_setting(struct aws_profile *p, const char *s, size_t n)
{
	const char *equals = memchr(s, '=', n), *value;
	size_t name_n, value_n, i;

	if (!equals)
		return 0;
	name_n = (size_t)(equals - s);
	value = equals + 1;
	value_n = n - name_n - 1;
	trim(&s, &name_n);
	trim(&value, &value_n);
	for (i = 0; i < AWS_N_SETTINGS && !is_text(s, name_n, NAMES[i]); i++)
		;
	/* a NUL is in no text, and would cut it */
	if (i == AWS_N_SETTINGS || p->v[i] || value_n == 0 || memchr(value, '\0', value_n))
		return 0;
	p->v[i] = strndup(value, value_n);
	return p->v[i] ? 0 : -ENOMEM;
}

int
aws_profile_add(struct aws_profile *p, const char *text, size_t n, const char *name, bool is_config)
{
	bool here = false;
	int r = 0;

	for (const char *end = text + n; text < end && r == 0;) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t line_n = (size_t)((eol ? eol : end) - text);

		if (line_n > 0 && text[0] == '[') {
			const char *close = memchr(text, ']', line_n);

			here = close &&
			       is_section(text + 1, (size_t)(close - text - 1), name, is_config);
			p->found |= here;
		} else if (here && line_n > 0 && !is_blank(text[0]) && !strchr("#;", text[0])) {
			r = add_setting(p, text, line_n);
		}
		text = eol ? eol + 1 : end;
	}
	return r;
}
