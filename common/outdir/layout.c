#include "config.h"

#include "common/outdir/layout.h"

#define HASH_DIGITS 16

static bool
is_hash(const char *s, size_t n)
{
	return n == HASH_DIGITS && strspn(s, "0123456789abcdef") >= n;
}

/* "out", as a whole name. */
static bool
is_out(const char *s)
{
	return starts_with(s, "out") && (s[3] == '/' || !s[3]);
}

/* What follows "build/". */
static enum layout_place
below_build(const char *s)
{
	size_t package = strcspn(s, "/"), hash;
	const char *rest;

	if (package == 0)
		return LAYOUT_NONE;
	if (!s[package])
		return package > HASH_DIGITS + 1 && s[package - HASH_DIGITS - 1] == '-' &&
				       is_hash(s + package - HASH_DIGITS, HASH_DIGITS)
			       ? LAYOUT_SCRIPT
			       : LAYOUT_NONE;
	rest = s + package + 1;
	if (is_out(rest))
		return LAYOUT_OUT;
	hash = strcspn(rest, "/");
	if (!is_hash(rest, hash) || !rest[hash] || !is_out(rest + hash + 1))
		return LAYOUT_NONE;
	return rest[hash + 1 + strlen("out")] ? LAYOUT_OUT : LAYOUT_UNIT;
}

enum layout_place
layout_find(const char *dir, size_t *ret_profile)
{
	static const char build[] = "/build/";
	const char *base = strrchr(dir, '/');

	/* the nearest one: a target directory may itself lie below a directory of that name */
	for (const char *at = dir + strlen(dir); at > dir;) {
		enum layout_place place = LAYOUT_NONE;

		at--;
		if (starts_with(at, build))
			place = below_build(at + strlen(build));
		if (place != LAYOUT_NONE) {
			*ret_profile = (size_t)(at - dir);
			return place;
		}
	}
	*ret_profile = 0;
	if (!base || base == dir || (!streq(base, "/deps") && !streq(base, "/examples")))
		return LAYOUT_NONE;
	*ret_profile = (size_t)(base - dir);
	return LAYOUT_UNITS;
}
