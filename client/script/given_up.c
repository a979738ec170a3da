/* Runs that are not kept for what such a script does each time: the next one is not traced, so that
 * it costs nothing, what it compiles itself finds the cache, and its twins do not wait.
 *
 * Invariant: this holds for a day, and only while the package's files that the run read, and the
 * programs that it ran, are as they were: they may have been the reason. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cache/variables.h"
#include "client/script/run_priv.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/text/why.h"

#define LASTS_S (24 * 3600)
#define PATHS_MAX 65536 /* bytes of paths; what is beyond is not looked at */

/* The note: this, why (ended by NUL), then the paths, each ended by NUL. */
struct head {
	uint64_t at; /* seconds since 1970 */
	struct digest state;
};

/* By the key, and the environment, which may make it worth it. NULL: no memory. */
static char *
note_name(const struct run *r)
{
	char hex[DIGEST_HEX_SIZE], env[DIGEST_HEX_SIZE], *name;
	const char *trust = r->conf->client.scripts_trust;
	struct digest d;

	if (variables_digest("all", r->marked.v, &d) < 0)
		return NULL;
	digest_hex(&r->c->key.id, hex);
	digest_hex(&d, env);
	if (asprintf(&name, "given up 2 %s %.16s %s", hex, env, trust ? trust : "") < 0)
		return NULL;
	return name;
}

/* What the files are now, by their stat. */
static int
state_of(const char *paths, size_t n, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();

	if (!h)
		return -ENOMEM;
	for (size_t i = 0; i < n; i += strlen(paths + i) + 1) {
		struct stat st;
		char text[160] = "";

		if (stat(paths + i, &st) == 0)
			snprintf(text, sizeof(text), "%llu %lld %o %lld.%09ld",
				(unsigned long long)st.st_ino, (long long)st.st_size,
				(unsigned)st.st_mode, (long long)st.st_mtim.tv_sec,
				st.st_mtim.tv_nsec);
		hasher_field(h, text, strlen(text));
	}
	hasher_final(h, ret);
	return 0;
}

/* What it changes each time is no reason to trace it again. */
static bool
is_as_before(const struct run *r, const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ||
	       (S_ISREG(st.st_mode) && clock_is_before(&st.st_mtim, &r->began));
}

/* Adds the package's own files, and programs, of the record. */
static int
add_paths(const struct run *r, struct buf *to)
{
	const struct buf *record = &r->seen.record;
	const char *p = (const char *)record->p, *end = p + record->n;
	const size_t most = to->n + PATHS_MAX;
	int k = 0;

	for (; k == 0 && p && p < end; p += strlen(p) + 1) {
		const char *program = *p == 'x' ? strchr(p, ' ') : NULL;
		const char *path = program ? program + 1 : p + 1;

		if (!program && ((*p != 'f' && *p != 'a') || !path_is_below(path, r->c->cwd) ||
					path_is_below(path, r->c->target_dir) ||
					path_is_below(path, r->c->real_target_dir)))
			continue;
		if (is_as_before(r, path) && to->n + strlen(path) < most)
			k = buf_add(to, path, strlen(path) + 1);
	}
	return k;
}

void
run_give_up(struct run *r)
{
	static const char *const lasting[] = { "it asked ", "it used ", "it ran " };
	_cleanup_(freep) char *name = note_name(r);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct head head = { .at = clock_wall_ms() / 1000 };
	bool lasts = false;
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(lasting); i++)
		lasts |= starts_with(r->not_stored, lasting[i]);
	if (!lasts || !name || buf_add(&b, &head, sizeof(head)) < 0 ||
		buf_add(&b, r->not_stored, strlen(r->not_stored) + 1) < 0)
		return;
	n = b.n;
	if (add_paths(r, &b) < 0 || state_of((const char *)b.p + n, b.n - n, &head.state) < 0)
		return;
	memcpy(b.p, &head, sizeof(head));
	memo_set_note(r->memo, name, b.p, b.n);
}

void
run_give_up_again(struct run *r)
{
	_cleanup_(freep) char *name = note_name(r);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *why, *paths;
	struct digest state;
	struct head head;

	if (!name || r->not_stored || r->conf->client.cache != CACHE_ON ||
		r->conf->client.recache || memo_get_note(r->memo, name, &b) < 0 ||
		b.n <= sizeof(head) || b.p[b.n - 1] != '\0')
		return;
	memcpy(&head, b.p, sizeof(head));
	why = (const char *)b.p + sizeof(head);
	paths = why + strlen(why) + 1;
	if (clock_wall_ms() / 1000 - head.at > LASTS_S ||
		state_of(paths, b.n - (size_t)(paths - (const char *)b.p), &state) < 0 ||
		!digest_eq(&state, &head.state))
		return;
	why_set(&r->not_stored, -ENOTSUP, "not traced, since the last time %s", why);
	cached_why(&r->said, "runs of it are not kept");
}
