/* depinfo_parse over arbitrary bytes: bounded, and what it gives can be compared. */
#include "config.h"

#include <stdint.h>

#include "rustc/depinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[] = "A=1", other[] = "CARGO_PKG_NAME=x";
	char *envp[] = { name, other, NULL };
	struct depinfo d = DEPINFO_INIT;

	if (depinfo_parse(data, size, &d) < 0) {
		/* nothing is left behind by a failure */
		if (d.env || d.n_env || d.files.n)
			abort();
		return 0;
	}
	for (size_t i = 0; i < d.n_env; i++)
		if (!*d.env[i].name)
			abort();
	for (size_t i = 0; i < d.files.n; i++)
		if (strlen(d.files.v[i]) >= size)
			abort();
	depinfo_env_differs(&d, envp);
	depinfo_done(&d);
	return 0;
}
