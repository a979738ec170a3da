/* The file of what admins did. Invariant: a line is added with one write, and nothing that is in a
 * file is changed; only whole files go, the oldest first. */
#include "config.h"

#include "coordinator/admin/audit.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "common/fs.h"
#include "common/log/joblog.h"
#include "common/lines.h"
#include "common/text/when.h"

#define WORD_MAX 512

const char *
audit_result_name(enum audit_result r)
{
	return r == AUDIT_DONE ? "done" : r == AUDIT_REFUSED ? "refused" : "failed";
}

/* JSON_ENSURE_ASCII: control characters of every kind leave as escapes. */
static char *
format(const struct audit_line *l)
{
	char at[WHEN_SIZE];
	json_t *o;
	char *text;

	when_format(l->at_ms, at);
	o = json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:o}", "at", at, "who",
		joblog_text(l->who, WORD_MAX), "from", joblog_text(l->from, WORD_MAX), "act",
		joblog_text(l->act, WORD_MAX), "what", joblog_text(l->what, WORD_MAX), "result",
		audit_result_name(l->result), "why", joblog_text(l->why, WORD_MAX));
	text = o ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	json_decref(o);
	return text;
}

static int
numbered(const char *path, unsigned n, char **ret)
{
	return (n ? asprintf(ret, "%s.%u", path, n) : asprintf(ret, "%s", path)) < 0 ? -ENOMEM : 0;
}

static void
rotate(const char *path)
{
	for (unsigned n = AUDIT_FILES - 1; n > 0; n--) {
		_cleanup_(freep) char *from = NULL, *to = NULL;

		if (numbered(path, n - 1, &from) == 0 && numbered(path, n, &to) == 0)
			(void)rename(from, to); /* one that is not there yet */
	}
}

int
audit_append(const char *dir, const struct audit_line *l)
{
	const char *name = l->result == AUDIT_REFUSED ? AUDIT_REFUSED_FILE : AUDIT_FILE;
	_cleanup_(freep) char *path = path_join(dir, name), *text = format(l), *line = NULL;
	off_t size;

	if (!path || !text || asprintf(&line, "%s\n", text) < 0)
		return -ENOMEM;
	size = lines_append(path, line, strlen(line));
	if (size > AUDIT_FILE_MAX)
		rotate(path);
	return size < 0 ? (int)size : 0;
}
