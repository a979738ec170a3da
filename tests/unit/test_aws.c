/* What AWS's files and services say: profiles, keys, errors, times; none of what is cut, foreign or
 * odd is taken. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "store/http/aws_answer.h"
#include "store/http/aws_profile.h"

static struct aws_profile
profile(const char *text, const char *name, bool is_config)
{
	struct aws_profile p = { .found = false };

	assert_int_equal(aws_profile_add(&p, text, strlen(text), name, is_config), 0);
	return p;
}

static void
test_credentials_file(void **state)
{
	static const char text[] = "# of mine\n"
				   "[other]\naws_access_key_id = OTHER\n"
				   "[ ci ]\r\n"
				   "; comment\n"
				   "aws_access_key_id=ID\r\n"
				   "aws_secret_access_key   =  a/b+c=  \n"
				   "unknown = 1\n"
				   "s3 =\n"
				   "  region = nested\n"
				   "region\n"
				   "aws_session_token =\n"
				   "aws_access_key_id = second\n"
				   "[last]\nregion = r";
	struct aws_profile p = profile(text, "ci", false);

	(void)state;
	assert_true(p.found);
	assert_string_equal(p.v[AWS_KEY_ID], "ID");
	assert_string_equal(p.v[AWS_SECRET], "a/b+c=");
	assert_null(p.v[AWS_REGION]);
	assert_null(p.v[AWS_TOKEN]);
	aws_profile_done(&p);

	p = profile(text, "last", false);
	assert_string_equal(p.v[AWS_REGION], "r");
	aws_profile_done(&p);

	p = profile(text, "none", false);
	assert_false(p.found);
	aws_profile_done(&p);
}

static void
test_config_file(void **state)
{
	static const char text[] = "[default]\nregion = a\n[profile ci]\nregion = b\n"
				   "[ci]\nregion = c\n[profile]\nregion = d\n"
				   "[profile default]\nregion = e\nrole_arn = x\n";
	struct aws_profile p = profile(text, "ci", true);

	(void)state;
	assert_string_equal(p.v[AWS_REGION], "b");
	/* of the other file: what is set stays, what is not is added */
	assert_int_equal(
		aws_profile_add(&p, "[ci]\nregion = z\nsso_session = y\n", 32, "ci", false), 0);
	assert_string_equal(p.v[AWS_REGION], "b");
	assert_string_equal(p.v[AWS_SSO_SESSION], "y");
	aws_profile_done(&p);
	p = profile(text, "default", true);
	assert_string_equal(p.v[AWS_REGION], "a");
	assert_string_equal(p.v[AWS_ROLE_ARN], "x");
	aws_profile_done(&p);
	/* a NUL would cut it */
	assert_int_equal(aws_profile_add(&p, "[ci]\nregion = \0r\n", 17, "ci", false), 0);
	assert_null(p.v[AWS_REGION]);
	aws_profile_done(&p);
}

static void
test_long_token(void **state)
{
	char text[4096], token[3001];
	struct aws_profile p;

	(void)state;
	memset(token, 't', 3000);
	token[3000] = '\0';
	snprintf(text, sizeof(text), "[a]\naws_session_token=%s\n", token);
	p = profile(text, "a", false);
	assert_string_equal(p.v[AWS_TOKEN], token);
	aws_profile_done(&p);
}

static void
test_keys(void **state)
{
	struct aws_key k = { .id = NULL };

	(void)state;
	assert_int_equal(aws_key_set(&k, "ID", "secret", NULL), 0);
	assert_int_equal(aws_key_set(&k, "ID", NULL, NULL), -EINVAL);
	assert_int_equal(aws_key_set(&k, NULL, "secret", NULL), -EINVAL);
	assert_int_equal(aws_key_set(&k, "", "secret", NULL), -EINVAL);
	assert_int_equal(aws_key_set(&k, "I:D", "secret", NULL), -EINVAL);
	assert_int_equal(aws_key_set(&k, "ID", "se cret", NULL), -EINVAL);
	assert_int_equal(aws_key_set(&k, "ID", "secret", "t\r\nHost: x"), -EINVAL);
	assert_string_equal(k.id, "ID");
	assert_int_equal(aws_key_set(&k, "ID2", "secret2", "token"), 0);
	assert_string_equal(k.id, "ID2");
	assert_string_equal(k.token, "token");
	aws_key_done(&k);
	assert_null(k.id);
}

static void
test_times(void **state)
{
	uint64_t t = 0;

	(void)state;
	assert_int_equal(aws_parse_time("2026-11-30T12:00:01Z", &t), 0);
	assert_true(t == 1796040001);
	assert_int_equal(aws_parse_time("2026-11-30T12:00:01.123Z", &t), 0);
	assert_true(t == 1796040001);
	assert_int_equal(aws_parse_time("2026-11-30T12:00:01", &t), -EINVAL);
	assert_int_equal(aws_parse_time("2026-11-30T12:00:01+01:00", &t), -EINVAL);
	assert_int_equal(aws_parse_time("soon", &t), -EINVAL);
	assert_int_equal(aws_parse_time("1960-01-01T00:00:00Z", &t), -EINVAL);
}

#define XML(id, secret, token, time)                                                \
	"<R><Credentials><AccessKeyId>" id "</AccessKeyId><SecretAccessKey>" secret \
	"</SecretAccessKey><SessionToken>" token "</SessionToken><Expiration>" time \
	"</Expiration></Credentials></R>"

static int
xml(const char *text, struct aws_key *ret)
{
	return aws_answer_xml(text, strlen(text), ret);
}

static int
json(const char *text, struct aws_key *ret)
{
	return aws_answer_json(text, strlen(text), ret);
}

static void
test_xml(void **state)
{
	static const char good[] = XML("ID", "s/e=", "tok", "2026-11-30T12:00:01Z");
	struct aws_key k = { .id = NULL };

	(void)state;
	assert_int_equal(xml(good, &k), 0);
	assert_string_equal(k.id, "ID");
	assert_string_equal(k.secret, "s/e=");
	assert_string_equal(k.token, "tok");
	assert_true(k.expires == 1796040001);
	aws_key_done(&k);
	assert_int_equal(xml("", &k), -EBADMSG);
	assert_int_equal(xml(XML("", "s", "t", "2026-11-30T12:00:01Z"), &k), -EBADMSG);
	assert_int_equal(xml(XML("ID", "s", "t", "never"), &k), -EBADMSG);
	assert_int_equal(xml(XML("ID", "s&amp;\n", "t", "2026-11-30T12:00:01Z"), &k), -EBADMSG);
	/* cut anywhere before the last of what is wanted */
	for (size_t n = 0; n < strlen(good); n++)
		if (aws_answer_xml(good, n, &k) == 0) {
			assert_true(n >= strlen(good) - strlen("/Expiration></Credentials></R>"));
			aws_key_done(&k);
		}
	assert_null(k.id);
}

static void
test_json(void **state)
{
	struct aws_key k = { .id = NULL };

	(void)state;
	assert_int_equal(json("{\"AccessKeyId\":\"ID\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
			      "\"Expiration\":\"2026-11-30T12:00:01Z\"}",
				 &k),
		0);
	assert_string_equal(k.token, "t");
	aws_key_done(&k);
	assert_int_equal(json("{\"AccessKeyId\":\"ID\",\"SecretAccessKey\":\"s\"}", &k), 0);
	assert_null(k.token);
	aws_key_done(&k);
	assert_int_equal(json("{\"AccessKeyId\":\"ID\"}", &k), -EBADMSG);
	assert_int_equal(json("{\"AccessKeyId\":7,\"SecretAccessKey\":\"s\"}", &k), -EBADMSG);
	assert_int_equal(json("[1]", &k), -EBADMSG);
	assert_int_equal(json("{", &k), -EBADMSG);
	assert_int_equal(json("", &k), -EBADMSG);
	/* for a time, and not for how long */
	assert_int_equal(
		json("{\"AccessKeyId\":\"ID\",\"SecretAccessKey\":\"s\",\"Token\":\"t\"}", &k),
		-EBADMSG);
	assert_null(k.id);
}

static void
check_code(const char *text, const char *code)
{
	char got[AWS_CODE_SIZE];

	aws_answer_code(text, strlen(text), got);
	assert_string_equal(got, code);
}

static void
test_codes(void **state)
{
	(void)state;
	check_code("<?xml?><Error><Code>NoSuchBucket</Code></Error>", "NoSuchBucket");
	check_code("<Error><Code>A\nb</Code></Error>", "");
	check_code("<Error><Code>", "");
	check_code("<Error><Code>"
		   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		   "</Code></Error>",
		"");
	check_code("", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_credentials_file),
		cmocka_unit_test(test_config_file),
		cmocka_unit_test(test_long_token),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_xml),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
