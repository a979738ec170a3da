/* A table for people. Invariant: no cell holds a control character. */
#include "config.h"

#include "drayctl/grid.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "common/text/show.h"

#define GAP 2
#define CUT "~" /* behind what was cut: one column in any terminal */
#define WIDTH_MAX 1000

struct grid {
	const struct grid_column *columns;
	size_t n_columns;
	char **cells; /* row by row */
	size_t n, cap;
	bool failed;
};

struct grid *
grid_new(const struct grid_column *columns, size_t n)
{
	struct grid *g = calloc(1, sizeof(*g));

	if (g) {
		g->columns = columns;
		g->n_columns = n;
	}
	return g;
}

void
grid_free(struct grid *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n; i++)
		free(g->cells[i]);
	free(g->cells);
	free(g);
}

void
grid_freep(struct grid **g)
{
	grid_free(*g);
	*g = NULL;
}

static char *
safe(const char *text)
{
	struct buf b = BUF_INIT;

	if (show_text(&b, text) < 0 || buf_add(&b, "", 1) < 0) {
		buf_done(&b);
		return NULL;
	}
	return (char *)b.p;
}

static bool
make_room(struct grid *g)
{
	size_t cap = g->cap ? 2 * g->cap : 64;
	char **cells;

	if (g->n < g->cap)
		return true;
	cells = reallocarray(g->cells, cap, sizeof(*cells));
	if (!cells)
		return false;
	g->cells = cells;
	g->cap = cap;
	return true;
}

void
grid_add(struct grid *g, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0)
		text = NULL;
	if (!text || !make_room(g) || !(g->cells[g->n] = safe(text)))
		g->failed = true;
	else
		g->n++;
}

size_t
grid_rows(const struct grid *g)
{
	return g->n / g->n_columns;
}

size_t
grid_text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void
measure(const struct grid *g, size_t widths[])
{
	for (size_t c = 0; c < g->n_columns; c++)
		widths[c] = grid_text_width(g->columns[c].head);
	for (size_t i = 0; i < g->n; i++) {
		size_t c = i % g->n_columns;

		widths[c] = MAX2(widths[c], grid_text_width(g->cells[i]));
	}
}

/* Takes a character at a time off the widest column that may be cut. */
static void
squeeze(const struct grid *g, size_t widths[], size_t width)
{
	size_t all = GAP * (g->n_columns - 1);

	for (size_t c = 0; c < g->n_columns; c++)
		all += widths[c];
	while (all > width) {
		size_t widest = g->n_columns;

		for (size_t c = 0; c < g->n_columns; c++)
			if (g->columns[c].least && widths[c] > g->columns[c].least &&
				(widest == g->n_columns || widths[c] > widths[widest]))
				widest = c;
		if (widest == g->n_columns)
			return;
		widths[widest]--;
		all--;
	}
}

/* Prints at most n characters of it. */
static void
print_cut(const char *s, size_t n, FILE *to)
{
	bool cut = grid_text_width(s) > n;
	size_t left = cut ? n - 1 : n;

	for (; *s; s++) {
		bool begins = ((unsigned char)*s & 0xc0) != 0x80;

		if (begins && left == 0)
			break;
		left -= begins;
		fputc(*s, to);
	}
	if (cut)
		fputs(CUT, to);
}

static void
print_row(const struct grid *g, char *const *cells, const size_t widths[], FILE *to)
{
	size_t last = g->n_columns - 1;

	while (last > 0 && !*cells[last])
		last--;
	for (size_t c = 0; c <= last; c++) {
		size_t n = MIN2(grid_text_width(cells[c]), widths[c]);
		int pad = (int)(widths[c] - n);

		if (g->columns[c].right)
			fprintf(to, "%*s", pad, "");
		print_cut(cells[c], widths[c], to);
		if (c < last)
			fprintf(to, "%*s", (g->columns[c].right ? 0 : pad) + GAP, "");
	}
	fputc('\n', to);
}

bool
grid_is_cut(const struct grid *g)
{
	return g->failed;
}

int
grid_print(const struct grid *g, unsigned width, FILE *to)
{
	size_t widths[GRID_COLUMNS_MAX];
	char *heads[GRID_COLUMNS_MAX];

	if (g->failed)
		return -ENOMEM;
	measure(g, widths);
	squeeze(g, widths, width);
	for (size_t c = 0; c < g->n_columns; c++) {
		union {
			const char *in;
			char *out;
		} u = { g->columns[c].head };

		heads[c] = u.out;
	}
	print_row(g, heads, widths, to);
	for (size_t i = 0; i + g->n_columns <= g->n; i += g->n_columns)
		print_row(g, g->cells + i, widths, to);
	return 0;
}

unsigned
grid_width(FILE *to)
{
	const char *said = getenv("COLUMNS");
	unsigned long n = said ? strtoul(said, NULL, 10) : 0;
	struct winsize size;

	if (n == 0 && ioctl(fileno(to), TIOCGWINSZ, &size) == 0)
		n = size.ws_col;
	return n == 0 ? GRID_WIDTH : (unsigned)MIN2(n, (unsigned long)WIDTH_MAX);
}
