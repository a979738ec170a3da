/* Answers of AWS's services. Of XML only the text of an element that is named is wanted, and that
 * has no entities in it: no parser is needed. */
#include "config.h"

#include "store/http/aws_answer.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#define ID_MAX 256
#define SECRET_MAX 1024
#define TOKEN_MAX 16384
#define TIME_MAX 64

void
aws_key_done(struct aws_key *k)
{
	free(k->id);
	free(k->secret);
	free(k->token);
	*k = (struct aws_key){ .id = NULL };
}

static bool
is_plain(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	if (n == 0 || n > max)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= 0x20 || (unsigned char)s[i] >= 0x7f)
			return false;
	return true;
}

int
aws_key_set(struct aws_key *k, const char *id, const char *secret, const char *token)
{
	struct aws_key new = { .id = NULL };

	if (token && !*token)
		token = NULL;
	/* a ':' would end the id where curl takes both as one */
	if (!id || !secret || !is_plain(id, ID_MAX) || strchr(id, ':') ||
		!is_plain(secret, SECRET_MAX) || (token && !is_plain(token, TOKEN_MAX)))
		return -EINVAL;
	new.id = strdup(id);
	new.secret = strdup(secret);
	new.token = token ? strdup(token) : NULL;
	if (!new.id || !new.secret || (token && !new.token)) {
		aws_key_done(&new);
		return -ENOMEM;
	}
	aws_key_done(k);
	*k = new;
	return 0;
}

int
aws_parse_time(const char *text, uint64_t *ret)
{
	struct tm tm = { .tm_sec = 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t t;

	if (!end)
		return -EINVAL;
	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	if (!streq(end, "Z") && !streq(end, "+00:00"))
		return -EINVAL;
	t = timegm(&tm);
	if (t <= 0)
		return -EINVAL;
	*ret = (uint64_t)t;
	return 0;
}

/* The text between <name> and the next '<', at most max bytes. NULL: there is none, or no memory.
 */
static char *
element(const char *text, size_t n, const char *name, size_t max)
{
	char open[64];
	size_t open_n = (size_t)snprintf(open, sizeof(open), "<%s>", name);
	const char *at = memmem(text, n, open, open_n), *end;

	if (!at)
		return NULL;
	at += open_n;
	end = memchr(at, '<', n - (size_t)(at - text));
	if (!end || (size_t)(end - at) > max || memchr(at, '\0', (size_t)(end - at)))
		return NULL;
	return strndup(at, (size_t)(end - at));
}

static int
finish(struct aws_key *key, const char *expires)
{
	/* keys for a time of which it is not known how long would be used for ever */
	if (!key->token)
		return 0;
	return expires && aws_parse_time(expires, &key->expires) == 0 ? 0 : -EBADMSG;
}

static int
make_key(const char *id, const char *secret, const char *token, const char *expires,
	struct aws_key *ret)
{
	struct aws_key key = { .id = NULL };
	int r = aws_key_set(&key, id, secret, token);

	if (r == -EINVAL)
		return -EBADMSG;
	if (r == 0)
		r = finish(&key, expires);
	if (r < 0) {
		aws_key_done(&key);
		return r;
	}
	aws_key_done(ret);
	*ret = key;
	return 0;
}

int
aws_answer_xml(const void *text, size_t n, struct aws_key *ret)
{
	_cleanup_(freep) char *id = element(text, n, "AccessKeyId", ID_MAX);
	_cleanup_(freep) char *secret = element(text, n, "SecretAccessKey", SECRET_MAX);
	_cleanup_(freep) char *token = element(text, n, "SessionToken", TOKEN_MAX);
	_cleanup_(freep) char *expires = element(text, n, "Expiration", TIME_MAX);

	/* STS gives keys for a time only: an answer without a token was cut */
	return token ? make_key(id, secret, token, expires, ret) : -EBADMSG;
}

static const char *
string_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

int
aws_answer_json(const void *text, size_t n, struct aws_key *ret)
{
	json_t *o = json_loadb(text, n, 0, NULL);
	int r = make_key(string_of(o, "AccessKeyId"), string_of(o, "SecretAccessKey"),
		string_of(o, "Token"), string_of(o, "Expiration"), ret);

	json_decref(o);
	return r;
}

void
aws_answer_code(const void *text, size_t n, char ret[AWS_CODE_SIZE])
{
	_cleanup_(freep) char *code = element(text, n, "Code", AWS_CODE_SIZE - 1);

	ret[0] = '\0';
	for (const char *c = code; c && *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '.')
			return;
	if (code)
		memcpy(ret, code, strlen(code) + 1);
}
