/* SHA-256 (OpenSSL, which uses SHA-NI where there is one). Content addresses and ids. */
#ifndef DRAY_COMMON_DIGEST_H
#define DRAY_COMMON_DIGEST_H

#include "common/base.h"

#define DIGEST_SIZE 32
#define DIGEST_HEX_SIZE 65 /* with NUL */

struct digest {
	uint8_t b[DIGEST_SIZE];
};

struct hasher;

/* NULL when out of memory. */
struct hasher *hasher_new(void);
void hasher_free(struct hasher *h); /* NULL is fine */
void hasher_freep(struct hasher **h);
void hasher_update(struct hasher *h, const void *p, size_t n);
/* Adds an 8-byte big-endian length and then the bytes: fields cannot run into each other. */
void hasher_field(struct hasher *h, const void *p, size_t n);
void hasher_final(struct hasher *h, struct digest *ret); /* and starts afresh */
/* The digest of what was added so far; the hasher goes on. */
void hasher_peek(const struct hasher *h, struct digest *ret);

int digest_bytes(const void *p, size_t n, struct digest *ret);
/* Reads fd from its current offset to its end. ret_size may be NULL. 0 or -errno. */
int digest_fd(int fd, struct digest *ret, uint64_t *ret_size);
/* Of n bytes of it from `at` on. 0; -EBADMSG: it ends before; -errno. */
int digest_range(int fd, uint64_t at, uint64_t n, struct digest *ret);
int digest_file(const char *path, struct digest *ret, uint64_t *ret_size);

bool digest_eq(const struct digest *a, const struct digest *b);
void digest_hex(const struct digest *d, char out[DIGEST_HEX_SIZE]);
/* Exactly 64 lower-case hex digits; 0 or -EINVAL. */
int digest_parse(const char *hex, struct digest *ret);

#endif
