/* A toolchain's id, remembered by the stat of everything it stands on.
 *
 * Invariant: an id is recalled only when every file, and every directory in which a file could have
 * been added, has the device, inode, size and times it had when the id was computed. A note that
 * does not decode in full is as good as none.
 *
 *   note    version | flags | n | host | release | id | n entries
 *   entry   name | device | inode | size | mtime | ctime          (times: seconds, nanoseconds)
 *
 * First come the directories, which lie in lib/rustlib, then the files in byte order, bin/<driver>
 * before all others.
 *
 * Numbers are 64 bits in this machine's order; a string is its length and its bytes. The memo never
 * leaves the machine. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "toolchain/toolchain_priv.h"

#define NOTE_VERSION 1u
#define STAT_WORDS 7

/* flags */
#define RUST_SRC 1u
#define OUTSIDE 2u

void
toolchain_done(struct toolchain *t)
{
	free(t->sysroot);
	free(t->driver);
	free(t->host);
	free(t->target);
	free(t->release);
	buf_done(&t->seal);
	memset(t, 0, sizeof(*t));
}

static void
stat_words(const struct stat *st, uint64_t w[STAT_WORDS])
{
	w[0] = st->st_dev;
	w[1] = st->st_ino;
	w[2] = (uint64_t)st->st_size;
	w[3] = (uint64_t)st->st_mtim.tv_sec;
	w[4] = (uint64_t)st->st_mtim.tv_nsec;
	w[5] = (uint64_t)st->st_ctim.tv_sec;
	w[6] = (uint64_t)st->st_ctim.tv_nsec;
}

static char *
note_name(const char *sysroot, const char *driver, const char *target)
{
	char *name;

	if (asprintf(&name, "toolchain:%s:%s:%s", sysroot, driver, target != NULL ? target : "") <
		0)
		return NULL;
	return name;
}

static int
put_word(struct buf *b, uint64_t w)
{
	return buf_add(b, &w, sizeof(w));
}

static int
put_string(struct buf *b, const char *s)
{
	int r = put_word(b, strlen(s));

	return r < 0 ? r : buf_adds(b, s);
}

static int
put_entry(struct buf *b, const struct tc_entry *e)
{
	uint64_t w[STAT_WORDS];
	int r;

	stat_words(&e->st, w);
	r = put_string(b, e->name);
	return r < 0 ? r : buf_add(b, w, sizeof(w));
}

int
tc_note(const struct toolchain *t, bool rust_src, const struct tc_entries *entries, struct buf *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	size_t i;
	int r;

	r = put_word(&b, NOTE_VERSION);
	if (r == 0)
		r = put_word(&b, (rust_src ? RUST_SRC : 0) | (t->outside ? OUTSIDE : 0));
	if (r == 0)
		r = put_word(&b, entries->n);
	if (r == 0)
		r = put_string(&b, t->host);
	if (r == 0)
		r = put_string(&b, t->release);
	if (r == 0)
		r = buf_add(&b, t->id.b, DIGEST_SIZE);
	for (i = 0; r == 0 && i < entries->n; i++)
		r = put_entry(&b, &entries->v[i]);
	if (r < 0)
		return r;
	*ret = b;
	b = (struct buf)BUF_INIT;
	return 0;
}

int
tc_remember(struct memo *m, const char *target, const struct toolchain *t)
{
	_cleanup_(freep) char *name = note_name(t->sysroot, t->driver, target);

	return name != NULL ? memo_set_note(m, name, t->seal.p, t->seal.n) : -ENOMEM;
}

/* What is still to be read of a note. */
struct cursor {
	const uint8_t *p;
	size_t n;
};

static int
get_bytes(struct cursor *c, void *p, size_t n)
{
	if (c->n < n)
		return -ENOENT;
	memcpy(p, c->p, n);
	c->p += n;
	c->n -= n;
	return 0;
}

static int
get_word(struct cursor *c, uint64_t *ret)
{
	return get_bytes(c, ret, sizeof(*ret));
}

/* A string into out, which has room for size bytes. */
static int
get_string(struct cursor *c, char *out, size_t size)
{
	uint64_t n;
	int r;

	r = get_word(c, &n);
	if (r < 0 || n >= size)
		return -ENOENT;
	r = get_bytes(c, out, (size_t)n);
	if (r < 0 || memchr(out, '\0', (size_t)n) != NULL)
		return -ENOENT;
	out[n] = '\0';
	return 0;
}

/* Below the sysroot: relative, and with no part that begins with a dot. */
static bool
is_below_it(const char *name)
{
	return *name != '/' && *name != '.' && strstr(name, "/.") == NULL;
}

static bool
entry_holds(struct cursor *c, int sysroot_fd)
{
	uint64_t then[STAT_WORDS], now[STAT_WORDS];
	char name[1024];
	struct stat st;

	if (get_string(c, name, sizeof(name)) < 0 || get_bytes(c, then, sizeof(then)) < 0)
		return false;
	if (!is_below_it(name) || fstatat(sysroot_fd, name, &st, 0) < 0)
		return false;
	stat_words(&st, now);
	return memcmp(then, now, sizeof(now)) == 0;
}

static int
check_note(struct cursor c, const char *sysroot, char host[160], char release[160],
	struct digest *ret, bool *ret_outside)
{
	_cleanup_(closep) int fd = -1;
	uint64_t version, flags, n;

	if (get_word(&c, &version) < 0 || version != NOTE_VERSION || get_word(&c, &flags) < 0 ||
		get_word(&c, &n) < 0 || get_string(&c, host, 160) < 0 ||
		get_string(&c, release, 160) < 0 || get_bytes(&c, ret->b, DIGEST_SIZE) < 0)
		return -ENOENT;
	/* an id that stands on nothing is none */
	if (n == 0 || flags > (RUST_SRC | OUTSIDE) ||
		((flags & RUST_SRC) != 0) != tc_has_rust_src(sysroot))
		return -ENOENT;
	fd = open(sysroot, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -ENOENT;
	for (; n > 0; n--) {
		if (!entry_holds(&c, fd))
			return -ENOENT;
	}
	*ret_outside = (flags & OUTSIDE) != 0;
	return c.n == 0 ? 0 : -ENOENT;
}

int
tc_recall(struct memo *m, const char *sysroot, const char *driver, const char *target,
	struct toolchain *ret)
{
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(freep) char *name = note_name(sysroot, driver, target);
	_cleanup_(buf_done) struct buf note = BUF_INIT;
	char host[160], release[160];

	if (name == NULL)
		return -ENOMEM;
	if (memo_get_note(m, name, &note) < 0 ||
		check_note((struct cursor){ note.p, note.n }, sysroot, host, release, &t.id,
			&t.outside) < 0)
		return -ENOENT;
	t.sysroot = strdup(sysroot);
	t.driver = strdup(driver);
	t.host = strdup(host);
	t.target = strdup(target != NULL ? target : host);
	t.release = strdup(release);
	if (t.sysroot == NULL || t.driver == NULL || t.host == NULL || t.target == NULL ||
		t.release == NULL)
		return -ENOMEM;
	t.seal = note;
	note = (struct buf)BUF_INIT;
	*ret = t;
	memset(&t, 0, sizeof(t));
	return 0;
}

bool
toolchain_holds(const struct toolchain *t)
{
	char host[160], release[160];
	struct digest id;
	bool outside;

	return check_note((struct cursor){ t->seal.p, t->seal.n }, t->sysroot, host, release, &id,
		       &outside) == 0;
}

/* The files of a seal in their order, and how large they are together. */
static int
sealed(const struct toolchain *t, struct strv *ret, uint64_t *ret_bytes)
{
	_cleanup_(strv_done) struct strv files = STRV_INIT;
	struct cursor c = { t->seal.p, t->seal.n };
	uint64_t version, flags, n, stat_then[STAT_WORDS], bytes = 0;
	char text[1024];
	struct digest id;
	int r = 0;

	if (get_word(&c, &version) < 0 || version != NOTE_VERSION || get_word(&c, &flags) < 0 ||
		get_word(&c, &n) < 0 || get_string(&c, text, sizeof(text)) < 0 ||
		get_string(&c, text, sizeof(text)) < 0 || get_bytes(&c, id.b, DIGEST_SIZE) < 0)
		return -ENOENT;
	for (; r == 0 && n > 0; n--) {
		if (get_string(&c, text, sizeof(text)) < 0 ||
			get_bytes(&c, stat_then, sizeof(stat_then)) < 0)
			return -ENOENT;
		if (files.n == 0 && !starts_with(text, "bin/"))
			continue;
		r = strv_add(&files, text);
		bytes += stat_then[2];
	}
	if (r == 0)
		r = files.n > 0 ? strv_add_all(ret, files.v) : -ENOENT;
	*ret_bytes = r == 0 ? bytes : 0;
	return r;
}

int
tc_sealed_files(const struct toolchain *t, struct strv *ret)
{
	uint64_t bytes;

	return sealed(t, ret, &bytes);
}

uint64_t
toolchain_bytes(const struct toolchain *t)
{
	_cleanup_(strv_done) struct strv files = STRV_INIT;
	uint64_t bytes = 0;

	(void)sealed(t, &files, &bytes);
	return bytes;
}
