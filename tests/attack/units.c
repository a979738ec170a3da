/* Jobs: asked for and not opened, opened and not fed, fed and not read; and units of more files and
 * directories than anybody has. */
#include "config.h"

#include "tests/attack/attack.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/digest.h"

#define ASKERS 8
#define HELD_MAX 64 /* jobs that are held open at a time */
#define HELD_MS 60000
#define DIRS_TAKEN 9900
#define ROOT "/ws/target/debug/deps"

static unsigned asked;

static void
ask(void *s, const struct attack_conf *c, struct tally *t)
{
	Dray__JobRequest m = DRAY__JOB_REQUEST__INIT;
	char job[33], crate[] = "hostile", kind[] = "lib";
	uint64_t now = clock_mono_us();

	snprintf(job, sizeof(job), "%016llx%08x%08x", (unsigned long long)now, (unsigned)getpid(),
		asked++);
	m.job = job;
	m.toolchain.data = (uint8_t *)c->toolchain;
	m.toolchain.len = sizeof(c->toolchain);
	m.crate = crate;
	m.kind = kind;
	m.may_wait = true;
	say(s, t, 0, WIRE_JOB_REQUEST, &m.base, NULL, 0);
}

/* A worker hears keys that have had a job there. One that gets none goes on without. */
void
get_named(const struct attack_conf *c, struct tally *t)
{
	void *ctx = zmq_ctx_new(), *s = dealer(ctx, c, &c->coordinator, true);
	uint64_t end = clock_mono_ms() + 5000;
	bool placed = false;

	zmq_connect(s, c->coordinator.endpoint);
	say_hello(s, t);
	ask(s, c, t);
	while (!placed && clock_mono_ms() < end) {
		zmq_pollitem_t item = { s, 0, ZMQ_POLLIN, 0 };
		struct wire_msg m;

		zmq_poll(&item, 1, 20);
		while (wire_recv(s, NULL, WIRE_FROM_COORDINATOR, &m) == 0) {
			placed = placed || m.info->type == WIRE_JOB_PLACED;
			wire_msg_done(&m);
		}
	}
	zmq_close(s);
	zmq_ctx_term(ctx);
}

void
attack_asked(const struct attack_conf *c, struct tally *t)
{
	void *ctx = zmq_ctx_new(), *v[ASKERS];

	for (size_t i = 0; i < ASKERS; i++) {
		v[i] = dealer(ctx, c, &c->coordinator, true);
		zmq_connect(v[i], c->coordinator.endpoint);
		t->opened++;
		say_hello(v[i], t);
	}
	for (;;)
		for (size_t i = 0; i < ASKERS; i++) {
			zmq_msg_t m;

			ask(v[i], c, t);
			zmq_msg_init(&m);
			while (zmq_msg_recv(&m, v[i], ZMQ_DONTWAIT) >= 0)
				;
			zmq_msg_close(&m);
			t->going = 1;
		}
}

/* ---- units */

struct unit {
	Dray__Unit u;
	struct buf packed;
	uint8_t digest[DIGEST_SIZE];
	uint8_t *source;
	size_t n;
};

static char *
copy(const char *text)
{
	char *s = strdup(text);

	if (!s)
		fail("memory");
	return s;
}

static void *
zeroed(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		fail("memory");
	return p;
}

/* A crate whose compile says n warnings, and makes as much. */
static void
write_source(struct unit *x, unsigned n)
{
	struct buf b = BUF_INIT;

	for (unsigned i = 0; i < n; i++) {
		char line[128];
		int k = snprintf(line, sizeof(line), "pub static BAD_%u: u8 = %u; fn f%u() {}\n", i,
			i % 256, i);

		if (buf_add(&b, line, (size_t)k) < 0)
			fail("memory");
	}
	x->source = b.p;
	x->n = b.n;
}

/* dirs directories, and files paths of one file beside it. */
static void
make_unit(struct unit *x, const struct attack_conf *c, unsigned warnings, unsigned dirs,
	unsigned files)
{
	static const char *const args[] = { "--crate-name", "hostile", "--edition=2021",
		"src/lib.rs", "--error-format=json", "--json=artifacts", "--crate-type", "lib",
		"--emit=dep-info,metadata,link", "--out-dir", ROOT };
	Dray__Blob *blob = zeroed(1, sizeof(*blob)), **blobs = zeroed(1, sizeof(*blobs));
	Dray__UnitFile *file = zeroed(files + 1, sizeof(*file));
	Dray__UnitFile **list = zeroed(files + 1, sizeof(*list));
	struct digest digest;
	char path[64];

	memset(x, 0, sizeof(*x));
	write_source(x, warnings);
	if (digest_bytes(x->source, x->n, &digest) < 0)
		fail("a digest");
	memcpy(x->digest, digest.b, DIGEST_SIZE);
	dray__unit__init(&x->u);
	dray__blob__init(blob);
	blob->digest.data = x->digest;
	blob->digest.len = DIGEST_SIZE;
	blob->size = x->n;
	blobs[0] = blob;
	for (unsigned i = 0; i <= files; i++) {
		dray__unit_file__init(&file[i]);
		snprintf(path, sizeof(path), i ? "/ws/f/%u" : "/ws/src/lib.rs", i);
		file[i].path = copy(path);
		list[i] = &file[i];
	}
	x->u.toolchain.data = (uint8_t *)c->toolchain;
	x->u.toolchain.len = sizeof(c->toolchain);
	x->u.sysroot = c->sysroot;
	x->u.driver = copy("rustc");
	x->u.cwd = copy("/ws");
	x->u.out_dir = copy(ROOT);
	x->u.linker = copy("");
	x->u.crate = copy("hostile");
	x->u.argv = zeroed(ARRAY_LEN(args), sizeof(char *));
	for (size_t i = 0; i < ARRAY_LEN(args); i++)
		x->u.argv[x->u.n_argv++] = copy(args[i]);
	x->u.dirs = zeroed(dirs + 1, sizeof(char *));
	for (unsigned i = 0; i < dirs; i++) {
		snprintf(path, sizeof(path), "/d/%u", i);
		x->u.dirs[x->u.n_dirs++] = copy(path);
	}
	x->u.files = list;
	x->u.n_files = files + 1;
	x->u.blobs = blobs;
	x->u.n_blobs = 1;
	x->packed.n = protobuf_c_message_get_packed_size(&x->u.base);
	x->packed.p = zeroed(1, x->packed.n);
	protobuf_c_message_pack(&x->u.base, x->packed.p);
}

/* ---- a job at the worker */

struct held {
	void *socket;
	const struct unit *x; /* NULL: it gets none */
	size_t sent;	      /* of it */
	bool asked_blob;
	uint64_t until_ms;
};

static void
open_job(struct held *h, const Dray__JobPlaced *p, const struct unit *x,
	const struct attack_conf *c, void *ctx, struct tally *t)
{
	Dray__JobOpen m = DRAY__JOB_OPEN__INIT;

	h->socket = dealer(ctx, c, &c->worker, false);
	zmq_connect(h->socket, p->endpoint);
	h->x = x;
	h->sent = 0;
	h->asked_blob = false;
	h->until_ms = clock_mono_ms() + HELD_MS;
	t->opened++;
	t->placed++;
	say_hello(h->socket, t);
	m.ticket = p->ticket;
	m.signature = p->signature;
	m.credit = 1;
	m.unit_size = x ? (uint32_t)x->packed.n : 1000000;
	m.toolchain.data = (uint8_t *)c->toolchain;
	m.toolchain.len = sizeof(c->toolchain);
	say(h->socket, t, 1, WIRE_JOB_OPEN, &m.base, NULL, 0);
}

static void
send_piece(struct held *h, struct tally *t)
{
	const struct unit *x = h->x;
	Dray__JobUnit m = DRAY__JOB_UNIT__INIT;

	m.offset = (uint32_t)h->sent;
	m.size = (uint32_t)MIN2(x->packed.n - h->sent, (size_t)WIRE_CHUNK_MAX);
	say(h->socket, t, 1, WIRE_JOB_UNIT, &m.base, x->packed.p + h->sent, m.size);
	h->sent += m.size;
}

static void
send_source(struct held *h, struct tally *t)
{
	const struct unit *x = h->x;
	Dray__BlobChunk m = DRAY__BLOB_CHUNK__INIT;

	for (size_t at = 0; at < x->n;) {
		m.offset = at;
		m.size = (uint32_t)MIN2(x->n - at, (size_t)WIRE_CHUNK_MAX);
		at += m.size;
		m.last = at == x->n;
		say(h->socket, t, 1, WIRE_BLOB_CHUNK, &m.base, x->source + m.offset, m.size);
	}
}

/* Feeds a job until it is asked for nothing more. False: it has ended. */
static bool
feed(struct held *h, struct tally *t)
{
	const struct unit *x = h->x;
	struct wire_msg m;
	bool on = true;

	while (h->sent < x->packed.n && h->sent < (size_t)4 * WIRE_CHUNK_MAX)
		send_piece(h, t);
	if (h->asked_blob)
		return true; /* and reads nothing more */
	if (wire_recv(h->socket, NULL, WIRE_FROM_WORKER, &m) < 0)
		return true;
	if (m.info->type == WIRE_CREDIT && h->sent < x->packed.n) {
		send_piece(h, t);
	} else if (m.info->type == WIRE_BLOB_NEED) {
		h->asked_blob = true;
		if (((const Dray__BlobNeed *)m.body)->n_blob > 0)
			send_source(h, t);
	} else if (m.info->type == WIRE_JOB_REJECTED || m.info->type == WIRE_JOB_RESULT ||
		   m.info->type == WIRE_REFUSED) {
		on = false;
	}
	wire_msg_done(&m);
	return on;
}

static void
let_go(struct held *h)
{
	zmq_close(h->socket);
	h->socket = NULL;
}

/* Asks for jobs without end, and feeds those that it gets with one of n units. x: NULL, with none.
 */
static void
hold_jobs(const struct attack_conf *c, struct tally *t, const struct unit *x, size_t n)
{
	void *ctx = zmq_ctx_new(), *s = dealer(ctx, c, &c->coordinator, true);
	struct held v[HELD_MAX] = { 0 };
	uint64_t next = 0;

	zmq_connect(s, c->coordinator.endpoint);
	t->opened++;
	say_hello(s, t);
	for (unsigned turn = 0;;) {
		zmq_pollitem_t item = { s, 0, ZMQ_POLLIN, 0 };
		struct wire_msg m;

		if (clock_mono_ms() >= next) {
			for (unsigned i = 0; i < 16; i++)
				ask(s, c, t);
			next = clock_mono_ms() + 500;
		}
		zmq_poll(&item, 1, 5);
		while (wire_recv(s, NULL, WIRE_FROM_COORDINATOR, &m) == 0) {
			for (size_t i = 0; m.info->type == WIRE_JOB_PLACED && i < HELD_MAX; i++) {
				if (v[i].socket)
					continue;
				open_job(&v[i], (const Dray__JobPlaced *)m.body,
					x ? &x[turn++ % n] : NULL, c, ctx, t);
				break;
			}
			t->going = 1;
			wire_msg_done(&m);
		}
		for (size_t i = 0; i < HELD_MAX; i++)
			if (v[i].socket &&
				((v[i].x && !feed(&v[i], t)) || clock_mono_ms() >= v[i].until_ms))
				let_go(&v[i]);
	}
}

void
attack_unfed(const struct attack_conf *c, struct tally *t)
{
	hold_jobs(c, t, NULL, 0);
}

void
attack_unread(const struct attack_conf *c, struct tally *t)
{
	struct unit x;

	make_unit(&x, c, 4000, 0, 0);
	hold_jobs(c, t, &x, 1);
}

void
attack_deep(const struct attack_conf *c, struct tally *t)
{
	struct unit x[2];

	make_unit(&x[0], c, 1, DIRS_TAKEN, 0);
	make_unit(&x[1], c, 1, 100000, 0);
	hold_jobs(c, t, x, 2);
}

void
attack_wide(const struct attack_conf *c, struct tally *t)
{
	struct unit x;

	make_unit(&x, c, 1, 0, 199000);
	hold_jobs(c, t, &x, 1);
}
