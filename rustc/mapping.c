/* Invariant: what the compiler says of a mapped unit is, after mapping_turn_back, what it says of
 * the unit without the mapping. A name is turned back only where the compiler says where something
 * is: as the value of file_name; in what it renders, behind an arrow or at the begin of a short
 * line; and in the name of a closure. A text that merely looks like a mapped name stays. */
#include "config.h"

#include "rustc/mapping.h"

#include <errno.h>
#include <string.h>

#include "common/fs.h"
#include "rustc/option_tables.h"

#define BLANKS_OF_MESSAGE 6
#define REMAP "--remap-path-prefix="
#define SOURCES_FROM "/" MAPPING_SOURCES
#define SOURCES_TO "/rustc/"

static const char *const of_home[] = { MAPPING_REGISTRY, MAPPING_CHECKOUTS };

static bool
suits(const struct rustc_call *call, const char *cwd, const char *manifest_dir)
{
	if (call->kind != CALL_UNIT || !call->json || !call->source || !manifest_dir ||
		!path_is_normal(cwd) || !cwd[1])
		return false;
	for (size_t i = 0; i < call->n_options; i++)
		if (starts_with(call->options[i].row->name, "remap-"))
			return false;
	return true;
}

bool
mapping_suits(const struct rustc_call *call, const char *cwd, const char *manifest_dir)
{
	return suits(call, cwd, manifest_dir) && *call->source != '/' &&
	       !starts_with(call->source, "../") && !strstr(call->source, "/../") &&
	       path_is_below(manifest_dir, cwd);
}

bool
mapping_suits_package(const struct rustc_call *call, const char *cwd, const char *manifest_dir)
{
	return suits(call, cwd, manifest_dir) && path_is_below(call->source, cwd) &&
	       streq(manifest_dir, cwd);
}

/* rustc looks for another package's source by reading the mapping backwards, but for what has only
 * dots; and what is vendored is not compiled where the workspace is. So the directory of it that
 * the source lies in is named, too: names of files are the same with it. */
static int
add_vendor(const struct mapping *m, const struct rustc_call *call, struct strv *ret)
{
	const char *below;
	int n;

	if (!m->workspace || !call->source || !path_is_below(call->source, m->workspace))
		return 0;
	below = call->source + strlen(m->workspace) + 1;
	n = (int)strcspn(below, "/");
	return below[n] ? strv_addf(ret, REMAP "%s/%.*s=" MAPPING_WORKSPACE "/%.*s", m->workspace,
				  n, below, n, below)
			: 0;
}

int
mapping_argv(const struct mapping *m, const struct rustc_call *call, struct strv *ret)
{
	char **argv = call->argv;
	int r = strv_add(ret, *argv++);

	/* "clippy-driver rustc ARGS…" */
	if (r == 0 && call->clippy && call->inner_rustc)
		r = strv_add(ret, *argv++);
	/* The last that fits is taken. The target directory lies in the workspace, mostly, and a
	 * workspace that cargo installs from git in its home. */
	for (size_t i = 0; r == 0 && m->cargo_home && i < ARRAY_LEN(of_home); i++)
		r = strv_addf(ret, REMAP "%s%s=" MAPPING_HOME "%s", m->cargo_home, of_home[i],
			of_home[i]);
	if (r == 0 && m->workspace)
		r = strv_addf(ret, REMAP "%s=" MAPPING_WORKSPACE, m->workspace);
	if (r == 0)
		r = add_vendor(m, call, ret);
	if (r == 0 && m->target_dir)
		r = strv_addf(ret, REMAP "%s=" MAPPING_TARGET_DIR, m->target_dir);
	if (r == 0 && m->sources)
		r = strv_addf(ret, REMAP "%s=%s", m->sources, m->sources_name);
	return r < 0 ? r : strv_add_all(ret, argv);
}

char *
mapping_find_home(char *const *argv)
{
	static const char to[] = MAPPING_REGISTRY "=" MAPPING_HOME MAPPING_REGISTRY;

	for (; argv && *argv; argv++)
		if (starts_with(*argv, REMAP) && ends_with(*argv, to))
			return strndup(
				*argv + strlen(REMAP), strlen(*argv) - strlen(REMAP) - strlen(to));
	return NULL;
}

/* The value of an option FROM=TO; *ret_n: the length of FROM. NULL: it is another option. */
static const char *
read_remap(const struct call_option *o, size_t *ret_n)
{
	const char *eq = streq(o->row->name, "remap-path-prefix") ? strrchr(o->value, '=') : NULL;

	*ret_n = eq ? (size_t)(eq - o->value) : 0;
	return eq ? o->value : NULL;
}

bool
mapping_has(const struct rustc_call *call, const char *dir)
{
	for (size_t i = 0; i < call->n_options; i++) {
		size_t n;
		const char *from = read_remap(&call->options[i], &n);

		if (from && strlen(dir) == n && strncmp(from, dir, n) == 0)
			return true;
	}
	return false;
}

size_t
mapping_of_sources(const char *from, size_t n, const char *to)
{
	size_t k = strlen(SOURCES_FROM);

	return starts_with(to, SOURCES_TO) && n > k && strncmp(from + n - k, SOURCES_FROM, k) == 0
		       ? n - k
		       : 0;
}

/* Of one word of the mapping. 0 or -ENOMEM. */
static int
read_word(const char *from, size_t n, struct strv *words, struct mapping *ret)
{
	const char *to = from + n + 1;
	static const char registry[] = MAPPING_REGISTRY;
	bool of_sources = mapping_of_sources(from, n, to) > 0;
	size_t k = strlen(registry);
	const char **place = streq(to, MAPPING_WORKSPACE)    ? &ret->workspace
			     : streq(to, MAPPING_TARGET_DIR) ? &ret->target_dir
			     : of_sources		     ? &ret->sources
							     : NULL;
	int r;

	if (!ret->cargo_home && streq(to, MAPPING_HOME MAPPING_REGISTRY) && n > k &&
		strncmp(from + n - k, registry, k) == 0) {
		r = strv_addn(words, from, n - k);
		ret->cargo_home = r == 0 ? words->v[words->n - 1] : NULL;
		return r;
	}
	if (!place)
		return 0;
	r = strv_addn(words, from, n);
	if (r < 0)
		return r;
	*place = words->v[words->n - 1];
	if (!of_sources)
		return 0;
	r = strv_add(words, to);
	if (r == 0)
		ret->sources_name = words->v[words->n - 1];
	return r;
}

int
mapping_read(const struct rustc_call *call, struct strv *words, struct mapping *ret)
{
	struct mapping m = { .workspace = NULL };
	int r = 0;

	for (size_t i = 0; r == 0 && i < call->n_options; i++) {
		size_t n;
		const char *from = read_remap(&call->options[i], &n);

		if (from)
			r = read_word(from, n, words, &m);
	}
	if (r == 0)
		*ret = m;
	return r;
}

/* ---- what it says */

/* The place that a mapped name begins with: *ret_n bytes stand for it. NULL: it is no such name. */
static const char *
place_of(const struct mapping *m, const char *p, const char *end, size_t *ret_n)
{
	const struct {
		const char *name, *dir;
		size_t n; /* bytes of the name that stand for the directory */
	} places[] = { { MAPPING_WORKSPACE "/", m->workspace, strlen(MAPPING_WORKSPACE) },
		{ MAPPING_TARGET_DIR "/", m->target_dir, strlen(MAPPING_TARGET_DIR) },
		{ MAPPING_HOME MAPPING_REGISTRY "/", m->cargo_home, strlen(MAPPING_HOME) },
		{ MAPPING_HOME MAPPING_CHECKOUTS "/", m->cargo_home, strlen(MAPPING_HOME) } };
	size_t n = (size_t)(end - p), all = m->sources ? strlen(m->sources_name) : 0;

	if (m->sources && n > all && p[all] == '/' && memcmp(p, m->sources_name, all) == 0) {
		*ret_n = all;
		return m->sources;
	}
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		size_t k = strlen(places[i].name);

		if (!places[i].dir || n <= k || memcmp(p, places[i].name, k) != 0)
			continue;
		*ret_n = places[i].n;
		return places[i].dir;
	}
	return NULL;
}

/* Colours in JSON: numbers between the escape and an m. */
static const char *
skip_colours(const char *p, const char *end)
{
	static const char begin[] = "\\u001b[";
	size_t k = strlen(begin);

	while ((size_t)(end - p) > k && memcmp(p, begin, k) == 0) {
		const char *m = p + k;

		while (m < end && ((*m >= '0' && *m <= '9') || *m == ';'))
			m++;
		if (m == end || *m != 'm')
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

/* Where a name may stand in a line of what is rendered: "  --> NAME:1:2", "  ::: NAME:1:2", or, of
 * a short one, "NAME:1:2: ". NULL: there is none. A message of several lines may look alike, but
 * its lines begin below its own first word: behind the width of "note: " at least. The blanks
 * before an arrow are as many as the number of a source line has digits. */
static const char *
name_in_line(const char *p, const char *end)
{
	const char *line = skip_colours(p, end), *arrow = skip_blanks(p, end);
	size_t blanks = 0;

	for (; p < arrow; p++)
		blanks += *p == ' ';
	if (end - arrow > 4 && (memcmp(arrow, "--> ", 4) == 0 || memcmp(arrow, "::: ", 4) == 0))
		return blanks < BLANKS_OF_MESSAGE ? skip_blanks(arrow + 4, end) : NULL;
	return blanks == 0 ? line : NULL;
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

static bool
skip_number(const char **p, const char *end, char before)
{
	const char *digit = *p + 1;

	if (*p >= end || **p != before)
		return false;
	for (*p = digit; *p < end && **p >= '0' && **p <= '9';)
		(*p)++;
	return *p > digit;
}

/* Whether a text ends as the place of a closure does, ":1:2: 3:4". */
static bool
ends_place(const char *p, const char *end)
{
	for (; p < end; p++) {
		const char *at = p;

		if (skip_number(&at, end, ':') && skip_number(&at, end, ':') && at < end &&
			*at++ == ':' && skip_number(&at, end, ' ') && skip_number(&at, end, ':') &&
			at == end)
			return true;
	}
	return false;
}

/* What has no name is called by its place, "{closure@NAME:1:2: 3:4}", also of an async block and
 * the like. The place that the sign at p begins; NULL: it is none. */
static const char *
place_end(const char *begin, const char *p, const char *end)
{
	const char *word = p, *close = memchr(p, '}', (size_t)(end - p));

	while (word > begin && ((word[-1] >= 'a' && word[-1] <= 'z') || word[-1] == ' '))
		word--;
	return close && word < p && word > begin && word[-1] == '{' && ends_place(p, close) ? close
											    : NULL;
}

/* Of what may be in the middle of a text. */
static int
turn_places(
	const struct mapping *m, const char **done, const char *p, const char *end, struct buf *ret)
{
	const char *at = p;
	int r = 0;

	while (r == 0 && (at = memchr(at, '@', (size_t)(end - at)))) {
		if (place_end(p, at, end))
			r = turn_name(m, done, at + 1, end, ret);
		at++;
	}
	return r;
}

/* Of a string: each line of it. */
static int
turn_rendered(
	const struct mapping *m, const char **done, const char *p, const char *end, struct buf *ret)
{
	int r = 0;

	while (r == 0 && p < end) {
		const char *nl = line_end(p, end);

		const char *name = name_in_line(p, nl);

		if (name)
			r = turn_name(m, done, name, nl, ret);
		if (r == 0)
			r = turn_places(m, done, p, nl, ret);
		p = MIN2(nl + 2, end);
	}
	return r;
}

/* By which way names stand in a string, after its key. */
typedef int (*turn_fn)(const struct mapping *m, const char **done, const char *p, const char *end,
	struct buf *ret);

static turn_fn
find_key(const char **p, const char *end)
{
	static const struct {
		const char *key;
		turn_fn turn;
	} keys[] = { { "\"file_name\":\"", turn_name }, { "\"rendered\":\"", turn_rendered },
		{ "\"message\":\"", turn_places }, { "\"label\":\"", turn_places } };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		size_t n = strlen(keys[i].key);

		if ((size_t)(end - *p) <= n || memcmp(*p, keys[i].key, n) != 0)
			continue;
		*p += n;
		return keys[i].turn;
	}
	(*p)++;
	return NULL;
}

int
mapping_turn_back(const struct mapping *m, const char *line, size_t n, struct buf *ret)
{
	const char *end = line + n, *done = line, *p = line;
	int r = 0;

	while (r == 0 && n > 0 && *line == '{' && (p = memchr(p, '"', (size_t)(end - p)))) {
		turn_fn turn = find_key(&p, end);
		/* a name's quotes end it at once; a value's text is passed over */
		const char *close = string_end(p, end);

		if (turn)
			r = turn(m, &done, p, close, ret);
		p = MIN2(close + 1, end);
	}
	return r < 0 ? r : buf_add(ret, done, (size_t)(end - done));
}
