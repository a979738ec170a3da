#include "config.h"

#include "trace/drivers.h"

#include <ctype.h>
#include <string.h>

/* Whether the name begins as a target's does: "x86_64-linux-gnu-". */
static bool
has_target(const char *name)
{
	static const char *const archs[] = { "aarch64", "alpha", "arm", "avr", "hppa", "i386",
		"i486", "i586", "i686", "loongarch", "m68k", "mips", "msp430", "powerpc", "ppc",
		"riscv", "s390", "sh4", "sparc", "wasm", "x86_64", "xtensa" };

	for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++)
		if (strncmp(name, archs[i], strlen(archs[i])) == 0)
			return true;
	return false;
}

void
drivers_plain_name(const char *path, char ret[DRIVERS_NAME_MAX])
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t n = strlen(base);
	char *dash;

	if (n >= DRIVERS_NAME_MAX)
		n = DRIVERS_NAME_MAX - 1;
	memcpy(ret, base, n);
	ret[n] = '\0';
	for (;;) {
		n = strlen(ret);
		while (n > 0 && (isdigit((unsigned char)ret[n - 1]) || ret[n - 1] == '.'))
			n--;
		if (n == 0 || ret[n - 1] != '-' || !ret[n])
			break;
		ret[n - 1] = '\0';
	}
	dash = strrchr(ret, '-');
	if (dash && strchr(ret, '-') != dash && has_target(ret))
		memmove(ret, dash + 1, strlen(dash));
}

static bool
has(const char *const *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		size_t k = strlen(v[i]);

		if (v[i][k - 1] == '*' ? strncmp(v[i], name, k - 1) == 0 : strcmp(v[i], name) == 0)
			return true;
	}
	return false;
}

#define HAS(list, name) has(list, sizeof(list) / sizeof((list)[0]), name)

bool
drivers_has(const char *path)
{
	static const char *const names[] = { "ar", "as", "c++", "cc", "cc1", "cc1plus", "clang",
		"clang++", "collect2", "cpp", "g++", "gcc", "gcc-ar", "gcc-nm", "gcc-ranlib", "ld",
		"ld.bfd", "ld.gold", "ld.lld", "ld.mold", "nm", "objcopy", "ranlib", "strip" };
	char name[DRIVERS_NAME_MAX];

	drivers_plain_name(path, name);
	return HAS(names, name);
}

bool
drivers_has_asker(const char *path)
{
	static const char *const names[] = { "bash", "cmake", "dash", "gmake", "make", "perl*",
		"python*", "sh" };
	char name[DRIVERS_NAME_MAX];

	drivers_plain_name(path, name);
	return HAS(names, name);
}

bool
drivers_is_harmless(const char *name)
{
	static const char *const names[] = { "COLLECT_*", "COLORTERM", "COLUMNS", "LINES", "PATH",
		"TEMP", "TERM", "TMP", "TMPDIR" };

	return HAS(names, name);
}
