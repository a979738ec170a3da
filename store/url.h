/* Where a store is, as one text:
 *
 *   file:///DIR
 *   http://[USER:PASSWORD@]HOST[:PORT]/PREFIX      https://…
 *   s3://BUCKET/PREFIX?region=…&endpoint=…
 *   redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]     rediss://…   (TLS)
 *   redis+unix:///SOCKET?db=…
 *
 * and after a '?' what is set of this store, NAME=VALUE with '&' between. url.c has the table of
 * names: which kind of store knows them, and what values they have. `%41` stands for a byte
 * (RFC 3986); a '+' is a plus.
 *
 * A store's password may be in its URL, so a URL is never shown as it is: not in a log, an error
 * or a process's arguments. store_url_show is what is shown. No error of store_url_parse has a byte
 * of what could be a part of a password in it. */
#ifndef DRAY_STORE_URL_H
#define DRAY_STORE_URL_H

#include "common/buf.h"

#define STORE_URL_MAX 4096 /* bytes of a URL */
#define STORE_REDIS_PREFIX "dray/"

enum store_scheme {
	STORE_URL_FILE,
	STORE_URL_HTTP,
	STORE_URL_HTTPS,
	STORE_URL_S3,
	STORE_URL_REDIS,
	STORE_URL_REDISS,
	STORE_URL_REDIS_UNIX,
	STORE_N_SCHEMES
};

/* What may be set behind the '?'. */
enum store_param {
	STORE_PARAM_MODE,  /* all: ro: nothing is written; rw; own (chain/list.h) */
	STORE_PARAM_BELOW, /* all: what comes behind the path, or a redis's prefix: "pr/12". file:
			    * directories that are made where DIR is there. Of all others it is in
			    * path or prefix already, and not set */
	STORE_PARAM_REQUEST_S, /* all: longest time for one request, with all its tries */
	STORE_PARAM_ACCESS, /* file: who may use what is made: group, all; else as the umask says */
	STORE_PARAM_CONNECT_MS, /* all but file: longest wait for a connection */
	/* https, s3, rediss: files */
	STORE_PARAM_CA,	  /* the certificates that are trusted */
	STORE_PARAM_CERT, /* who we are, for servers that ask */
	STORE_PARAM_KEY,  /* the key of that */
	/* http, https, redis, rediss, redis+unix: */
	STORE_PARAM_PASSWORD_FILE, /* its first line is the password */
	/* http, https: */
	STORE_PARAM_TOKEN_FILE, /* its first line is a bearer token */
	STORE_PARAM_TOKEN_ENV,	/* the variable that holds one */
	/* http, https, s3: */
	STORE_PARAM_RATE, /* slower than so many bytes a second for low_speed seconds is given up */
	STORE_PARAM_LOW_SPEED_S,
	/* s3: */
	STORE_PARAM_REGION,
	STORE_PARAM_ENDPOINT, /* [http[s]://]host[:port] */
	STORE_PARAM_STYLE,    /* path, virtual */
	STORE_PARAM_SSE,      /* AES256, aws:kms, aws:kms:dsse */
	STORE_PARAM_SSE_KEY,  /* the id of the KMS key */
	STORE_PARAM_STORAGE_CLASS,
	STORE_PARAM_RENEW_DAYS, /* what is read is renewed when it is so old; 0: never */
	STORE_PARAM_PROFILE,	/* in the shared credentials and configuration files */
	STORE_PARAM_ANONYMOUS,	/* yes: nothing is signed; no */
	/* redis, rediss, redis+unix: */
	STORE_PARAM_DB,
	STORE_PARAM_PREFIX,
	STORE_PARAM_EXPIRE_S, /* a key that is not used for so long goes; 0: none does */
	STORE_N_PARAMS
};

/* All is decoded. */
struct store_url {
	enum store_scheme scheme;
	char *user, *password; /* NULL: there is none. The user may be a secret as well */
	char *host;	       /* lower case; IPv6 without its brackets; s3: the bucket, as written;
				* NULL: file, redis+unix */
	uint16_t port;	       /* 0: none was written */
	char *path; /* file, redis+unix: absolute and normal (path_is_normal). http, s3: the
		     * prefix, no '/' at either end, no part of it empty, "." or ".."; ""
		     * is none. redis: "" */
	char *params[STORE_N_PARAMS]; /* NULL: not set. redis: `db`, however it was written */
};

/* 0; -EINVAL, and a sentence in *ret_why that shows no secret, or NULL without memory; -ENOMEM. */
int store_url_parse(const char *text, struct store_url **ret, char **ret_why);
void store_url_free(struct store_url *u); /* NULL is fine */
void store_url_freep(struct store_url **u);

/* The URL without user and password, "***@" in their place. It can be parsed again, unless
 * what had to be encoded makes it longer than STORE_URL_MAX. The caller frees it; NULL: no memory.
 */
char *store_url_show(const struct store_url *u);

/* Adds the text to a URL: letters, digits, -._~ and those in `also` as they are, all else as %41. 0
 * or -ENOMEM. */
int store_url_encode(struct buf *b, const char *s, const char *also);

/* The same place, further below: as if `below` were set to it, behind what that was set to. 0;
 * -EINVAL: it is no such prefix; -ENOMEM. */
int store_url_go_below(struct store_url *u, const char *prefix);

/* What is set, or NULL. */
const char *store_url_get(const struct store_url *u, enum store_param p);
/* Of a number; otherwise: what it is where nothing is set. */
uint64_t store_url_number(const struct store_url *u, enum store_param p, uint64_t otherwise);
/* The first line of the file that is set: a password, a token. 0, and the caller's; -EINVAL: it is
 * empty; -errno; and a sentence without it, or NULL. */
int store_url_secret(const struct store_url *u, enum store_param p, char **ret, char **ret_why);
/* The name as it is written: "region". */
const char *store_url_param_name(enum store_param p);

#endif
