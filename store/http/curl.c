#include "config.h"

#include "store/http/curl.h"

#include <errno.h>
#include <pthread.h>

#include "common/text/why.h"

/* CURLOPT_PROTOCOLS_STR; and from 7.88 on SigV4 takes a payload's hash from our header */
#define VERSION_MIN 0x075800

static struct curl_lib lib;
static const struct lib_function functions[] = { CURL_FUNCTIONS(LIB_FUNCTION) };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool loaded;

static int
load(char **ret_why)
{
	static const char *const files[] = { "libcurl.so.4", "libcurl-gnutls.so.4", NULL };
	const curl_version_info_data *v;
	int r = lib_load(files, functions, ARRAY_LEN(functions), ret_why);

	if (r < 0)
		return r;
	v = lib.curl_version_info(CURLVERSION_NOW);
	if (v->version_num < VERSION_MIN)
		return why_set(
			ret_why, -ENOPKG, "libcurl %s is too old: 7.88 is needed", v->version);
	return lib.curl_global_init(CURL_GLOBAL_ALL) == CURLE_OK ? 0 : -ENOMEM;
}

int
curl_load(const struct curl_lib **ret, char **ret_why)
{
	int r = 0;

	pthread_mutex_lock(&lock);
	if (!loaded)
		r = load(ret_why);
	loaded = r == 0;
	pthread_mutex_unlock(&lock);
	if (r == 0)
		*ret = &lib;
	return r;
}
