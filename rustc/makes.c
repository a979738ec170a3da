/* The names of what a call of the compiler makes. Invariant: a name is one only if the call asks
 * for what has it; what a linker makes is none of the compiler's. */
#include "config.h"

#include "rustc/call.h"

#include <errno.h>
#include <stdio.h>

#include "common/fs.h"

static bool
emits(const struct rustc_call *c, const char *kind)
{
	return strv_has(&c->emit, kind);
}

static bool
has_type(const struct rustc_call *c, const char *type)
{
	return !c->test && strv_has(&c->crate_types, type);
}

/* Of name what follows the crate's and its extra-filename; NULL: it does not begin so. */
static const char *
rest_of(const struct rustc_call *c, const char *name)
{
	size_t n = strlen(c->crate_name), k = c->extra_filename ? strlen(c->extra_filename) : 0;

	if (n == 0 || strncmp(name, c->crate_name, n) != 0 ||
		(k && strncmp(name + n, c->extra_filename, k) != 0))
		return NULL;
	return name + n + k;
}

/* ".PART.SUFFIX", or ".SUFFIX": of one codegen unit of several, or of all. */
static bool
is_part(const char *rest, const char *suffix)
{
	return *rest == '.' && ends_with(rest, suffix);
}

/* What has "lib" before the crate's name. */
static bool
is_library(const struct rustc_call *c, const char *rest)
{
	if (streq(rest, ".rmeta"))
		return c->emits_metadata;
	if (streq(rest, ".rlib"))
		return c->emits_link && (has_type(c, "lib") || has_type(c, "rlib"));
	if (streq(rest, ".a"))
		return c->emits_link && has_type(c, "staticlib");
	/* packed debug information of a library that is linked here */
	return streq(rest, ".so.dwp") && c->calls_linker;
}

static bool
is_other(const struct rustc_call *c, const char *rest)
{
	static const struct {
		const char *kind, *suffix;
	} parts[] = { { "obj", ".o" }, { "asm", ".s" }, { "llvm-ir", ".ll" }, { "llvm-bc", ".bc" },
		{ "mir", ".mir" }, { "thin-link-bitcode", ".indexing.o" } };

	if (streq(rest, ".d"))
		return emits(c, "dep-info");
	if (streq(rest, ".dwp"))
		return c->calls_linker;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (is_part(rest, parts[i].suffix) && emits(c, parts[i].kind))
			return true;
	/* unpacked debug information; types that are too long for a message */
	return (is_part(rest, ".dwo") && (c->emits_link || emits(c, "obj"))) ||
	       (starts_with(rest, ".long-type-") && ends_with(rest, ".txt"));
}

bool
call_makes_name(const struct rustc_call *c, const char *name)
{
	const char *rest;

	if (!path_is_name(name) || !call_output_name_ok(c->crate_name, c->extra_filename, name))
		return false;
	rest = rest_of(c, name);
	if (rest && is_other(c, rest))
		return true;
	rest = starts_with(name, "lib") ? rest_of(c, name + 3) : NULL;
	return rest && is_library(c, rest);
}

int
call_find_lacking(const struct rustc_call *c, bool (*has)(const void *arg, const char *name),
	const void *arg, char **ret)
{
	const char *extra = c->extra_filename ? c->extra_filename : "";
	const struct {
		bool wanted;
		const char *before, *after;
	} files[] = {
		{ emits(c, "dep-info"), "", ".d" },
		{ c->emits_metadata, "lib", ".rmeta" },
		{ c->emits_link && !c->calls_linker &&
				(strv_has(&c->crate_types, "lib") ||
					strv_has(&c->crate_types, "rlib")),
			"lib", ".rlib" },
	};

	*ret = NULL;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		_cleanup_(freep) char *name = NULL;

		if (!files[i].wanted)
			continue;
		if (asprintf(&name, "%s%s%s%s", files[i].before, c->crate_name, extra,
			    files[i].after) < 0) {
			name = NULL;
			return -ENOMEM;
		}
		if (!has(arg, name)) {
			*ret = steal_ptr(name);
			return 0;
		}
	}
	return 0;
}
