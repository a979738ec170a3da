/* Invariant: what is not known is no key: then there is no farm half for this process. */
#include "config.h"

#include "client/half/key.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/half/request.h"
#include "common/conf/coordinators.h"
#include "common/process/environ.h"
#include "common/fs.h"
#include "common/process/proc.h"
#include "common/process/procfs.h"
#include "common/strv.h"

#define STATUS_MAX (1u << 20) /* of 65536 groups, and the rest */
#define LABEL_MAX 4096
#define CGROUPS_MAX (64u << 10)
#define IOPRIO_WHO_PROCESS 1 /* linux/ioprio.h, which older kernels' headers lack */

static void
add_number(struct hasher *h, uint64_t v)
{
	hasher_field(h, &v, sizeof(v));
}

/* whole: its times, too. */
static int
add_file(struct hasher *h, const char *path, bool whole)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	add_number(h, st.st_dev);
	add_number(h, st.st_ino);
	if (!whole)
		return 0;
	add_number(h, (uint64_t)st.st_size);
	add_number(h, (uint64_t)st.st_mtim.tv_sec);
	add_number(h, (uint64_t)st.st_mtim.tv_nsec);
	add_number(h, (uint64_t)st.st_ctim.tv_sec);
	add_number(h, (uint64_t)st.st_ctim.tv_nsec);
	return 0;
}

/* The user and the rights, as the kernel words them: also how many filters of system calls it
 * has, since one of them and two are the same mode. */
static int
add_rights(struct hasher *h)
{
	static const char *const names[] = { "Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:",
		"CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:" };
	_cleanup_(buf_done) struct buf status = BUF_INIT, label = BUF_INIT;
	char *line, *rest;
	int r = fs_read_file("/proc/self/status", STATUS_MAX, &status);

	if (r == 0)
		r = buf_add(&status, "", 1);
	if (r < 0)
		return r;
	for (line = strtok_r((char *)status.p, "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest))
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			if (starts_with(line, names[i]))
				hasher_field(h, line, strlen(line));
	/* of AppArmor or SELinux; where there is none it cannot be read */
	r = fs_read_file("/proc/self/attr/current", LABEL_MAX, &label);
	hasher_field(h, label.n ? label.p : (uint8_t *)"", r == 0 ? label.n : 0);
	return 0;
}

/* Its limits are those of all that is in it, and it may be killed as a whole, with a session or a
 * service that ends. */
static void
add_cgroups(struct hasher *h)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = fs_read_file("/proc/self/cgroup", CGROUPS_MAX, &b);

	hasher_field(h, b.n ? b.p : (uint8_t *)"", r == 0 ? b.n : 0);
}

/* Each stands for what can be seen and reached. */
static int
add_place(struct hasher *h)
{
	static const char *const spaces[] = { "mnt", "user", "pid", "net", "ipc", "uts" };
	char path[64];

	for (size_t i = 0; i < ARRAY_LEN(spaces); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", spaces[i]);
		if (add_file(h, path, false) < 0)
			return -ENOTSUP;
	}
	return add_file(h, "/", false);
}

static int
add_limits(struct hasher *h)
{
	cpu_set_t cpus;

	for (int i = 0; i < RLIMIT_NLIMITS; i++) {
		struct rlimit l = { 0, 0 };

		if (getrlimit((__rlimit_resource_t)i, &l) < 0)
			return -errno;
		add_number(h, l.rlim_cur);
		add_number(h, l.rlim_max);
	}
	errno = 0;
	add_number(h, (uint64_t)getpriority(PRIO_PROCESS, 0));
	if (errno)
		return -errno;
	add_number(h, (uint64_t)sched_getscheduler(0));
	add_number(h, (uint64_t)syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0));
	add_cgroups(h);
	/* more processors than that: then all are alike */
	CPU_ZERO(&cpus);
	(void)sched_getaffinity(0, sizeof(cpus), &cpus);
	hasher_field(h, &cpus, sizeof(cpus));
	return 0;
}

/* Of what the loader and the libraries do, in each process. What a sanitizer is told is one. cargo
 * sets LD_LIBRARY_PATH for each unit, and that is the unit's. */
static void
add_variables(struct hasher *h)
{
	static const char *const names[] = { "LD_PRELOAD", "LD_AUDIT", "GLIBC_TUNABLES",
		"OPENSSL_CONF", "OPENSSL_ia32cap", "DRAY_LIBEXEC", "ASAN_OPTIONS",
		"UBSAN_OPTIONS" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *v = environ_get(names[i]);

		hasher_field(h, v ? v : "", v ? strlen(v) + 1 : 0);
	}
}

/* The variables that stores' URLs name. (A name with a %XX in it is not found: then the half is
 * that of any value.) */
static void
add_tokens(struct hasher *h, const char *stores)
{
	static const char option[] = "token_env=";
	char name[256];

	for (const char *p = stores; (p = strstr(p, option)) != NULL;) {
		size_t n = strcspn(p += strlen(option), "&#, ");
		const char *v;

		if (n >= sizeof(name))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		v = environ_get(name);
		hasher_field(h, v ? v : "", v ? strlen(v) + 1 : 0);
	}
}

/* By which the stores' libraries find credentials, proxies and certificates. Their order is that of
 * who started this process: a shell has another one than cargo. */
static int
add_store_variables(struct hasher *h)
{
	static const char *const prefixes[] = { "AWS_", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY",
		"https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_",
		"CURL_CA_BUNDLE", "HOME=" };
	_cleanup_(strv_done) struct strv found = STRV_INIT;
	int r = 0;

	for (char *const *e = environ_all(); r == 0 && *e; e++)
		for (size_t i = 0; r == 0 && i < ARRAY_LEN(prefixes); i++)
			if (starts_with(*e, prefixes[i]))
				r = strv_add(&found, *e);
	strv_sort_unique(&found);
	for (size_t i = 0; i < found.n; i++)
		hasher_field(h, found.v[i], strlen(found.v[i]));
	return r;
}

/* That it is not there is known as well. */
static void
add_key_file(struct hasher *h, const char *path)
{
	add_number(h, path && *path ? add_file(h, path, true) == 0 : 2);
}

static int
add_conf(struct hasher *h, const struct conf *conf)
{
	const char *trust = conf->client.trust_keys;
	_cleanup_(strv_done) struct strv keys = STRV_INIT;
	struct digest d;
	int r = conf_client_digest(conf, &d);

	if (r == 0)
		r = coordinators_split(conf->client.coordinator_key, true, &keys);
	if (r < 0)
		return r;
	hasher_field(h, d.b, DIGEST_SIZE);
	add_key_file(h, conf->client.identity);
	for (size_t i = 0; i < keys.n; i++)
		add_key_file(h, keys.v[i]);
	add_key_file(h, trust && *trust == '/' ? trust : NULL);
	/* one that was removed and made anew is another */
	return add_file(h, conf->client.cache_dir, false);
}

int
half_key_make(const struct conf *conf, const char *program, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = NULL;
	uint64_t place;
	int r;

	if (!conf->client.cache_dir || !procfs_is_ours())
		return -ENOTSUP;
	place = proc_place();
	if (!place)
		return -ENOTSUP;
	h = hasher_new();
	if (!h)
		return -ENOMEM;
	hasher_field(h, PACKAGE_VERSION, strlen(PACKAGE_VERSION));
	add_number(h, HALF_VERSION);
	add_number(h, place);
	r = add_file(h, program, true);
	if (r == 0)
		r = add_rights(h);
	if (r == 0)
		r = add_place(h);
	if (r == 0)
		r = add_limits(h);
	if (r == 0)
		r = add_conf(h, conf);
	add_variables(h);
	if (r == 0 && conf->client.store && *conf->client.store) {
		r = add_store_variables(h);
		add_tokens(h, conf->client.store);
	}
	if (r == 0)
		hasher_final(h, ret);
	return r;
}
