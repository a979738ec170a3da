/* dray-dispatch: the farm half of dray. Started by dray to serve all units that go to the farm, or
 * for one of them, and for the farm's status. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "client/cmd/cache/packs.h"
#include "client/cmd/doctor/probe.h"
#include "client/dispatch/dispatch.h"
#include "client/dispatch/farm_purge.h"
#include "client/dispatch/farm_status.h"
#include "client/dispatch/half.h"
#include "client/dispatch/push.h"
#include "client/dispatch/refill.h"
#include "client/far/trusted.h"
#include "common/process/child.h"
#include "common/conf/conf.h"
#include "common/process/environ.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "discovery/find.h"
#include "join/join.h"
#include "join/rotate.h"

#define STATUS_USAGE 2

static const char usage[] =
	"usage: dray-dispatch --ledger-fd=N [--jobs=N] [--mapped] [--sought=KEY --called=KEY] -- "
	"RUSTC ARG...\n"
	"       dray-dispatch --half=N --key=KEY\n"
	"       dray-dispatch --status [--json] [--compiler RUSTC]\n"
	"\n"
	"The farm half of dray(1), which starts it.\n"
	"\n"
	"  --ledger-fd=N      where dray keeps the ledger of the unit\n"
	"  --jobs=N           how many jobs the build may run at a time; 0: not known\n"
	"  --mapped           dray has mapped the unit's paths (paths = shared)\n"
	"  --sought=KEY       the key under which the shared cache will have what a worker makes\n"
	"  --called=KEY       what a worker calls the unit; with --sought\n"
	"  --half=N           serve the wrappers that connect to this socket until none has come "
	"for\n"
	"                     a while\n"
	"  --key=KEY          ... that have this key\n"
	"  --status           print what the coordinator says of the farm; exit status 1 if it\n"
	"                     cannot be reached\n"
	"  --json             ... as one JSON object\n"
	"  --compiler=RUSTC   ... and count the workers that have this compiler's toolchain\n"
	"  --help             print this\n"
	"  --version          print the version\n";

struct dispatch_options {
	int ledger_fd, half_fd;
	unsigned jobs;
	bool mapped, status, json, is_sought, is_called;
	struct half_alike alike;
	const char *compiler, *key;
};

static int
parse_fd(const char *s)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(s, &end, 10);
	if (errno || *end || end == s || v < 3 || v > 1 << 20 || fcntl((int)v, F_GETFD) < 0)
		return -1;
	return (int)v;
}

static int
parse_jobs(const char *s, unsigned *ret)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno || *end || *s < '0' || *s > '9' || v > UINT16_MAX)
		return -EINVAL;
	*ret = (unsigned)v;
	return 0;
}

static int
bad_usage(const char *what)
{
	fprintf(stderr, "dray-dispatch: %s; see --help\n", what);
	return STATUS_USAGE;
}

/* -1: go on; else the exit status. */
static int
parse(int argc, char **argv, struct dispatch_options *o)
{
	static const struct option longs[] = { { "ledger-fd", required_argument, NULL, 'r' },
		{ "jobs", required_argument, NULL, 'n' }, { "mapped", no_argument, NULL, 'm' },
		{ "sought", required_argument, NULL, 'S' },
		{ "called", required_argument, NULL, 'C' },
		{ "half", required_argument, NULL, 'H' }, { "key", required_argument, NULL, 'k' },
		{ "status", no_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' },
		{ "compiler", required_argument, NULL, 'c' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 } };
	int c;

	/* '+': options after the compiler's path are the compiler's own */
	while ((c = getopt_long(argc, argv, "+h", longs, NULL)) != -1) {
		switch (c) {
		case 'r':
			o->ledger_fd = parse_fd(optarg);
			if (o->ledger_fd < 0)
				return bad_usage("--ledger-fd names no open descriptor");
			break;
		case 'H':
			o->half_fd = parse_fd(optarg);
			if (o->half_fd < 0)
				return bad_usage("--half names no open descriptor");
			break;
		case 'k':
			o->key = optarg;
			break;
		case 'n':
			if (parse_jobs(optarg, &o->jobs) < 0)
				return bad_usage("--jobs is not a number");
			break;
		case 'm':
			o->mapped = true;
			break;
		case 'S':
			if (digest_parse(optarg, &o->alike.sought) < 0)
				return bad_usage("--sought is no key");
			o->is_sought = true;
			break;
		case 'C':
			if (digest_parse(optarg, &o->alike.called) < 0)
				return bad_usage("--called is no key");
			o->is_called = true;
			break;
		case 's':
			o->status = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 'c':
			o->compiler = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("dray-dispatch " PACKAGE_VERSION);
			return 0;
		default:
			return STATUS_USAGE;
		}
	}
	return -1;
}

/* If the configuration cannot be read, the unit goes home. dray's job log gives the same reason. */
static int
run_unit(const struct dispatch_options *o, char **argv)
{
	_cleanup_(ledger_unmapp) struct ledger *rep = NULL;
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(tether_done) struct tether tether = TETHER_INIT;
	_cleanup_(freep) char *error = NULL;
	int r = ledger_map(o->ledger_fd, &rep);

	close(o->ledger_fd);
	if (r < 0)
		return bad_usage("--ledger-fd is no ledger of this version");
	if (find_conf_load(&conf, &error) < 0) {
		snprintf(rep->why, sizeof(rep->why), "%s",
			error ? error : "the configuration cannot be read");
		rep->outcome = LEDGER_HOME;
		return 0;
	}
	r = tether_open(&tether);
	if (r < 0) {
		snprintf(rep->why, sizeof(rep->why), "cannot start: %s", strerror(-r));
		rep->outcome = LEDGER_HOME;
		return 0;
	}
	return dispatch_unit(&(struct dispatch_in){ .conf = conf,
				     .argv = argv,
				     .jobs = o->jobs,
				     .mapped = o->mapped,
				     .alike = o->is_sought && o->is_called ? &o->alike : NULL,
				     .dray = getppid(),
				     .envp = environ_all(),
				     .tether = &tether },
		rep);
}

/* What keeps it from serving is nobody's to read: each wrapper goes on without it. */
static int
run_half(const struct dispatch_options *o)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(freep) char *error = NULL;

	return find_conf_load(&conf, &error) < 0 ? STATUS_USAGE
						 : half_serve(conf, o->half_fd, o->key);
}

static int
run_status(const struct dispatch_options *o)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(freep) char *error = NULL;

	if (find_conf_load(&conf, &error) < 0) {
		fprintf(stderr, "dray-dispatch: %s\n",
			error ? error : "the configuration cannot be read");
		return STATUS_USAGE;
	}
	return farm_status_print(conf, o->compiler, o->json);
}

/* Of dray keys put. */
static int
put_keys(const char *file)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(freep) char *why = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r;

	if (cmd_load_conf(&cmd_keys, &conf) < 0)
		return CMD_FAILED;
	r = fs_read_file(file, KEYS_OBJECT_MAX, &b);
	if (r == 0)
		r = trusted_put(conf, b.p ? b.p : (uint8_t *)"", b.n, &why);
	if (r < 0)
		cmd_error(&cmd_keys, "%s: %s", file, why ? why : strerror(-r));
	return r < 0 ? CMD_FAILED : CMD_OK;
}

/* Of dray cache purge: PRODUCER ("": any), =NAMESPACE ("": any), seconds since 1970 (0: whenever).
 * Prints one JSON object: entries and results that were removed, or an error. */
static int
purge(char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(freep) char *why = NULL;
	struct farm_purge what = { .namespace = *argv[1] ? argv[1] + 1 : NULL,
		.before_s = strtoull(argv[2], NULL, 10) };
	struct farm_purged n = { 0, 0 };
	struct digest producer;
	json_t *o;
	int r;

	log_init("dray-dispatch", LOG_LEVEL_NONE);
	if (cmd_load_conf(&cmd_cache, &conf) < 0)
		return CMD_FAILED;
	if (*argv[0] && digest_parse(argv[0], &producer) < 0)
		return CMD_USAGE;
	what.producer = *argv[0] ? producer.b : NULL;
	r = farm_purge(conf, &what, &n, &why);
	o = r < 0 ? json_pack("{s:s}", "error", why ? why : strerror(-r))
		  : json_pack("{s:I, s:I}", "entries", (json_int_t)n.entries, "results",
			    (json_int_t)n.results);
	if (!o || json_dumpf(o, stdout, 0) < 0)
		r = -ENOMEM;
	json_decref(o);
	return r < 0 ? CMD_FAILED : CMD_OK;
}

/* Of dray doctor. */
static int
probe(void)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;

	log_init("dray-dispatch", LOG_LEVEL_NONE);
	return cmd_load_conf(&cmd_doctor, &conf) < 0 ? CMD_FAILED : probe_stores(conf);
}

/* Of the farm half (client/far/refiller.h): the names of what waits in the queue. */
static int
refill(char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(freep) char *error = NULL;
	struct queue_item i;

	child_survive_file_limit();
	log_init("dray-dispatch", LOG_LEVEL_NONE);
	if (digest_parse(argv[0], &i.key) < 0 || digest_parse(argv[1], &i.result) < 0)
		return REFILL_DROPPED;
	return find_conf_load(&conf, &error) < 0 ? REFILL_LATER : (int)refill_run(conf, &i);
}

/* Of dray login. */
static int
login(int argc, char **argv)
{
	static const struct join_program program = { "dray login", "client", "identity",
		"look at the farm: dray doctor" };

	return join_main(&program, argc, argv);
}

/* Of dray key rotate. */
static int
rotate(int argc, char **argv)
{
	static const struct rotate_program program = { "dray key rotate", "client", "" };

	return rotate_main(&program, argc, argv);
}

/* Of dray toolchain push. */
static int
push(char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;

	child_survive_file_limit();
	log_init("dray-dispatch", LOG_LEVEL_NONE);
	return cmd_load_conf(&cmd_toolchain, &conf) < 0 ? CMD_FAILED : push_main(conf, argv);
}

int
main(int argc, char **argv)
{
	struct dispatch_options o = { .ledger_fd = -1, .half_fd = -1 };
	int r;

	/* dray starts this one for it, and does without what it needs */
	if (argc > 1 && streq(argv[1], "cache"))
		return packs_main(argc - 1, argv + 1);
	if (argc > 1 && streq(argv[1], "login"))
		return login(argc - 1, argv + 1);
	if (argc > 1 && streq(argv[1], "rotate"))
		return rotate(argc - 1, argv + 1);
	if (argc == 3 && streq(argv[1], "put-keys"))
		return put_keys(argv[2]);
	if (argc == 5 && streq(argv[1], FARM_PURGE_COMMAND))
		return purge(argv + 2);
	if (argc == 2 && streq(argv[1], PROBE_COMMAND))
		return probe();
	if (argc == 4 && streq(argv[1], REFILL_COMMAND))
		return refill(argv + 2);
	if (argc == 2 + PUSH_ARGS && streq(argv[1], PUSH_COMMAND))
		return push(argv + 2);
	r = parse(argc, argv, &o);
	if (r >= 0)
		return r;
	child_survive_file_limit();
	log_init("dray-dispatch", LOG_LEVEL_NONE);
	if (o.status)
		return optind == argc ? run_status(&o) : bad_usage("unexpected arguments");
	if (o.half_fd >= 0)
		return optind == argc && o.key ? run_half(&o) : bad_usage("--half needs --key");
	if (o.ledger_fd < 0 || optind == argc)
		return bad_usage("--ledger-fd and a compiler, or --status, must be given");
	return run_unit(&o, argv + optind);
}
