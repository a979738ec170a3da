/* A store's URL: each kind, what is refused, and that no credentials are shown. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/fs.h"
#include "store/url.h"

static struct store_url *
parse(const char *text)
{
	_cleanup_(freep) char *why = NULL;
	struct store_url *u = NULL;
	int r = store_url_parse(text, &u, &why);

	if (r < 0)
		fail_msg("%s: %s", text, why);
	return u;
}

static void
check_shown(const char *text, const char *shown)
{
	_cleanup_(store_url_freep) struct store_url *u = parse(text), *again = NULL;
	_cleanup_(freep) char *s = store_url_show(u), *twice = NULL;

	assert_string_equal(s, shown);
	again = parse(s);
	twice = store_url_show(again);
	assert_string_equal(twice, shown);
}

static void
refused(const char *text, const char *why_has)
{
	_cleanup_(freep) char *why = NULL;
	struct store_url *u = NULL;

	if (store_url_parse(text, &u, &why) != -EINVAL)
		fail_msg("%s is taken", text);
	assert_null(u);
	assert_non_null(why);
	if (!strstr(why, why_has))
		fail_msg("%s: %s", text, why);
	if (strstr(why, "s3cret") || strstr(why, "S3CRET"))
		fail_msg("shown: %s", why);
}

static void
test_kinds(void **state)
{
	_cleanup_(store_url_freep) struct store_url *file = NULL, *web = NULL, *s3 = NULL,
						    *redis = NULL, *sock = NULL;

	(void)state;
	file = parse("file:///srv/a%20b/?mode=ro");
	assert_int_equal(file->scheme, STORE_URL_FILE);
	assert_string_equal(file->path, "/srv/a b");
	assert_null(file->host);
	assert_string_equal(store_url_get(file, STORE_PARAM_MODE), "ro");

	web = parse("https://us%3Aer:pa%2Fs:s@Cache.Example:8443/team/a+b/?ca=/etc/ca.pem");
	assert_int_equal(web->scheme, STORE_URL_HTTPS);
	assert_string_equal(web->user, "us:er");
	assert_string_equal(web->password, "pa/s:s");
	assert_string_equal(web->host, "cache.example");
	assert_int_equal(web->port, 8443);
	assert_string_equal(web->path, "team/a+b");

	s3 = parse("s3://My.bucket_1/p/q?region=eu-west-1&endpoint=http://127.0.0.1:9000&"
		   "style=path&sse=aws:kms&sse_key=arn:aws:kms:x/y&profile=ci%20x");
	assert_int_equal(s3->scheme, STORE_URL_S3);
	assert_string_equal(s3->host, "My.bucket_1");
	assert_string_equal(s3->path, "p/q");
	assert_string_equal(store_url_get(s3, STORE_PARAM_ENDPOINT), "http://127.0.0.1:9000");
	assert_string_equal(store_url_get(s3, STORE_PARAM_PROFILE), "ci x");
	assert_null(store_url_get(s3, STORE_PARAM_STORAGE_CLASS));

	redis = parse("rediss://:pw@[::1]:6380/12?expire_s=60");
	assert_int_equal(redis->scheme, STORE_URL_REDISS);
	assert_null(redis->user);
	assert_string_equal(redis->password, "pw");
	assert_string_equal(redis->host, "::1");
	assert_int_equal(store_url_number(redis, STORE_PARAM_DB, 0), 12);
	assert_int_equal(store_url_number(redis, STORE_PARAM_EXPIRE_S, 0), 60);
	assert_int_equal(store_url_number(redis, STORE_PARAM_CONNECT_MS, 7), 7);

	sock = parse("redis+unix://u:pw@/run/r.sock?db=3&prefix=d:");
	assert_string_equal(sock->path, "/run/r.sock");
	assert_string_equal(sock->user, "u");
	assert_int_equal(store_url_number(sock, STORE_PARAM_DB, 0), 3);
}

static void
test_least(void **state)
{
	_cleanup_(store_url_freep) struct store_url *web = parse("http://h"), *s3 = parse("s3://b"),
						    *redis = parse("redis://h/"),
						    *token = parse("https://tok@h/");

	(void)state;
	assert_string_equal(web->path, "");
	assert_int_equal(web->port, 0);
	assert_string_equal(s3->path, "");
	assert_null(store_url_get(redis, STORE_PARAM_DB));
	assert_string_equal(token->user, "tok");
	assert_null(token->password);
}

/* Where there is a path or a prefix, it is a part of that; a directory has it apart. */
static void
test_below(void **state)
{
	_cleanup_(store_url_freep) struct store_url *web = parse("http://h/a?below=pr/7"),
						    *root = parse("s3://b?below=pr/7&mode=own"),
						    *redis = parse("redis://h?below=pr/7"),
						    *own = parse("redis://h?prefix=x:&below=y"),
						    *file = parse("file:///a?below=pr/7");

	(void)state;
	assert_string_equal(web->path, "a/pr/7");
	assert_null(store_url_get(web, STORE_PARAM_BELOW));
	assert_string_equal(root->path, "pr/7");
	assert_string_equal(store_url_get(redis, STORE_PARAM_PREFIX), "dray/pr/7/");
	assert_string_equal(store_url_get(own, STORE_PARAM_PREFIX), "x:y/");
	assert_string_equal(file->path, "/a");
	assert_string_equal(store_url_get(file, STORE_PARAM_BELOW), "pr/7");
	check_shown("https://s3cret@h/a?below=pr/7", "https://***@h/a/pr/7");
	refused("file:///a?below=../b", "below");
	refused("file:///a?below=/b", "below");
	refused("file:///a?below=b/", "below");
	refused("s3://b?below=a%20b", "below");
}

static void
test_shown(void **state)
{
	(void)state;
	check_shown("https://user:s3cret@H:1/a%20b/c+d?mode=rw&connect_ms=5",
		"https://***@h:1/a%20b/c+d?mode=rw&connect_ms=5");
	check_shown("https://s3cret@h", "https://***@h");
	check_shown("redis://:s3cret@[::1]:6/2", "redis://***@[::1]:6?db=2");
	check_shown("redis+unix://:s3cret@/run/a%3Fb", "redis+unix://***@/run/a%3Fb");
	check_shown("s3://b/p?profile=a%26b&region=r&endpoint=h:1",
		"s3://b/p?region=r&endpoint=h:1&profile=a%26b");
	check_shown("file:///a%25b", "file:///a%25b");
}

static void
test_refused(void **state)
{
	(void)state;
	refused("", "begins with");
	refused("ftp://h/", "begins with");
	refused("user:s3cret@host", "begins with");
	refused("HTTP://h", "begins with");
	refused("http://", "no host");
	refused("http://u:s3cret@/", "no host");
	refused("http://h:0/", "port");
	refused("http://h:65536/", "port");
	refused("http://h:/", "port");
	refused("http://h:1x/", "port");
	refused("http://[::1/", "]");
	refused("http://[::1]x/", "]");
	refused("http://-h/", "host's name");
	refused("http://h,i/", "host's name");
	refused("http://h/a//b", "empty");
	refused("http://h/../b", "empty");
	refused("http://h/./b", "empty");
	refused("http://[.]/", "host's name");
	refused("s3://[::1]/", "bucket's name");
	refused("http://h/%2e%2e/b", "empty");
	refused("http://h/a%2Fb", "%2F");
	refused("http://h/a%0ab", "control");
	refused("http://h/a%00b", "control");
	refused("http://h/a%4", "hex");
	refused("http://h/a%", "hex");
	refused("http://h/a%zz", "hex");
	refused("http://h/a b", "blank");
	refused("http://h/a\nb", "control");
	refused("http://h/#s3cret", "#");
	refused("http://h/?region=x", "names are:");
	refused("http://h/?mode=ro&", "names are:");
	refused("http://h/?mode", "names are:");
	refused("http://h/?mode=ro&mode=ro", "twice");
	refused("http://h/?mode=r", "ro rw");
	refused("http://h/?mode=ro%20rw", "ro rw");
	refused("http://h/?mode=", "no value");
	refused("http://h/?connect_ms=1s", "number");
	refused("http://h/?connect_ms=10000000000", "number");
	refused("https://h/?ca=ca.pem", "absolute");
	refused("https://h/?token_file=/a&token_env=B", "more than one");
	refused("https://u:s3cret@h/?token_env=B", "more than one");
	refused("s3://KEY:s3cret@b/p", "environment");
	refused("s3://b:80/p", "endpoint");
	refused("s3:///p", "bucket");
	refused("s3://a%2fb/p", "bucket");
	refused("s3://b/?endpoint=ftp://h", "endpoint");
	refused("s3://b/?endpoint=h/x", "endpoint");
	refused("s3://b/?endpoint=u:s3cret%40h", "endpoint");
	refused("s3://b/?endpoint=s3://h", "endpoint");
	refused("s3://b/?sse_key=k", "sse=aws:kms");
	refused("s3://b/?anonymous=yes&profile=x", "profile");
	refused("redis://h/x", "number");
	refused("redis://h/1?db=2", "twice");
	refused("redis+unix://h/sock", "/");
	refused("redis+unix://", "absolute");
	refused("file://host/dir", "/");
	refused("file:///a/../b", "absolute");
	refused("file://", "absolute");
}

/* A password with characters that should have been written otherwise: pieces of it stand where
 * hosts, ports, paths and names do. */
static void
test_hidden(void **state)
{
	static const char *const PASSWORDS[] = { "s3cret/x", "x/s3cret", "s3cret?x", "x?s3cret",
		"x#s3cret", "s3cret@x", "x@s3cret", "1?s3cret=1", "1/?s3cret=x", "1?mode=s3cret",
		"[s3cret", "%s3cret", "s3cret x", "?s3cret&S3CRET", "x/s3cret?ca=S3CRET" };
	static const char *const SCHEMES[] = { "http", "https", "s3", "redis", "rediss",
		"redis+unix", "file" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(PASSWORDS); i++)
		for (size_t j = 0; j < ARRAY_LEN(SCHEMES); j++) {
			_cleanup_(store_url_freep) struct store_url *u = NULL;
			_cleanup_(freep) char *text = NULL, *why = NULL, *shown = NULL;

			assert_true(asprintf(&text, "%s://u:%s@h/", SCHEMES[j], PASSWORDS[i]) > 0);
			if (store_url_parse(text, &u, &why) == 0) {
				shown = store_url_show(u);
				assert_null(strstr(shown, "s3cret"));
			} else {
				assert_null(strstr(why, "s3cret"));
				assert_null(strstr(why, "S3CRET"));
			}
		}
}

static void
test_long(void **state)
{
	_cleanup_(freep) char *text = malloc(5000);

	(void)state;
	memset(text, 'a', 5000);
	memcpy(text, "http://h/", 9);
	text[4096] = '\0';
	store_url_free(parse(text));
	text[4096] = 'a';
	text[4097] = '\0';
	refused(text, "longer");
}

static int
read_secret(const char *file, const char *content, size_t n, char **ret, char **ret_why)
{
	_cleanup_(store_url_freep) struct store_url *u = NULL;
	_cleanup_(freep) char *text = NULL;

	assert_int_equal(fs_write_atomic(file, content, n, 0600), 0);
	assert_true(asprintf(&text, "redis://h?password_file=%s", file) > 0);
	u = parse(text);
	return store_url_secret(u, STORE_PARAM_PASSWORD_FILE, ret, ret_why);
}

static void
test_secret(void **state)
{
	static const char *const good[] = { "s3 cr:et", "s3 cr:et\n", "s3 cr:et\r\nmore\n" };
	_cleanup_(freep) char *dir = NULL, *file = NULL, *secret = NULL, *why = NULL;

	(void)state;
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &dir), 0);
	file = path_join(dir, "secret");
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(read_secret(file, good[i], strlen(good[i]), &secret, &why), 0);
		assert_string_equal(secret, "s3 cr:et");
		free(secret);
		secret = NULL;
	}
	assert_int_equal(read_secret(file, "\nsecond", 7, &secret, &why), -EINVAL);
	assert_null(secret);
	assert_null(strstr(why, "second"));
	free(why);
	why = NULL;
	assert_int_equal(read_secret(file, "", 0, &secret, &why), -EINVAL);
	assert_non_null(strstr(why, file));
	assert_int_equal(fs_rm_rf(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_least),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_shown),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
