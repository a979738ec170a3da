/* Invariant: notes are about words for the user; whatever they say, nothing else depends on it. */
#include "config.h"

#include "client/wrap/outside.h"

#include <stdio.h>

#include "client/cached/cached.h"
#include "common/digest.h"
#include "common/fs.h"
#include "rustc/option_tables.h"

#define METADATA "-C=metadata="

/* ---- which package */

/* cargo calls the compiler for a member in the workspace, and for any other package in the
 * directory of that, with the whole path of its source. What is in cargo's home, in a vendor
 * directory or in the toolchain is the same wherever the checkout lies, or moves with it. */
static bool
is_outside(const struct rustc_call *call, const char *cwd)
{
	const char *manifest_dir = getenv("CARGO_MANIFEST_DIR");
	_cleanup_(freep) char *home = cached_cargo_home();
	_cleanup_(freep) char *checksum = path_join(cwd, ".cargo-checksum.json");

	return manifest_dir && streq(manifest_dir, cwd) && path_is_normal(cwd) && call->source &&
	       path_is_below(call->source, cwd) && home && !path_is_below(cwd, home) && checksum &&
	       !fs_exists(checksum) && !strstr(cwd, "/lib/rustlib/");
}

/* "outside NAME", of libNAME.rmeta and its like: NAME is a crate with its extra-filename. */
static char *
note_of_file(const char *path)
{
	const char *name = path_basename(path);
	char *note;

	if (starts_with(name, "lib"))
		name += strlen("lib");
	return asprintf(&note, "outside %.*s", (int)strcspn(name, "."), name) < 0 ? NULL : note;
}

static char *
get_note(struct memo *memo, const char *name)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (!name || memo_get_note(memo, name, &b) < 0 || b.n == 0)
		return NULL;
	return strndup((const char *)b.p, b.n);
}

static char *
find_in_externs(const struct outside_in *in)
{
	char *found = NULL;

	for (size_t i = 0; !found && i < in->call->n_options; i++) {
		const struct call_option *o = &in->call->options[i];
		const char *eq = o->row->act == ACT_EXTERN ? strchr(o->value, '=') : NULL;
		_cleanup_(freep) char *name = eq ? note_of_file(eq + 1) : NULL;

		found = get_note(in->memo, name);
	}
	return found;
}

char *
outside_find(const struct outside_in *in)
{
	char *dir = is_outside(in->call, in->cwd) ? strdup(in->cwd) : find_in_externs(in);
	_cleanup_(freep) char *name = NULL;

	if (!dir || !in->call->extra_filename)
		return dir;
	if (asprintf(&name, "outside %s%s", in->call->crate_name, in->call->extra_filename) < 0)
		name = NULL;
	else
		memo_set_note(in->memo, name, dir, strlen(dir));
	return dir;
}

/* ---- where it was */

/* How many bytes of a part of the recipe tell what the unit is, wherever it lies. */
static size_t
part_length(const char *part)
{
	static const char *const none[] = { "cwd=", "source=", "paths=", "-L=", METADATA,
		"-C=extra-filename=", "--remap-path-prefix=" };

	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		if (starts_with(part, none[i]))
			return 0;
	return starts_with(part, "--extern ") ? strcspn(part, "=") : strlen(part);
}

static char *
shape_of(const struct outside_in *in)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	char hex[DIGEST_HEX_SIZE], *name;
	struct digest d;

	if (!h)
		return NULL;
	hasher_field(h, path_basename(in->call->source), strlen(path_basename(in->call->source)));
	for (size_t i = 0; i < in->recipe->n; i++)
		hasher_field(h, in->recipe->v[i], part_length(in->recipe->v[i]));
	hasher_final(h, &d);
	digest_hex(&d, hex);
	return asprintf(&name, "outside shape %s", hex) < 0 ? NULL : name;
}

static const char *
metadata_of(const struct strv *recipe)
{
	for (size_t i = 0; i < recipe->n; i++)
		if (starts_with(recipe->v[i], METADATA))
			return recipe->v[i] + strlen(METADATA);
	return "";
}

/* A note is its hash, a blank, and its directory. */
char *
outside_before(const struct outside_in *in)
{
	_cleanup_(freep) char *name = shape_of(in);
	_cleanup_(freep) char *note = get_note(in->memo, name);
	char *dir = note ? strchr(note, ' ') : NULL;

	if (!dir)
		return NULL;
	*dir++ = '\0';
	return streq(note, metadata_of(in->recipe)) || streq(dir, in->cwd) ? NULL : strdup(dir);
}

void
outside_note(const struct outside_in *in)
{
	_cleanup_(freep) char *name = shape_of(in);
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (name && buf_addf(&b, "%s %s", metadata_of(in->recipe), in->cwd) == 0)
		memo_set_note(in->memo, name, b.p, b.n);
}
