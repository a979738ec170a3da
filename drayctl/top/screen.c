/* The terminal. Invariant: a frame is drawn as its lines are, at most as many characters a line as
 * the terminal has columns. */
#include "config.h"

#include "drayctl/top/screen.h"

#include <errno.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ESCAPE_MS 25 /* that the rest of a key's sequence may take */
#define ESCAPE 27
#define DELETE 127

static SCREEN *screen;
static bool in_color;

static const int attributes[] = {
	[TOP_PLAIN] = A_NORMAL,
	[TOP_HEAD] = A_REVERSE,
	[TOP_STRONG] = A_BOLD,
	[TOP_GOOD] = A_NORMAL,
	[TOP_WARN] = A_BOLD,
	[TOP_BAD] = A_BOLD | A_UNDERLINE,
	[TOP_CHOSEN] = A_REVERSE | A_BOLD,
};
static const short colors[] = {
	[TOP_GOOD] = COLOR_GREEN,
	[TOP_WARN] = COLOR_YELLOW,
	[TOP_BAD] = COLOR_RED,
	[TOP_CHOSEN] = 0,
};

static void
open_colors(void)
{
	start_color();
	use_default_colors();
	for (short i = 0; i < (short)ARRAY_LEN(colors); i++)
		if (colors[i])
			init_pair(i, colors[i], -1);
}

int
screen_open(bool color)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	setlocale(LC_CTYPE, "");
	/* initscr would end the process where it does not know the terminal */
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return -ENOTTY;
	set_term(screen);
	set_escdelay(ESCAPE_MS);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	curs_set(0);
	in_color = color && has_colors();
	if (in_color)
		open_colors();
	return 0;
}

void
screen_close(void)
{
	if (!screen)
		return;
	endwin();
	delscreen(screen);
	screen = NULL;
}

void
screen_size(unsigned *ret_width, unsigned *ret_height)
{
	*ret_width = (unsigned)MAX2(COLS, 1);
	*ret_height = (unsigned)MAX2(LINES, 1);
}

void
screen_show(const struct top_frame *f)
{
	erase();
	for (unsigned i = 0; i < f->n; i++) {
		enum top_look look = f->look[i];
		int a = attributes[look];

		if (in_color && look < ARRAY_LEN(colors) && colors[look])
			a = COLOR_PAIR(look) | (look == TOP_BAD ? A_BOLD : A_NORMAL);
		attrset(a);
		mvaddstr((int)i, 0, f->text[i]);
		/* a bar is as wide as the screen */
		if (look == TOP_HEAD || look == TOP_CHOSEN)
			chgat(-1, (attr_t)a, 0, NULL);
	}
	attrset(A_NORMAL);
	refresh();
}

int
screen_key(unsigned wait_ms)
{
	struct pollfd in = { STDIN_FILENO, POLLIN, 0 };
	int key;

	timeout((int)wait_ms);
	key = getch();
	switch (key) {
	case ERR:
		return poll(&in, 1, 0) > 0 && in.revents & (POLLHUP | POLLERR) ? -1 : 0;
	case KEY_RESIZE:
		return 0;
	case KEY_UP:
		return TOP_UP;
	case KEY_DOWN:
		return TOP_DOWN;
	case KEY_PPAGE:
		return TOP_PAGE_UP;
	case KEY_NPAGE:
		return TOP_PAGE_DOWN;
	case KEY_ENTER:
	case '\r':
	case '\n':
		return TOP_ENTER;
	case KEY_BACKSPACE:
	case '\b':
	case DELETE:
		return TOP_BACKSPACE;
	case ESCAPE:
		return TOP_ESCAPE;
	case '\t':
	case KEY_BTAB:
		return TOP_TAB;
	default:
		return key > 0 && key < KEY_MIN ? key : 0;
	}
}
