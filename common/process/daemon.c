/* The command line, settings, limits, and the message that a daemon serves. */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/process/daemon.h"
#include "common/fs.h"
#include "common/log/log.h"

#define FD_MAX (1 << 20)
#define LARGE (1024 * 1024)
#define KEPT (16 * 1024 * 1024) /* at the end of each thread's heap */
#define REST_MS 2000
#define REST_BYTES (4u * 1024 * 1024) /* less is no work */

#define EXIT_USAGE 2

struct args {
	const struct daemon_program *program;
	struct strv options, settings; /* of the same length, in the order given */
	int ready;
	bool done;  /* nothing to run */
	bool again; /* not the first time: other threads may read the environment */
};

enum { OPT_CONFIG = 256, OPT_READY, OPT_OWN };

static int
add_setting(struct args *a, const char *option, const char *key, const char *value)
{
	int r = strv_add(&a->options, option);

	return r < 0 ? r : strv_addf(&a->settings, "%s%s%s", key, *key ? "=" : "", value);
}

static int
take_own(struct args *a, const struct daemon_option *o)
{
	char option[64];

	if (o->text)
		*o->text = optarg;
	if (o->flag)
		*o->flag = true;
	snprintf(option, sizeof(option), "--%s", o->name);
	return o->key ? add_setting(a, option, o->key, o->value ? o->value : optarg) : 0;
}

static int
take_option(struct args *a, int opt)
{
	const struct daemon_program *p = a->program;

	if (opt >= OPT_OWN)
		return take_own(a, &p->options[opt - OPT_OWN]);
	switch (opt) {
	case OPT_CONFIG:
		return !a->again && setenv("DRAY_CONFIG", optarg, 1) < 0 ? -errno : 0;
	case 'o':
		return add_setting(a, "-o", "", optarg);
	case OPT_READY:
		if (daemon_parse_fd(optarg, &a->ready) == 0)
			return 0;
		fprintf(stderr, "%s: --ready-fd: \"%s\" is not a descriptor\n", p->name, optarg);
		return -EINVAL;
	case 'h':
		fputs(p->usage, stdout);
		a->done = true;
		return 0;
	case 'V':
		printf("%s %s\n", p->name, PACKAGE_VERSION);
		a->done = true;
		return 0;
	default:
		fprintf(stderr, "Try `%s --help`.\n", p->name);
		return -EINVAL;
	}
}

static int
parse(struct args *a, int argc, char **argv)
{
	static const struct option common[] = { { "config", required_argument, NULL, OPT_CONFIG },
		{ "option", required_argument, NULL, 'o' },
		{ "ready-fd", required_argument, NULL, OPT_READY },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' } };
	struct option all[ARRAY_LEN(common) + DAEMON_OPTIONS_MAX + 1] = { { NULL, 0, NULL, 0 } };
	const struct daemon_option *o = a->program->options;
	int opt, r;

	memcpy(all, common, sizeof(common));
	for (int i = 0; o[i].name && i < DAEMON_OPTIONS_MAX; i++)
		all[ARRAY_LEN(common) + (size_t)i] = (struct option){ o[i].name,
			o[i].flag || o[i].value ? no_argument : required_argument, NULL,
			OPT_OWN + i };
	while (!a->done && (opt = getopt_long(argc, argv, "o:hV", all, NULL)) != -1) {
		r = take_option(a, opt);
		if (r < 0)
			return r;
	}
	if (a->done || optind == argc)
		return 0;
	fprintf(stderr, "%s: \"%s\" is not an option\n", a->program->name, argv[optind]);
	return -EINVAL;
}

static int
load(const struct args *a, struct conf **ret, char **ret_error)
{
	_cleanup_(conf_freep) struct conf *c = NULL;
	int r = conf_load(&c, ret_error);

	for (size_t i = 0; r == 0 && i < a->settings.n; i++)
		r = conf_set_by(c, a->options.v[i], a->settings.v[i], ret_error);
	if (r == 0)
		*ret = steal_ptr(c);
	return r;
}

static void
args_done(struct args *a)
{
	strv_done(&a->options);
	strv_done(&a->settings);
}

bool
daemon_begin(const struct daemon_program *p, int argc, char **argv, int *ret_ready,
	struct conf **ret, int *ret_status)
{
	_cleanup_(args_done) struct args a = { .program = p, .ready = *ret_ready };
	_cleanup_(freep) char *error = NULL;
	int r = parse(&a, argc, argv);

	if (r == 0 && !a.done) {
		r = load(&a, ret, &error);
		if (r < 0)
			log_error("%s", error ? error : strerror(-r));
	}
	if (r == 0 && !a.done) {
		*ret_ready = a.ready;
		return true;
	}
	*ret_status = r < 0 ? EXIT_USAGE : fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	return false;
}

int
daemon_load_again(
	const struct daemon_program *p, int argc, char **argv, struct conf **ret, char **ret_error)
{
	_cleanup_(args_done) struct args a = { .program = p, .ready = -1, .again = true };
	int r;

	*ret_error = NULL;
	optind = 0;
	r = parse(&a, argc, argv);
	return r < 0 ? r : load(&a, ret, ret_error);
}

void
daemon_return_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, LARGE);
	mallopt(M_TRIM_THRESHOLD, KEPT);
}

bool
daemon_rest(struct daemon_rest *r, uint64_t bytes, uint64_t now)
{
	if (bytes - r->bytes >= REST_BYTES) {
		*r = (struct daemon_rest){ bytes, now, true };
		return false;
	}
	if (!r->owed || now - r->since_ms < REST_MS)
		return false;
	r->owed = false;
	malloc_trim(0);
	return true;
}

int
daemon_raise_limits(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return -errno;
	lim.rlim_cur = lim.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &lim) < 0 ? -errno : 0;
}

int
daemon_parse_fd(const char *text, int *ret)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || end == text || *end || v < 0 || v > FD_MAX)
		return -EINVAL;
	*ret = (int)v;
	return 0;
}

int
daemon_say_ready(int *fd, const char *endpoint)
{
	_cleanup_(freep) char *line = NULL;
	int r;

	if (*fd < 0)
		return 0;
	if (asprintf(&line, "%s\n", endpoint) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	r = fs_write_all(*fd, line, strlen(line));
	closep(fd);
	return r;
}
