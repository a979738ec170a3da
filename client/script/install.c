/* Invariant: at every instant there is a program at the path that cargo runs, which is the script
 * or leads to it. */
#include "config.h"

#include "client/script/install.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/script/launcher.h"
#include "common/fs.h"
#include "common/process/spawn.h"
#include "store/depot.h"

#define LAUNCHER_MAX (8u << 20)

bool
script_is_made_by(const struct rustc_call *call)
{
	return call->kind == CALL_UNIT && call->crate_name &&
	       starts_with(call->crate_name, "build_script_") && call->calls_linker &&
	       streq(call_kind_name(call), "build-script") && !getenv("CARGO_BIN_NAME");
}

/* The launcher for a script of this name: what is installed, and its trailer. */
static int
make_launcher(const char *real_name, struct buf *ret)
{
	_cleanup_(freep) char *launcher = spawn_find_program("dray-script");
	_cleanup_(freep) char *dray = realpath("/proc/self/exe", NULL);
	unsigned char size[4];
	size_t n;
	int r;

	if (!launcher || !dray)
		return -ENOENT;
	n = strlen(dray) + strlen(real_name) + 2;
	if (n > SCRIPT_NAMES_MAX)
		return -ENAMETOOLONG;
	for (unsigned i = 0; i < 4; i++)
		size[i] = (unsigned char)(n >> 8 * i);
	r = fs_read_file(launcher, LAUNCHER_MAX, ret);
	if (r == 0)
		r = buf_add(ret, dray, strlen(dray) + 1);
	if (r == 0)
		r = buf_add(ret, real_name, strlen(real_name) + 1);
	if (r == 0)
		r = buf_add(ret, size, sizeof(size));
	return r < 0 ? r : buf_add(ret, SCRIPT_MAGIC, SCRIPT_MAGIC_SIZE);
}

static int
install(const char *dir, const char *name, struct memo *memo)
{
	_cleanup_(buf_done) struct buf launcher = BUF_INIT;
	_cleanup_(freep) char *path = path_join(dir, name), *real = NULL;
	struct digest d;
	struct stat st;
	bool known;
	int r;

	if (!path || asprintf(&real, "%s/" SCRIPT_PREFIX "%s", dir, name) < 0) {
		real = NULL;
		return -ENOMEM;
	}
	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	r = make_launcher(path_basename(real), &launcher);
	if (r < 0)
		return r;
	/* Asked for before the file gets one name more and one less, which moves its ctime. */
	known = memo && memo_digest_file(memo, path, &d, NULL) == 0;
	unlink(real);
	if (link(path, real) < 0)
		return -errno;
	r = depot_put_text(launcher.p, launcher.n, st.st_mode & 0777, path);
	if (r < 0)
		unlink(real);
	else if (known)
		memo_note_digest(memo, real, &d);
	return r;
}

char *
script_hides(const struct conf *conf, const struct rustc_call *call)
{
	char *name = NULL;

	if (conf->client.scripts != SCRIPTS_ON || conf->client.cache == CACHE_OFF ||
		!conf->client.cache_dir || !*conf->client.cache_dir || !script_is_made_by(call))
		return NULL;
	return asprintf(&name, "%s%s", call->crate_name,
		       call->extra_filename ? call->extra_filename : "") < 0
		       ? NULL
		       : name;
}

void
script_install(const struct conf *conf, const struct rustc_call *call, struct memo *memo)
{
	_cleanup_(freep) char *name = script_hides(conf, call);

	if (name)
		install(call->out_dir, name, memo);
}
