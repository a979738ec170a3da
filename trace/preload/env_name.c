#include "config.h"

#include "trace/preload/env_name.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define SEEN 1024 /* a power of two */

extern char **environ;

static uint32_t seen[SEEN];

/* Whether it was reported before. FNV-1a; a collision in the table only costs another report. */
static bool
is_seen(const char *name, char class)
{
	uint32_t h = 2166136261u ^ (unsigned char)class;
	uint32_t *slot;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	h |= 1;
	slot = &seen[(h >> 8) & (SEEN - 1)];
	if (__atomic_load_n(slot, __ATOMIC_RELAXED) == h)
		return true;
	__atomic_store_n(slot, h, __ATOMIC_RELAXED);
	return false;
}

bool
env_name_report(const char *name, char class, char path[ENV_NAME_PATH])
{
	size_t at = 0, n = strlen(name);

	if (n == 0 || n > ENV_NAME_MAX || is_seen(name, class))
		return false;
	path[at++] = class;
	path[at++] = '/';
	for (size_t i = 0; i <= n; i++) /* a name is no path */
		path[at++] = name[i] == '/' ? '\\' : name[i];
	return true;
}

char *
env_find(const char *name)
{
	size_t n = strlen(name);

	if (!environ || n == 0)
		return NULL;
	for (char **e = environ; *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}
