/* Invariant: a line that was written stays until somebody takes it out. */
#include "config.h"

#include "coordinator/cache/judged.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/fs.h"

#define HEX 64
#define SHUNNED "shunned"
#define UNLIKE "unlike"
#define ALIKE "alike"
#define OTHER "other"

void
judged_done(struct judged *j)
{
	free(j->workers);
	free(j->packages);
	free(j->notes);
	*j = (struct judged)JUDGED_INIT;
}

const struct judged_worker *
judged_find(const struct judged *j, const char *curve)
{
	for (size_t i = 0; i < j->n_workers; i++)
		if (streq(j->workers[i].curve, curve))
			return &j->workers[i];
	return NULL;
}

bool
judged_varies(const struct judged *j, const char *namespace, const struct same_unit *u)
{
	for (size_t i = 0; i < j->n_packages; i++)
		if (streq(j->packages[i].crate, u->crate) &&
			streq(j->packages[i].source, u->source) &&
			streq(j->packages[i].namespace, namespace))
			return true;
	return false;
}

static int
add_worker(struct judged *j, const struct judged_worker *w)
{
	struct judged_worker *v;

	if (judged_find(j, w->curve))
		return -EEXIST;
	if (j->n_workers >= JUDGED_MAX)
		return -E2BIG;
	v = reallocarray(j->workers, j->n_workers + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	j->workers = v;
	v[j->n_workers++] = *w;
	return 0;
}

static int
add_package(struct judged *j, const struct judged_package *p)
{
	struct same_unit u;
	struct judged_package *v;

	memset(&u, 0, sizeof(u));
	memcpy(u.crate, p->crate, sizeof(u.crate));
	memcpy(u.source, p->source, sizeof(u.source));
	if (judged_varies(j, p->namespace, &u))
		return -EEXIST;
	if (j->n_packages >= JUDGED_MAX)
		return -E2BIG;
	v = reallocarray(j->packages, j->n_packages + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	j->packages = v;
	v[j->n_packages++] = *p;
	return 0;
}

static bool
is_package(const struct judged_package *a, const struct judged_package *b)
{
	return streq(a->crate, b->crate) && streq(a->source, b->source) &&
	       streq(a->namespace, b->namespace);
}

/* A worker, a client and a package are noted once. */
static int
add_note(struct judged *j, const struct judged_note *n)
{
	struct judged_note *v;
	size_t pair = 0;

	for (size_t i = 0; i < j->n_notes; i++) {
		const struct judged_note *k = &j->notes[i];

		if (!streq(k->worker, n->worker) || !streq(k->client, n->client))
			continue;
		if (is_package(&k->of, &n->of))
			return -EEXIST;
		pair++;
	}
	if (pair >= JUDGED_NOTES_PAIR || j->n_notes >= JUDGED_NOTES_MAX)
		return -E2BIG;
	v = reallocarray(j->notes, j->n_notes + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	j->notes = v;
	v[j->n_notes++] = *n;
	return 0;
}

void
judged_expire(struct judged *j, uint64_t now_s)
{
	size_t n = 0;

	for (size_t i = 0; i < j->n_notes; i++)
		if (j->notes[i].of.since_s + JUDGED_NOTE_S > now_s)
			j->notes[n++] = j->notes[i];
	j->n_notes = n;
}

/* ---- lines */

/* The next word of a line; NULL: there is none. */
static char *
word(char **at)
{
	char *p = *at;
	size_t n = strcspn(p, " ");

	if (n == 0)
		return NULL;
	*at = p + n + (p[n] == ' ');
	p[n] = '\0';
	return p;
}

static bool
take_word(char **at, char *to, size_t size)
{
	const char *p = word(at);

	if (!p || strlen(p) >= size)
		return false;
	memcpy(to, p, strlen(p) + 1);
	return true;
}

static bool
take_number(char **at, uint64_t *ret)
{
	const char *p = word(at);
	char *end;

	if (!p || *p < '0' || *p > '9')
		return false;
	errno = 0;
	*ret = strtoull(p, &end, 10);
	return *end == '\0' && errno == 0;
}

static bool
take_rest(const char *at, char *to, size_t size)
{
	size_t n = strlen(at);

	if (n == 0 || n >= size)
		return false;
	memcpy(to, at, n + 1);
	return true;
}

static int
parse_worker(char *at, bool unlike, struct judged *ret)
{
	struct judged_worker w;
	struct digest sign;
	char hex[HEX + 1];

	memset(&w, 0, sizeof(w));
	w.unlike = unlike;
	if (!take_word(&at, w.curve, sizeof(w.curve)) || strlen(w.curve) != CURVE_KEY_SIZE - 1 ||
		!take_word(&at, hex, sizeof(hex)) || digest_parse(hex, &sign) < 0 ||
		!take_number(&at, &w.since_s) || !take_word(&at, w.name, sizeof(w.name)) ||
		!take_rest(at, w.why, sizeof(w.why)))
		return 0;
	memcpy(w.sign, sign.b, SIGN_KEY_SIZE);
	return add_worker(ret, &w);
}

static int
parse_package(char *at, struct judged *ret)
{
	struct judged_package p;

	memset(&p, 0, sizeof(p));
	if (!take_word(&at, p.namespace, sizeof(p.namespace)) || !take_number(&at, &p.since_s) ||
		!take_word(&at, p.crate, sizeof(p.crate)) ||
		!take_rest(at, p.source, sizeof(p.source)))
		return 0;
	if (streq(p.namespace, "-"))
		*p.namespace = '\0';
	return add_package(ret, &p);
}

static bool
take_alike(char **at, bool *ret)
{
	const char *p = word(at);

	*ret = p && streq(p, ALIKE);
	return p && (*ret || streq(p, OTHER));
}

static int
parse_note(char *at, struct judged *ret)
{
	struct judged_note n;

	memset(&n, 0, sizeof(n));
	if (!take_word(&at, n.worker, sizeof(n.worker)) ||
		!take_word(&at, n.client, sizeof(n.client)) || !take_number(&at, &n.of.since_s) ||
		!take_alike(&at, &n.alike) ||
		!take_word(&at, n.of.namespace, sizeof(n.of.namespace)) ||
		!take_word(&at, n.of.crate, sizeof(n.of.crate)) ||
		!take_rest(at, n.of.source, sizeof(n.of.source)))
		return 0;
	if (streq(n.of.namespace, "-"))
		*n.of.namespace = '\0';
	if (streq(n.client, "-"))
		*n.client = '\0';
	/* one from the future would count for ever */
	n.of.since_s = MIN2(n.of.since_s, (uint64_t)time(NULL));
	return add_note(ret, &n);
}

static int
parse_line(char *line, struct judged *ret)
{
	const char *what = word(&line);
	int r = 0;

	if (what && (streq(what, SHUNNED) || streq(what, UNLIKE)))
		r = parse_worker(line, streq(what, UNLIKE), ret);
	else if (what && streq(what, "odd"))
		r = parse_note(line, ret);
	else if (what && streq(what, "varies"))
		r = parse_package(line, ret);
	return r == -ENOMEM ? r : 0;
}

int
judged_parse(const char *text, size_t n, struct judged *ret)
{
	const char *end = text + n;
	int r = 0;

	while (r == 0 && text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((nl ? nl : end) - text);
		char line[1024];

		/* one that holds a NUL, or is longer than any, is none */
		if (len < sizeof(line) && !memchr(text, '\0', len)) {
			memcpy(line, text, len);
			line[len] = '\0';
			r = parse_line(line, ret);
		}
		text += len + 1;
	}
	return r;
}

int
judged_load(const char *path, struct judged *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = fs_read_file(path, JUDGED_FILE_MAX, &b);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && b.n > 0)
		r = judged_parse((const char *)b.p, b.n, ret);
	if (r < 0)
		judged_done(ret);
	return r;
}

/* ---- one more */

/* Nothing of it may look as more than one field. */
static void
plain(char *s, bool spaces)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s == 0x7f || (*s == ' ' && !spaces))
			*s = '_';
}

static int
append(const char *path, const struct buf *line)
{
	_cleanup_(closep) int fd = open(
		path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : fs_write_all(fd, line->p, line->n);

	/* a power cut must not bring it back */
	return r == 0 && fsync(fd) < 0 ? -errno : r;
}

int
judged_add_worker(struct judged *j, const char *path, const struct judged_worker *given)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct judged_worker w = *given;
	struct digest sign;
	char hex[DIGEST_HEX_SIZE];
	int r;

	plain(w.name, false);
	plain(w.why, true);
	if (!*w.name)
		memcpy(w.name, "-", 2);
	if (!*w.why)
		memcpy(w.why, "-", 2);
	r = add_worker(j, &w);
	if (r < 0)
		return r;
	memcpy(sign.b, w.sign, SIGN_KEY_SIZE);
	digest_hex(&sign, hex);
	r = buf_addf(&b, "%s %s %s %llu %s %s\n", w.unlike ? UNLIKE : SHUNNED, w.curve, hex,
		(unsigned long long)w.since_s, w.name, w.why);
	return r < 0 ? r : append(path, &b);
}

/* Whether the file can tell of it. */
static bool
is_sayable(const struct judged_package *p)
{
	return *p->crate && *p->source && !strchr(p->crate, ' ') && !strchr(p->source, '\n') &&
	       !strchr(p->crate, '\n');
}

int
judged_add_package(struct judged *j, const char *path, const struct judged_package *given)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const struct judged_package *p = given;
	int r;

	if (!is_sayable(p))
		return -EINVAL;
	r = add_package(j, p);
	if (r < 0)
		return r;
	r = buf_addf(&b, "varies %s %llu %s %s\n", *p->namespace ? p->namespace : "-",
		(unsigned long long)p->since_s, p->crate, p->source);
	return r < 0 ? r : append(path, &b);
}

int
judged_add_note(struct judged *j, const char *path, const struct judged_note *n)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r;

	if (!is_sayable(&n->of) || !*n->worker)
		return -EINVAL;
	r = add_note(j, n);
	if (r < 0)
		return r;
	r = buf_addf(&b, "odd %s %s %llu %s %s %s %s\n", n->worker, *n->client ? n->client : "-",
		(unsigned long long)n->of.since_s, n->alike ? ALIKE : OTHER,
		*n->of.namespace ? n->of.namespace : "-", n->of.crate, n->of.source);
	return r < 0 ? r : append(path, &b);
}

static int
follow_notes(
	struct judged *j, const char *path, const char *old_curve, const struct allowed_key *fresh)
{
	const size_t n = j->n_notes;
	int r = 0;

	for (size_t i = 0; i < n && i < j->n_notes && r == 0; i++) {
		struct judged_note note = j->notes[i];
		bool is = streq(note.worker, old_curve), for_it = streq(note.client, old_curve);

		if (is)
			memcpy(note.worker, fresh->curve_public, sizeof(note.worker));
		if (for_it)
			memcpy(note.client, fresh->curve_public, sizeof(note.client));
		r = is || for_it ? judged_add_note(j, path, &note) : 0;
		r = r == -EEXIST || r == -E2BIG ? 0 : r;
	}
	return r;
}

int
judged_follow(
	struct judged *j, const char *path, const char *old_curve, const struct allowed_key *fresh)
{
	const struct judged_worker *known = judged_find(j, old_curve);
	struct judged_worker w;
	int r;

	if (known && path) {
		w = *known;
		memcpy(w.curve, fresh->curve_public, sizeof(w.curve));
		memcpy(w.sign, fresh->sign_public, SIGN_KEY_SIZE);
		r = judged_add_worker(j, path, &w);
		if (r < 0 && r != -EEXIST)
			return r;
	}
	return path ? follow_notes(j, path, old_curve, fresh) : 0;
}

void
judged_apply(const struct judged *j, struct allowed_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++) {
		const struct judged_worker *w = judged_find(j, keys->v[i].curve_public);

		if (w && w->unlike)
			keys->v[i].sign_revoked = true;
		else if (w)
			keys->v[i].revoked = true;
	}
}
