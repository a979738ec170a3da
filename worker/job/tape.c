/* Invariant: entries are only added, and never change; a tape lives while its job leads it, a
 * reader reads it, or it lingers. */
#include "config.h"

#include "worker/job/tape.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/table.h"
#include "keys/identity.h"

/* Of all that linger: text is in memory, and files may have no names any more. */
#define LINGERING_MAX 256
#define LINGERING_TEXT_MAX (32u << 20)
#define LINGERING_BYTES_MAX (1ull << 30)

struct tape_reader {
	TAILQ_ENTRY(tape_reader) link;
	struct tape *tape;
	const struct tape_entry *last; /* that was read */
	int event;
	uint64_t waited_ms; /* of the tape, when it came */
};

struct tape {
	struct table_node node; /* in the table unless `out` */
	TAILQ_ENTRY(tape) linger_link;
	struct tapes *all;
	struct digest key;
	char job[33], client[CURVE_KEY_SIZE];
	bool out, led, lingers;
	bool began, ended, is_void;
	struct tape_entry *first, *last;
	size_t n, text, files;
	uint64_t bytes; /* of outputs */
	TAILQ_HEAD(, tape_reader) readers;
	uint64_t waits_since, waited_ms; /* waits_since: 0: it does not wait now */
	uint64_t ended_ms;
};

struct tapes {
	pthread_mutex_t lock;
	struct table by_key;
	TAILQ_HEAD(, tape) lingering;
	size_t n_lingering, lingering_text, files, files_max;
	uint64_t lingering_bytes;
	uint8_t hash_key[TABLE_KEY_SIZE];
};

int
tapes_new(struct tapes **ret)
{
	struct tapes *t = calloc(1, sizeof(*t));
	struct rlimit files = { .rlim_cur = 1024 };

	if (!t || table_init(&t->by_key) < 0) {
		free(t);
		return -ENOMEM;
	}
	table_key(t->hash_key);
	pthread_mutex_init(&t->lock, NULL);
	TAILQ_INIT(&t->lingering);
	/* connections, jobs and sandboxes need theirs */
	getrlimit(RLIMIT_NOFILE, &files);
	t->files_max = (size_t)MIN2(files.rlim_cur / 4, (rlim_t)65536);
	*ret = t;
	return 0;
}

/* ---- the rest up to the next line: under the lock */

static void
entry_free(struct tape_entry *e)
{
	if (!e)
		return;
	free(e->name);
	free(e->p);
	closep(&e->fd);
	free(e);
}

static void
take_out(struct tape *t)
{
	if (!t->out)
		table_del(&t->all->by_key, &t->node);
	t->out = true;
	if (t->lingers) {
		TAILQ_REMOVE(&t->all->lingering, t, linger_link);
		t->all->n_lingering--;
		t->all->lingering_text -= t->text;
		t->all->lingering_bytes -= t->bytes;
	}
	t->lingers = false;
}

static void
free_if_unused(struct tape *t)
{
	struct tape_entry *e, *next;

	if (t->led || t->lingers || !TAILQ_EMPTY(&t->readers))
		return;
	take_out(t);
	for (e = t->first; e; e = next) {
		next = e->next;
		entry_free(e);
	}
	t->all->files -= t->files;
	free(t);
}

static void
forget_oldest(struct tapes *t)
{
	struct tape *tape = TAILQ_FIRST(&t->lingering);

	take_out(tape);
	free_if_unused(tape);
}

static void
forget_old(struct tapes *t, uint64_t now)
{
	struct tape *tape;

	while ((tape = TAILQ_FIRST(&t->lingering)) && now - tape->ended_ms >= TAPE_LINGER_MS)
		forget_oldest(t);
}

static void
ring_all(struct tape *t)
{
	struct tape_reader *r;
	uint64_t one = 1;

	TAILQ_FOREACH(r, &t->readers, link)
	while (write(r->event, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void
make_void(struct tape *t)
{
	t->is_void = true;
	take_out(t);
	ring_all(t);
}

static struct tape *
find(const struct tapes *t, const struct digest *key, uint64_t hash)
{
	struct table_node *node = table_find(&t->by_key, hash);

	for (; node; node = table_find_next(node))
		if (digest_eq(&table_entry(node, struct tape, node)->key, key))
			return table_entry(node, struct tape, node);
	return NULL;
}

static int
reader_new(struct tape *t, uint64_t now, struct tape_reader **ret)
{
	struct tape_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	/* what is there already is read at once */
	r->event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->event < 0) {
		free(r);
		return -ENOMEM;
	}
	r->tape = t;
	r->waited_ms = t->waited_ms + (t->waits_since ? now - t->waits_since : 0);
	TAILQ_INSERT_TAIL(&t->readers, r, link);
	*ret = r;
	return 0;
}

static int
tape_new(struct tapes *all, const struct tape_way *way, uint64_t hash, struct tape **ret)
{
	struct tape *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->all = all;
	t->key = *way->key;
	TAILQ_INIT(&t->readers);
	table_put(&all->by_key, &t->node, hash);
	*ret = t;
	return 0;
}

/* No job leads it yet: a twin may come first. */
static bool
is_awaited(const struct tape *t)
{
	return !t->led && !t->ended;
}

static int
enter(struct tapes *t, const struct tape_way *way, uint64_t now, struct tape **ret,
	struct tape_reader **ret_reader)
{
	uint64_t hash = table_hash(t->hash_key, way->key->b, DIGEST_SIZE);
	struct tape *tape;
	int r;

	forget_old(t, now);
	tape = find(t, way->key, hash);
	/* a client that has it and asks again wants it compiled again */
	if (tape && tape->ended && streq(tape->client, way->client)) {
		take_out(tape);
		free_if_unused(tape);
		tape = NULL;
	}
	r = tape || (!way->may_lead && !way->may_join) ? 0 : tape_new(t, way, hash, &tape);
	if (r < 0 || !tape)
		return r;
	if (way->may_lead && is_awaited(tape)) {
		tape->led = true;
		snprintf(tape->job, sizeof(tape->job), "%s", way->job);
		snprintf(tape->client, sizeof(tape->client), "%s", way->client);
		*ret = tape;
		return 0;
	}
	if (!way->may_join)
		return 0;
	r = reader_new(tape, now, ret_reader);
	free_if_unused(tape);
	return r < 0 ? r : 1;
}

/* What an entry takes of memory. */
static size_t
weight(const struct tape_entry *e)
{
	return sizeof(*e) + e->n + (e->name ? strlen(e->name) : 0);
}

static bool
fits(struct tape *t, const struct tape_entry *e)
{
	return t->text + weight(e) <= TAPE_TEXT_MAX &&
	       (e->fd < 0 || (t->files < TAPE_FILES_MAX && t->all->files < t->all->files_max));
}

static void
append(struct tape *t, struct tape_entry *e)
{
	t->n++;
	t->text += weight(e);
	t->files += e->fd >= 0;
	t->all->files += e->fd >= 0;
	t->bytes += e->kind == TAPE_OUTPUT ? e->size : 0;
	t->began |= e->kind == TAPE_STARTED;
	t->ended |= e->kind == TAPE_RESULT;
	if (t->last)
		t->last->next = e;
	else
		t->first = e;
	t->last = e;
	ring_all(t);
}

/* ---- without it */

void
tapes_freep(struct tapes **tp)
{
	struct tapes *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	while (!TAILQ_EMPTY(&t->lingering))
		forget_oldest(t);
	table_done(&t->by_key);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

int
tapes_enter(struct tapes *t, const struct tape_way *way, uint64_t now, struct tape **ret,
	struct tape_reader **ret_reader)
{
	int r;

	*ret = NULL;
	*ret_reader = NULL;
	pthread_mutex_lock(&t->lock);
	r = enter(t, way, now, ret, ret_reader);
	pthread_mutex_unlock(&t->lock);
	return r;
}

void
tapes_tick(struct tapes *t, uint64_t now)
{
	pthread_mutex_lock(&t->lock);
	forget_old(t, now);
	pthread_mutex_unlock(&t->lock);
}

/* name: NULL: none. NULL: there is no memory. */
static struct tape_entry *
entry_new(enum tape_kind kind, const char *name)
{
	struct tape_entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->kind = kind;
	e->fd = -1;
	e->name = name ? strdup(name) : NULL;
	if (!name || e->name)
		return e;
	free(e);
	return NULL;
}

/* Takes e over. NULL: it could not be made. */
static void
add(struct tape *t, struct tape_entry *e)
{
	pthread_mutex_lock(&t->all->lock);
	if (t->is_void || !e || !fits(t, e)) {
		if (!t->is_void)
			make_void(t);
		entry_free(e);
	} else {
		append(t, e);
	}
	pthread_mutex_unlock(&t->all->lock);
}

void
tape_started(struct tape *t)
{
	if (t)
		add(t, entry_new(TAPE_STARTED, NULL));
}

static void
set_times(struct tape_entry *e, const Dray__FileTimes *times)
{
	e->has_times = times != NULL;
	if (times)
		e->times = *times;
}

void
tape_file(struct tape *t, const char *path, Dray__FileKind answer, const struct digest *digest,
	uint64_t size, const Dray__FileTimes *times)
{
	struct tape_entry *e = t ? entry_new(TAPE_FILE, path) : NULL;

	if (!t)
		return;
	if (e) {
		e->answer = answer;
		e->size = size;
		if (digest)
			e->digest = *digest;
		set_times(e, times);
	}
	add(t, e);
}

void
tape_variable(struct tape *t, const char *name)
{
	if (t)
		add(t, entry_new(TAPE_VARIABLE, name));
}

void
tape_attributes(struct tape *t, const char *path, const Dray__FileTimes *times)
{
	struct tape_entry *e = t ? entry_new(TAPE_ATTRIBUTES, path) : NULL;

	if (!t)
		return;
	if (e)
		set_times(e, times);
	add(t, e);
}

static struct tape_entry *
with_bytes(struct tape_entry *e, const void *p, size_t n)
{
	if (!e)
		return NULL;
	e->p = malloc(MAX2(n, (size_t)1));
	if (!e->p) {
		entry_free(e);
		return NULL;
	}
	memcpy(e->p, p, n);
	e->n = n;
	return e;
}

void
tape_text(struct tape *t, bool out, const void *p, size_t n)
{
	struct tape_entry *e;

	if (!t)
		return;
	e = with_bytes(entry_new(TAPE_TEXT, NULL), p, n);
	if (e)
		e->out = out;
	add(t, e);
}

void
tape_output(struct tape *t, const char *name, Dray__OutputKind output, unsigned mode,
	const struct digest *digest, uint64_t size, int fd)
{
	struct tape_entry *e = t ? entry_new(TAPE_OUTPUT, name) : NULL;

	if (!t)
		return;
	if (e) {
		e->output = output;
		e->mode = mode;
		e->digest = *digest;
		e->size = size;
		e->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (e->fd < 0) {
			entry_free(e);
			e = NULL;
		}
	}
	add(t, e);
}

void
tape_result(struct tape *t, const Dray__JobResult *m)
{
	size_t n = t ? dray__job_result__get_packed_size(m) : 0;
	_cleanup_(freep) uint8_t *p = t ? malloc(MAX2(n, (size_t)1)) : NULL;

	if (!t)
		return;
	if (!p) {
		add(t, NULL);
		return;
	}
	dray__job_result__pack(m, p);
	add(t, with_bytes(entry_new(TAPE_RESULT, NULL), p, n));
}

void
tape_void(struct tape *t)
{
	if (t)
		add(t, NULL);
}

bool
tape_is_read(struct tape *t)
{
	bool is;

	if (!t)
		return false;
	pthread_mutex_lock(&t->all->lock);
	is = !t->is_void && !TAILQ_EMPTY(&t->readers);
	pthread_mutex_unlock(&t->all->lock);
	return is;
}

bool
tape_has_begun(struct tape *t)
{
	bool has;

	if (!t)
		return false;
	pthread_mutex_lock(&t->all->lock);
	has = t->began;
	pthread_mutex_unlock(&t->all->lock);
	return has;
}

void
tape_wait(struct tape *t, bool waits, uint64_t now)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->all->lock);
	if (t->waits_since)
		t->waited_ms += now - t->waits_since;
	t->waits_since = waits ? MAX2(now, (uint64_t)1) : 0;
	pthread_mutex_unlock(&t->all->lock);
}

/* Makes room among those that linger. False: it is too much by itself. */
static bool
may_linger(const struct tape *t)
{
	struct tapes *all = t->all;

	if (t->is_void || t->text > LINGERING_TEXT_MAX || t->bytes > LINGERING_BYTES_MAX)
		return false;
	while (all->n_lingering >= LINGERING_MAX ||
		all->lingering_text + t->text > LINGERING_TEXT_MAX ||
		all->lingering_bytes + t->bytes > LINGERING_BYTES_MAX)
		forget_oldest(all);
	return true;
}

static void
let_linger(struct tape *t, uint64_t now)
{
	t->lingers = true;
	t->ended_ms = now;
	TAILQ_INSERT_TAIL(&t->all->lingering, t, linger_link);
	t->all->n_lingering++;
	t->all->lingering_text += t->text;
	t->all->lingering_bytes += t->bytes;
}

bool
tape_leave(struct tape **tp, bool succeeded, uint64_t now)
{
	struct tape *t = *tp;
	struct tapes *all;
	bool lingers;

	*tp = NULL;
	if (!t)
		return false;
	all = t->all;
	tape_wait(t, false, now);
	pthread_mutex_lock(&all->lock);
	t->led = false;
	if (!t->ended && !t->is_void)
		make_void(t);
	else if (succeeded && may_linger(t))
		let_linger(t, now);
	else
		take_out(t);
	lingers = t->lingers;
	free_if_unused(t);
	pthread_mutex_unlock(&all->lock);
	return lingers;
}

enum tape_next
tape_next(struct tape_reader *r, const struct tape_entry **ret)
{
	struct tape *t = r->tape;
	const struct tape_entry *e;
	enum tape_next next = TAPE_QUIET;
	uint64_t count;

	while (read(r->event, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&t->all->lock);
	e = r->last ? r->last->next : t->first;
	if (t->is_void) {
		next = TAPE_VOID;
	} else if (e) {
		r->last = *ret = e;
		next = TAPE_ENTRY;
	}
	pthread_mutex_unlock(&t->all->lock);
	return next;
}

int
tape_reader_fd(const struct tape_reader *r)
{
	return r->event;
}

uint64_t
tape_reader_waited_ms(const struct tape_reader *r, uint64_t now)
{
	const struct tape *t = r->tape;
	uint64_t ms;

	pthread_mutex_lock(&t->all->lock);
	ms = t->waited_ms + (t->waits_since ? now - t->waits_since : 0) - r->waited_ms;
	pthread_mutex_unlock(&t->all->lock);
	return ms;
}

bool
tape_reader_is_led(const struct tape_reader *r)
{
	const struct tape *t = r->tape;
	bool is;

	pthread_mutex_lock(&t->all->lock);
	is = t->led || t->ended;
	pthread_mutex_unlock(&t->all->lock);
	return is;
}

const char *
tape_reader_job(const struct tape_reader *r)
{
	return r->tape->job;
}

void
tape_reader_closep(struct tape_reader **rp)
{
	struct tape_reader *r = *rp;
	struct tapes *all;

	*rp = NULL;
	if (!r)
		return;
	all = r->tape->all;
	pthread_mutex_lock(&all->lock);
	TAILQ_REMOVE(&r->tape->readers, r, link);
	free_if_unused(r->tape);
	pthread_mutex_unlock(&all->lock);
	closep(&r->event);
	free(r);
}
