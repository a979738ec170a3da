/* A table for people: columns as wide as what is in them, and where that is wider than the
 * terminal, those that may be cut are cut. What is put into it is made safe for a terminal
 * (common/text/show.h). */
#ifndef DRAY_DRAYCTL_GRID_H
#define DRAY_DRAYCTL_GRID_H

#include <stdio.h>

#include "common/base.h"

#define GRID_COLUMNS_MAX 12
#define GRID_WIDTH 80 /* of what is no terminal */

struct grid_column {
	const char *head;
	bool right;	/* numbers */
	unsigned least; /* it may be cut to so many characters; 0: it is not cut */
};

struct grid;
/* columns outlive it. NULL: no memory. */
struct grid *grid_new(const struct grid_column *columns, size_t n);
void grid_free(struct grid *g);
void grid_freep(struct grid **g);
/* The next cell, from left to right; behind the last one a new row begins. */
void grid_add(struct grid *g, const char *fmt, ...) _printf_(2, 3);
size_t grid_rows(const struct grid *g);
/* There was no memory for a cell. */
bool grid_is_cut(const struct grid *g);
/* Prints it, with its heads, at most width characters a line as far as columns can be cut. 0 or
 * -ENOMEM, also of an earlier call. */
int grid_print(const struct grid *g, unsigned width, FILE *to);
/* How wide the terminal is that `to` is; GRID_WIDTH where it is none. COLUMNS goes before. */
unsigned grid_width(FILE *to);
/* How many columns of a terminal s takes, as far as each character takes one. */
size_t grid_text_width(const char *s);

#endif
