/* clang-format off */
/* A worker that answers wrongly, for the scenarios: it stands before a real one, has its keys and
 * the client's, passes all messages on, and changes what it is told to in the worker's.
 *
 *     badworker WORKER-IDENTITY CLIENT-IDENTITY FILE
 * prints the endpoint that it listens on. Once the first client comes, the first line of FILE is
 * the real worker's endpoint, and each further one what to change:
 *
 *     arg WORD        another argument at the end of each link call (repeated: more of them)
 *     prefix DIR:     in front of a link call's PATH
 *     dir NAME        another directory of a link call
 *     name SUFFIX NAME     the output that ends in SUFFIX has this name; *OTHER: that suffix
 *     mode SUFFIX OCTAL    ... or this mode
 *     size SUFFIX N        ... or is said to be this long
 *     content SUFFIX TEXT  ... or this content, with the digest that goes with it
 *     half SUFFIX     ... or ends before its last chunk, and with it this program
 *     twice SUFFIX    ... or is sent twice
 *     time US         how long the compiler took
 *     never           the compiler does not end; that the worker is alive is said all the time
 *     drop SUFFIX     the output that ends in SUFFIX does not come, and no library is announced
 *     file SUFFIX PATH     the output that ends in SUFFIX has what is in this file
 *     fails SUFFIX    a job with such an output ends by the worker's fault
 *     first TEXT      what the compiler says before anything else; as err
 *     again           the worker asks for the first blob once more, when the compiler has started
 *     unit            it compiled another unit
 *     read SUFFIX     it was given something else of this file
 *     asked PATH      the compiler read this file, too
 *     err TEXT, out TEXT   what the compiler says besides, before its end; \033 is a byte
 * Ends with its standard input. */
/* clang-format on */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/strv.h"
#include "keys/identity.h"
#include "proto/socket.h"
#include "proto/wire.h"

#define PEERS_MAX 128
#define LINES_MAX 64
#define CHUNK (256u << 10)

struct peer {
	struct wire_peer client;
	void *worker;
	bool fails; /* its job */
	bool drops; /* the output that comes now */
	uint32_t dropped;
	bool holds;	       /* its job never ends */
	uint32_t held;	       /* which */
	struct buf replaced;   /* the content of the output that comes now */
	bool replaces, halved; /* the output that comes now */
};

static struct identity worker_id, client_id;
static struct peer peers[PEERS_MAX];
static size_t n_peers;
static struct strv lines;
static const char *file;
static void *ctx, *router;

static int
die(const char *what)
{
	fprintf(stderr, "badworker: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
read_lines(void)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *rest, *line;

	if (fs_read_file(file, 1 << 20, &b) < 0 || b.n == 0)
		die(file);
	rest = (char *)b.p;
	while ((line = strsep(&rest, "\n")) && *line)
		if (strv_add(&lines, line) < 0)
			die(line);
}

/* What to do to outputs of this name, or NULL: the rest of the line. */
static const char *
told(const char *verb, const char *name)
{
	for (size_t i = 1; i < lines.n; i++) {
		const char *p = lines.v[i];
		size_t n = strlen(verb), k;
		char suffix[64];

		if (strncmp(p, verb, n) != 0 || (p[n] && p[n] != ' '))
			continue;
		p += n + (p[n] == ' ');
		if (!name)
			return p;
		k = strcspn(p, " ");
		snprintf(suffix, sizeof(suffix), "%.*s", (int)k, p);
		if (ends_with(name, suffix))
			return p + k + (p[k] == ' ');
	}
	return NULL;
}

static uint32_t number; /* of the job that the message being passed on is about */

static void
send_on(void *to, const struct wire_peer *peer, enum wire_type type, const ProtobufCMessage *body,
	const void *p, size_t n)
{
	zmq_msg_t payload;
	bool has = wire_info(type)->payload_max > 0;

	zmq_msg_init_size(&payload, n);
	if (n)
		memcpy(zmq_msg_data(&payload), p, n);
	/* both sides' credit is far below what a queue takes */
	if (wire_send_job(to, peer, number, type, body, has ? &payload : NULL) == -EAGAIN)
		die("a queue is full");
	zmq_msg_close(&payload);
}

/* Text with \ooo for bytes. */
static size_t
bytes_of(const char *text, char *ret)
{
	size_t n = 0;

	for (; *text; n++) {
		if (*text == '\\' && text[1] >= '0' && text[1] <= '3') {
			ret[n] = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] - '0');
			text += 4;
		} else {
			ret[n] = *text++;
		}
	}
	return n;
}

static void
say(struct peer *p, const char *verb, bool out)
{
	Dray__JobText m = DRAY__JOB_TEXT__INIT;
	const char *text = told(verb, NULL);
	char bytes[4096];
	size_t n = text ? bytes_of(text, bytes) : 0;

	m.out = out;
	bytes[n++] = '\n';
	if (text)
		send_on(router, &p->client, WIRE_JOB_TEXT, &m.base, bytes, n);
}

static void
on_result(struct peer *p, Dray__JobResult *m)
{
	say(p, "err", false);
	say(p, "out", true);
	if (p->fails)
		m->verdict = DRAY__VERDICT__VERDICT_WORKER_FAULT;
	if (told("time", NULL))
		m->compile_us = strtoull(told("time", NULL), NULL, 10);
	if (told("unit", NULL) && m->key.len > 0)
		m->key.data[0] ^= 1;
	if (told("asked", NULL) && m->trace) {
		Dray__Trace *t = m->trace;

		t->files = realloc(t->files, (t->n_files + 1) * sizeof(*t->files));
		t->files[t->n_files++] = strdup(told("asked", NULL));
	}
	for (size_t i = 0; m->trace && i < m->trace->n_read; i++)
		if (told("read", m->trace->read[i]->path))
			m->trace->read[i]->digest.data[0] ^= 1;
	for (size_t i = 0; i < m->n_link; i++) {
		Dray__LinkCall *l = m->link[i];
		const char *prefix = told("prefix", NULL), *dir = told("dir", NULL);

		for (size_t k = 1; k < lines.n; k++) {
			const char *word = lines.v[k] + strlen("arg ");

			if (!starts_with(lines.v[k], "arg "))
				continue;
			l->argv = realloc(l->argv, (l->n_argv + 1) * sizeof(*l->argv));
			l->argv[l->n_argv].data = (uint8_t *)strdup(word);
			l->argv[l->n_argv++].len = strlen(word);
		}
		if (prefix) {
			free(l->path_prefix.data);
			l->path_prefix.data = (uint8_t *)strdup(prefix);
			l->path_prefix.len = strlen(prefix);
		}
		if (dir) {
			l->dirs = realloc(l->dirs, (l->n_dirs + 1) * sizeof(*l->dirs));
			l->dirs[l->n_dirs++] = strdup(dir);
		}
	}
}

static void
on_output(struct peer *p, Dray__OutputBegin *m)
{
	const char *name = told("name", m->name), *mode = told("mode", m->name);
	const char *size = told("size", m->name), *content = told("content", m->name);
	const char *path = told("file", m->name);
	struct digest d;

	buf_done(&p->replaced);
	p->replaces = content || path;
	p->halved = told("half", m->name) != NULL;
	p->fails |= told("fails", m->name) != NULL;
	if ((content && buf_adds(&p->replaced, content) < 0) ||
		(path && fs_read_file(path, 16 << 20, &p->replaced) < 0))
		die(path);
	if (p->replaces && digest_bytes(p->replaced.p, p->replaced.n, &d) == 0) {
		memcpy(m->digest.data, d.b, DIGEST_SIZE);
		m->size = p->replaced.n;
	}
	if (mode)
		m->mode = (uint32_t)strtoul(mode, NULL, 8);
	if (size)
		m->size = strtoull(size, NULL, 10);
	if (told("twice", m->name)) {
		/* the first of them is as long as it is said to be: nothing */
		uint64_t was = m->size;
		struct digest whole;

		memcpy(whole.b, m->digest.data, DIGEST_SIZE);
		if (digest_bytes("", 0, &d) == 0)
			memcpy(m->digest.data, d.b, DIGEST_SIZE);
		m->size = 0;
		send_on(router, &p->client, WIRE_OUTPUT_BEGIN, &m->base, NULL, 0);
		m->size = was;
		m->output++;
		memcpy(m->digest.data, whole.b, DIGEST_SIZE);
	}
	if (name) {
		char *was = m->name;
		const char *dot = strrchr(was, '.');

		if (*name != '*')
			m->name = strdup(name);
		else if (asprintf(&m->name, "%.*s%s", (int)(dot - was), was, name + 1) < 0)
			die(name);
		free(was);
	}
}

/* False: it is not passed on. */
static bool
on_chunk(struct peer *p, Dray__OutputChunk *m)
{
	if (p->halved && m->last)
		exit(0);
	if (!p->replaces)
		return true;
	/* all at once, whatever credit says: it is no longer than what it stands for, or by little
	 */
	for (size_t at = 0; m->offset == 0 && at < MAX2(p->replaced.n, (size_t)1); at += CHUNK) {
		Dray__OutputChunk one = *m;

		one.zstd = false;
		one.offset = at;
		one.size = (uint32_t)MIN2(p->replaced.n - at, (size_t)CHUNK);
		one.last = at + CHUNK >= p->replaced.n;
		send_on(router, &p->client, WIRE_OUTPUT_CHUNK, &one.base, p->replaced.p + at,
			one.size);
	}
	return false;
}

static void
ask_again(struct peer *p)
{
	Dray__BlobNeed m = DRAY__BLOB_NEED__INIT;
	uint32_t first = 0;

	m.blob = &first;
	m.n_blob = 1;
	if (told("again", NULL))
		send_on(router, &p->client, WIRE_BLOB_NEED, &m.base, NULL, 0);
}

/* Of the payload; nothing is said of what does not come. */
static size_t
text_size(struct wire_msg *m)
{
	size_t n = zmq_msg_size(&m->payload);
	const char *p = zmq_msg_data(&m->payload), *line = p, *nl;

	if (m->info->type != WIRE_JOB_TEXT || !told("drop", NULL))
		return n;
	while ((nl = memchr(line, '\n', n - (size_t)(line - p)))) {
		if (memmem(line, (size_t)(nl - line), "\"link\"", strlen("\"link\"")))
			return (size_t)(line - p);
		line = nl + 1;
	}
	return n;
}

/* False: it is of an output that does not come; those behind it have other numbers. */
static bool
take_out(struct peer *p, struct wire_msg *m)
{
	if (m->info->type == WIRE_OUTPUT_BEGIN) {
		((Dray__OutputBegin *)m->body)->output -= p->dropped;
		p->dropped += p->drops;
		return !p->drops;
	}
	if (m->info->type == WIRE_OUTPUT_CHUNK) {
		((Dray__OutputChunk *)m->body)->output -= p->dropped;
		return !p->drops;
	}
	if (m->info->type == WIRE_JOB_RESULT)
		((Dray__JobResult *)m->body)->outputs -= p->dropped;
	return true;
}

static void
from_worker(struct peer *p, struct wire_msg *m)
{
	bool goes = true;

	if (m->info->type == WIRE_JOB_RESULT && told("never", NULL)) {
		p->holds = true;
		p->held = number;
		return;
	}
	if (m->info->type == WIRE_OUTPUT_BEGIN)
		p->drops = told("drop", ((Dray__OutputBegin *)m->body)->name) != NULL;
	if (!take_out(p, m))
		return;
	if (m->info->type == WIRE_JOB_RESULT)
		on_result(p, (Dray__JobResult *)m->body);
	else if (m->info->type == WIRE_OUTPUT_BEGIN)
		on_output(p, (Dray__OutputBegin *)m->body);
	else if (m->info->type == WIRE_OUTPUT_CHUNK)
		goes = on_chunk(p, (Dray__OutputChunk *)m->body);
	if (goes)
		send_on(router, &p->client, m->info->type, m->body, zmq_msg_data(&m->payload),
			text_size(m));
	if (m->info->type == WIRE_JOB_STARTED) {
		say(p, "first", false);
		ask_again(p);
	}
}

static void
say_alive(struct peer *p)
{
	Dray__Credit m = DRAY__CREDIT__INIT;

	number = p->held;
	if (p->holds)
		send_on(router, &p->client, WIRE_CREDIT, &m.base, NULL, 0);
}

static struct peer *
peer_of(const struct wire_peer *client)
{
	struct peer *p;

	for (size_t i = 0; i < n_peers; i++)
		if (wire_peer_eq(&peers[i].client, client))
			return &peers[i];
	if (n_peers == PEERS_MAX)
		die("too many clients");
	if (lines.n == 0)
		read_lines();
	p = &peers[n_peers++];
	p->client = *client;
	if (socket_connect(ctx, lines.v[0], &client_id, worker_id.curve_public, JOB_HEARTBEAT_MS,
		    &p->worker) < 0)
		die(lines.v[0]);
	return p;
}

static void
turn(struct zap *zap)
{
	zmq_pollitem_t items[3 + PEERS_MAX] = { { router, 0, ZMQ_POLLIN, 0 },
		{ zap_socket(zap), 0, ZMQ_POLLIN, 0 }, { NULL, STDIN_FILENO, ZMQ_POLLIN, 0 } };
	struct wire_peer client;
	char waste[64];

	for (size_t i = 0; i < n_peers; i++)
		items[3 + i] = (zmq_pollitem_t){ peers[i].worker, 0, ZMQ_POLLIN, 0 };
	if (zmq_poll(items, (int)(3 + n_peers), 100) < 0 && errno != EINTR)
		die("poll");
	for (size_t i = 0; i < n_peers; i++)
		say_alive(&peers[i]);
	if (items[2].revents && read(STDIN_FILENO, waste, sizeof(waste)) <= 0)
		exit(0);
	zap_step(zap);
	for (size_t i = 0; i < n_peers; i++)
		for (;;) {
			struct wire_msg m = WIRE_MSG_INIT;
			int r = wire_recv(peers[i].worker, NULL, WIRE_FROM_WORKER, &m);

			number = m.job;
			if (r == 0)
				from_worker(&peers[i], &m);
			wire_msg_done(&m);
			if (r == -EAGAIN)
				break;
		}
	for (;;) {
		struct wire_msg m = WIRE_MSG_INIT;
		int r = wire_recv(router, &client, WIRE_FROM_CLIENT, &m);

		number = m.job;
		/* what it lies about comes as a whole, its digest before it */
		if (r == 0 && m.info->type == WIRE_JOB_OPEN)
			((Dray__JobOpen *)m.body)->pieces = told("pieces", NULL) != NULL;
		if (r == 0)
			send_on(peer_of(&client)->worker, NULL, m.info->type, m.body,
				zmq_msg_data(&m.payload), zmq_msg_size(&m.payload));
		wire_msg_done(&m);
		if (r == -EAGAIN)
			break;
	}
}

int
main(int argc, char **argv)
{
	struct zap *zap = NULL;
	char *endpoint = NULL;

	if (argc != 4) {
		fprintf(stderr, "usage: badworker WORKER-IDENTITY CLIENT-IDENTITY FILE\n");
		return 2;
	}
	file = argv[3];
	if (identity_load(argv[1], &worker_id, NULL) < 0 ||
		identity_load(argv[2], &client_id, NULL) < 0)
		die("keys");
	if (zmq_ctx_open(&ctx) < 0 || zap_new(ctx, NULL, NULL, &zap) < 0 ||
		socket_listen(ctx, ADMIT_WORKER, "tcp://127.0.0.1:*", &worker_id, JOB_HEARTBEAT_MS,
			&router, &endpoint) < 0)
		die("listening");
	puts(endpoint);
	fflush(stdout);
	for (;;)
		turn(zap);
}
