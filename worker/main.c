/* dray-worker: options, limits, and the service's life. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "common/daemon.h"
#include "common/log.h"
#include "worker/service.h"

#define EXIT_USAGE 2

static const char usage[] =
	"usage: dray-worker [OPTION]...\n"
	"Compiles Rust crates for the clients of a dray farm, each in a sandbox.\n"
	"\n"
	"      --config FILE            read this configuration file instead of the default ones\n"
	"  -o, --option S.K=VALUE       set key K of section S of the configuration\n"
	"      --coordinator ENDPOINT   tcp://ADDRESS:PORT or ipc:///PATH\n"
	"      --coordinator-key FILE   the coordinator's public identity file\n"
	"      --identity FILE          this worker's keys\n"
	"      --listen ENDPOINT        tcp://ADDRESS:PORT (PORT may be *) or ipc:///PATH\n"
	"      --advertise ENDPOINT     what clients are told, when it is not what is bound\n"
	"      --state-dir DIR          where blobs and jobs are kept\n"
	"      --slots N                how many jobs at a time (default: the cores)\n"
	"      --name NAME              default: the identity's\n"
	"      --list-toolchains        show what would be offered, and exit\n"
	"      --ready-fd N             write the endpoint to descriptor N once registered\n"
	"  -h, --help                   show this, and exit\n"
	"  -V, --version                show the version, and exit\n"
	"\n"
	"SIGTERM drains it: running jobs finish. See dray-worker(8), dray.conf(5).\n";

enum {
	OPT_CONFIG = 256,
	OPT_COORDINATOR,
	OPT_COORDINATOR_KEY,
	OPT_IDENTITY,
	OPT_LISTEN,
	OPT_ADVERTISE,
	OPT_STATE_DIR,
	OPT_SLOTS,
	OPT_NAME,
	OPT_LIST,
	OPT_READY,
};

static const struct option options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "option", required_argument, NULL, 'o' },
	{ "coordinator", required_argument, NULL, OPT_COORDINATOR },
	{ "coordinator-key", required_argument, NULL, OPT_COORDINATOR_KEY },
	{ "identity", required_argument, NULL, OPT_IDENTITY },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "advertise", required_argument, NULL, OPT_ADVERTISE },
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	{ "slots", required_argument, NULL, OPT_SLOTS },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "list-toolchains", no_argument, NULL, OPT_LIST },
	{ "ready-fd", required_argument, NULL, OPT_READY },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

struct worker_args {
	struct strv settings; /* section.key=value, in the order given */
	const char *name;
	int ready_fd;
	bool list;
	bool done; /* nothing to run */
};

/* Options that are keys of [worker] under their own name. */
static const char *
key_of(int opt)
{
	switch (opt) {
	case OPT_COORDINATOR:
		return "coordinator";
	case OPT_COORDINATOR_KEY:
		return "coordinator_key";
	case OPT_IDENTITY:
		return "identity";
	case OPT_LISTEN:
		return "listen";
	case OPT_ADVERTISE:
		return "advertise";
	case OPT_STATE_DIR:
		return "state_dir";
	case OPT_SLOTS:
		return "slots";
	default:
		return NULL;
	}
}

static int
take_option(struct worker_args *a, int opt)
{
	if (key_of(opt))
		return strv_addf(&a->settings, "worker.%s=%s", key_of(opt), optarg);
	switch (opt) {
	case OPT_CONFIG:
		return setenv("DRAY_CONFIG", optarg, 1) < 0 ? -errno : 0;
	case 'o':
		return strv_add(&a->settings, optarg);
	case OPT_NAME:
		a->name = optarg;
		return 0;
	case OPT_LIST:
		a->list = true;
		return 0;
	case OPT_READY:
		if (daemon_parse_fd(optarg, &a->ready_fd) == 0)
			return 0;
		fprintf(stderr, "dray-worker: --ready-fd: \"%s\" is not a descriptor\n", optarg);
		return -EINVAL;
	case 'h':
		fputs(usage, stdout);
		a->done = true;
		return 0;
	case 'V':
		printf("dray-worker %s\n", PACKAGE_VERSION);
		a->done = true;
		return 0;
	default:
		fputs("Try `dray-worker --help`.\n", stderr);
		return -EINVAL;
	}
}

static int
parse_args(int argc, char **argv, struct worker_args *a)
{
	int opt, r;

	while (!a->done && (opt = getopt_long(argc, argv, "o:hV", options, NULL)) != -1) {
		r = take_option(a, opt);
		if (r < 0)
			return r;
	}
	if (!a->done && optind < argc) {
		fprintf(stderr, "dray-worker: \"%s\" is not an option\n", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

static int
list_toolchains(struct conf *conf)
{
	_cleanup_(freep) char *error = NULL;
	int r = service_list_toolchains(conf, stdout, &error);

	if (r < 0)
		log_error("%s", error ? error : strerror(-r));
	return fflush(stdout) == 0 && r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
serve(const struct conf *conf, const struct worker_args *args)
{
	_cleanup_(service_freep) struct service *service = NULL;
	_cleanup_(freep) char *error = NULL;
	int r = service_new(conf, args->name, &service, &error);

	if (r < 0) {
		log_error("%s", error ? error : strerror(-r));
		return EXIT_FAILURE;
	}
	log_info("serving: endpoint=%s version=%s", service_endpoint(service), PACKAGE_VERSION);
	r = service_run(service, args->ready_fd);
	if (r < 0 && r != -EACCES)
		log_error_errno(r, "the poll loop ended");
	log_info("stopped");
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(freep) char *error = NULL;
	struct worker_args args = { .settings = STRV_INIT, .ready_fd = -1 };
	int r;

	log_init("dray-worker", LOG_LEVEL_INFO);
	r = parse_args(argc, argv, &args);
	if (r == 0 && !args.done) {
		r = daemon_conf(&args.settings, &conf, &error);
		if (r < 0)
			log_error("%s", error ? error : strerror(-r));
	}
	strv_done(&args.settings);
	if (r < 0)
		return EXIT_USAGE;
	if (args.done)
		return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	r = daemon_raise_limits();
	if (r < 0)
		log_warn_errno(r, "cannot raise the limit of open files");
	return args.list ? list_toolchains(conf) : serve(conf, &args);
}
