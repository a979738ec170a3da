/* One request: what curl is told of it, what comes back, whether it is tried again.
 *
 * Invariant: what a server says is bounded before it is kept; what it says in a body reaches
 * `to` only from an answer 200. */
#include "config.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "store/http/web_priv.h"
#include "common/clock.h"

#define TRIES 3
/* Pauses between tries: half of it, and up to as much again at random. */
#define PAUSE_MS 200u
/* A server may ask for more than this; then it is asked another time. */
#define RETRY_AFTER_MAX_MS 3000u
#define DIRECT_CONNECT_MS 1000
#define DIRECT_MS 2000u
#define WHOLE_MS 60000u
#define WHOLE_GET_MS 600000u /* how much comes is not known before */
#define BUFFER_SIZE (256L << 10)
/* Of all headers of a try. libcurl before 8.3 keeps any number of them. */
#define HEADERS_MAX ((size_t)64 << 10)

static unsigned
status_of(const struct transfer *t)
{
	long status = 0;

	(void)t->lib->curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return (unsigned)status;
}

static size_t
take_body(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t room = TEXT_MAX - t->text.n;

	n *= size;
	if (t->to && status_of(t) == 200)
		return incoming_add(t->to, p, n) == 0 ? n : 0;
	/* nothing of what comes after that is of use: the connection is closed */
	if (room == 0)
		return 0;
	return buf_add(&t->text, p, MIN2(n, room)) == 0 ? n : 0;
}

/* Of a name: letters, digits and '-'. */
static void
take_name(const char *p, size_t n, char *ret)
{
	while (n > 0 && (*p == ' ' || *p == '\t'))
		p++, n--;
	while (n > 0 && strchr(" \t\r\n", p[n - 1]))
		n--;
	ret[0] = '\0';
	if (n >= REGION_MAX)
		return;
	for (size_t i = 0; i < n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", p[i]) || p[i] == '\0')
			return;
	memcpy(ret, p, n);
	ret[n] = '\0';
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7), in C's words, as the program is; what is of
 * another form is none. */
static bool
parse_date(const char *p, size_t n, int64_t *ret_s)
{
	char text[64];
	struct tm tm = { .tm_isdst = 0 };

	if (n >= sizeof(text))
		return false;
	memcpy(text, p, n);
	text[n] = '\0';
	if (!strptime(text, " %a, %d %b %Y %H:%M:%S GMT", &tm))
		return false;
	*ret_s = (int64_t)timegm(&tm);
	return true;
}

static void
take_date(const char *p, size_t n, struct transfer *t)
{
	t->has_clock = parse_date(p, n, &t->date_s);
	if (t->has_clock)
		t->clock_ahead_ms = t->date_s * 1000 + 500 - (int64_t)clock_wall_ms();
}

static size_t
take_header(char *p, size_t size, size_t n, void *arg)
{
	static const char name[] = "x-amz-bucket-region:", date[] = "date:";
	static const char modified[] = "last-modified:";
	struct transfer *t = arg;

	t->headers_n += n;
	if (t->headers_n > HEADERS_MAX)
		return 0;
	if (n >= sizeof(name) && strncasecmp(p, name, sizeof(name) - 1) == 0)
		take_name(p + sizeof(name) - 1, n - sizeof(name) + 1, t->region);
	if (n >= sizeof(date) && strncasecmp(p, date, sizeof(date) - 1) == 0)
		take_date(p + sizeof(date) - 1, n - sizeof(date) + 1, t);
	if (n >= sizeof(modified) && strncasecmp(p, modified, sizeof(modified) - 1) == 0)
		(void)parse_date(
			p + sizeof(modified) - 1, n - sizeof(modified) + 1, &t->modified_s);
	return n * size;
}

static size_t
give_body(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	uint64_t left = t->length - t->sent;
	ssize_t k;

	if (left == 0)
		return 0;
	do
		k = pread(t->fd, p, (size_t)MIN2(left, (uint64_t)(size * n)), (off_t)t->sent);
	while (k < 0 && errno == EINTR);
	/* shorter than it was: what was promised cannot be sent */
	if (k <= 0)
		return CURL_READFUNC_ABORT;
	t->sent += (uint64_t)k;
	return (size_t)k;
}

static int
seek_body(void *arg, curl_off_t offset, int origin)
{
	struct transfer *t = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->length)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* Options whose values the compiler cannot check: of each the first failure stays. */
struct options {
	const struct curl_lib *lib;
	CURL *easy;
	CURLcode code;
};

#define SET(o, option, value)                                                                 \
	do {                                                                                  \
		if ((o)->code == CURLE_OK)                                                    \
			(o)->code = (o)->lib->curl_easy_setopt((o)->easy, (option), (value)); \
	} while (0)

static void
set_method(struct options *o, const struct web_ask *ask)
{
	switch (ask->method) {
	case WEB_GET:
		SET(o, CURLOPT_HTTPGET, 1L);
		break;
	case WEB_HEAD:
		SET(o, CURLOPT_NOBODY, 1L);
		break;
	case WEB_PUT:
		SET(o, CURLOPT_UPLOAD, 1L);
		SET(o, CURLOPT_INFILESIZE_LARGE, (curl_off_t)ask->length);
		break;
	case WEB_POST:
		SET(o, CURLOPT_POST, 1L);
		SET(o, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(ask->form));
		SET(o, CURLOPT_COPYPOSTFIELDS, ask->form);
		break;
	case WEB_MKCOL:
		SET(o, CURLOPT_CUSTOMREQUEST, "MKCOL");
		break;
	}
}

static void
set_auth(struct options *o, const struct web_auth *auth)
{
	switch (auth->kind) {
	case WEB_ANONYMOUS:
		break;
	case WEB_BASIC:
		SET(o, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		SET(o, CURLOPT_USERNAME, auth->user);
		SET(o, CURLOPT_PASSWORD, auth->password);
		break;
	case WEB_BEARER:
		SET(o, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		SET(o, CURLOPT_XOAUTH2_BEARER, auth->password);
		break;
	case WEB_AWS:
		SET(o, CURLOPT_AWS_SIGV4, auth->aws);
		SET(o, CURLOPT_USERNAME, auth->user);
		SET(o, CURLOPT_PASSWORD, auth->password);
		break;
	}
}

/* Only of reads, and where there is nothing to give away. Never from TLS to none. */
static void
set_redirects(struct options *o, const struct web_ask *ask)
{
	bool is_read = ask->method == WEB_GET || ask->method == WEB_HEAD;

	if (!is_read || ask->direct || (ask->auth && ask->auth->kind != WEB_ANONYMOUS))
		return;
	SET(o, CURLOPT_FOLLOWLOCATION, 1L);
	SET(o, CURLOPT_MAXREDIRS, 3L);
	SET(o, CURLOPT_REDIR_PROTOCOLS_STR,
		starts_with(ask->url, "https:") ? "https" : "http,https");
}

static void
set_limits(struct options *o, const struct web_limits *limits, bool direct)
{
	SET(o, CURLOPT_CONNECTTIMEOUT_MS, direct ? DIRECT_CONNECT_MS : (long)limits->connect_ms);
	SET(o, CURLOPT_LOW_SPEED_LIMIT, (long)limits->rate);
	SET(o, CURLOPT_LOW_SPEED_TIME, (long)limits->low_speed_s);
	/* An empty name: none, and the process's variables are not asked. They are another
	 * user's shell's, maybe (environ.h). */
	SET(o, CURLOPT_PROXY, direct || !limits->proxy ? "" : limits->proxy);
	SET(o, CURLOPT_NOPROXY, limits->no_proxy ? limits->no_proxy : "");
	if (limits->cert && !direct)
		SET(o, CURLOPT_SSLCERT, limits->cert);
	if (limits->key && !direct)
		SET(o, CURLOPT_SSLKEY, limits->key);
	if (limits->ca)
		SET(o, CURLOPT_CAINFO, limits->ca);
	if (limits->ca_alone)
		SET(o, CURLOPT_CAPATH, NULL);
}

static int
add_header(struct transfer *t, const char *header)
{
	struct curl_slist *more = t->lib->curl_slist_append(t->headers, header);

	if (!more)
		return -ENOMEM;
	t->headers = more;
	return 0;
}

/* With every upload libcurl says that it expects 100 Continue, and waits for it a second where the
 * server is silent. "Expect:" takes the header away; but where libcurl 7.88 signs, it signs the
 * header that it then does not send. There the wait is made short. */
static int
set_headers(struct transfer *t, const struct web_ask *ask)
{
	bool is_signed = ask->auth && ask->auth->kind == WEB_AWS;
	int r = is_signed ? 0 : add_header(t, "Expect:");

	for (size_t i = 0; ask->headers && i < ask->headers->n && r == 0; i++)
		r = add_header(t, ask->headers->v[i]);
	return r;
}

static int
set_all(struct transfer *t, const struct web_limits *limits, const struct web_ask *ask)
{
	struct options o = { .lib = t->lib, .easy = t->easy, .code = CURLE_OK };
	int r = set_headers(t, ask);

	if (r < 0)
		return r;
	SET(&o, CURLOPT_PRIVATE, t);
	SET(&o, CURLOPT_NOSIGNAL, 1L);
	SET(&o, CURLOPT_ERRORBUFFER, t->error_text);
	SET(&o, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(&o, CURLOPT_URL, ask->url);
	SET(&o, CURLOPT_PATH_AS_IS, 1L);
	SET(&o, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(&o, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(&o, CURLOPT_USERAGENT, "dray/" PACKAGE_VERSION);
	SET(&o, CURLOPT_HTTPHEADER, t->headers);
	SET(&o, CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
	SET(&o, CURLOPT_TCP_KEEPALIVE, 1L);
	SET(&o, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
	SET(&o, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_SIZE);
	SET(&o, CURLOPT_WRITEFUNCTION, take_body);
	SET(&o, CURLOPT_WRITEDATA, t);
	SET(&o, CURLOPT_HEADERFUNCTION, take_header);
	SET(&o, CURLOPT_HEADERDATA, t);
	SET(&o, CURLOPT_READFUNCTION, give_body);
	SET(&o, CURLOPT_READDATA, t);
	SET(&o, CURLOPT_SEEKFUNCTION, seek_body);
	SET(&o, CURLOPT_SEEKDATA, t);
	set_method(&o, ask);
	set_redirects(&o, ask);
	set_limits(&o, limits, ask->direct);
	if (ask->auth)
		set_auth(&o, ask->auth);
	return o.code == CURLE_OK ? 0 : -ENOMEM;
}

void
transfer_free(struct transfer *t)
{
	if (t == NULL)
		return;
	t->lib->curl_easy_cleanup(t->easy);
	t->lib->curl_slist_free_all(t->headers);
	buf_done(&t->text);
	free(t);
}

int
transfer_new(const struct curl_lib *lib, const struct web_limits *limits, const struct web_ask *ask,
	struct transfer **ret)
{
	struct transfer *t = calloc(1, sizeof(*t));
	uint64_t now = clock_mono_ms();
	int r;

	if (t == NULL)
		return -ENOMEM;
	t->lib = lib;
	t->fd = ask->fd;
	t->length = ask->method == WEB_PUT ? ask->length : 0;
	t->to = ask->to;
	t->direct = ask->direct;
	t->final = ask->final;
	t->done = ask->done;
	t->arg = ask->arg;
	if (ask->deadline > 0)
		t->deadline = ask->deadline;
	else if (ask->direct)
		t->deadline = now + DIRECT_MS;
	else if (limits->request_ms > 0)
		t->deadline = now + limits->request_ms;
	t->easy = lib->curl_easy_init();
	r = t->easy ? set_all(t, limits, ask) : -ENOMEM;
	if (r < 0) {
		transfer_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

bool
transfer_begin(struct transfer *t, const struct web_limits *limits, uint64_t now)
{
	if (t->deadline == 0)
		t->deadline = now + (t->to ? WHOLE_GET_MS : WHOLE_MS) +
			      t->length * 1000 / limits->rate;
	if (t->deadline <= now)
		return false;
	t->tries++;
	t->sent = 0;
	t->headers_n = 0;
	t->has_clock = false;
	t->date_s = t->modified_s = 0;
	t->text.n = 0;
	t->region[0] = t->error_text[0] = '\0';
	(void)t->lib->curl_easy_setopt(
		t->easy, CURLOPT_TIMEOUT_MS, (long)MIN2(t->deadline - now, (uint64_t)INT32_MAX));
	return true;
}

static bool
is_bad_status(const struct transfer *t, unsigned status)
{
	return status != t->final &&
	       (status == 429 || status == 500 || (status >= 502 && status <= 504));
}

static bool
is_bad_moment(const struct transfer *t, CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return is_bad_status(t, status_of(t));
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return true;
	default:
		return false;
	}
}

bool
transfer_try_again(struct transfer *t, CURLcode code, uint64_t now)
{
	uint64_t pause = PAUSE_MS << (2 * t->tries - 2);
	curl_off_t asked = 0;
	uint32_t chance = 0;

	if (t->direct || t->tries >= TRIES || !is_bad_moment(t, code))
		return false;
	if (t->to && incoming_error(t->to) != 0)
		return false;
	/* Many clients that met the same bad moment would come back together. */
	(void)!getrandom(&chance, sizeof(chance), GRND_NONBLOCK);
	pause = pause / 2 + chance % (pause / 2 + 1);
	(void)t->lib->curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &asked);
	if (asked > RETRY_AFTER_MAX_MS / 1000)
		return false;
	pause += (uint64_t)MAX2(asked, 0) * 1000;
	if (t->to && incoming_restart(t->to) < 0)
		return false;
	t->again_at = now + pause;
	return t->again_at < t->deadline;
}

/* The error of a try that brought no answer. */
static const struct row {
	CURLcode code;
	int error;
} ERRORS[] = {
	{ CURLE_COULDNT_CONNECT, -ECONNREFUSED }, { CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH },
	{ CURLE_COULDNT_RESOLVE_PROXY, -EHOSTUNREACH }, { CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT },
	{ CURLE_GOT_NOTHING, -ECONNRESET }, { CURLE_RECV_ERROR, -ECONNRESET },
	{ CURLE_SEND_ERROR, -ECONNRESET }, { CURLE_PARTIAL_FILE, -EBADMSG },
	{ CURLE_PEER_FAILED_VERIFICATION, -EKEYREJECTED },
	{ CURLE_SSL_CONNECT_ERROR, -EKEYREJECTED }, { CURLE_SSL_CACERT_BADFILE, -EKEYREJECTED },
	{ CURLE_SSL_CERTPROBLEM, -EKEYREJECTED }, { CURLE_OUT_OF_MEMORY, -ENOMEM },
	{ CURLE_ABORTED_BY_CALLBACK, -EIO }, /* our own file */
};

static int
error_of(const struct transfer *t, CURLcode code)
{
	if (t->to && incoming_error(t->to) < 0)
		return incoming_error(t->to);
	if (code == CURLE_OK)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(ERRORS); i++)
		if (ERRORS[i].code == code)
			return ERRORS[i].error;
	return -EPROTO;
}

void
transfer_answer(struct transfer *t, CURLcode code)
{
	struct web_answer a = { .why = "",
		.has_clock = t->has_clock,
		.clock_ahead_ms = t->clock_ahead_ms,
		.age_s = t->has_clock && t->modified_s > 0 && t->modified_s <= t->date_s
				 ? t->date_s - t->modified_s
				 : -1,
		.region = t->region };

	a.error = error_of(t, code);
	if (a.error < 0 && code != CURLE_OK)
		a.why = t->error_text[0] ? t->error_text : t->lib->curl_easy_strerror(code);
	/* a long text was not read to its end: that is no fault of the answer */
	if (code == CURLE_WRITE_ERROR && t->text.n == TEXT_MAX)
		a.error = 0;
	if (a.error == 0)
		a.status = status_of(t);
	a.text = t->text.n > 0 ? t->text.p : (const void *)"";
	a.text_n = t->text.n;
	t->done(t->arg, &a);
}
