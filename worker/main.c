/* dray-worker: options, limits, and the service's life. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/process/daemon.h"
#include "common/log/log.h"
#include "common/process/notify.h"
#include "join/join.h"
#include "join/rotate.h"
#include "worker/service.h"

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
	"      --allow-root             stay root, if root started it, and let jobs be root's\n"
	"      --list-toolchains        show what would be offered, and exit\n"
	"      --ready-fd N             write the endpoint to descriptor N once registered\n"
	"  -h, --help                   show this, and exit\n"
	"  -V, --version                show the version, and exit\n"
	"\n"
	"Other commands, with options of their own:\n"
	"\n"
	"  join    Join a farm by a token of its admin: keys, and lines of the configuration\n"
	"  rotate  Have new keys in the place of this worker's\n"
	"\n"
	"SIGTERM drains it: running jobs finish. SIGHUP reads the limits of jobs again, and its "
	"keys. "
	"See "
	"dray-worker(8), dray.conf(5).\n";

static int
list_toolchains(struct conf *conf)
{
	_cleanup_(freep) char *error = NULL;
	int r = service_list_toolchains(conf, stdout, &error);

	if (r < 0)
		log_error("%s", error ? error : strerror(-r));
	return fflush(stdout) == 0 && r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

struct started {
	const struct daemon_program *program;
	int argc;
	char **argv;
};

static int
load_again(void *arg, struct conf **ret, char **ret_error)
{
	const struct started *s = arg;

	return daemon_load_again(s->program, s->argc, s->argv, ret, ret_error);
}

static int
serve_once(const struct conf *conf, const char *name, const struct service_life *life)
{
	_cleanup_(service_freep) struct service *service = NULL;
	_cleanup_(freep) char *error = NULL;
	int r = service_new(conf, name, &service, &error);

	if (r < 0) {
		log_error("%s", error ? error : strerror(-r));
		return r;
	}
	log_info("serving: endpoint=%s version=%s", service_endpoint(service), PACKAGE_VERSION);
	/* those settings count that SIGHUP has read since this process began */
	if (life->again && kill(getpid(), SIGHUP) < 0)
		log_warn_errno(-errno, "the settings are those of the beginning");
	r = service_run(service, life);
	if (r < 0 && r != -EACCES)
		log_error_errno(r, "the poll loop ended");
	return r;
}

static int
serve(const struct conf *conf, const char *name, struct service_life *life)
{
	int r;

	while ((r = serve_once(conf, name, life)) == SERVICE_AGAIN) {
		life->ready_fd = -1;
		life->again = true;
	}
	log_info("stopped");
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(notify_done) struct notify notify = NOTIFY_INIT;
	const char *name = NULL;
	bool list = false;
	const struct daemon_option options[] = {
		{ "coordinator", .key = "worker.coordinator" },
		{ "coordinator-key", .key = "worker.coordinator_key" },
		{ "identity", .key = "worker.identity" },
		{ "listen", .key = "worker.listen" },
		{ "advertise", .key = "worker.advertise" },
		{ "state-dir", .key = "worker.state_dir" },
		{ "slots", .key = "worker.slots" },
		{ "name", .text = &name },
		{ "allow-root", .key = "worker.user", .value = "root" },
		{ "list-toolchains", .flag = &list },
		{ .name = NULL },
	};
	static const struct join_program joining = { "dray-worker join", "worker", "worker",
		"listen, and advertise where that is not what clients reach, are set by hand: "
		"dray.conf(5)" };
	static const struct rotate_program rotating = { "dray-worker rotate", "worker",
		"a worker that runs goes by them after SIGHUP (systemctl reload dray-worker), or, "
		"where it may not read that file, after a restart: both lose no job" };
	const struct daemon_program program = { "dray-worker", usage, options };
	struct started started = { &program, argc, argv };
	struct service_life life = {
		.ready_fd = -1, .notify = &notify, .load = load_again, .arg = &started
	};
	int status, r;

	if (argc > 1 && streq(argv[1], "join"))
		return join_main(&joining, argc - 1, argv + 1);
	if (argc > 1 && streq(argv[1], "rotate"))
		return rotate_main(&rotating, argc - 1, argv + 1);
	log_init(program.name, LOG_LEVEL_INFO);
	if (!daemon_begin(&program, argc, argv, &life.ready_fd, &conf, &status))
		return status;
	daemon_return_memory();
	r = notify_open(&notify);
	if (r < 0)
		log_warn_errno(r, "the service manager is told nothing");
	r = daemon_raise_limits();
	if (r < 0)
		log_warn_errno(r, "cannot raise the limit of open files");
	return list ? list_toolchains(conf) : serve(conf, name, &life);
}
