/* Invariant: what is sent is of that job: blobs of its unit, and those that its client's answers
 * named. The other one checks all of it by itself. */
#include "config.h"

#include "worker/share/lend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/fs.h"
#include "proto/chunk.h"
#include "proto/socket.h"
#include "proto/wire.h"
#include "store/disk.h"

#define TICK_MS 250
#define CONNECT_MS 30000       /* until it has taken the job; less than SAMPLER_OPEN_MS */
#define SILENCE_MS 60000       /* it says every second that it is alive */
#define GIVE_MS (2400u * 1000) /* in all: as long as a run may take (SAMPLER_RUN_MS) */
#define CREDIT 64
#define CREDIT_MAX (1u << 20)
#define CHUNKS_PER_TURN 16

struct lend {
	const struct lend_in *in;
	Dray__Unit *unit;
	Dray__FileAnswer **answers; /* of loan.asked */
	void *socket;
	struct monitor *monitor;
	struct chunk_coder *coder;
	bool compress;
	uint32_t credit;
	size_t unit_at;
	uint32_t *need;
	size_t n_need, next;
	int fd; /* of need[next]; -1: not open */
	uint64_t offset;
	size_t *given; /* answers with content, in the order in which they were given */
	size_t n_given;
	uint32_t next_id; /* of files on demand */
	uint8_t *chunk;
	bool accepted, over;
	uint8_t *needed; /* blobs of the unit: each once */
	uint64_t began_ms, heard_ms;
	Dray__LendEnd end;
	char *text;
};

static void end(struct lend *l, Dray__LendEnd how, const char *fmt, ...) _printf_(3, 4);

/* The first one counts. */
static void
end(struct lend *l, Dray__LendEnd how, const char *fmt, ...)
{
	va_list ap;

	if (l->over)
		return;
	l->over = true;
	l->end = how;
	va_start(ap, fmt);
	vsnprintf(l->text, LEND_TEXT, fmt, ap);
	va_end(ap);
}

/* The other one's doing: it may compile it, or not; that says nothing of what is handed over. */
static void
lose(struct lend *l, const char *why)
{
	end(l, DRAY__LEND_END__LENT_UNREACHED, "%s", why);
}

/* ---- what there is */

static Dray__FileAnswer *
unpack_answer(const struct buf *b)
{
	return dray__file_answer__unpack(NULL, b->n, b->n ? b->p : (const uint8_t *)"");
}

static bool
has_content(const Dray__FileAnswer *a)
{
	return a->kind == DRAY__FILE_KIND__FILE_REGULAR && a->blob &&
	       a->blob->digest.len == DIGEST_SIZE;
}

static int
blob_path(const char *dir, size_t number, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/%zu", dir, number);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

typedef int (*blob_fn)(void *arg, const struct digest *d, size_t number);

struct keeping {
	struct store *store;
	const char *dir;
};

/* A blob_fn. */
static int
keep_blob(void *arg, const struct digest *d, size_t number)
{
	const struct keeping *k = arg;
	char path[PATH_MAX];
	int r = blob_path(k->dir, number, path);

	return r < 0 ? r : disk_link(k->store, d, path);
}

/* A blob_fn. */
static int
look_at_blob(void *arg, const struct digest *d, size_t number)
{
	const struct keeping *k = arg;
	int fd = store_get_now(k->store, STORE_BLOB, d, UINT64_MAX, NULL);

	(void)number;
	if (fd < 0)
		return fd == -EMFILE || fd == -ENFILE ? fd : -ENOENT;
	closep(&fd);
	return 0;
}

static int
do_blob(const ProtobufCBinaryData *digest, size_t number, blob_fn fn, void *arg)
{
	struct digest d;

	if (digest->len != DIGEST_SIZE)
		return -EBADMSG;
	memcpy(d.b, digest->data, DIGEST_SIZE);
	return fn(arg, &d, number);
}

/* Each of its blobs, with its number; until an error. */
static int
each_blob(const struct loan *n, blob_fn fn, void *arg)
{
	Dray__Unit *u = dray__unit__unpack(NULL, n->unit.n, n->unit.p);
	int r = u ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < u->n_blobs; i++)
		r = do_blob(&u->blobs[i]->digest, i, fn, arg);
	for (size_t i = 0; r == 0 && i < n->asked.n; i++) {
		Dray__FileAnswer *a = unpack_answer(&n->answers[i]);

		if (!a)
			r = -ENOMEM;
		else if (has_content(a))
			r = do_blob(&a->blob->digest, u->n_blobs + i, fn, arg);
		if (a)
			dray__file_answer__free_unpacked(a, NULL);
	}
	if (u)
		dray__unit__free_unpacked(u, NULL);
	return r;
}

int
lend_keep(const struct loan *n, struct store *store, const char *dir)
{
	struct keeping k = { store, dir };
	int r = fs_mkdir_p(dir, 0700);

	return r < 0 ? r : each_blob(n, keep_blob, &k);
}

int
lend_check(const struct loan *n, struct store *store)
{
	struct keeping k = { store, NULL };

	return each_blob(n, look_at_blob, &k);
}

/* ---- what is sent */

static int
send_unit(struct lend *l)
{
	const struct buf *b = &l->in->loan->unit;
	size_t n = MIN2(b->n - l->unit_at, (size_t)WIRE_CHUNK_MAX);
	Dray__JobUnit m = DRAY__JOB_UNIT__INIT;
	bool zstd = false;
	zmq_msg_t payload;
	int r = chunk_encode(l->coder, b->p + l->unit_at, n, l->compress, &payload, &zstd);

	if (r < 0)
		return r;
	m.offset = (uint32_t)l->unit_at;
	m.zstd = zstd;
	m.size = (uint32_t)n;
	r = wire_send_msg(l->socket, NULL, WIRE_JOB_UNIT, &m.base, &payload);
	zmq_msg_close(&payload);
	if (r == 0) {
		l->unit_at += n;
		l->credit--;
	}
	return r;
}

/* The number of a blob's file, and its size. */
static int
blob_of(const struct lend *l, uint32_t index, size_t *ret_number, uint64_t *ret_size)
{
	size_t n = l->unit->n_blobs, answer;

	if (index < n) {
		*ret_number = index;
		*ret_size = l->unit->blobs[index]->size;
		return 0;
	}
	if (index - n >= l->n_given)
		return -EBADMSG;
	answer = l->given[index - n];
	*ret_number = n + answer;
	*ret_size = l->answers[answer]->blob->size;
	return 0;
}

static int
send_chunk(struct lend *l)
{
	Dray__BlobChunk m = DRAY__BLOB_CHUNK__INIT;
	uint64_t size = 0;
	size_t number = 0, n;
	char path[PATH_MAX];
	bool zstd = false;
	zmq_msg_t payload;
	int r = blob_of(l, l->need[l->next], &number, &size);

	if (r == 0 && l->fd < 0) {
		r = blob_path(l->in->dir, number, path);
		l->fd = r < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (r == 0 && l->fd < 0)
			r = -errno;
		l->offset = 0;
	}
	if (r < 0)
		return r;
	n = (size_t)MIN2(size - l->offset, (uint64_t)WIRE_CHUNK_MAX);
	if (fs_read_at(l->fd, l->chunk, n, l->offset) != (ssize_t)n)
		return -EIO;
	r = chunk_encode(l->coder, l->chunk, n, l->compress, &payload, &zstd);
	if (r < 0)
		return r;
	m.blob = l->need[l->next];
	m.offset = l->offset;
	m.last = l->offset + n == size;
	m.zstd = zstd;
	m.size = (uint32_t)n;
	r = wire_send_msg(l->socket, NULL, WIRE_BLOB_CHUNK, &m.base, &payload);
	zmq_msg_close(&payload);
	if (r < 0)
		return r;
	l->credit--;
	l->offset += n;
	if (m.last) {
		closep(&l->fd);
		l->next++;
	}
	return 0;
}

/* True: there is more that may be sent now. */
static bool
send_some(struct lend *l)
{
	int r = 0;

	while (r == 0 && l->credit > 0 && l->unit_at < l->in->loan->unit.n)
		r = send_unit(l);
	for (unsigned i = 0; r == 0 && l->credit > 0 && l->next < l->n_need; i++) {
		if (i == CHUNKS_PER_TURN)
			return true;
		r = send_chunk(l);
	}
	if (r < 0 && r != -EAGAIN)
		end(l, DRAY__LEND_END__LENT_FAILED, "an input cannot be sent: %s", strerror(-r));
	return false;
}

/* ---- what is asked for */

static void
on_need(struct lend *l, const Dray__BlobNeed *m)
{
	if (l->next < l->n_need || m->n_blob > l->unit->n_blobs + l->in->loan->asked.n) {
		lose(l, "it asks for what it was not offered");
		return;
	}
	free(l->need);
	l->n_need = l->next = 0;
	l->need = calloc(m->n_blob + 1, sizeof(*l->need));
	if (!l->need) {
		end(l, DRAY__LEND_END__LENT_FAILED, "out of memory");
		return;
	}
	for (size_t i = 0; i < m->n_blob; i++) {
		if (m->blob[i] < l->unit->n_blobs && l->needed[m->blob[i]]++) {
			lose(l, "it asks for the same again");
			return;
		}
		l->need[i] = m->blob[i];
	}
	l->n_need = m->n_blob;
}

static size_t
find_asked(const struct lend *l, const char *path)
{
	const struct strv *asked = &l->in->loan->asked;
	size_t i = 0;

	while (i < asked->n && !streq(asked->v[i], path))
		i++;
	return i;
}

static void
on_file(struct lend *l, const Dray__FileNeed *m)
{
	static char unasked[] = "what was not asked for before";
	size_t i = find_asked(l, m->path);
	Dray__FileAnswer a = DRAY__FILE_ANSWER__INIT;
	int r;

	if (m->id != l->next_id) {
		lose(l, "it asks out of turn");
		return;
	}
	l->next_id++;
	if (i < l->in->loan->asked.n) {
		a = *l->answers[i];
	} else {
		a.kind = DRAY__FILE_KIND__FILE_REFUSED;
		a.text = unasked;
	}
	a.id = m->id;
	if (has_content(&a)) {
		if (l->n_given > l->in->loan->asked.n) {
			lose(l, "it asks for the same again");
			return;
		}
		l->given[l->n_given++] = i;
	}
	r = wire_send(l->socket, NULL, WIRE_FILE_ANSWER, &a.base, NULL, 0);
	if (r < 0)
		end(l, DRAY__LEND_END__LENT_FAILED, "an answer cannot be sent: %s", strerror(-r));
}

static void
on_credit(struct lend *l, uint32_t n)
{
	if (n > CREDIT_MAX - l->credit)
		lose(l, "it gives credit without end");
	else
		l->credit += n;
}

static void
on_message(struct lend *l, const struct wire_msg *m)
{
	switch (m->info->type) {
	case WIRE_JOB_ACCEPTED:
		l->accepted = true;
		on_credit(l, ((const Dray__JobAccepted *)m->body)->credit);
		break;
	case WIRE_JOB_REJECTED:
		lose(l, ((const Dray__JobRejected *)m->body)->text);
		break;
	case WIRE_REFUSED:
		lose(l, ((const Dray__Refused *)m->body)->text);
		break;
	case WIRE_CREDIT:
		on_credit(l, ((const Dray__Credit *)m->body)->n);
		break;
	case WIRE_BLOB_NEED:
		on_need(l, (const Dray__BlobNeed *)m->body);
		break;
	case WIRE_FILE_NEED:
		on_file(l, (const Dray__FileNeed *)m->body);
		break;
	case WIRE_JOB_RESULT:
		end(l, DRAY__LEND_END__LENT_GIVEN, "%s", "");
		break;
	default:
		/* how it goes is told to the coordinator */
		break;
	}
}

/* ---- its life */

static int
send_open(struct lend *l)
{
	char role[] = "client";
	Dray__Hello hello;
	Dray__JobOpen open = DRAY__JOB_OPEN__INIT;
	int r;

	wire_hello(&hello, role);
	r = wire_send(l->socket, NULL, WIRE_HELLO, &hello.base, NULL, 0);
	open.ticket = l->in->ticket;
	open.signature = l->in->signature;
	open.credit = CREDIT;
	open.jobs = 1;
	open.pieces = true;
	open.unit_size = (uint32_t)l->in->loan->unit.n;
	open.toolchain = l->unit->toolchain;
	l->credit = WIRE_UNIT_AHEAD;
	return r < 0 ? r : wire_send(l->socket, NULL, WIRE_JOB_OPEN, &open.base, NULL, 0);
}

static int
begin(struct lend *l)
{
	const struct loan *n = l->in->loan;
	int r = chunk_coder_new(&l->coder);

	l->fd = -1;
	l->unit = dray__unit__unpack(NULL, n->unit.n, n->unit.p);
	l->answers = calloc(n->asked.n + 1, sizeof(struct Dray__FileAnswer *));
	l->given = calloc(n->asked.n + 1, sizeof(*l->given));
	l->chunk = malloc(WIRE_CHUNK_MAX);
	l->needed = l->unit ? calloc(l->unit->n_blobs + 1, 1) : NULL;
	if (r < 0 || !l->unit || !l->answers || !l->given || !l->chunk || !l->needed)
		return -ENOMEM;
	for (size_t i = 0; i < n->asked.n; i++) {
		l->answers[i] = unpack_answer(&n->answers[i]);
		if (!l->answers[i])
			return -ENOMEM;
	}
	l->compress = !endpoint_is_this_machine(l->in->endpoint);
	l->began_ms = l->heard_ms = clock_mono_ms();
	r = socket_connect_monitored(l->in->ctx, l->in->endpoint, l->in->identity, l->in->curve,
		JOB_HEARTBEAT_MS, &l->socket, &l->monitor);
	return r < 0 ? r : send_open(l);
}

static void
done(struct lend *l)
{
	for (size_t i = 0; l->answers && i < l->in->loan->asked.n; i++)
		if (l->answers[i])
			dray__file_answer__free_unpacked(l->answers[i], NULL);
	free(l->answers);
	if (l->unit)
		dray__unit__free_unpacked(l->unit, NULL);
	monitor_freep(&l->monitor);
	socket_closep(&l->socket);
	chunk_coder_freep(&l->coder);
	closep(&l->fd);
	free(l->need);
	free(l->needed);
	free(l->given);
	free(l->chunk);
}

static void
connection_events(struct lend *l)
{
	enum monitor_event e;

	while ((e = monitor_next(l->monitor, NULL)) != MONITOR_NONE) {
		if (e == MONITOR_REFUSED)
			lose(l, "it refused the connection");
		else if (e == MONITOR_DISCONNECTED)
			lose(l, "the connection was lost");
	}
}

static void
take_messages(struct lend *l)
{
	while (!l->over) {
		struct wire_msg m = WIRE_MSG_INIT;
		int r = wire_recv(l->socket, NULL, WIRE_FROM_WORKER, &m);

		if (r == 0) {
			l->heard_ms = clock_mono_ms();
			on_message(l, &m);
		} else if (r != -EAGAIN) {
			lose(l, "its words make no sense");
		}
		wire_msg_done(&m);
		if (r == -EAGAIN)
			return;
	}
}

static void
turn(struct lend *l, bool more)
{
	zmq_pollitem_t items[] = { { .socket = l->socket, .events = ZMQ_POLLIN },
		{ .socket = monitor_socket(l->monitor), .events = ZMQ_POLLIN } };
	uint64_t now;

	if (zmq_poll(items, ARRAY_LEN(items), more ? 0 : TICK_MS) < 0 && zmq_errno() != EINTR)
		end(l, DRAY__LEND_END__LENT_FAILED, "poll: %s", zmq_strerror(zmq_errno()));
	/* what it has said before it went */
	take_messages(l);
	connection_events(l);
	now = clock_mono_ms();
	if (now - l->began_ms >= GIVE_MS)
		lose(l, "it takes too long");
	if (now - l->heard_ms >= (uint64_t)(l->accepted ? SILENCE_MS : CONNECT_MS))
		lose(l, "it does not answer");
	if (__atomic_load_n(l->in->stop, __ATOMIC_ACQUIRE))
		end(l, DRAY__LEND_END__LENT_GIVEN, "it is wanted no more");
}

Dray__LendEnd
lend_give(const struct lend_in *in, char text[LEND_TEXT])
{
	struct lend l = { .in = in, .text = text, .fd = -1 };
	bool more = false;
	int r = begin(&l);

	*text = '\0';
	if (r < 0)
		end(&l, DRAY__LEND_END__LENT_FAILED, "cannot begin: %s", strerror(-r));
	while (!l.over) {
		turn(&l, more);
		if (!l.over)
			more = send_some(&l);
	}
	done(&l);
	return l.end;
}
