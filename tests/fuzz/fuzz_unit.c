/* unit_check with a unit made of the input's lines, each "<field letter><text>", over one that is
 * right: raw protobuf would hardly ever get past the first checks. What it accepts must be safe to
 * lay out: no path leads out of the job's tree or to a place of the sandbox's own, and no index out
 * of its array. */
#include "config.h"

#include <errno.h>

#include "common/digest.h"
#include "common/fs.h"
#include "worker/sandbox/unit_check.h"

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

#define FILES_MAX 32

struct made {
	Dray__Unit u;
	Dray__Blob blob[2], *blobs[2];
	Dray__UnitFile file[FILES_MAX], *files[FILES_MAX];
	Dray__EnvVar var, *env[1];
	char *dirs[FILES_MAX];
	uint8_t digest[DIGEST_SIZE];
};

static void
add_file(struct made *m, char *path)
{
	size_t i = m->u.n_files;

	if (i == FILES_MAX || !*path)
		return;
	dray__unit_file__init(&m->file[i]);
	m->file[i].blob = (uint32_t)(*path & 3); /* 2 and 3 are out of range */
	m->file[i].path = path + 1;
	m->files[i] = &m->file[i];
	m->u.n_files++;
}

static void
set_field(struct made *m, char field, char *text)
{
	switch (field) {
	case 's':
		m->u.sysroot = text;
		break;
	case 'o':
		m->u.out_dir = text;
		break;
	case 'c':
		m->u.cwd = text;
		break;
	case 'l':
		m->u.linker = text;
		break;
	case 'r':
		m->u.driver = text;
		break;
	case 'e':
		m->var.name = text;
		break;
	case 't':
		m->u.toolchain.len = strlen(text) == 1 ? 0 : DIGEST_SIZE;
		break;
	case 'd':
		if (m->u.n_dirs < FILES_MAX)
			m->dirs[m->u.n_dirs++] = text;
		break;
	default:
		add_file(m, text);
	}
}

static void
make(struct made *m)
{
	static char sysroot[] = "/opt/rust", out_dir[] = "/w/out", cwd[] = "/w", driver[] = "rustc",
		    name[] = "A";

	dray__unit__init(&m->u);
	for (size_t i = 0; i < 2; i++) {
		dray__blob__init(&m->blob[i]);
		m->blob[i].digest = (ProtobufCBinaryData){ DIGEST_SIZE, m->digest };
		m->blobs[i] = &m->blob[i];
	}
	dray__env_var__init(&m->var);
	m->var.name = name;
	m->env[0] = &m->var;
	m->u.toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, m->digest };
	m->u.sysroot = sysroot;
	m->u.out_dir = out_dir;
	m->u.cwd = cwd;
	m->u.driver = driver;
	m->u.blobs = m->blobs;
	m->u.n_blobs = 2;
	m->u.files = m->files;
	m->u.dirs = m->dirs;
	m->u.env = m->env;
	m->u.n_env = 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct made *m = calloc(1, sizeof(*m));
	char *text = strndup((const char *)p, n), *save = NULL, *error = NULL;
	int r;

	must(m && text);
	make(m);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		set_field(m, line[0], line + 1);
	r = unit_check(&m->u, reserved, 1u << 30, &error);
	if (r == 0)
		check_accepted(&m->u);
	must((r == -EINVAL) == (error != NULL));
	free(error);
	free(text);
	free(m);
	return 0;
}
