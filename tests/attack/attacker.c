/* Attacks a farm with one client's key, for tests/attack/run.
 *
 *     attacker [--cpu PERCENT] [--connections N] [--one-address] COORDINATOR COORDINATOR.pub
 *         WORKER WORKER.pub IDENTITY TOOLCHAIN-ID SYSROOT ATTACK...
 * starts each ATTACK as a process with an address of its own (127.0.0.10 and on; --one-address: all
 * have 127.0.0.1, as the honest client), and prints "going" once all have said their first word, or
 * have tried it for 10 s: these are named behind it.
 * Together they get PERCENT (25) of one core: their processor time is read a hundred times a
 * second, and they are stopped while they are ahead of it. Ends with its standard input, and with
 * it all of them; then prints a line of JSON for each: what it did.
 *
 * ATTACK:
 *     crowd-coordinator, crowd-worker   10,000 connections (--connections): a quarter says nothing,
 *                a quarter stops in the greeting, or in the handshake; half of them are through it,
 *                and half of these say Hello. Those that are closed are opened anew
 *     halves     frames without a key, of the largest size that is taken, all but their last byte,
 *                on as many connections as make 1 GiB; and larger ones
 *     parts      messages of a GiB, in frames of the largest size that is taken
 *     large      messages of each type, as large as a frame may be, and larger
 *     status     the status, over and over
 *     deaf       Hello, the status and retries of unknown jobs on 400 connections, and nothing read
 *     asked      jobs without end, which are never opened
 *     unfed      jobs that are opened, and get no unit
 *     unread     jobs that are fed; what they make is not read
 *     deep       units of 100,000 directories, and of as many as are taken
 *     wide       units of 200,000 files */
#include "config.h"

#include "tests/attack/attack.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "common/clock.h"
#include "common/process/daemon.h"
#include "common/digest.h"

#define ATTACKS_MAX 16
#define LOOK_MS 10
#define FIRST_ADDRESS (INADDR_LOOPBACK + 9)
#define TRIED_US 10000000u
#define AHEAD_US 20000 /* that they may be ahead of their share */

static const struct attack attacks[] = {
	{ "crowd-coordinator", attack_crowd_coordinator },
	{ "crowd-worker", attack_crowd_worker },
	{ "halves", attack_halves },
	{ "parts", attack_parts },
	{ "large", attack_large },
	{ "status", attack_status },
	{ "deaf", attack_deaf },
	{ "asked", attack_asked },
	{ "unfed", attack_unfed },
	{ "unread", attack_unread },
	{ "deep", attack_deep },
	{ "wide", attack_wide },
};

struct running {
	const struct attack *attack;
	pid_t pid;
	clockid_t clock;
};

static struct running v[ATTACKS_MAX];
static size_t n_running;
static struct tally *tallies;

void
fail(const char *what)
{
	fprintf(stderr, "attacker: %s: %s\n", what, zmq_strerror(errno));
	exit(1);
}

void
pause_ms(unsigned ms)
{
	poll(NULL, 0, (int)ms);
}

/* reads: whether libzmq takes what comes in before it is asked for it. */
void *
dealer(void *ctx, const struct attack_conf *c, const struct place *p, bool reads)
{
	const struct {
		int option, value;
	} options[] = {
		{ ZMQ_LINGER, 0 },
		{ ZMQ_RCVHWM, reads ? 1000 : 1 },
		{ ZMQ_SNDHWM, 64 },
		{ ZMQ_SNDTIMEO, 200 },
		{ ZMQ_RECONNECT_IVL, 100 },
		{ ZMQ_RECONNECT_IVL_MAX, 2000 },
	};
	void *s = zmq_socket(ctx, ZMQ_DEALER);

	if (!s)
		fail("a socket");
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		zmq_setsockopt(s, options[i].option, &options[i].value, sizeof(int));
	if (!reads) {
		int least = 4096;

		zmq_setsockopt(s, ZMQ_RCVBUF, &least, sizeof(least));
	}
	zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, p->curve_public, CURVE_KEY_SIZE);
	zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, c->id.curve_public, CURVE_KEY_SIZE);
	zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, c->id.curve_secret, CURVE_KEY_SIZE);
	return s;
}

/* What cannot be sent in 200 ms is not. */
void
say(void *socket, struct tally *t, uint32_t job, enum wire_type type, const ProtobufCMessage *body,
	const void *payload, size_t n)
{
	const struct wire_info *info = wire_info(type);
	size_t head = wire_header_size(type), size = protobuf_c_message_get_packed_size(body);
	_cleanup_(freep) uint8_t *frame = calloc(1, head + size);

	if (!frame)
		fail("memory");
	memcpy(frame, "DRAY", 4);
	frame[5] = WIRE_VERSION;
	frame[7] = (uint8_t)type;
	if (wire_is_of_job(type))
		for (int i = 0; i < 4; i++)
			frame[8 + i] = (uint8_t)(job >> (24 - 8 * i));
	protobuf_c_message_pack(body, frame + head);
	if (zmq_send(socket, frame, head + size, info->payload_max ? ZMQ_SNDMORE : 0) < 0)
		return;
	if (info->payload_max && zmq_send(socket, payload, n, 0) < 0)
		return;
	t->messages++;
	t->bytes += head + size + n;
}

void
say_hello(void *socket, struct tally *t)
{
	char role[] = "client";
	Dray__Hello m;

	wire_hello(&m, role);
	say(socket, t, 0, WIRE_HELLO, &m.base, NULL, 0);
}

/* libzmq's way to say from which address. */
static void
set_from(struct place *p, uint32_t from)
{
	char to[sizeof(p->endpoint)];

	snprintf(to, sizeof(to), "%.200s", p->endpoint + strlen("tcp://"));
	snprintf(p->endpoint, sizeof(p->endpoint), "tcp://%u.%u.%u.%u:0;%.200s", from >> 24,
		from >> 16 & 255, from >> 8 & 255, from & 255, to);
}

static void
begin(const struct attack *a, const struct attack_conf *all, bool one_address)
{
	struct running *r = &v[n_running];
	struct attack_conf own = *all, *c = &own;

	c->from = one_address ? INADDR_LOOPBACK : FIRST_ADDRESS + (uint32_t)n_running;
	set_from(&c->coordinator, c->from);
	set_from(&c->worker, c->from);

	r->attack = a;
	r->pid = fork();
	if (r->pid < 0)
		fail("fork");
	if (r->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		a->run(c, &tallies[n_running]);
		_exit(1);
	}
	if (clock_getcpuclockid(r->pid, &r->clock) != 0)
		fail("a clock");
	n_running++;
}

static uint64_t
used_us(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n_running; i++) {
		struct timespec t;

		if (clock_gettime(v[i].clock, &t) == 0)
			sum += (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
	}
	return sum;
}

static void
signal_all(int sig)
{
	for (size_t i = 0; i < n_running; i++)
		kill(v[i].pid, sig);
}

static bool
is_going(size_t i)
{
	return __atomic_load_n(&tallies[i].going, __ATOMIC_RELAXED);
}

static bool
all_going(void)
{
	for (size_t i = 0; i < n_running; i++)
		if (!is_going(i))
			return false;
	return true;
}

static void
say_going(void)
{
	printf("going");
	for (size_t i = 0; i < n_running; i++)
		if (!is_going(i))
			printf(" %s", v[i].attack->name);
	printf("\n");
	fflush(stdout);
}

/* What is not used within a look is not saved up. */
static uint64_t
govern(unsigned percent)
{
	uint64_t begin_us = clock_mono_us(), last_us = begin_us, left = AHEAD_US, last = 0;
	bool stopped = false, said = false;
	struct pollfd in = { 0, POLLIN, 0 };
	char waste[64];

	while (poll(&in, 1, LOOK_MS) == 0 || read(0, waste, sizeof(waste)) > 0) {
		uint64_t now = clock_mono_us(), used = used_us(), cost = used - last;
		bool stop;

		left = left + (now - last_us) * percent / 100;
		stop = cost > left;
		if (stop) {
			/* in debt: time goes on, and pays for it */
			if (!stopped)
				signal_all(SIGSTOP);
			last_us = now;
		} else {
			left = MIN2(left - cost, (uint64_t)AHEAD_US);
			last = used;
			last_us = now;
			if (stopped)
				signal_all(SIGCONT);
		}
		stopped = stop;
		if (!said && (all_going() || now - begin_us >= TRIED_US)) {
			say_going();
			said = true;
		}
	}
	return clock_mono_us() - begin_us;
}

static void
finish(uint64_t us)
{
	uint64_t used = used_us();

	signal_all(SIGKILL);
	for (size_t i = 0; i < n_running; i++) {
		const struct tally *t = &tallies[i];

		waitpid(v[i].pid, NULL, 0);
		printf("{\"attack\":\"%s\",\"opened\":%llu,\"messages\":%llu,\"bytes\":%llu,"
		       "\"placed\":%llu,\"share\":%.3f}\n",
			v[i].attack->name, (unsigned long long)t->opened,
			(unsigned long long)t->messages, (unsigned long long)t->bytes,
			(unsigned long long)t->placed, (double)used / (double)MAX2(us, 1u));
	}
}

static void
read_place(const char *endpoint, const char *file, struct place *ret)
{
	struct identity id = { 0 };

	if (identity_load(file, &id, NULL) < 0)
		fail(file);
	snprintf(ret->endpoint, sizeof(ret->endpoint), "%s", endpoint);
	memcpy(ret->curve_public, id.curve_public, sizeof(ret->curve_public));
	identity_done(&id);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "cpu", required_argument, NULL, 'c' },
		{ "connections", required_argument, NULL, 'n' },
		{ "one-address", no_argument, NULL, 'o' }, { 0 } };
	struct attack_conf c = { .connections = 10000 };
	struct digest toolchain;
	unsigned percent = 25;
	bool one_address = false;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (o == 'c')
			percent = (unsigned)atoi(optarg);
		else if (o == 'n')
			c.connections = (unsigned)atoi(optarg);
		else if (o == 'o')
			one_address = true;
		else
			return 2;
	argv += optind;
	if (argc - optind < 8 || argc - optind > 7 + ATTACKS_MAX) {
		fprintf(stderr, "usage: attacker [--cpu PERCENT] [--connections N] "
				"[--one-address] COORDINATOR COORDINATOR.pub WORKER WORKER.pub "
				"IDENTITY TOOLCHAIN-ID SYSROOT "
				"ATTACK...\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	daemon_raise_limits();
	read_place(argv[0], argv[1], &c.coordinator);
	read_place(argv[2], argv[3], &c.worker);
	if (identity_load(argv[4], &c.id, NULL) < 0)
		fail(argv[4]);
	if (digest_parse(argv[5], &toolchain) < 0)
		fail(argv[5]);
	memcpy(c.toolchain, toolchain.b, sizeof(c.toolchain));
	c.sysroot = argv[6];
	tallies = mmap(NULL, sizeof(*tallies) * ATTACKS_MAX, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tallies == MAP_FAILED)
		fail("memory");
	for (char **name = argv + 7; *name; name++) {
		const struct attack *a = NULL;

		for (size_t i = 0; i < ARRAY_LEN(attacks); i++)
			if (streq(attacks[i].name, *name))
				a = &attacks[i];
		if (!a) {
			fprintf(stderr, "attacker: no such attack: %s\n", *name);
			signal_all(SIGKILL);
			return 2;
		}
		begin(a, &c, one_address);
	}
	finish(govern(percent));
	return 0;
}
