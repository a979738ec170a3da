/* Opens one job twice at a worker, with a ticket each time, as a client does whose first try has
 * not ended there yet. It has the coordinator's key, so that it can make the tickets.
 *
 *     twice WORKER-ENDPOINT WORKER-PUBLIC CLIENT-IDENTITY COORDINATOR-IDENTITY TOOLCHAIN-ID
 *
 * Prints for each what the worker said: "accepted", or "rejected VERDICT: TEXT". The first one gets
 * no unit, so that it is there for the second one. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/digest.h"
#include "keys/ticket.h"
#include "proto/socket.h"
#include "proto/wire.h"

#define JOB "0123456789abcdef0123456789abcdef"
#define LIMIT_MS 20000

static struct identity worker, client, coordinator;
static struct digest toolchain;
static void *ctx, *s;

static int
die(const char *what, int err)
{
	fprintf(stderr, "twice: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void
load(const char *path, struct identity *ret)
{
	int r = identity_load(path, ret, NULL);

	if (r < 0)
		die(path, r);
}

static void
open_job(uint32_t number)
{
	Dray__JobOpen m = DRAY__JOB_OPEN__INIT;
	uint8_t sig[SIGNATURE_SIZE];
	int r = ticket_issue(&coordinator, JOB, client.curve_public, worker.curve_public, NULL,
		clock_wall_ms(), &m.ticket.data, &m.ticket.len, sig);

	if (r < 0)
		die("a ticket", r);
	m.signature = (ProtobufCBinaryData){ sizeof(sig), sig };
	m.credit = 1;
	m.unit_size = 1000;
	m.toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, toolchain.b };
	r = wire_send_job(s, NULL, number, WIRE_JOB_OPEN, &m.base, NULL);
	free(m.ticket.data);
	if (r < 0)
		die("JobOpen", r);
}

/* What it says of that job: true, when it is the answer. */
static bool
take(const struct wire_msg *m, uint32_t number)
{
	const Dray__JobRejected *rejected = (const Dray__JobRejected *)m->body;

	if (m->info->type == WIRE_REFUSED)
		die(((const Dray__Refused *)m->body)->text, -EACCES);
	if (m->job != number)
		return false;
	if (m->info->type == WIRE_JOB_ACCEPTED)
		puts("accepted");
	else if (m->info->type == WIRE_JOB_REJECTED)
		printf("rejected %s: %s\n",
			rejected->verdict == DRAY__VERDICT__VERDICT_FULL ? "FULL" : "otherwise",
			rejected->text);
	else
		return false;
	return true;
}

static void
await(uint32_t number)
{
	uint64_t end = clock_mono_ms() + LIMIT_MS;
	bool answered = false;

	while (!answered) {
		zmq_pollitem_t item = { s, 0, ZMQ_POLLIN, 0 };
		struct wire_msg m = WIRE_MSG_INIT;
		int r;

		if (clock_mono_ms() >= end)
			die("the worker", -ETIMEDOUT);
		zmq_poll(&item, 1, 100);
		r = wire_recv(s, NULL, WIRE_FROM_WORKER, &m);
		answered = r == 0 && take(&m, number);
		wire_msg_done(&m);
		if (r < 0 && r != -EAGAIN)
			die("what the worker says", r);
	}
}

int
main(int argc, char **argv)
{
	char role[] = "client";
	Dray__Hello hello;
	int r;

	if (argc != 6 || digest_parse(argv[5], &toolchain) < 0)
		die("usage", -EINVAL);
	load(argv[2], &worker);
	load(argv[3], &client);
	load(argv[4], &coordinator);
	r = zmq_ctx_open(&ctx);
	if (r == 0)
		r = socket_connect(
			ctx, argv[1], &client, worker.curve_public, JOB_HEARTBEAT_MS, &s);
	if (r < 0)
		die(argv[1], r);
	wire_hello(&hello, role);
	r = wire_send(s, NULL, WIRE_HELLO, &hello.base, NULL, 0);
	if (r < 0)
		die("Hello", r);
	for (uint32_t number = 1; number <= 2; number++) {
		open_job(number);
		await(number);
	}
	socket_closep(&s);
	zmq_ctx_termp(&ctx);
	return 0;
}
