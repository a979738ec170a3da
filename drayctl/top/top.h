/* What drayctl top shows, and what its keys do; without a terminal (screen.c has that), so that it
 * is tested as a plain struct.
 *
 *   view of the coordinator ─▶ top_take_view ─▶ sums, rates since the last one
 *                                keys ─▶ top_key ─▶ sort, filter, choice; or a wish of its caller's
 *                                                   top_draw ─▶ lines of a screen */
#ifndef DRAY_DRAYCTL_TOP_TOP_H
#define DRAY_DRAYCTL_TOP_TOP_H

#include "proto/wire.h"

#define TOP_COLUMNS_MAX 500
#define TOP_LINES_MAX 200
#define TOP_EVENTS_KEPT 200

struct top;

int top_new(struct top **ret); /* 0 or -ENOMEM */
void top_free(struct top *t);
void top_freep(struct top **t);

/* An AdminView, with workers and jobs; takes the message's content. */
void top_take_view(struct top *t, struct wire_msg *m);
void top_take_events(struct top *t, const Dray__AdminEvents *m);
/* For the last line, until a key is pressed. Control characters are replaced. */
void top_say(struct top *t, const char *fmt, ...) _printf_(2, 3);

/* Keys that are no characters. */
enum top_key {
	TOP_UP = 0x1000,
	TOP_DOWN,
	TOP_PAGE_UP,
	TOP_PAGE_DOWN,
	TOP_ENTER,
	TOP_BACKSPACE,
	TOP_ESCAPE,
	TOP_TAB,
};
enum top_wish { TOP_NOTHING, TOP_QUIT, TOP_DRAIN, TOP_RESUME, TOP_LOOK };
/* What the caller is to do; DRAIN and RESUME: with the worker that is chosen. */
enum top_wish top_key(struct top *t, int key);
/* The worker that is chosen; "": none. */
const char *top_chosen(const struct top *t);
bool top_follows(const struct top *t); /* events are to be asked for */
uint64_t top_last_event(const struct top *t);

enum top_look { TOP_PLAIN, TOP_HEAD, TOP_STRONG, TOP_GOOD, TOP_WARN, TOP_BAD, TOP_CHOSEN };
struct top_frame {
	unsigned n;
	char *text[TOP_LINES_MAX]; /* UTF-8, at most `width` characters, no control characters */
	enum top_look look[TOP_LINES_MAX];
};
/* What a screen of that size shows. *ret must be empty. 0 or -ENOMEM, and then it is empty. */
int top_draw(struct top *t, unsigned width, unsigned height, struct top_frame *ret);
void top_frame_done(struct top_frame *f);

#endif
