/* What has become of the toolchains that this user gives a farm by itself, or by `dray toolchain
 * push`: a file for each, CACHE_DIR/given/ID, a line of fields with tabs between. One at a time is
 * given by a user: the process that does it holds a lock. */
#ifndef DRAY_CLIENT_GIVE_GIFT_H
#define DRAY_CLIENT_GIVE_GIFT_H

#include "common/digest.h"

#define GIFT_AGAIN_S 3600 /* after it failed; and twice as long each time, up to */
#define GIFT_AGAIN_MAX_S 86400
#define GIFT_GIVEN_S 600 /* after it was given */

enum gift_state { GIFT_GIVING, GIFT_GIVEN, GIFT_FAILED };
const char *gift_state_name(enum gift_state s);

struct gift {
	char id[DIGEST_HEX_SIZE];
	enum gift_state state;
	uint64_t at_s, begun_s; /* seconds since 1970: of the last word, and of the first */
	unsigned failures;	/* in a row */
	unsigned given;		/* workers that have it from here */
	uint64_t done, of;	/* bytes, of what the worker lacks */
	char worker[80], release[64], why[256];
};

/* Of a line without its newline, which is taken apart. False: it is none. id is not set. */
bool gift_parse(char *line, struct gift *ret);
/* 0; -ENOENT; -EBADMSG; -errno. */
int gift_read(const char *cache_dir, const char *id, struct gift *ret);
int gift_write(const char *cache_dir, const struct gift *g);
/* Those that can be read, by their ids. */
typedef void (*gift_fn)(void *arg, const struct gift *g);
int gift_each(const char *cache_dir, gift_fn fn, void *arg);
/* When it may be given by itself again, in seconds since 1970; 0: now. */
uint64_t gift_due_s(const struct gift *g, uint64_t now_s);

/* Held until the descriptor is closed. -EWOULDBLOCK: one is being given. */
int gift_lock(const char *cache_dir);
/* Whether one is. */
bool gift_is_going(const char *cache_dir);

#endif
