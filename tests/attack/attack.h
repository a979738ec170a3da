/* One hostile client's key against a farm. Each attack is a process of its own; attacker.c starts
 * them, and holds all of them together to a share of a core. */
#ifndef DRAY_TESTS_ATTACK_H
#define DRAY_TESTS_ATTACK_H

#include "keys/identity.h"
#include "proto/wire.h"

struct place {
	char endpoint[256]; /* for zmq_connect: with the address that it is connected to from */
	char curve_public[CURVE_KEY_SIZE];
};

struct attack_conf {
	struct place coordinator, worker;
	uint32_t from;	    /* an IPv4 address of this machine's, host order */
	struct identity id; /* the attacker's */
	uint8_t toolchain[32];
	char *sysroot; /* of that toolchain */
	unsigned connections;
};

/* Written by an attack, read by attacker.c; shared memory. */
struct tally {
	uint64_t going; /* 1: it has said its first word */
	uint64_t opened, messages, bytes, placed;
};

typedef void (*attack_fn)(const struct attack_conf *c, struct tally *t);

struct attack {
	const char *name;
	attack_fn run; /* does not return */
};

/* floods.c: connections, and what is said on them */
void attack_crowd_coordinator(const struct attack_conf *c, struct tally *t);
void attack_crowd_worker(const struct attack_conf *c, struct tally *t);
void attack_halves(const struct attack_conf *c, struct tally *t);
void attack_parts(const struct attack_conf *c, struct tally *t);
void attack_large(const struct attack_conf *c, struct tally *t);
void attack_status(const struct attack_conf *c, struct tally *t);
void attack_deaf(const struct attack_conf *c, struct tally *t);

/* units.c: jobs */
void get_named(const struct attack_conf *c, struct tally *t); /* at the worker */
void attack_asked(const struct attack_conf *c, struct tally *t);
void attack_unfed(const struct attack_conf *c, struct tally *t);
void attack_unread(const struct attack_conf *c, struct tally *t);
void attack_deep(const struct attack_conf *c, struct tally *t);
void attack_wide(const struct attack_conf *c, struct tally *t);

/* attacker.c */
void *dealer(void *ctx, const struct attack_conf *c, const struct place *p, bool reads);
void say(void *socket, struct tally *t, uint32_t job, enum wire_type type,
	const ProtobufCMessage *body, const void *payload, size_t n);
void say_hello(void *socket, struct tally *t);
void pause_ms(unsigned ms);
void fail(const char *what);

#endif
