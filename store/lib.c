#include "config.h"

#include "store/lib.h"

#include <dlfcn.h>
#include <errno.h>

#include "common/text/why.h"

int
lib_load(const char *const *files, const struct lib_function *functions, size_t n, char **ret_why)
{
	void *lib = NULL;

	for (size_t i = 0; lib == NULL && files[i] != NULL; i++)
		lib = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL)
		return why_set(ret_why, -ENOPKG, "%s is not installed", files[0]);
	for (size_t i = 0; i < n; i++) {
		void *f = dlsym(lib, functions[i].name);

		if (f == NULL) {
			dlclose(lib);
			return why_set(ret_why, -ENOPKG, "%s has no %s: it is another version",
				files[0], functions[i].name);
		}
		memcpy(functions[i].pointer, &f, sizeof(f));
	}
	return 0;
}
