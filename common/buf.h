/* A growable run of bytes. */
#ifndef DRAY_COMMON_BUF_H
#define DRAY_COMMON_BUF_H

#include "common/base.h"

struct buf {
	uint8_t *p; /* always followed by a NUL byte that is not counted, once anything was added */
	size_t n;
	size_t cap;
};

#define BUF_INIT           \
	{                  \
		NULL, 0, 0 \
	}

/* Each returns 0 or -ENOMEM. */
int buf_add(struct buf *b, const void *p, size_t n);
int buf_adds(struct buf *b, const char *s);
int buf_addf(struct buf *b, const char *fmt, ...) _printf_(2, 3);
int buf_reserve(struct buf *b, size_t more); /* room for `more` bytes after n */
void buf_consume(struct buf *b, size_t n);   /* drops the first n bytes */
void buf_done(struct buf *b);

#endif
