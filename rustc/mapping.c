/* Invariant: what the compiler says of a mapped unit is, after mapping_turn_back, what it says of
 * the unit without the mapping. A name is turned back only where the compiler says where something
 * is: as the value of file_name, and in what it renders, behind an arrow or at the begin of a short
 * line. A text that merely looks like a mapped name stays. */
#include "config.h"

#include "rustc/mapping.h"

#include <errno.h>
#include <string.h>

#include "common/fs.h"
#include "rustc/option_tables.h"

bool
mapping_suits(const struct rustc_call *call, const char *cwd, const char *manifest_dir)
{
	if (call->kind != CALL_UNIT || !call->json || !call->source || !manifest_dir ||
		*call->source == '/' || starts_with(call->source, "../") ||
		strstr(call->source, "/../") || !path_is_normal(cwd) || !cwd[1] ||
		!path_is_below(manifest_dir, cwd))
		return false;
	for (size_t i = 0; i < call->n_options; i++)
		if (starts_with(call->options[i].row->name, "remap-"))
			return false;
	return true;
}

int
mapping_argv(const struct mapping *m, const struct rustc_call *call, struct strv *ret)
{
	char **argv = call->argv;
	int r = strv_add(ret, *argv++);

	/* "clippy-driver rustc ARGS…" */
	if (r == 0 && call->clippy && call->inner_rustc)
		r = strv_add(ret, *argv++);
	/* the last that fits is taken, and the target directory lies in the workspace, mostly */
	if (r == 0)
		r = strv_addf(ret, "--remap-path-prefix=%s=" MAPPING_WORKSPACE, m->workspace);
	if (r == 0 && m->target_dir)
		r = strv_addf(ret, "--remap-path-prefix=%s=" MAPPING_TARGET_DIR, m->target_dir);
	return r < 0 ? r : strv_add_all(ret, argv);
}

/* ---- what it says */

/* The place that a mapped name begins with: *ret_n bytes stand for it. NULL: it is no such name. */
static const char *
place_of(const struct mapping *m, const char *p, const char *end, size_t *ret_n)
{
	static const char workspace[] = MAPPING_WORKSPACE "/",
			  target_dir[] = MAPPING_TARGET_DIR "/";
	size_t n = (size_t)(end - p);

	if (n > strlen(workspace) && memcmp(p, workspace, strlen(workspace)) == 0) {
		*ret_n = strlen(MAPPING_WORKSPACE);
		return m->workspace;
	}
	if (m->target_dir && n > strlen(target_dir) &&
		memcmp(p, target_dir, strlen(target_dir)) == 0) {
		*ret_n = strlen(MAPPING_TARGET_DIR);
		return m->target_dir;
	}
	return NULL;
}

/* Colours in JSON. */
static const char *
skip_colours(const char *p, const char *end)
{
	static const char begin[] = "\\u001b[";
	size_t k = strlen(begin);

	while ((size_t)(end - p) > k && memcmp(p, begin, k) == 0) {
		const char *m = memchr(p + k, 'm', (size_t)(end - p) - k);

		if (!m)
			break;
		p = m + 1;
	}
	return p;
}

static const char *
skip_blanks(const char *p, const char *end)
{
	const char *was;

	do {
		was = p;
		while (p < end && *p == ' ')
			p++;
		p = skip_colours(p, end);
	} while (p != was);
	return p;
}

/* Where the name may stand in a line of what is rendered: "  --> NAME:1:2", " ::: NAME:1:2", or, of
 * a short one, "NAME:1:2: ". */
static const char *
name_in_line(const char *p, const char *end)
{
	p = skip_blanks(p, end);
	if (end - p > 4 && (memcmp(p, "--> ", 4) == 0 || memcmp(p, "::: ", 4) == 0))
		return skip_blanks(p + 4, end);
	return p;
}

/* The end of a JSON string that began before p. */
static const char *
string_end(const char *p, const char *end)
{
	while (p < end && *p != '"')
		p += *p == '\\' && p + 1 < end ? 2 : 1;
	return MIN2(p, end);
}

/* Where a line of a JSON string ends: a backslash of the text stands twice. */
static const char *
line_end(const char *p, const char *end)
{
	while (p < end && !(*p == '\\' && p + 1 < end && p[1] == 'n'))
		p += *p == '\\' && p + 1 < end ? 2 : 1;
	return MIN2(p, end);
}

/* Adds what lies before p, and turns the name at p back, if it is one. */
static int
turn_name(
	const struct mapping *m, const char **done, const char *p, const char *end, struct buf *ret)
{
	size_t n = 0;
	const char *place = place_of(m, p, end, &n);
	int r;

	if (!place)
		return 0;
	r = buf_add(ret, *done, (size_t)(p - *done));
	*done = p + n;
	return r < 0 ? r : buf_adds(ret, place);
}

/* Of a string: each line of it. */
static int
turn_rendered(
	const struct mapping *m, const char **done, const char *p, const char *end, struct buf *ret)
{
	int r = 0;

	while (r == 0 && p < end) {
		const char *nl = line_end(p, end);

		r = turn_name(m, done, name_in_line(p, nl), nl, ret);
		p = MIN2(nl + 2, end);
	}
	return r;
}

int
mapping_turn_back(const struct mapping *m, const char *line, size_t n, struct buf *ret)
{
	static const char file_name[] = "\"file_name\":\"", rendered[] = "\"rendered\":\"";
	const char *end = line + n, *done = line, *p = line;
	int r = 0;

	while (r == 0 && *line == '{' && p < end) {
		const char *quote = memchr(p, '"', (size_t)(end - p));
		size_t left = quote ? (size_t)(end - quote) : 0;

		if (!quote)
			break;
		if (left > strlen(file_name) && memcmp(quote, file_name, strlen(file_name)) == 0) {
			p = quote + strlen(file_name);
			r = turn_name(m, &done, p, string_end(p, end), ret);
		} else if (left > strlen(rendered) &&
			   memcmp(quote, rendered, strlen(rendered)) == 0) {
			p = quote + strlen(rendered);
			r = turn_rendered(m, &done, p, string_end(p, end), ret);
		} else {
			p = quote + 1;
		}
		/* a name's quotes end it at once; a value's text is passed over */
		p = MIN2(string_end(p, end) + 1, end);
	}
	return r < 0 ? r : buf_add(ret, done, (size_t)(end - done));
}
