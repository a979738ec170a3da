/* Invariant: each text is read once, at the end, and all of them within the bounds below. */
#include "config.h"

#include "trace/texts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fs.h"
#include "trace/program.h"
#include "trace/watch_priv.h"

#define TEXT_MAX (1024u * 1024)
#define BINARY_MAX (32u * 1024 * 1024)
#define TEXTS_MAX (128u * 1024 * 1024) /* in all */
#define HEAD 4096

void
texts_opened(struct watch *w, const char *path)
{
	if (trace_set_get(&w->set, TRACE_TEXTS, path) == TRACE_NONE)
		trace_set_add(&w->set, TRACE_TEXTS, path, TRACE_TEXT);
}

static void
found_name(void *arg, const char *name)
{
	struct watch *w = arg;
	size_t n = strlen(name);

	if (n > 0 && name[n - 1] == '*')
		trace_set_add(&w->set, TRACE_GROUPS, name, TRACE_GROUP);
	else
		trace_set_add(&w->set, TRACE_MACRO_VARS, name, TRACE_ENV_OF_MACRO);
}

static bool
is_binary(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char head[HEAD];
	ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof(head), 0);

	return n < 0 || memchr(head, '\0', (size_t)n);
}

/* How much was read of it. A program, or a compiled module, may hold names without ends; those of
 * the system do not ask for such variables. */
static size_t
read_one(struct watch *w, const char *path, size_t room)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0 ||
		st.st_size > (off_t)MIN2(room, BINARY_MAX) ||
		(watch_is_systems(w, path) && is_binary(path)) ||
		fs_read_file(path, BINARY_MAX, &b) < 0)
		return 0;
	if (memchr(b.p, '\0', MIN2(b.n, (size_t)HEAD)))
		program_names_in_binary(b.p, b.n, found_name, w);
	else if (b.n <= TEXT_MAX)
		program_names((const char *)b.p, b.n, found_name, w);
	return b.n;
}

void
texts_end(struct watch *w)
{
	size_t room = TEXTS_MAX, n = w->set.n;

	for (size_t i = 0; i < n; i++)
		if (w->set.v[i]->kind == TRACE_TEXT)
			room -= read_one(w, w->set.v[i]->name, room);
}
