/* unit_check with any unit that protobuf can decode. What it accepts must be safe to lay out: no path
 * leads out of the job's tree or to a place of the sandbox's own, and no index out of its array. */
#include "config.h"

#include <errno.h>

#include "common/digest.h"
#include "common/fs.h"
#include "worker/unit_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static char lib64[] = "/lib64", multiarch[] = "/lib/x86_64-linux-gnu";
static char *reserved[] = { lib64, multiarch, NULL };

static void
must(bool what)
{
	if (!what)
		abort();
}

static void
check_accepted(const Dray__Unit *u)
{
	must(path_is_normal(u->out_dir) && !streq(u->out_dir, "/"));
	must(path_is_normal(u->sysroot) && path_is_normal(u->cwd));
	must(u->toolchain.len == DIGEST_SIZE);
	must(!strchr(u->linker, '/') || path_is_normal(u->linker));
	for (size_t i = 0; i < u->n_files; i++) {
		const char *path = u->files[i]->path;

		must(u->files[i]->blob < u->n_blobs);
		must(path_is_normal(path));
		must(!path_is_below(path, "/proc") && !path_is_below(path, "/.dray"));
		must(!path_is_below(path, u->out_dir) && !path_is_below(path, u->sysroot));
		must(!path_is_below(path, reserved[0]) && !path_is_below(path, reserved[1]));
		for (size_t k = 0; k < u->n_files && u->n_files < 64; k++)
			must(k == i || !path_is_below(u->files[k]->path, path));
	}
	for (size_t i = 0; i < u->n_dirs; i++)
		must(path_is_normal(u->dirs[i]));
	for (size_t i = 0; i < u->n_blobs; i++)
		must(u->blobs[i]->digest.len == DIGEST_SIZE);
	for (size_t i = 0; i < u->n_env; i++)
		must(*u->env[i]->name && !strchr(u->env[i]->name, '='));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	Dray__Unit *u = dray__unit__unpack(NULL, n, p);
	char *error = NULL;
	int r;

	if (!u)
		return 0;
	r = unit_check(u, reserved, 1u << 30, &error);
	if (r == 0)
		check_accepted(u);
	must((r == -EINVAL) == (error != NULL));
	free(error);
	dray__unit__free_unpacked(u, NULL);
	return 0;
}
