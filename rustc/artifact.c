/* Decodes artifact lines. They come from a worker, or from a crate that prints such; only their two
 * strings are taken over. */
#include "config.h"

#include "rustc/artifact.h"

#include <errno.h>
#include <jansson.h>

/* Diagnostics are many and large; only what begins like an artifact line is parsed. */
#define LOOK_BYTES 64

bool
artifact_may_be(const char *line, size_t n, bool whole)
{
	static const char key[] = "\"artifact\"";

	if (n == 0 || line[0] != '{')
		return n == 0 && !whole;
	if (!whole && n < LOOK_BYTES)
		return true;
	return memmem(line, MIN2(n, (size_t)LOOK_BYTES), key, sizeof(key) - 1) != NULL;
}

static int
take(const json_t *j, struct artifact *ret)
{
	struct artifact a = ARTIFACT_INIT;
	const json_t *path = json_object_get(j, "artifact");
	const char *emit = json_string_value(json_object_get(j, "emit"));

	if (!json_is_string(path) || !emit || json_string_length(path) == 0 ||
		strlen(json_string_value(path)) != json_string_length(path))
		return -EBADMSG;
	if (streq(emit, "dep-info"))
		a.emit = EMIT_DEP_INFO;
	else if (streq(emit, "metadata"))
		a.emit = EMIT_METADATA;
	else if (streq(emit, "link"))
		a.emit = EMIT_LINK;
	a.path = strdup(json_string_value(path));
	if (!a.path)
		return -ENOMEM;
	*ret = a;
	return 0;
}

int
artifact_parse(const char *line, size_t n, struct artifact *ret)
{
	json_auto_t *j = NULL;
	const char *type;

	if (!artifact_may_be(line, n, true))
		return -ENOENT;
	if (n > ARTIFACT_LINE_MAX)
		return -EBADMSG;
	j = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(j))
		return -EBADMSG;
	type = json_string_value(json_object_get(j, "$message_type"));
	if (type && !streq(type, "artifact"))
		return -ENOENT;
	return take(j, ret);
}

int
artifact_parse_any(const char *line, size_t n, struct artifact *ret)
{
	json_auto_t *j = NULL;
	const char *type;

	if (n == 0 || line[0] != '{')
		return -ENOENT;
	j = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (!json_is_object(j))
		return -EILSEQ;
	if (!json_object_get(j, "artifact"))
		return -ENOENT;
	type = json_string_value(json_object_get(j, "$message_type"));
	return type && !streq(type, "artifact") ? -EBADMSG : take(j, ret);
}

void
artifact_done(struct artifact *a)
{
	free(a->path);
	a->path = NULL;
}
