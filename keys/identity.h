/* A node's keys, and which nodes may talk to each other.
 *
 * Identity file (mode 0600, refused when others can read it), `name = value` lines:
 *   name         free text, [A-Za-z0-9._-]{1,64}
 *   curve-public, curve-secret    CURVE25519, Z85 (40 characters), as libzmq takes them
 *   sign-public, sign-secret      Ed25519, 64 hex digits each (the secret is the 32-byte seed)
 * A public file (the same without the secrets) is what one hands to others.
 *
 * Allowed-keys file, one line each, '#' begins a comment:
 *   <role> <curve public key, Z85> [name] [namespace=NAMESPACE] [sign=KEY] [until=SECONDS]
 * [revoked] with role one of client, reader, publisher, worker, admin; what is behind the key in
 * any order. A name is bound to its key: no other worker goes by it, and the key's own worker goes
 * by no other. The namespace, "" when it is not given, is what its work is kept apart by; it comes
 * from here, never from the peer. (Z85 can contain '#': only a '#' that begins a line, or follows
 * white space after the key, is a comment.) sign= is the identity's sign-public: of a publisher, or
 * a worker, it says that what this key signs may be believed (keys/vouch.h). A revoked key has no
 * role, and what it signed counts no more. until= (since 1970) is of a key in whose place another
 * one has come (keys/rotation.h): afterwards it is let in no more, and what it has signed counts
 * all the same. Beside such lines a name is one worker's.
 */
#ifndef DRAY_KEYS_IDENTITY_H
#define DRAY_KEYS_IDENTITY_H

#include "common/base.h"

#define CURVE_KEY_SIZE 41 /* Z85 with NUL */
#define SIGN_KEY_SIZE 32
#define SIGNATURE_SIZE 64
#define KEYS_NAME_MAX 64 /* of a name, or a namespace */

struct identity {
	char name[65];
	char curve_public[CURVE_KEY_SIZE];
	char curve_secret[CURVE_KEY_SIZE]; /* "" in a public file */
	uint8_t sign_public[SIGN_KEY_SIZE];
	uint8_t sign_secret[SIGN_KEY_SIZE];
	bool has_secret;
};

/* Wipes the secrets. */
void identity_done(struct identity *id);

/* Makes a fresh identity (libcrypto: X25519 pair in Z85, Ed25519 pair). -EINVAL for a bad name. */
int identity_generate(const char *name, struct identity *ret);
/* This machine's name, as far as it fits into what an identity's name may be. */
void identity_default_name(char ret[KEYS_NAME_MAX + 1]);
/* Writes path (0600) and path.pub (0644); -EEXIST when path exists. */
int identity_save(const struct identity *id, const char *path);
/* Another name in the file at path, and in path.pub: the line with the name is changed, and nothing
 * else. -EINVAL for a bad name; -EBADMSG: it is no identity; -errno. */
int identity_rename(const char *path, const char *name);
/* Writes what is public of it (0644), over what is there. -EINVAL: its name is none. */
int identity_save_public(const struct identity *id, const char *path);
/* -EPERM: others can read a file that has secrets. -EBADMSG: not an identity file. *ret_line, when
 * not NULL, is the first bad line. */
int identity_load(const char *path, struct identity *ret, unsigned *ret_line);

/* The same, but it does not derive the public keys from the secret ones to compare them, which
 * needs libcrypto's algorithms (2 ms at a process's start). For a process that starts for each
 * unit: with a pair that does not match, the handshake fails. */
int identity_load_unchecked(const char *path, struct identity *ret, unsigned *ret_line);

/* The key it signs by in hex, as lists of keys have it. */
#define SIGN_HEX_SIZE (2 * SIGN_KEY_SIZE + 1)
void identity_sign_hex(const struct identity *id, char out[SIGN_HEX_SIZE]);

/* Ed25519 over n bytes. */
int identity_sign(const struct identity *id, const void *p, size_t n, uint8_t sig[SIGNATURE_SIZE]);
bool identity_verify(const uint8_t key[SIGN_KEY_SIZE], const void *p, size_t n,
	const uint8_t sig[SIGNATURE_SIZE]);

/* Whether it may be a name of an identity, or a namespace: [A-Za-z0-9._-]{1,64}. */
bool keys_name_ok(const char *s, size_t n);

/* client: gets jobs, and asks for the status. reader: asks for the status (and reads the shared
 * cache). publisher: a client that may also store what it compiled itself. worker: runs jobs.
 * admin: asks for the status. */
enum role {
	ROLE_NONE = 0,
	ROLE_CLIENT,
	ROLE_READER,
	ROLE_PUBLISHER,
	ROLE_WORKER,
	ROLE_ADMIN,
	ROLE_LOCAL, /* no key, over ipc, and no Hello yet: it says there what it is */
};
const char *role_name(enum role r);
enum role role_parse(const char *name); /* ROLE_NONE: none that a key can have */

struct allowed_key {
	char curve_public[CURVE_KEY_SIZE];
	enum role role;
	char name[65];
	char namespace[65];
	bool signs; /* the next one is given */
	uint8_t sign_public[SIGN_KEY_SIZE];
	bool revoked;	  /* it is let in no more */
	uint64_t until_s; /* then its time is over; 0: it has no such end */
	/* No line says these: */
	bool over;    /* likewise, but what it has signed counts: its time is over
			 (allowed_keys_end, coordinator/oidc/passes.h) */
	bool by_pass; /* it is in no list (likewise) */
	/* It is let in, and what it signs does not count. No line says so: a coordinator finds it
	 * out (doc/shared-cache.md, Samples). */
	bool sign_revoked;
};
struct allowed_keys {
	struct allowed_key *v;
	size_t n;
};

/* What is wrong with a list of keys. */
struct keys_fault {
	unsigned line;	/* the first that is wrong; 0: none is */
	char what[240]; /* "\"cleint\" is none of client, …": plain text */
};

/* -EBADMSG, and what is wrong, unless that is NULL; the list is then empty. Also -ENOMEM, and
 * -errno of the file. */
int allowed_keys_load(const char *path, struct allowed_keys *ret, struct keys_fault *ret_fault);
int allowed_keys_parse(
	const char *text, size_t n, struct allowed_keys *ret, struct keys_fault *ret_fault);
/* The key's line, or NULL: there is none, or it is revoked, or over. */
const struct allowed_key *allowed_keys_find(const struct allowed_keys *a, const char *curve_public);
/* The key that has come in this one's place: that of the line with its role, name and namespace
 * which has no until=; curve_public itself: there is none. What is counted for each key is so
 * counted for a node once. The list's, or the argument. */
const char *allowed_keys_newest(const struct allowed_keys *a, const char *curve_public);
/* Whether there is such a line, which is revoked. */
bool allowed_keys_is_revoked(const struct allowed_keys *a, const char *curve_public);
enum role allowed_keys_role(const struct allowed_keys *a, const char *curve_public);
/* Whether a worker with this key may go by that name. */
bool allowed_keys_may_be(const struct allowed_keys *a, const char *curve_public, const char *name);
/* Those whose time has come are over from now on. Whether there were some. */
bool allowed_keys_end(struct allowed_keys *a, uint64_t now_s);
void allowed_keys_done(struct allowed_keys *a);

/* Z85 (ZeroMQ RFC 32): 32 bytes to 40 characters and back. */
void z85_encode32(const uint8_t in[32], char out[CURVE_KEY_SIZE]);
int z85_decode32(const char *in, uint8_t out[32]);

#endif
