#include "config.h"

#include "common/process/environ.h"

extern char **environ;

static __thread char *const *mine;

void
environ_use(char *const *envp)
{
	mine = envp;
}

char *const *
environ_all(void)
{
	return mine ? mine : environ;
}

const char *
environ_get(const char *name)
{
	size_t n = strlen(name);

	if (!mine)
		return getenv(name);
	for (char *const *e = mine; *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}
