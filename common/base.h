/* Ownership helpers and small macros used everywhere. Nothing here allocates or does I/O. */
#ifndef DRAY_COMMON_BASE_H
#define DRAY_COMMON_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A variable marked _cleanup_(f) is handed to f (as a pointer) when it leaves scope.
 * Always initialise it at its declaration. */
#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _warn_unused_ __attribute__((warn_unused_result))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN2(a, b) ((a) < (b) ? (a) : (b))
#define MAX2(a, b) ((a) > (b) ? (a) : (b))

/* Hands a pointer over: returns it and leaves NULL behind, so that _cleanup_ frees nothing. */
#define steal_ptr(p)                         \
	({                                   \
		__typeof__(p) stolen_ = (p); \
		(p) = NULL;                  \
		stolen_;                     \
	})

static inline int
steal_fd(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

/* For `_cleanup_(freep) char *s = NULL;` (the argument is a pointer to the pointer). */
static inline void
freep(void *p)
{
	free(*(void **)p);
}

/* For `_cleanup_(closep) int fd = -1;`: closes what is open; errno is kept. */
void closep(int *fd);

static inline bool
streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static inline bool
starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static inline bool
ends_with(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

#endif
