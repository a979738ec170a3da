#include "config.h"

#include "client/target_dir.h"

#include "common/fs.h"

#define DEPTH 8

char *
target_dir_of(const char *out_dir)
{
	char *dir = strdup(out_dir);

	for (int i = 0; dir && i < DEPTH && !streq(dir, "/"); i++) {
		_cleanup_(freep) char *tag = path_join(dir, "CACHEDIR.TAG");
		char *up;

		if (tag && fs_exists(tag))
			return dir;
		up = path_dirname(dir);
		free(dir);
		dir = up;
	}
	if (!dir)
		return NULL;
	free(dir);
	return strdup(out_dir);
}
