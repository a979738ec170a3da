/* Invariant: all that is printed of the network's words has passed found.h: plain ASCII. */
#include "config.h"

#include "discovery/list.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "common/conf/coordinators.h"
#include "discovery/find.h"

enum { COLUMNS = 6 };

char *
list_key(const char *keys, const char *dir, const char *fingerprint)
{
	_cleanup_(strv_done) struct strv files = STRV_INIT;

	if (coordinators_split(keys, true, &files) < 0)
		return NULL;
	for (size_t i = 0; i < files.n; i++) {
		char finger[KEYS_FINGERPRINT_SIZE];

		if (find_fingerprint(files.v[i], dir, finger) == 0 && streq(finger, fingerprint))
			return strdup(files.v[i]);
	}
	return NULL;
}

static int
print_json(const struct found *f, const char *keys, const char *dir)
{
	json_t *all = json_object(), *list = json_array();
	int r = json_object_set_new(all, "found", list);

	for (size_t i = 0; r == 0 && i < f->n; i++) {
		const struct found_one *o = &f->v[i];
		_cleanup_(freep) char *key = list_key(keys, dir, o->fingerprint);

		r = json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?}", "endpoint", o->endpoint,
				      "fingerprint", o->fingerprint, "name", o->name, "namespace",
				      o->namespace, "version", o->version, "key", key));
	}
	if (r == 0)
		r = json_object_set_new(all, "error", *f->why ? json_string(f->why) : json_null());
	if (r == 0)
		r = json_dumpf(all, stdout, JSON_INDENT(2)) == 0 && puts("") >= 0 ? 0 : -EIO;
	else
		r = -ENOMEM;
	json_decref(all);
	return r;
}

static void
print_rows(const char *rows[][COLUMNS], size_t n)
{
	int width[COLUMNS] = { 0 };

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < COLUMNS; k++)
			width[k] = MAX2(width[k], (int)strlen(rows[i][k]));
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < COLUMNS; k++)
			printf("%-*s%s", k + 1 < COLUMNS ? width[k] : 0, rows[i][k],
				k + 1 < COLUMNS ? "  " : "\n");
}

static int
print_table(const struct found *f, const char *keys, const char *dir)
{
	const char *rows[FOUND_MAX + 1][COLUMNS] = { { "NAME", "ENDPOINT", "NAMESPACE", "VERSION",
		"FINGERPRINT", "KEY" } };
	char *files[FOUND_MAX] = { NULL };

	for (size_t i = 0; i < f->n; i++) {
		const struct found_one *o = &f->v[i];
		const char *const row[COLUMNS] = { *o->name ? o->name : "-", o->endpoint,
			*o->namespace ? o->namespace : "-", *o->version ? o->version : "-",
			o->fingerprint, "-" };

		files[i] = list_key(keys, dir, o->fingerprint);
		memcpy(rows[i + 1], row, sizeof(row));
		if (files[i])
			rows[i + 1][COLUMNS - 1] = files[i];
	}
	if (f->n)
		print_rows(rows, f->n + 1);
	for (size_t i = 0; i < f->n; i++)
		free(files[i]);
	return 0;
}

int
list_print(const struct found *f, const char *keys, const char *dir, bool json)
{
	int r = json ? print_json(f, keys, dir) : print_table(f, keys, dir);

	return r == 0 && fflush(stdout) != 0 ? -errno : r;
}

int
list_look(const char *program, unsigned wait_ms, const char *keys, const char *dir, bool json)
{
	_cleanup_(freep) struct found *f = calloc(1, sizeof(*f));
	int r = f ? find_look(wait_ms, f) : -ENOMEM;

	if (f && r == -ENOENT)
		snprintf(f->why, sizeof(f->why),
			"dray-avahi is not installed: this dray was built without Avahi, or that "
			"package is missing");
	else if (f && r < 0)
		snprintf(f->why, sizeof(f->why), "dray-avahi: %s", strerror(-r));
	if (f && (json || f->n) && list_print(f, keys, dir, json) < 0)
		return EXIT_FAILURE;
	if (f && f->n)
		return EXIT_SUCCESS;
	fprintf(stderr, "%s: no coordinator is found on this network%s%s\n", program,
		f && *f->why ? ": " : "", f ? f->why : "");
	return EXIT_FAILURE;
}
