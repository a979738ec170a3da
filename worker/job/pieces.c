/* Objects of a compiler that still runs. What it links, or puts into a library, it has written long
 * before its end: each object is sent when it was closed, and what is made of it afterwards is sent
 * as made of it.
 *
 * Invariant: no job fails by what is sent ahead, and nothing of that is an output by itself. A link
 * input is a piece if it is the file that was sent, not written to since. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
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
#define HELD_MAX 48	  /* descriptors, for libraries; 16 objects are usual for these */
#define EVENTS_MAX 100000 /* a job may write more often than any compiler does */

#define WRAPPED_MAX 1024 /* what an object that holds the metadata has before it */
#define ALIKE 64	 /* bytes at the beginning, by which they are told apart at first */

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

	closep(&p->meta.fd);
	for (size_t i = 0; i < p->n; i++)
		closep(&p->v[i].fd);
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
	p->held += v->fd >= 0;
	return 0;
}

static int
send_piece(struct job *j, int fd, const struct stat *st)
{
	struct pieces *p = &j->pieces;
	struct piece v = { .size = (uint64_t)st->st_size,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.modified = st->st_mtim,
		.fd = -1 };
	bool cut = false;
	int r = content_begin(
		j, "", DRAY__OUTPUT_KIND__OUTPUT_PIECE, 0644, v.size, NULL, NULL, &v.output);

	if (r == 0)
		r = content_send(j, v.output, fd, v.size, NULL, &v.digest, &cut);
	if (r < 0 || cut)
		return r;
	p->bytes += v.size;
	if (p->held < HELD_MAX)
		v.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	r = add_piece(p, &v);
	if (r < 0)
		closep(&v.fd);
	return r;
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
		j->pieces.bytes + (uint64_t)st.st_size > j->shared->conf->worker.job_disk_max)
		return 0;
	return send_piece(j, fd, &st);
}

bool
pieces_may_go(const struct job *j)
{
	const struct pieces *p = &j->pieces;

	return p->next < p->seen.n && (uint64_t)j->credit * 2 > j->grant;
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
pieces_note_metadata(struct job *j, uint32_t output, int fd, uint64_t size)
{
	struct piece *meta = &j->pieces.meta;

	if (!j->request->pieces || meta->fd >= 0 || size < ALIKE)
		return;
	meta->output = output;
	meta->size = size;
	meta->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

const struct piece *
pieces_take(struct job *j, const struct stat *st)
{
	struct pieces *p = &j->pieces;

	for (size_t i = 0; i < p->n; i++) {
		struct piece *v = &p->v[i];

		if (v->ino != st->st_ino || v->dev != st->st_dev || v->taken ||
			v->size != (uint64_t)st->st_size ||
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
		ret->v[ret->n++] = (struct part){
			.at = at, .n = v->size, .output = v->output, .from = 0, .fd = v->fd
		};
}

static bool
begins_alike(const uint8_t *p, const struct piece *v)
{
	uint8_t other[ALIKE];

	return fs_read_at(v->fd, other, ALIKE, 0) == ALIKE && memcmp(p, other, ALIKE) == 0;
}

/* A member that may be a piece, or the metadata with something around it. */
static void
look_at_member(const struct pieces *p, int fd, uint64_t at, uint64_t n, struct parts *ret)
{
	const struct piece *meta = &p->meta;
	uint8_t head[WRAPPED_MAX + ALIKE];
	ssize_t got = fs_read_at(fd, head, sizeof(head), at);

	if (got < ALIKE || n < ALIKE)
		return;
	for (size_t i = 0; i < p->n; i++) {
		const struct piece *v = &p->v[i];

		if (v->fd >= 0 && !v->taken && v->size == n && begins_alike(head, v)) {
			add_part(ret, at, v);
			return;
		}
	}
	if (meta->fd < 0 || n < meta->size || n - meta->size > WRAPPED_MAX)
		return;
	for (ssize_t i = 0; i + ALIKE <= got; i++) {
		if (memcmp(head + i, "rust", 4) == 0 && meta->size <= n - (uint64_t)i &&
			begins_alike(head + i, meta)) {
			add_part(ret, at + (uint64_t)i, meta);
			return;
		}
	}
}

void
pieces_in(const struct pieces *p, int fd, uint64_t size, struct parts *ret)
{
	struct rlib_members m;

	ret->n = 0;
	if ((p->held == 0 && p->meta.fd < 0) || rlib_members(fd, size, &m) < 0)
		return;
	while (rlib_next(&m) > 0)
		look_at_member(p, fd, m.at, m.n, ret);
}
