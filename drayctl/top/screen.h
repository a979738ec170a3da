/* The terminal that drayctl top draws on (ncurses). */
#ifndef DRAY_DRAYCTL_TOP_SCREEN_H
#define DRAY_DRAYCTL_TOP_SCREEN_H

#include "drayctl/top/top.h"

/* Takes the terminal. color: unless it has none. 0; -ENOTTY: stdin or stdout is none, or it is not
 * known what it can do. */
int screen_open(bool color);
/* Gives it back, as it was. Also where it was not opened. */
void screen_close(void);
void screen_size(unsigned *ret_width, unsigned *ret_height);
void screen_show(const struct top_frame *f);
/* The next key, as top_key wants it; waits at most so long. 0: there is none, or the terminal's
 * size is another now. -1: it is gone. */
int screen_key(unsigned wait_ms);

#endif
