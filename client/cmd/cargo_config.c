/* Which wrapper cargo's configuration files name.
 *
 * They are read line by line, as people write them: `rustc-wrapper = "…"` in a table, or
 * `build.rustc-wrapper = "…"`. It is for a message only: what is written in another way is not
 * seen. */
#include "config.h"

#include "client/cmd/cargo_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fs.h"

#define CONFIG_MAX (1u << 20)
#define KEY "rustc-wrapper"

/* The value of one line, or NULL; the line is cut. */
static char *
value_of(char *line)
{
	char *s = line + strspn(line, " \t"), *end;

	if (starts_with(s, "build."))
		s += strlen("build.");
	if (!starts_with(s, KEY))
		return NULL;
	s += strlen(KEY);
	s += strspn(s, " \t");
	if (*s++ != '=')
		return NULL;
	s += strspn(s, " \t");
	end = *s == '"' || *s == '\'' ? strchr(s + 1, *s) : NULL;
	if (!end)
		return NULL;
	*end = '\0';
	return s + 1;
}

static int
read_file(const char *path, char **ret_wrapper)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *line, *rest, *value;
	int r = fs_read_file(path, CONFIG_MAX, &b);

	if (r == 0)
		r = buf_add(&b, "", 1);
	if (r < 0)
		return r == -ENOMEM ? r : -ENOENT;
	rest = (char *)b.p;
	while ((line = strsep(&rest, "\n"))) {
		value = value_of(line);
		if (!value)
			continue;
		*ret_wrapper = strdup(value);
		return *ret_wrapper ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

/* One directory that cargo looks into: its home, or a project's .cargo. */
static int
read_dir(const char *dir, char **ret_file, char **ret_wrapper)
{
	/* where both are there, cargo takes the one without an ending */
	static const char *const names[] = { "config", "config.toml" };
	int r = -ENOENT;

	for (size_t i = 0; i < ARRAY_LEN(names) && r == -ENOENT; i++) {
		_cleanup_(freep) char *path = path_join(dir, names[i]);

		if (!path)
			return -ENOMEM;
		r = read_file(path, ret_wrapper);
		if (r == 0)
			*ret_file = steal_ptr(path);
	}
	return r;
}

static int
read_home(char **ret_file, char **ret_wrapper)
{
	const char *cargo = getenv("CARGO_HOME"), *home = getenv("HOME");
	_cleanup_(freep) char *dir = NULL;

	if (cargo && *cargo)
		return read_dir(cargo, ret_file, ret_wrapper);
	if (!home || !*home)
		return -ENOENT;
	dir = path_join(home, ".cargo");
	return dir ? read_dir(dir, ret_file, ret_wrapper) : -ENOMEM;
}

int
cargo_config_wrapper(const char *dir, char **ret_file, char **ret_wrapper)
{
	_cleanup_(freep) char *at = strdup(dir);
	int r = -ENOENT;

	while (at && r == -ENOENT) {
		_cleanup_(freep) char *below = path_join(at, ".cargo");
		char *up;

		if (!below)
			return -ENOMEM;
		r = read_dir(below, ret_file, ret_wrapper);
		if (r != -ENOENT || streq(at, "/"))
			break;
		up = path_dirname(at);
		free(at);
		at = up;
	}
	if (!at)
		return -ENOMEM;
	return r == -ENOENT ? read_home(ret_file, ret_wrapper) : r;
}
