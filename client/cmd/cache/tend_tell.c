/* What is told of a place (tend.h). */
#include "config.h"

#include "client/cmd/cache/tend.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/log/joblog.h"

void
tend_set(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

void
tend_add(json_t *o, const char *key, uint64_t n)
{
	tend_set(o, key, n + (uint64_t)json_integer_value(json_object_get(o, key)));
}

void
tend_error(json_t *o, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	/* the first one stays */
	if (json_is_string(json_object_get(o, "error")))
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	json_object_set_new(o, "error", joblog_text(text ? text : "no memory", SIZE_MAX));
}

static json_t *
find_maker(json_t *list, const char *namespace, const char *kind, const char *producer)
{
	json_t *m;
	size_t i;

	json_array_foreach(list, i, m)
	{
		if (streq(json_string_value(json_object_get(m, "namespace")), namespace) &&
			streq(json_string_value(json_object_get(m, "kind")), kind) &&
			streq(json_string_value(json_object_get(m, "producer")), producer))
			return m;
	}
	return NULL;
}

static const char *
name_of(const struct trust_keys *names, const char *producer)
{
	const struct trust_key *k = NULL;
	struct digest key;

	if (digest_parse(producer, &key) == 0)
		k = trust_keys_find(names, key.b);
	return k ? k->name : "";
}

void
tend_count_maker(const struct trust_keys *names, json_t *o, const char *namespace, const char *kind,
	const char *producer, enum trust_verdict v)
{
	json_t *list = json_object_get(o, "makers"), *m = NULL;

	if (list)
		m = find_maker(list, namespace, kind, producer);
	else
		json_object_set_new(o, "makers", list = json_array());
	if (!m) {
		/* a namespace is anybody's bytes */
		json_t *shown = joblog_text(namespace, SIZE_MAX);

		m = json_pack("{s:o, s:s, s:s, s:s, s:o, s:o}", "namespace", shown, "kind", kind,
			"producer", producer, "name", name_of(names, producer), "believed",
			v == TRUST_VERDICTS ? json_null() : json_boolean(v == TRUST_OK), "why",
			v == TRUST_VERDICTS || v == TRUST_OK ? json_null()
							     : json_string(trust_verdict_text(v)));
		if (!m)
			return;
		json_array_append_new(list, m);
	}
	tend_add(m, "results", 1);
}
