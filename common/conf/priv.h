/* What the files of the configuration share. conf.c holds the table and reads files and
 * environment; value.c turns one text into one value. */
#ifndef DRAY_COMMON_CONF_PRIV_H
#define DRAY_COMMON_CONF_PRIV_H

#include "common/buf.h"
#include "common/conf/conf.h"

enum type {
	TYPE_CONNECT,  /* an endpoint to connect to */
	TYPE_CONNECTS, /* some of these, separated by commas (coordinators.h) */
	TYPE_LISTEN,   /* one, and its port may be '*' */
	TYPE_PATH,
	TYPE_KEY_FILES, /* paths, as many as there are of TYPE_CONNECTS, likewise */
	TYPE_PATHS,	/* separated by colons */
	TYPE_NAMES,	/* names of variables, separated by spaces */
	TYPE_WORDS,	/* names of packages and the like, separated by spaces */
	TYPE_SIZES,	/* NAME=SIZE of such names, separated by spaces */
	TYPE_QUOTAS,	/* the same, also of "*": of each that is not named */
	TYPE_WORD,	/* one of these */
	TYPE_PAGE,	/* off, or an address in numbers and a port (or '*') */
	TYPE_KEYS,	/* a path, or a list of keys (keys/trust.h) */
	TYPE_STORES, /* URLs of stores, each followed by ro or rw or neither, separated by commas */
	TYPE_ENUM,
	TYPE_BOOL,
	TYPE_NUMBER,
	TYPE_SIZE,
};

struct conf_key {
	const char *section, *name;
	enum type type;
	size_t offset;
	const char *def; /* as one would write it in a file; NULL: unset, or made by fill_paths() */
	const char *env;
	const char *const *words; /* TYPE_ENUM, in the order of the enum */
	uint64_t min, max;	  /* numbers and sizes */
};

/* The table. */
const struct conf_key *conf_keys(size_t *ret_n);
/* Whether the field is a string. */
bool conf_key_is_text(const struct conf_key *k);
void *conf_field(struct conf *c, const struct conf_key *k);

/* Puts a sentence in *ret_error and returns err (or -ENOMEM). */
int conf_fail(char **ret_error, int err, const char *fmt, ...) _printf_(3, 4);

/* Checks v and sets one key; the field is unchanged on failure. base: what a relative path is
 * relative to; NULL: one is refused. where: begins the error's sentence ("FILE, line 3"). */
int conf_set_key(struct conf *c, const struct conf_key *k, const char *v, const char *base,
	const char *where, char **ret_error);

/* The user's home; NULL when there is none, or no memory. */
char *conf_home_dir(void);

#endif
