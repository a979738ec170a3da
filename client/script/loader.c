/* Invariant: what is not known to be without effect has one. */
#include "config.h"

#include "client/script/loader.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base.h"
#include "common/fs.h"
#include "common/strv.h"
#include "toolchain/elf.h"

/* These need none but each other. */
static bool
is_base(const char *library)
{
	static const char *const names[] = { "libc.so.6", "libdl.so.2", "libgcc_s.so.1",
		"libm.so.6", "libpthread.so.0", "librt.so.1", "libutil.so.1" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(library, names[i]))
			return true;
	return starts_with(library, "ld-linux");
}

static bool
is_there(const char *dir, size_t n, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%.*s/%s", (int)n, dir, name);
	return stat(path, &st) == 0;
}

/* Of the target directory, or the toolchain's, for its own programs or for a target. */
static bool
is_cargos(const char *dir, size_t n, const char *target_dir)
{
	static const char rustlib[] = "/lib/rustlib/";
	size_t k = strlen(target_dir);

	return (n > k && strncmp(dir, target_dir, k) == 0 && dir[k] == '/') ||
	       memmem(dir, n, rustlib, strlen(rustlib)) || is_there(dir, n, "rustlib");
}

/* Whether the directory has one of the libraries, or a variant of itself for this processor. */
static bool
has_any(const char *dir, size_t n, const struct strv *libraries)
{
	if (!is_there(dir, n, "."))
		return false;
	for (size_t i = 0; elf_variants[i]; i++)
		if (is_there(dir, n, elf_variants[i]))
			return true;
	for (size_t i = 0; i < libraries->n; i++)
		if (is_there(dir, n, libraries->v[i]))
			return true;
	return false;
}

bool
loader_takes_nothing(const char *program, const char *dirs, const char *target_dir)
{
	_cleanup_(strv_done) struct strv libraries = STRV_INIT;
	unsigned machine;

	if (elf_needed(program, &machine, &libraries) < 0 || libraries.n == 0 ||
		elf_has_dynamic_part(program, "dlopen") != 0 ||
		elf_has_dynamic_part(program, "dlmopen") != 0 ||
		strv_add(&libraries, "libc.so.6") < 0)
		return false;
	for (size_t i = 0; i < libraries.n; i++)
		if (!is_base(libraries.v[i]))
			return false;
	while (*dirs) {
		size_t n = strcspn(dirs, ":;");

		if (*dirs != '/' || n >= PATH_MAX / 2 || memchr(dirs, '$', n) ||
			!is_cargos(dirs, n, target_dir) || has_any(dirs, n, &libraries))
			return false;
		dirs += n + (dirs[n] != '\0');
	}
	return true;
}
