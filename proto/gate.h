/* Bounds what one address may cost a listening TCP socket before any key of it is known. Each
 * connection from it is a debt until a message comes on it; debts go down with time. While an
 * address has too many, the kernel drops its requests to connect (a socket filter on the listening
 * socket, classic BPF): no queue of the system's fills up with them, libzmq does not see them, and
 * connections that are there are not touched. The other kernel asks again by itself, later and
 * later.
 *
 * A step function: the clock is passed in (monotonic ms). An IPv6 address counts by its first 64
 * bits, since one host can have all of these. */
#ifndef DRAY_PROTO_GATE_H
#define DRAY_PROTO_GATE_H

#include <stdbool.h>
#include <stdint.h>

#define GATE_DEBT_MAX 256  /* of one address; it is shut above, until half of that is left */
#define GATE_PER_S 16	   /* so much of it goes by itself */
#define GATE_ADDRESSES 128 /* that are remembered; the one that owes least makes room */

struct gate;

struct gate_address {
	uint8_t family; /* 4, 6; 0: none */
	uint32_t word[2];
};

/* listen_fd: another's, which is there for as long as the gate is. -ENOMEM. */
int gate_new(int listen_fd, struct gate **ret);
void gate_free(struct gate *g); /* opens nothing: the socket is about to end */
/* A connection was accepted, as libzmq tells: counts it, and those before that it does not tell of.
 * Whose it is; family 0: not TCP, or it cannot be told. */
struct gate_address gate_accepted(struct gate *g, int fd, uint64_t now);
/* A connection from there was accepted, or has said its first word. */
void gate_came(struct gate *g, const struct gate_address *a, uint64_t now);
void gate_spoke(struct gate *g, const struct gate_address *a, uint64_t now);
/* A connection from there has ended, or was ended, and so many times GATE_LEFT bytes of it were
 * waiting. */
#define GATE_LEFT (64u * 1024)
void gate_left(struct gate *g, const struct gate_address *a, unsigned n, uint64_t now);
void gate_step(struct gate *g, uint64_t now); /* opens it to those that owe little again */
/* The address that was shut out last, in words, if nobody has asked since; for a log. */
#define GATE_TEXT_SIZE 64
bool gate_news(struct gate *g, char ret[GATE_TEXT_SIZE]);
bool gate_is_shut(const struct gate *g, const struct gate_address *a);
/* Whose connection that is now; family 0: not TCP, or it is gone. */
struct gate_address gate_address_of(int fd);
/* The address in words; family 0: it is none. */
struct gate_address gate_address_parse(const char *text);
bool gate_address_eq(const struct gate_address *a, const struct gate_address *b);
/* In words, an IPv6 one as the network that counts. False: there is none. */
bool gate_address_text(const struct gate_address *a, char ret[GATE_TEXT_SIZE]);

#endif
