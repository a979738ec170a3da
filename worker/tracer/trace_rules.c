/* Invariant: in doubt a path counts as the client's (PLACE_TREE) and as not known, and the client
 * is asked. */
#include "config.h"

#include "worker/tracer/trace_rules.h"

#include <errno.h>

#include "common/fs.h"
#include "proto/alias.h"
#include "rustc/call.h"
#include "toolchain/elf.h"
#include "trace/runtime.h"
#include "worker/inside/capture_dir.h"
#include "worker/sandbox/sandbox.h"

#define OURS "/.dray"
#define ARG_FILE OURS "/args" /* compiler.c */

/* Takes from the arguments what the rules need. Where one is not understood, less is known, and the
 * client is asked more often. */
static int
read_call(struct trace_rules *r)
{
	const Dray__Unit *u = r->unit;
	_cleanup_(call_done) struct rustc_call call = { .kind = CALL_UNKNOWN };
	_cleanup_(freep) char **argv = calloc(u->n_argv + 2, sizeof(*argv));
	static char rustc[] = "rustc", clippy[] = "clippy-driver";
	int e;

	if (!argv)
		return -ENOMEM;
	argv[0] = streq(u->driver, clippy) ? clippy : rustc;
	for (size_t i = 0; i < u->n_argv; i++) {
		/* a file of arguments is read by the job, not here */
		if (u->argv[i][0] == '@')
			return 0;
		argv[i + 1] = u->argv[i];
	}
	e = call_parse(argv, &call);
	for (size_t i = 0; e == 0 && i < call.n_libs; i++) {
		_cleanup_(freep) char *path = path_normalize(u->cwd, call.libs[i].path);

		e = path ? strv_add(&r->listed, path) : -ENOMEM;
	}
	r->extra = steal_ptr(call.extra_filename);
	return e;
}

static int
gather_library_path(struct trace_rules *r)
{
	const Dray__Unit *u = r->unit;
	int e = 0;

	for (size_t i = 0; e == 0 && i < u->n_env; i++) {
		const ProtobufCBinaryData *v = &u->env[i]->value;

		if (!streq(u->env[i]->name, "LD_LIBRARY_PATH"))
			continue;
		for (size_t at = 0; e == 0 && at < v->len;) {
			const uint8_t *p = v->data + at, *colon = memchr(p, ':', v->len - at);
			size_t n = colon ? (size_t)(colon - p) : v->len - at;

			if (n)
				e = strv_addn(&r->library_path, (const char *)p, n);
			at += n + 1;
		}
	}
	return e;
}

int
trace_rules_init(struct trace_rules *r, const Dray__Unit *unit, char *const *lib_dirs,
	const struct strv *tmp)
{
	int e;

	*r = (struct trace_rules){ .unit = unit, .lib_dirs = lib_dirs, .tmp = tmp };
	e = read_call(r);
	if (e == 0)
		e = gather_library_path(r);
	if (e < 0)
		trace_rules_done(r);
	return e;
}

void
trace_rules_done(struct trace_rules *r)
{
	strv_done(&r->listed);
	strv_done(&r->library_path);
	free(r->extra);
	r->extra = NULL;
}

static bool
is_clients_tmp(const struct trace_rules *r, const char *path)
{
	const char *name = path + strlen("/tmp/");
	size_t n = strcspn(name, "/");

	for (size_t i = 0; i < r->tmp->n; i++)
		if (strlen(r->tmp->v[i]) == n && memcmp(r->tmp->v[i], name, n) == 0)
			return true;
	return false;
}

/* All numbers there are processes of the job. The path does not tell where their links lead. */
static bool
is_jobs_process(const char *path)
{
	static const char *const links[] = { "cwd", "exe", "fd", "map_files", "root", "task" };
	const char *rest = path + strlen("/proc/");
	size_t n = strspn(rest, "0123456789");

	if (!starts_with(path, "/proc/") || n == 0 || (rest[n] && rest[n] != '/'))
		return false;
	rest += n + (rest[n] == '/');
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (path_is_below(rest, links[i]))
			return false;
	return true;
}

/* What bubblewrap mounts anew for each job, and which entries of it are the job's own. */
static bool
is_mounted_new(const char *path, enum trace_place *ret)
{
	if (!runtime_is(path, RUNTIME_KERNEL))
		return false;
	if (!path_is_below(path, "/dev")) {
		bool own = streq(path, "/proc") || streq(path, "/sys") ||
			   path_is_below(path, "/proc/self") || is_jobs_process(path) ||
			   runtime_suits_machine(path);

		*ret = own ? PLACE_OURS : PLACE_KERNEL;
		return true;
	}
	*ret = streq(path, "/dev") ? PLACE_OURS : PLACE_DEV;
	return true;
}

enum trace_place
trace_rules_place(const struct trace_rules *r, const char *path)
{
	enum trace_place place;

	if (path_is_below(path, r->unit->out_dir))
		return PLACE_OUT;
	if (path_is_below(path, JOB_ALIAS))
		return PLACE_IN;
	if (path_is_below(path, r->unit->sysroot))
		return PLACE_OURS;
	for (char *const *d = r->lib_dirs; d && *d; d++)
		if (path_is_below(path, *d))
			return PLACE_LIB;
	if (path_is_below(path, SANDBOX_BIN) || streq(path, ARG_FILE) || streq(path, OURS))
		return PLACE_OURS;
	if (is_mounted_new(path, &place))
		return place;
	if (streq(path, "/tmp") || (starts_with(path, "/tmp/") && !is_clients_tmp(r, path)))
		return PLACE_TMP;
	return PLACE_TREE;
}

/* The index of the first that is not less. */
static size_t
lower_bound(char *const *v, size_t n, const char *s)
{
	size_t lo = 0;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;

		if (strcmp(v[mid], s) < 0)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

static bool
has(char *const *v, size_t n, const char *s)
{
	size_t i = lower_bound(v, n, s);

	return i < n && streq(v[i], s);
}

bool
trace_rules_known(const struct trace_rules *r, const char *path)
{
	const Dray__Unit *u = r->unit;
	_cleanup_(freep) char *p = strdup(path);
	char *slash;

	if (!p || !u->n_walked)
		return false;
	/* The nearest directory decides: a walked directory of generated files lies in one that was
	 * not walked. */
	for (;;) {
		if (has(u->withheld, u->n_withheld, p))
			return false;
		if (has(u->walked, u->n_walked, p))
			return true;
		slash = strrchr(p, '/');
		if (!slash || slash == p)
			return false;
		*slash = '\0';
	}
}

bool
trace_rules_listing_known(const struct trace_rules *r, const char *dir)
{
	const Dray__Unit *u = r->unit;
	size_t n = strlen(dir);

	if (strv_has(&r->listed, dir))
		return true;
	if (!trace_rules_known(r, dir))
		return false;
	for (size_t i = lower_bound(u->withheld, u->n_withheld, dir); i < u->n_withheld; i++) {
		const char *w = u->withheld[i];

		if (strncmp(w, dir, n) != 0)
			break;
		if (w[n] == '/' && !strchr(w + n + 1, '/'))
			return false;
	}
	return true;
}

const char *
trace_rules_link(const struct trace_rules *r, const char *path, bool whole)
{
	const Dray__Unit *u = r->unit;

	for (size_t i = 0; i < u->n_links; i++)
		if (whole ? path_is_below(path, u->links[i]) : streq(path, u->links[i]))
			return u->links[i];
	return NULL;
}

const char *
trace_rules_link_in(const struct trace_rules *r, const char *dir)
{
	const Dray__Unit *u = r->unit;
	size_t n = strlen(dir);

	for (size_t i = 0; i < u->n_links && !strv_has(&r->listed, dir); i++) {
		const char *l = u->links[i];

		if (strncmp(l, dir, n) == 0 && l[n] == '/' && !strchr(l + n + 1, '/'))
			return l;
	}
	return NULL;
}

bool
trace_rules_own_output(const struct trace_rules *r, const char *path)
{
	const Dray__Unit *u = r->unit;
	const char *name = path + strlen(u->out_dir);

	return path_is_below(path, u->out_dir) && *name == '/' &&
	       call_output_name_ok(u->crate, r->extra, name + 1);
}

bool
trace_rules_temporary(const struct trace_rules *r, const char *path)
{
	/* rustc's by the crate tempfile: prefix, six characters, suffix */
	static const struct {
		const char *prefix, *suffix;
	} names[] = { { "rustc", "" }, { "rmeta", "" }, { ".tmp", ".temp-archive" } };
	const char *name = path + strlen(r->unit->out_dir);
	size_t n;

	if (!path_is_below(path, r->unit->out_dir) || *name != '/')
		return false;
	n = strcspn(++name, "/");
	if (n == strlen(CAPTURE_DIR) && memcmp(name, CAPTURE_DIR, n) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t head = strlen(names[i].prefix), tail = strlen(names[i].suffix);

		if (n == head + 6 + tail && strncmp(name, names[i].prefix, head) == 0 &&
			strncmp(name + head + 6, names[i].suffix, tail) == 0)
			return true;
	}
	return false;
}

bool
trace_rules_loader_dir(const struct trace_rules *r, const char *path)
{
	const char *base = path_basename(path);

	if (strstr(path, "/glibc-hwcaps/") || streq(base, "glibc-hwcaps"))
		return true;
	for (size_t i = 0; i < r->library_path.n; i++)
		if (path_is_below(path, r->library_path.v[i]) && elf_is_variant(base, strlen(base)))
			return true;
	return false;
}

bool
trace_rules_is_library(const char *path)
{
	const char *so = strstr(path_basename(path), ".so");

	return so && (so[3] == '\0' || so[3] == '.');
}

bool
trace_rules_withholds_env(const struct trace_rules *r, const char *name)
{
	return has(r->unit->withheld_env, r->unit->n_withheld_env, name);
}
