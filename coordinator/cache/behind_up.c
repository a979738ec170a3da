/* Uploads to the stores behind the disk. Invariants: an entry in a store names only blobs that were
 * put there before, and is put there with what others have put of it. Its note is removed when that
 * is done, or can never be; what a store refuses is tried again, ever later.
 *
 *   DIR/ns-NAME/behind/KEY      an entry that was put on the disk since its last upload
 *   DIR/ns-NAME/behind/KEY.up   its upload is under way, or was when the coordinator was killed */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cache/shared.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/thread.h"
#include "coordinator/cache/behind_priv.h"
#include "coordinator/cache/merge.h"
#include "proto/wire.h"
#include "store/outgoing.h"

#define STACK_BYTES (1u << 20)
#define NICE 10 /* those that ask come first */
#define WAIT_MS 1000
#define WAIT_MAX_MS 60000
#define PURGE_TRIES 5 /* of an entry, where a store fails */

/* One entry on its way. */
struct upload {
	struct behind_space *sp;
	struct digest name;
	struct signers *signers; /* held */
	bool far;		 /* it was a store that failed */
	char why[256];
};

/* ---- notes */

static int
note_path(const struct behind_space *sp, const struct digest *name, const char *end, char **ret)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(name, hex);
	return asprintf(ret, "%s/%s%s", sp->dir, hex, end) < 0 ? -ENOMEM : 0;
}

static void
add_due(struct behind_space *sp, const struct digest *name)
{
	struct behind *b = sp->behind;
	struct behind_due *d = calloc(1, sizeof(*d));

	if (!d)
		return;
	d->name = *name;
	pthread_mutex_lock(&b->lock);
	STAILQ_INSERT_TAIL(&sp->due[name->b[0] % BEHIND_UPLOADS], d, link);
	sp->n_due++;
	pthread_cond_broadcast(&b->cond);
	pthread_mutex_unlock(&b->lock);
}

static bool
is_full(struct behind_space *sp)
{
	bool full;

	pthread_mutex_lock(&sp->behind->lock);
	full = sp->n_due >= BEHIND_DUE_MAX;
	pthread_mutex_unlock(&sp->behind->lock);
	return full;
}

void
behind_note(struct vault_space *s, const struct digest *name)
{
	struct behind_space *sp = s->behind;
	_cleanup_(freep) char *path = NULL;
	int fd;

	if (!sp || !sp->dir || is_full(sp) || note_path(sp, name, "", &path) < 0)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* one that is there is due already */
	if (fd < 0)
		return;
	close(fd);
	add_due(sp, name);
}

/* One that was under way is due again. */
static void
take_note(struct behind_space *sp, const char *file)
{
	_cleanup_(freep) char *from = NULL, *to = NULL;
	char hex[DIGEST_HEX_SIZE];
	struct digest name;
	size_t n = strlen(file);

	if (n < DIGEST_HEX_SIZE - 1 || is_full(sp))
		return;
	snprintf(hex, sizeof(hex), "%.*s", (int)DIGEST_HEX_SIZE - 1, file);
	if (digest_parse(hex, &name) < 0)
		return;
	if (streq(file + DIGEST_HEX_SIZE - 1, ".up")) {
		if (note_path(sp, &name, ".up", &from) < 0 || note_path(sp, &name, "", &to) < 0)
			return;
		/* noted again since: that note is the one that counts */
		if (fs_exists(to)) {
			unlink(from);
			return;
		}
		if (rename(from, to) < 0)
			return;
	} else if (file[DIGEST_HEX_SIZE - 1] != '\0') {
		return;
	}
	add_due(sp, &name);
}

void
behind_up_scan(struct behind_space *sp)
{
	DIR *dir = opendir(sp->dir);
	const struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir)) != NULL)
		take_note(sp, e->d_name);
	closedir(dir);
}

void
behind_up_done(struct behind_space *sp)
{
	for (size_t i = 0; i < ARRAY_LEN(sp->due); i++) {
		struct behind_due *d;

		while ((d = STAILQ_FIRST(&sp->due[i])) != NULL) {
			STAILQ_REMOVE_HEAD(&sp->due[i], link);
			if (d->purge && --d->purge->parts == 0)
				free(d->purge);
			free(d);
		}
	}
}

/* ---- one entry */

static int
note_far(struct upload *u, const struct clerk_request *q, int r)
{
	u->far = r < 0;
	if (r < 0)
		snprintf(u->why, sizeof(u->why), "%s", *q->why ? q->why : strerror(-r));
	return r;
}

static int
put_blob(struct upload *u, const struct output *o)
{
	struct behind_space *sp = u->sp;
	struct clerk_request has = { .what = CLERK_HAS, .kind = STORE_BLOB, .name = o->digest };
	struct object object = { .fd = -1 };
	struct clerk_request put = { .what = CLERK_PUT_OBJECT, .object = &object };
	_cleanup_(closep) int fd = -1;
	struct store_reply reply;
	int r = sp->several ? -ENOENT : clerk_ask_now(sp->clerk, &has, &reply);

	if (r == 0)
		return 0;
	fd = store_get_now(sp->space->store, STORE_BLOB, &o->digest, o->size, NULL);
	if (fd < 0)
		return fd;
	/* here, and not by the clerk, for whom others wait */
	r = outgoing_blob(sp->tmp, OBJECT_ZSTD, fd, &object);
	if (r == 0 && !digest_eq(&object.head.name, &o->digest)) {
		object_done(&object);
		return -EBADMSG;
	}
	if (r == 0)
		r = note_far(u, &put, clerk_ask_now(sp->clerk, &put, &reply));
	return r;
}

static int
put_blobs(struct upload *u, const struct output *v, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		if (v[i].is_blob)
			r = put_blob(u, &v[i]);
	return r;
}

/* What its outputs are, in the store. -errno: they cannot be. */
static int
put_result(struct upload *u, const struct shared_entry *e, size_t i)
{
	_cleanup_(result_done) struct result res = RESULT_INIT;
	struct shared_said said;
	int r = shared_look(e, i, &said, &res);

	if (r == 0 && !said.right)
		r = -EBADMSG;
	if (r == 0)
		r = put_blobs(u, res.outputs, res.n_outputs);
	return r < 0 ? r : put_blobs(u, res.temporaries, res.n_temporaries);
}

static bool
is_in(const struct shared_entry *e, const struct buf *sealed)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->sealed[i].n == sealed->n &&
			memcmp(e->sealed[i].p, sealed->p, sealed->n) == 0)
			return true;
	return false;
}

/* What the stores have of it: nothing, if it is no results, or damaged. -EPROTONOSUPPORT: it is of
 * a later version. */
static int
get_theirs(struct upload *u, struct buf *ret, struct shared_entry *ret_entry)
{
	struct clerk_request get = { .what = CLERK_GET,
		.kind = STORE_ENTRY,
		.name = u->name,
		.max = WIRE_SHARED_ENTRY_MAX };
	_cleanup_(closep) int fd = -1;
	struct store_reply reply;
	int r = clerk_ask_now(u->sp->clerk, &get, &reply);

	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	if (r < 0)
		return note_far(u, &get, r);
	fd = reply.fd;
	r = buf_reserve(ret, (size_t)reply.size + 1);
	if (r == 0 && fs_read_at(fd, ret->p, (size_t)reply.size, 0) != (ssize_t)reply.size)
		r = -EIO;
	if (r < 0)
		return r;
	ret->n = (size_t)reply.size;
	r = shared_entry_decode(ret->p, ret->n, &u->name, ret_entry);
	if (r == -EBADMSG)
		ret->n = 0;
	return r == -EBADMSG ? 0 : r;
}

/* Puts those results' outputs that the stores do not have; leaves out those whose outputs are gone.
 * Returns how many are new, or -errno. */
static int
put_news(struct upload *u, struct shared_entry *ours, const struct shared_entry *theirs)
{
	int news = 0;

	for (size_t i = ours->n; i-- > 0;) {
		int r = is_in(theirs, &ours->sealed[i]) ? 0 : put_result(u, ours, i);

		if (r < 0 && (u->far || r == -ENOMEM || r == -ECANCELED))
			return r;
		if (r < 0)
			shared_entry_drop(ours, i);
		else
			news += !is_in(theirs, &ours->sealed[i]);
	}
	return news;
}

static int
put_both(struct upload *u, const struct shared_entry *ours, const struct buf *theirs)
{
	_cleanup_(buf_done) struct buf mine = BUF_INIT;
	_cleanup_(buf_done) struct buf both = BUF_INIT;
	struct clerk_request put = { .what = CLERK_PUT_ENTRY, .name = u->name };
	const struct buf *what = &mine;
	struct store_reply reply;
	int r = shared_entry_encode(ours, &mine);

	if (r == 0 && theirs->n) {
		r = merge_entry(
			&u->name, &mine, u->signers, NULL, theirs->p, theirs->n, &both, NULL);
		if (r == 0)
			what = &both;
		/* 1: as they have it; none of theirs counts: ours alone */
		if (r == 1 || r == -EACCES || r == -EBADMSG)
			r = 0;
	}
	if (r < 0)
		return r;
	put.p = what->p;
	put.n = what->n;
	return note_far(u, &put, clerk_ask_now(u->sp->clerk, &put, &reply));
}

/* 1: nothing was to be done. */
static int
upload(struct upload *u)
{
	_cleanup_(shared_entry_done) struct shared_entry ours = SHARED_ENTRY_INIT;
	_cleanup_(shared_entry_done) struct shared_entry theirs = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(buf_done) struct buf far = BUF_INIT;
	int r = store_read_now(
		u->sp->space->store, STORE_ENTRY, &u->name, WIRE_SHARED_ENTRY_MAX, &b);

	if (r == 0)
		r = shared_entry_decode(b.p, b.n, &u->name, &ours);
	if (r == 0)
		r = get_theirs(u, &far, &theirs);
	if (r < 0)
		return r;
	r = put_news(u, &ours, &theirs);
	if (r <= 0)
		return r < 0 ? r : 1;
	return put_both(u, &ours, &far);
}

/* ---- a purge */

static unsigned
thread_of(const struct digest *name)
{
	return name->b[0] % BEHIND_UPLOADS;
}

/* The next name of that thread's from there on. */
static size_t
next_name(const struct behind_purge *p, unsigned number, size_t at)
{
	while (at < p->n && thread_of(&p->names[at]) != number)
		at++;
	return at;
}

int
behind_purge(
	struct vault_space *s, const struct digest *names, size_t n, const struct vault_purge *what)
{
	struct behind_space *sp = s->behind;
	struct behind_due *d[BEHIND_UPLOADS] = { NULL };
	struct behind_purge *p;
	int r = 0;

	if (!sp || n == 0)
		return 0;
	if (!sp->dir)
		return -EROFS;
	p = calloc(1, sizeof(*p) + n * sizeof(*names));
	for (unsigned i = 0; p && r == 0 && i < BEHIND_UPLOADS; i++) {
		d[i] = calloc(1, sizeof(*d[i]));
		r = d[i] ? 0 : -ENOMEM;
	}
	if (!p || r < 0) {
		for (unsigned i = 0; i < BEHIND_UPLOADS; i++)
			free(d[i]);
		free(p);
		return -ENOMEM;
	}
	p->parts = BEHIND_UPLOADS;
	p->of_producer = what->producer != NULL;
	if (what->producer)
		memcpy(p->producer, what->producer, SIGN_KEY_SIZE);
	p->before_s = what->before_s;
	p->n = n;
	memcpy(p->names, names, n * sizeof(*names));
	pthread_mutex_lock(&sp->behind->lock);
	for (unsigned i = 0; i < BEHIND_UPLOADS; i++) {
		d[i]->purge = p;
		d[i]->at = next_name(p, i, 0);
		STAILQ_INSERT_TAIL(&sp->due[i], d[i], link);
	}
	pthread_cond_broadcast(&sp->behind->cond);
	pthread_mutex_unlock(&sp->behind->lock);
	return 0;
}

/* How many results were taken out, or -errno. */
static int
purge_one(struct upload *u, const struct behind_purge *p)
{
	const struct vault_purge what = { p->of_producer ? p->producer : NULL, NULL, p->before_s };
	_cleanup_(shared_entry_done) struct shared_entry theirs = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf far = BUF_INIT;
	_cleanup_(buf_done) struct buf left = BUF_INIT;
	struct clerk_request put = { .what = CLERK_PUT_ENTRY, .name = u->name };
	struct store_reply reply;
	int r = get_theirs(u, &far, &theirs);
	size_t n = r == 0 ? vault_purge_results(&theirs, &what) : 0;

	if (r < 0 || n == 0)
		return r;
	theirs.key = u->name;
	if (theirs.n == 0)
		strv_done(&theirs.recipe);
	r = shared_entry_encode(&theirs, &left);
	if (r < 0)
		return r;
	put.p = left.p;
	put.n = left.n;
	r = note_far(u, &put, clerk_ask_now(u->sp->clerk, &put, &reply));
	return r < 0 ? r : (int)n;
}

/* The lock is held. */
static void
end_purge(struct behind_space *sp, struct behind_due *d)
{
	struct behind_purge *p = d->purge;

	free(d);
	if (--p->parts > 0)
		return;
	if (p->failed)
		log_warn("shared cache: purged in the stores of namespace=%s: results=%llu "
			 "entries=%llu failed=%llu: %s",
			*sp->space->name ? sp->space->name : "-", (unsigned long long)p->results,
			(unsigned long long)p->entries, (unsigned long long)p->failed, p->why);
	else
		log_info("shared cache: purged in the stores of namespace=%s: results=%llu "
			 "entries=%llu",
			*sp->space->name ? sp->space->name : "-", (unsigned long long)p->results,
			(unsigned long long)p->entries);
	free(p);
}

/* One name of it; uploads come between. */
static void
do_purge(struct behind_space *sp, struct behind_due *d, unsigned number)
{
	struct behind_purge *p = d->purge;
	struct upload u = { .sp = sp };
	struct behind *b = sp->behind;
	bool again = false;
	int r = 0;

	if (d->at < p->n) {
		u.name = p->names[d->at];
		r = purge_one(&u, p);
		again = u.far && r != -ECANCELED && ++d->tries < PURGE_TRIES;
	}
	pthread_mutex_lock(&b->lock);
	if (d->at < p->n && !again) {
		p->entries += r > 0;
		p->results += r > 0 ? (uint64_t)r : 0;
		p->failed += r < 0;
		b->stats.purged += r > 0 ? (uint64_t)r : 0;
		if (r < 0)
			snprintf(p->why, sizeof(p->why), "%s", *u.why ? u.why : strerror(-r));
		d->at = next_name(p, number, d->at + 1);
		d->tries = 0;
	} else if (again) {
		sp->wait_until = clock_mono_ms() + WAIT_MS;
	}
	if (d->at < p->n)
		STAILQ_INSERT_TAIL(&sp->due[number], d, link);
	else
		end_purge(sp, d);
	pthread_mutex_unlock(&b->lock);
}

/* ---- a thread */

static void
settle(struct upload *u, struct behind_due *d, int r)
{
	struct behind_space *sp = u->sp;
	struct behind *b = sp->behind;
	_cleanup_(freep) char *up = NULL, *path = NULL;
	bool again = u->far || r == -ENOMEM || r == -ECANCELED || r == -EMFILE;

	if (note_path(sp, &d->name, ".up", &up) == 0 && note_path(sp, &d->name, "", &path) == 0) {
		/* it may have been noted again meanwhile: then that one stands for both */
		if (!again || fs_exists(path)) {
			unlink(up);
			again = false;
		} else {
			again = rename(up, path) == 0;
		}
	}
	pthread_mutex_lock(&b->lock);
	if (u->far && r != -ECANCELED)
		log_throttled(&b->not_uploaded, 5,
			"shared cache: what is new in namespace=%s cannot be uploaded: %s",
			*sp->space->name ? sp->space->name : "-", u->why);
	b->stats.uploaded += r == 0;
	if (u->far) {
		sp->wait_ms = sp->wait_ms ? MIN2(2 * sp->wait_ms, (uint64_t)WAIT_MAX_MS) : WAIT_MS;
		sp->wait_until = clock_mono_ms() + sp->wait_ms;
	} else if (r == 0) {
		sp->wait_ms = sp->wait_until = 0;
	}
	if (again)
		STAILQ_INSERT_TAIL(&sp->due[d->name.b[0] % BEHIND_UPLOADS], d, link);
	else
		sp->n_due--;
	pthread_mutex_unlock(&b->lock);
	if (!again)
		free(d);
}

/* Whose results count now, held. */
static struct signers *
hold_signers(struct behind_space *sp)
{
	struct signers *s;

	pthread_mutex_lock(&sp->behind->lock);
	s = signers_hold(sp->signers);
	pthread_mutex_unlock(&sp->behind->lock);
	return s;
}

static void
do_due(struct behind_space *sp, struct behind_due *d)
{
	struct upload u = { .sp = sp, .name = d->name };
	_cleanup_(freep) char *up = NULL, *path = NULL;
	int r = note_path(sp, &d->name, "", &path);

	if (r == 0)
		r = note_path(sp, &d->name, ".up", &up);
	/* what is put from now on is noted again */
	if (r == 0 && rename(path, up) < 0)
		r = -errno;
	u.signers = hold_signers(sp);
	if (r == 0)
		r = upload(&u);
	signers_release(u.signers);
	settle(&u, d, r);
}

/* The next one of this thread's, with the lock. *ret_until: when there may be one; 0: none waits.
 */
static struct behind_due *
next_due(struct behind *b, unsigned number, struct behind_space **ret, uint64_t *ret_until)
{
	uint64_t now = clock_mono_ms();

	*ret_until = 0;
	for (struct behind_space *sp = b->spaces; sp; sp = sp->next) {
		struct behind_due *d = STAILQ_FIRST(&sp->due[number]);

		/* a purge needs nobody's name */
		if (!d || (!sp->named && !d->purge))
			continue;
		if (now < sp->wait_until) {
			if (*ret_until == 0 || sp->wait_until < *ret_until)
				*ret_until = sp->wait_until;
			continue;
		}
		STAILQ_REMOVE_HEAD(&sp->due[number], link);
		*ret = sp;
		return d;
	}
	return NULL;
}

static void
wait_until(struct behind *b, uint64_t ms)
{
	const struct timespec t = { .tv_sec = (time_t)(ms / 1000),
		.tv_nsec = (long)(ms % 1000) * 1000000L };

	if (ms)
		pthread_cond_timedwait(&b->cond, &b->lock, &t);
	else
		pthread_cond_wait(&b->cond, &b->lock);
}

struct start {
	struct behind *b;
	unsigned number;
};

static void *
work(void *arg)
{
	struct start *s = arg;
	struct behind *b = s->b;
	unsigned number = s->number;

	free(s);
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	pthread_mutex_lock(&b->lock);
	while (!b->ends) {
		struct behind_space *sp = NULL;
		uint64_t until;
		struct behind_due *d = next_due(b, number, &sp, &until);

		if (!d) {
			wait_until(b, until);
			continue;
		}
		pthread_mutex_unlock(&b->lock);
		if (d->purge)
			do_purge(sp, d, number);
		else
			do_due(sp, d);
		pthread_mutex_lock(&b->lock);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

int
behind_up_start(struct behind *b)
{
	int r = 0;

	while (r == 0 && b->n_threads < BEHIND_UPLOADS) {
		struct start *s = malloc(sizeof(*s));

		if (s)
			*s = (struct start){ b, b->n_threads };
		r = s ? thread_start(
				THREAD_NO_SIGNALS, STACK_BYTES, work, s, &b->threads[b->n_threads])
		      : -ENOMEM;
		if (r < 0)
			free(s);
		else
			b->n_threads++;
	}
	return r;
}

void
behind_up_join(struct behind *b)
{
	while (b->n_threads > 0)
		pthread_join(b->threads[--b->n_threads], NULL);
}
