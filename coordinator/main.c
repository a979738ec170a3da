/* dray-coordinator: options, limits, and the server's life. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/process/daemon.h"
#include "common/log/log.h"
#include "common/process/notify.h"
#include "coordinator/server.h"

static const char usage[] =
	"usage: dray-coordinator [OPTION]...\n"
	"Decides which worker of a dray farm runs which job, and keeps its shared cache.\n"
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
	"SIGTERM ends it, SIGHUP reads the allowed keys, who may join, and quotas again. See "
	"dray-coordinator(8), "
	"dray.conf(5).\n";

static const struct daemon_option options[] = {
	{ "listen", .key = "coordinator.listen" },
	{ "identity", .key = "coordinator.identity" },
	{ "allowed-keys", .key = "coordinator.allowed_keys" },
	{ .name = NULL },
};

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

/* Until it ends, or has other keys (SERVER_AGAIN). */
static int
serve(const struct conf *conf, struct started *started, struct notify *notify, int *ready,
	bool again)
{
	_cleanup_(server_freep) struct server *server = NULL;
	_cleanup_(freep) char *error = NULL;
	int r = server_new(conf, &server, &error);

	if (r < 0) {
		log_error("%s", error ? error : strerror(-r));
		return r;
	}
	log_info("serving: endpoint=%s version=%s", server_endpoint(server), PACKAGE_VERSION);
	r = daemon_say_ready(ready, server_endpoint(server));
	if (r < 0)
		log_warn_errno(r, "cannot say that it is ready");
	notify_ready(notify);
	server_notify(server, notify);
	server_on_reload(server, load_again, started);
	/* of the settings those count that SIGHUP has read since this process began */
	if (again && kill(getpid(), SIGHUP) < 0)
		log_warn_errno(-errno, "the settings are those of the beginning");
	return server_run(server);
}

int
main(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(notify_done) struct notify notify = NOTIFY_INIT;
	const struct daemon_program program = { "dray-coordinator", usage, options };
	struct started started = { &program, argc, argv };
	int ready = -1, status, r;
	bool again = false;

	log_init(program.name, LOG_LEVEL_INFO);
	if (!daemon_begin(&program, argc, argv, &ready, &conf, &status))
		return status;
	daemon_return_memory();
	r = notify_open(&notify);
	if (r < 0)
		log_warn_errno(r, "the service manager is told nothing");
	r = daemon_raise_limits();
	if (r < 0)
		log_warn_errno(r, "cannot raise the limit of open files");
	for (r = SERVER_AGAIN; r == SERVER_AGAIN; again = true)
		r = serve(conf, &started, &notify, &ready, again);
	log_info("stopped");
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
