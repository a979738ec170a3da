/* The toolchains that admins have pinned: with at least one, a farm compiles with these alone. A
 * file in the coordinator's directory, so that it outlives the coordinator. A line a toolchain:
 *
 *   ID TEXT
 *
 * ID: 64 hex digits in small letters; TEXT: what the workers called it then, for people; it may be
 * empty. */
#ifndef DRAY_COORDINATOR_ADMIN_PINS_H
#define DRAY_COORDINATOR_ADMIN_PINS_H

#include "common/digest.h"

#define PINS_FILE "toolchains"
#define PINS_MAX 256
#define PIN_TEXT_SIZE 128

struct pin {
	struct digest id;
	char text[PIN_TEXT_SIZE]; /* no control characters */
};
struct pins {
	struct pin *v;
	size_t n;
};
void pins_done(struct pins *p);

/* *ret must be empty, and is so after an error. 0; -EBADMSG: it is none, as of a line that is
 * wrong, or of one too many; -ENOMEM. */
int pins_parse(const char *text, size_t n, struct pins *ret);
/* A file that is not there is an empty list. Also -errno. */
int pins_load(const char *dir, struct pins *ret);
int pins_save(const char *dir, const struct pins *p);

/* NULL: it is not pinned. */
const struct pin *pins_find(const struct pins *p, const struct digest *id);
/* The text is cut where it is too long. 0, also where it is pinned already; -ENOSPC: there are
 * PINS_MAX; -EINVAL: the text has a control character; -ENOMEM. */
int pins_add(struct pins *p, const struct digest *id, const char *text);
/* False: it was not pinned. */
bool pins_drop(struct pins *p, const struct digest *id);

#endif
