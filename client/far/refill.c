/* Invariant: a call that is decoded has a program to run, and nothing is left over. */
#include "config.h"

#include "client/far/refill.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/far/ask.h"
#include "common/fs.h"

#define FORMAT "1"

enum part { AT_FORMAT, AT_SOUGHT, AT_UMASK, AT_MAPPED, AT_CWD, AT_N_ARGV, AT_N_ENV, PARTS };

static const char *const base_names[] = { "PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME",
	"RUSTUP_TOOLCHAIN", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME" };

void
refill_call_done(struct refill_call *c)
{
	free(c->cwd);
	strv_done(&c->argv);
	strv_done(&c->env);
	strv_done(&c->base);
	memset(c, 0, sizeof(*c));
}

int
refill_encode(const struct refill_call *c, struct strv *ret)
{
	char hex[DIGEST_HEX_SIZE];
	int r;

	digest_hex(&c->sought, hex);
	r = strv_add(ret, FORMAT);
	if (r == 0)
		r = strv_add(ret, hex);
	if (r == 0)
		r = strv_addf(ret, "%o", (unsigned)c->umask);
	if (r == 0)
		r = strv_add(ret, c->mapped ? "mapped" : "");
	if (r == 0)
		r = strv_add(ret, c->cwd);
	if (r == 0)
		r = strv_addf(ret, "%zu", c->argv.n);
	if (r == 0)
		r = strv_addf(ret, "%zu", c->env.n);
	if (r == 0)
		r = strv_add_all(ret, c->argv.v);
	if (r == 0 && c->env.n)
		r = strv_add_all(ret, c->env.v);
	if (r == 0 && c->base.n)
		r = strv_add_all(ret, c->base.v);
	return r;
}

/* A number of that base that is written as we write it. */
static bool
take_number(const char *s, int base, unsigned long most, unsigned long *ret)
{
	char *end;

	if (*s < '0' || *s > '9' || (*s == '0' && s[1]))
		return false;
	errno = 0;
	*ret = strtoul(s, &end, base);
	return !errno && !*end && *ret <= most;
}

static int
take_words(const struct strv *from, size_t *at, size_t n, bool set, struct strv *ret)
{
	int r = 0;

	for (; r == 0 && n > 0; n--, ++*at) {
		const char *eq = strchr(from->v[*at], '=');

		if (set && (!eq || eq == from->v[*at]))
			return -EBADMSG;
		r = strv_add(ret, from->v[*at]);
	}
	return r;
}

static int
take_all(const struct strv *from, struct refill_call *c)
{
	unsigned long mask, n_argv, n_env;
	size_t at = PARTS;
	int r;

	if (from->n <= PARTS || !streq(from->v[AT_FORMAT], FORMAT) ||
		digest_parse(from->v[AT_SOUGHT], &c->sought) < 0 ||
		!take_number(from->v[AT_UMASK], 8, 0777, &mask) ||
		!path_is_normal(from->v[AT_CWD]) ||
		!take_number(from->v[AT_N_ARGV], 10, from->n - PARTS, &n_argv) || n_argv == 0 ||
		!take_number(from->v[AT_N_ENV], 10, from->n - PARTS - n_argv, &n_env) ||
		!(streq(from->v[AT_MAPPED], "") || streq(from->v[AT_MAPPED], "mapped")))
		return -EBADMSG;
	c->umask = (mode_t)mask;
	c->mapped = *from->v[AT_MAPPED];
	c->cwd = strdup(from->v[AT_CWD]);
	r = c->cwd ? take_words(from, &at, n_argv, false, &c->argv) : -ENOMEM;
	if (r == 0)
		r = take_words(from, &at, n_env, true, &c->env);
	if (r == 0)
		r = take_words(from, &at, from->n - at, true, &c->base);
	return r;
}

int
refill_decode(const struct strv *from, struct refill_call *ret)
{
	int r = take_all(from, ret);

	if (r < 0)
		refill_call_done(ret);
	return r;
}

bool
refill_is_wanted(const struct conf *conf)
{
	return conf->client.refill != REFILL_NEVER && conf->client.offload != OFFLOAD_NEVER &&
	       conf->client.farm_half && far_has_farm(conf) && far_may_read(conf);
}

static bool
has_name(const struct strv *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=')
			return true;
	return false;
}

int
refill_base(const struct strv *env, struct strv *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(base_names); i++) {
		const char *value = getenv(base_names[i]);

		if (value && !has_name(env, base_names[i]))
			r = strv_addf(ret, "%s=%s", base_names[i], value);
	}
	return r;
}

/* To look at what waits costs milliseconds of a build: one in so many does, by its digest. */
#define LOOKS 16

/* Room for those that come until the next look. */
static void
make_room(const char *dir)
{
	_cleanup_(freep) struct queue_item *v = NULL;
	size_t n;

	if (queue_list(dir, &v, &n) < 0)
		return;
	for (size_t i = 0; i + REFILLS_MAX_WAITING <= n; i++)
		queue_remove(dir, &v[i]);
}

int
refill_note(const struct conf *conf, const struct queue_item *i, const struct refill_call *c)
{
	_cleanup_(strv_done) struct strv words = STRV_INIT;
	_cleanup_(freep) char *dir = NULL;
	size_t bytes = 0;
	int r = refill_encode(c, &words);

	for (size_t k = 0; r == 0 && k < words.n; k++)
		bytes += strlen(words.v[k]) + 1;
	if (bytes > REFILL_BYTES_MAX)
		return -E2BIG;
	if (r == 0)
		r = queue_refill_dir(conf, &dir);
	if (r < 0)
		return r;
	if (i->key.b[DIGEST_SIZE - 1] % LOOKS == 0)
		make_room(dir);
	return queue_add(dir, i, words.v);
}

size_t
refill_count(const struct conf *conf)
{
	_cleanup_(freep) struct queue_item *v = NULL;
	_cleanup_(freep) char *dir = NULL;
	size_t n = 0;

	if (!conf->client.cache_dir || queue_refill_dir(conf, &dir) < 0 ||
		queue_list(dir, &v, &n) < 0)
		return 0;
	return n;
}
