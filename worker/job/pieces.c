/* Objects of a compiler that still runs. What it links, or puts into a library, it has written long
 * before its end: each object is sent when it was closed, and what is made of it afterwards is sent
 * as made of it.
 *
 * Invariant: no job fails by what is sent ahead, and nothing of that is an output by itself. A link
 * input is a piece if it is the file that was sent, not written to since. A part of a library is a
 * piece if it has the digest of what was sent: of the piece's own file a job could make anything
 * meanwhile, and the client would blame this worker. */
#include "config.h"

#include <errno.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/rlib.h"
#include "common/fs.h"
#include "worker/job/job_priv.h"

#define OBJECT_END ".rcgu.o"
#define PIECE_MIN (32u << 10) /* a file and two messages cost as much as some ten KiB */
#define PIECE_MAX (32u << 20)
#define PIECES_MAX 1024	  /* a crate has 256 objects at most, unless it is told so */
#define EVENTS_MAX 100000 /* a job may write more often than any compiler does */

#define WRAPPED_MAX 1024 /* what an object that holds the metadata has before it */

void
pieces_begin(struct job *j)
{
	if (!j->request->pieces)
		return;
	j->pieces.watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (j->pieces.watch >= 0 &&
		inotify_add_watch(j->pieces.watch, j->stage.out, IN_CLOSE_WRITE | IN_ONLYDIR) < 0)
		closep(&j->pieces.watch);
}

int
pieces_end_watch(struct job *j)
{
	int fd = j->pieces.watch;

	j->pieces.watch = -1;
	return MAX2(fd, 0);
}

void
pieces_done(struct job *j)
{
	struct pieces *p = &j->pieces;

	free(p->v);
	strv_done(&p->seen);
	p->v = NULL;
	p->n = 0;
}

static void
note_names(struct pieces *p)
{
	_Alignas(struct inotify_event) char buf[16384];
	const struct inotify_event *e;
	ssize_t n = read(p->watch, buf, sizeof(buf));

	for (ssize_t at = 0; at < n; at += (ssize_t)(sizeof(*e) + e->len)) {
		e = (const struct inotify_event *)(buf + at);
		p->events++;
		if (e->len && ends_with(e->name, OBJECT_END) && p->seen.n < PIECES_MAX &&
			!strv_has(&p->seen, e->name))
			(void)strv_add(&p->seen, e->name);
	}
	if (p->events > EVENTS_MAX)
		closep(&p->watch);
}

static int
add_piece(struct pieces *p, const struct piece *v)
{
	struct piece *all = reallocarray(p->v, p->n + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	p->v = all;
	p->v[p->n++] = *v;
	return 0;
}

static bool
read_head(int fd, uint64_t at, uint8_t ret[PIECE_HEAD])
{
	return fs_read_at(fd, ret, PIECE_HEAD, at) == PIECE_HEAD;
}

static int
send_piece(struct job *j, const char *name, int fd, const struct stat *st)
{
	struct pieces *p = &j->pieces;
	struct piece v = { .size = (uint64_t)st->st_size,
		.name = name,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.modified = st->st_mtim };
	bool cut = false;
	int r;

	if (!read_head(fd, 0, v.head))
		return 0;
	r = content_begin(
		j, "", DRAY__OUTPUT_KIND__OUTPUT_PIECE, 0644, v.size, NULL, NULL, &v.output);
	if (r == 0)
		r = content_send(j, v.output, fd, v.size, NULL, &v.digest, &cut);
	if (r < 0 || cut)
		return r;
	p->bytes += v.size;
	return add_piece(p, &v);
}

/* What cannot be sent now is sent at the end, or is missed there. */
static int
send_named(struct job *j, const char *name)
{
	_cleanup_(freep) char *path = path_join(j->stage.out, name);
	_cleanup_(closep) int fd = -1;
	struct stat st;

	if (!path)
		return -ENOMEM;
	fd = fs_open_regular(path, &st);
	if (fd < 0 || st.st_size < PIECE_MIN || st.st_size > (off_t)PIECE_MAX ||
		j->pieces.bytes + (uint64_t)st.st_size > j->conf->worker.job_disk_max)
		return 0;
	return send_piece(j, name, fd, &st);
}

bool
pieces_may_go(const struct job *j)
{
	const struct pieces *p = &j->pieces;

	return !j->ownerless && p->next < p->seen.n && (uint64_t)j->credit * 2 > j->grant;
}

int
pieces_step(struct job *j)
{
	struct pieces *p = &j->pieces;

	if (p->watch >= 0)
		note_names(p);
	/* While half of the credit is left. Text, and what is announced, goes before it. */
	return pieces_may_go(j) ? send_named(j, p->seen.v[p->next++]) : 0;
}

void
pieces_note_metadata(struct job *j, uint32_t output, int fd, uint64_t size, const struct digest *d)
{
	struct piece *meta = &j->pieces.meta;

	if (!j->request->pieces || meta->size || size < PIECE_HEAD || !read_head(fd, 0, meta->head))
		return;
	meta->output = output;
	meta->size = size;
	meta->digest = *d;
}

const struct piece *
pieces_take(struct job *j, const char *name, const struct stat *st)
{
	struct pieces *p = &j->pieces;

	for (size_t i = 0; i < p->n; i++) {
		struct piece *v = &p->v[i];

		if (v->ino != st->st_ino || v->dev != st->st_dev || v->taken ||
			v->size != (uint64_t)st->st_size || !streq(v->name, name) ||
			v->modified.tv_sec != st->st_mtim.tv_sec ||
			v->modified.tv_nsec != st->st_mtim.tv_nsec)
			continue;
		v->taken = true;
		p->same++;
		return v;
	}
	return NULL;
}

/* ---- libraries */

static void
add_part(struct parts *ret, uint64_t at, const struct piece *v)
{
	if (ret->n < ARRAY_LEN(ret->v))
		ret->v[ret->n++] = (struct part){ .at = at, .n = v->size, .output = v->output };
}

static bool
begins_alike(const uint8_t *p, const struct piece *v)
{
	return memcmp(p, v->head, PIECE_HEAD) == 0;
}

/* A member that may be a piece. Its digest is made once, however many pieces there are. */
static const struct piece *
find_piece(const struct pieces *p, int fd, uint64_t at, uint64_t n, const uint8_t *head)
{
	struct digest d;
	bool made = false;

	for (size_t i = 0; i < p->n; i++) {
		const struct piece *v = &p->v[i];

		if (v->taken || v->size != n || !begins_alike(head, v))
			continue;
		if (!made && digest_range(fd, at, n, &d) < 0)
			return NULL;
		made = true;
		if (digest_eq(&d, &v->digest))
			return v;
	}
	return NULL;
}

/* The metadata with something around it. */
static void
look_for_metadata(const struct piece *meta, int fd, uint64_t at, uint64_t n, const uint8_t *head,
	size_t got, struct parts *ret)
{
	struct digest d;

	for (size_t i = 0; i + PIECE_HEAD <= got && meta->size <= n - i; i++) {
		if (memcmp(head + i, "rust", 4) != 0 || !begins_alike(head + i, meta))
			continue;
		if (digest_range(fd, at + i, meta->size, &d) == 0 && digest_eq(&d, &meta->digest))
			add_part(ret, at + i, meta);
		return;
	}
}

static void
look_at_member(const struct pieces *p, int fd, uint64_t at, uint64_t n, struct parts *ret)
{
	uint8_t head[WRAPPED_MAX + PIECE_HEAD];
	ssize_t got = fs_read_at(fd, head, (size_t)MIN2(n, (uint64_t)sizeof(head)), at);
	const struct piece *v;

	if (got < PIECE_HEAD)
		return;
	v = find_piece(p, fd, at, n, head);
	if (v)
		add_part(ret, at, v);
	else if (p->meta.size && n >= p->meta.size && n - p->meta.size <= WRAPPED_MAX)
		look_for_metadata(&p->meta, fd, at, n, head, (size_t)got, ret);
}

void
pieces_in(const struct pieces *p, int fd, uint64_t size, struct parts *ret)
{
	struct rlib_members m;

	ret->n = 0;
	if ((p->n == 0 && p->meta.size == 0) || rlib_members(fd, size, &m) < 0)
		return;
	while (ret->n < ARRAY_LEN(ret->v) && rlib_next(&m) > 0)
		look_at_member(p, fd, m.at, m.n, ret);
}
