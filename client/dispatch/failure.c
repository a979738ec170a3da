/* Judges rustc's JSON (doc.rust-lang.org/rustc/json.html). Invariant: what is not understood is not
 * final.
 */
#include "config.h"

#include "client/dispatch/failure.h"

#include <jansson.h>

enum line { LINE_BAD, LINE_FINE, LINE_ERROR };

/* Errors of crate loading (compiler/rustc_metadata): a file of the closure may be missing, or
 * another. */
static bool
is_about_loading(const char *code)
{
	static const char *const codes[] = { "E0454", "E0455", "E0457", "E0458", "E0459", "E0460",
		"E0461", "E0462", "E0463", "E0464", "E0514", "E0519", "E0523", "E0786" };

	for (size_t i = 0; code && i < ARRAY_LEN(codes); i++)
		if (streq(code, codes[i]))
			return true;
	return false;
}

static enum line
judge_error(const json_t *root)
{
	const char *text = json_string_value(json_object_get(root, "message"));
	const json_t *code = json_object_get(json_object_get(root, "code"), "code");

	if (!text)
		return LINE_BAD;
	/* The closing messages, which name no place. */
	if (starts_with(text, "aborting due to ") || starts_with(text, "could not compile "))
		return LINE_FINE;
	if (json_array_size(json_object_get(root, "spans")) == 0 ||
		is_about_loading(json_string_value(code)))
		return LINE_BAD;
	return LINE_ERROR;
}

/* Compilers before 1.72 do not give the type of a line. */
static const char *
type_by_content(const json_t *root)
{
	static const char *const types[][2] = { { "level", "diagnostic" },
		{ "artifact", "artifact" }, { "future_incompat_report", "future_incompat" } };

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (json_object_get(root, types[i][0]))
			return types[i][1];
	return NULL;
}

static enum line
judge_object(const json_t *root)
{
	const char *type = json_string_value(json_object_get(root, "$message_type"));
	const char *level = json_string_value(json_object_get(root, "level"));

	if (!type)
		type = type_by_content(root);
	if (!type)
		return LINE_BAD;
	if (!streq(type, "diagnostic"))
		return LINE_FINE;
	if (!level)
		return LINE_BAD;
	if (streq(level, "error"))
		return judge_error(root);
	/* "error: internal compiler error" */
	return starts_with(level, "error") ? LINE_BAD : LINE_FINE;
}

static enum line
judge_line(const char *p, size_t n)
{
	json_t *root = json_loadb(p, n, 0, NULL);
	enum line line = judge_object(root);

	json_decref(root);
	return line;
}

bool
failure_is_final(const char *text, size_t n)
{
	bool found = false;

	while (n > 0) {
		const char *nl = memchr(text, '\n', n);
		size_t len = nl ? (size_t)(nl - text) : n;

		switch (judge_line(text, len)) {
		case LINE_BAD:
			return false;
		case LINE_ERROR:
			found = true;
			break;
		case LINE_FINE:
			break;
		}
		text += len + (nl != NULL);
		n -= len + (nl != NULL);
	}
	return found;
}
