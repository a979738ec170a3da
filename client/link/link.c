/* Makes a captured link.
 *
 * Invariants: a linker runs only under a local slot; one that fails leaves no output of its own, so
 * that the real rustc, which runs next and says what there is to say, starts from what was there
 * before; only files below the unit's out-dir are ever removed. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/wrap/identify.h"
#include "client/link/link.h"
#include "client/link/link_check.h"
#include "client/link/linker.h"
#include "client/wrap/local.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/fs.h"
#include "rustc/linker_lint.h"
#include "trace/tracer.h"

#define TAIL_MAX_BYTES (64u << 20)
#define ARGC_MAX 1000000u

void
link_call_done(struct link_call *l)
{
	free(l->path_prefix);
	strv_done(&l->argv);
	strv_done(&l->temporaries);
	memset(l, 0, sizeof(*l));
}

/* The next NUL-terminated string, or NULL at the end. */
static const char *
next_string(const char **at, const char *end)
{
	const char *s = *at, *nul;

	if (s == end)
		return NULL;
	nul = memchr(s, '\0', (size_t)(end - s));
	*at = nul + 1;
	return s;
}

static int
parse_count(const char *s, unsigned *ret)
{
	char *end;
	unsigned long n;

	if (!s || *s < '0' || *s > '9')
		return -EBADMSG;
	errno = 0;
	n = strtoul(s, &end, 10);
	if (errno || *end || n == 0 || n > ARGC_MAX)
		return -EBADMSG;
	*ret = (unsigned)n;
	return 0;
}

/* Whether a link may leave it below the out-dir, to be removed: by its name there. */
static bool
is_temporary_name(const struct rustc_call *call, const char *rel)
{
	return link_check_is_temp_dir(rel, strlen(rel)) ||
	       link_check_input_name(call->crate_name, call->extra_filename, rel);
}

static int
parse_into(const char *at, const char *end, const char *out_dir, const struct rustc_call *call,
	struct link_call *l)
{
	const char *s = next_string(&at, end);
	unsigned argc = 0;
	int r;

	if (!s)
		return -EBADMSG;
	l->path_prefix = strdup(s);
	if (!l->path_prefix)
		return -ENOMEM;
	r = parse_count(next_string(&at, end), &argc);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < argc; i++) {
		s = next_string(&at, end);
		if (!s || (i == 0 && !*s))
			return -EBADMSG;
		r = strv_add(&l->argv, s);
		if (r < 0)
			return r;
	}
	while ((s = next_string(&at, end))) {
		if (!path_is_normal(s) || !path_is_below(s, out_dir) || streq(s, out_dir) ||
			!is_temporary_name(call, s + strlen(out_dir) + 1))
			return -EBADMSG;
		r = strv_add(&l->temporaries, s);
		if (r < 0)
			return r;
	}
	return 0;
}

int
link_call_parse(const void *p, size_t n, const char *out_dir, const struct rustc_call *call,
	struct link_call *ret)
{
	struct link_call l;
	const char *text = p;
	int r;

	memset(&l, 0, sizeof(l));
	if (n == 0 || text[n - 1] != '\0')
		return -EBADMSG;
	r = parse_into(text, text + n, out_dir, call, &l);
	if (r < 0) {
		link_call_done(&l);
		return r;
	}
	*ret = l;
	return 0;
}

static char *
absolute_out_dir(const struct rustc_call *call)
{
	char cwd[PATH_MAX];

	if (!call->out_dir || !getcwd(cwd, sizeof(cwd)))
		return NULL;
	return path_normalize(cwd, call->out_dir);
}

static int
read_link(
	const struct rustc_call *call, const struct ledger *said, unsigned i, struct link_call *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *out_dir = absolute_out_dir(call);
	_cleanup_(freep) char *path = NULL;
	int r;

	if (!out_dir || asprintf(&path, "%s/link-%u", said->staging, i) < 0)
		return -ENOMEM;
	r = fs_read_file(path, LINK_MAX_BYTES, &b);
	return r < 0 ? r : link_call_parse(b.p, b.n, out_dir, call, ret);
}

char *
link_set_aside(const struct ledger *said, unsigned i, size_t k)
{
	char *path;

	return asprintf(&path, "%s/read-%u-%zu", said->staging, i, k) < 0 ? NULL : path;
}

static bool
set_aside(const struct ledger *said, unsigned i, size_t k, const char *path)
{
	_cleanup_(freep) char *to = link_set_aside(said, i, k);

	return to && rename(path, to) == 0;
}

static void
remove_temporaries(const struct rustc_call *call, const struct ledger *said, bool keep)
{
	if (!*said->staging)
		return;
	for (unsigned i = 0; i < MIN2(said->n_links, 16u); i++) {
		_cleanup_(link_call_done) struct link_call l = { 0 };

		if (read_link(call, said, i, &l) < 0)
			continue;
		for (size_t k = 0; k < l.temporaries.n; k++) {
			const char *path = l.temporaries.v[k];

			if (keep && set_aside(said, i, k, path))
				continue;
			if (unlink(path) < 0 && (errno == EISDIR || errno == EPERM))
				rmdir(path);
		}
	}
}

void
link_clean(const struct rustc_call *call, const struct ledger *said)
{
	_cleanup_(freep) char *out_dir = absolute_out_dir(call);

	remove_temporaries(call, said, false);
	if (out_dir && *said->staging && path_is_below(said->staging, out_dir) &&
		!streq(said->staging, out_dir))
		fs_rm_rf(said->staging);
}

static const char *
output_of(const struct link_call *l)
{
	for (size_t i = 1; i + 1 < l->argv.n; i++)
		if (streq(l->argv.v[i], "-o"))
			return l->argv.v[i + 1];
	return NULL;
}

/* What was there before the linker ran, and is as it was, stays: an earlier link made it. */
static void
remove_output(const char *path, const struct stat *before)
{
	struct stat st;

	if (path && lstat(path, &st) == 0 &&
		(st.st_ino != before->st_ino || st.st_dev != before->st_dev ||
			st.st_size != before->st_size ||
			memcmp(&st.st_ctim, &before->st_ctim, sizeof(st.st_ctim)) != 0))
		unlink(path);
}

static int
place_late(const struct link_run *l, const char *dir, const char *out_dir, const char *name)
{
	_cleanup_(freep) char *from = path_join(dir, name), *to = path_join(out_dir, name);
	struct digest d;
	bool known;

	if (!from || !to)
		return -ENOMEM;
	/* before the rename, which moves its ctime */
	known = l->memo && memo_digest_file(l->memo, from, &d, NULL) == 0;
	if (rename(from, to) < 0)
		return -errno;
	if (known)
		memo_note_digest(l->memo, to, &d);
	return 0;
}

static int
place_all_late(const struct link_run *l)
{
	_cleanup_(freep) char *dir = path_join(l->said->staging, LEDGER_LATE);
	_cleanup_(freep) char *out_dir = absolute_out_dir(l->call);
	_cleanup_(closedirp) DIR *d = dir ? opendir(dir) : NULL;
	int r = 0;

	if (!dir || !out_dir)
		return -ENOMEM;
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	for (const struct dirent *e; r == 0 && (e = readdir(d)) != NULL;)
		if (ledger_is_late(e->d_name))
			r = place_late(l, dir, out_dir, e->d_name);
	return r;
}

static int
make_tracer(const struct link_run *l, struct tracer **ret)
{
	int r = tracer_new(ret);

	for (size_t i = 0; r == 0 && i < l->trace->n; i++)
		r = tracer_option(*ret, l->trace->v[i]);
	return r < 0 ? r : tracer_option(*ret, "--linker");
}

/* As child_run, traced where that is wanted and possible. */
static int
run_traced(struct link_run *l, struct spawn *s)
{
	_cleanup_(tracer_freep) struct tracer *t = NULL;
	int r;

	if (!l->trace || !l->trace->n || make_tracer(l, &t) < 0)
		return child_run(s);
	r = tracer_run(t, s, l->record);
	if (r != 0)
		buf_done(l->record);
	return r;
}

/* Whether the linker, which succeeded, printed what rustc would warn of. The text of the warning
 * depends on rustc's version, and its level may be set in the crate, so rustc has to link itself.
 */
static bool
rustc_would_speak(const struct link_run *l, int words)
{
	_cleanup_(toolchain_done) struct toolchain tc = { 0 };
	_cleanup_(freep) char *why = NULL;
	struct stat st;
	int r;

	if (fstat(words, &st) == 0 && st.st_size == 0)
		return false;
	r = identify_toolchain(l->memo, l->call, &tc, &why);
	return !linker_lint_is_silent(l->call, r == 0 ? tc.release : NULL);
}

static int
run_linker(struct link_run *l, struct link_call *link, int slot, int null)
{
	const char *old_path = getenv("PATH");
	_cleanup_(freep) char *path_var = NULL;
	_cleanup_(freep) char *program = NULL;
	_cleanup_(freep) char **env = NULL;
	/* as rustc sets it up: messages in English, and its own directories first in PATH */
	const char *set[] = { "LC_ALL=C", "VSLANG=1033", NULL, NULL };
	const char *path;
	struct linker_pick pick;
	_cleanup_(closep) int words = memfd_create("dray-linker", MFD_CLOEXEC);
	struct spawn_fd fds[4] = { { null, 0 }, { words, 1 }, { words, 2 }, { slot, slot } };
	const char *output = output_of(link);
	struct stat before = { .st_ino = 0 };
	int r;

	if (words < 0)
		return -errno;

	if (asprintf(&path_var, "PATH=%s%s", link->path_prefix, old_path ? old_path : "") < 0)
		return -ENOMEM;
	path = path_var + strlen("PATH=");
	set[2] = path_var;
	linker_pick(l->conf, l->call->project_linker, link->argv.v, path, &pick);
	l->linker = pick.name;
	if (pick.flag && (r = strv_add(&link->argv, pick.flag)) < 0)
		return r;
	program = fs_which(link->argv.v[0], path);
	env = local_environ(set);
	if (!program || !env)
		return program ? -ENOMEM : -ENOENT;
	if (output && lstat(output, &before) < 0)
		before.st_ino = 0;
	r = run_traced(l, &(struct spawn){ .path = program,
				  .argv = link->argv.v,
				  .envp = env,
				  .fds = fds,
				  .n_fds = slot < 0 ? 3 : 4,
				  .dies_with_us = true });
	if (r == 0 && rustc_would_speak(l, words)) {
		l->spoke = true;
		r = 1;
	}
	if (r != 0)
		remove_output(output, &before);
	if (child_signal())
		return -ECANCELED;
	return r > 0 ? -ENOEXEC : r;
}

static int
print_tail(const struct ledger *said)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *path = path_join(said->staging, "tail");
	int r;

	if (!path)
		return -ENOMEM;
	r = fs_read_file(path, TAIL_MAX_BYTES, &b);
	if (r == -ENOENT)
		return 0;
	if (r == 0 && b.n)
		r = child_write(STDERR_FILENO, b.p, b.n);
	return r;
}

/* Before any of them is made: whether rustc would make these calls. */
static int
check_all(struct link_run *l)
{
	_cleanup_(toolchain_done) struct toolchain tc = { 0 };
	_cleanup_(freep) char *out_dir = absolute_out_dir(l->call);
	_cleanup_(strv_done) struct strv temporaries = STRV_INIT;
	char cwd[PATH_MAX];
	struct link_check in = { .call = l->call,
		.cwd = getcwd(cwd, sizeof(cwd)),
		.out_dir = out_dir,
		.temporaries = &temporaries };
	int r = out_dir && in.cwd ? 0 : -ENOMEM;

	if (r == 0 && !l->sysroot)
		r = identify_toolchain(l->memo, l->call, &tc, &l->why);
	in.sysroot = l->sysroot ? l->sysroot : tc.sysroot;
	/* two calls may share inputs, and the last one lists all */
	for (unsigned i = 0; r == 0 && i < l->said->n_links; i++) {
		_cleanup_(link_call_done) struct link_call link = { 0 };

		r = read_link(l->call, l->said, i, &link);
		if (r == 0 && link.temporaries.n > 0)
			r = strv_add_all(&temporaries, link.temporaries.v);
	}
	for (unsigned i = 0; r == 0 && i < l->said->n_links; i++) {
		_cleanup_(link_call_done) struct link_call link = { 0 };

		r = read_link(l->call, l->said, i, &link);
		if (r == 0)
			r = link_check(&in, &link, &l->why);
	}
	return r;
}

static int
link_all(struct link_run *l)
{
	_cleanup_(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_(closep) int slot = -1;
	uint64_t start = clock_mono_us();
	int r = null < 0 ? -errno : check_all(l);

	if (r < 0)
		return r;
	if (l->slots) {
		slot = slots_wait(l->slots);
		if (slot == -EINTR && child_signal())
			return -ECANCELED;
	}
	l->slot_wait_us = clock_mono_us() - start;
	start = clock_mono_us();
	for (unsigned i = 0; r == 0 && i < l->said->n_links; i++) {
		_cleanup_(link_call_done) struct link_call link = { 0 };

		r = read_link(l->call, l->said, i, &link);
		if (r == 0)
			r = run_linker(l, &link, slot, null);
	}
	if (r == 0)
		r = place_all_late(l);
	l->link_us = clock_mono_us() - start;
	return r;
}

int
link_run(struct link_run *l)
{
	int r = link_all(l);

	/* cargo takes the artifact's line as the unit's end: what is temporary is gone before it */
	remove_temporaries(l->call, l->said, l->set_aside && r == 0);
	return r < 0 ? r : print_tail(l->said);
}
