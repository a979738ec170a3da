/* dray-coordinator: options, limits, and the server's life. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "common/daemon.h"
#include "common/log.h"
#include "coordinator/server.h"

#define EXIT_USAGE 2

static const char usage[] =
	"usage: dray-coordinator [OPTION]...\n"
	"Decides which worker of a dray farm runs which job.\n"
	"\n"
	"      --config FILE        read this configuration file instead of the default ones\n"
	"  -o, --option S.K=VALUE   set key K of section S of the configuration\n"
	"      --listen ENDPOINT    tcp://ADDRESS:PORT (PORT may be *) or ipc:///PATH\n"
	"      --identity FILE      this coordinator's keys\n"
	"      --allowed-keys FILE  who may connect, and in which role\n"
	"      --ready-fd N         write the endpoint to descriptor N when serving, and close it\n"
	"  -h, --help               show this, and exit\n"
	"  -V, --version            show the version, and exit\n"
	"\n"
	"SIGTERM ends it, SIGHUP reads the allowed keys again. See dray-coordinator(8), "
	"dray.conf(5).\n";

enum { OPT_CONFIG = 256, OPT_LISTEN, OPT_IDENTITY, OPT_KEYS, OPT_READY };

static const struct option options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "option", required_argument, NULL, 'o' },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "identity", required_argument, NULL, OPT_IDENTITY },
	{ "allowed-keys", required_argument, NULL, OPT_KEYS },
	{ "ready-fd", required_argument, NULL, OPT_READY },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

struct coordinator_args {
	struct strv settings; /* section.key=value, in the order given */
	int ready_fd;
	bool done; /* nothing to run */
};

static int
take_option(struct coordinator_args *a, int opt)
{
	switch (opt) {
	case OPT_CONFIG:
		return setenv("DRAY_CONFIG", optarg, 1) < 0 ? -errno : 0;
	case 'o':
		return strv_add(&a->settings, optarg);
	case OPT_LISTEN:
		return strv_addf(&a->settings, "coordinator.listen=%s", optarg);
	case OPT_IDENTITY:
		return strv_addf(&a->settings, "coordinator.identity=%s", optarg);
	case OPT_KEYS:
		return strv_addf(&a->settings, "coordinator.allowed_keys=%s", optarg);
	case OPT_READY:
		if (daemon_parse_fd(optarg, &a->ready_fd) == 0)
			return 0;
		fprintf(stderr, "dray-coordinator: --ready-fd: \"%s\" is not a descriptor\n",
			optarg);
		return -EINVAL;
	case 'h':
		fputs(usage, stdout);
		a->done = true;
		return 0;
	case 'V':
		printf("dray-coordinator %s\n", PACKAGE_VERSION);
		a->done = true;
		return 0;
	default:
		fputs("Try `dray-coordinator --help`.\n", stderr);
		return -EINVAL;
	}
}

static int
parse_args(int argc, char **argv, struct coordinator_args *a)
{
	int opt, r;

	while (!a->done && (opt = getopt_long(argc, argv, "o:hV", options, NULL)) != -1) {
		r = take_option(a, opt);
		if (r < 0)
			return r;
	}
	if (!a->done && optind < argc) {
		fprintf(stderr, "dray-coordinator: \"%s\" is not an option\n", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(server_freep) struct server *server = NULL;
	_cleanup_(freep) char *error = NULL;
	struct coordinator_args args = { .settings = STRV_INIT, .ready_fd = -1 };
	int r;

	log_init("dray-coordinator", LOG_LEVEL_INFO);
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
	r = server_new(conf, &server, &error);
	if (r < 0) {
		log_error("%s", error ? error : strerror(-r));
		return EXIT_FAILURE;
	}
	log_info("serving: endpoint=%s version=%s", server_endpoint(server), PACKAGE_VERSION);
	r = daemon_say_ready(&args.ready_fd, server_endpoint(server));
	if (r < 0)
		log_warn_errno(r, "cannot say that it is ready");
	r = server_run(server);
	log_info("stopped");
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
