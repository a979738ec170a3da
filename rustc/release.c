#include "config.h"

#include "rustc/release.h"

#include <stdio.h>

bool
release_is_since(const char *release, unsigned minor, bool unknown)
{
	unsigned major, found;

	if (!release || sscanf(release, "%u.%u", &major, &found) != 2)
		return unknown;
	return major > 1 || (major == 1 && found >= minor);
}
