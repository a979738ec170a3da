/* Invariant: what is left out cannot change a result, or is an input by itself. */
#include "config.h"

#include "cache/variables.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cache/inputs_priv.h"
#include "common/fs.h"
#include "common/process/session.h"
#include "machine/cpus.h"

#define CPUINFO_MAX (4u << 20)

/* Patterns of the variables that programs ask for by name, ended by NULL. */
static const char *const ccache[] = { "CCACHE_*", "COMPILER_PATH", "CPATH", "HOME", "PATH",
	"XDG_CONFIG_HOME", NULL };
static const char *const distcc[] = { "DISTCC_*", "HOME", "PATH", NULL };
static const char *const icecc[] = { "ICECC*", "ICECREAM_*", "HOME", "PATH", NULL };
static const char *const git[] = { "GIT_*", "HOME", "LANG", "LANGUAGE", "LC_*", "PATH", "TZ",
	"XDG_CONFIG_HOME", NULL };

static const struct kind {
	const char *name;
	const char *const *patterns;
} kinds[] = { { "ccache", ccache }, { "distcc", distcc }, { "git", git }, { "icecc", icecc } };

static bool
matches(const char *pattern, const char *name, size_t n)
{
	size_t k = strlen(pattern);

	if (pattern[k - 1] == '*')
		return n >= k - 1 && memcmp(pattern, name, k - 1) == 0;
	return n == k && memcmp(pattern, name, n) == 0;
}

static bool
counts(const struct kind *kind, const char *var)
{
	size_t n = strcspn(var, "=");

	if (!kind)
		return !session_has(var, n);
	for (size_t i = 0; kind->patterns[i]; i++)
		if (matches(kind->patterns[i], var, n))
			return true;
	return false;
}

/* kind: NULL for all. */
static int
add_counting(const struct kind *kind, char *const *envp, struct strv *to)
{
	int r = 0;

	for (; r == 0 && envp && *envp; envp++) {
		_cleanup_(freep) char *flags = NULL;

		if (counts(kind, *envp))
			r = strv_add(to, *envp);
		else if (!kind)
			r = session_make_flags(*envp, &flags);
		if (r == 0 && flags)
			r = strv_add(to, flags);
	}
	strv_sort_unique(to);
	return r;
}

/* Those that a pattern stands for. */
static int
add_group(const char *pattern, char *const *envp, struct strv *to)
{
	int r = 0;

	for (; r == 0 && envp && *envp; envp++)
		if (matches(pattern, *envp, strcspn(*envp, "=")))
			r = strv_add(to, *envp);
	strv_sort_unique(to);
	return r;
}

/* ---- the loader */

static bool
is_harmless(const char *path, size_t n)
{
	static const char *const names[] = { "mold-wrapper.so", "libjemalloc.so*",
		"libmimalloc*.so*", "libtcmalloc*.so*", "libsnmalloc*.so*", "libhoard.so*",
		"libeatmydata.so*" };
	char base[256];

	for (size_t i = n; i > 0; i--)
		if (path[i - 1] == '/') {
			path += i;
			n -= i;
			break;
		}
	if (n == 0 || n >= sizeof(base))
		return n == 0;
	memcpy(base, path, n);
	base[n] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (fnmatch(names[i], base, 0) == 0)
			return true;
	return false;
}

bool
variables_preload_is_harmless(const char *preload)
{
	for (const char *p = preload ? preload : ""; *p;) {
		size_t n = strcspn(p, ": ");

		if (!is_harmless(p, n))
			return false;
		p += n + (p[n] != '\0');
	}
	return true;
}

static int
add_preload(const char *name, char *const *envp, bool all, struct strv *to)
{
	const char *p = variables_get(envp, name);
	int r = 0;

	for (p = p ? p : ""; r == 0 && *p;) {
		size_t n = strcspn(p, ": ");

		if (n > 0 && (all || !is_harmless(p, n)))
			r = strv_addf(to, "%s=%.*s", name, (int)n, p);
		p += n + (p[n] != '\0');
	}
	return r;
}

static int
add_loader(char *const *envp, bool all, struct strv *to)
{
	int r = add_preload("LD_PRELOAD", envp, all, to);

	return r < 0 ? r : add_preload("LD_AUDIT", envp, all, to);
}

/* Adds what uname says of the machine. */
static int
add_machine(struct strv *to)
{
	struct utsname u;

	if (uname(&u) < 0)
		return -errno;
	return strv_addf(
		to, "%s %s %s %s %s", u.sysname, u.nodename, u.release, u.version, u.machine);
}

/* Adds how many processors this process may use, by its affinity and by quotas. */
static int
add_cpus(struct strv *to)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	(void)sched_getaffinity(0, sizeof(set), &set);
	return strv_addf(to, "%d %u %ld %ld", CPU_COUNT(&set), cpus_usable(""),
		sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_NPROCESSORS_CONF));
}

/* Adds the lines of /proc/cpuinfo, but for those that are others each time. */
static int
add_cpu(struct strv *to)
{
	static const char *const fickle[] = { "bogomips", "BogoMIPS", "cpu MHz" };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *save = NULL, *line;
	int r = fs_read_file("/proc/cpuinfo", CPUINFO_MAX, &b);

	if (r == -ENOMEM)
		return r;
	if (r < 0 || buf_add(&b, "", 1) < 0)
		return 0;
	for (line = strtok_r((char *)b.p, "\n", &save), r = 0; r == 0 && line;
		line = strtok_r(NULL, "\n", &save)) {
		bool counts = true;

		for (size_t i = 0; i < ARRAY_LEN(fickle); i++)
			counts &= !starts_with(line, fickle[i]);
		if (counts)
			r = strv_add(to, line);
	}
	return r;
}

/* Adds what the first processor can do. Of a machine with many the whole text takes a while. */
static int
add_instructions(struct strv *to)
{
	static const char *const lines[] = { "vendor_id", "cpu family", "cpu\t", "model", "flags",
		"CPU", "Features", "isa" };
	_cleanup_(closep) int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
	char text[8192], *save = NULL, *line;
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	char *end;
	int r = 0;

	text[MAX2(n, (ssize_t)0)] = '\0';
	end = strstr(text, "\n\n");
	if (end)
		*end = '\0';
	for (line = strtok_r(text, "\n", &save); r == 0 && line; line = strtok_r(NULL, "\n", &save))
		for (size_t i = 0; r == 0 && i < ARRAY_LEN(lines); i++)
			if (starts_with(line, lines[i]))
				r = strv_add(to, line);
	return r;
}

/* Adds the limits of this process. */
static int
add_limits(struct strv *to)
{
	int r = 0;

	for (unsigned i = 0; i < RLIM_NLIMITS && r == 0; i++) {
		struct rlimit l = { 0, 0 };

		(void)getrlimit(i, &l);
		r = strv_addf(to, "%llu %llu", (unsigned long long)l.rlim_cur,
			(unsigned long long)l.rlim_max);
	}
	return r;
}

/* Adds what id says. */
static int
add_user(struct strv *to)
{
	int n = getgroups(0, NULL), r = strv_addf(to, "%u %u", geteuid(), getegid());
	_cleanup_(freep) gid_t *groups = n > 0 ? reallocarray(NULL, (size_t)n, sizeof(*groups))
					       : NULL;

	if (n > 0 && !groups)
		return -ENOMEM;
	n = n > 0 ? getgroups(n, groups) : n;
	for (int i = 0; r == 0 && i < n; i++)
		r = strv_addf(to, "%u", groups[i]);
	return n < 0 ? -errno : r;
}

const char *
variables_get(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; envp && *envp; envp++)
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
			return *envp + n + 1;
	return NULL;
}

const char *
variables_machine(const char *kind)
{
	static const char *const texts[][2] = { { "uname", "what uname says" },
		{ "cpus", "the number of processors" }, { "cpu", "the kind of processor" },
		{ "instructions", "what the processor can do" }, { "limits", "a limit (ulimit)" },
		{ "user", "whose build it is" } };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (streq(texts[i][0], kind))
			return texts[i][1];
	return NULL;
}

int
variables_digest(const char *name, char *const *envp, struct digest *ret)
{
	_cleanup_(strv_done) struct strv v = STRV_INIT;
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	int r = h ? -ENOENT : -ENOMEM;

	if (r == -ENOENT && streq(name, "all"))
		r = add_counting(NULL, envp, &v);
	if (r == -ENOENT && (streq(name, "loader") || streq(name, "compile")))
		r = add_loader(envp, streq(name, "loader"), &v);
	if (r == -ENOENT && streq(name, "uname"))
		r = add_machine(&v);
	if (r == -ENOENT && streq(name, "cpus"))
		r = add_cpus(&v);
	if (r == -ENOENT && streq(name, "cpu"))
		r = add_cpu(&v);
	if (r == -ENOENT && streq(name, "instructions"))
		r = add_instructions(&v);
	if (r == -ENOENT && streq(name, "limits"))
		r = add_limits(&v);
	if (r == -ENOENT && streq(name, "user"))
		r = add_user(&v);
	if (r == -ENOENT && ends_with(name, "*"))
		r = add_group(name, envp, &v);
	for (size_t i = 0; r == -ENOENT && i < ARRAY_LEN(kinds); i++)
		if (streq(kinds[i].name, name))
			r = add_counting(&kinds[i], envp, &v);
	if (r < 0)
		return r;
	for (size_t i = 0; i < v.n; i++)
		hasher_field(h, v.v[i], strlen(v.v[i]));
	hasher_final(h, ret);
	return 0;
}
