/* What the tests of trace/watch.h share: a directory, and questions to a record. */
#ifndef DRAY_TESTS_UNIT_WATCH_FIXTURE_H
#define DRAY_TESTS_UNIT_WATCH_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/process/spawn.h"
#include "trace/filter.h"
#include "trace/paths.h"
#include "trace/watch.h"

struct place {
	char *dir, *out, *record;
};

static inline int
make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-watch-", &p->dir), 0);
	p->out = path_join(p->dir, "out");
	p->record = path_join(p->dir, "record");
	assert_int_equal(mkdir(p->out, 0755), 0);
	*state = p;
	return 0;
}

static inline int
remove_place(void **state)
{
	struct place *p = *state;

	fs_rm_rf(p->dir);
	free(p->dir);
	free(p->out);
	free(p->record);
	free(p);
	return 0;
}

static inline enum watch_by
compiler(void *arg)
{
	return WATCH_BY_COMPILER;
}

static inline enum watch_by
linker(void *arg)
{
	return WATCH_BY_LINKER;
}

static inline enum watch_by
driver(void *arg)
{
	return WATCH_BY_DRIVER;
}

static inline enum watch_by
other(void *arg)
{
	return WATCH_BY_OTHER;
}

static inline enum watch_by
git(void *arg)
{
	return WATCH_BY_GIT;
}

static inline void
call(struct watch *w, enum trace_op op, const char *path, watch_by_fn by)
{
	struct trace_call *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->pid = 77;
	c->op = op;
	c->makes = op == TRACE_CHANGE;
	c->n_paths = 1;
	snprintf(c->path[0], sizeof(c->path[0]), "%s", path);
	watch_call(w, c, by, NULL);
	free(c);
}

/* Whether the record has this item. */
static inline bool
has(const struct buf *b, char kind, const char *name)
{
	for (size_t i = 0; i < b->n; i += strlen((const char *)b->p + i) + 1)
		if (b->p[i] == (uint8_t)kind && streq((const char *)b->p + i + 1, name))
			return true;
	return false;
}

static inline const char *
doubt_of(const struct buf *b)
{
	for (size_t i = 0; i < b->n; i += strlen((const char *)b->p + i) + 1)
		if (b->p[i] == '!')
			return (const char *)b->p + i + 1;
	return "";
}

static inline char *
put(const struct place *p, const char *name, const char *text)
{
	char *path = path_join(p->dir, name);

	assert_non_null(path);
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0644), 0);
	return path;
}

/* A program that is there: a copy of a real one. */
static inline char *
put_program(const struct place *p, const char *name)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *path = path_join(p->dir, name);

	assert_non_null(path);
	assert_int_equal(fs_read_file("/bin/true", 1u << 24, &b), 0);
	assert_int_equal(fs_write_atomic(path, b.p, b.n, 0755), 0);
	return path;
}

static inline bool
has_program(const struct buf *b, const char *class, const char *path)
{
	char item[PATH_MAX + 32];

	snprintf(item, sizeof(item), "%s %s", class, path);
	return has(b, 'x', item);
}

#endif
